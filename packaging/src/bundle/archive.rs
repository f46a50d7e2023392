//! Tar archives of plain files, one way to write each: the same files give the same bytes, and what is read is compared with what would
//! have been written.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lustre_files::PathError;
use lustre_files::swap::FileAside;
use tar::{EntryType, Header};

use super::Error;
use crate::process::{self, room};
use crate::store::{Digest, Hasher};

/// A block: the unit of the format.
pub(super) const BLOCK: u64 = 512;

/// What stands behind the last member.
pub(super) const END: u64 = 2 * BLOCK;

/// The largest member: no pinned file is as large, and no sum of sizes ends where numbers do.
pub(super) const LARGEST: u64 = 1 << 40;

/// How much is copied at a time.
const PIECE: usize = 1 << 20;

/// The size with what fills its last block.
pub(super) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The one header of a member.
pub(super) fn header(path: &str, size: u64, mtime: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Whether the file `path` begins with a member that one of ours begins with: one by the name that `is` takes.
pub fn begins_with(path: &Path, is: impl FnOnce(&str) -> bool) -> Result<bool, Error> {
    let file = lustre_files::open(path).map_err(|source| PathError::new("read", path, source))?;
    let mut block = [0; BLOCK as usize];
    match file.read_exact_at(&mut block, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(source) => return Err(PathError::new("read", path, source).into()),
    }
    let found = Header::from_byte_slice(&block);
    let name = found.path_bytes();
    let (Ok(name), Ok(size), Ok(mtime)) = (
        std::str::from_utf8(&name),
        found.entry_size(),
        found.mtime(),
    ) else {
        return Ok(false);
    };
    let ours = header(name, size, mtime).is_ok_and(|ours| ours.as_bytes() == &block);
    Ok(ours && is(name))
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenArchive {
    /// Its size in bytes.
    pub size: u64,
    pub sha256: Digest,
}

/// An archive in the making. It is there under its name once it is complete, and not at all before.
pub struct Archive {
    out: PathBuf,
    /// Gone with this, unless it got its name.
    aside: FileAside,
    file: BufWriter<File>,
    hasher: Hasher,
    size: u64,
}

impl Archive {
    /// Begins the archive `out` of members that have `bytes` in all, in place of what is there.
    pub fn create(out: &Path, bytes: u64) -> Result<Self, Error> {
        room::at_output(&out.display().to_string(), bytes, out, None)?;
        let failed = |action| move |source| PathError::new(action, out, source);
        let mut aside = FileAside::new(out).map_err(failed("write next to"))?;
        let file = aside.file().try_clone().map_err(failed("write"))?;
        Ok(Self {
            out: out.to_owned(),
            aside,
            file: BufWriter::with_capacity(PIECE, file),
            hasher: Hasher::new(),
            size: 0,
        })
    }

    /// Adds a file of `size` bytes, which `reader` gives and `from` names; `sha256` is its digest.
    pub fn add(
        &mut self,
        path: &str,
        mtime: u64,
        (size, sha256): (u64, &Digest),
        from: &Path,
        reader: &mut dyn Read,
    ) -> Result<(), Error> {
        let header =
            header(path, size, mtime).map_err(|source| PathError::new("pack", from, source))?;
        self.write(header.as_bytes())?;
        let mut content = Hasher::new();
        let mut piece = vec![0; PIECE];
        // One byte more than it has: it may have grown.
        let mut reader = reader.take(size.saturating_add(1));
        let mut come = 0;
        loop {
            let length = reader
                .read(&mut piece)
                .map_err(|source| PathError::new("read", from, source))?;
            if process::interrupted() {
                return Err(Error::Interrupted);
            }
            if length == 0 {
                break;
            }
            come += length as u64;
            content.update(&piece[..length]);
            self.write(&piece[..length])?;
        }
        let found = content.finish();
        if come != size || found != *sha256 {
            let why =
                format!("it changed: expected sha256 {sha256} and {size} bytes, found {found}");
            return Err(PathError::new("pack", from, io::Error::other(why)).into());
        }
        let fill = padded(size) - size;
        self.write(&[0; BLOCK as usize][..usize::try_from(fill).unwrap_or_default()])
    }

    /// Ends the archive, and gives it its name.
    pub fn finish(mut self) -> Result<WrittenArchive, Error> {
        self.write(&[0; END as usize])?;
        self.file
            .flush()
            .map_err(|source| PathError::new("write", &self.out, source))?;
        self.aside
            .commit()
            .map_err(|source| PathError::new("rename to", &self.out, source))?;
        Ok(WrittenArchive {
            size: self.size,
            sha256: self.hasher.finish(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .map_err(|source| PathError::new("write", &self.out, source))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }
}
