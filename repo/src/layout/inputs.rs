//! Where a package goes, decided from its header.

use std::path::{Path, PathBuf};

use rpm::PackageMetadata;

use super::Error;

/// The part of the tree a package belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Packages that servers install.
    Binary,
    /// Debug symbols and their sources.
    Debuginfo,
    /// Source packages.
    Source,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Binary, Self::Debuginfo, Self::Source];

    /// The folder at the top of the tree: a dnf repository of its own.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Binary => "x86_64",
            Self::Debuginfo => "x86_64-debuginfo",
            Self::Source => "source",
        }
    }

    /// The kind of a binary package, by its name: rpmbuild names debug packages `…-debuginfo` and `…-debugsource`, and the
    /// kernel's spec has `kernel-debuginfo-common-x86_64` besides.
    pub fn of_name(name: &str) -> Self {
        if name.ends_with("-debuginfo")
            || name.ends_with("-debugsource")
            || name.contains("-debuginfo-common")
        {
            Self::Debuginfo
        } else {
            Self::Binary
        }
    }
}

/// What the layout needs to know of a package.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) nevra: String,
    /// `name-version-release.arch.rpm`, whatever the input file is called.
    pub(super) file_name: String,
    /// Seconds since 1970.
    pub(super) build_time: u64,
    /// What it says of its licence.
    pub(super) license: String,
}

/// Reads a package's header.
pub(super) fn read(path: &Path) -> Result<Header, Error> {
    let error = |source| Error::Package {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let metadata = lustre_rpm_header::metadata(path).map_err(error)?;
    let parts = Parts::of(&metadata).map_err(error)?;
    let Parts {
        name,
        version,
        release,
        arch,
        ..
    } = &parts;
    let source = arch == "src";
    if !["src", "x86_64", "noarch"].contains(&arch.as_str()) {
        return Err(Error::Architecture {
            path: path.to_owned(),
            arch: arch.clone(),
        });
    }
    // These become a path; rpm allows no slash in them, a broken header may have one.
    if [name, version, release]
        .iter()
        .any(|part| part.contains('/'))
    {
        return Err(Error::Name {
            path: path.to_owned(),
        });
    }
    Ok(Header {
        kind: if source {
            Kind::Source
        } else {
            Kind::of_name(name)
        },
        nevra: parts.nevra(),
        file_name: format!("{name}-{version}-{release}.{arch}.rpm"),
        build_time: metadata.get_build_time().map_err(error)?,
        license: metadata.get_license().unwrap_or_default().to_owned(),
    })
}

/// Name, epoch, version, release and architecture.
struct Parts {
    name: String,
    epoch: u32,
    version: String,
    release: String,
    arch: String,
}

impl Parts {
    fn of(metadata: &PackageMetadata) -> Result<Self, rpm::Error> {
        Ok(Self {
            name: metadata.get_name()?.to_owned(),
            // No epoch is epoch 0.
            epoch: metadata.get_epoch().unwrap_or(0),
            version: metadata.get_version()?.to_owned(),
            release: metadata.get_release()?.to_owned(),
            arch: if metadata.is_source_package() {
                "src".to_owned()
            } else {
                metadata.get_arch()?.to_owned()
            },
        })
    }

    fn nevra(&self) -> String {
        let epoch = match self.epoch {
            0 => String::new(),
            epoch => format!("{epoch}:"),
        };
        format!(
            "{}-{epoch}{}-{}.{}",
            self.name, self.version, self.release, self.arch
        )
    }
}

/// `name-[epoch:]version-release.arch` of a package; the architecture of a source package is `src`.
pub fn nevra(metadata: &PackageMetadata) -> Result<String, rpm::Error> {
    Parts::of(metadata).map(|parts| parts.nevra())
}

/// The same of the package at `path`.
pub fn nevra_of(path: &Path) -> Result<String, Error> {
    read(path).map(|header| header.nevra)
}

/// The path of a package in the tree.
pub(super) fn location(header: &Header) -> PathBuf {
    Path::new(header.kind.folder())
        .join("Packages")
        .join(&header.file_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_packages_are_known_by_name() {
        for (name, kind) in [
            ("kernel-core", Kind::Binary),
            ("kernel-debuginfo", Kind::Debuginfo),
            ("kernel-debuginfo-common-x86_64", Kind::Debuginfo),
            ("kernel-debug-core", Kind::Binary),
            ("lustre-debugsource", Kind::Debuginfo),
            ("lustre-osd-ldiskfs-mount-debuginfo", Kind::Debuginfo),
        ] {
            assert_eq!(Kind::of_name(name), kind, "{name}");
        }
    }
}
