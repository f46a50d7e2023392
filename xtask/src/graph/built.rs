//! Packages that were built elsewhere, in place of the stages that build them: what these put out is copied, each file held against the index of
//! the folder that has it.

use std::fs;

use lustre_packaging::built::{BuildOutput, MadeOf};
use lustre_packaging::stage::Stage;
use lustre_packaging::store::{Digest, digest_entries, list_tree};
use lustre_repository::manifest::Overrides;
use serde_json::json;

use super::inputs::BuildGraph;
use super::name;
use super::shape::built;
use crate::place::specs;

/// The label of the input that stands for what was built elsewhere.
const LABEL: &str = "built-elsewhere";

impl<'a> BuildGraph<'a> {
    /// The same graph with the packages of `built` in place of its builds: none of these is ever run.
    pub fn of_built(self, from: &'a BuildOutput) -> Result<Self, String> {
        let wanted = self.handed_on();
        let there: Vec<&String> = from.index().stages.keys().collect();
        if there != wanted.iter().collect::<Vec<_>>() {
            return Err(format!(
                "it has the stages {there:?}, and the target builds {wanted:?}"
            ));
        }
        Ok(Self {
            built: Some(from),
            ..self
        })
    }

    /// The stages that are handed on to who signs, sorted: packages, source packages, and the lists of what they were built with.
    pub fn handed_on(&self) -> Vec<String> {
        let stages = built(&self.target).into_iter();
        let mut names: Vec<String> = stages
            .flat_map(|package| [package.to_owned(), name::root(package), name::srpm(package)])
            .collect();
        names.sort();
        names
    }

    /// What packages of this graph are built of.
    pub fn made_of(&self) -> anyhow::Result<MadeOf> {
        // Where they are fetched from changes nothing of what is built.
        let overrides = Overrides {
            mirrors: Default::default(),
            ..self.overrides.clone()
        };
        let sources = json!([self.sources_digest(), overrides]);
        let lock = self
            .lock_digest()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let target = serde_json::to_string(&self.target.without_needs())?;
        let entries = list_tree(&specs())?;
        let specs = entries
            .into_iter()
            .filter(|entry| !entry.path.starts_with("locks/"))
            .map(|entry| (entry.path.clone(), digest_entries(&[entry])))
            .collect();
        Ok(MadeOf {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            code: env!("LUSTRE_REPO_CODE").to_owned(),
            target: self.target.name.clone(),
            target_sha256: Digest::of_bytes(target.as_bytes()),
            lock_sha256: lock,
            sources_sha256: Digest::of_bytes(sources.to_string().as_bytes()).to_string(),
            specs,
        })
    }

    /// The stages that copy what `from` has.
    pub(super) fn copied<'s>(&'s self, from: &'s BuildOutput) -> Vec<Stage<'s>> {
        let stages = from.index().stages.iter();
        stages
            .map(|(name, files)| {
                let is_root = name.ends_with("-root");
                Stage {
                    name: name.clone(),
                    needs: Vec::new(),
                    inputs: vec![(
                        LABEL.to_owned(),
                        Digest::of_bytes(json!(files).to_string().as_bytes()).to_string(),
                    )],
                    // The list stands for the chroot, which nothing that signs looks into.
                    whole: is_root.then(|| ("root".to_owned(), "packages.txt".to_owned())),
                    recipe: Box::new(move |work| {
                        from.take(name, work.output)?;
                        if is_root {
                            fs::create_dir(work.output.join("root"))?;
                        }
                        Ok(())
                    }),
                }
            })
            .collect()
    }
}
