//! How two packages differ: which tags of the header, and which files. Signatures are left out, which everybody makes anew.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use lustre_rpm_header::Headers;
use rpm::IndexTag;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A package that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read as a package: {message}", path.display())]
pub struct Error {
    path: std::path::PathBuf,
    message: String,
}

/// A tag whose values differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name as rpm has it, without `RPMTAG_`; or its number.
    pub tag: String,
    /// Its value in the first package, as far as it is short; none where it is not there.
    pub first: Option<String>,
    /// The same in the second.
    pub second: Option<String>,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its path on a server.
    pub path: String,
    /// What of it: `content`, `mode`, `owner`, `time`, `flags`, `only in the first`, `only in the second`.
    pub what: Vec<&'static str>,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    pub tags: Vec<Tag>,
    pub files: Vec<Changed>,
}

/// How long a value is that is told.
const SHOWN: usize = 120;

/// The tags of which names are told. Those of files are told by file.
const NAMED: [IndexTag; 44] = [
    IndexTag::RPMTAG_NAME,
    IndexTag::RPMTAG_VERSION,
    IndexTag::RPMTAG_RELEASE,
    IndexTag::RPMTAG_EPOCH,
    IndexTag::RPMTAG_SUMMARY,
    IndexTag::RPMTAG_DESCRIPTION,
    IndexTag::RPMTAG_BUILDTIME,
    IndexTag::RPMTAG_BUILDHOST,
    IndexTag::RPMTAG_SIZE,
    IndexTag::RPMTAG_LONGSIZE,
    IndexTag::RPMTAG_VENDOR,
    IndexTag::RPMTAG_LICENSE,
    IndexTag::RPMTAG_PACKAGER,
    IndexTag::RPMTAG_GROUP,
    IndexTag::RPMTAG_URL,
    IndexTag::RPMTAG_OS,
    IndexTag::RPMTAG_ARCH,
    IndexTag::RPMTAG_PREIN,
    IndexTag::RPMTAG_POSTIN,
    IndexTag::RPMTAG_PREUN,
    IndexTag::RPMTAG_POSTUN,
    IndexTag::RPMTAG_PRETRANS,
    IndexTag::RPMTAG_POSTTRANS,
    IndexTag::RPMTAG_SOURCERPM,
    IndexTag::RPMTAG_PROVIDENAME,
    IndexTag::RPMTAG_PROVIDEFLAGS,
    IndexTag::RPMTAG_PROVIDEVERSION,
    IndexTag::RPMTAG_REQUIRENAME,
    IndexTag::RPMTAG_REQUIREFLAGS,
    IndexTag::RPMTAG_REQUIREVERSION,
    IndexTag::RPMTAG_CONFLICTNAME,
    IndexTag::RPMTAG_OBSOLETENAME,
    IndexTag::RPMTAG_RPMVERSION,
    IndexTag::RPMTAG_CHANGELOGTIME,
    IndexTag::RPMTAG_CHANGELOGNAME,
    IndexTag::RPMTAG_CHANGELOGTEXT,
    IndexTag::RPMTAG_COOKIE,
    IndexTag::RPMTAG_OPTFLAGS,
    IndexTag::RPMTAG_DISTURL,
    IndexTag::RPMTAG_PAYLOADFORMAT,
    IndexTag::RPMTAG_PAYLOADCOMPRESSOR,
    IndexTag::RPMTAG_PAYLOADFLAGS,
    IndexTag::RPMTAG_PLATFORM,
    IndexTag::RPMTAG_FILEDIGESTS,
];

/// Some that the crate has by other names.
const MORE: [(u32, &str); 3] = [
    (1146, "SOURCEPKGID"),
    (5092, "PAYLOADDIGEST"),
    (5097, "PAYLOADDIGESTALT"),
];

/// Where the header's tags end, which says nothing of a package.
const REGION: u32 = 63;

fn name(tag: u32) -> String {
    if let Some((_, named)) = MORE.iter().find(|(number, _)| *number == tag) {
        return (*named).to_owned();
    }
    let named = NAMED.iter().find(|named| **named as u32 == tag);
    match named {
        Some(named) => format!("{named:?}")
            .trim_start_matches("RPMTAG_")
            .to_owned(),
        None => tag.to_string(),
    }
}

/// The SHA-256 of all of the package at `path` but its lead and its signatures: header and payload.
pub fn content_sha256(path: &Path) -> Result<String, Error> {
    let failed = |message: io::Error| Error {
        path: path.to_owned(),
        message: message.to_string(),
    };
    let (headers, mut file) = Headers::open(path).map_err(failed)?;
    let start = headers.main().start as u64;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    hashed(file).map_err(failed)
}

fn hashed(file: File) -> io::Result<String> {
    let (mut file, mut sum) = (BufReader::new(file), Sha256::new());
    let mut part = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        sum.update(&part[..read]);
    }
    let digest = sum.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What differs between the packages at `first` and `second`.
pub fn between(first: &Path, second: &Path) -> Result<Differences, Error> {
    let open = |path: &Path| {
        let opened = Headers::open(path);
        opened.map(|(headers, _)| headers).map_err(|error| Error {
            path: path.to_owned(),
            message: error.to_string(),
        })
    };
    let (one, other) = (open(first)?, open(second)?);
    Ok(Differences {
        tags: tags(&one, &other),
        files: files(&of_files(first, &one)?, &of_files(second, &other)?),
    })
}

fn tags(first: &Headers, second: &Headers) -> Vec<Tag> {
    let by_tag = |headers: &Headers| -> BTreeMap<u32, (usize, Vec<u8>)> {
        let values = headers.values().into_iter();
        values
            .filter(|(tag, ..)| *tag != REGION)
            .map(|(tag, count, value)| (tag, (count, value.to_vec())))
            .collect()
    };
    let (one, mut other) = (by_tag(first), by_tag(second));
    let mut found = BTreeMap::new();
    for (tag, value) in one {
        let there = other.remove(&tag);
        if there.as_ref() != Some(&value) {
            found.insert(tag, (true, there.is_some()));
        }
    }
    found.extend(other.into_keys().map(|tag| (tag, (false, true))));
    let differs = found.into_iter();
    differs
        .map(|(tag, (in_first, in_second))| Tag {
            tag: name(tag),
            first: in_first.then(|| shown(first, tag)),
            second: in_second.then(|| shown(second, tag)),
        })
        .collect()
}

/// The value of a tag, in a few words.
fn shown(headers: &Headers, tag: u32) -> String {
    let texts = headers.texts(tag).map(|texts| {
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
        texts.collect::<Vec<_>>().join(" ")
    });
    let numbers = || {
        let numbers = headers.numbers(tag).ok()?;
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Some(numbers.join(" "))
    };
    let text = match texts {
        Ok(text) => text,
        Err(_) => numbers().unwrap_or_else(|| "binary".to_owned()),
    };
    let mut text: String = text.escape_debug().take(SHOWN + 1).collect();
    if text.chars().count() > SHOWN {
        text = text.chars().take(SHOWN).chain(['…']).collect();
    }
    text
}

/// What a header says of a file.
#[derive(PartialEq, Eq)]
struct Listed {
    content: (Option<String>, usize, Option<String>),
    mode: u16,
    owner: (String, String, Option<String>),
    time: u32,
    flags: u32,
}

fn of_files(path: &Path, headers: &Headers) -> Result<BTreeMap<String, Listed>, Error> {
    let unreadable = |error: rpm::Error| Error {
        path: path.to_owned(),
        message: error.to_string(),
    };
    let metadata = headers.metadata().map_err(unreadable)?;
    let entries = metadata.get_file_entries().map_err(unreadable)?;
    let listed = entries.iter().map(|entry| {
        let digest = entry.digest().map(|digest| digest.as_hex().to_owned());
        let listed = Listed {
            content: (digest, entry.size(), entry.linkto().map(str::to_owned)),
            mode: entry.mode().raw_mode(),
            owner: (
                entry.user().to_owned(),
                entry.group().to_owned(),
                entry.caps().map(str::to_owned),
            ),
            time: entry.modified_at().into(),
            flags: entry.flags().bits(),
        };
        (entry.path().display().to_string(), listed)
    });
    Ok(listed.collect())
}

fn files(first: &BTreeMap<String, Listed>, second: &BTreeMap<String, Listed>) -> Vec<Changed> {
    let mut found = Vec::new();
    for (path, one) in first {
        let what = match second.get(path) {
            None => vec!["only in the first"],
            Some(other) => [
                ("content", one.content == other.content),
                ("mode", one.mode == other.mode),
                ("owner", one.owner == other.owner),
                ("time", one.time == other.time),
                ("flags", one.flags == other.flags),
            ]
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(what, _)| what)
            .collect(),
        };
        if !what.is_empty() {
            let path = path.clone();
            found.push(Changed { path, what });
        }
    }
    let new = second.keys().filter(|path| !first.contains_key(*path));
    found.extend(new.map(|path| Changed {
        path: path.clone(),
        what: vec!["only in the second"],
    }));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(
        folder: &Path,
        file: &str,
        text: &str,
        more: Option<&str>,
        time: u32,
    ) -> std::path::PathBuf {
        let mut builder = rpm::PackageBuilder::new("a", "1", "MIT", "x86_64", "a test");
        builder
            .using_config(rpm::BuildConfig::v4().source_date(time))
            .build_host("builder");
        for (path, content) in [("/usr/bin/a", text)]
            .into_iter()
            .chain(more.map(|it| (it, "x")))
        {
            builder
                .with_file_contents(content, rpm::FileOptions::new(path))
                .unwrap();
        }
        let path = folder.join(file);
        builder.build().unwrap().write_file(&path).unwrap();
        path
    }

    #[test]
    fn a_package_differs_in_tags_and_files_that_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let one = package(dir.path(), "1.rpm", "one", None, 7);
        let same = package(dir.path(), "2.rpm", "one", None, 7);
        assert_eq!(between(&one, &same).unwrap(), Differences::default());
        assert_eq!(
            content_sha256(&one).unwrap(),
            content_sha256(&same).unwrap()
        );

        let other = package(dir.path(), "3.rpm", "two", Some("/usr/bin/b"), 8);
        assert_ne!(
            content_sha256(&one).unwrap(),
            content_sha256(&other).unwrap()
        );
        let found = between(&one, &other).unwrap();
        let tag = found
            .tags
            .iter()
            .find(|tag| tag.tag == "BUILDTIME")
            .unwrap();
        assert_eq!(
            (tag.first.as_deref(), tag.second.as_deref()),
            (Some("7"), Some("8"))
        );
        let names: Vec<&str> = found.tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert!(names.contains(&"PAYLOADDIGEST"), "{names:?}");
        assert!(!names.contains(&"NAME"), "{names:?}");
        assert_eq!(found.files[0].path, "/usr/bin/a");
        assert!(
            found.files[0].what.contains(&"content"),
            "{:?}",
            found.files
        );
        assert_eq!(
            found.files[1],
            Changed {
                path: "/usr/bin/b".to_owned(),
                what: vec!["only in the second"],
            }
        );
    }

    #[test]
    fn a_signature_is_no_difference() {
        let dir = tempfile::tempdir().unwrap();
        let plain = package(dir.path(), "1.rpm", "one", None, 7);
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let text = std::fs::read(specs.join("distributions/rehearsal/key.asc")).unwrap();
        let key = lustre_sign::Key::from_armored(&lustre_sign::Secret::new(text), "the test", None)
            .unwrap();
        let signed = dir.path().join("signed.rpm");
        lustre_sign::sign_package(&plain, &signed, &key, key.public_key().created()).unwrap();
        assert_ne!(
            std::fs::read(&plain).unwrap(),
            std::fs::read(&signed).unwrap()
        );
        assert_eq!(
            content_sha256(&plain).unwrap(),
            content_sha256(&signed).unwrap()
        );
        assert_eq!(between(&plain, &signed).unwrap(), Differences::default());
    }

    #[test]
    fn what_is_no_package_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rpm");
        std::fs::write(&path, "no package").unwrap();
        for error in [
            between(&path, &path).unwrap_err(),
            content_sha256(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains("a.rpm"), "{error}");
        }
    }
}
