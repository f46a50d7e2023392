//! What the packages that are made here, and not by rpmbuild, have in common: noarch, a few small files, and the same bytes for the
//! same inputs. Unsigned: they are signed with all others.

use rpm::{BuildConfig, CompressionType, PackageBuilder};

/// A package that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot build {name}-{version}-{release}: {source}")]
    Build {
        name: &'static str,
        version: String,
        release: String,
        /// What rpm-rs says.
        source: Box<rpm::Error>,
    },
    #[error("the source date epoch {0} does not fit into an RPM header (it ends in 2106)")]
    Time(u64),
}

/// What it is called, and when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// The package's name.
    pub name: &'static str,
    /// The version; it must grow whenever the content changes, or servers keep what they have.
    pub version: &'a str,
    /// The release, with the distribution's tag: `1.el8`.
    pub release: &'a str,
    /// The build time, in seconds since 1970.
    pub source_date_epoch: u64,
}

/// A built, unsigned package.
#[derive(Clone, Debug)]
pub struct Built {
    /// `NAME-VERSION-RELEASE.noarch.rpm`.
    pub file_name: String,
    /// The whole RPM file.
    pub bytes: Vec<u8>,
}

impl Numbers<'_> {
    /// Builds the package that `fill` puts together.
    pub(crate) fn build(
        &self,
        summary: &str,
        change: &str,
        fill: impl FnOnce(&mut PackageBuilder) -> Result<(), rpm::Error>,
    ) -> Result<Built, Error> {
        let time = u32::try_from(self.source_date_epoch)
            .map_err(|_| Error::Time(self.source_date_epoch))?;
        let error = |source| Error::Build {
            name: self.name,
            version: self.version.to_owned(),
            release: self.release.to_owned(),
            source: Box::new(source),
        };
        let mut builder = PackageBuilder::new(
            self.name,
            self.version,
            "GPL-2.0-or-later",
            "noarch",
            summary,
        );
        builder
            .using_config(
                BuildConfig::v4()
                    .source_date(time)
                    // gzip: every rpm can unpack it, and there is nothing to gain on a few small files.
                    .compression(CompressionType::Gzip),
            )
            .release(self.release)
            .vendor("lustre-repo")
            .packager("lustre-repo")
            .group("System Environment/Base")
            .build_host("lustre-repo")
            .add_changelog_entry(
                format!("lustre-repo - {}-{}", self.version, self.release),
                format!("- {change}"),
                time,
            );
        fill(&mut builder).map_err(error)?;
        let mut bytes = Vec::new();
        builder
            .build()
            .and_then(|mut package| {
                lustre_rpm_header::as_rpmbuild(&mut package)?;
                package.write(&mut bytes)
            })
            .map_err(error)?;
        Ok(Built {
            file_name: format!("{}-{}-{}.noarch.rpm", self.name, self.version, self.release),
            bytes,
        })
    }
}
