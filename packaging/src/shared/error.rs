//! Why something of a shared store is not used.

use lustre_files::help;

use crate::stage::Failure;
use crate::store::Digest;
use crate::{archive, sign, store};

/// What can go wrong with a shared store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{place} cannot be asked, and is not asked again in this run: {why}")]
    Unreachable { place: String, why: Failure },
    #[error("{place}: {path} is refused: {why}")]
    Refused {
        place: String,
        path: String,
        why: Refusal,
    },
    #[error("{place}: {path} cannot be used: {why}")]
    Content {
        place: String,
        path: String,
        why: Failure,
    },
    #[error(
        "it was compiled with a compiler cache, which any build could have changed{}",
        help!("build it once more without --ccache: `cargo xtask build --rebuild STAGE --push`")
    )]
    CompilerCache,
    #[error("it is not as it was recorded: {0}")]
    Damaged(String),
    #[error("only the digests of it are there")]
    NoContent,
    #[error("{place} does not take it, and is given nothing more in this run: {why}")]
    Put { place: String, why: Failure },
    #[error(
        "{place} has another result of the same inputs, signed by {signer}, which is left there{}",
        help!("find out what differs with `cargo xtask build --rebuild STAGE`: the stage is not reproducible, or one of the two is wrong")
    )]
    Differs { place: String, signer: String },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Path(#[from] store::PathError),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error("it cannot be signed: {0}")]
    Sign(#[from] sign::Error),
    #[error("it cannot be written down: {0}")]
    Json(#[from] serde_json::Error),
}

/// Why what is there of a stage is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("it is no entry: {0}")]
    Odd(Failure),
    #[error("it cannot be read: {0}")]
    Unreadable(serde_json::Error),
    #[error("no accepted key signed it: {0}")]
    Signature(String),
    #[error("what is signed is no statement about a stage")]
    Kind,
    #[error("it has the format {found}, and this version reads {known}")]
    Format { found: u32, known: u32 },
    #[error("it is about the stage {stage} with the key {key}")]
    Other { stage: String, key: Digest },
    #[error("its archive would have {0} bytes")]
    Large(u64),
}
