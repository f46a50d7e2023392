//! A command, as messages and logs show it.

use std::ffi::{OsStr, OsString};
use std::process::Command;

pub(crate) fn program_name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as one line, cut where it gets too long to read: of a command run in a sandbox what is run there, of git without the settings
/// that it is always given.
pub(crate) fn describe(command: &Command) -> String {
    const LIMIT: usize = 400;
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let inside = arguments.iter().rposition(|argument| *argument == "--");
    let (mut line, program, mut rest) = match inside {
        Some(at) if arguments.contains(&OsStr::new("bwrap")) && at + 1 < arguments.len() => (
            "(in a sandbox) ".to_owned(),
            arguments[at + 1],
            &arguments[at + 2..],
        ),
        _ => (String::new(), command.get_program(), &arguments[..]),
    };
    line.push_str(&quote(program));
    if program == "git" {
        while let [option, _, after @ ..] = rest
            && *option == "-c"
        {
            rest = after;
        }
    }
    for argument in rest {
        line.push(' ');
        line.push_str(&quote(argument));
        if line.len() > LIMIT {
            let cut = (0..=LIMIT).rev().find(|at| line.is_char_boundary(*at));
            line.truncate(cut.unwrap_or(0));
            line.push('…');
            break;
        }
    }
    line
}

fn quote(argument: &OsStr) -> String {
    let text = OsString::from(argument).to_string_lossy().into_owned();
    if !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_=./:,+@%{}".contains(c))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
