//! Running other programs: without our secrets, with an end when the run is interrupted, and with an error that says what they said.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

mod capture;
mod child;
mod error;
pub mod interruption;
mod log;
mod orphans;
mod parent;
pub mod room;
mod run;
pub mod secrets;
mod shown;
mod table;

pub use capture::{
    Bounded, capture, capture_bounded, capture_with_input, output, output_with_input,
};
pub use error::Error;
pub use interruption::{interrupt, interrupted, kill, ourselves, sleep};
pub use log::{begin_log, log_file, tail};
pub use orphans::adopt_orphans;
pub use parent::{end_with_parent, ends_with_us};
pub use run::{WatchOutcome, lines, run_logged, status, watch, with_child};
pub use secrets::{command, with_tokens};

#[cfg(test)]
mod tests;
