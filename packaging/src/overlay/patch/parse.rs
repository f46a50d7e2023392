//! The parser of unified diffs.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use super::model::{FilePatch, Hunk, Line, LineKind, Patch, PatchError};
use super::named::{self, after_first_component};

/// Goes through the lines of a patch file.
pub(super) struct Parser<'a> {
    name: &'a str,
    lines: Vec<&'a [u8]>,
    at: usize,
    /// The line behind the last hunk, or git's header where that is later: `patch` keeps no name from before it.
    since: usize,
    files: Vec<FilePatch>,
}

/// How git's header begins.
const GIT: &[u8] = b"diff --git ";

/// No text file has as many lines. `patch` looks for a hunk's place line by line, and is busy for ever with a number near 2^31.
const LAST_LINE: usize = 10_000_000;

/// How many hunks of one file may begin before another ends. Patches that were put together by hand have up to three; of some such hunks
/// `patch` doubles the distance in which it looks for the next one's place, and comes to no end with thirty.
const MISPLACED: usize = 8;

/// How many empty lines of context `patch` takes as chopped off the end of a patch file.
const CHOPPED: usize = 3;

/// What git's extended headers say of one file.
#[derive(Default)]
struct GitHeader {
    line: usize,
    old: Option<PathBuf>,
    new: Option<PathBuf>,
    created: bool,
    deleted: bool,
}

impl Patch {
    /// Parses the bytes of a patch file; `name` is used in messages.
    ///
    /// A binary diff in git's form is refused, GNU `patch` cannot apply it.
    pub fn parse(content: &[u8], name: &str) -> Result<Self, PatchError> {
        Parser::new(content, name).run()
    }
}

impl<'a> Parser<'a> {
    pub(super) fn new(content: &'a [u8], name: &'a str) -> Self {
        let body = content.strip_suffix(b"\n").unwrap_or(content);
        let lines = if content.is_empty() {
            Vec::new()
        } else {
            body.split(|byte| *byte == b'\n').collect()
        };
        Parser {
            name,
            lines,
            at: 0,
            since: 0,
            files: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Patch, PatchError> {
        if let Some(at) = (0..self.lines.len()).find(|at| self.is_of_another_format(*at)) {
            self.at = at;
            return Err(self.header("a diff that is not unified"));
        }
        if let Some(at) = self.lines.iter().position(|line| ed_command(line)) {
            self.at = at;
            return Err(self.header(
                "a line that patch takes for a command of the editor ed; if it is prose, indent it",
            ));
        }
        while let Some(&line) = self.lines.get(self.at) {
            if line.starts_with(GIT) {
                self.git()?;
            } else if self.at_file_header() {
                self.plain()?;
            } else if line.starts_with(b"@@ -") {
                return Err(self.header("a hunk without `---` and `+++` headers before it"));
            } else {
                self.at += 1;
            }
        }
        // A file of no bytes is a patch that changes nothing, as upstream has one.
        if self.files.is_empty() && !self.lines.is_empty() {
            return Err(PatchError::Empty {
                patch: self.name.to_owned(),
            });
        }
        Ok(Patch { files: self.files })
    }

    fn header(&self, problem: &'static str) -> PatchError {
        PatchError::Header {
            patch: self.name.to_owned(),
            line: self.at + 1,
            problem,
            text: text(self.lines.get(self.at).copied().unwrap_or_default()),
        }
    }

    /// Whether a normal or a context diff begins at a line. `patch` takes one for a part of the patch unless it is told the format, and
    /// a build may run it either way. No line of a hunk looks like that.
    fn is_of_another_format(&self, at: usize) -> bool {
        let next = self.lines.get(at + 1).copied().unwrap_or_default();
        let normal =
            normal_command(self.lines[at]) && (next.starts_with(b"> ") || next.starts_with(b"< "));
        normal || (self.lines[at].starts_with(b"***************") && next.starts_with(b"*** "))
    }

    fn at_file_header(&self) -> bool {
        let starts = |offset: usize, mark: &[u8]| {
            self.lines
                .get(self.at + offset)
                .is_some_and(|line| line.starts_with(mark))
        };
        starts(0, b"--- ") && starts(1, b"+++ ") && starts(2, b"@@ -")
    }

    /// `---`, `+++` and the hunks.
    fn plain(&mut self) -> Result<(), PatchError> {
        let line = self.at + 1;
        let old = self.path(4)?;
        self.at += 1;
        let new = self.path(4)?;
        self.at += 1;
        if old.is_none() && new.is_none() {
            self.at = line - 1;
            return Err(self.header("both names are /dev/null"));
        }
        if old.is_none() || new.is_none() {
            let git = self.lines[self.since].starts_with(GIT);
            let prose = self.since + usize::from(git);
            self.no_other_name([&old, &new], git.then_some(self.since), prose..line - 1)?;
        }
        self.files.push(FilePatch {
            old,
            new,
            hunks: Vec::new(),
            line,
        });
        self.hunks()
    }

    /// git's header lines, and the diff that may follow them.
    fn git(&mut self) -> Result<(), PatchError> {
        let mut header = GitHeader {
            line: self.at + 1,
            ..GitHeader::default()
        };
        self.since = self.at;
        // Without renames both names are equal, which splits the line whatever blanks they hold.
        let rest = &self.lines[self.at][GIT.len()..];
        let half = rest.len() / 2;
        if rest.len() % 2 == 1 && rest[half] == b' ' {
            let (old, new) = (&rest[..half], &rest[half + 1..]);
            if after_first_component(old) == after_first_component(new) {
                header.old = self.checked(old)?;
                header.new = self.checked(new)?;
            }
        }
        self.at += 1;
        while let Some(&line) = self.lines.get(self.at) {
            if line.starts_with(b"new file mode ") {
                header.created = true;
            } else if line.starts_with(b"deleted file mode ") {
                header.deleted = true;
            } else if let Some(path) = strip(line, b"rename from ").or(strip(line, b"copy from ")) {
                header.old = self.checked_whole(path)?;
            } else if let Some(path) = strip(line, b"rename to ").or(strip(line, b"copy to ")) {
                header.new = self.checked_whole(path)?;
            } else if line.starts_with(b"GIT binary patch") || line.starts_with(b"Binary files ") {
                return Err(self.header("a binary diff, which patch cannot apply"));
            } else if ![
                "index ",
                "old mode ",
                "new mode ",
                "similarity index ",
                "dissimilarity index ",
            ]
            .iter()
            .any(|known| line.starts_with(known.as_bytes()))
            {
                break;
            }
            self.at += 1;
        }
        if self.at_file_header() {
            return self.plain();
        }
        if header.old.is_none() && header.new.is_none() {
            self.at = header.line - 1;
            return Err(self.header("git header whose file names cannot be told"));
        }
        let more = self.lines[self.at..]
            .iter()
            .take_while(|line| !line.starts_with(GIT))
            .count();
        self.no_other_name(
            [&header.old, &header.new],
            Some(self.since),
            self.at..self.at + more,
        )?;
        self.files.push(FilePatch {
            old: header.old.filter(|_| !header.created),
            new: header.new.filter(|_| !header.deleted),
            hunks: Vec::new(),
            line: header.line,
        });
        Ok(())
    }

    /// That `patch` finds no other names for a part than `own`: it has names from git's header, and from whatever looks like a header in
    /// the lines `prose`, as long as no header of the part itself gives another. Where such a file is in the tree, it is that one that
    /// `patch` wants to change.
    fn no_other_name(
        &mut self,
        own: [&Option<PathBuf>; 2],
        git: Option<usize>,
        prose: Range<usize>,
    ) -> Result<(), PatchError> {
        let is_own = |name: &&[u8]| {
            let own = own.iter().filter_map(|own| own.as_deref());
            std::str::from_utf8(name)
                .is_ok_and(|name| own.clone().any(|own| own == Path::new(name)))
        };
        let lines = &self.lines;
        let git = git.map(|at| (at, named::by_git(&lines[at][GIT.len()..])));
        let prose = prose.map(|at| (at, named::by_line(lines[at])));
        let other = git
            .into_iter()
            .chain(prose)
            .find(|(_, names)| !names.iter().all(&is_own))
            .map(|(at, _)| at);
        match other {
            None => Ok(()),
            Some(at) => {
                self.at = at;
                Err(self.header(
                    "a name that patch takes for one of a part that has another, and is created, deleted or has no hunks",
                ))
            }
        }
    }

    fn hunks(&mut self) -> Result<(), PatchError> {
        let (mut end, mut misplaced) = (0, 0);
        while self
            .lines
            .get(self.at)
            .is_some_and(|line| line.starts_with(b"@@ -"))
        {
            let Some((old, new, section)) = hunk_header(self.lines[self.at]) else {
                return Err(self.header("a hunk header that is not `@@ -a,b +c,d @@`"));
            };
            if old.0.max(new.0) > LAST_LINE {
                return Err(self.header("a hunk at a line that no file has"));
            }
            // Of no lines, it begins behind the line that it names.
            let first = old.0 + usize::from(old.1 == 0);
            misplaced += usize::from(first < end);
            if misplaced > MISPLACED {
                return Err(self.header(
                    "one more hunk that begins before another of its file ends; patch could look for its place without end",
                ));
            }
            end = end.max(first.saturating_add(old.1));
            let section = section.to_vec();
            let line = self.at + 1;
            self.at += 1;
            let lines = self.body(old.1, new.1);
            let hunk = Hunk {
                line,
                old,
                new,
                section,
                lines,
            };
            let Some(file) = self.files.last_mut() else {
                continue;
            };
            let (mut counted_old, mut counted_new) = hunk.counted();
            // `patch` would take what follows a short count for prose and drop it without a word.
            match self.lines.get(self.at).copied().unwrap_or_default() {
                more if more.starts_with(b"+") && !more.starts_with(b"+++") => counted_new += 1,
                more if more.starts_with(b"-") && !more.starts_with(b"--") => counted_old += 1,
                _ => {}
            }
            if (counted_old, counted_new) != (old.1, new.1) {
                return Err(PatchError::Counts {
                    patch: self.name.to_owned(),
                    line,
                    hunk: file.hunks.len() + 1,
                    file: file.name().display().to_string(),
                    expected_old: old.1,
                    expected_new: new.1,
                    old: counted_old,
                    new: counted_new,
                    end: self.at + 1,
                });
            }
            file.hunks.push(hunk);
        }
        self.since = self.at;
        Ok(())
    }

    /// The body's lines, until both counts are reached or a line cannot be part of it. What GNU `patch` takes for a line of the body is
    /// taken here: series that it applies have lines whose mark was lost on the way.
    fn body(&mut self, mut old: usize, mut new: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(&line) = self.lines.get(self.at) {
            let (kind, text) = match line.split_first() {
                Some((b' ' | b'=', text)) => (LineKind::Context, text),
                Some((b'+', text)) => (LineKind::Added, text),
                Some((b'-', text)) => (LineKind::Removed, text),
                Some((b'\\', text)) => (LineKind::Note, text),
                // Mailers and editors strip the blank of an empty context line, and that of one that begins with a tab.
                None | Some((b'\t', _)) => (LineKind::Context, line),
                Some((b'#', _)) if old > 0 || new > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => break,
            };
            let (takes_old, takes_new) = match kind {
                LineKind::Context => (1, 1),
                LineKind::Added => (0, 1),
                LineKind::Removed => (1, 0),
                LineKind::Note => (0, 0),
            };
            if takes_old > old || takes_new > new {
                break;
            }
            old -= takes_old;
            new -= takes_new;
            lines.push(Line {
                kind,
                text: text.to_vec(),
                at: self.at + 1,
            });
            self.at += 1;
        }
        // Empty lines at the end of the file that something chopped off.
        if self.at >= self.lines.len() && old == new && old <= CHOPPED {
            lines.extend((1..=old).map(|beyond| Line {
                kind: LineKind::Context,
                text: Vec::new(),
                at: self.at + beyond,
            }));
        }
        lines
    }

    /// The path of the current `---` or `+++` line, where `patch` finds it, without its first component.
    fn path(&self, mark: usize) -> Result<Option<PathBuf>, PatchError> {
        let name = named::whole(&self.lines[self.at][mark..]);
        self.checked(name.unwrap_or_default())
    }

    fn checked(&self, raw: &[u8]) -> Result<Option<PathBuf>, PatchError> {
        if raw == b"/dev/null" {
            return Ok(None);
        }
        if raw.starts_with(b"\"") {
            return Err(self.header("quoted file names are not supported"));
        }
        if raw.starts_with(b"/") {
            return Err(self.traversal(raw));
        }
        let Some(rest) = after_first_component(raw) else {
            return Err(self.header("a file name without a folder, which -p1 would strip whole"));
        };
        // The stripped component counts as well: `../x` is `x` after -p1 but nothing one writes in good faith.
        self.checked_whole(raw)?;
        self.checked_whole(rest)
    }

    fn checked_whole(&self, raw: &[u8]) -> Result<Option<PathBuf>, PatchError> {
        let Ok(name) = std::str::from_utf8(raw) else {
            return Err(self.header("a file name that is not UTF-8"));
        };
        let path = Path::new(name);
        let inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || name.is_empty() {
            return Err(self.traversal(raw));
        }
        Ok(Some(
            path.components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .collect(),
        ))
    }

    fn traversal(&self, raw: &[u8]) -> PatchError {
        PatchError::Traversal {
            patch: self.name.to_owned(),
            line: self.at + 1,
            path: text(raw),
        }
    }
}

fn strip<'a>(line: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(prefix)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// First line and length of one side, where a missing length is 1.
type Lines = (usize, usize);

/// `@@ -a,b +c,d @@ section`.
fn hunk_header(line: &[u8]) -> Option<(Lines, Lines, &[u8])> {
    let (old, rest) = range(line.strip_prefix(b"@@ -")?)?;
    let (new, rest) = range(rest.strip_prefix(b" +")?)?;
    let rest = rest.strip_prefix(b" @")?;
    Some((old, new, rest.strip_prefix(b"@").unwrap_or(rest)))
}

/// `1,2c3,4` and the like: what stands before the lines of a normal diff.
fn normal_command(line: &[u8]) -> bool {
    let side = |bytes| {
        let (_, rest) = number(bytes)?;
        match rest.strip_prefix(b",") {
            Some(rest) => Some(number(rest)?.1),
            None => Some(rest),
        }
    };
    side(line)
        .and_then(|rest| rest.split_first())
        .filter(|(command, _)| b"acd".contains(command))
        .and_then(|(_, rest)| side(rest))
        .is_some_and(|rest| rest.trim_ascii().is_empty())
}

/// `1,2c`, `3a`, `4s/.//`: a command of `ed`, as `patch` reads them where it is not told the format.
fn ed_command(line: &[u8]) -> bool {
    let command = || {
        let (_, rest) = number(line)?;
        let (is_pair, rest) = match rest.strip_prefix(b",") {
            Some(rest) => (true, number(rest)?.1),
            None => (false, rest),
        };
        match rest.split_first()? {
            (b'a' | b'i', _) if is_pair => None,
            (b'a' | b'i' | b'c' | b'd', rest) => Some(rest),
            (b's', rest) => rest.strip_prefix(b"/.//"),
            _ => None,
        }
    };
    command().is_some_and(|rest| rest.trim_ascii().is_empty())
}

fn range(bytes: &[u8]) -> Option<(Lines, &[u8])> {
    let (start, rest) = number(bytes)?;
    match rest.strip_prefix(b",") {
        Some(rest) => {
            let (length, rest) = number(rest)?;
            Some(((start, length), rest))
        }
        None => Some(((start, 1), rest)),
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    let digits = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((digits.parse().ok()?, &bytes[end..]))
}

#[cfg(test)]
mod tests;
