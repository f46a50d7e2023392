//! A kernel's tree in place of its source package: the files of the source package are in a folder of the tree, beside the kernel's own,
//! as public repositories of distributions' kernels have them. Or an unpacked source package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lustre_files::help;

use crate::archive;
use crate::source::{self, FetchedSource, Locked};
use crate::store::Store;

/// The spec that tells the folder.
const SPEC: &str = KernelTree::SPEC;

/// Where a tree says which release of a distribution it is.
const RELEASE: &str = "Makefile.rhelver";

/// A tree that is no kernel's, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(
        "the source `kernel`, {place}, {problem}{}",
        help!("it is the tree of a distribution's kernel with the files of its source package ({SPEC} and its configs) in one folder, or \
               the folder of an unpacked source package")
    )]
    Shape {
        /// Where it is.
        place: String,
        problem: String,
    },
}

/// What the files of a kernel's tree are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// The kernel's own files, and those of the source package in this folder.
    Tree(PathBuf),
    /// Those of a source package alone; the kernel's are in this archive.
    Unpacked(PathBuf),
}

/// A kernel's tree.
#[derive(Debug, Clone)]
pub struct KernelTree {
    fetched: FetchedSource,
    shape: Shape,
    /// The kernel's version: `5.14.0`.
    pub version: String,
    /// The release of the distribution's source package: `570.32.1.el9_6`.
    pub release: String,
}

impl KernelTree {
    /// The spec of its source package.
    pub const SPEC: &str = "kernel.spec";

    /// Looks at a source that is a folder or a commit.
    pub fn of(fetched: FetchedSource, store: &Store) -> Result<Self, Error> {
        let place = match &fetched.replaced {
            Some(by) => by.to_string(),
            None => fetched.name.clone(),
        };
        let wrong = |problem: String| Error::Shape {
            place: place.clone(),
            problem,
        };
        let paths = fetched.paths(store)?;
        let shape = shape(&paths).map_err(|problem| wrong(told(&fetched, problem)))?;
        let (version, release) = match &shape {
            Shape::Unpacked(archive) => version_of(archive).ok_or_else(|| {
                wrong(format!(
                    "has {}, whose name has no release",
                    archive.display()
                ))
            })?,
            Shape::Tree(_) => {
                let text = |file| fetched.text(store, file).map(Option::unwrap_or_default);
                let makefile = format!("{}\n{}", text("Makefile")?, text(RELEASE)?);
                release_of(&makefile).ok_or_else(|| {
                    wrong(format!(
                        "does not say in its Makefile and in {RELEASE} which kernel release it is"
                    ))
                })?
            }
        };
        Ok(Self {
            fetched,
            shape,
            version,
            release,
        })
    }

    /// The source.
    pub fn source(&self) -> &FetchedSource {
        &self.fetched
    }

    /// `%dist` of the release: `.el9_6`.
    pub fn dist(&self) -> String {
        let at = self.release.rfind(".el").unwrap_or(self.release.len());
        self.release[at..].to_owned()
    }

    /// Of the files whose content is missing, those of the source package, by their names there.
    pub fn missing_sources(&self) -> BTreeSet<String> {
        let missing = self.fetched.missing().iter();
        let names = missing.filter_map(|path| {
            let name = self.in_package(Path::new(path))?;
            Some(name.display().to_string())
        });
        names.collect()
    }

    /// The name that a file of the source package has there; none for one of the kernel's own.
    fn in_package<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        match &self.shape {
            Shape::Tree(folder) => path.strip_prefix(folder).ok(),
            Shape::Unpacked(_) => Some(path),
        }
    }

    /// Puts the files of the source package into `into`, a new folder, without the archive of the kernel.
    pub fn sources(
        &self,
        store: &Store,
        scratch: &Path,
        into: &Path,
        time: u64,
    ) -> Result<(), Error> {
        let takes = |path: &Path| match &self.shape {
            Shape::Tree(folder) => path.starts_with(folder),
            Shape::Unpacked(archive) => path != archive,
        };
        match &self.shape {
            Shape::Unpacked(_) => self.fetched.export_only(store, into, time, &takes)?,
            Shape::Tree(folder) => {
                let whole = scratch.join("package-files");
                self.fetched.export_only(store, &whole, time, &takes)?;
                let from = whole.join(folder);
                std::fs::rename(&from, into).map_err(|error| {
                    source::Error::from(crate::store::PathError::new("rename", &from, error))
                })?;
            }
        }
        Ok(())
    }

    /// Puts those of the kernel's own files into `into`, a new folder, that `takes` wants.
    pub fn parts(
        &self,
        store: &Store,
        scratch: &Path,
        into: &Path,
        time: u64,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        match &self.shape {
            Shape::Tree(folder) => {
                let own = |path: &Path| !path.starts_with(folder) && takes(path);
                self.fetched.export_only(store, into, time, &own)?;
            }
            Shape::Unpacked(archive) => {
                let folder = scratch.join("kernel-archive");
                self.fetched
                    .export_only(store, &folder, time, &|path| path == archive)?;
                archive::unpack_only(&folder.join(archive), into, 1, takes)?;
            }
        }
        Ok(())
    }

    /// The name of the archive that the spec knows.
    pub fn archive_name(&self) -> String {
        match &self.shape {
            Shape::Tree(_) => format!("linux-{}-{}.tar.xz", self.version, self.release),
            Shape::Unpacked(archive) => archive.display().to_string(),
        }
    }

    /// The archive of the kernel's own files, in `folder`. The same tree gives the same bytes.
    pub fn archive(&self, store: &Store, folder: &Path, time: u64) -> Result<PathBuf, Error> {
        let file = folder.join(self.archive_name());
        match &self.shape {
            Shape::Tree(package) => {
                let top = format!("linux-{}-{}", self.version, self.release);
                let own = |path: &Path| !path.starts_with(package);
                self.fetched.pack_only(store, &top, &file, time, &own)?;
            }
            Shape::Unpacked(archive) => {
                self.fetched
                    .export_only(store, folder, time, &|path| path == archive)?;
            }
        }
        Ok(file)
    }
}

/// What a tree with these files is; the error says what is wrong with it.
fn shape(paths: &[PathBuf]) -> Result<Shape, String> {
    let has = |wanted: &str| paths.iter().any(|path| path == Path::new(wanted));
    if has(SPEC) {
        let archives = paths.iter().filter(|path| version_of(path).is_some());
        return match archives.collect::<Vec<_>>()[..] {
            [archive] => Ok(Shape::Unpacked(archive.clone())),
            [] => Err(format!(
                "has {SPEC}, but no archive linux-VERSION-RELEASE.tar.xz of the kernel beside it"
            )),
            ref archives => Err(format!(
                "has {SPEC} with the archives of several kernels: {}",
                listed(archives.iter().map(|path| path.as_path()))
            )),
        };
    }
    let folders: Vec<&Path> = paths
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name == SPEC))
        .filter_map(|path| path.parent())
        .filter(|folder| folder.components().count() == 1)
        .collect();
    match folders[..] {
        [folder] if has("Makefile") => Ok(Shape::Tree(folder.to_owned())),
        [_] => Err("has no kernel Makefile".to_owned()),
        [] => Err(format!("has no folder with a {SPEC}")),
        _ => Err(format!(
            "has a {SPEC} in each of {}",
            listed(folders.iter().copied())
        )),
    }
}

fn listed<'p>(paths: impl Iterator<Item = &'p Path>) -> String {
    let names: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// What is wrong with a source that has not the shape of a kernel's, as `problem` says: it may be a file, or a clone of which no tag was
/// named.
fn told(source: &FetchedSource, problem: String) -> String {
    let Some(by) = &source.replaced else {
        return problem;
    };
    if by.path.is_file() {
        return "is a file. Unpack the source package into a new folder (`rpm2cpio FILE | cpio -id`), and give the folder"
            .to_owned();
    }
    if matches!(source.locked, Locked::Git { .. }) && by.rev.is_none() {
        return format!(
            "{problem} in the commit that is checked out (for a clone with a tag for each kernel, give the tag: kernel=PATH@TAG)"
        );
    }
    problem
}

/// Version and release in the name of a kernel's archive, `linux-5.14.0-570.32.1.el9_6.tar.xz`.
fn version_of(archive: &Path) -> Option<(String, String)> {
    let name = archive.to_str()?.strip_prefix("linux-")?;
    let (version, release) = name.split_once(".tar.")?.0.split_once('-')?;
    Some((version.to_owned(), release.to_owned()))
}

/// Version and release by the variables of a tree's makefiles.
pub(crate) fn release_of(makefile: &str) -> Option<(String, String)> {
    let value = |wanted: &str| {
        makefile.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == wanted).then(|| value.trim().to_owned())
        })
    };
    let number = |wanted: &str| value(wanted).filter(|value| !value.is_empty());
    let version = format!(
        "{}.{}.{}",
        number("VERSION")?,
        number("PATCHLEVEL")?,
        number("SUBLEVEL")?
    );
    let release = format!(
        "{}.el{}_{}",
        number("RHEL_RELEASE")?,
        number("RHEL_MAJOR")?,
        number("RHEL_MINOR")?
    );
    Some((version, release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_told_by_the_files() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let tree = paths(&[
            "Makefile",
            "fs/ext4/super.c",
            "distro/kernel.spec",
            "tools/a/b/kernel.spec",
        ]);
        assert_eq!(shape(&tree), Ok(Shape::Tree("distro".into())));
        let unpacked = paths(&[
            "kernel.spec",
            "linux-5.14.0-1.el9_6.tar.xz",
            "kernel-abi-5.tar.bz2",
        ]);
        assert_eq!(
            shape(&unpacked),
            Ok(Shape::Unpacked("linux-5.14.0-1.el9_6.tar.xz".into()))
        );
        for (names, part) in [
            (&["Makefile", "fs/a.c"][..], "no folder with a kernel.spec"),
            (&["distro/kernel.spec"], "no kernel Makefile"),
            (
                &["Makefile", "a/kernel.spec", "b/kernel.spec"],
                "each of a, b",
            ),
            (&["kernel.spec", "linux-6.1.tar.xz"], "no archive linux-"),
            (
                &[
                    "kernel.spec",
                    "linux-6.1-1.el9.tar.xz",
                    "linux-6.1-2.el9.tar.xz",
                ],
                "several kernels: linux-6.1-1.el9.tar.xz, linux-6.1-2.el9.tar.xz",
            ),
        ] {
            let error = shape(&paths(names)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_release_is_that_of_the_makefiles_or_of_the_archive() {
        let makefile = "VERSION = 4\nPATCHLEVEL = 18\nSUBLEVEL = 0\nRHEL_DRM_SUBLEVEL =\n";
        let release =
            "RHEL_MAJOR = 8\nRHEL_MINOR = 10\n# RHEL_RELEASE = 1\nRHEL_RELEASE = 553.22.1\n";
        let wanted = ("4.18.0".to_owned(), "553.22.1.el8_10".to_owned());
        assert_eq!(
            release_of(&format!("{makefile}{release}")),
            Some(wanted.clone())
        );
        assert_eq!(release_of(makefile), None);
        let archive = Path::new("linux-4.18.0-553.22.1.el8_10.tar.xz");
        assert_eq!(version_of(archive), Some(wanted));
        for other in [
            "linux-6.1.tar.xz",
            "kernel-4.18.0-1.tar.xz",
            "linux-firmware",
        ] {
            assert_eq!(version_of(Path::new(other)), None, "{other}");
        }
    }
}
