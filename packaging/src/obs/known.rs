//! What may have been in a build root: packages by their SIGMD5, the MD5 over header and payload.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::answers::Buildenv;
use super::{Error, Header, Nevra, Place};

/// Packages that may have been in a build root.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// By name, and by SIGMD5, what they are.
    names: BTreeMap<String, BTreeMap<String, String>>,
    /// The name and the SIGMD5 of each, by what it is: of two that are the same, the one that was added last.
    packages: BTreeMap<String, (String, String)>,
    /// The SIGMD5 of the one of a name that was added last.
    last: BTreeMap<String, String>,
    /// What a package requires, and which ones provide something, by name.
    requires: BTreeMap<String, BTreeSet<String>>,
    provides: BTreeMap<String, BTreeSet<String>>,
    root: Option<Root>,
}

/// What a build root is.
#[derive(Debug, Clone)]
struct Root {
    /// Names and SIGMD5 of what is in it.
    has: BTreeSet<(String, String)>,
    /// Names of what may be in it besides.
    may: BTreeSet<String>,
}

impl Root {
    /// How many packages of a name are in it.
    fn count(&self, name: &str) -> usize {
        self.has.iter().filter(|(one, _)| one == name).count()
    }
}

/// A package of a build root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltWith {
    pub nevra: String,
    pub sigmd5: String,
}

impl Known {
    /// Adds the package at `path`; one that has no such digest is none that could be known by it.
    pub fn add(&mut self, path: &Path) -> Result<(), Error> {
        let header = Header::read(path).map_err(|message| crate::build::Error::Package {
            path: path.to_owned(),
            message,
        })?;
        let nevra = header.nevra.to_string();
        let name = header.nevra.name;
        for provided in header.provides {
            self.provides
                .entry(provided)
                .or_default()
                .insert(name.clone());
        }
        let requires = self.requires.entry(name.clone()).or_default();
        requires.extend(header.requires);
        let known = self.names.entry(name.clone()).or_default();
        if let Some(sigmd5) = header.sigmd5 {
            known.insert(sigmd5.clone(), nevra.clone());
            self.last.insert(name.clone(), sigmd5.clone());
            self.packages.insert(nevra, (name, sigmd5));
        }
        Ok(())
    }

    /// From now on, a build root has just the packages that the lines of `installed` begin with, as rpm's `%{NEVRA}`, and those with the names
    /// `also`, of each the one that was added last. Besides, it may have what is called as one of `more`, and what that requires.
    pub fn is_root(
        &mut self,
        installed: &str,
        also: &[&str],
        more: &[String],
    ) -> Result<(), Error> {
        let unknown = |what: &str| Error::Unknown {
            what: what.to_owned(),
        };
        let mut has = BTreeSet::new();
        for line in installed.lines() {
            let nevra = line.split(' ').next().unwrap_or_default();
            let nevra = Nevra::normalized(nevra);
            let package = self.packages.get(&nevra);
            has.insert(package.ok_or_else(|| unknown(&nevra))?.clone());
        }
        for name in also {
            let sigmd5 = self.last.get(*name).ok_or_else(|| unknown(name))?;
            has.insert(((*name).to_owned(), sigmd5.clone()));
        }
        let mut may = BTreeSet::new();
        let mut open: Vec<&String> = more.iter().collect();
        while let Some(name) = open.pop() {
            if !may.insert(name.clone()) {
                continue;
            }
            let required = self.requires.get(name).into_iter().flatten();
            open.extend(required.filter_map(|one| self.provides.get(one)).flatten());
        }
        self.root = Some(Root { has, may });
        Ok(())
    }

    /// That a build root had just what it has to have, or, where nobody said that, none but these; and what it had, each as its NEVRA and its
    /// SIGMD5.
    pub(super) fn check(
        &self,
        place: &Place,
        buildenv: &Buildenv,
    ) -> Result<BTreeSet<BuiltWith>, Error> {
        let refused = |with: &str, why: String, help| Error::BuiltWith {
            package: place.package.clone(),
            place: place.to_string(),
            with: with.to_owned(),
            why,
            help,
        };
        let (mut found, mut seen, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for one in &buildenv.packages {
            let Some(known) = self.names.get(&one.name) else {
                return Err(refused(
                    &one.name,
                    "which is none of the packages that the lock pins, and none of this project"
                        .to_owned(),
                    "the base project of the server has more than the lock: where it has moved on, `cargo xtask lock --update` pins what the mirrors have now",
                ));
            };
            let pair = (one.name.clone(), one.sigmd5.clone());
            let has = self.root.as_ref().map_or(0, |root| root.count(&one.name));
            let is_other = match (&self.root, has) {
                (Some(root), 1..) => !root.has.contains(&pair),
                _ => !known.contains_key(&one.sigmd5),
            };
            let Some(nevra) = known.get(&one.sigmd5).filter(|_| !is_other) else {
                let wanted = |sigmd5: &String| {
                    has == 0
                        || self.root.as_ref().is_some_and(|root| {
                            root.has.contains(&(one.name.clone(), sigmd5.clone()))
                        })
                };
                let known: Vec<String> = known
                    .iter()
                    .filter(|(sigmd5, _)| wanted(sigmd5))
                    .map(|(sigmd5, nevra)| format!("{nevra} with {sigmd5}"))
                    .collect();
                return Err(refused(
                    &one.name,
                    format!(
                        "another package than the one of this name here: its SIGMD5 is {}, and here is {}",
                        one.sigmd5,
                        match known[..] {
                            [] => "one that has none".to_owned(),
                            _ => known.join(" or "),
                        }
                    ),
                    "where the base project of the server has moved on, `cargo xtask lock --update` pins what the mirrors have now; where it is \
                     frozen or behind them, have it brought to the state of the lock; where it has this very version, the package is another one: \
                     ask whoever runs the server where it is from",
                ));
            };
            if let Some(root) = &self.root
                && has == 0
                && !root.may.contains(&one.name)
            {
                return Err(refused(
                    nevra,
                    "which is not in the buildroot here".to_owned(),
                    "the projects have another configuration than `cargo xtask export obs` writes, or the base project adds packages of its own: \
                     compare their `_config`; what the service itself needs is named by `support` in the target's [distribution.obs]",
                ));
            }
            let is_second = !names.insert(&one.name) && has < 2;
            if is_second || !seen.insert(pair) {
                return Err(refused(
                    nevra,
                    "which its list names twice".to_owned(),
                    "run the same command again; where it stays so, ask whoever runs the server",
                ));
            }
            found.insert(BuiltWith {
                nevra: nevra.clone(),
                sigmd5: one.sigmd5.clone(),
            });
        }
        let mut lacks = self.root.iter().flat_map(|root| &root.has);
        if let Some((name, sigmd5)) = lacks.find(|pair| !seen.contains(*pair)) {
            let nevra = self.names.get(name).and_then(|known| known.get(sigmd5));
            return Err(refused(
                &format!("packages that lack {}", nevra.unwrap_or(name)),
                "which is in the buildroot here".to_owned(),
                "the projects have another configuration than `cargo xtask export obs` writes, or the base project lacks it: compare their \
                 `_config` and paths",
            ));
        }
        Ok(found)
    }
}
