//! SHA-256 digests: of bytes, of files, of named fields.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::PathError;

/// A SHA-256 digest; written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    #[error(
        "`{text}` is not a SHA-256 digest: expected 64 hexadecimal digits, found {length} characters{}",
        what_has(*length)
    )]
    Length {
        /// The text given.
        text: String,
        /// Its length in characters.
        length: usize,
    },
    #[error(
        "`{text}` is not a SHA-256 digest: `{found}` at character {position} is not a hexadecimal digit"
    )]
    Character {
        /// The text given.
        text: String,
        /// The character.
        found: char,
        /// Its position, counted from one.
        position: usize,
    },
}

fn what_has(length: usize) -> &'static str {
    match length {
        32 => " (the length of an MD5 digest)",
        40 => " (the length of a SHA-1 digest or a git commit)",
        128 => " (the length of a SHA-512 digest)",
        _ => "",
    }
}

impl Digest {
    /// The digest of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest and the length of all that a reader gives.
    pub fn of_reader(reader: &mut dyn Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new();
        let length = copy(reader, &mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok((hasher.finish(), length))
    }

    /// The digest and the length of a file.
    pub fn of_file(path: &Path) -> Result<(Self, u64), PathError> {
        let failed = |source| PathError::new("read", path, source);
        let mut file = lustre_files::open(path).map_err(failed)?;
        Self::of_reader(&mut file).map_err(failed)
    }

    /// The digest of named fields. Names and values are hashed with their lengths, so no two lists of fields run
    /// together into the same bytes; the order counts.
    pub fn of_fields<N: AsRef<str>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut hasher = Hasher::new();
        for (name, value) in fields {
            hasher.field(name.as_ref().as_bytes());
            hasher.field(value.as_ref());
        }
        hasher.finish()
    }

    /// The first 16 hexadecimal digits, for names of folders.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(16);
        text
    }
}

/// A SHA-256 in the making.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Bytes with their length before them.
    pub(crate) fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Reads to the end, giving every piece to `sink`; the number of bytes read.
pub(crate) fn copy(
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buffer = vec![0; 128 * 1024];
    let mut length = 0;
    loop {
        // Of a kernel's sources, or of a whole store, this takes minutes.
        if crate::process::interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                sink(&buffer[..count])?;
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let length = text.chars().count();
        if length != 64 {
            return Err(ParseDigestError::Length {
                text: text.to_owned(),
                length,
            });
        }
        for (index, found) in text.chars().enumerate() {
            let digit = found
                .to_digit(16)
                .ok_or_else(|| ParseDigestError::Character {
                    text: text.to_owned(),
                    found,
                    position: index + 1,
                })?;
            bytes[index / 2] = bytes[index / 2] << 4 | digit as u8;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_and_back() {
        let digest = Digest::of_bytes(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(EMPTY.to_uppercase().parse(), Ok(digest));
        assert_eq!(digest.short(), "e3b0c44298fc1c14");
        assert_eq!(
            serde_json::to_string(&digest).unwrap(),
            format!("\"{EMPTY}\"")
        );
        assert_eq!(
            serde_json::from_str::<Digest>(&format!("\"{EMPTY}\"")).unwrap(),
            digest
        );
    }

    #[test]
    fn what_is_no_digest_is_explained() {
        let commit = "0123456789012345678901234567890123456789";
        let error = commit.parse::<Digest>().unwrap_err().to_string();
        assert!(error.contains("git commit"), "{error}");
        let error = EMPTY
            .replacen('c', "x", 1)
            .parse::<Digest>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("`x` at character 5"), "{error}");
    }

    #[test]
    fn fields_do_not_run_together() {
        let one = Digest::of_fields([("ab", "c")]);
        let two = Digest::of_fields([("a", "bc")]);
        assert_ne!(one, two);
        assert_ne!(
            Digest::of_fields([("a", "1"), ("b", "2")]),
            Digest::of_fields([("b", "2"), ("a", "1")])
        );
    }
}
