//! Debian packages as plans for RPM packages.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rpm::Dependency;

use lustre_packaging::glob::matches;

use super::deb::{self, Deb};
use super::depends::{self, from_spec};
use super::provides;
use super::recipe::{Extra, Recipe};
use super::tree::{Entry, Kind, PathRules, Tree};
use super::version::{self, Evr};
use super::writer::Plan;

/// A package that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Deb { path: PathBuf, source: deb::Error },
    #[error("{}: {source}", path.display())]
    Version {
        path: PathBuf,
        source: version::Error,
    },
    #[error("{}: version {version} does not start with `{prefix}` (the recipe's `version_prefix`)", path.display())]
    Prefix {
        path: PathBuf,
        version: String,
        /// What it should begin with.
        prefix: String,
    },
    #[error("{}: {source}", path.display())]
    Relation {
        path: PathBuf,
        source: depends::Error,
    },
    #[error("{}: architecture `{arch}` is not supported by this distribution (amd64, all)", path.display())]
    Architecture {
        path: PathBuf,
        /// The architecture.
        arch: String,
    },
    #[error("{}: two files become {target}", path.display())]
    Clash {
        /// The .deb.
        path: PathBuf,
        /// The path both get.
        target: String,
    },
    #[error("{}: {source}", path.display())]
    Provides {
        path: PathBuf,
        source: provides::Error,
    },
}

/// The plan of the RPM `name`, made from one or more .debs; the first gives version, summary and description.
pub fn plan(name: &str, debs: &[PathBuf], recipe: &Recipe) -> Result<Plan, Error> {
    let names = recipe.names();
    let extra = recipe.extra(name);
    let mut plan = Plan {
        name: name.to_owned(),
        arch: "noarch".to_owned(),
        vendor: recipe.distribution.name.clone(),
        ..Plan::default()
    };
    for (number, path) in debs.iter().enumerate() {
        let read = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let deb = Deb::read(&lustre_files::read(path, lustre_files::LARGE).map_err(read)?)
            .map_err(at(path))?;
        let relation = |source| Error::Relation {
            path: path.clone(),
            source,
        };
        let version = deb.required("Version").map_err(at(path))?;
        let version = version
            .strip_prefix(&extra.version_prefix)
            .ok_or_else(|| Error::Prefix {
                path: path.clone(),
                version: version.to_owned(),
                prefix: extra.version_prefix.clone(),
            })?;
        let evr = Evr::from_debian(version).map_err(|source| Error::Version {
            path: path.clone(),
            source,
        })?;
        if number == 0 {
            let text = deb.field("Description");
            let (summary, description) = text.split_once('\n').unwrap_or((text, text));
            plan.summary = summary.to_owned();
            plan.description = description.to_owned();
            plan.url = deb.field("Homepage").to_owned();
            plan.license = format!(
                "See /usr/share/doc/{}/copyright",
                deb.required("Package").map_err(at(path))?
            );
            plan.evr = evr.clone();
        }
        match deb.field("Architecture") {
            "all" => {}
            "amd64" => plan.arch = "x86_64".to_owned(),
            other => {
                return Err(Error::Architecture {
                    path: path.clone(),
                    arch: other.to_owned(),
                });
            }
        }
        for field in ["Pre-Depends", "Depends"] {
            let groups = depends::parse(deb.field(field)).map_err(relation)?;
            plan.requires.extend(names.dependencies(&groups));
        }
        let conflicts = depends::parse(deb.field("Conflicts")).map_err(relation)?;
        plan.conflicts.extend(names.dependencies(&conflicts));
        let package = deb.required("Package").map_err(at(path))?;
        let split = recipe.split.contains_key(name);
        if package != name && !split {
            plan.provides.push(Dependency::eq(package, evr.to_string()));
        }
        for group in depends::parse(deb.field("Provides")).map_err(relation)? {
            for virtual_package in group.into_iter().filter(|_| !split) {
                plan.provides.push(match virtual_package.version {
                    Some((_, evr)) => Dependency::eq(virtual_package.name, evr.to_string()),
                    None => Dependency::any(virtual_package.name),
                });
            }
        }
        let keeps = |path: &str| {
            recipe.keeps(name, path) && !extra.drop.iter().any(|p| matches(p, path, true))
        };
        let (tree, old_paths) = placed(deb.tree, &recipe.paths, keeps, path)?;
        plan.provides
            .extend(old_paths.into_iter().map(Dependency::any));
        plan.tree.extend(tree);
    }
    let first = debs.first().map_or(Path::new(name), PathBuf::as_path);
    let found = provides::of(&plan.tree, &recipe.provides).map_err(|source| Error::Provides {
        path: first.to_owned(),
        source,
    })?;
    plan.provides.extend(found);
    plan.time = plan
        .tree
        .values()
        .map(|entry| entry.mtime)
        .max()
        .unwrap_or(recipe.distribution.time);
    apply(&mut plan, extra, &recipe.distribution.skeleton);
    Ok(plan)
}

fn at(path: &Path) -> impl Fn(deb::Error) -> Error + '_ {
    |source| Error::Deb {
        path: path.to_owned(),
        source,
    }
}

/// The tree with every file at its place, and the old paths to provide.
fn placed(
    tree: Tree,
    rules: &PathRules,
    keeps: impl Fn(&str) -> bool,
    deb: &Path,
) -> Result<(Tree, Vec<String>), Error> {
    let mut out = Tree::new();
    let mut old_paths = Vec::new();
    for (path, mut entry) in tree {
        let (target, provide_old) = rules.place(&path);
        let regular = matches!(entry.kind, Kind::File(_));
        if rules.drops(&target, regular) || !keeps(&target) {
            continue;
        }
        if let Kind::HardLink(other) = &mut entry.kind {
            *other = rules.place(other).0;
        }
        let directory = matches!(entry.kind, Kind::Directory);
        if provide_old && !directory {
            old_paths.push(path);
        }
        if let Some(before) = out.insert(target.clone(), entry)
            && !(directory && matches!(before.kind, Kind::Directory))
        {
            return Err(Error::Clash {
                path: deb.to_owned(),
                target,
            });
        }
    }
    Ok((out, old_paths))
}

/// Adds what the recipe says about a package, and removes relations of the package to itself.
pub(super) fn apply(plan: &mut Plan, extra: Extra, skeleton: &str) {
    let evr = plan.evr.to_string();
    let filled = |text: &String| {
        from_spec(
            &text
                .replace("{evr}", &evr)
                .replace("{version}", &plan.evr.version),
        )
    };
    let own_version = |text: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        if text.chars().all(plain) {
            Dependency::eq(text, &evr)
        } else {
            filled(text)
        }
    };
    let provides: Vec<Dependency> = extra.provides.iter().map(own_version).collect();
    let requires: Vec<Dependency> = extra.requires.iter().map(filled).collect();
    let conflicts: Vec<Dependency> = extra.conflicts.iter().map(filled).collect();
    let obsoletes: Vec<Dependency> = extra.obsoletes.iter().map(filled).collect();
    plan.provides.extend(provides);
    plan.requires
        .retain(|dependency| !extra.without.contains(&dependency.name));
    plan.requires.extend(requires);
    plan.conflicts.extend(conflicts);
    plan.obsoletes.extend(obsoletes);
    for (path, target) in extra.links {
        let entry = Entry::of_root(Kind::Symlink(target), 0o777, plan.time);
        plan.tree.insert(path, entry);
    }
    plan.scriptlets = extra.scriptlets;
    plan.triggers = extra.triggers;
    if !skeleton.is_empty() && plan.name != skeleton {
        plan.requires.push(Dependency::any(skeleton));
    }
    let own: BTreeSet<String> = plan
        .provides
        .iter()
        .map(|provided| provided.name.clone())
        .chain([plan.name.clone()])
        .collect();
    plan.conflicts.retain(|other| !own.contains(&other.name));
    let name = plan.name.clone();
    plan.requires.retain(|other| other.name != name);
}
