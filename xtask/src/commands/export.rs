//! `cargo xtask export`: source packages, and what another builder has to be told to make the same of them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use lustre_files::{Advised, advised, swap};
use lustre_packaging::build::ext4;
use lustre_packaging::build::rpmbuild::packages_under;
use lustre_packaging::export::package::{SourcePackage, known};
use lustre_packaging::export::{Builder, contents, folder as exported};
use lustre_packaging::obs::Project;
use lustre_packaging::sign::PublicKey;
use lustre_packaging::store::StageDir;
use lustre_packaging::target::Target;

use super::repo::parts;
use super::{named, needs, preflight};
use crate::cli::ExportArgs;
use crate::context::{self, Context, who};
use crate::exit::{Outcome, Usage};
use crate::graph::{BuildGraph, name, shape};
use crate::session::{folder, needed, ready, run_taking};
use crate::{leftovers, ui};

/// Writes the folder.
pub fn run(arguments: &ExportArgs) -> anyhow::Result<Outcome> {
    let builder = Builder::from(arguments.builder);
    let output = &arguments.output;
    named::known(&arguments.packages)?;
    let target = context::target(&arguments.target)?.name;
    let project = match (&arguments.project, builder) {
        (Some(text), Builder::Obs) => {
            let project = Project::parse(text);
            let project = project.map_err(|error| Usage::new(Advised::of(&error)))?;
            if contents::is_taken(&project) {
                return Err(Usage::new(advised(
                    format!("--project: an export has something else in `{}`", project.name),
                    "choose another name: that of a project begins with home:USER on a public service",
                ))
                .into());
            }
            Some(project)
        }
        (None, Builder::Obs) => Some(default_project(&target)?),
        (None, Builder::Koji | Builder::Mock) => None,
        (Some(_), Builder::Koji | Builder::Mock) => {
            return Err(Usage::new(format!(
                "--project: only an Open Build Service has projects; omit it with `{}`",
                builder.name()
            ))
            .into());
        }
    };
    exported::judge(output, builder, &target).map_err(|error| Usage::new(Advised::of(&error)))?;
    let store = arguments.target.store.as_deref();
    context::judge_output("the folder of the export", output, store)?;
    let context = Context::open(&arguments.target, &who("export", &arguments.target))?;
    swap::recover(output)
        .with_context(|| format!("what a killed run left beside {}", output.display()))?;
    let packages = named::chosen(&arguments.packages, &context.target)?;
    needs::before_fetching(&context, &parts(&packages), output)?;
    let lock = ready(&context)?;
    let graph = BuildGraph::new(&context, &lock)?;
    let taken = stages(&context, &packages);
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    needs::before_building(&context, &needed(graph.builds()?, &taken), output)?;
    if packages.iter().any(|package| *package != name::E2FSPROGS)
        && preflight::gate(&context, &graph)?.is_none()
    {
        return Ok(Outcome::Misfit);
    }
    let done = run_taking(&context, &taken, &needed(graph.builds()?, &taken))?;
    let target = &context.target;
    let made = made(target, &packages, &done)?;
    // What is signed is looked at before anything is written.
    let keys = match builder {
        Builder::Mock => keys(&done)?,
        Builder::Obs | Builder::Koji => Vec::new(),
    };
    let sha256 = leftovers::noted(&context.store, output, || {
        let fill = |into: &Path| match (builder, &project) {
            (_, Some(project)) => contents::for_obs(into, target, project, &made),
            (Builder::Mock, None) => contents::for_mock(into, target, &made, &lock, &keys),
            (_, None) => contents::for_koji(into, target, &made),
        };
        Ok(exported::write(
            output,
            builder,
            &target.name,
            &packages,
            fill,
        )?)
    })?;
    if context.arguments.json {
        let result = serde_json::json!({ "output": output, "sha256": sha256 });
        ui::print(&result.to_string());
    } else {
        // As sha256sum has it: the same wherever the same was exported.
        let index = output.join(exported::INDEX);
        ui::print(&format!("{sha256}  {}", index.display()));
    }
    Ok(Outcome::Done)
}

/// The project of a target where none is named.
fn default_project(target: &str) -> anyhow::Result<Project> {
    let name = format!("lustre:{target}");
    Project::parse(&name).map_err(|_| {
        let what = format!("a service has no project of the name `{name}`");
        Usage::new(advised(what, "name one with --project PROJECT")).into()
    })
}

/// The stages whose output is read: what gives the distribution, and each source package and its buildroot, and what that was made with.
fn stages(context: &Context, packages: &[&str]) -> Vec<String> {
    let mut names = vec![name::DISTRIBUTION.to_owned()];
    for package in packages {
        names.extend([name::srpm(package), name::root(package)]);
    }
    if packages.contains(&name::LUSTRE) {
        names.extend(
            shape::before_lustre(&context.target)
                .into_iter()
                .map(str::to_owned),
        );
    }
    names
}

/// The source packages, as the stages left them.
fn made(
    target: &Target,
    packages: &[&str],
    done: &BTreeMap<String, StageDir>,
) -> anyhow::Result<Vec<SourcePackage>> {
    let base = known(&folder(done, name::DISTRIBUTION)?.join("base"))?;
    let mut made = Vec::new();
    for package in packages {
        let mut built = BTreeMap::new();
        if *package == name::LUSTRE {
            for stage in shape::before_lustre(target) {
                built.extend(known(&folder(done, stage)?.join("RPMS"))?);
            }
        }
        let sources = folder(done, &name::srpm(package))?.join("SRPMS");
        let path = packages_under(&sources)?
            .pop()
            .with_context(|| format!("no source package in {}", sources.display()))?;
        let list = folder(done, &name::root(package))?.join("packages.txt");
        let installed = lustre_files::read_to_string(&list, lustre_files::SOURCE)
            .with_context(|| list.display().to_string())?;
        let mut one = SourcePackage::new(package, path, &installed, &base, &built)?;
        if *package == name::LUSTRE && !target.kernel.kind.is_patched() {
            let ext4 = known(&folder(done, ext4::NAME)?.join("RPMS"))?;
            one.carried = ext4.into_values().map(|known| known.path).collect();
        }
        made.push(one);
    }
    Ok(made)
}

/// The keys that the distribution's packages are signed with.
fn keys(done: &BTreeMap<String, StageDir>) -> anyhow::Result<Vec<PublicKey>> {
    let path = folder(done, name::DISTRIBUTION)?.join("key.asc");
    let text = lustre_files::read(&path, lustre_files::TEXT)
        .with_context(|| path.display().to_string())?;
    Ok(PublicKey::parse_many(text)?)
}
