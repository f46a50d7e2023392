//! The kernel's source package in the source repositories.

use rpm_version::Evr;

use super::Error;
use super::metadata::Metadata;
use crate::lock::FilePin;
use crate::source::repodata;
use crate::source::{srpm as package, url};

/// A source package that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePackage {
    /// Its file.
    pub pin: FilePin,
    /// `version-release`.
    pub version: String,
    /// `version-release` of the newest one there is.
    pub newest: String,
    /// The repository that has it.
    pub repository: String,
}

impl SourcePackage {
    /// Whether it is older than `version`, a `version-release`.
    pub fn is_older_than(&self, version: &str) -> bool {
        Evr::parse(&self.version) < Evr::parse(version)
    }
}

/// Finds the source package `name` in the version asked for, otherwise the newest of all source repositories.
pub fn srpm(
    metadata: &Metadata,
    name: &str,
    version: Option<&str>,
) -> Result<SourcePackage, Error> {
    let all = listed(metadata, name)?;
    let packages = || all.iter().map(|(_, one)| one.clone()).collect();
    let chosen = package::choose(packages(), version).map_err(|found| Error::NoSourcePackage {
        wanted: match version {
            Some(version) => format!("{name}-{version}"),
            None => name.to_owned(),
        },
        repositories: metadata.source.iter().map(|(id, _)| id.clone()).collect(),
        found,
    })?;
    let newest = package::choose(packages(), None).unwrap_or_else(|_| chosen.clone());
    let newest = version_of(&newest);
    let found = all.into_iter().find(|(_, one)| *one == chosen);
    let repository = found.map(|(id, _)| id).unwrap_or_default();
    pinned(metadata, repository, &chosen, newest)
}

/// All source packages called `name`, in the order of the repositories.
pub fn srpms(metadata: &Metadata, name: &str) -> Result<Vec<SourcePackage>, Error> {
    let all = listed(metadata, name)?;
    let packages = all.iter().map(|(_, one)| one.clone()).collect();
    let newest = package::choose(packages, None);
    let newest = newest.as_ref().map(version_of).unwrap_or_default();
    all.into_iter()
        .map(|(repository, one)| pinned(metadata, repository, &one, newest.clone()))
        .collect()
}

fn version_of(one: &repodata::SourcePackage) -> String {
    format!("{}-{}", one.version, one.release)
}

fn listed(
    metadata: &Metadata,
    name: &str,
) -> Result<Vec<(String, repodata::SourcePackage)>, Error> {
    let mut all = Vec::new();
    for (id, primary) in &metadata.source {
        let found = package::read_primary(id, primary, name)?.map_err(|why| Error::Metadata {
            repository: id.clone(),
            url: primary.display().to_string(),
            why,
        })?;
        all.extend(found.into_iter().map(|one| (id.clone(), one)));
    }
    Ok(all)
}

fn pinned(
    metadata: &Metadata,
    repository: String,
    chosen: &repodata::SourcePackage,
    newest: String,
) -> Result<SourcePackage, Error> {
    let Some(sha256) = chosen.sha256 else {
        return Err(Error::Checksum {
            repository,
            package: chosen.nevra(),
            checksum: "none that is sha256".to_owned(),
        });
    };
    let location = metadata
        .locations
        .get(&repository)
        .map(String::as_str)
        .unwrap_or_default();
    Ok(SourcePackage {
        version: version_of(chosen),
        newest,
        pin: FilePin {
            file: chosen
                .href
                .rsplit('/')
                .next()
                .unwrap_or(&chosen.href)
                .to_owned(),
            size: chosen.size,
            sha256: sha256.to_string(),
            uri: url::join(&repository, location, &chosen.href)?,
        },
        repository,
    })
}
