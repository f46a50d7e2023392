//! Symbolic links and where they lead.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::Error;
use crate::store::PathError;

/// How many links are followed before a path counts as going in circles (the kernel's own limit).
const MAX_LINKS: usize = 40;

/// Checks that no symbolic link below `root` leads out of it, followed as the system would follow it. A link to something
/// that is not there, or in circles, leads nowhere and is allowed.
pub fn check_links(root: &Path) -> Result<(), Error> {
    for item in WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let item = item.map_err(|error| PathError::new("read", root, error.into()))?;
        if item.file_type().is_symlink() {
            let link = item.path().strip_prefix(root).unwrap_or(item.path());
            if !stays(root, link) {
                return Err(Error::Link {
                    link: link.to_owned(),
                    target: fs::read_link(item.path()).unwrap_or_default(),
                });
            }
        }
    }
    Ok(())
}

/// Whether following `link` (relative to `root`) ends inside `root`. Nothing outside is looked at.
fn stays(root: &Path, link: &Path) -> bool {
    let mut at = PathBuf::new();
    let mut todo: VecDeque<OsString> = parts(link);
    let mut followed = 0;
    while let Some(part) = todo.pop_front() {
        if part == ".." {
            if !at.pop() {
                return false;
            }
            continue;
        }
        at.push(&part);
        let Ok(target) = fs::read_link(root.join(&at)) else {
            continue;
        };
        if target.is_absolute() {
            return false;
        }
        followed += 1;
        if followed > MAX_LINKS {
            return true;
        }
        at.pop();
        for part in parts(&target).into_iter().rev() {
            todo.push_front(part);
        }
    }
    true
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn with(links: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("deep/er")).unwrap();
        for (link, target) in links {
            symlink(target, dir.path().join(link)).unwrap();
        }
        dir
    }

    #[test]
    fn links_inside_are_allowed() {
        for links in [
            &[("deep/er/up", "../../x")][..],
            &[("deep/self", ".")],
            &[("loop", "pool"), ("pool", "loop")],
            &[("deep/er/root", "../.."), ("deep/through", "er/root/deep")],
        ] {
            check_links(with(links).path()).unwrap();
        }
    }

    #[test]
    fn links_out_are_found() {
        for links in [
            &[("x", "/etc/passwd")][..],
            &[("x", "..")],
            &[("deep/er/x", "../../../y")],
            // Each looks harmless without the other.
            &[("deep/er/s", "../.."), ("deep/er/x", "s/../y")],
        ] {
            let dir = with(links);
            let error = check_links(dir.path()).unwrap_err().to_string();
            assert!(error.contains("x -> "), "{error}");
        }
    }
}
