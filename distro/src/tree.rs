//! The files of a package on the way from one format to the other, and the rules for their paths.

use lustre_packaging::glob::matches;
use std::collections::BTreeMap;

use serde::Deserialize;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file and its contents.
    File(Vec<u8>),
    /// A hard link to the regular file with this path in the same package.
    HardLink(String),
    Directory,
    /// A symbolic link and its target.
    Symlink(String),
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits, set-id and sticky bits included.
    pub mode: u16,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// What it is.
    pub kind: Kind,
    /// Whether it is a configuration file that an upgrade must not replace.
    pub config: bool,
    /// Whether its contents change by use, so that verifying them (`rpm -V`) would only report that.
    pub changes: bool,
}

impl Entry {
    /// A file that belongs to root.
    pub fn of_root(kind: Kind, mode: u16, mtime: u32) -> Self {
        Self {
            mode,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime,
            kind,
            config: false,
            changes: false,
        }
    }
}

/// Absolute path to file. Sorted, so that nothing depends on the order of an archive.
pub type Tree = BTreeMap<String, Entry>;

/// How paths change on the way: directories that moved and files that are left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRules {
    /// Old directory to new one (`/bin` to `/usr/bin`). The first that fits is applied, once.
    #[serde(default)]
    pub moved: Vec<MovedFolder>,
    /// Patterns of paths that are left out, with everything below them.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Patterns of regular files that are kept although a `drop` pattern fits.
    #[serde(default)]
    pub keep: Vec<String>,
}

/// A directory that has another place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedFolder {
    /// Where Debian has it.
    pub from: String,
    /// Where the distribution has it.
    pub to: String,
    /// Whether files that were there are provided under their old path as well, for requirements such as `/bin/sh`.
    #[serde(default)]
    pub provide_old: bool,
}

impl PathRules {
    /// The path's place, and the old path where that is to be provided.
    pub fn place(&self, path: &str) -> (String, bool) {
        for moved in &self.moved {
            if let Some(rest) = below(path, &moved.from) {
                return (format!("{}{rest}", moved.to), moved.provide_old);
            }
        }
        (path.to_owned(), false)
    }

    /// Whether a path (after [`place`](Self::place)) is left out.
    pub fn drops(&self, path: &str, regular: bool) -> bool {
        self.drop.iter().any(|pattern| matches(pattern, path, true))
            && !(regular && self.keep.iter().any(|p| matches(p, path, false)))
    }
}

/// What is left of `path` below `directory`: empty for the directory itself.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// An archive member's name as an absolute path, without `.`; none for the root itself.
pub fn absolute(name: &str) -> Result<Option<String>, &'static str> {
    let mut path = String::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("the name leaves the package"),
            part if part.contains('\0') => return Err("the name holds a NUL"),
            part => {
                path.push('/');
                path.push_str(part);
            }
        }
    }
    Ok((!path.is_empty()).then_some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_places() {
        let rules = PathRules {
            moved: vec![
                MovedFolder {
                    from: "/bin".into(),
                    to: "/usr/bin".into(),
                    provide_old: true,
                },
                MovedFolder {
                    from: "/lib64".into(),
                    to: "/usr/lib64".into(),
                    provide_old: false,
                },
            ],
            drop: vec!["/usr/share/doc".into()],
            keep: vec!["/usr/share/doc/*/copyright".into()],
        };
        assert_eq!(rules.place("/bin/sh"), ("/usr/bin/sh".into(), true));
        assert_eq!(rules.place("/bin"), ("/usr/bin".into(), true));
        assert_eq!(rules.place("/binary"), ("/binary".into(), false));
        assert_eq!(rules.place("/lib64/ld.so").0, "/usr/lib64/ld.so");
        assert!(rules.drops("/usr/share/doc/a", false));
        assert!(!rules.drops("/usr/share/doc/a/copyright", true));
        assert!(rules.drops("/usr/share/doc/a/copyright", false));
    }

    #[test]
    fn member_names() {
        assert_eq!(absolute("./usr/bin/").unwrap().unwrap(), "/usr/bin");
        assert_eq!(absolute("./").unwrap(), None);
        assert!(absolute("./usr/../../etc/passwd").is_err());
    }
}
