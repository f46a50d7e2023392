//! The stand-in's kernels: source packages that build, with the hook lines, names, versions and releases of Enterprise Linux's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lustre_distro::srpm::SpecTools;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::build::workdir::{Settings, Workdir};

use crate::command_line::project;

/// A minor release of the distribution that is stood in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its major release.
    pub el: u32,
    /// Its minor release.
    pub minor: u32,
    /// The kernel's version.
    pub version: &'static str,
    /// The kernel's release, without the distribution's tag.
    pub number: &'static str,
}

/// The kernel of the target `rocky-8.10-guide`.
pub const EL8: Release = Release {
    el: 8,
    minor: 10,
    version: "4.18.0",
    number: "553.22.1",
};

/// The kernel of the target `rocky-9.6`.
pub const EL9: Release = Release {
    el: 9,
    minor: 6,
    version: "5.14.0",
    number: "570.58.1",
};

/// The kernel of the target `rocky-10.0`.
pub const EL10: Release = Release {
    el: 10,
    minor: 0,
    version: "6.12.0",
    number: "55.41.1",
};

impl Release {
    /// `.el8_10`.
    pub fn dist(&self) -> String {
        format!(".el{}_{}", self.el, self.minor)
    }

    /// `8.10`.
    pub fn releasever(&self) -> String {
        format!("{}.{}", self.el, self.minor)
    }

    /// The kernel's version and release, as targets name it: `4.18.0-553.22.1.el8_10`.
    pub fn kernel(&self) -> String {
        format!("{}-{}{}", self.version, self.number, self.dist())
    }

    /// The packages of the kernel that a machine runs, the one that brings the others first.
    pub fn kernel_packages(&self) -> &'static [&'static str] {
        if self.el == 8 {
            &[
                "kernel",
                "kernel-core",
                "kernel-modules",
                "kernel-modules-extra",
            ]
        } else {
            &[
                "kernel",
                "kernel-core",
                "kernel-modules",
                "kernel-modules-core",
                "kernel-modules-extra",
            ]
        }
    }

    /// Writes the kernel's spec and its small sources into the new folder `into`. With `signs`, it signs as the real one does.
    pub fn spec(&self, into: &Path, signs: bool) -> Result<()> {
        let data = project().join("tests/data/stand_in/kernel");
        fs::create_dir_all(into)?;
        let mut spec = read(&data.join("kernel.spec"))?
            .replace("@EL@", &self.el.to_string())
            .replace("@MINOR@", &self.minor.to_string())
            .replace("@VERSION@", self.version)
            .replace("@RELEASE@", self.number);
        if !signs {
            for what in ["signkernel", "signmodules", "efiuki"] {
                spec = spec.replace(&format!("%global {what} 1"), &format!("%global {what} 0"));
            }
        }
        fs::write(into.join("kernel.spec"), spec)?;
        let config = if self.el == 8 {
            "kernel-x86_64.config"
        } else {
            "kernel-x86_64-rhel.config"
        };
        let mut text = read(&data.join("kernel.config"))?;
        if self.el >= 10 {
            // Nobody adds to it, so it has all that a server needs; the fragments are those of 9.
            text += &read(&project().join("specs/kernel/el9/lustre.config"))?;
            text += &read(&project().join("specs/kernel/el9/unsigned-modules.config"))?;
            fs::write(into.join("fs-questions.patch"), questions()?)?;
        }
        fs::write(into.join(config), text)?;
        fs::write(into.join("linux-kernel-test.patch"), "")?;
        Ok(())
    }

    /// Makes the source package in `out`, of the cut-down source in `linux`.
    pub fn source_package(&self, linux: &Path, signs: bool, out: &Path) -> Result<PathBuf> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path().join("spec");
        self.spec(&folder, signs)?;
        let macros = scratch.path().join("macros.dist");
        fs::write(&macros, format!("%dist {}\n", self.dist()))?;
        let work = scratch.path().join("rpmbuild");
        fs::create_dir(&work)?;
        let tools = SpecTools {
            macros: &[macros],
            scratch: &work,
            time: super::TIME,
            dist: None,
        };
        let archive = format!("linux-{}.tar.xz", self.kernel());
        let log = scratch.path().join("log");
        let made = tools.build_srpm(&folder, &[(archive, linux.to_owned())], out, &log);
        made.with_context(|| fs::read_to_string(&log).unwrap_or_default())
    }

    /// Builds the distribution's own kernel in a clone of the buildroot `root` and puts its packages into `out`. They are kept in
    /// `cache`, under what they were made of.
    pub fn build(&self, linux: &Path, root: &Path, jobs: usize, out: &Path) -> Result<()> {
        let scratch = tempfile::tempdir_in(out.parent().context("a folder to work in")?)?;
        let srpm = self.source_package(linux, false, &scratch.path().join("srpm"))?;
        let settings = Settings {
            source_date_epoch: super::TIME,
            host: "builder.stand-in".to_owned(),
            dist: self.dist(),
            jobs,
            circumstances: Default::default(),
            limits: Default::default(),
        };
        let work = Workdir::new(root, &scratch.path().join("work"), &settings)?;
        // What a distribution's builder has in its configuration.
        let macros = work.path(".rpmmacros")?;
        let mut text = fs::read_to_string(&macros)?;
        text += &format!("%dist {}\n", self.dist());
        fs::write(&macros, text)?;
        let log = scratch.path().join("log");
        let made = rpmbuild::build(&work, &srpm, &log)
            .with_context(|| lustre_packaging::process::tail(&log, 40))?;
        let done = scratch.path().join("RPMS");
        rpmbuild::collect(&made, &done)?;
        fs::rename(&done, out)?;
        Ok(())
    }
}

/// The model's patches to the kernel in one, as a distribution would have them that took them in.
fn questions() -> Result<Vec<u8>> {
    let folder = project().join("specs/model/lustre/lustre/kernel_patches");
    let mut all = Vec::new();
    for name in read(&folder.join("series/6.1-rehearsal.series"))?.lines() {
        let path = folder.join("patches").join(name);
        all.extend(fs::read(&path).with_context(|| path.display().to_string())?);
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
