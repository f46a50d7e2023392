//! The files of a repository, as they are published.

use crate::layout::Kind;
use crate::{assets, sums};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the tree.
    pub path: String,
    /// Its size in bytes, where it is known.
    pub size: Option<u64>,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// A repository, as its sums list it, with the sums themselves and what speaks of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What it is called at the destination: when it was released, and a part of the digest of its sums.
    pub id: String,
    /// Its files, sorted by path.
    pub files: Vec<File>,
}

impl Release {
    /// That with the sums `text`, released at `time`; `more` are the files that the sums leave out.
    pub fn new(time: u64, text: &str, more: impl IntoIterator<Item = File>) -> Self {
        let mut files: Vec<File> = listed(text).chain(more).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        let digest = sums::of_text(text);
        Self {
            id: format!("{time}-{}", &digest[..16]),
            files,
        }
    }

    /// That with the sums `text`, of which the name is known and nothing else.
    pub fn of_id(id: &str, text: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::new(0, text, [])
        }
    }

    /// When it was released, in seconds since 1970.
    pub fn time(&self) -> u64 {
        time_of(&self.id)
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        let at = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        at.ok().map(|at| &self.files[at])
    }
}

/// The files that the sums `text` list, as far as a repository can have them: what leads elsewhere is none of its files.
pub(super) fn listed(text: &str) -> impl Iterator<Item = File> {
    let inside = sums::all(text).filter(|(_, name)| is_inside(name));
    inside.map(|(digest, name)| File {
        path: name.to_owned(),
        size: None,
        sha256: digest.to_ascii_lowercase(),
    })
}

fn is_inside(path: &str) -> bool {
    !path.chars().any(char::is_control)
        && path
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'))
}

/// Whether a folder in the destination's own is called as one of a release.
pub fn is_id(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.split_once('-').is_some_and(|(time, digest)| {
        digits(time) && digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// When the release of that name was released, in seconds since 1970: a longer number than any is later than all.
pub fn time_of(id: &str) -> u64 {
    let time = id.split('-').next().unwrap_or_default();
    time.parse().unwrap_or(u64::MAX)
}

/// Whether it is a package: those of several releases lie in one folder.
pub fn is_package(path: &str) -> bool {
    let of_assets = path.starts_with(assets::FOLDER);
    !of_assets && within(path, "Packages").is_some_and(|name| name.ends_with(".rpm"))
}

/// Whether it is metadata that has its digest in its name: those of two releases can lie in one folder.
pub(super) fn is_named_by_content(path: &str) -> bool {
    within(path, "repodata").is_some_and(|name| !is_index(name))
}

/// Whether it is the index of the metadata, or its signature.
pub(super) fn is_index_file(path: &str) -> bool {
    within(path, "repodata").is_some_and(is_index)
}

fn is_index(name: &str) -> bool {
    matches!(name, "repomd.xml" | "repomd.xml.asc")
}

/// The name of a file in `folder` of one of the repositories.
fn within<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    // Metadata of assets are metadata like any other.
    let below = path.strip_prefix(assets::FOLDER);
    let path = below
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path);
    let mut parts = path.split('/');
    let (kind, of, name) = (parts.next()?, parts.next()?, parts.next()?);
    let known = Kind::ALL.iter().any(|one| one.folder() == kind);
    (known && of == folder && parts.next().is_none()).then_some(name)
}

/// Where clients find it: the repositories' metadata as a folder, all else by itself.
pub(super) fn entry(path: &str) -> &str {
    match within(path, "repodata") {
        Some(name) => &path[..path.len() - name.len() - 1],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_assets_are_metadata_and_have_no_packages_beside_them() {
        let named = "assets/x86_64/repodata/ab-primary.xml.gz";
        let index = "assets/x86_64/repodata/repomd.xml";
        assert!(is_named_by_content(named) && !is_named_by_content(index));
        assert!(is_index_file(index) && !is_index_file(named));
        for path in [named, index] {
            assert_eq!(entry(path), "assets/x86_64/repodata");
        }
        assert!(is_package("x86_64/Packages/a.rpm"));
        for path in [
            "assets/x86_64/Packages/a.rpm",
            "assets/Packages/a.rpm",
            "assets.json",
        ] {
            assert!(!is_package(path), "{path}");
            assert_eq!(entry(path), path);
        }
    }
}
