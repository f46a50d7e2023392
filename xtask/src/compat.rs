//! On which kernels the modules of a target's repository load: what the commands that tell it share.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::preflight::file_systems::{self, Files};
use lustre_packaging::resolve::{self, Key, Metadata, SourcePackage};
use lustre_packaging::source::Downloader;
use lustre_packaging::store::{Digest, TempDir};
use lustre_repository::closure::kernel::is_kernel;
use lustre_repository::compat::{Compat, Ext4, Kernel, OWN, RepositoryPackages, Verdict};
use lustre_repository::history::History;
use lustre_repository::layout::Kind;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::repodata::{self, Package};

use crate::base::{Base, base};
use crate::context::Context;
use crate::graph::kernels::{OF_LOCK, ext4_of};
use crate::graph::name;
use crate::lock;
use crate::place;

/// The name of the kernel's source in a manifest.
const KERNEL: &str = "kernel";

/// A repository whose modules are asked for.
pub struct Repository {
    /// Where it is.
    pub path: PathBuf,
    packages: Vec<Package>,
    /// The digest of the source package that its kernel or its ldiskfs is made of; or why it is not known.
    source: Result<Digest, String>,
}

impl Repository {
    /// The repository at `path`; else that of the target: at `put`, or as the store has it. None where there is none.
    pub fn find(
        context: &Context,
        path: Option<&Path>,
        put: PathBuf,
    ) -> anyhow::Result<Option<Self>> {
        let has = |path: &PathBuf| root(path).join("repodata/repomd.xml").is_file();
        let path = match path {
            Some(path) => Some(path.to_owned()),
            None => Some(put).into_iter().chain(stored(context)?).find(has),
        };
        path.map(|path| Self::read(&path)).transpose()
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut packages = repodata::primary(&root(path))
            .with_context(|| format!("no repository that can be read at {}", path.display()))?;
        // Servers get the newest.
        if let Some(releases) = History::read(path)? {
            releases.retain_release(Kind::Binary, &mut packages);
        }
        Ok(Self {
            path: path.to_owned(),
            packages,
            source: source(path),
        })
    }

    /// The repository among what modules are held against: it may have a kernel of its own.
    fn side(&self) -> RepositoryPackages<'_> {
        RepositoryPackages {
            repository: OWN,
            packages: &self.packages,
        }
    }

    /// The table of the kernels among the packages that the lock pins, without network.
    pub fn on_locked(&self, context: &Context) -> anyhow::Result<Compat> {
        let (folder, lock) = match base(context)? {
            Base::There { folder, lock, .. } => (folder, lock),
            Base::Missing(why) => anyhow::bail!(advised(
                format!("the packages of the distribution are not in the store ({why})"),
                format!(
                    "run `cargo xtask repo --target {}`, which fetches them{}",
                    context.target.argument(),
                    if context.arguments.offline {
                        ", or this without --offline"
                    } else {
                        ""
                    }
                )
            )),
        };
        let packages = repodata::primary(&folder)?;
        let sides = [
            self.side(),
            RepositoryPackages {
                repository: "base",
                packages: &packages,
            },
        ];
        let pins: Vec<&str> = lock
            .source
            .values()
            .map(|pin| pin.sha256.as_str())
            .collect();
        let mut ext4 = |kernel: &Kernel| match &self.source {
            _ if kernel.repository == OWN => Ext4::same(),
            Err(why) => Ext4::not_compared(why.as_str()),
            Ok(source) if !pins.contains(&source.to_string().as_str()) => Ext4::not_compared(
                "this repository was made of another source of the kernel than the lock pins now",
            ),
            Ok(_) => ext4_of(&context.target, &lock, kernel),
        };
        let name = &context.target.name;
        Ok(Compat::of(name, OF_LOCK, &self.packages, &sides, &mut ext4))
    }

    /// The table of all kernels in the target's repositories.
    pub fn on(&self, upstream: &Upstream<'_>) -> anyhow::Result<Compat> {
        let mut sides = vec![self.side()];
        sides.extend(
            upstream
                .packages
                .iter()
                .map(|(id, packages)| RepositoryPackages {
                    repository: id,
                    packages,
                }),
        );
        let ours = OnceCell::new();
        let mut ext4 = |kernel: &Kernel| match &self.source {
            _ if kernel.repository == OWN => Ext4::same(),
            Err(why) => Ext4::not_compared(why.as_str()),
            Ok(source) => upstream.ext4(kernel, source, &ours),
        };
        let name = &upstream.context.target.name;
        let of = "the kernels in the target's repositories";
        let compat = Compat::of(name, of, &self.packages, &sides, &mut ext4);
        if lustre_packaging::process::interrupted() {
            return Err(lustre_packaging::stage::Error::Interrupted.into());
        }
        Ok(compat)
    }
}

/// The folder of the packages for servers.
fn root(path: &Path) -> PathBuf {
    path.join(Kind::Binary.folder())
}

/// Where the store has repositories of the target, the proven one first.
fn stored(context: &Context) -> anyhow::Result<Vec<PathBuf>> {
    let target = context.target.argument();
    let uses = context.store.all_uses()?;
    let uses = uses.iter().filter(|one| one.target == target);
    let stages = uses.flat_map(|one| {
        let named = [name::FINISH, name::ASSEMBLE].into_iter();
        named.filter_map(|stage| one.stages.get(stage))
    });
    Ok(stages
        .map(|path| name::tree(&context.store.root().join(path)))
        .collect())
}

/// The digest of the kernel's source package in the manifest of the repository at `path`.
fn source(path: &Path) -> Result<Digest, String> {
    let manifest = Manifest::read(&path.join(manifest::FILE))
        .map_err(|error| format!("what ldiskfs was made of is not known: {error}"))?;
    let mut sources = manifest.stages.values().flat_map(|stage| &stage.sources);
    let kernel = sources
        .find(|source| source.name == KERNEL)
        .ok_or_else(|| {
            format!(
                "what ldiskfs was made of is not known: {} names no source of a kernel",
                manifest::FILE
            )
        })?;
    let digest = kernel.digest.strip_prefix("sha256:");
    digest
        .and_then(|digest| digest.parse().ok())
        .ok_or_else(|| {
            format!(
                "ldiskfs was made of {} and not of a source package",
                kernel.location
            )
        })
}

/// The kernels in the target's repositories, and their sources.
pub struct Upstream<'a> {
    context: &'a Context,
    downloader: &'a Downloader<'a>,
    keys: BTreeMap<String, Key>,
    /// The repositories' metadata.
    pub metadata: Metadata,
    /// The packages of kernels, by repository.
    pub packages: Vec<(String, Vec<Package>)>,
    scratch: TempDir,
}

impl<'a> Upstream<'a> {
    /// Fetches the metadata of all repositories that the target has a use for; with `advisories`, those of the distribution, too.
    pub fn fetch(
        context: &'a Context,
        downloader: &'a Downloader<'a>,
        advisories: bool,
    ) -> anyhow::Result<Self> {
        let specs = place::specs();
        let target = &context.target;
        let scratch = context.store.temp_dir("compat")?;
        let keys = resolve::keys(downloader, &context.store, &specs, &target.distribution)?;
        let folder = scratch.path().join("metadata");
        let metadata = if advisories {
            resolve::metadata_and_advisories(downloader, target, &keys, &folder)?
        } else {
            resolve::metadata(downloader, target, &keys, &folder)?
        };
        let mut packages = Vec::new();
        for (id, folder) in &metadata.binary {
            let mut all = repodata::primary(folder)
                .with_context(|| format!("the metadata of the repository `{id}`"))?;
            all.retain(is_kernel);
            packages.push((id.clone(), all));
        }
        Ok(Self {
            context,
            downloader,
            keys,
            metadata,
            packages,
            scratch,
        })
    }

    /// The ext4 of `kernel` against that of the source package with the digest `ours`, which is read once.
    fn ext4(&self, kernel: &Kernel, ours: &Digest, read: &OnceCell<Result<Files, String>>) -> Ext4 {
        let compare = || -> anyhow::Result<Ext4> {
            let (name, version) = name_and_version(&kernel.source)
                .with_context(|| format!("`{}` names no source package", kernel.source))?;
            let srpm = resolve::srpm(&self.metadata, name, Some(&version))?;
            let digest: Digest = srpm.pin.sha256.parse()?;
            if digest == *ours {
                return Ok(Ext4::same());
            }
            if kernel.verdict == Verdict::DoesNotLoad && self.context.store.file(&digest).is_none()
            {
                return Ok(Ext4::not_compared(
                    "the modules do not load, so its source package was not fetched",
                ));
            }
            let ours = read.get_or_init(|| {
                let files = self.ours(name, ours).and_then(|path| self.files(&path));
                files.map_err(|error| {
                    format!(
                        "the source package that ldiskfs was made of: {}",
                        line(&error)
                    )
                })
            });
            let ours = match ours {
                Ok(files) => files,
                Err(why) => return Ok(Ext4::not_compared(why.as_str())),
            };
            let theirs = self.files(&self.checked(&srpm)?)?;
            Ok(Ext4::compared(file_systems::differing(ours, &theirs)))
        };
        compare().unwrap_or_else(|error| {
            Ext4::not_compared(format!("{}: {}", kernel.source, line(&error)))
        })
    }

    /// The source package with the digest `ours`: in the store, or in a source repository.
    fn ours(&self, name: &str, ours: &Digest) -> anyhow::Result<PathBuf> {
        if let Some(path) = self.context.store.verified_file(ours)? {
            return Ok(path);
        }
        let all = resolve::srpms(&self.metadata, name)?;
        let srpm = all
            .into_iter()
            .find(|one| one.pin.sha256 == ours.to_string());
        let srpm = srpm.with_context(|| {
            format!("sha256 {ours} is neither in the store nor in a source repository")
        })?;
        self.checked(&srpm)
    }

    fn checked(&self, srpm: &SourcePackage) -> anyhow::Result<PathBuf> {
        self.context.screen.line(&format!(
            "reading the ext4 of {} ({} MiB)",
            srpm.pin.file,
            srpm.pin.size >> 20
        ));
        lock::checked(self.context, self.downloader, &self.keys, srpm)
    }

    fn files(&self, srpm: &Path) -> anyhow::Result<Files> {
        let scratch = tempfile::tempdir_in(self.scratch.path())
            .with_context(|| self.scratch.path().display().to_string())?;
        let arch = &self.context.target.distribution.arch;
        Ok(file_systems::files(
            srpm,
            &scratch.path().join("kernel"),
            arch,
        )?)
    }
}

/// An error and its causes in one line.
pub fn line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `kernel` and `6.12.0-55.el10` of `kernel-6.12.0-55.el10.src.rpm`.
pub fn name_and_version(file: &str) -> Option<(&str, String)> {
    let stem = file.strip_suffix(".src.rpm")?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    (!name.is_empty()).then(|| (name, format!("{version}-{release}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_package_has_a_name_and_a_version() {
        let found = name_and_version("kernel-rt-6.12.0-55.41.1.el10_0.src.rpm");
        assert_eq!(
            found,
            Some(("kernel-rt", "6.12.0-55.41.1.el10_0".to_owned()))
        );
        for file in [
            "",
            "kernel-6.12.0-1.x86_64.rpm",
            "-1-1.src.rpm",
            "kernel.src.rpm",
        ] {
            assert_eq!(name_and_version(file), None, "{file}");
        }
    }
}
