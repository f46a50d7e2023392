//! Getting out of every kind of sandbox, in every way of `escape.c`: none works.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lustre_packaging::process;
use lustre_packaging::sandbox::{self, ChrootClone, Ids, Sandbox, User};
use lustre_repo_tests::script;

use super::chroot;

/// What is not available inside, and the program that tries to have it.
struct Host {
    dir: tempfile::TempDir,
    process: Child,
    port: u16,
    abstract_name: String,
    _listeners: (TcpListener, UnixListener, UnixListener),
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Whoever gets here is not stopped by the modes of the folders.
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["secret", "shown"] {
            fs::write(dir.path().join(name), "text").unwrap();
            fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o644)).unwrap();
        }
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let abstract_name = format!("sandbox-test-{}", tcp.local_addr().unwrap().port());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let named = UnixListener::bind(dir.path().join("agent")).unwrap();
        fs::set_permissions(dir.path().join("agent"), PermissionsExt::from_mode(0o777)).unwrap();
        let source = dir.path().join("escape.c");
        fs::write(&source, include_str!("escape.c")).unwrap();
        let made = Command::new("gcc")
            .args(["-static", "-O1", "-Wall", "-Werror", "-o"])
            .arg(dir.path().join("escape"))
            .arg(source)
            .status()
            .unwrap();
        assert!(made.success(), "the program that tries cannot be made");
        Self {
            process: Command::new("sleep").arg("600").spawn().unwrap(),
            port: tcp.local_addr().unwrap().port(),
            abstract_name,
            _listeners: (tcp, UnixListener::bind_addr(&address).unwrap(), named),
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the program in `sandbox`, and gives the lines of the attempts that did not fail as they should.
    fn attempts(&mut self, sandbox: &Sandbox<'_>) -> Vec<String> {
        // Cargo's, in the environment of this process.
        let token = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let secret = self.path("secret");
        let agent = self.path("agent");
        let mut command = sandbox
            .clone()
            .read_only(&self.path("escape"), "/tmp/escape")
            .read_only(&self.path("shown"), "/tmp/shown")
            .command(
                "/tmp/escape",
                &[
                    secret.to_str().unwrap(),
                    agent.to_str().unwrap(),
                    &self.abstract_name,
                    &self.port.to_string(),
                    &self.process.id().to_string(),
                    &token,
                    "/tmp/shown",
                ],
            );
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        assert!(said.lines().count() >= 30, "{said}");
        assert!(
            self.process.try_wait().unwrap().is_none(),
            "a process of the host was ended"
        );
        assert_eq!(fs::read_to_string(self.path("shown")).unwrap(), "text");
        said.lines()
            .filter(|line| !line.contains(" refused"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where there are no user namespaces, only the other kind can be looked at.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn own_ids() -> Option<Ids> {
    match Ids::for_new_chroots().unwrap() {
        Ids::Host => {
            eprintln!("skipped: no user namespace with ids of its own can be had here");
            None
        }
        own => Some(own),
    }
}

#[test]
fn nothing_gets_out_of_a_chroot() {
    let mut host = Host::new();
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let set_user_id = root.join("usr/bin/set-user-id");
    fs::copy(host.path("escape"), &set_user_id).unwrap();
    let kinds = own_ids().into_iter().chain([Ids::Host]);
    for (number, ids) in kinds.enumerate() {
        ids.give(&root, 0).unwrap();
        fs::set_permissions(&set_user_id, PermissionsExt::from_mode(0o4755)).unwrap();
        for user in [User::Root, User::BareRoot, User::Builder] {
            let folder = dir.path().join(format!("{number}-{user:?}"));
            let clone = ChrootClone::new(&root, &folder, user).unwrap();
            let out = host.attempts(&Sandbox::new(&clone, user, "x"));
            assert!(out.is_empty(), "{user:?}, {:?}: {out:?}", clone.ids());
        }
    }
}

#[test]
fn nothing_gets_out_of_a_view_of_the_hosts_programs() {
    let mut host = Host::new();
    for ids in own_ids().into_iter().chain([Ids::Host]) {
        for user in [User::Root, User::BareRoot] {
            let sandbox = Sandbox::with_host_programs(ids, user, "x").unwrap();
            let out = host.attempts(&sandbox);
            assert!(out.is_empty(), "{user:?}, {ids:?}: {out:?}");
            for script in [
                "echo x >/usr/bin/escaped",
                "echo x >>/etc/ld.so.cache",
                "ls /home",
                "ls /root",
                "ls /run",
                "cat /etc/shadow",
                "ls /sys",
            ] {
                let mut command = sandbox.command("sh", &["-c", script]);
                assert!(
                    process::output(&mut command).is_err(),
                    "{user:?}, {ids:?}: {script}"
                );
            }
            let users = sandbox.command("sh", &["-c", "cat /etc/passwd"]).output();
            let users = String::from_utf8(users.unwrap().stdout).unwrap();
            assert_eq!(users.lines().count(), 1, "{users}");
        }
    }
    assert!(!Path::new("/usr/bin/escaped").exists());
}

#[test]
fn a_program_that_looks_at_somebodys_files_gets_at_nothing_else() {
    let mut host = Host::new();
    let dir = tempfile::tempdir().unwrap();
    let [files, home] = ["files", "home"].map(|name| dir.path().join(name));
    for folder in [&files, &home] {
        fs::create_dir(folder).unwrap();
    }
    let file = files.join("file");
    fs::write(&file, "text").unwrap();
    // What is for its owner alone is looked at by him.
    for (folder, mode) in [(0o755, 0o644), (0o700, 0o600)] {
        fs::set_permissions(&files, PermissionsExt::from_mode(folder)).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let out = host.attempts(&sandbox::reading(&files, "/files").unwrap());
        assert!(out.is_empty(), "{mode:o}: {out:?}");
        let run = |script: &str| {
            process::output(&mut sandbox::looking("sh", &["-c", script], &files, &home).unwrap())
        };
        assert_eq!(run("cat /files/file").unwrap(), b"text", "{mode:o}");
        run("echo $HOME >$HOME/made; mkdir $HOME/folder").unwrap();
        assert_eq!(fs::read_to_string(home.join("made")).unwrap(), "/home\n");
        let status = String::from_utf8(run("cat /proc/self/status").unwrap()).unwrap();
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        for script in [
            "echo x >/files/file",
            "rm /files/file",
            "touch /files/new",
            "ls /root",
        ] {
            assert!(run(script).is_err(), "{mode:o}: {script}");
        }
        fs::remove_dir_all(&home).unwrap();
        fs::create_dir(&home).unwrap();
    }
}

#[test]
fn what_runs_inside_has_few_capabilities_and_ids_of_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let shared = dir.path().join("shared");
    let kinds = own_ids().into_iter().chain([Ids::Host]);
    for (number, ids) in kinds.enumerate() {
        ids.give(&root, 0).unwrap();
        for (user, expected) in [
            // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SYS_CHROOT, SETFCAP
            (User::Root, "00000000800400db"),
            (User::BareRoot, "0000000000000000"),
            (User::Builder, "0000000000000000"),
        ] {
            let folder = dir.path().join(format!("{number}-{user:?}"));
            let clone = ChrootClone::new(&root, &folder, user).unwrap();
            let _ = fs::remove_dir_all(&shared);
            fs::create_dir(&shared).unwrap();
            let sandbox = Sandbox::new(&clone, user, "x").writable(&shared, "/tmp/shared");
            sandbox.give(&shared).unwrap();
            let mut command = sandbox.command(
                "sh",
                &["-c", "echo x >/tmp/shared/made; cat /proc/self/status"],
            );
            let status = String::from_utf8(process::output(&mut command).unwrap()).unwrap();
            for set in ["CapPrm", "CapEff", "CapAmb"] {
                let line = status.lines().find(|line| line.starts_with(set)).unwrap();
                let set = line.split_whitespace().nth(1).unwrap();
                let few = match user {
                    User::Root => u64::from_str_radix(set, 16).unwrap() & !0x8004_00db == 0,
                    _ => set == expected,
                };
                assert!(few, "{user:?}, {ids:?}: {line}");
            }
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            assert!(status.contains("Seccomp:\t2"), "{status}");
            let owner = fs::metadata(shared.join("made")).unwrap().uid();
            if ids != Ids::Host || (user == User::Builder && own_ids().is_some()) {
                // Neither ours nor that of any user of the host.
                let named = Command::new("getent")
                    .args(["passwd", &owner.to_string()])
                    .output();
                let named = named.unwrap().stdout;
                assert!(named.is_empty() || owner == 1, "{user:?}, {ids:?}: {owner}");
                assert_ne!(owner, rustix::process::geteuid().as_raw());
            }
        }
    }
}

#[test]
fn files_that_are_put_into_a_clone_follow_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "as it was").unwrap();
    std::os::unix::fs::symlink(&outside, root.join("etc/dnf")).unwrap();
    std::os::unix::fs::symlink(outside.join("file"), root.join("etc/conf")).unwrap();
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Root).unwrap();
    let _ = clone.write("/etc/dnf/build.conf", "x");
    let _ = clone.write("/etc/conf", "x");
    let _ = clone.make_folder("/etc/dnf/folder");
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert_eq!(
        fs::read_to_string(outside.join("file")).unwrap(),
        "as it was"
    );
}

#[test]
fn paths_may_have_any_letter() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a:b,c d\\e'f\"%#?");
    fs::create_dir(&odd).unwrap();
    let root = chroot(&odd);
    let shown = odd.join("sh,own:1");
    fs::write(&shown, "shown\n").unwrap();
    let clone = ChrootClone::new(&root, &odd.join("clo:ne,1"), User::Builder).unwrap();
    let sandbox = Sandbox::new(&clone, User::Builder, "x").read_only(&shown, "/tmp/shown");
    let mut command = sandbox.command("sh", &["-c", "cat /tmp/shown /etc/known"]);
    let said = String::from_utf8(process::output(&mut command).unwrap()).unwrap();
    assert_eq!(said, "shown\nas it was\n");
    // An overlay: nothing is copied.
    let copied = fs::read_dir(odd.join("clo:ne,1/root")).unwrap();
    assert_eq!(copied.count(), 0);
}

#[test]
fn what_is_for_its_owner_alone_can_be_shown_as_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("file"), "text").unwrap();
    let readable = || lustre_packaging::sandbox::readable(&closed, &dir.path().join("copy"));
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(closed.join("file"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(readable().unwrap(), closed);
    fs::set_permissions(closed.join("file"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    let copy = readable().unwrap();
    assert_eq!(copy, dir.path().join("copy"));
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Builder).unwrap();
    let sandbox = Sandbox::new(&clone, User::Builder, "x").read_only(&copy, "/tmp/shown");
    let said = process::output(&mut sandbox.command("cat", &["/tmp/shown/file"])).unwrap();
    assert_eq!(said, b"text");
}

/// A user namespace as an ordinary user has one: root is somebody, and there is a range of ids besides. Ends when dropped.
struct Ordinary(Child);

impl Ordinary {
    /// The user's id on the host.
    const ID: u32 = 54_321;

    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "--", "sh", "-c", "echo && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        for map in ["uid_map", "gid_map"] {
            let text = format!("0 {} 1\n1 200000 65536\n", Self::ID);
            fs::write(format!("/proc/{}/{map}", child.id()), text).unwrap();
        }
        Self(child)
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_same_holds_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        // Then all of these tests are about one.
        return;
    }
    let user = Ordinary::new();
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // The checkout may be where only root can go.
    let program = home.path().join("tests");
    script::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::os::unix::fs::chown(home.path(), Some(Ordinary::ID), Some(Ordinary::ID)).unwrap();
    let done = Command::new("nsenter")
        .arg(format!("--user=/proc/{}/ns/user", user.0.id()))
        .args(["--setuid", "0", "--setgid", "0", "--"])
        .args(["unshare", "--mount", "--propagation", "private", "--"])
        .arg(&program)
        .args(["sandbox::escape::", "--skip", "ordinary"])
        .env("TMPDIR", home.path())
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{errors}");
    assert!(
        said.contains("test sandbox::escape::nothing_gets_out_of_a_chroot ... ok"),
        "{said}"
    );
}
