//! One header: a magic number, two counts, an index of entries (tag, type, offset, count) and the data that they point into.
//!
//! The rules are those of rpm's own check before it imports a header: every entry has a type that there is, is aligned, ends inside
//! of the data and shares none of it with another entry; the first is the region, whose trailer says the same of it. Entries that
//! share data are how a small file asks for much memory.

use std::io::{self, Read};

/// The magic number, the version and four bytes reserved.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
/// Bytes of a header's introduction: the magic, the number of entries, the bytes of data.
const INTRODUCTION: usize = 16;
/// Bytes of an index entry.
const ENTRY: usize = 16;
/// rpm's type for binary data.
const BINARY: u32 = 7;
/// Bytes of a header that is not large.
const ORDINARY: usize = 16 * 1024;
/// How many values all tags may have together. Parsed, each takes up to 24 bytes; a package of 100,000 files has some two million.
const MAX_VALUES: usize = 16 * 1024 * 1024;

/// How much a header may have.
pub(super) struct Limits {
    /// What to call it.
    pub(super) name: &'static str,
    /// The tag of its region.
    pub(super) region: u32,
    pub(super) entries: u32,
    /// Bytes of data.
    pub(super) data: u32,
}

/// Where a header and its tags are in the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Offset of the header's first byte.
    pub(super) start: usize,
    /// Offset of the first byte after the header.
    pub(super) end: usize,
    data: usize,
    /// By tag, in their order.
    index: Vec<(u32, Location)>,
}

#[derive(Clone, Copy, Debug)]
struct Location {
    kind: u32,
    offset: usize,
    count: usize,
}

impl Section {
    /// Appends a header to the bytes read so far.
    pub(super) fn read(
        source: &mut impl Read,
        bytes: &mut Vec<u8>,
        limits: &Limits,
    ) -> io::Result<Self> {
        let what = limits.name;
        let start = bytes.len();
        take(source, bytes, INTRODUCTION)?;
        if bytes[start..start + MAGIC.len()] != MAGIC {
            return Err(malformed(format!("its {what} has no magic number")));
        }
        let entries = word(bytes, start + 8);
        let size = word(bytes, start + 12);
        if entries == 0 || entries > limits.entries || size > limits.data {
            return Err(malformed(format!(
                "its {what} claims {entries} entries and {size} bytes; from 1 to {} and up to {} are read",
                limits.entries, limits.data
            )));
        }
        let (entries, size) = (entries as usize, size as usize);
        take(source, bytes, entries * ENTRY + size)?;
        let data = start + INTRODUCTION + entries * ENTRY;
        let section = Self {
            start,
            end: bytes.len(),
            data,
            index: Vec::with_capacity(entries),
        };
        section.checked(bytes, limits)
    }

    /// The section with its index, once every entry of it is sound.
    fn checked(mut self, bytes: &[u8], limits: &Limits) -> io::Result<Self> {
        let wrong = |what: String| malformed(format!("{what} of its {}", limits.name));
        let index = &bytes[self.start + INTRODUCTION..self.data];
        let data = &bytes[self.data..self.end];
        if !is_region(index, data, limits.region) {
            return Err(malformed(format!(
                "its {} does not start with a valid region",
                limits.name
            )));
        }
        let mut values = 0_usize;
        let mut extents = Vec::with_capacity(index.len() / ENTRY);
        for entry in index.chunks_exact(ENTRY) {
            let tag = word(entry, 0);
            let location = Location {
                kind: word(entry, 4),
                offset: word(entry, 8) as usize,
                count: word(entry, 12) as usize,
            };
            values = values.saturating_add(location.count);
            if values > MAX_VALUES {
                return Err(wrong(format!("more than {MAX_VALUES} values in the tags")));
            }
            let length = location
                .length(data)
                .map_err(|reason| wrong(format!("the tag {tag} {reason}")))?;
            extents.push((location.offset, length, tag));
            self.index.push((tag, location));
        }
        self.index.sort_unstable_by_key(|(tag, _)| *tag);
        let mut pairs = self.index.windows(2);
        if let Some([(tag, _), ..]) = pairs.find(|pair| pair[0].0 == pair[1].0) {
            return Err(wrong(format!("the tag {tag} is in the index twice")));
        }
        // Empty ones take no place.
        extents.retain(|(_, length, _)| *length > 0);
        extents.sort_unstable();
        for pair in extents.windows(2) {
            let [(offset, length, one), (next, _, other)] = pair else {
                continue;
            };
            if offset + length > *next {
                return Err(wrong(format!(
                    "the tags {one} and {other} share their data in the index"
                )));
            }
        }
        Ok(self)
    }

    /// Every tag with the number of its values and their bytes, sorted.
    pub(super) fn values<'a>(&self, bytes: &'a [u8]) -> Vec<(u32, usize, &'a [u8])> {
        let data = &bytes[self.data..self.end];
        let mut values: Vec<_> = self
            .index
            .iter()
            .filter_map(|(tag, location)| {
                let length = location.length(data).ok()?;
                let value = &data[location.offset..location.offset + length];
                Some((*tag, location.count, value))
            })
            .collect();
        values.sort_unstable();
        values
    }

    pub(super) fn has(&self, tag: u32) -> bool {
        self.location(tag).is_some()
    }

    fn location(&self, tag: u32) -> Option<Location> {
        let place = self.index.binary_search_by_key(&tag, |(tag, _)| *tag);
        place.ok().map(|place| self.index[place].1)
    }

    pub(super) fn texts<'a>(&self, bytes: &'a [u8], tag: u32) -> Result<Vec<&'a [u8]>, String> {
        let Some(location) = self.location(tag) else {
            return Ok(Vec::new());
        };
        // STRING, STRING_ARRAY, I18NSTRING
        if !matches!(location.kind, 6 | 8 | 9) {
            return Err(format!("the header's tag {tag} is not a string"));
        }
        let mut rest = &bytes[self.data + location.offset..self.end];
        let mut texts = Vec::with_capacity(location.count);
        for _ in 0..location.count {
            let Some(length) = memchr::memchr(0, rest) else {
                return Err(format!(
                    "a string of the header's tag {tag} is not terminated"
                ));
            };
            texts.push(&rest[..length]);
            rest = &rest[length + 1..];
        }
        Ok(texts)
    }

    pub(super) fn numbers(&self, bytes: &[u8], tag: u32) -> Result<Vec<u64>, String> {
        let Some(location) = self.location(tag) else {
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
    /// Bytes of one value; a text has at least one.
    fn width(self) -> usize {
        match self.kind {
            0 => 0,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => 1,
        }
    }

    /// How many bytes of `data` it takes, once it is sound; else what is wrong with it.
    fn length(self, data: &[u8]) -> Result<usize, &'static str> {
        const OUTSIDE: &str = "points outside";
        let rest = data.get(self.offset..).ok_or(OUTSIDE)?;
        match self.kind {
            0..=5 | BINARY => {
                let length = self.width().checked_mul(self.count).ok_or(OUTSIDE)?;
                if length > rest.len() {
                    return Err(OUTSIDE);
                }
                if self.kind != BINARY && !self.offset.is_multiple_of(self.width().max(1)) {
                    return Err("is not aligned");
                }
                Ok(length)
            }
            6 if self.count != 1 => Err("is a single string with a count"),
            6 | 8 | 9 => {
                let mut length = 0;
                for _ in 0..self.count {
                    let end = memchr::memchr(0, &rest[length..]);
                    length += 1 + end.ok_or("has a string that is not terminated")?;
                }
                Ok(length)
            }
            _ => Err("has an unknown type"),
        }
    }
}

/// Whether the first entry is the region, whose trailer repeats it with the (negative) length of the index as offset.
fn is_region(index: &[u8], data: &[u8], tag: u32) -> bool {
    let offset = word(index, 8) as usize;
    let length = 0_u32.wrapping_sub(index.len() as u32);
    word(index, 0) == tag
        && word(index, 4) == BINARY
        && word(index, 12) as usize == ENTRY
        && data
            .get(offset..)
            .and_then(|rest| rest.get(..ENTRY))
            .is_some_and(|trailer| {
                trailer[..8] == index[..8]
                    && trailer[8..12] == length.to_be_bytes()
                    && trailer[12..] == index[12..16]
            })
}

/// The big-endian 32-bit number at an offset that is known to be inside.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Appends `count` bytes of the source. What is allocated grows with what is there, not with what a damaged file claims.
pub(super) fn take(source: &mut impl Read, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
    // Room for what an ordinary header has, at once.
    bytes.reserve(count.min(ORDINARY));
    let got = source.take(count as u64).read_to_end(bytes)?;
    if got == count {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ends inside its header",
        ))
    }
}

/// The error for what is no sound RPM.
pub(super) fn malformed(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
