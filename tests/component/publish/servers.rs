//! Servers on loopback, each for as long as a test holds it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lustre_repo_tests::loopback::{Process, free_port};
use lustre_repo_tests::{debian, python};

use crate::world::succeed;

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

/// Makes the bucket, from which everybody may read, as sites have theirs.
const BUCKET: &str = r#"
import boto3, json
s3 = boto3.client("s3")
s3.create_bucket(Bucket="bucket")
s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}]}))
"#;

const MOTO: &str = include_str!("../../tools/moto.txt");

/// An S3 server with one bucket.
pub struct S3 {
    _process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

/// What it takes for a secret.
pub const SECRET: &str = "a-secret-of-the-tests-0123456789";

impl S3 {
    pub fn new() -> Self {
        let home = python::environment("moto", MOTO).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(home.join("bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(&mut command, port, &folder.path().join("log"));
        let server = Self {
            _process: process,
            folder,
            port,
        };
        let mut command = Command::new(home.join("bin/python"));
        let made = command
            .args(["-c", BUCKET])
            .envs(server.variables())
            .env_remove("AWS_CA_BUNDLE")
            .env("no_proxy", "*")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        server
    }

    /// The variables by which it is found.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("AWS_ACCESS_KEY_ID", "tester".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ]
    }

    /// rclone, to look from outside.
    pub fn rclone(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("rclone");
        command
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("RCLONE_S3_PROVIDER", "Other")
            .env("RCLONE_S3_ENV_AUTH", "true")
            .env("RCLONE_S3_ENDPOINT", &self.variables()[0].1)
            .envs(self.variables())
            // Of this machine's.
            .env_remove("AWS_CA_BUNDLE")
            .env("no_proxy", "*");
        command
    }

    /// A folder with what is at a path in the bucket.
    pub fn fetched(&self, path: &str) -> PathBuf {
        let to = self.folder.path().join("fetched");
        let _ = fs::remove_dir_all(&to);
        let from = format!(":s3:bucket/{path}");
        let done = self.rclone(&["copy", &from, to.to_str().unwrap()]).output();
        assert!(done.unwrap().status.success());
        to
    }

    /// A path on this machine, for what a test puts there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/bucket/{path}", self.port)
    }
}
