//! The rehearsal kernel's overlay on the rehearsal kernel's spec, with the real rpmbuild and patch. The kernel itself is a
//! stand-in of a few files here, so that `%prep` takes a moment; the whole build belongs to the end-to-end test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lustre_packaging::overlay::{Inputs, Overlay, Prepared};
use lustre_packaging::process;
use lustre_repo_tests::version_order::check_above;

const VERSION: &str = "6.1.176";
const BASE_RELEASE: &str = "1.reh12";
const RELEASE: &str = "1.reh12_lustre";

/// A makefile that does with a config what kconfig does: options nobody declares are gone.
const MAKEFILE: &str = "VERSION = 6\nEXTRAVERSION =\n\nolddefconfig:\n\
    \tgrep -vE '^CONFIG_(IOSCHED_DEADLINE|DEFAULT_IOSCHED@)=' .config >.config.new\n\tmv .config.new .config\n";

const PATCH: &str =
    "--- a/fs/namespace.c\n+++ b/fs/namespace.c\n@@ -1,3 +1,4 @@\n one\n+patched\n two\n three\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

struct Place {
    dir: tempfile::TempDir,
    overlay: Overlay,
    inputs: Inputs,
}

impl Place {
    /// Sources with a stand-in kernel whose config drops `dropped` as well as the old scheduler options.
    fn new(dropped: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = dir.path();
        let linux = root.join(format!("linux-{VERSION}"));
        let write = |path: PathBuf, text: &str| -> Result<()> {
            fs::create_dir_all(path.parent().context("a path with a folder")?)?;
            Ok(fs::write(path, text)?)
        };
        write(linux.join("Makefile"), &MAKEFILE.replace('@', dropped))?;
        write(linux.join("fs/namespace.c"), "one\ntwo\nthree\n")?;
        let specs = repository().join("specs");
        let overlay = Overlay::load_in(&specs, &specs.join("kernel/rehearsal"), &[])?;
        let config = overlay
            .manifest
            .config
            .as_ref()
            .context("a kernel overlay has a config")?;
        let fragment = fs::read_to_string(overlay.folder.join(&config.fragments[0]))?;
        let declared: String = fragment
            .lines()
            .filter_map(|line| line.split_once("CONFIG_"))
            .filter_map(|(_, rest)| rest.split(['=', ' ']).next())
            .filter(|name| !name.contains("IOSCHED") || *name == "MQ_IOSCHED_DEADLINE")
            .map(|name| format!("config {name}\n"))
            .collect();
        write(linux.join("Kconfig"), &declared)?;
        let sources = root.join("sources");
        fs::create_dir(&sources)?;
        let package = repository().join("specs/distributions/rehearsal/kernel");
        for entry in fs::read_dir(&package)? {
            let entry = entry?;
            fs::copy(entry.path(), sources.join(entry.file_name()))?;
        }
        let tarball = sources.join(format!("linux_{VERSION}.orig.tar.xz"));
        process::output(
            Command::new("tar")
                .arg("-cJf")
                .arg(&tarball)
                .arg("-C")
                .arg(root)
                .arg(format!("linux-{VERSION}")),
        )?;
        let patches = root.join("lustre/lustre/kernel_patches");
        write(
            patches.join("series/6.1-rehearsal.series"),
            "# one\nnamespace.patch\n",
        )?;
        write(patches.join("patches/namespace.patch"), PATCH)?;
        let mut inputs = Inputs::default();
        for (name, value) in [
            ("version", VERSION),
            ("release", RELEASE),
            ("arch", "x86_64"),
        ] {
            inputs.vars.insert(name.to_owned(), value.to_owned());
        }
        inputs
            .roots
            .insert("lustre".to_owned(), root.join("lustre"));
        Ok(Place {
            dir,
            overlay,
            inputs,
        })
    }

    fn prepare(&self) -> Result<Prepared> {
        let root = self.dir.path();
        Ok(self.overlay.prepare(
            &root.join("sources"),
            &root.join("top/SOURCES"),
            &self.inputs,
        )?)
    }

    /// rpm's program `name`, with no option that decides what is built: that is in the spec.
    fn rpm(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let top = self.dir.path().join("top");
        command.args(["--define", &format!("_topdir {}", top.display())]);
        command
    }

    fn prep(&self, prepared: &Prepared) -> Result<PathBuf> {
        process::output(
            self.rpm("rpmbuild")
                .args(["-bp", "--nodeps", "--target", "x86_64"])
                .arg(&prepared.spec),
        )?;
        Ok(self.dir.path().join("top/BUILD"))
    }
}

#[test]
fn our_kernel_sorts_above_the_distributions() -> Result<()> {
    let place = Place::new("")?;
    let prepared = place.prepare()?;
    let names = process::output(
        place
            .rpm("rpmspec")
            .args([
                "-q",
                "--target",
                "x86_64",
                "--qf",
                "%{name} %{version}-%{release}\n",
            ])
            .arg(&prepared.spec),
    )?;
    let names = String::from_utf8(names)?;
    let expected: String = ["kernel", "kernel-core", "kernel-modules", "kernel-devel"]
        .iter()
        .map(|name| format!("{name} {VERSION}-{RELEASE}\n"))
        .collect();
    assert_eq!(names, expected);
    let [ours, base] = [RELEASE, BASE_RELEASE].map(|release| format!("{VERSION}-{release}"));
    check_above(&ours, &base)?;
    Ok(())
}

#[test]
fn prep_applies_the_series_and_uses_the_merged_config() -> Result<()> {
    let place = Place::new("")?;
    let prepared = place.prepare()?;
    let build = place.prep(&prepared)?;
    let tree = build.join(format!(
        "kernel-{VERSION}-{RELEASE}/linux-{VERSION}-{RELEASE}.x86_64"
    ));
    let source = fs::read_to_string(tree.join("fs/namespace.c"))?;
    assert_eq!(source, "one\npatched\ntwo\nthree\n");
    let makefile = fs::read_to_string(tree.join("Makefile"))?;
    ensure!(
        makefile.contains(&format!("EXTRAVERSION = -{RELEASE}.x86_64\n")),
        "{makefile}"
    );
    let merged = prepared.config.context("a merged config")?;
    let comparison = place
        .overlay
        .compare_config(&merged, &build, &place.inputs)?;
    assert_eq!(comparison.fragments, []);
    assert_eq!(comparison.base, []);
    assert_eq!(
        comparison.skipped,
        ["CONFIG_DEFAULT_IOSCHED", "CONFIG_IOSCHED_DEADLINE"]
    );
    Ok(())
}

#[test]
fn an_option_the_build_dropped_is_found() -> Result<()> {
    let place = Place::new("|DM_FLAKEY")?;
    let prepared = place.prepare()?;
    let build = place.prep(&prepared)?;
    let merged = prepared.config.context("a merged config")?;
    let comparison = place
        .overlay
        .compare_config(&merged, &build, &place.inputs)?;
    let shown: Vec<String> = comparison
        .fragments
        .iter()
        .map(ToString::to_string)
        .collect();
    ensure!(
        matches!(&shown[..], [one] if one.starts_with("CONFIG_DM_FLAKEY: wanted m (lustre.config, line ")),
        "{shown:?}"
    );
    Ok(())
}

#[test]
fn the_source_package_carries_the_overlay_and_ext4_goes_to_the_devel_tree() -> Result<()> {
    let place = Place::new("")?;
    let prepared = place.prepare()?;
    process::output(
        place
            .rpm("rpmbuild")
            .args(["-bs", "--nodeps", "--target", "x86_64"])
            .arg(&prepared.spec),
    )?;
    let srpm = place
        .dir
        .path()
        .join(format!("top/SRPMS/kernel-{VERSION}-{RELEASE}.src.rpm"));
    let files = String::from_utf8(process::output(
        Command::new("rpm").args(["-qpl"]).arg(&srpm),
    )?)?;
    for file in [
        "kernel-x86_64.config",
        "kernel.spec",
        "linux-kernel-test.patch",
        "linux_6.1.176.orig.tar.xz",
        "patch-6.1.176-lustre.patch",
    ] {
        ensure!(
            files.lines().any(|line| line == file),
            "{file} is not in {files}"
        );
    }
    let parsed = String::from_utf8(process::output(
        place
            .rpm("rpmspec")
            .args(["-P", "--target", "x86_64"])
            .arg(&prepared.spec),
    )?)?;
    let (copy, before_move) = parsed
        .split_once("cp -a fs/ext4/*.[ch] $RPM_BUILD_ROOT/lib/modules/$KernelVer/build/fs/ext4")
        .context("the copy of ext4")?;
    ensure!(
        copy.contains("mkdir -p $build"),
        "the copy comes before there is a devel tree"
    );
    ensure!(
        before_move.contains("mv $build $RPM_BUILD_ROOT$DevelDir"),
        "the copy comes after the devel tree was moved"
    );
    Ok(())
}

#[test]
fn an_overlay_on_its_own_result_is_refused() -> Result<()> {
    let place = Place::new("")?;
    let prepared = place.prepare()?;
    let again = place.dir.path().join("again");
    let error = place
        .overlay
        .prepare(&prepared.folder, &again, &place.inputs)
        .err()
        .context("it was applied twice")?;
    ensure!(error.to_string().contains("already present"), "{error}");
    ensure!(!again.exists(), "something was left behind");
    Ok(())
}
