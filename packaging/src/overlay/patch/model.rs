//! Reading unified diffs, byte for byte: files, hunks, counts. Paths are taken as `patch -p1` takes them.

use std::path::{Path, PathBuf};

/// A parsed patch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The files it changes, in order; a file may come more than once.
    pub files: Vec<FilePatch>,
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// The file before, without its first component; `None` when the patch creates it.
    pub old: Option<PathBuf>,
    /// The file after, without its first component; `None` when the patch deletes it.
    pub new: Option<PathBuf>,
    /// The hunks; none for a rename, a change of mode or an empty file in git's form.
    pub hunks: Vec<Hunk>,
    /// The line of the file's first header, counted from 1.
    pub line: usize,
}

/// One hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The line of the hunk's header in the patch file, counted from 1.
    pub line: usize,
    /// First line and number of lines in the old file.
    pub old: (usize, usize),
    /// First line and number of lines in the new file.
    pub new: (usize, usize),
    /// What stands after the second `@@`, with its leading blank.
    pub section: Vec<u8>,
    /// The body, without the headers.
    pub lines: Vec<Line>,
}

/// One line of a hunk's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What happens to the line.
    pub kind: LineKind,
    /// The line without its mark and its newline.
    pub text: Vec<u8>,
    /// Its line in the patch file, counted from 1.
    pub at: usize,
}

/// What a hunk does with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Is in both files.
    Context,
    /// Is only in the new file.
    Added,
    /// Is only in the old file.
    Removed,
    /// `\ No newline at end of file`: belongs to the line before, counts for neither file.
    Note,
}

/// A patch that cannot be read. Line numbers are those of the patch file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("{patch}: it contains no diff (no `---`/`+++` headers and no git headers)")]
    Empty {
        /// The patch's name.
        patch: String,
    },
    #[error("{patch}, line {line}: the path `{path}` leaves the tree; the patch is refused")]
    Traversal {
        /// The patch's name.
        patch: String,
        /// The header's line.
        line: usize,
        /// The path as it stands there.
        path: String,
    },
    #[error("{patch}, line {line}: {problem}: `{text}`")]
    Header {
        /// The patch's name.
        patch: String,
        /// The header's line.
        line: usize,
        problem: &'static str,
        /// The line's text.
        text: String,
    },
    #[error(
        "{patch}, line {line}: hunk {hunk} of {file} says {expected_old} old and {expected_new} new lines but has {old} \
         and {new} or more (the body ends at line {end}); the header or the body was edited by hand, recount it"
    )]
    Counts {
        /// The patch's name.
        patch: String,
        /// The hunk header's line.
        line: usize,
        /// The hunk's number in its file, counted from 1.
        hunk: usize,
        file: String,
        /// Old lines by the header.
        expected_old: usize,
        /// New lines by the header.
        expected_new: usize,
        /// Old lines in the body.
        old: usize,
        /// New lines in the body.
        new: usize,
        /// The first line that is not part of the body.
        end: usize,
    },
}

impl FilePatch {
    /// The file's name for messages: the new name, or the old one of a deleted file.
    pub fn name(&self) -> &Path {
        self.new
            .as_deref()
            .or(self.old.as_deref())
            .unwrap_or(Path::new(""))
    }

    /// All files of the tree this change reads or writes.
    pub fn touched(&self) -> impl Iterator<Item = &Path> {
        let new = self.new.as_deref();
        let old = self.old.as_deref().filter(|old| Some(*old) != new);
        old.into_iter().chain(new)
    }
}

impl Hunk {
    /// Old and new lines the body really has.
    pub fn counted(&self) -> (usize, usize) {
        let count = |wanted: LineKind| {
            self.lines
                .iter()
                .filter(|line| line.kind == LineKind::Context || line.kind == wanted)
                .count()
        };
        (count(LineKind::Removed), count(LineKind::Added))
    }
}

impl Patch {
    /// The files of the tree the patch reads or writes, sorted, each once.
    pub fn touched(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self
            .files
            .iter()
            .flat_map(|file| file.touched().map(Path::to_owned))
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }
}
