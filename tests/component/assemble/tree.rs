//! The tree: the same bytes each time, swapped in whole, other people's folders left alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lustre_packaging::sign::DEV_KEY_FILE;
use lustre_repo_tests::secret_search::SecretParts;
use lustre_repository::compat::{Compat, Ext4Comparison, OWN, Verdict};
use lustre_repository::layout::Error;
use lustre_repository::manifest::Manifest;

use super::world::{Spec, Tree, keys, public_key, succeed, world};

/// Everything that can be told of a tree: path, mode, time, content.
fn fingerprint(tree: &Path) -> BTreeMap<String, (u32, i64, String)> {
    walkdir::WalkDir::new(tree)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let content = if metadata.is_file() {
                lustre_repository::sums::sha256(entry.path()).unwrap().0
            } else {
                String::new()
            };
            let path = entry.path().strip_prefix(tree).unwrap();
            (
                path.display().to_string(),
                (metadata.mode(), metadata.mtime(), content),
            )
        })
        .collect()
}

#[test]
fn two_assemblies_are_byte_for_byte_the_same() {
    let first = Tree::published_at("https://repo.example.org/lustre");
    let mut second = Tree::published_at("https://repo.example.org/lustre/");
    second.packages.reverse();
    for input in &mut second.packages {
        let other = second_name(&input.path);
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        input.path = other;
    }
    first.assemble().unwrap();
    second.assemble().unwrap();
    let tree = fingerprint(&first.dist());
    assert_eq!(tree, fingerprint(&second.dist()));
    for name in [
        "x86_64/Packages/kmod-lustre-2.17.0-1.x86_64.rpm",
        "x86_64/Packages/lustre-repo-release-1.0-1.el8.noarch.rpm",
        "x86_64/repodata/repomd.xml.asc",
        "x86_64-debuginfo/Packages/lustre-debuginfo-2.17.0-1.x86_64.rpm",
        "source/Packages/lustre-2.17.0-1.src.rpm",
        "source/repodata/repomd.xml",
        "RPM-GPG-KEY-lustre-repo",
        "lustre-repo.repo",
        "manifest.json",
        "lock.toml",
        "releases.json",
        "compat.json",
        "KERNELS.txt",
        "index.html",
        "sbom.spdx.json",
        "sbom.cdx.json",
        "provenance.intoto.json",
        "provenance.intoto.json.asc",
        "SHA256SUMS",
        "SHA256SUMS.asc",
    ] {
        assert!(tree.contains_key(name), "{name} of {:?}", tree.keys());
    }
    // A second run over the first's tree changes nothing either.
    first.assemble().unwrap();
    assert_eq!(tree, fingerprint(&first.dist()));
}

/// A copy of a package under a name that says nothing.
fn second_name(path: &Path) -> std::path::PathBuf {
    let folder = world().path().join("copies");
    fs::create_dir_all(&folder).unwrap();
    let to = folder.join(format!("{}.copy", path.file_name().unwrap().display()));
    fs::copy(path, &to).unwrap();
    to
}

#[test]
fn a_change_in_the_tree_does_not_reach_the_packages_it_was_made_from() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let name = "lustre-2.17.0-1.x86_64.rpm";
    let input = tree
        .packages
        .iter()
        .find(|i| i.path.file_name().unwrap() == name)
        .unwrap();
    let before = fs::read(&input.path).unwrap();
    fs::write(tree.dist().join("x86_64/Packages").join(name), "edited").unwrap();
    assert!(fs::read(&input.path).unwrap() == before);
}

#[test]
fn after_an_error_the_old_tree_is_there_and_nothing_else() {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let before = fingerprint(&tree.dist());
    let error = tree
        .assemble_with(&|_| Err("the card was pulled out".into()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("repomd.xml: the card was pulled out"),
        "{error}"
    );

    let wrong = tree.assemble_with(&|content| {
        let mut other = content.to_vec();
        other.push(b' ');
        Ok(lustre_packaging::sign::Signer::sign_detached(
            super::world::key(),
            &other,
            super::world::EPOCH,
        )?)
    });
    assert!(matches!(wrong, Err(Error::Signature { .. })), "{wrong:?}");

    let twice = tree.packages[0].clone();
    tree.packages.push(twice);
    assert!(matches!(tree.assemble(), Err(Error::Twice { .. })));
    tree.packages.pop();
    tree.packages[0].stage = "unknown".to_owned();
    assert!(matches!(tree.assemble(), Err(Error::Stage { .. })));

    assert_eq!(before, fingerprint(&tree.dist()));
    let names: Vec<_> = fs::read_dir(tree.dist().parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["test"]);
}

#[test]
fn a_folder_of_somebody_else_is_not_replaced() {
    let tree = Tree::new();
    fs::create_dir_all(tree.dist()).unwrap();
    tree.assemble().unwrap();
    fs::remove_dir_all(tree.dist()).unwrap();
    fs::create_dir_all(tree.dist()).unwrap();
    fs::write(tree.dist().join("thesis.tex"), "years of work").unwrap();
    assert!(matches!(tree.assemble(), Err(Error::NotOurs { .. })));
    assert!(tree.dist().join("thesis.tex").exists());
}

#[test]
fn packages_that_fit_nowhere_are_named() {
    let mut tree = Tree::new();
    let broken = tree.path().join("broken.rpm");
    fs::write(&broken, "no rpm").unwrap();
    let mut input = tree.packages[0].clone();
    input.path = broken;
    tree.packages.push(input);
    let error = tree.assemble().unwrap_err().to_string();
    assert!(error.contains("broken.rpm"), "{error}");
    assert!(!tree.dist().exists());
}

#[test]
fn manifest_and_sums_describe_the_tree() {
    let mut tree = Tree::new();
    tree.with(&Spec {
        name: "with-epoch",
        evr: "1-1",
        tags: "Epoch: 3",
        files: &[],
    });
    let manifest = tree.assemble().unwrap();
    let read = Manifest::read(&tree.dist().join("manifest.json")).unwrap();
    assert_eq!(read.packages.len(), manifest.packages.len());
    assert_eq!(read.packages.len(), tree.packages.len());
    let epoch = read
        .packages
        .iter()
        .find(|p| p.nevra == "with-epoch-3:1-1.x86_64")
        .unwrap();
    assert_eq!(epoch.file, "x86_64/Packages/with-epoch-1-1.x86_64.rpm");
    assert!(epoch.sha256 != epoch.sha256_unsigned);
    succeed(
        Command::new("sha256sum")
            .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
            .current_dir(tree.dist()),
    );
}

#[test]
fn killed_at_any_time_a_whole_tree_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let test = dir.path().join("test");
    // What it leaves behind when it is killed.
    let scratch = dir.path().join("tmp");
    fs::create_dir(&scratch).unwrap();
    let tree = Tree::new();
    let packages = tree.packages.iter().map(|input| &input.path);
    for attempt in 0..3u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_assemble-forever"))
            .arg(keys())
            .arg(&test)
            .args(packages.clone())
            .env("TMPDIR", &scratch)
            .spawn()
            .unwrap();
        // Until the first tree is there, then some time that is different each time.
        let started = std::time::Instant::now();
        while !test.exists() {
            assert!(started.elapsed() < Duration::from_secs(240), "no tree");
            assert!(child.try_wait().unwrap().is_none(), "the child ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(37 + attempt * 53));
        child.kill().unwrap();
        child.wait().unwrap();
        succeed(
            Command::new("sha256sum")
                .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
                .current_dir(&test),
        );
        assert_eq!(
            lustre_repository::sums::verify(&test, &|_, _| None).unwrap(),
            []
        );
        fs::remove_dir_all(&test).unwrap();
    }
}

#[test]
fn no_file_that_comes_of_signing_has_a_part_of_the_key() {
    let secret = fs::read_to_string(keys().join(DEV_KEY_FILE)).unwrap();
    let parts = SecretParts::new(&secret, &public_key());
    let mut tree = Tree::new();
    tree.with(&Spec {
        name: "signed",
        evr: "1-1",
        tags: "",
        files: &[("/usr/share/signed", "x")],
    });
    tree.assemble().unwrap();
    tree.complete();
    // Packages as they are signed, the tree with its metadata, sums and proof, the logs of the checks, what is unfinished.
    for folder in [tree.path(), world().path()] {
        assert_eq!(parts.below(&[folder], &[]), None);
    }
    // It would be found.
    let line = secret.lines().nth(20).unwrap();
    fs::write(tree.path().join("logs/a"), format!("x {} y", &line[5..25])).unwrap();
    assert!(parts.below(&[tree.path()], &[]).is_some());
}

#[test]
fn the_table_of_kernels_is_in_the_tree_and_among_its_sums() {
    let tree = Tree::published_at("https://repo.example.org/lustre");
    tree.assemble().unwrap();
    let read = |name: &str| fs::read_to_string(tree.dist().join(name)).unwrap();
    let compat: Compat = serde_json::from_str(&read("compat.json")).unwrap();
    let kernels: Vec<_> = compat
        .kernels
        .iter()
        .map(|one| (one.repository.as_str(), one.verdict, one.ext4.result))
        .collect();
    // These modules have no ldiskfs.
    assert_eq!(
        kernels,
        [
            ("base", Verdict::DoesNotLoad, Ext4Comparison::NotNeeded),
            (OWN, Verdict::Loads, Ext4Comparison::NotNeeded),
        ]
    );
    let symbols: Vec<&str> = compat.kernels[0]
        .lacking
        .iter()
        .map(|one| one.symbol.as_str())
        .collect();
    assert_eq!(symbols, ["bar", "foo"]);
    let text = read("KERNELS.txt");
    assert!(text.contains("foo 0x2: the kernel has 0x1"), "{text}");
    let sums = read("SHA256SUMS");
    for name in ["compat.json", "KERNELS.txt"] {
        assert!(sums.contains(&format!("  {name}\n")), "{name}: {sums}");
    }
}
