//! e2fsprogs: our spec and a series around the upstream release, or around a tree.

use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::overlay::series::Series;
use crate::target::E2fsprogs;

/// The spec's name.
pub const SPEC: &str = "e2fsprogs.spec";

/// The file of a tree that says its version.
pub const VERSION: &str = "version.h";

/// The file of a tree that says which features its library takes.
pub const FEATURES: &str = "lib/ext2fs/ext2fs.h";

/// The list in it.
const SUPPORTED: &str = "#define EXT2_LIB_FEATURE_INCOMPAT_SUPP";

/// Puts the spec, the patches and the archive in place and makes the SRPM.
///
/// `archive` is the file and the name it has as a source; `folder` is the target's `e2fsprogs.spec` folder: the spec, the series and
/// `patches/`.
pub fn source_package(
    work: &Workdir,
    wanted: &E2fsprogs,
    folder: &Path,
    archive: (&Path, &str),
    log: &Path,
) -> Result<PathBuf, Error> {
    let path = folder.join(SPEC);
    let spec = lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
    let patches = match wanted.series.as_deref() {
        Some(series) => Some(listed(&folder.join(series))?),
        None => None,
    };
    let text = fitted(&spec, wanted, archive.1, patches.as_deref())?;
    let sources = work.path("build/SOURCES")?;
    lustre_files::copy(archive.0, sources.join(archive.1)).map_err(at(archive.0))?;
    for name in patches.iter().flatten() {
        let path = folder.join("patches").join(name);
        lustre_files::copy(&path, sources.join(name)).map_err(at(&path))?;
    }
    let target = work.path("build/SPECS")?.join(SPEC);
    let lines = work.spec_macros()?.lines();
    fs::write(&target, lines + &text).map_err(at(&target))?;
    rpmbuild::source_package(work, SPEC, log)
}

/// The files of `folder` that a source package with `series` is made of: the spec, the series and its patches.
pub fn files(folder: &Path, series: Option<&str>) -> Result<Vec<PathBuf>, Error> {
    let mut files = vec![folder.join(SPEC)];
    if let Some(series) = series {
        let path = folder.join(series);
        let patches = listed(&path)?;
        files.push(path);
        files.extend(patches.iter().map(|name| folder.join("patches").join(name)));
    }
    Ok(files)
}

/// The patches of the series at `path`.
fn listed(path: &Path) -> Result<Vec<String>, Error> {
    let series = Series::read(path).map_err(|error| Error::Overlay(error.to_string()))?;
    Ok(series.entries.into_iter().map(|one| one.name).collect())
}

/// The spec for what is wanted: the values that it gives its macros where nobody else does, and its list of patches. So the source
/// package says all that it was made with, and builds the same again without this tool. A spec that fits as it is stays as it is.
pub fn fitted(
    spec: &str,
    wanted: &E2fsprogs,
    archive: &str,
    patches: Option<&[String]>,
) -> Result<String, Error> {
    let version = &wanted.version;
    let mut lines: Vec<String> = spec.lines().map(str::to_owned).collect();
    let mut values = vec![
        ("e2fsprogs_version", version.as_str()),
        ("e2fsprogs_archive", archive),
    ];
    values.extend(
        wanted
            .release
            .iter()
            .map(|r| ("e2fsprogs_release", r.as_str())),
    );
    for (name, value) in values {
        let start = format!("%{{!?{name}:%global {name} ");
        let line = lines
            .iter_mut()
            .find(|line| line.starts_with(&start))
            .ok_or_else(|| misfit(&format!("a line that begins with `{start}`")))?;
        let default = line[start.len()..].trim_end();
        let default = default.strip_suffix('}').unwrap_or(default);
        if default.replace("%{e2fsprogs_version}", version) != value {
            *line = format!("{start}{value}}}");
        }
    }
    let Some(patches) = patches else {
        let line = lines
            .iter_mut()
            .find(|line| *line == "%bcond_without series")
            .ok_or_else(|| misfit("the line `%bcond_without series`"))?;
        "%bcond_with series".clone_into(line);
        return Ok(lines.join("\n") + "\n");
    };
    let first = lines
        .iter()
        .position(|line| is_patch(line))
        .ok_or_else(|| misfit("a patch"))?;
    lines.retain(|line| !is_patch(line));
    for (index, name) in patches.iter().enumerate() {
        let tag = format!("Patch{}:", index + 1);
        lines.insert(first + index, format!("{tag:<16}{name}"));
    }
    Ok(lines.join("\n") + "\n")
}

/// `Patch1: …`
fn is_patch(line: &str) -> bool {
    line.strip_prefix("Patch")
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn misfit(what: &str) -> Error {
    Error::Result {
        what: format!("{SPEC} does not have {what}"),
        hint: "the tool sets versions, archive and patches in such lines; restore it".to_owned(),
    }
}

/// What the files of a tree say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The upstream version, as a package may have it.
    pub version: String,
    /// The package's release, where the tree has one of its own: `100.wc2` for version `1.47.3-wc2`. The number stays above those of
    /// distributions, which a word alone would not.
    pub release: Option<String>,
    /// Whether its library takes file systems as Lustre makes them, with data behind the names of directories.
    pub dirdata: bool,
}

impl Tree {
    /// Reads [`VERSION`] and [`FEATURES`] of a tree.
    pub fn read(version: &str, features: &str) -> Result<Self, Error> {
        let unclear = |what: String| Error::Result {
            what,
            hint:
                "name the top of a tree or clone of e2fsprogs: --source e2fsprogs=PATH, or PATH@REV"
                    .to_owned(),
        };
        let found = release_of(version)
            .ok_or_else(|| unclear(format!("{VERSION} does not set E2FSPROGS_VERSION")))?;
        let supported = supported(features)
            .ok_or_else(|| unclear(format!("{FEATURES} has no `{SUPPORTED}`")))?;
        let (version, own) = split(&found);
        let plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '~'))
        };
        if version.is_empty() || !plain(version) || !own.as_deref().is_none_or(plain) {
            return Err(unclear(format!(
                "{VERSION}: `{found}` is not a valid package version"
            )));
        }
        Ok(Self {
            version: version.to_owned(),
            release: own.map(|own| format!("100.{own}")),
            dirdata: supported.contains("FEATURE_INCOMPAT_DIRDATA"),
        })
    }
}

/// The release in the text of [`VERSION`]: `1.47.0`, `1.47.3-wc2`.
pub fn release_of(text: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("#define E2FSPROGS_VERSION"))?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// A release's upstream version, and what follows it, as the parts of a package's version and release.
pub fn split(release: &str) -> (&str, Option<String>) {
    match release.split_once('-') {
        Some((version, own)) => (version, Some(own.replace('-', "."))),
        None => (release, None),
    }
}

/// The list of features that the library takes, without the lines' ends.
fn supported(features: &str) -> Option<String> {
    let mut lines = features
        .lines()
        .skip_while(|line| !line.starts_with(SUPPORTED));
    let mut list = lines.next()?.to_owned();
    while list.ends_with('\\') {
        list.pop();
        list.push_str(lines.next().unwrap_or_default());
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC_TEXT: &str = "\
# words
%{!?e2fsprogs_version:%global e2fsprogs_version 1.47.0}
%{!?e2fsprogs_archive:%global e2fsprogs_archive e2fsprogs_%{e2fsprogs_version}.orig.tar.gz}
%{!?e2fsprogs_release:%global e2fsprogs_release 100.lustre1}
%bcond_without series
%if %{with series}
Patch1:         0001-one.patch
Patch2:         0002-two.patch
%endif
Patching is text.
";

    fn wanted(version: &str, release: Option<&str>) -> E2fsprogs {
        E2fsprogs {
            source: crate::target::Source::Path("x".to_owned()),
            tag_key: None,
            spec: "e2fsprogs".to_owned(),
            series: Some("series".to_owned()),
            version: version.to_owned(),
            release: release.map(str::to_owned),
            packages: Vec::new(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_spec_that_fits_stays_as_it_is() {
        let patches = names(&["0001-one.patch", "0002-two.patch"]);
        let archive = "e2fsprogs_1.47.0.orig.tar.gz";
        let text = fitted(SPEC_TEXT, &wanted("1.47.0", None), archive, Some(&patches)).unwrap();
        assert_eq!(text, SPEC_TEXT);
    }

    #[test]
    fn the_spec_says_what_is_built() {
        let patches = names(&[
            "0001-one.patch",
            "0002-two-1.47.4.patch",
            "0003-three.patch",
        ]);
        let archive = "e2fsprogs_1.47.4.orig.tar.gz";
        let text = fitted(SPEC_TEXT, &wanted("1.47.4", None), archive, Some(&patches)).unwrap();
        let expected = SPEC_TEXT
            .replace("version 1.47.0}", "version 1.47.4}")
            .replace(
                "Patch2:         0002-two.patch\n",
                "Patch2:         0002-two-1.47.4.patch\nPatch3:         0003-three.patch\n",
            );
        assert_eq!(text, expected);
        let text = fitted(
            SPEC_TEXT,
            &wanted("1.47.3", Some("100.wc2")),
            "e2fsprogs-1.47.3.tar.gz",
            None,
        )
        .unwrap();
        for line in [
            "%{!?e2fsprogs_version:%global e2fsprogs_version 1.47.3}",
            "%{!?e2fsprogs_archive:%global e2fsprogs_archive e2fsprogs-1.47.3.tar.gz}",
            "%{!?e2fsprogs_release:%global e2fsprogs_release 100.wc2}",
            "%bcond_with series",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_spec_without_the_lines_is_an_error_that_names_them() {
        for (gone, series, part) in [
            ("%{!?e2fsprogs_release", true, "e2fsprogs_release"),
            ("%bcond_without series", false, "bcond_without"),
            ("Patch", true, "a patch"),
        ] {
            let text = SPEC_TEXT.replace(gone, "#");
            let patches = names(&["x.patch"]);
            let wanted = wanted("1.47.0", Some("1"));
            let error = fitted(&text, &wanted, "a", series.then_some(patches.as_slice()))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_tree_says_its_version_and_its_features() {
        let features = |more: &str| {
            format!(
                "#ifdef X\n#define EXT2_LIB_FEATURE_INCOMPAT_SUPP\t(EXT4_FEATURE_INCOMPAT_64BIT|\\\n\tEXT4_A|\\\n\t{more}EXT4_B)\n\n\
                 #define EXT4_FEATURE_INCOMPAT_DIRDATA 0x1000\n"
            )
        };
        let version = |text: &str| format!("/* x */\n#define E2FSPROGS_VERSION \"{text}\"\n");
        let tree = Tree::read(
            &version("1.47.3-wc2"),
            &features("EXT4_FEATURE_INCOMPAT_DIRDATA|"),
        )
        .unwrap();
        assert_eq!(
            (tree.version.as_str(), tree.release.as_deref(), tree.dirdata),
            ("1.47.3", Some("100.wc2"), true)
        );
        let tree = Tree::read(&version("1.47.0"), &features("")).unwrap();
        assert_eq!(
            (tree.version.as_str(), tree.release, tree.dirdata),
            ("1.47.0", None, false)
        );
        for (version, features, part) in [
            ("nothing".to_owned(), features(""), "version.h"),
            (version("1.47.0"), "nothing".to_owned(), "ext2fs.h"),
            (version("1 47"), features(""), "`1 47`"),
        ] {
            let error = Tree::read(&version, &features).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("--source e2fsprogs=PATH"),
                "{error}"
            );
        }
    }
}
