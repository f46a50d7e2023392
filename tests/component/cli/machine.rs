//! Machines that lack what the work needs: programs, or the right to make chroots.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use lustre_packaging::host;
use lustre_repo_tests::command_line::{Home, Run, program, project, run};
use lustre_repo_tests::script;

/// A folder for PATH with the host tools that building needs, without `missing`, and with what installs packages here.
fn tools(folder: &Path, missing: &str) {
    fs::create_dir(folder).unwrap();
    let text = fs::read_to_string(project().join("specs/host-tools.toml")).unwrap();
    let programs = text
        .lines()
        .filter_map(|line| line.strip_prefix("program = \""))
        .filter_map(|line| line.strip_suffix('"'));
    for program in programs.chain(["apt-get", "true", "sh"]) {
        // A program stands in the list once more for a plugin.
        if program != missing
            && !folder.join(program).exists()
            && let Some(path) = host::find_program(program)
        {
            symlink(path, folder.join(program)).unwrap();
        }
    }
    assert!(!folder.join(missing).exists());
}

#[test]
fn a_missing_tool_is_an_error_with_the_line_that_installs_it() {
    for command in ["repo", "fetch", "build", "assemble", "verify"] {
        let home = Home::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("bin");
        tools(&path, "bwrap");
        let ran = run(home.command(&[command]).env("PATH", &path));
        assert_eq!(ran.code, 1, "{command}: {ran:?}");
        let line = ran
            .stderr
            .lines()
            .find(|line| line.contains("install") && line.contains("bubblewrap"));
        let line = line
            .unwrap_or_else(|| panic!("{command}: no line that installs it in: {}", ran.stderr));
        assert!(
            line.contains("apt-get install") || line.contains("dnf install"),
            "{line}"
        );
        assert!(
            ran.stderr.contains("bwrap") && ran.stderr.contains("--setup"),
            "{}",
            ran.stderr
        );
        // Of what is there, nothing is installed again.
        assert!(
            !line.contains("rpmlint") && !line.contains("curl"),
            "{line}"
        );
        assert!(home.is_untouched(), "{command}");
    }
}

/// Runs `repo` as an ordinary user on a machine where user namespaces cannot be had.
fn run_without_privileges(home: &Home) -> Run {
    let elsewhere = tempfile::tempdir().unwrap();
    let bin = elsewhere.path().join("bin");
    tools(&bin, "unshare");
    for (name, text) in [
        (
            "unshare",
            "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n",
        ),
        // Only looked for.
        ("newuidmap", "#!/bin/sh\nexit 1\n"),
    ] {
        let path = bin.join(name);
        if path.is_symlink() {
            fs::remove_file(&path).unwrap();
        }
        script::write(&path, text).unwrap();
    }
    fs::set_permissions(elsewhere.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let copy = elsewhere.path().join("xtask");
    script::copy(program(), &copy).unwrap();

    let is_root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    let mut command = if is_root {
        // The checkout may be where only root can read, /root for one. So that user sees a copy of what the tool reads, at the same path,
        // below folders that are open to all.
        let copy_of_project = elsewhere.path().join("project");
        fs::create_dir(&copy_of_project).unwrap();
        let copied = run(Command::new("cp")
            .args(["--recursive", "--no-preserve=mode"])
            .arg(project().join("specs"))
            .arg(&copy_of_project));
        assert_eq!(copied.code, 0, "{copied:?}");
        fs::set_permissions(&copy_of_project, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new("bwrap");
        command.args(["--bind", "/", "/", "--dev", "/dev"]);
        // The first folder on the way that this test's own folders are not below is hidden by an empty one.
        let way: Vec<&Path> = project().ancestors().collect();
        let hidden = way
            .iter()
            .rev()
            .position(|folder| !elsewhere.path().starts_with(folder))
            .unwrap();
        for (at, folder) in way.iter().rev().skip(hidden).enumerate() {
            let how = if at == 0 { "--tmpfs" } else { "--dir" };
            command.args(["--perms", "0755", how]).arg(folder);
        }
        command
            .arg("--ro-bind")
            .arg(&copy_of_project)
            .arg(project());
        command.args(["--chdir", "/", "--"]);
        command.args([
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ]);
        command
    } else {
        Command::new("env")
    };
    command
        .arg("env")
        .arg(format!("PATH={}", bin.display()))
        .arg(&copy)
        .arg("repo");
    home.prepare(&mut command);
    run(&mut command)
}

#[test]
fn neither_root_nor_user_namespaces_is_an_error_before_any_work() {
    let home = Home::new();
    let ran = run_without_privileges(&home);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in [
        "not root",
        "user namespace",
        "Operation not permitted",
        "run as root",
    ] {
        assert!(
            ran.stderr.contains(part),
            "`{part}` is not in: {}",
            ran.stderr
        );
    }
    assert_eq!(ran.stdout, "");
    assert!(home.is_untouched());
}

/// Enterprise Linux 10 is compiled for processors with AVX2: one without it is told of before anything is fetched.
#[test]
fn a_processor_that_the_distribution_does_not_run_on_is_an_error_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let cpuinfo = elsewhere.path().join("cpuinfo");
    let flags = |level: &str| {
        let text = format!(
            "processor\t: 0\nflags\t\t: fpu lm cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2 hypervisor{level}\n"
        );
        fs::write(&cpuinfo, text).unwrap();
    };
    let on_it = |home: &Home, command: &str, target: &str| {
        let mut there = Command::new("bwrap");
        there
            .args(["--dev-bind", "/", "/", "--ro-bind"])
            .arg(&cpuinfo)
            .args(["/proc/cpuinfo", "--unshare-net", "--"])
            .arg(program())
            .args([command, "--target", target])
            .args(["--mirror", "https://dl.rockylinux.org=/no/such/mirror"]);
        home.prepare(&mut there);
        run(&mut there)
    };
    flags("");
    for command in ["repo", "build", "assemble"] {
        let home = Home::new();
        let ran = on_it(&home, command, "rocky-10.0");
        assert_eq!(ran.code, 1, "{command}: {ran:?}");
        for part in ["`rocky-10.0`", "x86-64-v3", "avx, avx2", "host-passthrough"] {
            assert!(
                ran.stderr.contains(part),
                "{command}: `{part}`: {}",
                ran.stderr
            );
        }
    }
    // A lock is data: it may be made here, and is told where it is of no use.
    let home = Home::new();
    let ran = on_it(&home, "lock", "rocky-10.0");
    assert!(
        ran.stderr.contains("x86-64-v3") && ran.stderr.contains("cannot fetch"),
        "{ran:?}"
    );
    // With all of it, and for a release that asks for less, it is the network that is missed.
    let with = [
        (" avx avx2 bmi1 bmi2 f16c fma abm movbe xsave", "rocky-10.0"),
        ("", "rocky-9.6"),
    ];
    for (level, target) in with {
        flags(level);
        let ran = on_it(&Home::new(), "lock", target);
        assert!(
            ran.code == 1 && !ran.stderr.contains("x86-64-v3"),
            "{target}: {ran:?}"
        );
    }
}
