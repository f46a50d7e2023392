//! The kernel guard on made-up machines: a `/boot` and a `/lib/modules` below a folder, GRUB's own program for its environment, and a
//! stand-in for grubby, which Debian does not have.

mod choice;
mod layouts;
mod machine;
mod package;
