//! Kernel configs: reading them, merging fragments into a distribution's, and comparing what a build really used.
//!
//! kconfig drops what it does not know and overrules what contradicts a dependency, without a word. So a merged config
//! is only a wish: after `make olddefconfig` it is [compared](compare) with what came out.
//!
//! A fragment is a config of a few lines. Comments beginning with `#@` are directives: after `#@ where-known` the
//! options count only where the kernel knows them, after `#@ always` again everywhere.

mod compare;
mod known;
mod merge;
mod text;

pub use compare::{Comparison, Difference, compare};
pub(crate) use known::declared as declared_options;
pub use known::{KnownError, known_symbols};
pub use merge::{Fragment, Merged, Setting, merge};
pub use text::{Config, ConfigError, Entry, Value};

#[cfg(test)]
mod tests;
