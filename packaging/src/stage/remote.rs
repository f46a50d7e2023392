//! Results that others have: what a run asks for before it makes a stage itself, and gives away.

use std::fmt::Debug;
use std::path::Path;

use super::graph::Failure;
use crate::store::{Digest, Entry, SharedOrigin, StageDir, digest_entries};

/// What somebody who is trusted says of a stage that was made elsewhere.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What came out.
    pub outputs: Vec<Entry>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Where what came out can be had: the digest and the size of an archive. None where only what is above is known.
    pub content: Option<(Digest, u64)>,
    pub taken: SharedOrigin,
}

impl Offer {
    /// The digest of what came out.
    pub fn digest(&self) -> Digest {
        digest_entries(&self.outputs)
    }
}

/// What became of a stage that was given away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareOutcome {
    /// It was put there.
    Put,
    /// What it is was put there, but not its content: why.
    Described(String),
    /// The same was there.
    Kept,
    /// It is none that is given away.
    Own,
}

/// Where results of others are.
pub trait Remote: Sync + Debug {
    /// What is there of a stage.
    ///
    /// # Errors
    /// When something is there that nobody vouches for who is trusted, or when it cannot be found out.
    fn look(&self, stage: &str, key: &Digest) -> Result<Option<Offer>, Failure>;

    /// Whether what is there of a stage cannot be found out any more: for [`look`](Self::look), there is nothing then.
    fn is_unknown(&self, stage: &str) -> bool;

    /// Fetches the content of `offer`, that of the stage `key`, into the folder `into`. Whether it is what was offered is for the caller to find out.
    fn take(&self, key: &Digest, offer: &Offer, into: &Path) -> Result<(), Failure>;

    /// Whether finished stages are put there.
    fn receives(&self) -> bool;

    /// Puts a finished stage there.
    fn give(&self, stage: &StageDir) -> Result<ShareOutcome, Failure>;
}
