//! A target in a line: what it builds, of what.

use super::model::{Kernel, KernelKind, Source, Target};

impl Target {
    /// What the target builds, in a line.
    pub fn summary(&self) -> String {
        format!(
            "e2fsprogs {}, {}, Lustre {}{}{}",
            self.e2fsprogs.version,
            self.kernel.summary(),
            self.lustre.version,
            match &self.lustre.source {
                Source::Git {
                    tag: None, commit, ..
                } => format!(" (commit {})", commit.get(..10).unwrap_or(commit)),
                _ => String::new(),
            },
            if self.model.is_some() { " (model)" } else { "" }
        )
    }
}

impl Kernel {
    fn summary(&self) -> String {
        let of = match (&self.source, &self.version) {
            (Source::Srpm(name), Some(version)) => format!("{name}-{version}"),
            (Source::Srpm(name), None) => format!("the newest {name}"),
            (other, _) => format!("{other:?}"),
        };
        match self.kind {
            KernelKind::Patched => format!("{of} of the distribution, patched"),
            KernelKind::Distribution => {
                format!("no kernel (modules for the distribution's own {of})")
            }
        }
    }
}
