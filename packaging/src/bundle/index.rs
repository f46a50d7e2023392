//! The index of a bundle: its first member, which says what the others are.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::archive::LARGEST;
use crate::json_index::JsonIndex;
use crate::lock::Lock;
use crate::source::Locked;
use crate::store::Digest;

/// The index's path in the archive.
pub const INDEX: &str = "bundle.json";

/// The lock's.
pub(super) const LOCK: &str = "lock.toml";

/// No index is larger (bytes): it has a few lines for each file that a lock pins.
pub(super) const LARGEST_INDEX: u64 = 64 << 20;

/// No lock is larger (bytes).
pub(super) const LARGEST_LOCK: u64 = 64 << 20;

/// No file of a site is larger (bytes).
pub(super) const LARGEST_OF_SITE: u64 = 64 << 20;

/// No site has more bytes in all of its files: they are held whole.
const LARGEST_SITE: u64 = 256 << 20;

/// What a bundle was made with and for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The version of the tool.
    pub tool: String,
    /// The digest of its code.
    pub code: String,
    /// The target's name.
    pub target: String,
    /// The release of Lustre that was chosen in place of the target's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lustre: Option<String>,
    /// The specs, without locks, each with its digest. They are not in the bundle.
    pub specs: BTreeMap<String, Digest>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Lock,
    /// A file of the site: the target's own, or one that it names.
    Target,
    /// A commit of a source in git, as a pack.
    Tree,
    /// A file that the lock pins.
    File,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path in the archive.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What the lock calls it, where its path does not say that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
    /// What it was made with and for.
    pub made: Provenance,
    /// Everything behind it, in its order.
    pub members: Vec<Member>,
}

impl JsonIndex for Index {
    const FILE: &'static str = INDEX;
    const FORMAT: &'static str = "lustre-repo bundle";
    const VERSION: u32 = 1;
}

impl Index {
    pub(super) fn new(made: Provenance, mut members: Vec<Member>) -> Self {
        members.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            made,
            members,
        }
    }

    /// That its members are those that `lock` names, each once, in their order, of the sizes that are pinned; else the first that is not,
    /// and why.
    pub(super) fn check(&self, lock: &Lock) -> Result<(), (String, String)> {
        let wrong = |member: &Member, why: &str| Err((member.path.clone(), why.to_owned()));
        if lock.target != self.made.target {
            let why = format!(
                "it is the lock of the target `{}`, and the bundle is for `{}`",
                lock.target.escape_debug(),
                self.made.target.escape_debug()
            );
            return Err((LOCK.to_owned(), why));
        }
        // A target that is asked for by such a name is one of the project's, and no file somewhere.
        let names = [Some(&self.made.target), self.made.lustre.as_ref()];
        if let Some(odd) = names.into_iter().flatten().find(|name| !is_name(name)) {
            let why = format!(
                "it is for `{}`, which is not a valid name",
                odd.escape_debug()
            );
            return Err((INDEX.to_owned(), why));
        }
        let mut wanted = pinned(lock);
        let mut of_site = 0;
        let mut last: Option<&Member> = None;
        for member in &self.members {
            if member.size > LARGEST {
                return wrong(member, "no file is that large");
            }
            if let Some(last) = last.replace(member) {
                if last.path == member.path {
                    return wrong(member, "it is there twice");
                }
                if (last.kind, &last.path) > (member.kind, &member.path) {
                    return wrong(member, "it is not in its place");
                }
            }
            if member.kind == Kind::Target {
                if !leads_nowhere_else(&member.path) {
                    return wrong(member, "it leads out of the folder of the target");
                }
                of_site += member.size;
                let large = member.size > LARGEST_OF_SITE || of_site > LARGEST_SITE;
                if member.name.is_some() || large {
                    return wrong(member, "it is no file of a target, or too large");
                }
                continue;
            }
            let Some(pin) = wanted.remove(&member.path) else {
                return wrong(member, "the lock does not name it");
            };
            if pin.kind != member.kind || pin.name != member.name {
                return wrong(member, "the lock calls it something else");
            }
            if let Some((size, sha256)) = pin.content
                && (size, sha256) != (member.size, member.sha256)
            {
                return wrong(member, "the lock pins another size or digest");
            }
        }
        match wanted.into_iter().next() {
            None => Ok(()),
            Some((path, pin)) => {
                let name = pin.name.map_or(String::new(), |name| format!(" ({name})"));
                Err((
                    path,
                    format!("the lock names it{name}, and it is not there"),
                ))
            }
        }
    }
}

/// Whether a target or a release can be called so.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && !name.ends_with(".toml")
        && name.chars().all(plain)
}

/// What the lock says of a member.
pub(super) struct Pin {
    pub kind: Kind,
    pub name: Option<String>,
    /// Its size and digest; of a pack, the commit says what is in it.
    pub content: Option<(u64, Digest)>,
}

/// The members that a lock names, by path: itself, its trees, its files.
pub(super) fn pinned(lock: &Lock) -> BTreeMap<String, Pin> {
    let mut all = BTreeMap::new();
    let own = |kind| Pin {
        kind,
        name: None,
        content: None,
    };
    all.insert(LOCK.to_owned(), own(Kind::Lock));
    for (name, locked) in &lock.tree {
        if matches!(locked, Locked::Git { .. }) {
            all.insert(pack(name), own(Kind::Tree));
        }
    }
    for pin in lock.files() {
        // A lock that is read has digests.
        let Ok(sha256) = pin.sha256.parse::<Digest>() else {
            continue;
        };
        // Two packages may be of the same bytes.
        all.entry(format!("files/{sha256}")).or_insert(Pin {
            kind: Kind::File,
            name: Some(pin.file.clone()),
            content: Some((pin.size, sha256)),
        });
    }
    all
}

/// The member with the commit of the source `name`.
pub(super) fn pack(name: &str) -> String {
    format!("trees/{name}.pack")
}

/// The folder of a site's files.
pub(super) const OF_SITE: &str = "target/";

/// Whether the path of a site's file stays in the folder of the target, whatever reads it.
pub(super) fn leads_nowhere_else(path: &str) -> bool {
    let Some(below) = path.strip_prefix(OF_SITE) else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._+@=,%~ ".contains(c);
    below
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain))
        && Path::new(below)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
