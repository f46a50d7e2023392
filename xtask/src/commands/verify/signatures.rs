//! Who made a repository, and when: the checks that need the least trust, before anything of it is read on.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use lustre_packaging::sandbox;
use lustre_repository::digests::Digests;
use lustre_repository::proof::{self, Check, Outcome, StaticInput};
use lustre_repository::repo_file::KEY_FILE;

use super::age;
use super::expected::Expected;
use super::key_life;
use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::graph::finish::repo_file;

/// What a repository's times are held against.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many days ago it may have been signed.
    pub max_age: Option<u32>,
    /// How many days its key has to be valid for.
    pub key_days: u32,
}

impl Limits {
    /// Those of the command line.
    pub fn of(arguments: &VerifyArgs) -> Self {
        Self {
            max_age: arguments.max_age,
            key_days: arguments.key_days,
        }
    }
}

/// Who made a repository, and when.
pub struct Signatures {
    pub checks: Vec<Check>,
    /// What its files were found to be.
    pub digests: Digests,
    /// The key that it brings.
    pub published: String,
    /// Whether what is signed may be looked into.
    pub read_on: bool,
    /// Whether the key is the one expected.
    pub trusted: bool,
    /// Whether it is as young as it has to be.
    pub recent: bool,
}

/// The checks of the key, of the signatures and of the age: what needs the least trust.
pub fn signatures(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    limits: Limits,
) -> anyhow::Result<Signatures> {
    let (key, published) = key_check(context, dist, expected)?;
    let trusted = key.result == Outcome::Pass;
    let mut all = Signatures {
        checks: vec![key],
        digests: Digests::default(),
        published,
        read_on: false,
        trusted,
        recent: false,
    };
    if all.checks[0].result == Outcome::Fail {
        return Ok(all);
    }
    let logs = context.store.logs_dir();
    let repo_file = repo_file(&context.target)?;
    let input = StaticInput {
        dist,
        base_repos: &[],
        expected: &[],
        target: &context.target.name,
        repo_file: &repo_file,
        public_key: &all.published,
        digests: &all.digests,
        logs: &logs,
        confine: sandbox::looking,
    };
    let signed = proof::signature_checks(&input);
    let broken: Vec<String> = signed
        .iter()
        .filter(|check| check.result != Outcome::Pass)
        .map(|check| format!("`{}`", check.name))
        .collect();
    all.checks.extend(signed);
    if !broken.is_empty() {
        let why = format!(
            "not checked: {} failed, and unsigned files are not read",
            broken.join(", ")
        );
        all.checks.extend(proof::content_not_checked(&input, &why));
        return Ok(all);
    }
    let age = Check::run(age::CHECK, &logs, || {
        age::check(dist, &all.published, SystemTime::now(), limits.max_age)
    });
    all.recent = age.result == Outcome::Pass;
    all.read_on = true;
    all.checks.push(age);
    all.checks.push(Check::run(key_life::CHECK, &logs, || {
        key_life::check(&all.published, SystemTime::now(), limits.key_days)
    }));
    Ok(all)
}

/// The key that the repository at `dist` brings, compared with the one expected; and that key.
pub fn key_check(
    context: &Context,
    dist: &Path,
    expected: &Expected,
) -> anyhow::Result<(Check, String)> {
    let published = lustre_files::read_no_link_to_string(dist.join(KEY_FILE), lustre_files::SOURCE)
        .with_context(|| format!("{} is not a repository of this tool", dist.display()))?;
    let check = Check::run(proof::KEY, &context.store.logs_dir(), || {
        expected.check(&published)
    });
    Ok((check, published))
}
