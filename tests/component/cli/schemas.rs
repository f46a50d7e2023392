//! The schemas of what machines read, against what the tool writes.

use std::collections::{BTreeMap, BTreeSet};

use lustre_packaging::lock::{FilePin, Lock, PackagePin};
use lustre_packaging::source::Locked;
use lustre_packaging::store::Digest;
use lustre_repo_tests::command_line::Home;
use lustre_repo_tests::json_schema::{exact, schema, wrong};
use lustre_repository::assets::{Assets, PackageFile};
use lustre_repository::history::{self, DroppedSet, History, Set, SetPackage};
use lustre_repository::manifest::{
    self, Advisory, KnownFault, Manifest, Overrides, Package, Stage, Tool,
};
use lustre_repository::proof::{Check, Outcome};
use lustre_repository::release::{Release, ReplacedRelease, Rule};
use serde_json::{Value, json};

use super::verifying::stranger;

#[track_caller]
fn valid(schema: &Value, value: &Value) {
    let wrong = wrong(schema, value);
    assert!(wrong.is_empty(), "{}\n{value:#}", wrong.join("\n"));
}

fn strings<const N: usize>(items: [&str; N]) -> Vec<String> {
    items.map(str::to_owned).to_vec()
}

#[test]
fn a_manifest_with_everything_and_one_with_little_are_as_their_schema_has_them() {
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let sha = Digest::of_bytes(b"x").to_string();
    let full = Manifest {
        format: manifest::FORMAT,
        tool: Tool {
            name: "lustre-repo".to_owned(),
            version: "0.1.0".to_owned(),
        },
        target: "rehearsal".to_owned(),
        source_date_epoch: 1,
        release: Some(Release {
            time: 2,
            overrules: BTreeSet::from(Rule::ALL),
            replaces: Some(ReplacedRelease {
                target: "rehearsal".to_owned(),
                time: 1,
                manifest_sha256: sha.clone(),
                packages: one("kernel-1-0.x86_64", &sha),
                known_faults: one("LU-1", "open"),
            }),
            keeps_sha256: Some(sha.clone()),
        }),
        key_fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
        lock_sha256: Some(sha.clone()),
        repository: Some(manifest::Repository {
            name: "Lustre".to_owned(),
            baseurl: "https://a".to_owned(),
            assets_url: Some("https://b".to_owned()),
            next_key: Some("0123456789ABCDEF0123456789ABCDEF01234567".to_owned()),
            groups: vec![manifest::Group {
                id: "lustre-server".to_owned(),
                name: "Lustre Server".to_owned(),
                mandatory: strings(["kernel"]),
            }],
        }),
        notice: Some("a model".to_owned()),
        overrides: Overrides {
            sources: one("lustre", "/src"),
            lustre: Some("2.17.0".to_owned()),
            mirrors: one("https://a", "https://b"),
            incomplete: BTreeMap::from([("lustre".to_owned(), strings(["a"]))]),
            series: one("e2fsprogs", ""),
        },
        known_faults: vec![KnownFault {
            ticket: "LU-1".to_owned(),
            severity: "corruption".to_owned(),
            title: "t".to_owned(),
            standing: "open".to_owned(),
        }],
        known_faults_not_looked_up: Some("a folder".to_owned()),
        advisories: vec![Advisory {
            id: "RLSA-1".to_owned(),
            kind: "security".to_owned(),
            severity: Some("Important".to_owned()),
            title: "t".to_owned(),
            description: "d".to_owned(),
            issued: Some("2026-01-02 03:04:05".to_owned()),
            cves: strings(["CVE-1"]),
            stage: "kernel".to_owned(),
        }],
        stages: BTreeMap::from([(
            "kernel".to_owned(),
            Stage {
                digest: sha.clone(),
                sources: vec![manifest::Source {
                    name: "kernel".to_owned(),
                    location: "https://a".to_owned(),
                    digest: format!("sha256:{sha}"),
                }],
                build_packages: strings(["bash-5-1.x86_64"]),
                builder: Some(manifest::Builder {
                    name: "obs".to_owned(),
                    api: "https://api.example.org".to_owned(),
                    project: "home:me".to_owned(),
                    repository: "standard".to_owned(),
                    disturl: "obs://example/home:me/standard/0-kernel".to_owned(),
                    srcmd5: sha[..32].to_owned(),
                    buildenv_sha256: sha.clone(),
                    built_with: vec![manifest::BuiltWith {
                        nevra: "bash-5-1.x86_64".to_owned(),
                        sigmd5: sha[..32].to_owned(),
                    }],
                }),
            },
        )]),
        packages: vec![Package {
            nevra: "kernel-1-1.x86_64".to_owned(),
            file: "x86_64/Packages/kernel.rpm".to_owned(),
            size: 3,
            sha256_unsigned: sha.clone(),
            sha256: sha,
            stage: "kernel".to_owned(),
        }],
    };
    let schema = schema("manifest");
    let read = |manifest: &Manifest| serde_json::from_str::<Value>(&manifest.to_json()).unwrap();
    exact(
        &schema,
        &read(&full),
        &[
            "release",
            "lock_sha256",
            "repository",
            "notice",
            "known_faults",
            "known_faults_not_looked_up",
            "advisories",
        ],
    );
    let little = Manifest {
        release: None,
        lock_sha256: None,
        repository: None,
        notice: None,
        known_faults: Vec::new(),
        known_faults_not_looked_up: None,
        advisories: Vec::new(),
        overrides: Overrides::default(),
        ..full
    };
    valid(&schema, &read(&little));
}

#[test]
fn a_list_of_releases_is_as_its_schema_has_it() {
    let sha = Digest::of_bytes(b"x").to_string();
    let set = |time| Set {
        time,
        lustre: "2.17.0-1".to_owned(),
        kernel: "6.12-1".to_owned(),
        e2fsprogs: String::new(),
        manifest_sha256: sha.clone(),
        packages: vec![SetPackage {
            nevra: "lustre-2.17.0-1.src".to_owned(),
            path: "source/Packages/lustre-2.17.0-1.src.rpm".to_owned(),
            size: 3,
            sha256: sha.clone(),
            sha256_unsigned: sha.clone(),
            stage: "lustre".to_owned(),
        }],
    };
    let mut releases = History {
        format: history::FORMAT,
        target: "rehearsal".to_owned(),
        sets: vec![set(3), set(2)],
        dropped: vec![DroppedSet {
            time: 1,
            lustre: "2.16.1-1".to_owned(),
            kernel: String::new(),
            why: "this repository keeps 2 releases".to_owned(),
        }],
    };
    assert_eq!(releases.wrong(), None);
    let schema = schema("releases");
    let read = |all: &History| serde_json::from_str::<Value>(&all.to_json()).unwrap();
    exact(&schema, &read(&releases), &["dropped"]);
    releases.dropped.clear();
    valid(&schema, &read(&releases));
}

#[test]
fn a_list_of_assets_is_as_its_schema_has_it() {
    let placed = PackageFile {
        path: "source/Packages/lustre-2.17.0-1.src.rpm".to_owned(),
        sha256: Digest::of_bytes(b"x").to_string(),
        size: 3,
    };
    let assets = Assets::of("rehearsal", "https://a/b", 7, [placed], &[]).unwrap();
    let value = serde_json::from_str::<Value>(&assets.to_json()).unwrap();
    exact(&schema("assets"), &value, &[]);
}

#[test]
fn a_proof_is_as_its_schema_has_it() {
    let dist = tempfile::tempdir().unwrap();
    stranger(dist.path(), "rehearsal");
    let ran = Home::new().run(&[
        "verify",
        "--static",
        "--json",
        dist.path().to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let mut proof: Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema = schema("proof");
    exact(&schema, &proof, &["sums_sha256"]);
    for result in [
        Outcome::Pass,
        Outcome::Fail,
        Outcome::NotRun,
        Outcome::NotNeeded,
    ] {
        let check = Check {
            result,
            log: Some("/store/logs/a.log".into()),
            ..Check::not_run("a-check", "why")
        };
        proof["checks"] = json!([check]);
        valid(&schema, &proof);
    }
    proof["checks"][0]["result"] = json!("perhaps");
    assert!(!wrong(&schema, &proof).is_empty());
}

#[test]
fn a_lock_is_as_its_schema_has_it() {
    let sha256 = Digest::of_bytes(b"x");
    let pin = |file: &str| FilePin {
        file: file.to_owned(),
        size: 3,
        sha256: sha256.to_string(),
        uri: format!("https://example.org/{file}"),
    };
    let git = |tag: Option<&str>, missing: &[&str]| Locked::Git {
        url: "https://example.org/a.git".to_owned(),
        tag: tag.map(str::to_owned),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        missing: missing.iter().map(|path| (*path).to_owned()).collect(),
    };
    let trees = [
        ("a", git(Some("v1"), &["x"])),
        ("b", git(None, &[])),
        (
            "c",
            Locked::Archive {
                urls: strings(["https://example.org/c.tar"]),
                sha256,
                size: 1,
            },
        ),
        (
            "d",
            Locked::Srpm {
                nevra: "kernel-1-1.src".to_owned(),
                repository: "https://example.org".to_owned(),
                href: "Packages/kernel.src.rpm".to_owned(),
                sha256,
                size: 1,
            },
        ),
        (
            "e",
            Locked::Path {
                path: "/src".into(),
                sha256,
            },
        ),
    ];
    let lock = Lock::new(
        "site",
        sha256,
        BTreeMap::from([("kernel".to_owned(), pin("kernel.tar"))]),
        trees.map(|(name, tree)| (name.to_owned(), tree)).into(),
        vec![PackagePin {
            name: "bash".to_owned(),
            version: "5-1".to_owned(),
            arch: "x86_64".to_owned(),
            file: pin("bash.rpm"),
        }],
    )
    .with_advisories(vec![lustre_packaging::source::Advisory {
        id: "RLSA-1".to_owned(),
        kind: "security".to_owned(),
        severity: Some("Important".to_owned()),
        title: "t".to_owned(),
        issued: Some("2026-01-02 03:04:05".to_owned()),
        cves: strings(["CVE-1"]),
        packages: Vec::new(),
    }]);
    let read: toml::Value = toml::from_str(&lock.to_toml().unwrap()).unwrap();
    let value = serde_json::to_value(read).unwrap();
    exact(
        &schema("lock"),
        &value,
        &["source", "tree", "package", "advisory"],
    );
}

#[test]
fn a_plan_is_as_its_schema_has_it() {
    let ran = Home::new().run(&["plan", "--json", "--target", "rocky-9.6"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(plan.as_array().unwrap().len() > 10, "{plan}");
    let schema = schema("plan");
    valid(&schema, &plan);
    for shared in [
        Value::Null,
        json!({ "from": "https://cache.example/lustre", "signer": "ABCD" }),
    ] {
        let locked = json!([{
            "stage": "kernel", "needs": ["kernel-root"], "key": Digest::of_bytes(b"x").to_string(), "runs": false, "why": null,
            "shared": shared, "shared_unknown": false, "assuming": [], "last_seconds": 754.5,
            "builder": "OBS at https://api.example.org, project home:me"
        }]);
        valid(&schema, &locked);
    }
    assert!(!wrong(&schema, &json!([{ "stage": "kernel" }])).is_empty());
}

/// The stream of a whole command: each line is one, and the last says how it ended.
#[test]
fn a_stream_is_as_its_schema_has_it_and_ends_with_its_end() {
    let home = Home::new();
    let schema = schema("events");
    let stream = |line: &[&str], code: i32| -> Vec<Value> {
        let ran = home.run(&[line, &["--message-format", "json"]].concat());
        assert_eq!(ran.code, code, "{ran:?}");
        let lines = ran.stdout.lines();
        let read: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        read.iter().for_each(|line| valid(&schema, line));
        let last = read.last().unwrap();
        assert_eq!(
            (last["event"].as_str(), last["exit_code"].as_i64()),
            (Some("ended"), Some(code.into()))
        );
        read
    };
    let plan = stream(&["plan", "--json", "--target", "rocky-9.6"], 0);
    assert_eq!(plan[0]["event"], "output");
    assert!(plan[0]["value"].as_array().unwrap().len() > 10);
    let failed = stream(
        &["fetch", "--offline", "--locked", "--target", "rocky-9.6"],
        1,
    );
    let parts: Vec<&str> = failed
        .iter()
        .filter_map(|line| line["part"].as_str())
        .collect();
    assert!(
        parts.contains(&"error") && parts.contains(&"help"),
        "{failed:#?}"
    );
    stream(&["plan", "--target", "nowhere-1"], 2);
    // A line that is no command's, what hands on what it does not write itself, and help.
    for line in [
        &["plan", "--grpah"][..],
        &["no-command"],
        &["completions", "bash"],
        &["shell", "kernel"],
    ] {
        let ran = stream(line, 2);
        assert_eq!(ran[0]["event"], "error", "{ran:?}");
    }
    let help = stream(&["--help"], 0);
    assert!(help[0]["value"].as_str().unwrap().contains("Exit codes"));
    // Lines of text are events.
    let pages = home.path().join("pages");
    let man = stream(&["man", "--output", pages.to_str().unwrap()], 0);
    assert_eq!(man[0]["value"], pages.to_str().unwrap());
}
