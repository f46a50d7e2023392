//! A repository that commands go on with: by whom it is, is known, and all that can be told of it without anything else holds.

use std::path::PathBuf;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::store::TempDir;

use super::expected::Expected;
use super::named::named;
use super::only_static;
use super::served::{self, Fetched};
use super::signatures::Limits;
use crate::cli::VerifyArgs;
use crate::commands::proofs::{self, Proved};
use crate::context::{self, Context};
use crate::exit::Usage;
use crate::{laid_out, ui};

/// A repository whose static checks hold.
pub struct Believed {
    _fetched: Option<Fetched>,
    _laid_out: TempDir,
    /// Its files.
    pub tree: PathBuf,
    /// What to call it.
    pub shown: String,
}

/// The repository that the arguments name, fetched where it is served; or what does not hold of it. The context is of its target from then on.
pub fn believed(
    context: &mut Context,
    arguments: &mut VerifyArgs,
) -> anyhow::Result<Result<Believed, Proved>> {
    let expected = Expected::of(
        &arguments.public_key,
        &arguments.key,
        arguments.trust_on_first_use,
    )?;
    if matches!(expected, Expected::Unknown) {
        return Err(Usage::new(advised(
            "no key is expected, so nobody can tell who made the repository",
            "give the key that its owner told you with --public-key FILE or FINGERPRINT; or pass --trust-on-first-use",
        ))
        .into());
    }
    let path = arguments.path.clone().context("a repository is given")?;
    let scratch = context.store.temp_dir("verify")?;
    let mut before = Vec::new();
    let (fetched, tree, shown);
    match served::url(&path)? {
        None => {
            let dist = std::fs::canonicalize(&path)
                .with_context(|| format!("no repository at {}", path.display()))?;
            fetched = None;
            shown = dist.display().to_string();
            tree = laid_out::published(&dist, scratch.path(), &mut |line| ui::warn(line))?
                .unwrap_or(dist);
        }
        Some(url) => {
            let given = arguments.target_given.then(|| context.target.name.clone());
            let wanted = served::Wanted {
                url: &url,
                expected: &expected,
                target: given.as_deref(),
                output: None,
            };
            let target_given = arguments.target_given;
            let of_target = &mut arguments.target;
            let all = served::fetch(context, &wanted, &mut |manifest| match target_given {
                true => Ok(()),
                false => named(of_target, manifest, &url.to_string()),
            })?;
            let all = match all {
                Ok(all) => all,
                Err(broken) => return Ok(Err(broken)),
            };
            before.push(all.check.clone());
            tree = all.tree.clone();
            shown = url.to_string();
            fetched = Some(all);
            context.target = context::target(&arguments.target)?;
            context.arguments = arguments.target.clone();
        }
    }
    let limits = Limits::of(arguments);
    let checked = only_static::as_published(context, &tree, &expected, limits)?;
    proofs::uninterrupted()?;
    before.extend(checked.made);
    let proved = Proved::of_target(&context.target.name, &tree, before)?.seen_at(&tree, &shown);
    if !proved.good() {
        return Ok(Err(proved));
    }
    proved.show();
    Ok(Ok(Believed {
        _fetched: fetched,
        _laid_out: scratch,
        tree,
        shown,
    }))
}
