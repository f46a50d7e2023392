//! The distribution's mirror: repositories where its mirrors have them, with signed metadata.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use lustre_packaging::process;
use lustre_packaging::sign::Signer as _;

use super::TIME;
use super::base::Base;
use super::kernel::Release;
use super::packages::{LaterKernel, Small};
use crate::createrepo;

/// Where the mirrors of the distribution's hosts are below the served folder: one folder for each host.
pub const DISTRIBUTION: &str = "dl.rockylinux.org";

/// The release of the module stream of swig that is the default, and of the other.
pub const SWIG: [(&str, &str); 2] = [("3.0", "3.0.12"), ("4.0", "4.0.2")];

/// The release of the kernel that the distribution publishes after its own of 10, without the distribution's tag.
pub const LATER: &str = "55.99.1";

/// One of the distribution's repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    BaseOs,
    AppStream,
    Devel,
    HighAvailability,
}

impl Part {
    const ALL: [Self; 4] = [
        Self::BaseOs,
        Self::AppStream,
        Self::Devel,
        Self::HighAvailability,
    ];

    /// Where a package of the rehearsal goes: by its name, as the distribution divides its own.
    fn of(package: &str) -> Self {
        let begins = |names: &[&str]| names.iter().any(|name| package.starts_with(name));
        if begins(&["resource-agents-", "cluster-glue-"]) {
            Self::HighAvailability
        } else if ["-dev-", "-devel-", "texinfo-"]
            .iter()
            .any(|part| package.contains(part))
        {
            Self::Devel
        } else if begins(&[
            "autoconf-",
            "automake-",
            "bison-",
            "cpp-",
            "dwarves-",
            "flex-",
            "g++-",
            "gcc-",
            "gettext-",
            "libtool-",
            "m4-",
            "make-",
            "perl-",
            "python3-",
            "swig-",
            "unzip-",
        ]) {
            Self::AppStream
        } else {
            Self::BaseOs
        }
    }

    /// Its folder's name.
    fn folder(self, release: &Release) -> &'static str {
        match self {
            Self::BaseOs => "BaseOS",
            Self::AppStream => "AppStream",
            Self::Devel if release.el == 8 => "PowerTools",
            Self::Devel => "CRB",
            Self::HighAvailability => "HighAvailability",
        }
    }
}

/// Writes the mirror of `release` below `root`, as the mirrors in `hosts` have it: `location` is the path of its releases' folder, as
/// `dl.rockylinux.org/pub/rocky`.
pub fn write(base: &Base, release: &Release, location: &str, root: &Path) -> Result<()> {
    let top = root.join(location).join(release.releasever());
    for part in Part::ALL {
        let repository = top.join(part.folder(release)).join("x86_64/os");
        let packages = repository.join("Packages");
        fs::create_dir_all(&packages)?;
        let from = base.distribution.join("base/Packages");
        for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let own_kernel = name.starts_with("kernel-") && !name.starts_with("kernel-rpm-macros-");
            if !own_kernel && Part::of(&name) == part {
                link(&entry.path(), &packages.join(&name))?;
            }
        }
        match part {
            Part::BaseOs => base_os(base, release, &packages)?,
            Part::AppStream => {
                for (_, version) in SWIG {
                    small("swig", version, "x86_64", release).write(&packages, &base.key)?;
                }
            }
            Part::Devel | Part::HighAvailability => {}
        }
        metadata(&repository)?;
        if part == Part::AppStream && release.el == 8 {
            modules(&repository, release)?;
        }
        sign(base, &repository)?;
    }

    let source = top.join("BaseOS/source/tree");
    release.source_package(&base.linux, true, &source.join("Packages"))?;
    let made = only(&source.join("Packages"))?;
    let unsigned = made.with_extension("unsigned");
    fs::rename(&made, &unsigned)?;
    lustre_packaging::sign::sign_package(&unsigned, &made, &base.key, TIME)?;
    fs::remove_file(unsigned)?;
    metadata(&source)?;
    sign(base, &source)?;

    let text = base.key.public_key().armored()?;
    let pub_rocky = root.join(DISTRIBUTION).join("pub/rocky");
    fs::create_dir_all(&pub_rocky)?;
    for name in ["rockyofficial", "Rocky-9", "Rocky-10"] {
        fs::write(pub_rocky.join(format!("RPM-GPG-KEY-{name}")), &text)?;
    }
    Ok(())
}

fn small<'a>(name: &'a str, version: &'a str, arch: &'a str, release: &Release) -> Small<'a> {
    Small {
        name,
        version,
        release: match release.el {
            8 => "1.el8",
            9 => "1.el9",
            _ => "1.el10",
        },
        arch,
        ..Small::default()
    }
}

/// What the distribution's base has and the rehearsal's lacks; and its own kernel.
fn base_os(base: &Base, release: &Release, packages: &Path) -> Result<()> {
    let version = release.releasever();
    Small {
        requires: &["rehearsal-release"],
        ..small("rocky-release", &version, "noarch", release)
    }
    .write(packages, &base.key)?;
    for (name, version) in [("git-core", "2.43.5"), ("policycoreutils", "3.6")] {
        small(name, version, "x86_64", release).write(packages, &base.key)?;
    }
    if release.el >= 10 {
        for entry in fs::read_dir(base.kernel(release)?)? {
            let path = entry?.path();
            let signed = packages.join(path.file_name().unwrap_or_default());
            lustre_packaging::sign::sign_package(&path, &signed, &base.key, TIME)?;
        }
        // Enterprise Linux publishes updates where the packages of the release are.
        LaterKernel {
            version: release.version,
            release: &format!("{LATER}{}", release.dist()),
        }
        .write(packages, &base.key)?;
        return Ok(());
    }
    // Nothing runs or is built with the kernel that ours replaces, so its name, version and release do.
    let number = format!("{}{}", release.number, release.dist());
    let names = release.kernel_packages();
    for name in names {
        Small {
            name,
            version: release.version,
            release: &number,
            arch: "x86_64",
            same: if *name == names[0] { &names[1..] } else { &[] },
            provides: &["installonlypkg(kernel)"],
            ..Small::default()
        }
        .write(packages, &base.key)?;
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    Ok(())
}

fn only(folder: &Path) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found
        .pop()
        .with_context(|| format!("nothing in {}", folder.display()))
}

fn metadata(repository: &Path) -> Result<()> {
    createrepo::run(repository, TIME.into(), &[])
}

/// Adds the metadata of modules: two streams of swig, one of them the default.
fn modules(repository: &Path, release: &Release) -> Result<()> {
    let mut text = String::new();
    for (stream, version) in SWIG {
        text += &format!(
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: swig\n  stream: \"{stream}\"\n  version: 1\n  context: \"00000001\"\n  \
             arch: x86_64\n  summary: Stand-in\n  description: Stand-in\n  license:\n    module: [GPL-2.0-or-later]\n  \
             dependencies:\n  - requires:\n      platform: [el{}]\n  artifacts:\n    rpms:\n    - swig-0:{version}-1.el{}.x86_64\n...\n",
            release.el, release.el
        );
    }
    text += &format!(
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: swig\n  stream: \"{}\"\n...\n",
        SWIG[0].0
    );
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("modules.yaml");
    fs::write(&file, text)?;
    process::output(
        Command::new("modifyrepo_c")
            .args(["--mdtype=modules", "--compress-type=gz"])
            .arg(&file)
            .arg(repository.join("repodata")),
    )?;
    Ok(())
}

/// Signs the metadata as it is now.
pub fn sign(base: &Base, repository: &Path) -> Result<()> {
    let repomd = repository.join("repodata/repomd.xml");
    let text = fs::read(&repomd).with_context(|| repomd.display().to_string())?;
    let signature = base.key.sign_detached(&text, TIME)?;
    Ok(fs::write(repomd.with_extension("xml.asc"), signature)?)
}
