//! Proofs as stages: not repeated for the same repository, and kept only where they hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use lustre_packaging::process;
use lustre_packaging::stage::{self, Recipe, Stage};
use lustre_packaging::store::StageDir;
use lustre_repository::proof::{self, Check, Outcome, Proof};
use lustre_repository::sums;

use crate::context::Context;
use crate::graph::finish::Signing;
use crate::graph::name::tree;
use crate::graph::{BuildGraph, name, shape};
use crate::{session, ui};

/// The proofs of one repository.
#[derive(Debug)]
pub struct ProofReport(Proof);

impl ProofReport {
    /// The proof that `checks` make of the repository at `dist`.
    pub fn new(context: &Context, dist: &Path, checks: Vec<Check>) -> anyhow::Result<Self> {
        Self::of_target(&context.target.name, dist, checks)
    }

    /// The same of a repository of the target `target`.
    pub fn of_target(target: &str, dist: &Path, checks: Vec<Check>) -> anyhow::Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        Ok(Self(Proof::new(dist, target, version, checks)?))
    }

    /// The same of a repository of which not even its files that say what it is can be told. Which one it is, is said as far as it can be
    /// read.
    pub fn broken(dist: &Path, target: &str, checks: Vec<Check>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let sums =
            lustre_files::read_no_link_to_string(dist.join(sums::FILE), lustre_files::SOURCE);
        let unread = sums.is_err();
        let mut proof = Proof::of_sums(&sums.unwrap_or_default(), target, version, checks);
        if unread {
            proof.sums_sha256 = None;
        }
        Self(proof)
    }

    /// The same of a repository that is at `place`, and was looked at in the folder `tree`.
    pub fn seen_at(mut self, tree: &Path, place: &str) -> Self {
        let tree = tree.display().to_string();
        for check in &mut self.0.checks {
            check.message = check.message.replace(&tree, place);
            check.checked = check.checked.replace(&tree, place);
        }
        self
    }

    /// `proof.json`.
    pub fn text(&self) -> String {
        self.0.to_json()
    }

    /// The target that it is of.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// The checks that do not hold.
    pub fn failed(&self) -> Vec<Check> {
        let holds = [Outcome::Pass, Outcome::NotNeeded];
        let checks = self.0.checks.iter();
        checks
            .filter(|check| !holds.contains(&check.result))
            .cloned()
            .collect()
    }

    /// Whether all of them hold.
    pub fn good(&self) -> bool {
        self.0.holds()
    }

    /// Adds more proofs of the same repository.
    pub fn add(&mut self, more: Self) {
        self.0.checks.extend(more.0.checks);
    }

    /// One line, and one for every check that does not hold.
    pub fn summary(&self) -> String {
        let mut lines = vec![self.0.summary()];
        // What several checks say alike is said once.
        for alike in self
            .0
            .checks
            .chunk_by(|a, b| (a.result, &a.message) == (b.result, &b.message))
        {
            let [first, ..] = alike else {
                continue;
            };
            if first.result == Outcome::Pass {
                continue;
            }
            let names: Vec<&str> = alike.iter().map(|check| check.name.as_str()).collect();
            lines.push(format!(
                "  {}: {}: {}",
                names.join(", "),
                first.result,
                first.message
            ));
            for log in alike.iter().filter_map(|check| check.log.as_ref()) {
                lines.push(format!("    log: {}", log.display()));
            }
        }
        lines.join("\n")
    }

    /// Says the summary; what does not hold is said however quiet the rest is.
    pub fn show(&self) {
        let show = if self.good() { ui::say } else { ui::warn };
        show(&self.summary());
    }

    /// The checks that were not made, a line for each reason.
    pub fn left(&self) -> String {
        let checks = self.0.checks.iter();
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for check in checks.filter(|check| check.result == Outcome::NotRun) {
            let why = check.message.trim_start_matches("not run: ");
            match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, names)) => names.push(&check.name),
                None => reasons.push((why, vec![&check.name])),
            }
        }
        let lines = reasons
            .iter()
            .map(|(why, names)| format!("not run: {}: {why}", names.join(", ")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Every check with what it saw.
    pub fn details(&self) -> String {
        let mut lines = Vec::new();
        for check in &self.0.checks {
            lines.push(format!(
                "{:7} {}: {}",
                check.result.to_string(),
                check.name,
                check.checked
            ));
            lines.extend(check.message.lines().map(|line| format!("        {line}")));
        }
        lines.join("\n")
    }
}

/// The stage `name` that proves something of the assembled repository in the clean chroot.
pub fn stage_of<'s>(
    graph: &BuildGraph<'_>,
    name: &str,
    inputs: Vec<(String, String)>,
    recipe: Recipe<'s>,
) -> Stage<'s> {
    Stage {
        name: name.to_owned(),
        needs: shape::needs(&graph.target, name),
        inputs,
        whole: None,
        recipe,
    }
}

/// Runs `checks` on what the stage `assemble` made, as the stage that `make` makes of its recipe; from the store where they held
/// before.
///
/// Checks that fail are no error but the answer.
pub fn in_stage(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
    done: &BTreeMap<String, StageDir>,
    make: impl for<'s> FnOnce(Recipe<'s>) -> anyhow::Result<Stage<'s>>,
    checks: impl Fn(&Path) -> anyhow::Result<Vec<Check>> + Send + Sync,
) -> anyhow::Result<ProofReport> {
    let dist = tree(&session::folder(done, name::ASSEMBLE)?);
    let failed = Mutex::new(None);
    let mut stages: Vec<Stage<'_>> = graph.assembled(signing)?;
    let proving = make(Box::new(|work| {
        let proved = ProofReport::new(context, &dist, checks(&dist)?)?;
        if proved.good() {
            std::fs::write(work.output.join(proof::FILE), proved.text())?;
            return Ok(());
        }
        // A proof that fails is not kept as a result: the next run looks again.
        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(proved);
        Err("a proof failed".into())
    }))?;
    let name = proving.name.clone();
    stages.push(proving);
    let ran = session::run_taking(context, &[&name], &stages);
    drop(stages);
    uninterrupted()?;
    if let Some(proved) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Ok(proved);
    }
    let path = session::folder(&ran?, &name)?.join(proof::FILE);
    Ok(ProofReport(
        Proof::read(&path).with_context(|| path.display().to_string())?,
    ))
}

/// What an interruption broke says nothing about the repository: checks that ended that way are no proof that failed.
pub fn uninterrupted() -> Result<(), stage::Error> {
    if process::interrupted() {
        return Err(stage::Error::Interrupted);
    }
    Ok(())
}
