//! `cargo xtask shell`: a look into the buildroot of a stage, as its build sees it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::{Context as _, anyhow};
use lustre_files::advised;
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::lock::LockState;
use lustre_packaging::stage::{self, Planned};
use lustre_packaging::store::Digest;

use crate::cli::ShellArgs;
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::graph::{BuildGraph, name};
use crate::{lock, terminal, ui};

/// Where the source packages that the stage builds are seen.
const SRPMS: &str = "/srv/srpms";

/// The folder of a stage that is a buildroot.
const ROOT: &str = "root";

/// Opens a shell, or runs the command given, in a throw-away copy of the stage's buildroot.
pub fn run(arguments: &ShellArgs) -> anyhow::Result<Outcome> {
    let who = context::who("shell", &arguments.target);
    let context = Context::beside(&arguments.target, &who)?;
    let target = context.target.argument();
    let (path, found) = lock::find(&context)?;
    let LockState::Current(lock) = found else {
        let what = format!(
            "{} is missing or outdated, so nothing is built yet",
            path.display()
        );
        let next = format!("run `cargo xtask build --target {target}`");
        return Err(advised(what, next).into());
    };
    let graph = BuildGraph::new(&context, &lock)?;
    let mut stages = graph.builds()?;
    let roots = graph.roots()?.into_iter();
    stages.extend(roots.filter(|stage| stage.name == name::INSTALL_ROOT));
    let planned = stage::plan(&stages, &context.store)?;
    let names: Vec<&str> = planned.iter().map(|one| one.stage.as_str()).collect();
    let Some(buildroot) = buildroot(&arguments.stage, &planned) else {
        return Err(Usage::new(format!(
            "no stage `{}` of `{target}` has a buildroot; available stages: {}",
            arguments.stage,
            names
                .into_iter()
                .filter(|name| self::buildroot(name, &planned).is_some())
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .into());
    };
    let place = |name: &str| -> Option<PathBuf> {
        let key: Digest = planned.iter().find(|one| one.stage == name)?.key?;
        Some(context.store.stages().lookup(name, &key)?.path)
    };
    let Some(root) = place(buildroot) else {
        let what = format!(
            "the stage `{buildroot}` of `{target}`, the buildroot of `{}`, is not in {}, or is outdated",
            arguments.stage,
            context.store.root().display()
        );
        let next = format!("run `cargo xtask build --target {target}`");
        return Err(advised(what, next).into());
    };
    let srpms = arguments
        .stage
        .strip_suffix("-srpm")
        .unwrap_or(&arguments.stage);
    let srpms = place(&name::srpm(srpms)).map(|folder| folder.join("SRPMS"));
    let scratch = context.store.temp_dir("shell")?;
    let settings = Settings::new(&context.target, context.jobs);
    let work = Workdir::new(&root.join(ROOT), &scratch.path().join("work"), &settings)?;
    work.hand_over()?;
    let mut sandbox = work.sandbox();
    if let Some(srpms) = srpms.filter(|folder| folder.is_dir()) {
        sandbox = sandbox.read_only(&srpms, SRPMS);
        ui::say(&format!(
            "the source package is in {SRPMS}; changes are discarded with the shell"
        ));
    }
    let on_terminal = std::io::stdin().is_terminal();
    let interactive = arguments.command.is_empty() && on_terminal;
    let mut words: Vec<&str> = arguments.command.iter().map(String::as_str).collect();
    if words.is_empty() {
        words = vec!["bash", if interactive { "-i" } else { "-s" }];
    }
    if on_terminal {
        // A session of its own, whose terminal is the one that is made for it.
        words.splice(0..0, ["setsid", "--ctty", "--wait"]);
        let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
        sandbox = sandbox.env("TERM", &term);
    }
    let status = terminal::run(sandbox.command(words[0], &words[1..]));
    let status = status.with_context(|| format!("a shell in {}", root.join(ROOT).display()))?;
    judged(status, interactive)
}

/// Whether what ran there failed. That of the last command in a shell that somebody has left is no failure of ours.
fn judged(status: ExitStatus, interactive: bool) -> anyhow::Result<Outcome> {
    if status.success() || (interactive && status.code().is_some()) {
        return Ok(Outcome::Done);
    }
    Err(anyhow!("the command exited with {status}"))
}

/// The stage whose chroot `wanted` is built in: itself where it is one.
fn buildroot<'p>(wanted: &str, planned: &'p [Planned]) -> Option<&'p str> {
    let is_root = |name: &str| name.ends_with("-root") || name == name::BOOTSTRAP;
    let stage = planned.iter().find(|one| one.stage == wanted)?;
    if is_root(&stage.stage) {
        return Some(&stage.stage);
    }
    let needs = || stage.needs.iter().map(String::as_str);
    let own = needs().find(|need| need.ends_with("-root"));
    own.or_else(|| needs().find(|need| is_root(need)))
}

#[cfg(test)]
mod tests {
    use lustre_packaging::stage::State;

    use super::*;

    #[test]
    fn only_a_command_that_was_given_fails_by_its_own_status() {
        use std::os::unix::process::ExitStatusExt as _;

        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(judged(exited(1), true).unwrap(), Outcome::Done);
        assert_eq!(judged(exited(0), false).unwrap(), Outcome::Done);
        let error = judged(exited(1), false).unwrap_err().to_string();
        assert_eq!(error, "the command exited with exit status: 1");
        judged(ExitStatus::from_raw(9), true).unwrap_err();
    }

    #[test]
    fn a_stage_is_looked_at_where_it_is_built() {
        let stage = |name: &str, needs: &[&str]| Planned {
            stage: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            key: None,
            state: State::Cached,
            unknown: false,
            assuming: Vec::new(),
        };
        let planned = [
            stage("distribution", &[]),
            stage("bootstrap", &["distribution"]),
            stage("kernel-srpm", &["bootstrap"]),
            stage("kernel-root", &["bootstrap", "kernel-srpm"]),
            stage("kernel", &["bootstrap", "kernel-srpm", "kernel-root"]),
        ];
        for (wanted, expected) in [
            ("kernel", Some("kernel-root")),
            ("kernel-root", Some("kernel-root")),
            ("kernel-srpm", Some("bootstrap")),
            ("bootstrap", Some("bootstrap")),
            ("distribution", None),
            ("nothing", None),
        ] {
            assert_eq!(buildroot(wanted, &planned), expected, "{wanted}");
        }
    }
}
