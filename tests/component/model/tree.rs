//! The tree itself: its series, its version and its scripts.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::TempDir;
use walkdir::WalkDir;

use super::helpers::{macros, model};

#[test]
fn every_patch_is_in_one_series_and_every_series_is_whole() {
    for part in ["ldiskfs/kernel_patches", "lustre/kernel_patches"] {
        let dir = model().join(part);
        let mut listed = BTreeSet::new();
        for series in fs::read_dir(dir.join("series")).unwrap() {
            let text = fs::read_to_string(series.unwrap().path()).unwrap();
            listed.extend(
                text.lines()
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .map(str::to_owned),
            );
        }
        let present: BTreeSet<String> = fs::read_dir(dir.join("patches"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(!present.is_empty(), "no patches in {part}");
        assert_eq!(listed, present, "{part}");
    }
}

#[test]
fn the_version_is_frozen_by_its_file() {
    let dir = TempDir::new().unwrap();
    let run = || {
        let output = Command::new("sh")
            .arg(model().join("LUSTRE-VERSION-GEN"))
            .current_dir(dir.path())
            .env("GIT_CEILING_DIRECTORIES", dir.path())
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(), "2.17.0_model");
    fs::write(
        dir.path().join("LUSTRE-VERSION-FILE"),
        "LUSTRE_VERSION = 2.16.0-RC1\n",
    )
    .unwrap();
    // A dash cannot be part of an RPM's version.
    assert_eq!(run(), "2.16.0_RC1");
    assert_eq!(
        fs::read_to_string(dir.path().join("LUSTRE-VERSION-FILE")).unwrap(),
        "LUSTRE_VERSION = 2.16.0_RC1\n"
    );
}

#[test]
fn every_script_is_one_that_its_shell_can_read() {
    let mut scripts = 0;
    for root in [model(), macros()] {
        for entry in WalkDir::new(root) {
            let entry = entry.unwrap();
            let bytes = if entry.file_type().is_file() {
                fs::read(entry.path()).unwrap()
            } else {
                continue;
            };
            let shell = match bytes.split(|byte| *byte == b'\n').next() {
                Some(b"#!/bin/sh") => "sh",
                Some(b"#!/bin/bash") => "bash",
                _ => continue,
            };
            let output = Command::new(shell)
                .arg("-n")
                .arg(entry.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            scripts += 1;
        }
    }
    assert!(scripts >= 10, "only {scripts} scripts found");
}
