//! What a small hostile package costs: alone in its process, so that the process's peak is that of the reader.

// Clippy lets tests unwrap, but not the functions that they share; and tests look from outside.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

/// The most address space this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A package of `rpm-rs` with four bytes of its main header replaced.
fn changed(sound: &[u8], at: usize, word: u32) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
    bytes
}

/// Where the main header of a package is.
fn main_header(bytes: &[u8]) -> usize {
    let magic = [0x8e, 0xad, 0xe8, 0x01];
    let found = bytes.windows(4).enumerate().filter(|(_, w)| *w == magic);
    found.map(|(at, _)| at).nth(1).unwrap()
}

#[test]
fn a_package_of_a_few_kilobytes_takes_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.rpm");
    let built = rpm::PackageBuilder::new("small", "1", "MIT", "noarch", "A test")
        .with_file_contents(vec![7; 3000], rpm::FileOptions::new("/etc/small"))
        .unwrap()
        .build()
        .unwrap();
    built.write_file(&path).unwrap();
    let sound = fs::read(&path).unwrap();
    assert!(sound.len() < 8000, "{}", sound.len());
    let header = main_header(&sound);
    let entries = u32::from_be_bytes(sound[header + 8..header + 12].try_into().unwrap());
    let opened = |path: &Path| lustre_rpm_header::metadata(path);
    opened(&path).unwrap();
    let before = peak();
    // What the header claims to have, and for every entry its offset and its count.
    let mut places = vec![header + 8, header + 12];
    for entry in 0..entries as usize {
        places.extend([8, 12].map(|field| header + 16 + entry * 16 + field));
    }
    for at in places {
        for word in [u32::MAX, 0x7fff_ffff, 0x0fff_ffff, 0x0100_0000] {
            fs::write(&path, changed(&sound, at, word)).unwrap();
            // Never a panic, and mostly an error: a count of an empty kind may be any.
            let _ = opened(&path);
        }
    }
    let more = peak() - before;
    assert!(more < 64 << 20, "{more} bytes");
}
