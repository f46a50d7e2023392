//! Closure: does every requirement of our packages find a provider in the base and in our own repository?
//!
//! - [`rich`]: requirements, plain and boolean.
//! - [`universe`]: all packages with an index by name, and what is missing among them.
//! - [`exclusion`]: what cannot be installed beside each other.
//! - [`kernel`]: symbol checksums must all come from one kernel, not from a mixture.
//!
//! Pure: packages come in as values (read from repodata or made by a test), answers go out as values.

pub mod exclusion;
pub mod kernel;
pub mod rich;
pub mod universe;

#[cfg(test)]
mod tests;

pub use rich::Requirement;
pub use universe::{Member, Missing, Origin, Universe};
