//! An RPM's header to the package of repodata, by the rules of createrepo_c 1.2.
//!
//! - here: names, texts, sizes, files and changelog. `relations`: what it provides, requires and so on.

mod relations;
mod text;

use std::borrow::Cow;

use lustre_rpm_header::Headers;
use rpm::{IndexSignatureTag as Sig, IndexTag as Tag};

use text::to_text;

use super::model::{Changelog, Evr, File, FileKind, Package};

/// `RPMFILE_GHOST`.
const GHOST: u64 = 1 << 6;
/// How many changelog entries repodata carries.
const CHANGELOGS: usize = 10;

/// What the header says of the package. Location, checksum, file size and file time are the caller's to add.
pub(super) fn package(headers: &Headers) -> Result<Package, String> {
    let text = |tag: Tag, what: &str| match headers.text(tag as u32)? {
        None => Ok::<_, String>(String::new()),
        Some(bytes) => Ok(to_text(bytes, what)?.into_owned()),
    };
    let number = |tag: Tag| Ok::<_, String>(headers.number(tag as u32)?.unwrap_or(0));
    let epoch = number(Tag::RPMTAG_EPOCH)?;
    let mut package = Package {
        name: text(Tag::RPMTAG_NAME, "name")?,
        arch: if is_source(headers)? {
            "src".to_owned()
        } else {
            text(Tag::RPMTAG_ARCH, "architecture")?
        },
        evr: Evr {
            epoch: u32::try_from(epoch).map_err(|_| format!("the epoch is {epoch}"))?,
            version: text(Tag::RPMTAG_VERSION, "version")?.into(),
            release: Some(text(Tag::RPMTAG_RELEASE, "release")?.into()),
        },
        summary: text(Tag::RPMTAG_SUMMARY, "summary")?,
        description: text(Tag::RPMTAG_DESCRIPTION, "description")?,
        packager: text(Tag::RPMTAG_PACKAGER, "packager")?,
        url: text(Tag::RPMTAG_URL, "URL")?,
        time_build: i64::try_from(number(Tag::RPMTAG_BUILDTIME)?).unwrap_or(i64::MAX),
        size_installed: match headers.number(Tag::RPMTAG_LONGSIZE as u32)? {
            Some(size) => size,
            None => number(Tag::RPMTAG_SIZE)?,
        },
        size_archive: archive_size(headers)?,
        license: text(Tag::RPMTAG_LICENSE, "licence")?,
        vendor: text(Tag::RPMTAG_VENDOR, "vendor")?,
        group: text(Tag::RPMTAG_GROUP, "group")?,
        buildhost: text(Tag::RPMTAG_BUILDHOST, "build host")?,
        sourcerpm: text(Tag::RPMTAG_SOURCERPM, "source package")?,
        header_start: headers.main().start as u64,
        header_end: headers.main().end as u64,
        files: files(headers)?,
        changelogs: changelogs(headers)?,
        ..Package::default()
    };
    for (what, value) in [
        ("name", package.name.as_str()),
        ("version", &package.evr.version),
        ("architecture", &package.arch),
    ] {
        if value.is_empty() {
            return Err(format!("its header has no {what}"));
        }
    }
    relations::add(headers, &mut package)?;
    Ok(package)
}

/// Whether it is a source package: the old ones say so only by the one folder, without a name, in which all their files are.
fn is_source(headers: &Headers) -> Result<bool, String> {
    if headers.has(Tag::RPMTAG_SOURCEPACKAGE as u32) {
        return Ok(true);
    }
    if headers.has(Tag::RPMTAG_SOURCERPM as u32) {
        return Ok(false);
    }
    Ok(matches!(
        headers.texts(Tag::RPMTAG_DIRNAMES as u32)?[..],
        [folder] if folder.is_empty()
    ))
}

/// The unpacked payload's size, from the main header or, where v4 packages have it, from the signature header. A
/// package signed anew may have lost it, and v6 packages have none.
fn archive_size(headers: &Headers) -> Result<u64, String> {
    for tag in [Tag::RPMTAG_LONGARCHIVESIZE, Tag::RPMTAG_ARCHIVESIZE] {
        if let Some(size) = headers.number(tag as u32)? {
            return Ok(size);
        }
    }
    for tag in [Sig::RPMSIGTAG_LONGARCHIVESIZE, Sig::RPMSIGTAG_PAYLOADSIZE] {
        if let Some(size) = headers.signature_number(tag as u32)? {
            return Ok(size);
        }
    }
    Ok(0)
}

/// The size that the RPM file has to have, where its signature header says: everything from the main header on.
pub(super) fn file_size(headers: &Headers) -> Result<Option<u64>, String> {
    for tag in [Sig::RPMSIGTAG_LONGSIZE, Sig::RPMSIGTAG_SIZE] {
        if let Some(size) = headers.signature_number(tag as u32)? {
            return Ok(Some(size + headers.main().start as u64));
        }
    }
    Ok(None)
}

fn files(headers: &Headers) -> Result<Vec<File>, String> {
    let names = headers.texts(Tag::RPMTAG_BASENAMES as u32)?;
    if names.is_empty() {
        if !headers.texts(Tag::RPMTAG_OLDFILENAMES as u32)?.is_empty() {
            return Err("it lists its files in the format before rpm 4: build it again".to_owned());
        }
        return Ok(Vec::new());
    }
    let folders = headers.texts(Tag::RPMTAG_DIRNAMES as u32)?;
    let indexes = headers.numbers(Tag::RPMTAG_DIRINDEXES as u32)?;
    let flags = headers.numbers(Tag::RPMTAG_FILEFLAGS as u32)?;
    let modes = headers.numbers(Tag::RPMTAG_FILEMODES as u32)?;
    for (what, count) in [
        ("folders", indexes.len()),
        ("flags", flags.len()),
        ("modes", modes.len()),
    ] {
        if count != names.len() {
            return Err(format!(
                "{} files, but {count} {what} of files",
                names.len()
            ));
        }
    }
    let mut files = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        let folder = usize::try_from(indexes[number])
            .ok()
            .and_then(|index| folders.get(index))
            .ok_or_else(|| format!("file {number} is in an unknown folder"))?;
        files.push(File {
            path: path(folder, name)?,
            kind: if modes[number] & 0o170_000 == 0o040_000 {
                FileKind::Dir
            } else if flags[number] & GHOST != 0 {
                FileKind::Ghost
            } else {
                FileKind::File
            },
        });
    }
    Ok(files)
}

/// The path of a file, which is one text: neither part of it need be UTF-8 by itself.
fn path(folder: &[u8], name: &[u8]) -> Result<String, String> {
    let whole = [folder, name].concat();
    match to_text(&whole, "path of a file")? {
        Cow::Owned(text) => Ok(text),
        // As it is.
        Cow::Borrowed(_) => String::from_utf8(whole).map_err(|error| error.to_string()),
    }
}

/// The newest entries, oldest first. Of entries of the same time, the newer ones get later times, a second apart.
fn changelogs(headers: &Headers) -> Result<Vec<Changelog>, String> {
    let times = headers.numbers(Tag::RPMTAG_CHANGELOGTIME as u32)?;
    let names = headers.texts(Tag::RPMTAG_CHANGELOGNAME as u32)?;
    let texts = headers.texts(Tag::RPMTAG_CHANGELOGTEXT as u32)?;
    if times.len() != names.len() || times.len() != texts.len() {
        return Err(format!(
            "{} times, {} names and {} texts of changelog entries",
            times.len(),
            names.len(),
            texts.len()
        ));
    }
    let mut entries: Vec<Changelog> = Vec::with_capacity(times.len().min(CHANGELOGS));
    let mut last = 0;
    for ((time, name), text) in times.into_iter().zip(names).zip(texts).take(CHANGELOGS) {
        let date = i64::try_from(time).unwrap_or(i64::MAX);
        if date == last {
            for (taken, newer) in (date..).zip(entries.iter_mut().rev()) {
                if newer.date != taken {
                    break;
                }
                newer.date += 1;
            }
        } else {
            last = date;
        }
        let author = to_text(name, "author of a changelog entry")?;
        entries.push(Changelog {
            author: author.trim_end_matches(' ').to_owned(),
            date,
            text: to_text(text, "text of a changelog entry")?.into_owned(),
        });
    }
    entries.reverse();
    Ok(entries)
}
