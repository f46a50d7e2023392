//! OpenPGP armor: found among prose and beside other blocks, as gpg finds it, or left out where the file is binary.
//!
//! A secret passes through here before anything else has looked at it, so whatever is wrong is said in words of our own: no part of
//! the text, and no error of a library that could carry one.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::shape::{self, find};

const BEGIN: &[u8] = b"-----BEGIN PGP ";
const END: &[u8] = b"-----END PGP ";
const DASHES: &[u8] = b"-----";

/// As gpg reads it: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a block says it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PublicKey,
    SecretKey,
    Signature,
    /// Without armor: its packets tell.
    Binary,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Kind::PublicKey => "PUBLIC KEY BLOCK",
            Kind::SecretKey => "PRIVATE KEY BLOCK",
            Kind::Signature => "SIGNATURE",
            Kind::Binary => "binary file",
        }
    }

    fn of(label: &[u8]) -> Option<Kind> {
        [Kind::PublicKey, Kind::SecretKey, Kind::Signature]
            .into_iter()
            .find(|kind| kind.label().as_bytes() == label)
    }
}

/// The packets of one block.
pub(crate) struct Block {
    pub kind: Kind,
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What is wrong with a text that should hold a key or a signature. It says where, and never what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error("it is empty")]
    Empty,
    #[error("no line of it begins with `-----BEGIN PGP {0}-----`")]
    NoBlock(&'static str),
    #[error("there is text before `-----BEGIN PGP` on its line, perhaps a quotation mark")]
    NotAtLineStart,
    #[error("it contains a `{found}`, not a `{wanted}`")]
    Other {
        /// What it holds.
        found: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A secret key beside what it should hold: whoever wrote it there publishes it.
    #[error("it contains a secret key as well, and is for what everybody may have")]
    Secret,
    /// `\n` as two characters.
    #[error("its line breaks are written as `\\n`")]
    LineBreaksWritten,
    #[error("its line breaks are missing, so its headers cannot be told from its content")]
    LineBreaksLost,
    #[error("its last line `-----END PGP …-----` is missing: it was cut off")]
    NoEnd,
    #[error("line {line} has a character that does not belong there")]
    Character {
        /// Which line, from 1.
        line: usize,
    },
    #[error("it is incomplete: characters are missing")]
    Incomplete,
    #[error("its checksum does not fit: a character was changed, or a line is missing")]
    Checksum,
    #[error("its content is damaged, or not OpenPGP")]
    Packets,
    #[error("it is larger than {limit} bytes, too large for a key")]
    TooLarge {
        /// The most that is read.
        limit: usize,
    },
}

/// The most that is read of a text with keys or signatures. A distribution's file of all its keys has some tens of thousands.
pub const LIMIT: usize = 4 << 20;

/// The blocks of the kind `wanted`, in their order, or all of a binary file; at least one.
pub(crate) fn blocks(text: &[u8], wanted: Kind) -> Result<Vec<Block>, Problem> {
    if text.len() > LIMIT {
        return Err(Problem::TooLarge { limit: LIMIT });
    }
    let all = match text.first() {
        None => return Err(Problem::Empty),
        // Every packet begins with this bit, and no text does.
        Some(first) if first & 0x80 != 0 => {
            return Ok(vec![Block {
                kind: Kind::Binary,
                bytes: Zeroizing::new(text.to_vec()),
            }]);
        }
        Some(_) => armored(text)?,
    };
    // Wherever it stands: one that is not at the start of its line is no block, and secret all the same.
    if wanted != Kind::SecretKey
        && all.iter().any(|block| block.kind == wanted)
        && shape::begins_a_secret(text)
    {
        return Err(Problem::Secret);
    }
    let other = all.first().map(|block| block.kind.label());
    let found: Vec<Block> = all
        .into_iter()
        .filter(|block| block.kind == wanted)
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let wanted = wanted.label();
    Err(match other {
        Some(found) => Problem::Other { found, wanted },
        None if text.trim_ascii().is_empty() => Problem::Empty,
        None if find(text, BEGIN).is_some() => Problem::NotAtLineStart,
        None => Problem::NoBlock(wanted),
    })
}

/// All blocks of a text. Blank space, and which line ends there are, do not matter.
fn armored(text: &[u8]) -> Result<Vec<Block>, Problem> {
    let mut done = Vec::new();
    let mut open: Option<Open> = None;
    for (at, line) in lines(text).enumerate() {
        // One line, unless its line breaks are lost.
        let mut rest = line.trim_ascii();
        loop {
            let Some(mut block) = open.take() else {
                let Some((kind, behind)) = begins(rest) else {
                    // Prose.
                    break;
                };
                rest = behind.trim_ascii();
                if find(rest, br"\n").is_some() {
                    return Err(Problem::LineBreaksWritten);
                }
                if rest.contains(&b':') {
                    return Err(Problem::LineBreaksLost);
                }
                open = Some(Open {
                    kind,
                    body: Zeroizing::default(),
                });
                if rest.is_empty() {
                    break;
                }
                continue;
            };
            let Some(end) = find(rest, END) else {
                block.add(rest, at + 1)?;
                open = Some(block);
                break;
            };
            block.add(&rest[..end], at + 1)?;
            let behind = &rest[end + END.len()..];
            let dashes = find(behind, DASHES).ok_or(Problem::NoEnd)?;
            if Kind::of(&behind[..dashes]) != Some(block.kind) {
                return Err(Problem::NoEnd);
            }
            done.push(block.close()?);
            rest = behind[dashes + DASHES.len()..].trim_ascii();
        }
    }
    match open {
        Some(_) => Err(Problem::NoEnd),
        None => Ok(done),
    }
}

/// A block that has begun.
struct Open {
    kind: Kind,
    body: Zeroizing<Vec<u8>>,
}

impl Open {
    fn add(&mut self, line: &[u8], number: usize) -> Result<(), Problem> {
        // `Version:`, `Comment:` and the like, which base64 cannot be.
        if self.body.is_empty() && line.contains(&b':') {
            return Ok(());
        }
        for byte in line {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => {
                    self.body.push(*byte);
                }
                b' ' | b'\t' => {}
                b'\\' => return Err(Problem::LineBreaksWritten),
                // Another block, or the end of something else.
                b'-' => return Err(Problem::NoEnd),
                _ => return Err(Problem::Character { line: number }),
            }
        }
        Ok(())
    }

    fn close(self) -> Result<Block, Problem> {
        let (body, checksum) = match self.body.len().checked_sub(5) {
            Some(at) if self.body[at] == b'=' && !self.body[at + 1..].contains(&b'=') => {
                (&self.body[..at], Some(&self.body[at + 1..]))
            }
            _ => (&self.body[..], None),
        };
        let decode = |text: &[u8]| {
            BASE64
                .decode(text)
                .map(Zeroizing::new)
                .map_err(|_| Problem::Incomplete)
        };
        let bytes = decode(body)?;
        if let Some(checksum) = checksum {
            let sum = crc24::hash_raw(&bytes).to_be_bytes();
            if decode(checksum)?[..] != sum[1..] {
                return Err(Problem::Checksum);
            }
        }
        if bytes.is_empty() {
            return Err(Problem::Incomplete);
        }
        Ok(Block {
            kind: self.kind,
            bytes,
        })
    }
}

/// The lines of a text, whichever way they end.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').flat_map(|line| {
        line.strip_suffix(b"\r")
            .unwrap_or(line)
            .split(|byte| *byte == b'\r')
    })
}

/// The kind of the block that this line begins, and what stands behind that.
fn begins(line: &[u8]) -> Option<(Kind, &[u8])> {
    let rest = line.strip_prefix(BEGIN)?;
    let end = find(rest, DASHES)?;
    Some((Kind::of(&rest[..end])?, &rest[end + DASHES.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something whose checksum is known: as `gpg --enarmor` writes it.
    const BODY: &str = "aGVsbG8gd29ybGQsIGFuZCBhbGwgdGhhdCBpcyBpbiBpdA==";
    const CONTENT: &[u8] = b"hello world, and all that is in it";

    fn sum() -> String {
        let sum = crc24::hash_raw(CONTENT).to_be_bytes();
        format!("={}", BASE64.encode(&sum[1..]))
    }

    fn text() -> String {
        let (one, two) = BODY.split_at(20);
        format!(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\nComment: a: b\n\n{one}\n{two}\n{}\n-----END PGP PUBLIC KEY BLOCK-----\n",
            sum()
        )
    }

    fn read(text: &str) -> Result<Vec<Vec<u8>>, Problem> {
        Ok(blocks(text.as_bytes(), Kind::PublicKey)?
            .into_iter()
            .map(|block| block.bytes.to_vec())
            .collect())
    }

    #[test]
    fn the_checksum_is_that_of_openpgp() {
        // RFC 9580, 6.1: the initial value, and one known sum.
        assert_eq!(crc24::hash_raw(b""), 0x00b7_04ce);
        assert_eq!(crc24::hash_raw(b"123456789"), 0x0021_cf02);
    }

    #[test]
    fn blocks_are_found_among_prose_and_other_blocks() {
        let block = text();
        let signature = block.replace("PUBLIC KEY BLOCK", "SIGNATURE");
        let all = format!(
            "The keys -----BEGIN PGP PUBLIC KEY BLOCK----- are:\n{block}\nand, of 2019\n\n{signature}{block}The end: =x\n"
        );
        assert_eq!(read(&all).unwrap(), [CONTENT, CONTENT]);
        assert_eq!(blocks(all.as_bytes(), Kind::Signature).unwrap().len(), 1);
    }

    #[test]
    fn what_everybody_may_have_has_no_secret_beside_it() {
        let public = text();
        let secret = public.replace("PUBLIC", "PRIVATE");
        for both in [
            format!("{public}{secret}"),
            format!("{secret}{public}"),
            format!("{public}> {}", secret.replace('\n', "\n> ")),
        ] {
            assert_eq!(read(&both), Err(Problem::Secret), "{both}");
            let signed = both.replace("PUBLIC KEY BLOCK", "SIGNATURE");
            let signature = blocks(signed.as_bytes(), Kind::Signature);
            assert_eq!(signature.err(), Some(Problem::Secret), "{both}");
        }
        // The owner's own file may have both.
        let both = format!("{public}{secret}");
        assert_eq!(blocks(both.as_bytes(), Kind::SecretKey).unwrap().len(), 1);
    }

    #[test]
    fn blank_space_and_line_ends_do_not_matter() {
        let plain = text();
        let bare = plain.replace("Version: 1\nComment: a: b\n", "");
        for (what, text) in [
            ("as it is", plain.clone()),
            ("CRLF", plain.replace('\n', "\r\n")),
            ("CR", plain.replace('\n', "\r")),
            ("doubled line ends", plain.replace('\n', "\n\n")),
            ("indented", plain.replace('\n', "\n    ")),
            ("blanks behind", plain.replace('\n', " \t\n")),
            ("no last line end", plain.trim_end().to_owned()),
            ("no checksum", plain.replace(&format!("{}\n", sum()), "")),
            ("no padding", plain.replace("==\n=", "\n=")),
            ("blanks for line breaks", bare.replace('\n', " ")),
            ("no line breaks", bare.replace('\n', "")),
        ] {
            assert_eq!(
                read(&text).as_deref(),
                Ok(&[CONTENT.to_vec()][..]),
                "{what}"
            );
        }
        let twice = bare.replace('\n', "").repeat(2);
        assert_eq!(read(&twice).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_content() {
        let plain = text();
        let wanted = "PUBLIC KEY BLOCK";
        for (what, text, problem) in [
            ("nothing", String::new(), Problem::Empty),
            ("blank", " \n\n".to_owned(), Problem::Empty),
            (
                "the base64 alone",
                BODY.to_owned(),
                Problem::NoBlock(wanted),
            ),
            ("in quotes", format!("\"{plain}\""), Problem::NotAtLineStart),
            (
                "with > before",
                plain.replace("-----B", "> -----B"),
                Problem::NotAtLineStart,
            ),
            (
                "\\n written out",
                plain.replace('\n', r"\n"),
                Problem::LineBreaksWritten,
            ),
            (
                "a blank for each line break, and headers",
                plain.replace('\n', " "),
                Problem::LineBreaksLost,
            ),
            (
                "cut off",
                plain[..plain.len() - 50].to_owned(),
                Problem::NoEnd,
            ),
            (
                "cut off before another",
                format!("{}{plain}", &plain[..plain.len() - 50]),
                Problem::NoEnd,
            ),
            (
                "another end",
                plain.replace("END PGP PUBLIC KEY BLOCK", "END PGP SIGNATURE"),
                Problem::NoEnd,
            ),
            (
                "a wrong character",
                plain.replace("aGVs", "a*Vs"),
                Problem::Character { line: 5 },
            ),
            (
                "an NBSP",
                plain.replace("aGVs", "a\u{a0}Vs"),
                Problem::Character { line: 5 },
            ),
            (
                "another character",
                plain.replace("aGVs", "aGVt"),
                Problem::Checksum,
            ),
            (
                "a character less",
                plain.replace("aGVs", "aGV"),
                Problem::Incomplete,
            ),
            (
                "a line less",
                plain.replace(&format!("{}\n", &BODY[..20]), ""),
                Problem::Checksum,
            ),
            (
                "a wrong checksum",
                plain.replace(&sum(), "=AAAA"),
                Problem::Checksum,
            ),
            (
                "no body",
                plain
                    .replace(BODY.split_at(20).0, "")
                    .replace(BODY.split_at(20).1, ""),
                Problem::Checksum,
            ),
            (
                "another kind",
                plain.replace(wanted, "PRIVATE KEY BLOCK"),
                Problem::Other {
                    found: "PRIVATE KEY BLOCK",
                    wanted,
                },
            ),
            (
                "too much",
                "x".repeat(LIMIT + 1),
                Problem::TooLarge { limit: LIMIT },
            ),
        ] {
            assert_eq!(read(&text), Err(problem), "{what}");
        }
    }

    #[test]
    fn a_binary_file_is_one_block() {
        let found = blocks(&[0x99, 1, 2], Kind::PublicKey).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].kind, &found[0].bytes[..]),
            (Kind::Binary, &[0x99, 1, 2][..])
        );
    }
}
