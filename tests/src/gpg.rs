//! GnuPG's keys for tests.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn succeed(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// A key of GnuPG's in a home of its own.
#[derive(Debug)]
pub struct Gpg(tempfile::TempDir);

impl Gpg {
    /// A new key of this name, without a passphrase.
    pub fn new(name: &str) -> Self {
        // Not below a long path: the agent's socket has little room.
        let home = tempfile::Builder::new()
            .prefix("g")
            .tempdir_in("/tmp")
            .unwrap();
        let gpg = Self(home);
        succeed(gpg.command().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            name,
            "rsa3072",
            "sign",
            "never",
        ]));
        gpg
    }

    /// Its home: GnuPG's `GNUPGHOME`.
    pub fn home(&self) -> &Path {
        self.0.path()
    }

    /// `gpg` with this home, about to run.
    pub fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"])
            .env("GNUPGHOME", self.home());
        command
    }

    /// The public key, armored.
    pub fn public_key(&self) -> String {
        succeed(self.command().args(["--armor", "--export"]))
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> String {
        let list = succeed(self.command().args(["--with-colons", "--list-keys"]));
        let line = list.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// Signs the `repomd.xml` of a repository.
    pub fn sign_repository(&self, repository: &Path) {
        let repomd = repository.join("repodata/repomd.xml");
        succeed(
            self.command()
                .args(["--armor", "--detach-sign"])
                .arg(repomd),
        );
    }

    /// Signs a package in place.
    pub fn sign_package(&self, package: &Path) {
        self.sign_packages(&[package.to_owned()]);
    }

    /// Signs packages in place.
    pub fn sign_packages(&self, packages: &[PathBuf]) {
        succeed(self.rpmsign().args(packages));
    }

    /// `rpmsign` with this key, about to sign in place what is added to its arguments.
    pub fn rpmsign(&self) -> Command {
        let mut command = Command::new("rpmsign");
        command
            .arg("--define")
            .arg(format!("_gpg_name {}", self.fingerprint()))
            .args(["--define", "_gpg_digest_algo sha256"])
            .args(["--define", "__gpg /usr/bin/gpg", "--addsign"])
            .env("GNUPGHOME", self.home())
            .env("HOME", self.home());
        command
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.home())
            .status();
    }
}
