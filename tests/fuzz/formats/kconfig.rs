//! Kernel configs and fragments.

use std::collections::HashMap;
use std::path::Path;

use lustre_packaging::overlay::config::{Config, Fragment, merge};

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Kconfig;

const BASE: &str = "# Automatically generated\nCONFIG_EXT4_FS=m\nCONFIG_HZ=1000\nCONFIG_LOCALVERSION=\"\"\n# CONFIG_DM_FLAKEY is not set\nCONFIG_BASE=0xff\n";

impl Format for Kconfig {
    fn name(&self) -> &'static str {
        "kconfig"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good(
                "values",
                "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\nCONFIG_E=\"a \\\"b\\\\\"\nCONFIG_F=-12\nCONFIG_G=0xfF\n# words\n\n  CONFIG_I=y\n",
            ),
            Case::good(
                "a fragment",
                "#@ where-known\nCONFIG_DM_FLAKEY=m\n#@ always\nCONFIG_HZ=250\nCONFIG_NEW=\"x\"\n",
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::good("empty", ""),
            Case::either(
                "a hundred thousand options",
                (0..100_000)
                    .map(|n| format!("CONFIG_{n}=y\n"))
                    .collect::<String>(),
            ),
            Case::either(
                "a string of a megabyte",
                format!("CONFIG_A=\"{}\"\n", "\\\\".repeat(500_000)),
            ),
            Case::bad(
                "a string without an end",
                format!("CONFIG_A=\"{}", "x".repeat(1 << 20)),
            ),
            Case::bad("a contradiction", "CONFIG_A=y\nCONFIG_A=m\n"),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "CONFIG_",
            "CONFIG_EXT4_FS",
            "CONFIG_HZ",
            "=y",
            "=m",
            "=n",
            "=\"",
            "\"",
            "\\",
            "# CONFIG_A is not set\n",
            " is not set",
            "#@ where-known\n",
            "#@ always\n",
            "#@ x\n",
            "=0x",
            "=-",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let read = match Config::parse(&text, "fragment") {
            Ok(read) => read,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        // What is written of each option is read as the same.
        let written: String = read
            .entries
            .iter()
            .map(|entry| entry.value.line(&entry.option) + "\n")
            .collect();
        let again = Config::parse(&written, "written")
            .map_err(|error| format!("what is written cannot be read: {}", message(&error)))?;
        for (one, two) in read.entries.iter().zip(&again.entries) {
            if (&one.option, &one.value) != (&two.option, &two.value) {
                return Err(format!(
                    "{} is {:?}, and {:?} when written and read",
                    one.option, one.value, two.value
                ));
            }
        }
        if read.entries.len() != again.entries.len() {
            return Err(format!(
                "{} options are written as {}",
                read.entries.len(),
                again.entries.len()
            ));
        }
        let base = Fragment {
            name: "base",
            text: BASE,
        };
        let fragment = Fragment {
            name: "fragment",
            text: &text,
        };
        let merged = merge(base, &[fragment])
            .map_err(|error| format!("it is read, and not merged: {}", message(&error)))?;
        let result = Config::parse(&merged.text, "merged")
            .map_err(|error| format!("the merged config cannot be read: {}", message(&error)))?;
        let values: HashMap<_, _> = result
            .entries
            .iter()
            .map(|entry| (&entry.option, &entry.value))
            .collect();
        for entry in &read.entries {
            if values.get(&entry.option).copied() != Some(&entry.value) {
                return Err(format!(
                    "{} is {:?} in the fragment and {:?} in the merged config",
                    entry.option,
                    entry.value,
                    values.get(&entry.option)
                ));
            }
        }
        let twice = merge(
            Fragment {
                name: "merged",
                text: &merged.text,
            },
            &[fragment],
        )
        .map_err(|error| format!("cannot be merged twice: {}", message(&error)))?;
        if Config::parse(&twice.text, "twice").map(|config| sorted(&config)) != Ok(sorted(&result))
        {
            return Err("merging twice gives other values than merging once".to_owned());
        }
        Ok(ParseOutcome::Accepted)
    }
}

fn sorted(config: &Config) -> Vec<(String, String)> {
    let mut all: Vec<_> = config
        .entries
        .iter()
        .map(|entry| (entry.option.clone(), entry.value.to_string()))
        .collect();
    all.sort();
    all
}
