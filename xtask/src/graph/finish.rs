//! The release package, signing and assembling: the stages that see a key.

use std::fs;

use lustre_packaging::build::rpmbuild;
use lustre_packaging::process;
use lustre_packaging::sign::{Signer, sign_packages};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::{Digest, PathError};
use lustre_packaging::target::Target;
use lustre_repository::compat::{self, Ext4};
use lustre_repository::comps::{Comps, Group};
use lustre_repository::earlier::Earlier;
use lustre_repository::kernel_guard;
use lustre_repository::layout::{self, Assembly, Completion, Input, assemble, nevra_of};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Proof};
use lustre_repository::release::Release;
use lustre_repository::release_package::{self, ReleasePackage};
use lustre_repository::repo_file::{self, RepoFile};
use lustre_repository::repodata;
use serde::{Deserialize, Serialize};

use super::inputs::BuildGraph;
use super::kernels::{OF_LOCK, ext4_of};
use super::manifest::advisories;
use super::name::{self, TREE, tree};
use super::recipes;

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
pub(super) struct SignedEntry {
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
                    list.push(SignedEntry {
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
        let list: Vec<SignedEntry> = serde_json::from_slice(&list)?;
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
}

/// What the repository of a target tells a server's dnf.
pub fn repo_file(target: &Target) -> Result<RepoFile, repo_file::Error> {
    let repository = &target.repository;
    RepoFile::new(&repository.baseurl, &repository.name)?
        .with_assets(repository.assets_url.as_deref())?
        .with_next_key(repository.next_key.as_deref())
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
