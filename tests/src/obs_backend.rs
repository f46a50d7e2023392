//! A real Open Build Service for tests: its source server, repository server, scheduler, dispatcher, publisher and warden, and one worker, in
//! a root of Debian's packages and in namespaces that see no network but their own loopback. It asks nobody for a password: that is done by
//! the web application in front of it, which is not here.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lustre_packaging::process;

use crate::debian;

pub mod system;

/// What the servers and the worker need.
const PACKAGES: [&str; 22] = [
    "obs-server",
    "obs-worker",
    "obs-build",
    "bash",
    "coreutils",
    "cpio",
    "createrepo-c",
    "curl",
    "dash",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "libc-bin",
    "login",
    "mount",
    "procps",
    "rpm",
    "sed",
    "util-linux",
];

/// Whom the servers run as, as their packages' scriptlets would make them: none is run.
const USERS: &str =
    "obsrun:x:900:900::/usr/lib/obs:/bin/false\nobsservicerun:x:901:900::/usr/lib/obs:/bin/false\n";
const GROUPS: &str = "obsrun:x:900:\n";

/// How long the servers may take until they answer, on a busy machine.
const START: Duration = Duration::from_secs(180);

/// How long they may take to end.
const END: Duration = Duration::from_secs(20);

/// The project that has the distribution.
#[derive(Debug)]
pub struct Base<'a> {
    /// Its name.
    pub project: &'a str,
    /// Its description: the server's `_meta`.
    pub meta: &'a str,
    /// Its project config.
    pub config: &'a str,
    /// A folder with its packages, one of a name.
    pub packages: &'a Path,
}

/// A backend, until it is dropped.
#[derive(Debug)]
pub struct Backend {
    /// `unshare`; whoever ends it ends all that runs below.
    namespaces: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Backend {
    /// Starts one whose worker builds for `x86_64`, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(base: &Base) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the worker makes device nodes in its build roots: only root can start it"
        );
        let root = debian::root(&PACKAGES, include_str!("obs_backend.rs"), &|root| {
            system::put_users(root, USERS, GROUPS)
        })
        .unwrap();

        let folder = tempfile::tempdir().unwrap();
        // The servers are users of their own.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let given = folder.path().join("in");
        fs::create_dir(&given).unwrap();
        for (name, text) in [
            ("BSConfig.pm", include_str!("obs_backend/BSConfig.pm")),
            ("relay.pl", include_str!("obs_backend/relay.pl")),
            ("servers.sh", include_str!("obs_backend/servers.sh")),
            ("base.xml", base.meta),
            ("base.conf", base.config),
        ] {
            fs::write(given.join(name), text).unwrap();
        }
        let full = folder
            .path()
            .join("obs/build")
            .join(base.project)
            .join("standard/x86_64/:full");
        fs::create_dir_all(&full).unwrap();
        put_packages(base.packages, &full);

        // It is open before anything runs, so nobody else can have its port.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = "mount --make-rprivate / && \
            mount --bind \"$1\" \"$1\" && \
            mount --bind \"$2\" \"$1/srv\" && \
            mount --bind \"$2/in/BSConfig.pm\" \"$1/etc/obs/BSConfig.pm\" && \
            mount -t proc proc \"$1/proc\" && mount --rbind /dev \"$1/dev\" && \
            for at in tmp run var/tmp var/cache; do mount -t tmpfs -o mode=1777 none \"$1/$at\" || exit; done && \
            mount -o remount,bind,ro \"$1\" && \
            exec chroot \"$1\" env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8 \
                bash /srv/in/servers.sh \"$3\" x86_64";
        let log = File::create(folder.path().join("start.log")).unwrap();
        let namespaces = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork"])
            .args(["--kill-child", "sh", "-c", script, "sh"])
            .args([&root, folder.path()])
            .arg(base.project)
            .stdin(Stdio::piped())
            .stdout(OwnedFd::from(listener))
            .stderr(log)
            .spawn()
            .unwrap();
        let mut backend = Self {
            namespaces,
            folder,
            port,
        };
        let clock = Instant::now();
        while !backend.folder.path().join("ready").exists() {
            let ended = backend.namespaces.try_wait().unwrap();
            assert!(
                ended.is_none() && clock.elapsed() < START,
                "the backend does not start: {ended:?}\n{}",
                backend.logs()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        backend
    }

    /// Where it answers, on the machine's loopback.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives it a text: `PROJECT/_meta`, `PROJECT/_config`, `PROJECT/PACKAGE/_meta`.
    ///
    /// # Panics
    /// When it does not take it.
    pub fn put(&self, path: &str, text: &str) {
        let file = self.folder.path().join("put");
        fs::write(&file, text).unwrap();
        let data = format!("@{}", file.display());
        let mut command = Command::new("curl");
        command
            .args(["--fail", "--silent", "--show-error", "--request", "PUT"])
            .args(["--data-binary", &data])
            .arg(format!("{}/source/{path}", self.url()));
        process::output(&mut command).unwrap();
    }

    /// What it answers to a question.
    ///
    /// # Panics
    /// When it does not.
    pub fn get(&self, path: &str) -> String {
        let mut command = Command::new("curl");
        command
            .args(["--fail", "--silent", "--show-error"])
            .arg(format!("{}/{path}", self.url()));
        String::from_utf8(process::output(&mut command).unwrap()).unwrap()
    }

    /// The process whose end is that of all its servers.
    pub fn process(&self) -> u32 {
        self.namespaces.id()
    }

    /// The end of what its servers said.
    pub fn logs(&self) -> String {
        const SHOWN: usize = 2000;
        let mut text = String::new();
        let logs = fs::read_dir(self.folder.path().join("obs/log"));
        let mut paths: Vec<PathBuf> = logs
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.insert(0, self.folder.path().join("start.log"));
        for path in paths {
            let log = fs::read(&path).unwrap_or_default();
            let end = String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]);
            let _ = write!(text, "{}:\n{end}\n", path.display());
        }
        text
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // The first process of the namespaces reads the end of its input, as it does where this process dies without coming here, and ends; the
        // kernel ends all others before that. One that is still starting does not read.
        drop(self.namespaces.stdin.take());
        let clock = Instant::now();
        while matches!(self.namespaces.try_wait(), Ok(None)) {
            if clock.elapsed() > END {
                let _ = self.namespaces.kill();
                let _ = self.namespaces.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Puts the packages at the names by which the scheduler finds them.
fn put_packages(from: &Path, full: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".rpm") {
            continue;
        }
        let name = name.rsplitn(3, '-').nth(2).unwrap();
        let to = full.join(format!("{name}.rpm"));
        assert!(!to.exists(), "two packages are called {name}");
        fs::copy(&path, &to).unwrap();
    }
}
