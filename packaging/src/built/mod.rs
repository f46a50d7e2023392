//! What was built, in a folder: unsigned packages, for another machine to sign, and to be compared with those of another builder.
//!
//! ```text
//! build.json              the index: what it was built of, and every file with its size and digest
//! STAGE/…                 what the stage STAGE put out
//! ```
//!
//! The same packages of the same sources give the same bytes, so the digest of the index stands for all of it. Nothing of a folder is used
//! that its index does not list, and no file that is not as it is listed.

mod error;
mod index;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::Error;
pub use index::{INDEX, Index, IndexedFile, MadeOf};
pub use read::{BuildOutput, differences};
pub use write::{around, judge, write};
