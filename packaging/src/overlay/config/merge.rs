//! Merging fragments into a distribution's config.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, ConfigError, Value};

/// A fragment to merge.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// Its name, for provenance and messages.
    pub name: &'a str,
    pub text: &'a str,
}

/// What an option is meant to be, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub value: Value,
    /// The name of the fragment, or of the base config.
    pub from: String,
    /// The line there, counted from 1.
    pub line: usize,
    /// True when a fragment said it, false when it is the base's.
    pub by_fragment: bool,
    /// True when it only counts where the kernel knows the option.
    pub where_known: bool,
}

/// A merged config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text for the build: the base with its comments, changed lines in place, new ones at the end.
    pub text: String,
    /// Every option's intended value.
    pub settings: BTreeMap<String, Setting>,
}

/// Merges `fragments` into `base`. A later fragment overrules an earlier one, and every fragment the base.
///
/// The base's comments stay: some specs read the architecture from its first line.
pub fn merge(base: Fragment<'_>, fragments: &[Fragment<'_>]) -> Result<Merged, ConfigError> {
    let base_config = Config::parse(base.text, base.name)?;
    let mut settings = BTreeMap::new();
    take(&mut settings, &base_config, base.name, false);
    for fragment in fragments {
        let config = Config::parse(fragment.text, fragment.name)?;
        take(&mut settings, &config, fragment.name, true);
    }
    let by_line: BTreeMap<usize, &str> = base_config
        .entries
        .iter()
        .map(|entry| (entry.line, entry.option.as_str()))
        .collect();
    let in_base: BTreeSet<&str> = by_line.values().copied().collect();
    let mut text = String::new();
    for (index, line) in base.text.lines().enumerate() {
        let setting = by_line
            .get(&(index + 1))
            .and_then(|option| settings.get_key_value(*option));
        match setting {
            Some((option, setting)) if setting.by_fragment => {
                text.push_str(&setting.value.line(option))
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    for fragment in fragments {
        let mut new: Vec<(&String, &Setting)> = settings
            .iter()
            .filter(|(option, setting)| {
                setting.from == fragment.name
                    && setting.by_fragment
                    && !in_base.contains(option.as_str())
            })
            .collect();
        new.sort_by_key(|(_, setting)| setting.line);
        if !new.is_empty() {
            text.push_str(&format!("# from {}\n", fragment.name));
        }
        for (option, setting) in new {
            text.push_str(&setting.value.line(option));
            text.push('\n');
        }
    }
    Ok(Merged { text, settings })
}

fn take(settings: &mut BTreeMap<String, Setting>, config: &Config, from: &str, by_fragment: bool) {
    for entry in &config.entries {
        settings.insert(
            entry.option.clone(),
            Setting {
                value: entry.value.clone(),
                from: from.to_owned(),
                line: entry.line,
                by_fragment,
                where_known: entry.where_known,
            },
        );
    }
}
