//! Assets that a repository cannot have.

use lustre_files::{help, shown_url};

/// Assets that a repository cannot have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error(
        "the URL `{}` of the assets {what}{}",
        shown_url(url),
        help!("set the target's `assets_url` to https://github.com/OWNER/NAME/releases/download, or leave it out")
    )]
    Url { url: String, what: &'static str },
    #[error("the target's name `{}` cannot be part of a tag of git{}", .0.escape_debug(), help!("give the target another name, or leave `assets_url` out"))]
    Target(String),
    #[error(
        "{first} and {second} would both be the asset {asset} of the release {tag}{}",
        help!("change the version or the release of one of them, so that they differ in letters or digits")
    )]
    SameName {
        tag: String,
        asset: String,
        /// The path of a package.
        first: String,
        /// That of another.
        second: String,
    },
    #[error("the list of assets would be invalid: {0}")]
    Wrong(String),
}
