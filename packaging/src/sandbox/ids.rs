//! The ids that a sandbox's users have on the host: a range of their own, so that root inside is nobody outside.
//!
//! A chroot on the disk belongs to the range that it was made with: its top folder's owner is root inside. Chroots that belong to root
//! itself (made where there are no user namespaces) are entered with its ids, and with few capabilities.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Sandbox, User};
use crate::process;

/// How many ids a sandbox has.
const COUNT: u32 = 0x1_0000;

/// Where the ranges begin that nothing else takes: above those that systemd gives its containers, below its foreign ids.
const FIRST: u32 = 0x7000_0000;

/// Where they end.
const LAST: u32 = 0x7FFE_0000;

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
    /// Those of chroots that are made from now on: a range of their own where this host has one to give.
    ///
    /// # Errors
    /// When it cannot be known which ids somebody has.
    pub fn for_new_chroots() -> io::Result<Self> {
        static FOUND: OnceLock<Ids> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(*found);
        }
        let range = free_range([
            "/etc/subuid",
            "/etc/subgid",
            "/proc/self/uid_map",
            "/proc/self/gid_map",
        ])?;
        Ok(*FOUND.get_or_init(|| match range {
            Some(base) if Self::Own(base).works() => Self::Own(base),
            _ => Self::Host,
        }))
    }

    /// Those of `user` in the chroot `root`, which belongs to root inside.
    ///
    /// # Errors
    /// When the folder cannot be looked at, or as [`Ids::for_new_chroots`].
    pub fn in_chroot(root: &Path, user: User) -> io::Result<Self> {
        let owner = fs::metadata(root)?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Ok(Self::Own(owner));
        }
        Ok(match (user, Self::for_new_chroots()?) {
            (User::Builder, Self::Own(base)) => Self::OwnButRoot(base),
            _ => Self::Host,
        })
    }

    /// The id on the host of `id` inside.
    pub fn outside(self, id: u32) -> u32 {
        match self {
            Self::Own(base) => base + id,
            Self::OwnButRoot(base) if id != 0 => base + id,
            Self::OwnButRoot(_) | Self::Host => id,
        }
    }

    /// Gives `path`, and everything in it, to `id` inside. Links are not followed.
    ///
    /// # Errors
    /// When an owner cannot be set.
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

    /// Whether a sandbox can be made with them.
    fn works(self) -> bool {
        Sandbox::with_host_programs(self, User::Root, "probe").is_ok_and(|sandbox| {
            process::capture(&mut sandbox.command("true", &[]))
                .is_ok_and(|done| done.status.success())
        })
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
        .env("PATH", super::PATH)
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

/// The first id of a range that nobody has, by the files of ids that users were given, and the two maps of this namespace. Nobody has any
/// by a file that is not there.
fn free_range(files: [&str; 4]) -> io::Result<Option<u32>> {
    let read = |path: &str| -> io::Result<String> {
        let bytes = lustre_files::if_there(lustre_files::read(path, lustre_files::TEXT));
        let bytes = bytes.map_err(|error| {
            let why = format!("cannot read {path}, which says whose ids are whose: {error}");
            io::Error::new(error.kind(), why)
        })?;
        // A user may be called anything.
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let [subuid, subgid, uids, gids] = files;
    // The last line of the one may have no end.
    let given = read(subuid)? + "\n" + &read(subgid)?;
    Ok(choose(&read(uids)?, &read(gids)?, &given))
}

/// The first id of a range that this namespace has, by its two maps, and that no user was given (`/etc/subuid`). In a namespace that
/// is no larger than a user's range, all ids but root's.
fn choose(uids: &str, gids: &str, given: &str) -> Option<u32> {
    let has = |first: u32, count: u32| {
        let range = u64::from(first)..u64::from(first) + u64::from(count);
        [uids, gids].iter().all(|map| covers(map, range.clone()))
    };
    let taken: Vec<(u64, u64)> = given.lines().filter_map(given_range).collect();
    let is_free = |first: u32| {
        let (from, to) = (u64::from(first), u64::from(first) + u64::from(COUNT));
        taken
            .iter()
            .all(|(start, end)| *end <= from || to <= *start)
    };
    let large = (FIRST..LAST)
        .step_by(COUNT as usize)
        .find(|first| is_free(*first) && has(*first, COUNT));
    large.or_else(|| has(1, COUNT - 1).then_some(1))
}

/// The range of a line of `/etc/subuid`: `name:first:count`.
fn given_range(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.trim().split(':').skip(1);
    let first: u64 = fields.next()?.parse().ok()?;
    let count: u64 = fields.next()?.parse().ok()?;
    Some((first, first.checked_add(count)?))
}

/// Whether a map of ids has all of `range` inside.
fn covers(map: &str, range: std::ops::Range<u64>) -> bool {
    let mut extents: Vec<(u64, u64)> = map
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let first: u64 = fields.next()?.parse().ok()?;
            let count: u64 = fields.nth(1)?.parse().ok()?;
            Some((first, first + count))
        })
        .collect();
    extents.sort_unstable();
    let mut reached = range.start;
    for (from, to) in extents {
        if from <= reached && reached < to {
            reached = to;
        }
    }
    reached >= range.end
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "         0          0 4294967295\n";

    #[test]
    fn a_range_is_one_that_nobody_else_has() {
        assert_eq!(choose(ALL, ALL, ""), Some(FIRST));
        assert_eq!(choose(ALL, ALL, "a:100000:65536\n"), Some(FIRST));
        // Somebody's range reaches into the first one, and another lies in the second.
        let given = format!("a:{}:10\nb:{}:1\nnonsense\n", FIRST - 5, FIRST + COUNT + 7);
        assert_eq!(choose(ALL, ALL, &given), Some(FIRST + 2 * COUNT));
    }

    #[test]
    fn ids_whose_owner_cannot_be_read_are_not_taken_for_free() {
        let dir = tempfile::tempdir().unwrap();
        let [none, folder, given, all] =
            ["none", "folder", "given", "all"].map(|name| dir.path().join(name));
        fs::create_dir(&folder).unwrap();
        fs::write(&all, ALL).unwrap();
        let mut text = b"\xe9:".to_vec();
        text.extend_from_slice(format!("{FIRST}:1").as_bytes());
        fs::write(&given, text).unwrap();
        let range = |uids: &Path, gids: &Path| {
            let all = all.to_str().unwrap();
            free_range([uids.to_str().unwrap(), gids.to_str().unwrap(), all, all])
        };
        assert_eq!(range(&none, &none).unwrap(), Some(FIRST));
        for (uids, gids) in [(&given, &none), (&none, &given), (&given, &given)] {
            assert_eq!(range(uids, gids).unwrap(), Some(FIRST + COUNT));
        }
        for (uids, gids) in [(&folder, &none), (&none, &folder)] {
            let error = range(uids, gids).unwrap_err().to_string();
            assert!(error.contains(folder.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn in_a_users_namespace_it_is_all_but_his_own_id() {
        let map = "0 1000 1\n1 100000 65536\n";
        assert_eq!(choose(map, map, "user:100000:65536\n"), Some(1));
        assert_eq!(choose("0 1000 1\n", map, ""), None);
        assert_eq!(choose(map, "0 1000 1\n1 100000 100\n", ""), None);
        assert_eq!(choose("", "", ""), None);
    }

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
