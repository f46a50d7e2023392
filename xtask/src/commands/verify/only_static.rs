//! `cargo xtask verify --static`: what can be told of a repository without a chroot.

use std::path::{Path, PathBuf};

use lustre_packaging::sandbox;
use lustre_repository::proof::{self, Check, StaticInput};

use super::expected::Expected;
use super::signatures::{Limits, Signatures, signatures};
use crate::base::{Base, base};
use crate::context::Context;
use crate::graph::finish::repo_file;
use crate::prove::not_installed;

/// Why the proofs that install are not among the results.
const NOT_ASKED: &str = "not run: --static only runs the static checks";

/// The checks that were made, and those that were not, with the reason.
pub struct Checked {
    pub made: Vec<Check>,
    pub left: Vec<Check>,
}

/// All static checks of the repository at `dist`. Those that hold it against the distribution's packages are made where these are in the
/// store.
pub fn checks(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    limits: Limits,
) -> anyhow::Result<Checked> {
    let Signatures {
        checks: mut made,
        digests,
        published,
        read_on,
        ..
    } = signatures(context, dist, expected, limits)?;
    let mut left = not_installed(NOT_ASKED);
    if !read_on {
        return Ok(Checked { made, left });
    }
    let (target, base) = match base(context)? {
        Base::There { target, folder, .. } => (target, Ok(folder)),
        Base::Missing(why) => (Box::new(context.target.clone()), Err(why)),
    };
    let repos: Vec<PathBuf> = base.iter().cloned().collect();
    let repo_file = repo_file(&context.target)?;
    let input = StaticInput {
        dist,
        base_repos: &repos,
        expected: &target.expected_packages(),
        target: &context.target.name,
        repo_file: &repo_file,
        public_key: &published,
        digests: &digests,
        logs: &context.store.logs_dir(),
        confine: sandbox::looking,
    };
    match base {
        Ok(_) => made.extend(proof::content_checks(&input)),
        Err(why) => {
            let (own, others) = proof::content_checks_without_base(
                &input,
                &format!("not run: the packages of the distribution are not in the store ({why})"),
            );
            made.extend(own);
            left.splice(0..0, others);
        }
    }
    Ok(Checked { made, left })
}
