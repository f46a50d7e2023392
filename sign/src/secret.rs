//! A passphrase or key text that neither `Debug` nor an error can show.

use std::cell::Cell;
use std::env;
use std::fmt;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use lustre_files::tried;
use lustre_process::secrets;
use zeroize::Zeroizing;

use super::{Error, input};

/// Bytes to keep secret: shown as `Secret(…)`, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The environment variable that names the file with the key's passphrase.
    pub const PASSPHRASE_FILE_VARIABLE: &'static str = secrets::PASSPHRASE_FILE_VARIABLE;
    /// The environment variable that holds the passphrase itself, for a CI system's secrets.
    pub const PASSPHRASE_VARIABLE: &'static str = secrets::PASSPHRASE_VARIABLE;

    /// The environment variable that may hold the armored secret key itself, for a CI system's secrets.
    pub const KEY_VARIABLE: &'static str = secrets::KEY_VARIABLE;

    /// Keeps `bytes` secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into()))
    }

    /// A passphrase or password from a file; one line end at the end of the file does not belong to it.
    pub fn from_file(path: &Path) -> Result<Secret, Error> {
        let (mut bytes, metadata) = input::read(path, "read the file with the secret")?;
        // A pipe has no mode that counts.
        if metadata.is_file() {
            input::closed_to_others(path, &metadata, 0o600)?;
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(Error::Unfit {
                path: path.to_owned(),
                problem: "is empty",
            });
        }
        Ok(Secret(bytes))
    }

    /// A passphrase or key from an environment variable's content.
    pub fn from_variable(name: &str) -> Result<Secret, Error> {
        let bad = |problem| Error::Variable {
            name: name.to_owned(),
            problem,
            wanted: "the secret itself",
        };
        let text = secrets::value(name).ok_or_else(|| bad("is not set"))?;
        if str::from_utf8(&text).is_err() {
            return Err(bad("is not UTF-8 text"));
        }
        Ok(Secret(text))
    }

    /// The passphrase the environment gives, if any: the file that [`Secret::PASSPHRASE_FILE_VARIABLE`] names, else the
    /// content of [`Secret::PASSPHRASE_VARIABLE`]. An empty variable is one that is not set: CI systems give a secret that is missing
    /// so.
    pub fn passphrase_from_environment() -> Result<Option<Secret>, Error> {
        let path = env::var_os(Self::PASSPHRASE_FILE_VARIABLE).filter(|path| !path.is_empty());
        if let Some(path) = path {
            let path = Path::new(&path);
            // What names no file may be the passphrase, in the wrong variable.
            return match path.symlink_metadata() {
                Ok(_) => Secret::from_file(path).map(Some),
                Err(_) => Err(Error::Variable {
                    name: Self::PASSPHRASE_FILE_VARIABLE.to_owned(),
                    problem: "is not the path of an existing file (its value is not shown: it may be a passphrase)",
                    wanted: "the path of the file with the passphrase",
                }),
            };
        }
        if secrets::value(Self::PASSPHRASE_VARIABLE).is_some() {
            return Secret::from_variable(Self::PASSPHRASE_VARIABLE).map(Some);
        }
        Ok(None)
    }

    /// Writes the secret into a file that is not there yet, for its owner alone (mode 0600), whole or not at all.
    pub fn write_new_file(&self, path: &Path) -> Result<(), Error> {
        let writing = tried("write the secret file", path);
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
        Ok(write().map_err(writing)?)
    }

    /// The secret, for who has to hand it to a program.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

thread_local! {
    /// Whether this thread works on a secret.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Runs code of a library on a secret. Should it panic, there is no result, and its message, which could carry a part of the secret,
/// is not shown.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !AT_WORK.get() {
                before(info);
            }
        }));
    });
    AT_WORK.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    AT_WORK.set(false);
    done.ok()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
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
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(Secret::from_file(&path).unwrap().bytes(), wanted.as_bytes());
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let error = Secret::from_file(&path).unwrap_err();
            assert!(matches!(error, Error::OpenToOthers { .. }), "{error}");
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

    #[test]
    fn a_panic_on_a_secret_is_not_shown() {
        // In a process of its own: what is done at a panic is the whole process's.
        const VARIABLE: &str = "PANIC_OF_A_TEST";
        let work = || -> () { panic!("{}", "hunter2") };
        match env::var(VARIABLE).as_deref() {
            Ok("quietly") => return assert!(quietly(work).is_none()),
            Ok(_) => return work(),
            Err(_) => {}
        }
        for how in ["quietly", "aloud"] {
            let mut command = lustre_process::command(env::current_exe().unwrap());
            command
                .args([
                    "--exact",
                    "secret::tests::a_panic_on_a_secret_is_not_shown",
                    "--nocapture",
                ])
                .env(VARIABLE, how)
                .env("RUST_BACKTRACE", "full");
            let done = lustre_process::capture(&mut command).unwrap();
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains("running 1 test"), "{said}");
            assert_eq!(said.contains("hunter2"), how == "aloud", "{said}");
            assert_eq!(done.status.success(), how == "quietly", "{said}");
        }
    }
}
