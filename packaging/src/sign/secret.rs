//! A passphrase or key text that neither `Debug` nor an error can show.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::Error;

/// Bytes to keep secret: shown as `Secret(…)`, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The environment variable that names the file with the key's passphrase.
    pub const PASSPHRASE_FILE_VARIABLE: &'static str = "LUSTRE_REPO_KEY_PASSPHRASE_FILE";
    /// The environment variable that holds the passphrase itself, for a CI system's secrets.
    pub const PASSPHRASE_VARIABLE: &'static str = "LUSTRE_REPO_KEY_PASSPHRASE";

    /// The environment variable that may hold the armored secret key itself, for a CI system's secrets.
    pub const KEY_VARIABLE: &'static str = "LUSTRE_REPO_KEY";

    /// Keeps `bytes` secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into()))
    }

    /// A passphrase from a file; one line end at the end of the file does not belong to it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Secret, Error> {
        let mut bytes =
            Zeroizing::new(fs::read(path).map_err(Error::io("read the passphrase file", path))?);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok(Secret(bytes))
    }

    /// A passphrase or key from an environment variable's content.
    ///
    /// # Errors
    /// When the variable is not set or is not UTF-8.
    pub fn from_variable(name: &str) -> Result<Secret, Error> {
        match env::var(name) {
            Ok(text) => Ok(Secret::new(text)),
            Err(error) => Err(Error::Variable {
                name: name.to_owned(),
                problem: match error {
                    env::VarError::NotPresent => "is not set",
                    env::VarError::NotUnicode(_) => "is not UTF-8 text",
                },
                wanted: "the secret itself",
            }),
        }
    }

    /// The passphrase the environment gives, if any: the file that [`Secret::PASSPHRASE_FILE_VARIABLE`] names, else the
    /// content of [`Secret::PASSPHRASE_VARIABLE`].
    ///
    /// # Errors
    /// When the file cannot be read, or a variable is not UTF-8.
    pub fn passphrase_from_environment() -> Result<Option<Secret>, Error> {
        if let Some(path) = env::var_os(Self::PASSPHRASE_FILE_VARIABLE) {
            return Secret::from_file(Path::new(&path)).map(Some);
        }
        if env::var_os(Self::PASSPHRASE_VARIABLE).is_some() {
            return Secret::from_variable(Self::PASSPHRASE_VARIABLE).map(Some);
        }
        Ok(None)
    }

    /// Writes the secret into a file that is not there yet, for its owner alone (mode 0600), whole or not at all.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_new_file(&self, path: &Path) -> Result<(), Error> {
        let writing = Error::io("write the secret file", path);
        let write = || -> io::Result<()> {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            // Temporary files have mode 0600 from the start.
            let mut file = tempfile::Builder::new()
                .prefix(".secret-")
                .tempfile_in(folder)?;
            file.write_all(&self.0)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(path)?;
            Ok(())
        };
        write().map_err(writing)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }

    #[test]
    fn one_line_end_of_a_file_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        for (text, wanted) in [
            ("a b ", "a b "),
            ("x\n", "x"),
            ("x\r\n", "x"),
            ("x\n\n", "x\n"),
        ] {
            let path = dir.path().join("passphrase");
            fs::write(&path, text).unwrap();
            assert_eq!(Secret::from_file(&path).unwrap().bytes(), wanted.as_bytes());
        }
    }

    #[test]
    fn a_written_secret_is_for_its_owner_alone_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        Secret::new("one").write_new_file(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = Secret::new("two").write_new_file(&path).unwrap_err();
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = Secret::from_variable("LUSTRE_REPO_NO_SUCH_VARIABLE").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("LUSTRE_REPO_NO_SUCH_VARIABLE is not set")
        );
    }
}
