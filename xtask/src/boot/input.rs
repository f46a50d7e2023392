//! What the boot proof needs, and where its logs are.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::target::Boot;

use crate::prove::InstallInput;

/// What the boot proof needs.
pub struct BootInput<'a> {
    /// What the install proof needs as well.
    pub install: InstallInput<'a>,
    /// The target's table.
    pub boot: &'a Boot,
    /// The project's `specs/`.
    pub specs: &'a Path,
    /// Tells people what happens.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// The logs of the machines of an upgrade.
const UPGRADE: [&str; 7] = [
    "upgrades",
    "predecessor",
    "predecessor-console",
    "upgrade",
    "upgrade-console",
    "undo",
    "undo-console",
];

/// Where the logs of a boot are.
pub(super) struct Logs<'a>(pub(super) &'a Path);

impl Logs<'_> {
    /// The log of a check or a program.
    pub(super) fn of(&self, name: &str) -> PathBuf {
        self.0.join(format!("boot-{name}.log"))
    }

    /// Removes those of an earlier boot: they would only mislead.
    pub(super) fn clear(&self, boot: &Boot) -> anyhow::Result<()> {
        let own = ["install", "image", "console", "qemu", "kvm", "start"];
        let of_upgrade = UPGRADE.into_iter();
        for name in own
            .into_iter()
            .chain(of_upgrade)
            .chain(boot.checks.iter().map(String::as_str))
        {
            let path = self.of(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
