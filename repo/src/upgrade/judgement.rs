//! What is wrong with a server after a step.

use std::collections::BTreeSet;

use super::Journey;
use super::pair::{name_of, nevras};
use super::state::{State, kernels, with_lustre};
use crate::history::Set;

impl Journey<'_> {
    /// What the installed packages say against the upgrade.
    pub(super) fn not_upgraded(&self, state: &State) -> Vec<String> {
        let now = nevras(self.pair.now);
        let mut findings = Vec::new();
        for old in &self.ours {
            let name = name_of(old);
            let next: Vec<&String> = now.iter().filter(|one| name_of(one) == name).collect();
            let stays = state.packages.contains(old);
            if next.contains(&old) {
                if !stays {
                    findings.push(format!("{old}, which both releases have, is gone"));
                }
            } else if next.is_empty() {
                if stays {
                    findings.push(format!(
                        "{old} stayed, although the release has no {} any more: a package of it has to obsolete that",
                        name.unwrap_or_default()
                    ));
                }
            } else {
                if !next.iter().any(|one| state.packages.contains(*one)) {
                    let next: Vec<&str> = next.into_iter().map(String::as_str).collect();
                    findings.push(format!("{old} did not become {}", next.join(" or ")));
                }
                let beside = self.side_by_side.contains(old);
                if stays && !beside {
                    findings.push(format!("{old} is still installed"));
                } else if !stays && beside {
                    findings.push(format!(
                        "{old} is gone: there is nothing left to boot if the new one does not"
                    ));
                }
            }
        }
        for one in state.packages.difference(&self.before.packages) {
            if self.pair.all.contains(one) && !now.contains(one) {
                findings.push(format!(
                    "{one} was installed, which the release does not have"
                ));
            }
        }
        for one in self.before.packages.difference(&state.packages) {
            let name = name_of(one);
            let same_name = state.packages.iter().any(|other| name_of(other) == name);
            if !self.pair.all.contains(one) && !same_name {
                findings.push(format!(
                    "the upgrade removed {one}, which is the distribution's"
                ));
            }
        }
        findings
    }

    /// What rpm finds wrong with our packages, what misses something of all, and what of `rpm -Va` was not `known`.
    pub(super) fn unverified(
        &self,
        state: &State,
        known: &BTreeSet<String>,
    ) -> Result<Vec<String>, String> {
        let names: BTreeSet<&str> = state
            .packages
            .intersection(&self.pair.all)
            .filter_map(|nevra| name_of(nevra))
            .collect();
        if names.is_empty() {
            return Ok(vec!["no package of ours is installed".to_owned()]);
        }
        let mut line = vec!["-V"];
        line.extend(names);
        let mut findings: BTreeSet<String> = self
            .server
            .rpm(&line)?
            .findings("rpm -V")
            .into_iter()
            .map(|said| format!("rpm -V: {said}"))
            .collect();
        for said in &state.complaints {
            if !known.contains(said) || said.contains("Unsatisfied") || said.starts_with("missing")
            {
                findings.insert(format!("rpm -V: {said}"));
            }
        }
        Ok(findings.into_iter().collect())
    }

    /// What is wrong with the kernel that boots, with the packages of `set`.
    pub(super) fn unfit(&self, state: &State, set: &Set) -> Vec<String> {
        let Some(boots) = &state.boots else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        let fits = state
            .modules
            .iter()
            .any(|path| with_lustre(path).is_some_and(|kernel| kernel == *boots));
        if !fits {
            findings.push(format!(
                "the boot default is {boots}, which has no lustre.ko"
            ));
        }
        let ours = kernels(state, set);
        if !ours.is_empty() && !ours.contains(boots) {
            findings.push(format!(
                "the boot default is {boots}, not {}",
                ours.join(" or ")
            ));
        }
        findings
    }
}
