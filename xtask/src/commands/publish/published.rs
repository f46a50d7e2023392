//! The repository that clients read so far, and whether another follows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use lustre_files::advised;
use lustre_packaging::sign::{PublicKey, utc};
use lustre_packaging::store::Digest;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::publishing::{
    self, CURRENT, HOME, Instead, Listing, Place, Release, RemoteEntry, RemoteState, STAGING,
    Shape, State, is_id, staged_at, time_of,
};
use lustre_repository::release::{
    ComparedPackage, ServerSettings, packages_contradict, targets_contradict, told_anew,
};
use lustre_repository::{key, release_package, repo_file, sums};

use super::destination::{Destination, NOTHING_SENT};
use super::source::{self, Source};
use crate::exit::Usage;

/// A destination, and the repository there.
pub struct PublishedState {
    pub state: State,
    /// Where the files of the one that clients read are on this machine, its packages left out.
    pub root: PathBuf,
    /// What it says of itself; or why it cannot be told. None where there is none.
    told: Option<anyhow::Result<PublishedRelease>>,
    /// Its sums, where they can be read.
    sums: Option<String>,
    /// Where it cannot be told: the one that it is by its name, or else the last of those that are there.
    last: Option<String>,
    /// Whether clients read something else in place of a part of it.
    other: bool,
    /// What is staged, and in which folder there, with a slash at its end.
    pub staged: Option<(String, Release)>,
}

/// What a repository says of itself.
struct PublishedRelease {
    manifest: Manifest,
    manifest_sha256: String,
    sums: String,
}

/// Looks at what is there.
pub fn look(destination: &dyn Destination, scratch: &Path) -> anyhow::Result<PublishedState> {
    let listing = destination.list()?;
    destination
        .is_in_one_piece(&listing)
        .context(NOTHING_SENT)?;
    publishing::own_are_so(&listing).context(NOTHING_SENT)?;
    let found = publishing::there(&listing);
    let (prefix, told) = match &found {
        RemoteState::Foreign(name) => {
            let mut what = "choose an empty folder, or one that is not there yet".to_owned();
            let left = publishing::remains(&listing);
            if !left.is_empty() {
                let left: Vec<String> = left
                    .iter()
                    .map(|it| it.escape_debug().to_string())
                    .collect();
                what.push_str(&format!(
                    "; if it is what is left of a repository of this tool, remove these there, and publish again: {}",
                    left.join(", ")
                ));
            }
            return Err(Usage::new(advised(
                format!(
                    "the destination has `{}` and no repository of this tool: nothing was sent",
                    name.escape_debug()
                ),
                what,
            ))
            .into());
        }
        RemoteState::Nothing => (String::new(), false),
        RemoteState::Plain | RemoteState::Untold(_) => (String::new(), true),
        RemoteState::Linked(id) => (format!("{HOME}/{id}/"), true),
    };
    let last = match &found {
        RemoteState::Linked(id) => Some(id.as_str()),
        _ => publishing::newest(&listing),
    };
    let last = last.map(str::to_owned);
    let instead = match &found {
        RemoteState::Linked(_) => publishing::instead(&listing),
        _ => Instead::default(),
    };
    let mut wanted = notes(&listing);
    wanted.extend(instead.files.iter().cloned());
    if told {
        wanted.extend(files(&listing, &prefix, destination.shape()));
    }
    let staged = publishing::staged(destination.shape(), &listing);
    if let Some((folder, _)) = &staged {
        wanted.extend(files(&listing, folder, destination.shape()));
    }
    // Another folder than ours would be read, and taken for what is published.
    for folder in [Some(&prefix), staged.as_ref().map(|(folder, _)| folder)] {
        publishing::above(&listing, folder.map_or("", String::as_str))?;
    }
    let there = destination.local(&wanted, scratch, lustre_files::LARGE)?;
    let root = there.join(prefix.trim_end_matches('/'));
    let mut seen = PublishedState {
        state: State {
            sums: sums_of(&there, &notes(&listing))?,
            listing,
            published: None,
            staged: None,
            all_stay: false,
        },
        root,
        told: None,
        sums: None,
        last,
        other: false,
        staged: None,
    };
    if told {
        seen.sums = sums_at(&seen.root).ok();
        let (mut read, release) = release(&seen.root, &seen.state.sums)?;
        if let RemoteState::Untold(path) = &found {
            read = Err(anyhow!(
                "`{}` is there, and {} that belongs to it is not",
                path.escape_debug(),
                manifest::FILE
            ));
        }
        if let Some(path) = read_instead(&there, &instead, release.as_ref())? {
            seen.other = true;
            read = Err(anyhow!(
                "`{}` there is not that of the release that `{CURRENT}` leads to",
                path.escape_debug()
            ));
        }
        seen.state.all_stay = read.is_err() && release.is_none();
        if let Some(release) = release {
            if read.is_ok() {
                let listing = &mut seen.state.listing;
                know_at(listing, &release, str::to_owned);
                know_at(listing, &release, |path| format!("{prefix}{path}"));
            }
            seen.state.published = Some(release);
        }
        seen.told = Some(read);
    } else {
        // Folders of releases without anything that leads to one: which of them clients read before, nobody can tell.
        seen.state.all_stay = true;
    }
    if let Some((folder, id)) = staged {
        let (read, release) = release(&there.join(&folder), &seen.state.sums)?;
        if let Some(release) = release
            && id.is_none_or(|id| id == release.id)
        {
            if read.is_ok() {
                let listing = &mut seen.state.listing;
                let at = |path: &str| staged_at(destination.shape(), &folder, path);
                know_at(listing, &release, at);
                // It has the metadata of what it is to replace as well.
                if let Some(published) = &seen.state.published
                    && destination.shape() == Shape::Linked
                {
                    know_at(listing, published, |path| format!("{folder}{path}"));
                }
            }
            seen.state.staged = Some(release.clone());
            seen.staged = Some((folder, release));
        }
    }
    // It may be any of them that somebody tests.
    let staged_untold =
        publishing::something_is_staged(&seen.state.listing) && seen.state.staged.is_none();
    seen.state.all_stay |= staged_untold;
    Ok(seen)
}

/// What the repository in the folder `root` says of itself, and which one it is. One that a run left half in place of another is known by its
/// sums: the run noted them before it sent anything else.
fn release(
    root: &Path,
    notes: &BTreeMap<String, String>,
) -> anyhow::Result<(anyhow::Result<PublishedRelease>, Option<Release>)> {
    let read = read(root);
    let release = match &read {
        Ok(told) => {
            let more = source::left_out(root)?;
            Some(Release::new(told.manifest.release_time(), &told.sums, more))
        }
        Err(_) => sums_at(root).ok().and_then(|text| {
            let noted = notes.iter().find(|(_, note)| **note == text);
            noted.map(|(id, text)| Release::of_id(id, text))
        }),
    };
    Ok((read, release))
}

fn sums_at(root: &Path) -> std::io::Result<String> {
    lustre_files::read_no_link_to_string(root.join(sums::FILE), lustre_files::SOURCE)
}

/// The sums that the folders of releases have.
fn notes(listing: &Listing) -> Vec<String> {
    let staging = format!("{STAGING}/");
    let is_note = |path: &str| {
        let path = path.strip_prefix(&staging).unwrap_or(path);
        let within = path.strip_prefix(HOME).and_then(|it| it.strip_prefix('/'));
        let parts = within.and_then(|it| it.split_once('/'));
        parts.is_some_and(|(id, file)| is_id(id) && file == sums::FILE)
    };
    let files = listing
        .iter()
        .filter(|(path, found)| matches!(found, RemoteEntry::File { .. }) && is_note(path));
    files.map(|(path, _)| path.clone()).collect()
}

fn sums_of(root: &Path, notes: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for note in notes {
        let path = root.join(note);
        let text = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())?;
        if let Some(id) = note.rsplit('/').nth(1) {
            all.insert(id.to_owned(), text);
        }
    }
    Ok(all)
}

/// The files of the repository below `prefix` that say what it is, and its metadata.
fn files(listing: &Listing, prefix: &str, shape: Shape) -> Vec<String> {
    let small = [
        sums::FILE,
        sums::SIGNATURE,
        manifest::FILE,
        repo_file::KEY_FILE,
    ];
    let wanted = |path: &str| match shape {
        Shape::Flat => small.contains(&path),
        Shape::Linked => {
            !path.contains('/') || path.contains("/repodata/") && !path.starts_with('.')
        }
    };
    let files = listing.iter().filter(|(path, found)| {
        let within = path.strip_prefix(prefix);
        // No file of ours that is read whole is larger.
        matches!(found, RemoteEntry::File { size, .. } if *size <= lustre_files::LARGE)
            && within.is_some_and(wanted)
    });
    files.map(|(path, _)| path.clone()).collect()
}

/// What the repository says of itself.
fn read(root: &Path) -> anyhow::Result<PublishedRelease> {
    let all = sums_at(root).context(sums::FILE)?;
    let path = root.join(manifest::FILE);
    let bytes = lustre_files::read_no_link(&path, lustre_files::SOURCE).context(manifest::FILE)?;
    let manifest_sha256 = Digest::of_bytes(&bytes).to_string();
    if sums::digest_of(&all, manifest::FILE) != Some(manifest_sha256.as_str()) {
        bail!(
            "its {} is not the one that its {} lists",
            manifest::FILE,
            sums::FILE
        );
    }
    Ok(PublishedRelease {
        manifest: Manifest::read(&path)?,
        manifest_sha256,
        sums: all,
    })
}

/// The digests that the sums of a release know, of its files at these paths: what they list was there before they were.
fn know_at(listing: &mut Listing, release: &Release, at: impl Fn(&str) -> String) {
    for file in &release.files {
        if let Some(RemoteEntry::File { sha256, .. }) = listing.get_mut(&at(&file.path)) {
            sha256.get_or_insert_with(|| file.sha256.clone());
        }
    }
}

impl PublishedState {
    /// Whether it is the same repository, as far as that can be told.
    fn is(&self, source: &Source) -> bool {
        let by_name = || self.last.as_ref() == Some(&source.release.id);
        match &self.sums {
            _ if self.other => false,
            Some(sums) => *sums == source.sums,
            None => by_name(),
        }
    }
}

/// What clients read in place of a part of `release`; none where all of `instead` is that.
fn read_instead(
    there: &Path,
    instead: &Instead,
    release: Option<&Release>,
) -> anyhow::Result<Option<String>> {
    if let Some(link) = instead.elsewhere.first() {
        return Ok(Some(link.clone()));
    }
    let Some(release) = release else {
        return Ok(None);
    };
    for path in &instead.files {
        let file = there.join(path);
        let (digest, _) =
            sums::sha256(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if release.file(path).is_none_or(|own| own.sha256 != digest) {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

/// What speaks against the repository where clients read none: a later one that was there, or was begun.
fn not_before(
    destination: &dyn Destination,
    source: &Source,
    seen: &PublishedState,
) -> anyhow::Result<Vec<String>> {
    let time = source.release.time();
    let begun = seen.last.as_deref().filter(|id| time_of(id) > time);
    let later = match begun {
        Some(id) => Some(format!("`{HOME}/{id}`")),
        None => destination.later(&source.manifest.target, time)?,
    };
    let against = later.map(|later| {
        format!("{later} is there, of a later release, and it cannot be told what became of that")
    });
    Ok(Vec::from_iter(against))
}

/// That the repository may take the place of what is there; with `anyway`, gives what speaks against it.
pub fn follows(
    destination: &dyn Destination,
    place: &Place,
    source: &Source,
    seen: &PublishedState,
    anyway: bool,
) -> anyhow::Result<Vec<String>> {
    let against = match &seen.told {
        None => not_before(destination, source, seen)?,
        // A run that puts the same there ended before all of it was there; or somebody damaged it since.
        Some(_) if seen.is(source) => Vec::new(),
        Some(Err(error)) => vec![format!(
            "a release is there, and it cannot be told which: {error:#}; publish the one that was published last, which puts that right"
        )],
        Some(Ok(told)) => against(source, &seen.root, told)?,
    };
    if against.is_empty() || anyway {
        return Ok(against);
    }
    Err(anyhow!(
        "this repository does not follow the one that is published at {place}, and nothing was sent:\n  {}\n  If the old one may be \
         replaced all the same, pass --replace-anyway",
        against.join("\n  ")
    ))
}

/// What speaks against the repository in place of `told`.
fn against(source: &Source, root: &Path, told: &PublishedRelease) -> anyhow::Result<Vec<String>> {
    if let Some(why) = other_signer(source, root, told) {
        return Ok(vec![why]);
    }
    let before = &told.manifest;
    let now = &source.manifest;
    let replaces = now.release.as_ref().and_then(|it| it.replaces.as_ref());
    if replaces.is_some_and(|it| it.manifest_sha256 == told.manifest_sha256) {
        return Ok(Vec::new());
    }
    // It was made in place of another one, or of none: then it is held against this one here.
    let mut found = Vec::new();
    if now.release_time() <= before.release_time() {
        found.push(format!(
            "it was released {}, and what is published {}: mirrors and caches would keep the files that they have; release it anew with \
             `cargo xtask repo --release-time`",
            utc(now.release_time()),
            utc(before.release_time())
        ));
    }
    let known = |manifest: &'_ Manifest| -> Vec<(String, String)> {
        let packages = manifest.packages.iter();
        packages
            .map(|it| (it.nevra.clone(), it.sha256_unsigned.clone()))
            .collect()
    };
    let (old, new) = (known(before), known(now));
    let old: Vec<ComparedPackage<'_>> = old.iter().map(one).collect();
    let new: Vec<ComparedPackage<'_>> = new.iter().map(one).collect();
    let mut broken = packages_contradict(&old, &new);
    broken.extend(targets_contradict(&before.target, &now.target));
    let digest = |sums, name| sums::digest_of(sums, name).unwrap_or_default();
    let said = |sums| ServerSettings {
        public_key: digest(sums, repo_file::KEY_FILE),
        repo_file: digest(sums, repo_file::FILE),
        next_key: digest(sums, repo_file::NEXT_KEY_FILE),
    };
    let prefix = format!("{}-", release_package::NAME);
    let own = new.iter().find(|it| it.nevra.starts_with(&prefix));
    if let Some(own) = own {
        broken.extend(told_anew(
            &old,
            said(&told.sums),
            own.nevra,
            said(&source.sums),
        ));
    }
    found.extend(
        broken
            .iter()
            .map(|it| format!("{} ({}): {}", it.what, it.rule, it.rule.remedy())),
    );
    Ok(found)
}

fn one<'a>((nevra, content): &'a (String, String)) -> ComparedPackage<'a> {
    ComparedPackage { nevra, content }
}

/// Why it is not known to be of whoever signs the new one.
fn other_signer(source: &Source, root: &Path, told: &PublishedRelease) -> Option<String> {
    let path = root.join(sums::SIGNATURE);
    let signature = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE);
    let own = source::key_of(root).ok();
    let its = own.as_ref().and_then(|text| key::fingerprint(text).ok());
    let ours = key::fingerprint(&source.public_key).ok();
    // Servers know the key of this repository by now, where the one that is published tells them of it.
    let next = told.manifest.repository.as_ref();
    let next = next.and_then(|it| it.next_key.as_ref());
    let by = match &own {
        Some(own) if next.is_some() && next == ours.as_ref() => own,
        _ => &source.public_key,
    };
    let verified = signature
        .map_err(anyhow::Error::from)
        .and_then(|signature| {
            let key = PublicKey::parse(by)?;
            Ok(key.verify_detached(told.sums.as_bytes(), &signature)?)
        });
    let error = verified.err()?;
    Some(match its {
        Some(its) if Some(&its) != ours.as_ref() => format!(
            "what is published is signed by another key, {its}: servers have that one, and not the key of this repository"
        ),
        _ => format!("the signature of what is published does not hold: {error:#}"),
    })
}
