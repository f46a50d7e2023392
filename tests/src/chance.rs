//! Moments for kills.

/// Numbers as if by chance, another list for another seed.
pub struct Chance(u64);

impl Chance {
    /// The list for `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, from 0 to below 1.
    #[allow(
        clippy::should_implement_trait,
        reason = "it never ends, and gives no option"
    )]
    pub fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }
}
