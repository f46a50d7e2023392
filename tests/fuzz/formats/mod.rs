//! The formats, one file each, or one for a few of a kind.

mod apt;
mod archive;
mod built;
mod bundle;
mod deb;
mod fixup;
mod guest;
mod json;
mod kconfig;
mod key;
mod location;
mod lock;
mod modules;
mod patch;
mod repodata;
mod rich;
mod rpm;
mod series;
mod sums;
mod tag;
mod target;
mod tree;
mod version;

use std::path::{Path, PathBuf};

use crate::Format;

/// A format, as it is handed around.
pub type AnyFormat = dyn Format + Sync;

/// All formats, in the order in which they are fed.
pub fn all() -> Vec<Box<AnyFormat>> {
    vec![
        Box::new(rpm::Rpm::new()),
        Box::new(repodata::Repomd),
        Box::new(repodata::Primary),
        Box::new(repodata::Filelists),
        Box::new(rich::Rich),
        Box::new(version::Version),
        Box::new(patch::Patch),
        Box::new(deb::Deb),
        Box::new(archive::Archive),
        Box::new(bundle::Bundle),
        Box::new(built::BuildOutput),
        Box::new(target::Target),
        Box::new(target::Specs),
        Box::new(lock::Lock),
        Box::new(key::Key),
        Box::new(apt::Apt),
        Box::new(kconfig::Kconfig),
        Box::new(tag::Tag),
        Box::new(json::Proof),
        Box::new(json::Manifest),
        Box::new(json::Releases),
        Box::new(json::Assets),
        Box::new(guest::Guest),
        Box::new(modules::Modules),
        Box::new(sums::Sums),
        Box::new(series::List),
        Box::new(location::Place),
        Box::new(fixup::Fixed),
        Box::new(tree::Tree),
    ]
}

/// The project's `specs`.
fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs")
}

/// A file of the project's `specs`.
fn spec_file(path: &str) -> String {
    std::fs::read_to_string(specs().join(path)).unwrap_or_default()
}

/// Text of an input: what is not UTF-8 is for readers of bytes.
fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// Compresses with gzip.
fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

/// 512 MiB of one byte in a gzip file: what a bomb unpacks to.
fn gzip_bomb(head: &[u8], byte: u8, tail: &[u8]) -> Vec<u8> {
    gzip_of(512, head, byte, tail)
}

/// So many MiB of one byte in a gzip file.
fn gzip_of(size: usize, head: &[u8], byte: u8, tail: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![byte; 1 << 20];
    let _ = encoder.write_all(head);
    for _ in 0..size {
        let _ = encoder.write_all(&block);
    }
    let _ = encoder.write_all(tail);
    encoder.finish().unwrap_or_default()
}

/// Makes the checksums of the headers of a tar archive right.
fn tar_sums(archive: &mut [u8]) {
    for header in archive.chunks_exact_mut(512) {
        if &header[257..262] == b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
