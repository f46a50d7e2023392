//! What was published into a folder, laid out as the repository that it is: clients come to its files by links, and whatever looks at a repository
//! follows none.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process::room::Place;
use lustre_repository::layout::is_published as is_published_link;
use lustre_repository::publishing::{
    self, Found, Listing, Release, Shape, There, leads_to, staged_at, there,
};
use lustre_repository::{manifest, sums};
use walkdir::WalkDir;

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
            kind if kind.is_dir() => Found::Folder,
            kind if kind.is_symlink() => {
                let to = fs::read_link(entry.path()).with_context(reading)?;
                Found::Link(to.to_string_lossy().into_owned())
            }
            _ => Found::File {
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

/// What clients read at `path`, laid out in `scratch`, through our own links alone; none where that is no folder that was published to.
pub fn published(path: &Path, scratch: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !is_published(path) {
        return Ok(None);
    }
    let listing = list(path)?;
    let There::Linked(id) = there(&listing) else {
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
        .filter(|(at, _)| matches!(listing.get(at), Some(Found::File { .. })));
    let tree = scratch.join("published");
    lay_out(path, files, &tree)?;
    Ok(Some(tree))
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
