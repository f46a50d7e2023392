//! A repository that commands go on with: by whom it is, is known, and all that can be told of it without anything else holds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::sign::PublicKey;
use lustre_packaging::store::{Digest, TempDir};
use lustre_repository::layout::Kind;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::{history, repo_file, sums};

use super::expected::{Expected, unknown};
use super::named::named;
use super::only_static;
use super::served::{self, FetchedRepository};
use super::signatures::Limits;
use crate::cli::VerifyArgs;
use crate::commands::proofs::{self, ProofReport};
use crate::context::{self, Context};
use crate::{published_tree, ui};

/// A repository whose static checks hold.
pub struct TrustedRepository {
    _fetched: Option<FetchedRepository>,
    _laid_out: TempDir,
    /// Its files. Whoever may write there may exchange them at any time.
    pub tree: PathBuf,
    /// What it says of itself, where nobody else writes: its manifest, lock, keys, list of releases, and the metadata of its source packages, each
    /// as the sums list it whose signature holds.
    pub said: PathBuf,
    /// What to call it.
    pub shown: String,
}

/// The folder of what a repository says of itself.
const SAID: &str = "said";

impl TrustedRepository {
    /// The repository at `tree`, whose checks hold, and which is signed with `key`. `scratch` is kept as long as this.
    pub fn holding(
        fetched: Option<FetchedRepository>,
        scratch: TempDir,
        tree: PathBuf,
        shown: String,
        key: &str,
    ) -> anyhow::Result<Self> {
        let said = scratch.path().join(SAID);
        take_said(&tree, key, &said)?;
        Ok(Self {
            _fetched: fetched,
            _laid_out: scratch,
            tree,
            said,
            shown,
        })
    }
}

/// Copies what the repository at `tree` says of itself to the folder `to`. Nothing that was read before is relied on: the sums have to be signed with
/// `key`, and the files have to be those that they list.
fn take_said(tree: &Path, key: &str, to: &Path) -> anyhow::Result<()> {
    let read = |name: &str| {
        let path = tree.join(name);
        lustre_files::read_no_link(&path, lustre_files::SOURCE)
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let changed = |name: &str, why: &str| {
        advised(
            format!(
                "{} changed after its signatures were checked: {why}",
                tree.join(name).display()
            ),
            "somebody writes to it: run again when that is over, or take a copy of it",
        )
    };
    let listed = read(sums::FILE)?;
    PublicKey::parse(key)?
        .verify_detached(&listed, &read(sums::SIGNATURE)?)
        .map_err(|error| changed(sums::FILE, &format!("its signature does not hold: {error}")))?;
    let listed = String::from_utf8(listed).context(sums::FILE)?;
    for (digest, name) in sums::all(&listed).filter(|(_, name)| is_said(name)) {
        let bytes = read(name)?;
        let found = Digest::of_bytes(&bytes).to_string();
        if found != digest {
            let why = format!(
                "it has the SHA-256 {found}, and {} says {digest}",
                sums::FILE
            );
            bail!(changed(name, &why));
        }
        let path = to.join(name);
        let folder = path.parent().unwrap_or(to);
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether that is a file in which a repository says what it is, and not one of its packages.
fn is_said(name: &str) -> bool {
    let of_sources = name
        .strip_prefix(Kind::Source.folder())
        .and_then(|rest| rest.strip_prefix("/repodata/"));
    match of_sources {
        Some(file) => file == "repomd.xml" || file.contains("primary.xml") && !file.contains('/'),
        None => [
            manifest::FILE,
            manifest::LOCK_FILE,
            history::FILE,
            repo_file::KEY_FILE,
            repo_file::NEXT_KEY_FILE,
        ]
        .contains(&name),
    }
}

/// The repository that the arguments name, fetched where it is served; or what does not hold of it. The context is of its target from then on.
/// `fits` hears the manifest, and what the repository is called, before the packages are fetched and checked.
pub fn trusted_repository(
    context: &mut Context,
    arguments: &mut VerifyArgs,
    fits: &mut dyn FnMut(&Manifest, &str) -> anyhow::Result<()>,
) -> anyhow::Result<Result<TrustedRepository, ProofReport>> {
    let expected = Expected::of(
        &arguments.public_key,
        &arguments.key,
        arguments.trust_on_first_use,
    )?;
    if matches!(expected, Expected::Unknown) {
        return Err(unknown().into());
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
            // What is wrong with it is a check that fails.
            if let Ok(manifest) = Manifest::read(&tree.join(manifest::FILE)) {
                fits(&manifest, &shown)?;
            }
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
            let all = served::fetch(context, &wanted, &mut |manifest| {
                fits(manifest, &url.to_string())?;
                match target_given {
                    true => Ok(()),
                    false => named(of_target, manifest, &url.to_string()),
                }
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
    let key = checked.key;
    before.extend(checked.made);
    let proved =
        ProofReport::of_target(&context.target.name, &tree, before)?.seen_at(&tree, &shown);
    if !proved.good() {
        return Ok(Err(proved));
    }
    let key = key.context("a repository whose checks hold has a key")?;
    let found = TrustedRepository::holding(fetched, scratch, tree, shown, &key)?;
    proved.show();
    Ok(Ok(found))
}

#[cfg(test)]
mod tests {
    use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _};

    use super::*;
    use crate::place;

    #[test]
    fn what_a_repository_says_is_what_was_signed_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = place::specs().join("distributions/rehearsal/key.asc");
        let text = Secret::new(std::fs::read(file).unwrap());
        let key = Key::from_armored(&text, "the test", None).unwrap();
        let public_key = key.public_key_armored().unwrap();
        let time = PublicKey::parse(&public_key).unwrap().created();
        let tree = dir.path().join("tree");
        let primary = "source/repodata/abc-primary.xml.zst";
        std::fs::create_dir_all(tree.join("source/repodata")).unwrap();
        let sign = || {
            sums::write(&tree).unwrap();
            let listed = std::fs::read(tree.join(sums::FILE)).unwrap();
            let signature = key.sign_detached(&listed, time).unwrap();
            std::fs::write(tree.join(sums::SIGNATURE), signature).unwrap();
        };
        let said = [manifest::FILE, manifest::LOCK_FILE, primary];
        for name in said.into_iter().chain(["source/a.src.rpm"]) {
            std::fs::write(tree.join(name), name).unwrap();
        }
        sign();
        let to = dir.path().join("to");
        take_said(&tree, &public_key, &to).unwrap();
        for name in said {
            assert_eq!(std::fs::read_to_string(to.join(name)).unwrap(), name);
        }
        assert!(!to.join("source/a.src.rpm").exists());

        // Exchanged after the checks; with sums that list it; and as a link.
        let error = || {
            let to = dir.path().join("other");
            take_said(&tree, &public_key, &to).unwrap_err().to_string()
        };
        for name in said {
            std::fs::write(tree.join(name), "exchanged").unwrap();
            let error = error();
            assert!(error.contains(name), "{name}: {error}");
            assert!(error.contains("changed after its signatures"), "{error}");
            std::fs::write(tree.join(name), name).unwrap();
        }
        std::fs::write(tree.join(manifest::FILE), "exchanged").unwrap();
        sums::write(&tree).unwrap();
        let told = error();
        assert!(
            told.contains("SHA256SUMS") && told.contains("its signature"),
            "{told}"
        );
        std::fs::write(tree.join(manifest::FILE), manifest::FILE).unwrap();
        sign();
        let beside = dir.path().join("beside");
        std::fs::rename(tree.join(manifest::LOCK_FILE), &beside).unwrap();
        std::os::unix::fs::symlink(&beside, tree.join(manifest::LOCK_FILE)).unwrap();
        assert!(error().contains(manifest::LOCK_FILE));
    }
}
