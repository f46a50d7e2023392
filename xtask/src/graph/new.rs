//! The build graph of the context's target: what is locked, with what the user has in its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lustre_packaging::build::circumstances::Circumstances;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::knowledge::Knowledge;
use lustre_packaging::lock::Lock;
use lustre_packaging::source::{Content, Options};
use lustre_packaging::target::Target;
use lustre_repository::manifest::{self, Overrides};

use super::e2fsprogs;
use super::inputs::{BuildGraph, GraphCache};
use crate::context::Context;
use crate::obs::Obs;
use crate::place::specs;
use crate::sources::Need;
use crate::{sources, ui};

/// How much of a graph is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    All,
    /// All of it, without a step.
    Plan,
    /// Preflight alone, of sources that are given.
    Given,
    /// What a repository is proven on.
    Servers,
}

impl<'a> BuildGraph<'a> {
    /// The build graph of the context's target, as locked.
    pub fn new(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::All)
    }

    /// The same for a plan, which builds nothing: of Lustre's tree it is enough to know which it is.
    pub fn planned(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::Plan)
    }

    /// The same for what any repository of the target is proven on: none of what is built here.
    pub fn of_servers(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::Servers)
    }

    /// The same for sources that are all given, of which no lock is needed to look whether they fit: what only a lock knows is left out.
    pub fn of_given(context: &'a Context, none: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, none, Needs::Given)
    }

    fn with(context: &'a Context, lock: &'a Lock, needs: Needs) -> anyhow::Result<Self> {
        let options = sources::options(&context.arguments)?;
        let of_lustre = match needs {
            Needs::All | Needs::Given => Need::Content,
            Needs::Plan | Needs::Servers => Need::Pin,
        };
        let (lustre, why) = sources::lustre(context, lock, of_lustre)?;
        let mut incomplete = BTreeMap::new();
        incomplete.extend(why.map(|why| (sources::LUSTRE, why)));
        let mut kernel = None;
        if let Some((tree, why)) = sources::kernel(context, lock)? {
            incomplete.extend(why.map(|why| (sources::KERNEL, why)));
            kernel = Some(tree);
        }
        let mut overrides = asked_for(&context.target, &options);
        if !lustre.missing().is_empty() {
            let missing = lustre.missing().to_vec();
            overrides
                .incomplete
                .insert(sources::LUSTRE.to_owned(), missing);
        }
        if let Some(tree) = kernel.as_ref().map(KernelTree::source)
            && !tree.missing().is_empty()
        {
            let missing = tree.missing().to_vec();
            overrides
                .incomplete
                .insert(sources::KERNEL.to_owned(), missing);
        }
        let mut target = Cow::Borrowed(&context.target);
        // Another revision than the target's has another version.
        if lustre.replaced.as_ref().is_some_and(|by| by.rev.is_some())
            && let Some(version) = lustre.version(&context.store)?
        {
            target.to_mut().lustre.version = version;
        }
        // Another kernel than the target's may need another fixup and another series.
        if let Some(tree) = &kernel
            && tree.source().replaced.is_some()
        {
            let wanted = &target.lustre;
            let knowledge = Knowledge::load(&specs())?;
            let options = knowledge.options(
                &wanted.version,
                &tree.release,
                &context.target.lustre_overlays(&specs()),
                &wanted.options,
            );
            if options != wanted.options {
                ui::warn(&format!(
                    "for kernel {}-{} the overlay of Lustre has the options [{}] in place of [{}]",
                    tree.version,
                    tree.release,
                    options.join(", "),
                    wanted.options.join(", ")
                ));
                target.to_mut().lustre.options = options;
            }
            let version = &target.lustre.version;
            if let Some(series) = knowledge.series_instead(&context.target, version, &tree.release)
            {
                ui::warn(&format!(
                    "for kernel {}-{} the series of ldiskfs is {series} in place of {}",
                    tree.version,
                    tree.release,
                    target.lustre.ldiskfs_series.as_deref().unwrap_or("none")
                ));
                target.to_mut().lustre.ldiskfs_series = Some(series);
            }
        }
        // An update may have moved on from the kernel that the target names: the lock knows.
        if target.kernel.moves {
            target.to_mut().kernel.version = None;
        }
        // Nobody but a lock says which e2fsprogs it is, unless it is given.
        let is_given = sources::is_replaced(&context.arguments, sources::E2FSPROGS);
        let e2fsprogs = match needs {
            Needs::Given if !is_given => None,
            // What a plan tells depends on what is in it; a server, if it is not here, has what the target says.
            Needs::All | Needs::Given | Needs::Plan => {
                sources::e2fsprogs(context, lock, Need::Content)?
            }
            Needs::Servers => {
                let tree = sources::e2fsprogs(context, lock, Need::Pin)?;
                tree.filter(|tree| !matches!(tree.content, Content::Elsewhere))
            }
        };
        if let Some(tree) = &e2fsprogs {
            let wanted = e2fsprogs::of_tree(&target.e2fsprogs, tree, &context.store)?;
            if wanted.series != target.e2fsprogs.series {
                let series = wanted.series.clone().unwrap_or_default();
                overrides
                    .series
                    .insert(sources::E2FSPROGS.to_owned(), series);
            }
            target.to_mut().e2fsprogs = wanted;
        }
        Ok(Self {
            target,
            lock,
            store: &context.store,
            specs: specs(),
            jobs: context.jobs,
            limits: context.limits(),
            circumstances: match context.arguments.elsewhere {
                true => Circumstances::Other,
                false => Circumstances::Usual,
            },
            ccache: context.ccache(),
            lustre,
            e2fsprogs,
            kernel,
            kernel_incomplete_allowed: options
                .allow_incomplete
                .iter()
                .any(|name| name == sources::KERNEL),
            incomplete,
            locked: needs != Needs::Given,
            overrides,
            obs: context
                .obs
                .as_ref()
                .map(|builder| Obs::new(builder, &context.screen)),
            built: None,
            known: GraphCache::default(),
        })
    }
}

/// What the command line takes in place of the target's own: the manifest tells it.
fn asked_for(target: &Target, options: &Options) -> Overrides {
    let own = target.chosen.lustre.clone();
    Overrides {
        sources: options
            .overrides
            .iter()
            .map(|by| {
                let rev = by.rev.iter().map(|rev| format!("@{rev}"));
                (
                    by.name.clone(),
                    manifest::LOCAL.to_owned() + &rev.collect::<String>(),
                )
            })
            .collect(),
        mirrors: options
            .mirrors
            .iter()
            .map(|mirror| {
                let place = |location: &str| manifest::place(location).to_owned();
                (
                    place(&mirror.from.to_string()),
                    place(&mirror.to.to_string()),
                )
            })
            .collect(),
        lustre: own.filter(|_| target.chosen.instead),
        ..Overrides::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_in_place_of_something_is_in_the_manifest_without_its_path() {
        let target = Target::load(&specs(), "rehearsal").unwrap();
        let options = Options {
            overrides: ["lustre=/home/me/lustre@v2", "e2fsprogs=../e2fsprogs"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            mirrors: [
                "https://a.example/1=/home/me/mirror",
                "https://a.example/2=file:///home/me/mirror",
                "file:///home/me/old=https://b.example/",
            ]
            .map(|text| text.parse().unwrap())
            .to_vec(),
            ..Options::default()
        };
        let asked = serde_json::to_value(asked_for(&target, &options)).unwrap();
        let text = asked.to_string();
        for path in ["/home/me", "file:", ".."] {
            assert!(!text.contains(path), "{path}: {text}");
        }
        assert_eq!(asked["sources"]["lustre"], "local@v2");
        assert_eq!(asked["sources"]["e2fsprogs"], "local");
        assert_eq!(asked["mirrors"]["https://a.example/1"], "local");
    }

    #[test]
    fn another_release_of_lustre_than_the_targets_own_is_in_the_manifest() {
        let recorded = |lustre: Option<&str>| {
            let target = Target::load_with(&specs(), "rocky-8.10", lustre).unwrap();
            let asked = asked_for(&target, &Options::default());
            serde_json::to_value(&asked).unwrap().get("lustre").cloned()
        };
        assert_eq!(recorded(Some("2.15.8")), Some("2.15.8".into()));
        // Its own is no other, chosen or not.
        assert_eq!(recorded(Some("2.17.0")), None);
        assert_eq!(recorded(None), None);
    }
}
