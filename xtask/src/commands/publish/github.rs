//! Publishing to a repository of GitHub: its pages are a branch, changed in one push; packages are assets of its releases, where the target has
//! `assets_url`.
//!
//! - `branch`: the branch, by git.
//! - `api`: what gh asks and tells GitHub.
//! - `releases`: the releases that have the packages.

mod api;
mod branch;
mod releases;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::store::Digest;
use lustre_repository::assets::{self, Assets};
use lustre_repository::key;
use lustre_repository::publishing::{
    HOME, Listing, Plan, Release, RemoteEntry, Shape, Upload, is_package, pages_fit,
};

use self::api::Api;
use self::branch::{BRANCH, Branch, Entry};
use self::releases::Uploading;
use super::destination::{Beside, Destination};
use super::source::Source;
use crate::cli::PlaceArgs;
use crate::context::variable;
use crate::exit::Usage;
use crate::ui;

/// The host, where no other is named by `GH_HOST`.
const HOST: &str = "github.com";

/// The file that says which name of its own a site has.
const NAME_OF_SITE: &str = "CNAME";

/// The file that keeps the pages from being made of what is there: then folders whose names begin with a period are not served.
const AS_IT_IS: &str = ".nojekyll";

/// For how long clients may see the pages as they were: they are put in place some time after the push, and are kept by caches.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A repository there.
pub struct GitHub {
    api: Api,
    branch: Branch,
    /// What is on the branch, and will be.
    files: RefCell<BTreeMap<String, Entry>>,
    /// The folder of it with a slash at its end, or nothing.
    folder: String,
    /// The packages that are to be assets, and where they are here.
    assets: Option<(Assets, PathBuf)>,
    uploading: RefCell<Option<Uploading>>,
    notes: String,
    message: String,
    time: u64,
}

impl GitHub {
    /// The repository `owner/name`, to publish `source` there, which is at `dist`.
    pub fn new(
        owner: &str,
        name: &str,
        arguments: &PlaceArgs,
        source: &Source,
        dist: &Path,
    ) -> anyhow::Result<Self> {
        let host = match variable("GH_HOST") {
            None => HOST.to_owned(),
            Some(host) => host
                .into_string()
                .ok()
                .filter(|host| is_host(host))
                .ok_or_else(|| Usage::new("GH_HOST is no name of a host"))?,
        };
        let manifest = &source.manifest;
        let baseurl = manifest.repository.as_ref().map(|it| it.baseurl.as_str());
        let url = match arguments.url.as_deref().filter(|url| *url != "none") {
            Some(url) => url,
            None => baseurl.unwrap_or_default(),
        };
        if url.is_empty() {
            return Err(Usage::new(advised(
                "the repository does not say where its pages are read",
                "give that URL with --url URL",
            ))
            .into());
        }
        judge_url(name, url)?;
        let assets = Assets::read(dist)?;
        if let Some(assets) = &assets {
            let wanted = format!("https://{host}/{owner}/{name}/releases/download");
            if !assets.url.eq_ignore_ascii_case(&wanted) {
                return Err(Usage::new(advised(
                    format!(
                        "the packages of this repository are to be at {}, and those of github:{owner}/{name} are at {wanted}",
                        assets.url
                    ),
                    "publish to the repository that the target's `assets_url` names, or set that and make this one again",
                ))
                .into());
            }
        }
        let api = Api::new(&host, owner, name)?;
        api.repository()?;
        let branch = Branch::fetched(&host, owner, name)?;
        let files = branch.files()?;
        let folder = match files.get(NAME_OF_SITE) {
            None => folder(owner, name, url, None),
            Some(entry) => {
                let site = branch.read(entry)?;
                folder(
                    owner,
                    name,
                    url,
                    Some(String::from_utf8_lossy(&site).trim()),
                )
            }
        }?;
        let fingerprint = key::fingerprint(&source.public_key)?;
        let sums = Digest::of_bytes(source.sums.as_bytes());
        Ok(Self {
            api,
            branch,
            files: RefCell::new(files),
            folder,
            notes: format!(
                "Packages of a dnf repository. Its metadata, and how to use it: {}\n\nSHA-256 of `SHA256SUMS`: `{sums}`\nKey: `{fingerprint}`\n",
                baseurl.unwrap_or("unknown"),
            ),
            message: format!("{} {}\n", manifest.target, source.release.id),
            time: manifest.release_time(),
            assets: assets.map(|assets| (assets, dist.to_owned())),
            uploading: RefCell::new(None),
        })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.folder)
    }
}

fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    !host.is_empty() && !host.starts_with(['-', '.']) && host.chars().all(plain)
}

/// That `url` is one of pages, with a folder of a branch, as far as that can be said before the branch is looked at.
fn judge_url(name: &str, url: &str) -> Result<(), Usage> {
    let rest = url.split_once("://").filter(|(scheme, _)| {
        ["http", "https"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(scheme))
    });
    let Some((_, rest)) = rest else {
        return Err(Usage::new(advised(
            format!("{} is no URL of pages", lustre_files::shown_url(url)),
            "set the target's `baseurl` to http(s)://HOST/PATH, or give that with --url",
        )));
    };
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let mut parts = path.trim_matches('/').split('/');
    // The name of the repository, or nothing at all.
    let first = parts.next().filter(|it| !it.is_empty());
    let first = first.filter(|it| !it.eq_ignore_ascii_case(name));
    match first.into_iter().chain(parts).any(is_odd) {
        true => Err(no_folder(url)),
        false => Ok(()),
    }
}

fn no_folder(url: &str) -> Usage {
    Usage::new(format!(
        "{} names no folder of a branch",
        lustre_files::shown_url(url)
    ))
}

/// Whether a folder of a branch is never called so.
fn is_odd(part: &str) -> bool {
    part.is_empty()
        || part.starts_with('.')
        || part.eq_ignore_ascii_case("git~1")
        || part.contains(['%', '?', '#', '\\'])
}

/// The folder of the branch that is served at `url`, with a slash at its end, or nothing; `site` is the name of its own that the site has.
fn folder(owner: &str, name: &str, url: &str, site: Option<&str>) -> anyhow::Result<String> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_matches('/');
    let pages = format!("{owner}.github.io");
    let is_pages = host.eq_ignore_ascii_case(&pages);
    let is_all = site.is_some_and(|site| site.eq_ignore_ascii_case(host))
        || is_pages && name.eq_ignore_ascii_case(&pages);
    let (first, below) = path.split_once('/').unwrap_or((path, ""));
    let folder = match first.eq_ignore_ascii_case(name) {
        _ if is_all => path,
        true => below,
        // A name of its own that the site gets later.
        false if !is_pages => path,
        false => {
            return Err(Usage::new(advised(
                format!("{url} is not served from the branch {BRANCH} of {owner}/{name}, whose pages are at https://{pages}/{name}"),
                "set the target's `baseurl` to that or to a folder below it, or give --url",
            ))
            .into());
        }
    };
    if !folder.is_empty() && folder.split('/').any(is_odd) {
        return Err(no_folder(url).into());
    }
    Ok(match folder {
        "" => String::new(),
        folder => format!("{folder}/"),
    })
}

impl Destination for GitHub {
    fn shape(&self) -> Shape {
        Shape::Flat
    }

    fn at_once(&self) -> bool {
        true
    }

    fn kept(&self, release: &Release) -> Release {
        let mut release = release.clone();
        if self.assets.is_some() {
            release.files.retain(|file| !is_package(&file.path));
        }
        release
    }

    fn list(&self) -> anyhow::Result<Listing> {
        let files = self.files.borrow();
        let within = files
            .iter()
            .filter_map(|(path, entry)| Some((path.strip_prefix(&self.folder)?, entry)));
        // What every branch of pages may have at its top is nothing that somebody else keeps in our folder.
        let of_site =
            |path: &str| self.folder.is_empty() && [NAME_OF_SITE, AS_IT_IS].contains(&path);
        let mut listing = Listing::new();
        for (path, entry) in within.filter(|(path, _)| !of_site(path)) {
            for (end, _) in path.match_indices('/') {
                listing.insert(path[..end].to_owned(), RemoteEntry::Folder);
            }
            listing.insert(path.to_owned(), entry.found());
        }
        Ok(listing)
    }

    fn later(&self, target: &str, time: u64) -> anyhow::Result<Option<String>> {
        if self.assets.is_none() {
            return Ok(None);
        }
        let begin = format!("{target}-");
        let of = |tag: &str| tag.strip_prefix(&begin)?.parse::<u64>().ok();
        let all = self.api.releases()?;
        let later = all
            .iter()
            .filter(|it| !it.draft && of(&it.tag_name).is_some_and(|its| its > time))
            .max_by_key(|it| of(&it.tag_name));
        Ok(later.map(|it| format!("the release `{}` of {}", it.tag_name, self.api.repository)))
    }

    fn compare(&self, dist: &Path, release: &Release, listing: &mut Listing) -> anyhow::Result<()> {
        let files = self.files.borrow();
        let mut candidates = Vec::new();
        for (path, found) in listing.iter_mut() {
            let (Some(entry), RemoteEntry::File { size, sha256 }) =
                (files.get(&self.at(path)), found)
            else {
                continue;
            };
            if path.starts_with(HOME) && *size <= lustre_files::SOURCE {
                *sha256 = Some(Digest::of_bytes(&self.branch.read(entry)?).to_string());
            } else if let Some(file) = release.file(path) {
                // Whatever the sums there say of it.
                *sha256 = None;
                if file.size.is_none_or(|wanted| wanted == *size) {
                    candidates.push((dist.join(path), entry, sha256, file));
                }
            }
        }
        let paths: Vec<&Path> = candidates.iter().map(|(path, ..)| path.as_path()).collect();
        let ids = self.branch.ids(&paths, false)?;
        for ((_, entry, sha256, file), id) in candidates.into_iter().zip(ids) {
            *sha256 = Some(match entry.id == id {
                true => file.sha256.clone(),
                false => format!("another one ({})", entry.id),
            });
        }
        Ok(())
    }

    fn local(&self, paths: &[String], scratch: &Path, largest: u64) -> anyhow::Result<PathBuf> {
        let into = scratch.join("there");
        std::fs::create_dir_all(&into).with_context(|| into.display().to_string())?;
        let files = self.files.borrow();
        for path in paths {
            let Some(entry) = files.get(&self.at(path)) else {
                continue;
            };
            if matches!(entry.found(), RemoteEntry::File { size, .. } if size <= largest) {
                let to = into.join(path);
                let parent = to.parent().unwrap_or(&into);
                std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
                lustre_files::write_whole(&to, &self.branch.read(entry)?)
                    .with_context(|| to.display().to_string())?;
            }
        }
        Ok(into)
    }

    fn fits(&self, plan: &Plan) -> anyhow::Result<()> {
        let listing = self.list()?;
        let files = self.files.borrow();
        let others = files.iter().filter(|(path, _)| {
            !path
                .strip_prefix(&self.folder)
                .is_some_and(|path| listing.contains_key(path))
        });
        let others: u64 = others.map(|(_, entry)| entry.size).sum();
        pages_fit(plan, &listing, others)?;
        if let Some((assets, dist)) = &self.assets {
            let looked = Uploading::look(&self.api, assets, dist)?;
            *self.uploading.borrow_mut() = Some(looked);
        }
        Ok(())
    }

    fn beside(&self) -> Vec<Beside> {
        let uploading = self.uploading.borrow();
        uploading.iter().flat_map(Uploading::told).collect()
    }

    fn begin(&self) -> anyhow::Result<()> {
        match &*self.uploading.borrow() {
            None => Ok(()),
            Some(uploading) => uploading.done(&self.api, &self.notes),
        }
    }

    fn put(&self, puts: &[(PathBuf, &Upload)]) -> anyhow::Result<()> {
        let paths: Vec<&Path> = puts.iter().map(|(path, _)| path.as_path()).collect();
        let ids = self.branch.ids(&paths, true)?;
        let mut files = self.files.borrow_mut();
        for ((path, put), id) in puts.iter().zip(ids) {
            let size = path
                .metadata()
                .with_context(|| path.display().to_string())?
                .len();
            files.insert(self.at(&put.path), Entry::file(id, size));
        }
        Ok(())
    }

    fn link(&self, _: &BTreeMap<String, String>) -> anyhow::Result<()> {
        bail!("pages have no links")
    }

    fn take_over(&self, _: &BTreeMap<String, String>) -> anyhow::Result<()> {
        bail!("pages have no links")
    }

    fn probe(&self, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn remove(&self, paths: &[String]) -> anyhow::Result<()> {
        let mut files = self.files.borrow_mut();
        for path in paths {
            let path = self.at(path);
            let below = format!("{path}/");
            files.retain(|it, _| *it != path && !it.starts_with(&below));
        }
        Ok(())
    }

    fn end(&self) -> anyhow::Result<()> {
        let mut files = self.files.borrow_mut();
        if !files.contains_key(AS_IT_IS) {
            let id = self.branch.id_of(&[])?;
            files.insert(AS_IT_IS.to_owned(), Entry::file(id, 0));
        }
        match self.branch.pushed(&files, &self.message, self.time)? {
            true => ui::say(&format!(
                "the branch {BRANCH} was changed; its pages follow within minutes"
            )),
            false => ui::say(&format!("the branch {BRANCH} has all of it")),
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn metadata(&self) -> &'static str {
        match self.assets {
            Some(_) => assets::FOLDER,
            None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_branch_is_the_one_that_is_served_at_the_url() {
        for (name, url, site, wanted) in [
            ("lustre", "https://me.github.io/lustre", None, ""),
            ("lustre", "https://me.github.io/lustre/9.6/", None, "9.6/"),
            ("lustre", "https://ME.github.io/Lustre/a/b", None, "a/b/"),
            ("me.github.io", "https://me.github.io", None, ""),
            ("me.github.io", "https://me.github.io/9.6", None, "9.6/"),
            ("lustre", "https://repo.example.org/9.6", None, "9.6/"),
            ("lustre", "https://example.org/lustre/9.6", None, "9.6/"),
            (
                "lustre",
                "https://example.org/lustre/9.6",
                Some("example.org"),
                "lustre/9.6/",
            ),
        ] {
            judge_url(name, url).unwrap();
            assert_eq!(folder("me", name, url, site).unwrap(), wanted, "{url}");
        }
        for url in [
            "https://me.github.io/other/9.6",
            "https://me.github.io",
            "https://me.github.io/lustre/../x",
            "https://me.github.io/lustre/.git/x",
            "https://me.github.io/lustre//x",
            "https://me.github.io/lustre/a%2fb",
        ] {
            folder("me", "lustre", url, None).unwrap_err();
        }
        // What no branch can change is said before one is asked for.
        for url in [
            "file:///x",
            "x",
            "https://me.github.io/lustre/../x",
            "https://me.github.io/lustre/.git/x",
            "https://example.org/.git",
            "https://me.github.io/lustre//x",
        ] {
            judge_url("lustre", url).unwrap_err();
        }
    }
}
