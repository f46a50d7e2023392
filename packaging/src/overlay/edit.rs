//! Anchored edits: lines put before, after or in place of lines of a spec (or of any other text file).
//!
//! An edit says how often its anchor must be found, because a specification that changed under an edit is to be noticed
//! here and not after an hour's build. All edits of a list are matched against the text as it came, never against what
//! another edit inserted, so their order only matters where two insert at the same place.
//!
//! Text is never edited in place, so an anchor that already has the edit's text beside it means that the input is not
//! the pristine one. That is an error ([`EditError::AlreadyApplied`]), not a silent success.

use serde::Deserialize;

/// One edit of a text file, as it stands in an `overlay.toml` under `[[edit]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The edit's name, for messages.
    pub name: String,
    /// Why the edit is needed.
    pub why: String,
    /// The file to edit, relative to the source tree; the package's spec when absent.
    #[serde(default)]
    pub file: Option<String>,
    /// The line to find; several lines, in TOML's `"""` form, are found as consecutive lines.
    pub anchor: String,
    /// How lines are compared with the anchor.
    #[serde(default, rename = "match")]
    pub mode: Match,
    /// Where the text goes.
    pub position: Position,
    /// How many places the anchor has to be found at, one or more.
    pub expect: usize,
    /// The lines to put there. Empty is only allowed with `replace`, where it deletes.
    #[serde(default)]
    pub text: String,
}

/// How a line is compared with an anchor's line. There are no patterns: what a spec holds is matched literally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The whole line, blanks at its end aside.
    #[default]
    Line,
    /// The line begins with the anchor.
    Prefix,
}

/// Where an edit's text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Lines of their own before the anchor.
    Before,
    /// Lines of their own after the anchor's last line.
    After,
    /// Instead of the anchor's whole lines.
    Replace,
}

/// Why one edit does not fit a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The anchor was found more or less often than the edit expects.
    #[error(
        "edit `{edit}` of {file}: the anchor `{anchor}` is expected {expected} time(s) but found {}{near}; \
         compare the file with the anchor and correct the overlay (the edit's reason: {why})",
        found_text(found)
    )]
    Count {
        /// The edit's name.
        edit: Box<str>,
        /// The edited file.
        file: Box<str>,
        anchor: Box<str>,
        /// How often it should be there.
        expected: usize,
        /// The lines (counted from 1) it is at.
        found: Vec<usize>,
        /// Lines that nearly match, as text for the message; may be empty.
        near: Box<str>,
        /// The edit's reason.
        why: Box<str>,
    },
    #[error(
        "edit `{edit}` of {file}: its text is already present, at line {line}; overlays are applied to pristine sources, so extract the \
         file from its source again"
    )]
    AlreadyApplied {
        /// The edit's name.
        edit: String,
        /// The edited file.
        file: String,
        /// The line (counted from 1) of the anchor, or of the text where the edit replaces.
        line: usize,
    },
    /// Two edits replace the same line, or one replaces a line another is anchored to.
    #[error(
        "edits `{edit}` and `{other}` of {file} both change line {line}; combine them into one edit"
    )]
    Overlap {
        /// The later edit's name.
        edit: String,
        /// The earlier edit's name.
        other: String,
        /// The edited file.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    #[error("edit `{edit}`: {problem}")]
    Invalid {
        /// The edit's name.
        edit: String,
        problem: &'static str,
    },
}

/// Every edit of a list that does not fit; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct EditErrors(pub Vec<EditError>);

fn found_text(found: &[usize]) -> String {
    match found {
        [] => "nowhere".to_owned(),
        [line] => format!("once, at line {line}"),
        lines => {
            let list: Vec<String> = lines.iter().map(ToString::to_string).collect();
            format!("{} times, at lines {}", lines.len(), list.join(", "))
        }
    }
}

impl Edit {
    /// Checks what can be checked without a text.
    pub fn validate(&self) -> Result<(), EditError> {
        let problem = if self.anchor.trim().is_empty() {
            "its anchor is empty"
        } else if self.expect == 0 {
            "`expect` is 0: the anchor of an edit must match at least once"
        } else if self.text.is_empty() && self.position != Position::Replace {
            "its text is empty"
        } else if self.name.trim().is_empty() {
            "it has no name"
        } else if self.why.trim().is_empty() {
            "it has no reason (`why`)"
        } else {
            return Ok(());
        };
        Err(EditError::Invalid {
            edit: self.name.clone(),
            problem,
        })
    }

    /// The anchor's lines.
    fn anchor_lines(&self) -> Vec<&str> {
        self.anchor.trim_end_matches('\n').split('\n').collect()
    }

    /// The text's lines, none for an empty text.
    fn text_lines(&self) -> Vec<&str> {
        if self.text.is_empty() {
            return Vec::new();
        }
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        text.split('\n').collect()
    }

    fn fits(&self, line: &str, anchor: &str) -> bool {
        match self.mode {
            Match::Line => line.trim_end() == anchor.trim_end(),
            Match::Prefix => line.starts_with(anchor),
        }
    }

    /// The indexes at which the anchor begins, without overlaps.
    fn find(&self, lines: &[&str]) -> Vec<usize> {
        let anchor = self.anchor_lines();
        let mut found = Vec::new();
        let mut at = 0;
        while at + anchor.len() <= lines.len() {
            if anchor
                .iter()
                .zip(&lines[at..])
                .all(|(anchor, line)| self.fits(line, anchor))
            {
                found.push(at);
                at += anchor.len();
            } else {
                at += 1;
            }
        }
        found
    }

    /// Lines a person would take for the anchor: the same but for blanks, or a part of the line.
    fn near(&self, lines: &[&str]) -> String {
        let first = self.anchor_lines()[0].trim();
        let near: Vec<String> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(first))
            .take(3)
            .map(|(at, line)| format!("{}: `{}`", at + 1, line.trim_end()))
            .collect();
        if near.is_empty() {
            String::new()
        } else {
            format!(" (similar lines: {})", near.join(", "))
        }
    }
}

/// True where `lines[at..]` begins with `text`; blanks at the ends of lines aside.
fn has_lines(lines: &[&str], at: usize, text: &[&str]) -> bool {
    !text.is_empty()
        && lines.get(at..at + text.len()).is_some_and(|there| {
            there
                .iter()
                .zip(text)
                .all(|(a, b)| a.trim_end() == b.trim_end())
        })
}

/// Applies all of `edits` to `text`, the content of `file` (used in messages only), and gives the new text.
pub fn apply<'a>(
    text: &str,
    file: &str,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Result<String, EditErrors> {
    let ends_with_newline = text.is_empty() || text.ends_with('\n');
    let body = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<&str> = if text.is_empty() {
        Vec::new()
    } else {
        body.split('\n').collect()
    };
    let mut plan = Plan::new(lines.len());
    let mut errors = Vec::new();
    for edit in edits {
        if let Err(error) = plan_edit(edit, file, &lines, &mut plan) {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        return Err(EditErrors(errors));
    }
    let mut out: Vec<&str> = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        out.extend(&plan.before[at]);
        match &plan.instead[at] {
            Some((_, text)) => out.extend(text),
            None => out.push(line),
        }
        out.extend(&plan.after[at]);
    }
    let mut result = out.join("\n");
    if ends_with_newline && !result.is_empty() {
        result.push('\n');
    }
    Ok(result)
}

/// What happens at each line of a text.
struct Plan<'a> {
    before: Vec<Vec<&'a str>>,
    after: Vec<Vec<&'a str>>,
    /// The name of the edit that replaces the line, and its text (on the first line of the anchor).
    instead: Vec<Option<(&'a str, Vec<&'a str>)>>,
    /// The name of the edit that is anchored to the line.
    anchored: Vec<Option<&'a str>>,
}

impl Plan<'_> {
    fn new(lines: usize) -> Self {
        Plan {
            before: vec![Vec::new(); lines],
            after: vec![Vec::new(); lines],
            instead: vec![None; lines],
            anchored: vec![None; lines],
        }
    }
}

fn plan_edit<'a>(
    edit: &'a Edit,
    file: &str,
    lines: &[&str],
    plan: &mut Plan<'a>,
) -> Result<(), EditError> {
    edit.validate()?;
    let (found, span, text) = (
        edit.find(lines),
        edit.anchor_lines().len(),
        edit.text_lines(),
    );
    let applied = |line: usize| EditError::AlreadyApplied {
        edit: edit.name.clone(),
        file: file.to_owned(),
        line: line + 1,
    };
    for &at in &found {
        let there = match edit.position {
            Position::Before => at
                .checked_sub(text.len())
                .is_some_and(|start| has_lines(lines, start, &text)),
            Position::After => has_lines(lines, at + span, &text),
            // A replacement that keeps the anchor as its first line would match again.
            Position::Replace => has_lines(lines, at, &text),
        };
        if there {
            return Err(applied(at));
        }
    }
    if edit.position == Position::Replace
        && found.is_empty()
        && let Some(at) = (0..lines.len()).find(|at| has_lines(lines, *at, &text))
    {
        return Err(applied(at));
    }
    if found.len() != edit.expect {
        let near = if found.is_empty() {
            edit.near(lines)
        } else {
            String::new()
        };
        return Err(EditError::Count {
            edit: edit.name.as_str().into(),
            file: file.into(),
            anchor: edit.anchor.trim_end_matches('\n').into(),
            expected: edit.expect,
            found: found.iter().map(|at| at + 1).collect(),
            near: near.into(),
            why: edit.why.trim().into(),
        });
    }
    for &at in &found {
        for line in at..at + span {
            let taken = plan.instead[line].as_ref().map(|(name, _)| *name).or(
                if edit.position == Position::Replace {
                    plan.anchored[line]
                } else {
                    None
                },
            );
            if let Some(other) = taken {
                return Err(EditError::Overlap {
                    edit: edit.name.clone(),
                    other: other.to_owned(),
                    file: file.to_owned(),
                    line: line + 1,
                });
            }
        }
        for line in at..at + span {
            plan.anchored[line].get_or_insert(&edit.name);
        }
        match edit.position {
            Position::Before => plan.before[at].extend(&text),
            Position::After => plan.after[at + span - 1].extend(&text),
            Position::Replace => {
                for line in at..at + span {
                    plan.instead[line] = Some((&edit.name, Vec::new()));
                }
                plan.instead[at] = Some((&edit.name, text.clone()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
