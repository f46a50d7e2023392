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
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_has_a_number_and_all_else_the_digest_of_the_code() {
        assert_eq!(list().len(), LIST.matches("\nsources").count());
        let number = |stage| {
            of(stage)
                .first()
                .map(|(label, value)| format!("{label} {value}"))
        };
        assert_eq!(number("kernel").as_deref(), Some("recipe 1"));
        assert_eq!(number("lustre-srpm").as_deref(), Some("recipe 4"));
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
