//! What the headers of a package say of it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use lustre_rpm_header::Headers;

use super::names;
use super::submit::hex;

/// Name, epoch, version, release and architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nevra {
    pub name: String,
    /// None where the header has none.
    pub epoch: Option<u64>,
    pub version: String,
    pub release: String,
    pub arch: String,
}

impl Nevra {
    /// The name of the package's file.
    pub fn file_name(&self) -> String {
        let Self {
            name,
            version,
            release,
            arch,
            ..
        } = self;
        format!("{name}-{version}-{release}.{arch}.rpm")
    }

    /// rpm's `%{NEVRA}` as it is written here: no epoch and the epoch 0 are the same to rpm, which writes what the header has.
    pub fn normalized(of_rpm: &str) -> String {
        of_rpm.replacen("-0:", "-", 1)
    }
}

/// `name-[epoch:]version-release.arch`, without an epoch 0.
impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            version,
            release,
            arch,
            ..
        } = self;
        match self.epoch {
            None | Some(0) => write!(f, "{name}-{version}-{release}.{arch}"),
            Some(epoch) => write!(f, "{name}-{epoch}:{version}-{release}.{arch}"),
        }
    }
}

/// What a header says of a package.
#[derive(Debug)]
pub struct Header {
    pub nevra: Nevra,
    /// The MD5 of header and payload, in lower-case hexadecimal: by it, services and mock know a package.
    pub sigmd5: Option<String>,
    pub license: String,
    pub(super) disturl: String,
    /// The file name of its source package.
    pub(super) source: String,
    pub(super) requires: BTreeSet<String>,
    pub(super) provides: BTreeSet<String>,
}

/// rpm's numbers of the tags.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCERPM: u32 = 1044;
const PROVIDENAME: u32 = 1047;
const REQUIRENAME: u32 = 1049;
const DISTURL: u32 = 1123;

impl Header {
    /// That of the package at `path`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let (headers, _) = Headers::open(path).map_err(|error| error.to_string())?;
        let text = |tag| -> Result<String, String> {
            let text = headers.text(tag)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(text).into_owned())
        };
        let all = |tag| -> Result<BTreeSet<String>, String> {
            let texts = headers.texts(tag)?.into_iter();
            Ok(texts
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect())
        };
        let part = |what: &str, tag| {
            let found = text(tag)?;
            match names::is_package_part(&found) {
                true => Ok(found),
                false => Err(format!("its {what} cannot be `{}`", names::line(&found))),
            }
        };
        Ok(Self {
            nevra: Nevra {
                name: part("name", NAME)?,
                epoch: headers.number(EPOCH)?,
                version: part("version", VERSION)?,
                release: part("release", RELEASE)?,
                arch: part("architecture", ARCH)?,
            },
            sigmd5: headers.sigmd5().map(hex),
            license: text(LICENSE)?,
            disturl: text(DISTURL)?,
            source: text(SOURCERPM)?,
            requires: all(REQUIRENAME)?,
            provides: all(PROVIDENAME)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_epoch_and_the_epoch_0_are_written_alike() {
        let of = |epoch| Nevra {
            name: "a".to_owned(),
            epoch,
            version: "1".to_owned(),
            release: "2".to_owned(),
            arch: "noarch".to_owned(),
        };
        assert_eq!(of(None).to_string(), "a-1-2.noarch");
        assert_eq!(of(Some(0)).to_string(), "a-1-2.noarch");
        assert_eq!(of(Some(1)).to_string(), "a-1:1-2.noarch");
        assert_eq!(of(Some(1)).file_name(), "a-1-2.noarch.rpm");
        assert_eq!(Nevra::normalized("a-0:1-2.noarch"), "a-1-2.noarch");
        assert_eq!(Nevra::normalized("a-10:1-2.noarch"), "a-10:1-2.noarch");
    }
}
