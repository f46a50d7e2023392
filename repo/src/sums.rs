//! `SHA256SUMS`: the digest of every file of a tree, in the format of `sha256sum -c`.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lustre_files::help;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// The file's name at the top of the tree.
pub const FILE: &str = "SHA256SUMS";

/// The name of the file with their signature.
pub const SIGNATURE: &str = "SHA256SUMS.asc";

/// The name of the file that says how what they list was made, and so has their digest.
pub const PROVENANCE: &str = "provenance.intoto.json";

/// The name of the file with the signature of that.
pub const PROVENANCE_SIGNATURE: &str = "provenance.intoto.json.asc";

/// Files at the top of the tree that the sums leave out: themselves and what speaks of them, and the signatures of both.
pub const LEFT_OUT: [&str; 4] = [FILE, SIGNATURE, PROVENANCE, PROVENANCE_SIGNATURE];

/// Sums that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", lustre_files::shown(path))]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", lustre_files::shown(path))]
    Write { path: PathBuf, source: io::Error },
    /// Something in the tree that is neither a file nor a folder, or has a name that a line of sums cannot hold.
    #[error(
        "{} does not belong in a repository: {what}{}",
        lustre_files::shown(path),
        help!("remove it and assemble again")
    )]
    Unexpected {
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A line that is not `<64 hexadecimal digits>  <path>`, or the second of one path.
    #[error(
        "{}:{line}: not a line of sha256sum, or the second of a file: `{text}`",
        lustre_files::shown(path)
    )]
    Line {
        /// The sums file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        text: String,
    },
}

/// How a tree differs from its sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A file with other content.
    Changed {
        /// The path, relative to the tree.
        path: String,
        /// The digest the sums give.
        expected: String,
        /// The digest it has.
        found: String,
    },
    /// A file that is not read, since it cannot be the one that the sums list.
    Unfit {
        /// The path, relative to the tree.
        path: String,
        /// What tells so.
        why: String,
    },
    /// A file that the sums list and the tree lacks.
    Missing(String),
    /// A file that the sums do not list.
    Extra(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed {
                path,
                expected,
                found,
            } => write!(f, "{path} has sha256 {found}, {FILE} says {expected}"),
            Self::Unfit { path, why } => write!(f, "{path}: {why}"),
            Self::Missing(path) => write!(f, "{path} is listed in {FILE} and is missing"),
            Self::Extra(path) => write!(f, "{path} is not listed in {FILE}"),
        }
    }
}

/// The SHA-256 of a file's content, in lower-case hexadecimal, and its length in bytes.
pub fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let mut file = lustre_files::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    let mut length = 0u64;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hex(&hash.finalize()), length));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The files of a tree by path relative to it, [`LEFT_OUT`] left out, sorted by bytes.
pub fn files(tree: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for entry in WalkDir::new(tree).min_depth(1) {
        let entry = entry.map_err(|e| Error::Read {
            path: e.path().unwrap_or(tree).to_owned(),
            source: e.into(),
        })?;
        let unexpected = |what| Error::Unexpected {
            path: entry.path().to_owned(),
            what,
        };
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Err(unexpected("it is a link, device, socket or pipe"));
        }
        let name = entry
            .path()
            .strip_prefix(tree)
            .ok()
            .and_then(Path::to_str)
            .filter(|name| !name.contains(['\n', '\r', '\\']))
            .ok_or_else(|| {
                unexpected("its name is not UTF-8, or has line breaks or backslashes")
            })?;
        if !LEFT_OUT.contains(&name) {
            found.push(name.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The text of `SHA256SUMS` for a tree.
pub fn render(tree: &Path) -> Result<String, Error> {
    render_knowing(tree, &BTreeMap::new())
}

/// The same where the digests of some files, by their paths in the tree, are known.
pub fn render_knowing(tree: &Path, known: &BTreeMap<&str, &str>) -> Result<String, Error> {
    let mut text = String::new();
    for name in files(tree)? {
        match known.get(name.as_str()) {
            Some(digest) => text.push_str(digest),
            None => {
                let path = tree.join(&name);
                let (digest, _) = sha256(&path).map_err(|source| Error::Read { path, source })?;
                text.push_str(&digest);
            }
        }
        text.push_str("  ");
        text.push_str(&name);
        text.push('\n');
    }
    Ok(text)
}

/// The SHA-256 of `text`, as it is written in sums.
pub(crate) fn of_text(text: &str) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(text))
}

/// The digest that the sums have of the file `name`.
pub fn digest_of<'s>(sums: &'s str, name: &str) -> Option<&'s str> {
    let mut lines = sums.lines().filter_map(listed);
    lines.find_map(|(digest, file)| (file == name).then_some(digest))
}

/// The paths of the files that the sums list.
pub fn names(sums: &str) -> impl Iterator<Item = &str> {
    sums.lines().filter_map(listed).map(|(_, file)| file)
}

/// The digests and the paths that the sums list.
pub fn all(sums: &str) -> impl Iterator<Item = (&str, &str)> {
    sums.lines().filter_map(listed)
}

/// The sums without those of the file `name`.
pub fn without(sums: &str, name: &str) -> String {
    sums.split_inclusive('\n')
        .filter(|line| listed(line).is_none_or(|(_, file)| file != name))
        .collect()
}

/// The sums with `digest` for the file `name`, in place of what they say of it.
pub fn with(sums: &str, name: &str, digest: &str) -> String {
    let sums = without(sums, name);
    let mut lines: Vec<&str> = sums.lines().collect();
    let line = format!("{digest}  {name}");
    let at = lines.partition_point(|line| listed(line).is_some_and(|(_, file)| file < name));
    lines.insert(at, &line);
    lines.join("\n") + "\n"
}

/// Writes a tree's `SHA256SUMS`, replacing it whole.
pub fn write(tree: &Path) -> Result<(), Error> {
    write_text(tree, &render(tree)?)
}

/// The same of a text that is known.
pub fn write_text(tree: &Path, text: &str) -> Result<(), Error> {
    let path = tree.join(FILE);
    lustre_files::write_whole(&path, text.as_bytes())
        .map_err(|source| Error::Write { path, source })
}

/// Compares a tree with its `SHA256SUMS`, without reading the files of which `unfit` says by their path and size why they cannot be the
/// ones listed.
pub fn verify(
    tree: &Path,
    unfit: &dyn Fn(&str, u64) -> Option<String>,
) -> Result<Vec<Difference>, Error> {
    verify_by(tree, unfit, &|_, path| Ok(sha256(path)?.0))
}

/// The same with the digests that `digest` gives of files, by their names in the tree and their paths.
pub fn verify_by(
    tree: &Path,
    unfit: &dyn Fn(&str, u64) -> Option<String>,
    digest: &dyn Fn(&str, &Path) -> io::Result<String>,
) -> Result<Vec<Difference>, Error> {
    let path = tree.join(FILE);
    let text =
        lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE).map_err(|source| {
            Error::Read {
                path: path.clone(),
                source,
            }
        })?;
    let mut wanted = parse(&text, &path)?;
    let mut differences = Vec::new();
    for name in files(tree)? {
        let Some(expected) = wanted.remove(&name) else {
            differences.push(Difference::Extra(name));
            continue;
        };
        let path = tree.join(&name);
        let read = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let size = std::fs::symlink_metadata(&path).map_err(read)?.len();
        if let Some(why) = unfit(&name, size) {
            differences.push(Difference::Unfit { path: name, why });
            continue;
        }
        let found = digest(&name, &path).map_err(read)?;
        if found != expected {
            differences.push(Difference::Changed {
                path: name,
                expected,
                found,
            });
        }
    }
    differences.extend(wanted.into_keys().map(Difference::Missing));
    Ok(differences)
}

fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let error = || Error::Line {
            path: path.to_owned(),
            line: at + 1,
            text: line.to_owned(),
        };
        let (digest, name) = listed(line).ok_or_else(error)?;
        // A second line would leave it to the reader which of them counts.
        if all
            .insert(name.to_owned(), digest.to_ascii_lowercase())
            .is_some()
        {
            return Err(error());
        }
    }
    Ok(all)
}

/// The digest and the path of a line.
fn listed(line: &str) -> Option<(&str, &str)> {
    line.trim_end_matches('\n')
        .split_once("  ")
        .filter(|(digest, name)| {
            digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) && !name.is_empty()
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/two"), "2").unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        fs::write(dir.path().join(SIGNATURE), "left out").unwrap();
        dir
    }

    #[test]
    fn the_text_is_that_of_sha256sum() {
        assert_eq!(
            render(tree().path()).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
             d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35  b/two\n"
        );
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let tree = tree();
        write(tree.path()).unwrap();
        assert_eq!(verify(tree.path(), &|_, _| None).unwrap(), []);
        fs::write(tree.path().join("b/three"), "3").unwrap();
        fs::write(tree.path().join("b/two"), "tampered").unwrap();
        fs::remove_file(tree.path().join("a")).unwrap();
        let found: Vec<String> = verify(tree.path(), &|_, _| None)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("b/three is not listed"));
        assert!(found[1].starts_with("b/two has sha256 "));
        assert!(found[2].starts_with("a is listed"));
    }

    #[test]
    fn links_and_broken_lines_are_refused() {
        let tree = tree();
        std::os::unix::fs::symlink("a", tree.path().join("link")).unwrap();
        assert!(matches!(render(tree.path()), Err(Error::Unexpected { .. })));
        fs::remove_file(tree.path().join("link")).unwrap();
        // What a name says is a part of the sentence, and no line of its own.
        fs::write(tree.path().join("x\nall 29 checks: pass"), "").unwrap();
        let error = render(tree.path()).unwrap_err().to_string();
        assert!(
            error.contains("x\\nall 29") && !error.contains('\n'),
            "{error}"
        );
        fs::remove_file(tree.path().join("x\nall 29 checks: pass")).unwrap();
        std::os::unix::fs::symlink("a", tree.path().join("link")).unwrap();
        fs::write(tree.path().join(FILE), "abc  a\n").unwrap();
        let error = verify(tree.path(), &|_, _| None).unwrap_err().to_string();
        assert!(error.contains("SHA256SUMS:1"), "{error}");
        let line = format!("{}  a\n", "0".repeat(64));
        fs::write(tree.path().join(FILE), line.repeat(2)).unwrap();
        let error = verify(tree.path(), &|_, _| None).unwrap_err().to_string();
        assert!(error.contains("SHA256SUMS:2"), "{error}");
    }

    #[test]
    fn a_file_is_added_where_its_line_belongs() {
        let tree = tree();
        let sums = render(tree.path()).unwrap();
        for name in ["proof.json", "0", "a1"] {
            fs::write(tree.path().join(name), "more").unwrap();
            let (digest, _) = sha256(&tree.path().join(name)).unwrap();
            let more = with(&with(&sums, name, &"0".repeat(64)), name, &digest);
            assert_eq!(more, render(tree.path()).unwrap());
            assert_eq!(without(&more, name), sums);
            fs::remove_file(tree.path().join(name)).unwrap();
        }
    }
}
