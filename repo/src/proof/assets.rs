//! `assets.json`: every package of the repository is the asset that it should be, and the metadata which say so are the plain ones but for that.

use std::collections::BTreeSet;

use super::context::Context;
use super::input::StaticInput;
use super::metadata;
use super::report::{Verdict, guarded};
use crate::assets::{self, Asset, Assets, FILE, FOLDER};
use crate::layout::Kind;
use crate::manifest::{self, Manifest};
use crate::{repodata, sums};

/// The list of assets and their metadata against the target, the packages and the plain metadata.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    let input = &context.input;
    let failed = |why: String| Verdict::Fail {
        checked: FILE.to_owned(),
        findings: vec![why],
    };
    let Some(url) = input.repo_file.assets_url() else {
        return failed(format!(
            "the target has no assets, and {FILE} or {FOLDER} is there"
        ));
    };
    let rpms = match &context.rpms {
        Ok(rpms) => rpms,
        Err(error) => return Verdict::NotRun(error.clone()),
    };
    let assets = match Assets::read(input.dist) {
        Ok(Some(assets)) => assets,
        Ok(None) => return failed(format!("{FILE} is missing, and the target has assets")),
        Err(error) => return failed(error.to_string()),
    };
    let manifest = match Manifest::read(&input.dist.join(manifest::FILE)) {
        Ok(manifest) => manifest,
        Err(error) => return Verdict::NotRun(error.to_string()),
    };
    let mut findings = told(&assets, &manifest, url);
    let listed: BTreeSet<&str> = assets.packages.iter().map(|one| &*one.path).collect();
    let missing = rpms.iter().filter(|rpm| !listed.contains(rpm.as_str()));
    findings.extend(missing.map(|rpm| format!("{rpm} is not in {FILE}")));
    for asset in &assets.packages {
        if let Err(why) = compare(context, asset) {
            findings.push(format!("{}: {why}", asset.path));
        }
    }
    for kind in Kind::ALL {
        let differences = metadata(input, &assets, kind).unwrap_or_else(|why| vec![why]);
        let folder = assets::folder(kind);
        findings.extend(differences.iter().map(|one| format!("{folder}: {one}")));
    }
    Verdict::from_findings(
        format!(
            "{} packages, {} of them in earlier releases, and 3 repositories",
            assets.packages.len(),
            assets.of_earlier().len()
        ),
        findings,
    )
}

/// What the list says otherwise than the manifest and the target.
fn told(assets: &Assets, manifest: &Manifest, url: &str) -> Vec<String> {
    let wanted = [
        ("target", assets.target.as_str(), manifest.target.as_str()),
        ("URL", assets.url.as_str(), url),
    ];
    let tag = assets::tag(&manifest.target, manifest.release_time());
    let wanted = wanted.into_iter().chain([("tag", &*assets.tag, &*tag)]);
    let others = wanted.filter(|(_, found, wanted)| found != wanted);
    others
        .map(|(what, found, wanted)| format!("{FILE} has the {what} {found}, expected {wanted}"))
        .collect()
}

/// That a package is there as it is listed.
fn compare(context: &Context<'_>, listed: &Asset) -> Result<(), String> {
    let dist = context.input.dist;
    if let Some(why) = context.sizes.unfit_at(dist, &listed.path) {
        return Err(why);
    }
    let (sha256, size) = sums::sha256(&dist.join(&listed.path)).map_err(|e| e.to_string())?;
    if size != listed.size || sha256 != listed.sha256 {
        return Err(format!(
            "it has {size} bytes and SHA-256 {sha256}, {FILE} says {} and {}",
            listed.size, listed.sha256
        ));
    }
    Ok(())
}

/// How the metadata of one kind differ from the plain ones otherwise than by where the packages are.
fn metadata(input: &StaticInput<'_>, assets: &Assets, kind: Kind) -> Result<Vec<String>, String> {
    // What nobody signed may unpack to anything.
    for index in [metadata::index(kind), metadata::assets_index(kind)] {
        metadata::verified(input, &index).map_err(|why| format!("{why}; it was not read"))?;
    }
    let (plain, other) = (
        input.dist.join(kind.folder()),
        input.dist.join(assets::folder(kind)),
    );
    let place = |location: &str| assets.place(kind, location);
    guarded(|| repodata::relocation_differs(&plain, &other, &place))?
        .map_err(|error| error.to_string())
}
