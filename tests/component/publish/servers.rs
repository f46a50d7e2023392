//! Servers on loopback, each for as long as a test holds it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lustre_repo_tests::debian;
use lustre_repo_tests::loopback::{Process, free_port};
pub use lustre_repo_tests::s3::{S3, SECRET};

use super::world::succeed;

/// rsync's daemon with one module.
pub struct Rsyncd {
    _process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

impl Rsyncd {
    /// With these further lines for the module.
    pub fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("module");
        fs::create_dir(&module).unwrap();
        let config = folder.path().join("rsyncd.conf");
        let who = match rustix::process::geteuid().is_root() {
            true => "uid = root\ngid = root\n",
            false => "",
        };
        let text = format!(
            "use chroot = no\n[m]\npath = {}\nread only = no\n{who}{more}\n",
            module.display()
        );
        fs::write(&config, text).unwrap();
        let port = free_port();
        let mut command = Command::new("rsync");
        command
            .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--config={}", config.display()));
        let process = Process::start(&mut command, port, &folder.path().join("log"));
        Self {
            _process: process,
            folder,
            port,
        }
    }

    /// The URL of a path in the module.
    pub fn url(&self, path: &str) -> String {
        format!("rsync://127.0.0.1:{}/m/{path}", self.port)
    }

    /// The same on the disk.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("module").join(path)
    }
}

/// The name that ssh's configuration has for the machine.
pub const HOST: &str = "web";

/// sshd of an ordinary user, with keys of its own.
pub struct Sshd {
    _process: Process,
    folder: tempfile::TempDir,
}

impl Sshd {
    /// As Debian has it. In a namespace of its own, it is nobody's server but a user's, also where root runs the tests: the user has a home and
    /// a shell there, and whatever it writes is of whoever runs the tests.
    pub fn new() -> Self {
        let root = debian::unpacked(&["openssh-server", "libwrap0"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["host", "user"] {
            succeed(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(at(name)),
            );
        }
        let port = free_port();
        let home = folder.path().display();
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        let files = [
            ("passwd", format!("tester:x:1000:1000::{home}:/bin/sh\n")),
            (
                "sshd_config",
                format!(
                    "ListenAddress 127.0.0.1\nPort {port}\nHostKey {home}/host\nPidFile none\nAuthorizedKeysFile {home}/user.pub\n\
                     StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                ),
            ),
            (
                "ssh_config",
                format!(
                    "Host {HOST}\nHostName 127.0.0.1\nPort {port}\nUser tester\nIdentityFile {home}/user\nIdentitiesOnly yes\n\
                     UserKnownHostsFile {home}/known_hosts\nBatchMode yes\n"
                ),
            ),
            ("known_hosts", format!("[127.0.0.1]:{port} {host_key}")),
        ];
        for (name, text) in files {
            fs::write(at(name), text).unwrap();
        }
        let mut command = Command::new("bwrap");
        command
            .args(["--unshare-user", "--uid", "1000", "--gid", "1000"])
            // All of it ends with the test.
            .args(["--die-with-parent", "--unshare-pid"])
            .args([
                "--bind",
                "/",
                "/",
                "--dev-bind",
                "/dev",
                "/dev",
                "--proc",
                "/proc",
            ])
            .arg("--ro-bind")
            .arg(at("passwd"))
            .arg("/etc/passwd")
            .arg(root.join("usr/sbin/sshd"))
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .env(
                "LD_LIBRARY_PATH",
                root.join("lib/x86_64-linux-gnu")
                    .into_os_string()
                    .into_string()
                    .unwrap()
                    + ":"
                    + root.join("usr/lib/x86_64-linux-gnu").to_str().unwrap(),
            );
        let process = Process::start(&mut command, port, &at("log"));
        Self {
            _process: process,
            folder,
        }
    }

    /// What rsync has to start to get there.
    pub fn shell(&self) -> String {
        format!("ssh -F {}/ssh_config", self.folder.path().display())
    }

    /// A path on this machine, which is that of the server too.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A folder that stands for an object store: rclone reaches it as any other.
pub struct Objects {
    folder: tempfile::TempDir,
}

impl Objects {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The place of this name.
    pub fn to(&self, name: &str) -> String {
        format!("rclone:disk:{}", self.path(name).display())
    }

    /// The same on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The variables by which rclone finds it.
    pub fn variables() -> [(&'static str, &'static str); 1] {
        [("RCLONE_CONFIG_DISK_TYPE", "local")]
    }
}
