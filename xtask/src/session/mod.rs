//! What commands build on: the lock and what it pins, the key, and stages that are run. Nothing here knows a command.
//!
//! - [`ready`](mod@ready): a lock, and what it pins, in the store.
//! - [`run`](mod@run): stages, run and recorded.
//! - [`signing`](mod@signing): the key, and the times that it signs with.

mod ready;
mod run;
mod signing;

pub use ready::{ready, run_servers};
pub use run::{folder, needed, run, run_again, run_taking, stage};
pub use signing::{planned_signing, signing};
