//! The repodata against the packages: written again from the packages and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::report::Verdict;
use super::sizes::not_read;
use crate::layout::Kind;
use crate::manifest::{self, Manifest};
use crate::repodata::{self, Metadata, Package};
use crate::sums;
use crate::updateinfo;

/// Every listed package is there as listed, every package there is listed, and all fields are those of the headers.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    if let Err(why) = &context.rpms {
        return Verdict::NotRun(why.clone());
    }
    let ours = match context.ours() {
        Ok(ours) => ours,
        Err(error) => {
            return Verdict::Fail {
                checked: "3 repositories".to_owned(),
                findings: vec![error],
            };
        }
    };
    let mut findings = Vec::new();
    let mut note = String::new();
    let mut count = 0;
    let advisories = Manifest::read(&context.input.dist.join(manifest::FILE))
        .map(|manifest| updateinfo::of(&manifest))
        .map_err(|error| error.to_string());
    for (kind, metadata) in ours {
        count += metadata.packages.len();
        let advisories = match (kind, &advisories) {
            (Kind::Binary, Err(why)) => {
                findings.push(why.clone());
                continue;
            }
            (Kind::Binary, Ok(text)) => text.as_deref(),
            _ => None,
        };
        match repository(context, *kind, metadata, advisories) {
            Ok((found, same_bytes)) => {
                if found.is_empty() && !same_bytes {
                    note =
                        "equal in content, not in bytes: written by another version of this tool"
                            .to_owned();
                }
                findings.extend(found);
            }
            Err(why) => findings.push(format!("{}: {why}", kind.folder())),
        }
    }
    let checked = format!("{count} packages in 3 repositories");
    if findings.is_empty() {
        Verdict::Pass { checked, note }
    } else {
        Verdict::Fail { checked, findings }
    }
}

/// What is wrong with one repository, and whether its metadata is byte for byte what would be written now.
fn repository(
    context: &Context<'_>,
    kind: Kind,
    metadata: &Metadata,
    advisories: Option<&str>,
) -> Result<(Vec<String>, bool), String> {
    let root = &context.input.dist.join(kind.folder());
    let mut findings = Vec::new();
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for package in &metadata.packages {
        if !listed.insert(&package.location) {
            findings.push(format!(
                "{}/{} is listed twice",
                kind.folder(),
                package.location
            ));
        }
        if let Err(why) = present(context, root, package) {
            findings.push(format!("{}/{}: {why}", kind.folder(), package.location));
        }
    }
    let files = sums::files(root).map_err(|e| e.to_string())?;
    let rpms: Vec<&String> = files.iter().filter(|f| f.ends_with(".rpm")).collect();
    for rpm in &rpms {
        if !listed.contains(rpm.as_str()) {
            findings.push(format!("{}/{rpm} is not in the metadata", kind.folder()));
        }
    }
    if !findings.is_empty() {
        return Ok((findings, false));
    }

    let scratch = || tempfile::tempdir().map_err(|e| format!("cannot make a scratch folder: {e}"));
    let (again, aside) = (scratch()?, scratch()?);
    let groups = prepare(root, again.path(), &rpms, metadata)
        .map_err(|e| format!("cannot prepare {}: {e}", again.path().display()))?;
    let revision = metadata
        .repomd
        .revision
        .parse()
        .map_err(|_| format!("its revision `{}` is not a time", metadata.repomd.revision))?;
    let mut more = BTreeMap::new();
    if let Some(text) = advisories {
        // Not in the folder that is read back.
        let path = aside.path().join(updateinfo::FILE);
        fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        more.insert(updateinfo::TYPE.to_owned(), path);
    }
    // Each was just found to have the digest that is listed.
    let known = metadata.packages.iter().map(|package| {
        let digest = (package.checksum.hex.clone(), package.size_package);
        (package.location.clone(), digest)
    });
    let options = repodata::Options {
        known: known.collect(),
        revision,
        groupfile: groups,
        more,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        // The packages in the scratch folder are links to those of the repository.
        read_only: true,
    };
    repodata::write(again.path(), &options).map_err(|e| e.to_string())?;
    let rewritten = repodata::read(again.path()).map_err(|e| e.to_string())?;
    let mut findings: Vec<String> = differences(&metadata.packages, &rewritten.packages)
        .into_iter()
        .map(|line| format!("{}/{line}", kind.folder()))
        .collect();
    let same_bytes = same_folder(&root.join("repodata"), &again.path().join("repodata"))
        .map_err(|e| format!("cannot compare the repodata: {e}"))?;
    // These are not part of what `read` gives, so their bytes have to tell.
    for (name, what) in [
        (
            "other",
            "the changelogs (other.xml) are not those of the packages",
        ),
        (
            updateinfo::TYPE,
            "the advisories (updateinfo.xml) are not those of manifest.json",
        ),
    ] {
        let digest = |m: &Metadata| m.repomd.record(name).map(|r| r.open_checksum.clone());
        if digest(metadata) != digest(&rewritten) {
            findings.push(format!("{}/repodata: {what}", kind.folder()));
        }
    }
    Ok((findings, same_bytes))
}

fn present(context: &Context<'_>, root: &Path, package: &Package) -> Result<(), String> {
    let path = root.join(&package.location);
    let size = fs::symlink_metadata(&path)
        .map_err(|e| e.to_string())?
        .len();
    if size != package.size_package {
        let says = format!("the metadata says {}", package.size_package);
        return Err(not_read(size, &says));
    }
    let (digest, size) = context
        .sha256(&package.location, &path)
        .map_err(|e| e.to_string())?;
    if package.checksum.kind != "sha256" {
        return Err(format!(
            "listed with a {} digest, not sha256",
            package.checksum.kind
        ));
    }
    if size == package.size_package && digest == package.checksum.hex {
        return Ok(());
    }
    Err(format!(
        "it has {size} bytes and SHA-256 {digest}, the metadata says {} and {}",
        package.size_package, package.checksum.hex
    ))
}

/// Links the packages into the scratch folder, and gives the group file under the name it was written with.
fn prepare(
    root: &Path,
    again: &Path,
    rpms: &[&String],
    metadata: &Metadata,
) -> io::Result<Option<PathBuf>> {
    let root = fs::canonicalize(root)?;
    for rpm in rpms {
        let to = again.join(rpm);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(root.join(rpm), to)?;
    }
    let Some(record) = metadata.repomd.record("group") else {
        return Ok(None);
    };
    let name = Path::new(&record.location)
        .file_name()
        .and_then(|name| name.to_str())
        .map(|name| name.split_once('-').map_or(name, |(_, rest)| rest))
        .unwrap_or("comps.xml");
    let to = again.join(name);
    lustre_files::copy(root.join(&record.location), &to)?;
    Ok(Some(to))
}

/// The packages whose metadata is not what their headers say.
fn differences(listed: &[Package], rewritten: &[Package]) -> Vec<String> {
    let by_location: BTreeMap<&str, &Package> =
        rewritten.iter().map(|p| (p.location.as_str(), p)).collect();
    listed
        .iter()
        .filter(|p| by_location.get(p.location.as_str()) != Some(p))
        .map(|p| format!("{}: its metadata differs from its header", p.location))
        .collect()
}

/// Whether two metadata folders hold the same bytes, signatures left out.
fn same_folder(a: &Path, b: &Path) -> io::Result<bool> {
    let list = |folder: &Path| -> io::Result<BTreeMap<std::ffi::OsString, (String, u64)>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name() != "repomd.xml.asc" {
                all.insert(entry.file_name(), sums::sha256(&entry.path())?);
            }
        }
        Ok(all)
    };
    Ok(list(a)? == list(b)?)
}
