//! An RPM's headers as they are in the file: checked bounds, and texts as bytes.
//!
//! rpm-rs gives texts as UTF-8 only, but the texts of old packages are Latin-1, and it trusts the offsets of a header
//! that it parses. So the bytes are checked here, given to rpm-rs, and texts are taken from them.

use std::collections::HashMap;
use std::io::{self, Read};

/// Bytes of the lead, which has been without use since rpm 3 but is still there.
const LEAD: usize = 96;
/// Bytes of a header's introduction: magic, reserved, number of entries, bytes of data.
const INTRODUCTION: usize = 16;
/// Bytes of an index entry: tag, type, offset, count.
const ENTRY: usize = 16;
/// rpm's own limits on a header's entries and data.
const MAX_ENTRIES: u32 = 0xffff;
const MAX_DATA: u32 = 0x0fff_ffff;

/// The lead and both headers of an RPM file.
pub(super) struct Headers {
    /// All bytes up to the payload.
    pub(super) bytes: Vec<u8>,
    /// The signature header.
    pub(super) signature: Tags,
    /// The main header.
    pub(super) main: Tags,
}

/// Where a header and its tags are in the file.
pub(super) struct Tags {
    /// Offset of the header's first byte.
    pub(super) start: usize,
    /// Offset of the first byte after the header.
    pub(super) end: usize,
    data: usize,
    index: HashMap<u32, Location>,
}

#[derive(Clone, Copy)]
struct Location {
    kind: u32,
    offset: usize,
    count: usize,
}

impl Headers {
    /// Reads everything up to the payload.
    pub(super) fn read(source: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(16 * 1024);
        take(source, &mut bytes, LEAD)?;
        if bytes[..4] != [0xed, 0xab, 0xee, 0xdb] {
            return Err(invalid("it does not start as an RPM does"));
        }
        let signature = Tags::read(source, &mut bytes, "signature header")?;
        let padding = signature.end.next_multiple_of(8) - signature.end;
        take(source, &mut bytes, padding)?;
        let main = Tags::read(source, &mut bytes, "header")?;
        Ok(Self {
            bytes,
            signature,
            main,
        })
    }

    /// The texts of a tag of the main header; empty where there is none.
    pub(super) fn texts(&self, tag: u32) -> Result<Vec<&[u8]>, String> {
        self.main.texts(&self.bytes, tag)
    }

    /// The first text of a tag of the main header. Of a translated text that is the one in the C locale.
    pub(super) fn text(&self, tag: u32) -> Result<Option<&[u8]>, String> {
        Ok(self.texts(tag)?.first().copied())
    }

    /// The numbers of a tag of the main header; empty where there is none.
    pub(super) fn numbers(&self, tag: u32) -> Result<Vec<u64>, String> {
        self.main.numbers(&self.bytes, tag)
    }

    /// The first number of a tag of the main header.
    pub(super) fn number(&self, tag: u32) -> Result<Option<u64>, String> {
        Ok(self.numbers(tag)?.first().copied())
    }

    /// The first number of a tag of the signature header.
    pub(super) fn signature_number(&self, tag: u32) -> Result<Option<u64>, String> {
        Ok(self.signature.numbers(&self.bytes, tag)?.first().copied())
    }
}

impl Tags {
    fn read(source: &mut impl Read, bytes: &mut Vec<u8>, what: &str) -> io::Result<Self> {
        let start = bytes.len();
        take(source, bytes, INTRODUCTION)?;
        if bytes[start..start + 4] != [0x8e, 0xad, 0xe8, 0x01] {
            return Err(invalid(format!("its {what} has no magic number")));
        }
        let entries = word(bytes, start + 8);
        let size = word(bytes, start + 12);
        if entries > MAX_ENTRIES || size > MAX_DATA {
            return Err(invalid(format!(
                "its {what} has {entries} entries and {size} bytes, more than rpm allows"
            )));
        }
        let (entries, size) = (entries as usize, size as usize);
        take(source, bytes, entries * ENTRY + size)?;
        let data = start + INTRODUCTION + entries * ENTRY;
        let mut index = HashMap::with_capacity(entries);
        for number in 0..entries {
            let at = start + INTRODUCTION + number * ENTRY;
            let tag = word(bytes, at);
            let location = Location {
                kind: word(bytes, at + 4),
                offset: word(bytes, at + 8) as usize,
                count: word(bytes, at + 12) as usize,
            };
            let length = location.width().saturating_mul(location.count);
            if location.offset > size || length > size - location.offset {
                return Err(invalid(format!(
                    "the tag {tag} of its {what} points outside of it"
                )));
            }
            index.entry(tag).or_insert(location);
        }
        Ok(Self {
            start,
            end: bytes.len(),
            data,
            index,
        })
    }

    fn texts<'a>(&self, bytes: &'a [u8], tag: u32) -> Result<Vec<&'a [u8]>, String> {
        let Some(location) = self.index.get(&tag) else {
            return Ok(Vec::new());
        };
        // STRING, STRING_ARRAY, I18NSTRING
        if !matches!(location.kind, 6 | 8 | 9) {
            return Err(format!("the header's tag {tag} is not a text"));
        }
        let mut rest = &bytes[self.data + location.offset..self.end];
        let mut texts = Vec::with_capacity(location.count);
        for _ in 0..location.count {
            let Some(length) = rest.iter().position(|byte| *byte == 0) else {
                return Err(format!("a text of the header's tag {tag} has no end"));
            };
            texts.push(&rest[..length]);
            rest = &rest[length + 1..];
        }
        Ok(texts)
    }

    fn numbers(&self, bytes: &[u8], tag: u32) -> Result<Vec<u64>, String> {
        let Some(location) = self.index.get(&tag) else {
            return Ok(Vec::new());
        };
        // CHAR, INT8, INT16, INT32, INT64
        if !matches!(location.kind, 1..=5) {
            return Err(format!("the header's tag {tag} is not a number"));
        }
        let width = location.width();
        let start = self.data + location.offset;
        let data = &bytes[start..start + width * location.count];
        Ok(data
            .chunks_exact(width)
            .map(|chunk| {
                chunk
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            })
            .collect())
    }
}

impl Location {
    /// Bytes of one value; at least one for a text.
    fn width(self) -> usize {
        match self.kind {
            0 => 0,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => 1,
        }
    }
}

fn take(source: &mut impl Read, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let got = source.take(count as u64).read_to_end(bytes)?;
    if got == count {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ends inside of its header",
        ))
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// The big-endian 32-bit number at an offset that is known to be inside.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one entry.
    fn section(tag: u32, kind: u32, offset: u32, count: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
        for number in [1, data.len() as u32, tag, kind, offset, count] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    fn file(main: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; LEAD];
        bytes[..4].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb]);
        bytes.extend(section(1000, 4, 0, 1, &[0, 0, 1, 2]));
        bytes.extend([0; 4]);
        bytes.extend(main);
        bytes.extend(b"payload");
        bytes
    }

    fn fails(bytes: &[u8]) -> String {
        match Headers::read(&mut &bytes[..]) {
            Ok(_) => panic!("read"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn values_and_range() {
        let bytes = file(&section(1085, 8, 1, 2, b"xone\0\xe9\0"));
        let headers = Headers::read(&mut &bytes[..]).unwrap();
        assert_eq!(headers.texts(1085).unwrap(), [&b"one"[..], b"\xe9"]);
        assert_eq!(headers.texts(1).unwrap(), [] as [&[u8]; 0]);
        assert_eq!(headers.signature_number(1000).unwrap(), Some(0x102));
        assert_eq!((headers.main.start, headers.main.end), (136, 175));
        assert!(headers.number(1085).unwrap_err().contains("not a number"));
        let bytes = file(&section(5, 3, 0, 2, &[1, 0, 0, 2]));
        let headers = Headers::read(&mut &bytes[..]).unwrap();
        assert_eq!(headers.numbers(5).unwrap(), [0x100, 2]);
        assert!(headers.text(5).unwrap_err().contains("not a text"));
    }

    #[test]
    fn broken_headers_are_errors() {
        assert!(fails(b"").contains("ends inside"));
        assert!(fails(&[7; 400]).contains("as an RPM does"));
        let good = file(&section(1, 6, 0, 1, b"a\0"));
        assert!(fails(&good[..168]).contains("ends inside"));
        for (kind, offset, count) in [(4, 0, 1), (6, 9, 1), (7, 1, 2), (5, 0, u32::MAX)] {
            let bytes = file(&section(1, kind, offset, count, b"a\0"));
            assert!(fails(&bytes).contains("points outside"));
        }
        let mut huge = file(&section(1, 6, 0, 1, b"a\0"));
        huge[136 + 12] = 0xff;
        assert!(fails(&huge).contains("more than rpm allows"));
        let bytes = file(&section(1, 6, 0, 1, b"a"));
        let headers = Headers::read(&mut &bytes[..]).unwrap();
        assert!(headers.text(1).unwrap_err().contains("has no end"));
    }
}
