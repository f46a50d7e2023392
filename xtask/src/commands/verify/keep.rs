//! What was fetched is kept in a folder: in place of nothing, or of a release of the same target that it follows, as `repo` and `publish`
//! have it. What is there may be the only copy of a later one.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use lustre_files::{advised, help};
use lustre_packaging::process::room::Place;
use lustre_packaging::sign::{PublicKey, utc};
use lustre_repository::layout;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::release::{ComparedPackage, packages_contradict, targets_contradict};
use lustre_repository::repo_file::KEY_FILE;

use super::super::release::PreviousRelease;
use super::expected::Expected;
use crate::publish;

/// What to do where there is no room for what was fetched.
const OTHER_DISK: &str =
    "make room there, or give another folder with --output, and run the same command again";

/// That what is in the folder `tree`, of which the sums, the key and the manifest are there, may take the place of what is at `output`.
pub fn judge(tree: &Path, output: &Path, expected: &Expected) -> anyhow::Result<()> {
    let Some(before) = PreviousRelease::at(output)? else {
        return Ok(());
    };
    if publish::state(output)? == publish::state(tree)? {
        return Ok(());
    }
    let manifest = Manifest::read(&tree.join(manifest::FILE))?;
    let against = against(&before, tree, &manifest, expected)?;
    if against.is_empty() {
        return Ok(());
    }
    Err(anyhow!(
        "what is served does not follow the repository at {}, which was not changed:\n  {}{}",
        output.display(),
        against.join("\n  "),
        help!(
            "give another folder with --output; if what is there is not needed any more, move it away first"
        )
    ))
}

/// What speaks against it in place of `before`.
fn against(
    before: &PreviousRelease,
    tree: &Path,
    manifest: &Manifest,
    expected: &Expected,
) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let (own, served) = (&before.manifest.target, &manifest.target);
    if targets_contradict(own, served).is_some() {
        found.push(format!(
            "what is there is of the target `{}`, and what is served of `{}`",
            own.escape_debug(),
            served.escape_debug()
        ));
    }
    found.extend(other_signer(before, tree, expected)?);
    if !found.is_empty() {
        return Ok(found);
    }
    let (old, new) = (before.time(), manifest.release_time());
    if new <= old {
        found.push(format!(
            "what is there was released {}, and what is served {}",
            utc(old),
            utc(new)
        ));
    }
    let replaces = manifest
        .release
        .as_ref()
        .and_then(|it| it.replaces.as_ref());
    let told = replaces.is_some_and(|it| it.manifest_sha256 == before.replaced().manifest_sha256);
    if !told {
        let packages: Vec<ComparedPackage<'_>> = manifest
            .packages
            .iter()
            .map(ComparedPackage::from)
            .collect();
        let broken = packages_contradict(&before.packages(), &packages);
        found.extend(broken.into_iter().map(|it| it.what));
    }
    Ok(found)
}

/// Why what is there is not known to be of somebody who is expected.
fn other_signer(
    before: &PreviousRelease,
    tree: &Path,
    expected: &Expected,
) -> anyhow::Result<Option<String>> {
    let key = |folder: &Path| -> anyhow::Result<PublicKey> {
        let path = folder.join(KEY_FILE);
        let text = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())?;
        PublicKey::parse(text).with_context(|| path.display().to_string())
    };
    let (own, new) = (key(&before.path)?, key(tree)?);
    let (its, served) = (own.fingerprint(), new.fingerprint());
    let told = before.manifest.repository.as_ref();
    let is_next = told.is_some_and(|it| it.next_key.as_ref() == Some(&served));
    if its != served && !is_next && !expected.names(&its) {
        return Ok(Some(format!(
            "what is there is signed with the key {its}, and what is served with {served}"
        )));
    }
    Ok(before
        .not_signed_by(&own)
        .map(|why| format!("what is there is not as it was signed: {why}")))
}

/// That there is room at `output` for `bytes` that come to `tree`: on the same file system, they only get another name.
pub fn room(tree: &Path, output: &Path, bytes: u64) -> anyhow::Result<()> {
    let (Some(there), Some(here)) = (Place::of(output), Place::of(tree)) else {
        return Ok(());
    };
    if there.mount == here.mount || (there.free >= bytes && !there.no_files) {
        return Ok(());
    }
    Err(advised(
        format!(
            "the disk is full: the packages have {} MiB, and {there}",
            bytes.div_ceil(1 << 20)
        ),
        OTHER_DISK,
    )
    .into())
}

/// Puts what was fetched and holds at `output`: all of it, or nothing.
pub fn keep(tree: &Path, output: &Path, expected: &Expected) -> anyhow::Result<()> {
    // One at a time with whoever puts a repository there, from the last look at what is there to the swap.
    let _alone = publish::alone(output)?;
    judge(tree, output, expected)?;
    layout::swap_in(output, |aside| fill(tree, aside))
        .with_context(|| format!("cannot keep it in {}", output.display()))
}

/// Moves all of `tree` into the folder `aside`, or copies it where that is on another file system.
fn fill(tree: &Path, aside: &Path) -> io::Result<()> {
    let mut moved = Ok(());
    for entry in fs::read_dir(tree)? {
        let entry = entry?;
        moved = fs::rename(entry.path(), aside.join(entry.file_name()));
        if moved.is_err() {
            break;
        }
    }
    match moved {
        Ok(()) => fs::set_permissions(aside, fs::metadata(tree)?.permissions()),
        // None of it is there yet: all of the tree is on one file system.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            publish::copy(tree, aside, OTHER_DISK)
        }
        Err(error) => Err(error),
    }
}
