//! A site's own target with an overlay beside it, from the command line to a real kernel's tree.

use std::fs;
use std::path::Path;

use lustre_repo_tests::command_line::{Run, run};

use super::World;

const TARGET: &str = "inherits = 'rehearsal'\n[kernel]\noverlay = './ours'\n";

const OVERLAY: &str = "package = 'kernel'\nwith = ['kernel/rehearsal']\n\
    [[series]]\nseries = 'series'\npatches = 'patches'\ncollated = 'patch-site.patch'\n";

/// A patch to the first line of a file that every kernel has.
fn patch(line: &str) -> String {
    format!(
        "--- a/Makefile\n+++ b/Makefile\n@@ -1,1 +1,2 @@\n-{line}\n+{line}\n+# A line of the site's.\n"
    )
}

#[test]
#[ignore = "needs the store of the built rehearsal: a step of .ci/run"]
fn a_sites_patches_are_tried_beside_the_projects_own() {
    let world = World::new();
    let site = world.base.join("site");
    fs::create_dir_all(site.join("ours/patches")).unwrap();
    fs::write(site.join("site.toml"), TARGET).unwrap();
    fs::write(site.join("ours/overlay.toml"), OVERLAY).unwrap();
    fs::write(site.join("ours/series"), "site.patch\n").unwrap();
    // It asks for what the target that it inherits from asks for.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/locks/rehearsal.toml");
    let lock = fs::read_to_string(lock).unwrap();
    let lock = lock.replacen("target = \"rehearsal\"", "target = \"site\"", 1);
    fs::write(site.join("site.lock.toml"), lock).unwrap();
    let preflight = |line: &str| -> Run {
        fs::write(site.join("ours/patches/site.patch"), patch(line)).unwrap();
        let mut command = world.home.command(&["preflight", "--offline", "--target"]);
        command
            .arg(site.join("site.toml"))
            .env("LUSTRE_REPO_STORE", world.store());
        run(&mut command)
    };

    let fits = preflight("# SPDX-License-Identifier: GPL-2.0");
    assert_eq!(fits.code, 0, "{fits:?}");
    for line in [
        "lustre/kernel_patches/series/6.1-rehearsal.series: 2 of 2 patches apply",
        "series: 1 of 1 patches apply",
    ] {
        let said = format!("{}{}", fits.stdout, fits.stderr);
        assert!(said.contains(line), "{line}: {said}");
    }

    let does_not = preflight("Something else");
    assert_eq!(does_not.code, 3, "{does_not:?}");
    for line in ["series: 0 of 1 patches apply", "site.patch"] {
        assert!(
            does_not.stderr.contains(line),
            "{line}: {}",
            does_not.stderr
        );
    }
}
