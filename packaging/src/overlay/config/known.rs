//! Which options a kernel tree knows.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A tree whose options cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: no Kconfig file declares an option; this is not an unpacked kernel source", .0.display())]
    NotAKernel(PathBuf),
}

/// The names, without `CONFIG_`, of all options that any Kconfig file below `tree` declares, whatever the architecture.
pub fn known_symbols(tree: &Path) -> Result<BTreeSet<String>, KnownError> {
    let mut symbols = BTreeSet::new();
    // These folders hold most of the files and none of the options.
    let skipped = ["Documentation", "include", ".git"];
    let walk = WalkDir::new(tree).into_iter().filter_entry(|entry| {
        entry.depth() != 1 || !skipped.iter().any(|name| entry.file_name() == *name)
    });
    for entry in walk {
        let entry = entry.map_err(|error| KnownError::Read {
            path: error.path().unwrap_or(tree).to_owned(),
            source: error.into(),
        })?;
        let is_kconfig = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name == "Kconfig" || name.starts_with("Kconfig."));
        if !is_kconfig || !entry.file_type().is_file() {
            continue;
        }
        let bytes = lustre_files::read(entry.path(), lustre_files::TEXT).map_err(|source| {
            KnownError::Read {
                path: entry.path().to_owned(),
                source,
            }
        })?;
        symbols.extend(declared(&String::from_utf8_lossy(&bytes)));
    }
    if symbols.is_empty() {
        return Err(KnownError::NotAKernel(tree.to_owned()));
    }
    Ok(symbols)
}

/// The options a Kconfig text declares with `config` or `menuconfig`.
pub(crate) fn declared(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let declares = matches!(words.next(), Some("config" | "menuconfig"));
        let name = words.next()?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (declares && plain && words.next().is_none_or(|rest| rest.starts_with('#')))
            .then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn options_are_found_in_every_kconfig_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("block")).unwrap();
        fs::create_dir_all(dir.path().join("Documentation")).unwrap();
        fs::write(
            dir.path().join("Kconfig"),
            "menuconfig MD\n\tbool\nif MD\n  config DM # x\nendif\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("block/Kconfig.iosched"),
            "config MQ_IOSCHED_DEADLINE\n\ttristate\n\thelp\n\t  config of this is easy\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("Documentation/Kconfig"),
            "config NOT_THIS\n",
        )
        .unwrap();
        fs::write(dir.path().join("block/other"), "config NOR_THIS\n").unwrap();
        let found: Vec<String> = known_symbols(dir.path()).unwrap().into_iter().collect();
        assert_eq!(found, ["DM", "MD", "MQ_IOSCHED_DEADLINE"]);
    }

    #[test]
    fn a_tree_without_options_is_no_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let error = known_symbols(dir.path()).unwrap_err();
        assert!(matches!(error, KnownError::NotAKernel(_)));
        assert!(known_symbols(&dir.path().join("none")).is_err());
    }
}
