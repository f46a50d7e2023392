//! Running a command inside a chroot: bubblewrap, no network, a fixed host name, locale and environment.
//!
//! A [`ChrootClone`] is a throw-away copy of a chroot, made in well under a second; a [`Sandbox`] runs commands in it. The mounts of a
//! clone live in the private mount namespace of the command itself, so they are gone when it ends, however it ends; and
//! bubblewrap ends everything inside when its parent dies.

mod chroot;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use chroot::{ChrootClone, CloneMethod, Error};

/// The unprivileged user that builds; the chroot needs no entry for it.
pub const BUILDER_ID: u32 = 1000;

/// The builder's home: a fixed path, because paths end up in packages.
pub const BUILDER_HOME: &str = "/builddir";

/// Who runs inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Root of the chroot: for dnf, which sets owners and runs scriptlets.
    Root,
    /// The builder, without any capability.
    Builder,
}

/// A folder of the host seen inside.
#[derive(Debug, Clone)]
struct Bind {
    host: PathBuf,
    inside: String,
    writable: bool,
}

/// How commands run in a clone of a chroot.
#[derive(Debug, Clone)]
pub struct Sandbox<'a> {
    clone: &'a ChrootClone,
    user: User,
    hostname: String,
    directory: String,
    binds: Vec<Bind>,
    environment: Vec<(String, String)>,
    itself: Option<String>,
}

impl<'a> Sandbox<'a> {
    /// A sandbox in `clone`, run by `user`, on a machine called `hostname`.
    pub fn new(clone: &'a ChrootClone, user: User, hostname: &str) -> Self {
        Self {
            clone,
            user,
            hostname: hostname.to_owned(),
            directory: "/".to_owned(),
            binds: Vec::new(),
            environment: Vec::new(),
            itself: None,
        }
    }

    /// Shows the host's `host` at `inside`, read only.
    #[must_use]
    pub fn read_only(mut self, host: &Path, inside: &str) -> Self {
        self.binds.push(Bind {
            host: host.to_owned(),
            inside: inside.to_owned(),
            writable: false,
        });
        self
    }

    /// Shows the host's `host` at `inside`, writable.
    #[must_use]
    pub fn writable(mut self, host: &Path, inside: &str) -> Self {
        self.binds.push(Bind {
            host: host.to_owned(),
            inside: inside.to_owned(),
            writable: true,
        });
        self
    }

    /// Shows the chroot itself at `inside`, read only: as it is on the disk, without what is mounted in it here.
    #[must_use]
    pub fn itself(mut self, inside: &str) -> Self {
        self.itself = Some(inside.to_owned());
        self
    }

    /// Sets an environment variable inside. Nothing of the host's environment gets in.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The working directory inside.
    #[must_use]
    pub fn directory(mut self, directory: &str) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }

    /// The command that runs `program` with `arguments` inside; the caller decides where its output goes.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let (mut command, root) = self.clone.enter();
        command.args(self.bubblewrap(&root));
        if self.user == User::Builder {
            let id = BUILDER_ID.to_string();
            command.args(["setpriv", "--reuid", &id, "--regid", &id]);
            command.args(["--clear-groups", "--inh-caps=-all", "--"]);
        }
        command.arg(program).args(arguments);
        command
    }

    fn bubblewrap(&self, root: &Path) -> Vec<OsString> {
        let mut line: Vec<OsString> = Vec::new();
        let mut push = |items: &[&str]| line.extend(items.iter().map(OsString::from));
        push(&["bwrap", "--die-with-parent", "--new-session"]);
        push(&[
            "--unshare-net",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
        ]);
        push(&["--hostname", &self.hostname, "--clearenv"]);
        if self.user == User::Builder {
            push(&[
                "--cap-drop",
                "ALL",
                "--cap-add",
                "CAP_SETUID",
                "--cap-add",
                "CAP_SETGID",
            ]);
        }
        let (home, name) = match self.user {
            User::Root => ("/root", "root"),
            User::Builder => (BUILDER_HOME, "builder"),
        };
        for (variable, value) in [
            ("HOME", home),
            ("USER", name),
            ("LOGNAME", name),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("TERM", "dumb"),
        ] {
            push(&["--setenv", variable, value]);
        }
        for (variable, value) in &self.environment {
            push(&["--setenv", variable, value]);
        }
        line.extend(["--bind".into(), root.into(), "/".into()]);
        let mut push = |items: &[&str]| line.extend(items.iter().map(OsString::from));
        push(&[
            "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp",
        ]);
        if let Some(inside) = &self.itself {
            line.extend(["--ro-bind".into(), root.into(), inside.into()]);
        }
        for bind in &self.binds {
            let how = if bind.writable { "--bind" } else { "--ro-bind" };
            line.extend([
                how.into(),
                bind.host.clone().into(),
                bind.inside.clone().into(),
            ]);
        }
        line.extend(["--chdir".into(), self.directory.clone().into(), "--".into()]);
        // The name of the program stands in front of its arguments, not among them.
        line
    }
}
