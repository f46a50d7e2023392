//! A kernel's tree in place of its source package: of a clone and of a folder, whole and with files missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::archive;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::source::{Fetcher, Override, PathSource, Source};

use super::tools::{Place, Repository, succeed};

const TREE: &[(&str, &str)] = &[
    ("Makefile", "VERSION = 5\nPATCHLEVEL = 14\nSUBLEVEL = 0\n"),
    (
        "Makefile.rhelver",
        "RHEL_MAJOR = 9\nRHEL_MINOR = 6\nRHEL_RELEASE = 570.32.1\n",
    ),
    ("fs/ext4/super.c", "int super;\n"),
    ("drivers/net/Kconfig", "config NET\n"),
    ("drivers/gpu/large.h", "#define LARGE\n"),
    ("distro/kernel.spec", "Name: kernel\n"),
    ("distro/kernel-x86_64-rhel.config", "CONFIG_A=y\n"),
    ("distro/kernel.changelog", "long\n"),
];

fn tree_of(place: &Place, path: &Path, allowed: bool) -> Result<KernelTree, String> {
    let store = place.store();
    let mut options = place.options.clone();
    options.overrides = vec![Override {
        name: "kernel".to_owned(),
        path: path.to_owned(),
        rev: None,
    }];
    if allowed {
        options.allow_incomplete = vec!["kernel".to_owned()];
    }
    let any = Source::Path(PathSource {
        path: place.path("none"),
    });
    let fetcher = Fetcher::new(&store, &options, &|_| {});
    let fetched = fetcher
        .lock("kernel", &any)
        .map_err(|error| error.to_string())?;
    KernelTree::of(fetched, &store).map_err(|error| error.to_string())
}

fn files(folder: &Path) -> Vec<String> {
    let mut all: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.display().to_string()
        })
        .collect();
    all.sort();
    all
}

/// The object of a file of the last commit goes, as in a clone that leaves large files out.
fn lose(repository: &Repository, file: &str) {
    let id = repository.git(&["rev-parse", &format!("HEAD:{file}")]);
    let object = repository
        .0
        .join(".git/objects")
        .join(&id[..2])
        .join(&id[2..]);
    fs::remove_file(object).unwrap();
}

#[test]
fn a_clone_gives_the_package_s_files_the_parts_and_the_archive() {
    let place = Place::new();
    let repository = Repository::new(place.path("kernel"));
    repository.commit(TREE);
    for file in ["drivers/gpu/large.h", "distro/kernel.changelog"] {
        lose(&repository, file);
    }
    let refused = tree_of(&place, &repository.0, false).unwrap_err();
    for part in ["kernel.changelog", "large.h", "--allow-incomplete kernel"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let tree = tree_of(&place, &repository.0, true).unwrap();
    assert_eq!(
        (
            tree.version.as_str(),
            tree.release.as_str(),
            tree.dist().as_str()
        ),
        ("5.14.0", "570.32.1.el9_6", ".el9_6")
    );
    assert_eq!(tree.source().missing().len(), 2);
    let missing: Vec<String> = tree.missing_sources().into_iter().collect();
    assert_eq!(missing, ["kernel.changelog"]);

    let out = tempfile::tempdir().unwrap();
    let (scratch, store) = (out.path().join("scratch"), place.store());
    fs::create_dir(&scratch).unwrap();
    let sources = out.path().join("sources");
    tree.sources(&store, &scratch, &sources, 1).unwrap();
    assert_eq!(
        files(&sources),
        ["kernel-x86_64-rhel.config", "kernel.spec"]
    );
    let parts = out.path().join("parts");
    let takes = |path: &Path| path.ends_with("super.c") || path.ends_with("kernel.spec");
    tree.parts(&store, &scratch, &parts, 1, &takes).unwrap();
    assert_eq!(files(&parts), ["fs/ext4/super.c"]);

    let packed: Vec<Vec<u8>> = ["one", "two"]
        .map(|name| {
            let folder = out.path().join(name);
            fs::create_dir(&folder).unwrap();
            let file = tree.archive(&store, &folder, 1).unwrap();
            assert!(file.ends_with("linux-5.14.0-570.32.1.el9_6.tar.xz"));
            fs::read(file).unwrap()
        })
        .into();
    assert_eq!(packed[0], packed[1]);
    let unpacked = out.path().join("unpacked");
    let file = out.path().join("one").join(tree.archive_name());
    archive::unpack(&file, &unpacked, 0).unwrap();
    assert_eq!(
        files(&unpacked.join("linux-5.14.0-570.32.1.el9_6")),
        [
            "Makefile",
            "Makefile.rhelver",
            "drivers/net/Kconfig",
            "fs/ext4/super.c"
        ]
    );
}

#[test]
fn a_folder_of_an_unpacked_source_package_is_taken_as_well() {
    let place = Place::new();
    let folder = place.path("unpacked");
    let linux: PathBuf = place.path("linux-6.12.0-55.24.1.el10_0");
    fs::create_dir_all(linux.join("fs")).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(linux.join("fs/open.c"), "int open;\n").unwrap();
    fs::write(folder.join("kernel.spec"), "Name: kernel\n").unwrap();
    let name = "linux-6.12.0-55.24.1.el10_0.tar.xz";
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(linux.parent().unwrap())
            .arg("-cJf")
            .arg(folder.join(name))
            .arg(linux.file_name().unwrap()),
    );
    let tree = tree_of(&place, &folder, false).unwrap();
    assert_eq!(tree.release, "55.24.1.el10_0");
    let out = tempfile::tempdir().unwrap();
    let (scratch, store) = (out.path().join("scratch"), place.store());
    fs::create_dir(&scratch).unwrap();
    let sources = out.path().join("sources");
    tree.sources(&store, &scratch, &sources, 1).unwrap();
    assert_eq!(files(&sources), ["kernel.spec"]);
    let parts = out.path().join("parts");
    tree.parts(&store, &scratch, &parts, 1, &|_| true).unwrap();
    assert_eq!(files(&parts), ["fs/open.c"]);
    drop(store);

    // What is no kernel is told, with what would be.
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("Makefile"), "all:\n").unwrap();
    let error = tree_of(&place, &other, false).unwrap_err();
    assert!(
        error.contains("no folder with a kernel.spec") && error.contains("unpacked source package"),
        "{error}"
    );
}

#[test]
fn what_is_no_kernels_tree_is_told_with_what_to_give_instead() {
    let place = Place::new();
    let repository = Repository::new(place.path("kernels"));
    repository.commit(&[("README", "a tag for each kernel\n")]);
    let package = place.path("kernel-5.14.0-570.32.1.el9_6.src.rpm");
    fs::write(&package, "a source package\n").unwrap();
    let spec = place.path("spec-alone");
    fs::create_dir(&spec).unwrap();
    fs::write(spec.join("kernel.spec"), "Name: kernel\n").unwrap();
    for (path, parts) in [
        (&package, ["is a file", "rpm2cpio"]),
        (&repository.0, ["give the tag", "kernel=PATH@TAG"]),
        (
            &spec,
            ["has kernel.spec", "no archive linux-VERSION-RELEASE"],
        ),
    ] {
        let error = tree_of(&place, path, false).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
