//! MD5, by which packages and sources are known that were always known by it.

use md5::Digest as _;

/// An MD5 that is being taken.
///
/// The crate that computes it has it compiled anew into every crate that calls it; this one is optimised in debug builds, too, and others are
/// not, in which it takes ten times as long.
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
