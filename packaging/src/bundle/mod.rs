//! Bundles: all that one target is built from, in one file, for a machine without a network.
//!
//! A bundle is a plain tar archive of files alone, which any `tar` lists. What it holds follows from the lock, and its bytes follow from
//! that: there is one bundle of one content, and everything else is refused.
//!
//! ```text
//! bundle.json         the index: what follows, in this order, each with its size and digest (index)
//! lock.toml           the target's lock
//! target/…            the target's own file, and what of the site it names, where it is a site's
//! trees/NAME.pack     the commit that the lock pins of a source in git
//! files/SHA256        every file that the lock pins
//! ```
//!
//! - [`Archive`] writes one, or any other archive of files that are known by their digests (`archive`).
//! - [`Contents`] is what goes into one (`write`), [`Bundle`] reads one (`read`).

mod archive;
mod error;
mod index;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use archive::{Archive, WrittenArchive, begins_with};
pub use error::Error;
pub use index::{INDEX, Index, Kind, Member, Provenance};
pub use read::{Bundle, ImportCounts};
pub use write::Contents;
