//! From a result to words on standard error and an exit code: 0 done, 1 failed, 2 usage, 3 a proof failed or something does not fit, 130 interrupted.

use std::io::Write as _;
use std::process::ExitCode;

use crate::ui;
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
        ui::error(&format!(
            "the result could not be written to standard output: {why}"
        ));
        if result.is_ok() {
            return ExitCode::from(1);
        }
    }
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Unproven | Outcome::Misfit) => ExitCode::from(3),
        Err(error) => {
            ui::error(&words(&error));
            ExitCode::from(code(&error))
        }
    }
}

/// Shows help, the version or what is wrong with the line, and ends.
pub fn without_a_command(said: &clap::Error) -> ! {
    ui::written(said.print().and_then(|()| std::io::stdout().flush()));
    let Some(why) = ui::lost() else {
        std::process::exit(said.exit_code());
    };
    ui::error(&format!("cannot write to standard output: {why}"));
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

/// The error with its causes, each on a line of its own, and the log of the stage where there is one.
fn words(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A wrapper that only repeats its cause is said once.
        if lines.last().is_none_or(|last| !last.contains(&text)) {
            lines.push(text);
        }
    }
    if let Some(stage::Error::Stage { log: Some(log), .. }) = error.downcast_ref() {
        let shown = log.display().to_string();
        if !lines.iter().any(|line| line.contains(&shown)) {
            lines.push(format!("log: {shown}"));
            let tail = process::tail(log, 15);
            if !tail.is_empty() {
                lines.push(tail);
            }
        }
    }
    let text = lines.join("\n  ");
    match room(&text) {
        Some(hint) if code(error) == 1 => format!("{text}\n  {hint}"),
        _ => text,
    }
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
    fn a_cause_is_said_once_and_in_order() {
        let error = anyhow::anyhow!("the patch does not fit").context("stage `kernel` failed");
        assert_eq!(
            words(&error),
            "stage `kernel` failed\n  the patch does not fit"
        );
    }

    #[test]
    fn a_full_disk_is_named_with_its_room_and_what_to_do() {
        let full = || anyhow::Error::from(std::io::Error::from_raw_os_error(28));
        let text = words(&full().context("/s/stages/x"));
        for part in [
            "/s/stages/x",
            "disk was full",
            "MiB free",
            "clean --dry-run",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let said = words(&full().context("the disk is full: /m has 0 MiB of 1 MiB free"));
        assert_eq!(said.matches("MiB free").count(), 1, "{said}");
        assert!(!words(&anyhow::anyhow!("x")).contains("disk"));
    }

    #[test]
    fn codes_follow_the_contract() {
        assert_eq!(code(&anyhow::anyhow!("x")), 1);
        assert_eq!(code(&Usage("x".to_owned()).into()), 2);
        assert_eq!(code(&stage::Error::Interrupted.into()), 130);
    }
}
