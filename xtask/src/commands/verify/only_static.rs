//! `cargo xtask verify --static`: what can be told of a repository without a chroot.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::lock::Found;
use lustre_packaging::sandbox;
use lustre_packaging::stage;
use lustre_packaging::target::Target;
use lustre_repository::proof::{self, Check, StaticInput};

use super::expected::Expected;
use super::signatures::{Signatures, repo_file, signatures};
use crate::context::Context;
use crate::graph::{self, BuildGraph, name};
use crate::lock;
use crate::prove::not_installed;

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
    let (target, base) = match base(context)? {
        Base::There { target, folder } => (target, Ok(folder)),
        Base::Missing(why) => (Box::new(context.target.clone()), Err(why)),
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

/// The distribution's packages, in the store.
enum Base {
    /// The target as it is built, and its base repository.
    There {
        target: Box<Target>,
        folder: PathBuf,
    },
    /// Nobody has made them here, and why that is so.
    Missing(String),
}

/// Looks for the distribution's packages. That they are not there is no error; that they cannot be read, or are damaged, is one: what they
/// would show must not be left out for that.
fn base(context: &Context) -> anyhow::Result<Base> {
    let lock = match lock::find(context)? {
        (_, Found::Current(lock)) => lock,
        (path, Found::Outdated(what)) => {
            return Ok(Base::Missing(format!("{} {what}", path.display())));
        }
    };
    let graph = BuildGraph::new(context, &lock)?;
    let planned = stage::plan(&graph.roots()?, &context.store)?;
    let one = planned.iter().find(|one| one.stage == name::DISTRIBUTION);
    let made = one
        .and_then(|one| one.key)
        .and_then(|key| context.store.stages().lookup(name::DISTRIBUTION, &key));
    let Some(made) = made else {
        return Ok(Base::Missing(format!(
            "the stage `{}` of this target has not run",
            name::DISTRIBUTION
        )));
    };
    // What is read of it is as it was made.
    if let Err(damage) = context.store.stages().check(&made) {
        anyhow::bail!(
            "{} is damaged ({damage}), and the repository cannot be held against it; run `cargo xtask clean --verify`, and the next build makes it again",
            made.path.display()
        );
    }
    let base = graph::base(&graph.target, &made.path);
    let folder = base.repos.into_iter().next().map(|repo| repo.folder);
    let folder = folder.context("the target has no base repository")?;
    Ok(Base::There {
        target: Box::new(graph.target.as_ref().clone()),
        folder,
    })
}
