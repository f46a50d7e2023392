//! What the repository is, how to use it, and its files.

use std::collections::BTreeMap;

use lustre_sign::utc;
use maud::{Markup, html};

use super::input::Page;
use super::words::{grouped, href, shown, word};
use crate::manifest::{self, Manifest};
use crate::proof::report::{self, Outcome, Proof};
use crate::release::parts;
use crate::{assets, compat, history, release_package, repo_file, sbom, sums};

/// A point in time.
pub(super) fn time(seconds: u64) -> Markup {
    let text = utc(seconds);
    let words = text.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(text) { (words) } }
}

/// What stands at the top: what it is, and how it stands.
pub(super) fn summary(page: &Page<'_>) -> Markup {
    let manifest = page.manifest;
    html! {
        p.soft {
            "A signed dnf repository, built for the target " code { (shown(&manifest.target)) } "."
        }
        @if let Some(notice) = &manifest.notice {
            p.notice { strong { (shown(notice)) } }
        }
        dl {
            @for (name, version) in versions(manifest) {
                dt { (shown(name)) }
                dd { (shown(&version)) }
            }
            dt { "Released" }
            dd { (time(manifest.release_time())) ", made by " (page.made_by()) }
            dt { "Proofs" }
            dd { a href="#proofs" { (told(page.proof)) } }
            @if manifest.known_faults_not_looked_up.is_some() {
                dt { "Known faults" }
                dd { a href="#faults" { "not looked up" } }
            } @else if !manifest.known_faults.is_empty() {
                dt { "Known faults" }
                dd { a href="#faults" { (faults(manifest)) } }
            }
            @if !manifest.advisories.is_empty() {
                dt { "Advisories" }
                dd { (manifest.advisories.len()) ", listed by " code { "dnf updateinfo list" } }
            }
            dt { "Signing key" }
            dd { code { (shown(&grouped(&manifest.key_fingerprint))) } }
            @if let Some(next) = manifest.repository.as_ref().and_then(|it| it.next_key.as_ref()) {
                dt { "Next key" }
                dd { code { (shown(&grouped(next))) } ", which will sign later releases" }
            }
        }
    }
}

/// The versions that were built, by part: those of its source package.
fn versions(manifest: &Manifest) -> BTreeMap<&str, String> {
    let sources = manifest
        .packages
        .iter()
        .filter(|one| one.stage != release_package::NAME && one.nevra.ends_with(".src"));
    sources
        .filter_map(|one| {
            let (_, evr) = parts(&one.nevra)?;
            Some((one.stage.as_str(), evr.to_string()))
        })
        .collect()
}

/// How the checks came out, in a few words.
fn told(proof: Option<&Proof>) -> String {
    let Some(proof) = proof else {
        return "not proven".to_owned();
    };
    let count = |outcome| {
        proof
            .checks
            .iter()
            .filter(|one| one.result == outcome)
            .count()
    };
    let mut said = vec![format!(
        "{} of {} checks hold",
        count(Outcome::Pass),
        proof.checks.len()
    )];
    for (outcome, words) in [
        (Outcome::Fail, "failed"),
        (Outcome::NotRun, "not run"),
        (Outcome::NotNeeded, "not needed"),
    ] {
        let number = count(outcome);
        if number > 0 {
            said.push(format!("{number} {words}"));
        }
    }
    said.join(", ")
}

/// How the known faults stand, in a few words.
fn faults(manifest: &Manifest) -> String {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in &manifest.known_faults {
        *count.entry(fault.standing_word()).or_default() += 1;
    }
    let said: Vec<String> = count
        .iter()
        .map(|(word, number)| shown(&format!("{number} {word}")))
        .collect();
    said.join(", ")
}

/// The commands that make a server use it.
pub(super) fn commands(page: &Page<'_>) -> Markup {
    let manifest = page.manifest;
    let Some(repository) = &manifest.repository else {
        return html! {
            p { "This repository does not say where it is published. Its file " a href=(href(repo_file::FILE)) { (repo_file::FILE) } " is for " code { "/etc/yum.repos.d" } "." }
        };
    };
    // dnf knows it, a shell does not.
    let url = repository.baseurl.replace("$basearch", "x86_64");
    let key = word(&format!("{url}/{}", repo_file::KEY_FILE));
    let release = manifest.packages.iter().find(|one| {
        parts(&one.nevra)
            .is_some_and(|((name, arch), _)| name == release_package::NAME && arch == "noarch")
    });
    let fetch = format!(
        "curl --fail --location --remote-name {key}\ngpg --show-keys --with-fingerprint {}",
        repo_file::KEY_FILE
    );
    let mut install = format!("rpm --import {}\n", repo_file::KEY_FILE);
    if let Some(release) = release {
        install.push_str(&format!(
            "dnf --setopt=localpkg_gpgcheck=1 install {}\n",
            word(
                &page
                    .asset(&release.file)
                    .unwrap_or_else(|| format!("{url}/{}", release.file))
            )
        ));
    }
    for group in &repository.groups {
        install.push_str(&format!("dnf group install {}\n", word(&group.id)));
    }
    let boots = manifest.stages.contains_key("kernel");
    if boots {
        install.push_str("reboot\n");
    }
    html! {
        p { "Fetch the key and look at its fingerprint:" }
        pre tabindex="0" { code { (shown(&fetch)) } }
        p {
            "It has to be " strong { code { (shown(&grouped(&manifest.key_fingerprint))) } }
            ". Whoever could change the key could change this page as well: compare it with what you were told elsewhere."
        }
        p { "Then, as root on the server:" }
        pre tabindex="0" { code { (shown(install.trim_end())) } }
        @for group in &repository.groups {
            p {
                "The group “" (shown(&group.name)) "” installs "
                @for (at, package) in group.mandatory.iter().enumerate() {
                    @if at > 0 { ", " }
                    code { (shown(package)) }
                }
                "."
            }
        }
    }
}

/// What the files at the top are.
const KNOWN: [(&str, &str); 16] = [
    (compat::FILE, "on which kernels its modules load"),
    (compat::TEXT, "the same as text"),
    (
        manifest::FILE,
        "what every package was made from: sources, build packages, digests",
    ),
    (
        manifest::LOCK_FILE,
        "which packages and sources of others it was made from, with the digest of each",
    ),
    (
        history::FILE,
        "the releases whose packages it has, with the packages of each",
    ),
    (
        report::FILE,
        "every check, what it looked at, and its result",
    ),
    (
        assets::FILE,
        "where the packages are as assets of releases, with the digest of each",
    ),
    (repo_file::KEY_FILE, "the public key"),
    (
        repo_file::NEXT_KEY_FILE,
        "the public key that will sign later releases",
    ),
    (
        repo_file::FILE,
        "for /etc/yum.repos.d, without the release package",
    ),
    (sums::FILE, "the digests of all files"),
    (
        sums::SIGNATURE,
        "the signature of the digests, by the key above",
    ),
    (sbom::SPDX, "what it is made of, as SPDX 2.3"),
    (sbom::CYCLONEDX, "the same as CycloneDX 1.6"),
    (
        sums::PROVENANCE,
        "how the files of these digests were made, as an in-toto statement (SLSA)",
    ),
    (
        sums::PROVENANCE_SIGNATURE,
        "the signature of that, by the same key",
    ),
];

/// The files at the top of the tree, and how to check all of it.
pub(super) fn files(page: &Page<'_>) -> Markup {
    let said: BTreeMap<&str, &str> = KNOWN.into();
    // They are in no sums.
    let own = sums::LEFT_OUT.into_iter();
    let mut names: Vec<&str> = page.files.iter().map(String::as_str).chain(own).collect();
    names.sort_unstable();
    names.dedup();
    let check = format!(
        "gpg --dearmor --output key.gpg {key}\ngpgv --keyring ./key.gpg {signature} {file}\nsha256sum --check --quiet {file}",
        key = repo_file::KEY_FILE,
        signature = sums::SIGNATURE,
        file = sums::FILE,
    );
    html! {
        div.scroll tabindex="0" role="region" aria-label="Files" {
            table {
                thead { tr { th scope="col" { "File" } th scope="col" { "What it is" } } }
                tbody {
                    @for name in names {
                        tr {
                            td.name { a href=(href(name)) { (shown(name)) } }
                            td { (said.get(name).copied().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
        p { "In a copy of the whole repository, this says that every file is as it was signed:" }
        pre tabindex="0" { code { (check) } }
    }
}
