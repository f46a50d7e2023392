//! What is listed of a repository, in either form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::manifest::{Manifest, Package, Source};
use crate::release::parts;
use crate::repodata::Evr;

/// What the packages are made with besides what the manifest says.
#[derive(Clone, Debug, Default)]
pub struct MadeWith {
    /// Our own changes to the sources, by the stage that they are for.
    pub patches: Vec<Patch>,
    /// The crates that the tool is built of.
    pub crates: Vec<Crate>,
}

/// A file of ours that changes a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Patch {
    pub stage: String,
    /// Its path in the project.
    pub file: String,
    pub sha256: String,
}

/// A crate of the tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// The digest of its archive; the project's own have none.
    pub sha256: Option<String>,
}

/// All that is listed.
#[derive(Clone, Copy, Debug)]
pub struct Bom<'a> {
    /// What the repository says of itself.
    pub manifest: &'a Manifest,
    /// What each package says of its licence, by file.
    pub licenses: &'a BTreeMap<String, String>,
    /// What else went in.
    pub made_with: &'a MadeWith,
}

impl Bom<'_> {
    /// An id of just this repository, as both forms want it: from the digest of its manifest.
    pub(super) fn uuid(&self) -> String {
        let digest = crate::sums::of_text(&self.manifest.to_json());
        // Version 8, which leaves the bits to who makes it, and the variant of RFC 9562.
        format!(
            "urn:uuid:{}-{}-8{}-a{}-{}",
            &digest[..8],
            &digest[8..12],
            &digest[13..16],
            &digest[17..20],
            &digest[20..32]
        )
    }

    /// The packages in a fixed order.
    pub(super) fn packages(&self) -> Vec<&Package> {
        let mut all: Vec<&Package> = self.manifest.packages.iter().collect();
        all.sort_by(|a, b| a.file.cmp(&b.file));
        all
    }

    /// The licence of a package, in its own words.
    pub(super) fn license(&self, package: &Package) -> Option<&str> {
        let text = self.licenses.get(&package.file)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The source package of a stage, which its packages are made of.
    pub(super) fn source_package(&self, stage: &str) -> Option<&Package> {
        let mut all = self.packages().into_iter();
        all.find(|one| one.stage == stage && is_source(one))
    }

    /// Every source once, with the stages that it went into.
    pub(super) fn sources(&self) -> BTreeMap<&Source, BTreeSet<&str>> {
        let mut all: BTreeMap<&Source, BTreeSet<&str>> = BTreeMap::new();
        for (stage, of) in &self.manifest.stages {
            for source in &of.sources {
                all.entry(source).or_default().insert(stage);
            }
        }
        all
    }

    /// Every package of a buildroot once, with the stages that it was there for.
    pub(super) fn build_packages(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (stage, of) in &self.manifest.stages {
            for nevra in of.built_with() {
                all.entry(nevra).or_default().insert(stage);
            }
        }
        all
    }

    /// Our patches, sorted.
    pub(super) fn patches(&self) -> BTreeSet<&Patch> {
        self.made_with.patches.iter().collect()
    }

    /// The tool's crates, sorted.
    pub(super) fn crates(&self) -> BTreeSet<&Crate> {
        self.made_with.crates.iter().collect()
    }
}

/// Whether it is a source package.
pub(super) fn is_source(package: &Package) -> bool {
    package.nevra.ends_with(".src")
}

/// Name and version of a package; all of a NEVRA that is none.
pub(super) fn name_and_version(nevra: &str) -> (String, String) {
    match parts(nevra) {
        Some(((name, _), evr)) => (name.to_owned(), evr.to_string()),
        None => (nevra.to_owned(), String::new()),
    }
}

/// The package's URL, as the lists of faults name it.
pub(super) fn purl(nevra: &str) -> Option<String> {
    let ((name, arch), evr) = parts(nevra)?;
    let Evr {
        epoch,
        version,
        release,
    } = &evr;
    let release = release.as_deref().unwrap_or_default();
    let epoch = match epoch {
        0 => String::new(),
        epoch => format!("&epoch={epoch}"),
    };
    Some(format!(
        "pkg:rpm/{}@{}?arch={}{epoch}",
        encoded(name),
        encoded(&format!("{version}-{release}")),
        encoded(arch)
    ))
}

/// A crate's URL.
pub(super) fn crate_purl(one: &Crate) -> String {
    format!("pkg:cargo/{}@{}", encoded(&one.name), encoded(&one.version))
}

/// A part of a URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(byte.into());
        } else {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// Where a source is on the web, if it is there, with its commit: a path of the machine that built says nothing to anybody else.
pub(super) fn web(source: &Source) -> Option<String> {
    let location = source.location.as_str();
    let is_web = ["https://", "http://"]
        .iter()
        .any(|scheme| location.starts_with(scheme));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&()*+,;=%".contains(c);
    if !is_web || !location.chars().all(plain) {
        return None;
    }
    Some(match source.digest.strip_prefix("git:") {
        Some(commit) if commit.chars().all(|c| c.is_ascii_hexdigit()) => {
            format!("git+{location}@{commit}")
        }
        _ => location.to_owned(),
    })
}

/// The SHA-256 of a source, where that is what pins it.
pub(super) fn sha256(source: &Source) -> Option<&str> {
    source
        .digest
        .strip_prefix("sha256:")
        .filter(|digest| is_sha256(digest))
}

/// Whether a text is one.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}
