//! The whole pipeline of three targets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::lock::{Lock, PackagePin};
use lustre_packaging::process;
use lustre_repo_tests::stand_in::mirror::{LATER, SWIG};
use lustre_repo_tests::stand_in::world::{Wanted, World};
use lustre_repo_tests::version_order::check_above;

use super::{GUIDE, PATCHED, PATCHLESS, alone, said};

/// The packages of a finished repository: their names, with version-release and file.
type Packages = BTreeMap<String, (String, PathBuf)>;

/// Makes the repository of the target and gives its packages for servers.
fn made(wanted: &Wanted) -> Result<(World, Packages)> {
    let world = World::new(wanted)?;
    let output = world.output();
    let output = output.to_str().context("a path in UTF-8")?;
    let run = world.run("repo", &["--output", output])?;
    ensure!(run.code == 0, "{}", said(&run));
    let mut packages = Packages::new();
    for entry in fs::read_dir(world.output().join("x86_64/Packages"))? {
        let path = entry?.path();
        let found = rpm(&path, &["--queryformat", "%{NAME} %{VERSION}-%{RELEASE}"])?;
        let (name, version) = found.split_once(' ').context("a name and a version")?;
        packages.insert(name.to_owned(), (version.to_owned(), path.clone()));
    }
    proofs(&world)?;
    lock(&world)?;
    Ok((world, packages))
}

fn rpm(package: &Path, query: &[&str]) -> Result<String> {
    let mut command = Command::new("rpm");
    command.args(["--query", "--nosignature"]).args(query);
    let out = process::output(command.arg("--package").arg(package))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Every proof was made and none failed.
fn proofs(world: &World) -> Result<()> {
    let path = world.output().join("proof.json");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    let checks = report["checks"]
        .as_array()
        .context("proof.json has no checks")?;
    ensure!(checks.len() > 10, "only {} checks", checks.len());
    for check in checks {
        let result = check["result"].as_str().unwrap_or_default();
        ensure!(result != "fail", "{check}");
    }
    let manifest = fs::read_to_string(world.output().join("manifest.json"))?;
    ensure!(
        manifest.contains("review.whamcloud.com") && manifest.contains("127.0.0.1"),
        "the mirrors are not in the manifest"
    );
    Ok(())
}

/// What a builder has in its configuration of the environment; of packages it knows nothing.
const ENVIRONMENT: &str = "%_topdir /builddir/build
%_buildhost builder.lustre-repo
%use_source_date_epoch_as_buildtime 1
%clamp_mtime_to_source_date_epoch 1
%build_mtime_policy clamp_to_source_date_epoch
%source_date_epoch_from_changelog 0
%_smp_mflags -j${RPM_BUILD_NCPUS}
";

/// In the buildroot of a stage, with the source packages that it builds in `/srv/srpms`. `$1` are the macros.
const REBUILD: &str = "printf %s \"$1\" >~/.rpmmacros
rpmbuild --rebuild /srv/srpms/*.src.rpm >log 2>&1 || { tail -n 60 log >&2; exit 1; }
cd build/RPMS; sha256sum */*.rpm";

/// Rebuilds the source package of a stage as a stranger would, without any option, and compares the packages with those of the
/// repository before they were signed.
fn rebuilt(world: &World, stage: &str) -> Result<()> {
    let run = world.run(
        "shell",
        &[stage, "--", "sh", "-c", REBUILD, "sh", ENVIRONMENT],
    )?;
    ensure!(run.code == 0, "{}", said(&run));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(world.output().join("manifest.json"))?)?;
    let packages = manifest["packages"]
        .as_array()
        .context("the manifest has no packages")?;
    let unsigned = |package: &serde_json::Value| -> Option<(String, String)> {
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        Some((text("nevra")?, text("sha256_unsigned")?))
    };
    let mut wanted: BTreeMap<String, String> = packages
        .iter()
        .filter(|package| package["stage"] == stage)
        .filter_map(unsigned)
        .filter(|(name, _)| !name.ends_with(".src"))
        .collect();
    ensure!(wanted.len() > 3, "{stage}: {wanted:?}");
    for line in run.stdout.lines() {
        let (digest, path) = line.split_once("  ").context("a digest and a file")?;
        let file = path.rsplit('/').next().unwrap_or(path);
        let name = file.strip_suffix(".rpm").unwrap_or(file);
        // What is built and not published, such as the packages of a build's own use, is not in the manifest.
        if let Some(digest_then) = wanted.remove(name) {
            ensure!(
                digest == digest_then,
                "{file} of the rebuilt source package of {stage} is not the package of the repository"
            );
        }
    }
    ensure!(
        wanted.is_empty(),
        "the rebuilt source package of {stage} made no {wanted:?}: {}",
        said(&run)
    );
    Ok(())
}

/// The lock names the distribution's places, not the mirrors, and takes the default stream of a module.
fn lock(world: &World) -> Result<()> {
    let text = fs::read_to_string(world.lock())?;
    ensure!(!text.contains("127.0.0.1"), "the lock names a mirror");
    ensure!(text.contains("https://dl.rockylinux.org/"), "{text}");
    let default = format!("swig-{}-", SWIG[0].1);
    if world.release.el == 8 {
        ensure!(
            text.contains(&default),
            "the lock has another swig than {default}"
        );
        ensure!(
            text.contains("modules-appstream"),
            "the lock has no modules"
        );
    }
    Ok(())
}

fn one<'p>(packages: &'p Packages, name: &str) -> Result<&'p (String, PathBuf)> {
    packages
        .get(name)
        .with_context(|| format!("no {name} among {:?}", packages.keys()))
}

/// What holds for each kernel of ours.
fn patched(world: &World, packages: &Packages, release: &str) -> Result<()> {
    let (version, core) = one(packages, "kernel-core")?;
    ensure!(
        version == &format!("{}-{release}", world.release.version),
        "{version}"
    );
    check_above(version, &world.release.kernel())?;
    for name in world.release.kernel_packages() {
        one(packages, name)?;
    }
    let uname = format!("{version}.x86_64");
    let files = rpm(core, &["--list"])?;
    ensure!(
        files.contains(&format!("/lib/modules/{uname}/vmlinuz")),
        "{files}"
    );
    let devel = rpm(&one(packages, "kernel-devel")?.1, &["--list"])?;
    let ext4 = |file: &str| {
        devel
            .lines()
            .any(|line| line == format!("/usr/src/kernels/{uname}/fs/ext4/{file}"))
    };
    ensure!(
        ext4("super.c") && ext4("ext4.h"),
        "kernel-devel has no source of ext4"
    );
    // What the build made in that folder is no source.
    for made in ["/ext4-inode-test", ".mod.c"] {
        let found = devel
            .lines()
            .find(|line| line.contains("/fs/ext4/") && line.contains(made));
        ensure!(found.is_none(), "kernel-devel has {found:?}");
    }
    Ok(())
}

/// What holds for Lustre's modules: they are of this kernel, and ldiskfs is among them.
fn modules(packages: &Packages, uname: &str) -> Result<()> {
    let files = rpm(&one(packages, "kmod-lustre-osd-ldiskfs")?.1, &["--list"])?;
    for module in ["ldiskfs.ko", "osd_ldiskfs.ko"] {
        let found = files.lines().any(|line| {
            line.starts_with(&format!("/lib/modules/{uname}/"))
                && line.ends_with(&format!("/{module}"))
        });
        ensure!(found, "no {module} for {uname} in\n{files}");
    }
    let requires = rpm(&one(packages, "kmod-lustre")?.1, &["--requires"])?;
    ensure!(
        requires.contains("kernel(") && requires.contains("mnt_source_name"),
        "{requires}"
    );
    Ok(())
}

fn tools(packages: &Packages, version: &str) -> Result<()> {
    let (found, path) = one(packages, "e2fsprogs")?;
    ensure!(found.starts_with(version), "{found}");
    ensure!(rpm(path, &["--provides"])?.contains("ldiskfsprogs = "));
    Ok(())
}

/// A later kernel of the distribution was installed beside the one that has Lustre's modules, and is not what boots.
fn guarded(world: &World, ours: &str, later: &str) -> Result<()> {
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(world.output().join("proof.json"))?)?;
    let checks = report["checks"]
        .as_array()
        .context("proof.json has no checks")?;
    let check = checks
        .iter()
        .find(|check| check["name"] == "kernel-guard")
        .context("proof.json has no check of the kernel guard")?;
    let note = format!("{ours} stays the default with {later}, which is it without the guard");
    ensure!(
        check["result"] == "pass" && check["message"] == note.as_str(),
        "{check}"
    );
    let lock = Lock::read(&world.lock())?.context("a lock")?;
    let version = later.strip_suffix(".x86_64").unwrap_or(later);
    let pinned = |pin: &&PackagePin| pin.name == "kernel-core" && pin.version == version;
    ensure!(
        lock.package.iter().filter(pinned).count() == 1,
        "the lock does not pin kernel-core-{later}"
    );
    Ok(())
}

#[test]
fn the_guide_for_8_10() -> Result<()> {
    let _alone = alone();
    let (world, packages) = made(&GUIDE)?;
    patched(&world, &packages, "553.22.1.el8_10_lustre")?;
    modules(&packages, "4.18.0-553.22.1.el8_10_lustre.x86_64")?;
    tools(&packages, "1.47.0-100.wc1.el8")?;
    ensure!(one(&packages, "lustre")?.0 == "2.16.0_RC1-1.el8");
    Ok(())
}

#[test]
fn a_patched_kernel_for_9_6() -> Result<()> {
    let _alone = alone();
    let (world, packages) = made(&PATCHED)?;
    patched(&world, &packages, "570.58.1_lustre.el9_6")?;
    modules(&packages, "5.14.0-570.58.1_lustre.el9_6.x86_64")?;
    tools(&packages, "1.47.3-100.wc2.el9")?;
    ensure!(one(&packages, "lustre")?.0 == "2.17.0-1.el9");
    // The kernel takes minutes, and its spec is held against the overlay's options in `el_kernels`.
    for stage in ["e2fsprogs", "lustre"] {
        rebuilt(&world, stage)?;
    }
    Ok(())
}

#[test]
fn the_distribution_s_own_kernel_for_10_0() -> Result<()> {
    let _alone = alone();
    let (world, packages) = made(&PATCHLESS)?;
    let kernels: Vec<&String> = packages
        .keys()
        .filter(|name| name.starts_with("kernel"))
        .collect();
    ensure!(kernels.is_empty(), "the repository has {kernels:?}");
    ensure!(!packages.contains_key("ext4-source"));
    modules(&packages, "6.12.0-55.41.1.el10_0.x86_64")?;
    tools(&packages, "1.47.3-100.wc2.el10")?;
    ensure!(one(&packages, "lustre")?.0 == "2.17.0-1.el10");
    guarded(
        &world,
        "6.12.0-55.41.1.el10_0.x86_64",
        &format!("6.12.0-{LATER}.el10_0.x86_64"),
    )
}
