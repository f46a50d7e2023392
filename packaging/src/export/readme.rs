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
    text.push('\n');
    text
}

/// Of the packages in [`CARRIED`], where there are any: `how` they get to where the distribution's are.
fn carried(packages: &[SourcePackage], how: &str) -> String {
    let with = packages.iter().filter(|one| !one.carried.is_empty());
    with.map(|package| {
        format!(
            "{} is also built with the packages in the folder {CARRIED}, which no source package here makes. {how}\n\n",
            package.name
        )
    })
    .collect()
}

/// For an Open Build Service.
pub fn obs(target: &Target, project: &Project, packages: &[SourcePackage]) -> String {
    let mut text = head(target, "an Open Build Service", packages);
    let config = project.config();
    text.push_str(
        "Every folder with a file _meta is a project: _meta and _config are its own, and each folder in it is a package with its sources.\n\
         A project holds one target; another target needs another --project. On build.opensuse.org, a user may create projects below\n\
         home:USER alone: export with --project home:USER:NAME there.\n\n\
         The lines below are for osc and a shell in this folder. API is the URL of the service's API, such as https://api.opensuse.org. With\n\
         `repo --on obs`, lustre-repo does steps 3 and 4 itself.\n\n\
         1. The distribution\n\n",
    );
    text.push_str(&base(target, project));
    text.push_str(&carried(
        packages,
        "An administrator of the service\nputs them into the project of the distribution, or into what is in its place:",
    ));
    let all = packages.iter().flat_map(|package| &package.carried);
    let all: Vec<String> = all
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    if !all.is_empty() {
        let base = Path::of_distribution(target).unwrap_or_else(|| base_project(project));
        let files = all.iter().map(|file| format!("{CARRIED}/{file}"));
        text.push_str(&put(target, &base, &files.collect::<Vec<_>>().join(" ")));
    }
    text.push_str(
        "2. The projects\n\n\
         Create them in this order, since each is built on those before:\n\n",
    );
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
        "  {}\n  The package lustre, which is built with these.\n\n",
        project.name
    ));
    all.push(project.name.clone());
    for name in &all {
        text.push_str(&create(name));
    }
    text.push_str(
        "\nThat replaces all of _meta of a project that is there, with its maintainers and flags: add the paths by hand in that case\n\
         (osc -A API meta prj -e PROJECT). Whoever builds has to be a maintainer of each of them. _meta disables publishing.\n\n\
         3. The packages\n\n\
         In a new folder beside this one, which stays as it is:\n\n  \
         from=$PWD && mkdir ../checkout && cd ../checkout\n",
    );
    text.push_str(&sources(&config, CONFIG_PACKAGE));
    for package in packages {
        let project = project.of(&package.name);
        text.push_str(&sources(&project, &package.name));
    }
    text.push_str(
        "\nThe service builds each as soon as what it is built with is there.\n\n\
         4. What was built\n\n",
    );
    for package in packages {
        let own = Path::ours(project, project.of(&package.name));
        let Target { distribution, .. } = target;
        text.push_str(&format!(
            "  osc -A API results --watch {project} {name}\n  \
             osc -A API getbinaries --debuginfo --destdir built {project} {name} {repository} {arch}\n",
            project = own.project,
            repository = own.repository,
            name = package.name,
            arch = distribution.arch
        ));
    }
    text.push_str("\n5. More\n\n");
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

/// How a service comes to the distribution's packages.
fn base(target: &Target, project: &Project) -> String {
    let arch = &target.distribution.arch;
    let named = Path::of_distribution(target);
    let base = base_project(project);
    if target.distribution.kind == DistributionKind::Rehearsal {
        let own = &base.project;
        return format!(
            "No service has this distribution. An administrator of the service creates the project {own} and puts the packages there.\n\
             {}:\n\n{}{}",
            in_store(target),
            create(own),
            put(
                target,
                &base,
                "STORE/stages/distribution-DIGEST/base/Packages/*.rpm"
            )
        );
    }
    let own = &base.project;
    let mut text = match &named {
        Some(Path {
            project: base,
            repository,
        }) => format!(
            "{base} (repository {repository}) has it on build.opensuse.org, and follows the newest minor release. Another service may have it\n\
             under another name: correct the path in {}/_meta then. On a service without it, or for an earlier minor release, an administrator\n\
             of the service creates a project that takes the distribution's repositories as a download on demand, with this as its _meta\n\
             (osc -A API meta prj -e NAME), and with what {base} has as _config:\n\n",
            project.config()
        ),
        None => format!(
            "No public service has it. An administrator of the service creates the project {own}, which takes the distribution's repositories as a\n\
             download on demand, with the _config in the folder {own} and with this as its _meta (osc -A API meta prj -e {own}):\n\n"
        ),
    };
    let name = match named {
        Some(_) => "NAME",
        None => own,
    };
    let (mut paths, mut moved) = (String::new(), String::new());
    let mut with_certificates = false;
    text.push_str(&format!(
        "  <project name=\"{name}\">\n    <title/>\n    <description/>\n"
    ));
    let repositories = target.distribution.repository.iter();
    for one in repositories.filter(|one| one.enabled && !one.source) {
        let id = &one.id;
        // One whose location cannot be told was refused when the target was loaded.
        let locations = target.distribution.locations(one).unwrap_or_default();
        let url = locations.first().map_or("URL", String::as_str);
        moved.extend(locations.iter().skip(1).map(|url| format!("  {url}\n")));
        with_certificates |= one.sslclientcert.is_some();
        text.push_str(&format!(
            "    <repository name=\"{id}\">\n      <download arch=\"{arch}\" url=\"{}\" repotype=\"rpmmd\"/>\n      <arch>{arch}</arch>\n    \
             </repository>\n",
            obs::escaped(url)
        ));
        paths.push_str(&format!(
            "      <path project=\"{name}\" repository=\"{id}\"/>\n"
        ));
    }
    text.push_str(&format!(
        "    <repository name=\"{}\">\n{paths}      <arch>{arch}</arch>\n    </repository>\n  </project>\n\n",
        base.repository
    ));
    if !moved.is_empty() {
        text.push_str(&format!(
            "Once another minor release is the newest one, its repositories are at\n\n{moved}\n"
        ));
    }
    if with_certificates {
        text.push_str(
            "These servers ask for a certificate, which a download on demand does not send: give it the URLs of a mirror of your own.\n\n",
        );
    }
    text
}

/// Where what a distribution that is made on the spot has is found.
fn in_store(target: &Target) -> String {
    format!(
        "STORE is ~/.cache/lustre-repo, or what --store names; in it, stages/distribution-DIGEST is the newest such folder after an export of {}",
        target.name
    )
}

/// The lines that create a project.
fn create(name: &str) -> String {
    format!(
        "  osc -A API meta prj {name} -F {name}/_meta\n  osc -A API meta prjconf {name} -F {name}/_config\n"
    )
}

/// The lines by which an administrator puts packages into a repository that builds none of them. There, a package is called by its name alone.
fn put(target: &Target, base: &Path, files: &str) -> String {
    let Path {
        project,
        repository,
    } = base;
    let arch = &target.distribution.arch;
    format!(
        "  for file in {files}; do\n    name=${{file##*/}}\n    \
         osc -A API api -X PUT -T \"$file\" \"/build/{project}/{repository}/{arch}/_repository/${{name%-*-*}}.rpm\"\n  done\n\n"
    )
}

/// The lines that submit the sources of a package.
fn sources(project: &str, package: &str) -> String {
    format!(
        "  osc -A API meta pkg {project} {package} -F \"$from/{project}/{package}/_meta\"\n  \
         osc -A API checkout --current-dir {project} {package}\n  \
         cp \"$from/{project}/{package}\"/* {package}/ && rm {package}/_meta\n  \
         (cd {package} && osc addremove && osc commit --message lustre-repo)\n"
    )
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
         first gets into the build roots of the others. That of Lustre inherits the tags in which the kernel and e2fsprogs were built.\n\n"
    ));
    text.push_str(&carried(
        packages,
        "Run createrepo_c in it, put it on a web server, and add it to the build tag: koji add-external-repo -t TAG NAME URL.",
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
    if target.distribution.kind == DistributionKind::Rehearsal {
        text.push_str(&format!(
            "Nobody publishes this distribution: the repositories are the output of the stage `distribution`.\n{}.\n",
            in_store(target)
        ));
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
    let lock = mock::LOCK;
    text.push_str(
        "Each folder has the source package, a config, and the list of the buildroot's packages:\n\n",
    );
    for package in packages {
        let (name, file) = (&package.name, package.file());
        let root = mock::root(target, name);
        text.push_str(&format!(
            "  mock --root {name}/{root}.cfg --rebuild {name}/{file}\n"
        ));
    }
    text.push_str(&format!(
        "\n{lock} is as mock's plugin buildroot_lock writes it, version {}: every package of the distribution with its SIGMD5 and where the lock\n\
         has it from. It is there to be compared with the list that mock writes of its own build (`mock --calculate-build-dependencies`, or\n\
         rpm -qa in the root): `mock --hermetic-build` does not take it, since it names no image to begin with.\n\n\
         mock has to find what was built before: put it into a folder, run createrepo_c there, and add --addrepo file:///FOLDER. The config of Lustre\n\
         installs just these packages, and they are not in {lock}.\n\n",
        mock::LOCK_VERSION
    ));
    text.push_str(&carried(
        packages,
        "Run createrepo_c in it, too, and add --addrepo file:///FOLDER.",
    ));
    if target.distribution.kind == DistributionKind::Rehearsal {
        text.push_str(&format!(
            "Nobody publishes this distribution: config and list expect the output of the stage `distribution` at {}.\n{}.\n",
            mock::BASE,
            in_store(target)
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
