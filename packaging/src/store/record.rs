//! The record of a stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Digest, Entry, digest_entries};

/// What a stage was made from and what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The stage: "kernel", "lustre".
    pub name: String,
    /// The digest of all it depends on.
    pub key: Digest,
    /// What it depends on, by name, as digests or short values: what `plan` compares to say why a stage would run.
    pub inputs: BTreeMap<String, String>,
    /// What came out, without the record itself.
    pub outputs: Vec<Entry>,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Its log, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// The digest of the list of what is in the folders that are recorded as one, where there are such. It is no part of
    /// [`StageRecord::digest`]: such a folder is not the same twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Digest>,
    /// Where it was made, if not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<SharedOrigin>,
    /// Whether it was compiled with a cache.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compiler_cache: bool,
}

/// That a stage was not made here, but taken from a shared store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedOrigin {
    /// Where the shared store is, without a password.
    pub from: String,
    /// The fingerprint of the key that signed it.
    pub signer: String,
}

impl StageRecord {
    /// The digest of the outputs: what a stage that takes them as input depends on.
    pub fn digest(&self) -> Digest {
        digest_entries(&self.outputs)
    }
}
