//! What a repository is made of, for those who keep lists of it: packages, sources by digest, patches of ours, build packages, and the
//! crates of the tool. In two forms, SPDX 2.3 and CycloneDX 1.6.
//!
//! - `parts`: what is listed, in either form.
//! - `spdx`, `cyclonedx`: the forms.
//!
//! Pure, and the same bytes for the same repository.

mod cyclonedx;
mod parts;
mod spdx;

pub use cyclonedx::FILE as CYCLONEDX;
pub use parts::{Bom, Crate, MadeWith, Patch};
pub use spdx::FILE as SPDX;

/// The files, by name.
pub fn files(bom: &Bom<'_>) -> [(&'static str, String); 2] {
    [
        (SPDX, spdx::document(bom)),
        (CYCLONEDX, cyclonedx::document(bom)),
    ]
}

#[cfg(test)]
mod tests;
