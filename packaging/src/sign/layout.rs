//! Where the parts of an RPM file lie, read with the bounds rpm itself keeps, before any library parses them.
//!
//! The file is a lead of 96 bytes, the signature header (padded to 8 bytes), the main header and the payload. A header is a
//! magic number, two counts, an index of 16-byte entries (tag, type, offset, count) and a store of data. A parser that trusts
//! an offset of a damaged file can run out of its buffer, so every entry is checked here first.

use std::io::{self, Read};

const LEAD_BYTES: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The lead's signature type: a header.
const HEADER_SIGNATURE: [u8; 2] = [0, 5];
/// The magic number, the version and four bytes reserved.
const HEADER_MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
/// The tags of the regions that signature header and main header begin with.
const REGIONS: [usize; 2] = [62, 63];
/// rpm's type for binary data.
const BINARY: usize = 7;
const INTRO_BYTES: usize = 16;
const ENTRY_BYTES: usize = 16;
/// rpm's limits for one header: entries, and bytes of data.
const MAX_ENTRIES: usize = 0xffff;
const MAX_DATA: usize = 256 * 1024 * 1024 - 1;
/// rpm's limit for the data of a signature header.
const MAX_SIGNATURE_DATA: usize = 64 * 1024 * 1024;

/// The part of a package before its payload.
pub(super) struct Front {
    /// Lead, signature header and main header, as they are in the file.
    pub bytes: Vec<u8>,
    /// Where the main header begins in `bytes`; it goes on to their end.
    pub header: usize,
}

/// Reads a package up to its payload and leaves the reader there. The error is what is wrong, in words.
pub(super) fn read_front(input: &mut impl Read) -> Result<Front, String> {
    let mut bytes = Vec::new();
    let lead = take(input, &mut bytes, LEAD_BYTES, "lead")?;
    if bytes[lead..lead + 4] != LEAD_MAGIC {
        return Err("it does not begin with an RPM lead".to_owned());
    }
    // All of the lead that rpm still reads: its version, and that a signature header follows.
    if !matches!(bytes[lead + 4], 3 | 4) || bytes[lead + 78..lead + 80] != HEADER_SIGNATURE {
        return Err("its lead is not one that rpm accepts".to_owned());
    }
    let data = read_header(input, &mut bytes, "signature header", MAX_SIGNATURE_DATA)?;
    take(
        input,
        &mut bytes,
        (8 - data % 8) % 8,
        "signature header's padding",
    )?;
    let header = bytes.len();
    read_header(input, &mut bytes, "main header", MAX_DATA)?;
    Ok(Front { bytes, header })
}

/// Reads one header and checks its index; gives the size of its data.
fn read_header(
    input: &mut impl Read,
    bytes: &mut Vec<u8>,
    name: &str,
    max_data: usize,
) -> Result<usize, String> {
    let intro = take(input, bytes, INTRO_BYTES, name)?;
    if bytes[intro..intro + 8] != HEADER_MAGIC {
        return Err(format!("its {name} does not begin with the header magic"));
    }
    let entries = number(bytes, intro + 8);
    let data = number(bytes, intro + 12);
    if entries == 0 || entries > MAX_ENTRIES || data > max_data {
        return Err(format!(
            "its {name} claims {entries} entries and {data} bytes"
        ));
    }
    let index = take(input, bytes, entries * ENTRY_BYTES, name)?;
    let store = take(input, bytes, data, name)?;
    for entry in bytes[index..store].chunks_exact(ENTRY_BYTES) {
        check_entry(entry, &bytes[store..]).map_err(|what| format!("its {name} {what}"))?;
    }
    check_region(&bytes[index..store], &bytes[store..])
        .map_err(|what| format!("its {name} {what}"))?;
    Ok(data)
}

/// Checks the first entry: the region, whose data repeats its entry with the (negative) length of the index as offset.
fn check_region(index: &[u8], store: &[u8]) -> Result<(), String> {
    let (kind, offset, count) = (number(index, 4), number(index, 8), number(index, 12));
    let length = 0_u32.wrapping_sub(index.len() as u32);
    let sound = REGIONS.contains(&number(index, 0))
        && kind == BINARY
        && count == ENTRY_BYTES
        && store
            .get(offset..offset + ENTRY_BYTES)
            .is_some_and(|trailer| {
                trailer[..8] == index[..8]
                    && trailer[8..12] == length.to_be_bytes()
                    && trailer[12..] == index[12..16]
            });
    if sound {
        Ok(())
    } else {
        Err("does not begin with a sound region".to_owned())
    }
}

/// Checks that an index entry points into the store with all of its data.
fn check_entry(entry: &[u8], store: &[u8]) -> Result<(), String> {
    let tag = number(entry, 0);
    let (kind, offset, count) = (number(entry, 4), number(entry, 8), number(entry, 12));
    let outside = || format!("has tag {tag} reaching out of the data");
    let rest = store.get(offset..).ok_or_else(outside)?;
    let width = match kind {
        0 => 0,
        1 | 2 | BINARY => 1,
        3 => 2,
        4 => 4,
        5 => 8,
        6 | 8 | 9 => {
            let ends = rest.iter().filter(|byte| **byte == 0).take(count).count();
            let wanted = if kind == 6 { 1 } else { count };
            return if ends >= wanted && (kind != 6 || count == 1) {
                Ok(())
            } else {
                Err(outside())
            };
        }
        _ => return Err(format!("has tag {tag} of unknown type {kind}")),
    };
    match count.checked_mul(width) {
        Some(length) if length <= rest.len() => Ok(()),
        _ => Err(outside()),
    }
}

/// Appends `count` bytes of the input; gives where they begin.
fn take(
    input: &mut impl Read,
    bytes: &mut Vec<u8>,
    count: usize,
    name: &str,
) -> Result<usize, String> {
    let start = bytes.len();
    // Grows with what is there, not with what a damaged file claims.
    let read = input
        .take(count as u64)
        .read_to_end(bytes)
        .map_err(|error: io::Error| format!("reading its {name} failed: {error}"))?;
    if read < count {
        return Err(format!("it ends within its {name}"));
    }
    Ok(start)
}

/// The big-endian number at `at`; the caller has read those four bytes.
fn number(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of these entries and their data, with a region before them.
    fn header(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let length = 0_u32.wrapping_sub((entries.len() as u32 + 1) * 16);
        let mut data = data.to_vec();
        let entries = [&[[62, 7, data.len() as u32, 16]], entries].concat();
        for number in [62, 7, length, 16] {
            data.extend(number.to_be_bytes());
        }
        let mut bytes = HEADER_MAGIC.to_vec();
        bytes.extend((entries.len() as u32).to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        for number in entries.iter().flatten() {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(&data);
        bytes
    }

    fn package(main: &[u8]) -> Vec<u8> {
        let mut bytes = LEAD_MAGIC.to_vec();
        bytes.push(3);
        bytes.resize(LEAD_BYTES, 0);
        bytes[78..80].copy_from_slice(&HEADER_SIGNATURE);
        bytes.extend(header(&[[1000, 4, 0, 1]], &[0, 0, 0, 9]));
        bytes.extend([0; 4]);
        bytes.extend(main);
        bytes.extend(b"payload");
        bytes
    }

    fn problem(main: &[u8]) -> String {
        read_front(&mut package(main).as_slice()).err().unwrap()
    }

    #[test]
    fn the_parts_of_a_sound_file_are_found() {
        let main = header(&[[1000, 6, 0, 1], [1001, 8, 5, 2]], b"name\0a\0b\0");
        let bytes = package(&main);
        let mut input = bytes.as_slice();
        let front = read_front(&mut input).unwrap();
        assert_eq!(input, b"payload");
        assert_eq!(front.bytes[front.header..], main);
    }

    #[test]
    fn entries_that_leave_the_data_are_refused() {
        for entry in [
            [1000, 7, 4, 21],
            [1000, 4, 0, 0x4000_0001],
            [1000, 4, 0xffff_fff0, 1],
            [1000, 6, 0, 2],
            [1000, 6, 24, 1],
            [1000, 8, 0, 25],
        ] {
            assert!(
                problem(&header(&[entry], b"abcdefgh")).contains("reaching out"),
                "{entry:?}"
            );
        }
        assert!(problem(&header(&[[1000, 17, 0, 1]], b"")).contains("unknown type"));
    }

    #[test]
    fn a_header_without_its_region_is_refused() {
        let sound = header(&[[1000, 4, 0, 1]], &[0; 4]);
        assert!(read_front(&mut package(&sound).as_slice()).is_ok());
        // The region's tag, its offset, and its trailer's length of the index.
        for at in [19, 27, sound.len() - 5] {
            let mut changed = sound.clone();
            changed[at] ^= 4;
            assert!(problem(&changed).contains("region"), "byte {at}");
        }
    }

    #[test]
    fn claims_and_cuts_are_refused_without_allocating() {
        let mut huge = header(&[[1000, 4, 0, 1]], &[0; 4]);
        huge[12..16].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(problem(&huge).contains("claims"));
        let whole = package(&header(&[[1000, 4, 0, 1]], &[0; 4]));
        for length in 0..whole.len() - b"payload".len() {
            assert!(read_front(&mut &whole[..length]).is_err(), "{length}");
        }
    }
}
