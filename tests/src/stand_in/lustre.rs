//! The stand-in's Lustre: the model under the names that the targets of Enterprise Linux ask for, as a repository with their tags.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use lustre_packaging::overlay::Overlay;

use super::copy_tree;
use crate::command_line::project;

/// The releases of Lustre that the targets name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lustre {
    /// 2.16.0-RC1, whose series for the kernel of 8.10 needs a fixup.
    V2_16,
    /// 2.17.0.
    V2_17,
}

/// The series of the model that each of the others is a copy of.
const SERIES: &str = "6.1-rehearsal";

impl Lustre {
    /// Its tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::V2_16 => "2.16.0-RC1",
            Self::V2_17 => "2.17.0",
        }
    }

    /// The overlay of the project that it is built with.
    fn overlay(self) -> &'static str {
        match self {
            Self::V2_16 => "lustre/2.16",
            Self::V2_17 => "lustre/2.17",
        }
    }

    /// The names of its series: of ldiskfs, with the pattern of the kernels that configure takes it for; and of the kernel itself.
    fn series(
        self,
    ) -> (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    ) {
        match self {
            Self::V2_16 => (&[("4.18-rhel8.10", "4.18.0-553.*")], &["4.18-rhel8.10"]),
            Self::V2_17 => (
                &[
                    ("4.18-rhel8.10", "4.18.0-553.*"),
                    ("5.14-rhel9.6", "5.14.0-570.*"),
                    ("6.12-ml", "6.12.*"),
                ],
                &["4.18-rhel8.10", "5.14-rhel9.6"],
            ),
        }
    }

    /// Writes the tree into the new folder `into`.
    pub fn write(self, into: &Path) -> Result<()> {
        let data = project().join("tests/data/stand_in/lustre");
        copy_tree(&project().join("specs/model/lustre"), into)?;
        let (ldiskfs, kernel) = self.series();

        let folder = into.join("ldiskfs/kernel_patches");
        let first = folder.join(format!("series/ldiskfs-{SERIES}.series"));
        let mut patches = fs::read_to_string(&first)?;
        if self == Self::V2_16 {
            fs::create_dir(folder.join("patches/base"))?;
            let name = "base/ext4-delayed-iput.patch";
            fs::copy(
                data.join("ext4-delayed-iput.patch"),
                folder.join("patches").join(name),
            )?;
            patches += name;
            patches += "\n";
        }
        fs::remove_file(first)?;
        for (name, _) in ldiskfs {
            let mut patches = patches.clone();
            if *name == "6.12-ml" {
                // The kernels of 10.0 lost a line of its context: the target has a fixup for it.
                let name = "linux-6.10/ext4-delayed-iput.patch";
                fs::create_dir(folder.join("patches/linux-6.10"))?;
                fs::copy(
                    data.join("ext4-delayed-iput-6.10.patch"),
                    folder.join("patches").join(name),
                )?;
                patches += name;
                patches += "\n";
            }
            fs::write(
                folder.join(format!("series/ldiskfs-{name}.series")),
                &patches,
            )?;
        }
        let choices: Vec<String> = ldiskfs
            .iter()
            .map(|(name, kernels)| format!("\t\t[{kernels}], [LDISKFS_SERIES={name}.series]"))
            .collect();
        change(
            &into.join("config/ldiskfs.m4"),
            &format!("\t\t[6.1.*], [LDISKFS_SERIES={SERIES}.series]"),
            &choices.join(",\n"),
        )?;

        let folder = into.join("lustre/kernel_patches/series");
        let first = folder.join(format!("{SERIES}.series"));
        for name in kernel {
            fs::copy(&first, folder.join(format!("{name}.series")))?;
        }
        fs::remove_file(first)?;

        fs::copy(
            data.join("lustre-core.m4"),
            into.join("config/lustre-core.m4"),
        )?;
        corrected_files(into, self.overlay())?;
        let spec = into.join("lustre.spec.in");
        change(
            &spec,
            "BuildRequires: kernel-devel\n",
            "BuildRequires: kernel >= 3.10\n",
        )?;
        // Upstream's, which are no part of the model.
        change(
            &spec,
            "%files -n %{kmod_devel_pkg}\n",
            "%post -n %{kmod_devel_pkg}\n\
             alternatives --install %{_usrsrc}/lustre lustre %{_usrsrc}/lustre-%{version} 50\n\n\
             %preun -n %{kmod_devel_pkg}\n\
             alternatives --remove lustre %{_usrsrc}/lustre-%{version}\n\n\
             %files -n %{kmod_devel_pkg}\n",
        )?;
        let text = fs::read_to_string(&spec)?;
        let start = text
            .find("%{!?kdir: ")
            .context("lustre.spec.in has no kdir")?;
        let last = "%global _kver %{kver}\n";
        let end = text.find(last).context("lustre.spec.in has no _kver")? + last.len();
        let lines = "%{!?kver: %global kver @LINUXRELEASE@}\n\
                     %global _kver %{kver}\n\
                     %{!?kdir:    %global kdir    /lib/modules/%{_kver}/source}\n\
                     %{!?kobjdir: %global kobjdir %{kdir}}\n";
        fs::write(&spec, format!("{}{lines}{}", &text[..start], &text[end..]))?;
        Ok(())
    }
}

/// The files that an overlay corrects in every case and the model does not have, with the lines that it looks for. Nothing builds
/// them.
fn corrected_files(tree: &Path, overlay: &str) -> Result<()> {
    let specs = project().join("specs");
    let overlay = Overlay::load_in(&specs, &specs.join(overlay), &[])?;
    let mut files = BTreeMap::<&str, String>::new();
    for edit in &overlay.manifest.edit {
        if let Some(file) = edit
            .file
            .as_deref()
            .filter(|file| !tree.join(file).exists())
        {
            let text = files.entry(file).or_default();
            *text += &format!("{}\n", edit.anchor).repeat(edit.expect);
        }
    }
    for (file, text) in files {
        let path = tree.join(file);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text)?;
    }
    Ok(())
}

/// Replaces `from` in the file at `path`, which has it once.
pub(super) fn change(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let found = text.matches(from).count();
    ensure!(found == 1, "{} has {from:?} {found} times", path.display());
    Ok(fs::write(path, text.replace(from, to))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlay_of_each_release_fits_its_stand_in() {
        for lustre in [Lustre::V2_16, Lustre::V2_17] {
            let dir = tempfile::tempdir().unwrap();
            let tree = dir.path().join("lustre");
            lustre.write(&tree).unwrap();
            let specs = project().join("specs");
            let overlay = Overlay::load_in(&specs, &specs.join(lustre.overlay()), &[]).unwrap();
            let changed = overlay.change_tree(&tree);
            assert!(changed.is_ok(), "{lustre:?}: {changed:?}");
        }
    }
}
