//! TOML that somebody else may have written: the reader of it is only given what it has stack for.

use serde::de::{DeserializeOwned, Error as _};

/// What `text` is.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, toml::de::Error> {
    // The reader's errors show the line, and those of values the value.
    if crate::sign::begins_a_secret(text) {
        return Err(toml::de::Error::custom(
            "it contains a secret key (not shown); take it out: this is not kept from others",
        ));
    }
    match too_deep(text) {
        None => toml::from_str(text),
        Some(at) => {
            let line = 1 + text[..at].matches('\n').count();
            Err(toml::de::Error::custom(format!("line {line}: {TOO_DEEP}")))
        }
    }
}

/// No table or list of a file of ours is deeper in others. The reader of TOML goes deeper for every bracket that is opened, and has no end
/// of its own where none is closed.
const DEEPEST: usize = 64;

/// What is wrong where brackets are deeper.
pub const TOO_DEEP: &str = "brackets are nested more than 64 deep; is one not closed?";

/// Where brackets are more than [`DEEPEST`] deep: the byte. Those in strings and comments do not count.
pub fn too_deep(text: &str) -> Option<usize> {
    // What closes the brackets that are open. One of the other kind closes none: the reader goes on inside.
    let mut open = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    // All that counts is ASCII, of which no other character has a byte.
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = string(bytes, at, quote),
            b'#' => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b'[' | b'{' if open.len() == DEEPEST => return Some(at),
            bracket @ (b'[' | b'{') => {
                open.push(if bracket == b'[' { b']' } else { b'}' });
                at += 1;
            }
            bracket @ (b']' | b'}') => {
                if open.last() == Some(&bracket) {
                    open.pop();
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

/// Where the string ends that the `quote` at `at` opens, its end with it; one of a single line ends with the line at the latest.
fn string(text: &[u8], mut at: usize, quote: u8) -> usize {
    let three = [quote; 3];
    let long = text[at..].starts_with(&three);
    let ends: &[u8] = if long { &three } else { &three[..1] };
    at += ends.len();
    while at < text.len() {
        match text[at] {
            byte if byte == quote && text[at..].starts_with(ends) => return at + ends.len(),
            b'\n' if !long => return at,
            // With what it escapes.
            b'\\' if quote == b'"' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let quoted = "a = '''[[\n['''\nb = \"{\\\"[\"\nc = '{['\n# {{[[\n".repeat(100);
        assert_eq!(too_deep(&quoted), None);
        assert_eq!(too_deep(&"a = [{b = [1]}]\n".repeat(500)), None);
        // The other bracket closes none.
        let unclosed = "a = { b = 1, c\",\n]\n\n[d]\n".repeat(500);
        assert!(too_deep(&unclosed).is_some());
        assert!(from_str::<toml::Table>(&unclosed).is_err());
    }

    /// Every file that somebody else may have written, by the reader that it has.
    #[test]
    fn no_file_of_anybody_ends_the_stack() {
        let text = format!("\na = {}", "[".repeat(1_000_000));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("distribution.toml");
        std::fs::write(&file, &text).unwrap();
        let errors = [
            crate::lock::Lock::read(&file).unwrap_err().to_string(),
            crate::overlay::Manifest::parse(&text, "overlay.toml")
                .unwrap_err()
                .to_string(),
            crate::boot::kernel_log::KernelLog::load(&file)
                .unwrap_err()
                .to_string(),
        ];
        for error in errors {
            assert!(error.contains("more than 64 deep"), "{error}");
        }
    }
}
