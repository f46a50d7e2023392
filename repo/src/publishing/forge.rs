//! What a forge takes: how much its pages may be, and what is done to the assets of a release so that they are the packages.

use std::collections::BTreeMap;
use std::fmt;

use lustre_files::help;

use super::listing::{Listing, RemoteEntry};
use super::steps::{Plan, Step};
use crate::assets::Asset;

/// How many bytes the pages of a repository may have in all.
pub const PAGES: u64 = 1_000_000_000;

/// From how many bytes on a file is not taken by git.
pub const FILE: u64 = 100 << 20;

/// From how many bytes on a file is not taken as an asset.
pub const ASSET: u64 = 2 << 30;

/// How many assets a release may have.
pub const ASSETS: usize = 1_000;

/// What a forge would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error(
        "the pages would have {}, of which {} are this repository's, and GitHub serves at most {}{}",
        Bytes(*all),
        Bytes(*own),
        Bytes(PAGES),
        help!("set `assets_url` in the target's [repository]: packages are assets of releases then, and the pages have the metadata alone")
    )]
    Pages {
        all: u64,
        /// Of the repository that is published.
        own: u64,
    },
    #[error(
        "{path} has {}, and git on GitHub takes no file of {} or more{}",
        Bytes(*size),
        Bytes(FILE),
        help!("set `assets_url` in the target's [repository]: packages are assets of releases then")
    )]
    File { path: String, size: u64 },
    #[error(
        "{path} has {}, and GitHub takes no asset of {} or more{}",
        Bytes(*size),
        Bytes(ASSET),
        help!("publish it to another place, or leave the package out")
    )]
    Asset { path: String, size: u64 },
    #[error(
        "the release {tag} would have {count} packages, and GitHub takes at most {ASSETS} assets a release{}",
        help!("publish it to another place, or leave packages out")
    )]
    Assets { tag: String, count: usize },
}

/// For people: how much that is.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1_000_000 => write!(f, "{} MB", bytes.div_ceil(1_000_000)),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// That the pages are not too much when `plan` is done, where all of `listing` is there, and `others` bytes beside it.
pub fn pages_fit(plan: &Plan, listing: &Listing, others: u64) -> Result<(), TooMuch> {
    let files = listing.iter().filter_map(|(path, found)| match found {
        RemoteEntry::File { size, .. } => Some((path.as_str(), *size)),
        RemoteEntry::Link(_) | RemoteEntry::Folder => None,
    });
    let mut sizes: BTreeMap<&str, u64> = files.collect();
    for step in &plan.steps {
        match step {
            Step::Put(puts) => {
                for put in puts {
                    let size = put.size.unwrap_or_default();
                    if size >= FILE {
                        return Err(TooMuch::File {
                            path: put.path.clone(),
                            size,
                        });
                    }
                    sizes.insert(&put.path, size);
                }
            }
            Step::Remove(paths) => {
                for path in paths {
                    let below = format!("{path}/");
                    sizes.retain(|it, _| it != path && !it.starts_with(&below));
                }
            }
            Step::Link(_)
            | Step::TakeOver(_)
            | Step::Probe(_)
            | Step::Complete(_)
            | Step::Switch { .. } => {}
        }
    }
    let own: u64 = sizes.values().sum();
    let all = own + others;
    if all > PAGES {
        return Err(TooMuch::Pages { all, own });
    }
    Ok(())
}

/// That a release can have these packages.
pub fn assets_fit(tag: &str, packages: &[&Asset]) -> Result<(), TooMuch> {
    if packages.len() > ASSETS {
        return Err(TooMuch::Assets {
            tag: tag.to_owned(),
            count: packages.len(),
        });
    }
    match packages.iter().find(|it| it.size >= ASSET) {
        None => Ok(()),
        Some(large) => Err(TooMuch::Asset {
            path: large.path.clone(),
            size: large.size,
        }),
    }
}

/// An asset of a release, as the forge lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseAsset {
    /// By which it is removed.
    pub id: u64,
    pub name: String,
    pub size: u64,
    /// Whether all of it came.
    pub whole: bool,
    /// Its SHA-256, where the forge says it.
    pub sha256: Option<String>,
}

impl ReleaseAsset {
    /// Why it is not this package.
    fn differs(&self, package: &Asset) -> Option<String> {
        if !self.whole {
            return Some("its upload broke off".to_owned());
        }
        if self.size != package.size {
            return Some(format!(
                "it has {} bytes and not {}",
                self.size, package.size
            ));
        }
        match &self.sha256 {
            Some(digest) if *digest != package.sha256 => {
                Some(format!("it has sha256 {digest} and not {}", package.sha256))
            }
            _ => None,
        }
    }
}

/// Assets of a release that are not what they have to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSo {
    #[error(
        "the release {tag} is published, and {asset} there is not the package of this repository: {why}{}",
        help!("what is published is never replaced, because servers may have it: make the repository again, which gives it another tag; or look who changed that release")
    )]
    Published {
        tag: String,
        asset: String,
        why: String,
    },
    #[error(
        "the release {tag} is published without {asset}, which this repository's metadata names{}",
        help!("look who removed it, and publish the repository that has it once more; or make this one again with another repository, or none, at its output")
    )]
    Missing { tag: String, asset: String },
    #[error(
        "the draft {tag} has `{}`, which is no package of this repository, and would be public with it{}",
        asset.escape_debug(),
        help!("look who put it there, and remove it")
    )]
    Foreign { tag: String, asset: String },
}

/// That a release that is published has these packages, as they are.
pub fn published_has(tag: &str, packages: &[&Asset], there: &[ReleaseAsset]) -> Result<(), NotSo> {
    for package in packages {
        let found = there.iter().find(|it| it.name == package.asset);
        let why = match found {
            None => {
                return Err(NotSo::Missing {
                    tag: tag.to_owned(),
                    asset: package.asset.clone(),
                });
            }
            Some(found) => found.differs(package),
        };
        if let Some(why) = why {
            return Err(NotSo::Published {
                tag: tag.to_owned(),
                asset: package.asset.clone(),
                why,
            });
        }
    }
    Ok(())
}

/// What has to be done to a draft until it has these packages and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uploads<'p> {
    /// What is removed first: it came in parts, or is of another run.
    pub remove: Vec<ReleaseAsset>,
    pub upload: Vec<&'p Asset>,
}

/// What has to be done to a draft until it has these packages; nothing of somebody else may be in it.
pub fn uploads<'p>(
    tag: &str,
    packages: &[&'p Asset],
    there: &[ReleaseAsset],
) -> Result<Uploads<'p>, NotSo> {
    let own = |name: &str| packages.iter().any(|package| package.asset == name);
    if let Some(foreign) = there.iter().find(|it| !own(&it.name)) {
        return Err(NotSo::Foreign {
            tag: tag.to_owned(),
            asset: foreign.name.clone(),
        });
    }
    let mut found = Uploads::default();
    for package in packages {
        let (so, others): (Vec<&ReleaseAsset>, Vec<&ReleaseAsset>) = there
            .iter()
            .filter(|it| it.name == package.asset)
            .partition(|it| it.differs(package).is_none());
        found.remove.extend(others.into_iter().cloned());
        if so.is_empty() {
            found.upload.push(package);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::steps::{Origin, Upload};
    use super::*;

    fn package(name: &str, size: u64) -> Asset {
        Asset {
            path: format!("x86_64/Packages/{name}"),
            tag: "t-1".to_owned(),
            asset: name.to_owned(),
            sha256: "a".repeat(64),
            size,
        }
    }

    fn listed(name: &str, size: u64) -> ReleaseAsset {
        ReleaseAsset {
            id: 1,
            name: name.to_owned(),
            size,
            whole: true,
            sha256: Some("a".repeat(64)),
        }
    }

    fn file(size: u64) -> RemoteEntry {
        RemoteEntry::File { size, sha256: None }
    }

    fn put(path: &str, size: u64) -> Upload {
        Upload {
            path: path.to_owned(),
            origin: Origin::Tree(path.to_owned()),
            size: Some(size),
            sha256: String::new(),
            replaces: false,
        }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            release: "1-a".to_owned(),
            replaces: None,
            steps,
        }
    }

    #[test]
    fn pages_are_counted_as_they_will_be_and_beside_those_of_others() {
        let listing = Listing::from([
            ("a".to_owned(), file(40 << 20)),
            ("old/b".to_owned(), file(PAGES)),
        ]);
        let puts = vec![put("a", 50 << 20), put("c", FILE - 1)];
        let plan_of = |puts: &[Upload]| {
            plan(vec![
                Step::Put(puts.to_vec()),
                Step::Remove(vec!["old".to_owned()]),
            ])
        };
        let own = (50 << 20) + FILE - 1;
        pages_fit(&plan_of(&puts), &listing, PAGES - own).unwrap();
        let error = pages_fit(&plan_of(&puts), &listing, PAGES - own + 1).unwrap_err();
        let all = PAGES + 1;
        assert_eq!(error, TooMuch::Pages { all, own });
        let said = error.to_string();
        assert!(
            said.contains("assets_url") && said.contains("1001 MB") && said.contains("1000 MB"),
            "{said}"
        );
        let error = pages_fit(&plan_of(&[put("d", FILE)]), &listing, 0).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("d has 100 MiB") && said.contains("assets_url"),
            "{said}"
        );
    }

    #[test]
    fn a_release_has_at_most_so_many_assets_of_so_much() {
        let all: Vec<Asset> = (0..=ASSETS).map(|n| package(&n.to_string(), 1)).collect();
        let all: Vec<&Asset> = all.iter().collect();
        assets_fit("t-1", &all[..ASSETS]).unwrap();
        let error = assets_fit("t-1", &all).unwrap_err().to_string();
        assert!(
            error.contains("1001 packages") && error.contains("at most 1000"),
            "{error}"
        );
        assets_fit("t-1", &[&package("a", ASSET - 1)]).unwrap();
        let error = assets_fit("t-1", &[&package("a", ASSET)]).unwrap_err();
        assert!(error.to_string().contains("a has 2048 MiB"), "{error}");
    }

    #[test]
    fn a_draft_goes_on_from_what_is_there_and_what_is_not_so_is_replaced() {
        let (a, b) = (package("a", 7), package("b", 7));
        let all = [&a, &b];
        let broken = ReleaseAsset {
            whole: false,
            size: 0,
            ..listed("a", 7)
        };
        let other = ReleaseAsset {
            sha256: Some("b".repeat(64)),
            ..listed("a", 7)
        };
        let untold = ReleaseAsset {
            sha256: None,
            ..listed("a", 7)
        };
        for (there, remove, upload) in [
            (vec![], vec![], vec![&a, &b]),
            (vec![listed("a", 7)], vec![], vec![&b]),
            (vec![untold], vec![], vec![&b]),
            (vec![listed("a", 7), listed("b", 7)], vec![], vec![]),
            (vec![broken.clone()], vec![broken.clone()], vec![&a, &b]),
            (
                vec![other.clone(), listed("b", 7)],
                vec![other.clone()],
                vec![&a],
            ),
            (vec![listed("b", 8)], vec![listed("b", 8)], vec![&a, &b]),
        ] {
            let found = uploads("t-1", &all, &there).unwrap();
            assert_eq!((found.remove, found.upload), (remove, upload), "{there:?}");
        }
        let error = uploads("t-1", &all, &[listed("x\u{1b}", 1)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("draft t-1") && !error.contains('\u{1b}'),
            "{error}"
        );
        // What is published is never touched, whatever else somebody has added.
        let there = [listed("a", 7), listed("b", 7), listed("x", 1)];
        published_has("t-1", &all, &there).unwrap();
        for (there, word) in [
            (vec![listed("a", 7)], "without b"),
            (vec![other, listed("b", 7)], "sha256 bbb"),
            (vec![listed("a", 8), listed("b", 7)], "8 bytes"),
            (vec![broken, listed("b", 7)], "broke off"),
        ] {
            let error = published_has("t-1", &all, &there).unwrap_err().to_string();
            assert!(
                error.contains(word) && error.contains("t-1"),
                "{word}: {error}"
            );
        }
    }
}
