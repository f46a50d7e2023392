//! The development key: made on first use, so that a trial run needs no setup, and kept out of every checkout.

use lustre_files::tried;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::input::closed_to_others;
use super::{Error, Key};

/// The key's file in its folder.
pub const DEV_KEY_FILE: &str = "development.key.asc";

/// When a development key says it was made: 2020-01-01. It must be before every time a target signs at (its sources' dates),
/// because clients refuse a signature that is older than its key.
pub const DEV_KEY_CREATED: u32 = 1_577_836_800;

const USER_ID: &str = "lustre-repo development key, do not trust";

/// A development key and whether this call made it.
#[derive(Debug)]
pub struct DevKey {
    pub key: Key,
    /// Its file.
    pub path: PathBuf,
    /// Whether it was not there before: worth telling the user, with the path.
    pub made: bool,
}

/// The folder for keys: `$XDG_DATA_HOME/lustre-repo/keys`, else `$HOME/.local/share/lustre-repo/keys`; nothing when neither
/// variable gives an absolute path. Arguments: the two variables' contents.
pub fn default_key_dir(xdg_data_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: Option<OsString>| value.map(PathBuf::from).filter(|it| it.is_absolute());
    let data = absolute(xdg_data_home).or_else(|| Some(absolute(home)?.join(".local/share")))?;
    Some(data.join("lustre-repo/keys"))
}

/// The development key in the folder `dir`, made if it is not there (some seconds of one core). The folder is for keys alone:
/// made with mode 0700, the file with 0600. Two processes at once end up with the same key.
pub fn dev_key(dir: &Path) -> Result<DevKey, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(tried("make the key folder", dir))?;
    let metadata = fs::metadata(dir).map_err(tried("look at", dir))?;
    closed_to_others(dir, &metadata, 0o700)?;
    let path = dir.join(DEV_KEY_FILE);
    if let Some(key) = load(&path)? {
        return Ok(DevKey {
            key,
            path,
            made: false,
        });
    }
    let key = Key::generate(USER_ID, DEV_KEY_CREATED)?;
    match key.secret_armored(None)?.write_new_file(&path) {
        Ok(()) => Ok(DevKey {
            key,
            path,
            made: true,
        }),
        // Another process was faster: its key counts.
        Err(Error::Path(error)) if error.source.kind() == io::ErrorKind::AlreadyExists => {
            Ok(DevKey {
                key: Key::from_file(&path, None)?,
                path,
                made: false,
            })
        }
        Err(error) => Err(error),
    }
}

fn load(path: &Path) -> Result<Option<Key>, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Key::from_file(path, None).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(tried("look at the key file", path)(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_folder_follows_xdg() {
        let dir = |xdg: Option<&str>, home: Option<&str>| {
            default_key_dir(xdg.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(
            dir(Some("/data"), Some("/home/a")),
            Some(PathBuf::from("/data/lustre-repo/keys"))
        );
        let at_home = Some(PathBuf::from("/home/a/.local/share/lustre-repo/keys"));
        assert_eq!(dir(None, Some("/home/a")), at_home);
        // The XDG specification: a relative path is to be ignored.
        assert_eq!(dir(Some("data"), Some("/home/a")), at_home);
        assert_eq!(dir(None, None), None);
    }
}
