//! Source packages from a dnf source repository: its metadata is believed only by its signature, a package by its digest
//! there and by its own signature.

use std::io::BufReader;
use std::path::Path;

use lustre_files::shown_url;

use super::model::version_fits;
use super::repodata::{SourcePackage, primary_of, source_packages};
use super::{Downloader, Error, SrpmSource, url};
use crate::archive;
use crate::sign::{self, PublicKey, Purpose};
use crate::store::PathError;

/// The keys that a source repository may be signed with.
pub(super) struct Keys {
    keys: Vec<PublicKey>,
}

impl Keys {
    /// Reads the keys of a source from its file in `folder`; with a fingerprint, only that one.
    pub(super) fn read(source: &str, srpm: &SrpmSource, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(&srpm.key);
        let failed = |error| Error::Signature {
            source_name: source.to_owned(),
            what: format!("the keys in {}", path.display()),
            source: Box::new(error),
        };
        let text = lustre_files::read(&path, lustre_files::TEXT)
            .map_err(|source| PathError::new("read", &path, source))?;
        let mut keys = PublicKey::parse_many(&text).map_err(failed)?;
        let Some(fingerprint) = &srpm.fingerprint else {
            return Ok(Self { keys });
        };
        let wanted = fingerprint.replace(' ', "").to_uppercase();
        let found: Vec<String> = keys.iter().map(PublicKey::fingerprint).collect();
        keys.retain(|key| key.fingerprint() == wanted);
        if keys.is_empty() {
            return Err(Error::Invalid {
                source_name: source.to_owned(),
                why: format!(
                    "{} has no key with the fingerprint {wanted}; it has {}",
                    path.display(),
                    found.join(", ")
                )
                .into(),
            });
        }
        for key in &keys {
            key.check_for(Purpose::Distribution).map_err(failed)?;
        }
        Ok(Self { keys })
    }

    fn check_metadata(
        &self,
        source: &str,
        repomd_url: &str,
        repomd: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        sign::verify_detached_by(repomd, signature, &self.keys)
            .map(drop)
            .map_err(|error| Error::Signature {
                source_name: source.to_owned(),
                what: format!("the signature of {}", shown_url(repomd_url)),
                source: Box::new(error),
            })
    }

    /// That a package is whole and signed by one of the keys.
    pub(super) fn check_package(&self, source: &str, path: &Path, what: &str) -> Result<(), Error> {
        sign::verify_package_by(path, &self.keys)
            .map(drop)
            .map_err(|error| Error::Signature {
                source_name: source.to_owned(),
                what: format!("the signature of {what}"),
                source: Box::new(error),
            })
    }
}

/// Finds the package in the repository: the version asked for, otherwise the newest.
pub(super) fn find(
    downloader: &Downloader<'_>,
    source: &str,
    srpm: &SrpmSource,
    keys: &Keys,
) -> Result<SourcePackage, Error> {
    let below = |href: &str| url::join(source, &srpm.repository, href);
    let repomd_url = below("repodata/repomd.xml")?;
    let repomd = downloader.small(source, &repomd_url)?;
    let signature = downloader.small(source, &format!("{repomd_url}.asc"))?;
    keys.check_metadata(source, &repomd_url, &repomd, &signature)?;
    let metadata = |url: &str, why| Error::Metadata {
        source_name: source.to_owned(),
        url: shown_url(url),
        why,
    };
    let primary = primary_of(&repomd).map_err(|why| metadata(&repomd_url, why))?;
    let primary_url = below(&primary.href)?;
    let file = downloader.file(
        source,
        std::slice::from_ref(&primary_url),
        &primary.sha256,
        primary.size,
    )?;
    let packages = read_primary(source, &file, &srpm.package)
        .and_then(|read| read.map_err(|why| metadata(&primary_url, why)))?;
    choose(packages, srpm.version.as_deref()).map_err(|found| Error::NoPackage {
        source_name: source.to_owned(),
        repository: shown_url(&srpm.repository),
        wanted: match &srpm.version {
            Some(version) => format!("{} {version}", srpm.package),
            None => srpm.package.clone(),
        },
        found,
    })
}

pub(crate) fn read_primary(
    source: &str,
    file: &Path,
    name: &str,
) -> Result<Result<Vec<SourcePackage>, String>, Error> {
    let content = archive::open(file).map_err(|error| Error::Archive {
        source_name: source.to_owned(),
        source: Box::new(error),
    })?;
    Ok(source_packages(BufReader::new(content), name))
}

/// The newest of the packages that fit; otherwise the versions there are, oldest first.
pub(crate) fn choose(
    mut packages: Vec<SourcePackage>,
    version: Option<&str>,
) -> Result<SourcePackage, Vec<String>> {
    packages.sort_by(|a, b| a.evr().cmp(&b.evr()));
    let fits = |package: &SourcePackage| {
        version.is_none_or(|version| version_fits(&package.evr(), version))
    };
    match packages.iter().rposition(fits) {
        Some(at) => Ok(packages.swap_remove(at)),
        None => Err(packages.iter().map(SourcePackage::nevra).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(epoch: &str, version: &str, release: &str) -> SourcePackage {
        SourcePackage {
            name: "kernel".to_owned(),
            epoch: epoch.to_owned(),
            version: version.to_owned(),
            release: release.to_owned(),
            ..SourcePackage::default()
        }
    }

    #[test]
    fn the_newest_is_the_newest_for_rpm() {
        let all = || {
            vec![
                package("0", "4.18.0", "553.22.1.el8_10"),
                package("0", "4.18.0", "553.100.1.el8_10"),
                package("0", "4.18.0", "553.el8_10"),
            ]
        };
        let newest = choose(all(), None).unwrap();
        assert_eq!(newest.nevra(), "kernel-4.18.0-553.100.1.el8_10.src");
        let pinned = choose(all(), Some("4.18.0-553.22.1.el8_10")).unwrap();
        assert_eq!(pinned.release, "553.22.1.el8_10");
        let mut with_epoch = all();
        with_epoch.push(package("1", "3.10", "1"));
        let newest = choose(with_epoch, None).unwrap();
        assert_eq!(newest.nevra(), "kernel-1:3.10-1.src");
        let found = choose(all(), Some("5.14.0")).unwrap_err();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], "kernel-4.18.0-553.el8_10.src");
    }
}
