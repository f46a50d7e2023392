//! What the stand-in has: releases with their assets, a repository of git, and the faults that are still to come.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::git::git_of;

/// Its name.
pub const HOST: &str = "github.localhost";

/// The one repository that it has.
pub const REPOSITORY: &str = "site/lustre";

/// The token that it takes.
pub const TOKEN: &str = "ghp_a-token-of-the-tests-0123456789";

/// The branch whose files are its pages.
pub const BRANCH: &str = "gh-pages";

/// How the next request is answered whose method and path these are.
pub enum Fault {
    /// So, with this message.
    Status(u16, &'static str),
    /// Not at all: the connection ends after so many bytes of what came.
    Cut(usize),
    /// After a while, as it should be.
    Slow(Duration),
    /// With 502 when all has come: what it was for is there in part.
    Upstream,
    /// As it should be, when this was done.
    Meanwhile(Box<dyn FnOnce() + Send>),
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    /// None as long as it did not come whole.
    pub content: Option<Vec<u8>>,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    pub tag: String,
    pub title: String,
    pub notes: String,
    pub draft: bool,
    pub assets: Vec<Asset>,
}

#[derive(Default)]
pub(super) struct ServerState {
    pub(super) releases: Vec<Release>,
    pub(super) last_id: u64,
    pub(super) faults: Vec<(String, String, Fault)>,
    pub(super) requests: Vec<String>,
    pub(super) deployed: u64,
    /// Whether it says digests, as it does since 2025.
    pub(super) digests: bool,
}

pub(super) struct State {
    pub(super) shared: Mutex<ServerState>,
    pub(super) ended: AtomicBool,
    pub(super) folder: tempfile::TempDir,
    /// Where nginx takes TLS for it, and where it serves the pages.
    pub(super) nginx: Mutex<Option<[SocketAddr; 2]>>,
}

impl ServerState {
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn release(&self, it: &Release) -> Value {
        json!({
            "id": it.id, "tag_name": it.tag, "name": it.title, "body": it.notes, "draft": it.draft, "prerelease": false,
            "target_commitish": "main",
            "url": format!("http://api.{HOST}/repos/{REPOSITORY}/releases/{}", it.id),
            "upload_url": format!("http://uploads.{HOST}/repos/{REPOSITORY}/releases/{}/assets{{?name,label}}", it.id),
            "assets": it.assets.iter().map(|it| self.asset(it)).collect::<Vec<_>>(),
        })
    }

    pub(super) fn asset(&self, it: &Asset) -> Value {
        let digest = it.content.as_ref().filter(|_| self.digests);
        json!({
            "id": it.id, "name": it.name, "label": "", "content_type": "application/octet-stream",
            "state": if it.content.is_some() { "uploaded" } else { "starter" },
            "size": it.content.as_ref().map_or(0, Vec::len),
            "digest": digest.map(|content| format!("sha256:{:x}", Sha256::digest(content))),
        })
    }
}

impl State {
    pub(super) fn shared(&self) -> MutexGuard<'_, ServerState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.folder.path().join(format!("git/{REPOSITORY}.git"))
    }

    pub(super) fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let said = git_of(&self.repository(), arguments, input);
        said.unwrap_or_else(|| panic!("git {arguments:?}"))
            .trim()
            .to_owned()
    }
}
