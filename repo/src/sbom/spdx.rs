//! SPDX 2.3 as JSON.

use lustre_sign::utc;
use serde_json::{Value, json};

use super::parts::{Bom, crate_purl, is_sha256, is_source, name_and_version, purl, sha256, web};
use crate::json_file;
use crate::sums::of_text;

/// The file's name at the top of the tree.
pub const FILE: &str = "sbom.spdx.json";

/// Nothing is said of it.
const UNKNOWN: &str = "NOASSERTION";

/// The document.
pub(super) fn document(bom: &Bom<'_>) -> String {
    let manifest = bom.manifest;
    let mut packages = Vec::new();
    let mut relations = Vec::new();
    let mut relate = |from: &str, how: &str, to: &str| {
        relations.push(json!({
            "spdxElementId": from,
            "relationshipType": how,
            "relatedSpdxElement": to,
        }));
    };
    let tool = id("tool", &manifest.tool.name);
    packages.push(Entry::new(&tool, &manifest.tool.name, &manifest.tool.version).of("APPLICATION"));
    for one in bom.packages() {
        let (name, version) = name_and_version(&one.nevra);
        let this = id("package", &one.file);
        let purpose = if is_source(one) { "SOURCE" } else { "INSTALL" };
        packages.push(
            Entry::new(&this, &name, &version)
                .of(purpose)
                .file(&one.file)
                .sha256(Some(&one.sha256))
                .purl(purl(&one.nevra))
                .said(
                    bom.license(one)
                        .map(|text| format!("the package says: {text}")),
                    "licenseComments",
                ),
        );
        relate("SPDXRef-DOCUMENT", "DESCRIBES", &this);
        match bom.source_package(&one.stage) {
            Some(source) if !is_source(one) => {
                relate(&this, "GENERATED_FROM", &id("package", &source.file))
            }
            Some(_) => relate(&tool, "BUILD_TOOL_OF", &this),
            None => {}
        }
    }
    let of_stage = |stage: &str| {
        bom.source_package(stage)
            .map(|one| id("package", &one.file))
    };
    for (source, stages) in bom.sources() {
        let this = id("source", &format!("{source:?}"));
        let version = source.digest.strip_prefix("git:").unwrap_or_default();
        packages.push(
            Entry::new(&this, &source.name, version)
                .of("SOURCE")
                .at(web(source))
                .sha256(sha256(source))
                .said(Some(format!("pinned by {}", source.digest)), "comment"),
        );
        for package in stages.iter().filter_map(|stage| of_stage(stage)) {
            relate(&package, "GENERATED_FROM", &this);
        }
    }
    for patch in bom.patches() {
        let this = id("patch", &format!("{} {}", patch.stage, patch.file));
        packages.push(
            Entry::new(&this, &patch.file, "")
                .of("FILE")
                .file(&patch.file)
                .sha256(Some(&patch.sha256)),
        );
        if let Some(package) = of_stage(&patch.stage) {
            relate(&this, "PATCH_FOR", &package);
        }
    }
    for (nevra, stages) in bom.build_packages() {
        let (name, version) = name_and_version(nevra);
        let this = id("build", nevra);
        packages.push(Entry::new(&this, &name, &version).purl(purl(nevra)));
        for package in stages.iter().filter_map(|stage| of_stage(stage)) {
            relate(&this, "BUILD_DEPENDENCY_OF", &package);
        }
    }
    for one in bom.crates() {
        let this = id("crate", &format!("{} {}", one.name, one.version));
        packages.push(
            Entry::new(&this, &one.name, &one.version)
                .of("LIBRARY")
                .sha256(one.sha256.as_deref())
                .purl(Some(crate_purl(one))),
        );
        relate(&this, "DEPENDENCY_OF", &tool);
    }
    let packages: Vec<Value> = packages.into_iter().map(|entry| entry.0).collect();
    json_file::text(&json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("lustre-repo {}", manifest.target),
        "documentNamespace": bom.uuid(),
        "creationInfo": {
            "created": utc(manifest.release_time()),
            "creators": [format!("Tool: {}-{}", manifest.tool.name, manifest.tool.version)],
        },
        "packages": packages,
        "relationships": relations,
    }))
}

/// An id that the form can have, whatever the thing is called.
fn id(kind: &str, name: &str) -> String {
    format!("SPDXRef-{kind}-{}", &of_text(name)[..24])
}

/// A package of the document.
struct Entry(Value);

impl Entry {
    fn new(id: &str, name: &str, version: &str) -> Self {
        let mut value = json!({
            "SPDXID": id,
            "name": name,
            "downloadLocation": UNKNOWN,
            "filesAnalyzed": false,
            "licenseConcluded": UNKNOWN,
            "licenseDeclared": UNKNOWN,
            "copyrightText": UNKNOWN,
            "supplier": UNKNOWN,
        });
        if !version.is_empty() {
            value["versionInfo"] = json!(version);
        }
        Self(value)
    }

    fn of(mut self, purpose: &str) -> Self {
        self.0["primaryPackagePurpose"] = json!(purpose);
        self
    }

    fn file(mut self, file: &str) -> Self {
        self.0["packageFileName"] = json!(file);
        self
    }

    fn at(mut self, location: Option<String>) -> Self {
        if let Some(location) = location {
            self.0["downloadLocation"] = json!(location);
        }
        self
    }

    fn sha256(mut self, digest: Option<&str>) -> Self {
        if let Some(digest) = digest.filter(|digest| is_sha256(digest)) {
            self.0["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": digest }]);
        }
        self
    }

    fn purl(mut self, purl: Option<String>) -> Self {
        if let Some(purl) = purl {
            self.0["externalRefs"] = json!([{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl,
            }]);
        }
        self
    }

    fn said(mut self, text: Option<String>, key: &str) -> Self {
        if let Some(text) = text {
            self.0[key] = json!(text);
        }
        self
    }
}
