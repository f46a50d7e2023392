//! What upstream has mended since a commit of Lustre, and what is known to be wrong with it.
//!
//! - [`commit`]: commits, out of what `git log` says.
//! - [`history`]: the commits that a pinned one is made of, found by id, subject, Change-Id and ticket.
//! - [`select`]: which of the later commits mend one of these, without those that it has under another id.
//! - [`relevance`]: what such a commit says and touches, for the order.
//! - [`ledger`]: `specs/lustre/safety.toml`, the faults that somebody has looked at.
//! - [`status`]: what of these concerns a target, and whether it is mended, accepted or open.

pub mod commit;
pub mod history;
pub mod ledger;
pub mod relevance;
pub mod select;
pub mod status;

pub use commit::Commit;
pub use history::History;
pub use ledger::{Concerns, Fault, Ledger, Severity};
pub use select::{Advisory, Selection, select};
pub use status::{FaultStatus, TargetFault};
