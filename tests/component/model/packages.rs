//! The spec: which packages it gives, and what the macros make of a kernel module package.

use std::fs;

use tempfile::TempDir;

use super::helpers::{RELEASE, kernel_tree, names, rpm_config, rpmspec, spec};

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
