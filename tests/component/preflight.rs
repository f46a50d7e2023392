//! Preflight on small trees of ours: everything that does not fit is found, in one run, with file and hunk; GNU patch agrees.

use std::process::Command;

use lustre_packaging::preflight::{Check, Verdict};

mod beside;
mod own_kernel;
mod place;

use place::{NEW_SHAPE, OLD_SHAPE, Place, TARGET};

/// The fixup that the later shape needs, as an overlay of Lustre's tree has it.
const FIXUP: &str = r#"package = "lustre"
[[fixup]]
name = "delayed-put"
why = "the kernel no longer has a fresh node there"
patch = "ldiskfs/kernel_patches/patches/base/delayed-put.patch"
file = "fs/ext4/xattr.c"
drop_context = ["struct node *fresh = NULL;", "put_node(fresh);"]
"#;

fn check<'r>(checks: &'r [Check], name: &str) -> &'r Check {
    let mut found = checks.iter().filter(|check| check.check == name);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{name}: {checks:#?}"));
    assert!(found.next().is_none(), "{name} twice");
    one
}

#[test]
fn what_fits_passes_and_says_what_was_looked_at() {
    let place = Place::new(OLD_SHAPE);
    let report = place.run();
    assert!(report.fits, "{report:#?}");
    let ldiskfs = check(&report.checks, "ldiskfs series");
    assert_eq!(
        ldiskfs.message,
        "6.1-test of Lustre 1.0: 2 of 2 patches apply to the ext4 of Linux 6.1.9"
    );
    for name in [
        "lustre tree",
        "kernel spec",
        "kernel config",
        "kernel series",
        "e2fsprogs series",
        "e2fsprogs version",
        "packages",
    ] {
        assert_eq!(check(&report.checks, name).result, Verdict::Pass, "{name}");
    }
    let overlay = check(&report.checks, "lustre overlay");
    assert_eq!(overlay.result, Verdict::NotNeeded);
}

#[test]
fn a_patch_of_the_old_shape_fails_on_the_new_one_at_its_file_and_hunk() {
    let place = Place::new(NEW_SHAPE);
    let report = place.run();
    assert!(!report.fits);
    let ldiskfs = check(&report.checks, "ldiskfs series");
    assert_eq!(ldiskfs.result, Verdict::Fail);
    assert!(
        ldiskfs.message.contains("1 of 2 patches apply"),
        "{ldiskfs}"
    );
    let [problem] = &ldiskfs.problems[..] else {
        panic!("{ldiskfs}");
    };
    assert_eq!(problem.patch.as_deref(), Some("base/delayed-put.patch"));
    assert_eq!(problem.file.as_deref(), Some("fs/ext4/xattr.c"));
    assert_eq!(problem.hunk, Some(2));
    let patch = place.lustre("ldiskfs/kernel_patches/patches/base/delayed-put.patch");
    let text = std::fs::read_to_string(&patch).unwrap();
    let header = text.lines().nth(problem.line.unwrap() - 1).unwrap();
    assert!(header.starts_with("@@ -16,"), "{header}");

    // GNU patch says the same of the same files.
    let run = |shape: &str| {
        let other = Place::new(shape);
        let out = Command::new("patch")
            .args(["-p1", "--dry-run", "--batch", "-d"])
            .arg(other.kernel("parts"))
            .arg("-i")
            .arg(&patch)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        (
            out.status.success(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
        )
    };
    let (fits, said) = run(NEW_SHAPE);
    assert!(
        !fits && said.contains("Hunk #2 FAILED") && !said.contains("Hunk #1 FAILED"),
        "{said}"
    );
    let (fits, said) = run(OLD_SHAPE);
    assert!(fits, "{said}");

    // Everything else is looked at all the same.
    for name in ["e2fsprogs series", "packages", "kernel series"] {
        assert_eq!(check(&report.checks, name).result, Verdict::Pass, "{name}");
    }
}

#[test]
fn the_recounted_patch_fits_the_new_shape_and_only_that() {
    let with_fixup = TARGET.replace("[lustre]\n", "[lustre]\noverlay = \"lustre/t\"\n");
    for (shape, fits) in [(NEW_SHAPE, true), (OLD_SHAPE, false)] {
        let mut place = Place::new(shape);
        place.specs("lustre/t/overlay.toml", FIXUP);
        place.target(&with_fixup);
        let report = place.run();
        let overlay = check(&report.checks, "lustre overlay");
        assert_eq!(overlay.result, Verdict::Pass, "{overlay}");
        let ldiskfs = check(&report.checks, "ldiskfs series");
        assert_eq!(report.fits, fits, "{ldiskfs}");
        assert_eq!(ldiskfs.result == Verdict::Pass, fits, "{ldiskfs}");
    }
}

#[test]
fn what_is_known_of_a_kernel_is_told_and_an_option_makes_it_fit() {
    let mut place = Place::new(NEW_SHAPE);
    let optional = FIXUP.replace(
        "[[fixup]]\n",
        "[option.delayed-put]\nwhy = \"w\"\n[[option.delayed-put.fixup]]\n",
    );
    place.specs("lustre/t/overlay.toml", &optional);
    place.kernel_release = "20.1.el9_6".to_owned();
    let overlay = TARGET.replace("[lustre]\n", "[lustre]\noverlay = \"lustre/t\"\n");
    place.target(&overlay);
    let report = place.run();
    let known = check(&report.checks, "known pairs");
    assert_eq!(known.result, Verdict::Fail);
    let said = &known.problems[0].message;
    assert!(
        said.contains("no fresh node any more") && said.contains("options = [\"delayed-put\"]"),
        "{said}"
    );
    assert_eq!(
        check(&report.checks, "ldiskfs series").result,
        Verdict::Fail
    );

    place.target(&overlay.replace(
        "overlay = \"lustre/t\"\n",
        "overlay = \"lustre/t\"\noptions = [\"delayed-put\"]\n",
    ));
    let report = place.run();
    assert!(report.fits, "{report:#?}");
    assert_eq!(check(&report.checks, "known pairs").result, Verdict::Pass);

    // A release of before with the ext4 of later: what the target takes fits, whatever is said of the release.
    place.kernel_release = "19.el9_6".to_owned();
    let report = place.run();
    let known = check(&report.checks, "known pairs");
    assert_eq!(known.result, Verdict::Pass, "{known}");
    assert!(known.message.contains("its ext4 differs"), "{known}");

    // And where it does not fit, nobody says that the pair is known to build.
    place.target(&overlay);
    let report = place.run();
    let known = check(&report.checks, "known pairs");
    assert_eq!(known.result, Verdict::Fail, "{known}");
    assert!(
        known.problems[0].message.contains("the rule lacks a bound"),
        "{known}"
    );
    place.target(&overlay.replace(
        "overlay = \"lustre/t\"\n",
        "overlay = \"lustre/t\"\noptions = [\"delayed-put\"]\n",
    ));

    // Nothing is known of a tree that somebody may have changed, nor of another distribution's kernel.
    for (version, release) in [(None, "19.el9_6"), (Some("1.0"), "19.t1")] {
        place.lustre_version = version.map(str::to_owned);
        place.kernel_release = release.to_owned();
        let report = place.run();
        assert!(report.fits, "{report:#?}");
        assert!(report.checks.iter().all(|one| one.check != "known pairs"));
    }
}

#[test]
fn a_fixup_or_an_edit_for_another_tree_is_named() {
    let mut place = Place::new(OLD_SHAPE);
    let edits = format!(
        "{}\n[[edit]]\nname = \"gone\"\nwhy = \"w\"\nfile = \"configure.ac\"\nanchor = \"NOT_THERE\"\nposition = \"after\"\n\
         expect = 1\ntext = \"x\"\n[[edit]]\nname = \"nowhere\"\nwhy = \"w\"\nfile = \"config/none.m4\"\nanchor = \"A\"\n\
         position = \"after\"\nexpect = 1\ntext = \"x\"\n",
        FIXUP.replace("struct node *fresh = NULL;", "struct node *older = NULL;")
    );
    place.specs("lustre/t/overlay.toml", &edits);
    place.target(&TARGET.replace("[lustre]\n", "[lustre]\noverlay = \"lustre/t\"\n"));
    let report = place.run();
    let overlay = check(&report.checks, "lustre overlay");
    let told = overlay.to_string();
    assert_eq!(overlay.problems.len(), 3, "{told}");
    for part in ["`gone`", "`nowhere`", "`delayed-put`", "config/none.m4"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn everything_that_does_not_fit_is_told_in_one_run() {
    let mut place = Place::new(NEW_SHAPE);
    // A kernel patch that is not there, one that does not apply, and an option that the kernel does not have.
    place.write_lustre(
        "lustre/kernel_patches/series/6.1.series",
        "missing.patch\ncore.patch\n",
    );
    place.write_kernel("parts/fs/open.c", "something else\n");
    place.specs("kernel/t/lustre.config", "CONFIG_QUOTA=y\nCONFIG_NO_SUCH=m\n# CONFIG_NOR_THIS is not set\n#@ where-known\nCONFIG_OLD=y\n");
    // A spec that lost the line an edit is anchored to.
    place.write_kernel("sources/kernel.spec", "Name: kernel\n");
    // A Lustre that wants a newer e2fsprogs, by its configure and by its spec.
    place.write_lustre(
        "config/core.m4",
        "AC_DEFUN([A], [\n\tPKG_CHECK_MODULES([EXT2FS], [ext2fs >= 1.47.3-wc2])\n])\n",
    );
    place.write_lustre(
        "lustre.spec.in",
        "BuildRequires: e2fsprogs-devel >= 1.47.3-wc1\nRequires: ldiskfsprogs > 1.45.6\n",
    );
    // An e2fsprogs that its series does not fit, and a package that nobody has.
    place.write_e2fsprogs("lib/features.c", "nothing of it\n");
    place.target(&TARGET.replace("\"autoconf\"", "\"autoconf\", \"no-such-devel\""));
    place.missing = vec!["lustre/tests/image.tar.bz2".to_owned()];
    let report = place.run();
    assert!(!report.fits);
    let expected: [(&str, &[&str]); 8] = [
        ("lustre tree", &["image.tar.bz2", "--allow-incomplete"]),
        ("kernel spec", &["`apply-patch`", "kernel.spec"]),
        (
            "kernel config",
            &["lustre.config, line 2", "CONFIG_NO_SUCH"],
        ),
        (
            "kernel series",
            &["missing.patch", "fs/open.c: hunk 1", "0 of 2"],
        ),
        ("ldiskfs series", &["fs/ext4/xattr.c: hunk 2"]),
        ("e2fsprogs series", &["lib/features.c: hunk 1"]),
        (
            "e2fsprogs version",
            &[
                "config/core.m4:2",
                "ext2fs >= 1.47.3-wc2",
                "lustre.spec.in:1",
            ],
        ),
        ("packages", &["lustre.buildroot", "`no-such-devel`"]),
    ];
    for (name, parts) in expected {
        let check = check(&report.checks, name);
        let told = check.to_string();
        assert_eq!(check.result, Verdict::Fail, "{told}");
        assert!(check.hint.is_some(), "{told}");
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let config = check(&report.checks, "kernel config");
    assert_eq!(config.problems.len(), 1, "{config}");
    let version = check(&report.checks, "e2fsprogs version");
    assert_eq!(version.problems.len(), 2, "{version}");
    assert_eq!(version.problems[0].line, Some(2));

    // What the user allows is waived, and still told.
    place.incomplete_allowed = true;
    let report = place.run();
    let tree = check(&report.checks, "lustre tree");
    assert_eq!(tree.result, Verdict::Waived);
    assert!(tree.to_string().contains("image.tar.bz2"), "{tree}");
}

#[test]
fn a_tree_without_the_series_says_which_it_has_and_which_would_fit() {
    let mut place = Place::new(OLD_SHAPE);
    place.write_lustre(
        "ldiskfs/kernel_patches/series/ldiskfs-5.10.0-ml.series",
        "base/first.patch\n",
    );
    place.target(&TARGET.replace("6.1-test", "6.12-ml"));
    let report = place.run();
    let ldiskfs = check(&report.checks, "ldiskfs series");
    let told = ldiskfs.to_string();
    assert_eq!(ldiskfs.result, Verdict::Fail, "{told}");
    for part in [
        "ldiskfs-6.12-ml.series",
        "it has: 5.10.0-ml, 6.1-test",
        "all 2 patches of this tree's series 6.1-test apply",
        "ldiskfs_series = \"6.1-test\"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(
        ldiskfs.problems[0].file.as_deref(),
        Some("ldiskfs/kernel_patches/series/ldiskfs-6.12-ml.series")
    );
}

#[test]
fn a_series_that_configure_never_chooses_is_told() {
    let mut place = Place::new(OLD_SHAPE);
    place.write_lustre(
        "config/ldiskfs.m4",
        "LDISKFS_SERIES=\"2.6.1-test.series\"\n",
    );
    let report = place.run();
    let told = check(&report.checks, "ldiskfs series").to_string();
    assert!(!report.fits, "{told}");
    assert!(
        told.contains("2 of 2 patches apply") && told.contains("LDISKFS_SERIES=6.1-test.series"),
        "{told}"
    );
    let option = "configure = [\"LDISKFS_SERIES=6.1-test.series\"]";
    place.target(&TARGET.replace("configure = []", option));
    assert!(place.run().fits);
}

#[test]
fn only_what_lustres_build_takes_from_the_kernel_can_be_patched() {
    let place = Place::new(OLD_SHAPE);
    place.write_kernel("parts/fs/ext4/inode-test.c", "one\n");
    place.write_kernel("parts/fs/jbd2/journal.c", "one\n");
    let patch = |file: &str| format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-one\n+two\n");
    for file in ["fs/ext4/inode-test.c", "fs/jbd2/journal.c"] {
        place.write_lustre(
            "ldiskfs/kernel_patches/patches/base/first.patch",
            &patch(file),
        );
        let report = place.run();
        let ldiskfs = check(&report.checks, "ldiskfs series");
        let told = ldiskfs.to_string();
        assert_eq!(ldiskfs.result, Verdict::Fail, "{told}");
        assert!(
            told.contains(&format!("{file}: the tree has no such file")),
            "{told}"
        );
    }
}

#[test]
fn the_distributions_own_patches_come_first() {
    let place = Place::new(OLD_SHAPE);
    // The kernel series is for a file as the distribution's patch leaves it.
    place.write_kernel("parts/fs/open.c", "one\ntwo\nthree\n");
    place.write_kernel(
        "sources/own.patch",
        "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1,3 +1,3 @@\n-one\n+first\n two\n three\n",
    );
    place.write_lustre(
        "lustre/kernel_patches/patches/core.patch",
        "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1,3 +1,3 @@\n-first\n+1st\n two\n three\n",
    );
    let report = place.run();
    assert_eq!(
        check(&report.checks, "kernel patches").result,
        Verdict::Fail
    );
    let told = check(&report.checks, "kernel patches").to_string();
    assert!(
        told.contains("own.patch") && told.contains("declares no patch"),
        "{told}"
    );
    assert_eq!(check(&report.checks, "kernel series").result, Verdict::Fail);

    let spec = std::fs::read_to_string(place.kernel("sources/kernel.spec")).unwrap();
    place.write_kernel(
        "sources/kernel.spec",
        &spec.replace("Name: kernel\n", "Name: kernel\nPatch1: own.patch\n"),
    );
    let report = place.run();
    assert_eq!(
        check(&report.checks, "kernel patches").message,
        "1 of 1 apply to Linux 6.1.9"
    );
    assert_eq!(check(&report.checks, "kernel series").result, Verdict::Pass);
}

/// Faults of one release: one that an edit mends, two that nothing does, and one in another series than the target's.
const FAULTS: &str = r#"
series = ["6.1-other", "6.1-test"]
[[fault]]
ticket = "LU-1"
title = "names are lost"
severity = "corruption"
does = "in large directories"
since = "1.0"
until = "1.1"
changes = ["0123456789abcdef0123456789abcdef01234567"]
evidence = "e"
mend = [{ overlay = "lustre/t", edits = ["mended"] }]
[[fault]]
ticket = "LU-2"
title = "files are lost"
severity = "data-loss"
does = "when it is Monday"
since = "1.0"
evidence = "e"
[[fault]]
ticket = "LU-3"
title = "it ends"
severity = "crash"
does = "at times"
since = "1.0"
evidence = "e"
[[fault]]
ticket = "LU-5"
title = "levels are miscounted"
severity = "corruption"
does = "in a patch"
since = "1.0"
series = ["6.1-other"]
evidence = "e"
mend = [{ overlay = "lustre/t", edits = ["mended"] }]
"#;

#[test]
fn a_fault_that_costs_data_is_mended_or_accepted_or_nothing_is_built() {
    let mut place = Place::new(OLD_SHAPE);
    place.lustre_version = Some("1.0".to_owned());
    place.specs("lustre/safety.toml", FAULTS);
    place.write_lustre("a.c", "wrong\n");
    let edit = |name: &str| {
        format!(
            "package = \"lustre\"\n[[edit]]\nname = \"{name}\"\nwhy = \"w\"\nfile = \"a.c\"\nanchor = \"wrong\"\n\
             position = \"replace\"\nexpect = 1\ntext = \"right\"\n"
        )
    };
    place.specs("lustre/t/overlay.toml", &edit("mended"));
    // A model is another Lustre.
    assert!(
        place
            .run()
            .checks
            .iter()
            .all(|one| one.check != "known faults")
    );
    let real = |accepts: &str| {
        let lustre = format!("[lustre]\noverlay = \"lustre/t\"\n{accepts}");
        let text = TARGET.replace("[lustre]\n", &lustre);
        text.replace("inherits", "model = \"\"\ninherits")
    };
    for (accepts, name, result, parts) in [
        (
            "",
            "mended",
            Verdict::Fail,
            &[
                "LU-2 (data-loss): files are lost; when it is Monday",
                "accepts = { LU-2",
                "no release has a fix",
            ][..],
        ),
        (
            "",
            "another",
            Verdict::Fail,
            &["LU-1 (corruption)", "LU-2", "1.1 has LU-1 mended"],
        ),
        (
            "accepts = { LU-2 = \"closed on Mondays\" }\n",
            "mended",
            Verdict::Waived,
            &[
                "1 fixed by our edits, 1 accepted, 1 open",
                "accepted: closed on Mondays",
            ],
        ),
        (
            "accepts = { LU-2 = \"x\", LU-4 = \"y\" }\n",
            "mended",
            Verdict::Fail,
            &["lustre.accepts contains LU-4", "correct the ticket"],
        ),
    ] {
        place.specs("lustre/t/overlay.toml", &edit(name));
        place.target(&real(accepts));
        let report = place.run();
        let faults = check(&report.checks, "known faults");
        let told = faults.to_string();
        assert_eq!(
            (faults.result, report.fits),
            (result, result != Verdict::Fail),
            "{told}"
        );
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("LU-3 ("), "{told}");
    }
    // What a series that is none of upstream's is made of, nobody knows: the edit is of a patch that it may not take.
    let of_a_site = FAULTS.replace(", \"6.1-test\"", "");
    place.specs("lustre/safety.toml", &of_a_site);
    place.specs("lustre/t/overlay.toml", &edit("mended"));
    for (accepts, result, part) in [
        (
            "",
            Verdict::Fail,
            "LU-5 (corruption): levels are miscounted; in a patch; open: it may be in the series 6.1-test",
        ),
        (
            ", LU-5 = \"not in ours\"",
            Verdict::Waived,
            "LU-5 (corruption): levels are miscounted; accepted: not in ours",
        ),
    ] {
        place.target(&real(&format!("accepts = {{ LU-2 = \"x\"{accepts} }}\n")));
        let report = place.run();
        let faults = check(&report.checks, "known faults");
        let told = faults.to_string();
        assert_eq!(faults.result, result, "{told}");
        assert!(told.contains(part), "{part}: {told}");
        let compare = "compare the patches of the target's series with those of 6.1-other";
        assert_eq!(told.contains(compare), accepts.is_empty(), "{told}");
    }
    place.specs("lustre/safety.toml", FAULTS);
    place.target(&real("version = \"1.1\"\n"));
    place.lustre_version = Some("1.1".to_owned());
    let told = check(&place.run().checks, "known faults").to_string();
    assert!(!told.contains("LU-1 ") && told.contains("LU-2"), "{told}");
    // Of a folder that somebody may have changed nothing is known.
    place.lustre_version = None;
    assert_eq!(
        check(&place.run().checks, "known faults").result,
        Verdict::NotRun
    );
    // What is meant to be read is read, or nothing is built.
    place.lustre_version = Some("1.0".to_owned());
    place.specs("lustre/safety.toml", "fault = 1\n");
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| place.run()));
    assert!(failed.is_err());
}
