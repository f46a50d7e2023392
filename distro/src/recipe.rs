//! The recipe of a distribution: `distribution.toml` and what each package gets beyond its files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::depends::Names;
use lustre_packaging::glob::matches;

use super::tree::PathRules;

/// The file of a recipe in its folder.
const FILE: &str = "distribution.toml";

/// A distribution made from Debian packages and packages of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The folder the recipe was read from; own packages and the key lie in it.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The folders of the recipes that inherit from it, the nearest first; more own packages lie in them.
    #[serde(skip)]
    pub over: Vec<PathBuf>,
    /// The distribution itself.
    pub distribution: Distribution,
    /// What is taken from Debian.
    pub debian: Debian,
    /// How paths change.
    #[serde(default)]
    pub paths: PathRules,
    /// Where things lie that give Provides.
    #[serde(default)]
    pub provides: ProvidesFrom,
    /// Debian name to the distribution's name.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// RPM name to the Debian packages it is put together from; the first gives version and description.
    #[serde(default)]
    pub merge: BTreeMap<String, Vec<String>>,
    /// RPM name to the files that this package takes out of another one.
    #[serde(default)]
    pub split: BTreeMap<String, Split>,
    /// The distribution's own builds of what its source repository holds.
    #[serde(default)]
    pub stock: Option<Stock>,
    /// What single packages (by their name in the distribution) get or lose.
    #[serde(default)]
    pub package: BTreeMap<String, Extra>,
}

/// The distribution itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Its name, as packages show it in their Vendor field.
    pub name: String,
    /// The time of everything that has none of its own, seconds since 1970. Also the revision of the repositories.
    pub time: u32,
    /// A package every other one requires, so that it is installed first: the root's skeleton. Empty for none.
    #[serde(default)]
    pub skeleton: String,
    /// Its RPM macro files, below the recipe's folder: its source packages are made with them.
    #[serde(default)]
    pub macros: Vec<PathBuf>,
}

/// A package made of a part of another one's files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The other one, by its name in the distribution. Version, description and what it needs are its.
    pub from: String,
    /// Patterns of the files that are taken.
    pub files: Vec<String>,
}

/// Packages that stand for the distribution's own builds of a spec in its source repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// Their names, which the spec must make. The first requires the others.
    pub packages: Vec<String>,
    /// One line.
    pub summary: String,
    /// What they are; also the text of their README.
    pub description: String,
    /// Licence.
    pub license: String,
    /// Provides of each.
    #[serde(default)]
    pub provides: Vec<String>,
}

/// What is taken from Debian.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// The release's code name; the host must run it, since its package lists and keys are used.
    pub codename: String,
    /// The suites of the host's own apt configuration that are used.
    pub suites: BTreeSet<String>,
    /// The archive's component.
    pub component: String,
    /// The packages asked for; what they need comes with them.
    pub seeds: Vec<String>,
    /// Packages that are left out, and with them the dependencies they satisfy.
    #[serde(default)]
    pub drop: BTreeSet<String>,
    /// Packages that come from another suite of the same archive instead.
    #[serde(default)]
    pub instead: Vec<Instead>,
}

/// Packages that come from another suite than the rest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    pub suite: String,
    /// The packages, without what they need.
    pub packages: Vec<String>,
}

/// Where things lie that give Provides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProvidesFrom {
    /// Directories whose shared libraries provide their sonames.
    pub libraries: Vec<String>,
    /// Patterns of directories whose `.pc` files provide `pkgconfig(…)`.
    pub pkgconfig: Vec<String>,
    /// Patterns of directories whose modules provide `perl(…)`.
    pub perl: Vec<String>,
}

/// What a package gets or loses beyond what its files say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extra {
    /// Provides. A bare name gets the package's own version; `{version}` and `{evr}` stand for it.
    pub provides: Vec<String>,
    /// Requires, as a spec file writes them.
    pub requires: Vec<String>,
    pub conflicts: Vec<String>,
    pub obsoletes: Vec<String>,
    /// What is left out at the front of Debian's version: some source packages put a version of their own before it.
    pub version_prefix: String,
    /// Requires of the converted package that are left out, by name.
    pub without: BTreeSet<String>,
    /// Patterns of files that are left out.
    pub drop: Vec<String>,
    /// Symbolic links: path to target.
    pub links: BTreeMap<String, String>,
    pub scriptlets: Scriptlets,
    /// File triggers.
    pub triggers: Vec<FileTrigger>,
}

/// A package's scriptlets, run by `/bin/sh`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scriptlets {
    /// `%pre`
    pub pre: Option<String>,
    /// `%post`
    pub post: Option<String>,
    /// `%preun`
    pub preun: Option<String>,
    /// `%postun`
    pub postun: Option<String>,
    /// `%pretrans`
    pub pretrans: Option<String>,
    /// `%posttrans`
    pub posttrans: Option<String>,
}

/// A file trigger that runs once per transaction (`%transfiletriggerin`, `%transfiletriggerpostun`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTrigger {
    /// When it runs.
    pub on: TriggerKind,
    /// The path prefixes it watches.
    pub paths: Vec<String>,
    /// The program and its arguments. The script, if any, is given to it as rpm does.
    pub program: Vec<String>,
    /// The script's text.
    #[serde(default)]
    pub script: String,
}

/// When a file trigger runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// After a transaction that installed such a file.
    In,
    /// After a transaction that removed such a file.
    Postun,
}

/// A recipe that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Parse {
        path: PathBuf,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
}

impl Recipe {
    /// Reads `distribution.toml` in `dir`. One that says `inherits = "OTHER"`, a folder beside its own, inherits from that one: its tables
    /// add keys, its lists more entries.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let mut table: toml::Table = read_toml(&path)?;
        let Some(parent) = table.remove("inherits") else {
            let mut recipe: Self = read_toml(&path)?;
            recipe.dir = dir.to_owned();
            return Ok(recipe);
        };
        let parent = parent
            .as_str()
            .filter(|name| !name.is_empty() && !name.starts_with('.') && !name.contains('/'));
        let wrong = |source: toml::de::Error| Error::Parse {
            path: path.clone(),
            source: Box::new(source),
        };
        let parent = parent.ok_or_else(|| {
            wrong(serde::de::Error::custom(
                "`inherits` is the name of a recipe's folder beside this one",
            ))
        })?;
        let below = dir.with_file_name(parent);
        let base: toml::Table = read_toml(&below.join(FILE))?;
        if base.contains_key("inherits") {
            return Err(wrong(serde::de::Error::custom(format!(
                "`{parent}` inherits itself, and one level is enough"
            ))));
        }
        let mut recipe: Self = extended(base, table).try_into().map_err(wrong)?;
        recipe.dir = below;
        recipe.over = vec![dir.to_owned()];
        Ok(recipe)
    }

    /// All folders that it was read from.
    pub fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.dir).chain(&self.over)
    }

    /// Its macro files.
    pub fn macros(&self) -> Vec<PathBuf> {
        let files = self.distribution.macros.iter();
        files.map(|file| self.dir.join(file)).collect()
    }

    /// The names the distribution uses for Debian's packages.
    pub fn names(&self) -> Names {
        let mut names = Names {
            dropped: self.debian.drop.clone(),
            renamed: self.rename.clone(),
        };
        for (name, parts) in &self.merge {
            for part in parts {
                names.renamed.insert(part.clone(), name.clone());
            }
        }
        names
    }

    /// Whether a file of the converted package `name` stays in it: what splits take does not, and a split has nothing else.
    pub fn keeps(&self, name: &str, path: &str) -> bool {
        let takes = |split: &Split| split.files.iter().any(|p| matches(p, path, true));
        match self.split.get(name) {
            Some(split) => takes(split),
            None => !self
                .split
                .values()
                .any(|split| split.from == name && takes(split)),
        }
    }

    /// What a package gets beyond its files.
    pub fn extra(&self, name: &str) -> Extra {
        self.package.get(name).cloned().unwrap_or_default()
    }
}

/// `over` merged over `base`: tables key by key, lists concatenated, every other value overridden.
fn extended(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => {
                toml::Value::Table(extended(below, above))
            }
            (Some(toml::Value::Array(mut below)), toml::Value::Array(above)) => {
                below.extend(above);
                toml::Value::Array(below)
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

/// Reads a TOML file.
pub(super) fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text =
        lustre_files::read_to_string(path, lustre_files::TEXT).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
    lustre_packaging::bounded_toml::from_str(&text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_recipe_laid_over_another_adds_to_its_lists_and_tables() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let folder = dir.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(FILE), text).unwrap();
            folder
        };
        write(
            "base",
            "[distribution]\nname = 'B'\ntime = 1\n[debian]\ncodename = 'c'\nsuites = ['c']\ncomponent = 'main'\nseeds = ['a']\n\
             [package.x]\nprovides = ['one']\n",
        );
        let over = write(
            "over",
            "inherits = 'base'\n[debian]\nseeds = ['b']\ndrop = ['d']\n[package.x]\nprovides = ['two']\n[package.y]\nprovides = ['y']\n",
        );
        let recipe = Recipe::load(&over).unwrap();
        assert_eq!(recipe.debian.seeds, ["a", "b"]);
        assert!(recipe.debian.drop.contains("d"));
        assert_eq!(recipe.package["x"].provides, ["one", "two"]);
        assert_eq!(recipe.package["y"].provides, ["y"]);
        assert_eq!(recipe.dir, dir.path().join("base"));
        assert_eq!(recipe.over, [over]);
        for (wrong, part) in [("'../base'", "folder beside"), ("'over'", "one level")] {
            let folder = write("wrong", &format!("inherits = {wrong}\n"));
            let error = Recipe::load(&folder).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_recipe_that_is_nested_without_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("\na = {}", "[".repeat(1_000_000));
        fs::write(dir.path().join(FILE), text).unwrap();
        let error = format!("{:?}", Recipe::load(dir.path()).unwrap_err());
        assert!(error.contains("more than 64 deep"), "{error}");
    }
}
