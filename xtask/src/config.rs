//! A site's defaults: `lustre-repo.toml` in the folder that the tool works in, a checkout's top for one, and `lustre-repo/config.toml` in the user's configuration folder. The
//! command line counts first, then the environment, then that folder's file, then the user's.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use lustre_packaging::sign::may_be_a_key;
use serde::Deserialize;

use crate::cli::{Cli, KeyArgs, TargetArgs};
use crate::context::variable;
use crate::exit::Usage;
use crate::place;

/// The file in the user's configuration folder.
const OF_USER: &str = "lustre-repo/config.toml";

/// The variable that names the target.
const TARGET_VARIABLE: &str = "LUSTRE_REPO_TARGET";

/// The variable that says how many jobs a build runs.
const JOBS_VARIABLE: &str = "LUSTRE_REPO_JOBS";

/// The variable that names the shared store.
const REMOTE_VARIABLE: &str = "LUSTRE_REPO_STORE_REMOTE";

/// The variable that names the file of a key for it.
const REMOTE_KEY_VARIABLE: &str = "LUSTRE_REPO_STORE_KEY_FILE";

/// What is taken where neither the command line nor the environment says anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `--target`.
    target: Option<String>,
    /// `--store`.
    store: Option<PathBuf>,
    /// `--store-remote`.
    store_remote: Option<String>,
    /// `--store-key`, each a file.
    #[serde(default)]
    store_key: Vec<PathBuf>,
    /// `--specs`.
    specs: Option<PathBuf>,
    /// `--jobs`.
    jobs: Option<NonZeroUsize>,
    /// `--key-file`.
    key_file: Option<PathBuf>,
    /// `--mirror`, each as FROM=TO.
    #[serde(default)]
    mirror: Vec<String>,
}

impl Config {
    /// What both files say.
    ///
    /// # Errors
    /// When one is there and cannot be read, or has a key that is none.
    fn load() -> Result<Self, Usage> {
        let here = place::folder()?.join(place::DEFAULTS);
        place::judge_owner(&here)?;
        let user = folder().map(|folder| folder.join(OF_USER));
        let mut config = Self::read(&here)?;
        if let Some(user) = user {
            config = config.over(Self::read(&user)?);
        }
        Ok(config)
    }

    /// What the file at `path` says; nothing where there is none. Paths in it are relative to its folder.
    fn read(path: &Path) -> Result<Self, Usage> {
        let failed = |why: &dyn std::fmt::Display| {
            Usage::new(format!("the defaults in {}: {why}", path.display()))
        };
        let text = lustre_files::read_to_string(path, lustre_files::SOURCE);
        let Some(text) = lustre_files::if_there(text).map_err(|error| failed(&error))? else {
            return Ok(Self::default());
        };
        if may_be_a_key(&text) {
            return Err(failed(
                &"it contains what looks like a secret key (not shown); put the key into a file of its own, and name that as `key-file`",
            ));
        }
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| failed(&error.to_string().trim_end().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        for path in [&mut config.store, &mut config.specs, &mut config.key_file] {
            *path = path.take().map(|path| folder.join(path));
        }
        for path in &mut config.store_key {
            *path = folder.join(&path);
        }
        // A folder, or where another machine has it: as `publish` tells them apart.
        if let Some(remote) = &mut config.store_remote
            && !remote.split('/').next().unwrap_or_default().contains(':')
        {
            let path = folder.join(&remote).into_os_string();
            *remote = path
                .into_string()
                .map_err(|_| failed(&"the path of the shared store is not UTF-8"))?;
        }
        // A target is a name, or the path of a file.
        if let Some(target) = &mut config.target
            && target.ends_with(".toml")
        {
            let path = folder.join(&target);
            *target = path
                .into_os_string()
                .into_string()
                .map_err(|_| failed(&"the path of the target is not UTF-8"))?;
        }
        Ok(config)
    }

    /// This, and for what it does not say, `other`.
    fn over(self, other: Self) -> Self {
        Self {
            target: self.target.or(other.target),
            store: self.store.or(other.store),
            store_remote: self.store_remote.or(other.store_remote),
            store_key: if self.store_key.is_empty() {
                other.store_key
            } else {
                self.store_key
            },
            specs: self.specs.or(other.specs),
            jobs: self.jobs.or(other.jobs),
            key_file: self.key_file.or(other.key_file),
            mirror: if self.mirror.is_empty() {
                other.mirror
            } else {
                self.mirror
            },
        }
    }

    /// Fills in what the command line left open about a target.
    fn about_target(&self, arguments: &mut TargetArgs, named: bool) -> Result<(), Usage> {
        if !named {
            let said = variable(TARGET_VARIABLE)
                .map(|name| {
                    name.into_string()
                        .map_err(|_| Usage::new(format!("{TARGET_VARIABLE} is not UTF-8")))
                })
                .transpose()?;
            if let Some(target) = said.as_ref().or(self.target.as_ref()) {
                arguments.target.clone_from(target);
            }
        }
        if arguments.jobs.is_none() {
            arguments.jobs = variable(JOBS_VARIABLE)
                .map(|text| {
                    let text = text.to_string_lossy();
                    text.parse().map_err(|_| {
                        Usage::new(format!(
                            "{JOBS_VARIABLE} is {text:?}, which is not a positive number of jobs; correct or unset it"
                        ))
                    })
                })
                .transpose()?
                .or(self.jobs);
        }
        if arguments.store_remote.is_none() {
            let said = variable(REMOTE_VARIABLE)
                .map(|url| {
                    let unfit = |_| Usage::new(format!("{REMOTE_VARIABLE} is not UTF-8"));
                    url.into_string().map_err(unfit)
                })
                .transpose()?;
            arguments.store_remote = said.or_else(|| self.store_remote.clone());
        }
        if arguments.store_keys.is_empty() {
            let said = variable(REMOTE_KEY_VARIABLE).map(|path| vec![PathBuf::from(path)]);
            arguments.store_keys = said.unwrap_or_else(|| self.store_key.clone());
        }
        // Several are looked through in their order, and one place can have only one other.
        if arguments.mirrors.is_empty() {
            arguments.mirrors.clone_from(&self.mirror);
        }
        Ok(())
    }
}

/// Fills in what the command line left open. `named` says whether it names the target.
///
/// # Errors
/// When a file of defaults, or a variable, cannot be used.
pub fn fill_in(cli: &mut Cli, named: bool) -> Result<(), Usage> {
    let config = Config::load()?;
    if cli.global.store.is_none() {
        cli.global.store = variable("LUSTRE_REPO_STORE")
            .map(PathBuf::from)
            .or_else(|| config.store.clone());
    }
    if cli.global.specs.is_none() {
        cli.global.specs = variable(place::SPECS_VARIABLE)
            .map(PathBuf::from)
            .or_else(|| config.specs.clone());
    }
    if let Some(arguments) = cli.command.target_mut() {
        config.about_target(arguments, named)?;
    }
    if let Some(key) = cli.command.key_mut() {
        let KeyArgs { default, .. } = key;
        default.clone_from(&config.key_file);
    }
    Ok(())
}

/// The user's configuration folder, as the XDG base directories have it.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let read = Config::read(&path).map_err(|error| error.to_string());
        let own = folder.path().display().to_string();
        read.map(|config| Config {
            store: config
                .store
                .map(|path| path.strip_prefix(&own).unwrap_or(&path).to_owned()),
            ..config
        })
    }

    #[test]
    fn paths_are_relative_to_the_file_and_what_one_does_not_say_the_other_does() {
        let own = read("store = 'here'\njobs = 3\n").unwrap();
        assert_eq!(own.store.as_deref(), Some(Path::new("here")));
        let site = read("store = '/srv/store'\ntarget = 'rocky-9.6'\nmirror = ['a=b']\n").unwrap();
        let both = own.over(site);
        assert_eq!(both.store.as_deref(), Some(Path::new("here")));
        assert_eq!(both.target.as_deref(), Some("rocky-9.6"));
        assert_eq!(
            (both.jobs.map(usize::from), both.mirror.len()),
            (Some(3), 1)
        );
        assert_eq!(
            Config::read(Path::new("/no/such/file")).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn what_no_default_is_called_is_refused_with_its_line() {
        for (text, parts) in [
            ("jobs = 2\nstorage = '/x'\n", ["line 2", "storage"]),
            ("jobs = 0\n", ["line 1", "jobs"]),
            ("\n\nkey_file = 'x'\n", ["line 3", "key-file"]),
        ] {
            let error = read(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part} is not in {error}");
            }
        }
    }
}
