//! Small packages for names of Enterprise Linux that the rehearsal has no package for.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lustre_packaging::sign::{Key, sign_package};
use rpm::Dependency;

/// A package without files.
#[derive(Debug, Clone, Default)]
pub struct Small<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its release.
    pub release: &'a str,
    /// `x86_64` or `noarch`.
    pub arch: &'a str,
    /// Names of what it requires, each in any version.
    pub requires: &'a [&'a str],
    /// Names of what it requires in its own version and release.
    pub same: &'a [&'a str],
    /// Names that it provides.
    pub provides: &'a [&'a str],
}

impl Small<'_> {
    /// Writes it into `folder`, signed.
    ///
    /// # Errors
    /// When it cannot be made, written or signed.
    pub fn write(&self, folder: &Path, key: &Key) -> Result<PathBuf> {
        let Self {
            name,
            version,
            release,
            arch,
            ..
        } = self;
        let mut builder = rpm::PackageBuilder::new(
            name,
            version,
            "GPL-2.0-or-later",
            arch,
            "Stand-in for a package of Enterprise Linux",
        );
        builder
            .release(*release)
            .using_config(
                rpm::BuildConfig::v4()
                    .compression(rpm::CompressionType::Gzip)
                    .source_date(super::TIME),
            )
            .build_host("stand-in")
            .description("It has no files; it is here for its name.");
        for required in self.requires {
            builder.requires(Dependency::any(*required));
        }
        for required in self.same {
            builder.requires(Dependency::eq(*required, format!("{version}-{release}")));
        }
        for provided in self.provides {
            builder.provides(Dependency::any(*provided));
        }
        let file = format!("{name}-{version}-{release}.{arch}.rpm");
        let unsigned = tempfile::tempdir()?;
        let path = unsigned.path().join(&file);
        builder.build()?.write_file(&path)?;
        let signed = folder.join(&file);
        sign_package(&path, &signed, key, super::TIME)?;
        Ok(signed)
    }
}
