//! The Lustre model and the macros its spec is built with: does the spec give the packages of a server, and do the
//! dependency generators say what a kernel provides and a module needs?
//!
//! No kernel is built here. The modules are small objects with the sections that `modprobe` reads, the kernel a directory
//! with a release and a list of symbol versions.

#![allow(clippy::unwrap_used, reason = "all of it is tests and their helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use walkdir::WalkDir;

const RELEASE: &str = "6.1.176-1.reh12_lustre.x86_64";
const SYMVERS: &str = "0x11111111\tvfs_create\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                       0x22222222\tmnt_source_name\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                       0x0badcafe\tjbd2_log_start\tfs/jbd2/jbd2\tEXPORT_SYMBOL\t\n";

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

fn model() -> PathBuf {
    specs().join("model/lustre")
}

fn macros() -> PathBuf {
    specs().join("distributions/rehearsal/own/kernel-rpm-macros/root/usr/lib/rpm")
}

/// A kernel tree as far as spec and generators look at one.
fn kernel_tree(dir: &Path) -> PathBuf {
    let tree = dir.join("linux");
    fs::create_dir_all(tree.join("include/generated")).unwrap();
    fs::write(
        tree.join("include/generated/utsrelease.h"),
        format!("#define UTS_RELEASE \"{RELEASE}\"\n"),
    )
    .unwrap();
    fs::write(tree.join("Module.symvers"), SYMVERS).unwrap();
    tree
}

/// rpm's own configuration with our macros installed into it, as in the distribution.
fn rpm_config(dir: &Path) -> PathBuf {
    let config = dir.join("rpm");
    for from in [Path::new("/usr/lib/rpm"), &macros()] {
        let done = Command::new("cp")
            .arg("-a")
            .arg(from.join("."))
            .arg(&config)
            .status()
            .unwrap();
        assert!(done.success(), "cannot copy {}", from.display());
    }
    config
}

/// The spec as configure writes it.
fn spec(dir: &Path, tree: &Path) -> PathBuf {
    let text = fs::read_to_string(model().join("lustre.spec.in")).unwrap();
    let text = text
        .replace("@PACKAGE_VERSION@", "2.17.0_model")
        .replace("@LINUX@", tree.to_str().unwrap())
        .replace("@LINUXRELEASE@", "");
    let path = dir.join("lustre.spec");
    fs::write(&path, text).unwrap();
    path
}

fn rpmspec(dir: &Path, config: &Path, arguments: &[&str]) -> Output {
    Command::new("rpmspec")
        .env("RPM_CONFIGDIR", config)
        .env("HOME", dir)
        .arg("--define")
        .arg(format!("_sourcedir {}", model().join("rpm").display()))
        .args(arguments)
        .arg(dir.join("lustre.spec"))
        .output()
        .unwrap()
}

fn names(output: &Output) -> BTreeSet<String> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Runs a generator on one file name, as rpm does.
fn generate(program: &str, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(macros().join(program));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(
        child.stdin.as_mut().unwrap(),
        format!("{}\n", file.display()).as_bytes(),
    )
    .unwrap();
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Compiles a module that exports and needs the given symbols, each with its checksum.
fn module(buildroot: &Path, path: &str, exports: &[(&str, u32)], needs: &[(&str, u32)]) -> PathBuf {
    let file = buildroot.join("lib/modules").join(RELEASE).join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut source = String::from(".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n");
    if !exports.is_empty() {
        source.push_str(".section __ksymtab_strings,\"aMS\",@progbits,1\n");
    }
    for (symbol, _) in exports {
        source.push_str(&format!(".asciz \"{symbol}\"\n"));
    }
    for (symbol, checksum) in exports {
        source.push_str(&format!(
            ".section ___kcrctab_gpl+{symbol},\"a\"\n__crc_{symbol}: .long {checksum}\n"
        ));
        source.push_str(&format!(".text\n.globl {symbol}\n{symbol}: ret\n"));
    }
    if !needs.is_empty() {
        source.push_str(".section __versions,\"a\"\n");
    }
    for (symbol, checksum) in needs {
        source.push_str(&format!(
            "1: .quad {checksum}\n.asciz \"{symbol}\"\n.org 1b + 64\n"
        ));
    }
    let input = file.with_extension("s");
    fs::write(&input, source).unwrap();
    let done = Command::new("gcc")
        .arg("-c")
        .arg(&input)
        .arg("-o")
        .arg(&file)
        .status()
        .unwrap();
    assert!(done.success(), "gcc cannot make {}", file.display());
    fs::remove_file(input).unwrap();
    file
}

#[test]
fn the_spec_gives_the_packages_of_a_server() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let tree = kernel_tree(dir.path());
    spec(dir.path(), &tree);
    let output = rpmspec(dir.path(), &config, &["-q", "--qf", "%{name}\\n"]);
    let expected = [
        "kmod-lustre",
        "kmod-lustre-devel",
        "kmod-lustre-osd-ldiskfs",
        "kmod-lustre-tests",
        "lustre",
        "lustre-devel",
        "lustre-iokit",
        "lustre-osd-ldiskfs-mount",
        "lustre-resource-agents",
        "lustre-tests",
    ];
    assert_eq!(
        names(&output),
        expected.iter().map(|name| (*name).to_owned()).collect()
    );
}

#[test]
fn options_take_packages_away() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let tree = kernel_tree(dir.path());
    spec(dir.path(), &tree);
    let all = names(&rpmspec(dir.path(), &config, &["-q", "--qf", "%{name}\\n"]));
    let gone = |options: &[&str]| -> Vec<String> {
        let mut arguments = options.to_vec();
        arguments.extend(["-q", "--qf", "%{name}\\n"]);
        let left = names(&rpmspec(dir.path(), &config, &arguments));
        all.difference(&left).cloned().collect()
    };
    assert_eq!(
        gone(&["--without", "ldiskfs"]),
        ["kmod-lustre-osd-ldiskfs", "lustre-osd-ldiskfs-mount"]
    );
    assert_eq!(
        gone(&["--without", "servers"]),
        [
            "kmod-lustre-osd-ldiskfs",
            "lustre-osd-ldiskfs-mount",
            "lustre-resource-agents"
        ]
    );
    assert_eq!(
        gone(&["--without", "lustre_tests"]),
        ["kmod-lustre-tests", "lustre-tests"]
    );
    assert_eq!(gone(&["--without", "lustre_iokit"]), ["lustre-iokit"]);
    // An option for a part that the model lacks is no error.
    assert_eq!(
        gone(&["--without", "zfs", "--without", "mpi", "--with", "o2ib"]),
        Vec::<String>::new()
    );
}

#[test]
fn the_kernel_is_the_one_in_kdir() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let tree = kernel_tree(dir.path());
    spec(dir.path(), &tree);
    let output = rpmspec(
        dir.path(),
        &config,
        &["-P", "--define", &format!("kdir {}", tree.display())],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!(
            "/lib/modules/{RELEASE}/extra/lustre-osd-ldiskfs/fs/ldiskfs.ko"
        )),
        "{text}"
    );
    assert!(
        text.contains(&format!("/usr/sbin/depmod -a {RELEASE} || :")),
        "{text}"
    );
    assert!(!text.contains("kernel_module_package "), "{text}");
}

#[test]
fn the_ldiskfs_pair_asks_for_what_upstream_asks_for() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let tree = kernel_tree(dir.path());
    spec(dir.path(), &tree);
    let query = "[%{=name}|%{requirename} %{requireflags:depflags} %{requireversion}\\n]";
    let output = rpmspec(dir.path(), &config, &["-q", "--qf", query]);
    let found = names(&output);
    for line in [
        "lustre|lustre-osd  ",
        "lustre|lustre-osd-mount  ",
        "lustre|kmod-lustre >= 2.17",
        "kmod-lustre-osd-ldiskfs|ldiskfsprogs >= 1.45.6",
        "kmod-lustre-osd-ldiskfs|kmod-lustre = 2.17.0_model",
        "lustre-osd-ldiskfs-mount|ldiskfsprogs >= 1.45.6",
    ] {
        assert!(
            found
                .iter()
                .any(|found| found.trim_end() == line.trim_end()),
            "no {line:?} in {found:#?}"
        );
    }
}

#[test]
fn kernel_module_package_without_options_names_its_package_after_the_source() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let head = "Name: thing\nVersion: 3\nRelease: 4\nSummary: s\nLicense: GPL\n";
    let body = format!(
        "{head}%global kernel_version 6.1\n%description\nd\n%kernel_module_package default\n%files\n"
    );
    fs::write(dir.path().join("lustre.spec"), body).unwrap();
    let output = rpmspec(
        dir.path(),
        &config,
        &["-q", "--qf", "%{name} %{version}-%{release} %{summary}\\n"],
    );
    assert!(
        names(&output).contains("kmod-thing 3-4 Kernel modules of thing"),
        "{output:?}"
    );
}

#[test]
fn a_kernel_flavour_that_is_not_there_stops_the_spec() {
    let dir = TempDir::new().unwrap();
    let config = rpm_config(dir.path());
    let head = "Name: thing\nVersion: 3\nRelease: 4\nSummary: s\nLicense: GPL\n";
    let body = format!(
        "{head}%global kernel_version 6.1\n%description\nd\n%kernel_module_package debug\n%files\n"
    );
    fs::write(dir.path().join("lustre.spec"), body).unwrap();
    let output = rpmspec(dir.path(), &config, &["-q"]);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("no kernel flavour debug"), "{words}");
}

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
