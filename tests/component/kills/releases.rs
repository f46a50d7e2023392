//! One repository after the other at one place: when each is released, and what may replace what.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lustre_repo_tests::command_line::{Run, run};
use lustre_repository::manifest::Manifest;
use lustre_repository::release::{Release, Rule};
use lustre_repository::sums;

use super::World;

impl World {
    fn with(&self, key: usize, more: &[&str]) -> Run {
        run(self.command(key).args(more))
    }

    fn release(&self) -> Release {
        let manifest = Manifest::read(&self.dist().join("manifest.json")).unwrap();
        manifest.release.unwrap()
    }

    /// As it was made, its time included.
    fn put_manifest_back(&self, file: &Path, text: &str) {
        fs::write(file, text).unwrap();
        lustre_repository::files::set_mtime(file, self.release().time.into()).unwrap();
    }

    /// Which folder it is, and the time of a file in it.
    fn state(&self) -> (u64, i64) {
        let sums = fs::metadata(self.dist().join(sums::FILE)).unwrap();
        (fs::metadata(self.dist()).unwrap().ino(), sums.mtime())
    }
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_release_is_later_than_the_one_it_replaces_and_does_not_contradict_it() {
    let world = World::new();
    world.repo(0);
    let (first, bytes) = (world.release(), world.repository());
    let state = world.state();
    // The same again is the same release.
    world.repo(0);
    assert_eq!((world.release(), world.state()), (first.clone(), state));

    // Nobody knows what a manifest that is not as it was made would let pass.
    let file = world.dist().join("manifest.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&first.time.to_string(), "1767225601")).unwrap();
    let ran = world.with(0, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["manifest.json differs from", "SHA256SUMS", "move it away"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    world.put_manifest_back(&file, &text);

    // Another key, which servers would not notice: said before any stage is run, and nothing is changed.
    let ran = world.with(1, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in [
        "the key changed",
        "lustre-repo-release-",
        "[repository.release_package]",
        "--overrule release-package",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("\nstart "), "{}", ran.stderr);
    let earlier = (first.time - 1).to_string();
    let ran = world.with(0, &["--release-time", &earlier]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains(&earlier), "{}", ran.stderr);
    // What is of the same time is the same.
    let same = first.time.to_string();
    let overruling = ["--overrule", "release-package", "--release-time", &same];
    let ran = world.with(1, &overruling);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(world.state(), state);
    assert_eq!(world.repository(), bytes);

    // Said so, it is done, later than what was there, and recorded.
    let ran = world.with(1, &["--overrule", "release-package,lower-evr"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let second = world.release();
    assert!(second.time > first.time, "{first:?} {second:?}");
    assert_eq!(second.overrules, [Rule::ReleasePackage].into());
    assert!(world.state().1 > state.1);
    // And stays so, whoever asks again, and however.
    let state = world.state();
    world.repo(1);
    let ran = world.with(1, &["--release-time", &second.time.to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((world.release(), world.state()), (second.clone(), state));
    // The same content can be released anew: its age begins again.
    let anew = second.time + 5;
    let ran = world.with(1, &["--release-time", &anew.to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.release().time, anew);

    // With what its manifest says, the first one is made again where nothing is, byte by byte.
    fs::remove_dir_all(world.dist()).unwrap();
    let ran = world.with(0, &["--release-time", &first.time.to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.repository(), bytes);
}

/// A site's target that differs from the rehearsal in its release package alone.
fn site(world: &World, release_package: &str) -> PathBuf {
    let folder = world.base.join("site");
    fs::create_dir_all(&folder).unwrap();
    let target = folder.join("site.toml");
    let text = format!("inherits = 'rehearsal'\n[repository.release_package]\n{release_package}\n");
    fs::write(&target, text).unwrap();
    // It asks for what the target that it inherits from asks for.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/locks/rehearsal.toml");
    let lock = fs::read_to_string(lock).unwrap();
    let lock = lock.replacen("target = \"rehearsal\"", "target = \"site\"", 1);
    fs::write(folder.join("site.lock.toml"), lock).unwrap();
    target
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_package_with_other_content_or_a_lower_version_does_not_take_the_place_of_one() {
    let world = World::new();
    world.repo(0);
    let state = world.state();
    for (release_package, rule, names) in [
        (
            "url = 'https://site.example.org/'",
            "same-nevra",
            "lustre-repo-release-12-1.reh12.noarch",
        ),
        (
            "version = '11.9'",
            "lower-evr",
            "lustre-repo-release-11.9-1.reh12.noarch",
        ),
    ] {
        let target = site(&world, release_package);
        let target = target.to_str().unwrap();
        let ran = world.with(0, &["--target", target]);
        assert_eq!(ran.code, 1, "{ran:?}");
        for words in ["`rehearsal`", "`site`", "--overrule same-target"] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        let ran = world.with(0, &["--overrule", "same-target", "--target", target]);
        assert_eq!(ran.code, 1, "{ran:?}");
        for words in [names, &format!("--overrule {rule}"), "raise the"] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("\nstart   assemble"), "{}", ran.stderr);
        assert_eq!(world.state(), state, "{rule}");
    }
    let target = site(&world, "version = '11.9'");
    let ran = world.with(
        0,
        &[
            "--overrule",
            "lower-evr,same-target",
            "--target",
            target.to_str().unwrap(),
        ],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let overruled = [Rule::LowerEvr, Rule::SameTarget];
    assert_eq!(world.release().overrules, overruled.into());
}
