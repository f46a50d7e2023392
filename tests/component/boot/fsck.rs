//! The check `fsck` on an image with an inode that has no name, as Lustre's development branch leaves one.

use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_packaging::boot::report::Report;
use lustre_repo_tests::command_line::project;

use super::{boot, guest_says};

/// The attribute of the object `[0x200000001:0x101e:0x0]`.
const LMA: [u8; 24] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x1e, 0x10, 0, 0, 0, 0, 0, 0,
];

fn image(folder: &Path) -> String {
    let image = folder.join("image");
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    fs::write(folder.join("lma"), LMA).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(
        folder.join("commands"),
        "write empty nameless\nea_set -f lma nameless trusted.lma\nunlink nameless\n",
    )
    .unwrap();
    let image = image.to_str().unwrap().to_owned();
    for arguments in [
        &["mke2fs", "-q", "-F", "-t", "ext4", &image][..],
        &["debugfs", "-w", "-f", "commands", &image],
    ] {
        let out = Command::new(arguments[0])
            .args(&arguments[1..])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
    }
    image
}

/// What the check says of `image` where `nameless` are known; that this machine's e2fsck is of no RPM is left out.
fn said(image: &str, nameless: &str) -> (Vec<String>, Vec<String>) {
    let checks = project().join("specs").join(boot().guest).join("checks");
    let report: Report = guest_says(&format!(
        "IMAGES=('{image}'); FEATURES=(); UNCHECKED=(); NAMELESS=({nameless}); . '{}/fsck'",
        checks.display()
    ));
    let check = report.check("it").unwrap();
    let mut findings = check.findings.clone();
    findings.retain(|finding| !finding.contains("belongs to no package"));
    (findings, check.evidence.clone())
}

#[test]
fn an_inode_without_a_name_is_a_finding_unless_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    let known = "'[0x200000001:0x101e:0x0] a file of no name'";

    let (findings, evidence) = said(&image, known);
    assert!(findings.is_empty(), "{findings:?}");
    let of_it = evidence.iter().find(|one| one.contains("has no name"));
    assert!(
        of_it.is_some_and(
            |one| one.ends_with("[0x200000001:0x101e:0x0], has no name: a file of no name")
        ),
        "{evidence:?}"
    );

    for other in ["", "'[0x200000001:0x101f:0x0] another'"] {
        let (findings, _) = said(&image, other);
        assert!(
            findings.len() == 1 && findings[0].contains("Unattached inode"),
            "{findings:?}"
        );
    }

    // One known inode excuses nothing else.
    let out = Command::new("debugfs")
        .args(["-w", "-R", "clri <2>", &image])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let (findings, _) = said(&image, known);
    assert_eq!(findings.len(), 1, "{findings:?}");
}
