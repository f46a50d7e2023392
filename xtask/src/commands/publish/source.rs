//! The repository that is published, looked at once more: nobody has changed it since its proofs were made, and these hold.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::sandbox;
use lustre_repository::digests::Digests;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Proof, StaticInput, Verdict};
use lustre_repository::publishing::{File, Release};
use lustre_repository::repo_file;
use lustre_repository::sums;

use super::super::proofs::ProofReport;
use super::super::verify::{expected::Expected, identity, measure};
use crate::cli::TargetArgs;
use crate::context;
use crate::exit::Usage;

/// A repository whose proofs hold.
pub struct Source {
    pub manifest: Manifest,
    /// The key that signed it.
    pub public_key: String,
    pub sums: String,
    pub release: Release,
}

impl Source {
    /// That the repository, which is at `shown`, is one of the target of `arguments`, where that was `given`.
    pub fn judge_target(
        &self,
        arguments: &TargetArgs,
        given: bool,
        shown: &str,
    ) -> anyhow::Result<()> {
        let of = &self.manifest.target;
        if !given || context::target(arguments)?.name == *of {
            return Ok(());
        }
        Err(Usage::new(advised(
            format!(
                "--target {}: {shown} is a repository of `{}`",
                arguments.target,
                of.escape_debug()
            ),
            "leave out --target, or name the repository that is meant",
        ))
        .into())
    }
}

/// The name of the check of the recorded proofs.
const RECORDED: &str = "proof";

/// The repository at `dist`; or the checks, where one of them does not hold: their logs are in the folder `logs`.
pub fn proven(
    dist: &Path,
    expected: &Expected,
    logs: &Path,
) -> anyhow::Result<Result<Source, ProofReport>> {
    let broken = identity::broken(dist);
    if !broken.is_empty() {
        return Ok(Err(ProofReport::broken(dist, "unknown", broken)));
    }
    let file = dist.join(manifest::FILE);
    let manifest = Manifest::read(&file).with_context(|| {
        advised(
            format!("no repository of this tool at {}", dist.display()),
            "`cargo xtask repo` makes one",
        )
    })?;
    let text = |name: &str| {
        let path = dist.join(name);
        lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())
    };
    let public_key = text(repo_file::KEY_FILE)?;
    let sums = text(sums::FILE)?;
    let mut checks = vec![Check::run(proof::KEY, logs, || expected.check(&public_key))];
    let good = |checks: &[Check]| checks.iter().all(|it| it.result == proof::Outcome::Pass);
    if good(&checks) {
        let repo_file = match measure::said(dist, &manifest) {
            Ok(repo_file) => repo_file,
            Err(why) => {
                checks.push(Check::run(proof::MANIFEST, logs, || {
                    Verdict::from_findings(manifest::FILE, vec![why])
                }));
                return Ok(Err(ProofReport::broken(dist, &manifest.target, checks)));
            }
        };
        let digests = Digests::default();
        checks.extend(proof::own_checks(&StaticInput {
            dist,
            base_repos: &[],
            expected: &[],
            target: &manifest.target,
            repo_file: &repo_file,
            public_key: &public_key,
            digests: &digests,
            logs,
            confine: sandbox::looking,
        }));
        checks.push(Check::run(RECORDED, logs, || recorded(dist, &sums)));
    }
    if !good(&checks) {
        return Ok(Err(ProofReport::broken(dist, &manifest.target, checks)));
    }
    let release = Release::new(manifest.release_time(), &sums, left_out(dist)?);
    let release = sized(release, dist)?;
    Ok(Ok(Source {
        manifest,
        public_key,
        sums,
        release,
    }))
}

/// What the proofs that were recorded say, of this very repository.
fn recorded(dist: &Path, sums: &str) -> Verdict {
    let path = dist.join(proof::FILE);
    let checked = proof::FILE.to_owned();
    let fail = |why: String| Verdict::from_findings(proof::FILE, vec![why]);
    if lustre_files::if_there(path.symlink_metadata()).is_ok_and(|found| found.is_none()) {
        return fail(
            "there is none: `cargo xtask repo` proves what it makes, `assemble` does not"
                .to_owned(),
        );
    }
    match Proof::read(&path) {
        Err(error) => fail(error.to_string()),
        Ok(proof) => {
            let own = Proof::of_sums(sums, "", "", Vec::new());
            if proof.sums_sha256 != own.sums_sha256 {
                fail("it is of another repository: its digest of SHA256SUMS differs".to_owned())
            } else if !proof.holds() {
                fail(proof.summary())
            } else {
                Verdict::Pass {
                    checked,
                    note: proof.summary(),
                }
            }
        }
    }
}

/// The files that the sums leave out, with their digests.
pub fn left_out(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in sums::LEFT_OUT {
        let path = root.join(name);
        if let Some((sha256, size)) = lustre_files::if_there(sums::sha256(&path))
            .with_context(|| path.display().to_string())?
        {
            files.push(File {
                path: name.to_owned(),
                size: Some(size),
                sha256,
            });
        }
    }
    Ok(files)
}

/// With the sizes that the files have.
fn sized(mut release: Release, dist: &Path) -> anyhow::Result<Release> {
    for file in &mut release.files {
        let path: PathBuf = dist.join(&file.path);
        let found = path
            .symlink_metadata()
            .with_context(|| path.display().to_string())?;
        file.size = Some(found.len());
    }
    Ok(release)
}

/// The key's file, read as text.
pub fn key_of(root: &Path) -> std::io::Result<String> {
    lustre_files::read_no_link_to_string(root.join(repo_file::KEY_FILE), lustre_files::SOURCE)
}
