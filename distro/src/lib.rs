//! A generated distribution: Debian packages re-wrapped as RPMs, and packages of its own, in dnf repositories.
//!
//! - [`recipe`]: `distribution.toml`, the data all of this works from.
//! - [`debian`]: Debian's archive through apt: pins and files.
//! - [`release`]: the kernel's spec for the upstream release that is pinned.
//! - [`version`], [`depends`]: Debian's versions and relations as RPM's.
//! - [`tree`]: the files of a package, and the rules for their paths.
//! - [`deb`]: reading a .deb.
//! - [`provides`]: what the files provide (sonames, pkg-config, Perl).
//! - [`convert`], [`own`]: plans for RPMs, from .debs and from the distribution's own folders.
//! - [`writer`]: a plan as an RPM file.
//! - [`assemble`]: all packages and the repository's metadata.
//! - [`srpm`]: source packages, and what a spec says it makes; [`stock`]: the distribution's own builds of those.
//! - [`offered`]: the names its packages will have, without making any.
//! - [`build`]: everything, signed: the base and the source repository.
//!
//! Debian's maintainer scripts are not carried over: what they would have set up is data in the recipe (links, file
//! triggers) or in an own package (users, configuration).

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

pub mod assemble;
pub mod build;
pub mod convert;
pub mod deb;
pub mod debian;
pub mod depends;
pub mod offered;
pub mod own;
pub mod provides;
pub mod recipe;
pub mod release;
pub mod srpm;
pub mod stock;
pub mod tree;
pub mod version;
pub mod writer;

pub use assemble::inputs_digest;
pub use build::{Inputs, build};
pub use debian::Apt;
pub use recipe::Recipe;
