//! Fetching what was built, and holding it against what it has to be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::answers::{self, Binary, Buildenv};
use super::api::Question;
use super::known::BuiltWith;
use super::{Api, Error, Header, Known, Place, names};
use crate::build::rpmbuild;
use crate::needs::free_mib;
use crate::sign;
use crate::store::{Digest, PathError};

/// The list of what a package was built with, among what was built.
pub const BUILDENV: &str = "_buildenv";

/// No such list is larger (bytes).
const LIST: u64 = 16 << 20;

/// No package is larger (bytes), nor all of them.
const PACKAGE: u64 = 8 << 30;
const ALL: u64 = 32 << 30;

/// What is wanted of a package.
#[derive(Debug)]
pub struct Wanted<'w> {
    pub place: &'w Place,
    /// What the server calls the sources, as it was found out here.
    pub srcmd5: &'w str,
    /// The file name of its source package; none where that is made there.
    pub source: Option<&'w str>,
    /// All packages that its spec can make, without those of debugging: `name-[epoch:]version-release.arch`.
    pub can_be: &'w BTreeSet<String>,
    /// Names of those that have to be there.
    pub expected: &'w [String],
    /// What may have been in its build root.
    pub known: &'w Known,
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collected {
    /// Where the server says that the packages are from: its name, project, repository, sources and package.
    pub disturl: String,
    pub srcmd5: String,
    /// SHA-256 of the list of what it was built with.
    pub buildenv_sha256: Digest,
    /// The packages of its build root.
    pub built_with: BTreeSet<BuiltWith>,
}

/// How often it is begun anew where something else was built meanwhile.
const TRIES: u32 = 2;

/// What was fetched, and is not yet where it belongs.
struct Fetched {
    packages: Vec<PathBuf>,
    collected: Collected,
}

/// Fetches the packages into the new folder `into`, without signatures that they have, and the list of what they were built with to `list`.
/// Nothing is in `into` that is not as it has to be.
pub fn collect(
    api: &Api,
    wanted: &Wanted<'_>,
    into: &Path,
    list: &Path,
) -> Result<Collected, Error> {
    for _ in 0..TRIES {
        let there = binaries(api, wanted)?;
        let folder = api.scratch()?;
        let fetched = fetched(api, wanted, &there, folder.path(), list);
        if matches!(&fetched, Err(error) if !matches!(error, Error::Refused { .. } | Error::BuiltWith { .. }))
        {
            return fetched.map(|fetched| fetched.collected);
        }
        // Another build of the same sources may have come between: its packages say the same of themselves.
        let after = binaries(api, wanted)?;
        let mut is_one_build = there == after;
        if let (true, Ok(fetched)) = (is_one_build, &fetched) {
            let again = folder.path().join(BUILDENV);
            let (_, digest) = buildenv(api, wanted, &after, &again)?;
            is_one_build = digest == fetched.collected.buildenv_sha256;
        }
        if is_one_build {
            let Fetched {
                packages,
                collected,
            } = fetched?;
            rpmbuild::collect(&packages, into)?;
            return Ok(collected);
        }
    }
    Err(Error::BuiltMeanwhile {
        package: wanted.place.package.clone(),
        place: wanted.place.to_string(),
    })
}

/// What was built.
fn binaries(api: &Api, wanted: &Wanted<'_>) -> Result<Vec<Binary>, Error> {
    let path = wanted.place.path(None);
    let question = Question {
        path: &path,
        query: &[],
    };
    let answer = api.got(question)?;
    answers::binaries(&answer).map_err(|why| api.odd(question, why))
}

/// Fetches what is `there` into `folder`.
fn fetched(
    api: &Api,
    wanted: &Wanted<'_>,
    there: &[Binary],
    folder: &Path,
    list: &Path,
) -> Result<Fetched, Error> {
    let Wanted { place, .. } = wanted;
    // Nothing large is fetched of what cannot be used.
    let (buildenv, digest) = buildenv(api, wanted, there, list)?;
    let built_with = wanted.known.check(place, &buildenv)?;
    let packages: Vec<&Binary> = there
        .iter()
        .filter(|one| one.name.ends_with(".rpm"))
        .filter(|one| !one.name.ends_with(".src.rpm") && !one.name.ends_with(".nosrc.rpm"))
        .collect();
    bounded(wanted, &packages, folder)?;
    let (mut fetched, mut disturls, mut files) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for one in packages {
        if !files.insert(&one.name) {
            return Err(refused(wanted, &one.name, "it is there twice"));
        }
        let to = folder.join(&one.name);
        whole(api, wanted, one, &to)?;
        disturls.insert(held(wanted, &one.name, &to)?);
        fetched.push(to);
    }
    rpmbuild::expect(&place.package, &fetched, wanted.expected)?;
    let disturl = match (disturls.pop_first(), disturls.pop_first()) {
        (Some(one), None) => one,
        (None, _) => return Err(refused(wanted, "its packages", "there are none")),
        (Some(one), Some(two)) => {
            let why = format!("they are of two builds, {one} and {two}");
            return Err(refused(wanted, "its packages", &why));
        }
    };
    let unsigned: PathBuf = folder.join("unsigned");
    fs::create_dir(&unsigned).map_err(|source| PathError::new("make", &unsigned, source))?;
    let mut done = Vec::new();
    for path in fetched {
        let file = path.file_name().unwrap_or_default();
        let to = unsigned.join(file);
        // A signature that is put on here takes the place of any other; who compares what was built wants none.
        sign::unsigned_package(&path, &to)
            .map_err(|error| refused(wanted, &file.to_string_lossy(), &error.to_string()))?;
        fs::remove_file(&path).map_err(|source| PathError::new("remove", &path, source))?;
        done.push(to);
    }
    Ok(Fetched {
        packages: done,
        collected: Collected {
            disturl,
            srcmd5: wanted.srcmd5.to_owned(),
            buildenv_sha256: digest,
            built_with,
        },
    })
}

fn refused(wanted: &Wanted<'_>, file: &str, why: &str) -> Error {
    Error::Refused {
        package: wanted.place.package.clone(),
        place: wanted.place.to_string(),
        file: file.to_owned(),
        why: names::line(why),
    }
}

/// The list of what the package was built with, kept in the file `list`, and its digest: one of this very build.
fn buildenv(
    api: &Api,
    wanted: &Wanted<'_>,
    found: &[Binary],
    list: &Path,
) -> Result<(Buildenv, Digest), Error> {
    let Wanted { place, srcmd5, .. } = wanted;
    let one = found.iter().find(|one| one.name == BUILDENV);
    let one = one.ok_or_else(|| {
        let why = "it is not there, so nobody knows what the package was built with";
        refused(wanted, BUILDENV, why)
    })?;
    if one.size > LIST {
        return Err(refused(
            wanted,
            BUILDENV,
            &format!("it has {} bytes", one.size),
        ));
    }
    whole(api, wanted, one, list)?;
    let read = lustre_files::read(list, LIST);
    let bytes = read.map_err(|source| PathError::new("read", list, source))?;
    let buildenv = answers::buildenv(&bytes).map_err(|why| refused(wanted, BUILDENV, &why))?;
    let of = &buildenv.place;
    if of != *place {
        let why = format!("it is of {} in {of}", of.package);
        return Err(refused(wanted, BUILDENV, &why));
    }
    if buildenv.srcmd5 != *srcmd5 {
        let why = format!(
            "it is of the sources {}, and not of {srcmd5}",
            buildenv.srcmd5
        );
        return Err(refused(wanted, BUILDENV, &why));
    }
    if buildenv.packages.is_empty() {
        return Err(refused(wanted, BUILDENV, "it names no package"));
    }
    let digest = Digest::of_bytes(&bytes);
    Ok((buildenv, digest))
}

/// That what is fetched is no more than it may be, and that there is room for it in `folder`.
fn bounded(wanted: &Wanted<'_>, packages: &[&Binary], folder: &Path) -> Result<(), Error> {
    let (mut all, mut largest) = (0_u64, 0);
    for one in packages {
        all = all.saturating_add(one.size);
        largest = one.size.max(largest);
        if one.size > PACKAGE || all > ALL {
            let why = format!("it has {} bytes, and all up to it {all}", one.size);
            return Err(refused(wanted, &one.name, &why));
        }
    }
    // One after the other is there twice, with its signature and without.
    let needed = (all + largest) >> 20;
    let free = free_mib(folder)?;
    match needed > free {
        true => Err(Error::Room {
            folder: folder.to_owned(),
            needed,
            free,
        }),
        false => Ok(()),
    }
}

/// Fetches a file that has just the size that the server said.
fn whole(api: &Api, wanted: &Wanted<'_>, one: &Binary, to: &Path) -> Result<(), Error> {
    let path = wanted.place.path(Some(&one.name));
    let question = Question {
        path: &path,
        query: &[],
    };
    if !api.file(question, one.size, to)? {
        return Err(refused(wanted, &one.name, "it is listed, and not there"));
    }
    let length = lustre_files::if_there(fs::metadata(to).map(|meta| meta.len()));
    let length = length.map_err(|source| PathError::new("read", to, source))?;
    match length.unwrap_or_default() {
        size if size == one.size => Ok(()),
        size => {
            let why = format!("it has {size} bytes in place of {}", one.size);
            Err(refused(wanted, &one.name, &why))
        }
    }
}

/// Holds a package against what it has to be, and gives its DISTURL.
fn held(wanted: &Wanted<'_>, file: &str, path: &Path) -> Result<String, Error> {
    let Wanted {
        place,
        srcmd5,
        source,
        can_be,
        ..
    } = wanted;
    let refused = |why: String| refused(wanted, file, &why);
    let header = Header::read(path).map_err(refused)?;
    let nevra = header.nevra.to_string();
    if header.nevra.file_name() != file {
        return Err(refused(format!("it is the package {nevra}")));
    }
    if !can_be.contains(&nevra) && !is_of_debugging(&header, can_be) {
        let why = format!("its spec makes no package {nevra}");
        return Err(refused(why));
    }
    if source.is_some_and(|source| source != header.source) {
        let why = format!("it is of the source package {}", header.source);
        return Err(refused(why));
    }
    let end = format!(
        "/{}/{}/{srcmd5}-{}",
        place.project, place.repository, place.package
    );
    let is_of_it = header.disturl.strip_prefix("obs://");
    let server = is_of_it.and_then(|rest| rest.strip_suffix(&end));
    let is_server = |server: &str| !server.is_empty() && !server.contains('/');
    if !server.is_some_and(is_server) || !names::is_disturl(&header.disturl) {
        let shown: String = header.disturl.chars().take(300).collect();
        let why = format!("its DISTURL is `{shown}` and not obs://SERVER{end}");
        return Err(refused(why));
    }
    if header.sigmd5.is_none() {
        return Err(refused("it has no SIGMD5".to_owned()));
    }
    Ok(header.disturl)
}

/// Whether it is what rpmbuild makes of debugging information, of one of these packages.
fn is_of_debugging(header: &Header, can_be: &BTreeSet<String>) -> bool {
    let name = ["-debuginfo", "-debugsource"]
        .iter()
        .find_map(|end| header.nevra.name.strip_suffix(end));
    let nevra = header.nevra.to_string();
    let rest = nevra.strip_prefix(&header.nevra.name);
    name.zip(rest)
        .is_some_and(|(name, rest)| can_be.contains(&format!("{name}{rest}")))
}
