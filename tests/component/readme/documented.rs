//! Every option, flag, variable and key that a document names is one that the tool reads; and every key that it reads is in a document.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use lustre_packaging::lock::Lock;
use lustre_packaging::overlay::Manifest;
use lustre_packaging::target::Target;
use lustre_repo_tests::command_line::{Home, project};
use lustre_repo_tests::tool_code::project_files;
use toml::{Table, Value};
use walkdir::WalkDir;

use super::schema::{Schema, only};
use super::{blocks, understood, words};

/// Keys of a target's file that are read before its tables are merged.
const BEFORE_MERGING: [&str; 4] = ["inherits", "with", "releases", "features"];

/// The keys of one of them that has some.
const RELEASES: [&str; 2] = ["releases.lustre", "releases.e2fsprogs"];

/// Options that documents name and that are of other programs.
const OF_OTHERS: [(&str, &str); 9] = [
    ("--with", "rpmbuild"),
    ("--without", "rpmbuild"),
    ("--define", "rpmbuild"),
    ("--download-metadata", "dnf reposync"),
    ("--excludes", "createrepo_c"),
    ("--location-prefix", "createrepo_c"),
    ("--groupfile", "createrepo_c"),
    ("--checksum", "createrepo_c"),
    ("--repomd-checksum", "createrepo_c"),
];

/// Tables that documents name and that are of other programs' files.
const TABLES_OF_OTHERS: [&str; 1] = ["[main]"];

fn target(table: Table) -> Result<(), String> {
    let read = Value::Table(table).try_into::<Target>();
    read.map(drop).map_err(|error| error.to_string())
}

fn overlay(table: Table) -> Result<(), String> {
    let read = Value::Table(table).try_into::<Manifest>();
    read.map(drop).map_err(|error| error.to_string())
}

fn lock(table: Table) -> Result<(), String> {
    let read = Value::Table(table).try_into::<Lock>();
    read.map(drop).map_err(|error| error.to_string())
}

/// The project's documents: those at the top, and those of `docs`, `specs` and `tests`.
fn documents() -> Vec<(String, String)> {
    let mut files = vec![PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")];
    for folder in ["docs", "specs", "tests"] {
        for entry in WalkDir::new(project().join(folder)).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path.strip_prefix(project()).unwrap().to_owned());
            }
        }
    }
    let read = |file: PathBuf| {
        let text = fs::read_to_string(project().join(&file)).unwrap();
        (file.display().to_string(), text)
    };
    files.into_iter().map(read).collect()
}

fn document(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap()
}

/// What stands between single backticks, outside of fenced blocks.
fn spans(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut spans = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// The blocks fenced with ```` ```toml ````.
fn toml_blocks(text: &str) -> Vec<String> {
    let parts = text.split("\n```toml\n").skip(1);
    parts
        .map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The long option that `text` begins with.
fn option(text: &str) -> Option<&str> {
    let name = text.strip_prefix("--")?;
    let length = name
        .find(|c: char| !c.is_ascii_lowercase() && c != '-')
        .unwrap_or(name.len());
    (length > 0).then(|| &text[..length + 2])
}

/// The help of the tool and of all its commands.
fn helps(home: &Home) -> Vec<String> {
    fn add(home: &Home, command: &[&str], helps: &mut Vec<String>) {
        let ran = home.run(&[command, &["--help"]].concat());
        assert_eq!(ran.code, 0, "{command:?}: {ran:?}");
        let listed = ran.stdout.split_once("\nCommands:\n");
        let names: Vec<String> = listed
            .into_iter()
            .flat_map(|(_, rest)| rest.lines().take_while(|line| !line.is_empty()))
            // Deeper lines go on with what a command is for.
            .filter_map(|line| {
                line.strip_prefix("  ")
                    .filter(|line| !line.starts_with(' '))
            })
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect();
        helps.push(ran.stdout);
        for name in names {
            add(home, &[command, &[name.as_str()]].concat(), helps);
        }
    }
    let mut all = Vec::new();
    add(home, &[], &mut all);
    assert!(all.len() > 12, "only {} commands have a help", all.len());
    all
}

#[test]
fn every_option_in_a_document_is_one_of_the_command_line() {
    let home = Home::new();
    let helps = helps(&home);
    let known: BTreeSet<&str> = helps
        .iter()
        .flat_map(|help| help.lines())
        .map(str::trim_start)
        .filter_map(|line| {
            // `--long`, or `-s, --long`.
            let short = line.strip_prefix('-').and_then(|rest| rest.get(1..));
            let long = short.and_then(|rest| rest.strip_prefix(", "));
            option(long.unwrap_or(line))
        })
        .collect();
    assert!(known.contains("--allow-incomplete"), "{known:?}");
    let mut of_others: BTreeMap<&str, &str> = OF_OTHERS.into();
    let mut wrong = Vec::new();
    let (mut options, mut commands) = (0, 0);
    let documents = documents();
    for (file, text) in &documents {
        for span in spans(text) {
            for found in span.split_whitespace().filter_map(option) {
                // Within another program's command its options are its own.
                if !span.starts_with("--") {
                    break;
                }
                options += 1;
                let other = OF_OTHERS.iter().any(|(name, _)| *name == found);
                if other {
                    of_others.remove(found);
                } else if !known.contains(found) {
                    wrong.push(format!("{file}: `{span}`: no command has {found}"));
                }
            }
        }
        let lines = blocks(text).into_iter().flat_map(|block| block.commands);
        let inline = spans(text).into_iter().map(str::to_owned);
        for line in lines.chain(inline) {
            let line = line.split(" #").next().unwrap_or_default();
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let ["cargo", "xtask", arguments @ ..] = words.as_slice()
                && !arguments.is_empty()
            {
                commands += 1;
                if let Err(why) = understood(&home, arguments) {
                    wrong.push(format!("{file}: `{line}`: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(options > 15 && commands > 30, "{options}, {commands}");
    assert!(of_others.is_empty(), "no document names {of_others:?}");
}

/// The names `LUSTRE_REPO_…` in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let prefix = "LUSTRE_REPO_";
    let names = text.split(prefix).skip(1);
    names
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
            format!("{prefix}{}", &rest[..end.unwrap_or(rest.len())])
        })
        .collect()
}

#[test]
fn every_variable_in_a_document_is_read_and_every_one_read_is_in_a_document() {
    let mut read = BTreeSet::new();
    for file in project_files() {
        let text = fs::read_to_string(project().join(file)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().map(str::trim_start) {
            // What cargo's build script hands to the compiler is no variable of a user.
            if !line.starts_with("//") && !line.contains("env!(") {
                let quoted = |name: &String| line.contains(&format!("\"{name}\""));
                read.extend(variables(line).into_iter().filter(quoted));
            }
        }
    }
    assert!(read.contains("LUSTRE_REPO_STORE"), "{read:?}");
    let named: BTreeSet<String> = documents()
        .iter()
        .flat_map(|(_, text)| variables(text))
        .collect();
    let unread: Vec<_> = named.difference(&read).collect();
    assert!(unread.is_empty(), "in documents, and not read: {unread:?}");
    let home = Home::new();
    let told: BTreeSet<String> = helps(&home)
        .iter()
        .flat_map(|help| variables(help))
        .chain(named)
        .collect();
    let untold: Vec<_> = read.difference(&told).collect();
    assert!(untold.is_empty(), "read, and in no document: {untold:?}");
}

/// What a document with tables of keys says: every key by its path, and the words that it may be.
fn described(text: &str) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
    let mut keys = BTreeSet::new();
    let mut choices = BTreeMap::new();
    let mut tables: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            tables = spans(heading).into_iter().map(str::to_owned).collect();
            if heading == "Top level" {
                tables = vec![String::new()];
            }
        } else if let Some(row) = line.strip_prefix("| `") {
            let (key, rest) = row.split_once('`').unwrap();
            let kind = rest.split('|').nth(1).unwrap();
            let quoted: BTreeSet<String> = spans(kind)
                .iter()
                .map(|word| word.trim_matches('"').to_owned())
                .collect();
            for table in &tables {
                let path = if table.is_empty() {
                    key.to_owned()
                } else {
                    format!("{table}.{key}")
                };
                if !quoted.is_empty() {
                    choices.insert(path.clone(), quoted.clone());
                }
                assert!(keys.insert(path.clone()), "`{path}` is there twice");
            }
        }
    }
    (keys, choices)
}

fn assert_described(file: &str, schema: &Schema, besides: &[&str]) {
    let (mut keys, choices) = described(&document(file));
    for key in besides {
        assert!(keys.remove(*key), "{file} says nothing of `{key}`");
    }
    let missing: Vec<_> = schema.keys.difference(&keys).collect();
    assert!(missing.is_empty(), "{file} says nothing of {missing:?}");
    let unknown: Vec<_> = keys.difference(&schema.keys).collect();
    assert!(
        unknown.is_empty(),
        "{file} has {unknown:?}, and nothing reads them"
    );
    assert_eq!(choices, schema.words, "{file}: what the keys may be");
}

#[test]
fn every_key_of_a_target_is_described_and_every_one_described_is_read() {
    let schema = Schema::of(&target);
    assert!(schema.keys.contains("boot.devices[].type"), "{schema:?}");
    assert!(
        schema.keys.contains("kernel.source.git.commit"),
        "{schema:?}"
    );
    let before: Vec<&str> = BEFORE_MERGING.into_iter().chain(RELEASES).collect();
    assert_described("docs/targets.md", &schema, &before);
}

#[test]
fn every_key_of_an_overlay_is_described_and_every_one_described_is_read() {
    let schema = Schema::of(&overlay);
    assert!(
        schema.keys.contains("option.NAME.edit[].anchor"),
        "{schema:?}"
    );
    assert_described("docs/overlays.md", &schema, &[]);
}

/// The options of the project's overlays.
fn options_of_overlays() -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for entry in WalkDir::new(project().join("specs")) {
        let path = entry.unwrap().into_path();
        if path.file_name().is_some_and(|name| name == "overlay.toml") {
            let text = fs::read_to_string(&path).unwrap();
            let manifest = Manifest::parse(&text, &path.display().to_string()).unwrap();
            options.extend(manifest.option.into_keys());
        }
    }
    options
}

#[test]
fn every_option_of_an_overlay_is_described_and_every_one_described_is_there() {
    let text = document("docs/overlays.md");
    let (_, section) = text.split_once("\n## Options there are\n").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: BTreeSet<String> = rows
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect();
    assert_eq!(named, options_of_overlays());
}

/// Whether nothing is wrong with the single key that was given but that it is alone.
fn is_taken(read: Result<(), String>) -> Result<(), String> {
    match read {
        Err(error) if !error.contains("missing field") => Err(error),
        _ => Ok(()),
    }
}

/// Reads each value of the table on its own.
fn each_is_taken(table: &Table, above: &[&str], wrong: &mut Vec<String>) {
    for (key, value) in table {
        let path: Vec<&str> = above.iter().copied().chain([key.as_str()]).collect();
        match value {
            Value::Table(inner) => each_is_taken(inner, &path, wrong),
            _ => {
                if let Err(why) = is_taken(target(only(&path, value.clone()))) {
                    wrong.push(format!("{}: {why}", path.join(".")));
                }
            }
        }
    }
}

#[test]
fn every_key_in_the_toml_of_a_document_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (mut whole, mut parts) = (0, 0);
    let mut wrong = Vec::new();
    for (file, text) in documents() {
        for block in toml_blocks(&text) {
            let mut table: Table =
                toml::from_str(&block).unwrap_or_else(|error| panic!("{file}: {block}\n{error}"));
            if table.contains_key("inherits") {
                whole += 1;
                let path = folder.path().join("site.toml");
                fs::write(&path, &block).unwrap();
                if let Err(error) = Target::load(&project().join("specs"), path.to_str().unwrap()) {
                    wrong.push(format!("{file}: {block}\n{error}"));
                }
            }
            parts += 1;
            for key in BEFORE_MERGING {
                table.remove(key);
            }
            let mut errors = Vec::new();
            each_is_taken(&table, &[], &mut errors);
            wrong.extend(errors.iter().map(|error| format!("{file}: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(whole >= 3 && parts > whole, "{whole} and {parts} blocks");
}

/// Whether `path`, which may have `NAME` for any name, is the path of `table`.
fn is_at(path: &str, table: &str) -> bool {
    let (path, table): (Vec<_>, Vec<_>) = (path.split('.').collect(), table.split('.').collect());
    path.len() == table.len()
        && path
            .iter()
            .zip(&table)
            .all(|(known, named)| known == named || *known == "NAME")
}

/// What is wrong with a span that names a table, a table and its key, or a key and its value; `None` where it is none of these.
fn judged(
    span: &str,
    schemas: &[Schema],
    options: &BTreeSet<String>,
) -> Option<Result<(), String>> {
    let has = |path: &str| {
        schemas.iter().flat_map(|schema| &schema.keys).any(|key| {
            is_at(key, path)
                // A table of tables by name has no key of its own: those below it have.
                || key.rsplit_once('.').is_some_and(|(table, _)| is_at(table, path))
        })
    };
    if let Some((table, key)) = span.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let path = [table, key.trim()].join(".");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if !path.chars().all(plain) || !table.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        let path = path.trim_end_matches('.');
        return Some(if has(path) || TABLES_OF_OTHERS.contains(&span) {
            Ok(())
        } else {
            Err("there is no such key".to_owned())
        });
    }
    let (key, _) = span.split_once(" = ")?;
    let table: Table = toml::from_str(span).ok()?;
    let value = table.get(key)?;
    if key == "options" {
        for option in value.as_array()? {
            if !option.as_str().is_some_and(|name| options.contains(name)) {
                return Some(Err(format!("no overlay has the option {option}")));
            }
        }
    }
    if BEFORE_MERGING.contains(&key) {
        return Some(Ok(()));
    }
    let readers: [super::schema::Reader<'_>; 3] = [&target, &overlay, &lock];
    let mut why = "there is no such key".to_owned();
    for (schema, read) in schemas.iter().zip(readers) {
        for path in &schema.keys {
            let parts: Vec<&str> = path.split('.').collect();
            if parts.last() == Some(&key) {
                match is_taken(read(only(&parts, value.clone()))) {
                    Ok(()) => return Some(Ok(())),
                    Err(error) => why = error,
                }
            }
        }
    }
    Some(Err(why))
}

#[test]
fn every_key_and_value_that_a_document_names_is_taken() {
    let schemas = [Schema::of(&target), Schema::of(&overlay), Schema::of(&lock)];
    let options = options_of_overlays();
    for (span, right) in [
        ("kind = \"distribution\"", Some(true)),
        ("kind = \"distributed\"", Some(false)),
        ("moves = \"yes\"", Some(false)),
        ("options = [\"site-key\"]", Some(true)),
        ("options = [\"key-of-a-site\"]", Some(false)),
        ("sight = \"keys\"", Some(false)),
        ("[kernel] version", Some(true)),
        ("[kernel] edition", Some(false)),
        ("[distribution.keys.epel]", Some(true)),
        ("[repositories]", Some(false)),
        ("[0x200000001:0x101e:0x0]", None),
    ] {
        let judged = judged(span, &schemas, &options);
        assert_eq!(
            judged.as_ref().map(Result::is_ok),
            right,
            "{span}: {judged:?}"
        );
    }
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (file, text) in documents() {
        for span in spans(&text) {
            match judged(span, &schemas, &options) {
                Some(Err(why)) => wrong.push(format!("{file}: `{span}`: {why}")),
                Some(Ok(())) => seen += 1,
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 15, "only {seen} keys were found");
}
