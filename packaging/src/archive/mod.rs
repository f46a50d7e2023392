//! Archives: unpacking what was fetched without letting it out of its folder, and packing what a build takes.
//!
//! - [`unpack`], [`unpack_only`]: tar archives, plain or compressed by gzip, xz or zstd; whole or in parts.
//! - [`unpack_srpm`]: the spec file and the sources of a source package.
//! - [`pack_tar_gz`]: a folder as a tar archive, the same bytes for the same content.
//! - [`check_links`]: that no symbolic link of a tree leads out of it.

mod error;
mod links;
mod pack;
mod srpm;
#[cfg(test)]
mod tests;
mod unpack;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

pub use error::{Error, Refusal};
pub use links::check_links;
pub use pack::pack_tar_gz;
pub use srpm::{Srpm, unpack_srpm};
pub(crate) use unpack::finish;
pub use unpack::{Unpacked, unpack, unpack_only};

use crate::store::PathError;

/// Opens a file that may be compressed by gzip, xz or zstd, told by its first bytes, and gives its content.
///
/// # Errors
/// When the file cannot be read or is compressed in another way.
pub fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    let failed = |source| PathError::new("read", path, source);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let start = io::BufRead::fill_buf(&mut file).map_err(failed)?;
    let unknown = |kind: &'static str| Error::Compression {
        archive: path.to_owned(),
        kind,
    };
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(file))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file).map_err(failed)?),
        [b'B', b'Z', b'h', ..] => return Err(unknown("bzip2")),
        [b'P', b'K', 3, 4, ..] => return Err(unknown("zip")),
        _ => Box::new(file),
    })
}
