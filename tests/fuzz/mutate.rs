//! New inputs from good ones, decided by a seed and a number alone.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::{Case, Format};

/// No input made here is longer: what is slow because it is long says nothing.
const LONGEST: usize = 64 * 1024;

/// Numbers at the edges of what programs count with.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "00",
    "1e9",
    "127",
    "128",
    "255",
    "256",
    "32768",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "0x10",
    "1.5",
    "٣",
];

/// Text that is trouble somewhere.
const TROUBLE: &[&str] = &[
    "\0",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{feff}",
    "\u{fffd}",
    "é",
    "漢",
    "🦀",
    "..",
    "../",
    "../../etc/passwd",
    "/",
    "//",
    "/dev/zero",
    "/proc/self/mem",
    "~",
    "*",
    "%",
    "%s%n",
    "%{lua:os.exit(1)}",
    "$(id)",
    "`id`",
    "${HOME}",
    ";",
    "&",
    "&amp;",
    "|",
    "<",
    ">",
    "\"",
    "'",
    "\\",
    "#",
    "-",
    "--",
    "@",
    ":",
    "=",
    ",",
    " ",
    "        ",
];

/// The input of this number. `seeds` are the format's.
pub fn input(format: &dyn Format, seeds: &[Case], seed: u64, number: u64) -> Vec<u8> {
    // Of two inputs, neither depends on the other having been made.
    let mut random = StdRng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let Some(first) = seeds.choose(&mut random) else {
        return Vec::new();
    };
    let mut bytes = first.bytes.clone();
    // Mostly few changes: the more there are, the earlier a reader stops.
    let changes = *[1, 1, 1, 2, 2, 3, 5, 9].choose(&mut random).unwrap_or(&1);
    for _ in 0..changes {
        change(&mut bytes, format, seeds, &mut random);
        bytes.truncate(LONGEST);
    }
    if random.gen_range(0..8) == 0 {
        bytes
    } else {
        format.repair(bytes)
    }
}

fn change(bytes: &mut Vec<u8>, format: &dyn Format, seeds: &[Case], random: &mut StdRng) {
    match random.gen_range(0..17) {
        0 => {
            if let Some(byte) = pick(bytes, random) {
                *byte ^= 1 << random.gen_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = pick(bytes, random) {
                *byte = *[0, 1, 0x7f, 0x80, 0xff, b' ', b'\n']
                    .choose(random)
                    .unwrap_or(&0);
            }
        }
        2 => {
            if let Some(byte) = pick(bytes, random) {
                *byte = random.r#gen();
            }
        }
        // A big-endian number of four bytes, as headers have them.
        3 | 4 => {
            let at = random.gen_range(0..bytes.len().max(4) / 4) * 4;
            let values: [u32; 9] = [
                0,
                1,
                2,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX,
                0xffff,
                0x0fff_ffff,
                random.gen_range(0..256),
            ];
            let value = values.choose(random).copied().unwrap_or_default();
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_be_bytes());
            }
        }
        5 => {
            let (from, to) = range(bytes, random);
            bytes.drain(from..to);
        }
        // Once more, or many times: what nests, nests deeply.
        6 | 7 => {
            let (from, to) = range(bytes, random);
            let part = bytes[from..to].to_vec();
            let times = *[1, 1, 2, 16, 300, 4000].choose(random).unwrap_or(&1);
            let times = times.min(LONGEST / part.len().max(1));
            insert(bytes, to, &part.repeat(times));
        }
        8 => {
            let (from, to) = range(bytes, random);
            let part: Vec<u8> = bytes.drain(from..to).collect();
            let at = place(bytes, random);
            insert(bytes, at, &part);
        }
        9 => {
            if let Some(other) = seeds.choose(random) {
                let (from, to) = range(&other.bytes, random);
                let at = place(bytes, random);
                insert(bytes, at, &other.bytes[from..to]);
            }
        }
        10 => {
            let word = word(format, random);
            let at = place(bytes, random);
            insert(bytes, at, word.as_bytes());
        }
        // In the place of a word that is there.
        11 | 12 => {
            let (from, to) = token(bytes, random);
            let word = word(format, random);
            bytes.splice(from..to, word.bytes());
        }
        13 => {
            let (from, to) = number(bytes, random);
            let word = NUMBERS.choose(random).copied().unwrap_or_default();
            bytes.splice(from..to, word.bytes());
        }
        14 => {
            let (from, to) = line(bytes, random);
            bytes.drain(from..to);
        }
        15 => {
            let (from, to) = line(bytes, random);
            let part = bytes[from..to].to_vec();
            let (at, _) = line(bytes, random);
            insert(bytes, at, &part);
        }
        _ => {
            let at = place(bytes, random);
            bytes.truncate(at);
        }
    }
}

fn word(format: &dyn Format, random: &mut StdRng) -> &'static str {
    let words = match random.gen_range(0..4) {
        0 => NUMBERS,
        1 => TROUBLE,
        _ if format.words().is_empty() => TROUBLE,
        _ => format.words(),
    };
    words.choose(random).copied().unwrap_or_default()
}

fn pick<'a>(bytes: &'a mut [u8], random: &mut StdRng) -> Option<&'a mut u8> {
    let at = random.gen_range(0..bytes.len().max(1));
    bytes.get_mut(at)
}

fn place(bytes: &[u8], random: &mut StdRng) -> usize {
    random.gen_range(0..=bytes.len())
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    bytes.splice(at..at, part.iter().copied());
}

/// A range, short as a rule.
fn range(bytes: &[u8], random: &mut StdRng) -> (usize, usize) {
    let from = place(bytes, random);
    let longest = *[1, 4, 16, 64, 1024].choose(random).unwrap_or(&4);
    let to = (from + random.gen_range(0..=longest)).min(bytes.len());
    (from, to)
}

/// The bytes around a place that satisfy `belongs`.
fn around(bytes: &[u8], random: &mut StdRng, belongs: impl Fn(&u8) -> bool) -> (usize, usize) {
    let start = place(bytes, random);
    // The next such run, so that one is found where there are few.
    let Some(at) = bytes[start..].iter().position(&belongs) else {
        return (start, start);
    };
    let at = start + at;
    let from = bytes[..at]
        .iter()
        .rposition(|byte| !belongs(byte))
        .map_or(0, |end| end + 1);
    let to = bytes[at..]
        .iter()
        .position(|byte| !belongs(byte))
        .map_or(bytes.len(), |end| at + end);
    (from, to)
}

fn token(bytes: &[u8], random: &mut StdRng) -> (usize, usize) {
    around(bytes, random, |byte| {
        byte.is_ascii_alphanumeric() || b"_-.".contains(byte)
    })
}

fn number(bytes: &[u8], random: &mut StdRng) -> (usize, usize) {
    around(bytes, random, u8::is_ascii_digit)
}

/// A line with its end.
fn line(bytes: &[u8], random: &mut StdRng) -> (usize, usize) {
    let (from, to) = around(bytes, random, |byte| *byte != b'\n');
    (from, (to + 1).min(bytes.len()))
}
