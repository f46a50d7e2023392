//! What other builders are told, so that they make of our source packages what is made here.
//!
//! - [`obs`]: an Open Build Service.
//!
//! Functions of a target alone: no path, key or time of this machine is in what they give.

pub mod obs;

use crate::target::Target;

/// The macros that make a build repeatable, whoever builds.
fn repeatable(target: &Target) -> Vec<(&'static str, String)> {
    crate::build::workdir::repeatable(&target.build.host).into()
}
