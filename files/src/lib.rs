//! Reading files, whoever gave them: a pipe would keep us waiting, a device may have no end, and what is larger than such a file can
//! be fills the memory. So all of the project opens files for reading here (`clippy.toml`), and says for each how large it may be.
//!
//! - [`read`] and [`read_to_string`] hold a file in memory, and take its limit: [`TEXT`], [`SOURCE`], [`LARGE`], or the caller's own.
//! - [`open`] is for what is read bit by bit (packages, archives, digests), however large it is.
//! - [`open_folder`] is for locks and for `fsync`.
//! - [`if_there`] tells a file that is not there from one that cannot be read.
//! - [`link_below`] tells where a path leaves the folder that it is in.
//! - [`shown`] is a path in a message, [`shown_url`] a URL without its password, and [`PathError`] what could not be done with it.
//! - [`Help`] in a message is what to do about it, and [`apart`] tells it from the rest.
//! - [`write_whole`] replaces a file by a whole one, [`Aside`] by one that is written bit by bit, and [`copy_whole`] by a copy of another.
//! - [`Stamp`] tells whether a file is still the one that was read.
//! - [`side_by_side`] does the same with many of them, several at a time.
//! - [`place`] says whether something can be put where somebody names it, and [`swap`] makes it aside and puts it there.
//! - [`remove_tree`] removes folders, and never what is mounted in them.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

mod aside;
mod help;
mod path_error;
pub mod place;
mod remove;
mod shown;
mod shown_url;
mod side_by_side;
mod stamp;
pub mod swap;

pub use aside::Aside;
pub use help::{Advised, Help, advised, apart};
pub use path_error::{PathError, at, tried};
pub use remove::{RemoveError, mounted, nothing_mounted, remove_tree};
pub use shown::shown;
pub use shown_url::shown_url;
pub use side_by_side::side_by_side;
pub use stamp::Stamp;

/// How large a file may be that somebody writes, or in which a program says a few lines: a spec, an overlay, a series, a config, a key,
/// settings. The largest, a kernel's spec with its changelog, has some megabytes.
pub const TEXT: u64 = 16 << 20;

/// How large a file may be that is a source of a package or of a tree, a patch, a list of packages. The largest of a kernel, generated
/// headers, have 25 MiB.
pub const SOURCE: u64 = 64 << 20;

/// How large a file may be that is held whole: a `.deb`, a log, metadata, a list with a line for every file of a tree.
pub const LARGE: u64 = 1 << 30;

/// Opens the file `path`, however large it is.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    // Before it is opened: that alone can wait for ever, or do something.
    check(fs::metadata(path)?.file_type())?;
    opened(path, OFlags::empty())
}

/// Opens the file `path`, of at most `limit` bytes; with its size.
pub fn open_within(path: impl AsRef<Path>, limit: u64) -> io::Result<(File, u64)> {
    within(open(path)?, limit)
}

/// Opens the folder `path`, to lock it or to write it to the disk.
pub fn open_folder(path: impl AsRef<Path>) -> io::Result<File> {
    flags(OFlags::DIRECTORY).open(path)
}

/// The content of the file `path`, of at most `limit` bytes.
pub fn read(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    content(open_within(path, limit)?, limit)
}

/// As [`read`], of text.
pub fn read_to_string(path: impl AsRef<Path>, limit: u64) -> io::Result<String> {
    text(read(path, limit)?)
}

/// As [`read`], of a file that is itself there, and no link to one somewhere else.
pub fn read_no_link(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    check(fs::symlink_metadata(path)?.file_type())?;
    content(within(opened(path, OFlags::NOFOLLOW)?, limit)?, limit)
}

/// As [`read_no_link`], of text.
pub fn read_no_link_to_string(path: impl AsRef<Path>, limit: u64) -> io::Result<String> {
    text(read_no_link(path, limit)?)
}

/// The first part of the path `inside`, below the folder `base`, that is a link: whoever follows it is somewhere else.
pub fn link_below(base: &Path, inside: &Path) -> Result<Option<PathBuf>, PathError> {
    let mut path = base.to_owned();
    for part in inside.components() {
        path.push(part);
        let found = if_there(fs::symlink_metadata(&path)).map_err(at(&path))?;
        if found.is_some_and(|it| it.is_symlink()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Copies the file `from`, with its mode, over `to`; by sharing the blocks where the file system can.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let mut source = open(from)?;
    let mode = source.metadata()?.permissions();
    let mut target = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode.mode() & 0o777)
        .open(to)?;
    target.set_permissions(mode)?;
    io::copy(&mut source, &mut target)
}

/// Writes the file `path` aside and renames it: a reader sees the old content or the new, never a part. Its mode is 0644.
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let mut aside = Aside::beside(path)?;
    aside.write_all(bytes)?;
    aside.put(path)
}

/// Copies the file `from` to `path` by way of `aside`, a path in a folder of the same file system that nobody reads: a reader of `path` sees
/// what was there or all of the copy. `judge` looks at the copy before. It has the mode 0644 and the time of `from`. What is left at
/// `aside` where this fails is the caller's.
pub fn copy_whole(
    from: impl AsRef<Path>,
    path: impl AsRef<Path>,
    aside: impl AsRef<Path>,
    judge: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let aside = aside.as_ref();
    let mut source = open(from)?;
    let mut copy = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(aside)?;
    copy.set_permissions(fs::Permissions::from_mode(0o644))?;
    io::copy(&mut source, &mut copy)?;
    copy.set_modified(source.metadata()?.modified()?)?;
    drop(copy);
    judge(aside)?;
    fs::rename(aside, path)
}

/// None where what was asked for is not there. Every other error stays one: what cannot be read may be there.
pub fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Nobody waits for a pipe's other end.
fn flags(more: OFlags) -> OpenOptions {
    let flags = OFlags::NONBLOCK | more;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

fn opened(path: &Path, more: OFlags) -> io::Result<File> {
    let file = flags(more).open(path)?;
    // What was opened may be another by now.
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn within(file: File, limit: u64) -> io::Result<(File, u64)> {
    match file.metadata()?.len() {
        size if size > limit => Err(too_large(size, limit)),
        size => Ok((file, size)),
    }
}

fn content((file, size): (File, u64), limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // It may grow meanwhile, and files of the kernel have no size.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        length if length > limit => Err(too_large(length, limit)),
        _ => Ok(bytes),
    }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = format!("it is not text: byte {at} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

fn check(kind: FileType) -> io::Result<()> {
    let found = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let why = format!("it is {found}, not a file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn too_large(size: u64, limit: u64) -> io::Error {
    let why = format!(
        "it has {size} bytes, more than the {limit} that such a file may have: is it the right file?"
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
        assert_eq!(read_no_link(&file, 5).unwrap(), b"12345");
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
            for error in [read(path, limit), read_no_link(path, limit)] {
                let error = error.unwrap_err().to_string();
                assert!(error.contains(why), "{}: {error}", path.display());
            }
        }
        for path in [&fifo, dir.path(), Path::new("/dev/zero")] {
            open(path).unwrap_err();
            copy(path, dir.path().join("copy")).unwrap_err();
        }
        assert!(!dir.path().join("copy").exists());
        fs::write(&file, [b'a', 0xff]).unwrap();
        let error = read_to_string(&file, 5).unwrap_err().to_string();
        assert!(error.contains("byte 1"), "{error}");
    }

    #[test]
    fn a_link_is_followed_only_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| dir.path().join(name));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_to_string(&link, 1).unwrap(), "x");
        let error = read_no_link(&link, 1).unwrap_err().to_string();
        assert!(error.contains("a symbolic link"), "{error}");
    }

    #[test]
    fn a_folder_is_opened_as_one_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        open_folder(dir.path()).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        open_folder(&file).unwrap_err();
    }

    #[test]
    fn a_copy_has_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(&to, "what was there").unwrap();
        assert_eq!(copy(&from, &to).unwrap(), 3);
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o7777,
            0o750
        );
    }

    #[test]
    fn a_copy_takes_its_place_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to, aside] = ["from", "to", "aside"].map(|name| dir.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "what was there").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_704_067_200);
        File::options()
            .write(true)
            .open(&from)
            .unwrap()
            .set_modified(time)
            .unwrap();
        copy_whole(&from, &to, &aside, |copy| {
            assert_eq!(fs::read(copy).unwrap(), b"new");
            Err(io::Error::other("no"))
        })
        .unwrap_err();
        assert_eq!(fs::read(&to).unwrap(), b"what was there");
        // What another run left is not written into.
        copy_whole(&from, &to, &aside, |_| Ok(())).unwrap_err();
        fs::remove_file(&aside).unwrap();
        copy_whole(&from, &to, &aside, |_| Ok(())).unwrap();
        let found = fs::metadata(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(found.modified().unwrap(), time);
        assert_eq!(found.permissions().mode() & 0o7777, 0o644);
    }

    #[test]
    fn only_what_is_not_there_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert!(if_there(read(&file, 1)).unwrap().is_none());
        fs::write(&file, "x").unwrap();
        assert_eq!(if_there(read(&file, 1)).unwrap().unwrap(), b"x");
        if_there(read(&file, 0)).unwrap_err();
        if_there(read(dir.path(), 1)).unwrap_err();
    }
}
