//! The tool as its users run it: the program `xtask`, in a home of its own, with both outputs caught.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::python;

/// The project's folder.
pub fn project() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The variable by which cargo tells the tool which checkout it is of.
pub const CARGO_SAYS: &str = "CARGO_MANIFEST_DIR";

/// What is in it where it is `cargo xtask` of this checkout.
pub fn of_checkout() -> PathBuf {
    project().join("xtask")
}

/// The program, built from the current code, as `cargo xtask` has it built.
///
/// # Panics
/// When it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build().unwrap_or_else(|error| panic!("{error:#}")))
}

fn build() -> Result<PathBuf> {
    let _alone = alone();
    // It is in another package, so cargo does not hand its path to this one.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "xtask",
            "--no-default-features",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(project())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(built.status.success(), "xtask cannot be built");
    let executable = String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "lustre-repo")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo did not say where it put xtask")?;
    // A link of its own: cargo puts the program with other features, which is installed by a test, at the same place.
    let inode = fs::metadata(&executable)?.ino();
    let tools = python::tools()?;
    forget_old_programs(&tools)?;
    let program = tools.join(format!("lustre-repo-{inode}"));
    if !program.exists() {
        fs::hard_link(&executable, &program)?;
    }
    Ok(program)
}

/// Removes the links to programs that cargo has replaced, once no run of the tests can be left that uses them.
fn forget_old_programs(tools: &Path) -> Result<()> {
    const LONGEST_RUN: Duration = Duration::from_secs(4 * 60 * 60);
    for entry in fs::read_dir(tools)? {
        let entry = entry?;
        let is_program = entry
            .file_name()
            .to_string_lossy()
            .starts_with("lustre-repo-");
        let metadata = entry.metadata()?;
        let age = metadata.modified()?.elapsed().unwrap_or_default();
        if is_program && metadata.nlink() == 1 && age > LONGEST_RUN {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Held while cargo puts the program into the target folder, where each set of features replaces the other.
///
/// # Panics
/// When there is no such folder.
pub fn alone() -> File {
    let lock = || -> Result<File> {
        let lock = File::create(python::tools()?.join("program.lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    };
    lock().unwrap_or_else(|error| panic!("the target folder cannot be locked: {error:#}"))
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A user with an empty home, and a store that does not exist yet.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A new one.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    pub fn new() -> Self {
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self { folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The store that runs use.
    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Whether nothing has been put here: no store, no key.
    ///
    /// # Panics
    /// When the folder cannot be read.
    pub fn is_untouched(&self) -> bool {
        let entries = std::fs::read_dir(self.path());
        entries
            .unwrap_or_else(|error| panic!("{error}"))
            .next()
            .is_none()
    }

    /// The tool with `arguments`, about to run: of the environment it has the path, this home and its store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Gives `command` this home, this checkout, and no other environment but the path and where temporary files go.
    ///
    /// # Panics
    /// Where this checkout has a site's defaults: every test would be of that site.
    pub fn prepare(&self, command: &mut Command) {
        let defaults = project().join("lustre-repo.toml");
        assert!(
            !defaults.exists(),
            "{} has this site's defaults, which the tests are not about; test in a clone without it",
            defaults.display()
        );
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(CARGO_SAYS, of_checkout())
            .env("HOME", self.path())
            .env("TMPDIR", std::env::temp_dir())
            .env("LUSTRE_REPO_STORE", self.store())
            // A terminal that could show colours, were there one.
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null());
    }

    /// Runs the tool where `from` is mounted at `at`, in a mount namespace of its own, so that nothing stays mounted here whatever happens.
    /// Standard output ends with `at` where it was mounted there still when the tool had ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_with_mount(&self, from: &Path, at: &Path, arguments: &[&str]) -> Run {
        let script = "mount --bind \"$1\" \"$2\" || exit 99; at=$2; shift 2; \"$@\"; code=$?; findmnt -no TARGET \"$at\"; exit $code";
        let mut command = namespaces(&["--mount"]);
        command.args(["sh", "-c", script, "sh"]).args([from, at]);
        command.arg(program()).args(arguments);
        self.prepare(&mut command);
        run(&mut command)
    }

    /// Runs the tool where nobody can write to `folder`, in a mount namespace of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_read_only(&self, folder: &Path, arguments: &[&str]) -> Run {
        let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 99; \
            ! touch \"$1/written\" 2>/dev/null || exit 98; shift; exec \"$@\"";
        let mut command = namespaces(&["--mount"]);
        command.args(["sh", "-c", script, "sh"]).arg(folder);
        command.arg(program()).args(arguments);
        self.prepare(&mut command);
        run(&mut command)
    }

    /// Runs the tool.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }
}

/// `unshare` with the namespaces `kinds`, and a user namespace where that is needed for it.
pub fn namespaces(kinds: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(kinds);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

/// Runs `command` to its end, with a standard output that takes nothing.
///
/// # Panics
/// When it cannot be started, or a signal ends it.
pub fn run_to_full(command: &mut Command) -> Run {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let full = full.unwrap_or_else(|error| panic!("/dev/full: {error}"));
    let child = command.stdout(full).stderr(Stdio::piped()).spawn();
    let done = child.and_then(std::process::Child::wait_with_output);
    ended(command, done)
}

/// Runs `command` to its end.
///
/// # Panics
/// When it cannot be started, or a signal ends it.
pub fn run(command: &mut Command) -> Run {
    let done = command.output();
    ended(command, done)
}

fn ended(command: &Command, done: std::io::Result<std::process::Output>) -> Run {
    let done = done.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let code = done.status.code();
    Run {
        code: code.unwrap_or_else(|| panic!("{command:?} ended by a signal: {}", done.status)),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}
