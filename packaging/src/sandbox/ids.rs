//! The ids that a sandbox's users have on the host: a range of their own, so that root inside is nobody outside.
//!
//! A chroot on the disk belongs to the range that it was made with: its top folder's owner is root inside. Chroots that belong to root
//! itself (made where there are no user namespaces) are entered with its ids, and with few capabilities.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use crate::process;

/// Where programs are, inside and outside.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How many ids a sandbox has.
pub(super) const COUNT: u32 = 0x1_0000;

/// Which ids of the host stand for those inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ids {
    /// A range of their own, which begins at this one.
    Own(u32),
    /// Root's is root's, all others are in the range that begins at this one: for a builder in a chroot that belongs to root.
    OwnButRoot(u32),
    /// The same as outside.
    Host,
}

impl Ids {
    /// The id on the host of `id` inside.
    pub fn outside(self, id: u32) -> u32 {
        match self {
            Self::Own(base) => base + id,
            Self::OwnButRoot(base) if id != 0 => base + id,
            Self::OwnButRoot(_) | Self::Host => id,
        }
    }

    /// Gives `path`, and everything in it, to `id` inside. Links are not followed.
    pub fn give(self, path: &Path, id: u32) -> io::Result<()> {
        let owner = self.outside(id);
        for entry in walkdir::WalkDir::new(path) {
            std::os::unix::fs::lchown(entry?.path(), Some(owner), Some(owner))?;
        }
        Ok(())
    }

    /// The lines of `/proc/PID/uid_map`; none where there is no namespace.
    fn map(self) -> Option<String> {
        let count = |base: u32| if base < COUNT { COUNT - base } else { COUNT };
        match self {
            Self::Own(base) => Some(format!("0 {base} {}\n", count(base))),
            Self::OwnButRoot(base) => {
                let rest = count(base) - 1;
                Some(format!("0 0 1\n1 {} {rest}\n", base + 1))
            }
            Self::Host => None,
        }
    }

    /// The file that stands for the user namespace, for as long as this process lives.
    pub(super) fn namespace(self) -> io::Result<Option<PathBuf>> {
        static MADE: Mutex<BTreeMap<Ids, File>> = Mutex::new(BTreeMap::new());
        let Some(map) = self.map() else {
            return Ok(None);
        };
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match made.entry(self) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(create(&map)?),
        };
        Ok(Some(path_of(file)))
    }
}

/// Where other processes find an open file of this one.
pub(super) fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ))
}

/// Makes a user namespace with the ids of `map`. A process that does nothing begins it; whoever holds the file keeps it.
fn create(map: &str) -> io::Result<File> {
    let mut command = process::command("unshare");
    command
        .args(["--user", "--", "sh", "-c", "echo && exec cat"])
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    process::with_child(&mut command, |child| {
        let mut began = [0];
        if let Some(stdout) = &mut child.stdout {
            stdout.read_exact(&mut began)?;
        }
        let of = PathBuf::from(format!("/proc/{}", child.id()));
        for file in ["uid_map", "gid_map"] {
            fs::write(of.join(file), map)?;
        }
        lustre_files::open(of.join("ns/user"))
    })
    .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a range may begin.
    const FIRST: u32 = 0x7000_0000;

    #[test]
    fn ids_inside_have_ids_outside() {
        assert_eq!(Ids::Own(FIRST).outside(0), FIRST);
        assert_eq!(Ids::Own(FIRST).outside(1000), FIRST + 1000);
        assert_eq!(Ids::OwnButRoot(FIRST).outside(0), 0);
        assert_eq!(Ids::OwnButRoot(FIRST).outside(1000), FIRST + 1000);
        assert_eq!(Ids::Host.outside(1000), 1000);
        let map = |ids: Ids| ids.map().unwrap();
        assert_eq!(map(Ids::Own(FIRST)), format!("0 {FIRST} 65536\n"));
        assert_eq!(map(Ids::Own(1)), "0 1 65535\n");
        assert_eq!(
            map(Ids::OwnButRoot(FIRST)),
            format!("0 0 1\n1 {} 65535\n", FIRST + 1)
        );
        assert_eq!(map(Ids::OwnButRoot(1)), "0 0 1\n1 2 65534\n");
        assert_eq!(Ids::Host.map(), None);
    }
}
