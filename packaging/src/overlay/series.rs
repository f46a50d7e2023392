//! Patch series: the list of patches, in order, as quilt and Lustre write it, and their collation into one file.
//!
//! A series has one patch per line, relative to its patch folder. `#` begins a comment, at the beginning of a line or
//! after a blank. A patch may be followed by `-p1`; other strip levels are refused, since a collated patch has only one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use lustre_files::help;

/// A parsed series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The patches, in the order to apply them.
    pub entries: Vec<Entry>,
}

/// One line of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The patch's name, relative to the patch folder.
    pub name: String,
    /// Its line in the series, counted from 1.
    pub line: usize,
}

/// A patch of a series, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPatch {
    /// The patch's name, as the series gives it.
    pub name: String,
    /// Its bytes (not always UTF-8).
    pub content: Vec<u8>,
}

/// A series that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A line is not `name`, `name -p1`, a comment or blank.
    #[error("series {series}, line {line}: {problem}: `{text}`")]
    Syntax {
        series: String,
        /// The line, counted from 1.
        line: usize,
        problem: &'static str,
        /// The line's text.
        text: String,
    },
    #[error(
        "series {series}, line {line}: `{name}` is already on line {first}{}",
        help!("a patch is applied once, so remove one line")
    )]
    Duplicate {
        series: String,
        /// The second line.
        line: usize,
        /// The first line.
        first: usize,
        name: String,
    },
    #[error("series line {line}: cannot find the patch `{name}` in {}: {source}", folder.display())]
    Missing {
        /// The line, counted from 1.
        line: usize,
        name: String,
        /// The patch folder.
        folder: PathBuf,
        source: io::Error,
    },
    /// A listed patch lies outside its folder, through a symbolic link.
    #[error(
        "series line {line}: `{name}` points outside of {}, to {}",
        folder.display(),
        target.display()
    )]
    Escape {
        /// The line, counted from 1.
        line: usize,
        name: String,
        /// The patch folder.
        folder: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
}

impl Series {
    /// Parses the text of a series; `label` names it in messages.
    pub fn parse(text: &str, label: &str) -> Result<Self, SeriesError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for (index, raw) in text.lines().enumerate() {
            let line = index + 1;
            let syntax = |problem| SeriesError::Syntax {
                series: label.to_owned(),
                line,
                problem,
                text: raw.trim_end().to_owned(),
            };
            let content = without_comment(raw);
            let mut words = content.split_whitespace();
            let Some(name) = words.next() else { continue };
            match (words.next(), words.next()) {
                (None | Some("-p1"), None) => {}
                (Some(option), _) if option.starts_with("-p") => {
                    return Err(syntax("only the strip level -p1 is supported"));
                }
                _ => {
                    return Err(syntax(
                        "expected one patch name, optionally followed by -p1",
                    ));
                }
            }
            let inside = Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !inside {
                return Err(syntax("the patch is outside of the patch folder"));
            }
            // `a//b` and `./a/b` are the same patch as `a/b`.
            let plain: PathBuf = Path::new(name)
                .components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .collect();
            if plain.as_os_str().is_empty() {
                return Err(syntax("this is not the name of a patch"));
            }
            let name = plain.to_string_lossy().into_owned();
            if let Some(first) = lines.insert(name.clone(), line) {
                return Err(SeriesError::Duplicate {
                    series: label.to_owned(),
                    line,
                    first,
                    name,
                });
            }
            entries.push(Entry { name, line });
        }
        Ok(Series { entries })
    }

    /// Reads and parses a series file.
    pub fn read(path: &Path) -> Result<Self, SeriesError> {
        let text = lustre_files::read_to_string(path, lustre_files::TEXT).map_err(|source| {
            SeriesError::Read {
                path: path.to_owned(),
                source,
            }
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads every patch of the series from `folder`, in order.
    pub fn load(&self, folder: &Path) -> Result<Vec<NamedPatch>, SeriesError> {
        let real_folder = folder.canonicalize().map_err(|source| SeriesError::Read {
            path: folder.to_owned(),
            source,
        })?;
        let mut patches = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let missing = |source| SeriesError::Missing {
                line: entry.line,
                name: entry.name.clone(),
                folder: folder.to_owned(),
                source,
            };
            let target = folder.join(&entry.name).canonicalize().map_err(missing)?;
            if !target.starts_with(&real_folder) {
                return Err(SeriesError::Escape {
                    line: entry.line,
                    name: entry.name.clone(),
                    folder: folder.to_owned(),
                    target,
                });
            }
            patches.push(NamedPatch {
                name: entry.name.clone(),
                content: lustre_files::read(&target, lustre_files::SOURCE).map_err(missing)?,
            });
        }
        Ok(patches)
    }
}

/// A line without its comment: `#` counts at the beginning or after a blank, as in quilt.
fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let comment = (0..bytes.len())
        .find(|&at| bytes[at] == b'#' && (at == 0 || bytes[at - 1].is_ascii_whitespace()));
    &line[..comment.unwrap_or(line.len())]
}

/// Collates patches into one patch file, in order. `origin` says in its first line where they are from.
///
/// Lines before a patch's first header are not read by `patch`, so the result applies as the series does.
pub fn collate(origin: &str, patches: &[NamedPatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let one_line = |text: &str| text.replace(['\n', '\r'], " ");
    out.extend_from_slice(
        format!(
            "# Collated from {}: {} patch(es) in this order.\n",
            one_line(origin),
            patches.len()
        )
        .as_bytes(),
    );
    for patch in patches {
        out.extend_from_slice(format!("# from {}\n", one_line(&patch.name)).as_bytes());
        out.extend_from_slice(&patch.content);
        if !patch.content.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let text =
            "# heading\n\nbase/one.patch\n  two#2.patch -p1  # why\n\t\n./base//three.patch\n";
        let series = Series::parse(text, "s").unwrap();
        let names: Vec<(&str, usize)> = series
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.line))
            .collect();
        assert_eq!(
            names,
            [
                ("base/one.patch", 3),
                ("two#2.patch", 4),
                ("base/three.patch", 6)
            ]
        );
    }

    #[test]
    fn a_patch_listed_twice_is_refused() {
        let error = Series::parse("a.patch\n# x\n./a.patch\n", "my.series").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("my.series, line 3") && text.contains("line 1"),
            "{text}"
        );
    }

    #[test]
    fn lines_that_are_not_understood_are_refused() {
        for (bad, part) in [
            ("a.patch -p0", "-p1"),
            ("a.patch b.patch", "expected one patch"),
            ("../a.patch", "outside"),
            ("/a.patch", "outside"),
            ("./", "not the name"),
        ] {
            let text = Series::parse(bad, "s").unwrap_err().to_string();
            assert!(text.contains(part) && text.contains("line 1"), "{text}");
        }
    }

    #[test]
    fn collation_keeps_order_and_ends_every_patch_with_a_newline() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("base")).unwrap();
        fs::write(dir.path().join("base/b.patch"), b"B\xff").unwrap();
        fs::write(dir.path().join("a.patch"), b"A\n").unwrap();
        let series = Series::parse("base/b.patch\na.patch\n", "s").unwrap();
        let patches = series.load(dir.path()).unwrap();
        assert_eq!(
            collate("my.series", &patches),
            b"# Collated from my.series: 2 patch(es) in this order.\n# from base/b.patch\nB\xff\n# from a.patch\nA\n"
        );
    }

    #[test]
    fn missing_patches_and_links_out_of_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("patches");
        fs::create_dir(&folder).unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("link.patch")).unwrap();
        let missing = Series::parse("none.patch\n", "s").unwrap();
        let text = missing.load(&folder).unwrap_err().to_string();
        assert!(
            text.contains("none.patch") && text.contains("line 1"),
            "{text}"
        );
        let link = Series::parse("link.patch\n", "s").unwrap();
        assert!(matches!(
            link.load(&folder).unwrap_err(),
            SeriesError::Escape { .. }
        ));
    }
}
