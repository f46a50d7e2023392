//! e2fsprogs: from the pinned archive or a tree to unsigned RPMs.

use std::path::{Path, PathBuf};

use lustre_files::advised;
use lustre_packaging::archive;
use lustre_packaging::build::roots::Buildroot;
use lustre_packaging::build::{e2fsprogs, rpmbuild};
use lustre_packaging::source::FetchedSource;
use lustre_packaging::stage::{Failure, Stage, digest_of};
use lustre_packaging::store::Store;
use lustre_packaging::target::E2fsprogs;

use super::inputs::{BuildGraph, list_input};
use super::packages::root_inputs;
use super::{name, recipes};
use crate::sources;

impl BuildGraph<'_> {
    pub(super) fn e2fsprogs_srpm(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.e2fsprogs;
        let folder = self.target.folder(&self.specs, &wanted.spec);
        let mut inputs = recipes::of(name::E2FSPROGS_SRPM);
        inputs.extend([
            self.settings_input(),
            ("version".to_owned(), wanted.version.clone()),
            (
                "release".to_owned(),
                wanted.release.clone().unwrap_or_default(),
            ),
            self.e2fsprogs_input()?,
        ]);
        for file in e2fsprogs::files(&folder, wanted.series.as_deref())? {
            let name = file.strip_prefix(&folder).unwrap_or(&file);
            inputs.push((name.display().to_string(), digest_of(&file)?));
        }
        Ok(Stage {
            name: name::E2FSPROGS_SRPM.to_owned(),
            needs: self.needs(name::E2FSPROGS_SRPM),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let (file, name) = self.e2fsprogs_archive(work.scratch)?;
                let build = self.workdir(work, &work.need(name::BOOTSTRAP)?.join("root"))?;
                let folder = self.target.folder(&self.specs, &wanted.spec);
                let archive = (file.as_path(), name.as_str());
                let made = e2fsprogs::source_package(&build, wanted, &folder, archive, work.log)?;
                Ok(rpmbuild::collect(&[made], &work.output.join("SRPMS"))?)
            }),
        })
    }

    /// The source of e2fsprogs as a stage's input.
    pub(super) fn e2fsprogs_input(&self) -> anyhow::Result<(String, String)> {
        let digest = match &self.e2fsprogs {
            Some(tree) => tree.identity(),
            None => self.lock.file(sources::E2FSPROGS)?.sha256,
        };
        Ok(("source".to_owned(), digest.to_string()))
    }

    /// The archive of e2fsprogs and its name: the pinned one, or one made of the tree, in `scratch`.
    pub(super) fn e2fsprogs_archive(&self, scratch: &Path) -> Result<(PathBuf, String), Failure> {
        let Some(source) = &self.e2fsprogs else {
            let pin = self.lock.file(sources::E2FSPROGS)?;
            return Ok((self.pinned(&pin.sha256, &pin.file)?, pin.file));
        };
        let time = self.target.build.source_date_epoch.into();
        let tree = scratch.join("e2fsprogs-tree");
        source.export(self.store, &tree, time)?;
        let folder = format!("e2fsprogs-{}", self.target.e2fsprogs.version);
        let name = format!("{folder}.tar.gz");
        let file = scratch.join(&name);
        archive::pack_tar_gz(&tree, &folder, time, &file)?;
        Ok((file, name))
    }

    pub(super) fn e2fsprogs_root(&self) -> Stage<'_> {
        let packages = Buildroot::of(&self.target, name::E2FSPROGS, None).of_distribution();
        let inputs = root_inputs(name::E2FSPROGS, &packages);
        self.root_stage(name::E2FSPROGS, packages, inputs, &[])
    }

    pub(super) fn e2fsprogs(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.e2fsprogs;
        Ok(Stage {
            name: name::E2FSPROGS.to_owned(),
            needs: self.needs(name::E2FSPROGS),
            inputs: [
                recipes::of(name::E2FSPROGS),
                vec![
                    self.settings_input(),
                    list_input("packages", &wanted.packages),
                ],
                self.builder_inputs(),
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                self.build(work, name::E2FSPROGS, &wanted.packages, |_, _| Ok(()))
            }),
        })
    }
}

/// What the target wants of e2fsprogs, where its source is this tree: the tree's version, and the target's series unless the tree
/// supports what Lustre needs without it.
pub fn of_tree(
    wanted: &E2fsprogs,
    tree: &FetchedSource,
    store: &Store,
) -> anyhow::Result<E2fsprogs> {
    let text = |file| anyhow::Ok(tree.text(store, file)?.unwrap_or_default());
    let found = e2fsprogs::Tree::read(&text(e2fsprogs::VERSION)?, &text(e2fsprogs::FEATURES)?)?;
    let mut wanted = wanted.clone();
    if found.dirdata {
        wanted.series = None;
    } else if wanted.series.is_none() {
        anyhow::bail!(advised(
            format!(
                "this e2fsprogs ({}) does not support `dirdata`, which Lustre formats its targets with, and the target has no series that \
                 adds it",
                found.version
            ),
            "use a tree with Lustre's changes, or set `e2fsprogs.series`"
        ));
    }
    wanted.version = found.version;
    wanted.release = found.release.or(wanted.release);
    Ok(wanted)
}
