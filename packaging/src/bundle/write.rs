//! Writing a bundle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_files::PathError;

use super::index::{
    INDEX, Index, Kind, LARGEST_OF_SITE, LOCK, Member, OF_SITE, Provenance, pack, pinned,
};
use super::{Archive, Error, WrittenArchive};
use crate::json_index::JsonIndex as _;
use crate::lock::Lock;
use crate::source::{self, Locked, Packed};
use crate::store::{Digest, Store};

/// What goes into a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// What it is made with and for.
    pub made: &'a Provenance,
    /// The lock: everything that it pins is in the store.
    pub lock: &'a Lock,
    /// Its text, byte for byte.
    pub lock_text: &'a str,
    /// The site's files, by their paths beside the target's own.
    pub site: &'a BTreeMap<String, PathBuf>,
}

/// Where a member comes from.
enum Origin {
    Text(Vec<u8>),
    File(PathBuf),
    /// A file of the store.
    Stored(Digest),
}

impl Contents<'_> {
    /// Writes the bundle `out`, in place of what is there: all of it, or nothing. `told` hears how many bytes more were written.
    pub fn write(
        &self,
        store: &Store,
        out: &Path,
        told: &dyn Fn(u64),
    ) -> Result<WrittenArchive, Error> {
        let folder = store.temp_dir("bundle")?;
        let mut members = Vec::new();
        let mut origins = BTreeMap::new();
        let mut add = |member: Member, origin| {
            origins.insert(member.path.clone(), origin);
            members.push(member);
        };
        let text = self.lock_text.as_bytes().to_vec();
        let member = of_text(LOCK.to_owned(), Kind::Lock, &text);
        add(member, Origin::Text(text));
        for (below, path) in self.site {
            let text = lustre_files::read_no_link(path, LARGEST_OF_SITE)
                .map_err(|source| PathError::new("read", path, source))?;
            if has_private_key(&text) {
                return Err(Error::Secret { path: path.clone() });
            }
            let member = of_text(format!("{OF_SITE}{below}"), Kind::Target, &text);
            add(member, Origin::Text(text));
        }
        for (name, locked) in &self.lock.tree {
            let Locked::Git { url, commit, .. } = locked else {
                continue;
            };
            let packed = Packed { name, url, commit };
            let path = source::pack(store, &packed, folder.path())?;
            let (sha256, size) = Digest::of_file(&path)?;
            let member = Member {
                path: pack(name),
                kind: Kind::Tree,
                name: None,
                size,
                sha256,
            };
            add(member, Origin::File(path));
        }
        for (path, pin) in pinned(self.lock) {
            if let (Kind::File, Some((size, sha256))) = (pin.kind, pin.content) {
                let member = Member {
                    path,
                    kind: Kind::File,
                    name: pin.name,
                    size,
                    sha256,
                };
                add(member, Origin::Stored(sha256));
            }
        }
        let index = Index::new(self.made.clone(), members);
        // What is not read again is not written.
        index
            .check(self.lock)
            .map_err(|(member, why)| Error::Refused {
                path: out.to_owned(),
                member,
                why,
            })?;
        let bytes = index.members.iter().map(|member| member.size).sum();
        let mut archive = Archive::create(out, bytes)?;
        let text = index
            .to_json()
            .map_err(|error| PathError::new("write", out, error.into()))?
            .into_bytes();
        put(
            &mut archive,
            out,
            &of_text(INDEX.to_owned(), Kind::Lock, &text),
            &mut &text[..],
        )?;
        for member in &index.members {
            match &origins[&member.path] {
                Origin::Text(text) => put(&mut archive, out, member, &mut &text[..])?,
                Origin::File(path) => put_file(&mut archive, path, member)?,
                Origin::Stored(digest) => {
                    let name = member.name.clone().unwrap_or_default();
                    let path = store.file(digest).ok_or_else(|| Error::Refused {
                        path: out.to_owned(),
                        member: name,
                        why: "it is not in the store".to_owned(),
                    })?;
                    if let Err(error) = put_file(&mut archive, &path, member) {
                        // A file that is damaged is taken out of the store, and that is what to say.
                        store.verified_file(digest)?;
                        return Err(error);
                    }
                }
            }
            told(member.size);
        }
        archive.finish()
    }
}

fn of_text(path: String, kind: Kind, text: &[u8]) -> Member {
    Member {
        path,
        kind,
        name: None,
        size: text.len() as u64,
        sha256: Digest::of_bytes(text),
    }
}

fn put(
    archive: &mut Archive,
    from: &Path,
    member: &Member,
    reader: &mut dyn std::io::Read,
) -> Result<(), Error> {
    let content = (member.size, &member.sha256);
    archive.add(&member.path, 0, content, from, reader)
}

fn put_file(archive: &mut Archive, path: &Path, member: &Member) -> Result<(), Error> {
    let mut file =
        lustre_files::open(path).map_err(|source| PathError::new("read", path, source))?;
    put(archive, path, member, &mut file)
}

/// Whether a file has a private key in it, in the armour of PEM or of OpenPGP.
fn has_private_key(text: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY";
    text.windows(MARK.len()).any(|part| part == MARK)
}
