//! `lustre-repo-release`: the package that makes a server know the repository and trust its key.

use lustre_files::help;
use rpm::{Dependency, FileOptions, PackageBuilder};

use crate::kernel_guard;
use crate::key;
use crate::own_package::{self, Numbers};
use crate::repo_file::{self, KeyLocation, RepoFile};

pub use crate::own_package::BuiltPackage;

/// The package's name.
pub const NAME: &str = "lustre-repo-release";

/// What administrators have to know about kernels, installed with the package.
pub const KERNEL_PINNING: &str = include_str!("../../docs/kernel-pinning.md");

/// A release package that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the public key for {NAME} cannot be read: {}{}",
        .0,
        help!("export it again with `cargo xtask key export`")
    )]
    Key(String),
    #[error(transparent)]
    Package(#[from] own_package::Error),
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

/// Builds the package.
pub fn build(input: &ReleasePackage<'_>) -> Result<BuiltPackage, Error> {
    let own = key::published(input.public_key).map_err(|e| Error::Key(e.to_string()))?;
    // Both in the file that every server's dnf reads: where an administrator has changed the `.repo` file, rpm keeps that as it is, and it
    // names this one alone.
    let keys = own + input.repo_file.next_key().unwrap_or_default();
    let numbers = Numbers {
        name: NAME,
        version: input.version,
        release: input.release,
        source_date_epoch: input.source_date_epoch,
    };
    Ok(numbers.build(
        "Repository configuration and key for Lustre server packages",
        &format!("Repository at {}", input.repo_file.base_url),
        |builder| fill(builder, input, &keys),
    )?)
}

fn fill(
    builder: &mut PackageBuilder,
    input: &ReleasePackage<'_>,
    keys: &str,
) -> Result<(), rpm::Error> {
    let repo = format!("/etc/yum.repos.d/{}", repo_file::FILE);
    let docs = format!("/usr/share/doc/{NAME}");
    builder
        .description(format!(
            "Lets dnf install and update the Lustre server packages published at\n{}\n\
             and brings the public key they are signed with. It prefers the packages of\n\
             this repository, its kernel above all, to those of the distribution:\n\
             {docs}/kernel-pinning.md\n\
             says how, and what to do where that is not wanted.",
            input.repo_file.base_url
        ))
        // Only where there is something to guard: dnf takes a recommended package that could not be had when this one was installed, as
        // from a file, for one that nobody wants, and leaves it out from then on, whatever it supplements.
        .recommends(Dependency::any(format!(
            "({} if {})",
            kernel_guard::NAME,
            kernel_guard::GUARDED
        )))
        .requires(Dependency::rpmlib("RichDependencies", "4.12.0-1"))
        .with_file_contents(
            input.repo_file.render(KeyLocation::Installed),
            FileOptions::new(repo)
                .permissions(0o644)
                .config()
                .noreplace(),
        )?
        .with_file_contents(
            keys,
            FileOptions::new(repo_file::KEY_PATH).permissions(0o644),
        )?
        .with_dir_entry(FileOptions::dir(docs.clone()).permissions(0o755))?
        .with_file_contents(
            KERNEL_PINNING,
            FileOptions::new(format!("{docs}/kernel-pinning.md"))
                .permissions(0o644)
                .doc(),
        )?;
    if let Some(next) = input.repo_file.next_key() {
        builder.with_file_contents(
            next,
            FileOptions::new(repo_file::NEXT_KEY_PATH).permissions(0o644),
        )?;
    }
    if let Some(url) = input.url {
        builder.url(url);
    }
    Ok(())
}
