//! The source trees of a target: pinned by the lock, or replaced with `--source`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use lustre_files::Advised;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::lock::Lock;
use lustre_packaging::resolve;
use lustre_packaging::source::{
    self, Certificate, Downloader, FetchedSource, Fetcher, GitSource, Locked, Mirror, Options,
    Override, PathSource, Progress, Retry, Source as Fetchable,
};
use lustre_packaging::store::Store;
use lustre_packaging::target::{self, Distribution, Source, Target};

use crate::cli::TargetArgs;
use crate::context::Context;
use crate::exit::Usage;
use crate::place;
use crate::ui;

/// The name of Lustre's source on the command line and in locks.
pub const LUSTRE: &str = target::LUSTRE;

/// The name of e2fsprogs' source on the command line and in locks.
pub const E2FSPROGS: &str = target::E2FSPROGS;

/// The name of the kernel's source on the command line and in locks.
pub const KERNEL: &str = target::KERNEL;

/// The lock's name for the upstream source of the kernel of a generated distribution.
pub const KERNEL_SOURCE: &str = "distribution-kernel";

/// The sources that can be replaced.
const TREES: [&str; 3] = [LUSTRE, E2FSPROGS, KERNEL];

/// What a run needs of a source tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What is in it.
    Content,
    /// What it is: it stays where it is.
    Pin,
}

/// How this run fetches, from the command line.
pub fn options(arguments: &TargetArgs) -> anyhow::Result<Options> {
    let mut options = Options {
        offline: arguments.offline,
        keys: place::specs(),
        allow_incomplete: arguments.allow_incomplete.clone(),
        ..Options::default()
    };
    for name in &arguments.allow_incomplete {
        if name != LUSTRE && name != KERNEL {
            return Err(Usage::new(format!(
                "--allow-incomplete {name}: only `{LUSTRE}` and `{KERNEL}` are trees that can be incomplete"
            ))
            .into());
        }
    }
    for text in &arguments.sources {
        let by: Override = text
            .parse()
            .map_err(|e| Usage::new(Advised::of(&format_args!("--source {text}: {e}"))))?;
        if !TREES.contains(&by.name.as_str()) {
            return Err(Usage::new(format!(
                "--source {text}: only `{LUSTRE}`, `{E2FSPROGS}` and `{KERNEL}` can be replaced, not `{}`",
                by.name
            ))
            .into());
        }
        if options.overrides.iter().any(|one| one.name == by.name) {
            return Err(
                Usage::new(format!("--source {text}: `{}` is replaced twice", by.name)).into(),
            );
        }
        options.overrides.push(by);
    }
    for text in &arguments.mirrors {
        let mirror: Mirror = text
            .parse()
            .map_err(|e| Usage::new(Advised::of(&format_args!("--mirror {text}: {e}"))))?;
        options.mirrors.push(mirror);
    }
    Ok(options)
}

/// Says what a person should know of a download.
fn heard(progress: &Progress) {
    if progress.damaged {
        let Progress { source, url, .. } = progress;
        ui::warn(&format!(
            "damaged {source}: the download from {url} has another digest; it is fetched again from the beginning"
        ));
    }
}

/// What gets single files into the context's store, from the mirrors of `options`.
pub fn downloader<'a>(context: &'a Context, options: &'a Options) -> Downloader<'a> {
    let retry = Retry::default();
    Downloader::new(&context.store, false, &options.mirrors, retry, &heard)
        .with_certificates(certificates(&context.target.distribution))
}

/// What the servers of a distribution's repositories ask for.
fn certificates(distribution: &Distribution) -> Vec<Certificate> {
    let mut all = Vec::new();
    for repository in distribution.repository.iter().filter(|one| one.enabled) {
        let path = |path: &Option<String>| path.as_ref().map(PathBuf::from);
        let client = path(&repository.sslclientcert).zip(path(&repository.sslclientkey));
        let authorities = path(&repository.sslcacert);
        if client.is_none() && authorities.is_none() {
            continue;
        }
        // Where a location cannot be told, that was said when the target was loaded.
        for below in distribution.locations(repository).unwrap_or_default() {
            all.push(Certificate {
                repository: repository.id.clone(),
                below,
                client: client.clone(),
                authorities: authorities.clone(),
            });
        }
    }
    all
}

/// A source tree as the library fetches it; none for what comes as an archive that the lock pins.
fn tree_source(name: &str, source: &Source) -> anyhow::Result<Option<Fetchable>> {
    Ok(Some(match source {
        Source::Path(path) => Fetchable::Path(PathSource {
            path: place::specs().join(path),
        }),
        Source::Git { url, tag, commit } => Fetchable::Git(GitSource {
            url: url.clone(),
            tag: tag.clone(),
            rev: Some(commit.clone()),
        }),
        // Which commit the tag named is in the lock.
        Source::GitTag { url, tag } => Fetchable::Git(GitSource {
            url: url.clone(),
            tag: Some(tag.clone()),
            rev: None,
        }),
        Source::Debian { .. } if name == E2FSPROGS => return Ok(None),
        other => anyhow::bail!("{name}.source is a path, a git commit or a git tag, not {other:?}"),
    }))
}

/// The source trees that a lock pins: those in git. A folder of the project itself needs no pin.
pub fn pinned_trees(target: &Target) -> Vec<(&'static str, &Source)> {
    [
        (LUSTRE, Some(&target.lustre.source)),
        (E2FSPROGS, Some(&target.e2fsprogs.source)),
        (KERNEL, target.distribution.kernel.source.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, source)| Some((name, source?)))
    .filter(|(_, source)| matches!(source, Source::Git { .. } | Source::GitTag { .. }))
    .collect()
}

/// What the lock has to pin of source trees.
///
/// Where a target names the commit, that is what is pinned, wherever this run takes it from: `--source` is no part of a lock. Of a tag
/// alone, its repository is asked.
pub fn resolve(context: &Context) -> anyhow::Result<BTreeMap<String, Locked>> {
    let options = Options {
        overrides: Vec::new(),
        ..options(&context.arguments)?
    };
    let fetcher = Fetcher::new(&context.store, &options, &heard);
    let mut trees = BTreeMap::new();
    for (name, source) in pinned_trees(&context.target) {
        let locked = match source {
            Source::Git { url, tag, commit } => Locked::Git {
                url: url.clone(),
                tag: tag.clone(),
                commit: commit.clone(),
                missing: Vec::new(),
            },
            Source::GitTag { url, tag } => {
                let git = GitSource {
                    url: url.clone(),
                    tag: Some(tag.clone()),
                    rev: None,
                };
                fetcher.pin(name, &git)?
            }
            _ => continue,
        };
        check_tag(context, &fetcher, name, &locked)?;
        trees.insert(name.to_owned(), locked);
    }
    Ok(trees)
}

/// The signature of a source's tag, where the target names the key that makes it.
fn check_tag(
    context: &Context,
    fetcher: &Fetcher<'_>,
    name: &str,
    locked: &Locked,
) -> anyhow::Result<()> {
    let key = match name {
        LUSTRE => &context.target.lustre.tag_key,
        E2FSPROGS => &context.target.e2fsprogs.tag_key,
        _ => &None,
    };
    let (
        Some(wanted),
        Locked::Git {
            url,
            tag: Some(tag),
            commit,
            ..
        },
    ) = (key, locked)
    else {
        return Ok(());
    };
    let key = resolve::key(
        fetcher.downloader(),
        &context.store,
        &place::specs(),
        &format!("{name}.tag_key"),
        wanted,
    )?;
    Ok(fetcher.check_tag(name, url, tag, commit, &key.armored)?)
}

/// Whether `--source` replaces the source `name`.
pub fn is_replaced(arguments: &TargetArgs, name: &str) -> bool {
    arguments.sources.iter().any(|text| {
        text.split_once('=')
            .is_some_and(|(replaced, _)| replaced == name)
    })
}

/// The source tree of e2fsprogs, where it is one: the target's, or what `--source` names. Otherwise it is an archive that the lock
/// pins as a file.
pub fn e2fsprogs(
    context: &Context,
    lock: &Lock,
    need: Need,
) -> anyhow::Result<Option<FetchedSource>> {
    let source = tree_source(E2FSPROGS, &context.target.e2fsprogs.source)?;
    let replaced = is_replaced(&context.arguments, E2FSPROGS);
    let mut options = options(&context.arguments)?;
    options.offline |= need == Need::Pin;
    let pinned = lock.tree.get(E2FSPROGS);
    if let (Some(source), Some(locked)) = (&source, pinned) {
        fetches(context, &mut options, |options| {
            Fetcher::new(&context.store, options, &heard).fetch(E2FSPROGS, source, locked)
        })?;
    }
    let fetcher = Fetcher::new(&context.store, &options, &heard);
    Ok(match (source, pinned) {
        (Some(source), Some(locked)) if need == Need::Pin => {
            Some(fetcher.pinned(E2FSPROGS, &source, locked)?)
        }
        (Some(source), Some(locked)) => Some(fetcher.fetch(E2FSPROGS, &source, locked)?),
        (Some(source), None) => Some(fetcher.lock(E2FSPROGS, &source)?),
        (None, _) if replaced => {
            // Nothing to compare it with: what it is in place of is an archive.
            let any = Fetchable::Path(PathSource {
                path: place::specs(),
            });
            Some(fetcher.lock(E2FSPROGS, &any)?)
        }
        (None, _) => None,
    })
}

/// Lustre's source tree: in the store, or where `--source` says. Where files of it are missing and nobody said to go on without
/// them, the second is the error that says so: such a tree may be looked at and not built.
pub fn lustre(
    context: &Context,
    lock: &Lock,
    need: Need,
) -> anyhow::Result<(FetchedSource, Option<String>)> {
    let source = tree_source(LUSTRE, &context.target.lustre.source)?
        .context("lustre.source is not a tree")?;
    fetch_lenient(context, lock, LUSTRE, &source, need)
}

/// A source tree; the second as [`lustre`] says.
fn fetch_lenient(
    context: &Context,
    lock: &Lock,
    name: &str,
    source: &Fetchable,
    need: Need,
) -> anyhow::Result<(FetchedSource, Option<String>)> {
    let mut options = options(&context.arguments)?;
    options.offline |= need == Need::Pin;
    let fetch = |options: &Options| {
        let fetcher = Fetcher::new(&context.store, options, &heard);
        match (lock.tree.get(name), need) {
            (Some(locked), Need::Pin) => fetcher.pinned(name, source, locked),
            (Some(locked), Need::Content) => fetcher.fetch(name, source, locked),
            (None, _) => fetcher.lock(name, source),
        }
    };
    fetches(context, &mut options, fetch)?;
    match fetch(&options) {
        Err(error @ source::Error::Incomplete { .. }) => {
            options.allow_incomplete.push(name.to_owned());
            Ok((fetch(&options)?, Some(error.to_string())))
        }
        fetched => Ok((fetched?, None)),
    }
}

/// Where a tree is not in the store and may be fetched, no other run is to be at the same.
fn fetches(
    context: &Context,
    options: &mut Options,
    fetch: impl Fn(&Options) -> Result<FetchedSource, source::Error>,
) -> anyhow::Result<()> {
    let allowed = std::mem::replace(&mut options.offline, true);
    let is_missing = matches!(fetch(options), Err(source::Error::Offline { .. }));
    options.offline = allowed;
    if is_missing && !allowed {
        context.alone()?;
    }
    Ok(())
}

/// The tree that the kernel's source package is made of, where the target or `--source` names one; the second as [`lustre`] says.
pub fn kernel(
    context: &Context,
    lock: &Lock,
) -> anyhow::Result<Option<(KernelTree, Option<String>)>> {
    let wanted = &context.target.distribution.kernel;
    let source = if let (true, Some(source)) = (wanted.is_tree(), &wanted.source) {
        tree_source(KERNEL, source)?
    } else if is_replaced(&context.arguments, KERNEL) {
        // Nothing to compare it with: what it is in place of is an archive or a source package.
        Some(Fetchable::Path(PathSource {
            path: place::specs(),
        }))
    } else {
        None
    };
    let Some(source) = source else {
        return Ok(None);
    };
    let (fetched, incomplete) = fetch_lenient(context, lock, KERNEL, &source, Need::Content)?;
    Ok(Some((KernelTree::of(fetched, &context.store)?, incomplete)))
}

/// The SRPM `package` of the source repository at `repository`, a folder: its metadata's signature is checked, its digest, and its own
/// signature.
pub fn distribution_srpm(
    store: &Store,
    repository: &std::path::Path,
    key: &std::path::Path,
    fingerprint: &str,
    package: &str,
) -> anyhow::Result<std::path::PathBuf> {
    let source = Fetchable::Srpm(lustre_packaging::source::SrpmSource {
        repository: repository.display().to_string(),
        package: package.to_owned(),
        version: None,
        key: key.to_owned(),
        fingerprint: Some(fingerprint.to_owned()),
    });
    let options = Options {
        offline: true,
        ..Options::default()
    };
    let fetched = Fetcher::new(store, &options, &heard).lock(package, &source)?;
    fetched
        .file(store)?
        .with_context(|| format!("the source package {package} is not one file"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn arguments(line: &[&str]) -> TargetArgs {
        let line = ["cargo xtask", "fetch"].iter().chain(line);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Fetch(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replacements_are_read() {
        let read = options(&arguments(&[
            "--offline",
            "--source",
            "lustre=/no/such/tree@v2",
            "--mirror",
            "https://a.example/b=/srv/b",
        ]))
        .unwrap();
        assert!(read.offline);
        assert_eq!(read.overrides[0].rev.as_deref(), Some("v2"));
        assert_eq!(read.mirrors[0].to.to_string(), "/srv/b");
    }

    #[test]
    fn what_cannot_be_replaced_is_wrong_usage_and_is_named() {
        for (line, parts) in [
            (["--source", "lustre"], ["--source lustre", "NAME=PATH"]),
            (
                ["--source", "glibc=/a"],
                ["only `lustre`, `e2fsprogs` and `kernel`", "`glibc`"],
            ),
            (["--mirror", "a=b"], ["--mirror a=b", "FROM=TO"]),
        ] {
            let error = options(&arguments(&line)).unwrap_err();
            assert!(error.is::<Usage>(), "{error:?}");
            for part in parts {
                assert!(error.to_string().contains(part), "{part}: {error}");
            }
        }
    }
}
