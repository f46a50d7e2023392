//! `cargo xtask key`

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use lustre_files::advised;
use lustre_packaging::sign::{Error as SignError, Key, PublicKey, Secret, Signer as _, utc};

use crate::cli::KeyArgs;
use crate::cli::key::{KeyCommand, Period};
use crate::context;
use crate::exit::{Outcome, Usage};
use crate::key::{RemainingLife, open, open_secret};
use crate::ui;

/// Makes, shows or exports a key.
pub fn run(command: &KeyCommand) -> anyhow::Result<Outcome> {
    match command {
        KeyCommand::New {
            user_id,
            output,
            expires,
        } => new(user_id, output, *expires),
        KeyCommand::Show { key, json } => show(key, *json),
        KeyCommand::Export { key } => {
            let public = open(key)?.public_key_armored()?;
            ui::print(public.trim_end());
            Ok(Outcome::Done)
        }
        KeyCommand::Renew {
            key,
            output,
            expires,
        } => renew(key, output, *expires),
        KeyCommand::Revoke {
            key,
            output,
            compromised,
        } => revoke(key, output, *compromised),
    }
}

fn new(user_id: &str, output: &Path, expires: Period) -> anyhow::Result<Outcome> {
    if user_id.trim().is_empty() || user_id.contains(char::is_control) {
        let why = "--user-id is one line of text, as in \"Example site <root@example.org>\"";
        return Err(Usage::new(why.to_owned()).into());
    }
    free(output)?;
    let now = now()?;
    let lifetime = expires.end(now).map(|end| end - now);
    let key = Key::generate_with_lifetime(user_id, now, lifetime)?;
    write(&key, output, "made")?;
    Ok(Outcome::Done)
}

fn renew(arguments: &KeyArgs, output: &Path, expires: Period) -> anyhow::Result<Outcome> {
    free(output)?;
    let key = open_secret(arguments)?;
    let now = now()?;
    write(&key.renewed(now, expires.end(now))?, output, "renewed")?;
    Ok(Outcome::Done)
}

fn revoke(arguments: &KeyArgs, output: &Path, compromised: bool) -> anyhow::Result<Outcome> {
    free(output)?;
    let revoked = open_secret(arguments)?.revoked(now()?, compromised)?;
    // Not secret, but nothing to lose either.
    Secret::new(revoked.armored()?).write_new_file(output)?;
    ui::say(&format!(
        "wrote {}, revoked, to {}: from whenever it is imported, nothing signed by this key counts; keep it until then where nobody else \
         gets it",
        revoked.fingerprint(),
        output.display(),
    ));
    Ok(Outcome::Done)
}

fn free(output: &Path) -> anyhow::Result<()> {
    if output.symlink_metadata().is_ok() {
        bail!(advised(
            format!(
                "{} exists, and a key is never overwritten",
                output.display()
            ),
            "choose another --output",
        ));
    }
    // Before the key is made, which takes long.
    let folder = output.parent().filter(|it| *it != Path::new(""));
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        return Err(Usage::new(advised(
            format!(
                "{} is no folder, and the key is to be in it",
                folder.display()
            ),
            "make it, or choose another --output",
        ))
        .into());
    }
    // It would be published, or removed with the store.
    context::judge_beside("the file of the key", output)?;
    Ok(())
}

/// The present, as OpenPGP can say it.
fn now() -> anyhow::Result<u32> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| {
            anyhow!(advised(
                "this machine's clock is before 1970, and a key says since when it is valid",
                "set the clock"
            ))
        })?
        .as_secs();
    u32::try_from(now).context("the clock is past 2106")
}

/// Writes the secret key into a new file, and says so.
fn write(key: &Key, output: &Path, made: &str) -> anyhow::Result<()> {
    let passphrase = Secret::passphrase_from_environment()?;
    key.secret_armored(passphrase.as_ref())?
        .write_new_file(output)?;
    ui::say(&format!(
        "{made} {} in {}, {}{}",
        key.fingerprint(),
        output.display(),
        until(key.public_key().expires()),
        if passphrase.is_some() {
            ""
        } else {
            "; it is not encrypted: keep it where only the release process can read it"
        }
    ));
    Ok(())
}

/// Until when a key is valid, for people.
fn until(expires: Option<u64>) -> String {
    match expires {
        Some(time) if RemainingLife::of(time, SystemTime::now()).is_over() => {
            format!("expired on {}", utc(time))
        }
        Some(time) => format!("valid until {}", utc(time)),
        None => "never expires".to_owned(),
    }
}

fn show(arguments: &KeyArgs, json: bool) -> anyhow::Result<Outcome> {
    let signer = open(arguments)?;
    let public = PublicKey::parse(&signer.public_key_armored()?)?;
    // What is wrong with it for signing; it can still be looked at, exported and renewed.
    let now = now()?;
    let alive = public.check_usable(now);
    let state = match &alive {
        Ok(()) => "valid",
        Err(SignError::Expired { .. }) => "expired",
        Err(_) => "not-yet-valid",
    };
    if let Err(error) = &alive {
        ui::warn(&format!("warning: {error}"));
    }
    if json {
        let shown = serde_json::json!({
            "fingerprint": public.fingerprint(),
            "user_ids": public.user_ids(),
            "created": public.created(),
            "expires": public.expires(),
            "state": state,
        });
        ui::print(&serde_json::to_string_pretty(&shown)?);
    } else {
        ui::print(&format!(
            "{}  {}",
            public.fingerprint(),
            public.user_ids().join(", ")
        ));
        ui::print(&until(public.expires()));
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("release.key.asc");
        std::fs::write(&file, "somebody's key").unwrap();
        let period = "3y".parse().unwrap();
        let error = new("A <a@example.org>", &file, period)
            .unwrap_err()
            .to_string();
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"somebody's key");
    }
}
