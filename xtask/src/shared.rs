//! The shared store that the command line, the environment or a site's defaults name.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::shared::{Folder, Keys, Objects, Place, Share, Standing, Web};
use lustre_packaging::sign::{Key, PublicKey, Purpose, Signer, begins_a_secret};
use lustre_packaging::store::MARK;
use lustre_packaging::target::{DistributionKind, Target};
use lustre_repository::publishing;
use zeroize::Zeroizing;

use crate::cli::TargetArgs;
use crate::exit::Usage;
use crate::graph::name;
use crate::ui;

/// What is never taken from others: what the release key signs or clients trust, what proves something, and what reads the clock.
const OWN: [&str; 8] = [
    name::PREFLIGHT,
    name::RELEASE_PACKAGE,
    name::SIGN,
    name::RELEASE_TIME,
    name::ASSEMBLE,
    name::PROVE,
    name::BOOT,
    name::FINISH,
];

/// Which stages are shared.
pub fn shares(target: &Target) -> fn(&str) -> Share {
    match target.distribution.kind {
        DistributionKind::Rehearsal => all_but_own,
        // It is what the lock pins, which everybody fetches.
        DistributionKind::Repositories => |stage| match all_but_own(stage) {
            Share::All if stage == name::DISTRIBUTION => Share::Digests,
            share => share,
        },
    }
}

fn all_but_own(stage: &str) -> Share {
    match OWN.contains(&stage) {
        true => Share::Nothing,
        false => Share::All,
    }
}

/// A shared store, and the keys for it.
#[derive(Debug)]
pub struct SharedStore {
    pub place: Box<dyn Place>,
    pub keys: Keys,
    /// What the command found out of it.
    pub standing: Standing,
}

impl Drop for SharedStore {
    /// However the command ends: it is no failure of it, and is not to be overlooked behind all else that it said.
    fn drop(&mut self) {
        if let Some(lacking) = self.lacking() {
            ui::warn(&lacking);
        }
    }
}

impl SharedStore {
    /// The one that the arguments name, if any; none without a network.
    pub fn of(arguments: &TargetArgs) -> anyhow::Result<Option<Self>> {
        Self::used(arguments, arguments.push)
    }

    /// The same for a command that puts nothing there, and so needs no secret key.
    pub fn asked(arguments: &TargetArgs) -> anyhow::Result<Option<Self>> {
        Self::used(arguments, false)
    }

    fn used(arguments: &TargetArgs, push: bool) -> anyhow::Result<Option<Self>> {
        let Some(named) = &arguments.store_remote else {
            if arguments.push {
                return Err(Usage::new(advised(
                    "--push: no shared store is named",
                    "give it with --store-remote URL",
                ))
                .into());
            }
            return Ok(None);
        };
        let place = place(named)?;
        // Also for commands that never ask anybody.
        if arguments.offline {
            return Ok(None);
        }
        let keys = keys(&arguments.store_keys, push)?;
        Ok(Some(Self {
            place,
            keys,
            standing: Standing::default(),
        }))
    }

    /// Which stages were to be put there, and were not; none where all were.
    pub fn lacking(&self) -> Option<String> {
        let lacking = self.standing.lacking();
        let names = lacking.join(", ");
        (!lacking.is_empty()).then(|| {
            format!(
                "warning: --push: these stages were not put into {}: {names}",
                self.place
            )
        })
    }
}

fn place(named: &str) -> anyhow::Result<Box<dyn Place>> {
    let bad = |why: &dyn std::fmt::Display| {
        Usage::new(advised(
            format!("--store-remote: {why}"),
            "give a folder, http(s)://HOST/PATH, s3://BUCKET/PATH or rclone:REMOTE:PATH",
        ))
    };
    if named.starts_with("http://") || named.starts_with("https://") {
        return Ok(Box::new(Web::new(named).map_err(|error| bad(&error))?));
    }
    let parsed = publishing::Place::parse(named).map_err(|error| {
        let (why, _) = lustre_files::apart(&error);
        bad(&why.replacen("cannot publish to", "it cannot be", 1))
    })?;
    let shown = parsed.to_string();
    Ok(match parsed {
        publishing::Place::Folder(path) => {
            let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
            if path.ancestors().any(|above| above.join(MARK).is_file()) {
                return Err(bad(&format!(
                    "{} is in a store that only this machine uses",
                    path.display()
                ))
                .into());
            }
            // One that is made here would be a mistyped name, found when all is built.
            if !path.is_dir() {
                return Err(bad(&format!("{} is no folder", path.display())).into());
            }
            Box::new(Folder(path))
        }
        publishing::Place::Store { remote, s3 } => Box::new(Objects { remote, s3, shown }),
        publishing::Place::Rsync(_) => {
            return Err(bad(&format!("`{shown}` is a place for rsync")).into());
        }
        publishing::Place::GitHub { .. } => {
            return Err(bad(&format!("`{shown}` is a place for releases")).into());
        }
    })
}

/// The keys in these files: the public ones, and with `push` one secret key, which is accepted, too.
fn keys(files: &[PathBuf], push: bool) -> anyhow::Result<Keys> {
    if files.is_empty() {
        return Err(Usage::new(advised(
            "--store-remote: no key is named, and nothing of a shared store is taken that no accepted key signed",
            "give the public key of whoever builds for it with --store-key FILE",
        ))
        .into());
    }
    let mut accepted = Vec::new();
    let mut signers: Vec<Key> = Vec::new();
    for path in files {
        let shown = || format!("--store-key {}", path.display());
        let text = lustre_files::read(path, lustre_files::TEXT).map(Zeroizing::new);
        let text = text.with_context(shown)?;
        if !begins_a_secret(&*text) {
            accepted.extend(PublicKey::parse_many(&*text).with_context(shown)?);
        } else if push {
            let key = Key::from_file(path, None).with_context(|| without_passphrase(path))?;
            accepted.push(key.public_key());
            signers.push(key);
        } else {
            accepted.push(Key::public_in_file(path).with_context(shown)?);
        }
    }
    for key in &accepted {
        let fingerprint = || format!("--store-key: the key {}", key.fingerprint());
        key.check_for(Purpose::Repository)
            .with_context(fingerprint)?;
    }
    let signer = match (push, signers.len()) {
        (false, _) => None,
        (true, 1) => signers.pop(),
        (true, count) => {
            return Err(Usage::new(advised(
                format!("--push: {count} of the files that --store-key names have a secret key"),
                "give the one that signs what is put there; `cargo xtask key new` makes one",
            ))
            .into());
        }
    };
    let signer = signer.map(|key| Box::new(key) as Box<dyn Signer>);
    Ok(Keys { accepted, signer })
}

fn without_passphrase(path: &Path) -> String {
    format!(
        "--store-key {}: the key of a shared store has no passphrase, and a file that only its owner can read",
        path.display()
    )
}
