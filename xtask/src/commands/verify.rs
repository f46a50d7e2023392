//! `cargo xtask verify`: the proofs, of a repository of ours anywhere, also where it is served (`served`); and the comparison of two builds.

mod age;
pub mod expected;
pub mod identity;
mod keep;
mod key_life;
pub mod measure;
mod named;
mod only_static;
mod reproducible;
mod served;
mod signatures;
mod trusted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use lustre_files::{advised, help};
use lustre_packaging::lock::LockState;
use lustre_packaging::stage::{Recipe, Stage};
use lustre_packaging::store::StageDir;
use lustre_packaging::{host, sandbox};
use lustre_repository::digests::Digests;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Outcome as Result_, StaticInput};

use expected::Expected;
use measure::Measure;
pub use measure::said;
use named::named;
use signatures::{Limits, Signatures, key_check, signatures};
pub use trusted::{TrustedRepository, trusted_repository};

use super::boot;
use super::proofs::{self, ProofReport};
use crate::cli::{Prove, TargetArgs, VerifyArgs};
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::graph::finish::{Signing, repo_file};
use crate::graph::{BuildGraph, name};
use crate::place;
use crate::prove::{InstallInput, Server, install_checks, not_installed};
use crate::published_tree;
use crate::{lock, session, ui};

/// Where no target is named, it is the one that the manifest of the repository at PATH names. Gives what came of it where the repository
/// cannot even say what it is.
pub fn name_target(arguments: &mut VerifyArgs) -> anyhow::Result<Option<Outcome>> {
    let json = arguments.target.json;
    let broken = named_or_broken(arguments)?;
    Ok(broken.map(|proved| unproven(&proved, json)))
}

/// The same; gives what does not hold where the repository cannot even say what it is.
pub fn named_or_broken(arguments: &mut VerifyArgs) -> anyhow::Result<Option<ProofReport>> {
    let Some(path) = arguments.path.as_ref() else {
        return Ok(None);
    };
    // Of a URL, it is named once that is fetched and signed.
    if let Some(url) = served::url(path)? {
        if arguments.target.offline && url.is_remote() {
            return Err(Usage::new(advised(
                format!("--offline: {url} cannot be fetched without the network"),
                "leave out --offline, or give the folder of a copy",
            ))
            .into());
        }
        let setup = arguments.target.setup;
        host::ensure(&place::specs(), &["publish"], setup, &mut |text| {
            ui::say(text);
        })?;
        return Ok(None);
    }
    context::judge_path("the repository", path, &[])?;
    let target = match arguments.target_given {
        true => &arguments.target.target,
        false => "unknown",
    };
    // Of what was published, it is told where clients are led to.
    let told = published_tree::told_in(path);
    if let Some(proved) = broken(&told, target) {
        return Ok(Some(proved));
    }
    if arguments.target_given || arguments.as_published {
        return Ok(None);
    }
    let file = told.join(manifest::FILE);
    let manifest = Manifest::read(&file).with_context(|| {
        advised(
            format!(
                "no repository of this tool at {} ({} is missing)",
                path.display(),
                manifest::FILE
            ),
            "`cargo xtask repo` makes one",
        )
    })?;
    named(
        &mut arguments.target,
        &manifest,
        &file.display().to_string(),
    )?;
    Ok(None)
}

/// What does not hold where the repository at `dist` cannot even say what it is.
fn broken(dist: &Path, target: &str) -> Option<ProofReport> {
    let broken = identity::broken(dist);
    let is_broken = !broken.is_empty();
    is_broken.then(|| ProofReport::broken(dist, target, broken))
}

/// Tells what does not hold.
fn unproven(proved: &ProofReport, json: bool) -> Outcome {
    proved.show();
    if json {
        ui::print(proved.text().trim_end());
    }
    Outcome::Unproven
}

/// What to call the repository at `path`.
pub fn shown(path: &Path) -> String {
    match served::url(path) {
        Ok(Some(url)) => url.to_string(),
        _ => std::fs::canonicalize(path)
            .unwrap_or_else(|_| path.to_owned())
            .display()
            .to_string(),
    }
}

/// Whether the repository has to be fetched.
pub fn fetches(arguments: &VerifyArgs) -> bool {
    let path = arguments.path.as_deref();
    path.is_some_and(|path| served::url(path).is_ok_and(|url| url.is_some()))
}

/// Proves the repository given, or compares two builds.
pub fn run(arguments: &VerifyArgs) -> anyhow::Result<Outcome> {
    let url = arguments.path.as_deref().map(served::url).transpose()?;
    let url = url.flatten();
    if arguments.reproducible {
        return match url {
            None => reproducible::run(arguments),
            Some(url) => Err(Usage::new(advised(
                format!("--reproducible compares with a folder, and {url} is a URL"),
                "fetch the repository, and give its folder",
            ))
            .into()),
        };
    }
    if let Some(output) = &arguments.output {
        if url.is_none() {
            return Err(Usage::new(advised(
                "--output is for what is fetched from a URL",
                "give the URL of a published repository",
            ))
            .into());
        }
        served::judge_output(output, arguments.target.store.as_deref())?;
    }
    let expected = Expected::of(
        &arguments.public_key,
        &arguments.key,
        arguments.trust_on_first_use,
    )?;
    let who = context::who("verify", &arguments.target);
    // What a run that builds is about to replace has to be waited for; anything else does not.
    let context = match &arguments.path {
        None if !arguments.is_static() => Context::open(&arguments.target, &who)?,
        _ => Context::beside(&arguments.target, &who)?,
    };
    let Some(url) = url else {
        let dist = dist(&context, arguments)?;
        let scratch = context.store.temp_dir("verify")?;
        let shown = dist.display().to_string();
        let dist = published_tree::published(&dist, scratch.path(), &mut |line| ui::warn(line))?
            .unwrap_or(dist);
        return proven(&context, arguments, (&dist, &shown), &expected, Vec::new());
    };
    let mut context = context;
    let mut arguments = arguments.clone();
    let given = arguments.target_given.then(|| context.target.name.clone());
    let output = arguments.output.clone();
    let wanted = served::FetchRequest {
        url: &url,
        expected: &expected,
        target: given.as_deref(),
        output: output.as_deref(),
    };
    let fetched = served::fetch(&context, &wanted, &mut |manifest| {
        if arguments.as_published {
            return Ok(());
        }
        if !arguments.target_given {
            named(&mut arguments.target, manifest, &url.to_string())?;
        }
        match arguments.is_static() {
            true => Ok(()),
            false => pinned(&arguments.target),
        }
    })?;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(broken) => return Ok(unproven(&broken, arguments.target.json)),
    };
    ui::say(&format!("{url}: {}", fetched.check.message));
    if !arguments.as_published {
        context.target = context::target(&arguments.target)?;
        context.arguments = arguments.target.clone();
    }
    let before = vec![fetched.check];
    let at = (fetched.tree.as_path(), url.to_string());
    let outcome = proven(&context, &arguments, (at.0, &at.1), &expected, before)?;
    if let (Outcome::Done, Some(output)) = (&outcome, &arguments.output) {
        keep::keep(&fetched.tree, output, &expected)?;
        ui::say(&format!("{url} is in {}", output.display()));
    }
    Ok(outcome)
}

/// Proves the repository that is `shown`, and is looked at in the folder `dist`; the checks `before` were made already.
fn proven(
    context: &Context,
    arguments: &VerifyArgs,
    (dist, shown): (&Path, &str),
    expected: &Expected,
    before: Vec<Check>,
) -> anyhow::Result<Outcome> {
    if arguments.boot {
        boot::table(context)?;
    }
    if let Some(proved) = broken(dist, &context.target.name) {
        return Ok(unproven(&proved, context.arguments.json));
    }
    let mut all = before;
    if arguments.is_static() {
        let limits = Limits::of(arguments);
        let target = match arguments.as_published {
            true => Manifest::read(&dist.join(manifest::FILE))?.target,
            false => context.target.name.clone(),
        };
        let only_static::StaticChecks { made, left, .. } = match arguments.as_published {
            true => only_static::as_published(context, dist, expected, limits)?,
            false => only_static::checks(context, dist, expected, limits)?,
        };
        proofs::uninterrupted()?;
        all.extend(made);
        let mut proved = ProofReport::of_target(&target, dist, all)?.seen_at(dist, shown);
        // What nobody asked for does not fail.
        let good = proved.good();
        proved.show();
        proved.add(ProofReport::of_target(&target, dist, left)?.seen_at(dist, shown));
        ui::warn(&proved.left());
        if context.arguments.json {
            ui::print(proved.text().trim_end());
        }
        return Ok(if good {
            Outcome::Done
        } else {
            Outcome::Unproven
        });
    }
    let mut made = None;
    all.extend(checks(
        context,
        dist,
        expected,
        Limits::of(arguments),
        Prove::Install,
        || {
            if arguments.path.is_some() {
                pinned(&context.arguments)?;
            }
            let lock = lock::current(context)?;
            let graph = BuildGraph::of_servers(context, &lock)?;
            let done = session::run_servers(context, &lock, &Server::STAGES, &graph.roots()?)?;
            Ok(made.insert(Server::of(&graph, &done)?))
        },
    )?);
    proofs::uninterrupted()?;
    for check in &all {
        if [proof::KEY, age::CHECK, key_life::CHECK].contains(&check.name.as_str())
            && check.result == Result_::Pass
        {
            ui::say(&format!(
                "{} {}: {}",
                check.name, check.checked, check.message
            ));
        }
    }
    let mut proved = ProofReport::new(context, dist, all)?.seen_at(dist, shown);
    // What does not even install is not booted.
    if let Some(server) = made.filter(|_| arguments.boot && proved.good()) {
        let booted = boot::checks(context, &server, dist);
        proofs::uninterrupted()?;
        proved.add(ProofReport::new(context, dist, booted?)?.seen_at(dist, shown));
    } else if arguments.boot {
        ui::warn(boot::NOT_BOOTED);
    }
    proved.show();
    if context.arguments.json {
        ui::print(proved.text().trim_end());
    }
    Ok(if proved.good() {
        Outcome::Done
    } else {
        Outcome::Unproven
    })
}

/// That a repository with this manifest can be installed by `verify`, for those who run it later; `given` is whether the target was named.
pub fn can_install(
    arguments: &TargetArgs,
    given: bool,
    manifest: &Manifest,
    shown: &str,
) -> anyhow::Result<()> {
    let mut arguments = arguments.clone();
    if !given {
        named(&mut arguments, manifest, shown)?;
    }
    pinned(&arguments)
}

/// That the packages of the distribution are pinned that a repository is installed on: whoever verifies what somebody gives him does not ask for
/// a lock of today in his checkout.
fn pinned(arguments: &TargetArgs) -> anyhow::Result<()> {
    let target = context::target(arguments)?;
    let (path, found) = lock::of_target(&target)?;
    let LockState::Outdated(what) = found else {
        return Ok(());
    };
    Err(anyhow!(
        "{} {what}: it pins the packages of the distribution on which the repository is installed{}",
        path.display(),
        help!(
            "take the lock that the repository was made with, or make one with `cargo xtask lock --target {}`; or pass --static, which installs \
             nothing",
            target.argument()
        )
    ))
}

/// The repository to look at.
fn dist(context: &Context, arguments: &VerifyArgs) -> anyhow::Result<PathBuf> {
    let dist = match &arguments.path {
        Some(path) => path.clone(),
        None => context::default_output(&context.target.name)?,
    };
    std::fs::canonicalize(&dist).with_context(|| {
        advised(
            format!("no repository at {}", dist.display()),
            "`cargo xtask repo` makes one",
        )
    })
}

/// The stage of the proofs, with its recipe still to be said.
pub fn stage_of<'s>(
    graph: &BuildGraph<'_>,
    level: Prove,
    recipe: Recipe<'s>,
) -> anyhow::Result<Stage<'s>> {
    let mut inputs = graph.proof_inputs()?;
    if level == Prove::Static {
        inputs.push(("without".to_owned(), "installation".to_owned()));
    }
    Ok(proofs::stage_of(graph, name::PROVE, inputs, recipe))
}

/// The static proofs, and from [`Prove::Install`] on the install proof, of what the stage `assemble` made.
///
/// Proofs that fail are no error but the answer.
pub fn prove(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
    done: &BTreeMap<String, StageDir>,
    level: Prove,
) -> anyhow::Result<ProofReport> {
    proofs::in_stage(
        context,
        graph,
        signing,
        done,
        |recipe| stage_of(graph, level, recipe),
        |dist| {
            let server = Server::of(graph, done)?;
            let mut all = vec![key_check(context, dist, &Expected::signing(signing))?.0];
            all.extend(contents(
                context,
                &server,
                dist,
                &signing.public_key,
                level,
            )?);
            Ok(all)
        },
    )
}

/// All checks of somebody's repository, from what needs the least trust to what needs the most: its key, its signatures, its content on
/// the `server` that is made for it, its packages' scripts in a chroot. Nothing is unpacked of what nobody signed, and nothing
/// installed of what is not signed by the key expected.
fn checks<'s>(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    limits: Limits,
    level: Prove,
    server: impl FnOnce() -> anyhow::Result<&'s mut Server>,
) -> anyhow::Result<Vec<Check>> {
    let measure = Measure::of(&context.target)?;
    let Signatures {
        checks: mut all,
        digests,
        published,
        read_on,
        trusted,
        recent,
    } = signatures(context, dist, &measure, expected, limits)?;
    if !read_on {
        return Ok(all);
    }
    let server = server()?;
    all.extend(proof::content_checks(&StaticInput {
        dist,
        base_repos: &[server.base_repository().to_owned()],
        expected: &server.target.expected_packages(),
        target: &measure.target,
        repo_file: &measure.repo_file,
        public_key: &published,
        digests: &digests,
        logs: &context.store.logs_dir(),
        confine: sandbox::looking,
    }));
    if level < Prove::Install {
        return Ok(all);
    }
    all.extend(match (trusted, recent) {
        (true, true) => {
            ui::say("installing it in a clean chroot: this takes minutes");
            installed(context, server, dist)?
        }
        (true, false) => not_installed(age::NOT_INSTALLED),
        (false, _) => not_installed(expected::NOT_INSTALLED),
    });
    Ok(all)
}

/// Static and install checks of the tree `dist`, which this run has made and whose every package and metadata are signed with
/// `public_key`, on `server`.
fn contents(
    context: &Context,
    server: &Server,
    dist: &Path,
    public_key: &str,
    level: Prove,
) -> anyhow::Result<Vec<Check>> {
    let mut all = proof::static_checks(&StaticInput {
        dist,
        base_repos: &[server.base_repository().to_owned()],
        expected: &server.target.expected_packages(),
        target: &context.target.name,
        repo_file: &repo_file(&context.target)?,
        public_key,
        digests: &Digests::default(),
        logs: &context.store.logs_dir(),
        confine: sandbox::looking,
    });
    if level >= Prove::Install {
        all.extend(installed(context, server, dist)?);
    }
    Ok(all)
}

/// The install checks.
fn installed(context: &Context, server: &Server, dist: &Path) -> anyhow::Result<Vec<Check>> {
    let scratch = context.store.temp_dir("prove")?;
    Ok(install_checks(&InstallInput {
        server,
        dist,
        scratch: scratch.path(),
        logs: &context.store.logs_dir(),
    }))
}

#[cfg(test)]
mod tests;
