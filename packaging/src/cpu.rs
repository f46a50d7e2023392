//! Levels of x86-64 (the psABI's): what a distribution's packages are compiled for, and whether a processor has it.

use std::path::Path;

use lustre_files::help;
use serde::{Deserialize, Serialize};

/// A level; each has what is in those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// With SSE4.2 and the like: what Enterprise Linux 9 is compiled for.
    #[serde(rename = "x86-64-v2")]
    V2,
    /// With AVX2 and the like: what Enterprise Linux 10 is compiled for.
    #[serde(rename = "x86-64-v3")]
    V3,
    /// With AVX-512.
    #[serde(rename = "x86-64-v4")]
    V4,
}

/// A feature as Linux calls it in `/proc/cpuinfo`, and as QEMU does.
type Feature = (&'static str, &'static str);

const V2: &[Feature] = &[
    ("cx16", "cx16"),
    ("lahf_lm", "lahf-lm"),
    ("popcnt", "popcnt"),
    ("pni", "pni"),
    ("ssse3", "ssse3"),
    ("sse4_1", "sse4.1"),
    ("sse4_2", "sse4.2"),
];
const V3: &[Feature] = &[
    ("avx", "avx"),
    ("avx2", "avx2"),
    ("bmi1", "bmi1"),
    ("bmi2", "bmi2"),
    ("f16c", "f16c"),
    ("fma", "fma"),
    ("abm", "abm"),
    ("movbe", "movbe"),
    ("xsave", "xsave"),
];
const V4: &[Feature] = &[
    ("avx512f", "avx512f"),
    ("avx512bw", "avx512bw"),
    ("avx512cd", "avx512cd"),
    ("avx512dq", "avx512dq"),
    ("avx512vl", "avx512vl"),
];

/// A processor that a distribution does not run on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the distribution of `{target}` is compiled for {level}, and this machine's processor lacks {}: it cannot run or be built here{}",
        missing.join(", "),
        help!("use another machine{}", virtual_machine(*.is_virtual))
    )]
    Host {
        target: String,
        /// What is needed.
        level: Level,
        /// What is not there, as Linux calls it.
        missing: Vec<&'static str>,
        /// Whether this machine is a guest itself.
        is_virtual: bool,
    },
    #[error("cannot read the features of this machine's processor: {}: {source}", path.display())]
    Unknown {
        /// Where it was looked for.
        path: std::path::PathBuf,
        source: std::io::Error,
    },
}

fn virtual_machine(is_virtual: bool) -> &'static str {
    if is_virtual {
        ", or give this virtual machine a processor with it (libvirt: `host-passthrough`; QEMU: `-cpu host`)"
    } else {
        ""
    }
}

impl Level {
    fn features(self) -> impl Iterator<Item = &'static Feature> {
        let more = |level, features: &'static [Feature]| {
            if self >= level { features } else { &[] }
        };
        V2.iter()
            .chain(more(Self::V3, V3))
            .chain(more(Self::V4, V4))
    }

    /// What of it a processor lacks, by the text of its `/proc/cpuinfo`.
    pub fn missing(self, cpuinfo: &str) -> Vec<&'static str> {
        let flags: Vec<&str> = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
            .map(|(_, flags)| flags.split_whitespace().collect())
            .unwrap_or_default();
        self.features()
            .map(|(linux, _)| *linux)
            .filter(|flag| !flags.contains(flag))
            .collect()
    }

    /// The options behind a model of QEMU's that make it end where it cannot give all of this level: `,+avx2,…,enforce`.
    pub(crate) fn for_qemu(self) -> String {
        let mut text = String::new();
        for (_, feature) in self.features() {
            text.push_str(",+");
            text.push_str(feature);
        }
        text + ",enforce"
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        })
    }
}

/// That this machine's processor runs what is compiled for `level`, for the target called `target`.
pub fn check(target: &str, level: Option<Level>) -> Result<(), Error> {
    let Some(level) = level else {
        return Ok(());
    };
    let path = Path::new("/proc/cpuinfo");
    let text = lustre_files::read_to_string(path, lustre_files::TEXT).map_err(|source| {
        Error::Unknown {
            path: path.to_owned(),
            source,
        }
    })?;
    let missing = level.missing(&text);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Host {
        target: target.to_owned(),
        level,
        missing,
        is_virtual: text.contains(" hypervisor"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_a_level_with_all_of_it() {
        let cpuinfo = |flags: &str| format!("processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t:\n");
        let all: Vec<&str> = Level::V4.features().map(|(linux, _)| *linux).collect();
        assert_eq!(Level::V4.missing(&cpuinfo(&all.join(" "))), [""; 0]);
        let older = all[..V2.len()].join(" ");
        assert_eq!(Level::V2.missing(&cpuinfo(&older)), [""; 0]);
        let lacks = Level::V3.missing(&cpuinfo(&older));
        assert_eq!(lacks[..2], ["avx", "avx2"]);
        assert_eq!(lacks.len(), V3.len());
        // Whole words: avx2 is not avx.
        assert_eq!(
            Level::V3.missing(&cpuinfo(&all.join(" ").replace(" avx ", " "))),
            ["avx"]
        );
        assert_eq!(Level::V3.missing("").len(), V2.len() + V3.len());
    }

    #[test]
    fn a_target_names_it_as_the_abi_does() {
        #[derive(Deserialize)]
        struct Table {
            cpu: Level,
        }
        let table: Table = toml::from_str("cpu = 'x86-64-v3'").unwrap();
        assert_eq!(table.cpu, Level::V3);
        assert_eq!(table.cpu.to_string(), "x86-64-v3");
        assert!(toml::from_str::<Table>("cpu = 'v3'").is_err());
        let qemu = Level::V3.for_qemu();
        assert!(
            qemu.starts_with(",+cx16") && qemu.contains(",+avx2,") && qemu.ends_with(",enforce"),
            "{qemu}"
        );
    }
}
