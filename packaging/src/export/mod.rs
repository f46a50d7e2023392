//! What other builders are told, so that they make of our source packages what is made here.
//!
//! - [`obs`]: an Open Build Service; [`koji`]: a Koji; [`mock`](mod@mock): mock alone.
//! - [`package`](mod@package): the source packages and what their buildroots hold, as the stages of a build left them.
//! - [`readme`]: what people read about it.
//! - [`contents`]: all files for each of them; [`folder`]: in a folder.
//!
//! Functions of a target and of what was built: no path, key or time of this machine is in what they give.

pub mod contents;
pub mod folder;
pub mod koji;
pub mod mock;
pub mod obs;
pub mod package;
pub mod readme;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use lustre_files::{PathError, help};

use crate::own_folder::Unfit;
use crate::target::{Target, UnknownVariable};
use crate::{archive, lock, store};

/// The name of the index of what is exported, in its folder.
pub const INDEX: &str = "export.json";

/// For whom a target is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Builder {
    Obs,
    Koji,
    Mock,
}

impl Builder {
    /// As the command line and the index name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Obs => "obs",
            Self::Koji => "koji",
            Self::Mock => "mock",
        }
    }
}

/// What cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Variable(#[from] UnknownVariable),
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Signature(#[from] lustre_sign::Error),
    #[error("interrupted")]
    Interrupted,
    #[error(
        "{}: {message}{}",
        lustre_files::shown(path),
        help!("the stage that left it was changed meanwhile; run the command again")
    )]
    Package { path: PathBuf, message: String },
    /// A build service does not know a package without it.
    #[error(
        "{} has no SIGMD5, by which build services and mock know a package{}",
        lustre_files::shown(path),
        help!("take the package from a repository whose packages have one (`rpm -qp --qf '%{{SIGMD5}}' FILE`)")
    )]
    NoSigmd5 { path: PathBuf },
    #[error(
        "the buildroot of `{package}` has {nevra}, which is neither of the distribution nor built here{}",
        help!("the stages do not belong together; run the command again")
    )]
    Unknown { package: String, nevra: String },
    /// By its name alone, a builder would take the distribution's.
    #[error(
        "the buildroot of `{package}` does not have `{name}` as it was built here, which the target names{}",
        help!("the stages do not belong together; run the command again")
    )]
    NotBuilt { package: String, name: String },
    /// It cannot be written there.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// What somebody still uses would be lost.
    #[error(
        "{} has the export of the target `{target}` for {builder}, and would be replaced by another one{}",
        lustre_files::shown(path),
        help!("remove the folder, or choose another --output")
    )]
    Other {
        path: PathBuf,
        builder: String,
        target: String,
    },
    #[error(
        "{} would be replaced, and files in it are not as `export` wrote them: {files}{}",
        lustre_files::shown(path),
        help!("keep what was changed elsewhere and remove the folder, or choose another --output")
    )]
    Edited { path: PathBuf, files: String },
}

/// The macros that make a build repeatable, whoever builds.
fn repeatable(target: &Target) -> Vec<(&'static str, String)> {
    crate::build::workdir::repeatable(&target.build.host).into()
}

/// The value of a macro for which rpmbuild writes no tag: it expands to `%`, as one that is not set expands to itself. Of an empty value it
/// writes an empty tag.
const NO_TAG: &str = "%%";

/// All macros of a builder that sets `service` to something of its own: those are what the distribution has, or nothing.
fn macros(target: &Target, service: &[&str]) -> Vec<(String, String)> {
    let own = target.distribution.obs.as_ref().map(|obs| &obs.macros);
    let mut all: Vec<(String, String)> = repeatable(target)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for name in service {
        if own.is_none_or(|own| !own.contains_key(*name)) {
            all.push(((*name).to_owned(), NO_TAG.to_owned()));
        }
    }
    let own = own.into_iter().flatten();
    all.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// Text as a word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
