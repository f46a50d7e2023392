//! Fixups: one patch made to fit a source that lost lines the patch has as context.
//!
//! A fixup drops context lines from the hunks of one file of a patch and recounts the headers. That is what one does by
//! hand when a distribution backports a change that removes such lines; an overlay has it as data, and it stops
//! fitting with an error when upstream corrects the patch.
//!
//! GNU `patch` takes a hunk with less context at its end than at its beginning for one at the end of the file. A drop
//! that makes a hunk so shortens the beginning as well, so that the result applies without fuzz.

use std::collections::BTreeMap;

use lustre_files::help;
use serde::Deserialize;

use super::patch::{FilePatch, Hunk, LineKind, Patch, PatchError};

/// One fixup, as it stands in an `overlay.toml` under `[[fixup]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixup {
    /// The fixup's name, for messages.
    pub name: String,
    /// Why it is needed.
    pub why: String,
    /// The patch file to fix, relative to the tree it is in (the root of its series).
    pub patch: String,
    /// The file in the patch whose hunks are meant, named as after `-p1`; it has to be in the patch once.
    pub file: String,
    /// The context lines to drop, each found exactly once in that file's hunks; blanks at both ends do not count.
    pub drop_context: Vec<String>,
}

/// A fixup that does not fit its patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixupError {
    #[error("fixup `{fixup}`: {source}")]
    Patch {
        /// The fixup's name.
        fixup: String,
        source: Box<PatchError>,
    },
    #[error(
        "fixup `{fixup}`: {patch} is expected to change {file} once, but changes it {found} times"
    )]
    File {
        /// The fixup's name.
        fixup: String,
        patch: String,
        file: String,
        /// How often the patch has the file.
        found: usize,
    },
    #[error(
        "fixup `{fixup}`: the context line `{text}` is expected once in the hunks of {file} in {patch} but found at {} place(s){}{}",
        found.len(),
        at_lines(found),
        help!("where upstream corrected the patch, remove the fixup")
    )]
    Context {
        /// The fixup's name.
        fixup: Box<str>,
        patch: Box<str>,
        file: Box<str>,
        /// The line that is wanted.
        text: Box<str>,
        /// Its lines in the patch file, counted from 1.
        found: Vec<usize>,
    },
    #[error(
        "fixup `{fixup}`: without `{text}` the hunk at line {line} of {patch} has no context left on one side; \
         replace the patch instead"
    )]
    NoContextLeft {
        /// The fixup's name.
        fixup: String,
        patch: String,
        /// The line of the hunk's header, counted from 1.
        line: usize,
        /// The dropped line.
        text: String,
    },
    #[error("fixup `{0}` drops nothing: `drop_context` is empty or has an empty line")]
    Nothing(String),
}

fn at_lines(found: &[usize]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!(" (lines {})", lines.join(", "))
}

/// Context lines before the first change and after the last one.
fn ends(hunk: &Hunk, dropped: &[usize]) -> (usize, usize) {
    let kept: Vec<bool> = hunk
        .lines
        .iter()
        .filter(|line| line.kind != LineKind::Note && !dropped.contains(&line.at))
        .map(|line| line.kind == LineKind::Context)
        .collect();
    let context = |&&is_context: &&bool| is_context;
    (
        kept.iter().take_while(context).count(),
        kept.iter().rev().take_while(context).count(),
    )
}

impl Fixup {
    /// Applies the fixup to the bytes of its patch and gives the fixed patch. Everything but the dropped lines and the
    /// headers of the file's hunks stays as it is, byte for byte.
    pub fn apply(&self, content: &[u8]) -> Result<Vec<u8>, FixupError> {
        if self.drop_context.is_empty()
            || self.drop_context.iter().any(|text| text.trim().is_empty())
        {
            return Err(FixupError::Nothing(self.name.clone()));
        }
        let patch = Patch::parse(content, &self.patch).map_err(|source| FixupError::Patch {
            fixup: self.name.clone(),
            source: Box::new(source),
        })?;
        let file = self.file_of(&patch)?;
        let mut dropped = Vec::new();
        for text in &self.drop_context {
            dropped.push(self.context_line(file, text, &dropped)?);
        }
        self.rewrite(content, file, dropped)
    }

    fn file_of<'a>(&self, patch: &'a Patch) -> Result<&'a FilePatch, FixupError> {
        let files: Vec<&FilePatch> = patch
            .files
            .iter()
            .filter(|file| {
                file.touched()
                    .any(|path| path.as_os_str() == self.file.as_str())
            })
            .collect();
        match files[..] {
            [file] => Ok(file),
            _ => Err(FixupError::File {
                fixup: self.name.clone(),
                patch: self.patch.clone(),
                file: self.file.clone(),
                found: files.len(),
            }),
        }
    }

    /// The line in the patch file of the context line `text`.
    fn context_line(
        &self,
        file: &FilePatch,
        text: &str,
        dropped: &[usize],
    ) -> Result<usize, FixupError> {
        let found: Vec<usize> = file
            .hunks
            .iter()
            .flat_map(|hunk| &hunk.lines)
            .filter(|line| line.kind == LineKind::Context && !dropped.contains(&line.at))
            .filter(|line| line.text.trim_ascii() == text.trim().as_bytes())
            .map(|line| line.at)
            .collect();
        match found[..] {
            [at] => Ok(at),
            _ => Err(FixupError::Context {
                fixup: self.name.as_str().into(),
                patch: self.patch.as_str().into(),
                file: self.file.as_str().into(),
                text: text.trim().into(),
                found,
            }),
        }
    }

    fn rewrite(
        &self,
        content: &[u8],
        file: &FilePatch,
        mut dropped: Vec<usize>,
    ) -> Result<Vec<u8>, FixupError> {
        let mut headers = BTreeMap::new();
        // How many lines earlier hunks of the file lost: later ones begin so much sooner.
        let mut shift = 0;
        for hunk in &file.hunks {
            let lost: Vec<usize> = hunk
                .lines
                .iter()
                .map(|line| line.at)
                .filter(|at| dropped.contains(at))
                .collect();
            let mut trimmed = 0;
            if let Some(&last) = lost.last() {
                let (before, after) = (ends(hunk, &[]), ends(hunk, &lost));
                let emptied = |was: usize, is: usize| was > 0 && is == 0;
                if emptied(before.0, after.0) || emptied(before.1, after.1) {
                    let text = hunk.lines.iter().find(|line| line.at == last);
                    return Err(FixupError::NoContextLeft {
                        fixup: self.name.clone(),
                        patch: self.patch.clone(),
                        line: hunk.line,
                        text: text
                            .map(|line| String::from_utf8_lossy(&line.text).trim().to_owned())
                            .unwrap_or_default(),
                    });
                }
                if before.1 >= before.0 && after.1 < after.0 {
                    trimmed = after.0 - after.1;
                    let head: Vec<usize> = hunk
                        .lines
                        .iter()
                        .map(|line| line.at)
                        .filter(|at| !lost.contains(at))
                        .take(trimmed)
                        .collect();
                    dropped.extend(head);
                }
            }
            let recount = |(start, length): (usize, usize)| {
                (
                    (start + trimmed).saturating_sub(shift),
                    length - lost.len() - trimmed,
                )
            };
            let mut header = format!(
                "@@ -{} +{} @@",
                range(recount(hunk.old)),
                range(recount(hunk.new))
            )
            .into_bytes();
            header.extend_from_slice(&hunk.section);
            headers.insert(hunk.line, header);
            shift += lost.len();
        }
        let mut out = Vec::with_capacity(content.len());
        for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let at = index + 1;
            if dropped.contains(&at) {
                continue;
            }
            match headers.get(&at) {
                Some(header) => {
                    out.extend_from_slice(header);
                    out.push(b'\n');
                }
                None => out.extend_from_slice(line),
            }
        }
        Ok(out)
    }
}

/// A side of a hunk header, in the short form for one line as `diff` writes it.
fn range((start, length): (usize, usize)) -> String {
    if length == 1 {
        start.to_string()
    } else {
        format!("{start},{length}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::patch::apply::{ApplyOptions, survey, survey_on};
    use super::super::series::NamedPatch;
    use super::*;

    const PATCH: &[u8] = include_bytes!("testdata/fixup/later.patch");
    const FIXED: &str = include_str!("testdata/fixup/later.patch.fixed");
    const OLD: &str = include_str!("testdata/fixup/old.c");
    const NEW: &str = include_str!("testdata/fixup/new.c");
    const NEW_PATCHED: &str = include_str!("testdata/fixup/new.c.patched");

    fn fixup() -> Fixup {
        Fixup {
            name: "new-node".to_owned(),
            why: "new_node is gone".to_owned(),
            patch: "base/later.patch".to_owned(),
            file: "fs/set.c".to_owned(),
            drop_context: vec![
                "struct node *new_node = NULL;".to_owned(),
                "put_node(new_node);".to_owned(),
            ],
        }
    }

    fn tree(source: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("fs")).unwrap();
        std::fs::write(dir.path().join("fs/set.c"), source).unwrap();
        std::fs::write(dir.path().join("fs/set.h"), "int last(void);\n").unwrap();
        dir
    }

    fn named(content: &[u8]) -> [NamedPatch; 1] {
        [NamedPatch {
            name: "later.patch".to_owned(),
            content: content.to_vec(),
        }]
    }

    #[test]
    fn lines_go_and_headers_are_recounted() {
        let fixed = fixup().apply(PATCH).unwrap();
        assert_eq!(String::from_utf8(fixed).unwrap(), FIXED);
    }

    #[test]
    fn the_original_fits_the_old_shape_and_the_fixed_patch_the_new_one() {
        let exact = ApplyOptions { fuzz: 0 };
        let fixed = fixup().apply(PATCH).unwrap();
        let applies = |source, patch| {
            let results = survey(tree(source).path(), &named(patch), exact).unwrap();
            results[0].failures.is_empty()
        };
        assert!(applies(OLD, PATCH));
        assert!(!applies(NEW, PATCH));
        assert!(!applies(OLD, &fixed));
        let new = tree(NEW);
        survey_on(new.path(), &named(&fixed), exact).unwrap();
        let result = std::fs::read_to_string(new.path().join("fs/set.c")).unwrap();
        assert_eq!(result, NEW_PATCHED);
    }

    #[test]
    fn a_patch_that_no_longer_has_the_lines_is_refused() {
        let text = fixup().apply(FIXED.as_bytes()).unwrap_err().to_string();
        assert!(
            text.contains("`new-node`") && text.contains("0 place(s)"),
            "{text}"
        );
        assert!(text.contains("remove the fixup"), "{text}");
    }

    #[test]
    fn ambiguous_lines_and_unknown_files_are_refused() {
        let mut twice = fixup();
        twice.drop_context = vec!["}".to_owned()];
        assert!(matches!(
            twice.apply(PATCH).unwrap_err(),
            FixupError::Context { .. }
        ));
        let mut elsewhere = fixup();
        elsewhere.file = "fs/other.c".to_owned();
        let text = elsewhere.apply(PATCH).unwrap_err().to_string();
        assert!(
            text.contains("fs/other.c once, but changes it 0 times"),
            "{text}"
        );
    }

    #[test]
    fn a_hunk_keeps_some_context() {
        let patch = b"--- a/fs/set.c\n+++ b/fs/set.c\n@@ -1,2 +1,2 @@\n-a\n+b\n only\n";
        let mut all = fixup();
        all.drop_context = vec!["only".to_owned()];
        assert!(matches!(
            all.apply(patch).unwrap_err(),
            FixupError::NoContextLeft { line: 3, .. }
        ));
    }
}
