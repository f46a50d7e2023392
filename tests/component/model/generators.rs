//! The dependency generators: what a kernel provides and what a module provides and needs.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::helpers::{RELEASE, SYMVERS, generate, kernel_tree, lines, module, rpm_config};

#[test]
fn a_kernel_provides_every_exported_symbol() {
    let dir = TempDir::new().unwrap();
    let plain = dir.path().join("symvers");
    fs::write(&plain, SYMVERS).unwrap();
    let expected = [
        "kernel(jbd2_log_start) = 0x0badcafe",
        "kernel(mnt_source_name) = 0x22222222",
        "kernel(vfs_create) = 0x11111111",
    ];
    assert_eq!(lines(&generate("ksymvers-provides", &[], &plain)), expected);

    assert!(
        Command::new("gzip")
            .arg("-n")
            .arg("-k")
            .arg(&plain)
            .status()
            .unwrap()
            .success()
    );
    let packed = dir.path().join("symvers.gz");
    assert_eq!(
        lines(&generate("ksymvers-provides", &[], &packed)),
        expected
    );
}

#[test]
fn a_broken_list_of_symbol_versions_is_an_error() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("symvers");
    fs::write(&file, format!("{SYMVERS}<html>\n")).unwrap();
    let output = generate("ksymvers-provides", &[], &file);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("line 4"),
        "{output:?}"
    );
}

#[test]
fn rpmbuild_stops_when_a_generator_fails() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let build = |content: &str| {
        let spec = format!(
            "Name: t\nVersion: 1\nRelease: 1\nSummary: s\nLicense: GPL\nBuildArch: noarch\n%description\nd\n\
             %install\nmkdir -p %{{buildroot}}/boot\nprintf '{content}' > %{{buildroot}}/boot/symvers-6.1\n\
             %files\n/boot/symvers-6.1\n"
        );
        fs::write(dir.path().join("t.spec"), spec).unwrap();
        Command::new("rpmbuild")
            .env("RPM_CONFIGDIR", &config)
            .env("HOME", dir.path())
            .args(["-bb", "--define"])
            .arg(format!("_topdir {}", dir.path().join("top").display()))
            .arg(dir.path().join("t.spec"))
            .output()
            .unwrap()
    };
    let good = build("0x11111111\\tvfs_create\\tvmlinux\\tEXPORT_SYMBOL\\n");
    assert!(good.status.success(), "{good:?}");
    assert!(
        String::from_utf8_lossy(&good.stdout).contains("kernel(vfs_create) = 0x11111111"),
        "{good:?}"
    );
    let bad = build("nothing of that kind\\n");
    assert!(!bad.status.success());
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("line 1: no symbol version"),
        "{bad:?}"
    );
}

#[test]
fn a_module_provides_its_name_and_its_symbols() {
    let dir = TempDir::new().unwrap();
    let ko = module(
        dir.path(),
        "extra/lustre/fs/obdclass.ko",
        &[("class_put", 0x1234), ("class_attach", 0xfeed_beef)],
        &[],
    );
    assert_eq!(
        lines(&generate("kmod-deps", &["provides"], &ko)),
        [
            "kmod(obdclass.ko)",
            "ksym(class_attach) = 0xfeedbeef",
            "ksym(class_put) = 0x00001234"
        ]
    );
    // The kernel's own modules are listed by its symbol versions already.
    let ko = module(
        dir.path(),
        "kernel/fs/jbd2/jbd2.ko",
        &[("jbd2_log_start", 0x0bad_cafe)],
        &[],
    );
    assert_eq!(
        lines(&generate("kmod-deps", &["provides"], &ko)),
        ["kmod(jbd2.ko)"]
    );
}

#[test]
fn a_module_requires_the_kernel_and_other_packages_but_not_its_own() {
    let dir = TempDir::new().unwrap();
    let tree = kernel_tree(dir.path());
    module(
        dir.path(),
        "extra/lustre-osd-ldiskfs/fs/ldiskfs.ko",
        &[("ldiskfs_volume_label", 0x77)],
        &[],
    );
    let ko = module(
        dir.path(),
        "extra/lustre-osd-ldiskfs/fs/osd_ldiskfs.ko",
        &[],
        &[
            ("class_register_osd", 0x5555_0000),
            ("ldiskfs_volume_label", 0x77),
            ("mnt_source_name", 0x2222_2222),
            ("vfs_create", 0x1111_1111),
        ],
    );
    assert_eq!(
        lines(&generate(
            "kmod-deps",
            &["requires", tree.to_str().unwrap()],
            &ko
        )),
        [
            "kernel(mnt_source_name) = 0x22222222",
            "kernel(vfs_create) = 0x11111111",
            "ksym(class_register_osd) = 0x55550000",
        ]
    );
}

#[test]
fn a_module_that_exports_nothing_provides_its_name_only() {
    let dir = TempDir::new().unwrap();
    let ko = module(
        dir.path(),
        "extra/lustre/fs/lustre.ko",
        &[],
        &[("vfs_create", 0x1111_1111)],
    );
    assert_eq!(
        lines(&generate("kmod-deps", &["provides"], &ko)),
        ["kmod(lustre.ko)"]
    );
}

#[test]
fn a_file_that_is_no_module_is_an_error() {
    let dir = TempDir::new().unwrap();
    let ko = dir.path().join("lib/modules/6.1/extra/lustre.ko");
    fs::create_dir_all(ko.parent().unwrap()).unwrap();
    fs::write(&ko, "no ELF").unwrap();
    for mode in ["provides", "requires"] {
        let output = generate(
            "kmod-deps",
            &[mode, kernel_tree(dir.path()).to_str().unwrap()],
            &ko,
        );
        assert!(!output.status.success(), "{mode}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("lustre.ko"),
            "{mode}: {output:?}"
        );
    }
}

#[test]
fn a_symbol_with_another_checksum_stays_a_requirement_on_a_kernel() {
    let dir = TempDir::new().unwrap();
    let tree = kernel_tree(dir.path());
    let ko = module(
        dir.path(),
        "extra/lustre/fs/lustre.ko",
        &[],
        &[("vfs_create", 0x9999_9999)],
    );
    assert_eq!(
        lines(&generate(
            "kmod-deps",
            &["requires", tree.to_str().unwrap()],
            &ko
        )),
        ["kernel(vfs_create) = 0x99999999"]
    );
}

#[test]
fn a_module_without_symbol_versions_is_an_error() {
    let dir = TempDir::new().unwrap();
    let tree = kernel_tree(dir.path());
    let ko = module(dir.path(), "extra/lustre/fs/lustre.ko", &[], &[]);
    let output = generate("kmod-deps", &["requires", tree.to_str().unwrap()], &ko);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("CONFIG_MODVERSIONS"),
        "{output:?}"
    );
}

#[test]
fn a_missing_kernel_tree_is_an_error_that_names_the_kernel() {
    let dir = TempDir::new().unwrap();
    let ko = module(
        dir.path(),
        "extra/lustre/fs/lustre.ko",
        &[],
        &[("vfs_create", 1)],
    );
    let output = generate("kmod-deps", &["requires"], &ko);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(RELEASE),
        "{output:?}"
    );
}
