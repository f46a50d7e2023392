//! The distribution's packages as the store has them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::lock::{Lock, LockState};
use lustre_packaging::stage;
use lustre_packaging::target::Target;

use crate::context::Context;
use crate::graph::{self, BuildGraph, name};
use crate::lock;

/// The distribution's packages, in the store.
pub enum Base {
    /// The target as it is built, and its base repository.
    There {
        target: Box<Target>,
        folder: PathBuf,
        lock: Box<Lock>,
    },
    /// Nobody has made them here, and why that is so.
    Missing(String),
}

/// Looks for the distribution's packages. That they are not there is no error; that they cannot be read, or are damaged, is one: what they
/// would show must not be left out for that.
pub fn base(context: &Context) -> anyhow::Result<Base> {
    let lock = match lock::find(context)? {
        (_, LockState::Current(lock)) => lock,
        (path, LockState::Outdated(what)) => {
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
    let base = graph::base(&graph.target, &made.path);
    let folder = base.repos.into_iter().next().map(|repo| repo.folder);
    let folder = folder.context("the target has no base repository")?;
    // What is read of it is as it was made.
    let stages = context.store.stages();
    let within = folder.strip_prefix(&made.path).ok();
    let checked = match within.and_then(Path::to_str) {
        Some(within) => stages.check_folder(&made, within),
        None => stages.check(&made),
    };
    if let Err(damage) = checked {
        anyhow::bail!(advised(
            format!(
                "{} is damaged ({damage}), so the repository cannot be checked against it",
                made.path.display()
            ),
            "run `cargo xtask clean --verify`, and the next build makes it again"
        ));
    }
    Ok(Base::There {
        target: Box::new(graph.target.as_ref().clone()),
        folder,
        lock: Box::new(lock.clone()),
    })
}
