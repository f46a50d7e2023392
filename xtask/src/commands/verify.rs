//! `cargo xtask verify`: the proofs, of a repository of ours anywhere; and the comparison of two builds.

mod expected;
mod reproducible;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use lustre_packaging::stage::{Recipe, Stage};
use lustre_packaging::store::StageDir;
use lustre_repository::proof::{self, Check, Outcome as Result_, StaticInput};
use lustre_repository::repo_file::KEY_FILE;

use expected::Expected;

use super::proofs::{self, Proved};
use super::{boot, repo};
use crate::cli::{Prove, VerifyArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::prove::{InstallInput, Server, install_checks};
use crate::road::finish::Signing;
use crate::road::{Road, name};
use crate::ui;

/// Proves the repository given, or compares two builds.
pub fn run(arguments: &VerifyArgs) -> anyhow::Result<Outcome> {
    if arguments.reproducible {
        return reproducible::run(arguments);
    }
    let expected = Expected::of(arguments)?;
    let context = Context::open(&arguments.target, &repo::who("verify", &arguments.target))?;
    if arguments.boot {
        boot::table(&context)?;
    }
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
    let mut made = None;
    let all = checks(&context, &dist, &expected, |public_key| {
        let lock = repo::ready(&context)?;
        let road = Road::new(&context, &lock)?;
        let done = repo::run(&context, &road.roots()?)?;
        let server = made.insert(Server::of(&road, &done)?);
        contents(&context, server, &dist, public_key, Prove::Install)
    })?;
    proofs::uninterrupted()?;
    if let Some(key) = all.iter().find(|check| check.name == expected::CHECK)
        && key.result == Result_::Pass
    {
        ui::say(&format!("key {}: {}", key.checked, key.message));
    }
    let mut proved = Proved::new(&context, &dist, all)?;
    // What does not even install is not booted.
    if let Some(server) = made.filter(|_| arguments.boot && proved.good()) {
        let booted = boot::checks(&context, &server, &dist);
        proofs::uninterrupted()?;
        proved.add(Proved::new(&context, &dist, booted?)?);
    } else if arguments.boot {
        ui::say(boot::NOT_BOOTED);
    }
    ui::say(&proved.summary());
    if context.arguments.json {
        ui::print(proved.text().trim_end());
    }
    Ok(if proved.good() {
        Outcome::Done
    } else {
        Outcome::Unproven
    })
}

/// The stage of the proofs, with its recipe still to be said.
///
/// # Errors
/// When an input of it cannot be written down.
pub fn stage_of<'s>(
    road: &Road<'_>,
    level: Prove,
    recipe: Recipe<'s>,
) -> anyhow::Result<Stage<'s>> {
    let mut inputs = road.proof_inputs()?;
    if level == Prove::Static {
        inputs.push(("without".to_owned(), "installation".to_owned()));
    }
    Ok(proofs::stage_of(name::PROVE, inputs, recipe))
}

/// The static proofs, and from [`Prove::Install`] on the install proof, of what the stage `assemble` made.
///
/// # Errors
/// When they cannot be made. Proofs that fail are no error but the answer.
pub fn prove(
    context: &Context,
    road: &Road<'_>,
    signing: &Signing,
    done: &BTreeMap<String, StageDir>,
    level: Prove,
) -> anyhow::Result<Proved> {
    proofs::in_stage(
        context,
        road,
        signing,
        done,
        |recipe| stage_of(road, level, recipe),
        |dist| {
            let server = Server::of(road, done)?;
            checks(context, dist, &Expected::signing(signing), |public_key| {
                contents(context, &server, dist, public_key, level)
            })
        },
    )
}

/// The key first; then `contents`, the checks of what is signed with the key that they get. What somebody else made is not installed,
/// not even in a chroot.
fn checks(
    context: &Context,
    dist: &Path,
    expected: &Expected,
    contents: impl FnOnce(&str) -> anyhow::Result<Vec<Check>>,
) -> anyhow::Result<Vec<Check>> {
    let published = std::fs::read_to_string(dist.join(KEY_FILE))
        .with_context(|| format!("{} is no repository of this tool", dist.display()))?;
    let key = Check::run(expected::CHECK, &context.store.logs_dir(), || {
        expected.check(&published)
    });
    let good = key.result == Result_::Pass;
    let mut checks = vec![key];
    if good {
        checks.extend(contents(&published)?);
    }
    Ok(checks)
}

/// Static and install checks of the tree `dist`, whose every package and metadata are signed with `public_key`, on `server`.
fn contents(
    context: &Context,
    server: &Server,
    dist: &Path,
    public_key: &str,
    level: Prove,
) -> anyhow::Result<Vec<Check>> {
    let logs = context.store.logs_dir();
    let repos = [server.base_repository().to_owned()];
    let expected = server.target.expected_packages();
    let mut all = proof::static_checks(&StaticInput {
        dist,
        base_repos: &repos,
        expected: &expected,
        public_key,
        logs: &logs,
    });
    if level >= Prove::Install {
        let scratch = context.store.temp_dir("prove")?;
        all.extend(install_checks(&InstallInput {
            server,
            dist,
            scratch: scratch.path(),
            logs: &logs,
        }));
    }
    Ok(all)
}
