//! The metadata of a distribution's repositories: believed by its signature, where there is one, and by the digests in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::keys::Key;
use super::{Error, at};
use crate::lock::FilePin;
use crate::sign;
use crate::source::repodata::{MetadataFile, files_of};
use crate::source::{Downloader, url};
use crate::target::{BaseRepository, Distribution};

/// What dnf needs to choose packages; neither changelogs nor groups nor advisories.
const FOR_DNF: &[&str] = &["primary", "filelists", "modules"];

/// Local copies of the metadata of all repositories.
#[derive(Debug, Default)]
pub struct Metadata {
    /// The folders with `repodata/` of those with binary packages: id and folder, in the target's order.
    pub binary: Vec<(String, PathBuf)>,
    /// The `primary` files of those with source packages: id and file, in the target's order.
    pub source: Vec<(String, PathBuf)>,
    /// Where each repository is, before mirrors, by its id.
    pub locations: BTreeMap<String, String>,
    /// The files with the modules of those that have some, by the repository's id; they are in the store.
    pub modules: BTreeMap<String, FilePin>,
}

/// Fetches the metadata of all repositories into `folder`, where each gets a folder `ID/repodata`.
///
/// # Errors
/// When a file cannot be fetched, its signature or digest is wrong, or it cannot be read.
pub fn metadata(
    downloader: &Downloader<'_>,
    distribution: &Distribution,
    keys: &BTreeMap<String, Key>,
    folder: &Path,
) -> Result<Metadata, Error> {
    let mut all = Metadata::default();
    for repository in &distribution.repository {
        let location = distribution.location(repository)?;
        let place = url::join(&location, "repodata/repomd.xml");
        let repomd = repomd(downloader, repository, &place, keys)?;
        let wanted = if repository.source {
            &["primary"]
        } else {
            FOR_DNF
        };
        let failed = |why: String| Error::Metadata {
            repository: repository.id.clone(),
            url: url::shown(&place),
            why,
        };
        let files = files_of(&repomd, wanted).map_err(failed)?;
        if !files.iter().any(|file| file.kind == "primary") {
            return Err(failed("it names no primary.xml".to_owned()));
        }
        let mut here = Vec::new();
        for file in files {
            let from = url::join(&location, &file.href);
            let path = downloader.file(
                &repository.id,
                std::slice::from_ref(&from),
                &file.sha256,
                file.size,
            )?;
            if file.kind == "modules" {
                let pin = pin(&file, &path, &from)?;
                all.modules.insert(repository.id.clone(), pin);
            }
            here.push((file, path));
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
    let signature = downloader.small(&repository.id, &format!("{place}.asc"))?;
    let armored = keys
        .get(&repository.key)
        .map(|key| key.armored.as_str())
        .unwrap_or_default();
    sign::verify_detached(&text, &String::from_utf8_lossy(&signature), armored).map_err(
        |source| Error::Signature {
            repository: repository.id.clone(),
            url: url::shown(place),
            key: repository.key.clone(),
            source: Box::new(source),
        },
    )?;
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

/// A repository of metadata alone: links to the files in the store and a `repomd.xml` that names only these.
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
        std::os::unix::fs::symlink(path, &link).map_err(at(&link))?;
    }
    text.push_str("</repomd>\n");
    let path = repodata.join("repomd.xml");
    fs::write(&path, text).map_err(at(&path))
}

/// `primary.xml.gz`, `modules.yaml.zst`: a name without anything that a mirror chose, but for how it is compressed.
fn local_name(file: &MetadataFile) -> String {
    let format = if file.kind == "modules" {
        "yaml"
    } else {
        "xml"
    };
    let compression = ["gz", "xz", "zst", "bz2"]
        .into_iter()
        .find(|end| file.href.ends_with(&format!(".{end}")));
    match compression {
        Some(end) => format!("{}.{format}.{end}", file.kind),
        None => format!("{}.{format}", file.kind),
    }
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
