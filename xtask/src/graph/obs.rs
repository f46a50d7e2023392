//! Packages that an Open Build Service builds, in place of this machine: submitted, waited for, collected, and held against what they have to
//! be. Their stages have a key of their own, so none is ever taken for one that was built here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use lustre_packaging::archive;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::build::workdir::Workdir;
use lustre_packaging::export::obs::{self as texts, CONFIG_PACKAGE, config_package};
use lustre_packaging::obs::{self, BUILDENV, BuiltWith, Collected, Known, Place, Wanted};
use lustre_packaging::stage::{Failure, Work};
use lustre_packaging::store::PathError;
use lustre_packaging::target::Target;
use lustre_repository::manifest;
use serde::{Deserialize, Serialize};

use super::inputs::BuildGraph;
use super::packages::one_srpm;
use super::{name, shape};
use crate::obs::{Obs, ObsBuilder, Ready};

/// Is raised when what is taken of a service, or what is kept of it, changes: what was collected before is collected again.
const NUMBER: u32 = 2;

/// The file of a stage that says who built its packages.
const BUILDER: &str = "builder.json";

/// What an Open Build Service is called where a builder is named.
pub const OBS: &str = "obs";

/// Who built the packages of a stage.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    api: String,
    project: String,
    repository: String,
    collected: Collected,
}

/// Where the packages of a stage are built, in words; none where that is this machine, and where it builds none.
pub fn builder_of(builder: Option<&ObsBuilder>, target: &Target, stage: &str) -> Option<String> {
    let ObsBuilder { api, project, .. } = builder?;
    let is_built = shape::built(target).contains(&stage);
    let project = project.of(stage);
    is_built.then(|| format!("OBS at {}, project {project}", api.url()))
}

impl BuildGraph<'_> {
    /// The input of a stage that says where it is built; none where that is here.
    pub(super) fn builder_inputs(&self) -> Vec<(String, String)> {
        let named = self.obs.iter().map(|obs| {
            let ObsBuilder { api, project, .. } = obs.builder;
            let repository = project.repository.as_deref().unwrap_or_default();
            let text = serde_json::json!([OBS, NUMBER, api.url(), project.name, repository]);
            ("builder".to_owned(), text.to_string())
        });
        named.collect()
    }

    /// Has `package` built of the source package of its stage, and gives the packages, which are in the stage's output. `build` is a home
    /// with the package's buildroot, in which rpm reads the spec.
    pub(super) fn built_on_obs(
        &self,
        obs: &Obs<'_>,
        work: &Work<'_>,
        package: &str,
        expected: &[String],
        build: &Workdir,
    ) -> Result<Vec<PathBuf>, Failure> {
        let srpm = one_srpm(work, package)?;
        let can_be = rpmbuild::can_be(build, &srpm, work.log)?;
        let Ready {
            repositories,
            mut known,
        } = self.ready_on_obs(obs, work)?;
        if package == name::LUSTRE {
            for stage in shape::before_lustre(&self.target) {
                for path in rpmbuild::packages_under(&work.need(stage)?.join("RPMS"))? {
                    known.add(&path)?;
                }
            }
        }
        let list = work.need(&name::root(package))?.join("packages.txt");
        let installed = lustre_files::read_to_string(&list, lustre_files::SOURCE)
            .map_err(|error| PathError::new("read", &list, error))?;
        let service = self.target.distribution.obs.clone().unwrap_or_default();
        let more = [service.preinstall, service.support].concat();
        known.is_root(&installed, &[CONFIG_PACKAGE], &more)?;
        let folder = work.scratch.join("obs-sources");
        archive::unpack_srpm(&srpm, &folder)?;
        let place = Place {
            project: obs.project().of(package),
            repository: repositories.of(package).to_owned(),
            arch: self.target.distribution.arch.clone(),
            package: package.to_owned(),
        };
        let source = srpm.file_name().unwrap_or_default().to_string_lossy();
        let wanted = Wanted {
            place: &place,
            srcmd5: "",
            source: Some(&source),
            can_be: &can_be,
            expected,
            known: &known,
        };
        let into = work.output.join("RPMS");
        let collected = obs.built(work, package, &folder, wanted, &into)?;
        let record = Record {
            api: obs.builder.api.url().to_owned(),
            project: place.project.clone(),
            repository: place.repository.clone(),
            collected,
        };
        fs::write(
            work.output.join(BUILDER),
            serde_json::to_string_pretty(&record)?,
        )?;
        Ok(rpmbuild::packages_under(&into)?)
    }

    /// The projects with what all packages need: their configuration, and the package that sets the build up. Done once.
    pub(super) fn ready_on_obs(&self, obs: &Obs<'_>, work: &Work<'_>) -> Result<Ready, Failure> {
        // Packages that are built side by side wait for it.
        let mut ready = obs.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(ready.clone());
        }
        let api = &obs.builder.api;
        let arch = &self.target.distribution.arch;
        let repositories = obs.builder.check_projects(api, &self.target)?;
        let mut known = Known::default();
        let base = work.need(name::DISTRIBUTION)?.join("base");
        for path in rpmbuild::packages_under(&base)? {
            known.add(&path)?;
        }
        let config = obs.project().config();
        obs::config(api, &config, &texts::config_conf(&self.target))?;
        let folder = work.scratch.join("obs-config");
        fs::create_dir(&folder)?;
        for (file, bytes) in config_package(&self.target, &self.later(work)?) {
            fs::write(folder.join(file), bytes)?;
        }
        let place = Place {
            project: config,
            repository: repositories.config.clone(),
            arch: arch.clone(),
            package: CONFIG_PACKAGE.to_owned(),
        };
        let wanted = Wanted {
            place: &place,
            srcmd5: "",
            source: None,
            can_be: &BTreeSet::from([format!("{CONFIG_PACKAGE}-1-1.noarch")]),
            expected: &[CONFIG_PACKAGE.to_owned()],
            known: &known,
        };
        let into = work.scratch.join("obs-config-packages");
        let stage = work.output.join(BUILDENV);
        obs.built(work, CONFIG_PACKAGE, &folder, wanted, &into)?;
        lustre_files::if_there(fs::remove_file(&stage))
            .map_err(|source| PathError::new("remove", &stage, source))?;
        for path in rpmbuild::packages_under(&into)? {
            known.add(&path)?;
        }
        // What is in the projects waits for that, so these are not told before.
        obs::config(api, &obs.project().name, &texts::prjconf(&self.target))?;
        for package in texts::before(&self.target) {
            let text = texts::package_conf(&self.target);
            obs::config(api, &obs.project().of(package), &text)?;
        }
        let made = Ready {
            repositories,
            known,
        };
        Ok(ready.insert(made).clone())
    }

    /// Source packages whose time is another one than the target's.
    fn later(&self, work: &Work<'_>) -> Result<BTreeMap<String, u32>, Failure> {
        let is_there = self.target.kernel.kind.is_patched();
        let kernel = is_there.then(|| one_srpm(work, name::KERNEL)).transpose()?;
        Ok(texts::later(&self.target, kernel.as_deref())?)
    }
}

/// Who built the packages in the output of a stage, for the manifest; none where that is this machine.
pub(super) fn recorded(output: &Path) -> Result<Option<manifest::Builder>, Failure> {
    let path = output.join(BUILDER);
    let bytes = lustre_files::if_there(lustre_files::read(&path, lustre_files::TEXT))
        .map_err(|error| PathError::new("read", &path, error))?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let Record {
        api,
        project,
        repository,
        collected,
    } = serde_json::from_slice(&bytes)?;
    Ok(Some(manifest::Builder {
        name: OBS.to_owned(),
        api,
        project,
        repository,
        disturl: collected.disturl,
        srcmd5: collected.srcmd5,
        buildenv_sha256: collected.buildenv_sha256.to_string(),
        built_with: collected
            .built_with
            .into_iter()
            .map(|BuiltWith { nevra, sigmd5 }| manifest::BuiltWith { nevra, sigmd5 })
            .collect(),
    }))
}
