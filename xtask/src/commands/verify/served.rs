//! A published repository: fetched from its URL as clients see it, into a temporary folder. What it lists is fetched once the signature of the list
//! is known to hold, and nothing is larger than what was signed says.

mod download;
mod silence;

pub use download::CHECK;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use lustre_files::{Advised, advised, shown_url};
use lustre_packaging::sign::PublicKey;
use lustre_packaging::source::{Downloader, Location, Progress, Retry, is_near};
use lustre_packaging::store::{Digest, TempDir};
use lustre_repository::assets::{self, Assets};
use lustre_repository::history::{self, History};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Outcome};
use lustre_repository::{layout, repo_file, sums};

use super::super::proofs::ProofReport;
use super::expected::Expected;
use super::{identity, keep};
use crate::context::{self, Context};
use crate::events::Amount;
use crate::exit::Usage;

use download::{ListedFile, NAMED, ServedRepository, none_there, room, sized, total};
use silence::Silence;

/// The URL that `path` is, if it is one.
pub fn url(path: &Path) -> Result<Option<Location>, Usage> {
    let Some(text) = path.to_str().filter(|text| text.contains("://")) else {
        return Ok(None);
    };
    let url = Location::parse(text).map_err(|error| Usage::new(Advised::of(&error)))?;
    // What is joined to it would become a part of these.
    if text.contains(['?', '#']) {
        return Err(Usage::new(advised(
            format!("{url}: the URL of a repository has no `?` and no `#`"),
            "give that of the folder with SHA256SUMS",
        )));
    }
    Ok(Some(url))
}

/// A repository that was fetched.
pub struct FetchedRepository {
    /// The folder that it is in, removed with this.
    _folder: TempDir,
    pub tree: PathBuf,
    /// What was seen of it where it is served.
    pub check: Check,
}

/// What is fetched, and what for.
pub struct FetchRequest<'a> {
    pub url: &'a Location,
    pub expected: &'a Expected,
    /// The target, if the user named one.
    pub target: Option<&'a str>,
    /// Where it is to be kept.
    pub output: Option<&'a Path>,
}

/// Fetches what is wanted, whatever of it is on this machine already; or gives the checks, where one of them does not hold. `name` hears which
/// target its signed manifest names, before anything else is fetched.
pub fn fetch(
    context: &Context,
    of: &FetchRequest<'_>,
    name: &mut dyn FnMut(&Manifest) -> anyhow::Result<()>,
) -> anyhow::Result<Result<FetchedRepository, ProofReport>> {
    let FetchRequest {
        url,
        expected,
        output,
        ..
    } = *of;
    let unknown = of.target.unwrap_or("unknown");
    let since = Instant::now();
    let folder = context.store.temp_dir(CHECK)?;
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).with_context(|| tree.display().to_string())?;
    let offline = context.arguments.offline;
    let silence = Silence::new(&context.screen);
    let progress = |progress: &Progress| silence.heard(progress);
    let served = ServedRepository {
        url,
        tree: &tree,
        downloader: Downloader::new(&context.store, offline, &[], Retry::default(), &progress),
    };
    let broken = |target: &str, checks| {
        let proved = ProofReport::broken(&tree, target, checks);
        Ok(Err(proved.seen_at(&tree, &url.to_string())))
    };
    let failed = |findings| check(url, since, findings, "");
    if let Err(why) = served.small(sums::FILE)? {
        return Err(none_there(url, &why).into());
    }
    let mut findings = Vec::new();
    for file in [sums::SIGNATURE, repo_file::KEY_FILE, manifest::FILE] {
        if let Err(why) = served.small(file)? {
            findings.push(format!("{file}: {why}"));
        }
    }
    if !findings.is_empty() {
        return broken(unknown, vec![failed(findings)]);
    }
    let odd = identity::broken(&tree);
    if !odd.is_empty() {
        return broken(unknown, odd);
    }
    let text = |file: &str| {
        let path = tree.join(file);
        lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())
    };
    let key = text(repo_file::KEY_FILE)?;
    let trusted = Check::run(proof::KEY, &context.store.logs_dir(), || {
        expected.check(&key)
    });
    if trusted.result == Outcome::Fail {
        return broken(unknown, vec![trusted]);
    }
    let listed = text(sums::FILE)?;
    let signed = PublicKey::parse(&key)?
        .verify_detached(listed.as_bytes(), text(sums::SIGNATURE)?.as_bytes())
        .map_err(|error| format!("{}: its signature does not hold: {error}", sums::FILE));
    let wanted = signed.and_then(|_| wanted(&listed));
    let mut wanted = match wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            let why = format!("{why}. Nothing that it lists was fetched");
            return broken(unknown, vec![failed(vec![why])]);
        }
    };
    // Of what was fetched before the list was: it is that of this release, too.
    for file in [repo_file::KEY_FILE, manifest::FILE] {
        let digest = wanted.remove(file);
        if digest != Some(Digest::of_file(&tree.join(file))?.0) {
            findings.push(format!(
                "{file} is not the one that {} lists: a cache or a mirror has that of another release; run again, or ask who serves it",
                sums::FILE
            ));
        }
    }
    if !findings.is_empty() {
        return broken(unknown, vec![failed(findings)]);
    }
    // One of a later version of the tool is told where it is served.
    let manifest = Manifest::read(&tree.join(manifest::FILE)).map_err(|error| {
        let (here, there) = (tree.display().to_string(), url.to_string());
        anyhow!("{}", error.to_string().replace(&here, &there))
    })?;
    name(&manifest)?;
    // Said now, and not after hours of fetching.
    if let Some(output) = output {
        keep::judge(&tree, output, expected)?;
    }
    // The one has the sizes of packages of earlier releases, the other where packages are that are not beside the metadata.
    for name in [history::FILE, assets::FILE] {
        let Some(sha256) = wanted.remove(name) else {
            continue;
        };
        let file = ListedFile {
            path: name.to_owned(),
            sha256,
            size: None,
            asset: None,
        };
        if let Err(why) = served.one(&file)? {
            let why = format!("{name}: {why}");
            return broken(&manifest.target, vec![failed(vec![why])]);
        }
    }
    let near = !url.is_remote() || url.is_near();
    let lists = History::read(&tree)
        .and_then(|releases| Ok((releases, Assets::read(&tree)?)))
        .map_err(|error| error.to_string())
        .and_then(|(releases, assets)| Ok((releases, ours(assets, &manifest, near)?)));
    let (releases, assets) = match lists {
        Ok(lists) => lists,
        Err(why) => return broken(&manifest.target, vec![failed(vec![why])]),
    };
    let files = match sized(wanted, &manifest, releases.as_ref(), assets.as_ref()) {
        Ok(files) => files,
        Err(why) => return broken(&manifest.target, vec![failed(vec![why])]),
    };
    let all = Amount {
        files: files.len(),
        bytes: total(&files),
    };
    room(folder.path(), all.bytes)?;
    if let Some(output) = output {
        keep::room(&tree, output, all.bytes)?;
    }
    context.screen.line(&format!(
        "fetching {} files, {} MiB of packages, from {url}",
        all.files,
        all.bytes.div_ceil(1 << 20)
    ));
    findings.extend(served.all(&files, context, all)?);
    for file in [sums::PROVENANCE, sums::PROVENANCE_SIGNATURE] {
        if findings.len() < NAMED
            && let Err(why) = served.small(file)?
        {
            findings.push(format!("{file}: {why}"));
        }
    }
    let note = format!(
        "{} files as {} lists them, {} MiB of packages",
        all.files,
        sums::FILE,
        all.bytes.div_ceil(1 << 20)
    );
    let served = check(url, since, findings, &note);
    if served.result != Outcome::Pass {
        return broken(&manifest.target, vec![trusted, served]);
    }
    let fetched = FetchedRepository {
        _folder: folder,
        tree,
        check: served,
    };
    Ok(Ok(fetched))
}

/// What came of it.
fn check(url: &Location, since: Instant, findings: Vec<String>, note: &str) -> Check {
    let good = findings.is_empty();
    Check {
        name: CHECK.to_owned(),
        result: if good { Outcome::Pass } else { Outcome::Fail },
        checked: url.to_string(),
        message: if good {
            note.to_owned()
        } else {
            findings.join("\n")
        },
        duration_ms: Some(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
        log: None,
    }
}

/// That a repository can be kept at `output`, which is found out before anything is fetched.
pub fn judge_output(output: &Path, store: Option<&Path>) -> anyhow::Result<()> {
    layout::judge(output).map_err(|error| Usage::new(Advised::of(&error)))?;
    context::judge_output("the repository", output, store)
}

/// The files that the sums list, by path.
fn wanted(text: &str) -> Result<BTreeMap<String, Digest>, String> {
    let mut all = BTreeMap::new();
    for (digest, path) in sums::all(text) {
        let odd = || format!("{} lists `{}`", sums::FILE, path.escape_debug());
        let stays = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let of_itself = sums::LEFT_OUT.contains(&path);
        if !stays
            || of_itself
            || path.is_empty()
            || path.contains("//")
            || path.chars().any(char::is_control)
        {
            return Err(format!("{}, which is no path in a repository", odd()));
        }
        let digest = digest
            .parse()
            .map_err(|error| format!("{}: {error}", odd()))?;
        if all.insert(path.to_owned(), digest).is_some() {
            return Err(format!("{} twice", odd()));
        }
    }
    Ok(all)
}

/// The assets, where they are those that the manifest says. A repository that is not `near` has none that are.
fn ours(assets: Option<Assets>, manifest: &Manifest, near: bool) -> Result<Option<Assets>, String> {
    let told = manifest.repository.as_ref();
    let told = told.and_then(|it| it.assets_url.as_deref());
    match assets {
        Some(all) if told != Some(&*all.url) || all.target != manifest.target => Err(format!(
            "{} is of another target or of another URL than {}",
            assets::FILE,
            manifest::FILE
        )),
        Some(all) if !near && is_near(&all.url) => Err(format!(
            "{} is of {}, a loopback or link-local address, which is none of who published it",
            assets::FILE,
            shown_url(&all.url).escape_debug()
        )),
        assets => Ok(assets),
    }
}

#[cfg(test)]
mod tests {
    use lustre_repository::manifest::Repository;

    use super::*;

    #[test]
    fn a_published_repository_has_no_assets_on_this_machine() {
        let url = "http://127.0.0.1:8080/a";
        let manifest = Manifest {
            target: "x".to_owned(),
            repository: Some(Repository {
                assets_url: Some(url.to_owned()),
                ..Repository::default()
            }),
            ..Manifest::default()
        };
        let package = || assets::PackageFile {
            path: "x86_64/Packages/a-1-1.x86_64.rpm".to_owned(),
            sha256: Digest::of_bytes(b"a").to_string(),
            size: 1,
        };
        let assets = || Some(Assets::of("x", url, 1, [package()], &[]).unwrap());
        assert!(ours(assets(), &manifest, true).unwrap().is_some());
        let error = ours(assets(), &manifest, false).unwrap_err();
        assert!(error.contains("loopback"), "{error}");
    }
}
