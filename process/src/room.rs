//! Whether a program failed because a file system was full. Programs say so in many words, or not at all.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_files::{Advised, advised};
use rustix::fs::StatVfsMountFlags;

/// What programs say, in small letters: the C library's words, dnf's, rpm's, and sqlite's.
const SAID: [&str; 6] = [
    "no space left on device",
    "disk quota exceeded",
    "more space needed on the",
    "not enough free space",
    "needs more disk space",
    "database or disk is full",
];

/// Below this much a file system counts as full: what did not fit was larger, and what was half-written may be gone again.
const NOTHING: u64 = 4 << 20;

/// A file system on which something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// How many bytes an ordinary user may write.
    pub free: u64,
    /// How many bytes it has.
    pub total: u64,
    /// Whether nothing could be written there with any amount of room.
    pub read_only: bool,
    /// Whether no more files can be made, whatever their size.
    pub no_files: bool,
}

impl Place {
    /// The file system of `path`, or of the nearest folder above it that is there.
    pub fn of(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let at = path.ancestors().find(|at| at.exists())?;
        let device = at.metadata().ok()?.dev();
        let same = |at: &&Path| at.metadata().is_ok_and(|of| of.dev() == device);
        let mount = at.ancestors().take_while(same).last()?;
        let stat = rustix::fs::statvfs(at).ok()?;
        Some(Self {
            mount: mount.to_owned(),
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            no_files: stat.f_files > 0 && stat.f_favail == 0,
        })
    }

    /// Whether nothing can be written any more, where something could.
    pub fn is_full(&self) -> bool {
        !self.read_only
            && self.total > 0
            && (self.no_files || self.free < NOTHING.min(self.total / 8))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mount = self.mount.display();
        if self.no_files {
            return write!(f, "{mount} has no room for another file (no free inodes)");
        }
        write!(
            f,
            "{mount} has {} MiB of {} MiB free",
            self.free >> 20,
            self.total >> 20
        )
    }
}

/// What to do where an output has no room: the store is not in question.
pub const OTHER_DISK: &str = "make room there, or choose another place with --output, and run the same command again: what was built or fetched is kept";

/// That there is room at `output` for `what`, which takes `bytes`. Where that is copied from `of` on the same file system, both may share
/// what they are made of.
pub fn at_output(what: &str, bytes: u64, output: &Path, of: Option<&Path>) -> Result<(), Advised> {
    let Some(place) = Place::of(output) else {
        return Ok(());
    };
    let shares = of
        .and_then(Place::of)
        .is_some_and(|other| other.mount == place.mount);
    if shares || (place.free >= bytes && !place.no_files) {
        return Ok(());
    }
    Err(advised(
        format!(
            "the disk is full: {what} takes {} MiB, and {place}",
            bytes.div_ceil(1 << 20)
        ),
        OTHER_DISK,
    ))
}

/// Whether a program's words say that there was no room.
pub fn says_full(text: &str) -> bool {
    let text = text.to_lowercase();
    SAID.iter().any(|words| text.contains(words))
}

/// Words for somebody whose run failed, where it failed for lack of room: `said` is what is known of the failure, `places` are paths on
/// the file systems involved.
pub fn hint<'p>(said: &str, places: impl IntoIterator<Item = &'p Path>) -> Option<String> {
    let mut known: Vec<Place> = Vec::new();
    for place in places.into_iter().filter_map(Place::of) {
        if !known.iter().any(|other| other.mount == place.mount) {
            known.push(place);
        }
    }
    let list = |places: Vec<&Place>| {
        let places: Vec<String> = places.into_iter().map(Place::to_string).collect();
        places.join(", ")
    };
    let full: Vec<&Place> = known.iter().filter(|place| place.is_full()).collect();
    const NEXT: &str = "make room (`cargo xtask clean --dry-run` lists what can be removed from the store), or use another disk with \
                        --store, and run the same command again: finished stages are kept";
    if !full.is_empty() {
        return Some(format!("the disk is full: {}; {NEXT}", list(full)));
    }
    // What was half-written is gone by now, and so may be the proof.
    says_full(said).then(|| {
        format!(
            "the disk was full when this failed (now {}; inside a sandbox, /tmp is memory); {NEXT}",
            list(known.iter().collect())
        )
    })
}

/// Adds [`hint`] to what a command that failed `said`: on the file systems of the paths among its arguments, of its folder and of
/// `more`.
pub(crate) fn explain(command: &Command, said: &mut String, more: &[&Path]) {
    let named = |argument: &OsStr| {
        let text = argument.to_string_lossy().into_owned();
        let path = text.find('/').map(|at| PathBuf::from(&text[at..]))?;
        path.exists().then_some(path)
    };
    let mut paths: Vec<PathBuf> = command.get_args().filter_map(named).collect();
    paths.push(command.get_current_dir().unwrap_or(Path::new(".")).into());
    paths.extend(more.iter().map(|path| path.to_path_buf()));
    // The kernel's own file systems are never full, or always.
    paths.retain(|path| {
        ["/proc", "/sys", "/dev"]
            .iter()
            .all(|not| !path.starts_with(not))
    });
    if let Some(hint) = hint(said, paths.iter().map(PathBuf::as_path)) {
        said.push('\n');
        said.push_str(&hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_has_to_have_room_unless_it_may_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/out");
        at_output("it", 1 << 10, &out, None).unwrap();
        let error = at_output("the bundle out", 1 << 60, &out, Some(Path::new("/proc")));
        let error = error.unwrap_err().to_string();
        let mount = Place::of(dir.path()).unwrap().mount.display().to_string();
        for part in ["the bundle out takes", &mount, "MiB free", "--output"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        at_output("it", 1 << 60, &out, Some(dir.path())).unwrap();
    }

    #[test]
    fn what_programs_say_of_a_full_disk_is_understood() {
        let said = [
            "tar: x: Cannot write: No space left on device",
            "cp: error writing 'x': Disk quota exceeded",
            "Error: Transaction test error:\n  At least 5MB more space needed on the / filesystem.",
            "E: You don't have enough free space in /var/cache/apt/archives/: not enough free space",
            "installing package x-1.x86_64 needs 3MB on the / filesystem: it needs more disk space",
            "error: sqlite failure: INSERT: database or disk is full",
        ];
        for said in said {
            assert!(says_full(said), "{said}");
        }
        // Each of the words is there for one of them.
        for words in SAID {
            let with = said
                .iter()
                .filter(|said| said.to_lowercase().contains(words));
            assert_eq!(with.count(), 1, "{words}");
        }
        for said in ["", "no such file", "space in a device's name"] {
            assert!(!says_full(said), "{said}");
            assert_eq!(hint(said, [Path::new("/")]), None);
        }
        let hint = hint("No space left on device", [Path::new("/")]).unwrap();
        assert!(
            hint.contains("disk was full") && hint.contains("MiB free"),
            "{hint}"
        );
    }

    #[test]
    fn a_place_is_full_by_bytes_or_by_files() {
        let place = |free, total, no_files| Place {
            mount: PathBuf::from("/m"),
            read_only: false,
            free,
            total,
            no_files,
        };
        assert!(place(0, 1 << 30, false).is_full());
        assert!(place(1 << 30, 1 << 30, true).is_full());
        assert!(!place(1 << 30, 1 << 40, false).is_full());
        // The kernel's own have no size; what is read only never had room.
        assert!(!place(0, 0, false).is_full());
        let image = Place {
            read_only: true,
            ..place(0, 1 << 30, false)
        };
        assert!(!image.is_full());
        assert_eq!(
            place(1 << 20, 3 << 20, false).to_string(),
            "/m has 1 MiB of 3 MiB free"
        );
    }
}
