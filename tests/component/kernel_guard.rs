//! The kernel guard on made-up machines: a `/boot` and a `/lib/modules` below a folder, GRUB's own program for its environment, and a
//! stand-in for grubby, which Debian does not have.

#![allow(clippy::unwrap_used, reason = "the helpers are part of the tests")]

#[path = "kernel_guard/choice.rs"]
mod choice;
#[path = "kernel_guard/layouts.rs"]
mod layouts;
#[path = "kernel_guard/machine.rs"]
mod machine;
#[path = "kernel_guard/package.rs"]
mod package;
