//! The Lustre model and the macros its spec is built with: does the spec give the packages of a server, and do the
//! dependency generators say what a kernel provides and a module needs?
//!
//! No kernel is built here. The modules are small objects with the sections that `modprobe` reads, the kernel a directory
//! with a release and a list of symbol versions.

mod generators;
mod helpers;
mod packages;
mod tree;
