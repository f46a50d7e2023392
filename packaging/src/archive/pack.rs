//! Packing a folder, the same bytes for the same content.

use std::fs::{self};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use liblzma::write::XzEncoder;
use lustre_files::Aside;
use tar::{Builder, EntryType, Header};

use super::Error;
use crate::store::{PathError, walk};

/// When the members of an archive were changed last.
#[derive(Debug, Clone, Copy)]
enum Times {
    /// All of them then, in seconds since 1970.
    At(u64),
    /// As the files say.
    Own,
}

/// The operating system of a gzip header: unknown (RFC 1952).
const OS_UNKNOWN: u8 = 255;

/// Packs all in `dir` as `out`, a tar archive compressed by gzip, in which every path begins with `prefix/`. Entries are
/// sorted, belong to root, have the modes 0644 or 0755 and the time `mtime` (seconds since 1970), so that the same content
/// gives the same bytes. `.git` is left out. `out` is there only when it is complete.
pub fn pack_tar_gz(dir: &Path, prefix: &str, mtime: u64, out: &Path) -> Result<(), Error> {
    pack(dir, prefix, Times::At(mtime), &|_| true, out, |file| {
        Ok(GzBuilder::new()
            .mtime(0)
            .operating_system(OS_UNKNOWN)
            .write(file, Compression::new(6)))
    })
}

/// As [`pack_tar_gz`], compressed by xz as fast as it goes: for a tree of a gigabyte that is unpacked once.
pub fn pack_tar_xz(dir: &Path, prefix: &str, mtime: u64, out: &Path) -> Result<(), Error> {
    pack(dir, prefix, Times::At(mtime), &|_| true, out, |file| {
        Ok(XzEncoder::new(file, 0))
    })
}

/// As [`pack_tar_gz`], compressed by zstd, with the times that the files have, and with what of `dir` is `wanted` alone: for what is to be
/// as it was where it is unpacked.
pub fn pack_tar_zst(
    dir: &Path,
    prefix: &str,
    wanted: &dyn Fn(&Path) -> bool,
    out: &Path,
) -> Result<(), Error> {
    pack(dir, prefix, Times::Own, wanted, out, |file| {
        zstd::Encoder::new(file, 3)
    })
}

/// Compresses the file `from` by xz as fast as it goes. `out` is there only when it is complete.
pub fn compress_xz(from: &Path, out: &Path) -> Result<(), Error> {
    let failed = |source| PathError::new("write", out, source);
    let mut file =
        lustre_files::open(from).map_err(|source| PathError::new("read", from, source))?;
    let temp = Aside::beside(out).map_err(failed)?;
    let mut xz = XzEncoder::new(BufWriter::new(temp), 0);
    io::copy(&mut file, &mut xz).map_err(failed)?;
    let temp = Finish::finish(xz)
        .and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(failed)?;
    Ok(temp.put_synced(out).map_err(failed)?)
}

/// A compression that ends with what it wrote to.
trait Finish: Write {
    fn finish(self) -> io::Result<BufWriter<Aside>>;
}

impl Finish for GzEncoder<BufWriter<Aside>> {
    fn finish(self) -> io::Result<BufWriter<Aside>> {
        GzEncoder::finish(self)
    }
}

impl Finish for zstd::Encoder<'_, BufWriter<Aside>> {
    fn finish(self) -> io::Result<BufWriter<Aside>> {
        zstd::Encoder::finish(self)
    }
}

impl Finish for XzEncoder<BufWriter<Aside>> {
    fn finish(self) -> io::Result<BufWriter<Aside>> {
        XzEncoder::finish(self)
    }
}

fn pack<W: Finish>(
    dir: &Path,
    prefix: &str,
    times: Times,
    wanted: &dyn Fn(&Path) -> bool,
    out: &Path,
    compressed: impl FnOnce(BufWriter<Aside>) -> io::Result<W>,
) -> Result<(), Error> {
    let failed = |source| PathError::new("write", out, source);
    let temp = Aside::beside(out).map_err(failed)?;
    let mut tar = Builder::new(compressed(BufWriter::new(temp)).map_err(failed)?);
    for path in sorted(dir)? {
        if !wanted(&path) {
            continue;
        }
        // A kernel's tree takes minutes.
        if crate::process::interrupted() {
            return Err(failed(io::Error::other("interrupted")).into());
        }
        add(&mut tar, dir, &path, prefix, times).map_err(|error| match error {
            // What fails on the archive's side is told as the archive's.
            Error::Path(inner) if inner.is_full() => {
                PathError::new("write", out, inner.source).into()
            }
            other => other,
        })?;
    }
    let temp = tar
        .into_inner()
        .and_then(Finish::finish)
        .and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(failed)?;
    Ok(temp.put_synced(out).map_err(failed)?)
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = vec![PathBuf::new()];
    for item in walk(dir) {
        let item = item?;
        paths.push(
            item.path()
                .strip_prefix(dir)
                .unwrap_or(item.path())
                .to_owned(),
        );
    }
    paths.sort();
    Ok(paths)
}

fn add<W: Write>(
    tar: &mut Builder<W>,
    dir: &Path,
    path: &Path,
    prefix: &str,
    times: Times,
) -> Result<(), Error> {
    let full = dir.join(path);
    let failed = |source| PathError::new("pack", &full, source);
    let meta = fs::symlink_metadata(&full).map_err(failed)?;
    let name = Path::new(prefix).join(path);
    let mut header = Header::new_gnu();
    header.set_mtime(match times {
        Times::At(time) => time,
        Times::Own => u64::try_from(meta.mtime()).unwrap_or_default(),
    });
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if meta.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        tar.append_data(&mut header, name.join(""), io::empty())
            .map_err(failed)?;
    } else if meta.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        let target = fs::read_link(&full).map_err(failed)?;
        tar.append_link(&mut header, name, target).map_err(failed)?;
    } else if meta.is_file() {
        let mode = meta.permissions().mode();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if mode & 0o111 == 0 { 0o644 } else { 0o755 });
        header.set_size(meta.len());
        let file = lustre_files::open(&full).map_err(failed)?;
        tar.append_data(&mut header, name, file).map_err(failed)?;
    } else {
        return Err(Error::Special { path: full });
    }
    Ok(())
}
