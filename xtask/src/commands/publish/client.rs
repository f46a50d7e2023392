//! What a client sees of what was published: the index and its signature over the URL, and what dnf makes of it; where that is asked for, also
//! every file, and that it installs (`installs`).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum as _;
use clap::builder::PossibleValue;
use lustre_files::{advised, apart, shown_url};
use lustre_packaging::host;
use lustre_packaging::process;
use lustre_packaging::sign::PublicKey;
use lustre_packaging::source::{Downloader, Location, Retry};
use lustre_packaging::store::Digest;
use lustre_repository::assets;
use lustre_repository::layout::Kind;
use lustre_repository::publishing::Place;
use lustre_repository::sums;

use super::super::verify;
use super::destination::Destination;
use super::installs;
use super::source::Source;
use super::workspace::Workspace;
use crate::cli::{Look, PlaceArgs};
use crate::exit::Usage;
use crate::ui;

/// What was seen.
pub enum ClientCheck {
    /// What was published, whole.
    Whole {
        url: String,
        /// Why dnf did not read it, where it did not.
        without_dnf: Option<String>,
        /// How far that was looked into.
        check: Look,
    },
    /// Something else.
    Broken { url: String, why: String },
    /// Nobody looked, for this reason.
    NotLooked(String),
}

impl ClientCheck {
    /// For machines.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Whole {
                url,
                without_dnf,
                check,
            } => {
                let check = check.to_possible_value();
                let check = check.as_ref().map(PossibleValue::get_name);
                serde_json::json!({ "result": "pass", "url": url, "without_dnf": without_dnf, "check": check })
            }
            Self::Broken { url, why } => {
                serde_json::json!({ "result": "fail", "url": url, "why": why })
            }
            Self::NotLooked(why) => serde_json::json!({ "result": "not-run", "why": why }),
        }
    }
}

/// The word that says that nobody looks.
const NONE: &str = "none";

/// That `url` can be looked at.
pub fn judge(url: &str) -> Result<(), Usage> {
    let bad = |why: String| {
        Usage::new(advised(
            format!("--url: {why}"),
            format!("give http(s)://…, file:///… or `{NONE}`"),
        ))
    };
    if url == NONE {
        return Ok(());
    }
    Location::parse(url)
        .map(drop)
        .map_err(|error| bad(error.to_string()))
}

/// Where clients read it; or why nobody can look there. `to` is where it is published.
fn place<'a>(
    arguments: &'a PlaceArgs,
    to: &Place,
    source: &'a Source,
) -> Result<&'a str, &'static str> {
    match (&arguments.url, &source.manifest.repository) {
        (Some(url), _) if url == NONE => Err("--url none"),
        (Some(url), _) => Ok(url.as_str()),
        (None, Some(told)) => own(&told.baseurl, to),
        (None, None) => Err("the repository does not say its URL"),
    }
}

/// Before anything is sent: that what was asked for can be done afterwards.
pub fn can_look(arguments: &PlaceArgs, to: &Place, source: &Source) -> anyhow::Result<()> {
    if arguments.check == Look::Index {
        return Ok(());
    }
    let url = place(arguments, to, source).map_err(|why| {
        Usage::new(advised(
            format!("--check install: {why}"),
            "give the URL that clients read with --url URL",
        ))
    })?;
    let given = arguments.target_given;
    verify::can_install(&arguments.target, given, &source.manifest, url).context("--check install")
}

/// Looks, and says what was seen `below` the URL of the place `to`.
pub fn look(
    arguments: &PlaceArgs,
    to: &Place,
    below: &str,
    source: &Source,
    own: &Workspace,
    destination: &dyn Destination,
) -> anyhow::Result<ClientCheck> {
    let seen = match place(arguments, to, source) {
        Err(why) => ClientCheck::NotLooked(why.to_owned()),
        Ok(url) => {
            let url = format!("{}{below}", url.trim_end_matches('/'));
            let shown = shown_url(&url);
            match patiently(destination.patience(), || {
                whole(&url, source, own, destination)
            })? {
                Ok(without_dnf) => match installs::installs(arguments, &url, source)? {
                    Ok(()) => ClientCheck::Whole {
                        url: shown,
                        without_dnf,
                        check: arguments.check,
                    },
                    Err(why) => ClientCheck::Broken { url: shown, why },
                },
                Err(error) => ClientCheck::Broken {
                    // What dnf says quotes the URL that it was given.
                    why: without_advice(&error).replace(&url, &shown),
                    url: shown,
                },
            }
        }
    };
    match &seen {
        ClientCheck::Whole {
            url,
            without_dnf,
            check,
        } => {
            let mut dnf = match without_dnf {
                None => "dnf reads it".to_owned(),
                Some(why) => format!("dnf did NOT read it: {why}"),
            };
            if *check == Look::Install {
                dnf.push_str("; every file is served, and it installs");
            }
            ui::say(&format!(
                "clients see it at {url}: index, sums and signatures are those of this release; {dnf}"
            ));
        }
        ClientCheck::Broken { url, why } => ui::warn(&format!(
            "warning: it is there, but clients do not see it at {url}: {why}; if they look somewhere else, give --url"
        )),
        ClientCheck::NotLooked(why) => ui::warn(&format!(
            "the view of a client was NOT checked: {why}; check it with --url URL"
        )),
    }
    Ok(seen)
}

/// Does `look` again and again until it succeeds, or for so long.
fn patiently<T>(
    patience: Duration,
    look: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<anyhow::Result<T>> {
    const PAUSE: Duration = Duration::from_secs(10);
    let clock = Instant::now();
    let mut told = false;
    loop {
        let seen = look();
        let over = clock.elapsed() + PAUSE > patience;
        let error = match seen {
            Err(error) if !over => error,
            seen => return Ok(seen),
        };
        if !told {
            let minutes = patience.as_secs() / 60;
            ui::say(&format!(
                "waiting until clients see it, {minutes} minutes at most: {}",
                without_advice(&error)
            ));
            told = true;
        }
        let again = Instant::now() + PAUSE;
        while Instant::now() < again {
            if process::interrupted() {
                bail!(advised(
                    "interrupted: it is published, and nobody looked whether clients see it",
                    "run the same command again to look"
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What went wrong, without what a download advises: whoever published has another thing to do first.
fn without_advice(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        let (text, _) = apart(cause);
        if !said.last().is_some_and(|last| last.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}

/// The URL that a repository says of itself, if it is one to look at. A folder is one where that is what was published to: each client has folders
/// of its own, and what is in one of ours elsewhere says nothing of them.
fn own<'u>(url: &'u str, to: &Place) -> Result<&'u str, &'static str> {
    if url.starts_with("file://") {
        let path = Location::parse(url).ok().and_then(|it| it.local_path());
        let real = |path: &Path| lustre_files::place::real(path).ok();
        let is_there = match (path, to) {
            (Some(path), Place::Folder(to)) => {
                let (path, to) = (real(&path), real(to));
                path.is_some() && path == to
            }
            _ => false,
        };
        return match is_there {
            true => Ok(url),
            false => Err(
                "its own URL is that of a folder of the client's, and not the place that it was published to",
            ),
        };
    }
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let reserved = [
        "example.org",
        "example.com",
        "example.net",
        "example",
        "invalid",
    ];
    let is_reserved = |name: &&str| host == *name || host.ends_with(&format!(".{name}"));
    match reserved.iter().any(is_reserved) {
        true => Err("its own URL is an example"),
        false => Ok(url),
    }
}

/// That what is at `url` is the release; gives why dnf did not read it, if it did not.
fn whole(
    url: &str,
    source: &Source,
    own: &Workspace,
    destination: &dyn Destination,
) -> anyhow::Result<Option<String>> {
    let downloader = Downloader::new(&own.store, false, &[], Retry::default(), &|_| {});
    let get = |path: &str| downloader.small("published", &format!("{url}/{path}"));
    let key = PublicKey::parse(&source.public_key)?;
    let signed = |path: &str| -> anyhow::Result<Vec<u8>> {
        let content = get(path)?;
        let signature = get(&format!("{path}.asc"))?;
        key.verify_detached(&content, &signature)
            .with_context(|| format!("{path}: its signature does not hold"))?;
        Ok(content)
    };
    if signed(sums::FILE)? != source.sums.as_bytes() {
        return Err(anyhow!(
            "{} is that of another release: a cache may still have it",
            sums::FILE
        ));
    }
    let plain = Kind::ALL.map(|kind| kind.folder().to_owned());
    let folders = plain.into_iter().chain(Kind::ALL.map(assets::folder));
    let indexes = folders.map(|folder| format!("{folder}/repodata/repomd.xml"));
    // Not every repository has metadata of assets.
    for path in indexes.filter(|path| sums::digest_of(&source.sums, path).is_some()) {
        let digest = Digest::of_bytes(&signed(&path)?).to_string();
        if sums::digest_of(&source.sums, &path) != Some(digest.as_str()) {
            return Err(anyhow!("{path} is that of another release"));
        }
    }
    if host::find_program("dnf").is_none() {
        return Ok(Some("it is not installed here".to_owned()));
    }
    let metadata = match destination.metadata() {
        "" => url.to_owned(),
        folder => format!("{url}/{folder}"),
    };
    dnf(&metadata, source, own.scratch.path())?;
    Ok(None)
}

/// Has dnf read the metadata, with nothing of this machine's configuration.
fn dnf(url: &str, source: &Source, scratch: &Path) -> anyhow::Result<()> {
    let folder = scratch.join("dnf");
    let at = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("root")).context("a folder for dnf")?;
    let config = format!(
        "[main]\ncachedir={}\npersistdir={}\nlogdir={}\nreposdir={}\nplugins=0\n",
        at("cache"),
        at("persist"),
        at("log"),
        at("none")
    );
    for (name, text) in [("dnf.conf", &config), ("key.asc", &source.public_key)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let mut command = process::command("dnf");
    command
        .args(["--assumeyes", "--quiet", "--releasever=0", "--config"])
        .arg(folder.join("dnf.conf"))
        .arg(format!("--installroot={}", at("root")))
        .arg(format!(
            "--repofrompath=published,{url}/{}",
            Kind::Binary.folder()
        ))
        .args(["--repo=published", "--setopt=published.repo_gpgcheck=1"])
        .arg(format!(
            "--setopt=published.gpgkey=file://{}",
            at("key.asc")
        ))
        .args(["makecache", "--refresh"]);
    process::output(&mut command).context("dnf does not read it")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_and_a_folder_elsewhere_are_no_places_to_look_at() {
        let folder = tempfile::tempdir().unwrap();
        // Where nothing is yet, before the first release.
        let to = folder.path().join("www/a b");
        let place = Place::parse(to.to_str().unwrap()).unwrap();
        let own = |url: &str| super::own(url, &place).is_ok();
        for url in [
            "https://repo.example.org/lustre",
            "https://example.com:8443/a",
            "http://a.invalid",
        ] {
            assert!(!own(url), "{url}");
        }
        for elsewhere in ["/srv/lustre-repo/rehearsal", "/", ""] {
            assert!(!own(&format!("file://{elsewhere}")), "{elsewhere}");
        }
        let url = format!("file://{}", to.display()).replace(' ', "%20");
        assert!(own(&url), "{url}");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
        assert!(own(&url.replace("/www/", "/link/www/")), "{url}");
        let remote = Place::parse("rsync://mirror.example.org/lustre").unwrap();
        assert!(super::own(&url, &remote).is_err());
        for url in [
            "https://repo.example.org.evil.test/a",
            "https://notexample.org/a",
        ] {
            assert!(own(url), "{url}");
        }
        judge("none").unwrap();
        judge("http://127.0.0.1:80/a").unwrap();
        judge("ftp://a/b").unwrap_err();
        judge("x").unwrap_err();
    }
}
