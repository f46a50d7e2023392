//! A server of S3 on loopback, for as long as a test holds it.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "it fails as a test does"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::loopback::{Process, free_port};
use crate::python;

/// Makes the bucket, from which everybody may read, as sites have theirs.
const BUCKET: &str = r#"
import boto3, json
s3 = boto3.client("s3")
s3.create_bucket(Bucket="bucket")
s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}]}))
"#;

const MOTO: &str = include_str!("../tools/moto.txt");

/// An S3 server with one bucket.
pub struct S3 {
    _process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

/// What it takes for a secret.
pub const SECRET: &str = "a-secret-of-the-tests-0123456789";

impl Default for S3 {
    fn default() -> Self {
        Self::new()
    }
}

impl S3 {
    /// A running one.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    pub fn new() -> Self {
        let home = python::environment("moto", MOTO).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(home.join("bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Process::start(&mut command, port, &folder.path().join("log"));
        let server = Self {
            _process: process,
            folder,
            port,
        };
        let mut command = Command::new(home.join("bin/python"));
        let made = command
            .args(["-c", BUCKET])
            .envs(server.variables())
            .env_remove("AWS_CA_BUNDLE")
            .env("no_proxy", "*")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        server
    }

    /// The variables by which it is found.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("AWS_ACCESS_KEY_ID", "tester".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ]
    }

    /// rclone, to look from outside.
    pub fn rclone(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("rclone");
        command
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("RCLONE_S3_PROVIDER", "Other")
            .env("RCLONE_S3_ENV_AUTH", "true")
            .env("RCLONE_S3_ENDPOINT", &self.variables()[0].1)
            .envs(self.variables())
            // Of this machine's.
            .env_remove("AWS_CA_BUNDLE")
            .env("no_proxy", "*");
        command
    }

    /// A folder with what is at a path in the bucket.
    pub fn fetched(&self, path: &str) -> PathBuf {
        let to = self.folder.path().join("fetched");
        let _ = fs::remove_dir_all(&to);
        let from = format!(":s3:bucket/{path}");
        let done = self.rclone(&["copy", &from, to.to_str().unwrap()]).output();
        assert!(done.unwrap().status.success());
        to
    }

    /// A path on this machine, for what a test puts there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/bucket/{path}", self.port)
    }
}
