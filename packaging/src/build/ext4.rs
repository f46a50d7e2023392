//! The ext4 source of a kernel that is not rebuilt: out of the kernel's source package into a small package for Lustre's buildroot.
//!
//! What is taken, and how the distribution's own patches are laid on, is what preflight tries ldiskfs' series on.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::archive;
use crate::glob::matches;
use crate::overlay::patch::ApplyOptions;
use crate::preflight::ldiskfs::{left_out, staged};
use crate::preflight::{self, KernelFiles, KernelSource, kernel, series};
use crate::spec_macros::SpecMacros;

/// The name of the package and of its spec.
pub const NAME: &str = "ext4-source";

/// What the package is made of.
#[derive(Debug)]
pub struct Ext4<'a> {
    /// The kernel's source package.
    pub srpm: &'a Path,
    /// The folder of our spec.
    pub folder: &'a Path,
    /// Lustre's tree, which says which files ldiskfs is made of.
    pub lustre: &'a Path,
    /// rpm's architecture of the servers, which is in the name of the folder of kernel-devel.
    pub arch: &'a str,
}

/// Makes the package: those files that ldiskfs is made of and that kernel-devel does not have.
pub fn package(
    work: &Workdir,
    wanted: &Ext4<'_>,
    scratch: &Path,
    log: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let (unpacked, parts) = (scratch.join("srpm"), scratch.join("parts"));
    let source =
        KernelSource::of_srpm(wanted.srpm, &unpacked, &parts, wanted.arch).map_err(unusable)?;
    let name = format!("{NAME}-{}-{}", source.version, source.release);
    let tree = scratch.join(&name);
    extract(&source, wanted.lustre, &tree)?;
    let packed = work.path("build/SOURCES")?.join(format!("{name}.tar.gz"));
    archive::pack_tar_gz(&tree, &name, work.time(), &packed).map_err(unusable)?;
    let spec = format!("{NAME}.spec");
    let from = wanted.folder.join(&spec);
    let text = lustre_files::read_to_string(&from, lustre_files::TEXT).map_err(at(&from))?;
    let target = work.path("build/SPECS")?.join(&spec);
    fs::write(&target, macros(&source)?.lines() + &text).map_err(at(&target))?;
    let made = rpmbuild::source_package(work, &spec, log)?;
    rpmbuild::build(work, &made, log)
}

/// What the spec is told.
fn macros(source: &KernelSource) -> Result<SpecMacros, Error> {
    let KernelSource {
        version,
        release,
        arch,
        ..
    } = source;
    let mut macros = SpecMacros::default();
    macros.set("kernel_version", version)?;
    macros.set("kernel_release", release)?;
    macros.set("kernel_uname", &format!("{version}-{release}.{arch}"))?;
    Ok(macros)
}

/// Writes what ldiskfs is made of, with the distribution's own patches, to the new folder `into`, by the paths in the kernel's tree.
fn extract(source: &KernelSource, lustre: &Path, into: &Path) -> Result<(), Error> {
    let wanted = KernelFiles::read(source, None, lustre).map_err(unusable)?;
    let archive = source.archive().map_err(unusable)?;
    archive::unpack_only(&archive, &source.parts, 1, &|path| wanted.takes(path))
        .map_err(unusable)?;
    let (own, mut problems) = kernel::own_patches(source, None).map_err(unusable)?;
    let tried =
        series::lay_on(&source.parts, &own, ApplyOptions::default().fuzz).map_err(unusable)?;
    problems.extend(tried.problems);
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(|one| one.message.clone()).collect();
        return Err(Error::Result {
            what: format!(
                "{} of the distribution's own kernel patches do not apply to {}:\n{}",
                problems.len(),
                archive.file_name().unwrap_or_default().display(),
                lines.join("\n")
            ),
            hint: "is the source package complete? `cargo xtask preflight` checks all of them"
                .to_owned(),
        });
    }
    let patterns = staged(lustre).map_err(unusable)?;
    let count = Cell::new(0);
    series::copy_tree(&source.parts, into, &|path| {
        let path = path.to_string_lossy();
        let taken = !left_out(&path)
            && !in_kernel_devel(&path)
            && patterns
                .iter()
                .any(|pattern| matches(pattern, &path, false));
        count.set(count.get() + usize::from(taken));
        taken
    })
    .map_err(unusable)?;
    if count.get() == 0 {
        return Err(Error::Result {
            what: format!(
                "{} has no ext4 source",
                archive.file_name().unwrap_or_default().display()
            ),
            hint: "ldiskfs is built from it; is `kernel.source` of the target the kernel's source package?".to_owned(),
        });
    }
    Ok(())
}

/// What kernel-devel of the same kernel has: all headers, and the makefiles.
fn in_kernel_devel(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("include/") || name == "Makefile" || name.starts_with("Kconfig")
}

fn unusable(error: impl Into<preflight::Error>) -> Error {
    Error::KernelSource(Box::new(error.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// An unpacked source package whose archive has ext4, and a tree of Lustre without a makefile of its own.
    fn source(dir: &Path, files: &[(&str, &str)]) -> KernelSource {
        let tree = dir.join("tree");
        for (path, text) in files {
            write(tree.join(path), text);
        }
        let folder = dir.join("srpm");
        fs::create_dir(&folder).unwrap();
        archive::pack_tar_gz(&tree, "linux-1", 0, &folder.join("linux-1.tar.gz")).unwrap();
        fs::create_dir(dir.join("lustre")).unwrap();
        KernelSource {
            folder,
            parts: dir.join("parts"),
            version: "1".to_owned(),
            release: "2.el10_0".to_owned(),
            arch: "x86_64".to_owned(),
            tree: None,
        }
    }

    const PATCH: &str = "--- a/fs/ext4/super.c\n+++ b/fs/ext4/super.c\n@@ -1 +1 @@\n-old\n+new\n";

    #[test]
    fn the_source_has_the_distributions_patches_and_nothing_of_kernel_devel() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(
            dir.path(),
            &[
                ("Makefile", "x\n"),
                ("fs/ext4/super.c", "old\n"),
                ("fs/ext4/ext4.h", "h\n"),
                ("fs/ext4/Makefile", "m\n"),
                ("fs/ext4/mballoc-test.c", "t\n"),
                ("include/trace/events/ext4.h", "e\n"),
                ("fs/open.c", "o\n"),
            ],
        );
        write(source.folder.join("own-1.patch"), PATCH);
        write(
            source.folder.join("kernel.spec"),
            "Name: kernel\nPatch1: own-%{number}.patch\n",
        );
        let into = dir.path().join("out");
        extract(&source, &dir.path().join("lustre"), &into).unwrap();
        let mut found: Vec<String> = walkdir::WalkDir::new(&into)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(&into).unwrap();
                path.display().to_string()
            })
            .collect();
        found.sort();
        assert_eq!(found, ["fs/ext4/ext4.h", "fs/ext4/super.c"]);
        let text = fs::read_to_string(into.join("fs/ext4/super.c")).unwrap();
        assert_eq!(text, "new\n");
    }

    #[test]
    fn a_patch_that_does_not_apply_and_a_source_without_ext4_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let one = source(
            dir.path(),
            &[("Makefile", "x\n"), ("fs/ext4/super.c", "other\n")],
        );
        write(one.folder.join("own.patch"), PATCH);
        write(one.folder.join("kernel.spec"), "Patch1: own.patch\n");
        let lustre = dir.path().join("lustre");
        let error = extract(&one, &lustre, &dir.path().join("out")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("own.patch") && error.contains("super.c"),
            "{error}"
        );

        let dir = tempfile::tempdir().unwrap();
        let none = source(dir.path(), &[("Makefile", "x\n"), ("fs/open.c", "o\n")]);
        let lustre = dir.path().join("lustre");
        let error = extract(&none, &lustre, &dir.path().join("out")).unwrap_err();
        assert!(error.to_string().contains("no ext4 source"), "{error}");
    }

    #[test]
    fn the_spec_is_told_which_kernel_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path(), &[("Makefile", "x\n")]);
        let lines = macros(&source).unwrap().lines();
        assert!(
            lines.contains("\n%global kernel_uname 1-2.el10_0.x86_64\n"),
            "{lines}"
        );
    }
}
