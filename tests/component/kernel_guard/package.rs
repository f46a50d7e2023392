//! The package, and the scripts in it.

use std::fs;
use std::process::Command;

use lustre_repo_tests::command_line::project;
use lustre_repository::kernel_guard;

/// The output of a program that must succeed.
fn said(command: &mut Command) -> String {
    let done = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let text =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}\n{text}");
    text
}

#[test]
fn the_scripts_are_clean() {
    let folder = project().join("specs/kernel-guard");
    said(
        Command::new("shellcheck")
            .arg(folder.join("kernel-guard"))
            .arg(folder.join("99-lustre-repo-kernel-guard.install")),
    );
}

/// At boot there may be no folder for temporary files yet, and in a chroot no /dev/fd: bash needs the one for what it reads of a text of
/// its own, the other for what it reads of a command.
#[test]
fn the_guard_needs_neither_temporary_files_nor_dev_fd() {
    let text = fs::read_to_string(project().join("specs/kernel-guard/kernel-guard")).unwrap();
    for needs in ["<<", "<(", ">(", "mktemp", "/tmp"] {
        let lines = text.lines().filter(|line| line.contains(needs));
        assert_eq!(lines.collect::<Vec<_>>(), [] as [&str; 0], "{needs}");
    }
}

/// A target that others order themselves by is there only where a unit wants it.
#[test]
fn the_unit_asks_for_the_target_of_mounts_that_it_goes_before() {
    let path = "specs/kernel-guard/lustre-repo-kernel-guard.service";
    let text = fs::read_to_string(project().join(path)).unwrap();
    let values = |key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    let passive = "remote-fs-pre.target".to_owned();
    assert!(values("Before=").contains(&passive), "{text}");
    assert!(values("Wants=").contains(&passive), "{text}");
}

#[test]
fn the_plugin_never_fails_an_installation() {
    let plugin = project().join("specs/kernel-guard/99-lustre-repo-kernel-guard.install");
    for arguments in [
        &["add", "6.1", "/boot/x", "/lib/modules/6.1/vmlinuz"][..],
        &["remove", "6.1"],
        &["inspect"],
        &[],
    ] {
        // The guard itself is not there.
        said(Command::new(&plugin).args(arguments));
    }
}

#[test]
fn the_package_is_a_good_rpm_that_runs_after_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let built = kernel_guard::build(".el9", 1_704_067_200, None).unwrap();
    let path = dir.path().join(&built.file_name);
    fs::write(&path, &built.bytes).unwrap();
    let query = |arguments: &[&str]| {
        said(
            Command::new("rpm")
                .args(["-qp", "--nosignature", "--dbpath"])
                .arg(dir.path().join("db"))
                .args(arguments)
                .arg(&path),
        )
    };
    let files = query(&[
        "--qf",
        "[%{filenames} %{fileflags:fflags} %{filemodes:perms}\\n]",
    ]);
    for line in [
        "/etc/motd.d  drwxr-xr-x",
        "/etc/motd.d/lustre-repo-kernel-guard g -rw-r--r--",
        "/usr/lib/kernel/install.d/99-lustre-repo-kernel-guard.install  -rwxr-xr-x",
        "/usr/lib/systemd/system/lnet.service.d/50-lustre-repo-kernel-guard.conf  -rw-r--r--",
        "/usr/lib/systemd/system/multi-user.target.wants/lustre-repo-kernel-guard.service  lrwxrwxrwx",
        "/usr/libexec/lustre-repo/kernel-guard  -rwxr-xr-x",
        "/usr/share/doc/lustre-repo-kernel-guard/README.md d -rw-r--r--",
        "/var/lib/lustre-repo-kernel-guard/state g -rw-r--r--",
    ] {
        assert!(
            files.lines().any(|one| one == line),
            "no `{line}` in\n{files}"
        );
    }
    assert_eq!(query(&["--supplements"]), "kmod-lustre\n");
    let triggers = query(&["--filetriggers"]);
    for part in [
        "transfiletriggerin",
        "transfiletriggerpostun",
        "/lib/modules",
        "/usr/lib/modules",
    ] {
        assert!(triggers.contains(part), "no {part} in\n{triggers}");
    }
    // Before it goes; nothing in the transaction that it comes with.
    let scripts = query(&["--scripts"]);
    assert!(
        scripts.contains("preuninstall")
            && !scripts.contains("postinstall")
            && !scripts.contains("pretrans"),
        "{scripts}"
    );
    let lint = Command::new("rpmlint")
        .arg(&path)
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let lint = String::from_utf8_lossy(&lint.stdout).into_owned();
    // It is signed with all others.
    let errors: Vec<&str> = lint
        .lines()
        .filter(|line| line.contains(": E: ") && !line.ends_with("E: no-signature"))
        .collect();
    assert!(
        errors.is_empty() && lint.contains("1 packages and 0 specfiles checked"),
        "{lint}"
    );
}
