//! `cargo xtask verify --static`: what can be told of a repository without a chroot.

use std::path::{Path, PathBuf};

use lustre_packaging::sandbox;
use lustre_repository::digests::Digests;
use lustre_repository::proof::{self, Check, StaticInput};

use super::expected::Expected;
use super::measure::Measure;
use super::signatures::{Limits, Signatures, signatures};
use crate::base::{Base, base};
use crate::context::Context;
use crate::prove::not_installed;

/// Why the proofs that install are not among the results.
const NOT_ASKED: &str = "not run: --static only runs the static checks";

/// Why those are not that would hold it against this checkout.
const AS_PUBLISHED: &str = "not run: --as-published holds it against itself alone";

/// The checks that were made, and those that were not, with the reason.
pub struct StaticChecks {
    pub made: Vec<Check>,
    pub left: Vec<Check>,
    /// The key that the signatures were held against, where what is signed may be looked into.
    pub key: Option<String>,
}

/// All static checks of the repository at `dist`. Those that hold it against the distribution's packages are made where these are in the
/// store.
pub fn checks(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    limits: Limits,
) -> anyhow::Result<StaticChecks> {
    let measure = Measure::of(&context.target)?;
    let (mut checked, read) = signed(context, dist, &measure, expected, limits, NOT_ASKED)?;
    let Some((published, digests)) = read else {
        return Ok(checked);
    };
    let (target, base) = match base(context)? {
        Base::There { target, folder, .. } => (target, Ok(folder)),
        Base::Missing(why) => (Box::new(context.target.clone()), Err(why)),
    };
    let repos: Vec<PathBuf> = base.iter().cloned().collect();
    let input = StaticInput {
        dist,
        base_repos: &repos,
        expected: &target.expected_packages(),
        target: &measure.target,
        repo_file: &measure.repo_file,
        public_key: &published,
        digests: &digests,
        logs: &context.store.logs_dir(),
        confine: sandbox::looking,
    };
    match base {
        Ok(_) => checked.made.extend(proof::content_checks(&input)),
        Err(why) => {
            let (own, others) = proof::content_checks_without_base(
                &input,
                &format!("not run: the packages of the distribution are not in the store ({why})"),
            );
            checked.made.extend(own);
            checked.left.splice(0..0, others);
        }
    }
    Ok(checked)
}

/// The static checks that hold the repository at `dist` against what it says of itself. What of it depends on this checkout is left: its
/// packages, its page and the distribution may be others by now.
pub fn as_published(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    limits: Limits,
) -> anyhow::Result<StaticChecks> {
    let logs = context.store.logs_dir();
    let measure = match Measure::as_published(dist, &logs)? {
        Ok(measure) => measure,
        Err(failed) => {
            return Ok(StaticChecks {
                made: vec![failed],
                left: not_installed(AS_PUBLISHED),
                key: None,
            });
        }
    };
    let (mut checked, read) = signed(context, dist, &measure, expected, limits, AS_PUBLISHED)?;
    let Some((published, digests)) = read else {
        return Ok(checked);
    };
    let input = StaticInput {
        dist,
        base_repos: &[],
        expected: &[],
        target: &measure.target,
        repo_file: &measure.repo_file,
        public_key: &published,
        digests: &digests,
        logs: &logs,
        confine: sandbox::looking,
    };
    let (own, others) = proof::content_checks_without_base(&input, AS_PUBLISHED);
    let (left, made): (Vec<Check>, Vec<Check>) = own
        .into_iter()
        .partition(|check| [proof::EXPECTED, proof::PAGE].contains(&check.name.as_str()));
    checked.made.extend(made);
    let left = left
        .iter()
        .map(|check| Check::not_run(&check.name, AS_PUBLISHED));
    checked.left.splice(0..0, left.chain(others));
    Ok(checked)
}

/// The checks of who made it; and its key and what its files are, where what is signed may be looked into. The others are left, with `why`.
fn signed(
    context: &Context,
    dist: &Path,
    measure: &Measure,
    expected: &Expected,
    limits: Limits,
    why: &str,
) -> anyhow::Result<(StaticChecks, Option<(String, Digests)>)> {
    let Signatures {
        checks: made,
        digests,
        published,
        read_on,
        ..
    } = signatures(context, dist, measure, expected, limits)?;
    let checked = StaticChecks {
        made,
        left: not_installed(why),
        key: read_on.then(|| published.clone()),
    };
    Ok((checked, read_on.then_some((published, digests))))
}
