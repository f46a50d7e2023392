//! The files of the metadata: compressed, hashed, named after their digest, and put in place all at once.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use lustre_files::tried;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::error::Error;
use super::model::Checksum;
use super::repomd::Record;

/// The start of the name of a folder that is being written, next to `repodata`.
const NEW: &str = ".repodata.new-";
/// The start of the name of a folder that was replaced and is being removed.
const OLD: &str = ".repodata.old-";

/// Whether an entry of the repository's root is metadata, finished or not, and so holds no packages.
pub(super) fn is_metadata(name: &str) -> bool {
    name == "repodata" || name.starts_with(NEW) || name.starts_with(OLD)
}

/// A `repodata` that is being written aside. Dropping it leaves the one in place as it was.
pub(super) struct Staged {
    root: PathBuf,
    folder: TempDir,
    /// Held, so that nobody else writes this repository's metadata, and what others left behind is known to be dead.
    _lock: Lock,
}

/// A folder that is locked until this is dropped.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that is just being started and has not yet closed its copy.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Staged {
    /// Begins: takes the repository's lock and removes what an interrupted run left.
    pub(super) fn begin(root: &Path) -> Result<Self, Error> {
        let lock = lustre_files::open_folder(root).map_err(tried("open", root))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| {
            if errno == Errno::WOULDBLOCK {
                Error::Busy {
                    root: root.to_owned(),
                }
            } else {
                tried("lock", root)(errno).into()
            }
        })?;
        for entry in fs::read_dir(root).map_err(tried("read", root))? {
            let entry = entry.map_err(tried("read", root))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(NEW) || name.starts_with(OLD) {
                removed(&entry.path())?;
            }
        }
        let folder = tempfile::Builder::new()
            .prefix(NEW)
            .tempdir_in(root)
            .map_err(tried("create a folder in", root))?;
        Ok(Self {
            root: root.to_owned(),
            folder,
            _lock: Lock(lock),
        })
    }

    /// The folder that is being written.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file as it is, of the given time.
    pub(super) fn plain(&self, name: &str, bytes: &[u8], time: u64) -> Result<(), Error> {
        let path = self.path().join(name);
        let mut file = File::create_new(&path).map_err(tried("create", &path))?;
        file.write_all(bytes).map_err(tried("write", &path))?;
        Ok(finish(&file, time).map_err(tried("write", &path))?)
    }

    /// Puts the folder in place of `repodata`, in one step where the file system can exchange two folders.
    pub(super) fn commit(self) -> Result<(), Error> {
        let new = self.folder.path();
        let place = self.root.join("repodata");
        // The temporary folder is its owner's alone; repodata is for everybody, whatever the umask.
        fs::set_permissions(new, Permissions::from_mode(0o755))
            .map_err(tried("set the mode of", new))?;
        // Renamed, it would take along what is mounted in it.
        lustre_files::nothing_mounted(&place).map_err(tried("replace", &place))?;
        match renameat_with(CWD, new, CWD, &place, RenameFlags::EXCHANGE) {
            // The temporary folder now is the old repodata.
            Ok(()) => removed(&self.folder.keep()),
            Err(Errno::NOENT) => {
                fs::rename(new, &place).map_err(tried("create", &place))?;
                let _ = self.folder.keep();
                Ok(())
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let old = tempfile::Builder::new()
                    .prefix(OLD)
                    .tempdir_in(&self.root)
                    .map_err(tried("create a folder in", &self.root))?;
                fs::rename(&place, old.path().join("repodata"))
                    .map_err(tried("move away", &place))?;
                fs::rename(new, &place).map_err(tried("create", &place))?;
                let _ = self.folder.keep();
                removed(&old.keep())
            }
            Err(errno) => Err(tried("replace", &place)(errno).into()),
        }
    }
}

fn removed(folder: &Path) -> Result<(), Error> {
    Ok(lustre_files::remove_tree(folder).map_err(tried("remove", folder))?)
}

/// A gzip file that is being written, named once its digest is known.
pub(super) struct Compressed {
    path: PathBuf,
    encoder: GzEncoder<Hashing<BufWriter<File>>>,
    open: Sha256,
    open_size: u64,
}

impl Compressed {
    /// Begins the file `name` (`primary.xml.gz`) in a folder.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, Error> {
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(tried("create", &path))?;
        let hashing = Hashing {
            inner: BufWriter::new(file),
            hasher: Sha256::new(),
            size: 0,
        };
        Ok(Self {
            path,
            // No time and no name, and always the same operating system (3: Unix): the content decides the bytes.
            encoder: GzBuilder::new()
                .mtime(0)
                .operating_system(3)
                .write(hashing, Compression::default()),
            open: Sha256::new(),
            open_size: 0,
        })
    }

    /// Appends text.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Error> {
        self.open.update(text);
        self.open_size += text.len() as u64;
        let written = self.encoder.write_all(text.as_bytes());
        Ok(written.map_err(tried("write", &self.path))?)
    }

    /// Ends the file, gives it its name and time and describes it.
    pub(super) fn finish(self, kind: &str, time: u64) -> Result<Record, Error> {
        let path = self.path;
        let hashing = self.encoder.finish().map_err(tried("write", &path))?;
        let file = hashing
            .inner
            .into_inner()
            .map_err(|error| tried("write", &path)(error.into_error()))?;
        finish(&file, time).map_err(tried("write", &path))?;
        let checksum = sha256(hashing.hasher);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}-{name}", checksum.hex);
        fs::rename(&path, path.with_file_name(&name)).map_err(tried("rename", &path))?;
        Ok(Record {
            kind: kind.to_owned(),
            checksum,
            open_checksum: Some(sha256(self.open)),
            location: format!("repodata/{name}"),
            timestamp: i64::try_from(time).unwrap_or(i64::MAX),
            size: Some(hashing.size),
            open_size: Some(self.open_size),
        })
    }
}

/// The digest that a hasher has come to.
pub(super) fn sha256(hasher: Sha256) -> Checksum {
    Checksum {
        kind: "sha256".to_owned(),
        hex: format!("{:x}", hasher.finalize()),
    }
}

/// Mode and time of a finished file: the same on every machine.
fn finish(file: &File, time: u64) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time))
}

/// Hashes and counts what is written through it.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_that_a_child_has_for_a_moment_keeps_nobody_out() {
        let root = tempfile::tempdir().unwrap();
        let staged = Staged::begin(root.path()).unwrap();
        assert!(matches!(
            Staged::begin(root.path()),
            Err(Error::Busy { .. })
        ));
        let _copy = staged._lock.0.try_clone().unwrap();
        drop(staged);
        drop(Staged::begin(root.path()).unwrap());
    }
}
