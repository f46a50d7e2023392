//! File conflicts: one path in two packages that can be installed together, with different things at it.
//!
//! What counts as different is rpm's rule (`rpmfilesCompare`): type and mode, owner and group, link target, content.
//! Ghosts conflict with nothing. `/bin`, `/sbin`, `/lib` and `/lib64` are taken as the links into `/usr` that they are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use rpm::{FileFlags, PackageMetadata};

use super::context::Sides;
use super::report::Verdict;
use crate::closure::Origin;
use crate::closure::universe::Member;
use crate::repodata::{Entry, FileKind, Package};

/// What is at a path of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Thing {
    mode: u16,
    owner: (String, String),
    link: String,
    digest: String,
}

/// Two packages with one path: indexes of members.
type Shared = HashMap<(usize, usize), Vec<String>>;

/// Our packages among each other and against those of the base they are installed next to.
pub(super) fn check(sides: &Sides<'_>) -> Verdict {
    let members = sides.universe.members();
    let files = &sides.files;
    let shared = shared_paths(members);
    let mut pairs: Vec<(&(usize, usize), &Vec<String>)> = shared.iter().collect();
    pairs.sort();
    let paths: usize = pairs.iter().map(|(_, paths)| paths.len()).sum();

    let mut things: HashMap<usize, Result<HashMap<String, Thing>, String>> = HashMap::new();
    let mut findings = Vec::new();
    for ((a, b), paths) in pairs {
        for at in [*a, *b] {
            things.entry(at).or_insert_with(|| read(&files[at]));
        }
        let names = (members[*a].package.nevra(), members[*b].package.nevra());
        match (&things[a], &things[b]) {
            (Ok(left), Ok(right)) => findings.extend(
                paths
                    .iter()
                    .filter(|path| left.get(*path) != right.get(*path))
                    .map(|path| {
                        format!(
                            "{path} of {} conflicts with the one of {}",
                            names.0, names.1
                        )
                    }),
            ),
            // A base repository may be metadata alone. Then nobody can say whether two files are the same; two folders
            // are taken to be.
            (Err(why), _) | (_, Err(why)) => {
                let open: Vec<&str> = paths
                    .iter()
                    .map(String::as_str)
                    .filter(|path| {
                        !is_folder(members[*a].package, path)
                            || !is_folder(members[*b].package, path)
                    })
                    .collect();
                if !open.is_empty() {
                    findings.push(format!(
                        "{} of {} is in {}, too, and cannot be compared: {why}",
                        open.join(", "),
                        names.0,
                        names.1
                    ));
                }
            }
        }
    }
    Verdict::from_findings(format!("{paths} paths that two packages share"), findings)
}

/// Paths in one of our packages and in another that can be installed with it.
fn shared_paths(members: &[Member<'_>]) -> Shared {
    let ours = |m: &Member<'_>| m.origin == Origin::Ours;
    let mut by_path: HashMap<Cow<'_, str>, Vec<usize>> = HashMap::new();
    for (at, member) in members.iter().enumerate().filter(|(_, m)| ours(m)) {
        for file in &member.package.files {
            if file.kind != FileKind::Ghost {
                by_path.entry(merged(&file.path)).or_default().push(at);
            }
        }
    }
    let mut shared: Shared = HashMap::new();
    let mut add = |a: usize, b: usize, path: &str| {
        if !exclude_each_other(members[a].package, members[b].package) {
            shared.entry((a, b)).or_default().push(path.to_owned());
        }
    };
    for (path, owners) in &by_path {
        for (nth, a) in owners.iter().enumerate() {
            for b in &owners[nth + 1..] {
                add(*a, *b, path);
            }
        }
    }
    for (at, member) in members.iter().enumerate().filter(|(_, m)| !ours(m)) {
        // A replaced package is gone when ours comes, unless both can stay, as kernels do.
        if member.replaced && !member.is_installonly() {
            continue;
        }
        for file in &member.package.files {
            if file.kind == FileKind::Ghost {
                continue;
            }
            let path = merged(&file.path);
            for owner in by_path.get(&path).into_iter().flatten() {
                // Another architecture's package of the same name is upgraded with it or removed.
                let same = members[*owner].package.name == member.package.name;
                if !same || member.is_installonly() {
                    add(*owner, at, &path);
                }
            }
        }
    }
    for paths in shared.values_mut() {
        paths.sort_unstable();
        paths.dedup();
    }
    shared
}

/// Whether repodata calls a path (with a merged `/usr`) a folder.
fn is_folder(package: &Package, path: &str) -> bool {
    package
        .files
        .iter()
        .any(|file| file.kind == FileKind::Dir && merged(&file.path) == path)
}

/// Whether one of the two says that it cannot be installed with the other.
fn exclude_each_other(a: &Package, b: &Package) -> bool {
    let excludes = |one: &Package, other: &Package| {
        one.conflicts.iter().any(|conflict: &Entry| {
            other
                .provides
                .iter()
                .any(|p| p.name == conflict.name && p.overlaps(conflict))
        })
    };
    excludes(a, b) || excludes(b, a)
}

/// A path with the links of a merged `/usr` followed.
fn merged(path: &str) -> Cow<'_, str> {
    let moved = ["/bin/", "/sbin/", "/lib/", "/lib64/"]
        .iter()
        .any(|top| path.starts_with(top));
    if moved {
        Cow::Owned(format!("/usr{path}"))
    } else {
        Cow::Borrowed(path)
    }
}

/// All that a package puts on the disk, by path.
fn read(file: &Path) -> Result<HashMap<String, Thing>, String> {
    let error = |e: rpm::Error| format!("{}: {e}", file.display());
    let metadata = PackageMetadata::open(file).map_err(error)?;
    let mut things = HashMap::new();
    for entry in metadata.get_file_entries().map_err(error)? {
        if entry.flags().contains(FileFlags::GHOST) {
            continue;
        }
        let path = entry.path().display().to_string();
        things.insert(
            merged(&path).into_owned(),
            Thing {
                mode: entry.mode().raw_mode(),
                owner: (entry.user().to_owned(), entry.group().to_owned()),
                link: entry.linkto().unwrap_or_default().to_owned(),
                digest: entry
                    .digest()
                    .map(|d| d.as_hex().to_owned())
                    .unwrap_or_default(),
            },
        );
    }
    Ok(things)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::Universe;
    use crate::repodata::{Evr, File, Flag};

    fn package(name: &str, files: &[&str]) -> Package {
        let evr = Evr::parse("1-1").unwrap();
        Package {
            name: name.to_owned(),
            arch: "x86_64".to_owned(),
            evr: evr.clone(),
            provides: vec![Entry {
                name: name.to_owned(),
                flags: Some(Flag::Eq),
                evr: Some(evr),
                pre: false,
            }],
            files: files
                .iter()
                .map(|path| File {
                    path: path.trim_start_matches('%').to_owned(),
                    kind: if path.starts_with('%') {
                        FileKind::Ghost
                    } else {
                        FileKind::File
                    },
                })
                .collect(),
            ..Package::default()
        }
    }

    fn shared(ours: &[Package], base: &[Package]) -> Vec<(usize, usize, String)> {
        let mut found: Vec<_> = shared_paths(Universe::new(ours, base).members())
            .into_iter()
            .map(|((a, b), paths)| (a, b, paths.join(" ")))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn only_what_can_be_installed_together_is_compared() {
        let ours = [
            package("a", &["/usr/lib/x", "/usr/bin/one"]),
            package("b", &["/lib/x", "%/usr/bin/one"]),
        ];
        assert_eq!(
            shared(&ours, &[]),
            [(0, 1, "/usr/lib/x".to_owned())],
            "a merged /usr, and ghosts left out"
        );
        let base = [
            package("a", &["/usr/bin/one"]),
            package("c", &["/bin/one", "/else"]),
        ];
        assert_eq!(
            shared(&ours[..1], &base),
            [(0, 2, "/usr/bin/one".to_owned())],
            "not against the package ours replaces"
        );
        let mut excluding = ours.clone();
        excluding[0].conflicts = vec![Entry {
            name: "b".to_owned(),
            ..Entry::default()
        }];
        assert_eq!(shared(&excluding, &[]), []);
    }

    #[test]
    fn with_a_base_of_metadata_alone_files_are_findings_and_folders_are_not() {
        let mut ours = package("a", &["/usr/lib/modules", "/usr/bin/one"]);
        let mut base = package("c", &["/lib/modules", "/usr/bin/one"]);
        ours.files[0].kind = FileKind::Dir;
        base.files[0].kind = FileKind::Dir;
        let sides = Sides {
            universe: Universe::new([&ours], [&base]),
            files: vec!["/nonexistent/a.rpm".into(), "/nonexistent/c.rpm".into()],
        };
        let Verdict::Fail { findings, .. } = check(&sides) else {
            panic!("nothing found");
        };
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with("/usr/bin/one of a-1-1.x86_64 is in c-1-1.x86_64, too"),
            "{findings:?}"
        );
    }

    #[test]
    fn kernels_stay_next_to_each_other() {
        let kernel = |evr: &str| Package {
            evr: Evr::parse(evr).unwrap(),
            ..package("kernel", &["/boot/config"])
        };
        assert_eq!(
            shared(&[kernel("2-1")], &[kernel("1-1")]),
            [(0, 1, "/boot/config".to_owned())]
        );
    }
}
