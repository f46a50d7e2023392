//! Files that somebody gives: only what is a file and not larger than such a file can be is read.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens the file `path`, of at most `limit` bytes; with its size.
///
/// # Errors
/// When it cannot be opened, is something else than a file (a pipe would keep us waiting, a device may have no end), or is
/// larger.
pub(crate) fn open(path: &Path, limit: u64) -> io::Result<(File, u64)> {
    // Before it is opened: that alone can wait for ever, or do something.
    check(fs::metadata(path)?.file_type())?;
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options()
        .read(true)
        .custom_flags(nonblock)
        .open(path)?;
    // What was opened may be another file by now.
    let meta = file.metadata()?;
    check(meta.file_type())?;
    if meta.len() > limit {
        return Err(too_large(meta.len(), limit));
    }
    Ok((file, meta.len()))
}

/// The content of the file `path`, of at most `limit` bytes.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open(path, limit)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // It may grow meanwhile, and files of the kernel have no size.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        length if length > limit => Err(too_large(length, limit)),
        _ => Ok(bytes),
    }
}

/// As [`read`], of text.
///
/// # Errors
/// As [`open`], and when it is not UTF-8.
pub(crate) fn read_to_string(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = format!("it is no text: byte {at} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

fn check(kind: FileType) -> io::Result<()> {
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let why = format!("it is {found}, and a file is needed");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn too_large(size: u64, limit: u64) -> io::Error {
    let why = format!(
        "it has {size} bytes, and such a file has no more than {limit}: is it the one that was meant?"
    );
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_their_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        for (path, limit, why) in [
            (file.as_path(), 4, "5 bytes"),
            (&fifo, 4, "a pipe"),
            (dir.path(), 4, "a folder"),
            (Path::new("/dev/zero"), 4, "a device"),
            // Its size is 0 until it is read.
            (Path::new("/proc/self/status"), 4, "5 bytes"),
        ] {
            let error = read(path, limit).unwrap_err().to_string();
            assert!(error.contains(why), "{}: {error}", path.display());
        }
        fs::write(&file, [b'a', 0xff]).unwrap();
        let error = read_to_string(&file, 5).unwrap_err().to_string();
        assert!(error.contains("byte 1"), "{error}");
    }
}
