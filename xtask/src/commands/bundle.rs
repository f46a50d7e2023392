//! `cargo xtask bundle`: one file for a site without a network.
//!
//! - here: all that a target is built from, for `repo --from-bundle`.
//! - `release`: a proven repository, for dnf from a disk.

mod release;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised, place, swap};
use lustre_packaging::bundle::{Contents, INDEX, Provenance, WrittenArchive, begins_with};

use super::from_bundle::specs;
use super::repo::fetched;
use crate::cli::BundleArgs;
use crate::context::{self, Context, who};
use crate::exit::{Outcome, Usage};
use crate::{leftovers, lock, ui};

/// Writes a bundle, or a repository's archive.
///
/// A repository whose proofs do not hold is no error but the answer.
pub fn run(arguments: &BundleArgs) -> anyhow::Result<Outcome> {
    let output = output(arguments)?;
    let (written, what) = match &arguments.release {
        None => sources(arguments, &output)?,
        Some(dist) => match release::write(arguments, dist.as_deref(), &output)? {
            Ok(done) => done,
            Err(unproven) => {
                unproven.show();
                if arguments.target.json {
                    ui::print(unproven.text().trim_end());
                }
                ui::warn(&format!(
                    "{} was not written: the proofs of the repository do not hold",
                    output.display()
                ));
                return Ok(Outcome::Unproven);
            }
        },
    };
    let WrittenArchive { size, sha256 } = written;
    ui::say(&format!(
        "{}: {what}, {} MiB",
        output.display(),
        size.div_ceil(1 << 20)
    ));
    if arguments.target.json {
        let result = serde_json::json!({ "bundle": output, "size": size, "sha256": sha256 });
        ui::print(&result.to_string());
    } else {
        // As sha256sum has it: it reads this where the file was copied to.
        ui::print(&format!("{sha256}  {}", output.display()));
    }
    Ok(Outcome::Done)
}

/// The file to write: one that is not there, or one of the same kind.
fn output(arguments: &BundleArgs) -> anyhow::Result<PathBuf> {
    let output = &arguments.output;
    if output.file_name().is_none() || output.is_dir() {
        return Err(Usage::new(advised(
            format!("{} is a folder", output.display()),
            "name the file to write",
        ))
        .into());
    }
    let folder = output.parent().filter(|it| *it != Path::new(""));
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        return Err(Usage::new(advised(
            format!(
                "{} is no folder, and the bundle is to be in it",
                folder.display()
            ),
            "make it, or choose another --output",
        ))
        .into());
    }
    place::can_be_made(output).map_err(|why| {
        let why = format_args!("the bundle cannot be {}: {why}", output.display());
        Usage::new(Advised::of(&why))
    })?;
    let store = arguments.target.store.as_deref();
    context::judge_output("the bundle", output, store)?;
    swap::recover(output)
        .with_context(|| format!("what a killed run left beside {}", output.display()))?;
    if lustre_files::if_there(std::fs::symlink_metadata(output))
        .with_context(|| output.display().to_string())?
        .is_none()
    {
        return Ok(output.clone());
    }
    let ours = match arguments.release {
        None => begins_with(output, |first| first == INDEX)?,
        Some(_) => begins_with(output, release::is_first)?,
    };
    match ours {
        true => Ok(output.clone()),
        false => Err(Usage::new(advised(
            format!(
                "{} is there and is something else, and was not changed",
                output.display()
            ),
            "choose another --output",
        ))
        .into()),
    }
}

/// All that the target is built from.
fn sources(arguments: &BundleArgs, output: &Path) -> anyhow::Result<(WrittenArchive, String)> {
    if let Some(replaced) = arguments.target.sources.first() {
        return Err(Usage::new(advised(
            format!("--source {replaced}: a bundle has what the lock pins"),
            "give a clone of it with --mirror URL=PATH, or another commit in the target's file",
        ))
        .into());
    }
    let context = Context::open(&arguments.target, &who("bundle", &arguments.target))?;
    let site = context
        .target
        .site_needs(&crate::place::specs())
        .map_err(anyhow::Error::msg)?;
    let (lock, _) = fetched(&context)?;
    let path = lock::path(&context.target)?;
    let text = lustre_files::read_to_string(&path, lustre_files::SOURCE)
        .with_context(|| path.display().to_string())?;
    if lustre_packaging::lock::Lock::parse(&path, &text)? != lock {
        bail!(advised(
            format!("{} was changed meanwhile", path.display()),
            "run again"
        ));
    }
    let instead = context.target.chosen.instead;
    let made = Provenance {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        code: env!("LUSTRE_REPO_CODE").to_owned(),
        target: context.target.name.clone(),
        lustre: arguments.target.lustre.clone().filter(|_| instead),
        specs: specs()?,
    };
    let contents = Contents {
        made: &made,
        lock: &lock,
        lock_text: &text,
        site: &site,
    };
    context
        .screen
        .line(&format!("writing {}", output.display()));
    let written = leftovers::noted(&context.store, output, || {
        Ok(contents.write(&context.store, output, &|_| {})?)
    })?;
    let what = format!(
        "{} files and {} trees of {}",
        lock.files().count(),
        lock.tree.len(),
        made.target
    );
    Ok((written, what))
}
