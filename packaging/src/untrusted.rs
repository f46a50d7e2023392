//! Readers of what comes from outside that are parts of longer ways: by themselves, for the fuzzers in `tests/fuzz`.

use std::io::BufReader;

use crate::distro::debian;
use crate::source;

/// How many files for dnf a `repomd.xml` names.
///
/// # Errors
/// What is wrong, in words.
pub fn repomd(bytes: &[u8]) -> Result<usize, String> {
    source::repodata::files_of(bytes, &["primary", "filelists", "modules"]).map(|files| files.len())
}

/// How many source packages called `name` a `primary.xml` lists.
///
/// # Errors
/// What is wrong, in words.
pub fn source_packages(bytes: &[u8], name: &str) -> Result<usize, String> {
    source::repodata::source_packages(BufReader::new(bytes), name).map(|packages| packages.len())
}

/// How many files `apt-get --print-uris` answers.
///
/// # Errors
/// What is wrong, in words.
pub fn apt_uris(bytes: &[u8]) -> Result<usize, String> {
    debian::lines(bytes)
        .map(|files| files.len())
        .map_err(|error| error.to_string())
}

/// What of an annotated tag's object is signed, and the signature.
pub fn signed_tag(object: &[u8]) -> Option<(&[u8], &[u8])> {
    source::signed(object)
}

/// That a text is well-formed XML.
///
/// # Errors
/// What is wrong, in words.
pub fn well_formed(text: &[u8]) -> Result<(), String> {
    source::repodata::source_packages(text, "").map(drop)
}
