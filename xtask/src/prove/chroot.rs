//! The clean chroot and running commands in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lustre_packaging::buildroot::Base;
use lustre_packaging::process;
use lustre_packaging::sandbox::{self, ChrootClone, Sandbox, User};
use lustre_packaging::target::Target;
use lustre_repository::history::History;
use lustre_repository::layout::Kind;
use lustre_repository::repodata::Package;
use lustre_repository::scriptlets;

use super::input::{InstallInput, log_of};

/// Where the repository's tree is seen inside.
const DIST: &str = "/srv/lustre-repo";
/// Where the base repository and its key are seen inside.
const BASE: &str = "/srv/base";
pub(super) const BASE_KEY: &str = "/srv/base-key.asc";
/// Where the repository of what the distribution publishes later is seen inside.
pub(super) const UPDATES: &str = "/srv/updates";

/// Where dnf's files of repositories are.
const REPOSITORIES: &str = "/etc/yum.repos.d";

/// The most that is read of a log, in bytes: dnf writes a few hundred for every package.
const LARGEST_LOG: u64 = 64 << 20;

/// What stands in the distribution's own ones.
const NO_REPOSITORY: &str = "# The distribution's packages are in base.repo.\n";

/// The `.repo` file of the base.
fn base_repo(base: &Base) -> String {
    let metadata = u8::from(base.signed_metadata);
    format!(
        "[base]\nname=base\nbaseurl=file://{BASE}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck={metadata}\ngpgkey=file://{BASE_KEY}\n"
    )
}

/// The names of the `.repo` files in `folder`, sorted; none where there is no such folder.
fn repo_files(folder: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(failed)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".repo") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A throw-away clone of the chroot that was made from the base alone.
#[derive(Debug)]
pub struct Chroot<'a> {
    input: &'a InstallInput<'a>,
    clone: ChrootClone,
    /// The repository's tree, for everybody to read.
    dist: PathBuf,
    /// The releases whose packages it has; none where it does not say.
    releases: Option<History>,
}

/// The chroot as one check sees it: with the check's log.
#[derive(Debug)]
pub struct Step<'a> {
    chroot: &'a Chroot<'a>,
    log: PathBuf,
}

impl<'a> Chroot<'a> {
    /// Clones the chroot and tells its dnf where the base is, as the distribution's own `.repo` file would.
    pub fn new(input: &'a InstallInput<'a>) -> Result<Self, String> {
        Self::named(input, "install")
    }

    /// As [`Chroot::new`], where another may be.
    pub fn named(input: &'a InstallInput<'a>, name: &str) -> Result<Self, String> {
        let server = input.server;
        let clone = ChrootClone::new(&server.root, &input.scratch.join(name), User::Root)
            .map_err(|error| error.to_string())?;
        let folder = Path::new(REPOSITORIES);
        let mut files = vec![(folder.join("base.repo"), base_repo(&server.base))];
        // There is no network. What the base has of these repositories is what was pinned of them.
        for name in repo_files(&server.root.join(folder.strip_prefix("/").unwrap_or(folder)))? {
            files.push((folder.join(name), NO_REPOSITORY.to_owned()));
        }
        for (inside, text) in files {
            let inside = inside.display().to_string();
            clone
                .write(&inside, &text)
                .map_err(|error| error.to_string())?;
        }
        let dist = sandbox::readable(input.dist, &input.scratch.join(format!("{name}-dist")))
            .map_err(|error| error.to_string())?;
        let releases = History::read(input.dist).map_err(|error| error.to_string())?;
        Ok(Self {
            input,
            clone,
            dist,
            releases,
        })
    }

    /// The chroot for the check `name`.
    pub fn at(&self, name: &str) -> Step<'_> {
        self.logging_to(log_of(self.input, name))
    }

    /// The chroot, with another log.
    pub fn logging_to(&self, log: PathBuf) -> Step<'_> {
        Step { chroot: self, log }
    }
}

impl Step<'_> {
    /// The target.
    pub fn target(&self) -> &Target {
        &self.chroot.input.server.target
    }

    /// The repository's tree.
    pub fn dist(&self) -> &Path {
        self.chroot.input.dist
    }

    /// The base repository, outside.
    pub fn base(&self) -> PathBuf {
        self.chroot.input.server.base_repository().to_owned()
    }

    /// The repository of what the distribution publishes later, outside, where there is one.
    pub fn updates(&self) -> Option<PathBuf> {
        self.chroot.input.server.updates.clone()
    }

    /// Takes out of `packages`, which the metadata in the folder `kind` list, those that only earlier releases have.
    pub fn retain_release(&self, kind: Kind, packages: &mut Vec<Package>) {
        if let Some(releases) = &self.chroot.releases {
            releases.retain_release(kind, packages);
        }
    }

    /// The paths of the packages that only earlier releases have.
    pub fn of_earlier(&self) -> BTreeSet<&str> {
        let releases = self.chroot.releases.as_ref();
        releases.map(History::older_paths).unwrap_or_default()
    }

    /// Whether the release has the binary package in the file `name`.
    fn has(&self, name: &str) -> bool {
        let path = format!("{}/Packages/{name}", Kind::Binary.folder());
        self.dist().join(&path).exists() && !self.of_earlier().contains(path.as_str())
    }

    /// The path inside of a file at the top of the repository's tree.
    pub fn dist_file(name: &str) -> String {
        format!("{DIST}/{name}")
    }

    /// How commands run in it.
    pub fn sandbox(&self) -> Sandbox<'_> {
        let input = self.chroot.input;
        let sandbox = Sandbox::new(&self.chroot.clone, User::Root, "server")
            .read_only(&self.chroot.dist, DIST)
            .read_only(input.server.base_repository(), BASE)
            .read_only(&input.server.base.key, BASE_KEY);
        match &input.server.updates {
            Some(updates) => sandbox.read_only(updates, UPDATES),
            None => sandbox,
        }
    }

    /// Runs a program, with its output in the log.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.sandbox().command(program, arguments);
        process::run_logged(&mut command, &self.log).map_err(|error| error.to_string())
    }

    /// Runs a program and gives its standard output.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.sandbox().command(program, arguments);
        let bytes = process::output(&mut command).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs the chroot's own dnf. Our repository is where the proof has it, whatever its published location will be; all checks of
    /// signatures stay as the release package has them. A scriptlet of ours that fails is an error, although dnf ends well.
    pub fn dnf(&self, arguments: &[&str]) -> Result<(), String> {
        let said = self.dnf_output(arguments)?;
        let findings = scriptlets::findings(&said, &self.ours()?);
        match findings.is_empty() {
            true => Ok(()),
            false => Err(findings.join("; ")),
        }
    }

    /// As [`Step::dnf`], whatever scriptlets do; gives what dnf said.
    pub fn dnf_output(&self, arguments: &[&str]) -> Result<String, String> {
        let options = self.options();
        let mut line = vec![
            "--assumeyes",
            "--setopt=localpkg_gpgcheck=1",
            "--setopt=plugins=0",
            "--releasever=1",
        ];
        line.extend(options.iter().map(String::as_str));
        line.extend(arguments);
        let before = self.logged()?.len();
        self.run("dnf", &line)?;
        let said = self.logged()?;
        Ok(String::from_utf8_lossy(said.get(before..).unwrap_or(&said)).into_owned())
    }

    /// What the log holds so far.
    fn logged(&self) -> Result<Vec<u8>, String> {
        let read = lustre_files::if_there(lustre_files::read(&self.log, LARGEST_LOG));
        let error = |error| format!("cannot read {}: {error}", self.log.display());
        read.map(Option::unwrap_or_default).map_err(error)
    }

    /// The packages of our repository, as name, version, release and architecture.
    fn ours(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for kind in [Kind::Binary, Kind::Debuginfo] {
            let folder = self.dist().join(kind.folder()).join("Packages");
            let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
            let Some(entries) =
                lustre_files::if_there(std::fs::read_dir(&folder)).map_err(failed)?
            else {
                continue;
            };
            for entry in entries {
                let name = entry.map_err(failed)?.file_name();
                let name = name.to_string_lossy();
                found.extend(name.strip_suffix(".rpm").map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// dnf's options: our repository's place, and what a server's own configuration says.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec![Self::location()];
        options.extend(self.module_platform());
        options
    }

    /// dnf's option that says which release the module streams are for, as a server's `/etc/os-release` does.
    fn module_platform(&self) -> Option<String> {
        let platform = self.chroot.input.server.base.module_platform.as_ref();
        platform.map(|platform| format!("--setopt=module_platform_id={platform}"))
    }

    /// dnf's option that says where our repository is inside.
    fn location() -> String {
        format!(
            "--setopt=lustre.baseurl=file://{DIST}/{}",
            Kind::Binary.folder()
        )
    }

    /// The lines that `rpm` with these arguments prints, sorted.
    pub fn rpm_lines(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let mut lines: Vec<String> = self
            .output("rpm", arguments)?
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        Ok(lines)
    }

    /// Whether servers run the distribution's own kernel.
    pub fn runs_own_kernel(&self) -> bool {
        self.chroot.input.server.own_kernel.is_some()
    }

    /// The release of the kernel that our modules are for, as `uname -r` will say it: that of ours, or of the distribution's own.
    pub fn kernel_release(&self) -> Result<String, String> {
        if let Some(own) = &self.chroot.input.server.own_kernel {
            return match self.output("rpm", &["-q", &format!("kernel-core-{own}")]) {
                Ok(_) => Ok(own.clone()),
                Err(error) => Err(format!(
                    "the distribution's own kernel {own}, which the modules are for, is not installed: {error}"
                )),
            };
        }
        let mut releases = self.rpm_lines(&[
            "-q",
            "--qf",
            "%{VERSION}-%{RELEASE}.%{ARCH}\\n",
            "kernel-core",
        ])?;
        // Kernels are installed beside each other; ours sorts above the distribution's, which is a check of its own.
        releases.retain(|release| self.has(&format!("kernel-core-{release}.rpm")));
        match releases.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err("no kernel of ours is installed".to_owned()),
            more => Err(format!(
                "more than one kernel of ours is installed: {}",
                more.join(", ")
            )),
        }
    }

    /// The names of the release's binary packages that are installed.
    pub fn ours_installed(&self) -> Result<Vec<String>, String> {
        let all = self.rpm_lines(&[
            "-qa",
            "--qf",
            "%{NAME} %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm\\n",
        ])?;
        Ok(all
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, file)| self.has(file))
            .map(|(name, _)| name.to_owned())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_repositories_are_taken_out_of_use() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("yum.repos.d");
        assert_eq!(repo_files(&folder).unwrap(), Vec::<String>::new());
        std::fs::create_dir(&folder).unwrap();
        for name in ["b.repo", "a.repo", "a.repo.rpmsave"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(repo_files(&folder).unwrap(), ["a.repo", "b.repo"]);
    }

    #[test]
    fn packages_are_always_checked_and_metadata_where_it_is_signed() {
        let mut base = Base {
            repos: Vec::new(),
            key: PathBuf::new(),
            arch: "x86_64".to_owned(),
            signed_metadata: true,
            module_platform: None,
        };
        assert!(base_repo(&base).contains("\ngpgcheck=1\nrepo_gpgcheck=1\n"));
        base.signed_metadata = false;
        assert!(base_repo(&base).contains("\ngpgcheck=1\nrepo_gpgcheck=0\n"));
    }
}
