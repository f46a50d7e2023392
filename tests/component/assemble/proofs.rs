//! The static checks: each finds what it is there for, and says it so that one can act on it.

use std::fs;
use std::process::Command;

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, Signer};
use lustre_repository::layout::{Error, Input};
use lustre_repository::manifest::KnownFault;
use lustre_repository::proof::{Outcome, Proof};

use super::world::{BASE_KERNEL, EPOCH, Spec, Tree, public_key, run, world};

/// The failing checks of a tree, as a list of names.
fn names(tree: &Tree) -> Vec<String> {
    tree.failures().into_keys().collect()
}

#[test]
fn a_good_repository_passes_every_check() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let checks = tree.check();
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.result != Outcome::Pass)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(checks.len(), 19);
    for check in &checks {
        assert!(!check.checked.is_empty(), "{check:?}");
        assert!(check.message.is_empty(), "{check:?}");
    }
    let proof = Proof::new(&tree.dist(), "test", "0", checks).unwrap();
    assert!(proof.holds());
    tree.complete();
    assert!(names(&tree).is_empty(), "with its proof it holds as well");
    // The proof is of all the rest.
    let again = Proof::new(&tree.dist(), "test", "0", tree.check()).unwrap();
    assert_eq!(again.sums_sha256, proof.sums_sha256);
}

#[test]
fn a_package_somebody_changed_is_found_by_all_who_look_at_it() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let path = tree
        .dist()
        .join("x86_64/Packages/lustre-2.17.0-1.x86_64.rpm");
    let mut bytes = fs::read(&path).unwrap();
    // The payload: PackageMetadata::verify_signature alone would not notice.
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let failures = tree.failures();
    for check in [
        "package-signatures",
        "rpmkeys",
        "sha256sums",
        "manifest",
        "repodata",
    ] {
        let message = failures.get(check).unwrap_or_else(|| panic!("{check}"));
        assert!(message.contains("lustre-2.17.0-1.x86_64.rpm"), "{message}");
    }
    assert_eq!(failures.len(), 5, "{failures:#?}");
    assert!(failures["package-signatures"].contains("is damaged: its payload"));
}

#[test]
fn an_unsigned_package_is_found() {
    let mut tree = Tree::new();
    tree.without("e2fsprogs-1.47-1.x86_64.rpm");
    tree.packages.push(Input {
        path: world().unsigned.clone(),
        sha256_unsigned: "0".repeat(64),
        stage: "test".to_owned(),
    });
    tree.assemble().unwrap();
    let failures = tree.failures();
    assert_eq!(names(&tree), ["package-signatures", "rpmkeys"]);
    assert!(failures["package-signatures"].contains("e2fsprogs-1.47-1.x86_64.rpm is not signed"));
}

#[test]
fn metadata_signed_by_another_key_or_changed_is_found() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let other = Key::generate("Other <other@example.org>", DEV_KEY_CREATED).unwrap();
    let index = tree.dist().join("x86_64/repodata/repomd.xml");
    let content = fs::read(&index).unwrap();
    let signature = other.sign_detached(&content, EPOCH).unwrap();
    fs::write(index.with_extension("xml.asc"), signature).unwrap();
    let failures = tree.failures();
    for check in ["metadata-signatures", "gpg-verify"] {
        assert!(
            failures[check].starts_with("x86_64/repodata/repomd.xml.asc: "),
            "{failures:#?}"
        );
    }
    // The key that users are offered has to be the one that was used.
    tree.assemble().unwrap();
    fs::write(
        tree.dist().join("RPM-GPG-KEY-lustre-repo"),
        other.public_key_armored().unwrap(),
    )
    .unwrap();
    assert!(tree.failures()["metadata-signatures"].contains(&other.fingerprint()));
}

#[test]
fn missing_and_extra_packages_are_found() {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let packages = tree.dist().join("x86_64/Packages");
    fs::rename(
        packages.join("lustre-2.17.0-1.x86_64.rpm"),
        packages.join("other-name.rpm"),
    )
    .unwrap();
    let failures = tree.failures();
    assert_eq!(
        failures.keys().collect::<Vec<_>>(),
        ["file-conflicts", "manifest", "repodata", "sha256sums"]
    );
    assert!(failures["file-conflicts"].contains("cannot be compared"));
    assert!(failures["manifest"].contains("lustre-2.17.0-1.x86_64.rpm is listed and missing"));
    assert!(failures["manifest"].contains("other-name.rpm is not in the manifest"));
    assert!(failures["repodata"].contains("other-name.rpm is not in the metadata"));

    // Whose else it may be, it is not replaced.
    assert!(matches!(tree.assemble(), Err(Error::Foreign { .. })));
    fs::remove_file(packages.join("other-name.rpm")).unwrap();
    tree.expected.push("lustre-osd-ldiskfs-mount".to_owned());
    tree.assemble().unwrap();
    assert_eq!(
        tree.failures().into_iter().collect::<Vec<_>>(),
        [(
            "expected-packages".to_owned(),
            "lustre-osd-ldiskfs-mount is not in the repository".to_owned()
        )]
    );
}

#[test]
fn metadata_that_does_not_say_what_the_headers_say_is_found() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    // createrepo_c 0.17 leaves fields empty that ours fills; the packages are the same.
    let mut weaker = Tree::new();
    weaker.without("lustre-2.17.0-1.x86_64.rpm").with(&Spec {
        name: "lustre",
        evr: "2.17.0-1",
        tags: "Requires: kmod-lustre",
        files: &[("/usr/sbin/lctl", "tool")],
    });
    weaker.assemble().unwrap();
    // The metadata of one repository over the packages of the other.
    let repodata = tree.dist().join("x86_64/repodata");
    fs::remove_dir_all(&repodata).unwrap();
    fs::rename(weaker.dist().join("x86_64/repodata"), &repodata).unwrap();
    let failures = tree.failures();
    assert!(
        failures["repodata"].contains("lustre-2.17.0-1.x86_64.rpm: it has"),
        "{failures:#?}"
    );
}

#[test]
fn a_kmod_for_another_kernel_fails_with_the_sentence_users_search_for() {
    let mut tree = Tree::new();
    tree.without("kmod-lustre-2.17.0-1.x86_64.rpm").with(&Spec {
        name: "kmod-lustre",
        evr: "2.17.0-1",
        tags: "Requires: kernel(foo) = 0x2\nRequires: kernel(bar) = 0x9\nProvides: ksym(lu) = 0x7",
        files: &[],
    });
    tree.assemble().unwrap();
    let failures = tree.failures();
    assert_eq!(names(&tree), ["closure", "kernel-symbols"]);
    assert_eq!(
        failures["closure"],
        "nothing provides kernel(bar) = 0x9 needed by kmod-lustre-2.17.0-1.x86_64; \
         kernel-core-6.1-553.el8_10_lustre.x86_64 provides kernel(bar) = 0x3 (built from another kernel?)"
    );
}

#[test]
fn a_kmod_for_the_distributions_kernel_fails_where_ours_replaces_it() {
    let mut tree = Tree::new();
    tree.without("kmod-lustre-2.17.0-1.x86_64.rpm").with(&Spec {
        name: "kmod-lustre",
        evr: "2.17.0-1",
        tags: "Requires: kernel(foo) = 0x1\nProvides: ksym(lu) = 0x7",
        files: &[],
    });
    tree.assemble().unwrap();
    assert!(
        tree.failures()["closure"].contains(&format!(
            "kernel-core-{BASE_KERNEL}.x86_64 of the base provides it, but a package of this repository replaces that package"
        )),
        "{:#?}",
        tree.failures()
    );
}

#[test]
fn file_conflicts_are_those_of_rpm() {
    let mut tree = Tree::new();
    let conflicting = Spec {
        name: "conflicting",
        evr: "1-1",
        tags: "",
        files: &[
            // Of a package of the base, with other content.
            ("/usr/bin/bash", "another shell"),
            // Of a package of ours, with the same.
            ("/usr/sbin/lctl", "tool"),
            // Of one of ours, with other content.
            ("/usr/sbin/extra", "other"),
        ],
    };
    tree.with(&conflicting);
    tree.assemble().unwrap();
    let failures = tree.failures();
    assert_eq!(names(&tree), ["file-conflicts"]);
    let mut lines: Vec<&str> = failures["file-conflicts"].lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("/usr/bin/bash of conflicting-1-1.x86_64 conflicts"));
    assert!(lines[1].starts_with("/usr/sbin/extra of "), "{lines:#?}");

    // rpm's own opinion.
    let root = tree.path().join("root");
    let packages = tree.dist().join("x86_64/Packages");
    let (success, text) = run(Command::new("rpm")
        .args([
            "--install",
            "--test",
            "--nodeps",
            "--nosignature",
            "--dbpath",
            "/db",
            "--root",
        ])
        .arg(&root)
        .arg(world().base.join("Packages/bash-5.2-1.x86_64.rpm"))
        .arg(packages.join("lustre-2.17.0-1.x86_64.rpm"))
        .arg(packages.join("e2fsprogs-1.47-1.x86_64.rpm"))
        .arg(packages.join("conflicting-1-1.x86_64.rpm")));
    assert!(!success);
    let mut reported: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("file ")?.split(' ').next())
        .collect();
    reported.sort_unstable();
    reported.dedup();
    assert_eq!(reported, ["/usr/bin/bash", "/usr/sbin/extra"], "{text}");
}

#[test]
fn a_kernel_that_sorts_below_the_distributions_is_found() {
    let mut tree = Tree::new();
    tree.without("kernel-core-6.1-553.el8_10_lustre.x86_64.rpm")
        .with(&Spec {
            name: "kernel-core",
            evr: "6.1-553.el8_lustre",
            tags: "Provides: kernel(foo) = 0x2\nProvides: kernel(bar) = 0x3\nProvides: installonlypkg(kernel)",
            files: &[],
        });
    tree.assemble().unwrap();
    let failures = tree.failures();
    assert_eq!(names(&tree), ["newer-than-base"]);
    assert!(
        failures["newer-than-base"].starts_with(
            "kernel-core-6.1-553.el8_lustre.x86_64 sorts below kernel-core-6.1-553.el8_10.x86_64 of the base"
        ),
        "{failures:#?}"
    );
}

#[test]
fn two_versions_of_one_package_are_found() {
    let mut tree = Tree::new();
    tree.with(&Spec {
        name: "e2fsprogs",
        evr: "1.48-1",
        tags: "",
        files: &[],
    });
    tree.assemble().unwrap();
    assert!(tree.failures()["duplicates"].starts_with("e2fsprogs.x86_64 exists 2 times"));
}

#[test]
fn tools_of_the_host_are_started_as_the_caller_says_or_not_at_all() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let checks = lustre_repository::proof::static_checks(&lustre_repository::proof::StaticInput {
        dist: &tree.dist(),
        base_repos: &[],
        expected: &tree.expected,
        target: "test",
        repo_file: tree.repo_file(),
        public_key: &public_key(),
        digests: &lustre_repository::digests::Digests::default(),
        logs: &tree.path().join("logs"),
        confine: |program, _, _, _| Err(std::io::Error::other(format!("no place for {program}"))),
    });
    for (check, program) in [("gpg-verify", "gpg"), ("rpmkeys", "rpmkeys")] {
        let check = checks.iter().find(|one| one.name == check).unwrap();
        assert_eq!(check.result, Outcome::NotRun, "{check:?}");
        let why = format!("no place for {program}");
        assert!(check.message.contains(&why), "{check:?}");
    }
}

#[test]
fn without_a_base_the_checks_that_need_it_have_not_run() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let checks = lustre_repository::proof::static_checks(&lustre_repository::proof::StaticInput {
        dist: &tree.dist(),
        base_repos: &[],
        expected: &tree.expected,
        target: "test",
        repo_file: tree.repo_file(),
        public_key: &public_key(),
        digests: &lustre_repository::digests::Digests::default(),
        logs: &tree.path().join("logs"),
        confine: lustre_packaging::sandbox::looking,
    });
    let not_run: Vec<&str> = checks
        .iter()
        .filter(|c| c.result == Outcome::NotRun)
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(
        not_run,
        [
            "closure",
            "kernel-symbols",
            "base-upgrade",
            "file-conflicts",
            "newer-than-base"
        ]
    );
    assert!(
        !Proof::new(&tree.dist(), "test", "0", checks)
            .unwrap()
            .holds()
    );
}

/// A hole in a file costs nobody anything to make, and hours to read.
#[test]
fn what_is_larger_than_it_may_be_is_told_and_not_read() {
    const HUGE: u64 = 1 << 40;
    const LUSTRE: &str = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";
    let tree = Tree::new();
    tree.assemble().unwrap();
    tree.complete();
    let path = |name: &str| tree.dist().join(name);
    let primary = fs::read_dir(path("x86_64/repodata"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.contains("primary"))
        .unwrap();
    let primary = format!("x86_64/repodata/{primary}");
    for (name, checks) in [
        (
            "x86_64/repodata/repomd.xml",
            &["metadata-signatures", "gpg-verify", "sha256sums"][..],
        ),
        (
            "x86_64/repodata/repomd.xml.asc",
            &["metadata-signatures", "gpg-verify", "sha256sums"],
        ),
        (&primary, &["sha256sums", "repodata"]),
        (
            "SHA256SUMS",
            &["metadata-signatures", "gpg-verify", "sha256sums"],
        ),
        ("SHA256SUMS.asc", &["metadata-signatures", "gpg-verify"]),
        (
            "RPM-GPG-KEY-lustre-repo",
            &["metadata-signatures", "sha256sums"],
        ),
        ("lustre-repo.repo", &["repo-file", "sha256sums"]),
        ("manifest.json", &["manifest", "sha256sums"]),
        ("proof.json", &["sha256sums"]),
        ("index.html", &["page", "sha256sums"]),
        (
            LUSTRE,
            &[
                "package-signatures",
                "rpmkeys",
                "sha256sums",
                "manifest",
                "repodata",
            ],
        ),
    ] {
        let file = fs::File::options().write(true).open(path(name)).unwrap();
        let size = file.metadata().unwrap().len();
        let time = file.metadata().unwrap().modified().unwrap();
        let bytes = fs::read(path(name)).unwrap();
        file.set_len(HUGE).unwrap();
        let failures = tree.failures();
        for check in checks {
            let said = failures.get(*check).map_or("", String::as_str);
            assert!(
                said.contains(name.rsplit('/').next().unwrap()) && said.contains(&HUGE.to_string()),
                "{name}: {check}: {said}"
            );
        }
        file.set_len(size).unwrap();
        file.set_modified(time).unwrap();
        assert!(fs::read(path(name)).unwrap() == bytes);
    }
    // What the manifest does not list has no size that it could have.
    let other = path("x86_64/Packages/other-1-1.x86_64.rpm");
    fs::copy(path(LUSTRE), &other).unwrap();
    let file = fs::File::options().write(true).open(&other).unwrap();
    file.set_len(HUGE).unwrap();
    let failures = tree.failures();
    for check in ["package-signatures", "rpmkeys", "sha256sums", "manifest"] {
        assert!(
            failures[check].contains("other-1-1"),
            "{check}: {failures:?}"
        );
    }
}

fn fault(severity: &str, standing: &str) -> KnownFault {
    KnownFault {
        ticket: "LU-19829".to_owned(),
        severity: severity.to_owned(),
        title: "a file counts as archived".to_owned(),
        standing: standing.to_owned(),
    }
}

#[test]
fn a_waived_fault_stands_in_the_published_proof_and_on_the_page() {
    let mut tree = Tree::new();
    tree.known_faults = vec![fault("data-loss", "accepted: nobody archives here")];
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    for file in ["proof.json", "index.html"] {
        let text = fs::read_to_string(tree.dist().join(file)).unwrap();
        for part in ["waived: LU-19829 (data-loss)", "nobody archives here"] {
            assert!(text.contains(part), "{file}: `{part}`");
        }
    }
}

#[test]
fn faults_that_nobody_looked_up_are_not_told_as_none() {
    let mut tree = Tree::new();
    let why = "its source is a folder";
    tree.known_faults_not_looked_up = Some(why.to_owned());
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    for file in ["proof.json", "index.html"] {
        let text = fs::read_to_string(tree.dist().join(file)).unwrap();
        let words = format!("nown faults were not looked up: {why}");
        assert!(text.contains(&words), "{file}: `{words}`");
        assert!(!text.contains("no known fault is recorded"), "{file}");
    }
    let page = fs::read_to_string(tree.dist().join("index.html")).unwrap();
    let at = page.find("id=\"faults\"").unwrap();
    let section = &page[at..];
    let section = &section[..section.find("</section>").unwrap()];
    assert!(!section.contains("None are recorded"), "{section}");
}

#[test]
fn a_fault_that_loses_data_and_that_nobody_took_is_no_proof() {
    let mut tree = Tree::new();
    tree.known_faults = vec![fault("data-loss", "open")];
    tree.assemble().unwrap();
    assert_eq!(names(&tree), ["known-faults"]);
    let failures = tree.failures();
    assert!(
        failures["known-faults"].starts_with("LU-19829 (data-loss) is neither fixed nor accepted"),
        "{failures:?}"
    );
    // A crash is told and stops nothing.
    tree.known_faults = vec![fault("crash", "open")];
    tree.assemble().unwrap();
    assert_eq!(names(&tree), [] as [&str; 0]);
}
