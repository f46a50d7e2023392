//! Small things with files that several modules need: bounded reads, whole-file writes, fixed modes and times.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The most that a file at the top of a tree has: of ours, the manifest of a kernel's repository is the largest, with some hundred
/// kilobytes.
const MAX_SMALL: u64 = 64 << 20;

/// Reads a small file of a tree that may be anybody's: a plain one, not through a link, and no pipe or device that never ends.
///
/// # Errors
/// When it is not there, is something else than a file or is too large.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags, open};
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(invalid("it is a symbolic link".to_owned())),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(invalid("it is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SMALL {
        return Err(invalid(format!("it has more than {MAX_SMALL} bytes")));
    }
    Ok(bytes)
}

/// As [`read_small`], for text.
///
/// # Errors
/// As [`read_small`], and when it is not UTF-8.
pub fn read_small_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_small(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Writes a file aside and renames it: a reader sees the old content or the new, never a part. Mode 0644.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    aside.write_all(bytes)?;
    aside
        .as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    aside.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Sets a file's or folder's modification time, in seconds since 1970.
pub(crate) fn set_mtime(path: &Path, seconds: u64) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(path)?.set_times(FileTimes::new().set_modified(time))
}

/// Sets a mode, whatever the umask made of it.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_plain_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").unwrap();
        assert_eq!(read_small_text(&at("file")).unwrap(), "text");
        std::os::unix::fs::symlink("/dev/zero", at("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        File::create(at("sparse"))
            .unwrap()
            .set_len(MAX_SMALL + 1)
            .unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, expected) in [
            ("link", "symbolic link"),
            ("pipe", "not a file"),
            ("folder", "not a file"),
            ("sparse", "more than"),
        ] {
            let error = read_small(&at(name)).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
