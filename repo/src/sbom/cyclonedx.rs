//! CycloneDX 1.6 as JSON.

use std::collections::{BTreeMap, BTreeSet};

use lustre_sign::utc;
use serde_json::{Value, json};

use super::parts::{Bom, crate_purl, is_sha256, is_source, name_and_version, purl, sha256, web};
use crate::json_file;

/// The file's name at the top of the tree.
pub const FILE: &str = "sbom.cdx.json";

/// The document.
pub(super) fn document(bom: &Bom<'_>) -> String {
    let manifest = bom.manifest;
    let mut components = Vec::new();
    // What each is made of, by reference.
    let mut made_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in bom.packages() {
        let (name, version) = name_and_version(&one.nevra);
        let this = format!("package:{}", one.file);
        let mut component = component("application", &this, &name, &version, &one.sha256);
        if let Some(purl) = purl(&one.nevra) {
            component["purl"] = json!(purl);
        }
        if let Some(license) = bom.license(one) {
            component["licenses"] = json!([{ "license": { "name": license } }]);
        }
        component["properties"] = json!([{ "name": "lustre-repo:file", "value": one.file }]);
        components.push(component);
        let of = made_of.entry(this).or_default();
        if let Some(source) = bom.source_package(&one.stage).filter(|_| !is_source(one)) {
            of.insert(format!("package:{}", source.file));
        }
    }
    let mut goes_into = |this: &str, stages: &BTreeSet<&str>| {
        made_of.entry(this.to_owned()).or_default();
        for package in stages.iter().filter_map(|stage| bom.source_package(stage)) {
            let of = made_of
                .entry(format!("package:{}", package.file))
                .or_default();
            of.insert(this.to_owned());
        }
    };
    for (at, (source, stages)) in bom.sources().into_iter().enumerate() {
        let this = format!("source:{at}:{}", source.name);
        let version = source.digest.strip_prefix("git:").unwrap_or_default();
        let digest = sha256(source).unwrap_or_default();
        let mut component = component("library", &this, &source.name, version, digest);
        if let Some(url) = web(source) {
            component["externalReferences"] = json!([{ "type": "distribution", "url": url }]);
        }
        component["properties"] =
            json!([{ "name": "lustre-repo:pinned-by", "value": source.digest }]);
        components.push(component);
        goes_into(&this, &stages);
    }
    for patch in bom.patches() {
        let this = format!("patch:{}:{}", patch.stage, patch.file);
        components.push(component("file", &this, &patch.file, "", &patch.sha256));
        goes_into(&this, &BTreeSet::from([patch.stage.as_str()]));
    }
    for (nevra, stages) in bom.build_packages() {
        let (name, version) = name_and_version(nevra);
        let this = format!("build:{nevra}");
        let mut component = component("application", &this, &name, &version, "");
        if let Some(purl) = purl(nevra) {
            component["purl"] = json!(purl);
        }
        // It was there when the packages were built, and is not part of them.
        component["scope"] = json!("excluded");
        components.push(component);
        goes_into(&this, &stages);
    }
    let dependencies: Vec<Value> = made_of
        .into_iter()
        .map(|(this, of)| json!({ "ref": this, "dependsOn": of }))
        .collect();
    json_file::text(&json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": bom.uuid(),
        "version": 1,
        "metadata": {
            "timestamp": utc(manifest.release_time()),
            "tools": { "components": [tool(bom)] },
            "component": component("platform", "repository", &manifest.target, "", ""),
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The tool, with what it is built of.
fn tool(bom: &Bom<'_>) -> Value {
    let crates: Vec<Value> = bom
        .crates()
        .into_iter()
        .map(|one| {
            let this = format!("crate:{}:{}", one.name, one.version);
            let digest = one.sha256.as_deref().unwrap_or_default();
            let mut component = component("library", &this, &one.name, &one.version, digest);
            component["purl"] = json!(crate_purl(one));
            component
        })
        .collect();
    let tool = &bom.manifest.tool;
    let mut component = component("application", "tool", &tool.name, &tool.version, "");
    component["components"] = json!(crates);
    component
}

fn component(kind: &str, this: &str, name: &str, version: &str, digest: &str) -> Value {
    let mut value = json!({ "type": kind, "bom-ref": this, "name": name });
    if !version.is_empty() {
        value["version"] = json!(version);
    }
    if is_sha256(digest) {
        value["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
    }
    value
}
