//! What of an overlay counts: the options that a target takes of it, and the edits by their files.

use std::collections::BTreeMap;

use super::edit::Edit;
use super::manifest::{Manifest, ManifestError};

impl Manifest {
    /// The edits by the file that they change, in the order they stand; those that name no file are of the spec.
    pub fn edits_by_file(&self) -> BTreeMap<&str, Vec<&Edit>> {
        let mut files: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
        for edit in &self.edit {
            let file = edit.file.as_deref().or(self.spec.as_deref());
            files
                .entry(file.unwrap_or_default())
                .or_default()
                .push(edit);
        }
        files
    }

    /// The manifest with the options `names` taken, and no options left.
    pub fn choose(mut self, names: &[String], file: &str) -> Result<Self, ManifestError> {
        let invalid = |problem| ManifestError::Invalid {
            file: file.to_owned(),
            problem,
        };
        let mut options = std::mem::take(&mut self.option);
        let known: Vec<String> = options.keys().cloned().collect();
        for name in names {
            let choice = options.remove(name).ok_or_else(|| {
                invalid(if known.contains(name) {
                    format!("the option `{name}` is listed twice")
                } else if known.is_empty() {
                    format!("it has no option `{name}`, and no other options")
                } else {
                    format!(
                        "it has no option `{name}`; available options: {}",
                        known.join(", ")
                    )
                })
            })?;
            self.build.with.extend(choice.build.with);
            self.build.without.extend(choice.build.without);
            if !choice.fragments.is_empty() {
                let config = self.config.as_mut().ok_or_else(|| {
                    invalid(format!(
                        "the option `{name}` has fragments, but there is no [config]"
                    ))
                })?;
                config.fragments.extend(choice.fragments);
            }
            self.source.extend(choice.source);
            self.edit.extend(choice.edit);
            self.fixup.extend(choice.fixup);
        }
        self.validate().map_err(invalid)?;
        Ok(self)
    }
}
