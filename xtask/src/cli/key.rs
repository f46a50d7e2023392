//! The arguments of `key`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

/// How many days before its end a key has to be renewed or replaced: servers get the news with their updates.
pub const RENEWAL_DAYS: u32 = 60;

/// Which key signs.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// File with the armored secret key, or a pipe (`/dev/stdin`).
    ///
    /// Defaults to LUSTRE_REPO_KEY_FILE, LUSTRE_REPO_KEY_AGENT, or LUSTRE_REPO_KEY, which has the key itself. The passphrase, if any, comes
    /// from the file named by LUSTRE_REPO_KEY_PASSPHRASE_FILE, or from LUSTRE_REPO_KEY_PASSPHRASE.
    #[arg(long, value_name = "FILE", help_heading = "Signing key")]
    pub key_file: Option<PathBuf>,
    /// Fingerprint of a key in gpg-agent.
    #[arg(
        long,
        value_name = "FINGERPRINT",
        conflicts_with = "key_file",
        help_heading = "Signing key"
    )]
    pub key_agent: Option<String>,
    /// The key file of a site's defaults, for where neither the line nor the environment names a key.
    #[arg(skip)]
    pub default: Option<PathBuf>,
}

/// Which key a repository must be signed with.
#[derive(Debug, Clone, Default, Args)]
pub struct ExpectedKeyArgs {
    /// Public key that the repository must be signed with.
    ///
    /// A file, a fingerprint of 40 digits, or several with commas between them; also given more than once: then one of these keys.
    /// Defaults to the secret key's, or to this machine's development key.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        conflicts_with_all = ["key_file", "key_agent"]
    )]
    pub public_key: Vec<String>,
    /// The secret key that the repository is signed with.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a new release key (RSA-4096) in a file.
    New {
        /// Name and address, as in "Site Lustre <lustre@example.org>".
        #[arg(long)]
        user_id: String,
        /// File for the armored secret key; it must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// How long it is valid: `90d`, `18m`, `3y`, or `never`.
        ///
        /// A year is 365 days, a month is 30, as for gpg.
        #[arg(long, value_name = "PERIOD", default_value = "3y")]
        expires: Period,
    },
    /// Show the key that would sign.
    Show {
        /// Which key.
        #[command(flatten)]
        key: KeyArgs,
        /// As JSON: as for all commands.
        #[arg(skip)]
        json: bool,
    },
    /// Write the public key to standard output.
    Export {
        /// Which key.
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Write the same key with another expiry to a new file.
    Renew {
        /// Which key; not one of gpg-agent: use `gpg --quick-set-expire`.
        #[command(flatten)]
        key: KeyArgs,
        /// File for the armored secret key; it must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// How long it is valid from now on: `90d`, `18m`, `3y`, or `never`.
        #[arg(long, value_name = "PERIOD", default_value = "3y")]
        expires: Period,
    },
    /// Write the revoked public key to a new file.
    ///
    /// Whoever imports it no longer accepts signatures by this key. Make one together with a new key and keep it elsewhere: without the
    /// secret key, it cannot be made.
    Revoke {
        /// Which key; not one of gpg-agent: use `gpg --gen-revoke`.
        #[command(flatten)]
        key: KeyArgs,
        /// File for the revoked public key; it must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// State that others may have the secret key, not only that it was replaced.
        #[arg(long)]
        compromised: bool,
    },
}

/// How long a key is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(Option<u32>);

impl Period {
    const DAY: u32 = 24 * 60 * 60;

    /// The end of the period that begins at `start`: seconds since 1970. None where it has no end.
    pub fn end(self, start: u32) -> Option<u32> {
        self.0.map(|days| start.saturating_add(days * Self::DAY))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// More than any key should have, and less than OpenPGP can say.
        const YEARS: u32 = 30;
        if text == "never" {
            return Ok(Self(None));
        }
        let days = text
            .split_at_checked(text.len().saturating_sub(1))
            .and_then(|(number, unit)| {
                let unit = match unit {
                    "d" => 1,
                    "w" => 7,
                    "m" => 30,
                    "y" => 365,
                    _ => return None,
                };
                let plain = number.bytes().all(|byte| byte.is_ascii_digit());
                number
                    .parse::<u32>()
                    .ok()
                    .filter(|_| plain)?
                    .checked_mul(unit)
            });
        match days {
            Some(days) if (1..=YEARS * 365).contains(&days) => Ok(Self(Some(days))),
            Some(_) => Err(format!(
                "a key is valid for a day up to {YEARS} years, or `never` expires"
            )),
            None => {
                Err("give a number and a unit, as in `90d`, `18m` or `3y`, or `never`".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        for (text, days) in [("90d", 90), ("2w", 14), ("18m", 540), ("3y", 1095)] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.end(1_000), Some(1_000 + days * 86_400), "{text}");
        }
        assert_eq!("never".parse::<Period>().unwrap().end(1_000), None);
        for text in [
            "",
            "y",
            "3",
            "3Y",
            "3 y",
            "+3y",
            "-3y",
            "0d",
            "31y",
            "99999999999d",
            "3é",
            "é",
            "1h",
            "4000000000y",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
