//! The text of a config: its options and their values.

use std::collections::BTreeMap;
use std::fmt;

use lustre_files::help;

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `y`: built in.
    Yes,
    /// `m`: built as a module.
    Module,
    /// `n`, or `is not set`.
    No,
    /// A string, without its quotes, escapes resolved.
    Text(String),
    /// A decimal or hexadecimal number, as it is written.
    Number(String),
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Yes => out.write_str("y"),
            Value::Module => out.write_str("m"),
            Value::No => out.write_str("not set"),
            Value::Text(text) => {
                write!(
                    out,
                    "\"{}\"",
                    text.replace('\\', "\\\\").replace('"', "\\\"")
                )
            }
            Value::Number(number) => out.write_str(number),
        }
    }
}

impl Value {
    /// The config line that gives `option` (with its `CONFIG_`) this value.
    pub fn line(&self, option: &str) -> String {
        match self {
            Value::No => format!("# {option} is not set"),
            value => format!("{option}={value}"),
        }
    }
}

/// One option of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The option, with its `CONFIG_`.
    pub option: String,
    pub value: Value,
    /// Its line, counted from 1.
    pub line: usize,
    /// True when the option only counts where the kernel knows it.
    pub where_known: bool,
}

/// A parsed config or fragment, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Its options, each once.
    pub entries: Vec<Entry>,
}

/// A config that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name}, line {line}: {problem}: `{text}`")]
    Malformed {
        /// The config's name.
        name: String,
        /// The line, counted from 1.
        line: usize,
        problem: &'static str,
        /// The line's text.
        text: String,
    },
    #[error("{name}, line {line}: {option} has another value on line {first}{}", help!("keep one"))]
    Contradiction {
        /// The config's name.
        name: String,
        /// The second line, counted from 1.
        line: usize,
        /// The first line.
        first: usize,
        option: String,
    },
}

impl Config {
    /// Parses a config or a fragment; `name` is used in messages.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut where_known = false;
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let malformed = |problem| ConfigError::Malformed {
                name: name.to_owned(),
                line,
                problem,
                text: raw.to_owned(),
            };
            let parsed = match read_line(raw).map_err(malformed)? {
                ParsedLine::Nothing => continue,
                ParsedLine::WhereKnown(switch) => {
                    where_known = switch;
                    continue;
                }
                ParsedLine::Option(option, value) => Entry {
                    option,
                    value,
                    line,
                    where_known,
                },
            };
            match seen.get(&parsed.option) {
                Some(&at) if config.entries[at].value == parsed.value => {}
                Some(&at) => {
                    return Err(ConfigError::Contradiction {
                        name: name.to_owned(),
                        line,
                        first: config.entries[at].line,
                        option: parsed.option,
                    });
                }
                None => {
                    seen.insert(parsed.option.clone(), config.entries.len());
                    config.entries.push(parsed);
                }
            }
        }
        Ok(config)
    }

    /// The value of `option` (with its `CONFIG_`); an option that is not there is not set.
    pub fn get(&self, option: &str) -> Option<&Value> {
        self.entries
            .iter()
            .find(|entry| entry.option == option)
            .map(|entry| &entry.value)
    }
}

/// What a line says.
enum ParsedLine {
    Nothing,
    WhereKnown(bool),
    Option(String, Value),
}

fn read_line(raw: &str) -> Result<ParsedLine, &'static str> {
    let line = raw.trim();
    if let Some(directive) = line.strip_prefix("#@") {
        return match directive.trim() {
            "where-known" => Ok(ParsedLine::WhereKnown(true)),
            "always" => Ok(ParsedLine::WhereKnown(false)),
            _ => Err("unknown directive, expected `#@ where-known` or `#@ always`"),
        };
    }
    if let Some(comment) = line.strip_prefix('#') {
        let option = comment.trim().strip_suffix(" is not set");
        return Ok(match option.filter(|option| is_option(option)) {
            Some(option) => ParsedLine::Option(option.to_owned(), Value::No),
            None => ParsedLine::Nothing,
        });
    }
    if line.is_empty() {
        return Ok(ParsedLine::Nothing);
    }
    let (option, value) = line
        .split_once('=')
        .ok_or("expected CONFIG_NAME=value, a comment or `# CONFIG_NAME is not set`")?;
    if !is_option(option) {
        return Err("the name is not CONFIG_ and letters, digits or underscores");
    }
    let value = match value {
        "y" => Value::Yes,
        "m" => Value::Module,
        "n" => Value::No,
        text if text.starts_with('"') => Value::Text(unquote(text)?),
        number if is_number(number) => Value::Number(number.to_owned()),
        _ => return Err("the value is not y, m, n, a number or a \"string\""),
    };
    Ok(ParsedLine::Option(option.to_owned(), value))
}

fn is_option(name: &str) -> bool {
    name.strip_prefix("CONFIG_").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn is_number(text: &str) -> bool {
    if let Some(hex) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        return !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The content of a quoted string; a backslash makes the next character a plain one.
fn unquote(text: &str) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut letters = text[1..].chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if letters.next().is_none() => return Ok(out),
            '"' => return Err("text after the closing quote"),
            '\\' => out.push(letters.next().ok_or("the string has no closing quote")?),
            letter => out.push(letter),
        }
    }
    Err("the string has no closing quote")
}
