//! The same overlays on real specs. Nothing of them is part of the project, so whoever has some says where:
//!
//! ```text
//! EL_KERNELS=FOLDER [LUSTRE_GIT=REPOSITORY] cargo test -p lustre-repo-tests --test component el_kernels -- --nocapture
//! ```
//!
//! With `EL_KERNEL_GIT=REPOSITORY`, a clone with one tag for each kernel and its source package's files in a folder of the tree, all
//! specs of that are looked at as well, from the first release on whose shape the overlays are made for.
//!
//! `FOLDER` holds one folder for each source package, named `kernel-VERSION-RELEASE` (with `-` and a remark behind it where there
//! are several of one release): its `kernel.spec` and the config that the overlay names. `REPOSITORY` is a clone of Lustre's, whose
//! own series are collated then; without it a series of one patch stands for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::overlay::{Inputs, Overlay};
use lustre_packaging::process;
use lustre_repo_tests::version_order::check_above;

use super::{check_parsed, overlay, rpmspec};

/// The series of a release of the distribution: where Lustre has it, and since when.
fn series(el: u32) -> (&'static str, &'static str, &'static str) {
    match el {
        8 => ("8.10", "4.18-rhel8.10", "2.16.0-RC1"),
        9 => ("9.6", "5.14-rhel9.6", "2.17.0"),
        _ => ("10.2", "6.12-rhel10.2", "master"),
    }
}

fn lustre(el: u32, folder: &Path) -> Result<()> {
    let (_, name, revision) = series(el);
    fs::create_dir_all(folder)?;
    if let Some(repository) = std::env::var_os("LUSTRE_GIT") {
        let archive = process::output(Command::new("git").arg("-C").arg(repository).args([
            "archive",
            revision,
            "lustre/kernel_patches",
        ]))?;
        let file = folder.join("kernel_patches.tar");
        fs::write(&file, archive)?;
        process::output(
            Command::new("tar")
                .arg("-xf")
                .arg(&file)
                .arg("-C")
                .arg(folder),
        )?;
        return Ok(());
    }
    let patches = folder.join("lustre/kernel_patches");
    for part in ["series", "patches"] {
        fs::create_dir_all(patches.join(part))?;
    }
    fs::write(patches.join(format!("series/{name}.series")), "one.patch\n")?;
    Ok(fs::write(
        patches.join("patches/one.patch"),
        "--- a/fs/a.c\n+++ b/fs/a.c\n@@ -1,3 +1,4 @@\n one\n+patched\n two\n three\n",
    )?)
}

/// Checks one folder, and gives the line that says how it went.
fn check(folder: &Path, name: &str, scratch: &Path) -> Result<String> {
    let (version, release) = name
        .strip_prefix("kernel-")
        .and_then(|rest| rest.split_once('-'))
        .with_context(|| format!("`{name}` is not kernel-VERSION-RELEASE"))?;
    let release = release.split('-').next().unwrap_or(release);
    let el: u32 = release
        .rsplit_once(".el")
        .and_then(|(_, behind)| behind.split(['_', '.']).next()?.parse().ok())
        .with_context(|| format!("`{release}` is no release of Enterprise Linux"))?;
    let (overlay, vars) = overlay(el, &[])?.for_release(release)?;
    let mut inputs = Inputs::default();
    inputs.vars.extend(vars);
    // The hook lines are what is checked here, and older minor releases have no series any more.
    let (minor, _, revision) = series(el);
    for (key, value) in [
        ("minor", minor),
        ("version", version),
        ("release", release),
        ("arch", "x86_64"),
    ] {
        inputs.vars.insert(key.to_owned(), value.to_owned());
    }
    let tree = scratch.join("lustre");
    lustre(el, &tree)?;
    inputs.roots.insert("lustre".to_owned(), tree);
    let out = scratch.join("out");
    let prepared = overlay.prepare(folder, &out, &inputs)?;
    let edits = overlay.manifest.edit.len();
    let merged = prepared.config.context("an intended config")?;
    ensure!(
        merged.text.starts_with("# x86_64\n"),
        "the config's first line is gone"
    );
    let patch = fs::read(out.join(format!("patch-{version}-lustre.patch")))?;
    let size = patch.len();

    // A spec that rpm refuses as the distribution's repository has it says nothing about ours.
    if let Err(error) = parse(&overlay, el, &folder.join("kernel.spec")) {
        return Ok(format!(
            "{name}: {edits} edits land; rpmspec cannot read the spec as it came: {}",
            error.to_string().lines().last().unwrap_or_default()
        ));
    }
    let evr = rpmspec(
        &overlay,
        el,
        &prepared.spec,
        &["-q", "--srpm", "--qf", "%{version}-%{release}"],
    )?;
    check_above(&evr, &format!("{version}-{release}"))?;
    check_parsed(&parse(&overlay, el, &prepared.spec)?, version)?;
    Ok(format!(
        "{name}: {edits} edits land, rpmspec reads it as {evr}; series of Lustre {revision}: {size} bytes"
    ))
}

fn parse(overlay: &Overlay, el: u32, spec: &Path) -> Result<String> {
    rpmspec(overlay, el, spec, &["-P"])
}

#[test]
#[cfg_attr(not(el_kernels), ignore = "needs EL_KERNELS=FOLDER with real specs")]
fn all_edits_land_in_real_specs() -> Result<()> {
    let folder = std::env::var_os("EL_KERNELS").context("EL_KERNELS names no folder")?;
    let mut kernels: Vec<_> = fs::read_dir(&folder)?.collect::<std::io::Result<_>>()?;
    kernels.sort_by_key(fs::DirEntry::file_name);
    ensure!(
        !kernels.is_empty(),
        "there is nothing in {}",
        Path::new(&folder).display()
    );
    for kernel in kernels {
        let name = kernel.file_name().to_string_lossy().into_owned();
        let scratch = tempfile::tempdir()?;
        let line = check(&kernel.path(), &name, scratch.path()).with_context(|| name.clone())?;
        println!("{line}");
    }
    Ok(())
}

fn git(arguments: &[&str]) -> Result<Vec<u8>> {
    let repository = std::env::var_os("EL_KERNEL_GIT").context("EL_KERNEL_GIT names no clone")?;
    let mut command = Command::new("git");
    Ok(process::output(
        command.arg("-C").arg(repository).args(arguments),
    )?)
}

/// Whether the overlays are made for specs of this release: those of Enterprise Linux 9 have their shape from 9.2 on.
fn has_the_shape(release: &str) -> bool {
    let Some((_, minor)) = release.rsplit_once(".el") else {
        return false;
    };
    match minor.split_once('_') {
        Some(("9", minor)) => minor.parse::<u32>().is_ok_and(|minor| minor >= 2),
        Some((major, _)) => major == "8" || major == "10",
        None => false,
    }
}

#[test]
#[cfg_attr(
    not(el_kernel_git),
    ignore = "needs EL_KERNEL_GIT=REPOSITORY with real specs"
)]
fn all_edits_land_in_the_specs_of_a_clone() -> Result<()> {
    let tags = String::from_utf8(git(&["tag"])?)?;
    let mut checked = 0;
    for tag in tags.lines().filter(|tag| has_the_shape(tag)) {
        let files = String::from_utf8(git(&["ls-tree", "-r", "--name-only", tag])?)?;
        let Some(spec) = files.lines().find(|path| path.ends_with("/kernel.spec")) else {
            continue;
        };
        let Ok(text) = git(&["cat-file", "blob", &format!("{tag}:{spec}")]) else {
            println!("{tag}: the clone does not have the spec");
            continue;
        };
        let dir = tempfile::tempdir()?;
        let folder = dir.path().join(format!("kernel-{tag}"));
        fs::create_dir(&folder)?;
        fs::write(folder.join("kernel.spec"), text)?;
        let package = Path::new(spec)
            .parent()
            .context("a folder")?
            .display()
            .to_string();
        for config in ["kernel-x86_64.config", "kernel-x86_64-rhel.config"] {
            if let Ok(text) = git(&["cat-file", "blob", &format!("{tag}:{package}/{config}")]) {
                fs::write(folder.join(config), text)?;
            }
        }
        let scratch = tempfile::tempdir()?;
        let line = check(&folder, &format!("kernel-{tag}"), scratch.path())
            .with_context(|| tag.to_owned())?;
        println!("{line}");
        checked += 1;
    }
    ensure!(checked > 0, "no tag has a spec");
    Ok(())
}
