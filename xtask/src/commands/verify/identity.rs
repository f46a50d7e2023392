//! The files by which a repository says what it is: its manifest, its sums and its key. Where one of them cannot be told, nothing else of
//! the repository is looked at; and where somebody changed it, that is a check that failed and no failure of the run.

use std::io;
use std::path::Path;

use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Outcome};
use lustre_repository::{repo_file, sums};

/// What is wrong with the files of the repository at `dist`: checks that failed. None where nothing is; nor where the folder is none of
/// this tool and never was, or this user or the machine cannot read it: that says nothing of a repository.
pub fn broken(dist: &Path) -> Vec<Check> {
    let read = |name: &str| {
        lustre_files::read_no_link_to_string(dist.join(name), lustre_files::SOURCE).map(drop)
    };
    let manifest = Manifest::read(&dist.join(manifest::FILE));
    // Other folders may have a manifest and sums of their own.
    let names = [repo_file::KEY_FILE, repo_file::FILE];
    let mut ours = names.iter().map(|name| dist.join(name));
    if manifest.is_err() && !ours.any(|path| std::fs::symlink_metadata(path).is_ok()) {
        return Vec::new();
    }
    let manifest = match manifest {
        Err(manifest::Error::Read { source, .. }) => told(&source),
        Err(error @ manifest::Error::Json { .. }) => Some(error.to_string()),
        // Whoever wrote a newer format reads it.
        Err(_) => None,
        Ok(manifest) => odd_target(&manifest),
    };
    let of = |name: &str| read(name).err().as_ref().and_then(told);
    let all = [
        (proof::KEY, repo_file::KEY_FILE, of(repo_file::KEY_FILE)),
        (proof::SUMS, sums::FILE, of(sums::FILE)),
        (proof::MANIFEST, manifest::FILE, manifest),
    ];
    let failed = all.into_iter().filter_map(|(check, file, why)| {
        Some(Check {
            name: check.to_owned(),
            result: Outcome::Fail,
            checked: file.to_owned(),
            message: format!(
                "{file}: {}. Nothing else of the repository was checked",
                why?
            ),
            duration_ms: None,
            log: None,
        })
    });
    failed.collect()
}

/// What an error says of a file, and not of this user or the machine.
fn told(error: &io::Error) -> Option<String> {
    let of_the_file = error.raw_os_error().is_none() || error.kind() == io::ErrorKind::NotFound;
    of_the_file.then(|| error.to_string())
}

/// Nobody has looked at the signature of a manifest yet: a name is looked up, and a path would be read.
fn odd_target(manifest: &Manifest) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let release = manifest.overrides.lustre.as_deref();
    let is_name = |name: &&str| {
        let leads_elsewhere = name.is_empty() || name.starts_with('.') || name.ends_with(".toml");
        !leads_elsewhere && name.chars().all(plain)
    };
    let odd = [manifest.target.as_str()]
        .into_iter()
        .chain(release)
        .find(|name| !is_name(name))?;
    Some(format!(
        "it is for the target `{}`, which is not a valid name",
        odd.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checks(dist: &Path) -> Vec<String> {
        broken(dist).into_iter().map(|check| check.name).collect()
    }

    #[test]
    fn a_folder_that_never_was_a_repository_has_nothing_broken() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "none"] {
            assert_eq!(checks(&dir.path().join(name)), [] as [&str; 0]);
        }
        for name in [manifest::FILE, sums::FILE, sums::SIGNATURE] {
            fs::write(dir.path().join(name), "{\"name\": \"Photos\"}").unwrap();
        }
        assert_eq!(checks(dir.path()), [] as [&str; 0]);
        fs::write(dir.path().join(repo_file::FILE), "").unwrap();
        assert_eq!(checks(dir.path()), ["key", "manifest"]);
    }

    #[test]
    fn what_this_user_cannot_read_says_nothing_of_a_repository() {
        let denied = io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error());
        assert_eq!(told(&denied), None);
        let missing = io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error());
        assert!(told(&missing).is_some());
    }
}
