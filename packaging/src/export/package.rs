//! Source packages, and what their buildroots hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::at;
use lustre_rpm_header::metadata;
use rpm::{IndexTag, PackageMetadata};

use super::Error;
use crate::build::roots::KERNEL_DEVEL;
use crate::build::rpmbuild::packages_under;
use crate::obs::{Header, Nevra};

/// A package of a buildroot, by what a service knows it by, and its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    pub nevra: Nevra,
    pub sigmd5: String,
    pub path: PathBuf,
    pub license: String,
}

/// The packages below `folder`, by their NEVRA.
pub fn known(folder: &Path) -> Result<BTreeMap<String, Known>, Error> {
    let mut all = BTreeMap::new();
    for path in packages_under(folder).map_err(|error| Error::Package {
        path: folder.to_owned(),
        message: error.to_string(),
    })? {
        let header = Header::read(&path).map_err(|message| Error::Package {
            path: path.clone(),
            message,
        })?;
        let Some(sigmd5) = header.sigmd5 else {
            return Err(Error::NoSigmd5 { path });
        };
        let one = Known {
            nevra: header.nevra,
            sigmd5,
            path,
            license: header.license,
        };
        all.insert(one.nevra.to_string(), one);
    }
    Ok(all)
}

/// A source package as a stage left it, and its buildroot.
#[derive(Debug, Clone)]
pub struct SourcePackage {
    /// What the target calls it.
    pub name: String,
    pub path: PathBuf,
    /// The time of everything in what is built of it.
    pub time: u32,
    /// What of its buildroot is the distribution's, sorted.
    pub buildroot: Vec<Known>,
    /// What of its buildroot was built here before it, sorted.
    pub built: Vec<Nevra>,
    /// The files of what of that is built of no source package that is exported: the ext4 source of a distribution's own kernel.
    pub carried: Vec<PathBuf>,
}

impl SourcePackage {
    /// The source package at `path`, whose buildroot holds the packages that the text `installed` lists, as
    /// [`TargetDnf::installed`](crate::buildroot::TargetDnf::installed) gives them: those of `base`, and those with a name of `built`.
    pub fn new(
        name: &str,
        path: PathBuf,
        installed: &str,
        base: &BTreeMap<String, Known>,
        built: &BTreeMap<String, Known>,
    ) -> Result<Self, Error> {
        let metadata = read(&path)?;
        let tag = IndexTag::RPMTAG_BUILDTIME;
        let time = metadata.header.get_entry_data_as_u32(tag);
        let time = time.map_err(bad(&path))?;
        let mut one = Self {
            name: name.to_owned(),
            path,
            time,
            buildroot: Vec::new(),
            built: Vec::new(),
            carried: Vec::new(),
        };
        for line in installed.lines() {
            let nevra = Nevra::normalized(line.split(' ').next().unwrap_or_default());
            // What was built takes the place of the distribution's.
            match (built.get(&nevra), base.get(&nevra)) {
                (Some(known), _) => one.built.push(known.nevra.clone()),
                (None, Some(known)) => one.buildroot.push(known.clone()),
                (None, None) => {
                    return Err(Error::Unknown {
                        package: name.to_owned(),
                        nevra,
                    });
                }
            }
        }
        one.buildroot.sort();
        one.built.sort();
        Ok(one)
    }

    /// `VERSION-RELEASE` of the distribution's kernel that it is built against; none where it is built against one that was built here,
    /// or against none.
    pub fn own_kernel(&self) -> Option<String> {
        let mut all = self.buildroot.iter().map(|known| &known.nevra);
        let kernel = all.find(|nevra| nevra.name == KERNEL_DEVEL)?;
        Some(format!("{}-{}", kernel.version, kernel.release))
    }

    /// What of its buildroot was built here before it, as dnf takes it.
    pub fn built_names(&self) -> Vec<String> {
        self.built.iter().map(Nevra::to_string).collect()
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Copies its file into `folder`, which is made.
    pub fn put_into(&self, folder: &Path) -> Result<(), Error> {
        copied(&self.path, folder)
    }

    /// Copies what is carried with it into `folder`, which is made where there is any.
    pub fn carry_into(&self, folder: &Path) -> Result<(), Error> {
        self.carried
            .iter()
            .try_for_each(|path| copied(path, folder))
    }
}

/// The name of the spec file of the source package at `path`, without its end, and the time of everything in what is built of it.
pub(super) fn spec_and_time(path: &Path) -> Result<(String, u32), Error> {
    let wrong = bad(path);
    let metadata = read(path)?;
    let files = metadata.get_file_paths().map_err(&wrong)?;
    let mut names = files
        .iter()
        .filter_map(|file| file.to_str()?.strip_suffix(".spec"));
    let spec = names.next().ok_or_else(|| Error::Package {
        path: path.to_owned(),
        message: "it has no spec file".to_owned(),
    })?;
    let spec = spec.rsplit('/').next().unwrap_or(spec).to_owned();
    let tag = IndexTag::RPMTAG_BUILDTIME;
    let time = metadata.header.get_entry_data_as_u32(tag).map_err(wrong)?;
    Ok((spec, time))
}

fn copied(path: &Path, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let to = folder.join(path.file_name().unwrap_or_default());
    lustre_files::copy(path, to).map_err(at(path))?;
    Ok(())
}

fn read(path: &Path) -> Result<PackageMetadata, Error> {
    metadata(path).map_err(bad(path))
}

fn bad(path: &Path) -> impl Fn(rpm::Error) -> Error {
    |error| Error::Package {
        path: path.to_owned(),
        message: error.to_string(),
    }
}
