//! `cargo xtask compare`: whether two builders have the same unsigned packages.

use std::path::PathBuf;

use lustre_files::advised;
use lustre_packaging::built::{BuildOutput, INDEX, differences};

use crate::cli::CompareArgs;
use crate::exit::{Outcome, Usage};
use crate::ui;

/// How many differences are told to people.
const SHOWN: usize = 20;

/// Compares two folders.
pub fn run(arguments: &CompareArgs) -> anyhow::Result<Outcome> {
    let compared = compared(&[arguments.first.clone(), arguments.second.clone()])?;
    let differs = compared.differs;
    let first = &compared.built[0];
    let files = first.index().files().count();
    if arguments.json {
        let told = serde_json::json!({
            "same": differs.is_empty(),
            "files": files,
            "sha256": compared.built.iter().map(BuildOutput::sha256).collect::<Vec<_>>(),
            "differs": differs,
        });
        ui::print(&serde_json::to_string_pretty(&told)?);
    } else if differs.is_empty() {
        ui::print(&format!(
            "byte-identical: {files} files of {}; sha256 of the index {}",
            first.index().made_of.target,
            first.sha256()
        ));
    } else {
        tell(&differs, &mut |line| ui::print(line));
    }
    Ok(match differs.is_empty() {
        true => Outcome::Done,
        false => Outcome::Unproven,
    })
}

/// Some differences, and how many more there are.
pub fn tell(differs: &[String], say: &mut dyn FnMut(&str)) {
    for line in differs.iter().take(SHOWN) {
        say(line);
    }
    if differs.len() > SHOWN {
        say(&format!("… and {} more", differs.len() - SHOWN));
    }
}

/// What several builders have.
pub struct BuildComparison {
    /// Each of them, every file as it is listed.
    pub built: Vec<BuildOutput>,
    /// How others differ from the first.
    pub differs: Vec<String>,
}

/// Opens the folders `paths`, reads all of each, and compares them with the first. One folder by two names is refused; a copy of it cannot
/// be told.
pub fn compared(paths: &[PathBuf]) -> anyhow::Result<BuildComparison> {
    let mut built: Vec<BuildOutput> = Vec::new();
    let mut differs = Vec::new();
    for path in paths {
        let one = BuildOutput::open(path)?;
        for other in &built {
            if one.is_same(other)? {
                return Err(Usage::new(advised(
                    format!(
                        "{} and {} are one folder, or have one {INDEX}: that is one builder, not two",
                        other.path().display(),
                        path.display()
                    ),
                    "give the folders that two machines wrote",
                ))
                .into());
            }
        }
        one.check()?;
        if let Some(first) = built.first() {
            differs.extend(differences(first.index(), one.index()));
        }
        built.push(one);
    }
    Ok(BuildComparison { built, differs })
}
