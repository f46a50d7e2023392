//! The stages that take long carry a number for their code: whether it was raised, or the change looked at, when their sources changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use lustre_packaging::store::Digest;
use lustre_repo_tests::command_line::project;
use lustre_repo_tests::tool_code::{Uses, code, files, project_files};

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
         where it does not, write their digests: RECIPES=write cargo test -p lustre-repo-tests --test component recipes",
        changed.join(", ")
    );
}

/// A use that is no part of a recipe.
#[derive(Debug, serde::Deserialize)]
struct Without {
    /// The stages; all of them where none is named.
    #[serde(default)]
    stages: Vec<String>,
    /// Who uses it, a file or a folder; anybody where nothing is said.
    #[serde(default)]
    by: String,
    /// What is used, a file or a folder.
    used: String,
    /// Why it does not affect the stage's output.
    because: String,
}

impl Without {
    fn is_about(&self, stage: &str, by: &str, used: &str) -> bool {
        (self.stages.is_empty() || self.stages.iter().any(|one| one == stage))
            && is_in(by, &self.by)
            && is_in(used, &self.used)
    }
}

/// Whether `file` is the source `name`, or lies in it.
fn is_in(file: &str, name: &str) -> bool {
    let rest = file.strip_prefix(name);
    rest.is_some_and(|rest| name.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn a_recipe_names_all_the_code_that_its_sources_use() {
    let text = fs::read_to_string(project().join("xtask/recipes.toml")).unwrap();
    let recipes: toml::Table = toml::from_str(&text).unwrap();
    let text = include_str!("recipes/without.toml");
    let mut without: BTreeMap<String, Vec<Without>> = toml::from_str(text).unwrap();
    let without = without.remove("without").unwrap();
    let all = project_files();
    let read = Uses::read(project(), &all);
    let uses = read.uses();
    let (mut wrong, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for (stage, recipe) in &recipes {
        let sources = recipe["sources"].as_array().unwrap();
        let sources: Vec<&str> = sources.iter().map(|one| one.as_str().unwrap()).collect();
        let is_source = |file: &str| sources.iter().any(|name| is_in(file, name));
        for by in all.iter().filter(|file| is_source(file)) {
            for used in uses[by.as_str()].iter().filter(|used| !is_source(used)) {
                let reason = without.iter().position(|one| one.is_about(stage, by, used));
                match reason {
                    Some(reason) => needed.insert(reason),
                    None => wrong.insert(format!("{stage}: {by} uses {used}")),
                };
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these recipes use code that their `sources` in xtask/recipes.toml do not name. Name it there; or where it has no say in what the stage \
         puts out, say why in tests/component/recipes/without.toml: {wrong:#?}"
    );
    let idle: Vec<_> = (0..without.len())
        .filter(|one| !needed.contains(one))
        .map(|one| &without[one])
        .collect();
    assert!(idle.is_empty(), "nothing of this is used: {idle:#?}");
    assert!(without.iter().all(|one| one.because.len() > 10));
}

/// One use of each kind that code can have of other code.
#[test]
fn uses_are_found_whatever_way_they_are_written() {
    let read = Uses::read(project(), &project_files());
    let uses = read.uses();
    for (by, used) in [
        // By a path from the crate, and by a module that was brought in.
        (
            "packaging/src/build/ext4.rs",
            "packaging/src/preflight/ldiskfs.rs",
        ),
        (
            "packaging/src/build/ext4.rs",
            "packaging/src/preflight/series.rs",
        ),
        // Through a name that another module passes on.
        (
            "packaging/src/source/fetched.rs",
            "packaging/src/store/tree.rs",
        ),
        // Of another crate.
        ("xtask/src/graph/kernel.rs", "packaging/src/build/kernel.rs"),
        ("packaging/src/build/workdir.rs", "process/src/run.rs"),
        // A method that is in another file than its type.
        (
            "packaging/src/target/model.rs",
            "packaging/src/target/site.rs",
        ),
        // `super`.
        (
            "xtask/src/graph/distribution.rs",
            "xtask/src/graph/kernel_tree.rs",
        ),
    ] {
        assert!(uses[by].contains(used), "{by} uses {used}: {:?}", uses[by]);
    }
    assert!(!uses["packaging/src/archive/pack.rs"].contains("packaging/src/build/kernel.rs"));
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
