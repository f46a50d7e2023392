//! The texts of a project of the Open Build Service that builds a target.
//!
//! Projects that are built on those before:
//!
//! - the base: the distribution. A public service has it; [`base_conf`] is for one that is made on the spot;
//! - [`obs::Project::config`]: the package [`CONFIG_PACKAGE`] alone, which sets what a project's macros cannot;
//! - one each for e2fsprogs and the kernel ([`obs::Project::of`]), so that the build root of each has the distribution's packages, and
//!   nothing that the target builds;
//! - the project: Lustre, which is built with these.

use std::collections::BTreeMap;

use super::Error;
use super::package::{Known, spec_and_time};
use crate::build::roots::Buildroot;
use crate::obs::{self, MARK};
use crate::sandbox::{BUILDER_HOME, PATH};
use crate::store::Digest;
use crate::target::{E2FSPROGS, KERNEL, LUSTRE, Needs, Obs, Share, Target};

/// The repository of the projects where none was named.
pub const REPOSITORY: &str = "standard";

/// The folder of an export that has these lists of packages that [`locked`] names.
pub const LOCKED: &str = "locked";

/// The package that sets where and for which time rpmbuild works.
pub const CONFIG_PACKAGE: &str = "lustre-repo-build-config";

/// A repository of a project that another one is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub project: String,
    pub repository: String,
}

impl Path {
    /// The repository of the project `name`, which is `project` or one below it: all of them have the one that was named.
    pub fn ours(project: &obs::Project, name: String) -> Self {
        let repository = project.repository.as_deref().unwrap_or(REPOSITORY);
        Self {
            project: name,
            repository: repository.to_owned(),
        }
    }

    /// Where a service has the target's distribution; none for one that is made on the spot.
    pub fn of_distribution(target: &Target) -> Option<Self> {
        let obs = target.distribution.obs.as_ref()?;
        Some(Self {
            project: obs.project.clone()?,
            repository: obs.repository.clone(),
        })
    }
}

/// A project, and what a service is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub own: Path,
    /// What it is built on, first what counts first. A service goes on from the last one to what that is built on.
    pub paths: Vec<Path>,
    /// `_config`.
    pub conf: String,
}

/// The packages that have a project of their own, in the order in which Lustre's project is built on these.
pub fn before(target: &Target) -> &'static [&'static str] {
    match target.kernel.kind.is_patched() {
        true => &[KERNEL, E2FSPROGS],
        false => &[E2FSPROGS],
    }
}

/// The projects of `target`, each after those that it is built on; the first one is built on `base`.
pub fn projects(target: &Target, project: &obs::Project, base: Path) -> Vec<Project> {
    let config = Path::ours(project, project.config());
    let mut paths = Vec::new();
    let mut all = vec![Project {
        own: config.clone(),
        paths: vec![base],
        conf: config_conf(target),
    }];
    for package in before(target) {
        let own = Path::ours(project, project.of(package));
        paths.push(own.clone());
        all.push(Project {
            own,
            paths: vec![config.clone()],
            conf: package_conf(target),
        });
    }
    paths.push(config);
    all.push(Project {
        own: Path::ours(project, project.of(LUSTRE)),
        paths,
        conf: prjconf(target),
    });
    all
}

/// The project that has a distribution that is made on the spot.
pub fn base_project(project: &obs::Project) -> Path {
    Path::ours(project, format!("{}:base", project.name))
}

/// `_meta` of a project that is built on the first of `base` that has what it needs. What is built is published nowhere: it has not been
/// proven yet, and its kernel has the distribution's name.
pub fn project_meta(own: &Path, base: &[Path], arch: &str) -> String {
    let paths: String = base
        .iter()
        .map(|path| {
            format!(
                "    <path project=\"{}\" repository=\"{}\"/>\n",
                escaped(&path.project),
                escaped(&path.repository)
            )
        })
        .collect();
    // Packages are built anew where their sources changed, and wait for those that they are built with.
    format!(
        "<project name=\"{}\">\n  <title/>\n  <description/>\n  <publish>\n    <disable/>\n  </publish>\n  \
         <repository name=\"{}\" rebuild=\"local\" block=\"all\">\n\
         {paths}    <arch>{}</arch>\n  </repository>\n</project>\n",
        escaped(&own.project),
        escaped(&own.repository),
        escaped(arch)
    )
}

/// `_meta` of a package.
pub fn package_meta(project: &str, package: &str) -> String {
    format!(
        "<package name=\"{}\" project=\"{}\">\n  <title/>\n  <description>{MARK}</description>\n</package>\n",
        escaped(package),
        escaped(project)
    )
}

/// `_config` of the base, where no service has it.
pub fn base_conf(target: &Target) -> String {
    let obs = target.distribution.obs.clone().unwrap_or_default();
    format!(
        "Type: spec\nRepotype: rpm-md\nExpandFlags: preinstallexpand\nPreinstall: {}\n",
        obs.preinstall.join(" ")
    )
}

/// `_config` of the project of [`CONFIG_PACKAGE`].
pub fn config_conf(target: &Target) -> String {
    conf(target, &target.distribution.buildroot)
}

/// `_config` of the project of a package that Lustre is built with.
pub fn package_conf(target: &Target) -> String {
    let common = &target.distribution.buildroot;
    conf(
        target,
        &[&common[..], &[CONFIG_PACKAGE.to_owned()]].concat(),
    )
}

/// `_config` of Lustre's project, which has no other package.
pub fn prjconf(target: &Target) -> String {
    // `Substitute` would write it into the spec, and the source package that the service makes would be another one.
    let Buildroot { common, own, built } = Buildroot::of(target, LUSTRE, None);
    let config = vec![CONFIG_PACKAGE.to_owned()];
    conf(target, &[common, config, own, built].concat())
}

/// `_config` of a project whose build roots have the packages `required`.
fn conf(target: &Target, required: &[String]) -> String {
    let Obs {
        modules, support, ..
    } = target.distribution.obs.clone().unwrap_or_default();
    let mut text = "Type: spec\nRepotype: rpm-md\n".to_owned();
    for module in modules {
        // The service has a module and its stream in one word.
        let module = module.replacen(':', "-", 1);
        text.push_str(&format!("ExpandFlags: module:{module}\n"));
    }
    // Without it, the service writes numbers of its own into the release.
    text.push_str("Release:\n");
    // Nothing but the target's own buildroot.
    text.push_str(&format!(
        "Support: !*\nRequired: !*\nRequired: {}\n",
        required.join(" ")
    ));
    if !support.is_empty() {
        text.push_str(&format!("Support: {}\n", support.join(" ")));
    }
    text.push_str("Macros:\n");
    // The service has these of itself; the last one counts.
    for (name, value) in super::macros(target, &["vendor", "distribution"]) {
        text.push_str(&format!("%{name} {value}\n"));
    }
    text.push_str(":Macros\n");
    text
}

/// The digest of all that the projects of a target are told.
fn configuration(target: &Target) -> Digest {
    let all = [config_conf(target), package_conf(target), prjconf(target)];
    Digest::of_bytes(all.join("\n").as_bytes())
}

/// Source packages whose time is another one than the target's, by the names of their spec files: the kernel's, whose changelog may go on
/// after that. `kernel` is its source package, where the target has one.
pub fn later(
    target: &Target,
    kernel: Option<&std::path::Path>,
) -> Result<BTreeMap<String, u32>, Error> {
    let mut later = BTreeMap::new();
    if let Some(path) = kernel {
        let (spec, time) = spec_and_time(path)?;
        if time != target.build.source_date_epoch {
            later.insert(spec, time);
        }
    }
    Ok(later)
}

/// The sources of [`CONFIG_PACKAGE`], by file name. The service asks for `%_topdir` before it writes the macros of the project, and has no
/// setting for `SOURCE_DATE_EPOCH`: rpm expands `%_topdir` first of all, and then sets the variable for itself and all that it starts. So it
/// does with `PATH`, which there has no programs of the system, and with the number of a worker's jobs, which the service writes into the
/// macros, and from there rpm into the source package: every package would be another one on another worker.
///
/// `later` are source packages whose time is another one than the target's, by name: a kernel whose changelog goes on after that.
pub fn config_package(target: &Target, later: &BTreeMap<String, u32>) -> BTreeMap<String, Vec<u8>> {
    let epoch = target.build.source_date_epoch;
    let mut lua = format!("posix.setenv(\"PATH\", \"{PATH}\", true) local time = \"{epoch}\" ");
    for (package, time) in later {
        // The service has put its sources there.
        lua.push_str(&format!(
            "if posix.access(\"{BUILDER_HOME}/build/SOURCES/{package}.spec\") then time = \"{time}\" end "
        ));
    }
    lua.push_str("posix.setenv(\"SOURCE_DATE_EPOCH\", time, true) ");
    lua.push_str(
        "local jobs = rpm.expand(\"%{?jobs}\") if jobs == \"\" then jobs = rpm.expand(\"%(getconf _NPROCESSORS_ONLN)\") end \
         posix.setenv(\"RPM_BUILD_NCPUS\", jobs, true) rpm.define(\"_smp_mflags -j${RPM_BUILD_NCPUS}\")",
    );
    // A build root with the package of another configuration is known by that.
    let macros = format!(
        "%_topdir %{{lua:{lua}}}{BUILDER_HOME}/build\n# Of the target {}, with the configuration {}\n",
        target.name,
        configuration(target)
    );
    let name = CONFIG_PACKAGE;
    let spec = format!(
        "# Written by lustre-repo.\n\
         %{{lua:posix.setenv(\"SOURCE_DATE_EPOCH\", \"{epoch}\", true)}}\n\
         Name:           {name}\n\
         Version:        1\n\
         Release:        1\n\
         Summary:        Where and for which time packages are built\n\
         License:        GPL-2.0-or-later\n\
         BuildArch:      noarch\n\
         Source0:        macros.{name}\n\n\
         %description\n\
         Macros for rpmbuild: the folder that it works in, and the time of what it makes.\n\n\
         %prep\n\n\
         %build\n\n\
         %install\n\
         install -D -p -m 644 %{{SOURCE0}} %{{buildroot}}%{{_rpmconfigdir}}/macros.d/macros.{name}\n\n\
         %files\n\
         %{{_rpmconfigdir}}/macros.d/macros.{name}\n"
    );
    BTreeMap::from([
        (format!("{name}.spec"), spec.into_bytes()),
        (format!("macros.{name}"), macros.into_bytes()),
    ])
}

/// `_constraints` of a package: what its build takes of a worker. A worker that builds in a chroot says nothing of its disk and memory and
/// gets no such package, so these are for services whose workers are virtual machines.
pub fn constraints(needs: &Needs, package: &str) -> String {
    let Share {
        mut disk_gib,
        mut memory_mib,
        ..
    } = match package {
        KERNEL => needs.kernel,
        LUSTRE => needs.lustre,
        _ => needs.e2fsprogs,
    };
    if package == KERNEL
        && let Some(debuginfo) = &needs.debuginfo
    {
        disk_gib += debuginfo.disk_gib;
        memory_mib += debuginfo.memory_mib;
    }
    let memory_mib = memory_mib + needs.cores * needs.job_memory_mib;
    format!(
        "<constraints>\n  <hardware>\n    <disk>\n      <size unit=\"G\">{disk_gib}</size>\n    </disk>\n    <memory>\n      \
         <size unit=\"M\">{memory_mib}</size>\n    </memory>\n  </hardware>\n</constraints>\n"
    )
}

/// `_buildenv`: exactly these packages, and no others of the same names.
pub fn buildenv(packages: &[Known]) -> String {
    let mut packages: Vec<&Known> = packages.iter().collect();
    packages.sort();
    let mut text = "<buildinfo>\n".to_owned();
    for Known { nevra, sigmd5, .. } in packages {
        let epoch = nevra
            .epoch
            .map(|epoch| format!(" epoch=\"{epoch}\""))
            .unwrap_or_default();
        text.push_str(&format!(
            "  <bdep name=\"{}\"{epoch} version=\"{}\" release=\"{}\" arch=\"{}\" hdrmd5=\"{}\"/>\n",
            escaped(&nevra.name),
            escaped(&nevra.version),
            escaped(&nevra.release),
            escaped(&nevra.arch),
            escaped(sigmd5)
        ));
    }
    text.push_str("</buildinfo>\n");
    text
}

/// Where the list of the packages of the distribution that `package` is built with is put: it lacks those that the projects build
/// themselves, and a service that has it as a source of the package would build without these.
pub fn locked(package: &str) -> String {
    format!("{LOCKED}/{package}/_buildenv")
}

/// Text as it is in an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
