//! `cargo xtask verify`: the proofs, of a repository of ours anywhere; and the comparison of two builds.

mod expected;
mod reproducible;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::process;
use lustre_packaging::stage::{self, Recipe, Stage};
use lustre_packaging::store::StageDir;
use lustre_repository::proof::{self, Check, Outcome as Result_, Proof, StaticInput};
use lustre_repository::repo_file::KEY_FILE;

use expected::Expected;

use super::repo;
use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::prove::{InstallInput, install_checks};
use crate::road::finish::{Signing, tree};
use crate::road::{Road, name};
use crate::ui;

/// The proofs of one repository.
#[derive(Debug)]
pub struct Proved {
    /// `proof.json`.
    pub text: String,
    /// Whose key the repository is signed with and how that is known, where it has just been looked at and will do.
    pub key: Option<String>,
    /// One line, and one for every check that does not hold.
    pub summary: String,
    /// Whether all of them hold.
    pub good: bool,
}

/// Proves the repository given, or compares two builds.
pub fn run(arguments: &VerifyArgs) -> anyhow::Result<Outcome> {
    if arguments.reproducible {
        return reproducible::run(arguments);
    }
    let context = Context::open(&arguments.target, &repo::who("verify", &arguments.target))?;
    let dist = arguments
        .path
        .clone()
        .unwrap_or_else(|| repo::default_output(&context.target.name));
    let dist = std::fs::canonicalize(&dist).with_context(|| {
        format!(
            "no repository at {}; `cargo xtask repo` makes one",
            dist.display()
        )
    })?;
    let expected = Expected::of(arguments)?;
    let checked = proved(&context, &dist, &expected, |public_key| {
        let lock = repo::ready(&context)?;
        let road = Road::new(&context, &lock)?;
        let done = repo::run(&context, &road.roots()?)?;
        contents(&context, &done, &dist, public_key)
    })?;
    uninterrupted()?;
    if let Some(key) = &checked.key {
        ui::say(key);
    }
    ui::say(&checked.summary);
    if context.arguments.json {
        ui::print(checked.text.trim_end());
    }
    Ok(if checked.good {
        Outcome::Done
    } else {
        Outcome::Unproven
    })
}

/// The stage of the proofs, with its recipe still to be said.
///
/// # Errors
/// When an input of it cannot be written down.
pub fn stage_of<'s>(road: &Road<'_>, recipe: Recipe<'s>) -> anyhow::Result<Stage<'s>> {
    Ok(Stage {
        name: name::PROVE.to_owned(),
        needs: [name::ASSEMBLE, name::DISTRIBUTION, name::INSTALL_ROOT]
            .map(str::to_owned)
            .to_vec(),
        inputs: road.proof_inputs()?,
        whole: None,
        recipe,
    })
}

/// The proofs of what the stage `assemble` made: a stage of its own, so that they are not repeated for the same repository.
///
/// # Errors
/// When they cannot be made. Proofs that fail are no error but the answer.
pub fn prove(
    context: &Context,
    road: &Road<'_>,
    signing: &Signing,
    done: &BTreeMap<String, StageDir>,
) -> anyhow::Result<Proved> {
    let dist = tree(&repo::folder(done, name::ASSEMBLE)?);
    let failed = std::sync::Mutex::new(None);
    let mut stages: Vec<Stage<'_>> = road.assembled(signing)?;
    stages.push(stage_of(
        road,
        Box::new(|work| {
            let proved = proved(context, &dist, &Expected::signing(signing), |public_key| {
                contents(context, done, &dist, public_key)
            })?;
            std::fs::write(work.output.join(proof::FILE), &proved.text)?;
            std::fs::write(work.output.join("summary"), &proved.summary)?;
            if proved.good {
                return Ok(());
            }
            // A proof that fails is not kept as a result: the next run looks again.
            if let Ok(mut failed) = failed.lock() {
                *failed = Some(proved);
            }
            Err("a proof failed".into())
        }),
    )?);
    let ran = repo::run(context, &stages);
    drop(stages);
    uninterrupted()?;
    if let Some(proved) = failed.into_inner().ok().flatten() {
        return Ok(proved);
    }
    let folder = repo::folder(&ran?, name::PROVE)?;
    let read =
        |file: &str| std::fs::read_to_string(folder.join(file)).with_context(|| file.to_owned());
    Ok(Proved {
        text: read(proof::FILE)?,
        key: None,
        summary: read("summary")?,
        good: true,
    })
}

/// What an interruption broke says nothing about the repository: checks that ended that way are no proof that failed.
fn uninterrupted() -> Result<(), stage::Error> {
    if process::interrupted() {
        return Err(stage::Error::Interrupted);
    }
    Ok(())
}

/// The key first; then `contents`, the checks of what is signed with the key that they get. What somebody else made is not installed,
/// not even in a chroot.
fn proved(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    contents: impl FnOnce(&str) -> anyhow::Result<Vec<Check>>,
) -> anyhow::Result<Proved> {
    let published = std::fs::read_to_string(dist.join(KEY_FILE))
        .with_context(|| format!("{} is no repository of this tool", dist.display()))?;
    let key = Check::run(expected::CHECK, &context.store.logs_dir(), || {
        expected.check(&published)
    });
    let whose =
        (key.result == Result_::Pass).then(|| format!("key {}: {}", key.checked, key.message));
    let mut checks = vec![key];
    if whose.is_some() {
        checks.extend(contents(&published)?);
    }
    let proof = Proof::new(
        dist,
        &context.target.name,
        env!("CARGO_PKG_VERSION"),
        checks,
    )?;
    let mut lines = vec![proof.summary()];
    for check in &proof.checks {
        if !matches!(check.result, Result_::Pass) {
            lines.push(format!(
                "  {}: {}: {}",
                check.name, check.result, check.message
            ));
            if let Some(log) = &check.log {
                lines.push(format!("    log: {}", log.display()));
            }
        }
    }
    Ok(Proved {
        text: proof.to_json(),
        key: whose,
        summary: lines.join("\n"),
        good: proof.holds(),
    })
}

/// Static and install checks of the tree `dist`, whose every package and metadata are signed with `public_key`.
fn contents(
    context: &Context,
    done: &BTreeMap<String, StageDir>,
    dist: &Path,
    public_key: &str,
) -> anyhow::Result<Vec<Check>> {
    let base = repo::folder(done, name::DISTRIBUTION)?;
    let logs = context.store.logs_dir();
    let scratch = context.store.temp_dir("prove")?;
    let repos: Vec<PathBuf> = vec![base.join("base")];
    let expected = context.target.expected_packages();
    let mut all = proof::static_checks(&StaticInput {
        dist,
        base_repos: &repos,
        expected: &expected,
        public_key,
        logs: &logs,
    });
    all.extend(install_checks(&InstallInput {
        target: &context.target,
        dist,
        root: &repo::folder(done, name::INSTALL_ROOT)?.join("root"),
        base: &repos[0],
        base_key: &base.join("key.asc"),
        scratch: scratch.path(),
        logs: &logs,
    }));
    Ok(all)
}
