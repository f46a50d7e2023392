//! Which key a run signs with.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::{DEV_KEY_FILE, GpgAgent, Key, PublicKey, Secret, Signer, dev_key};

/// Where the signing key comes from. A passphrase is no part of it: see [`Secret::passphrase_from_environment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An ASCII-armored file.
    File(PathBuf),
    /// The content of the environment variable of this name, ASCII-armored.
    Variable(String),
    /// gpg-agent, by the primary key's fingerprint.
    Agent {
        /// 40 hexadecimal digits, spaces allowed.
        fingerprint: String,
        /// GnuPG's folder; nothing for the user's own.
        home: Option<PathBuf>,
    },
    /// The development key in this folder, made on first use.
    Development(PathBuf),
}

/// A signer that is ready, and what to tell about it.
pub struct Opened {
    pub signer: Box<dyn Signer>,
    /// The file of a development key that was made just now.
    pub made: Option<PathBuf>,
}

impl KeySource {
    /// Opens the key, and checks all but its lifetime, which is checked when it signs.
    pub fn open(&self, passphrase: Option<Secret>) -> Result<Opened, super::Error> {
        let ready = |signer: Box<dyn Signer>| Opened { signer, made: None };
        Ok(match self {
            KeySource::File(path) => ready(Box::new(Key::from_file(path, passphrase.as_ref())?)),
            KeySource::Variable(name) => {
                ready(Box::new(Key::from_variable(name, passphrase.as_ref())?))
            }
            KeySource::Agent { fingerprint, home } => ready(Box::new(GpgAgent::new(
                fingerprint,
                home.as_deref(),
                passphrase,
            )?)),
            KeySource::Development(dir) => {
                let dev = dev_key(dir)?;
                Opened {
                    signer: Box::new(dev.key),
                    made: dev.made.then_some(dev.path),
                }
            }
        })
    }

    /// The secret key itself: none where gpg-agent keeps it, and none of a development key, which nobody relies on.
    pub fn secret(&self, passphrase: Option<Secret>) -> Result<Option<Key>, super::Error> {
        match self {
            KeySource::File(path) => Key::from_file(path, passphrase.as_ref()).map(Some),
            KeySource::Variable(name) => Key::from_variable(name, passphrase.as_ref()).map(Some),
            KeySource::Agent { .. } | KeySource::Development(_) => Ok(None),
        }
    }

    /// The public part of the key, without a passphrase and without making anything: nothing where the development key is not there
    /// yet.
    pub fn public(&self) -> Result<Option<PublicKey>, super::Error> {
        Ok(Some(match self {
            KeySource::File(path) => Key::public_in_file(path)?,
            KeySource::Variable(name) => Key::public_in_variable(name)?,
            KeySource::Agent { fingerprint, home } => {
                let agent = GpgAgent::new(fingerprint, home.as_deref(), None)?;
                agent.public_key().clone()
            }
            KeySource::Development(dir) => {
                let path = dir.join(DEV_KEY_FILE);
                if fs::symlink_metadata(&path).is_err_and(|e| e.kind() == ErrorKind::NotFound) {
                    return Ok(None);
                }
                Key::public_in_file(&path)?
            }
        }))
    }
}
