//! The relations of a header.

use std::collections::{HashMap, HashSet};

use lustre_rpm_header::Headers;
use rpm::IndexTag as Tag;

use super::super::model::{Entry, Evr, Flag, Package, Relation, is_primary};
use super::text::to_text;

/// The relations of a header: the tags of names, flags and versions. Provides come first: requires look at them.
const RELATIONS: [(Relation, [Tag; 3]); 8] = [
    (
        Relation::Provides,
        [
            Tag::RPMTAG_PROVIDENAME,
            Tag::RPMTAG_PROVIDEFLAGS,
            Tag::RPMTAG_PROVIDEVERSION,
        ],
    ),
    (
        Relation::Requires,
        [
            Tag::RPMTAG_REQUIRENAME,
            Tag::RPMTAG_REQUIREFLAGS,
            Tag::RPMTAG_REQUIREVERSION,
        ],
    ),
    (
        Relation::Conflicts,
        [
            Tag::RPMTAG_CONFLICTNAME,
            Tag::RPMTAG_CONFLICTFLAGS,
            Tag::RPMTAG_CONFLICTVERSION,
        ],
    ),
    (
        Relation::Obsoletes,
        [
            Tag::RPMTAG_OBSOLETENAME,
            Tag::RPMTAG_OBSOLETEFLAGS,
            Tag::RPMTAG_OBSOLETEVERSION,
        ],
    ),
    (
        Relation::Suggests,
        [
            Tag::RPMTAG_SUGGESTNAME,
            Tag::RPMTAG_SUGGESTFLAGS,
            Tag::RPMTAG_SUGGESTVERSION,
        ],
    ),
    (
        Relation::Enhances,
        [
            Tag::RPMTAG_ENHANCENAME,
            Tag::RPMTAG_ENHANCEFLAGS,
            Tag::RPMTAG_ENHANCEVERSION,
        ],
    ),
    (
        Relation::Recommends,
        [
            Tag::RPMTAG_RECOMMENDNAME,
            Tag::RPMTAG_RECOMMENDFLAGS,
            Tag::RPMTAG_RECOMMENDVERSION,
        ],
    ),
    (
        Relation::Supplements,
        [
            Tag::RPMTAG_SUPPLEMENTNAME,
            Tag::RPMTAG_SUPPLEMENTFLAGS,
            Tag::RPMTAG_SUPPLEMENTVERSION,
        ],
    ),
];

/// A requirement that may be missing: how rpm before 4.12 wrote a recommendation (`RPMSENSE_MISSINGOK`).
const MISSING_OK: u64 = 1 << 19;
/// The requirements that repodata marks as `pre`: `RPMSENSE_POSTTRANS`, `PREREQ`, `PRETRANS`, `SCRIPT_PRE`, `SCRIPT_POST`.
const PRE: u64 = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10;
/// A relation's entry as the header has it.
struct Raw<'a> {
    name: &'a [u8],
    sense: u64,
    version: &'a [u8],
}

impl<'a> Raw<'a> {
    fn entry(&self) -> Result<Entry, String> {
        let name = to_text(self.name, "name of a dependency")?;
        let version = to_text(self.version, "version of a dependency")?;
        let flags = Flag::from_sense((self.sense & 0xf) as u32);
        let evr = Evr::parse(&version);
        if evr.is_none() && !version.is_empty() {
            return Err(format!(
                "the version `{version}` of the dependency `{name}` is none, or its epoch is beyond {}",
                u32::MAX
            ));
        }
        Ok(Entry {
            name: name.into(),
            flags,
            evr: flags.and(evr),
            pre: false,
        })
    }

    /// What two equal entries have in common.
    fn identity(&self) -> (&'a [u8], u64, &'a [u8]) {
        let flags = Flag::from_sense((self.sense & 0xf) as u32);
        (
            self.name,
            flags.map_or(0, |_| self.sense & 0xf),
            self.version,
        )
    }
}

fn raw<'a>(
    headers: &'a Headers,
    relation: Relation,
    tags: [u32; 3],
) -> Result<Vec<Raw<'a>>, String> {
    let names = headers.texts(tags[0])?;
    let senses = headers.numbers(tags[1])?;
    let versions = headers.texts(tags[2])?;
    if names.len() != senses.len() || names.len() != versions.len() {
        return Err(format!(
            "{} names, {} flags and {} versions of {}",
            names.len(),
            senses.len(),
            versions.len(),
            relation.element()
        ));
    }
    Ok(names
        .into_iter()
        .zip(senses)
        .zip(versions)
        .map(|((name, sense), version)| Raw {
            name,
            sense,
            version,
        })
        .filter(|raw| !raw.name.is_empty())
        .collect())
}

/// Adds all relations to the package, whose files have to be there already.
pub(super) fn add(headers: &Headers, package: &mut Package) -> Result<(), String> {
    let mut provided = HashSet::new();
    for (relation, tags) in RELATIONS {
        let raws = raw(headers, relation, tags.map(|tag| tag as u32))?;
        if relation == Relation::Requires {
            requires(&raws, &provided, package)?;
            continue;
        }
        let entries: Vec<Entry> = raws.iter().map(Raw::entry).collect::<Result<_, _>>()?;
        package.relation_mut(relation).extend(entries);
        if relation == Relation::Provides {
            provided.extend(raws.iter().map(Raw::identity));
        }
    }
    old_weak(headers, package)
}

/// Requirements: without rpm's own, what the package has itself and repetitions, and with only the highest version of
/// the C library's symbols (last in the list).
fn requires(
    raws: &[Raw<'_>],
    provided: &HashSet<(&[u8], u64, &[u8])>,
    package: &mut Package,
) -> Result<(), String> {
    let own: HashSet<&str> = package
        .files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| is_primary(path))
        .collect();
    // Only the latest entry of a name counts as repeated, so this is no set of entries.
    let mut latest: HashMap<&[u8], (u64, &[u8], bool)> = HashMap::new();
    let mut libc: Option<Entry> = None;
    for raw in raws {
        let (name, flags, version) = raw.identity();
        if name.starts_with(b"rpmlib(") || provided.contains(&(name, flags, version)) {
            continue;
        }
        let mut entry = raw.entry()?;
        if entry.name.starts_with('/') && own.contains(entry.name.as_str()) {
            continue;
        }
        entry.pre = raw.sense & PRE != 0;
        if latest.get(name) == Some(&(flags, version, entry.pre)) {
            continue;
        }
        if raw.sense & MISSING_OK != 0 {
            entry.pre = false;
            package.recommends.push(entry);
        } else if entry.name.starts_with("libc.so.6") {
            libc = Some(match libc {
                Some(highest) if !is_newer_libc(&entry.name, &highest.name) => highest,
                _ => entry,
            });
        } else {
            latest.insert(name, (flags, version, entry.pre));
            package.requires.push(entry);
        }
    }
    package.requires.extend(libc);
    Ok(())
}

/// Whether `libc.so.6(GLIBC_2.34)(64bit)` asks for a newer C library than another such name.
fn is_newer_libc(name: &str, than: &str) -> bool {
    /// How much the name says, and the version of the symbol if it says that.
    fn rank(name: &str) -> (u8, &str) {
        let Some((_, rest)) = name.split_once('(') else {
            return (0, "");
        };
        match rest.split_once(')') {
            None => (1, ""),
            Some(("", _)) => (2, ""),
            Some((symbol, _)) => match symbol.find(|c: char| c.is_ascii_digit()) {
                None => (3, ""),
                Some(at) => (4, &symbol[at..]),
            },
        }
    }
    let ((new_rank, new), (old_rank, old)) = (rank(name), rank(than));
    let evr = |version| rpm_version::Evr::new("", version, "");
    new_rank
        .cmp(&old_rank)
        .then_with(|| evr(new).cmp(&evr(old)))
        .is_gt()
}

/// Weak dependencies as SUSE's rpm wrote them before rpm 4.12: a flag tells the strong ones.
fn old_weak(headers: &Headers, package: &mut Package) -> Result<(), String> {
    const STRONG: u64 = 1 << 27;
    for (tags, strong, weak) in [
        (
            [
                Tag::RPMTAG_OLDSUGGESTSNAME,
                Tag::RPMTAG_OLDSUGGESTSFLAGS,
                Tag::RPMTAG_OLDSUGGESTSVERSION,
            ],
            Relation::Recommends,
            Relation::Suggests,
        ),
        (
            [
                Tag::RPMTAG_OLDENHANCESNAME,
                Tag::RPMTAG_OLDENHANCESFLAGS,
                Tag::RPMTAG_OLDENHANCESVERSION,
            ],
            Relation::Supplements,
            Relation::Enhances,
        ),
    ] {
        for raw in raw(headers, weak, tags.map(|tag| tag as u32))? {
            let relation = if raw.sense & STRONG != 0 {
                strong
            } else {
                weak
            };
            package.relation_mut(relation).push(raw.entry()?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libc_versions() {
        for (name, than, newer) in [
            (
                "libc.so.6(GLIBC_2.34)(64bit)",
                "libc.so.6(GLIBC_2.4)(64bit)",
                true,
            ),
            (
                "libc.so.6(GLIBC_2.4)(64bit)",
                "libc.so.6(GLIBC_2.34)(64bit)",
                false,
            ),
            ("libc.so.6(GLIBC_2.4)(64bit)", "libc.so.6()(64bit)", true),
            ("libc.so.6()(64bit)", "libc.so.6(GLIBC_2.4)(64bit)", false),
            ("libc.so.6()(64bit)", "libc.so.6()(64bit)", false),
            ("libc.so.6(GLIBC_2.2.5)", "libc.so.6", true),
            ("libc.so.6()(64bit)", "libc.so.6", true),
            (
                "libc.so.6(GLIBC_PRIVATE)(64bit)",
                "libc.so.6(GLIBC_2.4)(64bit)",
                false,
            ),
        ] {
            assert_eq!(is_newer_libc(name, than), newer, "{name} than {than}");
        }
    }
}
