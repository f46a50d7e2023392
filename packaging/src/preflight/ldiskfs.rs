//! The series that makes ldiskfs of the kernel's ext4, tried as Lustre's own build applies it: with `patch -p1` and its usual fuzz, on a
//! copy of what the tree's `ldiskfs/Makefile.in` takes from the kernel and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::report::{Check, Problem};
use super::series::{self, Loaded};
use super::{Error, at, read_text};
use crate::glob::matches;
use crate::overlay::patch::ApplyOptions;
use crate::target::Lustre;

/// Where the series are in Lustre's tree.
const SERIES: &str = "ldiskfs/kernel_patches/series";

/// Where their patches are.
const PATCHES: &str = "ldiskfs/kernel_patches/patches";

/// The makefile that says what is taken from the kernel.
const MAKEFILE: &str = "ldiskfs/Makefile.in";

/// What is taken by a tree that has no such makefile.
const USUAL: [&str; 5] = [
    "fs/ext4/*.c",
    "fs/ext4/*.h",
    "fs/ext4/Makefile",
    "include/linux/ext4*.h",
    "include/trace/events/ext4*.h",
];

/// What the check looks at.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    /// The target's Lustre.
    pub(super) wanted: &'a Lustre,
    /// Lustre's tree, with its overlay.
    pub(super) tree: &'a Path,
    /// What it is, for messages.
    pub(super) label: &'a str,
    /// The kernel's tree, with its patches.
    pub(super) kernel: &'a Path,
    pub(super) kernel_version: &'a str,
}

/// Patterns of the kernel's files that Lustre's build copies, patches and makes ldiskfs of.
pub(crate) fn staged(tree: &Path) -> Result<Vec<String>, Error> {
    let path = tree.join(MAKEFILE);
    if !path.is_file() {
        return Ok(USUAL.map(str::to_owned).to_vec());
    }
    Ok(wildcards(&read_text(&path)?))
}

/// The `$(wildcard …)` of the makefile below the kernel's tree, relative to it.
pub(crate) fn wildcards(makefile: &str) -> Vec<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut rest = makefile;
    // On behind the end of each: one that has none would else be read as often as there are beginnings.
    while let Some((_, behind)) = rest.split_once("$(wildcard ") {
        let Some((arguments, after)) = behind.split_once(')') else {
            break;
        };
        rest = after;
        for pattern in arguments.split_whitespace() {
            if let Some(below) = pattern.strip_prefix("@LINUX@/") {
                found.insert(below.to_owned());
            } else if let Some(below) = pattern.strip_prefix("@EXT4_SRC_DIR@/") {
                found.insert(format!("fs/ext4/{below}"));
            }
        }
    }
    found.into_iter().collect()
}

/// Whether Lustre's build leaves the file out although a pattern takes it: unit tests and what a build of ext4 left.
pub(crate) fn left_out(path: &str) -> bool {
    path.ends_with("-test.c") || path.ends_with(".mod.c")
}

/// The names of the series that the tree has, as targets name them, sorted.
fn names(tree: &Path) -> Result<Vec<String>, Error> {
    let folder = tree.join(SERIES);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(at(&folder))? {
        let name = entry.map_err(at(&folder))?.file_name();
        let name = name.to_string_lossy();
        let plain = name
            .strip_prefix("ldiskfs-")
            .and_then(|name| name.strip_suffix(".series"));
        names.extend(plain.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn file_of(series: &str) -> String {
    format!("{SERIES}/ldiskfs-{series}.series")
}

/// Whether the series that the target names is in the tree and applies to the kernel's ext4.
pub(super) fn check(inputs: &Inputs<'_>, scratch: &Path) -> Result<Check, Error> {
    let name = "ldiskfs series";
    let Some(series) = &inputs.wanted.ldiskfs_series else {
        if !inputs.wanted.modules.iter().any(|m| m == "ldiskfs.ko") {
            return Ok(Check::not_needed(name, "the target builds no ldiskfs"));
        }
        let problem = Problem::new(
            "the target needs ldiskfs.ko, but does not set the series for this kernel's ext4",
        );
        return Ok(Check::of(name, "none is named", vec![problem])
            .hint("set it in the target: `lustre.ldiskfs_series`"));
    };
    let stage = Stage::make(inputs, scratch)?;
    let there = names(inputs.tree)?;
    if !there.contains(series) {
        let file = file_of(series);
        let mut problems = vec![Problem::of_file(
            &file,
            format!("{file}: {} has no such series", inputs.label),
        )];
        problems.push(Problem::new(if there.is_empty() {
            "the tree has no ldiskfs series".to_owned()
        } else {
            format!("it has: {}", there.join(", "))
        }));
        let message = format!("{} has no series {series}", inputs.label);
        let check = Check::of(name, message, problems);
        return Ok(check.hint(stage.instead(inputs, &there, series)?));
    }
    let loaded = load(inputs.tree, series);
    let (good, mut problems) = stage.try_series(&loaded)?;
    problems.extend(never_chosen(inputs, series)?);
    let message = format!(
        "{series} of {}: {good} of {} patches apply to the ext4 of Linux {}",
        inputs.label, loaded.listed, inputs.kernel_version
    );
    let check = Check::of(name, message, problems);
    if loaded.listed == 0 && check.problems.is_empty() {
        let problem = Problem::of_file(&file_of(series), "the series lists no patches");
        return Ok(Check::of(name, check.message, vec![problem]));
    }
    if check.problems.is_empty() {
        return Ok(check);
    }
    Ok(check.hint(stage.instead(inputs, &there, series)?))
}

/// A series that no macro of the tree's configure names is not what the build will use, unless configure is told.
fn never_chosen(inputs: &Inputs<'_>, series: &str) -> Result<Option<Problem>, Error> {
    let told = |option: &String| option.starts_with("LDISKFS_SERIES=");
    if inputs.wanted.configure.iter().any(told) {
        return Ok(None);
    }
    let file = format!("{series}.series");
    // The name may follow a quote or an equals sign, and must not be the end of another one.
    let names = |text: &str| {
        text.match_indices(&file).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            before.is_none_or(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        })
    };
    for (_, text) in super::configure_texts(inputs.tree)? {
        if names(&text) {
            return Ok(None);
        }
    }
    let message = format!(
        "no macro of its configure selects {file}, so the build would use another series or none; add `LDISKFS_SERIES={file}` to the \
         target's configure options to use this one"
    );
    Ok(Some(Problem::of_file(&file_of(series), message)))
}

fn load(tree: &Path, series: &str) -> Loaded {
    // Fixups of Lustre's patches belong to its overlay, which the tree has been changed by.
    series::load(tree, &file_of(series), PATCHES, &[])
}

/// The copy of the kernel's files that Lustre's build would patch.
struct Stage<'a> {
    folder: &'a Path,
    /// How many files it has.
    files: usize,
}

impl<'a> Stage<'a> {
    fn make(inputs: &Inputs<'_>, folder: &'a Path) -> Result<Self, Error> {
        let patterns = staged(inputs.tree)?;
        let files = std::cell::Cell::new(0);
        series::copy_tree(inputs.kernel, folder, &|path| {
            let path = path.to_string_lossy();
            let takes = |pattern: &String| matches(pattern, &path, false);
            let taken = !left_out(&path) && patterns.iter().any(takes);
            files.set(files.get() + usize::from(taken));
            taken
        })?;
        let files = files.get();
        Ok(Self { folder, files })
    }

    fn try_series(&self, loaded: &Loaded) -> Result<(usize, Vec<Problem>), Error> {
        let mut problems = loaded.problems.clone();
        if self.files == 0 {
            problems.push(Problem::of_file(
                "fs/ext4",
                "fs/ext4: the kernel's source has no ext4 to build ldiskfs from",
            ));
            return Ok((0, problems));
        }
        let tried = series::try_on(self.folder, &loaded.patches, ApplyOptions::default().fuzz)?;
        problems.extend(tried.problems);
        Ok((tried.good, problems))
    }

    /// What to choose instead: how the tree's other series for this kernel's release do.
    fn instead(
        &self,
        inputs: &Inputs<'_>,
        there: &[String],
        series: &str,
    ) -> Result<String, Error> {
        let mut parts = Vec::new();
        for other in there {
            if other == series || !is_for(other, inputs.kernel_version) {
                continue;
            }
            let loaded = load(inputs.tree, other);
            let (good, problems) = self.try_series(&loaded)?;
            if problems.is_empty() && loaded.listed > 0 {
                return Ok(format!(
                    "all {good} patches of this tree's series {other} apply: `lustre.ldiskfs_series = \"{other}\"`"
                ));
            }
            parts.push(format!("{other} {good} of {}", loaded.listed));
        }
        let others = if parts.is_empty() {
            format!(
                "the tree has no other series for Linux {}",
                short(inputs.kernel_version)
            )
        } else {
            format!(
                "patches that apply of the tree's other series for it: {}",
                parts.join(", ")
            )
        };
        Ok(format!(
            "use another Lustre (--source lustre=PATH@REV) or a kernel that the series was made for; {others}"
        ))
    }
}

/// `6.12` of `6.12.8`.
fn short(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').take(2).collect();
    parts.join(".")
}

/// Whether a series is named for the release that a kernel's version begins with: `6.12-ml` and `6.12.5-x` are for 6.12.8, `6.1-ml` is not.
fn is_for(series: &str, version: &str) -> bool {
    series
        .strip_prefix(&short(version))
        .is_some_and(|rest| rest.starts_with(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_what_the_makefile_says() {
        let makefile = "extra := $(wildcard @LINUX@/fs/ext4/Makefile)\n\
            headers := $(wildcard @EXT4_SRC_DIR@/*.h)\n\
            trace := $(wildcard @LINUX@/include/trace/events/ext4*.h)\n\
            sources := $(filter-out %.mod.c,$(wildcard @EXT4_SRC_DIR@/*.c))\n\
            other := $(wildcard *.x) $(notdir $(headers))\n";
        assert_eq!(
            wildcards(makefile),
            [
                "fs/ext4/*.c",
                "fs/ext4/*.h",
                "fs/ext4/Makefile",
                "include/trace/events/ext4*.h"
            ]
        );
        assert!(left_out("fs/ext4/mballoc-test.c") && !left_out("fs/ext4/mballoc.c"));
    }

    #[test]
    fn patterns_without_an_end_take_no_time() {
        // In proportion to the square of its length, this would take minutes.
        let open = format!("{})", "$(wildcard @LINUX@/a ".repeat(50_000));
        assert_eq!(wildcards(&open), ["a"]);
    }

    #[test]
    fn a_series_is_for_the_release_in_its_name() {
        assert!(is_for("6.12-ml", "6.12.8"));
        assert!(is_for("6.12-rhel10.0", "6.12.0"));
        assert!(is_for("5.10.0-ml", "5.10.223"));
        assert!(!is_for("6.1.38-ml", "6.12.8"));
        assert!(!is_for("6.12-ml", "6.1.176"));
    }
}
