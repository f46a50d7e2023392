//! The program `lustre-repo`, as `cargo install` puts it somewhere: it works in any folder, for any user, without a checkout.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::{CARGO_SAYS, Home, Run, alone, project, run};
use tempfile::TempDir;

/// A place for an ordinary user: the program, a home, and a folder to work in.
struct Place {
    folder: TempDir,
    home: Home,
}

/// Nobody in particular, where the tests run as root.
const USER: u32 = 65534;

impl Place {
    /// Installs the program, by the code and the target folder that the tests are built with.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let alone = alone();
        let installed = Command::new(cargo)
            .args([
                "install",
                "--quiet",
                "--debug",
                "--locked",
                "--offline",
                "--path",
            ])
            .arg(project().join("xtask"))
            .arg("--root")
            .arg(folder.path())
            .arg("--target-dir")
            .arg(target_folder())
            // What it does before the work, and says of a PATH, is no matter of ours.
            .env_remove(CARGO_SAYS)
            .status()
            .unwrap();
        drop(alone);
        assert!(installed.success());
        let programs = fs::read_dir(folder.path().join("bin")).unwrap();
        let programs: Vec<_> = programs.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(programs, ["lustre-repo"]);
        let place = Self {
            folder,
            home: Home::new(),
        };
        fs::create_dir(place.work()).unwrap();
        for path in [place.folder.path(), &place.work(), place.home.path()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            if rustix::process::geteuid().is_root() {
                chown(path, Some(USER), Some(USER)).unwrap();
            }
        }
        place
    }

    /// The folder to work in.
    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The data folder of the user.
    fn specs(&self) -> PathBuf {
        let parent = self.home.path().join(".local/share/lustre-repo/specs");
        let entry = fs::read_dir(parent).unwrap().next().unwrap();
        entry.unwrap().path()
    }

    fn command(&self, line: &[&str]) -> Command {
        let program = self.folder.path().join("bin/lustre-repo");
        let mut command = if rustix::process::geteuid().is_root() {
            let id = USER.to_string();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(line);
        self.home.prepare(&mut command);
        // Everybody may write in /tmp; the folder that the tests have for theirs is root's.
        command.env("TMPDIR", self.home.path());
        command.env_remove(CARGO_SAYS).current_dir(self.work());
        command
    }

    fn run(&self, line: &[&str]) -> Run {
        run(&mut self.command(line))
    }
}

/// The target folder that this test was built in.
fn target_folder() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    // TARGET/debug/deps/NAME
    here.ancestors().nth(3).unwrap().to_owned()
}

/// Every file below a folder with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(folder).unwrap();
        if entry.file_type().is_file() && !name.starts_with("locks") {
            files.push((name.to_owned(), fs::read(entry.path()).unwrap()));
        }
    }
    files
}

#[test]
fn an_installed_program_works_in_an_empty_folder_for_an_ordinary_user() {
    let place = Place::new();
    let home = Home::new();

    // It has the same targets, and what stages have for their keys: the same specs, and the same code.
    let targets = place.run(&["targets", "--json"]);
    assert_eq!(targets.code, 0, "{targets:?}");
    assert_eq!(targets.stdout, home.run(&["targets", "--json"]).stdout);
    assert_eq!(files(&place.specs()), files(&project().join("specs")));
    assert_eq!(
        place.run(&["--version"]).stdout.lines().last(),
        home.run(&["--version"]).stdout.lines().last()
    );

    // It works in the folder that it is started in, and says what it is called.
    let plan = place.run(&["plan", "--target", "rocky-9.6"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let lock = place.work().join("locks/rocky-9.6.toml");
    let said = format!("{}{}", plan.stdout, plan.stderr);
    assert!(said.contains(&lock.display().to_string()), "{said}");
    let locking = place.run(&["lock", "--offline", "--target", "rehearsal"]);
    assert_eq!(locking.code, 1, "{locking:?}");
    for part in [
        "work/locks/rehearsal.toml",
        "`lustre-repo lock --target rehearsal`",
    ] {
        assert!(locking.stderr.contains(part), "{part}: {locking:?}");
    }
    let verify = place.run(&["verify", "--static"]);
    let dist = place.work().join("dist/rehearsal");
    assert!(
        verify.stderr.contains(&dist.display().to_string()),
        "{verify:?}"
    );
    for line in [&["--help"][..], &["repo", "--help"], &["plan", "-h"]] {
        let help = place.run(line);
        assert_eq!(help.code, 0, "{help:?}");
        assert!(
            help.stdout.contains("lustre-repo repo") || help.stdout.contains("lustre-repo plan"),
            "{help:?}"
        );
        assert!(!help.stdout.contains("cargo xtask"), "{help:?}");
    }
    let test = place.run(&["test"]);
    assert_eq!(test.code, 2, "{test:?}");
    assert!(test.stderr.contains("in a checkout"), "{test:?}");
    assert_eq!(fs::read_dir(place.work()).unwrap().count(), 0);

    // The folder's defaults count, unless they are somebody else's.
    let defaults = place.work().join("lustre-repo.toml");
    fs::write(&defaults, "target = 'rocky-9.7'\n").unwrap();
    let planned = place.run(&["plan"]);
    assert!(
        planned.stdout.contains("rocky-9.7.toml") || planned.stderr.contains("rocky-9.7.toml"),
        "{planned:?}"
    );
    if rustix::process::geteuid().is_root() {
        chown(&defaults, Some(4242), None).unwrap();
        let refused = place.run(&["plan"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains("another user (id 4242)"),
            "{refused:?}"
        );
    }
    fs::remove_file(defaults).unwrap();

    // Specs of one's own, by all three ways to name them; their locks are with them.
    let own = place.home.path().join("own");
    let copied = run(Command::new("cp").arg("-r").arg(place.specs()).arg(&own));
    assert_eq!(copied.code, 0, "{copied:?}");
    fs::rename(
        own.join("targets/rocky-9.6.toml"),
        own.join("targets/site-9.6.toml"),
    )
    .unwrap();
    let by_line = place.run(&[
        "plan",
        "--target",
        "site-9.6",
        "--specs",
        own.to_str().unwrap(),
    ]);
    let by_variable = run(place
        .command(&["plan", "--target", "site-9.6"])
        .env("LUSTRE_REPO_SPECS", &own));
    fs::write(
        place.work().join("lustre-repo.toml"),
        format!("specs = {:?}\n", own.to_str().unwrap()),
    )
    .unwrap();
    let by_file = place.run(&["plan", "--target", "site-9.6"]);
    for ran in [by_line, by_variable, by_file] {
        assert_eq!(ran.code, 0, "{ran:?}");
        let lock = own.join("locks/site-9.6.toml").display().to_string();
        assert!(
            format!("{}{}", ran.stdout, ran.stderr).contains(&lock),
            "{ran:?}"
        );
    }
    fs::remove_file(place.work().join("lustre-repo.toml")).unwrap();
    let none = place.run(&["plan", "--specs", "/usr"]);
    assert_eq!(none.code, 2, "{none:?}");
    assert!(
        none.stderr.contains("/usr has no folder `targets`"),
        "{none:?}"
    );

    // What it put there is what it reads, or nothing is done.
    let changed = place.specs().join("targets/rocky-9.6.toml");
    fs::write(&changed, "inherits = 'rocky-9.7'\n").unwrap();
    let refused = place.run(&["targets"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in [&*changed.display().to_string(), "--specs"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
}
