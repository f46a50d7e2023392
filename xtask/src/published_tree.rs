//! What was published into a folder, laid out as the repository that it is: clients come to its files by links, and whatever looks at a repository
//! follows none.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process::room::Place;
use lustre_repository::layout::is_published as is_published_link;
use lustre_repository::publishing::{
    self, Foreign, Listing, Release, RemoteEntry, RemoteState, Shape, leads_to, staged_at, there,
};
use lustre_repository::{manifest, sums};
use walkdir::WalkDir;

use crate::exit::Usage;

/// All that is in the folder, links as they are; nothing where it is not there.
pub fn list(folder: &Path) -> anyhow::Result<Listing> {
    let mut listing = Listing::new();
    if !folder.exists() {
        return Ok(listing);
    }
    let reading = || format!("cannot read {}", folder.display());
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.with_context(reading)?;
        let within = entry.path().strip_prefix(folder).with_context(reading)?;
        let found = match entry.file_type() {
            kind if kind.is_dir() => RemoteEntry::Folder,
            kind if kind.is_symlink() => {
                let to = fs::read_link(entry.path()).with_context(reading)?;
                RemoteEntry::Link(to.to_string_lossy().into_owned())
            }
            _ => RemoteEntry::File {
                size: entry.metadata().with_context(reading)?.len(),
                sha256: None,
            },
        };
        listing.insert(within.to_string_lossy().into_owned(), found);
    }
    Ok(listing)
}

/// Where the files lie that say what the repository at `path` is: there, or where `publish` put them.
pub fn told_in(path: &Path) -> PathBuf {
    match is_published(path) {
        true => path.join(publishing::CURRENT),
        false => path.to_owned(),
    }
}

/// Whether that is a folder that was published to.
pub fn is_published(path: &Path) -> bool {
    let link = fs::read_link(path.join(manifest::FILE));
    link.is_ok_and(|to| to.to_str().is_some_and(is_published_link))
}

/// What clients read at `path`, laid out in `scratch`, through our own links alone; none where that is no folder that was published to. What lies in
/// its folders and is of no release comes along: whoever looks at the tree tells of it.
pub fn published(
    path: &Path,
    scratch: &Path,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<PathBuf>> {
    if !is_published(path) {
        whole(path)?;
        return Ok(None);
    }
    let listing = list(path)?;
    let RemoteState::Linked(id) = there(&listing) else {
        bail!(advised(
            format!(
                "the links of what was published at {} do not lead to a release",
                path.display()
            ),
            "publish it again",
        ));
    };
    let folder = publishing::folder_of(&id);
    publishing::above(&listing, &folder)?;
    let path_of_sums = path.join(&folder).join(sums::FILE);
    let text = lustre_files::read_no_link_to_string(&path_of_sums, lustre_files::SOURCE)
        .with_context(|| format!("cannot read {}", path_of_sums.display()))?;
    let release = Release::of_id(&id, &text);
    let listed = release.files.iter().map(|file| file.path.as_str());
    let files = listed
        .chain(sums::LEFT_OUT)
        .filter(|file| leads_to(&listing, &id, file))
        .map(|file| (staged_at(Shape::Linked, &folder, file), file))
        .filter(|(at, _)| matches!(listing.get(at), Some(RemoteEntry::File { .. })));
    let tree = scratch.join("published");
    lay_out(path, files, &tree)?;
    let sums = sums_of(path, &listing)?;
    let Foreign { inside, beside } =
        publishing::foreign(&listing, &release, sums.iter().map(String::as_str));
    let (links, files): (Vec<_>, Vec<_>) = inside
        .iter()
        .partition(|(at, _)| matches!(listing.get(at), Some(RemoteEntry::Link(_))));
    let files = files
        .into_iter()
        .map(|(at, within)| (at.clone(), within.as_str()));
    lay_out(path, files, &tree)?;
    for (at, within) in links {
        let (at, link) = (path.join(at), tree.join(within));
        if let Some(above) = link.parent() {
            fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        }
        let to = fs::read_link(&at).with_context(|| at.display().to_string())?;
        match symlink(to, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| link.display().to_string());
            }
            _ => {}
        }
    }
    if !beside.is_empty() {
        let names: Vec<String> = beside
            .iter()
            .take(SHOWN)
            .map(|name| name.escape_debug().to_string())
            .collect();
        let more = match beside.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tell(&format!(
            "warning: {} has what is of no release, and clients can read it: {}{more}",
            path.display(),
            names.join(", ")
        ));
    }
    Ok(Some(tree))
}

/// How many files beside a repository are named.
const SHOWN: usize = 5;

/// The sums of all releases whose folders are there.
fn sums_of(path: &Path, listing: &Listing) -> anyhow::Result<Vec<String>> {
    let home = format!("{}/", publishing::HOME);
    let mut all = Vec::new();
    for (at, found) in listing {
        let parts = at.strip_prefix(&home).and_then(|it| it.split_once('/'));
        let is_one = parts.is_some_and(|(id, file)| publishing::is_id(id) && file == sums::FILE);
        if is_one && matches!(found, RemoteEntry::File { .. }) {
            let file = path.join(at);
            let text = lustre_files::read_no_link_to_string(&file, lustre_files::SOURCE)
                .with_context(|| format!("cannot read {}", file.display()))?;
            all.push(text);
        }
    }
    Ok(all)
}

/// That `path` is not the folder that a release has in one that was published to: its packages lie elsewhere.
pub fn whole(path: &Path) -> anyhow::Result<()> {
    let real = fs::canonicalize(path).with_context(|| path.display().to_string())?;
    let home = real.parent().filter(|it| it.ends_with(publishing::HOME));
    match home.and_then(Path::parent) {
        Some(root) if is_published(root) => Err(Usage::new(advised(
            format!(
                "{} is not all of a repository: it is the folder in which {} has what changes from release to release",
                path.display(),
                root.display()
            ),
            format!("give {}", root.display()),
        ))
        .into()),
        _ => Ok(()),
    }
}

/// Lays out files of `from`, by where they lie there and what they are in the repository, as the tree `to`. Nothing is copied on one file system, but
/// where somebody else's files may not be linked.
pub fn lay_out<'p>(
    from: &Path,
    files: impl Iterator<Item = (String, &'p str)>,
    to: &Path,
) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    let mut copied = Vec::new();
    let mut bytes = 0;
    for (at, path) in files {
        let (source, target) = (from.join(at), to.join(path));
        if target.symlink_metadata().is_ok() {
            continue;
        }
        let parent = target.parent().unwrap_or(to);
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        if fs::hard_link(&source, &target).is_ok() {
            continue;
        }
        let found = source
            .symlink_metadata()
            .with_context(|| format!("cannot read {}", source.display()))?;
        bytes += found.len();
        copied.push((source, target));
    }
    if let Some(place) = Place::of(to)
        && place.free < bytes
    {
        bail!(advised(
            format!(
                "the disk is full: {} MiB of {} have to be copied to be looked at, and {place}",
                bytes.div_ceil(1 << 20),
                from.display()
            ),
            "make room there, or use a store on the same file system, with --store",
        ));
    }
    for (source, target) in copied {
        lustre_files::copy(&source, &target)
            .with_context(|| format!("cannot copy {}", source.display()))?;
    }
    Ok(())
}

/// Whether both are on one file system, so that files can be linked.
pub fn on_one_disk(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::metadata(one)?.dev() == fs::metadata(other)?.dev())
}
