//! The server of the checks `upgrade` and `undo`: a chroot of its own, in which the release before is installed.

use lustre_packaging::process;
use lustre_repository::history::History;
use lustre_repository::program_output::ProgramOutput;
use lustre_repository::proof::Check;
use lustre_repository::repo_file::KEY_FILE;
use lustre_repository::upgrade::{CHECKS, Pair, Server, UPGRADE, checks};

use super::boot_loader;
use super::chroot::{Chroot, Step};
use super::guard;
use super::input::{InstallInput, log_of};

/// What its clone of the install root is called.
const CLONE: &str = "upgrade";

/// All files below a folder, with nothing but the shell.
const FILES: &str = r#"
below() {
    for path in "$1"/* "$1"/.[!.]*; do
        if [ -d "$path" ] && [ ! -L "$path" ]; then below "$path"
        elif [ -e "$path" ] || [ -L "$path" ]; then printf '%s\n' "$path"
        fi
    done
}
if [ -d "$1" ]; then below "$1"; fi
"#;

/// The checks, where the repository has the packages of a release before.
pub(super) fn upgrade_checks(input: &InstallInput<'_>) -> Vec<Check> {
    let history = match History::read(input.dist) {
        Ok(history) => history,
        Err(error) => return not_run(&error.to_string()),
    };
    match Pair::of(history.as_ref()) {
        Ok(pair) => on_server(input, pair).unwrap_or_else(|why| not_run(&why)),
        Err(why) => CHECKS.map(|name| Check::not_needed(name, &why)).to_vec(),
    }
}

/// Both of them, not made.
pub(super) fn not_run(why: &str) -> Vec<Check> {
    CHECKS.map(|name| Check::not_run(name, why)).to_vec()
}

fn on_server(input: &InstallInput<'_>, pair: Pair<'_>) -> Result<Vec<Check>, String> {
    let log = log_of(input, UPGRADE);
    process::begin_log(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let chroot = Chroot::named(input, CLONE)
        .map_err(|why| format!("cannot create the chroot of a server to upgrade: {why}"))?;
    let step = chroot.logging_to(log.clone());
    let server = OnServer::new(&step)?;
    let made = checks(pair, &server, &step.target().install.packages, input.logs);
    let with_log = |check: Check| Check {
        log: check.log.or_else(|| log.exists().then(|| log.clone())),
        ..check
    };
    Ok(made.into_iter().map(with_log).collect())
}

/// A server in a chroot, which trusts our key.
pub struct OnServer<'a> {
    step: &'a Step<'a>,
    /// dnf's options that leave out what is only there to be installed beside the kernel of our modules.
    left_out: Vec<String>,
}

impl<'a> OnServer<'a> {
    /// That of `step`.
    pub fn new(step: &'a Step<'a>) -> Result<Self, String> {
        step.run("rpm", &["--import", &Step::dist_file(KEY_FILE)])?;
        let later = guard::of_later_kernels(step)?.into_iter();
        Ok(Self {
            step,
            left_out: later.map(|nevra| format!("--exclude={nevra}")).collect(),
        })
    }
}

impl Server for OnServer<'_> {
    fn dnf(&self, arguments: &[&str]) -> Result<String, String> {
        let mut line: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
        line.extend(arguments);
        self.step.dnf_output(&line)
    }

    fn rpm(&self, arguments: &[&str]) -> Result<ProgramOutput, String> {
        self.step.try_program("rpm", arguments)
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, String> {
        let said = self.step.output("sh", &["-euc", FILES, "sh", folder])?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    fn boots(&self) -> Result<Option<String>, String> {
        let entry = boot_loader::default(self.step)?;
        Ok(entry.map(|entry| boot_loader::release(&entry).to_owned()))
    }

    fn place(&self, path: &str) -> String {
        Step::dist_file(path)
    }
}
