//! What the manifest says of how a repository was made: sources, build packages, known faults, advisories.

use std::collections::BTreeMap;

use lustre_packaging::advisories::{Ledger, TargetFault};
use lustre_packaging::source::{self, Locked};
use lustre_packaging::stage::{Failure, Work};
use lustre_packaging::store::{Digest, PathError};
use lustre_packaging::target::{Source, Target};
use lustre_repository::manifest::{self, Advisory};
use lustre_repository::updateinfo;
use serde_json::json;

use super::inputs::{BuildGraph, kernel_source};
use super::shape::built;
use super::{name, obs};

impl BuildGraph<'_> {
    /// What is known to be wrong with the release of Lustre, for the manifest. A model has no such faults, and of a folder that somebody
    /// may have changed nothing is known.
    pub(super) fn known_faults(&self) -> Result<Vec<manifest::KnownFault>, Failure> {
        let Some(version) = self
            .lustre_release()
            .filter(|_| self.target.model.is_none())
        else {
            return Ok(Vec::new());
        };
        let wanted = &self.target.lustre;
        let overlay = wanted.overlay.as_ref();
        let overlay = overlay
            .map(|folder| self.overlay(folder, &wanted.options))
            .transpose()?;
        let ledger = Ledger::load(&self.specs)?;
        let known = ledger.known(&self.target, &version, overlay.as_ref());
        let fault = |one: &TargetFault<'_>| manifest::KnownFault {
            ticket: one.fault.ticket.clone(),
            severity: one.fault.severity.name().to_owned(),
            title: one.fault.title.clone(),
            standing: one.standing.to_string(),
        };
        Ok(known.iter().map(fault).collect())
    }

    /// Why nobody can look them up, where that is so.
    pub(super) fn faults_not_looked_up(&self) -> Option<String> {
        not_looked_up(&self.target, self.lustre_release().as_deref())
    }

    /// The same, for the key of the stage that writes it: nothing where there is nothing.
    pub(super) fn faults_input(&self) -> anyhow::Result<Vec<(String, String)>> {
        let faults = self
            .known_faults()
            .map_err(|error| anyhow::anyhow!(error))?;
        if let Some(why) = self.faults_not_looked_up() {
            return Ok(vec![("faults-not-looked-up".to_owned(), why)]);
        }
        if faults.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![("faults".to_owned(), serde_json::to_string(&faults)?)])
    }

    /// What made the packages, for the manifest: sources and build packages by stage.
    pub(super) fn manifest_stages(
        &self,
        work: &Work<'_>,
    ) -> Result<BTreeMap<String, manifest::Stage>, Failure> {
        let mut stages = BTreeMap::new();
        for package in built(&self.target) {
            let path = work.need(&name::root(package))?.join("packages.txt");
            let list = lustre_files::read_to_string(&path, lustre_files::TEXT)
                .map_err(|error| PathError::new("read", &path, error))?;
            let build_packages = list
                .lines()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect();
            let stage = manifest::Stage {
                digest: work.digest(&name::root(package))?,
                sources: self.manifest_sources(package),
                build_packages,
                builder: match &self.obs {
                    Some(_) => obs::recorded(work.need(package)?)?,
                    None => None,
                },
            };
            stages.insert(package.to_owned(), stage);
        }
        stages.insert(name::RELEASE_PACKAGE.to_owned(), manifest::Stage::default());
        Ok(stages)
    }

    /// The sources of `package`, for the manifest.
    fn manifest_sources(&self, package: &str) -> Vec<manifest::Source> {
        let tree = match package {
            name::KERNEL => self.kernel.as_ref().map(|tree| {
                (
                    tree.source(),
                    self.target.distribution.kernel.source.as_ref(),
                )
            }),
            name::LUSTRE => Some((&self.lustre, Some(&self.target.lustre.source))),
            name::E2FSPROGS => self
                .e2fsprogs
                .as_ref()
                .map(|tree| (tree, Some(&self.target.e2fsprogs.source))),
            _ => None,
        };
        if let Some((tree, source)) = tree {
            let location = match (&tree.replaced, source) {
                (Some(_), _) => manifest::LOCAL.to_owned(),
                (None, Some(Source::Path(path))) if manifest::place(path) == path => {
                    format!("specs/{path}")
                }
                (None, Some(Source::Path(_))) => manifest::LOCAL.to_owned(),
                (None, Some(Source::Git { url, .. } | Source::GitTag { url, .. })) => {
                    manifest::place(url).to_owned()
                }
                (None, other) => format!("{other:?}"),
            };
            let digest = match &tree.locked {
                Locked::Git { commit, .. } => format!("git:{commit}"),
                other => format!("tree-sha256:{}", other.identity()),
            };
            let mut sources = vec![manifest::Source {
                name: package.to_owned(),
                location,
                digest,
            }];
            // ldiskfs is made of the ext4 in it.
            if package == name::LUSTRE && !self.target.kernel.kind.is_patched() {
                match &self.kernel {
                    Some(_) => sources.extend(self.manifest_sources(name::KERNEL)),
                    None => {
                        sources.extend(self.manifest_pin(name::KERNEL, kernel_source(&self.target)))
                    }
                }
            }
            return sources;
        }
        let pinned = if package == name::KERNEL {
            kernel_source(&self.target)
        } else {
            package
        };
        self.manifest_pin(package, pinned).into_iter().collect()
    }

    /// The file that the lock pins as `pinned`, for the manifest.
    fn manifest_pin(&self, name: &str, pinned: &str) -> Option<manifest::Source> {
        self.lock.source.get(pinned).map(|pin| manifest::Source {
            name: name.to_owned(),
            location: manifest::place(&pin.uri).to_owned(),
            digest: format!("sha256:{}", pin.sha256),
        })
    }

    /// A digest of what the manifest says of sources, for the key of the stage that writes it.
    pub(super) fn sources_digest(&self) -> String {
        let all: Vec<manifest::Source> = built(&self.target)
            .into_iter()
            .flat_map(|package| self.manifest_sources(package))
            .collect();
        Digest::of_bytes(json!(all).to_string().as_bytes()).to_string()
    }

    /// The lock as it is published, with which others rebuild the packages; none where it names a place
    /// that others do not have.
    pub(super) fn published_lock(&self) -> Result<Option<String>, Failure> {
        match self.lock.private_place() {
            None => Ok(Some(self.lock.to_toml()?)),
            Some(_) => Ok(None),
        }
    }

    /// The digest of the lock, as its file is.
    pub(super) fn lock_digest(&self) -> Result<String, Failure> {
        if let Some(digest) = self.known.lock.get() {
            return Ok(digest.clone());
        }
        let digest = Digest::of_bytes(self.lock.to_toml()?.as_bytes()).to_string();
        Ok(self.known.lock.get_or_init(|| digest).clone())
    }
}

/// What updating to the packages mends: what the distribution's advisories of the kernel are about that ours is made of, and the known
/// faults of Lustre that are mended in ours. `time` is the release's, in seconds since 1970.
pub(super) fn advisories(
    of_kernel: &[source::Advisory],
    faults: &[manifest::KnownFault],
    time: u64,
) -> Vec<Advisory> {
    let kernels = of_kernel.iter().map(|one| Advisory {
        id: one.id.clone(),
        kind: one.kind.clone(),
        severity: one.severity.clone(),
        title: one.title.clone(),
        description: format!(
            "{} of the distribution: this repository's kernel is made of the one that it is about, or of a later one.",
            one.id
        ),
        issued: one.issued.clone(),
        cves: one.cves.clone(),
        stage: "kernel".to_owned(),
    });
    let faults = faults.iter();
    let of_lustre = faults.filter_map(|fault| updateinfo::of_fault(fault, "lustre", time));
    kernels.chain(of_lustre).collect()
}

/// Why nobody can look up what is known to be wrong with the Lustre of `target`, of this `release`, where that is so. Of a model nothing is
/// to be known.
fn not_looked_up(target: &Target, release: Option<&str>) -> Option<String> {
    (target.model.is_none() && release.is_none()).then(|| {
        "the release of Lustre is not known, since its source is a folder that may have been changed"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_release_that_is_not_known_are_not_looked_up() {
        let load = |name: &str| Target::load(&crate::place::specs(), name).unwrap();
        let real = load("rocky-9.6");
        let why = not_looked_up(&real, None).unwrap();
        assert!(why.contains("release of Lustre is not known"), "{why}");
        assert_eq!(not_looked_up(&real, Some("2.17.0")), None);
        assert_eq!(not_looked_up(&load("rehearsal"), None), None);
    }

    #[test]
    fn an_update_mends_what_the_kernel_and_lustre_mend() {
        let of_kernel = source::Advisory {
            id: "SITE-2026:1".to_owned(),
            kind: "security".to_owned(),
            severity: Some("Important".to_owned()),
            issued: Some("2026-01-02 03:04:05".to_owned()),
            cves: vec!["CVE-2026-1".to_owned()],
            ..source::Advisory::default()
        };
        let fault = |ticket: &str, standing: &str| manifest::KnownFault {
            ticket: ticket.to_owned(),
            severity: "corruption".to_owned(),
            title: "names are lost".to_owned(),
            standing: standing.to_owned(),
        };
        let faults = [fault("LU-1", "mended by an edit"), fault("LU-2", "open")];
        let all = advisories(std::slice::from_ref(&of_kernel), &faults, 0);
        let names: Vec<_> = all
            .iter()
            .map(|one| (one.id.as_str(), one.stage.as_str()))
            .collect();
        assert_eq!(
            names,
            [("SITE-2026:1", "kernel"), ("lustre-repo:LU-1", "lustre")]
        );
        assert_eq!(all[0].cves, of_kernel.cves);
        assert_eq!(
            (&all[0].severity, &all[0].issued),
            (&of_kernel.severity, &of_kernel.issued)
        );
        assert_eq!(advisories(&[], &faults[1..], 0), []);
    }
}
