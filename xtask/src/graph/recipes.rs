//! What stands in a stage's key for the code that it runs.
//!
//! A digest of all the tool's code, which can never be stale; for the stages that take long, which are listed in `recipes.toml`, a number
//! that a test holds to their sources.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use lustre_packaging::stage;
use serde::Deserialize;

/// The list.
const LIST: &str = include_str!("../../recipes.toml");

/// The digest of the tool's code, but for what only reads the command line and talks: made by `build.rs`.
const CODE: &str = env!("LUSTRE_REPO_CODE");

#[derive(Debug, Deserialize)]
struct Recipe {
    number: Option<u32>,
}

/// The inputs of the stage `name` that stand for its code.
pub fn of(name: &str) -> Vec<(String, String)> {
    let input = |label: &str, value: String| (label.to_owned(), value);
    match list().get(name) {
        Some(recipe) => recipe
            .number
            .map(|number| input("recipe", number.to_string()))
            .into_iter()
            .collect(),
        None => vec![input(stage::CODE, CODE.to_owned())],
    }
}

/// The list, read. Were it damaged, all stages would carry the digest: a test says that it is not.
fn list() -> &'static BTreeMap<String, Recipe> {
    static READ: OnceLock<BTreeMap<String, Recipe>> = OnceLock::new();
    READ.get_or_init(|| toml::from_str(LIST).unwrap_or_default())
}

#[cfg(test)]
#[path = "../../code.rs"]
mod code;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_digest_is_of_all_the_code_that_stages_run() {
        let project = crate::invocation::checkout().unwrap();
        let project = Path::new(&project);
        let of = |project: &Path| code::digest(project, &code::places(project).unwrap()).unwrap();
        assert_eq!(of(project), CODE);
        for file in code::NOT_RUN_BY_STAGES {
            assert!(project.join(file).is_file(), "there is no {file}");
        }
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let files = [
            ("Cargo.toml", true),
            ("Cargo.lock", true),
            ("packaging/Cargo.toml", true),
            ("packaging/src/lib.rs", true),
            ("packaging/src/deep/er/data.toml", true),
            ("packaging/src/deep/tests.rs", false),
            ("packaging/src/deep/tests/one.rs", false),
            ("packaging/src/.lib.rs.swp", false),
            ("new/Cargo.toml", true),
            ("new/src/lib.rs", true),
            ("tests/Cargo.toml", false),
            ("tests/src/lib.rs", false),
            ("specs/targets/a.toml", false),
            ("xtask/Cargo.toml", true),
            ("xtask/src/graph/mod.rs", true),
            ("xtask/src/cli.rs", false),
            ("xtask/src/ui.rs", false),
        ];
        for (file, _) in files {
            write(file, "before");
        }
        let before = of(dir.path());
        for (file, counts) in files {
            write(file, "after");
            assert_eq!(of(dir.path()) != before, counts, "{file}");
            write(file, "before");
            assert_eq!(of(dir.path()), before, "{file}");
        }
        // The same bytes elsewhere, and one more file of them.
        let at = |file: &str| dir.path().join(file);
        fs::rename(at("new/src/lib.rs"), at("new/src/other.rs")).unwrap();
        assert_ne!(of(dir.path()), before);
        fs::rename(at("new/src/other.rs"), at("new/src/lib.rs")).unwrap();
        write("new/src/more.rs", "");
        assert_ne!(of(dir.path()), before);
    }

    #[test]
    fn what_takes_long_has_a_number_and_all_else_the_digest_of_the_code() {
        assert_eq!(list().len(), LIST.matches("\nsources").count());
        let number = |stage| {
            of(stage)
                .first()
                .map(|(label, value)| format!("{label} {value}"))
        };
        assert_eq!(number("kernel").as_deref(), Some("recipe 2"));
        assert_eq!(number("lustre-srpm").as_deref(), Some("recipe 5"));
        // Its key has had none from the first.
        assert_eq!(number("kernel-root"), None);
        for stage in [
            "release-package",
            "sign",
            "assemble",
            "prove",
            "boot",
            "distribution",
            "preflight",
            "new",
        ] {
            assert_eq!(of(stage), [("code".to_owned(), CODE.to_owned())], "{stage}");
        }
        assert_eq!(CODE.len(), 64);
    }
}
