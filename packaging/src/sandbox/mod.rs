//! Running what others wrote: without network, without sight of the host, and as nobody whom the host knows.
//!
//! A [`Sandbox`] is the one way to do that. It shows a [`ChrootClone`], a throw-away copy of a chroot made in well under a second, or
//! the programs of the host and nothing else of it; and the folders that it is given. Around what runs there are
//!
//! - ids of its own ([`Ids`]): root inside is an id that nobody has outside. Where the host has no user namespaces, or the chroot
//!   belongs to root, what runs is left with the few capabilities that dnf and rpm need, and the builder with none in any case;
//! - mounts, processes, names, and a network that leads nowhere, all of its own, by bubblewrap;
//! - a filter of system calls (`filter`).
//!
//! The mounts live in a private mount namespace of the command itself, so they are gone when it ends, however it ends; and bubblewrap
//! ends everything inside when its parent dies.

mod chroot;
mod filter;
mod host_tools;
mod ids;
mod ranges;
mod root;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use chroot::{ChrootClone, Error};
pub use host_tools::{looking, readable, reading};
pub use ids::Ids;
pub(crate) use ids::PATH;
use root::Root;

use crate::process;

/// The unprivileged user that builds; the chroot needs no entry for it.
pub const BUILDER_ID: u32 = 1000;

/// The id of another who builds.
const OTHER_BUILDER_ID: u32 = 1234;

/// The builder's home: a fixed path, because paths end up in packages.
pub const BUILDER_HOME: &str = "/builddir";

/// What dnf and rpm need to set owners, modes and capabilities of files, and to run scriptlets in the root that they make. No
/// package of a distribution has device nodes.
const INSTALLING: [&str; 8] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// What it takes to become the builder, who keeps none of it.
const BECOMING: [&str; 2] = ["CAP_SETGID", "CAP_SETUID"];

/// Who runs inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Root of the chroot: for dnf, which sets owners and runs scriptlets.
    Root,
    /// Root by its id alone, without any capability: for tools that read and write files, and are to see them as root's.
    BareRoot,
    /// The builder, without any capability.
    Builder,
    /// The same by another id: what is built must not depend on that.
    OtherBuilder,
}

impl User {
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Root | Self::BareRoot => 0,
            Self::Builder => BUILDER_ID,
            Self::OtherBuilder => OTHER_BUILDER_ID,
        }
    }

    /// Whether it is one who builds, and not root.
    fn builds(self) -> bool {
        matches!(self, Self::Builder | Self::OtherBuilder)
    }

    fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Root => &INSTALLING,
            Self::BareRoot => &[],
            Self::Builder | Self::OtherBuilder => &BECOMING,
        }
    }
}

/// A folder or file of the host seen inside.
#[derive(Debug, Clone)]
struct Bind {
    host: PathBuf,
    inside: String,
    how: &'static str,
}

/// What is at `/` inside.
#[derive(Debug, Clone, Copy)]
enum View<'a> {
    Chroot(&'a Root),
    HostPrograms,
}

/// What has to be at hand when a sandbox is entered.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    /// The user namespace.
    namespace: Option<PathBuf>,
    /// The filter of system calls.
    filter: PathBuf,
}

impl Entrance {
    fn new(ids: Ids) -> io::Result<Self> {
        Ok(Self {
            namespace: ids.namespace()?,
            filter: filter::file()?,
        })
    }
}

/// How commands run, and what they see.
#[derive(Debug, Clone)]
pub struct Sandbox<'a> {
    view: View<'a>,
    entrance: Entrance,
    ids: Ids,
    user: User,
    hostname: String,
    directory: String,
    binds: Vec<Bind>,
    environment: Vec<(String, String)>,
    itself: Option<String>,
}

impl<'a> Sandbox<'a> {
    /// A sandbox with the programs of the host in `/usr`, and what they need of `/etc`.
    pub fn with_host_programs(ids: Ids, user: User, hostname: &str) -> io::Result<Self> {
        let entrance = Entrance::new(ids)?;
        Ok(Self::with(
            View::HostPrograms,
            entrance,
            ids,
            user,
            hostname,
        ))
    }

    fn with(view: View<'a>, entrance: Entrance, ids: Ids, user: User, hostname: &str) -> Self {
        Self {
            view,
            entrance,
            ids,
            user,
            hostname: hostname.to_owned(),
            directory: "/".to_owned(),
            binds: Vec::new(),
            environment: Vec::new(),
            itself: None,
        }
    }

    fn bind(mut self, host: &Path, inside: &str, how: &'static str) -> Self {
        self.binds.push(Bind {
            // Nothing has to be there yet. What is not there when a command is run is an error then.
            host: std::path::absolute(host).unwrap_or_else(|_| host.to_owned()),
            inside: inside.to_owned(),
            how,
        });
        self
    }

    /// Shows the host's `host` at `inside`, read only. What is not for everybody to read cannot be read inside either.
    #[must_use]
    pub fn read_only(self, host: &Path, inside: &str) -> Self {
        self.bind(host, inside, "--ro-bind")
    }

    /// Shows the host's `host` at `inside`, writable for whom it belongs to (see [`Sandbox::give`]).
    #[must_use]
    pub fn writable(self, host: &Path, inside: &str) -> Self {
        self.bind(host, inside, "--bind")
    }

    /// Shows the host's device `host` at the same path.
    #[must_use]
    pub fn device(self, host: &str) -> Self {
        self.bind(Path::new(host), host, "--dev-bind")
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

    /// Gives `path` on the host, with everything in it, to the user inside.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        self.ids.give(path, self.user.id())
    }

    /// The command that runs `program` with `arguments` inside; the caller decides where its output goes.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.prepared();
        if let Some(namespace) = &self.entrance.namespace {
            command.arg("nsenter").arg(joined("--user=", namespace));
            command.args(["--setuid", "0", "--setgid", "0", "--"]);
        }
        command.args(self.bubblewrap());
        if self.user.builds() {
            let id = self.user.id().to_string();
            command.args(["setpriv", "--reuid", &id, "--regid", &id]);
            command.args(["--clear-groups", "--inh-caps=-all", "--"]);
        }
        command.arg(program).args(arguments);
        command
    }

    /// A command that lacks what to run: it makes everything to be seen inside reachable at [`STAGE`] first.
    fn prepared(&self) -> Command {
        let mut command = process::command("unshare");
        // What runs inside can read the environment of its first process.
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .args(["--mount", "--propagation", "private", "--"])
            .args(["sh", "-ec", PREPARE, "sh"])
            .arg(&self.entrance.filter);
        match self.view {
            View::Chroot(root) => command.args(root.arguments()),
            View::HostPrograms => command.arg("none"),
        };
        command.args(self.binds.iter().map(|bind| &bind.host));
        command.arg("--");
        command
    }

    fn bubblewrap(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = Vec::new();
        let mut push = |items: &[&str]| line.extend(items.iter().map(OsString::from));
        push(&["bwrap", "--die-with-parent", "--new-session"]);
        push(&[
            "--unshare-net",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        push(&["--hostname", &self.hostname, "--clearenv"]);
        push(&["--cap-drop", "ALL"]);
        for capability in self.user.capabilities() {
            push(&["--cap-add", capability]);
        }
        push(&["--seccomp", FILTER_NUMBER]);
        let (home, name) = match (self.user, self.view) {
            (user, _) if user.builds() => (BUILDER_HOME, "builder"),
            (_, View::Chroot(_)) => ("/root", "root"),
            (_, View::HostPrograms) => ("/tmp", "root"),
        };
        for (variable, value) in [
            ("HOME", home),
            ("USER", name),
            ("LOGNAME", name),
            ("PATH", PATH),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("TERM", "dumb"),
        ] {
            push(&["--setenv", variable, value]);
        }
        for (variable, value) in &self.environment {
            push(&["--setenv", variable, value]);
        }
        match self.view {
            View::Chroot(_) => push(&["--bind", ROOT, "/"]),
            View::HostPrograms => line.extend(host_programs()),
        }
        let mut push = |items: &[&str]| line.extend(items.iter().map(OsString::from));
        push(&[
            "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp",
        ]);
        if self.entrance.namespace.is_none() {
            // The kernel takes its settings from root, whatever root is allowed otherwise.
            push(&["--remount-ro", "/proc"]);
        }
        if let Some(inside) = &self.itself {
            push(&["--ro-bind", ROOT, inside]);
        }
        for (number, bind) in self.binds.iter().enumerate() {
            push(&[bind.how, &format!("{STAGE}/{number}"), &bind.inside]);
        }
        push(&["--chdir", &self.directory, "--"]);
        // The name of the program stands in front of its arguments, not among them.
        line
    }
}

/// Takes a file that was made inside for ourselves. A link stays one.
pub fn own(path: &Path) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    std::os::unix::fs::lchown(path, Some(user.as_raw()), Some(group.as_raw()))
}

/// Copies a file to where something from inside may be: a link there is replaced, and not written through.
pub fn copy_anew(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    lustre_files::copy(from, to).map(drop)
}

/// Where everything that is to be seen inside is mounted first: whoever enters as somebody else than the user who runs us cannot go
/// through folders that are closed to others, such as root's home. Nothing to be seen inside lies below this folder of the host, and
/// every host has it.
const STAGE: &str = "/sys";

/// The chroot there.
const ROOT: &str = "/sys/root";

/// The descriptor at which bubblewrap finds the filter.
const FILTER_NUMBER: &str = "8";

/// Mounts what is to be seen, then becomes the command. The arguments are the filter; `overlay` with the lower folder and the one that
/// has `upper` and `work`, or `folder` with the root, or `none`; what to show besides; `--` and the command. No path of the host is
/// part of an option, in which commas and colons mean something.
const PREPARE: &str = r#"
exec 8<"$1"
mount -t tmpfs -o mode=0755 sandbox /sys
case $2 in
overlay)
    mkdir /sys/root /sys/lower /sys/over
    mount --bind "$3" /sys/lower
    mount --bind "$4" /sys/over
    mount -t overlay -o lowerdir=/sys/lower,upperdir=/sys/over/upper,workdir=/sys/over/work overlay /sys/root
    shift 4 ;;
folder)
    mkdir /sys/root
    mount --rbind "$3" /sys/root
    shift 3 ;;
none)
    echo 'root:x:0:0:root:/root:/bin/sh' >/sys/passwd
    echo 'root:x:0:' >/sys/group
    shift 2 ;;
esac
number=0
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir "/sys/$number"; else : >"/sys/$number"; fi
    mount --rbind "$1" "/sys/$number"
    number=$((number + 1))
    shift
done
shift
exec "$@"
"#;

/// Folders at the top of the host that are part of `/usr`, or links into it.
const BESIDE_USR: [&str; 5] = ["bin", "sbin", "lib", "lib64", "lib32"];

/// What programs need of the host's `/etc`: the linker's cache, alternatives, rpm's macros, the policy of the cryptographic libraries.
const OF_ETC: [&str; 7] = [
    "alternatives",
    "crypto-policies",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "rpm",
    "os-release",
];

/// bubblewrap's options that show the programs of the host, with root as the only user.
fn host_programs() -> Vec<OsString> {
    let mut line: Vec<OsString> = ["--ro-bind", "/usr", "/usr"].map(OsString::from).to_vec();
    for name in BESIDE_USR {
        let path = Path::new("/").join(name);
        match path.read_link() {
            Ok(target) => line.extend(["--symlink".into(), target.into(), path.into()]),
            Err(_) => line.extend(["--ro-bind-try".into(), path.clone().into(), path.into()]),
        }
    }
    for name in OF_ETC {
        let path = Path::new("/etc").join(name);
        line.extend(["--ro-bind-try".into(), path.clone().into(), path.into()]);
    }
    for name in ["passwd", "group"] {
        line.extend(
            [
                "--ro-bind".to_owned(),
                format!("{STAGE}/{name}"),
                format!("/etc/{name}"),
            ]
            .map(OsString::from),
        );
    }
    line
}

/// An option with a path in the same word.
fn joined(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(path);
    word
}
