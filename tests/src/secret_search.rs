//! Looking for a secret key, or a part of it, where none may be.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lustre_packaging::process;
use lustre_packaging::store::Digest;
use walkdir::WalkDir;

/// The base64 of an armored block, without its checksum.
pub fn body(armored: &str) -> String {
    armored
        .lines()
        .skip_while(|line| !line.is_empty())
        .skip(1)
        .take_while(|line| !line.starts_with('=') && !line.starts_with('-'))
        .collect()
}

/// What it stands for.
///
/// # Panics
/// When it is no base64.
pub fn decoded(body: &str) -> Vec<u8> {
    process::output_with_input(process::command("base64").arg("--decode"), body.as_bytes()).unwrap()
}

type Part = [u8; 8];

fn windows(bytes: &[u8]) -> HashSet<Part> {
    bytes
        .windows(8)
        .map(|part| Part::try_from(part).unwrap())
        .collect()
}

/// A set of parts that is asked for each byte of large files.
#[derive(Debug)]
struct Parts {
    all: HashSet<Part>,
    /// Whether one begins with these two bytes: most do not, and need no further look.
    begins: Vec<bool>,
}

impl Parts {
    fn new(all: HashSet<Part>) -> Self {
        let mut begins = vec![false; 1 << 16];
        for part in &all {
            begins[usize::from(u16::from_be_bytes([part[0], part[1]]))] = true;
        }
        Self { all, begins }
    }

    fn found(&self, bytes: &[u8]) -> Option<String> {
        let mut parts = bytes.windows(8);
        parts
            .find(|part| {
                self.begins[usize::from(u16::from_be_bytes([part[0], part[1]]))]
                    && self.all.contains(*part)
            })
            .map(|part| String::from_utf8_lossy(part).into_owned())
    }
}

/// Eight bytes in a row of the secret, as bytes and in base64: what the public part has, too, is none.
#[derive(Debug)]
pub struct SecretParts {
    bytes: Parts,
    text: Parts,
}

impl SecretParts {
    /// Those of the armored secret key, but what its public key has, too.
    ///
    /// # Panics
    /// When one of them is no base64.
    pub fn new(armored: &str, public: &str) -> Self {
        let (secret, public) = (body(armored), body(public));
        let shown = decoded(&public);
        // The same bytes look otherwise where they begin elsewhere.
        let shown_text: HashSet<Part> = ["", "x", "xx"]
            .iter()
            .flat_map(|before| {
                let bytes = [before.as_bytes(), &shown].concat();
                windows(
                    &process::output_with_input(process::command("base64").arg("--wrap=0"), &bytes)
                        .unwrap(),
                )
            })
            .collect();
        Self {
            bytes: Parts::new(&windows(&decoded(&secret)) - &windows(&shown)),
            text: Parts::new(&windows(secret.as_bytes()) - &shown_text),
        }
    }

    /// Where `what` has a part of the secret: as it is, in base64, and either of them in decimal or in hexadecimal numbers where `what` is
    /// text.
    pub fn is_in(&self, what: &[u8]) -> Option<String> {
        let found = |bytes: &[u8]| self.bytes.found(bytes).or_else(|| self.text.found(bytes));
        if let Some(part) = found(what) {
            return Some(part);
        }
        let text = std::str::from_utf8(what).ok()?;
        let decimal: Vec<u8> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let digits: Vec<&str> = text
            .split(|c: char| !c.is_ascii_hexdigit())
            .filter(|part| !part.is_empty())
            .collect();
        let of = |digits: &str| -> Vec<u8> {
            (0..digits.len() / 2)
                .filter_map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok())
                .collect()
        };
        // A small number may have one digit.
        let apart: Vec<u8> = digits
            .iter()
            .filter(|part| part.len() <= 2)
            .filter_map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        found(&decimal)
            .or_else(|| found(&apart))
            .or_else(|| digits.iter().find_map(|part| found(&of(part))))
    }

    /// The first file below the `folders` that has a part of the secret, in its content or in its name, but for those in `except`. The
    /// same content in many places is read once.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn below(&self, folders: &[&Path], except: &[&Path]) -> Option<String> {
        let mut seen = HashSet::new();
        let files = folders.iter().flat_map(WalkDir::new).map(Result::unwrap);
        let mut files = files.filter(|entry| !except.contains(&entry.path()));
        files.find_map(|entry| {
            let path = entry.path().display().to_string();
            let mut found = self.is_in(path.as_bytes());
            if entry.file_type().is_file() {
                let content = fs::read(entry.path()).unwrap();
                if seen.insert(Digest::of_bytes(&content)) {
                    found = found.or_else(|| self.is_in(&content));
                }
            }
            found.map(|part| format!("{path}: {part:?}"))
        })
    }
}
