//! `compat.json`: on which kernels the modules of a repository load, as far as the checksums of symbols tell, and whether ldiskfs, a copy
//! of ext4, lacks something there that the kernel's own ext4 has. `KERNELS.txt` says the same to people.
//!
//! Pure: packages come in as values (read from repodata), and what is known of the kernels' sources with them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::closure::kernel::{self, Lacking};
use crate::json_file;
use crate::repodata::Package;

/// The file's name at the top of the tree.
pub const FILE: &str = "compat.json";

/// The name of the file for people.
pub const TEXT: &str = "KERNELS.txt";

/// The format's version.
pub const FORMAT: u32 = 1;

/// What the table calls the kernels of the repository itself.
pub const OWN: &str = "this repository";

/// The packages of the distribution's kernel that a server gets when it asks for none in particular.
const PLAIN: &str = "kernel-";

/// The whole table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compat {
    /// [`FORMAT`].
    pub format: u32,
    pub target: String,
    /// Which kernels were looked at.
    pub of: String,
    /// The packages with modules that ask kernels for symbols, sorted.
    pub modules: Vec<String>,
    /// How many symbols they ask for.
    pub symbols: usize,
    /// The kernels, oldest first.
    pub kernels: Vec<Kernel>,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// It, as `name-version-release.architecture`.
    pub kernel: String,
    /// Its version and release.
    pub version: String,
    /// The file name of its source package.
    pub source: String,
    /// The repository that has it: the id in the target, or [`OWN`].
    pub repository: String,
    /// Whether the modules load.
    pub verdict: Verdict,
    /// The symbols that do not match.
    pub lacking: Vec<Lacking>,
    /// Its ext4 and jbd2 against those that ldiskfs was made of.
    pub ext4: Ext4,
}

/// Whether modules load on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It has every symbol that they ask for, as they were built for it.
    Loads,
    DoesNotLoad,
    /// It provides no symbols, or the modules ask for none: nothing can be said.
    Unknown,
}

/// A kernel's `fs/ext4` and `fs/jbd2` against those of the kernel that ldiskfs was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ext4 {
    /// How they compare.
    pub result: Ext4Comparison,
    /// The files that differ, are new or are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Why that is not known, or not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How two sources compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ext4Comparison {
    /// They are the same.
    Same,
    /// They differ.
    Differs,
    /// They were not compared.
    NotCompared,
    /// There is no ldiskfs among the modules.
    NotNeeded,
}

impl Ext4 {
    /// The same.
    pub fn same() -> Self {
        Self::of(Ext4Comparison::Same, None)
    }

    /// Not compared, and why.
    pub fn not_compared(why: impl Into<String>) -> Self {
        Self::of(Ext4Comparison::NotCompared, Some(why.into()))
    }

    /// What two sources have of each other: the same where `files` is empty.
    pub fn compared(files: Vec<String>) -> Self {
        if files.is_empty() {
            return Self::same();
        }
        Self {
            files,
            ..Self::of(Ext4Comparison::Differs, None)
        }
    }

    fn of(result: Ext4Comparison, why: Option<String>) -> Self {
        Self {
            result,
            files: Vec::new(),
            why,
        }
    }
}

/// The packages of one repository.
#[derive(Clone, Copy, Debug)]
pub struct RepositoryPackages<'p> {
    /// Its id, or [`OWN`].
    pub repository: &'p str,
    pub packages: &'p [Package],
}

impl Compat {
    /// The table of the modules among `ours` on the kernels of all `sides`. What `ext4` says of a kernel is asked once for each, with
    /// all else that is known of it.
    pub fn of(
        target: &str,
        of: &str,
        ours: &[Package],
        sides: &[RepositoryPackages<'_>],
        ext4: &mut dyn FnMut(&Kernel) -> Ext4,
    ) -> Self {
        let mut modules: Vec<Package> = ours
            .iter()
            .filter(|one| one.arch != "src" && kernel::asks_for_symbols(one))
            .cloned()
            .collect();
        modules.sort_by_key(Package::nevra);
        let symbols = kernel::symbols(&modules);
        let ldiskfs = modules.iter().any(|one| one.name.contains("ldiskfs"));
        let all = sides.iter().flat_map(|side| side.packages);
        let mut kernels = Vec::new();
        for fit in kernel::fits(&modules, all) {
            let at = sides.iter().find(|side| {
                let mut all = side.packages.iter();
                all.any(|one| std::ptr::eq(one, fit.package))
            });
            let verdict = match (symbols, fit.provides, fit.lacking.is_empty()) {
                (0, _, _) | (_, 0, _) => Verdict::Unknown,
                (_, _, true) => Verdict::Loads,
                (_, _, false) => Verdict::DoesNotLoad,
            };
            let mut one = Kernel {
                kernel: fit.kernel,
                version: fit.package.evr.to_string(),
                source: fit.package.sourcerpm.clone(),
                repository: at
                    .map(|side| side.repository)
                    .unwrap_or_default()
                    .to_owned(),
                verdict,
                lacking: fit.lacking,
                ext4: Ext4::of(
                    Ext4Comparison::NotNeeded,
                    Some("there is no ldiskfs among the modules".to_owned()),
                ),
            };
            if ldiskfs {
                one.ext4 = ext4(&one);
            }
            kernels.push(one);
        }
        Self {
            format: FORMAT,
            target: target.to_owned(),
            of: of.to_owned(),
            modules: modules.iter().map(Package::nevra).collect(),
            symbols,
            kernels,
        }
    }

    /// The newest of the distribution's kernels that a server gets by `dnf install kernel`.
    pub fn newest(&self) -> Option<&Kernel> {
        let plain = |one: &&Kernel| {
            let version = one.kernel.strip_prefix(PLAIN);
            version.is_some_and(|rest| rest.starts_with(&one.version)) && one.repository != OWN
        };
        self.kernels.iter().rfind(plain)
    }

    /// The table as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        json_file::text(self)
    }

    /// The table for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}: the modules ask kernels for {} symbols by their checksums\n",
            self.target, self.symbols
        );
        for one in &self.modules {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {one}");
        }
        let _ = writeln!(text, "on {}:", self.of);
        for one in &self.kernels {
            text.push_str(&one.to_text());
        }
        if self.kernels.is_empty() {
            text.push_str("  there is no kernel\n");
        }
        text
    }
}

impl Kernel {
    /// Whether nothing speaks against this kernel: the modules load, and ldiskfs lacks nothing that its ext4 has.
    pub fn fits(&self) -> bool {
        let ext4 = matches!(
            self.ext4.result,
            Ext4Comparison::Same | Ext4Comparison::NotNeeded
        );
        self.verdict == Verdict::Loads && ext4
    }

    /// The kernel in a few lines.
    pub fn to_text(&self) -> String {
        /// How many names are shown; the JSON has all.
        const SHOWN: usize = 10;
        let verdict = match self.verdict {
            Verdict::Loads => "loads",
            Verdict::DoesNotLoad => "does not load",
            Verdict::Unknown => "unknown",
        };
        let mut text = format!("  {verdict:<14} {} ({})\n", self.kernel, self.repository);
        let mut line = |what: &str| {
            let _ = writeln!(text, "{:17}{what}", "");
        };
        if self.verdict == Verdict::Unknown {
            line(
                "nothing can be said: no package of it provides symbols, or the modules ask for none",
            );
        }
        if !self.lacking.is_empty() {
            line(&format!("{} symbols do not match", self.lacking.len()));
        }
        for one in self.lacking.iter().take(SHOWN) {
            let has = match &one.has {
                Some(has) => format!("the kernel has {has}"),
                None => "the kernel does not have it".to_owned(),
            };
            line(&format!(
                "{} {}: {has} ({})",
                one.symbol, one.wanted, one.by
            ));
        }
        if let Some(more) = self
            .lacking
            .len()
            .checked_sub(SHOWN)
            .filter(|more| *more > 0)
        {
            line(&format!("and {more} more"));
        }
        match (self.ext4.result, &self.ext4.why) {
            (Ext4Comparison::Same, _) => {
                line("fs/ext4 and fs/jbd2 are those that ldiskfs was made of")
            }
            (Ext4Comparison::Differs, _) => {
                let files = &self.ext4.files;
                let mut names: Vec<&str> = files.iter().take(SHOWN).map(String::as_str).collect();
                if files.len() > SHOWN {
                    names.push("…");
                }
                line(&format!(
                    "ldiskfs lacks what its ext4 has: {} of its files differ from those that ldiskfs was made of ({})",
                    files.len(),
                    names.join(", ")
                ));
            }
            (Ext4Comparison::NotCompared, why) => line(&format!(
                "whether fs/ext4 or fs/jbd2 differ is not known: {}",
                why.as_deref().unwrap_or_default()
            )),
            (Ext4Comparison::NotNeeded, _) => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repodata::{Entry, Evr, Flag};

    fn package(
        name: &str,
        evr: &str,
        provides: &[(&str, &str)],
        requires: &[(&str, &str)],
    ) -> Package {
        let entries = |all: &[(&str, &str)]| {
            let entry = |(symbol, sum): &(&str, &str)| Entry {
                name: format!("kernel({symbol})").into(),
                flags: Some(Flag::Eq),
                evr: Evr::parse(sum),
                pre: false,
            };
            all.iter().map(entry).collect()
        };
        Package {
            name: name.to_owned(),
            arch: "x86_64".to_owned(),
            evr: Evr::parse(evr).unwrap(),
            provides: entries(provides),
            requires: entries(requires),
            ..Package::default()
        }
    }

    fn table(ours: &[Package], base: &[Package], ext4: Ext4) -> Compat {
        let sides = [
            RepositoryPackages {
                repository: OWN,
                packages: ours,
            },
            RepositoryPackages {
                repository: "base",
                packages: base,
            },
        ];
        Compat::of("t", "a test", ours, &sides, &mut |_| ext4.clone())
    }

    #[test]
    fn the_newest_kernel_of_the_distribution_is_the_answer() {
        let ours = [
            package("kmod-lustre", "1-1", &[], &[("a", "0x1")]),
            package("kmod-lustre-osd-ldiskfs", "1-1", &[], &[("b", "0x2")]),
            package("kernel-core", "9-9", &[("a", "0x1"), ("b", "0x2")], &[]),
        ];
        let base = [
            package("kernel-core", "5-1", &[("a", "0x1"), ("b", "0x2")], &[]),
            package("kernel-debug-core", "5-3", &[("a", "0x7")], &[]),
            package("kernel-core", "5-2", &[("a", "0x1"), ("b", "0x3")], &[]),
        ];
        let compat = table(&ours, &base, Ext4::same());
        assert_eq!((compat.symbols, compat.modules.len()), (2, 2));
        let verdicts: Vec<_> = compat
            .kernels
            .iter()
            .map(|one| (one.kernel.as_str(), one.repository.as_str(), one.verdict))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("kernel-5-1.x86_64", "base", Verdict::Loads),
                ("kernel-5-2.x86_64", "base", Verdict::DoesNotLoad),
                ("kernel-debug-5-3.x86_64", "base", Verdict::DoesNotLoad),
                ("kernel-9-9.x86_64", OWN, Verdict::Loads),
            ]
        );
        let newest = compat.newest().unwrap();
        assert_eq!(newest.version, "5-2");
        assert!(!newest.fits());
        let text = compat.to_text();
        for part in [
            "b 0x2: the kernel has 0x3",
            "kmod-lustre-osd-ldiskfs-1-1",
            "does not load  kernel-5-2",
        ] {
            assert!(text.contains(part), "`{part}`: {text}");
        }
        let read: Compat = serde_json::from_str(&compat.to_json()).unwrap();
        assert_eq!(read, compat);
    }

    #[test]
    fn only_what_loads_with_the_same_ext4_fits() {
        let server = [package(
            "kmod-lustre-osd-ldiskfs",
            "1-1",
            &[],
            &[("a", "0x1")],
        )];
        let base = [package("kernel-core", "5-1", &[("a", "0x1")], &[])];
        let fits = |ours: &[Package], base: &[Package], ext4: Ext4| {
            table(ours, base, ext4).newest().unwrap().fits()
        };
        assert!(fits(&server, &base, Ext4::compared(Vec::new())));
        let differs = Ext4::compared(vec!["fs/ext4/inode.c".to_owned()]);
        assert!(!fits(&server, &base, differs));
        assert!(!fits(&server, &base, Ext4::not_compared("no source")));
        // Without ldiskfs, nobody asks.
        let client = [package("kmod-lustre", "1-1", &[], &[("a", "0x1")])];
        assert!(fits(&client, &base, Ext4::not_compared("no source")));
        // Nothing is known: neither is said to load.
        let silent = [package("kernel-core", "5-1", &[], &[])];
        assert!(!fits(&server, &silent, Ext4::same()));
        let modest = [package("kmod-lustre-osd-ldiskfs", "1-1", &[], &[])];
        assert!(!fits(&modest, &base, Ext4::same()));
        assert!(table(&server, &[], Ext4::same()).newest().is_none());
    }
}
