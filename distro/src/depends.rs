//! Debian's relationship fields as RPM dependencies.

use std::collections::{BTreeMap, BTreeSet};

use rpm::Dependency;

use super::version::{self, Evr};

/// One relation: a package and, where given, how its version compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The package's Debian name, without an architecture qualifier.
    pub name: String,
    /// Operator and version.
    pub version: Option<(Operator, Evr)>,
}

/// How a version compares: Debian's `<<`, `<=`, `=`, `>=`, `>>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Less,
    /// `<=` (and the obsolete `<`)
    LessEqual,
    /// `=`
    Equal,
    /// `>=` (and the obsolete `>`)
    GreaterEqual,
    /// `>>`
    Greater,
}

impl Operator {
    fn rpm(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "=",
            Self::GreaterEqual => ">=",
            Self::Greater => ">",
        }
    }
}

/// A field that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A relation has another form than `name[:arch] [(op version)]`.
    #[error("`{relation}` is not a Debian relation")]
    Syntax { relation: String },
    #[error(transparent)]
    Version(#[from] version::Error),
}

/// Reads a field such as `libc6 (>= 2.34), debconf | debconf-2.0`: groups of alternatives.
pub fn parse(field: &str) -> Result<Vec<Vec<Relation>>, Error> {
    field
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(|group| group.split('|').map(relation).collect())
        .collect()
}

fn relation(text: &str) -> Result<Relation, Error> {
    let text = text.trim();
    let syntax = || Error::Syntax {
        relation: text.to_owned(),
    };
    let (name, version) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(syntax)?.trim();
            let end = inner
                .find(|c: char| !"<>=".contains(c))
                .ok_or_else(syntax)?;
            let operator = match &inner[..end] {
                "<<" => Operator::Less,
                "<=" | "<" => Operator::LessEqual,
                "=" => Operator::Equal,
                ">=" | ">" => Operator::GreaterEqual,
                ">>" => Operator::Greater,
                _ => return Err(syntax()),
            };
            (
                name.trim(),
                Some((operator, Evr::from_debian(inner[end..].trim())?)),
            )
        }
    };
    // An architecture qualifier (`python3:any`) says nothing where there is one architecture.
    let name = name.split(':').next().unwrap_or(name);
    if name.is_empty()
        || !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(syntax());
    }
    Ok(Relation {
        name: name.to_owned(),
        version,
    })
}

/// Which packages do not exist in the distribution, and which have another name there.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Debian packages that are left out; a dependency that one of them would satisfy is left out as well.
    pub dropped: BTreeSet<String>,
    /// Debian name to RPM name.
    pub renamed: BTreeMap<String, String>,
}

impl Names {
    /// A package's name in the distribution.
    pub fn of<'a>(&'a self, debian: &'a str) -> &'a str {
        self.renamed.get(debian).map_or(debian, String::as_str)
    }

    /// Groups of alternatives as Requires or Conflicts: one dependency each, a rich one where there is a choice.
    pub fn dependencies(&self, groups: &[Vec<Relation>]) -> Vec<Dependency> {
        let mut seen = BTreeSet::new();
        groups
            .iter()
            .filter(|group| !group.iter().any(|r| self.dropped.contains(&r.name)))
            .filter_map(|group| {
                let mut texts: Vec<String> = Vec::new();
                for relation in group {
                    let text = self.text(relation);
                    if !texts.contains(&text) {
                        texts.push(text);
                    }
                }
                if !seen.insert(texts.clone()) {
                    return None;
                }
                Some(match (texts.as_slice(), group.first()) {
                    ([_], Some(only)) => self.plain(only),
                    _ => Dependency::any(format!("({})", texts.join(" or "))),
                })
            })
            .collect()
    }

    fn text(&self, relation: &Relation) -> String {
        let name = self.of(&relation.name);
        match &relation.version {
            None => name.to_owned(),
            Some((operator, evr)) => format!("{name} {} {evr}", operator.rpm()),
        }
    }

    fn plain(&self, relation: &Relation) -> Dependency {
        let name = self.of(&relation.name);
        match &relation.version {
            None => Dependency::any(name),
            Some((operator, evr)) => {
                let evr = evr.to_string();
                match operator {
                    Operator::Less => Dependency::less(name, evr),
                    Operator::LessEqual => Dependency::less_eq(name, evr),
                    Operator::Equal => Dependency::eq(name, evr),
                    Operator::GreaterEqual => Dependency::greater_eq(name, evr),
                    Operator::Greater => Dependency::greater(name, evr),
                }
            }
        }
    }
}

/// Reads a dependency as a spec file writes it: `name`, `name = 1.0-1`, or a rich one in parentheses.
pub fn from_spec(text: &str) -> Dependency {
    let text = text.trim();
    if text.starts_with('(') {
        return Dependency::any(text);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [name, "=", evr] => Dependency::eq(*name, *evr),
        [name, ">=", evr] => Dependency::greater_eq(*name, *evr),
        [name, "<=", evr] => Dependency::less_eq(*name, *evr),
        [name, "<", evr] => Dependency::less(*name, *evr),
        [name, ">", evr] => Dependency::greater(*name, *evr),
        _ => Dependency::any(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &Names, field: &str) -> Vec<String> {
        names
            .dependencies(&parse(field).unwrap())
            .into_iter()
            .map(|d| format!("{} {:?} {}", d.name, d.flags.bits(), d.version))
            .collect()
    }

    #[test]
    fn versions_alternatives_and_qualifiers() {
        let groups = parse("libc6 (>= 2.34), python3:any | python (<< 3~), perl").unwrap();
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[1][0].name, "python3");
        assert_eq!(
            groups[1][1].version,
            Some((Operator::Less, Evr::from_debian("3~").unwrap()))
        );
        assert_eq!(
            shown(&Names::default(), "a (>= 1.2-3) | b, c (= 2:1)"),
            ["(a >= 1.2-3 or b) 0 ", "c 8 2:1-0"]
        );
    }

    #[test]
    fn a_dropped_alternative_drops_the_dependency() {
        let names = Names {
            dropped: ["debconf".to_owned()].into(),
            renamed: BTreeMap::new(),
        };
        assert_eq!(
            shown(&names, "debconf (>= 0.5) | debconf-2.0, libc6"),
            ["libc6 0 "]
        );
    }

    #[test]
    fn renamed_packages_and_repetitions() {
        let names = Names {
            dropped: BTreeSet::new(),
            renamed: [
                ("libcom-err2".to_owned(), "libcom_err".to_owned()),
                ("libcomerr2".to_owned(), "libcom_err".to_owned()),
            ]
            .into(),
        };
        assert_eq!(
            shown(&names, "libcom-err2 | libcomerr2, libcom-err2"),
            ["libcom_err 0 "]
        );
        assert_eq!(
            shown(&names, "libcom-err2 (>= 1.43.9)"),
            ["libcom_err 12 1.43.9-0"]
        );
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        for field in ["a (1.0)", "a (>= 1.0", "a b", "a (=> 1)", "(>= 1)"] {
            assert!(parse(field).is_err(), "{field}");
        }
    }

    #[test]
    fn spec_lines() {
        assert_eq!(from_spec("gcc >= 8"), Dependency::greater_eq("gcc", "8"));
        assert_eq!(from_spec("/bin/sh"), Dependency::any("/bin/sh"));
        assert_eq!(from_spec("(a or b)"), Dependency::any("(a or b)"));
    }
}
