//! OpenPGP keys and signatures. No message says anything of a secret key.

use std::path::Path;

use lustre_packaging::sign::{self, PublicKey, Secret, Signer};
use lustre_repository::key;

use super::spec_file;
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Key;

const DATA: &[u8] = b"what is signed";

fn secret() -> String {
    spec_file("distributions/rehearsal/key.asc")
}

fn opened() -> Option<sign::Key> {
    sign::Key::from_armored(&Secret::new(secret()), "the key of the fuzzers", None).ok()
}

impl Format for Key {
    fn name(&self) -> &'static str {
        "key"
    }

    fn seeds(&self) -> Vec<Case> {
        let key = opened();
        let public = key
            .as_ref()
            .and_then(|key| key.public_key_armored().ok())
            .unwrap_or_default();
        let signature = key
            .and_then(|key| key.sign_detached(DATA, 1_767_225_600).ok())
            .unwrap_or_default();
        // A signature is read with the key that it is of; the two are apart by a line.
        vec![
            Case::good("secret", secret()),
            Case::good("public", public.clone()),
            Case::good("a signature", format!("{public}{signature}")),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        let key = secret();
        let begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
        vec![
            Case::bad("empty", ""),
            Case::bad("a beginning, many times", begin.repeat(100_000)),
            Case::bad(
                "headers without an end",
                format!("{begin}{}", "Comment: x\n".repeat(100_000)),
            ),
            Case::bad(
                "eight megabytes of base64",
                format!("{begin}\n{}\n", "A".repeat(8 << 20)),
            ),
            Case::either("one line", key.replace('\n', " ")),
            Case::bad("line breaks as text", key.replace('\n', "\\n")),
            Case::either("line breaks of a Macintosh", key.replace('\n', "\r")),
            Case::either("indented", key.replace('\n', "\n    ")),
            Case::bad(
                "without its last lines",
                key.lines().take(12).collect::<Vec<_>>().join("\n"),
            ),
            Case::either("twice", format!("{key}{key}")),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
            "-----END PGP PUBLIC KEY BLOCK-----\n",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
            "-----BEGIN PGP SIGNATURE-----\n",
            "-----END PGP SIGNATURE-----\n",
            "-----BEGIN PGP MESSAGE-----\n",
            "Comment: x\n",
            "\n\n",
            "=AAAA\n",
            "////",
            "AAAA",
            "\r\n",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let mut refused = Vec::new();
        let mut accepted = false;
        match PublicKey::parse_many(input) {
            Ok(keys) => {
                accepted = true;
                for key in keys {
                    let armored = key.armored().map_err(|error| {
                        format!("a key that was read cannot be written: {}", message(&error))
                    })?;
                    let again = PublicKey::parse(&armored).map_err(|error| {
                        format!("a key that was written cannot be read: {}", message(&error))
                    })?;
                    if again.fingerprint() != key.fingerprint() {
                        return Err("a key is written as another".to_owned());
                    }
                }
            }
            Err(error) => refused.push(message(&error)),
        }
        match sign::Key::from_armored(&Secret::new(input), "the file", None) {
            Ok(_) => accepted = true,
            Err(error) => refused.push(message(&error)),
        }
        let (public, signature) = match text.find("-----BEGIN PGP SIGNATURE") {
            Some(at) => text.split_at(at),
            None => (&text[..], &text[..]),
        };
        refused.extend(
            sign::verify_detached(DATA, signature, public)
                .err()
                .map(|error| message(&error)),
        );
        refused.extend(key::fingerprint(&text).err().map(|error| message(&error)));
        refused.extend(
            key::verify_detached(public, signature, DATA)
                .err()
                .map(|error| message(&error)),
        );
        for words in &refused {
            silent(words, &text)?;
            // Also where another reader takes the input.
            crate::words::check(words, input)?;
        }
        Ok(if accepted {
            ParseOutcome::Accepted
        } else {
            ParseOutcome::Refused(refused.join("\n"))
        })
    }
}

/// That a message quotes nothing of the key: no run of its text.
fn silent(words: &str, text: &str) -> Result<(), String> {
    const RUN: usize = 16;
    let dense = |line: &&str| {
        line.len() >= RUN
            && line
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    for line in text.split(char::is_whitespace).filter(dense) {
        let parts = line
            .as_bytes()
            .chunks(RUN)
            .filter(|part| part.len() == RUN)
            .filter_map(|part| std::str::from_utf8(part).ok());
        for part in parts {
            if words.contains(part) {
                return Err(format!("a message quotes the key: {words}"));
            }
        }
    }
    Ok(())
}
