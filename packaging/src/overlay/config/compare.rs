//! Comparing the intended config with the one a build used.

use std::collections::BTreeSet;
use std::fmt;

use super::{Config, Merged, Setting, Value};

/// An option that did not become what it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The option, with its `CONFIG_`.
    pub option: String,
    /// What was meant, and by whom.
    pub wanted: Setting,
    /// What the build used; `None` when its config does not have the option at all.
    pub got: Option<Value>,
    /// False when no Kconfig file of the kernel has the option.
    pub known: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = self.got.as_ref().unwrap_or(&Value::No);
        write!(
            out,
            "{}: wanted {} ({}, line {}), the build used {got}",
            self.option, self.wanted.value, self.wanted.from, self.wanted.line
        )?;
        if !self.known {
            return out.write_str(
                ": this kernel does not have the option; put it after `#@ where-known` or remove it",
            );
        }
        out.write_str(": a dependency or a `select` overrides it; correct the fragment")
    }
}

/// The differences between intent and build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Options a fragment asked for in vain. One is a failure.
    pub fragments: Vec<Difference>,
    /// Options of the base that changed, as they do with another compiler or through a fragment's `select`. To be shown,
    /// not a failure.
    pub base: Vec<Difference>,
    /// Options behind `#@ where-known` that this kernel does not know.
    pub skipped: Vec<String>,
}

/// Compares what was meant with `used`, the `.config` after `make olddefconfig`. `known` are the options the kernel knows,
/// without `CONFIG_` (see [`known_symbols`](super::known_symbols)).
pub fn compare(wanted: &Merged, used: &Config, known: &BTreeSet<String>) -> Comparison {
    let used: std::collections::BTreeMap<&str, &Value> = used
        .entries
        .iter()
        .map(|entry| (entry.option.as_str(), &entry.value))
        .collect();
    let mut comparison = Comparison::default();
    for (option, setting) in &wanted.settings {
        let known = option
            .strip_prefix("CONFIG_")
            .is_some_and(|name| known.contains(name));
        if setting.where_known && !known {
            comparison.skipped.push(option.clone());
            continue;
        }
        let got = used.get(option.as_str()).copied();
        // kconfig leaves a hidden option out of the file: that is the same as not set.
        if *got.unwrap_or(&Value::No) == setting.value {
            continue;
        }
        let difference = Difference {
            option: option.clone(),
            wanted: setting.clone(),
            got: got.cloned(),
            known,
        };
        if setting.by_fragment {
            comparison.fragments.push(difference);
        } else {
            comparison.base.push(difference);
        }
    }
    comparison
}
