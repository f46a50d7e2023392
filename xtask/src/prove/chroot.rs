//! The clean chroot and running commands in it.

use std::path::PathBuf;

use lustre_packaging::process;
use lustre_packaging::sandbox::{ChrootClone, Sandbox, User};
use lustre_packaging::target::Target;
use lustre_repository::layout::Kind;

use super::InstallInput;

/// Where the repository's tree is seen inside.
const DIST: &str = "/srv/lustre-repo";
/// Where the base repository and its key are seen inside.
const BASE: &str = "/srv/base";
const BASE_KEY: &str = "/srv/base-key.asc";

/// A throw-away clone of the chroot that was made from the base alone.
#[derive(Debug)]
pub struct Chroot<'a> {
    input: &'a InstallInput<'a>,
    clone: ChrootClone,
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
        let clone = ChrootClone::new(input.root, &input.scratch.join("install"), User::Root)
            .map_err(|error| error.to_string())?;
        let repo = clone.writable_path("/etc/yum.repos.d/base.repo");
        let text = format!(
            "[base]\nname=base\nbaseurl=file://{BASE}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://{BASE_KEY}\n"
        );
        let write = || -> std::io::Result<()> {
            if let Some(folder) = repo.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&repo, text)
        };
        write().map_err(|error| format!("{}: {error}", repo.display()))?;
        Ok(Self { input, clone })
    }

    /// The chroot for the check `name`.
    pub fn at(&self, name: &str) -> Step<'_> {
        self.logging_to(self.log(name))
    }

    /// The chroot, with another log.
    pub fn logging_to(&self, log: PathBuf) -> Step<'_> {
        Step { chroot: self, log }
    }

    /// The log of the check `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.input.logs.join(format!("prove-{name}.log"))
    }
}

impl Step<'_> {
    /// The target.
    pub fn target(&self) -> &Target {
        self.chroot.input.target
    }

    /// The path inside of a file at the top of the repository's tree.
    pub fn dist_file(name: &str) -> String {
        format!("{DIST}/{name}")
    }

    /// How commands run in it.
    pub fn sandbox(&self) -> Sandbox<'_> {
        let input = self.chroot.input;
        Sandbox::new(&self.chroot.clone, User::Root, "server")
            .read_only(input.dist, DIST)
            .read_only(input.base, BASE)
            .read_only(input.base_key, BASE_KEY)
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
    /// signatures stay as the release package has them.
    pub fn dnf(&self, arguments: &[&str]) -> Result<(), String> {
        let location = Self::location();
        let mut line = vec![
            "--assumeyes",
            "--setopt=localpkg_gpgcheck=1",
            "--setopt=plugins=0",
            "--releasever=1",
            &location,
        ];
        line.extend(arguments);
        self.run("dnf", &line)
    }

    /// dnf's option that says where our repository is inside.
    pub fn location() -> String {
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

    /// The lines that a shell command prints, whether it succeeds or not.
    pub fn shell_lines(&self, script: &str) -> Result<Vec<String>, String> {
        let script = format!("{{ {script}; }} 2>&1 || exit 0");
        Ok(self
            .output("sh", &["-c", &script])?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// The release of the installed kernel of ours, as `uname -r` will say it.
    pub fn kernel_release(&self) -> Result<String, String> {
        let mut releases = self.rpm_lines(&[
            "-q",
            "--qf",
            "%{VERSION}-%{RELEASE}.%{ARCH}\\n",
            "kernel-core",
        ])?;
        // Kernels are installed beside each other; ours sorts above the distribution's, which is a check of its own.
        releases.retain(|release| {
            self.chroot
                .input
                .dist
                .join(format!(
                    "{}/Packages/kernel-core-{release}.rpm",
                    Kind::Binary.folder()
                ))
                .exists()
        });
        match releases.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err("no kernel of ours is installed".to_owned()),
            more => Err(format!(
                "more than one kernel of ours is installed: {}",
                more.join(", ")
            )),
        }
    }

    /// The names of our binary packages that are installed.
    pub fn ours_installed(&self) -> Result<Vec<String>, String> {
        let all = self.rpm_lines(&[
            "-qa",
            "--qf",
            "%{NAME} %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm\\n",
        ])?;
        let folder = self
            .chroot
            .input
            .dist
            .join(Kind::Binary.folder())
            .join("Packages");
        Ok(all
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, file)| folder.join(file).exists())
            .map(|(name, _)| name.to_owned())
            .collect())
    }
}
