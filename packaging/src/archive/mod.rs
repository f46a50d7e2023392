//! Archives: unpacking what was fetched without letting it out of its folder, and packing what a build takes.
//!
//! - [`unpack`], [`unpack_only`]: tar archives, plain or compressed by gzip, xz, zstd or bzip2; whole or in parts.
//! - [`unpack_srpm`]: the spec file and the sources of a source package.
//! - [`pack_tar_gz`], [`pack_tar_xz`]: a folder as a tar archive, the same bytes for the same content; [`pack_tar_zst`]: with its times.
//! - [`check_links`]: that no symbolic link of a tree leads out of it.

pub mod bounded;
mod compression;
mod error;
mod links;
mod pack;
mod srpm;
#[cfg(test)]
mod tests;
mod unpack;

pub use compression::{Compression, open};
pub use error::{Error, Refusal};
pub use links::check_links;
pub use pack::{compress_xz, pack_tar_gz, pack_tar_xz, pack_tar_zst};
pub use srpm::{Srpm, unpack_srpm};
pub(crate) use unpack::finish;
pub use unpack::{Unpacked, unpack, unpack_only, unpack_within};
