//! What people read about what was exported.

use super::obs::{self, CONFIG_PACKAGE, Path, base_project};
use super::package::SourcePackage;
use super::{koji, mock};
use crate::build::roots::KERNEL_DEVEL;
use crate::obs::Project;
use crate::target::{DistributionKind, Target};

/// The file's name.
pub const FILE: &str = "README";

/// The folder of packages that are in a buildroot and that no source package makes.
pub const CARRIED: &str = "binaries";

/// What all of them say of the packages.
fn head(target: &Target, what: &str, packages: &[SourcePackage]) -> String {
    let mut text = format!(
        "Source packages of the target `{}`, for {what}\n\n",
        target.name
    );
    if let Some(model) = &target.model {
        text.push_str(&format!("{model}\n\n"));
    }
    text.push_str("Build them in this order; a build root has the distribution's packages, and of those that are built here none but these:\n");
    for package in packages {
        let built = match package.built.is_empty() {
            true => "none".to_owned(),
            false => package.built_names().join(", "),
        };
        text.push_str(&format!(
            "- {}: {} (with {built})\n",
            package.name,
            package.file()
        ));
    }
    for package in packages.iter().filter(|one| !one.carried.is_empty()) {
        text.push_str(&format!(
            "\n{} is also built with the packages in the folder {CARRIED}, which no source package here makes: put them where it finds the\n\
             distribution's.\n",
            package.name
        ));
    }
    text.push('\n');
    text
}

/// For an Open Build Service.
pub fn obs(target: &Target, project: &Project, packages: &[SourcePackage]) -> String {
    let mut text = head(target, "an Open Build Service", packages);
    let config = project.config();
    text.push_str(
        "On build.opensuse.org, a user may create projects below home:USER alone: export with --project home:USER:NAME there.\n\n\
         Every folder with a file _meta is a project: _meta and _config are its own, and each folder in it is a package with its sources.\n\
         A project holds one target; another target needs another --project.\n\
         Create them in this order, since each is built on those before:\n\n"
    );
    match Path::of_distribution(target) {
        Some(Path {
            project: base,
            repository,
        }) => text.push_str(&format!(
            "  {base} (repository {repository}) has the distribution on build.opensuse.org. Another service may have it under another name:\n  \
             correct the path in {config}/_meta then. On a service without it, create a project for it that takes the distribution's\n  \
             repositories (BaseOS, AppStream, and what else the target reads) as a download on demand.\n\n"
        )),
        None => {
            let base = base_project(project).project;
            let what = match target.distribution.kind {
                DistributionKind::Rehearsal => {
                    "No service has this distribution: put its packages there, the files of `base` in the stage `distribution`"
                }
                DistributionKind::Repositories => {
                    "No public service has this distribution: let it take the distribution's repositories as a download on demand"
                }
            };
            text.push_str(&format!("  {base}\n  {what}.\n\n"));
        }
    }
    text.push_str(&format!(
        "  {config}\n  The package {CONFIG_PACKAGE} alone: the folder that rpmbuild works in, and the time of what it makes.\n\n"
    ));
    let mut all = vec![config.clone()];
    for package in obs::before(target) {
        let name = project.of(package);
        text.push_str(&format!(
            "  {name}\n  The package {package}. It has a project of its own, so that nothing that is built here gets into its build root.\n\n"
        ));
        all.push(name);
    }
    text.push_str(&format!(
        "  {}\n  The package lustre, which is built with these.\n\nFor example, with osc:\n\n",
        project.name
    ));
    all.push(project.name.clone());
    for name in &all {
        text.push_str(&format!(
            "  osc -A API meta prj {name} -F {name}/_meta\n  osc -A API meta prjconf {name} -F {name}/_config\n"
        ));
    }
    text.push_str(&format!(
        "\nThat replaces all of _meta of a project that is there, with its maintainers and flags: add the paths by hand in that case\n\
         (osc -A API meta prj -e PROJECT). Whoever builds has to be a maintainer of each of them. _meta disables publishing.\n\n\
         The packages follow with\n\n  \
         osc -A API meta pkg {config} {CONFIG_PACKAGE} -F {config}/{CONFIG_PACKAGE}/_meta\n\n\
         and the like, and their sources with `osc checkout`, `osc add` and `osc commit`; `repo --on obs` does that by itself.\n\n"
    ));
    let modules: Vec<&str> = target
        .distribution
        .obs
        .iter()
        .flat_map(|obs| obs.modules.iter().map(String::as_str))
        .collect();
    if !modules.is_empty() {
        text.push_str(&format!(
            "The builds need packages of module streams: {}. _config names them (ExpandFlags), since a service takes no others.\n\n",
            modules.join(", ")
        ));
    }
    text.push_str(
        "_constraints says what a build takes of a worker. A worker that builds in a plain chroot does not tell its memory and gets no such\n\
         package: remove the file there.\n\n\
         locked/PACKAGE/_buildenv lists the packages of the distribution that the package is built with here, with their SIGMD5. As a source\n\
         of the package, it pins them. What the projects build themselves is not in it, because what they make has a SIGMD5 of its own:\n",
    );
    for package in packages {
        let mut own = vec![CONFIG_PACKAGE.to_owned()];
        own.extend(package.built_names());
        text.push_str(&format!("- {}: add {}\n", package.name, own.join(", ")));
    }
    text.push_str(
        "Add also what the service needs to build at all (Preinstall and Support in _config). Each finished build has such a list of its own,\n\
         to compare with: _buildenv, beside its packages.\n",
    );
    text
}

/// For a Koji.
pub fn koji(target: &Target, packages: &[SourcePackage]) -> String {
    let mut text = head(target, "Koji", packages);
    let settings = koji::SETTINGS;
    text.push_str(&format!(
        "Each folder has the source package and {settings}, which sets a build tag up with Koji's own client:\n\n  \
         sh PACKAGE/{settings} TAG\n  \
         koji build TARGET PACKAGE/FILE.src.rpm\n\n\
         Each package needs a build tag of its own with the distribution's repositories (koji add-external-repo): in one for all, what is built\n\
         first gets into the build roots of the others. That of Lustre inherits the tags in which the kernel and e2fsprogs were built.\n"
    ));
    for package in packages {
        if let Some(kernel) = package.own_kernel() {
            text.push_str(&format!(
                "{} is for the kernel {kernel}, and a group of a tag has names without versions: no newer {KERNEL_DEVEL} may be in what its\n\
                 build tag takes.\n",
                package.name
            ));
        }
    }
    text.push_str(&times(target, packages, "in a build tag of its own"));
    text.push_str(
        "Koji sets %_host and %_host_cpu itself, and no tag changes that: a package whose configure writes the name of the build system into what\n\
         it makes differs there.\n",
    );
    text
}

/// For mock.
pub fn mock(target: &Target, packages: &[SourcePackage]) -> String {
    let mut text = head(target, "mock", packages);
    let root = mock::root(target, "PACKAGE");
    let lock = mock::LOCK;
    text.push_str(&format!(
        "Each folder has the source package, a config, and the list of the buildroot's packages:\n\n  \
         mock --root PACKAGE/{root}.cfg --rebuild PACKAGE/FILE.src.rpm\n\n\
         {lock} is as mock's plugin buildroot_lock writes it, version {}: every package of the distribution with its SIGMD5 and where the lock\n\
         has it from. It is there to be compared with the list that mock writes of its own build (`mock --calculate-build-dependencies`, or\n\
         rpm -qa in the root): `mock --hermetic-build` does not take it, since it names no image to begin with.\n\n\
         mock has to find what was built before: put it into a folder, run createrepo_c there, and add --addrepo file:///FOLDER. The config of Lustre\n\
         installs just these packages, and they are not in {lock}.\n",
        mock::LOCK_VERSION
    ));
    if target.distribution.kind == DistributionKind::Rehearsal {
        text.push_str(&format!(
            "Nobody publishes this distribution: config and list expect the output of the stage `distribution` at {}.\n",
            mock::BASE
        ));
    }
    text.push_str(&times(target, packages, "with the config beside it"));
    text
}

/// Of packages whose time is another one than the target's.
fn times(target: &Target, packages: &[SourcePackage], how: &str) -> String {
    packages
        .iter()
        .filter(|package| package.time != target.build.source_date_epoch)
        .map(|package| {
            format!(
                "The time of {} is {} (SOURCE_DATE_EPOCH), that of its changelog, and not the target's {}: build it {how}.\n",
                package.name, package.time, target.build.source_date_epoch
            )
        })
        .collect()
}
