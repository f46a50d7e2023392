//! The index: what was built, and of what.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::json_index::JsonIndex;
use crate::own_folder::FolderIndex;
use crate::store::Digest;

/// The index's name in the folder.
pub const INDEX: &str = "build.json";

/// No index is larger (bytes): it has a few lines for each package, and one for each file of the specs.
const LARGEST_INDEX: u64 = 64 << 20;

/// No file is larger (bytes).
pub(super) const LARGEST: u64 = 16 << 30;

/// What it was built of: two builds of the same are to have the same packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeOf {
    /// The version of the tool.
    pub tool: String,
    /// The digest of its code.
    pub code: String,
    /// The target's name.
    pub target: String,
    /// The digest of what the target says.
    pub target_sha256: Digest,
    /// The digest of the lock.
    pub lock_sha256: String,
    /// The digest of what the sources are, in place of which others may have been given.
    pub sources_sha256: String,
    /// The specs, without locks, each with its digest.
    pub specs: BTreeMap<String, Digest>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedFile {
    /// Its path in the folder of its stage.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    pub sha256: Digest,
}

/// The index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    format: String,
    version: u32,
    /// What it was built of.
    pub made_of: MadeOf,
    /// What each stage put out.
    pub stages: BTreeMap<String, Vec<IndexedFile>>,
}

/// The index in the file `path`, with the digest of its text; or why it is none.
pub(super) fn read(path: &Path) -> Result<(Index, Digest), String> {
    let text = lustre_files::if_there(lustre_files::read_no_link(path, LARGEST_INDEX))
        .map_err(|error| format!("{INDEX}: {error}"))?
        .ok_or_else(|| format!("it has no {INDEX}"))?;
    Ok((Index::parse(&text)?, Digest::of_bytes(&text)))
}

impl JsonIndex for Index {
    const FILE: &'static str = INDEX;
    const FORMAT: &'static str = "lustre-repo build";
    const VERSION: u32 = 1;
}

impl FolderIndex for Index {
    const WHAT: &'static str = "what is built";
    const OTHER: &'static str = "is there and is not what `build --output` writes";

    fn of(out: &Path) -> Result<Self, String> {
        Ok(read(&out.join(INDEX))?.0)
    }

    fn listed(&self) -> HashSet<String> {
        self.files().map(|(path, _)| path).collect()
    }
}

impl Index {
    pub(super) fn new(made_of: MadeOf, stages: BTreeMap<String, Vec<IndexedFile>>) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            made_of,
            stages,
        }
    }

    /// Every file with its path in the folder.
    pub fn files(&self) -> impl Iterator<Item = (String, &IndexedFile)> {
        self.stages.iter().flat_map(|(stage, files)| {
            let path = move |file: &IndexedFile| format!("{stage}/{}", file.path);
            files.iter().map(move |file| (path(file), file))
        })
    }

    /// That its paths stay in the folder, and are there once; else the first that does not, and why.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._+~^".contains(c);
        for (path, file) in self.files() {
            let wrong = |why: &str| Err((path.escape_debug().to_string(), why.to_owned()));
            let stays = path
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain))
                && Path::new(&path)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)));
            if !stays || path.split('/').count() > 3 {
                return wrong("it is no path of what a stage puts out");
            }
            if file.size > LARGEST {
                return wrong("no package is that large");
            }
        }
        for (stage, files) in &self.stages {
            for pair in files.windows(2) {
                if pair[0].path >= pair[1].path {
                    let path = format!("{stage}/{}", pair[1].path);
                    return Err((path, "it is not in its place, or there twice".to_owned()));
                }
            }
        }
        Ok(())
    }
}
