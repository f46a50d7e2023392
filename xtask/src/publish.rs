//! From the store to the output folder: swapped in whole, and looked at again when nothing seems to have changed.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use lustre_packaging::process;
use lustre_packaging::store::{Entry, list_tree};
use lustre_repository::proof;

use crate::ui::Screen;

/// Makes `output` the same as `tree`, in one step; nothing is written where it is already.
///
/// # Errors
/// When the output is something else than a repository, or cannot be written.
pub fn publish(tree: &Path, output: &Path, screen: &Screen) -> anyhow::Result<()> {
    if output.exists() {
        let here: Vec<Entry> = list_tree(output)
            .with_context(|| output.display().to_string())?
            .into_iter()
            .filter(|entry| entry.path != proof::FILE)
            .collect();
        let wanted = list_tree(tree)?;
        if here == wanted {
            return Ok(());
        }
        if let Some(changed) = changed_by_hand(&here, &wanted, output) {
            screen.line(&format!(
                "{} is not as it was made ({changed}); it is replaced",
                output.display()
            ));
        }
    }
    lustre_repository::layout::swap_in(output, |aside| {
        // Copies, since a link would let a change in the output reach the store.
        let mut command = process::command("cp");
        command
            .args(["-a", "--reflink=auto", "-T"])
            .arg(tree)
            .arg(aside);
        process::output(&mut command)
            .map(drop)
            .map_err(std::io::Error::other)
    })
    .with_context(|| format!("cannot put the repository at {}", output.display()))
}

/// Where the output claims to be this very tree, what of it somebody changed.
fn changed_by_hand(here: &[Entry], wanted: &[Entry], output: &Path) -> Option<String> {
    let sums = |entries: &[Entry]| {
        entries
            .iter()
            .find(|entry| entry.path == lustre_repository::sums::FILE)
            .cloned()
    };
    if sums(here).is_none() || sums(here) != sums(wanted) {
        // Another build: of course it differs.
        return None;
    }
    let odd = wanted
        .iter()
        .find(|entry| !here.contains(entry))
        .or_else(|| here.iter().find(|entry| !wanted.contains(entry)))?;
    Some(output.join(&odd.path).display().to_string())
}

/// Writes `proof.json` beside the rest.
///
/// # Errors
/// When it cannot be written.
pub fn add_proof(text: &str, output: &Path) -> anyhow::Result<()> {
    let path = output.join(proof::FILE);
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(output)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
        file.persist(&path)?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository as far as this module looks at one: a file and the list of digests.
    fn tree(package: &str, sums: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.rpm"), package).unwrap();
        fs::write(dir.path().join(lustre_repository::manifest::FILE), "{}").unwrap();
        fs::write(dir.path().join(lustre_repository::sums::FILE), sums).unwrap();
        dir
    }

    fn changed(here: &Path, wanted: &Path) -> Option<String> {
        changed_by_hand(
            &list_tree(here).unwrap(),
            &list_tree(wanted).unwrap(),
            Path::new("/dist"),
        )
    }

    #[test]
    fn a_change_by_hand_is_told_from_another_build() {
        let made = tree("package", "sums");
        let named = |here: &tempfile::TempDir| changed(here.path(), made.path());
        assert_eq!(named(&tree("tampered", "sums")).unwrap(), "/dist/a.rpm");
        assert_eq!(named(&tree("other", "other sums")), None, "another build");
        let added = tree("package", "sums");
        fs::write(added.path().join("added"), "").unwrap();
        assert_eq!(named(&added).unwrap(), "/dist/added");
        fs::remove_file(added.path().join("a.rpm")).unwrap();
        assert_eq!(named(&added).unwrap(), "/dist/a.rpm");
    }

    #[test]
    fn what_somebody_changed_is_replaced_and_a_proof_is_no_change() {
        let made = tree("package", "sums");
        let parent = tempfile::tempdir().unwrap();
        let output = parent.path().join("dist");
        let screen = Screen::new();
        publish(made.path(), &output, &screen).unwrap();
        add_proof("{}", &output).unwrap();
        let before = fs::metadata(&output).unwrap();
        publish(made.path(), &output, &screen).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(&output).unwrap().ino(), before.ino());

        fs::write(output.join("a.rpm"), "tampered").unwrap();
        publish(made.path(), &output, &screen).unwrap();
        assert_eq!(fs::read(output.join("a.rpm")).unwrap(), b"package");
        assert_eq!(fs::read(made.path().join("a.rpm")).unwrap(), b"package");
    }
}
