//! MD5: the digest by which rpm and OBS identify packages and sources.

use md5::Digest as _;

/// An MD5 that is being taken.
///
/// The `md5` crate is generic, so it is compiled into each crate that calls it. This crate is optimised in debug builds; others are not, and
/// there it takes ten times as long.
#[derive(Debug, Clone, Default)]
#[allow(clippy::disallowed_types, reason = "here it is optimised")]
pub struct Md5(md5::Md5);

impl Md5 {
    /// Adds `bytes`.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[inline(never)]
    pub fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> [u8; 16] {
        let mut md5 = Self::default();
        md5.update(bytes);
        md5.finish()
    }
}
