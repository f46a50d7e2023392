//! `assets.json`: where the packages are of a repository whose metadata one place serves, and whose packages another: as the assets of the
//! releases of a forge, such as GitHub, each release under a tag.
//!
//! What is an asset once stays it: a package is in the release that had its bytes first, and no asset is ever replaced. Names are chosen so
//! that the forge stores them as they are, and that nothing in them is encoded in a URL.

mod error;
mod names;

pub use error::Error;
pub use names::{FOLDER, checked_url, folder, name_of, tag};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::json_file;
use crate::layout::Kind;
use crate::repodata::Place;

use names::{is_digest, is_path, is_tag, time_of};

/// The file's name at the top of the tree.
pub const FILE: &str = "assets.json";

/// The format's version; a reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// How many packages it may list.
const MOST: usize = 1 << 16;

/// What the file is, in errors.
const WHAT: &str = "list of assets";

/// Where the packages of a repository are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assets {
    /// [`FORMAT`].
    pub format: u32,
    /// The target's name.
    pub target: String,
    /// What the tag and the asset's name follow, without a slash at the end.
    pub url: String,
    /// The tag of this release.
    pub tag: String,
    /// All packages of the repository, sorted by path.
    pub packages: Vec<Asset>,
}

/// Where a package is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Where it is in the plain tree, relative to the repository's root.
    pub path: String,
    /// The tag of the release that had these bytes first.
    pub tag: String,
    /// Its name there.
    pub asset: String,
    /// The SHA-256 of the file as published.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Asset {
    /// What follows the URL of the assets.
    pub fn place(&self) -> String {
        format!("{}/{}", self.tag, self.asset)
    }
}

/// A package of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Relative to the repository's root.
    pub path: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Assets {
    /// Where the packages are of the release of `target` at `time`. Those in `before`, with the same bytes, are where they were.
    pub fn of(
        target: &str,
        url: &str,
        time: u64,
        packages: impl IntoIterator<Item = PackageFile>,
        before: &[Asset],
    ) -> Result<Self, Error> {
        let url = checked_url(url)?;
        if !is_tag(target) {
            return Err(Error::Target(target.to_owned()));
        }
        let own = tag(target, time);
        let before: BTreeMap<(&str, &str), &Asset> = before
            .iter()
            .map(|one| ((one.path.as_str(), one.sha256.as_str()), one))
            .collect();
        let mut all: Vec<Asset> = packages
            .into_iter()
            .map(|placed| {
                let there = before.get(&(placed.path.as_str(), placed.sha256.as_str()));
                Asset {
                    tag: there.map_or_else(|| own.clone(), |there| there.tag.clone()),
                    asset: name_of(&placed.path),
                    path: placed.path,
                    sha256: placed.sha256,
                    size: placed.size,
                }
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let assets = Self {
            format: FORMAT,
            target: target.to_owned(),
            url: url.to_owned(),
            tag: own,
            packages: all,
        };
        assets.distinct()?;
        match assets.wrong() {
            None => Ok(assets),
            Some(why) => Err(Error::Wrong(why)),
        }
    }

    /// Reads and checks the list of the repository at `repository_root`, if its target has one.
    pub fn read(repository_root: &Path) -> Result<Option<Self>, json_file::Error> {
        json_file::read_if_there(WHAT, &repository_root.join(FILE), FORMAT, Self::wrong)
    }

    /// Of a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let assets: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        assets.wrong().map_or(Ok(assets), Err)
    }

    /// The list as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        json_file::text(self)
    }

    /// The packages of the release `tag`.
    pub fn with_tag<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Asset> {
        self.packages.iter().filter(move |one| one.tag == tag)
    }

    /// The tags of all releases that it has packages of.
    pub fn tags(&self) -> BTreeSet<&str> {
        self.packages.iter().map(|one| one.tag.as_str()).collect()
    }

    /// The packages that are in earlier releases: where they are does not follow from anything else.
    pub fn of_earlier(&self) -> Vec<Asset> {
        let packages = self.packages.iter();
        let earlier = packages.filter(|one| one.tag != self.tag);
        earlier.cloned().collect()
    }

    /// The package at `path` of the plain tree.
    pub fn at(&self, path: &str) -> Option<&Asset> {
        let found = self
            .packages
            .binary_search_by(|one| one.path.as_str().cmp(path));
        found.ok().and_then(|at| self.packages.get(at))
    }

    /// Where `asset` is fetched from.
    pub fn url_of(&self, asset: &Asset) -> String {
        format!("{}/{}", self.url, asset.place())
    }

    /// Where the package is that the metadata in the folder `kind` have at `location`.
    pub fn place(&self, kind: Kind, location: &str) -> Option<Place> {
        let asset = self.at(&format!("{}/{location}", kind.folder()))?;
        Some(Place {
            base: format!("{}/{}/", self.url, asset.tag),
            href: asset.asset.clone(),
        })
    }

    /// What it says that cannot be: whoever reads it fetches, uploads and signs for what it names.
    pub fn wrong(&self) -> Option<String> {
        if self.format == 0 || self.format > FORMAT {
            return Some(format!("its format is {}", self.format));
        }
        if !is_tag(&self.target) {
            return Some("its target is no name".to_owned());
        }
        if let Err(error) = checked_url(&self.url) {
            return Some(lustre_files::apart(&error).0);
        }
        let Some(time) = time_of(&self.target, &self.tag) else {
            return Some(format!("its tag is not {}-TIME", self.target));
        };
        if self.packages.is_empty() || self.packages.len() > MOST {
            return Some(format!("it has no packages, or more than {MOST}"));
        }
        let mut before = None;
        for package in &self.packages {
            let path = package.path.escape_debug();
            if !is_path(&package.path) {
                return Some(format!("{path} is no place of a package"));
            }
            if before.is_some_and(|before| before >= package.path.as_str()) {
                return Some(format!("{path} is there twice, or not in its place"));
            }
            before = Some(package.path.as_str());
            if time_of(&self.target, &package.tag).is_none_or(|of| of > time) {
                return Some(format!("the tag of {path} is none of {}", self.target));
            }
            if package.asset != name_of(&package.path) {
                return Some(format!("the asset of {path} has another name"));
            }
            if !is_digest(&package.sha256) || package.size == 0 {
                return Some(format!("digest or size of {path} is none"));
            }
        }
        self.distinct()
            .err()
            .map(|error| lustre_files::apart(&error).0)
    }

    /// That no two packages are the same asset. Whether a forge tells letters by their case is not relied on.
    fn distinct(&self) -> Result<(), Error> {
        let mut names: BTreeMap<String, &Asset> = BTreeMap::new();
        for package in &self.packages {
            if let Some(first) = names.insert(package.place().to_ascii_lowercase(), package) {
                return Err(Error::SameName {
                    tag: package.tag.clone(),
                    asset: package.asset.clone(),
                    first: first.path.clone(),
                    second: package.path.clone(),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.asset, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://github.com/site/lustre/releases/download";

    fn placed(path: &str, digit: &str) -> PackageFile {
        PackageFile {
            path: path.to_owned(),
            sha256: digit.repeat(64),
            size: 7,
        }
    }

    fn first() -> Assets {
        let packages = [
            placed("x86_64/Packages/lustre-2.17.0-1.x86_64.rpm", "1"),
            placed("source/Packages/lustre-2.17.0-1.src.rpm", "2"),
            placed("x86_64/Packages/tool-1.0~rc1^git2+3-1.noarch.rpm", "3"),
        ];
        Assets::of("rocky-9.6", URL, 100, packages, &[]).unwrap()
    }

    #[test]
    fn every_package_of_a_first_release_is_in_it_under_the_name_that_is_stored() {
        let assets = first();
        assert_eq!(assets.tag, "rocky-9.6-100");
        let all: Vec<String> = assets.packages.iter().map(Asset::place).collect();
        assert_eq!(
            all,
            [
                "rocky-9.6-100/lustre-2.17.0-1.src.rpm",
                "rocky-9.6-100/lustre-2.17.0-1.x86_64.rpm",
                "rocky-9.6-100/tool-1.0.rc1.git2.3-1.noarch.rpm",
            ]
        );
        assert_eq!(assets.tags(), BTreeSet::from(["rocky-9.6-100"]));
        assert_eq!(assets.of_earlier(), []);
        assert_eq!(Assets::parse(&assets.to_json()), Ok(assets.clone()));
        let tool = assets
            .at("x86_64/Packages/tool-1.0~rc1^git2+3-1.noarch.rpm")
            .unwrap();
        assert_eq!(
            assets.url_of(tool),
            format!("{URL}/rocky-9.6-100/tool-1.0.rc1.git2.3-1.noarch.rpm")
        );
        assert_eq!(assets.at("x86_64/Packages/tool"), None);
        let place = assets.place(Kind::Source, "Packages/lustre-2.17.0-1.src.rpm");
        let wanted = Place {
            base: format!("{URL}/rocky-9.6-100/"),
            href: "lustre-2.17.0-1.src.rpm".to_owned(),
        };
        assert_eq!(place, Some(wanted));
        assert_eq!(
            assets.place(Kind::Binary, "Packages/lustre-2.17.0-1.src.rpm"),
            None
        );
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Assets::read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join(FILE), assets.to_json()).unwrap();
        assert_eq!(Assets::read(dir.path()).unwrap(), Some(assets));
    }

    #[test]
    fn a_package_stays_in_the_release_that_had_its_bytes_first() {
        let first = first();
        let packages = [
            placed("source/Packages/lustre-2.17.0-1.src.rpm", "2"),
            // Signed anew.
            placed("x86_64/Packages/lustre-2.17.0-1.x86_64.rpm", "9"),
            placed("x86_64/Packages/lustre-2.17.1-1.x86_64.rpm", "4"),
        ];
        let second = Assets::of("rocky-9.6", URL, 200, packages.clone(), &first.packages).unwrap();
        let tags: Vec<&str> = second.packages.iter().map(|one| one.tag.as_str()).collect();
        assert_eq!(tags, ["rocky-9.6-100", "rocky-9.6-200", "rocky-9.6-200"]);
        assert_eq!(second.with_tag("rocky-9.6-200").count(), 2);
        assert_eq!(second.of_earlier().len(), 1);
        // What it is made of once more, are what is in earlier releases and the same packages.
        let again = Assets::of("rocky-9.6", URL, 200, packages.clone(), &second.packages);
        assert_eq!(again.as_ref(), Ok(&second));
        let again = Assets::of("rocky-9.6", URL, 200, packages, &second.of_earlier());
        assert_eq!(again, Ok(second));
    }

    #[test]
    fn packages_that_would_be_one_asset_are_named() {
        for (a, b) in [
            ("a-1~2-1.noarch.rpm", "a-1+2-1.noarch.rpm"),
            ("Tool-1-1.noarch.rpm", "tool-1-1.noarch.rpm"),
        ] {
            let path = |file| format!("x86_64/Packages/{file}");
            let packages = [placed(&path(a), "1"), placed(&path(b), "2")];
            let error = Assets::of("t", URL, 1, packages, &[]).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, Error::SameName { .. }), "{said}");
            assert!(said.contains(a) && said.contains(b), "{said}");
            // In different releases they are two.
            let before = Assets::of("t", URL, 1, [placed(&path(a), "1")], &[]).unwrap();
            let packages = [placed(&path(a), "1"), placed(&path(b), "2")];
            Assets::of("t", URL, 2, packages, &before.packages).unwrap();
        }
    }

    #[test]
    fn a_url_that_cannot_be_is_refused() {
        for url in [
            URL,
            "https://forge.example.org:8443/a/b",
            "http://127.0.0.1:8080/assets",
            "http://localhost/a",
        ] {
            assert_eq!(checked_url(url), Ok(url));
        }
        for (url, word) in [
            ("http://github.com/a", "https"),
            ("http://127.0.0.1.evil.test/a", "https"),
            ("http://localhost@evil.test/a", "https"),
            ("ftp://a/b", "https"),
            ("https://me:secret@github.com/a", "user name"),
            ("https://github.com/a?b", "query"),
            ("https://github.com/a#b", "query"),
            ("https://github.com/a/", "slash"),
            ("https://github.com//a", "slash"),
            ("https://github.com/a/../b", "slash"),
            ("https:///a", "host"),
            ("https://", "host"),
            ("https://github.com", "OWNER/NAME/releases/download"),
            ("https://github.com/a/b", "OWNER/NAME/releases/download"),
            (
                "https://github.com/a/b/releases",
                "OWNER/NAME/releases/download",
            ),
            ("https://github.com/a b", "signs"),
            ("https://github.com/a\"b", "signs"),
            ("https://github.com/$basearch", "signs"),
            ("https://github.com/a%2Fb", "signs"),
        ] {
            let error = checked_url(url).unwrap_err().to_string();
            assert!(error.contains(word), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = Assets::of("t", "x", 1, [], &[]).unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{error}");
        for name in ["", ".a", "-a", "a..b", "a b", "a/b"] {
            let error = Assets::of(name, URL, 1, [], &[]).unwrap_err();
            assert!(matches!(error, Error::Target(_)), "{error}");
        }
    }

    #[test]
    fn a_list_that_says_what_cannot_be_is_refused() {
        type Change = fn(&mut Assets);
        let changes: [(&str, Change); 17] = [
            ("format", |all| all.format = 0),
            ("format", |all| all.format = 2),
            ("target", |all| all.target = "a/b".to_owned()),
            ("https", |all| all.url = "http://github.com/a".to_owned()),
            ("its tag", |all| all.tag = "rocky-9.7-100".to_owned()),
            ("its tag", |all| all.tag = "rocky-9.6-0100".to_owned()),
            ("its tag", |all| all.tag = "rocky-9.6-+100".to_owned()),
            ("no packages", |all| all.packages.clear()),
            ("in its place", |all| all.packages.reverse()),
            ("in its place", |all| {
                let one = all.packages[2].clone();
                all.packages.push(one);
            }),
            ("no place", |all| {
                all.packages[0].path = "source/Packages/../a.rpm".to_owned();
            }),
            ("no place", |all| all.packages[0].path = "a.rpm".to_owned()),
            ("the tag of", |all| {
                all.packages[0].tag = "../../evil".to_owned()
            }),
            ("the tag of", |all| {
                all.packages[0].tag = "rocky-9.6-101".to_owned()
            }),
            ("another name", |all| {
                all.packages[0].asset = "other.rpm".to_owned()
            }),
            ("digest", |all| all.packages[0].sha256 = "A".repeat(64)),
            ("digest or size", |all| all.packages[0].size = 0),
        ];
        for (word, change) in changes {
            let mut assets = first();
            change(&mut assets);
            let why = assets.wrong().unwrap();
            assert!(why.contains(word) && !why.contains('\n'), "{word}: {why}");
            assert!(Assets::parse(&assets.to_json()).is_err());
        }
        assert!(Assets::parse("{").is_err());
    }
}
