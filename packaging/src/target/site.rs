//! What a site gives to the build of its kernel: files of a folder of its own, such as the certificate that its modules are signed with.

use std::path::{Path, PathBuf};

use super::model::Target;
use crate::overlay::Overlay;
use crate::store::Digest;

/// The name by which an overlay's sources are in the site's folder.
pub const SITE: &str = "site";

impl Target {
    /// The folder of `kernel.site`: beside the target's own file where it was given by its path, otherwise under `specs`.
    pub fn site(&self, specs: &Path) -> Option<PathBuf> {
        let folder = self.kernel.site.as_ref()?;
        let beside = self.file.as_ref().and_then(|file| file.parent());
        Some(beside.unwrap_or(specs).join(folder))
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
                    "kernel.options takes `{file}` of the site, and kernel.site names no folder that has it"
                )),
            };
        };
        if wanted.is_empty() {
            return Err(format!(
                "kernel.site is {}, and none of kernel.options takes anything of it: `site-key` does",
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
            let kernel = &target.kernel;
            let path = specs.join(&kernel.overlay).join("overlay.toml");
            let overlay = Overlay::load_with(&path, &kernel.options).unwrap();
            target.site_files(&specs, &overlay)
        };
        let error = files(&load("options = ['site-key']")).unwrap_err();
        assert!(error.contains("kernel.site names no folder"), "{error}");
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
