//! Metadata of the same packages at another place: `primary.xml` with other locations, everything else as it is.

use std::fs;
use std::path::Path;

use lustre_files::tried;

use super::error::Error;
use super::model::Package;
use super::output::{Compressed, Staged};
use super::parse;
use super::read::{index, opened, verified};
use super::render;
use super::repomd::{Record, Repomd};

const PRIMARY: &str = "primary";

/// Where a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The URL that the location is relative to, with a slash at its end.
    pub base: String,
    /// The location.
    pub href: String,
}

/// Writes `to/repodata`: the metadata of the repository at `from`, which were written by this library, with each package where `place` says
/// by the location that it has there. No package is read. An existing `repodata` is replaced as a whole; sign the new `repomd.xml`.
pub fn relocate(
    from: &Path,
    to: &Path,
    place: &dyn Fn(&str) -> Option<Place>,
) -> Result<Repomd, Error> {
    let staged = Staged::begin(to)?;
    let mut repomd = index(from)?;
    let revision = repomd.revision.parse().map_err(|_| {
        let reason = format!("its revision `{}` is not a time", repomd.revision);
        Error::malformed(from.join("repodata/repomd.xml"), reason)
    })?;
    for record in &mut repomd.records {
        let bytes = verified(from, record)?;
        if record.kind == PRIMARY {
            let text = moved(from, record, &bytes, place)?;
            let mut file = Compressed::create(staged.path(), "primary.xml.gz")?;
            file.write(&text)?;
            *record = file.finish(PRIMARY, revision)?;
        } else {
            let name = name_of(from, record)?;
            staged.plain(name, &bytes, revision)?;
        }
    }
    let text = render::repomd(&repomd);
    staged.plain("repomd.xml", text.as_bytes(), revision)?;
    staged.commit()?;
    Ok(repomd)
}

/// How the metadata at `to` differ from those that [`relocate`] makes of `from`, however they are compressed.
pub fn relocation_differs(
    from: &Path,
    to: &Path,
    place: &dyn Fn(&str) -> Option<Place>,
) -> Result<Vec<String>, Error> {
    let (plain, other) = (index(from)?, index(to)?);
    let kinds = |of: &Repomd| -> Vec<String> {
        of.records
            .iter()
            .map(|record| record.kind.clone())
            .collect()
    };
    if plain.revision != other.revision || kinds(&plain) != kinds(&other) {
        return Ok(vec![
            "another revision, or other kinds of metadata".to_owned(),
        ]);
    }
    let mut differences = Vec::new();
    let mut names = vec!["repomd.xml".to_owned(), "repomd.xml.asc".to_owned()];
    for (record, there) in plain.records.iter().zip(&other.records) {
        let bytes = verified(to, there)?;
        names.push(name_of(to, there)?.to_owned());
        if record.kind != PRIMARY {
            if record != there {
                differences.push(format!("another `{}`", record.kind));
            }
            continue;
        }
        let wanted = moved(from, record, &verified(from, record)?, place)?;
        let found = text_of(to, there, &bytes)?;
        let lines = wanted.lines().zip(found.lines());
        match lines.enumerate().find(|(_, (a, b))| a != b) {
            Some((at, (wanted, found))) => differences.push(format!(
                "line {} of primary.xml is `{}`, and would be `{}`",
                at + 1,
                found.trim().escape_debug(),
                wanted.trim().escape_debug()
            )),
            None if wanted != found => {
                differences.push("primary.xml has lines more or less".to_owned());
            }
            None => {}
        }
    }
    let folder = to.join("repodata");
    for entry in fs::read_dir(&folder).map_err(tried("read", &folder))? {
        let entry = entry.map_err(tried("read", &folder))?;
        let name = entry.file_name();
        if !names.iter().any(|one| name == one.as_str()) {
            differences.push(format!("{} is listed nowhere", lustre_files::shown(&name)));
        }
    }
    Ok(differences)
}

/// `primary.xml` with the packages where `place` says.
fn moved(
    root: &Path,
    record: &Record,
    bytes: &[u8],
    place: &dyn Fn(&str) -> Option<Place>,
) -> Result<String, Error> {
    let text = text_of(root, record, bytes)?;
    let wrong = |reason: String| Error::malformed(root.join(&record.location), reason);
    let packages = parse::primary(&mut text.as_bytes())
        .map_err(|fault| Error::malformed(root.join(&record.location), fault))?;
    let mut left = packages.iter();
    let mut new = String::with_capacity(text.len() + 128 * packages.len());
    for line in text.split_inclusive('\n') {
        // A `<` is the start of a tag in every XML: no text of a package has one.
        if !line.trim_start().starts_with("<location ") {
            new.push_str(line);
            continue;
        }
        let package = left
            .next()
            .filter(|package| line == render::location(package));
        let package = package.ok_or_else(|| {
            let line = line.trim().escape_debug();
            wrong(format!("the line `{line}` was not written by this tool"))
        })?;
        let location = &package.location;
        let there = place(location)
            .ok_or_else(|| wrong(format!("nobody says where `{location}` is otherwise")))?;
        new.push_str(&render::location(&Package {
            location_base: there.base,
            location: there.href,
            ..Package::default()
        }));
    }
    match left.next() {
        None => Ok(new),
        Some(package) => {
            let location = &package.location;
            Err(wrong(format!("`{location}` has no line of its own")))
        }
    }
}

/// The content of a verified file.
fn text_of(root: &Path, record: &Record, bytes: &[u8]) -> Result<String, Error> {
    opened(root, record, bytes, |source| {
        let mut text = String::new();
        source.read_to_string(&mut text).map(|_| text)
    })
}

/// The name of a listed file.
fn name_of<'r>(root: &Path, record: &'r Record) -> Result<&'r str, Error> {
    let name = record.location.strip_prefix("repodata/");
    name.filter(|name| !name.contains('/')).ok_or_else(|| {
        let reason = format!("the `{}` is not in repodata", record.kind);
        Error::malformed(root.join("repodata/repomd.xml"), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::super::render::Document;
    use super::super::{Checksum, Evr, read};
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            arch: "noarch".to_owned(),
            evr: Evr::parse("0:1-1").unwrap(),
            checksum: Checksum {
                kind: "sha256".to_owned(),
                hex: name.repeat(4),
            },
            description: "of two lines\n  <location href=\"evil\"/>\n".to_owned(),
            location: format!("Packages/{name}~&1.rpm"),
            ..Package::default()
        }
    }

    /// Metadata of packages that nobody built.
    fn written(root: &Path, packages: &[Package], revision: u64) {
        let staged = Staged::begin(root).unwrap();
        let mut records = Vec::new();
        for document in Document::ALL {
            let name = format!("{}.xml.gz", document.kind());
            let mut file = Compressed::create(staged.path(), &name).unwrap();
            file.write(&document.head(packages.len())).unwrap();
            for package in packages {
                file.write(&document.package(package)).unwrap();
            }
            file.write(document.tail()).unwrap();
            records.push(file.finish(document.kind(), revision).unwrap());
        }
        let repomd = Repomd {
            revision: revision.to_string(),
            records,
        };
        let index = render::repomd(&repomd);
        staged
            .plain("repomd.xml", index.as_bytes(), revision)
            .unwrap();
        staged.commit().unwrap();
    }

    fn place(location: &str) -> Option<Place> {
        let name = location.strip_prefix("Packages/")?;
        Some(Place {
            base: "https://example.org/tag/".to_owned(),
            href: name.replace(['~', '&'], "."),
        })
    }

    #[test]
    fn only_locations_are_others_and_the_same_input_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let folder = dir.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let packages = [package("a"), package("b")];
        written(&at("plain"), &packages, 7);
        let repomd = relocate(&at("plain"), &at("other"), &place).unwrap();
        let found = read(&at("other")).unwrap();
        assert_eq!(found.repomd, repomd);
        let wanted = packages.clone().map(|one| Package {
            location_base: "https://example.org/tag/".to_owned(),
            location: format!("{}..1.rpm", one.name),
            ..one
        });
        assert_eq!(found.packages, wanted);
        let differs = |name: &str| relocation_differs(&at("plain"), &at(name), &place).unwrap();
        assert_eq!(differs("other"), [] as [&str; 0]);
        relocate(&at("plain"), &at("again"), &place).unwrap();
        for entry in fs::read_dir(at("other").join("repodata")).unwrap() {
            let path = entry.unwrap().path();
            let again = at("again").join("repodata").join(path.file_name().unwrap());
            assert_eq!(fs::read(&path).unwrap(), fs::read(again).unwrap());
        }
        fs::write(at("again").join("repodata/more"), "").unwrap();
        assert!(differs("again")[0].contains("more is listed nowhere"));
        // Packages elsewhere, other packages, another time.
        let elsewhere = |location: &str| {
            let there = place(location)?;
            Some(Place {
                base: "https://evil.test/".to_owned(),
                ..there
            })
        };
        relocate(&at("plain"), &at("evil"), &elsewhere).unwrap();
        let found = differs("evil");
        assert!(found[0].contains("evil.test"), "{found:?}");
        for (name, packages, revision) in
            [("fewer", &packages[..1], 7), ("later", &packages[..], 8)]
        {
            written(&at("source"), packages, revision);
            relocate(&at("source"), &at(name), &place).unwrap();
            assert_ne!(differs(name), [] as [&str; 0], "{name}");
        }
    }

    #[test]
    fn a_package_without_another_place_is_an_error_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, other) = (dir.path().join("plain"), dir.path().join("other"));
        for folder in [&plain, &other] {
            fs::create_dir(folder).unwrap();
        }
        written(&plain, &[package("a")], 7);
        let error = relocate(&plain, &other, &|_| None).unwrap_err().to_string();
        assert!(error.contains("Packages/a~&1.rpm"), "{error}");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    }
}
