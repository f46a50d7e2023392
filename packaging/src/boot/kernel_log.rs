//! Error lines of the kernel log, by patterns that are data.

use std::path::Path;

use regex_lite::Regex;
use serde::Deserialize;

use super::{Error, at};
use crate::target::KnownLine;

/// What to look for.
#[derive(Debug)]
pub struct KernelLog {
    bad: Vec<Pattern>,
    listed: Vec<Pattern>,
    known: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bad: Vec<Entry>,
    #[serde(default)]
    listed: Vec<Entry>,
    #[serde(default)]
    known: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pattern: String,
    #[serde(default)]
    why: String,
}

/// What was found in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFindings {
    /// Lines that must not be there, each with what it is.
    pub findings: Vec<String>,
    /// Lines worth showing that are known from clean runs, each with why.
    pub known: Vec<String>,
}

impl KernelLog {
    /// Reads patterns from a file of `specs/`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = lustre_files::read_to_string(path, lustre_files::TEXT).map_err(at(path))?;
        Self::parse(&text).map_err(|message| Error::Data {
            path: path.to_owned(),
            message,
        })
    }

    /// Adds the lines that a target knows of.
    pub fn knowing(mut self, lines: &[KnownLine]) -> Result<Self, Error> {
        for line in lines {
            let regex = Regex::new(&line.pattern).map_err(|error| Error::Data {
                path: "boot.known".into(),
                message: format!("the pattern `{}`: {error}", line.pattern),
            })?;
            self.known.push(Pattern {
                regex,
                why: line.why.clone(),
            });
        }
        Ok(self)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = crate::bounded_toml::from_str(text).map_err(|error| error.to_string())?;
        if file.bad.is_empty() {
            return Err("there is no [[bad]] pattern: every log would pass".to_owned());
        }
        let patterns = |entries: Vec<Entry>| -> Result<Vec<Pattern>, String> {
            entries
                .into_iter()
                .map(|entry| match Regex::new(&entry.pattern) {
                    Ok(regex) => Ok(Pattern {
                        regex,
                        why: entry.why,
                    }),
                    Err(error) => Err(format!("the pattern `{}`: {error}", entry.pattern)),
                })
                .collect()
        };
        Ok(Self {
            bad: patterns(file.bad)?,
            listed: patterns(file.listed)?,
            known: patterns(file.known)?,
        })
    }

    /// Looks at every line.
    pub fn look<'l>(&self, lines: impl IntoIterator<Item = &'l str>) -> LogFindings {
        let mut found = LogFindings::default();
        for line in lines {
            let line = beginning(line);
            let first = |patterns: &'_ [Pattern]| {
                patterns
                    .iter()
                    .find(|pattern| pattern.regex.is_match(line))
                    .map(|pattern| pattern.why.clone())
            };
            let bad = first(&self.bad);
            if bad.is_none() && first(&self.listed).is_none() {
                continue;
            }
            let line = line.trim();
            match (first(&self.known), bad) {
                (Some(why), _) => found.known.push(format!("{line} ({why})")),
                (None, Some(why)) => found.findings.push(format!("{why}: {line}")),
                (None, None) => found
                    .findings
                    .push(format!("not known from a clean run: {line}")),
            }
        }
        found
    }
}

/// As much of a line as a kernel says at once: a guest that never ends one costs no more time than any other.
fn beginning(line: &str) -> &str {
    const LONGEST: usize = 4096;
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_the_project() -> KernelLog {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        KernelLog::load(&specs.join("boot/kernel-log.toml")).unwrap()
    }

    #[test]
    fn a_line_without_an_end_is_looked_at_as_far_as_a_kernel_writes_one() {
        let line = format!("[   12.3] BUG: x {}", "é".repeat(1 << 22));
        let found = of_the_project().look([line.as_str()]);
        assert_eq!(found.findings.len(), 1);
        assert!(found.findings[0].len() < 5000);
    }

    #[test]
    fn what_a_broken_kernel_or_module_says_is_found() {
        let patterns = of_the_project();
        for line in [
            "[   12.3] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[   12.3] Oops: 0002 [#1] PREEMPT SMP NOPTI",
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
            "kernel BUG at fs/ext4/inode.c:2725!",
            "WARNING: CPU: 1 PID: 4 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
            "LustreError: 123:0:(osd_handler.c:1:osd_x()) LBUG",
            "LustreError: 123:0:(lu_object.c:1:x()) ASSERTION( rc == 0 ) failed:",
            "lnet: Unknown symbol rpc_pton (err -2)",
            "ldiskfs: disagrees about version of symbol ext4_map_blocks",
            "Kernel panic - not syncing: Fatal exception",
            "LNetError: libcfs_init() cfs_arch_init: error -95",
            "LDISKFS-fs error (device dm-0): ldiskfs_lookup:1855: inode #2: comm ls: deleted inode referenced: 12",
            "EXT4-fs error (device vda): ext4_validate_block_bitmap:384: comm x: bg 0: bad block bitmap checksum",
            "INFO: task umount:321 blocked for more than 120 seconds.",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [modprobe:99]",
        ] {
            assert_eq!(patterns.look([line]).findings.len(), 1, "{line}");
        }
    }

    #[test]
    fn what_every_kernel_says_is_not() {
        let patterns = of_the_project();
        let lines = [
            "Linux version 6.1.176-1.reh12_lustre.x86_64 (builder@rehearsal) (gcc 12) #1 SMP",
            "RAMDISK: initialization failed is not tried without one",
            "pci 0000:00:00.0: [8086:29c0] type 00 class 0x060000",
            "EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: none.",
            "ACPI: bus type PCI registered",
            "debug_locks: none, no debugger",
            "Lustre: Lustre: Build Version: 2.17.0",
        ];
        assert_eq!(patterns.look(lines), LogFindings::default());
    }

    #[test]
    fn an_error_of_lustre_is_a_finding_unless_it_is_known() {
        let patterns = of_the_project();
        let known = [
            "LustreError: 99:0:(obd_class.h:479:obd_check_dev()) Device 21 not setup",
            // As 2.17 says it, and as 2.16 does.
            "LustreError: 9:0:(ldlm_lib.c:1:target_handle_connect()) lustre-OST0001: not available for connect from 0@lo (no target).",
            "LustreError: lustre-OST0001: not available for connect from 0@lo (no target). If you are",
        ];
        let others = [
            "LustreError: 11-0: lustre-OST0000-osc: operation ost_connect failed: rc = -5",
            "LustreError: lustre-OST0001: not available for connect from 10.0.0.1@tcp (no target). If you are",
        ];
        let found = patterns.look(known.into_iter().chain(others));
        assert_eq!(found.known.len(), known.len(), "{found:?}");
        for (shown, known) in found.known.iter().zip(known) {
            assert!(shown.starts_with(known), "{found:?}");
        }
        let others = others.map(|other| format!("not known from a clean run: {other}"));
        assert_eq!(found.findings, others);
    }

    #[test]
    fn patterns_that_cannot_be_used_are_errors() {
        for (text, word) in [
            ("[[bad]]\npattern = '('\n", "`(`"),
            ("", "bad"),
            ("[[bad]]\npatern = 'x'\n", "patern"),
        ] {
            let error = KernelLog::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
