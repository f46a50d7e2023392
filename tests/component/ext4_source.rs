//! The package of ext4 source for Lustre's buildroot: the spec, built by rpmbuild, and what rpm says of the package.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lustre_packaging::archive::pack_tar_gz;
use lustre_repo_tests::command_line::project;

const VERSION: &str = "6.12.0";
const RELEASE: &str = "55.43.1.el10_0";

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot start rpm")?;
    ensure!(
        output.status.success(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds the spec with what the tool tells it, of an archive with `files`; gives the package's path.
fn build(top: &Path, files: &[(&str, &str)]) -> Result<std::path::PathBuf> {
    let name = format!("ext4-source-{VERSION}-{RELEASE}");
    let tree = top.join("tree");
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a file at the root")?)?;
        fs::write(path, text)?;
    }
    let sources = top.join("SOURCES");
    fs::create_dir_all(&sources)?;
    pack_tar_gz(
        &tree,
        &name,
        1_767_225_600,
        &sources.join(format!("{name}.tar.gz")),
    )?;
    output(
        Command::new("rpmbuild")
            .arg("-bb")
            .args(["--define", &format!("_topdir {}", top.display())])
            .args(["--define", &format!("kernel_version {VERSION}")])
            .args(["--define", &format!("kernel_release {RELEASE}")])
            .args([
                "--define",
                &format!("kernel_uname {VERSION}-{RELEASE}.x86_64"),
            ])
            .arg(project().join("specs/kernel/ext4-source/ext4-source.spec"))
            .env("HOME", top),
    )?;
    Ok(top.join(format!("RPMS/noarch/{name}.noarch.rpm")))
}

fn query(package: &Path, arguments: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new("rpm");
    command
        .args(["--query", "--nosignature", "--package"])
        .args(arguments)
        .arg(package);
    Ok(output(&mut command)?.lines().map(str::to_owned).collect())
}

#[test]
fn the_source_lies_beside_the_distributions_kernel_devel() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // As some of the kernel's files do, one says what it is interpreted by: it must stay as it is.
    let script = "#!/bin/sh\n/* source */\n";
    let package = build(
        dir.path(),
        &[
            ("fs/ext4/super.c", script),
            ("fs/ext4/ext4.h", "/* header */\n"),
        ],
    )?;
    let tree = format!("/usr/src/kernels/{VERSION}-{RELEASE}.x86_64");
    assert_eq!(
        query(&package, &["--list"])?,
        [
            format!("{tree}/fs/ext4/ext4.h"),
            format!("{tree}/fs/ext4/super.c")
        ],
        "files alone: the folders are kernel-devel's"
    );
    let requires = query(&package, &["--requires"])?;
    let real: Vec<&String> = requires
        .iter()
        .filter(|one| !one.starts_with("rpmlib("))
        .collect();
    assert_eq!(real, [&format!("kernel-devel = {VERSION}-{RELEASE}")]);
    let content = dir.path().join("content");
    fs::create_dir(&content)?;
    output(
        Command::new("sh")
            .args([
                "-c",
                "rpm2cpio \"$1\" | cpio --extract --make-directories --quiet",
                "sh",
            ])
            .arg(&package)
            .current_dir(&content),
    )?;
    let inside = content.join(format!("{}/fs/ext4/super.c", tree.trim_start_matches('/')));
    assert_eq!(fs::read_to_string(inside)?, script);
    Ok(())
}
