//! How a file is compressed, and its content whatever that is.

use std::io::{self, BufReader, Read};
use std::path::Path;

use super::{Error, bounded};
use crate::store::PathError;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
    /// By xz.
    Xz,
    /// By zstd.
    Zstd,
    /// By bzip2.
    Bzip2,
}

impl Compression {
    /// What the name of a file says.
    pub fn of_name(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, end)| end) {
            Some("gz") => Self::Gzip,
            Some("xz") => Self::Xz,
            Some("zst") => Self::Zstd,
            Some("bz2") => Self::Bzip2,
            _ => Self::None,
        }
    }

    /// What the first bytes of a file say.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        let failed = |source| PathError::new("read", path, source);
        let mut file = BufReader::new(lustre_files::open(path).map_err(failed)?);
        Self::of_start(io::BufRead::fill_buf(&mut file).map_err(failed)?).map_err(|kind| {
            Error::Compression {
                archive: path.to_owned(),
                kind,
            }
        })
    }

    fn of_start(bytes: &[u8]) -> Result<Self, &'static str> {
        Ok(match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [b'P', b'K', 3, 4, ..] => return Err("zip"),
            [0, b'Z', b'C', b'K', b'1', ..] => return Err("zchunk"),
            _ => Self::None,
        })
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "no compression",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        })
    }
}

/// Opens a file that may be compressed by gzip, xz, zstd or bzip2, told by its first bytes, and gives its content.
pub fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    let compression = Compression::of_file(path)?;
    let failed = |source| PathError::new("read", path, source);
    let file = BufReader::new(lustre_files::open(path).map_err(failed)?);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Xz => Box::new(bounded::xz(file).map_err(failed)?),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(file).map_err(failed)?),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
    })
}
