//! What there is: sums, manifest, expected packages, nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::context::Context;
use super::report::Verdict;
use crate::history::{History, SetPackage};
use crate::layout::Kind;
use crate::manifest::{self, Manifest};
use crate::{key, repo_file, sums};

/// Every file against `SHA256SUMS`.
pub(super) fn sums(context: &Context<'_>) -> Verdict {
    let unfit = |name: &str, size| context.sizes.unfit(name, size);
    let digest = |name: &str, path: &Path| Ok(context.sha256(name, path)?.0);
    match sums::verify_by(context.input.dist, &unfit, &digest) {
        Ok(differences) => {
            let count = sums::files(context.input.dist).map_or(0, |files| files.len());
            Verdict::from_findings(
                format!("{count} files"),
                differences.iter().map(ToString::to_string).collect(),
            )
        }
        Err(error) => Verdict::Fail {
            checked: sums::FILE.to_owned(),
            findings: vec![error.to_string()],
        },
    }
}

/// The manifest against the packages: each entry is a file of that size, digest and NEVRA, and each file has an entry.
pub(super) fn manifest(context: &Context<'_>) -> Verdict {
    let input = &context.input;
    let rpms = match &context.rpms {
        Ok(rpms) => rpms,
        Err(error) => return Verdict::NotRun(error.clone()),
    };
    let manifest = match Manifest::read(&input.dist.join(manifest::FILE)) {
        Ok(manifest) => manifest,
        Err(error) => {
            return Verdict::Fail {
                checked: manifest::FILE.to_owned(),
                findings: vec![error.to_string()],
            };
        }
    };
    let mut findings = Vec::new();
    match key::fingerprint(input.public_key) {
        Ok(found) if found == manifest.key_fingerprint => {}
        Ok(found) => findings.push(format!(
            "the manifest names the key {}, expected {found}",
            manifest.key_fingerprint
        )),
        Err(error) => return Verdict::NotRun(format!("the public key cannot be read: {error}")),
    }
    if manifest.target != input.target {
        findings.push(format!(
            "the manifest is of the target `{}`, expected `{}`",
            manifest.target, input.target
        ));
    }
    findings.extend(next_key(input.dist, &manifest));
    findings.extend(lock(context, &manifest));
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for package in &manifest.packages {
        if !listed.insert(&package.file) {
            findings.push(format!("{} is listed twice", package.file));
        }
        if !rpms.contains(&package.file) {
            findings.push(format!("{} is listed and missing", package.file));
            continue;
        }
        if let Err(why) = compare(context, &SetPackage::from(package), manifest::FILE) {
            findings.push(format!("{}: {why}", package.file));
        }
        if !manifest.stages.contains_key(&package.stage) {
            findings.push(format!(
                "{}: the stage `{}` is not described",
                package.file, package.stage
            ));
        }
    }
    // What is there of earlier releases, the check of these looks at.
    let older = context.releases.as_ref().map(History::older_paths);
    listed.extend(older.unwrap_or_default());
    for rpm in rpms.iter().filter(|rpm| !listed.contains(rpm.as_str())) {
        findings.push(format!("{rpm} is not in the manifest"));
    }
    Verdict::from_findings(format!("{} packages", manifest.packages.len()), findings)
}

/// What is wrong with the lock that others rebuild the packages with; those of earlier versions of the tool have none.
fn lock(context: &Context<'_>, manifest: &Manifest) -> Option<String> {
    let name = manifest::LOCK_FILE;
    let path = context.input.dist.join(name);
    // One that is too large, the sums say.
    if std::fs::symlink_metadata(&path).is_err()
        || context.sizes.unfit_at(context.input.dist, name).is_some()
    {
        return None;
    }
    let Some(told) = &manifest.lock_sha256 else {
        return Some(format!("{name} is there, and the manifest names no lock"));
    };
    match context.sha256(name, &path) {
        Ok((sha256, _)) if sha256 == *told => None,
        Ok((sha256, _)) => Some(format!(
            "{name} has the SHA-256 {sha256}, {} says {told}",
            manifest::FILE
        )),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// What is wrong with the key that servers are told of for later.
fn next_key(dist: &Path, manifest: &Manifest) -> Option<String> {
    let told = manifest.repository.as_ref()?.next_key.as_ref();
    let name = repo_file::NEXT_KEY_FILE;
    let read = lustre_files::read_no_link_to_string(dist.join(name), lustre_files::SOURCE);
    match (told, lustre_files::if_there(read)) {
        (None, Ok(None)) => None,
        (None, _) => Some(format!(
            "{name} is there, and the manifest names no next key"
        )),
        (Some(told), Ok(Some(text))) => key::wrong(&text, told).map(|why| format!("{name}: {why}")),
        (Some(_), Ok(None)) => Some(format!("{name} is missing")),
        (Some(_), Err(error)) => Some(format!("{name}: {error}")),
    }
}

/// That a package is as the file `by` lists it.
pub(super) fn compare(context: &Context<'_>, listed: &SetPackage, by: &str) -> Result<(), String> {
    let path = context.input.dist.join(&listed.path);
    if let Some(why) = context.sizes.unfit_at(context.input.dist, &listed.path) {
        return Err(why);
    }
    let (sha256, size) = context
        .sha256(&listed.path, &path)
        .map_err(|e| e.to_string())?;
    if size != listed.size || sha256 != listed.sha256 {
        return Err(format!(
            "it has {size} bytes and SHA-256 {sha256}, {by} says {} and {}",
            listed.size, listed.sha256
        ));
    }
    let metadata = lustre_rpm_header::metadata(&path).map_err(|e| e.to_string())?;
    let nevra = crate::layout::nevra(&metadata).map_err(|e| e.to_string())?;
    if nevra != listed.nevra {
        return Err(format!("it is {nevra}, {by} says {}", listed.nevra));
    }
    Ok(())
}

/// The packages that the target promises, by name.
pub(super) fn expected(context: &Context<'_>) -> Verdict {
    let packages = match context.our_packages(&Kind::ALL) {
        Ok(packages) => packages,
        Err(why) => return Verdict::NotRun(why),
    };
    if context.input.expected.is_empty() {
        return Verdict::NotRun("the target lists no packages".to_owned());
    }
    let binary: BTreeSet<&str> = packages
        .iter()
        .filter(|(kind, _)| *kind != Kind::Source)
        .map(|(_, package)| package.name.as_str())
        .collect();
    let findings = context
        .input
        .expected
        .iter()
        .filter(|name| !binary.contains(name.as_str()))
        .map(|name| format!("{name} is not in the repository"))
        .collect();
    Verdict::from_findings(format!("{} names", context.input.expected.len()), findings)
}

/// No NEVRA twice, and one version of each package: two would leave it to chance which one a server gets.
pub(super) fn duplicates(context: &Context<'_>) -> Verdict {
    let packages = match context.our_packages(&Kind::ALL) {
        Ok(packages) => packages,
        Err(why) => return Verdict::NotRun(why),
    };
    let mut by_name: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (kind, package) in &packages {
        by_name
            .entry((&package.name, &package.arch))
            .or_default()
            .push(format!("{}/{}", kind.folder(), package.location));
    }
    let findings = by_name
        .iter()
        .filter(|(_, locations)| locations.len() > 1)
        .map(|((name, arch), locations)| {
            format!(
                "{name}.{arch} exists {} times: {}",
                locations.len(),
                locations.join(", ")
            )
        })
        .collect();
    Verdict::from_findings(format!("{} packages", packages.len()), findings)
}
