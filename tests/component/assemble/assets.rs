//! Repositories whose packages are assets of releases: which package is where, and what is noticed of a list or of metadata that are not so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lustre_packaging::sign::Signer as _;
use lustre_repository::assets::{Asset, Assets, FILE, folder};
use lustre_repository::layout::{Error, Kind};
use lustre_repository::proof::Outcome;
use lustre_repository::repodata::{self, Place};
use lustre_repository::sums;

use super::world::{EPOCH, Spec, Tree, key, next_key};

const URL: &str = "https://github.com/site/lustre/releases/download";

const LUSTRE: &str = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";

/// A tree whose packages are assets.
fn tree() -> Tree {
    let mut tree = Tree::published_at("https://site.github.io/lustre");
    tree.repo_file = tree.repo_file.clone().with_assets(Some(URL)).unwrap();
    tree.signed_anew(key(), None, "1.el8");
    tree
}

/// Its list of assets.
fn listed(tree: &Tree) -> Assets {
    Assets::read(&tree.dist()).unwrap().unwrap()
}

/// The release `number` days after the first, which keeps three.
fn release(tree: &mut Tree, number: u32) {
    tree.released = EPOCH + 86_400 * number;
    tree.keeping(3);
    tree.assemble().unwrap();
}

/// The tag of the release of that number.
fn tag(number: u32) -> String {
    format!("test-{}", EPOCH + 86_400 * number)
}

/// All files of a tree.
fn files(dist: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = sums::files(dist).unwrap().into_iter();
    let more = sums::LEFT_OUT.map(str::to_owned);
    let names = names.chain(more);
    names
        .map(|name| (name.clone(), fs::read(dist.join(name)).unwrap()))
        .collect()
}

#[test]
fn every_package_is_an_asset_of_the_release_and_all_checks_hold() {
    let tree = tree();
    tree.assemble().unwrap();
    let checks = tree.check();
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.result != Outcome::Pass)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(checks.len(), 20);
    let assets = listed(&tree);
    let rpms = sums::files(&tree.dist()).unwrap().into_iter();
    let rpms: Vec<String> = rpms.filter(|file| file.ends_with(".rpm")).collect();
    let paths: Vec<&String> = assets.packages.iter().map(|one| &one.path).collect();
    assert_eq!(paths, rpms.iter().collect::<Vec<_>>());
    assert!(assets.packages.iter().all(|one| one.tag == tag(0)));
    // Everything else is what the plain metadata say.
    for kind in Kind::ALL {
        let read = |folder: &str| repodata::read(&tree.dist().join(folder)).unwrap();
        let (plain, other) = (read(kind.folder()), read(&folder(kind)));
        let moved = plain.packages.into_iter().map(|package| {
            let place = assets.place(kind, &package.location).unwrap();
            repodata::Package {
                location_base: place.base,
                location: place.href,
                ..package
            }
        });
        assert_eq!(other.packages, moved.collect::<Vec<_>>());
    }
    let text = fs::read_to_string(tree.dist().join("lustre-repo.repo")).unwrap();
    assert!(
        text.contains("baseurl=https://site.github.io/lustre/assets/x86_64\n"),
        "{text}"
    );
    let text = fs::read_to_string(tree.dist().join("index.html")).unwrap();
    assert!(
        text.contains(&format!("{URL}/{}/lustre-2.17.0-1", tag(0))),
        "{text}"
    );
    tree.complete();
    assert!(tree.failures().is_empty(), "{:#?}", tree.failures());
}

#[test]
fn a_package_that_did_not_change_stays_where_it_is_and_the_same_input_gives_the_same_bytes() {
    let mut tree = tree();
    tree.assemble().unwrap();
    let first = listed(&tree);
    tree.with(&Spec {
        name: "site-tool",
        evr: "1.0~rc1^git2+3-1",
        tags: "",
        files: &[("/usr/share/site-tool", "a tool")],
    });
    release(&mut tree, 1);
    let second = listed(&tree);
    for package in &first.packages {
        assert_eq!(second.at(&package.path), Some(package));
    }
    let new: Vec<&Asset> = second
        .packages
        .iter()
        .filter(|one| one.tag == tag(1))
        .collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(
        new[0].place(),
        format!("{}/site-tool-1.0.rc1.git2.3-1.x86_64.rpm", tag(1))
    );
    assert!(tree.failures().is_empty(), "{:#?}", tree.failures());
    let bytes = files(&tree.dist());
    tree.assemble().unwrap();
    assert_eq!(files(&tree.dist()), bytes);
    // The package stays where it is also when the release that brought it is no more than an earlier one.
    tree.without("e2fsprogs-1.47-1.x86_64.rpm");
    tree.with(&Spec {
        name: "e2fsprogs",
        evr: "1.48-1",
        tags: "Provides: ldiskfsprogs = %{version}",
        files: &[("/usr/sbin/mke2fs", "newer")],
    });
    release(&mut tree, 2);
    let third = listed(&tree);
    for package in &second.packages {
        assert_eq!(third.at(&package.path), Some(package));
    }
    assert_eq!(third.with_tag(&tag(2)).count(), 1);
    assert!(tree.failures().is_empty(), "{:#?}", tree.failures());
}

#[test]
fn packages_that_are_signed_anew_are_in_the_new_release() {
    let mut tree = tree();
    tree.assemble().unwrap();
    let first = listed(&tree);
    tree.signed_anew(next_key(), None, "2.el8");
    release(&mut tree, 1);
    let second = listed(&tree);
    assert_eq!(second.tags(), [tag(1).as_str()].into());
    assert!(first.packages.iter().all(|one| one.tag == tag(0)));
    assert!(tree.failures().is_empty(), "{:#?}", tree.failures());
}

#[test]
fn packages_that_would_be_one_asset_are_named_and_the_tree_stays() {
    let mut tree = tree();
    tree.assemble().unwrap();
    let bytes = files(&tree.dist());
    for evr in ["1~1-1", "1+1-1"] {
        tree.with(&Spec {
            name: "site-tool",
            evr,
            tags: "",
            files: &[],
        });
    }
    let error = tree.assemble().unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::Assets(_)), "{said}");
    for name in ["site-tool-1~1-1.x86_64.rpm", "site-tool-1+1-1.x86_64.rpm"] {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(files(&tree.dist()), bytes);
}

/// Signs what was changed in a tree, as nobody but the one who has the key can.
fn sign(dist: &Path) {
    let signature = |path: &Path| {
        let content = fs::read(path).unwrap();
        let signature = key().sign_detached(&content, EPOCH).unwrap();
        fs::write(format!("{}.asc", path.display()), signature).unwrap();
    };
    for kind in Kind::ALL {
        let index = dist.join(folder(kind)).join("repodata/repomd.xml");
        if index.exists() {
            signature(&index);
        }
    }
    sums::write(dist).unwrap();
    signature(&dist.join(sums::FILE));
}

/// Puts another list in place, and metadata as it says.
fn relisted(dist: &Path, change: fn(&mut Assets)) {
    let mut assets = Assets::read(dist).unwrap().unwrap();
    change(&mut assets);
    fs::write(dist.join(FILE), assets.to_json()).unwrap();
    for kind in Kind::ALL {
        let place = |location: &str| {
            let there = assets.place(kind, location);
            there.or(Some(Place {
                base: format!("{URL}/"),
                href: "x.rpm".to_owned(),
            }))
        };
        let to = dist.join(folder(kind));
        repodata::relocate(&dist.join(kind.folder()), &to, &place).unwrap();
    }
}

/// Metadata of the packages for servers, as `place` has it.
fn relocated(dist: &Path, place: &dyn Fn(Place) -> Place) {
    let assets = Assets::read(dist).unwrap().unwrap();
    let to = dist.join(folder(Kind::Binary));
    let place = |location: &str| assets.place(Kind::Binary, location).map(place);
    repodata::relocate(&dist.join(Kind::Binary.folder()), &to, &place).unwrap();
}

fn at<'a>(assets: &'a mut Assets, path: &str) -> &'a mut Asset {
    let mut packages = assets.packages.iter_mut();
    packages.find(|one| one.path == path).unwrap()
}

#[test]
fn whatever_is_not_as_it_should_be_is_noticed_also_where_it_is_signed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 14] = [
        ("evil.test", |dist| {
            relocated(dist, &|place| Place {
                base: "https://evil.test/".to_owned(),
                ..place
            });
        }),
        ("other.rpm", |dist| {
            relocated(dist, &|place| Place {
                href: "other.rpm".to_owned(),
                ..place
            });
        }),
        ("it has", |dist| {
            relisted(dist, |all| at(all, LUSTRE).sha256 = "0".repeat(64));
        }),
        ("it has", |dist| {
            relisted(dist, |all| at(all, LUSTRE).size += 1);
        }),
        ("lustre-2.17.0-1.x86_64.rpm is not in assets.json", |dist| {
            relisted(dist, |all| all.packages.retain(|one| one.path != LUSTRE));
        }),
        ("the tag of", |dist| {
            relisted(dist, |all| at(all, LUSTRE).tag = "v1".to_owned());
        }),
        ("is no place of a package", |dist| {
            relisted(dist, |all| at(all, LUSTRE).path = "lustre.rpm".to_owned());
        }),
        ("No such file", |dist| {
            relisted(dist, |all| {
                let path = "x86_64/Packages/zzz.rpm".to_owned();
                let asset = "zzz.rpm".to_owned();
                let one = all.packages[0].clone();
                all.packages.push(Asset { path, asset, ..one });
            });
        }),
        (
            "has the URL https://github.com/evil/x/releases/download",
            |dist| {
                relisted(dist, |all| {
                    all.url = "https://github.com/evil/x/releases/download".to_owned()
                });
            },
        ),
        ("has the tag test-1, expected", |dist| {
            relisted(dist, |all| {
                let tag = "test-1".to_owned();
                all.tag.clone_from(&tag);
                all.packages
                    .iter_mut()
                    .for_each(|one| one.tag.clone_from(&tag));
            });
        }),
        ("assets.json is missing", |dist| {
            fs::remove_file(dist.join(FILE)).unwrap();
        }),
        ("assets/source", |dist| {
            fs::remove_dir_all(dist.join("assets/source")).unwrap();
        }),
        ("is listed nowhere", |dist| {
            fs::write(dist.join("assets/x86_64/repodata/more"), "").unwrap();
        }),
        ("assets/x86_64: ", |dist| {
            let from = dist.join("assets/source/repodata");
            let to = dist.join("assets/x86_64/repodata");
            fs::remove_dir_all(&to).unwrap();
            fs::create_dir(&to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }),
    ];
    let tree = tree();
    tree.assemble().unwrap();
    let before = files(&tree.dist());
    for (words, change) in changes {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        for (name, content) in &before {
            let path = dist.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        change(&dist);
        let failures = |dist: &Path| -> BTreeMap<String, String> {
            let checks = tree.check_at(dist).into_iter();
            let failed = checks.filter(|check| check.result != Outcome::Pass);
            failed.map(|one| (one.name, one.message)).collect()
        };
        let unsigned = failures(&dist);
        assert!(unsigned.contains_key("sha256sums"), "{words}: {unsigned:?}");
        sign(&dist);
        let signed = failures(&dist);
        let said = signed.get("assets").unwrap_or_else(|| panic!("{words}"));
        assert!(said.contains(words), "{words}: {said}");
        assert!(!signed.contains_key("sha256sums"), "{words}: {signed:?}");
    }
}

#[test]
fn plain_metadata_that_lead_elsewhere_are_noticed_also_where_they_are_signed() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let plain = tree.dist().join("x86_64");
    let elsewhere = |location: &str| {
        Some(Place {
            base: "https://evil.test/".to_owned(),
            href: location.to_owned(),
        })
    };
    repodata::relocate(&plain, &plain, &elsewhere).unwrap();
    let index = plain.join("repodata/repomd.xml");
    let signature = key().sign_detached(&fs::read(&index).unwrap(), EPOCH);
    fs::write(plain.join("repodata/repomd.xml.asc"), signature.unwrap()).unwrap();
    sign(&tree.dist());
    let failures = tree.failures();
    assert!(
        failures["repodata"].contains("differs from its header"),
        "{failures:?}"
    );
}

#[test]
fn a_repository_of_a_target_without_assets_has_no_check_of_them_and_no_list() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    assert!(tree.check().iter().all(|check| check.name != "assets"));
    assert!(!tree.dist().join("assets").exists());
    fs::write(tree.dist().join(FILE), "{}").unwrap();
    let failures = tree.failures();
    assert!(
        failures["assets"].contains("the target has no assets"),
        "{failures:?}"
    );
}
