//! The release package, signing and assembling: the stages that see a key.

use std::collections::BTreeMap;
use std::fs;

use lustre_packaging::advisories::{Ledger, TargetFault};
use lustre_packaging::build::rpmbuild;
use lustre_packaging::process;
use lustre_packaging::sign::{Signer, sign_packages};
use lustre_packaging::source::{self, Locked};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::{Digest, PathError};
use lustre_packaging::target::{Source, Target};
use lustre_repository::compat::{self, Ext4};
use lustre_repository::comps::{Comps, Group};
use lustre_repository::earlier::Earlier;
use lustre_repository::kernel_guard;
use lustre_repository::layout::{self, Assembly, Completion, Input, assemble, nevra_of};
use lustre_repository::manifest::{self, Advisory, Manifest};
use lustre_repository::proof::{self, Proof};
use lustre_repository::release::Release;
use lustre_repository::release_package::{self, ReleasePackage};
use lustre_repository::repo_file::{self, RepoFile};
use lustre_repository::repodata;
use lustre_repository::updateinfo;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::inputs::{BuildGraph, kernel_source};
use super::kernels::{OF_LOCK, ext4_of};
use super::name::{self, TREE, tree};
use super::recipes;
use super::shape::built;

/// Who signs, and with which time.
pub struct Signing {
    /// The key's fingerprint; empty in a plan where the key is not there yet.
    pub fingerprint: String,
    /// Its public part, armored.
    pub public_key: String,
    /// The time in the signatures of packages, in seconds since 1970: a package that did not change keeps its bytes.
    pub time: u32,
    /// When the repository is released; the time in the signatures of its metadata and sums.
    pub release: Release,
    /// What it keeps of earlier releases, of which the release has the digest.
    pub earlier: Earlier,
    /// The key itself; a plan has none.
    pub signer: Option<Box<dyn Signer>>,
}

impl Signing {
    fn signer(&self) -> Result<&dyn Signer, Failure> {
        self.signer
            .as_deref()
            .ok_or_else(|| "a plan signs nothing".into())
    }
}

/// A signed package, as the stage `sign` records it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Signed {
    pub(super) file: String,
    pub(super) nevra: String,
    pub(super) stage: String,
    pub(super) unsigned_sha256: String,
}

pub(super) const SIGNED_LIST: &str = "signed.json";

impl BuildGraph<'_> {
    /// The release package and the kernel guard, unsigned.
    pub(super) fn release<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Stage<'s>> {
        let numbers = &self.target.repository.release_package;
        Ok(Stage {
            name: name::RELEASE_PACKAGE.to_owned(),
            needs: Vec::new(),
            inputs: [
                recipes::of(name::RELEASE_PACKAGE),
                vec![
                    (
                        "text".to_owned(),
                        Digest::of_bytes(release_package::KERNEL_PINNING.as_bytes()).to_string(),
                    ),
                    (
                        "kernel-guard".to_owned(),
                        Digest::of_bytes(kernel_guard::content().as_bytes()).to_string(),
                    ),
                    self.settings_input(),
                    (
                        "repository".to_owned(),
                        serde_json::to_string(&self.target.repository)?,
                    ),
                    ("key".to_owned(), signing.public_key.clone()),
                ],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                let built = release_package::build(&ReleasePackage {
                    version: &numbers.version,
                    release: &format!("{}{}", numbers.release, self.target.distribution.dist),
                    repo_file: &repo_file(&self.target)?,
                    public_key: &signing.public_key,
                    source_date_epoch: self.target.build.source_date_epoch.into(),
                    url: numbers.url.as_deref(),
                })?;
                let guard = kernel_guard::build(
                    &self.target.distribution.dist,
                    self.target.build.source_date_epoch.into(),
                    numbers.url.as_deref(),
                )?;
                let folder = work.output.join("RPMS");
                fs::create_dir(&folder)?;
                for package in [built, guard] {
                    fs::write(folder.join(package.file_name), package.bytes)?;
                }
                Ok(())
            }),
        })
    }

    /// Every package, signed.
    pub(super) fn sign<'s>(&'s self, signing: &'s Signing) -> Stage<'s> {
        let from = self.needs(name::SIGN);
        Stage {
            name: name::SIGN.to_owned(),
            needs: from.clone(),
            inputs: [
                recipes::of(name::SIGN),
                vec![
                    ("key".to_owned(), signing.fingerprint.clone()),
                    ("time".to_owned(), signing.time.to_string()),
                ],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                let signer = signing.signer()?;
                let folder = work.output.join("packages");
                fs::create_dir(&folder)?;
                let (mut packages, mut stages) = (Vec::new(), Vec::new());
                for stage in &from {
                    for path in rpmbuild::packages_under(work.need(stage)?)? {
                        let to = folder.join(path.file_name().unwrap_or_default());
                        packages.push((path, to));
                        stages.push(stage.trim_end_matches("-srpm").to_owned());
                    }
                }
                let signed = sign_packages(&packages, signer, signing.time)?;
                let mut list = Vec::new();
                for (((_, to), stage), signed) in packages.into_iter().zip(stages).zip(signed) {
                    let file = to.file_name().unwrap_or_default();
                    list.push(Signed {
                        nevra: nevra_of(&to)?,
                        file: file.to_string_lossy().into_owned(),
                        stage,
                        unsigned_sha256: signed.unsigned_sha256,
                    });
                }
                fs::write(
                    work.output.join(SIGNED_LIST),
                    serde_json::to_string_pretty(&list)?,
                )?;
                Ok(())
            }),
        }
    }

    /// The repository's tree, with signed metadata.
    pub(super) fn assemble<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Stage<'s>> {
        let mut inputs = recipes::of(name::ASSEMBLE);
        inputs.extend(self.content_inputs(signing)?);
        inputs.push((
            "release".to_owned(),
            serde_json::to_string(&signing.release)?,
        ));
        Ok(Stage {
            name: name::ASSEMBLE.to_owned(),
            needs: self.needs(name::ASSEMBLE),
            inputs,
            whole: None,
            recipe: Box::new(move |work| self.assemble_in(work, signing, &self.overrides)),
        })
    }

    /// What else of it there is besides its time.
    pub(super) fn content_inputs(
        &self,
        signing: &Signing,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut inputs = vec![
            ("target".to_owned(), self.target.name.clone()),
            self.settings_input(),
            ("key".to_owned(), signing.fingerprint.clone()),
            (
                "repository".to_owned(),
                serde_json::to_string(&self.target.repository)?,
            ),
            (
                "overrides".to_owned(),
                serde_json::to_string(&self.overrides)?,
            ),
            ("sources".to_owned(), self.sources_digest()),
        ];
        inputs.extend(self.faults_input()?);
        let made_with = self
            .made_with()
            .and_then(|with| Ok((with, self.lock_digest()?)))
            .map_err(|error| anyhow::anyhow!(error))?;
        let digest = Digest::of_bytes(format!("{made_with:?}").as_bytes());
        inputs.push(("made-with".to_owned(), digest.to_string()));
        let model = self.target.model.iter();
        inputs.extend(model.map(|model| ("notice".to_owned(), model.clone())));
        Ok(inputs)
    }

    fn assemble_in(
        &self,
        work: &Work<'_>,
        signing: &Signing,
        overrides: &manifest::Overrides,
    ) -> Result<(), Failure> {
        let folder = work.need(name::SIGN)?;
        let path = folder.join(SIGNED_LIST);
        let list = lustre_files::read(&path, lustre_files::TEXT)
            .map_err(|error| PathError::new("read", &path, error))?;
        let list: Vec<Signed> = serde_json::from_slice(&list)?;
        let packages: Vec<Input> = list
            .into_iter()
            .map(|signed| Input {
                path: folder.join("packages").join(signed.file),
                sha256_unsigned: signed.unsigned_sha256,
                stage: signed.stage,
            })
            .collect();
        let known_faults = self.known_faults()?;
        let known_faults_not_looked_up = self.faults_not_looked_up();
        // A kernel that is the distribution's own is in the distribution's advisories, and of a tree that was given nobody knows.
        let of_kernel = match &self.kernel {
            None if self.target.kernel.kind.is_patched() => self.lock.advisory.as_slice(),
            _ => &[],
        };
        let manifest = Manifest {
            tool: manifest::Tool {
                name: "lustre-repo".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            target: self.target.name.clone(),
            source_date_epoch: self.target.build.source_date_epoch.into(),
            release: Some(signing.release.clone()),
            notice: self.target.model.clone(),
            lock_sha256: Some(self.lock_digest()?),
            overrides: overrides.clone(),
            advisories: advisories(of_kernel, &known_faults, signing.release.time.into()),
            known_faults,
            known_faults_not_looked_up,
            stages: self.manifest_stages(work)?,
            ..Manifest::default()
        };
        let mut base = Vec::new();
        for repository in self.base(work)?.repos {
            base.extend(repodata::primary(&repository.folder)?);
        }
        let ext4 = |kernel: &compat::Kernel| match &self.kernel {
            Some(_) => Ext4::not_compared("ldiskfs was made of a tree that was given"),
            None => ext4_of(&self.target, self.lock, kernel),
        };
        assemble(
            &Assembly {
                packages: &packages,
                comps: &comps(&self.target)?,
                repo_file: &repo_file(&self.target)?,
                public_key: &signing.public_key,
                manifest,
                base: Some(layout::Base {
                    of: OF_LOCK,
                    packages: &base,
                    ext4: &ext4,
                }),
                lock: self.published_lock()?.as_deref(),
                made_with: &self.made_with()?,
                earlier: &signing.earlier,
                sign: &|data| {
                    Ok(signing
                        .signer()?
                        .sign_detached(data, signing.release.time)?)
                },
            },
            &work.output.join(TREE),
        )?;
        Ok(())
    }

    /// The repository as it is published: the assembled one with what the stages `proofs` say of it, and the digests of all of that
    /// signed.
    pub fn finish<'s>(&'s self, signing: &'s Signing, proofs: &[&str]) -> Stage<'s> {
        let proofs: Vec<String> = proofs.iter().map(|stage| (*stage).to_owned()).collect();
        let assembled = [name::ASSEMBLE.to_owned()].into_iter();
        Stage {
            name: name::FINISH.to_owned(),
            needs: assembled.chain(proofs.clone()).collect(),
            inputs: [
                recipes::of(name::FINISH),
                vec![
                    ("key".to_owned(), signing.fingerprint.clone()),
                    ("time".to_owned(), signing.release.time.to_string()),
                ],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| self.finish_in(work, signing, &proofs)),
        }
    }

    fn finish_in(
        &self,
        work: &Work<'_>,
        signing: &Signing,
        proofs: &[String],
    ) -> Result<(), Failure> {
        let mut proof: Option<Proof> = None;
        for stage in proofs {
            let one = Proof::read(&work.need(stage)?.join(proof::FILE))?;
            match &mut proof {
                Some(all) => all.checks.extend(one.checks),
                None => proof = Some(one),
            }
        }
        let assembled = tree(work.need(name::ASSEMBLE)?);
        let mut folders = vec![assembled.as_path(), self.store.root(), &self.specs];
        folders.extend(self.specs.parent());
        let proof = proof
            .ok_or("a repository is published with its proof")?
            .published(&folders);
        let to = work.output.join(TREE);
        // The store never writes into a file that is there, and neither does what follows.
        let mut command = process::command("cp");
        command
            .args(["--archive", "--link", "--no-target-directory"])
            .arg(&assembled)
            .arg(&to);
        process::output(&mut command)?;
        let sign = |data: &[u8]| {
            Ok(signing
                .signer()?
                .sign_detached(data, signing.release.time)?)
        };
        Completion::new(&assembled, &proof, &signing.public_key, &sign)?
            .write(&to, signing.release.time.into())?;
        Ok(())
    }

    /// What is known to be wrong with the release of Lustre, for the manifest. A model has no such faults, and of a folder that somebody
    /// may have changed nothing is known.
    fn known_faults(&self) -> Result<Vec<manifest::KnownFault>, Failure> {
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
    fn faults_not_looked_up(&self) -> Option<String> {
        not_looked_up(&self.target, self.lustre_release().as_deref())
    }

    /// The same, for the key of the stage that writes it: nothing where there is nothing.
    fn faults_input(&self) -> anyhow::Result<Vec<(String, String)>> {
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
    fn manifest_stages(
        &self,
        work: &Work<'_>,
    ) -> Result<BTreeMap<String, manifest::Stage>, Failure> {
        let mut stages = BTreeMap::new();
        for package in built(&self.target) {
            let path = work.need(&format!("{package}-root"))?.join("packages.txt");
            let list = lustre_files::read_to_string(&path, lustre_files::TEXT)
                .map_err(|error| PathError::new("read", &path, error))?;
            let build_packages = list
                .lines()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect();
            let stage = manifest::Stage {
                digest: work.digest(&format!("{package}-root"))?,
                sources: self.manifest_sources(package),
                build_packages,
            };
            stages.insert(package.to_owned(), stage);
        }
        stages.insert(name::RELEASE_PACKAGE.to_owned(), manifest::Stage::default());
        Ok(stages)
    }

    /// The sources of `package`, for the manifest.
    fn manifest_sources(&self, package: &str) -> Vec<manifest::Source> {
        let tree = match package {
            "kernel" => self.kernel.as_ref().map(|tree| {
                (
                    tree.source(),
                    self.target.distribution.kernel.source.as_ref(),
                )
            }),
            "lustre" => Some((&self.lustre, Some(&self.target.lustre.source))),
            "e2fsprogs" => self
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
            if package == "lustre" && !self.target.kernel.kind.is_patched() {
                match &self.kernel {
                    Some(_) => sources.extend(self.manifest_sources("kernel")),
                    None => {
                        sources.extend(self.manifest_pin("kernel", kernel_source(&self.target)))
                    }
                }
            }
            return sources;
        }
        let pinned = if package == "kernel" {
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
    fn published_lock(&self) -> Result<Option<String>, Failure> {
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

/// What the repository of a target tells a server's dnf.
pub fn repo_file(target: &Target) -> Result<RepoFile, repo_file::Error> {
    let repository = &target.repository;
    RepoFile::new(&repository.baseurl, &repository.name)?
        .with_assets(repository.assets_url.as_deref())?
        .with_next_key(repository.next_key.as_deref())
}

/// What updating to the packages mends: what the distribution's advisories of the kernel are about that ours is made of, and the known
/// faults of Lustre that are mended in ours. `time` is the release's, in seconds since 1970.
fn advisories(
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

fn comps(target: &Target) -> Result<Comps, Failure> {
    let group = &target.repository.group;
    Ok(Comps::new(vec![Group {
        id: group.id.clone(),
        name: group.name.clone(),
        description: group.description.clone(),
        mandatory: group.mandatory.clone(),
        optional: group.optional.clone(),
        default: Vec::new(),
    }])?)
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
