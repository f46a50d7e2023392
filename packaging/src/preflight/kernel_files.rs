//! Which files of the kernel's archive the checks need: a few hundred of more than eighty thousand.

use std::collections::BTreeSet;
use std::path::Path;

use super::kernel::is_kconfig;
use super::series;
use super::{Error, KernelSource, ldiskfs};
use crate::glob::matches;
use crate::overlay::{Inputs, Overlay};

/// What is taken whatever Lustre's tree says, so that the list changes seldom: ext4, its headers, the kernel's own version.
const ALWAYS: [&str; 5] = [
    "Makefile",
    "fs/ext4/*",
    "include/linux/ext4*.h",
    "include/trace/events/ext4*.h",
    "include/uapi/linux/ext4*.h",
];

/// The files that checks read of an unpacked kernel, besides its Kconfig files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelFiles {
    /// Patterns of paths, relative to the kernel's tree; `*` stands for any characters but `/`.
    patterns: BTreeSet<String>,
}

impl KernelFiles {
    /// What the series of the kernel's `overlay` (none for a kernel that is not rebuilt), its distribution's own patches and Lustre's
    /// build of ldiskfs read. `lustre` is
    /// Lustre's tree, as it came or with its overlay.
    ///
    /// What does not fit is told by the checks.
    pub fn read(
        kernel: &KernelSource,
        overlay: Option<&Overlay>,
        lustre: &Path,
    ) -> Result<Self, Error> {
        let mut patterns: BTreeSet<String> = ldiskfs::staged(lustre)?.into_iter().collect();
        let mut patches = super::kernel::own_patches(kernel, overlay)?.0;
        if let Some(overlay) = overlay {
            let inputs = kernel.overlay_inputs(overlay, lustre)?;
            for source in &overlay.manifest.series {
                if let Ok(loaded) = super::kernel::load(overlay, source, &inputs) {
                    patches.extend(loaded.patches);
                }
            }
        }
        for path in series::touched(&patches) {
            patterns.insert(path.to_string_lossy().into_owned());
        }
        patterns.retain(|path| !ALWAYS.iter().any(|always| matches(always, path, false)));
        patterns.extend(ALWAYS.map(str::to_owned));
        Ok(Self { patterns })
    }

    /// Whether the file at `path`, relative to the kernel's tree, is wanted.
    pub fn takes(&self, path: &Path) -> bool {
        if is_kconfig(path) {
            return true;
        }
        let path = path.to_string_lossy();
        self.patterns.contains(path.as_ref())
            || self
                .patterns
                .iter()
                .any(|pattern| pattern.contains('*') && matches(pattern, &path, false))
    }
}

/// One pattern a line.
impl std::fmt::Display for KernelFiles {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.patterns
            .iter()
            .try_for_each(|pattern| writeln!(out, "{pattern}"))
    }
}

impl From<&str> for KernelFiles {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    fn from(text: &str) -> Self {
        Self {
            patterns: text.lines().map(str::to_owned).collect(),
        }
    }
}

impl KernelSource {
    /// The values of the overlay's placeholders, and the tree that its series are in.
    pub(super) fn overlay_inputs(&self, overlay: &Overlay, lustre: &Path) -> Result<Inputs, Error> {
        let mut inputs = Inputs::default();
        for (name, value) in [
            ("version", &self.version),
            ("release", &self.release),
            ("arch", &self.arch),
        ] {
            inputs.vars.insert(name.to_owned(), value.clone());
        }
        if let Some(release) = &overlay.manifest.release
            && release.dist_from.is_some()
        {
            inputs.vars.extend(overlay.for_release(&self.release)?.1);
        }
        inputs.roots.insert("lustre".to_owned(), lustre.to_owned());
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was_written_and_takes_what_it_names() {
        let wanted = KernelFiles::from("Makefile\nfs/ext4/*.c\nfs/namespace.c\n");
        assert_eq!(KernelFiles::from(wanted.to_string().as_str()), wanted);
        for path in [
            "Makefile",
            "fs/ext4/super.c",
            "fs/namespace.c",
            "drivers/md/Kconfig",
            "lib/Kconfig.debug",
        ] {
            assert!(wanted.takes(Path::new(path)), "{path}");
        }
        for path in [
            "fs/Makefile",
            "fs/ext4/deep/super.c",
            "fs/ext4/ext4.h",
            "fs/open.c",
            "scripts/Kconfiglib",
        ] {
            assert!(!wanted.takes(Path::new(path)), "{path}");
        }
    }
}
