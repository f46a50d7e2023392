//! A key that stays with gpg-agent: signatures are made by running gpg.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_files::tried;
use lustre_process as process;
use zeroize::Zeroizing;

use super::facts::now;
use super::{Error, PublicKey, Secret, Signer};

/// A signer behind gpg-agent: the secret key may be on a smart card or another machine's forwarded agent.
///
/// gpg runs without the user's gpg.conf, with the signing time as its clock, so its signatures are as deterministic as ours.
/// Without a passphrase and without a terminal it fails at once instead of asking.
pub struct GpgAgent {
    fingerprint: String,
    home: Option<PathBuf>,
    passphrase: Option<Secret>,
    public: PublicKey,
}

impl fmt::Debug for GpgAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpgAgent")
            .field("public", &self.public)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl GpgAgent {
    /// The key of this fingerprint (40 hexadecimal digits; spaces and a leading `0x` do not matter) in the GnuPG folder
    /// `home`, or in the user's own.
    pub fn new(
        fingerprint: &str,
        home: Option<&Path>,
        passphrase: Option<Secret>,
    ) -> Result<GpgAgent, Error> {
        let fingerprint = parse_fingerprint(fingerprint)?;
        let missing = |reason: String| Error::AgentKey {
            fingerprint: fingerprint.clone(),
            reason,
        };
        let failed = |error: process::Error| match error {
            process::Error::Start { .. } => Error::NoGpg { source: error },
            other => missing(other.to_string()),
        };
        let listed = process::output(
            gpg(home)
                .args(["--with-colons", "--list-secret-keys"])
                .arg(&fingerprint),
        )
        .map_err(failed)?;
        check_secret(&String::from_utf8_lossy(&listed), &fingerprint)
            .map_err(|reason| missing(reason.to_owned()))?;
        let exported = process::output(
            gpg(home)
                .args(["--armor", "--export-options", "export-minimal", "--export"])
                .arg(&fingerprint),
        )
        .map_err(failed)?;
        let public = PublicKey::parse(&exported)?;
        public.facts().check_to_sign()?;
        Ok(GpgAgent {
            fingerprint,
            home: home.map(Path::to_owned),
            passphrase,
            public,
        })
    }

    /// The public part.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, data: &[u8], hash: &str, armor: bool, time: u32) -> Result<Vec<u8>, Error> {
        self.public.facts().check_times(time, now())?;
        // Standard input is for the passphrase, so that it is on no command line.
        let mut file = tempfile::NamedTempFile::new()
            .map_err(tried("make a temporary file in", std::env::temp_dir()))?;
        file.write_all(data).map_err(tried("write", file.path()))?;
        let mut command = gpg(self.home.as_deref());
        command
            // The exclamation marks: this very key, not a subkey of it; and a clock that stands still.
            .arg("--local-user")
            .arg(format!("{}!", self.fingerprint))
            .arg("--faked-system-time")
            .arg(format!("{time}!"))
            .args(["--digest-algo", hash, "--output", "-"]);
        if armor {
            command.arg("--armor");
        }
        match &self.passphrase {
            Some(_) => {
                command.args(["--pinentry-mode", "loopback", "--passphrase-fd", "0"]);
            }
            None if std::io::stdin().is_terminal() => {}
            None => {
                command.args(["--pinentry-mode", "error"]);
            }
        }
        command.arg("--detach-sign").arg(file.path());
        let ran = match &self.passphrase {
            Some(passphrase) => {
                let mut line = Zeroizing::new(passphrase.bytes().to_vec());
                line.push(b'\n');
                process::output_with_input(&mut command, &line)
            }
            None => process::output(&mut command),
        };
        ran.map_err(|source| Error::Agent {
            fingerprint: self.fingerprint.clone(),
            source,
        })
    }
}

impl Signer for GpgAgent {
    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn public_key_armored(&self) -> Result<String, Error> {
        self.public.armored()
    }

    fn sign_detached(&self, data: &[u8], time: u32) -> Result<String, Error> {
        let armored = self.sign(data, "SHA512", true, time)?;
        let armored = String::from_utf8_lossy(&armored).into_owned();
        self.public.verify_detached(data, &armored)?;
        Ok(armored)
    }

    fn sign_rpm_header(&self, header: &[u8], time: u32) -> Result<Vec<u8>, Error> {
        let packet = self.sign(header, "SHA256", false, time)?;
        self.public.verify_packet(header, &packet)?;
        Ok(packet)
    }
}

/// gpg with what every call needs.
fn gpg(home: Option<&Path>) -> Command {
    let mut command = process::command("gpg");
    command
        .args(["--no-options", "--batch", "--no-tty", "--quiet"])
        .args([
            "--no-auto-check-trustdb",
            "--no-emit-version",
            "--no-comments",
        ])
        .env("LC_ALL", "C");
    if let Some(home) = home {
        command.arg("--homedir").arg(home);
    }
    command
}

/// 40 upper-case hexadecimal digits from the forms gpg prints a fingerprint in: blanks and a leading `0x` do not matter.
pub fn parse_fingerprint(given: &str) -> Result<String, Error> {
    let text: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let digits = text.strip_prefix("0x").unwrap_or(&text).to_uppercase();
    if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err(Error::NotAFingerprint {
            characters: given.chars().count(),
        })
    }
}

/// Looks in gpg's colon listing for the primary key of this fingerprint, with its secret part.
fn check_secret(listing: &str, fingerprint: &str) -> Result<(), &'static str> {
    let mut primary = None;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.first() {
            // Field 15 is `#` where the secret part is missing, and a card's serial number where it is there.
            Some(&"sec") => primary = Some(fields.get(14) != Some(&"#")),
            Some(&"ssb") => primary = None,
            Some(&"fpr") if fields.get(9) == Some(&fingerprint) => {
                return match primary {
                    Some(true) => Ok(()),
                    Some(false) => Err("its secret part is missing"),
                    None => Err("it is a subkey; give the primary key"),
                };
            }
            _ => {}
        }
    }
    Err("gpg does not list it")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    #[test]
    fn fingerprints_come_in_several_forms() {
        for given in [
            "0123456789abcdef0123456789abcdef01234567",
            "0x0123456789ABCDEF0123456789ABCDEF01234567",
            "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567",
        ] {
            assert_eq!(parse_fingerprint(given).unwrap(), FINGERPRINT);
        }
        for given in [
            "",
            "01234567",
            "--help",
            "z123456789abcdef0123456789abcdef01234567",
        ] {
            assert!(
                parse_fingerprint(given)
                    .unwrap_err()
                    .to_string()
                    .contains("40 hexadecimal")
            );
        }
    }

    #[test]
    fn the_listing_tells_whether_the_secret_is_there() {
        let listing = |kind: &str, mark: &str| {
            format!(
                "{kind}:u:4096:1:89ABCDEF01234567:1:::u:::scSC:::{mark}:::23::0:\nfpr:::::::::{FINGERPRINT}:\n"
            )
        };
        assert_eq!(check_secret(&listing("sec", "+"), FINGERPRINT), Ok(()));
        assert_eq!(
            check_secret(&listing("sec", "D2760001240102010006"), FINGERPRINT),
            Ok(())
        );
        assert!(
            check_secret(&listing("sec", "#"), FINGERPRINT)
                .unwrap_err()
                .contains("missing")
        );
        assert!(
            check_secret(&listing("ssb", "+"), FINGERPRINT)
                .unwrap_err()
                .contains("subkey")
        );
        assert!(check_secret("", FINGERPRINT).is_err());
    }
}
