//! The metadata of a distribution's repositories: believed by its signature, where there is one, and by the digests in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lustre_files::shown_url;

use super::keys::Key;
use super::modules::module_streams;
use super::{Elsewhere, Error, at};
use crate::archive::{self, Compression};
use crate::lock::FilePin;
use crate::sign;
use crate::source::repodata::{MetadataFile, files_of};
use crate::source::updateinfo::advisories;
use crate::source::{self, Advisory, Downloader, url};
use crate::target::{BaseRepository, Distribution, Target};

/// What dnf needs to choose packages; neither changelogs nor groups nor advisories.
const FOR_DNF: &[&str] = &["primary", "filelists", MODULES];

/// The kind of the distribution's advisories.
const UPDATEINFO: &str = "updateinfo";

/// The packages that an advisory of a kernel names.
const OF_KERNELS: [&str; 2] = ["kernel", "kernel-core"];

/// The kind of the metadata of module streams.
const MODULES: &str = "modules";

/// How long a mirror is left alone that was caught between two states, before its `repomd.xml` is fetched anew.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Local copies of the metadata of all repositories.
#[derive(Debug, Default)]
pub struct Metadata {
    /// The folders with `repodata/` of those with binary packages: id and folder, in the target's order.
    pub binary: Vec<(String, PathBuf)>,
    /// The `primary` files of those with source packages: id and file, in the target's order.
    pub source: Vec<(String, PathBuf)>,
    /// Where each repository was found, before mirrors, by its id.
    pub locations: BTreeMap<String, String>,
    /// The files with the modules of those that have some, by the repository's id; they are in the store.
    pub modules: BTreeMap<String, FilePin>,
    /// The distribution's advisories of kernels, where they were asked for: by the id of each repository with packages, none where that has
    /// no `updateinfo.xml`.
    pub advisories: BTreeMap<String, Option<Vec<Advisory>>>,
}

/// Fetches the metadata of all repositories that `target` has a use for into `folder`, where each gets a folder `ID/repodata`.
pub fn metadata(
    downloader: &Downloader<'_>,
    target: &Target,
    keys: &BTreeMap<String, Key>,
    folder: &Path,
) -> Result<Metadata, Error> {
    fetched(downloader, target, keys, folder, FOR_DNF)
}

/// The same, with the distribution's advisories of kernels.
pub fn metadata_and_advisories(
    downloader: &Downloader<'_>,
    target: &Target,
    keys: &BTreeMap<String, Key>,
    folder: &Path,
) -> Result<Metadata, Error> {
    let kinds = [FOR_DNF, &[UPDATEINFO]].concat();
    fetched(downloader, target, keys, folder, &kinds)
}

fn fetched(
    downloader: &Downloader<'_>,
    target: &Target,
    keys: &BTreeMap<String, Key>,
    folder: &Path,
    kinds: &[&str],
) -> Result<Metadata, Error> {
    let mut all = Metadata::default();
    let wanted = target.asks_for();
    for repository in &target.distribution.repository {
        if !repository.is_used(&wanted) {
            continue;
        }
        let (location, files) = found(downloader, &target.distribution, repository, keys, kinds)?;
        if kinds.contains(&UPDATEINFO) && !repository.source {
            all.advisories.insert(repository.id.clone(), None);
        }
        let mut here = Vec::new();
        for (file, path, from) in files {
            let failed = |why: String| Error::Metadata {
                repository: repository.id.clone(),
                url: shown_url(&from),
                why,
            };
            if file.kind == UPDATEINFO {
                let open = archive::open(&path).map_err(|e| failed(e.to_string()))?;
                let read = advisories(BufReader::new(open), &OF_KERNELS).map_err(failed)?;
                all.advisories.insert(repository.id.clone(), Some(read));
                continue;
            }
            if file.kind != MODULES {
                here.push((file, path));
                continue;
            }
            let text = module_streams(&path).map_err(|e| failed(e.to_string()))?;
            if text.is_empty() {
                continue;
            }
            let pin = pin(&file, &path, &from)?;
            // dnf gets what the base repository will have.
            let plain = folder.join(format!("{}-{MODULES}.yaml", repository.id));
            fs::create_dir_all(folder).map_err(at(folder))?;
            fs::write(&plain, &text).map_err(at(&plain))?;
            let plain_file = MetadataFile {
                sha256: crate::store::Digest::of_bytes(&text),
                href: String::new(),
                ..file
            };
            all.modules.insert(repository.id.clone(), pin);
            here.push((plain_file, plain));
        }
        if repository.source {
            let primary = here.into_iter().map(|(_, path)| path);
            all.source
                .extend(primary.map(|path| (repository.id.clone(), path)));
        } else {
            let copy = folder.join(&repository.id);
            local_copy(&here, &copy)?;
            all.binary.push((repository.id.clone(), copy));
        }
        all.locations.insert(repository.id.clone(), location);
    }
    Ok(all)
}

/// A file of metadata, its copy in the store, and where it was.
type FetchedMetadata = (MetadataFile, PathBuf, String);

/// The metadata of `repository` from the first of its places that has it whole.
fn found(
    downloader: &Downloader<'_>,
    distribution: &Distribution,
    repository: &BaseRepository,
    keys: &BTreeMap<String, Key>,
    kinds: &[&str],
) -> Result<(String, Vec<FetchedMetadata>), Error> {
    let mut failed: Vec<Elsewhere> = Vec::new();
    for location in distribution.locations(repository)? {
        match settled(downloader, repository, &location, keys, kinds) {
            Ok(files) => return Ok((location, files)),
            Err(error @ Error::Source(source::Error::Interrupted { .. })) => return Err(error),
            Err(error) => failed.push(Elsewhere {
                url: shown_url(&location),
                error,
            }),
        }
    }
    Err(match failed.pop() {
        Some(only) if failed.is_empty() => only.error,
        last => {
            failed.extend(last);
            Error::Nowhere {
                repository: repository.id.clone(),
                tried: failed,
            }
        }
    })
}

/// The metadata at one place. A mirror that is being brought up to date has the `repomd.xml` of one state and files of another for a
/// while: it is read anew from the start then.
fn settled(
    downloader: &Downloader<'_>,
    repository: &BaseRepository,
    location: &str,
    keys: &BTreeMap<String, Key>,
    kinds: &[&str],
) -> Result<Vec<FetchedMetadata>, Error> {
    let mut pauses = PAUSES.iter();
    loop {
        match once(downloader, repository, location, keys, kinds) {
            Err(error) if error.is_between_states() => match pauses.next() {
                Some(pause) => std::thread::sleep(*pause),
                None => {
                    return Err(Error::Unsettled {
                        times: PAUSES.len() + 1,
                        source: Box::new(error),
                    });
                }
            },
            done => return done,
        }
    }
}

fn once(
    downloader: &Downloader<'_>,
    repository: &BaseRepository,
    location: &str,
    keys: &BTreeMap<String, Key>,
    kinds: &[&str],
) -> Result<Vec<FetchedMetadata>, Error> {
    let place = url::join(&repository.id, location, "repodata/repomd.xml")?;
    let repomd = repomd(downloader, repository, &place, keys)?;
    let wanted = if repository.source {
        &["primary"]
    } else {
        kinds
    };
    let failed = |url: &str, why: String| Error::Metadata {
        repository: repository.id.clone(),
        url: shown_url(url),
        why,
    };
    let files = files_of(&repomd, wanted).map_err(|why| failed(&place, why))?;
    if !files.iter().any(|file| file.kind == "primary") {
        return Err(failed(&place, "it lists no primary.xml".to_owned()));
    }
    let mut fetched = Vec::new();
    for file in files {
        let from = url::join(&repository.id, location, &file.href)?;
        let path = downloader
            .file(
                &repository.id,
                std::slice::from_ref(&from),
                &file.sha256,
                file.size,
            )
            .map_err(|source| match source {
                source::Error::Download { .. } | source::Error::Digest { .. } => Error::Unlike {
                    source: Box::new(source),
                },
                other => other.into(),
            })?;
        let found = Compression::of_file(&path).map_err(|e| failed(&from, e.to_string()))?;
        let named = Compression::of_name(&file.href);
        if found != named {
            return Err(failed(
                &from,
                format!(
                    "its name says {named}, but its content is {found}; dnf and others that go by the name cannot read it"
                ),
            ));
        }
        fetched.push((file, path, from));
    }
    Ok(fetched)
}

/// The checked text of a `repomd.xml`.
fn repomd(
    downloader: &Downloader<'_>,
    repository: &BaseRepository,
    place: &str,
    keys: &BTreeMap<String, Key>,
) -> Result<Vec<u8>, Error> {
    let text = downloader.small(&repository.id, place)?;
    if !repository.signed_metadata {
        return Ok(text);
    }
    let signature = downloader
        .small(&repository.id, &format!("{place}.asc"))
        .map_err(|source| {
            if source.is_gone() {
                Error::Unsigned {
                    repository: repository.id.clone(),
                    url: shown_url(place),
                    source: Box::new(source),
                }
            } else {
                source.into()
            }
        })?;
    let named = repository.key.all();
    let armored: String = named
        .iter()
        .filter_map(|name| keys.get(name))
        .map(|key| key.armored.as_str())
        .collect();
    sign::verify_detached(&text, &signature, &armored).map_err(|source| Error::Signature {
        repository: repository.id.clone(),
        url: shown_url(place),
        key: named.join("` or `"),
        source: Box::new(source),
    })?;
    Ok(text)
}

fn pin(file: &MetadataFile, path: &Path, from: &str) -> Result<FilePin, Error> {
    let size = fs::metadata(path).map_err(at(path))?.len();
    Ok(FilePin {
        file: base_name(&file.href),
        size,
        sha256: file.sha256.to_string(),
        uri: from.to_owned(),
    })
}

fn base_name(href: &str) -> String {
    href.rsplit('/').next().unwrap_or(href).to_owned()
}

/// A repository of metadata alone: the files of the store and a `repomd.xml` that names only these. dnf sees this folder and nothing of
/// the store.
fn local_copy(files: &[(MetadataFile, PathBuf)], folder: &Path) -> Result<(), Error> {
    let repodata = folder.join("repodata");
    fs::create_dir_all(&repodata).map_err(at(&repodata))?;
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n",
    );
    for (file, path) in files {
        // dnf tells the compression by the end of the name; the rest of it is ours.
        let name = local_name(file);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "<data type=\"{}\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{name}\"/></data>",
            file.kind, file.sha256
        );
        let link = repodata.join(&name);
        if fs::hard_link(path, &link).is_err() {
            lustre_files::copy(path, &link).map_err(at(&link))?;
        }
    }
    text.push_str("</repomd>\n");
    let path = repodata.join("repomd.xml");
    Ok(fs::write(&path, text).map_err(at(&path))?)
}

/// `primary.xml.gz`, `modules.yaml.zst`: a name without anything that a mirror chose, but for how it is compressed.
fn local_name(file: &MetadataFile) -> String {
    let format = if file.kind == MODULES { "yaml" } else { "xml" };
    let end = match Compression::of_name(&file.href) {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Xz => ".xz",
        Compression::Zstd => ".zst",
        Compression::Bzip2 => ".bz2",
    };
    format!("{}.{format}{end}", file.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Digest;

    #[test]
    fn a_local_copy_names_only_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let content = dir.path().join("content");
        fs::write(&content, "x").unwrap();
        let file = |kind: &str, href: &str| MetadataFile {
            kind: kind.to_owned(),
            href: href.to_owned(),
            sha256: Digest::of_bytes(b"x"),
            size: None,
        };
        let files = [
            (
                file("primary", "repodata/1-p\"&rimary.xml.gz"),
                content.clone(),
            ),
            (
                file("modules", "repodata/2-modules.yaml.zst"),
                content.clone(),
            ),
            (file("filelists", "repodata/filelists.xml"), content),
        ];
        let copy = dir.path().join("copy");
        local_copy(&files, &copy).unwrap();
        let text = fs::read(copy.join("repodata/repomd.xml")).unwrap();
        let read = files_of(&text, FOR_DNF).unwrap();
        let hrefs: Vec<&str> = read.iter().map(|file| file.href.as_str()).collect();
        assert_eq!(
            hrefs,
            [
                "repodata/primary.xml.gz",
                "repodata/modules.yaml.zst",
                "repodata/filelists.xml"
            ]
        );
        for href in hrefs {
            assert_eq!(fs::read_to_string(copy.join(href)).unwrap(), "x");
        }
    }
}
