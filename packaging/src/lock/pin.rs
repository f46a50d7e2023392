//! Pins: files of a distribution's archive, exactly.

use serde::{Deserialize, Serialize};

/// A binary package, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "RawPackage")]
pub struct PackagePin {
    /// The package's name.
    pub name: String,
    /// Its version: Debian's with the epoch, or rpm's `epoch:version-release`, without an epoch of 0.
    pub version: String,
    /// Its architecture: `amd64` or `all`, and of RPMs `x86_64` or `noarch`.
    pub arch: String,
    #[serde(flatten)]
    pub file: FilePin,
}

/// A package as it is written: a table within a table cannot say which keys there are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: String,
    version: String,
    arch: String,
    file: String,
    size: u64,
    sha256: String,
    uri: String,
}

impl From<RawPackage> for PackagePin {
    fn from(written: RawPackage) -> Self {
        Self {
            name: written.name,
            version: written.version,
            arch: written.arch,
            file: FilePin {
                file: written.file,
                size: written.size,
                sha256: written.sha256,
                uri: written.uri,
            },
        }
    }
}

/// A file of the archive, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePin {
    /// Its name, without a directory.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA256, in hexadecimal.
    pub sha256: String,
    /// Where it was when it was pinned, before any mirror.
    pub uri: String,
}
