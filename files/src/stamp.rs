//! Whether a file is still the one that was looked at.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What tells a file from any other, and from itself after somebody wrote into it. Nobody can set the time of the last change, so two equal
/// stamps are of the same content, where the first [settled](Stamp::is_settled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// For how long two changes of a file may have the same time: file systems keep it in steps of some milliseconds.
const STEP: Duration = Duration::from_millis(100);

impl Stamp {
    /// That of a file, by what the file system says of it.
    pub fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change was so long ago that another one would have another time.
    pub fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let then = Duration::new(
            u64::try_from(self.changed.0).unwrap_or_default(),
            u32::try_from(self.changed.1).unwrap_or_default(),
        );
        now.is_ok_and(|now| then + STEP < now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};

    use super::*;

    #[test]
    fn what_is_written_into_a_file_shows_whatever_its_size_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let stamp = || Stamp::of(&fs::metadata(&path).unwrap());
        let put = |text: &str| {
            fs::write(&path, text).unwrap();
            let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(5));
            let file = File::options().write(true).open(&path).unwrap();
            file.set_times(times).unwrap();
        };
        put("one");
        let before = stamp();
        assert_eq!(stamp(), before);
        assert!(!before.is_settled());
        // As long as a step of the file system's clock may be.
        std::thread::sleep(Duration::from_millis(50));
        put("two");
        assert_ne!(stamp(), before);
        let long_ago = Stamp {
            changed: (1_700_000_000, 0),
            ..before
        };
        assert!(long_ago.is_settled());
    }
}
