//! What may have been in a build root: packages by their SIGMD5, the MD5 over header and payload.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::answers::{Bdep, Buildenv};
use super::submit::hex;
use super::{Error, Place};

/// Packages that may have been in a build root: by name, and by SIGMD5, what they are.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<String, BTreeMap<String, String>>);

/// A package of a build root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltWith {
    pub nevra: String,
    pub sigmd5: String,
}

/// What a header says of a package.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: String,
    /// `name-[epoch:]version-release.arch`.
    pub(super) nevra: String,
    pub(super) file_name: String,
    pub(super) sigmd5: Option<String>,
    pub(super) disturl: String,
    /// The file name of its source package.
    pub(super) source: String,
}

/// rpm's numbers of the tags.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;
const SOURCERPM: u32 = 1044;
const DISTURL: u32 = 1123;

impl Header {
    /// That of the package at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let (headers, _) =
            lustre_rpm_header::Headers::open(path).map_err(|error| error.to_string())?;
        let text = |tag| -> Result<String, String> {
            let text = headers.text(tag)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(text).into_owned())
        };
        let part = |what: &str, tag| {
            let found = text(tag)?;
            match super::names::is_package_part(&found) {
                true => Ok(found),
                false => Err(format!(
                    "its {what} cannot be `{}`",
                    super::names::line(&found)
                )),
            }
        };
        let (name, version) = (part("name", NAME)?, part("version", VERSION)?);
        let (release, arch) = (part("release", RELEASE)?, part("architecture", ARCH)?);
        let epoch = match headers.number(EPOCH)? {
            None | Some(0) => String::new(),
            Some(epoch) => format!("{epoch}:"),
        };
        Ok(Self {
            nevra: format!("{name}-{epoch}{version}-{release}.{arch}"),
            file_name: format!("{name}-{version}-{release}.{arch}.rpm"),
            name,
            sigmd5: headers.sigmd5().map(hex),
            disturl: text(DISTURL)?,
            source: text(SOURCERPM)?,
        })
    }
}

impl Known {
    /// Adds the package at `path`; one that has no such digest is none that could be known by it.
    pub fn add(&mut self, path: &Path) -> Result<(), Error> {
        let header = Header::read(path).map_err(|message| crate::build::Error::Package {
            path: path.to_owned(),
            message,
        })?;
        let known = self.0.entry(header.name).or_default();
        known.extend(header.sigmd5.map(|md5| (md5, header.nevra)));
        Ok(())
    }

    /// That a build root had none but these; and what it had, each as its NEVRA and its SIGMD5.
    pub(super) fn check(
        &self,
        place: &Place,
        buildenv: &Buildenv,
    ) -> Result<BTreeSet<BuiltWith>, Error> {
        let refused = |one: &Bdep, why: String, help| Error::BuiltWith {
            package: place.package.clone(),
            place: place.to_string(),
            with: one.name.clone(),
            why,
            help,
        };
        let mut found = BTreeSet::new();
        for one in &buildenv.packages {
            let Some(known) = self.0.get(&one.name) else {
                return Err(refused(
                    one,
                    "which is none of the packages that the lock pins, and none of this project"
                        .to_owned(),
                    "the base project of the server has more than the lock: where it has moved on, `cargo xtask lock --update` pins what the mirrors have now",
                ));
            };
            let Some(nevra) = known.get(&one.sigmd5) else {
                let known: Vec<String> = known
                    .iter()
                    .map(|(sigmd5, nevra)| format!("{nevra} with {sigmd5}"))
                    .collect();
                return Err(refused(
                    one,
                    format!(
                        "another package than the one of this name here: its SIGMD5 is {}, and here is {}",
                        one.sigmd5,
                        match known[..] {
                            [] => "one that has none".to_owned(),
                            _ => known.join(" or "),
                        }
                    ),
                    "where the base project of the server has moved on, `cargo xtask lock --update` pins what the mirrors have now; where it is \
                     frozen or behind them, have it brought to the state of the lock; where it has this very version, the package is another one: \
                     ask whoever runs the server where it is from",
                ));
            };
            found.insert(BuiltWith {
                nevra: nevra.clone(),
                sigmd5: one.sigmd5.clone(),
            });
        }
        Ok(found)
    }
}
