//! Which ids a sandbox gets: those of a range that nobody has, where the host has one to give.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use super::ids::{COUNT, Ids};
use super::{Sandbox, User};
use crate::process;

/// Where the ranges begin that nothing else takes: above those that systemd gives its containers, below its foreign ids.
const FIRST: u32 = 0x7000_0000;

/// Where they end.
const LAST: u32 = 0x7FFE_0000;

impl Ids {
    /// Those of chroots that are made from now on: a range of their own where this host has one to give.
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
    pub fn in_chroot(root: &Path, user: User) -> io::Result<Self> {
        let owner = fs::metadata(root)?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Ok(Self::Own(owner));
        }
        Ok(match (user, Self::for_new_chroots()?) {
            (User::Builder | User::OtherBuilder, Self::Own(base)) => Self::OwnButRoot(base),
            _ => Self::Host,
        })
    }

    /// Whether a sandbox can be made with them.
    fn works(self) -> bool {
        Sandbox::with_host_programs(self, User::Root, "probe").is_ok_and(|sandbox| {
            process::capture(&mut sandbox.command("true", &[]))
                .is_ok_and(|done| done.status.success())
        })
    }
}

/// The first id of a range that nobody has, by the files of ids that users were given, and the two maps of this namespace. Nobody has any
/// by a file that is not there.
fn free_range(files: [&str; 4]) -> io::Result<Option<u32>> {
    let read = |path: &str| -> io::Result<String> {
        let bytes = lustre_files::if_there(lustre_files::read(path, lustre_files::TEXT));
        let bytes = bytes.map_err(|error| {
            let why = format!("cannot read {path}, which assigns ranges of ids: {error}");
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
}
