//! A repository that commands go on with: by whom it is, is known, and all that can be told of it without anything else holds.

use std::path::PathBuf;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::store::TempDir;

use super::expected::Expected;
use super::named::named;
use super::only_static;
use super::served::{self, FetchedRepository};
use super::signatures::Limits;
use crate::cli::VerifyArgs;
use crate::commands::proofs::{self, ProofReport};
use crate::context::{self, Context};
use crate::exit::Usage;
use crate::{published_tree, ui};

/// A repository whose static checks hold.
pub struct TrustedRepository {
    _fetched: Option<FetchedRepository>,
    _laid_out: TempDir,
    /// Its files.
    pub tree: PathBuf,
    /// What to call it.
    pub shown: String,
}

/// The repository that the arguments name, fetched where it is served; or what does not hold of it. The context is of its target from then on.
pub fn trusted_repository(
    context: &mut Context,
    arguments: &mut VerifyArgs,
) -> anyhow::Result<Result<TrustedRepository, ProofReport>> {
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
            tree = published_tree::published(&dist, scratch.path(), &mut |line| ui::warn(line))?
                .unwrap_or(dist);
        }
        Some(url) => {
            let given = arguments.target_given.then(|| context.target.name.clone());
            let wanted = served::FetchRequest {
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
    let proved =
        ProofReport::of_target(&context.target.name, &tree, before)?.seen_at(&tree, &shown);
    if !proved.good() {
        return Ok(Err(proved));
    }
    proved.show();
    Ok(Ok(TrustedRepository {
        _fetched: fetched,
        _laid_out: scratch,
        tree,
        shown,
    }))
}
