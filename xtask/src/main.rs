//! `cargo xtask`: the command line of lustre-repo.
fn main() {}
