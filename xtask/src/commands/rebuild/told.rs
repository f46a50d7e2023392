//! What came of a rebuild, for people.

use std::collections::BTreeMap;

use lustre_repository::differences::Differences;

use super::compared::{Compared, Result, WhyNot};
use super::diffoscope::DIFFOSCOPE;

/// How many tags and files of a package are told to people.
const SHOWN: usize = 12;

impl Compared {
    /// All of it, line by line.
    pub fn tell(&self, say: &mut dyn FnMut(&str)) {
        for stage in &self.stages {
            if let Some(why) = &stage.why {
                say(&format!("{} was not built: {why}", stage.stage));
            }
            if let Some(host) = &stage.host_not_taken {
                say(&format!(
                    "{}: the name of the host that it was built on is not taken: {}",
                    stage.stage,
                    host.escape_debug()
                ));
            }
        }
        for package in self.packages.iter().filter(|one| !one.is_same()) {
            let what = match package.result {
                Result::Same | Result::Differs => "differs",
                Result::NotMade => "is in the repository, and the rebuild did not make it",
                Result::NotPublished => "was made by the rebuild, and is not in the repository",
                Result::NotBuilt => "is in the repository, and could not be built",
            };
            say(&format!("{} {what}", package.nevra));
            if let Some(why) = &package.why {
                say(&format!("  cannot be compared: {why}"));
            }
            if let Some(differences) = &package.differences {
                for line in lines(differences) {
                    say(&format!("  {line}"));
                }
            }
            if let Some(path) = &package.rebuilt {
                say(&format!("  rebuilt: {}", path.display()));
            }
            if let Some(path) = &package.diffoscope {
                say(&format!("  {DIFFOSCOPE}: {}", path.display()));
            }
        }
        let all = self.packages.len();
        let same = self.packages.iter().filter(|one| one.is_same()).count();
        let left = self.left();
        say(&match self.same {
            true => format!(
                "byte-identical: {all} packages, as they were before they were signed{left}"
            ),
            false => format!("{same} of {all} packages are the same{left}"),
        });
    }

    /// How many packages were not to be rebuilt, by the reason.
    fn left(&self) -> String {
        let mut counts: BTreeMap<WhyNot, usize> = BTreeMap::new();
        for one in &self.not_rebuilt {
            *counts.entry(one.why).or_default() += 1;
        }
        let parts: Vec<String> = counts
            .iter()
            .map(|(why, count)| match why {
                WhyNot::EarlierRelease => format!("{count} of earlier releases"),
                WhyNot::NotAsked => format!("{count} that --package does not name"),
                WhyNot::Source => format!("{count} source packages"),
            })
            .collect();
        match parts.is_empty() {
            true => String::new(),
            false => format!("; not rebuilt: {}", parts.join(", ")),
        }
    }
}

/// What differs, a line each.
fn lines(differences: &Differences) -> Vec<String> {
    let tags = differences.tags.iter().map(|tag| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        let (first, second) = (value(&tag.first), value(&tag.second));
        match first == second {
            true => format!("tag {}", tag.tag),
            false => format!("tag {}: published {first}, rebuilt {second}", tag.tag),
        }
    });
    let files = differences.files.iter().map(|file| {
        let what = file.what.join(", ");
        let what = what
            .replace("the first", "the published")
            .replace("the second", "the rebuilt");
        format!("file {}: {what}", file.path)
    });
    let mut told = Vec::new();
    for all in [tags.collect::<Vec<_>>(), files.collect()] {
        told.extend(all.iter().take(SHOWN).cloned());
        if all.len() > SHOWN {
            told.push(format!("… and {} more", all.len() - SHOWN));
        }
    }
    if told.is_empty() {
        told.push(
            "only in how it was before it was signed: by manifest.json, another signature header"
                .to_owned(),
        );
    }
    told
}
