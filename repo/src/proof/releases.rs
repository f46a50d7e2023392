//! `releases.json`: the first of the releases is the one of the manifest, and those before it are there as they were published.

use super::context::Context;
use super::inventory::compare;
use super::report::Verdict;
use crate::assets::{Asset, Assets};
use crate::earlier::Earlier;
use crate::history::{FILE, History, Set, SetPackage, known};
use crate::manifest::{self, Manifest};
use crate::release::packages_contradict;
use crate::sums;

/// The list of releases against the manifest and the packages.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    let failed = |why: String| Verdict::Fail {
        checked: FILE.to_owned(),
        findings: vec![why],
    };
    let dist = context.input.dist;
    let path = dist.join(manifest::FILE);
    let text = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE);
    let (manifest, digest) = match (Manifest::read(&path), text) {
        (Ok(manifest), Ok(text)) => (manifest, sums::of_text(&text)),
        (Err(error), _) => return Verdict::NotRun(error.to_string()),
        (_, Err(error)) => return Verdict::NotRun(format!("{}: {error}", manifest::FILE)),
    };
    let keeps = manifest.release.as_ref();
    let keeps = keeps.and_then(|release| release.keeps_sha256.clone());
    let releases = match History::read(dist) {
        Ok(Some(releases)) => releases,
        Ok(None) if keeps.is_none() => {
            return Verdict::Pass {
                checked: FILE.to_owned(),
                note: format!(
                    "there is none: version {} of the tool made the repository, and it has one release",
                    manifest.tool.version.escape_debug()
                ),
            };
        }
        Ok(None) => {
            return failed(format!(
                "{FILE} is missing, and the manifest says that earlier releases are kept"
            ));
        }
        Err(error) => return failed(error.to_string()),
    };
    // What is wrong with that list, the check of it says.
    let assets = Assets::read(dist).ok().flatten();
    let assets = assets.map(|assets| assets.of_earlier());
    let mut findings = against(
        &releases,
        &manifest,
        &digest,
        keeps,
        assets.unwrap_or_default(),
    );
    if let Err(error) = &context.rpms {
        return Verdict::NotRun(error.clone());
    }
    let older = releases.older_paths();
    let mut packages: Vec<&SetPackage> = releases
        .sets
        .iter()
        .skip(1)
        .flat_map(|set| &set.packages)
        .filter(|package| older.contains(package.path.as_str()))
        .collect();
    packages.sort_by(|a, b| a.path.cmp(&b.path));
    packages.dedup_by(|a, b| a.path == b.path);
    for package in &packages {
        if let Err(why) = compare(context, package, FILE) {
            findings.push(format!("{}: {why}", package.path));
        }
    }
    Verdict::from_findings(
        format!(
            "{} releases, {} packages that only earlier ones have",
            releases.sets.len(),
            packages.len()
        ),
        findings,
    )
}

/// What the list says otherwise than the manifest, whose digest is `digest`; or what servers would not take as earlier.
fn against(
    releases: &History,
    manifest: &Manifest,
    digest: &str,
    keeps: Option<String>,
    assets: Vec<Asset>,
) -> Vec<String> {
    let mut findings = Vec::new();
    if releases.target != manifest.target {
        findings.push(format!(
            "{FILE} is of the target `{}`, {} of `{}`",
            releases.target.escape_debug(),
            manifest::FILE,
            manifest.target.escape_debug()
        ));
    }
    let Some((own, older)) = releases.sets.split_first() else {
        return findings;
    };
    if Set::of(manifest, digest).ok().as_ref() != Some(own) {
        findings.push(format!(
            "the first release of {FILE} is not that of {}",
            manifest::FILE
        ));
    }
    let earlier = Earlier {
        sets: older.to_vec(),
        dropped: releases.dropped.clone(),
        assets,
        ..Earlier::default()
    };
    if earlier.digest() != keeps {
        findings.push(format!(
            "the earlier releases of {FILE}, or the assets that packages of theirs are, are not those that {} says are kept",
            manifest::FILE
        ));
    }
    for set in older {
        let found = packages_contradict(&known(&set.packages), &known(&own.packages));
        findings.extend(found.into_iter().map(|one| {
            format!(
                "the release of {}: {}",
                lustre_sign::utc(set.time.into()),
                one.what
            )
        }));
    }
    findings
}
