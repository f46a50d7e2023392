//! File conflicts: one path in two packages that can be installed together, with different things at it.
//!
//! What counts as different is rpm's rule (`rpmfilesCompare`): type and mode, owner and group, link target, content. Ghosts conflict
//! with nothing, nor do programs of two word lengths, of which rpm takes the preferred one. `/bin`, `/sbin`, `/lib` and `/lib64` are
//! taken as the links into `/usr` that they are.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use lustre_rpm_header::Headers;
use rpm::IndexTag as Tag;

use super::context::CombinedSet;
use super::report::Verdict;
use crate::closure::Origin;
use crate::closure::exclusion::exclude_each_other;
use crate::closure::universe::Member;
use crate::repodata::{FileKind, Package};

/// `RPMFILE_GHOST`.
const GHOST: u64 = 1 << 6;

/// What is at a path of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PathEntry {
    mode: u64,
    owner: (Vec<u8>, Vec<u8>),
    link: Vec<u8>,
    digest: Vec<u8>,
    /// Which word lengths a program is for: 1 and 2 are 32 and 64 bits, 0 is none.
    color: u64,
}

impl PathEntry {
    fn conflicts(&self, other: &Self) -> bool {
        let programs_of_two_lengths =
            self.color != 0 && other.color != 0 && self.color != other.color;
        let same = self.mode == other.mode
            && self.owner == other.owner
            && self.link == other.link
            && self.digest == other.digest;
        !same && !programs_of_two_lengths
    }
}

/// Two packages with one path: indexes of members.
type SharedPaths = HashMap<(usize, usize), Vec<String>>;

/// Our packages among each other and against those of the base they are installed next to.
pub(super) fn check(sides: &CombinedSet<'_>) -> Verdict {
    let members = sides.universe.members();
    let files = &sides.files;
    let shared = shared_paths(members);
    let mut pairs: Vec<(&(usize, usize), &Vec<String>)> = shared.iter().collect();
    pairs.sort();
    let count: usize = pairs.iter().map(|(_, paths)| paths.len()).sum();

    let mut wanted: HashMap<usize, BTreeSet<&str>> = HashMap::new();
    for ((a, b), paths) in &pairs {
        for at in [*a, *b] {
            let all = wanted.entry(at).or_default();
            all.extend(paths.iter().map(String::as_str));
        }
    }
    let things: HashMap<usize, Result<HashMap<String, PathEntry>, String>> = wanted
        .iter()
        .map(|(at, paths)| (*at, read(&files[*at], paths)))
        .collect();
    let mut findings = Vec::new();
    let mut not_compared: Vec<String> = Vec::new();
    for ((a, b), paths) in pairs {
        let names = (members[*a].package.nevra(), members[*b].package.nevra());
        match (&things[a], &things[b]) {
            (Ok(left), Ok(right)) => findings.extend(
                paths
                    .iter()
                    .filter(|path| match (left.get(*path), right.get(*path)) {
                        (Some(one), Some(other)) => one.conflicts(other),
                        // The repodata has it, the package not.
                        (one, other) => one.is_some() != other.is_some(),
                    })
                    .map(|path| {
                        format!("{path} of {} conflicts with that of {}", names.0, names.1)
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
                if open.is_empty() {
                    continue;
                }
                if members[*a].package.name == members[*b].package.name {
                    // The same package for another word length: what they share is mostly the same text.
                    not_compared.push(names.1);
                } else {
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
    let checked = format!("{count} paths that two packages share");
    if !findings.is_empty() || not_compared.is_empty() {
        return Verdict::from_findings(checked, findings);
    }
    not_compared.sort();
    not_compared.dedup();
    Verdict::Pass {
        checked,
        note: format!(
            "not compared with the 32-bit packages of the same names, because the base only has metadata: {}",
            not_compared.join(", ")
        ),
    }
}

/// Paths in one of our packages and in another that can be installed with it.
fn shared_paths(members: &[Member<'_>]) -> SharedPaths {
    let ours = |m: &Member<'_>| m.origin == Origin::Ours;
    let mut by_path: HashMap<Cow<'_, str>, Vec<usize>> = HashMap::new();
    for (at, member) in members.iter().enumerate().filter(|(_, m)| ours(m)) {
        for file in &member.package.files {
            if file.kind != FileKind::Ghost {
                by_path.entry(merged(&file.path)).or_default().push(at);
            }
        }
    }
    let mut shared: SharedPaths = HashMap::new();
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
                if !is_upgraded(members[*owner].package, member) {
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

/// Whether a package of the base goes when ours of the same name comes. One for 32 bits stays where ours is for 64.
fn is_upgraded(ours: &Package, theirs: &Member<'_>) -> bool {
    let lengths = |arch: &str| match arch {
        "i386" | "i486" | "i586" | "i686" => 32,
        "x86_64" => 64,
        _ => 0,
    };
    let beside = (lengths(&ours.arch), lengths(&theirs.package.arch)) == (64, 32);
    ours.name == theirs.package.name && !theirs.is_installonly() && !beside
}

/// Whether repodata calls a path (with a merged `/usr`) a folder.
fn is_folder(package: &Package, path: &str) -> bool {
    package
        .files
        .iter()
        .any(|file| file.kind == FileKind::Dir && merged(&file.path) == path)
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

/// What a package puts at the paths `wanted`.
fn read(file: &Path, wanted: &BTreeSet<&str>) -> Result<HashMap<String, PathEntry>, String> {
    let error = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let (headers, _) = Headers::open(file).map_err(|e| error(&e))?;
    things(&headers, wanted).map_err(|e| error(&e))
}

fn things(
    headers: &Headers,
    wanted: &BTreeSet<&str>,
) -> Result<HashMap<String, PathEntry>, String> {
    let names = headers.texts(Tag::RPMTAG_BASENAMES as u32)?;
    let folders = headers.texts(Tag::RPMTAG_DIRNAMES as u32)?;
    // A value for each file, or none for any: packages without programs have no colors.
    let numbers = |tag: Tag| {
        let found = headers.numbers(tag as u32)?;
        if found.len() == names.len() {
            Ok(found)
        } else if found.is_empty() {
            Ok(vec![0; names.len()])
        } else {
            Err(format!(
                "{} files, but {} values of {tag:?}",
                names.len(),
                found.len()
            ))
        }
    };
    let texts = |tag: Tag| {
        let found = headers.texts(tag as u32)?;
        if found.len() == names.len() {
            Ok(found)
        } else {
            Err(format!(
                "{} files, but {} texts of {tag:?}",
                names.len(),
                found.len()
            ))
        }
    };
    let indexes = numbers(Tag::RPMTAG_DIRINDEXES)?;
    let flags = numbers(Tag::RPMTAG_FILEFLAGS)?;
    let modes = numbers(Tag::RPMTAG_FILEMODES)?;
    let colors = numbers(Tag::RPMTAG_FILECOLORS)?;
    let users = texts(Tag::RPMTAG_FILEUSERNAME)?;
    let groups = texts(Tag::RPMTAG_FILEGROUPNAME)?;
    let links = texts(Tag::RPMTAG_FILELINKTOS)?;
    let digests = texts(Tag::RPMTAG_FILEDIGESTS)?;
    let mut things = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if flags[at] & GHOST != 0 {
            continue;
        }
        let folder = usize::try_from(indexes[at])
            .ok()
            .and_then(|index| folders.get(index))
            .ok_or_else(|| format!("file {at} is in an unknown folder"))?;
        let path = [folder, *name].concat();
        let path = String::from_utf8_lossy(&path);
        let path = merged(&path);
        if !wanted.contains(path.as_ref()) {
            continue;
        }
        things.insert(
            path.into_owned(),
            PathEntry {
                mode: modes[at],
                owner: (users[at].to_vec(), groups[at].to_vec()),
                link: links[at].to_vec(),
                digest: digests[at].to_vec(),
                color: colors[at],
            },
        );
    }
    Ok(things)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::Universe;
    use crate::repodata::{Entry, Evr, File, Flag};

    fn package(name: &str, files: &[&str]) -> Package {
        let evr = Evr::parse("1-1").unwrap();
        Package {
            name: name.to_owned(),
            arch: "x86_64".to_owned(),
            evr: evr.clone(),
            provides: vec![Entry {
                name: name.into(),
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
            name: "b".into(),
            ..Entry::default()
        }];
        assert_eq!(shared(&excluding, &[]), []);
    }

    /// A package is kept out of a server by another in five ways.
    #[test]
    fn packages_that_exclude_each_other_do_not_conflict() {
        let entry = |name: &str| Entry {
            name: name.into(),
            ..Entry::default()
        };
        let pair = || {
            [
                package("a", &["/usr/lib/x"]),
                package("b", &["/usr/lib/x", "/usr/bin/only-b"]),
            ]
        };
        assert_eq!(shared(&pair(), &[]).len(), 1);
        let with = |change: &dyn Fn(&mut Package)| {
            let mut pair = pair();
            change(&mut pair[0]);
            shared(&pair, &[]).len()
        };
        for conflict in [
            "b",
            "/usr/bin/only-b",
            "(b or c)",
            "(b with b = 1)",
            "(b if a)",
        ] {
            let found = with(&|a| a.conflicts = vec![entry(conflict)]);
            assert_eq!(found, 0, "{conflict}");
        }
        assert_eq!(with(&|a| a.obsoletes = vec![entry("b")]), 0);
        // These forbid something else.
        for conflict in [
            "c",
            "/usr/bin/a",
            "(b and c)",
            "(b with c)",
            "(b if c)",
            "(a or c)",
        ] {
            let found = with(&|a| a.conflicts = vec![entry(conflict)]);
            assert_eq!(found, 1, "{conflict}");
        }
        assert_eq!(with(&|a| a.obsoletes = vec![entry("c")]), 1);
    }

    #[test]
    fn the_package_for_32_bits_stays_beside_ours() {
        let ours = package("libs", &["/usr/share/libs.mo"]);
        let theirs = |arch: &str| Package {
            arch: arch.to_owned(),
            ..package("libs", &["/usr/share/libs.mo"])
        };
        for (arch, beside) in [("i686", 1), ("x86_64", 0), ("noarch", 0)] {
            let found = shared(std::slice::from_ref(&ours), &[theirs(arch)]);
            assert_eq!(found.len(), beside, "{arch}");
        }
        // Where the base is metadata alone, that is said and is no finding.
        let base = theirs("i686");
        let sides = CombinedSet {
            universe: Universe::new([&ours], [&base]),
            earlier: Vec::new(),
            files: vec!["/nonexistent/a.rpm".into(), "/nonexistent/c.rpm".into()],
        };
        let Verdict::Pass { note, .. } = check(&sides) else {
            panic!("a finding");
        };
        assert!(note.ends_with("libs-1-1.i686"), "{note}");
    }

    #[test]
    fn programs_of_two_word_lengths_do_not_conflict() {
        let thing = |digest: &str, color| PathEntry {
            mode: 0o100_755,
            owner: (b"root".to_vec(), b"root".to_vec()),
            link: Vec::new(),
            digest: digest.as_bytes().to_vec(),
            color,
        };
        assert!(!thing("1", 1).conflicts(&thing("2", 2)));
        assert!(thing("1", 2).conflicts(&thing("2", 2)));
        assert!(thing("1", 0).conflicts(&thing("2", 2)));
        assert!(!thing("1", 0).conflicts(&thing("1", 0)));
    }

    #[test]
    fn with_a_base_of_metadata_alone_files_are_findings_and_folders_are_not() {
        let mut ours = package("a", &["/usr/lib/modules", "/usr/bin/one"]);
        let mut base = package("c", &["/lib/modules", "/usr/bin/one"]);
        ours.files[0].kind = FileKind::Dir;
        base.files[0].kind = FileKind::Dir;
        let sides = CombinedSet {
            universe: Universe::new([&ours], [&base]),
            earlier: Vec::new(),
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
