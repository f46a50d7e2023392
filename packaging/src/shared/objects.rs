//! An object store, by rclone.

use std::ffi::OsString;
use std::fmt::{Display, Formatter, Result as Shown};
use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_files::PathError;

use super::{Found, Place};
use crate::process;
use crate::stage::Failure;
use crate::store::{Digest, Store};

/// rclone with what every run takes. Whatever is secret it finds in its configuration or in the environment: nothing of that is here. With
/// `s3`, it is AWS's variables that say where the store is, and how it is entered.
pub fn rclone(what: &str, s3: bool) -> Command {
    let mut command = process::command("rclone");
    command.args([what, "--retries=3", "--use-server-modtime"]);
    if s3 {
        command.env("RCLONE_S3_ENV_AUTH", "true");
        for (name, from, or) in [
            ("RCLONE_S3_PROVIDER", "RCLONE_S3_PROVIDER", ""),
            (
                "RCLONE_S3_ENDPOINT",
                "AWS_ENDPOINT_URL_S3",
                "AWS_ENDPOINT_URL",
            ),
            ("RCLONE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        ] {
            let value = variable(name)
                .or_else(|| variable(from))
                .or_else(|| variable(or));
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let endpoint = [
            "RCLONE_S3_ENDPOINT",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL",
        ];
        if variable("RCLONE_S3_PROVIDER").is_none() {
            let other = endpoint.iter().any(|name| variable(name).is_some());
            command.env("RCLONE_S3_PROVIDER", if other { "Other" } else { "AWS" });
        }
        // It cannot take that one as AWS's own programs do, and fails where it is set.
        if let Some(certificates) = variable("AWS_CA_BUNDLE") {
            command.env("RCLONE_CA_CERT", certificates);
        }
        command.env_remove("AWS_CA_BUNDLE");
        // The bucket is there, and whoever publishes need not be allowed to make one.
        command.env("RCLONE_S3_NO_CHECK_BUCKET", "true");
    }
    command
}

/// What an environment variable holds; an empty one is one that is not set.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// rclone's exit codes where what it was to fetch is not there.
const NOT_THERE: [i32; 2] = [3, 4];

/// Its exit code where more came than was allowed.
const TOO_MUCH: i32 = 8;

const LARGER: &str = "it is larger than it may be";

/// What became of a file that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    Whole,
    /// It, or the place, is not there.
    NotThere,
    /// It is larger than it may be.
    TooLarge,
}

/// An object store.
#[derive(Debug)]
pub struct Objects {
    /// As rclone takes it: `REMOTE:PATH`.
    pub remote: String,
    /// Whether it is S3 by AWS's variables.
    pub s3: bool,
    /// As it is shown.
    pub shown: String,
}

impl Objects {
    /// Fetches one file. rclone takes what is not there for an empty folder.
    fn get(&self, path: &str, into: &Path, limit: u64) -> Result<Copied, Failure> {
        Ok(match self.copy(&self.at(path), text(into)?, Some(limit))? {
            Copied::Whole if !into.exists() => Copied::NotThere,
            came => came,
        })
    }

    /// Copies one file, to or from there.
    fn copy(&self, from: &str, to: &str, limit: Option<u64>) -> Result<Copied, Failure> {
        let mut command = rclone("copyto", self.s3);
        command.args([
            "--no-traverse",
            "--ignore-times",
            "--contimeout=30s",
            "--timeout=60s",
            "--low-level-retries=3",
        ]);
        if let Some(limit) = limit {
            let most = format!("--max-transfer={limit}B");
            command.args([&most, "--cutoff-mode=hard"]);
        }
        // Neither begins like an option: one is absolute, and the other has a remote before it.
        command.args([from, to]);
        let done = process::capture(&mut command)?;
        if done.status.success() {
            return Ok(Copied::Whole);
        }
        match done.status.code() {
            Some(code) if NOT_THERE.contains(&code) => return Ok(Copied::NotThere),
            Some(TOO_MUCH) if limit.is_some() => return Ok(Copied::TooLarge),
            _ => {}
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        Err(format!("rclone ended with {}: {last}", done.status).into())
    }

    fn at(&self, path: &str) -> String {
        match self.remote.ends_with([':', '/']) {
            true => format!("{}{path}", self.remote),
            false => format!("{}/{path}", self.remote),
        }
    }
}

fn text(path: &Path) -> Result<&str, Failure> {
    let text = path.to_str();
    Ok(text.ok_or("a path that is not UTF-8 cannot be given to rclone")?)
}

impl Display for Objects {
    fn fmt(&self, f: &mut Formatter<'_>) -> Shown {
        f.write_str(&self.shown)
    }
}

impl Place for Objects {
    fn small(&self, store: &Store, path: &str, limit: u64) -> Result<Found, Failure> {
        let folder = store.temp_dir("shared")?;
        let aside = folder.path().join("file");
        match self.get(path, &aside, limit)? {
            Copied::Whole => {}
            Copied::NotThere => return Ok(Found::Nothing),
            Copied::TooLarge => return Ok(Found::Odd(LARGER.into())),
        }
        let read = lustre_files::read(&aside, limit);
        Ok(Found::File(read.map_err(|source| {
            PathError::new("read", &aside, source)
        })?))
    }

    fn fetch(
        &self,
        _: &Store,
        path: &str,
        (expected, size): (&Digest, u64),
        into: &Path,
    ) -> Result<(), Failure> {
        lustre_files::if_there(fs::remove_file(into))
            .map_err(|source| PathError::new("remove", into, source))?;
        // A limit that is met is one that is exceeded, to rclone.
        match self.get(path, into, size.saturating_add(1 << 20))? {
            Copied::Whole => {}
            Copied::NotThere => return Err("it is not there".into()),
            Copied::TooLarge => return Err(LARGER.into()),
        }
        let (found, length) = Digest::of_file(into)?;
        if found != *expected {
            fs::remove_file(into).map_err(|source| PathError::new("remove", into, source))?;
            return Err(format!(
                "it has {length} bytes with the sha256 {found} in place of {expected}"
            )
            .into());
        }
        Ok(())
    }

    fn put(&self, _: &Store, file: &Path, path: &str) -> Result<(), Failure> {
        match self.copy(text(file)?, &self.at(path), None)? {
            Copied::Whole => Ok(()),
            Copied::NotThere | Copied::TooLarge => Err("there is no such place".into()),
        }
    }
}
