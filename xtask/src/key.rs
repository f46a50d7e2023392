//! Which key signs: as the command line, the environment or a site's defaults name it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lustre_files::advised;
use lustre_packaging::process::secrets;
use lustre_packaging::sign::{Key, KeySource, PublicKey, Secret, Signer, utc};

use crate::cli::KeyArgs;
use crate::cli::key::RENEWAL_DAYS;
use crate::context::{self, variable};
use crate::exit::Usage;
use crate::ui;

/// The variable that names the file of the key.
const FILE_VARIABLE: &str = "LUSTRE_REPO_KEY_FILE";
/// The variable that names the key that gpg-agent has.
const AGENT_VARIABLE: &str = "LUSTRE_REPO_KEY_AGENT";

/// The key that the arguments and the environment name; the development key where they name none.
pub fn source(arguments: &KeyArgs) -> anyhow::Result<KeySource> {
    // What the line says counts; what is exported is for lines that say nothing.
    let (file, agent) = match (&arguments.key_file, &arguments.key_agent) {
        (None, None) => (
            variable(FILE_VARIABLE).map(named_file).transpose()?,
            variable(AGENT_VARIABLE).map(|text| text.to_string_lossy().into_owned()),
        ),
        (file, agent) => (file.clone(), agent.clone()),
    };
    Ok(match (file, agent) {
        (Some(_), Some(_)) => {
            return Err(Usage::new(advised(
                format!("{FILE_VARIABLE} and {AGENT_VARIABLE} both name a key"),
                "unset one of them",
            ))
            .into());
        }
        (Some(path), None) => {
            descriptor(&path)?;
            KeySource::File(path)
        }
        (None, Some(fingerprint)) => KeySource::Agent {
            fingerprint,
            home: variable("GNUPGHOME").map(PathBuf::from),
        },
        (None, None) if secrets::value(Secret::KEY_VARIABLE).is_some() => {
            KeySource::Variable(Secret::KEY_VARIABLE.to_owned())
        }
        (None, None) => match &arguments.default {
            Some(path) => {
                descriptor(path)?;
                KeySource::File(path.clone())
            }
            None => KeySource::Development(context::key_folder()?),
        },
    })
}

/// The file that [`FILE_VARIABLE`] names. What names none is not shown: it may be the key.
fn named_file(value: OsString) -> Result<PathBuf, Usage> {
    let path = PathBuf::from(value);
    if path.symlink_metadata().is_ok() {
        return Ok(path);
    }
    Err(Usage::new(advised(
        format!(
            "{FILE_VARIABLE} is not the path of an existing file (its value is not shown: it may be a key)"
        ),
        format!(
            "set it to the path of the key's file, or put the key itself into {}",
            Secret::KEY_VARIABLE
        ),
    )))
}

/// Refuses an open file as the key: programs that are started have it open, too, and could read it again. A pipe is empty by then.
fn descriptor(path: &Path) -> anyhow::Result<()> {
    let inherited = ["/dev/fd/", "/proc/self/fd/"]
        .iter()
        .any(|folder| path.starts_with(folder));
    if inherited && path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Usage::new(advised(
            format!(
                "{} is a file that every started program would inherit",
                path.display()
            ),
            "give its own path, or pass the key through a pipe",
        ))
        .into());
    }
    Ok(())
}

/// Whether the key can be had a second time: a pipe gives it once.
pub fn can_be_read_again(arguments: &KeyArgs) -> anyhow::Result<bool> {
    Ok(match source(arguments)? {
        KeySource::File(path) => path.metadata().map_or(true, |metadata| metadata.is_file()),
        _ => true,
    })
}

/// Opens the key of [`source`].
pub fn open(arguments: &KeyArgs) -> anyhow::Result<Box<dyn Signer>> {
    warn_of_a_copy();
    let opened = source(arguments)?.open(Secret::passphrase_from_environment()?)?;
    if let Some(path) = opened.made {
        ui::warn(&format!(
            "created a development key, {}, only for trying things out; use a release key with --key-file",
            path.display()
        ));
    }
    let public = PublicKey::parse(&opened.signer.public_key_armored()?)?;
    if let Some(text) = public
        .expires()
        .and_then(|end| ending(end, SystemTime::now()))
    {
        ui::warn(&text);
    }
    Ok(opened.signer)
}

/// What is said of a key that ends at `end`, in seconds since 1970, where that is soon.
fn ending(end: u64, now: SystemTime) -> Option<String> {
    let left = RemainingLife::of(end, now);
    (!left.is_over() && left.is_within(RENEWAL_DAYS)).then(|| {
        format!(
            "warning: the key that signs expires on {}, in {} days; docs/keys.md says how to renew or replace it",
            utc(end),
            left.days()
        )
    })
}

/// How long a key is still valid.
#[derive(Debug, Clone, Copy)]
pub struct RemainingLife(Duration);

impl RemainingLife {
    const DAY: u64 = 24 * 60 * 60;

    /// At `now`, where it expires at `end`, in seconds since 1970.
    pub fn of(end: u64, now: SystemTime) -> Self {
        let end = UNIX_EPOCH + Duration::from_secs(end);
        Self(end.duration_since(now).unwrap_or_default())
    }

    /// Whole days.
    pub fn days(self) -> u64 {
        self.0.as_secs() / Self::DAY
    }

    /// Whether it has expired.
    pub fn is_over(self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is not valid for longer than `days` days.
    pub fn is_within(self, days: u32) -> bool {
        self.0 <= Duration::from_secs(u64::from(days) * Self::DAY)
    }
}

/// The secret key of [`source`], for what only its owner does with it.
pub fn open_secret(arguments: &KeyArgs) -> anyhow::Result<Key> {
    warn_of_a_copy();
    let source = source(arguments)?;
    let key = source.secret(Secret::passphrase_from_environment()?)?;
    key.ok_or_else(|| {
        let why = match source {
            KeySource::Agent { .. } => {
                advised("gpg-agent gives no secret key away", "use gpg for this")
            }
            _ => advised(
                "this is for release keys, and none is named",
                "give its file with --key-file",
            ),
        };
        Usage::new(why).into()
    })
}

fn warn_of_a_copy() {
    if let Some((name, id)) = secrets::seen_in() {
        ui::warn(&format!(
            "warning: `{name}` (process {id}), which started this, has the key or its passphrase in its environment, where all programs of \
             the same user can read it; start the tool with `exec`, or pass the key through a pipe"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_key_is_told_in_time() {
        let end = 1_800_000_000;
        let left = |days: u64| UNIX_EPOCH + Duration::from_secs(end - days * 86_400);
        assert_eq!(ending(end, left(61)), None);
        // As `verify` judges it.
        assert!(ending(end, left(60)).is_some());
        assert_eq!(ending(end, UNIX_EPOCH + Duration::from_secs(end)), None);
        let text = ending(end, left(10)).unwrap();
        assert!(
            text.contains("2027-01-15") && text.contains("in 10 days"),
            "{text}"
        );
    }

    #[test]
    fn a_key_file_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("release.key.asc");
        let arguments = KeyArgs {
            key_file: Some(file.clone()),
            ..KeyArgs::default()
        };
        let error = open(&arguments).err().unwrap();
        let shown = file.display().to_string();
        assert!(error.to_string().contains(&shown), "{error}");
        fs_write(&file, "no key");
        let error = open(&arguments).err().unwrap();
        assert!(error.to_string().contains(&shown), "{error}");
    }

    /// A file as only its owner may read it.
    fn fs_write(path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
}
