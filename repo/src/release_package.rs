//! `lustre-repo-release`: the package that makes a server know the repository and trust its key.
//!
//! Built with rpm-rs, which is right for a package of three small files, and the same bytes for the same inputs. Unsigned:
//! it is signed with all others.

use rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder};

use crate::repo_file::{self, KeyLocation, RepoFile};

/// The package's name.
pub const NAME: &str = "lustre-repo-release";

/// What administrators have to know about kernels, installed with the package.
pub const KERNEL_PINNING: &str = include_str!("../../docs/kernel-pinning.md");

/// A release package that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key is not an armored OpenPGP public key.
    #[error(
        "the public key for {NAME} cannot be read: {0}; export it again with `cargo xtask key export`"
    )]
    Key(String),
    /// rpm-rs refuses one of the values.
    #[error("cannot build {NAME}-{version}-{release}: {source}")]
    Build {
        /// The version.
        version: String,
        /// The release.
        release: String,
        /// What rpm-rs says.
        source: Box<rpm::Error>,
    },
    /// The time does not fit into an RPM header.
    #[error("the source date epoch {0} does not fit into an RPM header (it ends in 2106)")]
    Time(u64),
}

/// What the package is made of.
#[derive(Clone, Debug)]
pub struct ReleasePackage<'a> {
    /// The version; it must grow whenever the content changes, or servers keep what they have.
    pub version: &'a str,
    /// The release, with the distribution's tag: `1.el8`.
    pub release: &'a str,
    /// The repository it points to.
    pub repo_file: &'a RepoFile,
    /// The armored public key.
    pub public_key: &'a str,
    /// The build time, in seconds since 1970.
    pub source_date_epoch: u64,
    /// The home page, if there is one.
    pub url: Option<&'a str>,
}

/// A built, unsigned package.
#[derive(Clone, Debug)]
pub struct Built {
    /// `lustre-repo-release-VERSION-RELEASE.noarch.rpm`.
    pub file_name: String,
    /// The whole RPM file.
    pub bytes: Vec<u8>,
}

/// Builds the package.
///
/// # Errors
/// When the key, a version or the time is unusable.
pub fn build(input: &ReleasePackage<'_>) -> Result<Built, Error> {
    crate::key::fingerprint(input.public_key).map_err(|e| Error::Key(e.to_string()))?;
    let time =
        u32::try_from(input.source_date_epoch).map_err(|_| Error::Time(input.source_date_epoch))?;
    let error = |source| Error::Build {
        version: input.version.to_owned(),
        release: input.release.to_owned(),
        source: Box::new(source),
    };
    let package = header(input, time)
        .and_then(|mut builder| builder.build())
        .map_err(error)?;
    let mut bytes = Vec::new();
    package.write(&mut bytes).map_err(error)?;
    Ok(Built {
        file_name: format!("{NAME}-{}-{}.noarch.rpm", input.version, input.release),
        bytes,
    })
}

fn header(input: &ReleasePackage<'_>, time: u32) -> Result<PackageBuilder, rpm::Error> {
    let repo = format!("/etc/yum.repos.d/{}", repo_file::FILE);
    let docs = format!("/usr/share/doc/{NAME}");
    let mut builder = PackageBuilder::new(
        NAME,
        input.version,
        "GPL-2.0-or-later",
        "noarch",
        "Repository configuration and key for Lustre server packages",
    );
    builder
        .using_config(
            BuildConfig::v4()
                .source_date(time)
                // gzip: every rpm can unpack it, and there is nothing to gain on three small files.
                .compression(CompressionType::Gzip),
        )
        .release(input.release)
        .vendor("lustre-repo")
        .packager("lustre-repo")
        .group("System Environment/Base")
        .build_host("lustre-repo")
        .description(format!(
            "Lets dnf install and update the Lustre server packages published at\n{}\n\
             and brings the public key they are signed with. It prefers the packages of\n\
             this repository, its kernel above all, to those of the distribution:\n\
             {docs}/kernel-pinning.md\n\
             says how, and what to do where that is not wanted.",
            input.repo_file.base_url
        ))
        .add_changelog_entry(
            format!("lustre-repo - {}-{}", input.version, input.release),
            format!("- Repository at {}", input.repo_file.base_url),
            time,
        )
        .with_file_contents(
            input.repo_file.render(KeyLocation::Installed),
            FileOptions::new(repo)
                .permissions(0o644)
                .config()
                .noreplace(),
        )?
        .with_file_contents(
            input.public_key,
            FileOptions::new(repo_file::KEY_PATH).permissions(0o644),
        )?
        .with_dir_entry(FileOptions::dir(docs.clone()).permissions(0o755))?
        .with_file_contents(
            KERNEL_PINNING,
            FileOptions::new(format!("{docs}/kernel-pinning.md"))
                .permissions(0o644)
                .doc(),
        )?;
    if let Some(url) = input.url {
        builder.url(url);
    }
    Ok(builder)
}
