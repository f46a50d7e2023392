//! Small packages for names of Enterprise Linux that the rehearsal has no package for, and a kernel that comes later.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lustre_packaging::sign::{Key, sign_package};
use rpm::{Dependency, FileOptions};

/// A package without files.
#[derive(Debug, Clone, Default)]
pub struct Small<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub release: &'a str,
    /// `x86_64` or `noarch`.
    pub arch: &'a str,
    /// Names of what it requires, each in any version.
    pub requires: &'a [&'a str],
    /// Names of what it requires in its own version and release.
    pub same: &'a [&'a str],
    /// Names that it provides.
    pub provides: &'a [&'a str],
}

impl Small<'_> {
    /// Writes it into `folder`, signed.
    pub fn write(&self, folder: &Path, key: &Key) -> Result<PathBuf> {
        let Self {
            name,
            version,
            release,
            arch,
            ..
        } = self;
        let mut builder = rpm::PackageBuilder::new(
            name,
            version,
            "GPL-2.0-or-later",
            arch,
            "Stand-in for a package of Enterprise Linux",
        );
        builder
            .release(*release)
            .using_config(
                rpm::BuildConfig::v4()
                    .compression(rpm::CompressionType::Gzip)
                    .source_date(super::TIME),
            )
            .build_host("stand-in")
            .description("It has no files; it is here for its name.");
        for required in self.requires {
            builder.requires(Dependency::any(*required));
        }
        for required in self.same {
            builder.requires(Dependency::eq(*required, format!("{version}-{release}")));
        }
        for provided in self.provides {
            builder.provides(Dependency::any(*provided));
        }
        let file = format!("{name}-{version}-{release}.{arch}.rpm");
        signed(&mut builder, &folder.join(file), key)
    }
}

/// A kernel that the distribution publishes after the one of its release, with the scriptlets of Enterprise Linux's: it makes a boot entry
/// of its own. There is no kernel in it, and no module.
#[derive(Debug, Clone)]
pub struct LaterKernel<'a> {
    pub version: &'a str,
    /// Its release, with the distribution's tag.
    pub release: &'a str,
}

impl LaterKernel<'_> {
    /// What `uname -r` would say.
    pub fn uname(&self) -> String {
        format!("{}-{}.x86_64", self.version, self.release)
    }

    /// Writes its `kernel-core` into `folder`, signed.
    pub fn write(&self, folder: &Path, key: &Key) -> Result<PathBuf> {
        let uname = self.uname();
        let modules = format!("/lib/modules/{uname}");
        let image = format!("{modules}/vmlinuz");
        let mut builder = rpm::PackageBuilder::new(
            "kernel-core",
            self.version,
            "GPL-2.0-or-later",
            "x86_64",
            "Place of a later kernel of Enterprise Linux",
        );
        builder
            .release(self.release)
            .using_config(
                rpm::BuildConfig::v4()
                    .compression(rpm::CompressionType::Gzip)
                    .source_date(super::TIME),
            )
            .build_host("stand-in")
            .description("It makes a boot entry for a kernel, and has none.")
            .provides(Dependency::any("installonlypkg(kernel)"))
            .provides(Dependency::eq("kernel-core-uname-r", &uname))
            .provides(Dependency::eq("kernel-uname-r", &uname))
            .requires(Dependency::any("systemd"))
            .with_dir_entry(FileOptions::dir(&modules))?;
        for (name, text) in [
            (
                "vmlinuz",
                "There is no kernel in this package: see its description.\n",
            ),
            ("modules.builtin", ""),
            ("modules.order", ""),
        ] {
            builder.with_file_contents(text, FileOptions::new(format!("{modules}/{name}")))?;
        }
        builder.post_trans_script(format!(
            "/usr/bin/kernel-install add {uname} {image} || exit $?"
        ));
        builder.pre_uninstall_script(format!("/usr/bin/kernel-install remove {uname} || exit $?"));
        let file = format!("kernel-core-{uname}.rpm");
        signed(&mut builder, &folder.join(file), key)
    }
}

/// Builds the package and puts it, signed, at `to`.
fn signed(builder: &mut rpm::PackageBuilder, to: &Path, key: &Key) -> Result<PathBuf> {
    let unsigned = tempfile::tempdir()?;
    let path = unsigned.path().join("unsigned.rpm");
    builder.build()?.write_file(&path)?;
    sign_package(&path, to, key, super::TIME)?;
    Ok(to.to_owned())
}
