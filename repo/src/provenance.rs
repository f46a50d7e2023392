//! How a repository was made, as others read it: an in-toto statement with the SLSA provenance predicate over `SHA256SUMS`, which names
//! every other file. It cannot be in the sums that it speaks of, so it has a signature of its own, by the same key.
//!
//! Pure: a function of the manifest and the sums, so whoever checks a repository makes it again and compares.

use serde_json::{Map, Value, json};

use crate::json_file;
use crate::manifest::{self, Manifest};
use crate::sums;
use crate::sums::of_text;

/// The file's name at the top of the tree.
pub const FILE: &str = sums::PROVENANCE;

/// The name of the file with its signature.
pub const SIGNATURE: &str = sums::PROVENANCE_SIGNATURE;

/// What kind of build it is: what its parameters mean.
const BUILD_TYPE: &str = "urn:lustre-repo:repository:v1";

/// The statement over a `SHA256SUMS`.
pub fn statement(manifest: &Manifest, sums: &str) -> String {
    let release = manifest.release.clone().unwrap_or_default();
    let overrides = &manifest.overrides;
    let named = |names: Vec<&String>| -> Value { json!(names) };
    let stages = manifest.stages.iter();
    let buildroots: Map<String, Value> = stages
        .filter(|(_, stage)| !stage.digest.is_empty())
        .map(|(name, stage)| (name.clone(), json!(stage.digest)))
        .collect();
    let stages = manifest.stages.iter();
    let services: Map<String, Value> = stages
        .filter_map(|(name, stage)| Some((name.clone(), json!(stage.builder.as_ref()?.disturl))))
        .collect();
    let mut internal = json!({
        "sourceDateEpoch": manifest.source_date_epoch,
        "buildroots": buildroots,
    });
    if !services.is_empty() {
        internal["builtByServices"] = json!(services);
    }
    json_file::text(&json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": sums::FILE, "digest": { "sha256": of_text(sums) } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "target": manifest.target,
                    "lustre": overrides.lustre,
                    // Where they were is of the machine that built; what they were is below.
                    "replacedSources": named(overrides.sources.keys().collect()),
                    "replacedSeries": overrides.series,
                    "releaseTime": manifest.release_time(),
                    "overrules": release.overrules,
                    "replaces": release.replaces.map(|it| it.manifest_sha256),
                    "keeps": release.keeps_sha256,
                },
                "internalParameters": internal,
                "resolvedDependencies": dependencies(manifest),
            },
            "runDetails": {
                "builder": {
                    "id": format!("openpgp4fpr:{}", manifest.key_fingerprint),
                    "version": { manifest.tool.name.clone(): manifest.tool.version },
                },
                "metadata": {
                    "finishedOn": lustre_sign::utc(manifest.release_time()),
                },
                "byproducts": [{
                    "name": manifest::FILE,
                    "digest": { "sha256": of_text(&manifest.to_json()) },
                }],
            },
        },
    }))
}

/// What it was built of: the lock, the sources, and the packages of the buildroots.
fn dependencies(manifest: &Manifest) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(lock) = &manifest.lock_sha256 {
        all.push(json!({ "name": "lock", "digest": { "sha256": lock } }));
    }
    for (stage, of) in &manifest.stages {
        for source in &of.sources {
            let mut one = json!({ "name": format!("{stage}: {}", source.name) });
            let is_web = ["https://", "http://"]
                .iter()
                .any(|scheme| source.location.starts_with(scheme));
            if is_web {
                one["uri"] = json!(source.location);
            }
            if let Some((kind, value)) = source.digest.split_once(':') {
                let kind = match kind {
                    "git" => "gitCommit",
                    other => other,
                };
                one["digest"] = json!({ kind: value });
            }
            all.push(one);
        }
        for nevra in of.built_with() {
            all.push(json!({ "name": format!("{stage}: {nevra}") }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Source, Stage};

    #[test]
    fn the_statement_is_of_the_sums_and_names_what_went_in() {
        let source = |location: &str, digest: &str| Source {
            name: "lustre".to_owned(),
            location: location.to_owned(),
            digest: digest.to_owned(),
        };
        let manifest = Manifest {
            target: "t".to_owned(),
            lock_sha256: Some("ab".repeat(32)),
            key_fingerprint: "0123".to_owned(),
            stages: [(
                "lustre".to_owned(),
                Stage {
                    digest: "cd".to_owned(),
                    sources: vec![
                        source("https://example.org/lustre.git", "git:0a1b"),
                        source("/home/me/lustre", "tree-sha256:ef"),
                    ],
                    build_packages: vec!["gcc-12-1.x86_64".to_owned()],
                    builder: Some(crate::manifest::Builder {
                        name: "obs".to_owned(),
                        disturl: "obs://x/y/z/0-lustre".to_owned(),
                        built_with: vec![crate::manifest::BuiltWith {
                            nevra: "gcc-13-1.x86_64".to_owned(),
                            sigmd5: "0123".to_owned(),
                        }],
                        ..crate::manifest::Builder::default()
                    }),
                },
            )]
            .into(),
            ..Manifest::default()
        };
        let text = statement(&manifest, "sums\n");
        assert_eq!(text, statement(&manifest, "sums\n"));
        assert_ne!(text, statement(&manifest, "other\n"));
        assert!(!text.contains("/home/me"), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let subject = &value["subject"][0];
        assert_eq!(subject["name"], "SHA256SUMS");
        assert_eq!(subject["digest"]["sha256"], of_text("sums\n"));
        let build = &value["predicate"]["buildDefinition"];
        let wanted = json!([
            { "name": "lock", "digest": { "sha256": "ab".repeat(32) } },
            {
                "name": "lustre: lustre",
                "uri": "https://example.org/lustre.git",
                "digest": { "gitCommit": "0a1b" },
            },
            { "name": "lustre: lustre", "digest": { "tree-sha256": "ef" } },
            // Where a service built it, what was there.
            { "name": "lustre: gcc-13-1.x86_64" },
        ]);
        assert_eq!(
            build["internalParameters"]["builtByServices"]["lustre"],
            "obs://x/y/z/0-lustre"
        );
        assert_eq!(build["resolvedDependencies"], wanted);
        assert_eq!(
            value["predicate"]["runDetails"]["builder"]["id"],
            "openpgp4fpr:0123"
        );
    }
}
