//! Readers of what comes from outside that are parts of longer ways: by themselves, for the fuzzers in `tests/fuzz`.

use std::collections::BTreeMap;
use std::io::BufReader;

use crate::build;
use crate::glob::matches;
use crate::overlay::config::declared_options;
use crate::preflight::{e2fsprogs, kernel, ldiskfs, requirements};
use crate::source::{self, Location};

/// How many files for dnf a `repomd.xml` names.
pub fn repomd(bytes: &[u8]) -> Result<usize, String> {
    source::repodata::files_of(bytes, &["primary", "filelists", "modules"]).map(|files| files.len())
}

/// How many source packages called `name` a `primary.xml` lists.
pub fn source_packages(bytes: &[u8], name: &str) -> Result<usize, String> {
    source::repodata::source_packages(BufReader::new(bytes), name).map(|packages| packages.len())
}

/// What of an annotated tag's object is signed, and the signature.
pub fn signed_tag(object: &[u8]) -> Option<(&[u8], &[u8])> {
    source::signed(object)
}

/// What of curl's configuration names a location.
pub fn curl_line(place: &Location) -> String {
    source::url_line(place)
}

/// Reads a text as every file of a source tree of which something is read: makefiles, macros of configure, specs, Kconfig, a log.
pub fn tree_texts(text: &str) -> Result<usize, String> {
    // As long as the name of a file can be.
    let long = "a".repeat(255);
    let path = format!("fs/ext4/{long}");
    let mut found = 0;
    for pattern in ldiskfs::wildcards(text) {
        found += usize::from(matches(&pattern, &path, false) || matches(&pattern, &long, false));
    }
    let there = BTreeMap::from([(long, Vec::new()), ("two.patch".to_owned(), Vec::new())]);
    for patch in kernel::declared(text) {
        found += usize::from(kernel::named(&patch, &there).is_some());
    }
    let lines: Vec<&str> = text.lines().collect();
    for requirement in [requirements::of_m4(text), requirements::of_spec(text)].concat() {
        let line = lines.get(requirement.line.wrapping_sub(1));
        if line.is_none_or(|line| line.is_empty()) {
            return Err(format!("`{requirement}` is said to be on an empty line"));
        }
        found += 1;
    }
    found += e2fsprogs::provided(text).count();
    found += e2fsprogs::release(text, ".el9").len().min(1);
    found += usize::from(build::e2fsprogs::Tree::read(text, text).is_ok());
    found += usize::from(build::kernel_tree::release_of(text).is_some());
    found += usize::from(build::lustre::chosen_series(text).is_some());
    found += declared_options(text).count();
    Ok(found)
}
