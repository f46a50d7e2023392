//! `cargo xtask repo --from-bundle`: what a target is built from comes out of one file, and not from a network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::bundle::{Bundle, Provenance};
use lustre_packaging::source::Error;
use lustre_packaging::store::{Digest, EntryKind, list_tree};
use lustre_packaging::{stage, target};
use walkdir::WalkDir;

use crate::cli::{On, ProvenRepoArgs};
use crate::commands::needs;
use crate::context::Context;
use crate::events::Amount;
use crate::exit::Usage;
use crate::graph::BuildGraph;
use crate::graph::finish::Signing;
use crate::{lock, place, transfer, ui};

/// How many files that differ are named.
const NAMED: usize = 3;

/// Where a run has a bundle, it uses no network; where no target is named, it is the bundle's. What the bundle has of a site's files is put
/// where the target is: in the folder that is named, else in one of the target's name, where the tool works.
pub fn name_target(arguments: &mut ProvenRepoArgs) -> anyhow::Result<()> {
    let Some(path) = &arguments.from_bundle else {
        return Ok(());
    };
    if arguments.repo.builder.on == On::Obs {
        return Err(Usage::new(advised(
            "--on obs: it needs the network, and --from-bundle builds without one",
            "omit one of them",
        ))
        .into());
    }
    let target = &mut arguments.repo.target;
    target.offline = true;
    let bundle = Bundle::open(path)?;
    let made = &bundle.index().made;
    let site = bundle.site()?;
    let name = target::own_name(&made.target, made.lustre.as_deref());
    let is_file = |target: &str| target.contains('/') || target.ends_with(".toml");
    if arguments.target_given && !is_file(&target.target) && target.target != name {
        return Err(other_target(path, &made.target, &target.target).into());
    }
    if !arguments.target_given {
        target.target = match site.is_empty() {
            true => name.to_owned(),
            false => text(place::folder()?.join(name).join(format!("{name}.toml")))?,
        };
        if target.lustre.is_none() {
            target.lustre.clone_from(&made.lustre);
        }
    }
    if site.is_empty() {
        return Ok(());
    }
    let file = Path::new(&target.target);
    if !is_file(&target.target) || file.file_stem().and_then(|stem| stem.to_str()) != Some(name) {
        return Err(Usage::new(advised(
            format!(
                "{} is for a site's own target, `{name}.toml`, not for `{}`",
                path.display(),
                target.target
            ),
            "give its file with --target, or leave it out",
        ))
        .into());
    }
    let file = std::path::absolute(file).with_context(|| target.target.clone())?;
    put(path, file.parent().unwrap_or(Path::new("/")), &site)
}

/// Puts a site's files into `folder`, where they are not there: one that is new, empty, or has some of them and nothing else. Among other
/// files, they could become part of what those are.
fn put(bundle: &Path, folder: &Path, site: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for (below, content) in site {
        let path = folder.join(below);
        let there = lustre_files::read_no_link(&path, lustre_files::SOURCE);
        match lustre_files::if_there(there).with_context(|| path.display().to_string())? {
            None => missing.push((path, content)),
            Some(there) if there == *content => {}
            Some(_) => bail!(advised(
                format!(
                    "{} is not the file that {} has",
                    path.display(),
                    bundle.display()
                ),
                "move it away to use the bundle's"
            )),
        }
    }
    let Some((first, _)) = missing.first() else {
        return Ok(());
    };
    if let Some(other) = other_than(folder, site)? {
        bail!(advised(
            format!(
                "{} is not there, and is not put into a folder that has {}",
                first.display(),
                other.display()
            ),
            "name a new folder with --target DIR/NAME.toml"
        ));
    }
    for (path, content) in missing {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        }
        lustre_files::write_whole(&path, content).with_context(|| path.display().to_string())?;
        ui::say(&format!("wrote {}, from the bundle", path.display()));
    }
    Ok(())
}

/// Something in `folder` that is none of a site's files, and no folder of them.
fn other_than(folder: &Path, site: &[(String, Vec<u8>)]) -> anyhow::Result<Option<PathBuf>> {
    if lustre_files::if_there(fs::symlink_metadata(folder))
        .with_context(|| folder.display().to_string())?
        .is_none()
    {
        return Ok(None);
    }
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let below = entry.path().strip_prefix(folder)?;
        let mut site = site.iter().map(|(own, _)| Path::new(own));
        let is_own = match entry.file_type().is_dir() {
            true => site.any(|own| own.starts_with(below)),
            false => entry.file_type().is_file() && site.any(|own| own == below),
        };
        if !is_own {
            return Ok(Some(entry.into_path()));
        }
    }
    Ok(None)
}

fn other_target(bundle: &Path, made: &str, wanted: &str) -> Usage {
    Usage::new(advised(
        format!(
            "{} is for the target `{}`, not for `{wanted}`",
            bundle.display(),
            made.escape_debug()
        ),
        "give that with --target, or leave it out",
    ))
}

fn text(path: PathBuf) -> Result<String, Usage> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| Usage::new(format!("{} is not UTF-8", path.display())))
}

/// A bundle that fits the target of this run.
pub struct Fitting {
    bundle: Bundle,
    path: PathBuf,
    /// Where its lock goes; none where that is there.
    lock: Option<PathBuf>,
}

/// The bundle at `path`, before anything is done with it.
pub fn fitting(context: &Context, path: &Path) -> anyhow::Result<Fitting> {
    let bundle = Bundle::open(path)?;
    let made = &bundle.index().made;
    if made.target != context.target.name {
        return Err(other_target(path, &made.target, &context.target.name).into());
    }
    let needs = context
        .target
        .site_needs(&place::specs())
        .map_err(anyhow::Error::msg)?;
    if let Some((more, _)) = bundle
        .site()?
        .iter()
        .find(|(below, _)| !needs.contains_key(below))
    {
        bail!(advised(
            format!(
                "{} is refused: {more} is not a file that the target needs",
                path.display()
            ),
            "make it again with `cargo xtask bundle`"
        ));
    }
    let at = lock::path(&context.target)?;
    let there = lustre_files::if_there(lustre_files::read(&at, lustre_files::SOURCE))
        .with_context(|| at.display().to_string())?;
    let is_there = there.as_deref() == Some(bundle.lock_text().as_bytes());
    if context.arguments.locked && !is_there {
        bail!(advised(
            format!(
                "{} is not the lock in {}, and --locked was given",
                at.display(),
                path.display()
            ),
            "run without it to use the lock of the bundle"
        ));
    }
    let differences = differences(made)?;
    if !lock::answers(context, path, bundle.lock())? {
        bail!(advised(
            format!(
                "the lock in {} is for other sources than the target asks for here{differences}",
                path.display()
            ),
            "use the same version of the tool, and the same specs, on both machines"
        ));
    }
    if !differences.is_empty() {
        ui::warn(&format!(
            "warning: the result may differ from that of the machine that made {}{differences}",
            path.display()
        ));
    }
    Ok(Fitting {
        bundle,
        path: path.to_owned(),
        lock: (!is_there).then_some(at),
    })
}

impl Fitting {
    /// Whether there is room for what comes into the store, and for what is built of it.
    pub fn room(&self, context: &Context, signing: &Signing, output: &Path) -> anyhow::Result<()> {
        let bytes = self.bundle.missing(&context.store)?;
        if bytes == 0 {
            return Ok(());
        }
        let left = || -> anyhow::Result<_> {
            let graph = BuildGraph::planned(context, self.bundle.lock())?;
            let planned = stage::plan(&graph.assembled(signing)?, &context.store)?;
            Ok(needs::left(&planned))
        };
        let left = match left() {
            // What depends on what is in a tree is known once it is in the store: nothing was built of it here.
            Err(error) if matches!(error.downcast_ref(), Some(Error::Offline { .. })) => {
                needs::ALL.into()
            }
            left => left?,
        };
        needs::before_taking(context, bytes, &left, output)
    }

    /// Brings everything of it into the store, and its lock to where the target's is.
    pub fn take(self, context: &Context) -> anyhow::Result<()> {
        let Self { bundle, path, lock } = self;
        let (files, bytes) = bundle.amount();
        let all = Amount { files, bytes };
        let (come_files, come_bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let told = |bytes: u64| {
            come_files.fetch_add(1, Ordering::Relaxed);
            come_bytes.fetch_add(bytes, Ordering::Relaxed);
        };
        let so_far = || Amount {
            files: come_files.load(Ordering::Relaxed),
            bytes: come_bytes.load(Ordering::Relaxed),
        };
        let taken = transfer::told(&context.screen, all, &so_far, || {
            bundle.take(&context.store, &told)
        })?;
        context.screen.line(&format!(
            "{}: {} files copied into the store, {} were there",
            path.display(),
            taken.copied,
            taken.there
        ));
        if let Some(at) = lock {
            let above = at.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(above).with_context(|| above.display().to_string())?;
            let text = bundle.lock_text().as_bytes();
            lustre_files::write_whole(&at, text).with_context(|| at.display().to_string())?;
            context
                .screen
                .line(&format!("wrote {}, from the bundle", at.display()));
        }
        Ok(())
    }
}

/// How the tool and the specs differ from those that made the bundle; nothing where they are the same.
fn differences(made: &Provenance) -> anyhow::Result<String> {
    let here = specs()?;
    let names: BTreeSet<&String> = here.keys().chain(made.specs.keys()).collect();
    let mut other = names
        .into_iter()
        .filter(|name| here.get(*name) != made.specs.get(*name));
    let named: Vec<&str> = other.by_ref().take(NAMED).map(String::as_str).collect();
    let more = other.count();
    let mut all = Vec::new();
    if made.code != env!("LUSTRE_REPO_CODE") {
        all.push(format!("another tool (version {})", made.tool));
    }
    if !named.is_empty() {
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        all.push(format!("other specs: {}{more}", named.join(", ")));
    }
    Ok(match all.is_empty() {
        true => String::new(),
        false => format!(" (made with {})", all.join(", and ")),
    })
}

/// The specs of this run, without locks, each with its digest.
pub fn specs() -> anyhow::Result<BTreeMap<String, Digest>> {
    let entries = list_tree(&place::specs())?;
    let files = entries.into_iter().filter_map(|entry| match entry.kind {
        EntryKind::File { sha256, .. } => Some((entry.path, sha256)),
        _ => None,
    });
    Ok(files
        .filter(|(path, _)| !path.starts_with("locks/"))
        .collect())
}
