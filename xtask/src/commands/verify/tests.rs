//! A signed repository of the target `rehearsal` with one package, as a stranger gives it, and how far it is looked into.

use std::time::SystemTime;

use lustre_packaging::buildroot::{Base, BaseRepo};
use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _, sign_package};
use lustre_repository::comps::Comps;
use lustre_repository::earlier::Earlier;
use lustre_repository::layout::{Assembly, Input, assemble};
use lustre_repository::release::Release;
use lustre_repository::release_package::{self, ReleasePackage};
use lustre_repository::repodata;

use super::*;

struct World {
    dir: tempfile::TempDir,
    context: Context,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let world = Self { dir, context };
        world.release(world.context.target.build.source_date_epoch);
        world
    }

    fn dist(&self) -> std::path::PathBuf {
        self.dir.path().join("dist")
    }

    /// Makes the repository, as released at `time`.
    fn release(&self, time: u32) {
        let file = place::specs().join("distributions/rehearsal/key.asc");
        let text = Secret::new(std::fs::read(&file).unwrap());
        let key = Key::from_armored(&text, "the test", None).unwrap();
        let public_key = key.public_key_armored().unwrap();
        let repo_file = repo_file(&self.context.target).unwrap();
        let epoch = self.context.target.build.source_date_epoch;
        let created = PublicKey::parse(&public_key).unwrap().created();
        let built = release_package::build(&ReleasePackage {
            version: "1",
            release: "1",
            repo_file: &repo_file,
            public_key: &public_key,
            source_date_epoch: epoch.into(),
            url: None,
        })
        .unwrap();
        let package = self.dir.path().join(&built.file_name);
        std::fs::write(&package, built.bytes).unwrap();
        let signed = sign_package(&package, &package, &key, epoch.max(created)).unwrap();
        let manifest = Manifest {
            target: self.context.target.name.clone(),
            source_date_epoch: epoch.into(),
            release: Some(Release {
                time: time.max(created),
                ..Release::default()
            }),
            stages: BTreeMap::from([("x".to_owned(), manifest::Stage::default())]),
            ..Manifest::default()
        };
        let packages = [Input {
            path: package,
            sha256_unsigned: signed.unsigned_sha256,
            stage: "x".to_owned(),
        }];
        let assembly = Assembly {
            packages: &packages,
            comps: &Comps::default(),
            repo_file: &repo_file,
            public_key: &public_key,
            manifest,
            base: None,
            lock: None,
            made_with: &lustre_repository::sbom::MadeWith::default(),
            earlier: &Earlier::default(),
            sign: &|data| Ok(key.sign_detached(data, time.max(created))?),
        };
        assemble(&assembly, &self.dist()).unwrap();
    }

    /// The results by name; the server, where one may be asked for, has no packages and no root.
    fn check(
        &self,
        expected: &Expected,
        max_age: Option<u32>,
        server: bool,
    ) -> BTreeMap<String, Check> {
        let base = self.dir.path().join("base");
        std::fs::create_dir_all(&base).unwrap();
        repodata::write(&base, &repodata::Options::default()).unwrap();
        let mut made = Server {
            target: self.context.target.clone(),
            own_kernel: None,
            base: Base {
                repos: vec![BaseRepo {
                    id: "base".to_owned(),
                    folder: base,
                }],
                key: self.dir.path().join("no-key"),
                arch: "x86_64".to_owned(),
                signed_metadata: true,
                module_platform: None,
            },
            updates: None,
            root: self.dir.path().join("no-root"),
        };
        let level = Prove::Install;
        let all = checks(
            &self.context,
            &self.dist(),
            expected,
            Limits {
                max_age,
                key_days: 60,
            },
            level,
            || {
                assert!(server, "a server was made for what nobody signed");
                Ok(&mut made)
            },
        )
        .unwrap();
        all.into_iter().map(|one| (one.name.clone(), one)).collect()
    }
}

#[test]
fn what_is_not_as_it_was_signed_is_not_read_on() {
    let world = World::new();
    std::fs::write(world.dist().join("index.html"), "more").unwrap();
    let found = world.check(&Expected::FirstUse, None, false);
    assert_eq!(found["sha256sums"].result, Result_::Fail);
    assert_eq!(found["metadata-signatures"].result, Result_::Pass);
    let why = &found["repodata"].message;
    assert!(why.contains("`sha256sums` failed"), "{why}");
    assert!(!found.contains_key("install"));
}

/// What gpg and rpmkeys have a sandbox for.
mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_strangers_repository_is_not_installed_before_somebody_says_so() {
        let world = World::new();
        let found = world.check(&Expected::Unknown, None, true);
        assert_eq!(found[proof::KEY].result, Result_::NotRun);
        for held in [
            "package-signatures",
            "metadata-signatures",
            "sha256sums",
            age::CHECK,
            "repodata",
            "repo-file",
        ] {
            let one = &found[held];
            assert_eq!(one.result, Result_::Pass, "{one:?}");
        }
        for step in [
            "install-release-package",
            "install",
            "remove",
            "install-everything",
        ] {
            assert_eq!(found[step].message, expected::NOT_INSTALLED);
        }
        // Somebody has said so: a chroot is made, or here would be.
        let found = world.check(&Expected::FirstUse, None, true);
        assert_eq!(found[proof::KEY].result, Result_::Pass);
        let why = &found["install"].message;
        assert!(why.contains("cannot create the chroot"), "{why}");
    }

    /// Served again, an old repository has all its signatures.
    #[test]
    #[ignore = "needs root"]
    fn what_is_older_than_a_site_allows_is_refused_and_not_installed() {
        let world = World::new();
        let found = world.check(&Expected::FirstUse, Some(0), true);
        assert_eq!(found["metadata-signatures"].result, Result_::Pass);
        assert_eq!(found[age::CHECK].result, Result_::Fail);
        assert_eq!(found["install"].message, age::NOT_INSTALLED);
    }

    /// A bound of days is one between releases: their packages have one time for ever, and themselves each their own.
    #[test]
    #[ignore = "needs root"]
    fn an_old_release_is_refused_and_the_newest_passes() {
        let world = World::new();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = u32::try_from(now.unwrap().as_secs()).unwrap();
        for (days, passes) in [(40, false), (31, false), (29, true), (0, true)] {
            world.release(now - days * 24 * 60 * 60 - 60);
            let found = world.check(&Expected::FirstUse, Some(30), true);
            let age = &found[age::CHECK];
            assert_eq!(age.result == Result_::Pass, passes, "{age:?}");
            assert!(age.message.contains(&format!("{days} days ago")), "{age:?}");
            assert_eq!(found["install"].message == age::NOT_INSTALLED, !passes);
            for held in ["sha256sums", "metadata-signatures", "manifest", "repodata"] {
                assert_eq!(found[held].result, Result_::Pass, "{:?}", found[held]);
            }
        }
    }
}
