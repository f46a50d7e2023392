//! What a site gives to the build of its kernel: files of a folder of its own, such as the certificate that its modules are signed with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::model::Target;
use super::syntax::inside;
use crate::overlay::{Overlay, OverlayError};
use crate::store::Digest;

/// What the path of a folder beside the target's file begins with.
pub(super) const BESIDE: &str = "./";

/// No folder of a site's has more files and folders in it.
const MOST: usize = 4096;

/// Nor more bytes.
const LARGEST: u64 = 64 << 20;

/// The folder `path` where it is one beside the target's `file`.
pub(super) fn beside(file: &Path, path: &str) -> Option<PathBuf> {
    Some(file.parent()?.join(path.strip_prefix(BESIDE)?))
}

/// The overlay `name` of a target in `file` and, where it is one beside that file, those that it extends: their options are its own.
/// What is wrong with it is told where it is loaded to be used.
pub(super) fn with_those_below(specs: &Path, file: Option<&Path>, name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if let Some(folder) = file.and_then(|file| beside(file, name))
        && let Ok(overlay) = Overlay::load_in(specs, &folder, &[])
    {
        names.extend(overlay.laid_over().map(str::to_owned));
    }
    names
}

/// Whether everything at `beside`/`path` is a folder or a file, and not too much of it.
fn plain(beside: &Path, path: &str) -> Result<(), String> {
    let mut at = beside.to_owned();
    for part in path.split('/') {
        at.push(part);
        let found =
            fs::symlink_metadata(&at).map_err(|error| format!("{}: {error}", at.display()))?;
        if !found.is_dir() {
            return Err(format!(
                "{} is not a folder (links are not followed)",
                at.display()
            ));
        }
    }
    let (mut files, mut bytes) = (0, 0);
    for entry in WalkDir::new(&at) {
        let entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.file_type();
        if !kind.is_dir() && !kind.is_file() {
            return Err(format!(
                "{} is neither a folder nor a regular file; links and devices are refused because they could expose other files of this \
                 machine",
                entry.path().display()
            ));
        }
        files += 1;
        bytes += entry
            .metadata()
            .map_or(0, |found| if kind.is_file() { found.len() } else { 0 });
        if files > MOST || bytes > LARGEST {
            return Err(format!(
                "{} has more than {MOST} files or {} MiB; it should only contain an overlay and patches",
                at.display(),
                LARGEST >> 20
            ));
        }
    }
    Ok(())
}

/// The name by which an overlay's sources are in the site's folder.
pub const SITE: &str = "site";

impl Target {
    /// The folder of `kernel.site`: beside the target's own file where it was given by its path, otherwise under `specs`.
    pub fn site(&self, specs: &Path) -> Option<PathBuf> {
        let folder = self.kernel.site.as_ref()?;
        let beside = self.file.as_ref().and_then(|file| file.parent());
        Some(beside.unwrap_or(specs).join(folder))
    }

    /// The folder `path` of an overlay or of the spec of e2fsprogs: under `specs`, or beside the target's own file, where it begins with
    /// `./`.
    pub fn folder(&self, specs: &Path, path: &str) -> PathBuf {
        self.file
            .as_ref()
            .and_then(|file| beside(file, path))
            .unwrap_or_else(|| specs.join(path))
    }

    /// The overlay of Lustre, and those whose options it has because it extends them.
    pub fn lustre_overlays(&self, specs: &Path) -> Vec<String> {
        let name = self.lustre.overlay.as_deref();
        name.map(|name| with_those_below(specs, self.file.as_deref(), name))
            .unwrap_or_default()
    }

    /// The kernel's overlay with the options that the target takes of it; none for the distribution's own kernel.
    ///
    /// # Errors
    /// As [`Overlay::load_in`].
    pub fn kernel_overlay(&self, specs: &Path) -> Result<Option<Overlay>, OverlayError> {
        let load = |overlay| {
            let folder = self.folder(specs, overlay);
            Overlay::load_in(specs, &folder, &self.kernel.options)
        };
        self.kernel.changed_by().map(load).transpose()
    }

    /// The files that a target which is given by its path needs beside the project's specs: its own, those that it inherits from, the
    /// overlays that it names there, and what its kernel takes of the site's folder. By their paths beside the target's file; none of a
    /// target that is given by name.
    ///
    /// # Errors
    /// When one cannot be read, or is not beside the target's file.
    pub fn site_needs(&self, specs: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
        let Some(home) = self.file.as_ref().and_then(|file| file.parent()) else {
            return Ok(BTreeMap::new());
        };
        let mut all = self.beside.clone();
        for path in [
            self.kernel.overlay.as_deref(),
            self.lustre.overlay.as_deref(),
            Some(self.e2fsprogs.spec.as_str()),
        ] {
            let Some(below) = path.and_then(|path| path.strip_prefix(BESIDE)) else {
                continue;
            };
            plain(home, below)?;
            for entry in WalkDir::new(home.join(below)) {
                let entry = entry.map_err(|error| error.to_string())?;
                if entry.file_type().is_file() {
                    all.push(entry.into_path());
                }
            }
        }
        if let (Some(folder), Some(overlay)) = (
            self.site(specs),
            self.kernel_overlay(specs)
                .map_err(|error| error.to_string())?,
        ) {
            let files = self.site_files(specs, &overlay)?;
            all.extend(files.into_iter().map(|(file, _)| folder.join(file)));
        }
        let named = all.into_iter().map(|path| {
            let below = path.strip_prefix(home).ok().and_then(|it| it.to_str());
            match below.map(str::to_owned) {
                Some(below) => Ok((below, path)),
                None => Err(format!(
                    "{} is not beside the target's file, or has a name that is not UTF-8",
                    path.display()
                )),
            }
        });
        named.collect()
    }

    /// What holds of folders beside the target's file: plain folders and files, nothing that leads out of them, and no more than a
    /// person would write.
    pub(super) fn check_folders(&self) -> Result<(), String> {
        for (key, path) in [
            ("kernel.overlay", self.kernel.overlay.as_deref()),
            ("lustre.overlay", self.lustre.overlay.as_deref()),
            ("e2fsprogs.spec", Some(self.e2fsprogs.spec.as_str())),
        ] {
            let Some((path, rest)) = path.and_then(|path| Some((path, path.strip_prefix(BESIDE)?)))
            else {
                continue;
            };
            let Some(beside) = self.file.as_ref().and_then(|file| file.parent()) else {
                return Err(format!(
                    "{key}: `{path}` is relative to the file of a target that is given by its path (`--target PATH.toml`); this target is \
                     given by name"
                ));
            };
            inside(key, rest)?;
            plain(beside, rest).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(())
    }

    /// The files that `overlay`, with the options that the target takes of it, takes of the site's folder, each with its digest. Nothing
    /// else of that folder is read.
    ///
    /// # Errors
    /// When it takes some and the target names no folder, or the folder has them not; or when it takes none and a folder is named.
    pub fn site_files(
        &self,
        specs: &Path,
        overlay: &Overlay,
    ) -> Result<Vec<(String, Digest)>, String> {
        let wanted: Vec<&str> = overlay
            .manifest
            .source
            .iter()
            .filter(|source| source.root.as_deref() == Some(SITE))
            .map(|source| source.file.as_str())
            .collect();
        let Some(folder) = self.site(specs) else {
            return match wanted.first() {
                None => Ok(Vec::new()),
                Some(file) => Err(format!(
                    "kernel.options needs the site's `{file}`, but kernel.site has no folder with it"
                )),
            };
        };
        if wanted.is_empty() {
            return Err(format!(
                "kernel.site is {}, but none of kernel.options uses it; `site-key` does",
                folder.display()
            ));
        }
        wanted
            .into_iter()
            .map(|file| {
                let (digest, _) = Digest::of_file(&folder.join(file))
                    .map_err(|error| format!("kernel.site: {error}"))?;
                Ok((file.to_owned(), digest))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_may_be_beside_a_sites_target_and_lead_nowhere_else() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let site = tempfile::tempdir().unwrap();
        let at = |path: &str| site.path().join(path);
        std::fs::create_dir_all(at("overlays/kernel")).unwrap();
        std::fs::write(
            at("overlays/kernel/overlay.toml"),
            "with = ['kernel/el9']\npackage = 'kernel'\n",
        )
        .unwrap();
        let load = |kernel: &str| {
            std::fs::write(
                at("ours.toml"),
                format!("inherits = 'rocky-9.6'\n{kernel}\n"),
            )
            .unwrap();
            Target::load(&specs, at("ours.toml").to_str().unwrap())
                .map_err(|error| error.to_string())
        };
        let target = load("[kernel]\noverlay = './overlays/kernel'").unwrap();
        assert_eq!(
            target.folder(&specs, target.kernel.changed_by().unwrap()),
            at("overlays/kernel")
        );
        assert_eq!(
            target.folder(&specs, "kernel/el9"),
            specs.join("kernel/el9")
        );
        target.kernel_overlay(&specs).unwrap().unwrap();
        let needs: Vec<String> = target.site_needs(&specs).unwrap().into_keys().collect();
        assert_eq!(needs, ["ours.toml", "overlays/kernel/overlay.toml"]);
        // Where the site's folder is, decides nothing of what is built.
        let json = serde_json::to_string(&target).unwrap();
        assert!(!json.contains(site.path().to_str().unwrap()), "{json}");
        for (wrong, part) in [
            ("[kernel]\noverlay = './../kernel'", "kernel.overlay"),
            (
                "[kernel]\noverlay = './overlays/../overlays'",
                "kernel.overlay",
            ),
            ("[kernel]\noverlay = './none'", "none"),
            ("[lustre]\noverlay = './ours.toml'", "not a folder"),
            ("[e2fsprogs]\nspec = './/etc'", "e2fsprogs.spec"),
        ] {
            let error = load(wrong).unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
        std::os::unix::fs::symlink("/etc", at("overlays/link")).unwrap();
        let error = load("[kernel]\noverlay = './overlays/link'").unwrap_err();
        assert!(error.contains("links are not followed"), "{error}");
        std::os::unix::fs::symlink("/etc/passwd", at("overlays/kernel/site.config")).unwrap();
        let error = load("[kernel]\noverlay = './overlays/kernel'").unwrap_err();
        assert!(
            error.contains("neither a folder nor a regular file"),
            "{error}"
        );
        std::fs::remove_file(at("overlays/kernel/site.config")).unwrap();
        let large = std::fs::File::create(at("overlays/kernel/large")).unwrap();
        large.set_len(65 << 20).unwrap();
        let error = load("[kernel]\noverlay = './overlays/kernel'").unwrap_err();
        assert!(error.contains("64 MiB"), "{error}");
    }

    #[test]
    fn a_sites_certificate_is_in_the_folder_that_its_target_names() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let site = tempfile::tempdir().unwrap();
        let load = |kernel: &str| {
            let path = site.path().join("ours.toml");
            std::fs::write(
                &path,
                format!("inherits = 'rocky-9.6'\n[kernel]\n{kernel}\n"),
            )
            .unwrap();
            Target::load(&specs, path.to_str().unwrap()).unwrap()
        };
        let files = |target: &Target| {
            let overlay = target.kernel_overlay(&specs).unwrap().unwrap();
            target.site_files(&specs, &overlay)
        };
        let error = files(&load("options = ['site-key']")).unwrap_err();
        assert!(error.contains("kernel.site has no folder"), "{error}");
        let target = load("options = ['site-key']\nsite = 'keys'");
        let error = files(&target).unwrap_err();
        assert!(error.contains("keys/module-signing.pem"), "{error}");
        std::fs::create_dir(site.path().join("keys")).unwrap();
        std::fs::write(site.path().join("keys/module-signing.pem"), "x").unwrap();
        assert_eq!(
            files(&target),
            Ok(vec![(
                "module-signing.pem".to_owned(),
                Digest::of_bytes(b"x")
            )])
        );
        std::fs::write(site.path().join("keys/secret.pem"), "x").unwrap();
        let needs: Vec<String> = target.site_needs(&specs).unwrap().into_keys().collect();
        assert_eq!(needs, ["keys/module-signing.pem", "ours.toml"]);
        let error = files(&load("options = []\nsite = 'keys'")).unwrap_err();
        assert!(error.contains("`site-key` does"), "{error}");
        let without = load("options = []");
        assert_eq!(files(&without), Ok(Vec::new()));
        // What is not said, is not written: no key of a stage changes.
        assert!(
            !serde_json::to_string(&without)
                .unwrap()
                .contains("\"site\"")
        );
    }
}
