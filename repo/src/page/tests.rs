//! The page of a repository that has some of everything, and of one that was named by somebody hostile.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::assets::{Assets, PackageFile};
use crate::history::{DroppedSet, Set};
use crate::manifest::{
    Advisory, Group, KnownFault, Overrides, Package, Repository, Source, Stage, Tool,
};
use crate::proof::report::{Check, Outcome};
use crate::release::{Release, ReplacedRelease, Rule};

fn check(name: &str, result: Outcome, message: &str) -> Check {
    Check {
        name: name.to_owned(),
        result,
        checked: "14 packages".to_owned(),
        message: message.to_owned(),
        duration_ms: None,
        log: None,
    }
}

fn package(nevra: &str, folder: &str, stage: &str) -> Package {
    Package {
        nevra: nevra.to_owned(),
        file: format!("{folder}/Packages/{nevra}.rpm"),
        size: 9_654_952,
        sha256_unsigned: "ab".repeat(32),
        sha256: "cd".repeat(32),
        stage: stage.to_owned(),
    }
}

fn fault(ticket: &str, standing: &str) -> KnownFault {
    KnownFault {
        ticket: ticket.to_owned(),
        severity: "corruption".to_owned(),
        title: "what it does".to_owned(),
        standing: standing.to_owned(),
    }
}

fn manifest() -> Manifest {
    let stage = |location: &str| Stage {
        digest: "12".repeat(32),
        sources: vec![Source {
            name: "lustre".to_owned(),
            location: location.to_owned(),
            digest: "git:4b0407a4".to_owned(),
        }],
        build_packages: vec!["gcc-12-1.x86_64".to_owned()],
        builder: None,
    };
    Manifest {
        format: manifest::FORMAT,
        tool: Tool {
            name: "lustre-repo".to_owned(),
            version: "0.1.0".to_owned(),
        },
        target: "rocky-9.6".to_owned(),
        source_date_epoch: 1_767_225_600,
        release: Some(Release {
            time: 1_790_000_000,
            overrules: [Rule::LowerEvr].into(),
            keeps_sha256: None,
            replaces: Some(ReplacedRelease {
                target: "rocky-9.5".to_owned(),
                time: 1_780_000_000,
                manifest_sha256: "ef".repeat(32),
                packages: [("lustre-2.16.0-1.x86_64".to_owned(), "x".to_owned())].into(),
                known_faults: [("LU-1".to_owned(), "open".to_owned())].into(),
            }),
        }),
        lock_sha256: Some("56".repeat(32)),
        key_fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
        repository: Some(Repository {
            name: "Lustre 2.17.0 for Rocky Linux 9.6".to_owned(),
            baseurl: "https://repo.example.org/lustre/$basearch".to_owned(),
            assets_url: None,
            next_key: None,
            groups: vec![Group {
                id: "lustre-server".to_owned(),
                name: "Lustre Server".to_owned(),
                mandatory: vec!["kernel".to_owned(), "lustre".to_owned()],
            }],
        }),
        notice: Some("Its Lustre is a model.".to_owned()),
        overrides: Overrides {
            sources: [("lustre".to_owned(), "/home/me/lustre".to_owned())].into(),
            incomplete: [("lustre".to_owned(), vec!["a.tar".to_owned()])].into(),
            ..Overrides::default()
        },
        known_faults_not_looked_up: None,
        known_faults: vec![
            fault("LU-1", "mended by an edit of ours"),
            fault("LU-2", "accepted: nobody archives here"),
            fault("LU-3", "open"),
        ],
        advisories: vec![Advisory::default()],
        stages: [
            (
                "kernel".to_owned(),
                stage("https://example.org/kernel.src.rpm"),
            ),
            ("lustre".to_owned(), stage("/home/me/lustre")),
        ]
        .into(),
        packages: vec![
            package("lustre-2.17.0-1.x86_64", "x86_64", "lustre"),
            package("kernel-core-5.14.0-570.el9.x86_64", "x86_64", "kernel"),
            package("kernel-5.14.0-570.el9.src", "source", "kernel"),
            package("lustre-2.17.0-1.src", "source", "lustre"),
            package(
                "lustre-repo-release-9-1.el9.noarch",
                "x86_64",
                "release-package",
            ),
        ],
    }
}

fn proof() -> Proof {
    Proof {
        format: report::FORMAT,
        target: "rocky-9.6".to_owned(),
        tool_version: "0.1.0".to_owned(),
        sums_sha256: Some("34".repeat(32)),
        checks: vec![
            check("closure", Outcome::Pass, ""),
            check("boot-kernel-log", Outcome::NotRun, "no guest"),
        ],
    }
}

fn releases() -> History {
    let set = |time, lustre: &str, kernel: &str| Set {
        time,
        lustre: lustre.to_owned(),
        kernel: kernel.to_owned(),
        ..Set::default()
    };
    History {
        sets: vec![set(9, "2.17.1-1", "6.12-1"), set(8, "2.16.9-1", "")],
        dropped: vec![DroppedSet {
            time: 7,
            lustre: "2.15.7-<b>1".to_owned(),
            kernel: "5.14-7".to_owned(),
            why: "this repository keeps 2 releases".to_owned(),
        }],
        ..History::default()
    }
}

#[test]
fn releases_that_it_has_and_has_no_more_are_told() {
    let (_, _, text) = parse(&page_of(&manifest(), None, None));
    for words in [
        "of 2 releases",
        "1970-01-01 00:00:08 UTC",
        "2.16.9-1",
        "the distribution's",
        "2.15.7-<b>1",
        "this repository keeps 2 releases",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let alone = tables::releases(None).into_string();
    assert!(alone.contains("this release alone"), "{alone}");
}

fn page_of(manifest: &Manifest, proof: Option<&Proof>, kernels: Option<&[Kernel]>) -> String {
    let files = ["manifest.json", "lustre-repo.repo"].map(str::to_owned);
    render(&Page {
        manifest,
        releases: Some(&releases()),
        assets: None,
        proof,
        kernels,
        files: &files,
    })
}

#[test]
fn packages_that_are_assets_are_linked_where_they_are() {
    let manifest = manifest();
    let placed = manifest.packages.iter().map(|one| PackageFile {
        path: one.file.clone(),
        sha256: "ab".repeat(32),
        size: 1,
    });
    let url = "https://github.com/site/lustre/releases/download";
    let assets = Assets::of(&manifest.target, url, 7, placed, &[]).unwrap();
    let page = render(&Page {
        manifest: &manifest,
        releases: None,
        assets: Some(&assets),
        proof: None,
        kernels: None,
        files: &["assets.json".to_owned()],
    });
    let (_, attributes, text) = parse(&page);
    for package in &assets.packages {
        let link = ("href".to_owned(), assets.url_of(package));
        assert!(attributes.contains(&link), "{link:?} of {attributes:?}");
    }
    let installs = format!("install {url}/rocky-9.6-7/lustre-repo-release-9-1.el9.noarch.rpm");
    assert!(text.contains(&installs), "{text}");
    let key = "https://repo.example.org/lustre/x86_64/RPM-GPG-KEY-lustre-repo";
    assert!(text.contains(key), "{text}");
    assert!(text.contains("as assets of releases"), "{text}");
}

/// The names of the elements, the attributes, and the text of a page. It has to be well-formed but for elements that have no end.
fn parse(page: &str) -> (Vec<String>, Vec<(String, String)>, String) {
    const VOID: [&str; 3] = ["meta", "link", "br"];
    let mut reader = Reader::from_str(page);
    reader.config_mut().check_end_names = false;
    let (mut open, mut names, mut attributes, mut text) = (vec![], vec![], vec![], String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let name = start.name().into_inner().to_owned();
                names.push(name.clone());
                for one in start.html_attributes() {
                    let one = one.unwrap();
                    let value = quick_xml::escape::unescape(&one.value)
                        .unwrap()
                        .into_owned();
                    attributes.push((one.key.into_inner().to_owned(), value));
                }
                if !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Event::End(end) => assert_eq!(open.pop().as_deref(), Some(end.name().into_inner())),
            Event::Text(part) if open.last().is_none_or(|name| name != "style") => {
                text.push_str(&part)
            }
            Event::GeneralRef(part) => {
                text.push_str(match &*part {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    other => panic!("{other:?}"),
                });
            }
            Event::Eof => break,
            Event::Text(_) | Event::DocType(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    (names, attributes, text)
}

#[test]
fn the_page_says_what_the_repository_says_of_itself() {
    let kernels = [Kernel {
        name: "kernel-5.14.0-571.el9.x86_64".to_owned(),
        repository: "base".to_owned(),
        loads: Some(false),
        notes: "foo: 0x1, wanted 0x2".to_owned(),
    }];
    let (manifest, proof) = (manifest(), proof());
    let page = page_of(&manifest, Some(&proof), Some(&kernels));
    let (_, attributes, text) = parse(&page);
    for words in [
        "Lustre 2.17.0 for Rocky Linux 9.6",
        "rocky-9.6",
        "Its Lustre is a model.",
        "2026-09-21 14:13:20 UTC",
        "5.14.0-570.el9",
        "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567",
        "https://repo.example.org/lustre/x86_64/RPM-GPG-KEY-lustre-repo",
        "https://repo.example.org/lustre/x86_64/x86_64/Packages/lustre-repo-release-9-1.el9.noarch.rpm",
        "dnf group install lustre-server",
        // What changed.
        "2026-05-28 20:26:40 UTC",
        "the target rocky-9.5",
        "the rules lower-evr",
        "2.16.0-1",
        "kernel-core-5.14.0-570.el9.x86_64",
        // Kernels and faults.
        "kernel-5.14.0-571.el9.x86_64",
        "does not load",
        "foo: 0x1, wanted 0x2",
        "nobody archives here",
        "1 accepted, 1 mended, 1 open",
        // Proofs.
        "1 of 2 checks hold, 1 not run",
        "Known faults were waived for it by whoever built it: LU-2",
        // Packages and sources.
        "For servers: 3, 27.6 MiB",
        "git:4b0407a4",
        "in place of the target's source",
        "1 file was missing",
        "sha256sum --check",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // A path of the machine that built is nobody's business.
    assert!(!page.contains("/home/me"), "{page}");
    let links: Vec<&str> = attributes
        .iter()
        .filter(|(name, _)| name == "href")
        .map(|(_, value)| value.as_str())
        .collect();
    for file in [
        "./x86_64/Packages/lustre-2.17.0-1.x86_64.rpm",
        "./manifest.json",
        "./SHA256SUMS.asc",
        "https://example.org/kernel.src.rpm",
        "#packages",
    ] {
        assert!(links.contains(&file), "{file}: {links:?}");
    }
    // The lists are as they are whatever order they came in.
    let mut turned = manifest.clone();
    turned.packages.reverse();
    assert_eq!(page_of(&turned, Some(&proof), Some(&kernels)), page);
}

#[test]
fn what_is_not_known_is_said() {
    let bare = Manifest {
        target: "t".to_owned(),
        ..Manifest::default()
    };
    let (_, _, text) = parse(&page_of(&bare, None, None));
    for words in [
        "not proven",
        "without its proofs",
        "it is the first",
        "None are recorded",
        "is not recorded here",
        "does not say where it is published",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn faults_that_were_not_looked_up_are_not_told_as_none() {
    let mut unknown = Manifest {
        target: "t".to_owned(),
        ..Manifest::default()
    };
    let count = |manifest: &Manifest| {
        let (_, _, text) = parse(&page_of(manifest, None, None));
        let count = text.matches("None are recorded").count();
        (count, text)
    };
    let (before, _) = count(&unknown);
    unknown.known_faults_not_looked_up = Some("nobody knows its release".to_owned());
    let (after, text) = count(&unknown);
    assert_eq!(after + 1, before, "{text}");
    for words in [
        "Known faults were not looked up: nobody knows its release.",
        "not looked up",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// Puts a text in place of every other one.
fn hostile(value: &mut serde_json::Value, text: &str) {
    match value {
        serde_json::Value::String(old) => text.clone_into(old),
        serde_json::Value::Array(all) => all.iter_mut().for_each(|one| hostile(one, text)),
        serde_json::Value::Object(all) => {
            for (key, one) in all.iter_mut() {
                // These have a form of their own, without which there is no manifest and no proof.
                if !["overrules", "result"].contains(&key.as_str()) {
                    hostile(one, text);
                }
            }
            let names: Vec<String> = all.keys().cloned().collect();
            for name in names.iter().filter(|name| {
                name.contains(['-', '.']) || ["kernel", "lustre"].contains(&name.as_str())
            }) {
                if let Some(one) = all.remove(name) {
                    all.insert(format!("{name}{text}"), one);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn no_name_becomes_part_of_the_page() {
    let (plain, _, _) = parse(&page_of(&manifest(), Some(&proof()), None));
    let kinds = |names: &[String]| -> std::collections::BTreeSet<String> {
        names.iter().cloned().collect()
    };
    for text in [
        "</title></style></code><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "javascript:alert(1)//",
        "&lt;script&gt;&#60;",
        "\u{1b}]0;title\u{7}\u{202e}gpj",
        "<!--",
        "]]>",
    ] {
        let mut value = serde_json::to_value(manifest()).unwrap();
        hostile(&mut value, text);
        let odd: Manifest = serde_json::from_value(value).unwrap();
        let mut value = serde_json::to_value(proof()).unwrap();
        hostile(&mut value, text);
        let checks: Proof = serde_json::from_value(value).unwrap();
        let page = page_of(&odd, Some(&checks), None);
        let (names, attributes, said) = parse(&page);
        assert!(kinds(&names).is_subset(&kinds(&plain)), "{text}: {names:?}");
        for (name, value) in &attributes {
            assert!(!name.starts_with("on") && name != "src", "{text}: {name}");
            if name == "href" {
                let fine = ["#", "./", "https://", "http://", "data:,"];
                assert!(
                    fine.iter().any(|start| value.starts_with(start)),
                    "{text}: {value}"
                );
            }
        }
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "{text}");
        // It is there, as text.
        let shown = words::shown(text);
        assert!(said.contains(&shown), "{text}: {said}");
    }
}
