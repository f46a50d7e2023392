//! The base of an existing distribution: exactly the packages that the lock pins, as a repository of our own, so that nothing
//! after this stage depends on a mirror or on the day.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lustre_files::advised;
use lustre_packaging::lock::Pinned;
use lustre_packaging::resolve;
use lustre_packaging::sign::{PublicKey, verify_package};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::{Digest, PathError};
use lustre_packaging::target::KeyFile;
use lustre_repository::repodata;

use super::inputs::BuildGraph;
use super::{name, recipes};

/// The type of the metadata of module streams.
const MODULES: &str = "modules";

/// The lock's name for the key `name` of the target's `distribution.keys`.
pub fn key_source(name: &str) -> String {
    format!("key-{name}")
}

/// The lock's name for the module streams of the repository `id`.
pub fn modules_source(id: &str) -> String {
    format!("{MODULES}-{id}")
}

impl BuildGraph<'_> {
    /// The base repository of the pinned packages, the source repository with the kernel's source package, and all keys.
    pub(super) fn repositories(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.distribution;
        // The source package that is pinned, or a tree.
        let kernel = match &self.kernel {
            Some(_) => None,
            None => Some(self.kernel_pin()?),
        };
        let mut inputs = recipes::of(name::DISTRIBUTION);
        inputs.extend([
            self.settings_input(),
            ("packages".to_owned(), self.packages_digest()),
        ]);
        match (&self.kernel, &kernel) {
            (Some(tree), _) => inputs.extend(self.kernel_tree_inputs(tree)?),
            (None, Some(pin)) => inputs.push(("kernel".to_owned(), pin.sha256.to_string())),
            (None, None) => {}
        }
        let mut keys = Vec::new();
        for (name, key) in &wanted.keys {
            let pin = self.lock.file(&key_source(name))?;
            inputs.push((key_source(name), key.fingerprint.clone()));
            inputs.push((format!("{}-file", key_source(name)), pin.sha256.to_string()));
            keys.push((name, key, pin));
        }
        let mut modules = Vec::new();
        for repository in wanted.repository.iter().filter(|one| !one.source) {
            let name = modules_source(&repository.id);
            if self.lock.source.contains_key(&name) {
                let pin = self.lock.file(&name)?;
                inputs.push((name, pin.sha256.to_string()));
                modules.push(pin);
            }
        }
        Ok(Stage {
            name: name::DISTRIBUTION.to_owned(),
            needs: self.kernel_archive_needs(),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let mut by_name = BTreeMap::new();
                for (name, key, pin) in &keys {
                    let path = self.pinned(&pin.sha256, &pin.file)?;
                    let text = lustre_files::read(&path, lustre_files::TEXT)
                        .map_err(|error| PathError::new("read", &path, error))?;
                    by_name.insert(name.as_str(), pinned_key(name, key, &text)?);
                }
                let mut armored = String::new();
                for key in by_name.values() {
                    armored.push_str(&key.armored()?);
                }
                fs::write(work.output.join("key.asc"), armored)?;
                match (&self.kernel, &kernel) {
                    // What the user gave is signed by nobody.
                    (Some(tree), _) => {
                        let source = work.output.join("source");
                        self.tree_srpm(tree, work, &source.join("Packages"))?;
                        self.metadata(&source, BTreeMap::new())?;
                    }
                    (None, Some(pin)) => self.source_repository(work, pin, &by_name)?,
                    (None, None) => {}
                }
                self.base_repository(work, &modules)
            }),
        })
    }

    /// A digest of all packages that the lock pins.
    pub(super) fn packages_digest(&self) -> String {
        let pins = self.lock.package.iter();
        let fields = pins.map(|pin| (pin.file.file.as_str(), pin.file.sha256.as_str()));
        Digest::of_fields(fields).to_string()
    }

    fn base_repository(&self, work: &Work<'_>, modules: &[Pinned]) -> Result<(), Failure> {
        let base = work.output.join("base");
        let folder = base.join("Packages");
        fs::create_dir_all(&folder)?;
        let mut there: BTreeMap<&str, &str> = BTreeMap::new();
        for pin in &self.lock.package {
            match there.insert(&pin.file.file, &pin.file.sha256) {
                None => {
                    let digest = pin.file.sha256.parse()?;
                    place(
                        &self.pinned(&digest, &pin.file.file)?,
                        &folder,
                        &pin.file.file,
                    )?;
                }
                Some(same) if same == pin.file.sha256 => {}
                Some(other) => {
                    return Err(advised(
                        format!(
                            "the lock pins two different packages as {}: sha256 {other} and {}",
                            pin.file.file, pin.file.sha256
                        ),
                        "write a new one with `cargo xtask lock --update`",
                    )
                    .into());
                }
            }
        }
        let mut more = BTreeMap::new();
        if !modules.is_empty() {
            let path = work.scratch.join("modules.yaml");
            let mut streams = fs::File::create(&path)?;
            for pin in modules {
                let text = resolve::module_streams(&self.pinned(&pin.sha256, &pin.file)?)
                    .map_err(|error| format!("{}: {error}", pin.file))?;
                streams.write_all(&text)?;
            }
            more.insert(MODULES.to_owned(), path);
        }
        self.metadata(&base, more)
    }

    /// The kernel's source package, which must be signed with the key of a source repository.
    fn source_repository(
        &self,
        work: &Work<'_>,
        kernel: &Pinned,
        keys: &BTreeMap<&str, PublicKey>,
    ) -> Result<(), Failure> {
        let package = self.pinned(&kernel.sha256, &kernel.file)?;
        let repositories = self.target.distribution.repository.iter();
        let mut failures = Vec::new();
        let mut signed = false;
        let names: BTreeSet<&String> = repositories
            .filter(|one| one.source && one.enabled)
            .flat_map(|one| one.key.all())
            .collect();
        for name in names {
            let Some(key) = keys.get(name.as_str()) else {
                continue;
            };
            match verify_package(&package, key) {
                Ok(_) => signed = true,
                Err(error) => failures.push(format!("with the key `{name}`: {error}")),
            }
        }
        if !signed {
            return Err(advised(format!("{}, the kernel's source package, is not signed with a key of the target's source repositories: {}", kernel.file, failures.join("; ")), "if the distribution has a new key, set it in `distribution.keys` and write a new lock with `cargo xtask lock --update`")
            .into());
        }
        let source = work.output.join("source");
        let folder = source.join("Packages");
        fs::create_dir_all(&folder)?;
        place(&package, &folder, &kernel.file)?;
        self.metadata(&source, BTreeMap::new())
    }

    fn metadata(&self, root: &Path, more: BTreeMap<String, PathBuf>) -> Result<(), Failure> {
        let options = repodata::Options {
            revision: self.target.build.source_date_epoch.into(),
            workers: self.jobs,
            more,
            ..repodata::Options::default()
        };
        repodata::write(root, &options)?;
        Ok(())
    }
}

/// Puts the file of the store at `from` into `folder` as `name`: as a link, which takes no room, where the file system can.
fn place(from: &Path, folder: &Path, name: &str) -> Result<(), Failure> {
    if name.contains('/') || !name.ends_with(".rpm") {
        return Err(advised(
            format!("the lock pins a package as `{name}`, which is not a package's file name"),
            "write a new one with `cargo xtask lock --update`",
        )
        .into());
    }
    let to = folder.join(name);
    if fs::hard_link(from, &to).is_err() {
        lustre_files::copy(from, &to).map_err(|error| PathError::new("copy", from, error))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// The key named `name` out of the text of its file; others in there are not taken.
fn pinned_key(name: &str, wanted: &KeyFile, text: &[u8]) -> Result<PublicKey, Failure> {
    let keys = PublicKey::parse_many(text)?;
    let found: Vec<String> = keys.iter().map(PublicKey::fingerprint).collect();
    keys.into_iter()
        .find(|key| key.fingerprint() == wanted.fingerprint.to_uppercase())
        .ok_or_else(|| {
            format!(
                "the file of the key `{name}` does not have the target's fingerprint {}; it has {}",
                wanted.fingerprint,
                found.join(", ")
            )
            .into()
        })
}

#[cfg(test)]
mod tests {
    use lustre_distro::Recipe;
    use lustre_packaging::sign::Signer as _;

    use super::*;
    use crate::place::specs;

    #[test]
    fn a_package_is_placed_under_its_own_name_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("digest");
        fs::write(&from, "a package").unwrap();
        let folder = dir.path().join("Packages");
        fs::create_dir(&folder).unwrap();
        place(&from, &folder, "a-1-1.x86_64.rpm").unwrap();
        let text = fs::read_to_string(folder.join("a-1-1.x86_64.rpm")).unwrap();
        assert_eq!(text, "a package");
        for name in ["../a-1-1.x86_64.rpm", "a-1-1.x86_64.deb"] {
            let error = place(&from, &folder, name).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("lock --update"),
                "{error}"
            );
        }
    }

    #[test]
    fn of_a_file_of_keys_only_the_one_named_is_taken() {
        let recipe = Recipe::load(&specs().join("distributions/rehearsal")).unwrap();
        let text = lustre_distro::build::key(&recipe).unwrap();
        let text = text.public_key_armored().unwrap();
        let wanted = |fingerprint: &str| KeyFile {
            fingerprint: fingerprint.to_owned(),
            file: "keys/x.asc".to_owned(),
            url: "https://mirror.example/x".to_owned(),
        };
        let fingerprint = "362B476C5ACE998F38942E53B26F6C7F3F1BA4F6";
        let key = pinned_key("distribution", &wanted(fingerprint), text.as_bytes()).unwrap();
        assert_eq!(key.fingerprint(), fingerprint);
        let other = "0123456789ABCDEF0123456789ABCDEF01234567";
        let error = pinned_key("distribution", &wanted(other), text.as_bytes()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(other)
                && error.contains(fingerprint)
                && error.contains("`distribution`"),
            "{error}"
        );
    }
}
