//! Feeds whatever reads files from outside with damaged and hostile ones.
//!
//! A [`Format`] is one kind of file: good examples, hostile ones, and a function that reads one as the tool does and looks
//! whether what has to hold, holds. Inputs are made by [`mutate`] from the good examples; the same seed and number always give
//! the same input. [`worker`] feeds them to a format in a process with a limit of memory, [`campaign`] starts such processes and says
//! what became of them: a panic, an abort, a stack that overflowed, too much time or memory, a promise that does not hold, or a
//! message that shows the program's inside.
//!
//! Everything runs on stable Rust, unoptimised as `cargo xtask` itself is, so that a stack holds here what it holds there.
//! [`formats`] is also what a fuzzer with coverage feedback would call: each format takes plain bytes.

pub mod campaign;
pub mod formats;
pub mod mutate;
mod processes;
pub mod words;
pub mod worker;

use std::error::Error;
use std::path::Path;

/// What a reader made of an input.
#[derive(Debug)]
pub enum ParseOutcome {
    /// It was read.
    Accepted,
    /// It was refused, with this message.
    Refused(String),
}

impl ParseOutcome {
    /// Of a result: its error with all its causes, as the tool shows it.
    pub fn of<T, E: Error>(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(error) => Self::Refused(message(&error)),
        }
    }
}

/// An error with its causes, as the tool shows it.
pub fn message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some errors show their cause themselves.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// What an example has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is good: a fuzzer whose good examples are refused tests nothing.
    Accepted,
    /// It must not be taken.
    Refused,
    /// Only time, memory and the promises count.
    Either,
}

/// An example.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is special about it.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What it has to come to.
    pub expected: Expected,
}

impl Case {
    /// A good example.
    pub fn good(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Expected::Accepted)
    }

    /// One that must be refused.
    pub fn bad(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Expected::Refused)
    }

    /// One that may be taken or not.
    pub fn either(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name, bytes, Expected::Either)
    }

    fn new(name: &'static str, bytes: impl Into<Vec<u8>>, expected: Expected) -> Self {
        Self {
            name,
            bytes: bytes.into(),
            expected,
        }
    }
}

/// One kind of file that comes from outside.
pub trait Format {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Good examples, small: others are made from these.
    fn seeds(&self) -> Vec<Case>;

    /// Hostile examples: bombs, deep nesting, huge counts. Each is tried as it is; they may be large.
    fn hostile(&self) -> Vec<Case> {
        Vec::new()
    }

    /// Words of the format that are strewn in.
    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes whole again what anybody who writes such a file can make whole: checksums, lengths. Most inputs go through it, because
    /// readers that stop at the first wrong sum are not tested behind it.
    fn repair(&self, input: Vec<u8>) -> Vec<u8> {
        input
    }

    /// How much memory a library asks for and leaves untouched, in bytes: on top of what reading may take, and no part of it.
    fn untouched(&self) -> u64 {
        0
    }

    /// Reads the input as the tool does. `folder` is empty and the format's own.
    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String>;
}
