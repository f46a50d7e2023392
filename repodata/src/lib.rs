//! Repodata: the metadata that makes a folder of RPMs a dnf repository (`repodata/repomd.xml` and what it lists).
//!
//! - [`write()`] makes it from the packages' headers, field by field as createrepo_c 1.2 does, and byte for byte the same
//!   for the same packages; [`read()`] verifies and parses it, ours or anybody's.
//! - [`relocate()`] makes metadata of the same packages at another place.
//! - `model`: what one package's metadata is. Both directions share it.
//! - `header`: an RPM's header to the model.
//! - `render`: the model to XML. `document` and `parse`: XML to the model. `repomd`: the index, `repomd.xml`.
//! - `output`: compressed, hashed and named files, and the swap of the whole folder.
//! - [`closure`]: whether packages find what they require, by their metadata.
//!
//! `docs/decisions/0001-repodata.md` says why this is written here instead of taken from a library.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

pub mod closure;
mod document;
mod error;
mod header;
mod model;
mod output;
mod parse;
#[cfg(test)]
mod properties;
mod read;
mod relocate;
mod render;
mod repomd;
mod write;

pub use error::Error;
pub use model::{Changelog, Checksum, Entry, Evr, File, FileKind, Flag, Package, Relation};
pub use read::{MAX_FILE, Metadata, primary, read};
pub use relocate::{Place, relocate, relocation_differs};
pub use repomd::{Record, Repomd};
pub use write::{Options, write};
