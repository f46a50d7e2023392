//! In which file of a target, and where in it, a key stands.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

/// A file that was read for a target.
pub(super) struct LoadedFile {
    pub path: PathBuf,
    pub text: String,
}

/// Line and column, from 1, of a byte of a text.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// Where the key `key`, such as `kernel.options`, stands: in the last of the files that has it, which is the one that counts.
pub(super) fn find(read: &[LoadedFile], key: &str) -> Option<String> {
    read.iter().rev().find_map(|one| {
        let at = position(&one.text, key)?;
        let (line, column) = line_and_column(&one.text, at);
        Some(format!("{}:{line}:{column}", one.path.display()))
    })
}

/// Where the key `key` stands in a text: its byte.
pub(super) fn position(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    in_table(table.get_ref(), key)
}

fn in_table(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == first)?;
    let Some(rest) = rest else {
        return Some(name.span().start);
    };
    match value.get_ref() {
        DeValue::Table(inner) => in_table(inner, rest),
        DeValue::Array(list) => list.iter().find_map(|item| match item.get_ref() {
            DeValue::Table(inner) => in_table(inner, rest),
            _ => None,
        }),
        _ => None,
    }
}

/// The key that a sentence begins with, where it begins with one.
pub(super) fn key_of(sentence: &str) -> Option<String> {
    let word = sentence.split_whitespace().next()?;
    let word = word.trim_end_matches([':', ',']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (word.contains('.') && word.chars().all(plain)).then(|| word.to_owned())
}

/// What a reader says, without the words of the language that it is written in.
pub(super) fn plain(message: &str) -> String {
    const KINDS: [(&[&str], &str); 3] = [
        (
            &["u8", "u16", "u32", "u64", "u128", "usize"],
            "a whole number, 0 or more",
        ),
        (
            &["i8", "i16", "i32", "i64", "i128", "isize"],
            "a whole number",
        ),
        // It reads any value but one number.
        (&["any valid TOML value"], "a number that fits into 64 bits"),
    ];
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let kind = KINDS.iter().find(|(words, _)| words.contains(&expected));
    let expected = kind.map_or(expected, |(_, kind)| kind);
    let found = ["i128", "u128"]
        .iter()
        .fold(found.to_owned(), |said, word| {
            said.replace(&format!("` as {word}"), "`")
        });
    format!("{found}, expected {expected}")
}

/// What the reader of the merged tables says: of which key, and what. It knows the tables above a key and not where they were read.
pub(super) fn said(error: &toml::de::Error) -> (Option<String>, String) {
    let message = plain(error.message());
    let whole = error.to_string();
    let above = whole
        .lines()
        .filter_map(|line| line.strip_prefix("in `")?.strip_suffix('`'))
        .next_back();
    let quoted = |start: &str| message.strip_prefix(start)?.split('`').next();
    let key = match (above, quoted("unknown field `")) {
        (Some(above), Some(name)) => Some(format!("{above}.{name}")),
        (None, Some(name)) => Some(name.to_owned()),
        (above, None) => above.map(str::to_owned),
    };
    match above {
        Some(above) => (key, format!("{message} in `{above}`")),
        None => (key, message),
    }
}
