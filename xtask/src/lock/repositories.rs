//! Locks of targets with an existing distribution: its repositories' metadata, checked, and dnf's choice of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_packaging::build::{e2fsprogs, kernel};
use lustre_packaging::knowledge::Misfit;
use lustre_packaging::lock::{FilePin, Lock};
use lustre_packaging::overlay::Overlay;
use lustre_packaging::resolve::{self, BuildRequires, Key, SourcePackage};
use lustre_packaging::sign::{PublicKey, verify_package_by};
use lustre_packaging::source::{Downloader, Locked};
use lustre_packaging::store::{Digest, TempDir};
use lustre_packaging::target::{Distribution, Kernel, KernelKind, Source, Target};

use super::misfit::misfit;
use crate::context::{self, Context};
use crate::graph::KERNEL_PACKAGE;
use crate::graph::repositories::{key_source, modules_source};
use crate::place;
use crate::sources;

/// What the lock has to answer: a digest of everything that decides which files are pinned.
pub fn request(target: &Target) -> anyhow::Result<Digest> {
    let specs = place::specs();
    let mut fields = vec![
        ("recipe".to_owned(), "1".to_owned()),
        json("distribution", &asked(&target.distribution)?)?,
        json("kernel", &(&target.kernel.kind, &target.kernel.source))?,
        json("kernel-version", &target.kernel.version)?,
        json("kernel-options", &target.kernel.options)?,
        json("lustre-buildroot", &target.lustre.buildroot)?,
        json("install", &(&target.install.base, &target.install.requires))?,
        (
            "e2fsprogs-requires".to_owned(),
            requires_in(
                &target
                    .folder(&specs, &target.e2fsprogs.spec)
                    .join(e2fsprogs::SPEC),
            )?,
        ),
    ];
    if let Some(overlay) = target.kernel.changed_by() {
        let folder = target.folder(&specs, overlay);
        let overlay = folder.join("overlay.toml");
        fields.push(("kernel-requires".to_owned(), requires_in(&overlay)?));
        let overlay = Overlay::load_in(&specs, &folder, &target.kernel.options)?;
        for (name, below) in overlay.below {
            let below = requires_in(&below.join("overlay.toml"))?;
            fields.push((format!("kernel-requires-{name}"), below));
        }
    }
    if target.kernel.kind == KernelKind::Distribution {
        fields.push((resolve::LATER_KERNEL.to_owned(), "newest".to_owned()));
    }
    for (name, source) in sources::pinned_trees(target) {
        fields.push((name.to_owned(), format!("{source:?}")));
    }
    for (name, key) in [
        ("lustre-tag-key", &target.lustre.tag_key),
        ("e2fsprogs-tag-key", &target.e2fsprogs.tag_key),
    ] {
        if key.is_some() {
            fields.push(json(name, key)?);
        }
    }
    Ok(Digest::of_fields(fields))
}

/// A distribution as far as it decides which files are pinned. One more place where a repository may be, or a certificate that its server
/// asks for, outdates no lock: of the places only the first counts.
fn asked(distribution: &Distribution) -> anyhow::Result<Distribution> {
    let mut asked = distribution.clone();
    for repository in &mut asked.repository {
        let places = distribution.locations(repository)?;
        repository.baseurl = places
            .into_iter()
            .next()
            .context("a repository has a place")?
            .into();
        repository.sslclientcert = None;
        repository.sslclientkey = None;
        repository.sslcacert = None;
        repository.why.clear();
    }
    asked.variables.clear();
    Ok(asked)
}

fn json(name: &str, value: &impl serde::Serialize) -> anyhow::Result<(String, String)> {
    Ok((name.to_owned(), serde_json::to_string(value)?))
}

/// The lines of a spec, or of an overlay on one, that say what its build requires: nothing else of it decides what is pinned.
fn requires_in(path: &Path) -> anyhow::Result<String> {
    let text = lustre_files::read_to_string(path, lustre_files::TEXT)
        .with_context(|| path.display().to_string())?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("BuildRequires"))
        .collect();
    Ok(lines.join("\n"))
}

/// A new lock; an `update` takes the newest kernel where the target's moves.
pub fn resolve(context: &Context, update: bool) -> anyhow::Result<Lock> {
    let target = &context.target;
    if let Err(error) = context::processor(context) {
        // Where it is built, that is an error; a lock can be made anywhere.
        context.screen.line(&error.to_string());
    }
    let options = sources::options(&context.arguments)?;
    let downloader = sources::downloader(context, &options);
    let specs = place::specs();
    let scratch = context.store.temp_dir("lock")?;
    let keys = resolve::keys(&downloader, &context.store, &specs, &target.distribution)?;
    context.screen.line(&format!(
        "reading the metadata of {} repositories",
        target
            .distribution
            .repository
            .iter()
            .filter(|one| one.is_used(&target.asks_for()))
            .count()
    ));
    let folder = scratch.path().join("metadata");
    let metadata = resolve::metadata_and_advisories(&downloader, target, &keys, &folder)?;
    let srpm = kernel_srpm(context, &metadata, update)?;
    let advisories = resolve::advisories(&metadata, &srpm.version);
    if !advisories.left_out.is_empty() {
        let left_out: Vec<&str> = advisories.left_out.iter().map(String::as_str).collect();
        context.screen.warn(&format!(
            "warning: the lock does not have all advisories of kernel {}, because dnf would not read them: {}",
            srpm.version,
            left_out.join(", ")
        ));
    }
    let trees = sources::resolve(context)?;
    let maker = Maker {
        context,
        downloader: &downloader,
        keys: &keys,
        trees: &trees,
        scratch: &scratch,
    };
    let requires = maker.build_requires(&srpm)?;
    let goals = resolve::goals(target, &srpm.version, &requires);
    context.screen.line(&format!(
        "resolving the packages of {}",
        goals
            .iter()
            .map(|goal| goal.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    ));
    let dnf = scratch.path().join("dnf");
    let solutions = resolve::resolve(&target.distribution, &metadata, &goals, &dnf)?;
    let packages = resolve::union(&metadata, &solutions)?;
    context.screen.line(&format!(
        "reading who signed {} packages, from their headers",
        packages.len()
    ));
    let unknown = resolve::signers(
        &downloader,
        &context.store,
        &target.distribution,
        &metadata,
        &keys,
        &solutions,
    )?;
    if unknown > 0 {
        context.screen.line(&format!(
            "the mirror does not support range requests: the signatures of {unknown} packages are checked when they are installed"
        ));
    }
    let mut files = BTreeMap::from([(KERNEL_PACKAGE.to_owned(), srpm.pin)]);
    for (name, key) in keys {
        files.insert(key_source(&name), key.pin);
    }
    for (id, pin) in metadata.modules {
        files.insert(modules_source(&id), pin);
    }
    Ok(
        Lock::new(&target.name, request(target)?, files, trees, packages)
            .with_advisories(advisories.kept),
    )
}

/// The kernel's source package that the target names, or the newest; where a newer one is there than the target names, that is said.
fn kernel_srpm(
    context: &Context,
    metadata: &resolve::Metadata,
    update: bool,
) -> anyhow::Result<SourcePackage> {
    let Kernel {
        source,
        version,
        moves,
        ..
    } = &context.target.kernel;
    let Source::Srpm(name) = source else {
        bail!(
            "kernel.source: a distribution's kernel is a source package (`srpm`), not {source:?}"
        );
    };
    let named = version.as_deref().filter(|_| !(update && *moves));
    let target = context.target.argument();
    let srpm = resolve::srpm(metadata, name, named).map_err(|error| match &error {
        resolve::Error::NoSourcePackage { found, .. } if named.is_some() && !found.is_empty() => {
            let newest = found.last().cloned().unwrap_or_default();
            let what = if *moves {
                format!("`cargo xtask lock --update --target {target}` moves to it, if it fits")
            } else {
                "set `version` in the target's [kernel]".to_owned()
            };
            anyhow::Error::new(error).context(format!(
                "the target's kernel is not available; the newest available: {newest}; {what}"
            ))
        }
        _ => error.into(),
    })?;
    let moves_to = format!("`cargo xtask lock --update --target {target}` moves to it, if it fits");
    match named {
        Some(version) if srpm.newest != srpm.version => context.screen.line(&format!(
            "{} has {name}-{}, newer than the target's {version}; {}",
            srpm.repository,
            srpm.newest,
            if *moves {
                moves_to.as_str()
            } else {
                "set `version` in its [kernel] to change it"
            }
        )),
        Some(_) => {}
        None => {
            let newest = &srpm.version;
            context.screen.line(&format!(
                "{name}-{newest} is the newest in {}",
                srpm.repository
            ));
            if let Some(wanted) = version
                && srpm.is_older_than(wanted)
            {
                context.screen.line(&format!(
                    "that is older than the target's {wanted}, which the repositories do not have"
                ));
            }
        }
    }
    judge(&context.target, &srpm.version)?;
    Ok(srpm)
}

/// Refuses a kernel that is known not to go with the target's Lustre.
fn judge(target: &Target, version: &str) -> Result<(), anyhow::Error> {
    let misfit: Option<Misfit> = misfit(target, version)?;
    misfit.map_or(Ok(()), |misfit| Err(misfit.into()))
}

/// What is at hand while the goals are made.
struct Maker<'a> {
    context: &'a Context,
    downloader: &'a Downloader<'a>,
    keys: &'a BTreeMap<String, Key>,
    trees: &'a BTreeMap<String, Locked>,
    scratch: &'a TempDir,
}

impl Maker<'_> {
    fn build_requires(&self, srpm: &SourcePackage) -> anyhow::Result<BuildRequires> {
        let target = &self.context.target;
        let specs = place::specs();
        let spec = target
            .folder(&specs, &target.e2fsprogs.spec)
            .join(e2fsprogs::SPEC);
        let kernel = target.kernel_overlay(&specs)?;
        let kernel = kernel.map(|overlay| self.kernel_requires(srpm, overlay));
        Ok(BuildRequires {
            e2fsprogs: resolve::build_requires(&spec, &target.distribution)?,
            kernel: kernel.transpose()?,
        })
    }

    /// What the kernel's spec requires once it is changed: the overlay may add to it, and leaves parts out.
    fn kernel_requires(
        &self,
        srpm: &SourcePackage,
        overlay: Overlay,
    ) -> anyhow::Result<Vec<String>> {
        let target = &self.context.target;
        self.context.screen.line(&format!(
            "reading the spec of {} ({} MiB)",
            srpm.pin.file,
            srpm.pin.size >> 20
        ));
        let package = checked(self.context, self.downloader, self.keys, srpm)?;
        let specs = place::specs();
        // The overlay takes series of patches from Lustre's tree.
        let partial = Lock::new(
            &target.name,
            request(target)?,
            BTreeMap::new(),
            self.trees.clone(),
            Vec::new(),
        );
        let (lustre, _) = sources::lustre(self.context, &partial, sources::Need::Content)?;
        let tree = self.scratch.path().join("lustre");
        lustre.export(
            &self.context.store,
            &tree,
            target.build.source_date_epoch.into(),
        )?;
        if let Some(folder) = &target.lustre.overlay {
            let folder = target.folder(&specs, folder);
            let overlay = Overlay::load_in(&specs, &folder, &target.lustre.options)?;
            overlay.change_tree(&tree)?;
        }
        let folder = |name: &str| -> anyhow::Result<_> {
            let path = self.scratch.path().join(name);
            fs::create_dir(&path).with_context(|| path.display().to_string())?;
            Ok(path)
        };
        let prepared = folder("kernel")?;
        kernel::sources(
            &package,
            &overlay,
            &[(sources::LUSTRE, &tree)],
            &folder("unpacked")?,
            &prepared,
        )?;
        let spec = kernel::spec(&prepared, &overlay)?;
        Ok(resolve::build_requires(&spec, &target.distribution)?)
    }
}

/// The source package in the store, with its digest and its signature checked.
pub fn checked(
    context: &Context,
    downloader: &Downloader<'_>,
    keys: &BTreeMap<String, Key>,
    srpm: &SourcePackage,
) -> anyhow::Result<PathBuf> {
    let FilePin {
        sha256, uri, size, ..
    } = &srpm.pin;
    let digest: Digest = sha256.parse()?;
    let distribution = &context.target.distribution;
    let places = distribution.places(uri);
    let path = downloader.file(KERNEL_PACKAGE, &places, &digest, Some(*size))?;
    let mut repositories = distribution.repository.iter();
    let repository = repositories
        .find(|one| one.id == srpm.repository)
        .with_context(|| format!("there is no repository `{}`", srpm.repository))?;
    let mut all = Vec::new();
    for name in repository.key.all() {
        let key = keys
            .get(name)
            .with_context(|| format!("there is no key `{name}`"))?;
        all.push(PublicKey::parse(&key.armored)?);
    }
    verify_package_by(&path, &all)
        .with_context(|| format!("the signature of {}", srpm.pin.file))?;
    Ok(path)
}
