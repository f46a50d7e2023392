//! The stages that take long carry a number for their code: whether it was raised, or the change looked at, when their sources changed.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::store::Digest;
use lustre_repo_tests::command_line::project;
use walkdir::WalkDir;

/// The digest of the sources of a recipe and its number.
fn digest(recipe: &toml::Table) -> String {
    let sources = recipe["sources"].as_array().unwrap();
    let number = recipe
        .get("number")
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut fields = vec![("number".to_owned(), number)];
    for source in sources {
        let name = source.as_str().unwrap();
        let path = project().join(name);
        let files = files(name);
        let digest = Digest::of_fields(files.iter().map(|file| {
            let name = file.strip_prefix(&path).unwrap();
            (name.display().to_string(), code(file))
        }));
        fields.push((name.to_owned(), digest.to_string()));
    }
    Digest::of_fields(fields).short()
}

/// The files of the tool that are the source `name`, or lie in it.
fn files(name: &str) -> Vec<PathBuf> {
    let files: Vec<_> = WalkDir::new(project().join(name))
        .sort_by_file_name()
        .into_iter()
        .map(|item| item.unwrap())
        .filter(|item| item.file_type().is_file())
        .map(|item| item.into_path())
        .filter(|path| is_code(path))
        .collect();
    assert!(!files.is_empty(), "there is no {name}");
    files
}

/// Whether a file is part of the tool, and neither a test nor what an editor left.
fn is_code(path: &Path) -> bool {
    let text = path.strip_prefix(project()).unwrap().to_str().unwrap();
    let is_test = ["/tests.rs", "_tests.rs"]
        .iter()
        .any(|end| text.ends_with(end));
    !is_test && !text.contains("/tests/") && !text.contains("/testdata/") && !text.ends_with('~')
}

/// The file's code without its tests, which come last.
fn code(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let end = text
        .find("\n#[cfg(test)]\nmod tests {")
        .unwrap_or(text.len());
    text[..end].to_owned()
}

#[test]
fn a_recipe_that_changed_has_another_number_or_was_looked_at() {
    let path = project().join("xtask/recipes.toml");
    let text = fs::read_to_string(&path).unwrap();
    let recipes: toml::Table = toml::from_str(&text).unwrap();
    let mut changed = Vec::new();
    let mut written = text.clone();
    for (stage, recipe) in &recipes {
        let recipe = recipe.as_table().unwrap();
        let (was, is) = (recipe["digest"].as_str().unwrap(), digest(recipe));
        if was == is {
            continue;
        }
        changed.push(stage.as_str());
        let at = written.find(&format!("[{stage}]\n")).unwrap();
        let line = at + written[at..].find("digest = \"").unwrap();
        let end = line + written[line..].find('\n').unwrap();
        written.replace_range(line..end, &format!("digest = \"{is}\""));
    }
    if std::env::var("RECIPES").as_deref() == Ok("write") {
        fs::write(&path, written).unwrap();
        return;
    }
    assert!(
        changed.is_empty(),
        "the sources of these stages changed: {}. Where what they put out changes, raise their `number` in xtask/recipes.toml. Then, or \
         where it does not, write their digests: RECIPES=write cargo test -p lustre-repo-tests --test recipes",
        changed.join(", ")
    );
}

/// The small crates that recipes are made of besides, and what a source that uses one says.
const CRATES: [(&str, &str); 4] = [
    ("files/src", "lustre_files::"),
    ("process/src", "process::"),
    ("rpm-header/src", "lustre_rpm_header::"),
    ("sign/src", "sign::"),
];

#[test]
fn a_recipe_names_the_crates_that_its_sources_use() {
    let text = fs::read_to_string(project().join("xtask/recipes.toml")).unwrap();
    let recipes: toml::Table = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for (stage, recipe) in &recipes {
        let sources = recipe["sources"].as_array().unwrap();
        let sources: Vec<&str> = sources.iter().map(|one| one.as_str().unwrap()).collect();
        let others = sources
            .iter()
            .filter(|name| CRATES.iter().all(|(of, _)| of != *name));
        let code: String = others
            .flat_map(|name| files(name))
            .map(|file| code(&file))
            .collect();
        // Another's of the same name.
        let code = code
            .replace("std::process::", "")
            .replace("rustix::process::", "");
        for (name, used) in CRATES {
            if code.contains(used) != sources.contains(&name) {
                wrong.push(format!("{stage}: {name}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these recipes use a crate that their `sources` do not name, or name one that they do not use: {wrong:#?}"
    );
}

#[test]
fn every_change_of_a_recipe_is_seen() {
    let text =
        "number = 1\nsources = [\"packaging/src/build/lustre.rs\", \"packaging/src/buildroot\"]";
    let of = |text: &str| digest(&toml::from_str(text).unwrap());
    assert_eq!(of(text), of(text));
    for other in [
        text.replace("number = 1", "number = 2"),
        text.replace("number = 1\n", ""),
        text.replace("lustre.rs", "kernel.rs"),
        text.replace(", \"packaging/src/buildroot\"", ""),
    ] {
        assert_ne!(of(text), of(&other), "{other}");
    }
}
