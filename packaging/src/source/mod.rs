//! Sources: what a target is built from, pinned, fetched once and kept in the store.
//!
//! - [`Source`] is what a target asks for, [`Locked`] what that was pinned to (`model`).
//! - [`Fetcher`] turns one into the other and brings the content into the store; [`FetchedSource`] gives it out again (`fetch`).
//! - [`Override`] replaces a source by something local, [`Mirror`] a location by another (`replace`,
//!   `replacement`).
//! - [`Location`] is where something is, parsed (`url`).
//! - [`Packed`] is a commit as one file ([`pack`], [`unpack`]).
//! - [`Certificate`] is what a repository's server asks for (`certificate`).
//! - [`Histories`] are the commits that a git source is made of, and those that came after (`commits`).
//! - `download` fetches files through `curl`, `conditional` asks whether one changed, `updateinfo` reads a distribution's advisories, `git` drives git (`git_command`, `git_fetch`, `git_export`), in repositories of our own (`borrowed`), `tag` checks the signatures of tags, `srpm` reads a dnf source repository by its signed metadata (`repodata`).
//!
//! Fetching is the only part of the pipeline that uses the network.

mod alternates;
mod certificate;
mod commits;
mod conditional;
mod curl;
mod download;
mod error;
mod fetch;
mod fetched;
mod git;
mod git_command;
mod git_export;
mod git_fetch;
mod model;
mod objects;
mod packed;
mod path;
mod replace;
mod replacement;
pub(crate) mod repodata;
pub(crate) mod srpm;
mod tag;
mod transfer;
pub(crate) mod updateinfo;
pub(crate) mod url;

pub use certificate::Certificate;
pub use commits::{Branch, Histories};
pub use conditional::{Answer, Validators, changed};
pub use curl::Patience;
pub(crate) use curl::{Outcome, Request, request, url_line};
pub(crate) use download::LARGEST;
pub use download::{Downloader, Progress, Retry};
pub use error::{Attempt, BadLocation, Error};
pub use fetch::{Fetcher, Options};
pub use fetched::{Content, FetchedSource};
pub use git_fetch::mirror_folder;
pub use model::{ArchiveSource, GitSource, Locked, PathSource, Source, SrpmSource};
pub use packed::{Packed, has, pack, unpack};
pub use path::copy_tree;
pub use replace::{Mirror, Override, ParseError};
pub(crate) use tag::signed;
pub use transfer::{Transfer, TransferError};
pub use updateinfo::Advisory;
pub use url::{Location, is_near};
