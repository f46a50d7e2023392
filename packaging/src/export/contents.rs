//! All files that are exported for each builder.

use std::path::Path;

use lustre_sign::PublicKey;

use super::folder::put;
use super::package::SourcePackage;
use super::{Error, INDEX, koji, mock, obs, readme};
use crate::archive::unpack_srpm;
use crate::lock::Lock;
use crate::obs::Project;
use crate::target::{KERNEL, Target};

/// Whether an export has something else at the name of the folder of `project`.
pub fn is_taken(project: &Project) -> bool {
    [readme::FILE, readme::CARRIED, obs::LOCKED, INDEX].contains(&project.name.as_str())
}

/// The projects, each a folder with its packages, in `folder`.
pub fn for_obs(
    folder: &Path,
    target: &Target,
    project: &Project,
    packages: &[SourcePackage],
) -> Result<(), Error> {
    let arch = &target.distribution.arch;
    let config = project.config();
    let put_project = |own: &obs::Path, base: &[obs::Path], conf: String| {
        let name = &own.project;
        put(
            folder,
            &format!("{name}/_meta"),
            obs::project_meta(own, base, arch),
        )?;
        put(folder, &format!("{name}/_config"), conf)
    };
    let base = match obs::Path::of_distribution(target) {
        Some(base) => base,
        None => {
            let base = obs::base_project(project);
            put_project(&base, &[], obs::base_conf(target))?;
            base
        }
    };
    for one in obs::projects(target, project, base) {
        put_project(&one.own, &one.paths, one.conf)?;
    }
    for package in packages {
        let project = project.of(&package.name);
        let below = format!("{project}/{}", package.name);
        package.carry_into(&folder.join(readme::CARRIED))?;
        unpack_srpm(&package.path, &folder.join(&below))?;
        put(
            folder,
            &format!("{below}/_meta"),
            obs::package_meta(&project, &package.name),
        )?;
        if let Some(needs) = &target.needs {
            let mut needs = needs.clone();
            let left_out = &target.kernel.options;
            needs
                .debuginfo
                .take_if(|debuginfo| left_out.contains(&debuginfo.option));
            let text = obs::constraints(&needs, &package.name);
            put(folder, &format!("{below}/_constraints"), text)?;
        }
        let text = obs::buildenv(&package.buildroot);
        put(folder, &obs::locked(&package.name), text)?;
    }
    let below = format!("{config}/{}", obs::CONFIG_PACKAGE);
    put(
        folder,
        &format!("{below}/_meta"),
        obs::package_meta(&config, obs::CONFIG_PACKAGE),
    )?;
    let kernel = packages.iter().find(|package| package.name == KERNEL);
    let later = obs::later(target, kernel.map(|kernel| kernel.path.as_path()))?;
    for (name, content) in obs::config_package(target, &later) {
        put(folder, &format!("{below}/{name}"), content)?;
    }
    let text = readme::obs(target, project, packages);
    put(folder, readme::FILE, text)
}

/// Source packages, and what Koji is told of each, in `folder`.
pub fn for_koji(folder: &Path, target: &Target, packages: &[SourcePackage]) -> Result<(), Error> {
    for package in packages {
        package.carry_into(&folder.join(readme::CARRIED))?;
        package.put_into(&folder.join(&package.name))?;
        let name = format!("{}/{}", package.name, koji::SETTINGS);
        put(folder, &name, koji::settings(target, package))?;
    }
    put(folder, readme::FILE, readme::koji(target, packages))
}

/// Source packages, and what mock is told of each, in `folder`.
pub fn for_mock(
    folder: &Path,
    target: &Target,
    packages: &[SourcePackage],
    lock: &Lock,
    keys: &[PublicKey],
) -> Result<(), Error> {
    for package in packages {
        package.carry_into(&folder.join(readme::CARRIED))?;
        package.put_into(&folder.join(&package.name))?;
        let config_name = format!("{}/{}.cfg", package.name, mock::root(target, &package.name));
        put(folder, &config_name, mock::config(target, package)?)?;
        let name = format!("{}/{}", package.name, mock::LOCK);
        let text = mock::buildroot_lock(target, package, lock, keys)?;
        put(folder, &name, text)?;
    }
    put(folder, readme::FILE, readme::mock(target, packages))
}
