//! Reading a .deb: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*` (deb(5)).

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::tree::{Entry, Kind, Tree, absolute};
use lustre_packaging::archive::bounded::{self, Budget};

/// No more than this is unpacked of a package's files (bytes). They are kept in memory.
const DATA: u64 = 1 << 30;

/// No more than this is unpacked of what describes a package.
const CONTROL: u64 = 16 << 20;

/// A Debian binary package, unpacked in memory.
#[derive(Debug)]
pub struct Deb {
    /// The fields of its control file, continuation lines joined with newlines.
    pub control: BTreeMap<String, String>,
    /// Its files, at Debian's places, with the configuration files marked.
    pub tree: Tree,
}

/// A .deb that cannot be read. The caller knows the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a .deb: {0}")]
    Format(&'static str),
    #[error("`{0}` has an unknown compression (supported: .tar, .tar.gz, .tar.xz, .tar.zst)")]
    Compression(String),
    #[error("cannot unpack `{part}`: {source}")]
    Unpack {
        /// The part: `control` or `data`.
        part: &'static str,
        source: io::Error,
    },
    #[error("member `{name}`: {reason}")]
    Member { name: String, reason: &'static str },
    #[error("the control file has no `{0}` field")]
    Field(&'static str),
}

impl Deb {
    /// Reads a .deb from its bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut control, mut data) = (None, None);
        for (name, member) in ar_members(bytes)? {
            match name.split_once(".tar") {
                Some(("control", suffix)) => control = Some(control_files(suffix, member)?),
                Some(("data", suffix)) => data = Some(data_tree(suffix, member)?),
                _ => {}
            }
        }
        let files = control.ok_or(Error::Format("it has no control.tar"))?;
        let mut tree = data.ok_or(Error::Format("it has no data.tar"))?;
        let text = files
            .get("/control")
            .ok_or(Error::Format("control.tar has no control file"))?;
        for path in files.get("/conffiles").map_or("", String::as_str).lines() {
            // A line may carry a flag before the path (`remove-on-upgrade`): such a file is not in the package.
            if let Some(entry) = tree.get_mut(path.trim()) {
                entry.config = true;
            }
        }
        Ok(Self {
            control: fields(text),
            tree,
        })
    }

    /// A field of the control file, empty where it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.control.get(name).map_or("", String::as_str)
    }

    /// A field of the control file that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.control
            .get(name)
            .map(String::as_str)
            .ok_or(Error::Field(name))
    }
}

/// The members of an `ar` archive: name and contents.
fn ar_members(bytes: &[u8]) -> Result<Vec<(String, &[u8])>, Error> {
    const HEADER: usize = 60;
    let mut rest = bytes
        .strip_prefix(b"!<arch>\n")
        .ok_or(Error::Format("it does not begin as an ar archive"))?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let header = rest
            .get(..HEADER)
            .ok_or(Error::Format("an ar header is cut short"))?;
        let text = |range| {
            std::str::from_utf8(&header[range])
                .map(str::trim_end)
                .map_err(|_| Error::Format("an ar header is not text"))
        };
        let name = text(0..16)?.trim_end_matches('/').to_owned();
        let size: usize = text(48..58)?
            .parse()
            .map_err(|_| Error::Format("an ar header has no size"))?;
        let body = &rest[HEADER..];
        members.push((
            name,
            body.get(..size).ok_or(Error::Format("it is cut short"))?,
        ));
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    Ok(members)
}

fn decompressed<'a>(suffix: &str, bytes: &'a [u8]) -> Result<Box<dyn Read + 'a>, Error> {
    let failed = |source| Error::Unpack {
        part: "data",
        source,
    };
    Ok(match suffix {
        "" => Box::new(bytes),
        ".gz" => Box::new(flate2::read::GzDecoder::new(bytes)),
        ".xz" => Box::new(bounded::xz(bytes).map_err(failed)?),
        ".zst" => Box::new(zstd::Decoder::new(bytes).map_err(failed)?),
        other => return Err(Error::Compression(format!(".tar{other}"))),
    })
}

fn control_files(suffix: &str, bytes: &[u8]) -> Result<BTreeMap<String, String>, Error> {
    let unpack = |source| Error::Unpack {
        part: "control",
        source,
    };
    let budget = Budget::new(CONTROL);
    let mut archive = tar::Archive::new(budget.reader(decompressed(suffix, bytes)?));
    let mut entries = archive.entries().map_err(unpack)?;
    let mut files = BTreeMap::new();
    while let Some(mut member) = budget.next(&mut entries).map_err(unpack)? {
        let mut text = Vec::new();
        member.read_to_end(&mut text).map_err(unpack)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        if let Ok(Some(path)) = absolute(&name) {
            files.insert(path, String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(files)
}

fn data_tree(suffix: &str, bytes: &[u8]) -> Result<Tree, Error> {
    let unpack = |source| Error::Unpack {
        part: "data",
        source,
    };
    let budget = Budget::new(DATA);
    let mut archive = tar::Archive::new(budget.reader(decompressed(suffix, bytes)?));
    let mut entries = archive.entries().map_err(unpack)?;
    let mut tree = Tree::new();
    while let Some(mut member) = budget.next(&mut entries).map_err(unpack)? {
        let name = text(&member.path_bytes())?;
        let refused = |reason| Error::Member {
            name: name.clone(),
            reason,
        };
        let Some(path) = absolute(&name).map_err(refused)? else {
            if member.size() > 0 {
                return Err(refused("content without a name"));
            }
            continue;
        };
        let header = member.header().clone();
        let link = |member: &tar::Entry<'_, _>| {
            member
                .link_name_bytes()
                .ok_or_else(|| refused("a link without a target"))
                .and_then(|target| text(&target))
        };
        let kind = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut contents = Vec::new();
                member.read_to_end(&mut contents).map_err(unpack)?;
                Kind::File(contents)
            }
            _ if member.size() > 0 => return Err(refused("content of what is no file")),
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Symlink => Kind::Symlink(link(&member)?),
            tar::EntryType::Link => {
                let target = absolute(&link(&member)?)
                    .map_err(|_| refused("a hard link that leaves the package"))?
                    .ok_or_else(|| refused("a hard link to the root"))?;
                if !matches!(
                    tree.get(&target),
                    Some(Entry {
                        kind: Kind::File(_),
                        ..
                    })
                ) {
                    return Err(refused("a hard link to a file the package does not have"));
                }
                Kind::HardLink(target)
            }
            _ => return Err(refused("neither a file, a directory nor a link")),
        };
        let owner = |name: Option<&[u8]>, id: u64| match name {
            Some(name) if !name.is_empty() => text(name),
            _ if id == 0 => Ok("root".to_owned()),
            _ => Err(refused("its owner has a number but no name")),
        };
        let entry = Entry {
            mode: (header.mode().map_err(unpack)? & 0o7777) as u16,
            user: owner(header.username_bytes(), header.uid().map_err(unpack)?)?,
            group: owner(header.groupname_bytes(), header.gid().map_err(unpack)?)?,
            mtime: u32::try_from(header.mtime().map_err(unpack)?)
                .map_err(|_| refused("its time is out of range"))?,
            kind,
            config: false,
            changes: false,
        };
        tree.insert(path, entry);
    }
    below_no_link(&tree)?;
    Ok(tree)
}

/// Refuses a tree in which a file lies below a symbolic link of the same package: unpacking it would write elsewhere.
fn below_no_link(tree: &Tree) -> Result<(), Error> {
    for path in tree.keys() {
        let mut parent = path.as_str();
        while let Some(at) = parent.rfind('/').filter(|at| *at > 0) {
            parent = &parent[..at];
            if matches!(
                tree.get(parent),
                Some(Entry {
                    kind: Kind::Symlink(_),
                    ..
                })
            ) {
                return Err(Error::Member {
                    name: path.clone(),
                    reason: "it lies below a symbolic link of the same package",
                });
            }
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Member {
        name: String::from_utf8_lossy(bytes).into_owned(),
        reason: "a name that is not UTF-8",
    })
}

/// The fields of a control file (RFC 822 style; one stanza).
fn fields(text: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|name| fields.get_mut(name)) {
                value.push('\n');
                // A lone dot stands for an empty line.
                value.push_str(if more == "." { "" } else { more });
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.insert(name.to_owned(), value.trim().to_owned());
            last = Some(name.to_owned());
        }
    }
    fields
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A .deb of the given control text and tar members (type, name, link or contents).
    pub(crate) fn sample(control: &str, members: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
        fn tarball(members: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
            let mut builder = tar::Builder::new(Vec::new());
            for (kind, name, content) in members {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(*kind);
                header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
                header.set_mtime(1_600_000_000);
                header.set_uid(0);
                header.set_gid(0);
                // Written raw: the crate's own setters refuse the names that the tests are about.
                let raw = &mut header.as_old_mut().name;
                raw[..name.len()].copy_from_slice(name.as_bytes());
                let body = if kind.is_symlink() || kind.is_hard_link() {
                    let raw = &mut header.as_old_mut().linkname;
                    raw[..content.len()].copy_from_slice(content.as_bytes());
                    &[]
                } else {
                    content.as_bytes()
                };
                header.set_size(body.len() as u64);
                header.set_cksum();
                builder.append(&header, body).unwrap();
            }
            builder.into_inner().unwrap()
        }
        ar(&[
            ("debian-binary", b"2.0\n".to_vec()),
            (
                "control.tar",
                tarball(&[(tar::EntryType::Regular, "./control", control)]),
            ),
            ("data.tar", tarball(members)),
        ])
    }

    fn ar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut deb = b"!<arch>\n".to_vec();
        for (name, body) in members {
            deb.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    100644,
                    body.len()
                )
                .into_bytes(),
            );
            deb.extend(body);
            if body.len() % 2 == 1 {
                deb.push(b'\n');
            }
        }
        deb
    }

    use tar::EntryType::{Directory, Link, Regular, Symlink};

    #[test]
    fn files_and_fields() {
        let deb = Deb::read(&sample(
            "Package: a\nVersion: 1-1\nDescription: short\n long\n .\n more\n",
            &[
                (Directory, "./usr/", ""),
                (Regular, "./usr/a", "hello"),
                (Link, "./usr/b", "./usr/a"),
                (Symlink, "./usr/c", "../etc/x"),
            ],
        ))
        .unwrap();
        assert_eq!(deb.field("Description"), "short\nlong\n\nmore");
        assert_eq!(deb.tree["/usr/a"].kind, Kind::File(b"hello".to_vec()));
        assert_eq!(deb.tree["/usr/b"].kind, Kind::HardLink("/usr/a".into()));
        assert_eq!(deb.tree["/usr/c"].kind, Kind::Symlink("../etc/x".into()));
        assert_eq!(deb.tree["/usr/a"].mtime, 1_600_000_000);
    }

    #[test]
    fn a_deb_that_climbs_out_is_refused() {
        for members in [
            vec![(Regular, "./usr/../../etc/passwd", "x")],
            vec![(Regular, "../x", "x")],
            vec![(Regular, "./a", "x"), (Link, "./b", "../../etc/passwd")],
            vec![(Link, "./b", "/etc/passwd")],
            vec![(Symlink, "./d", "/etc"), (Regular, "./d/passwd", "x")],
        ] {
            let error = Deb::read(&sample("Package: a\n", &members)).unwrap_err();
            assert!(matches!(error, Error::Member { .. }), "{error}");
        }
    }

    #[test]
    fn what_a_deb_claims_takes_no_memory() {
        let header = |size: u64| {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..3].copy_from_slice(b"./a");
            header.set_size(size);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let control = {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(11);
            header.set_cksum();
            tar.append_data(&mut header, "control", &b"Package: a\n"[..])
                .unwrap();
            tar.into_inner().unwrap()
        };
        let gzip = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut gzip, bytes).unwrap();
            gzip.finish().unwrap()
        };
        // A header that claims more than there is memory.
        let deb = ar(&[("control.tar", control), ("data.tar", header(1 << 62))]);
        assert!(matches!(Deb::read(&deb), Err(Error::Unpack { .. })));
        // A little that is much, uncompressed.
        let mut bomb = header(2 * CONTROL);
        bomb.resize(2 * CONTROL as usize + 512, 0);
        let deb = ar(&[("control.tar.gz", gzip(&bomb))]);
        assert!(deb.len() < 1 << 20);
        let error = Deb::read(&deb).unwrap_err().to_string();
        assert!(error.contains("exceeds the limit for unpacking"), "{error}");
    }

    #[test]
    fn damage_is_noticed() {
        let whole = sample("Package: a\n", &[(Regular, "./a", "x")]);
        assert!(Deb::read(&whole[..whole.len() - 900]).is_err());
        assert!(Deb::read(b"<html>").is_err());
    }
}
