//! Publishing to an object store, by rclone: those that speak S3, Azure, GCS, and whatever else rclone reaches.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process;
use lustre_packaging::shared::rclone;
use lustre_repository::publishing::{Listing, RemoteEntry, Shape, Upload};
use serde::Deserialize;

use super::destination::Destination;

/// What has its content in its name, or never changes under it.
const FOR_EVER: &str = "Cache-Control: public, max-age=31536000, immutable";

/// What keeps its name from release to release.
const ASK: &str = "Cache-Control: no-cache";

/// rclone's exit code where the place is not there.
const NO_FOLDER: i32 = 3;

/// An object store.
pub struct ObjectStore {
    /// As rclone takes it.
    remote: String,
    s3: bool,
    scratch: tempfile::TempDir,
}

/// What rclone lists.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    path: String,
    size: u64,
}

impl ObjectStore {
    /// The place `remote`.
    pub fn new(remote: &str, s3: bool) -> anyhow::Result<Self> {
        Ok(Self {
            remote: remote.to_owned(),
            s3,
            scratch: tempfile::tempdir().context("a temporary folder")?,
        })
    }

    fn command(&self, what: &str) -> Command {
        rclone(what, self.s3)
    }

    fn run(&self, mut command: Command) -> anyhow::Result<Vec<u8>> {
        let done = process::capture(&mut command)?;
        match done.status.success() {
            true => Ok(done.stdout),
            false => Err(self.failed("publish to", &done)),
        }
    }

    /// What rclone could not do, with what to do about it.
    fn failed(&self, what: &str, done: &Output) -> anyhow::Error {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim();
        let failed = format!(
            "rclone cannot {what} {}: {}: {said}",
            self.remote, done.status
        );
        advised(failed, advice(self.s3, said)).into()
    }

    fn list_of<'p>(&self, paths: impl Iterator<Item = &'p str>) -> anyhow::Result<PathBuf> {
        let text: Vec<String> = paths.map(|path| format!("{path}\n")).collect();
        let list = self.scratch.path().join("list");
        fs::write(&list, text.concat()).with_context(|| list.display().to_string())?;
        Ok(list)
    }

    /// Sends these, one after the other where their order counts.
    fn send(&self, puts: &[&(PathBuf, &Upload)], header: &str) -> anyhow::Result<()> {
        if puts.is_empty() {
            return Ok(());
        }
        let from = self.scratch.path().join("files");
        lustre_files::remove_tree(&from)?;
        for (file, put) in puts {
            let path = from.join(&put.path);
            let parent = path.parent().unwrap_or(&from);
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
            symlink(file, &path).with_context(|| path.display().to_string())?;
        }
        let mut command = self.command("copy");
        command
            .args(["--copy-links", "--no-traverse", "--ignore-times"])
            .args(["--header-upload", header, "--files-from-raw"])
            .arg(self.list_of(puts.iter().map(|(_, put)| put.path.as_str()))?)
            .arg(&from)
            .arg(&self.remote);
        self.run(command).map(drop)
    }
}

/// What to do about what rclone said.
fn advice(s3: bool, said: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["find section in config"]) {
        return "make a remote of that name with `rclone config`; `rclone listremotes` lists those that there are";
    }
    if has(&["no space left", "QuotaExceeded", "insufficient storage"]) {
        return "make room there, and run the same command again";
    }
    if has(&["NoSuchBucket", "directory not found"]) {
        return "make the bucket, and run the same command again";
    }
    let denied = [
        "AccessDenied",
        "Forbidden",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "NoCredential",
    ];
    if has(&denied) || has(&["Unauthorized", "status code: 403", "StatusCode: 403"]) {
        return match s3 {
            true => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to those of a user who may list, read, write and delete there"
            }
            false => {
                "see with `rclone config` that the remote's user may list, read, write and delete there"
            }
        };
    }
    let nobody = [
        "connection refused",
        "no such host",
        "dial tcp",
        "timeout",
        "connection reset",
    ];
    if has(&nobody) {
        return match s3 {
            true => {
                "see whether AWS_ENDPOINT_URL and AWS_REGION are those of the store, and whether it answers; then run the same command again"
            }
            false => {
                "see with `rclone config show` whether the remote's address is right, and whether it answers; then run the same command again"
            }
        };
    }
    "mend what rclone says, and run the same command again"
}

/// Whether what is at `path` can be kept by caches for ever.
fn never_changes(path: &str) -> bool {
    let index = path.ends_with("/repomd.xml") || path.ends_with("/repomd.xml.asc");
    path.starts_with('.') || path.contains("/Packages/") || (path.contains("/repodata/") && !index)
}

impl Destination for ObjectStore {
    fn shape(&self) -> Shape {
        Shape::Flat
    }

    fn list(&self) -> anyhow::Result<Listing> {
        let mut command = self.command("lsjson");
        command.args([
            "--recursive",
            "--files-only",
            "--no-mimetype",
            "--no-modtime",
        ]);
        command.arg(&self.remote);
        let done = process::capture(&mut command)?;
        if done.status.code() == Some(NO_FOLDER) {
            return Ok(Listing::new());
        }
        if !done.status.success() {
            return Err(self.failed("list", &done));
        }
        let items: Vec<Item> = serde_json::from_slice(&done.stdout)
            .with_context(|| format!("what rclone lists of {}", self.remote))?;
        let listing = items.into_iter().map(|item| {
            let found = RemoteEntry::File {
                size: item.size,
                sha256: None,
            };
            (item.path, found)
        });
        Ok(listing.collect())
    }

    fn local(&self, paths: &[String], scratch: &Path, _: u64) -> anyhow::Result<PathBuf> {
        let into = scratch.join("there");
        fs::create_dir_all(&into).with_context(|| into.display().to_string())?;
        if paths.is_empty() {
            return Ok(into);
        }
        let mut command = self.command("copy");
        command
            .args(["--no-traverse", "--ignore-times", "--files-from-raw"])
            .arg(self.list_of(paths.iter().map(String::as_str))?)
            .arg(&self.remote)
            .arg(&into);
        self.run(command)?;
        Ok(into)
    }

    fn put(&self, puts: &[(PathBuf, &Upload)]) -> anyhow::Result<()> {
        // The plan has them in their order; what is an index goes by itself, one right after the other.
        let (kept, asked): (Vec<_>, Vec<_>) =
            puts.iter().partition(|(_, put)| never_changes(&put.path));
        self.send(&kept, FOR_EVER)?;
        let is_index = |put: &Upload| put.path.contains("/repodata/");
        if asked.iter().any(|(_, put)| is_index(put)) {
            for one in asked {
                self.send(&[one], ASK)?;
            }
            return Ok(());
        }
        self.send(&asked, ASK)
    }

    fn link(&self, _: &BTreeMap<String, String>) -> anyhow::Result<()> {
        bail!("object stores have no links")
    }

    fn take_over(&self, _: &BTreeMap<String, String>) -> anyhow::Result<()> {
        bail!("object stores have no links")
    }

    fn probe(&self, _: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn remove(&self, paths: &[String]) -> anyhow::Result<()> {
        let mut command = self.command("delete");
        command
            .arg("--files-from-raw")
            .arg(self.list_of(paths.iter().map(String::as_str))?)
            .arg(&self.remote);
        self.run(command).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_changes_under_its_name_is_kept_by_caches() {
        for path in [
            "x86_64/Packages/lustre-2-1.x86_64.rpm",
            "x86_64/repodata/0123-primary.xml.gz",
            ".releases/1-0123456789abcdef/SHA256SUMS",
        ] {
            assert!(never_changes(path), "{path}");
        }
        for path in [
            "x86_64/repodata/repomd.xml",
            "x86_64/repodata/repomd.xml.asc",
            "SHA256SUMS",
            "index.html",
        ] {
            assert!(!never_changes(path), "{path}");
        }
    }
}
