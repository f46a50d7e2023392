//! `cargo xtask key`

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _};

use crate::cli::{KeyArgs, KeyCommand};
use crate::exit::{Outcome, Usage};
use crate::key::open;
use crate::ui;

/// Makes, shows or exports a key.
pub fn run(command: &KeyCommand) -> anyhow::Result<Outcome> {
    match command {
        KeyCommand::New { user_id, output } => new(user_id, output),
        KeyCommand::Show { key, json } => show(key, *json),
        KeyCommand::Export { key } => {
            let public = open(key)?.public_key_armored()?;
            ui::print(public.trim_end());
            Ok(Outcome::Done)
        }
    }
}

fn new(user_id: &str, output: &Path) -> anyhow::Result<Outcome> {
    if user_id.trim().is_empty() || user_id.contains(char::is_control) {
        let why = "--user-id is one line of text, as in \"Example site <root@example.org>\"";
        return Err(Usage(why.to_owned()).into());
    }
    if output.exists() {
        bail!("{} exists; a key is never overwritten", output.display());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| {
            anyhow!(
                "this machine's clock is before 1970, and a key has a creation time; set the clock"
            )
        })?
        .as_secs();
    let key = Key::generate(
        user_id,
        u32::try_from(now).context("the clock is past 2106")?,
    )?;
    let passphrase = Secret::passphrase_from_environment()?;
    key.secret_armored(passphrase.as_ref())?
        .write_new_file(output)?;
    ui::say(&format!(
        "made {} in {}{}",
        key.fingerprint(),
        output.display(),
        if passphrase.is_some() {
            ""
        } else {
            ", not encrypted: keep it where only the release process can read it"
        }
    ));
    Ok(Outcome::Done)
}

fn show(arguments: &KeyArgs, json: bool) -> anyhow::Result<Outcome> {
    let signer = open(arguments)?;
    let public = PublicKey::parse(&signer.public_key_armored()?)?;
    if json {
        let shown = serde_json::json!({
            "fingerprint": public.fingerprint(),
            "user_ids": public.user_ids(),
            "created": public.created(),
            "expires": public.expires(),
        });
        ui::print(&serde_json::to_string_pretty(&shown)?);
    } else {
        ui::print(&format!(
            "{}  {}",
            public.fingerprint(),
            public.user_ids().join(", ")
        ));
        match public.expires() {
            Some(time) => ui::print(&format!("expires {time} (seconds since 1970)")),
            None => ui::print("never expires"),
        }
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
        let error = new("A <a@example.org>", &file).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"somebody's key");
    }
}
