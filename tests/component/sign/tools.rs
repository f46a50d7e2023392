//! What the tests need: a key made once, packages from the real rpmbuild, the real rpmkeys and gpg with homes of their own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, Secret, Signer};
use lustre_repo_tests::folder::Folder;

/// A signing time long after the keys and long before today: 2024-01-01.
pub const TIME: u32 = 1_704_067_200;
/// The packages' build time: 2023-11-14.
pub const BUILT: u32 = 1_700_000_000;

/// The test key: RSA-4096 takes a while, so one run makes one.
pub fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("Test <test@example.org>", DEV_KEY_CREATED).unwrap())
}

/// The text of a secret that is none: a test key's export.
pub fn reveal(secret: &Secret, dir: &Path) -> PathBuf {
    let path = dir.join("revealed.asc");
    secret.write_new_file(&path).unwrap();
    path
}

/// A binary and a source package by rpmbuild, both unsigned, made once.
pub struct Packages {
    pub binary: PathBuf,
    pub source: PathBuf,
}

pub fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<(Folder, Packages)> = OnceLock::new();
    let (_, packages) = PACKAGES.get_or_init(|| {
        let dir = Folder::new().unwrap();
        let top = dir.path();
        rpmbuild(top, "echo content > %{buildroot}/opt/sample/file", &["-ba"]);
        let packages = Packages {
            binary: top.join("RPMS/noarch/sample-1.0-1.noarch.rpm"),
            source: top.join("SRPMS/sample-1.0-1.src.rpm"),
        };
        (dir, packages)
    });
    packages
}

/// Runs rpmbuild under `top` on a package of one folder, filled by `install`.
pub fn rpmbuild(top: &Path, install: &str, options: &[&str]) {
    let spec = top.join("sample.spec");
    let text = format!(
        "Name: sample\nVersion: 1.0\nRelease: 1\nSummary: A sample package\nLicense: MIT\nBuildArch: noarch\n\
         %description\nA sample.\n%install\nmkdir -p %{{buildroot}}/opt/sample\n{install}\n%files\n/opt/sample\n"
    );
    fs::write(&spec, text).unwrap();
    succeed(
        Command::new("rpmbuild")
            .env("SOURCE_DATE_EPOCH", BUILT.to_string())
            .arg("--define")
            .arg(format!("_topdir {}", top.display()))
            .args(["--define", "_buildhost test"])
            .args(["--define", "use_source_date_epoch_as_buildtime 1"])
            .args(["--define", "__os_install_post %{nil}"])
            .args(options)
            .arg(&spec),
    );
}

/// Runs a program that has to succeed; gives its standard output.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Both outputs of a program.
pub fn words(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// rpm's own judgement, with a database in which one key is imported, and signatures required.
pub struct Rpmkeys {
    dir: tempfile::TempDir,
}

impl Rpmkeys {
    pub fn with(armored_public_key: &str) -> Rpmkeys {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.asc");
        fs::write(&key, armored_public_key).unwrap();
        let this = Rpmkeys { dir };
        succeed(this.command().arg("--import").arg(&key));
        this
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new("rpmkeys");
        command
            .env("LC_ALL", "C")
            .arg("--define")
            .arg(format!("_dbpath {}", self.dir.path().join("db").display()))
            .args(["--define", "_pkgverify_level all"]);
        command
    }

    /// Whether `rpmkeys -K` accepts the package, and its words.
    pub fn check(&self, package: &Path) -> (bool, String) {
        let output = self.command().arg("-Kv").arg(package).output().unwrap();
        (output.status.success(), words(&output))
    }
}

/// gpg with a home of its own, whose agent ends with it.
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    pub fn new() -> Gpg {
        // A short path: the agent's socket lies in it.
        let home = tempfile::Builder::new()
            .prefix("g")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Gpg { home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command
            .env("LC_ALL", "C")
            .arg("--homedir")
            .arg(self.home())
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback"]);
        command
    }

    /// Makes a key, as `gpg --quick-generate-key`; gives its fingerprint.
    pub fn make(&self, passphrase: &str, made_at: u32, options: &[&str], spec: &[&str]) -> String {
        succeed(
            self.command()
                .args(["--faked-system-time", &format!("{made_at}!")])
                .args(["--passphrase", passphrase])
                .args(options)
                .args(["--quick-generate-key", "Test <test@example.org>"])
                .args(spec),
        );
        self.fingerprint()
    }

    /// The fingerprint of the newest primary key.
    pub fn fingerprint(&self) -> String {
        let listing = succeed(self.command().args(["--with-colons", "--list-keys"]));
        let mut lines = listing.lines().skip_while(|line| !line.starts_with("pub"));
        let line = lines.find(|line| line.starts_with("fpr")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// An ASCII-armored export.
    pub fn export(&self, what: &str, passphrase: &str) -> String {
        succeed(
            self.command()
                .args(["--passphrase", passphrase, "--armor", what]),
        )
    }

    /// Whether gpg accepts a detached signature, and its words.
    pub fn verify(&self, data: impl AsRef<OsStr>, signature: impl AsRef<OsStr>) -> (bool, String) {
        let output = self
            .command()
            .arg("--verify")
            .arg(signature)
            .arg(data)
            .output()
            .unwrap();
        (output.status.success(), words(&output))
    }

    /// Ends the agent, and with it what it remembers.
    pub fn forget(&self) {
        succeed(&mut self.kill());
    }

    fn kill(&self) -> Command {
        let mut command = Command::new("gpgconf");
        command.arg("--homedir").arg(self.home());
        command.args(["--kill", "all"]);
        command
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Also after a failure, where another panic would hide the first.
        let _ = self.kill().output();
    }
}

/// A signer that must not be reached.
pub struct Unreachable;

impl Signer for Unreachable {
    fn fingerprint(&self) -> String {
        "0".repeat(40)
    }
    fn public_key_armored(&self) -> Result<String, lustre_packaging::sign::Error> {
        panic!("asked for the public key")
    }
    fn sign_detached(&self, _: &[u8], _: u32) -> Result<String, lustre_packaging::sign::Error> {
        panic!("asked to sign")
    }
    fn sign_rpm_header(&self, _: &[u8], _: u32) -> Result<Vec<u8>, lustre_packaging::sign::Error> {
        panic!("asked to sign")
    }
}
