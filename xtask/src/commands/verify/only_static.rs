//! `cargo xtask verify --static`: what can be told of a repository without a chroot.

use std::path::{Path, PathBuf};

use lustre_packaging::lock::Found;
use lustre_packaging::sandbox;
use lustre_packaging::stage;
use lustre_packaging::target::Target;
use lustre_repository::proof::{self, Check, StaticInput};

use super::super::lock;
use super::expected::Expected;
use super::{Signatures, repo_file, signatures};
use crate::context::Context;
use crate::prove::not_installed;
use crate::road::{self, Road, name};

/// Why the proofs that install are not among the results.
const NOT_ASKED: &str = "not run: --static asks for the static checks alone";

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
    max_age: Option<u32>,
) -> anyhow::Result<Checked> {
    let Signatures {
        checks: mut made,
        published,
        read_on,
        ..
    } = signatures(context, dist, expected, max_age)?;
    let mut left = not_installed(NOT_ASKED);
    if !read_on {
        return Ok(Checked { made, left });
    }
    let (target, base) = match base(context) {
        Ok((target, base)) => (target, Ok(base)),
        Err(why) => (context.target.clone(), Err(why)),
    };
    let repos: Vec<PathBuf> = base.iter().cloned().collect();
    let repo_file = repo_file(context)?;
    let input = StaticInput {
        dist,
        base_repos: &repos,
        expected: &target.expected_packages(),
        target: &context.target.name,
        repo_file: &repo_file,
        public_key: &published,
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

/// The target as it is built, and its base repository in the store; or why there is none.
fn base(context: &Context) -> Result<(Target, PathBuf), String> {
    let said = |error: anyhow::Error| format!("{error:#}");
    let lock = match lock::find(context).map_err(said)? {
        (_, Found::Current(lock)) => lock,
        (path, Found::Outdated(what)) => return Err(format!("{} {what}", path.display())),
    };
    let road = Road::new(context, &lock).map_err(said)?;
    let roots = road.roots().map_err(said)?;
    let planned = stage::plan(&roots, &context.store).map_err(|error| error.to_string())?;
    let one = planned.iter().find(|one| one.stage == name::DISTRIBUTION);
    let made = one
        .and_then(|one| one.key)
        .and_then(|key| context.store.stages().lookup(name::DISTRIBUTION, &key))
        .ok_or_else(|| {
            format!(
                "the stage `{}` of this target has not run",
                name::DISTRIBUTION
            )
        })?;
    // What is read of it is as it was made.
    context.store.stages().check(&made)?;
    let base = road::base(&road.target, &made.path);
    let folder = base.repos.into_iter().next().map(|repo| repo.folder);
    let folder = folder.ok_or("the target has no base repository")?;
    Ok((road.target.as_ref().clone(), folder))
}
