//! Whether a repository may be put at a place: whatever is there will be replaced, so it has to be a repository of this tool, an empty
//! folder, or nothing; nothing in it may be somebody else's; and a folder has to be able to stand there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::place::{self, Occupant};
use lustre_files::{Advised, advised, tried};
use serde::Deserialize;

use super::{Error, Kind};
use crate::{manifest, page, proof, sums};

/// Whether a repository may be put at `out`. It looks at the place alone, whatever lies in it, and leaves it as it is.
pub fn judge(out: &Path) -> Result<(), Error> {
    let refused = |why: Advised| Error::Output {
        path: out.to_owned(),
        why,
    };
    match place::there(out).map_err(refused)? {
        Occupant::Nothing => {}
        Occupant::Other => {
            return Err(Error::NotOurs {
                path: out.to_owned(),
                why: "it is no folder".to_owned(),
            });
        }
        Occupant::Folder => {
            ours(out)?;
            place::can_go(out).map_err(refused)?;
            nothing_foreign(out)?;
        }
    }
    if let Some(around) = around(out) {
        return Err(refused(advised(
            format!(
                "it is inside the repository at {}, which would not be one any more",
                around.display()
            ),
            "give a folder beside that",
        )));
    }
    place::can_be_made(out).map_err(refused)
}

/// Whether the manifest of a folder that is such a link is one that was published there.
pub fn is_published(link: &str) -> bool {
    link == ".releases/current/manifest.json"
}

/// The repository of this tool, published or not, that `path` is in, whether it is there or not: what is put there is none of its files.
pub fn around(path: &Path) -> Option<PathBuf> {
    let full = place::real(path).ok()?;
    let is_one = |folder: &&Path| {
        let manifest = folder.join(manifest::FILE);
        let link = fs::read_link(&manifest);
        let published = link.is_ok_and(|to| to.to_str().is_some_and(is_published));
        // A manifest alone is a copy that somebody keeps, for --released-as.
        let whole = || folder.join(sums::FILE).is_file() && manifest_is_ours(&manifest).is_ok();
        published || whole()
    };
    full.ancestors().skip(1).find(is_one).map(Path::to_owned)
}

/// A folder that is empty, or whose manifest is one of this tool.
fn ours(out: &Path) -> Result<(), Error> {
    let mut entries = fs::read_dir(out).map_err(tried("read", out))?;
    if entries.next().is_none() {
        return Ok(());
    }
    manifest_is_ours(&out.join(manifest::FILE)).map_err(|why| Error::NotOurs {
        path: out.to_owned(),
        why,
    })
}

/// What a repository has that its sums do not list, or not in each of its states.
const BY_NATURE: [&str; 7] = [
    sums::FILE,
    sums::SIGNATURE,
    manifest::FILE,
    proof::FILE,
    page::FILE,
    sums::PROVENANCE,
    sums::PROVENANCE_SIGNATURE,
];

/// That nothing is at `out` but what the sums there list and what every repository has: all else would go with what is replaced. Names
/// alone are compared, and nothing is read but the sums.
pub(super) fn nothing_foreign(out: &Path) -> Result<(), Error> {
    if lustre_files::if_there(fs::symlink_metadata(out))
        .map_err(tried("read", out))?
        .is_none()
    {
        return Ok(());
    }
    let path = out.join(sums::FILE);
    let sums = lustre_files::if_there(lustre_files::read_no_link_to_string(
        &path,
        lustre_files::SOURCE,
    ))
    .map_err(tried("read", &path))?;
    let listed = sums.as_deref().map(sums::names);
    let own: HashSet<&Path> = listed
        .into_iter()
        .flatten()
        .chain(BY_NATURE)
        .map(Path::new)
        .collect();
    let packages = Kind::ALL.map(|kind| Path::new(kind.folder()).join("Packages"));
    let Some(foreign) = place::foreign(out, &own, &packages)? else {
        return Ok(());
    };
    Err(Error::Foreign {
        path: out.to_owned(),
        count: foreign.count,
        names: foreign.names,
        why: match sums {
            Some(_) => "are not in its SHA256SUMS",
            None => "cannot be told from its own, because it has no SHA256SUMS",
        },
    })
}

/// What every version of this tool writes into a manifest, and nobody else.
#[derive(Deserialize)]
struct ManifestHead {
    format: u32,
    #[serde(rename = "tool")]
    _tool: manifest::Tool,
    #[serde(rename = "target")]
    _target: String,
    #[serde(rename = "source_date_epoch")]
    _time: u64,
    key_fingerprint: String,
}

fn manifest_is_ours(path: &Path) -> Result<(), String> {
    let file = manifest::FILE;
    let text = lustre_files::if_there(lustre_files::read_no_link(path, lustre_files::SOURCE))
        .map_err(|error| format!("its {file} is not one of this tool: {error}"))?
        .ok_or_else(|| format!("it has no {file}"))?;
    let known: ManifestHead = serde_json::from_slice(&text)
        .map_err(|error| format!("its {file} is not one of this tool: {error}"))?;
    let digits = known
        .key_fingerprint
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit());
    if known.format == 0 || !digits || known.key_fingerprint.len() < 40 {
        return Err(format!("its {file} is not one of this tool"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"{"format": 1, "tool": {"name": "lustre-repo", "version": "0.0.1"}, "target": "x", "source_date_epoch": 1,
        "key_fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567", "added by a later version": []}"#;

    /// Sums of two files.
    const LISTED: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.rpm\n\
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  x86_64/repodata/repomd.xml\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn only_a_repository_of_this_tool_or_nothing_is_replaced() {
        for files in [
            &[][..],
            &[(manifest::FILE, OURS)],
            &[(manifest::FILE, OURS), (sums::FILE, LISTED), ("a.rpm", "")],
        ] {
            let dir = folder(files);
            judge(dir.path()).unwrap();
            if files.is_empty() {
                judge(&dir.path().join("new")).unwrap();
                judge(&dir.path().join("new/below/it")).unwrap();
            }
        }
        let web_app =
            r#"{"name": "Photos", "short_name": "Photos", "icons": [], "start_url": "/"}"#;
        for files in [
            &[("photo.jpg", "x")][..],
            &[(manifest::FILE, web_app), ("photo.jpg", "x")],
            &[(manifest::FILE, "{}")],
            &[(manifest::FILE, &OURS.replace("0123456789ABCDEF", "")[..])],
            &[(
                manifest::FILE,
                &OURS.replace("source_date_epoch", "time")[..],
            )],
            &[(manifest::FILE, "")],
        ] {
            let error = judge(folder(files).path()).unwrap_err();
            assert!(matches!(error, Error::NotOurs { .. }), "{files:?}: {error}");
        }
        let dir = folder(&[("file", "")]);
        let file = dir.path().join("file");
        assert!(matches!(judge(&file), Err(Error::NotOurs { .. })));
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        for (path, word) in [
            (dir.path().join("link"), "a link"),
            (file.join("below"), "Not a directory"),
            (PathBuf::from("/"), "mounted"),
            (PathBuf::from("/proc"), "mounted"),
            (PathBuf::from("/proc/new"), "cannot write"),
        ] {
            let error = judge(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn nothing_is_put_into_a_repository() {
        let copy = folder(&[(manifest::FILE, OURS)]);
        assert_eq!(super::around(&copy.path().join("dist")), None);
        let dir = folder(&[(manifest::FILE, OURS), (sums::FILE, "")]);
        let link = dir.path().with_extension("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let published = tempfile::tempdir().unwrap();
        let to = ".releases/current/manifest.json";
        std::os::unix::fs::symlink(to, published.path().join(manifest::FILE)).unwrap();
        for around in [dir.path(), &link, published.path()] {
            for name in ["sub", "x86_64/Packages/sub", "new/deep/sub"] {
                let out = around.join(name);
                let error = judge(&out).unwrap_err().to_string();
                assert!(error.contains("inside the repository"), "{error}");
                assert!(super::around(&out).is_some());
            }
        }
        fs::remove_file(&link).unwrap();
        // What is somebody else's is none, and a repository is not in itself.
        let other = folder(&[(manifest::FILE, "{}")]);
        judge(&other.path().join("sub")).unwrap();
        judge(dir.path()).unwrap();
    }

    #[test]
    fn a_place_is_judged_by_what_it_is_and_not_by_how_it_is_called() {
        let dir = folder(&[("mine", "x")]);
        fs::create_dir(dir.path().join("below")).unwrap();
        for name in ["below/..", ".", "below/../below/.."] {
            let error = judge(&dir.path().join(name)).unwrap_err();
            assert!(matches!(error, Error::NotOurs { .. }), "{error}");
        }
    }

    #[test]
    fn what_somebody_put_into_a_repository_keeps_it_from_being_replaced() {
        let ours = || {
            let dir = folder(&[
                (manifest::FILE, OURS),
                (sums::FILE, LISTED),
                (sums::SIGNATURE, "changed"),
                (proof::FILE, "not in the sums yet"),
                ("a.rpm", "changed"),
            ]);
            for kind in Kind::ALL {
                fs::create_dir_all(dir.path().join(kind.folder()).join("Packages")).unwrap();
            }
            fs::create_dir(dir.path().join("x86_64/repodata")).unwrap();
            dir
        };
        judge(ours().path()).unwrap();
        let put = |place: &str| {
            let dir = ours();
            let place = dir.path().join(place);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&place);
            fs::write(place, "mine").unwrap();
            dir
        };
        for (place, named) in [
            ("NOTES", "NOTES"),
            ("mine/deep/site.rpm", "(1): mine/;"),
            ("x86_64/Packages/site.rpm", "x86_64/Packages/site.rpm"),
            (
                "x86_64/repodata/repomd.xml/mine",
                "x86_64/repodata/repomd.xml/",
            ),
            ("x86_64/manifest.json", "x86_64/manifest.json"),
            ("a\nb", "a\\nb"),
        ] {
            let dir = put(place);
            let error = judge(dir.path()).unwrap_err().to_string();
            assert!(error.contains(named), "{place}: {error}");
            assert!(error.contains("move"), "{error}");
        }
        let dir = ours();
        fs::remove_dir(dir.path().join("source/Packages")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("source/Packages")).unwrap();
        for at in 0..9 {
            fs::write(dir.path().join(format!("mine {at}")), "").unwrap();
        }
        let error = judge(dir.path()).unwrap_err().to_string();
        assert!(error.contains("mine 4, and 5 more"), "{error}");
        // Without sums, nothing tells what is its own.
        let dir = ours();
        fs::remove_file(dir.path().join(sums::FILE)).unwrap();
        let error = judge(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("a.rpm") && error.contains("no SHA256SUMS"),
            "{error}"
        );
    }

    #[test]
    fn what_somebody_puts_there_while_a_repository_is_made_is_not_replaced() {
        let dir = folder(&[(manifest::FILE, OURS), (sums::FILE, LISTED), ("a.rpm", "")]);
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        for name in [manifest::FILE, sums::FILE] {
            fs::rename(dir.path().join(name), out.join(name)).unwrap();
        }
        let error = super::super::swap_in(&out, |aside| {
            fs::write(out.join("NOTES"), "mine")?;
            fs::write(aside.join(manifest::FILE), OURS)
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("NOTES"), "{error}");
        assert_eq!(fs::read_to_string(out.join("NOTES")).unwrap(), "mine");
        assert_eq!(
            lustre_files::swap::leftovers(&out).unwrap(),
            [] as [PathBuf; 0]
        );
    }
}
