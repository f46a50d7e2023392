//! What a builder says of a stage, and signs.

use serde::{Deserialize, Serialize};

use super::Error;
use super::error::Refusal;
use crate::sign::{PublicKey, Signer};
use crate::source::LARGEST as LARGEST_CONTENT;
use crate::store::{Digest, Entry, StageRecord};

/// No statement is larger, in bytes: that of a kernel's tree has a quarter of it.
pub(super) const LARGEST: u64 = 64 << 20;

/// The version of the statement.
const FORMAT: u32 = 1;

/// What no other signed text of ours is.
const KIND: &str = "a finished stage of lustre-repo";

/// An archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub sha256: Digest,
    pub size: u64,
}

/// What came out of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statement {
    kind: String,
    format: u32,
    stage: String,
    key: Digest,
    pub outputs: Vec<Entry>,
    pub milliseconds: u64,
    /// Where its files are, if they are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// A statement in one file with its signature, so that no two runs mix theirs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedStatement {
    statement: String,
    signature: String,
}

impl Statement {
    pub(super) fn of(record: &StageRecord, content: Option<Content>) -> Self {
        Self {
            kind: KIND.to_owned(),
            format: FORMAT,
            stage: record.name.clone(),
            key: record.key,
            outputs: record.outputs.clone(),
            milliseconds: record.milliseconds,
            content,
        }
    }

    /// The file that says so.
    pub(super) fn signed(&self, signer: &dyn Signer, time: u32) -> Result<Vec<u8>, Error> {
        let statement = serde_json::to_string(self)?;
        let signature = signer.sign_detached(statement.as_bytes(), time)?;
        let signed = SignedStatement {
            statement,
            signature,
        };
        Ok(serde_json::to_vec(&signed)?)
    }

    /// What such a file says of `stage` with `key`, with the fingerprint of the accepted key that signed it. Nothing of it is looked at before.
    pub(super) fn read(
        bytes: &[u8],
        stage: &str,
        key: &Digest,
        accepted: &[PublicKey],
    ) -> Result<(Self, String), Refusal> {
        let signed: SignedStatement = serde_json::from_slice(bytes).map_err(Refusal::Unreadable)?;
        let mut why = "there is none".to_owned();
        let signer = accepted.iter().find(|key| {
            match key.verify_detached_by_primary(signed.statement.as_bytes(), &signed.signature) {
                Ok(_) => true,
                Err(error) => {
                    why = error.to_string();
                    false
                }
            }
        });
        let Some(signer) = signer else {
            return Err(Refusal::Signature(why));
        };
        // As far as any version has it: what a later one adds is no reason to call it damaged.
        #[derive(Deserialize)]
        struct Head {
            kind: String,
            format: u32,
        }
        let head: Head = serde_json::from_str(&signed.statement).map_err(|_| Refusal::Kind)?;
        if head.kind != KIND {
            return Err(Refusal::Kind);
        }
        if head.format != FORMAT {
            return Err(Refusal::Format {
                found: head.format,
                known: FORMAT,
            });
        }
        let said: Self = serde_json::from_str(&signed.statement).map_err(Refusal::Unreadable)?;
        if said.stage != stage || said.key != *key {
            return Err(Refusal::Other {
                stage: said.stage,
                key: said.key,
            });
        }
        if let Some(content) = said.content.filter(|it| it.size > LARGEST_CONTENT) {
            return Err(Refusal::Large(content.size));
        }
        Ok((said, signer.fingerprint()))
    }
}
