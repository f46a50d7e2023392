//! A target in a line: what it builds, of what.

use super::model::{KernelKind, Source, Target};

impl Target {
    /// What the target builds, in a line.
    pub fn summary(&self) -> String {
        format!(
            "e2fsprogs {}, {}, Lustre {}{}{}",
            self.e2fsprogs.version,
            self.kernel_in_words(),
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

    /// Which version the distribution's kernel has, where the target says it: by itself, or as the tag of its tree.
    pub fn kernel_version(&self) -> Option<String> {
        let tag = match &self.distribution.kernel.source {
            Some(Source::Git { tag, .. }) => tag.as_ref(),
            Some(Source::GitTag { tag, .. }) => Some(tag),
            _ => None,
        };
        self.kernel.version.as_ref().or(tag).cloned()
    }

    fn kernel_in_words(&self) -> String {
        let of = match (&self.kernel.source, self.kernel_version()) {
            (Source::Srpm(name), Some(version)) => format!("{name}-{version}"),
            (Source::Srpm(name), None) => match &self.distribution.kernel.source {
                // The distribution's only kernel is made of it.
                Some(Source::Debian {
                    package,
                    version: Some(version),
                    ..
                }) => format!("{name} of Debian's {package} {version}"),
                Some(Source::Debian { package, .. }) => {
                    format!("{name} of Debian's newest {package}")
                }
                _ => format!("the newest {name}"),
            },
            (other, _) => format!("{other:?}"),
        };
        match self.kernel.kind {
            KernelKind::Patched => format!("{of} of the distribution, patched"),
            KernelKind::Distribution => {
                format!("no kernel (modules for the distribution's own {of})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_kernel_is_the_newest_only_where_nothing_says_which_it_is() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        for (name, kernel) in [
            ("rocky-9.6", "kernel-5.14.0-"),
            (
                "el-9.6-on-debian",
                "kernel-5.14.0-570.32.1.el9_6 of the distribution",
            ),
            ("debian-12", "Debian's linux 6.12.8"),
        ] {
            let summary = Target::load(&specs, name).unwrap().summary();
            assert!(
                summary.contains(kernel) && !summary.contains("newest"),
                "{name}: {summary}"
            );
        }
    }
}
