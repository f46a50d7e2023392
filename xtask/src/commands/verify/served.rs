//! A published repository: fetched from its URL as clients see it, into a temporary folder. What it lists is fetched once the signature of the list
//! is known to hold, and nothing is larger than what was signed says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use lustre_files::{Advised, advised};
use lustre_packaging::sign::PublicKey;
use lustre_packaging::source::{self, Downloader, Location, Progress, Retry};
use lustre_packaging::store::{Digest, TempDir};
use lustre_repository::assets::{self, Assets};
use lustre_repository::history::{self, History};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Outcome};
use lustre_repository::{layout, repo_file, sums};

use super::super::proofs::{self, ProofReport};
use super::expected::Expected;
use super::{identity, keep};
use crate::context::{self, Context};
use crate::events::Amount;
use crate::exit::Usage;
use crate::transfer;
use crate::ui::Screen;

/// The name of the check that every file is served as it was signed.
pub const CHECK: &str = "served";

/// After how long without a byte that is told, and told again.
const QUIET: Duration = Duration::from_secs(20);

/// How many files come at a time.
const WIDTH: usize = 4;

/// After how many files that are not served as they were signed no further ones are tried.
const NAMED: usize = 5;

/// No file but a package is larger (bytes).
const LARGEST: u64 = 64 << 20;

/// There are no more files than this besides packages.
const MOST: usize = 1000;

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
        let file = File {
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
    let lists = History::read(&tree)
        .and_then(|releases| Ok((releases, Assets::read(&tree)?)))
        .map_err(|error| error.to_string())
        .and_then(|(releases, assets)| Ok((releases, ours(assets, &manifest)?)));
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
        bytes: files.iter().filter_map(|file| file.size).sum(),
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

/// The assets, where they are those that the manifest says.
fn ours(assets: Option<Assets>, manifest: &Manifest) -> Result<Option<Assets>, String> {
    let told = manifest.repository.as_ref();
    let told = told.and_then(|it| it.assets_url.as_deref());
    match assets {
        Some(all) if told != Some(&*all.url) || all.target != manifest.target => Err(format!(
            "{} is of another target or of another URL than {}",
            assets::FILE,
            manifest::FILE
        )),
        assets => Ok(assets),
    }
}

/// A file that is fetched.
struct File {
    path: String,
    sha256: Digest,
    /// What the manifest says that it has; of packages alone.
    size: Option<u64>,
    /// Where it is if it is not beside the metadata; of packages alone.
    asset: Option<String>,
}

/// The files with their sizes, the largest first.
fn sized(
    wanted: BTreeMap<String, Digest>,
    manifest: &Manifest,
    releases: Option<&History>,
    assets: Option<&Assets>,
) -> Result<Vec<File>, String> {
    let packages = manifest.packages.iter();
    let earlier = releases.into_iter().flat_map(|all| &all.sets);
    let earlier = earlier.flat_map(|set| &set.packages);
    let sizes: BTreeMap<&str, u64> = packages
        .map(|one| (one.file.as_str(), one.size))
        .chain(earlier.map(|one| (one.path.as_str(), one.size)))
        .collect();
    let mut files: Vec<File> = wanted
        .into_iter()
        .map(|(path, sha256)| File {
            size: sizes.get(path.as_str()).copied(),
            asset: assets.and_then(|all| all.at(&path).map(|asset| all.url_of(asset))),
            path,
            sha256,
        })
        .collect();
    let more = files.iter().filter(|file| file.size.is_none()).count();
    if more > MOST {
        return Err(format!(
            "{} lists {more} files that {} does not list as packages; a repository of this tool has at most {MOST}",
            sums::FILE,
            manifest::FILE
        ));
    }
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    Ok(files)
}

/// That there is room for the packages.
fn room(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let stat = rustix::fs::statvfs(folder).with_context(|| folder.display().to_string())?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if bytes > free {
        bail!(
            "the packages have {} MiB, and {} MiB are free in {}; make room, or choose another --store",
            bytes.div_ceil(1 << 20),
            free >> 20,
            folder.display()
        );
    }
    Ok(())
}

/// Where a repository is served, and where it is brought to.
struct ServedRepository<'a> {
    url: &'a Location,
    tree: &'a Path,
    downloader: Downloader<'a>,
}

impl ServedRepository<'_> {
    /// Fetches a small file whose digest is not known yet; or gives why what is served is none.
    fn small(&self, file: &str) -> anyhow::Result<Result<(), Refusal>> {
        let location = self.url.join(file)?;
        let got = self.downloader.small(CHECK, location.as_str());
        // A file of this machine that cannot be read is told as what it is, too.
        let gone = !location.is_remote() || got.as_ref().is_err_and(source::Error::is_gone);
        Ok(match told(got)? {
            Ok(content) => {
                let path = self.tree.join(file);
                lustre_files::write_whole(&path, &content)
                    .with_context(|| path.display().to_string())?;
                Ok(())
            }
            Err(why) => Err(Refusal { why, gone }),
        })
    }

    /// Fetches all `files`, and gives what is not served as it was signed.
    fn all(&self, files: &[File], context: &Context, all: Amount) -> anyhow::Result<Vec<String>> {
        let next = AtomicUsize::new(0);
        let findings = Mutex::new(Vec::new());
        let errors = Mutex::new(Vec::new());
        let found = || findings.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = || errors.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while found().len() < NAMED
                && broken().is_empty()
                && let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed))
            {
                match self.one(file) {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => found().push(format!("{}: {why}", file.path)),
                    Err(error) => broken().push(error),
                }
            }
        };
        let so_far = || Amount {
            files: next.load(Ordering::Relaxed).min(files.len()),
            bytes: files.iter().map(|file| self.come(file)).sum(),
        };
        transfer::told(&context.screen, all, &so_far, || {
            std::thread::scope(|scope| {
                for _ in 0..WIDTH.min(files.len()) {
                    scope.spawn(work);
                }
            });
        });
        proofs::uninterrupted()?;
        if let Some(error) = broken().pop() {
            return Err(error);
        }
        let mut findings = found().clone();
        findings.sort();
        if findings.len() >= NAMED && next.load(Ordering::Relaxed) < files.len() {
            findings.push("and maybe others, which were not tried any more".to_owned());
        }
        Ok(findings)
    }

    fn one(&self, file: &File) -> anyhow::Result<Result<(), String>> {
        let location = self.url.join(&file.path)?;
        let most = file.size.unwrap_or(LARGEST);
        let to = self.tree.join(&file.path);
        let above = to.parent().unwrap_or(self.tree);
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        let from = |location: &str| {
            self.downloader
                .file_at(CHECK, location, &file.sha256, most, &to)
        };
        // A mirror of the whole tree has it where it belongs.
        match (from(location.as_str()), &file.asset) {
            (Err(error), Some(asset)) if error.is_gone() => {
                let got = told(from(asset))?;
                Ok(got.map_err(|why| format!("not there, and as {asset}: {why}")))
            }
            (got, _) => told(got),
        }
    }

    /// How much of a package has come.
    fn come(&self, file: &File) -> u64 {
        let Some(size) = file.size else {
            return 0;
        };
        let there = fs::metadata(self.tree.join(&file.path));
        there.map_or(0, |there| there.len().min(size))
    }
}

/// Why a file did not come.
#[derive(Debug)]
struct Refusal {
    why: String,
    /// Whether that is because there is none.
    gone: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What is said of a URL whose first file did not come: that there is no repository, or that nobody can tell.
fn none_there(url: &Location, refusal: &Refusal) -> Advised {
    let file = sums::FILE;
    match refusal.gone {
        true => advised(
            format!("no repository of this tool at {url}: {file}: {refusal}"),
            format!("give the URL of the folder with {file}: the `baseurl` of the target"),
        ),
        false => advised(
            format!("cannot tell whether there is a repository at {url}: {file}: {refusal}"),
            format!(
                "see whether the URL is right and what its server answers (`curl --location {}/{file}`), and run the same command again",
                url.to_string().trim_end_matches('/')
            ),
        ),
    }
}

/// Servers that take a connection and give nothing: people are told of them while they are waited for.
struct Silence<'a> {
    screen: &'a Screen,
    /// How much of a file had come when something last came, when that was, and how often its silence was told since.
    heard: Mutex<HashMap<String, (u64, Instant, u32)>>,
}

impl<'a> Silence<'a> {
    fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            heard: Mutex::default(),
        }
    }

    fn heard(&self, progress: &Progress) {
        if let Some(line) = self.told(progress, Instant::now()) {
            self.screen.line(&line);
        }
    }

    /// What there is to say at the time `now`.
    fn told(&self, progress: &Progress, now: Instant) -> Option<String> {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = all
            .entry(progress.url.clone())
            .or_insert((progress.bytes, now, 0));
        if heard.0 != progress.bytes {
            *heard = (progress.bytes, now, 0);
            return None;
        }
        let silent = now.duration_since(heard.1);
        if silent < QUIET * (heard.2 + 1) {
            return None;
        }
        heard.2 += 1;
        Some(format!(
            "nothing from {} for {} s; it is asked up to {} times",
            progress.url,
            silent.as_secs(),
            Retry::default().attempts
        ))
    }
}

/// What a server gave, or why that is not what it has to give; an error where it was not asked at all.
fn told<T>(got: Result<T, source::Error>) -> anyhow::Result<Result<T, String>> {
    let why = match got {
        Ok(got) => return Ok(Ok(got)),
        Err(source::Error::Download { tried, .. }) => {
            let said: BTreeSet<String> = tried.into_iter().map(|attempt| attempt.why).collect();
            Vec::from_iter(said).join("; ").trim().to_owned()
        }
        Err(source::Error::Digest {
            expected, found, ..
        }) => format!("it has the sha256 {found}, and {expected} was signed"),
        Err(source::Error::Larger { limit, .. }) => {
            format!("it is larger than {limit} bytes")
        }
        Err(error) => return Err(error.into()),
    };
    // What an interruption broke says nothing of a server.
    proofs::uninterrupted()?;
    Ok(Err(why))
}

#[cfg(test)]
mod tests {
    use lustre_repository::history::{Set, SetPackage};

    use super::*;

    #[test]
    fn a_server_that_gives_nothing_is_told_of_while_it_is_waited_for() {
        let screen = Screen::new();
        let silence = Silence::new(&screen);
        let start = Instant::now();
        let at = |seconds, bytes| {
            let progress = Progress {
                source: CHECK.to_owned(),
                url: "http://a.example/b".to_owned(),
                bytes,
                total: None,
                damaged: false,
            };
            silence.told(&progress, start + Duration::from_secs(seconds))
        };
        let told: Vec<u64> = (0..90).filter(|second| at(*second, 0).is_some()).collect();
        assert_eq!(told, [20, 40, 60, 80]);
        // Slow is not silent.
        assert!((90..200).all(|second| at(second, second).is_none()));
        let line = at(219, 199).unwrap();
        assert!(line.contains("http://a.example/b for 20 s"), "{line}");
    }

    #[test]
    fn a_package_of_an_earlier_release_is_as_large_as_the_list_of_releases_says() {
        let path = "x86_64-debuginfo/Packages/kernel-debuginfo-1-1.x86_64.rpm";
        let large = 20 * LARGEST;
        let wanted = BTreeMap::from([(path.to_owned(), Digest::of_bytes(b"kernel"))]);
        let releases = History {
            sets: vec![Set {
                packages: vec![SetPackage {
                    path: path.to_owned(),
                    size: large,
                    ..SetPackage::default()
                }],
                ..Set::default()
            }],
            ..History::default()
        };
        let manifest = Manifest::default();
        let size = |releases| sized(wanted.clone(), &manifest, releases, None).unwrap()[0].size;
        assert_eq!(size(Some(&releases)), Some(large));
        assert_eq!(size(None), None);
    }
}
