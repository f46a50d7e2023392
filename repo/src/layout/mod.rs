//! The finished tree: packages in their places, repodata, signatures, key, manifest and sums, swapped in whole.
//!
//! - `completion`: what a proven tree gets, so that its proof is signed, too.
//! - `error`: what can go wrong.
//! - `inputs`: where a package goes.
//! - `output`: whether a place may be replaced.

mod completion;
mod error;
mod inputs;
mod output;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lustre_files::swap::FolderAside;
use lustre_files::{Advised, tried};
use walkdir::WalkDir;

use crate::assets::{self, Assets, PackageFile};
use crate::compat::{self, Compat, Ext4, RepositoryPackages};
use crate::comps::Comps;
use crate::earlier::Earlier;
use crate::files::{set_mode, set_mtime};
use crate::history::{self, History, Set};
use crate::manifest::{self, Manifest};
use crate::repo_file::{self, KeyLocation, RepoFile};
use crate::repodata::Package;
use crate::sbom::{self, Bom, MadeWith};
use crate::{key, page, provenance, repodata, sums, updateinfo};

pub use completion::{COMPLETED, Completion, assembled_sums};
pub use error::{Error, SignError};
pub use inputs::{Kind, nevra, nevra_of};
pub use output::{around, is_published, judge};

/// A signed package for the repository.
#[derive(Clone, Debug)]
pub struct Input {
    pub path: PathBuf,
    /// The SHA-256 it had before it was signed.
    pub sha256_unsigned: String,
    /// The stage that made it, a key of the manifest's stages.
    pub stage: String,
}

/// All that a repository is made of.
pub struct Assembly<'a> {
    /// The signed packages, the release package among them, in any order.
    pub packages: &'a [Input],
    /// The package groups of the binary repository.
    pub comps: &'a Comps,
    /// What goes into `lustre-repo.repo`.
    pub repo_file: &'a RepoFile,
    /// The armored public key.
    pub public_key: &'a str,
    /// Tool, target, source date epoch, release, notice, overrides and stages. All else is filled in here.
    pub manifest: Manifest,
    /// The distribution's packages, for the table of the kernels that the modules load on; without, there is none.
    pub base: Option<Base<'a>>,
    /// The target's lock, whose digest the manifest has; none where it names a place of the machine that built.
    pub lock: Option<&'a str>,
    /// What the packages were made with besides what the manifest says.
    pub made_with: &'a MadeWith,
    /// The releases before it whose packages it keeps.
    pub earlier: &'a Earlier,
    /// Makes an armored detached signature by the primary key over the bytes of a `repomd.xml` or of `SHA256SUMS`.
    pub sign: &'a dyn Fn(&[u8]) -> Result<String, SignError>,
}

/// What the modules of a repository are held against.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    /// Which packages these are, in a few words.
    pub of: &'a str,
    pub packages: &'a [Package],
    /// What is known of the ext4 of a kernel that is among them.
    pub ext4: &'a dyn Fn(&compat::Kernel) -> Ext4,
}

/// Makes the tree aside and puts it at `out`, in place of the one there. Gives the manifest as written.
pub fn assemble(assembly: &Assembly<'_>, out: &Path) -> Result<Manifest, Error> {
    judge(out)?;
    let fingerprint = key::fingerprint(assembly.public_key)?;
    let public_key = key::published(assembly.public_key)?;
    let aside = FolderAside::new(out).map_err(tried("write next to", out))?;
    let tree = aside.path();

    let mut manifest = assembly.manifest.clone();
    manifest.format = manifest::FORMAT;
    manifest.key_fingerprint = fingerprint;
    manifest.repository = Some(told(assembly)?);
    let licenses;
    (manifest.packages, licenses) = place_packages(assembly, tree)?;
    if let Some(release) = &mut manifest.release {
        release.keeps_sha256 = assembly.earlier.digest();
    }
    manifest.sort();
    let time = manifest.release_time();
    let releases = releases(
        assembly,
        &manifest,
        place_earlier(assembly, &manifest, tree)?,
    )?;

    // Each package was read once where it lies now; what is proven of it later is read there again.
    let mut known: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    for package in releases.sets.iter().flat_map(|set| &set.packages) {
        known.insert(&package.path, (&package.sha256, package.size));
    }
    let scratch = tempfile::tempdir().map_err(tried("make a folder in", &std::env::temp_dir()))?;
    let groups = scratch.path().join("comps.xml");
    fs::write(&groups, assembly.comps.to_xml()).map_err(tried("write", &groups))?;
    let mut more = BTreeMap::new();
    if let Some(text) = updateinfo::of(&manifest) {
        let path = scratch.path().join(updateinfo::FILE);
        fs::write(&path, text).map_err(tried("write", &path))?;
        more.insert(updateinfo::TYPE.to_owned(), path);
    }
    for kind in Kind::ALL {
        let mut options = repodata::Options {
            revision: time,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            known: of_kind(kind, &known),
            ..repodata::Options::default()
        };
        if kind == Kind::Binary {
            options.groupfile = Some(groups.clone());
            options.more.clone_from(&more);
        }
        repodata::write(&tree.join(kind.folder()), &options)?;
    }
    let published = assembly.repo_file.render(KeyLocation::Published);
    let next = assembly
        .repo_file
        .next_key()
        .map(|text| (repo_file::NEXT_KEY_FILE, text));
    let own = [
        (repo_file::KEY_FILE, public_key.as_str()),
        (repo_file::FILE, published.as_str()),
    ];
    for (name, text) in own.into_iter().chain(next) {
        let path = tree.join(name);
        fs::write(&path, text).map_err(tried("write", &path))?;
    }
    manifest.write(&tree.join(manifest::FILE))?;
    if let Some(lock) = assembly.lock {
        let path = tree.join(manifest::LOCK_FILE);
        fs::write(&path, lock).map_err(tried("write", &path))?;
    }
    let path = tree.join(history::FILE);
    fs::write(&path, releases.to_json()).map_err(tried("write", &path))?;
    if let Some(base) = assembly.base {
        let table = kernels(&releases, base, &tree.join(Kind::Binary.folder()))?;
        for (name, text) in [
            (compat::FILE, table.to_json()),
            (compat::TEXT, table.to_text()),
        ] {
            let path = tree.join(name);
            fs::write(&path, text).map_err(tried("write", &path))?;
        }
    }
    let mut repositories = Kind::ALL.map(|kind| tree.join(kind.folder())).to_vec();
    if let Some(url) = assembly.repo_file.assets_url() {
        repositories.extend(place_assets(assembly, url, &releases, tree)?);
    }
    for repository in repositories {
        sign_beside(assembly, &repository.join("repodata/repomd.xml"))?;
    }
    let bom = Bom {
        manifest: &manifest,
        licenses: &licenses,
        made_with: assembly.made_with,
    };
    for (name, text) in sbom::files(&bom) {
        let path = tree.join(name);
        fs::write(&path, text).map_err(tried("write", &path))?;
    }
    let names = sums::files(tree)?;
    let text = page::of_tree(tree, names.iter().map(String::as_str), None)?;
    let path = tree.join(page::FILE);
    fs::write(&path, text).map_err(tried("write", &path))?;
    let digests = known
        .into_iter()
        .map(|(path, (sha256, _))| (path, sha256))
        .collect();
    let listed = sums::render_knowing(tree, &digests)?;
    sums::write_text(tree, &listed)?;
    sign_beside(assembly, &tree.join(sums::FILE))?;
    let text = provenance::statement(&manifest, &listed);
    let path = tree.join(provenance::FILE);
    fs::write(&path, text).map_err(tried("write", &path))?;
    sign_beside(assembly, &path)?;
    fix_modes_and_times(tree, time)?;
    aside
        .commit(|| output::nothing_foreign(out).map_err(io::Error::other))
        .map_err(tried("move the new tree to", out))?;
    Ok(manifest)
}

/// The digests and sizes of the packages of a kind, by their locations in its folder.
fn of_kind(kind: Kind, all: &BTreeMap<&str, (&str, u64)>) -> BTreeMap<String, (String, u64)> {
    let within = |path: &str| {
        Some(
            path.strip_prefix(kind.folder())?
                .strip_prefix('/')?
                .to_owned(),
        )
    };
    let all = all.iter();
    all.filter_map(|(path, (sha256, size))| Some((within(path)?, ((*sha256).to_owned(), *size))))
        .collect()
}

/// Puts a copy of a finished tree at `out`: `fill` makes it in the folder it is given, and it is swapped in whole.
///
/// Where it fails, `out` is as it was before.
pub fn swap_in(out: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
    judge(out)?;
    let aside = FolderAside::new(out).map_err(tried("write next to", out))?;
    fill(aside.path()).map_err(tried("copy a tree to", out))?;
    aside
        .commit(|| output::nothing_foreign(out).map_err(io::Error::other))
        .map_err(tried("move the new tree to", out))?;
    Ok(())
}

/// What the repository tells servers of itself, for the manifest.
fn told(assembly: &Assembly<'_>) -> Result<manifest::Repository, Error> {
    let groups = assembly.comps.groups().iter();
    let next = assembly.repo_file.next_key();
    Ok(manifest::Repository {
        name: assembly.repo_file.title.clone(),
        baseurl: assembly.repo_file.base_url.clone(),
        assets_url: assembly.repo_file.assets_url().map(str::to_owned),
        next_key: next.map(key::fingerprint).transpose()?,
        groups: groups
            .map(|group| manifest::Group {
                id: group.id.clone(),
                name: group.name.clone(),
                mandatory: group.mandatory.clone(),
            })
            .collect(),
    })
}

/// What each package says of its licence, by its path in the tree.
type Licenses = BTreeMap<String, String>;

/// Copies every package to its place. Copies, since a link would let a change in the tree reach the store.
fn place_packages(
    assembly: &Assembly<'_>,
    tree: &Path,
) -> Result<(Vec<manifest::Package>, Licenses), Error> {
    let mut licenses = Licenses::new();
    for kind in Kind::ALL {
        let folder = tree.join(kind.folder()).join("Packages");
        fs::create_dir_all(&folder).map_err(tried("create", &folder))?;
    }
    let mut placed: BTreeMap<PathBuf, (&Input, manifest::Package)> = BTreeMap::new();
    for input in assembly.packages {
        let header = inputs::read(&input.path)?;
        let location = inputs::location(&header);
        if let Some((first, _)) = placed.get(&location) {
            return Err(Error::Twice {
                nevra: header.nevra,
                first: first.path.clone(),
                second: input.path.clone(),
            });
        }
        if !assembly.manifest.stages.contains_key(&input.stage) {
            return Err(Error::Stage {
                nevra: header.nevra,
                stage: input.stage.clone(),
            });
        }
        let path = tree.join(&location);
        let io = |what| tried(what, &input.path);
        // A reflink where the file system can, else a copy.
        lustre_files::copy(&input.path, &path).map_err(io("copy"))?;
        set_mode(&path, 0o644).map_err(io("set the mode of the copy of"))?;
        // primary.xml holds the file's time.
        set_mtime(&path, header.build_time).map_err(io("set the time of the copy of"))?;
        let (sha256, size) = sums::sha256(&path).map_err(io("read the copy of"))?;
        let package = manifest::Package {
            nevra: header.nevra,
            file: location.display().to_string(),
            size,
            sha256_unsigned: input.sha256_unsigned.clone(),
            sha256,
            stage: input.stage.clone(),
        };
        licenses.insert(package.file.clone(), header.license);
        placed.insert(location, (input, package));
    }
    let packages = placed.into_values().map(|(_, package)| package);
    Ok((packages.collect(), licenses))
}

/// Copies the packages of earlier releases to their places, but for those that the release has as well. Gives their sets.
fn place_earlier(
    assembly: &Assembly<'_>,
    manifest: &Manifest,
    tree: &Path,
) -> Result<Vec<Set>, Error> {
    let own: BTreeMap<&str, &manifest::Package> = manifest
        .packages
        .iter()
        .map(|one| (one.file.as_str(), one))
        .collect();
    let earlier = assembly.earlier;
    let mut sets = earlier.sets.clone();
    for package in sets.iter_mut().flat_map(|set| &mut set.packages) {
        if let Some(own) = own.get(package.path.as_str()) {
            // The one file that there is.
            *package = history::SetPackage {
                stage: package.stage.clone(),
                ..history::SetPackage::from(*own)
            };
            continue;
        }
        let (from, to) = (earlier.folder.join(&package.path), tree.join(&package.path));
        if to.exists() {
            continue;
        }
        let unfit = |why: String| Error::Earlier {
            path: from.clone(),
            why,
        };
        let there = fs::symlink_metadata(&from).map_err(|error| unfit(error.to_string()))?;
        if !there.is_file() || there.len() != package.size {
            return Err(unfit(format!("it is no file of {} bytes", package.size)));
        }
        lustre_files::copy(&from, &to).map_err(tried("copy", &from))?;
        let (sha256, _) = sums::sha256(&to).map_err(tried("read the copy of", &from))?;
        if sha256 != package.sha256 {
            return Err(unfit(format!(
                "it has SHA-256 {sha256}, not {}",
                package.sha256
            )));
        }
        let header = inputs::read(&to)?;
        if header.nevra != package.nevra {
            return Err(unfit(format!(
                "it is {}, not {}",
                header.nevra, package.nevra
            )));
        }
        set_mode(&to, 0o644).map_err(tried("set the mode of the copy of", &from))?;
        set_mtime(&to, header.build_time).map_err(tried("set the time of the copy of", &from))?;
    }
    Ok(sets)
}

/// The releases that the repository has.
fn releases(
    assembly: &Assembly<'_>,
    manifest: &Manifest,
    earlier: Vec<Set>,
) -> Result<History, Error> {
    let digest = sums::of_text(&manifest.to_json());
    let own = Set::of(manifest, &digest).map_err(|error| Error::Releases(error.to_string()))?;
    let mut sets = vec![own];
    sets.extend(earlier);
    let releases = History {
        format: history::FORMAT,
        target: manifest.target.clone(),
        sets,
        dropped: assembly.earlier.dropped.clone(),
    };
    match releases.wrong() {
        None => Ok(releases),
        Some(why) => Err(Error::Releases(why)),
    }
}

/// Writes which assets of `url` the packages of all `releases` are, and metadata that say so; gives the folders with these.
fn place_assets(
    assembly: &Assembly<'_>,
    url: &str,
    releases: &History,
    tree: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let packages = releases.sets.iter().flat_map(|set| &set.packages);
    let packages: BTreeMap<&str, PackageFile> = packages
        .map(|one| {
            let placed = PackageFile {
                path: one.path.clone(),
                sha256: one.sha256.clone(),
                size: one.size,
            };
            (one.path.as_str(), placed)
        })
        .collect();
    let time = releases.sets.first().map_or(0, |own| own.time);
    let before = &assembly.earlier.assets;
    let packages = packages.into_values();
    let all = Assets::of(&releases.target, url, time.into(), packages, before)
        .map_err(|error| Error::Assets(Advised::of(&error)))?;
    let path = tree.join(assets::FILE);
    fs::write(&path, all.to_json()).map_err(tried("write", &path))?;
    Kind::ALL
        .into_iter()
        .map(|kind| {
            let folder = tree.join(assets::folder(kind));
            fs::create_dir_all(&folder).map_err(tried("create", &folder))?;
            let place = |location: &str| all.place(kind, location);
            repodata::relocate(&tree.join(kind.folder()), &folder, &place)?;
            Ok(folder)
        })
        .collect()
}

/// On which kernels the modules of the repository at `root` load: on its own, which they were made for, and on those of `base`.
fn kernels(releases: &History, base: Base<'_>, root: &Path) -> Result<Compat, repodata::Error> {
    let mut ours = repodata::primary(root)?;
    releases.retain_release(Kind::Binary, &mut ours);
    let sides = [
        RepositoryPackages {
            repository: compat::OWN,
            packages: &ours,
        },
        RepositoryPackages {
            repository: "base",
            packages: base.packages,
        },
    ];
    let mut ext4 = |kernel: &compat::Kernel| match kernel.repository.as_str() {
        compat::OWN => Ext4::same(),
        _ => (base.ext4)(kernel),
    };
    let target = &releases.target;
    Ok(Compat::of(target, base.of, &ours, &sides, &mut ext4))
}

/// Puts a file's signature beside it.
fn sign_beside(assembly: &Assembly<'_>, path: &Path) -> Result<(), Error> {
    let content = lustre_files::read(path, lustre_files::LARGE).map_err(tried("read", path))?;
    let signature = signature(path, &content, assembly.public_key, assembly.sign)?;
    let mut to = path.as_os_str().to_owned();
    to.push(".asc");
    let to = PathBuf::from(to);
    Ok(fs::write(&to, signature).map_err(tried("write", &to))?)
}

/// Signs what is or will be at `path`, and checks the signature, so that a wrong public key is noticed here and not by a server.
fn signature(
    path: &Path,
    content: &[u8],
    public_key: &str,
    sign: &dyn Fn(&[u8]) -> Result<String, SignError>,
) -> Result<String, Error> {
    let signature = sign(content).map_err(|source| Error::Sign {
        path: path.to_owned(),
        source,
    })?;
    key::verify_detached(public_key, &signature, content).map_err(|source| Error::Signature {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    Ok(signature)
}

/// Modes that do not depend on the umask, and the time of the release. Packages keep their build time.
fn fix_modes_and_times(tree: &Path, time: u64) -> Result<(), Error> {
    for entry in WalkDir::new(tree).contents_first(true) {
        let entry = entry.map_err(tried("read", tree))?;
        let path = entry.path();
        let folder = entry.file_type().is_dir();
        set_mode(path, if folder { 0o755 } else { 0o644 })
            .map_err(tried("set the mode of", path))?;
        if folder || path.extension().is_none_or(|e| e != "rpm") {
            set_mtime(path, time).map_err(tried("set the time of", path))?;
        }
    }
    Ok(())
}
