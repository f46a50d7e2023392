//! The files of the tool's code, and which of them use which: by the paths that stand in their code.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

use crate::command_line::project;

/// The files of the tool that are the source `name`, or lie in it.
pub fn files(name: &str) -> Vec<PathBuf> {
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

/// All files of the tool's crates, as from the project's folder.
pub fn project_files() -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(project()).unwrap() {
        let crate_ = entry.unwrap().path();
        let name = crate_.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "tests" && crate_.join("Cargo.toml").exists() {
            all.extend(files(&format!("{name}/src")));
        }
    }
    let relative = |path: PathBuf| {
        path.strip_prefix(project())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    all.into_iter()
        .map(relative)
        .filter(|name| name.ends_with(".rs"))
        .collect()
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
pub fn code(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let end = text
        .find("\n#[cfg(test)]\nmod tests {")
        .unwrap_or(text.len());
    text[..end].to_owned()
}

/// A path in code: `crate`, a crate, or a name of the file's own, and what follows.
type Segments = Vec<String>;

/// One word or mark of code.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Into,
    Open(char),
    Close,
    Mark(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// What one file of code says.
#[derive(Debug, Default)]
struct Source {
    /// Its module, with its crate first.
    module: Segments,
    /// The names that `use` brings in, and what they stand for.
    names: HashMap<String, Segments>,
    /// Of what everything is brought in.
    globs: Vec<Segments>,
    /// What is defined in it.
    items: BTreeSet<String>,
    /// The paths in it that are used here, and not only passed on by a `pub use`.
    paths: BTreeSet<Segments>,
    /// The types to which it gives methods.
    extended: Vec<String>,
}

/// The code of the project's crates.
pub struct Uses {
    files: BTreeMap<String, Source>,
    /// The file of each module.
    modules: HashMap<Segments, String>,
}

impl Uses {
    /// Reads `files`, which are named as from the project's folder.
    pub fn read(project: &Path, files: &[String]) -> Self {
        let crates = crates(project);
        let mut all = Self {
            files: BTreeMap::new(),
            modules: HashMap::new(),
        };
        for file in files {
            let Some(module) = module(file, &crates) else {
                continue;
            };
            let stream: TokenStream = code(&project.join(file)).parse().unwrap();
            let mut tokens = Vec::new();
            flatten(stream, &mut tokens);
            let mut source = Source {
                module: module.clone(),
                ..Source::default()
            };
            source.take(&tokens);
            all.modules.insert(module, file.clone());
            all.files.insert(file.clone(), source);
        }
        all
    }

    /// For each file, the files that it uses.
    pub fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let named = self.named();
        let mut uses: BTreeMap<&str, BTreeSet<&str>> = named
            .into_iter()
            .map(|(file, used)| (file, used.into_keys().collect()))
            .collect();
        // Who uses a type uses its methods, wherever they are.
        for (file, source) in &self.files {
            for name in &source.extended {
                let path = vec![name.clone()];
                let of = self
                    .absolute(source, &path, 0)
                    .and_then(|path| self.defines(path, 0));
                if let Some(of) = of.filter(|of| of != file) {
                    uses.entry(of).or_default().insert(file);
                }
            }
        }
        uses
    }

    /// For each file, the files that it names something of, and what it names.
    pub fn named(&self) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> {
        let mut named: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
        for (file, source) in &self.files {
            let used = named.entry(file).or_default();
            for path in &source.paths {
                let other = self
                    .absolute(source, path, 0)
                    .and_then(|path| self.defines(path, 0));
                if let Some(other) = other.filter(|other| other != file) {
                    used.entry(other).or_default().insert(path.join("::"));
                }
            }
        }
        named
    }

    /// The path as from its crate; none where it leads out of the project.
    fn absolute(&self, source: &Source, path: &[String], depth: usize) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        // Modules that bring in everything of each other.
        if depth > 12 {
            return None;
        }
        let mut start = match first.as_str() {
            "crate" => source.module[..1].to_vec(),
            "self" => source.module.clone(),
            "super" => source.module[..source.module.len() - 1].to_vec(),
            name => {
                let mut inner = source.module.clone();
                inner.push(name.to_owned());
                if self.modules.contains_key(&inner) {
                    inner
                } else if let Some(stands_for) = source.names.get(name) {
                    if stands_for == path {
                        // `use a_crate;`
                        stands_for.clone()
                    } else {
                        self.absolute(source, stands_for, depth + 1)?
                    }
                } else if self.modules.contains_key(&path[..1]) {
                    path[..1].to_vec()
                } else {
                    let of_glob = source.globs.iter().find_map(|glob| {
                        let mut path = self.absolute(source, glob, depth + 1)?;
                        path.push(name.to_owned());
                        let file = self.defines(path.clone(), depth + 1)?;
                        self.files[file].items.contains(name).then_some(path)
                    });
                    of_glob?
                }
            }
        };
        let mut rest = rest;
        while let [up, more @ ..] = rest
            && up == "super"
        {
            start.pop();
            rest = more;
        }
        start.extend_from_slice(rest);
        Some(start)
    }

    /// The file that defines what `path` names; none for a module.
    fn defines(&self, path: Segments, depth: usize) -> Option<&str> {
        let mut at = path[..1].to_vec();
        for (place, name) in path.iter().enumerate().skip(1) {
            at.push(name.clone());
            if self.modules.contains_key(&at) {
                continue;
            }
            at.pop();
            let file = self.modules.get(&at)?;
            let source = &self.files[file];
            if source.items.contains(name) {
                return Some(file);
            }
            let through = source.names.get(name).cloned().or_else(|| {
                source.globs.iter().find_map(|glob| {
                    let mut path = glob.clone();
                    path.push(name.clone());
                    let file = self.defines(self.absolute(source, &path, depth + 1)?, depth + 1)?;
                    self.files[file].items.contains(name).then_some(path)
                })
            });
            let Some(mut through) = through else {
                return Some(file);
            };
            through.extend_from_slice(&path[place + 1..]);
            return self.defines(self.absolute(source, &through, depth + 1)?, depth + 1);
        }
        None
    }
}

impl Source {
    fn take(&mut self, tokens: &[Token]) {
        let (mut passed_on, mut words) = (Vec::new(), BTreeSet::new());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).and_then(|at| tokens.get(at));
            let next = tokens.get(at + 1);
            at += 1;
            let Some(word) = token.word() else {
                continue;
            };
            match word {
                "use" if next != Some(&Token::Mark('<')) => {
                    let mut trees = Vec::new();
                    at = tree(tokens, at, &[], &mut trees);
                    let is_passed_on = matches!(before, Some(Token::Close))
                        || before.and_then(Token::word) == Some("pub");
                    for (name, path) in trees {
                        let Some(name) = name else {
                            self.globs.push(path);
                            continue;
                        };
                        if is_passed_on {
                            passed_on.push((name.clone(), path.clone()));
                        } else {
                            self.paths.insert(path.clone());
                        }
                        if path != [name.clone()] {
                            self.names.insert(name, path);
                        }
                    }
                    continue;
                }
                "fn" | "struct" | "enum" | "trait" | "const" | "static" | "type" | "union" => {
                    self.items
                        .extend(next.and_then(Token::word).map(str::to_owned));
                }
                "impl" => self.extended.extend(type_with_methods(&tokens[at..])),
                _ => {}
            }
            words.insert(word.to_owned());
            if matches!(before, Some(Token::Into | Token::Mark('.'))) {
                continue;
            }
            let mut path = vec![word.to_owned()];
            while let (Some(Token::Into), Some(Token::Word(word))) =
                (tokens.get(at), tokens.get(at + 1))
            {
                path.push(word.clone());
                at += 2;
            }
            if path.len() > 1 {
                self.paths.insert(path);
            }
        }
        self.paths.extend(
            passed_on
                .into_iter()
                .filter(|(name, _)| words.contains(name))
                .map(|(_, path)| path),
        );
    }
}

/// The type of `impl Type {`; none where it is a trait's.
fn type_with_methods(tokens: &[Token]) -> Option<String> {
    let head = tokens
        .split(|token| *token == Token::Open('{'))
        .next()
        .unwrap_or_default();
    if head.iter().any(|token| token.word() == Some("for")) {
        return None;
    }
    // `impl<'a> Type<'a>`
    let mut depth = 0;
    for token in head {
        match token {
            Token::Mark('<') => depth += 1,
            Token::Mark('>') => depth -= 1,
            Token::Word(word) if depth == 0 => return Some(word.clone()),
            _ => {}
        }
    }
    None
}

/// Reads what follows `use`: for each name its path, and without a name what a star stands for. The place behind it.
fn tree(
    tokens: &[Token],
    mut at: usize,
    base: &[String],
    found: &mut Vec<(Option<String>, Segments)>,
) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) if word == "as" => {
                let name = tokens[at + 1].word().map(str::to_owned);
                found.push((name, path));
                return at + 2;
            }
            Some(Token::Word(word)) => {
                // `use module::{self}`
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                at += 1;
            }
            Some(Token::Into) => at += 1,
            Some(Token::Mark('*')) => {
                found.push((None, path));
                return at + 1;
            }
            Some(Token::Open(_)) => {
                at += 1;
                while tokens[at] != Token::Close {
                    at = tree(tokens, at, &path, found);
                    if tokens[at] == Token::Mark(',') {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => {
                found.push((path.last().cloned(), path));
                return at;
            }
        }
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for token in stream {
        match token {
            TokenTree::Ident(word) => tokens.push(Token::Word(word.to_string())),
            TokenTree::Group(group) => {
                tokens.push(Token::Open(match group.delimiter() {
                    Delimiter::Brace => '{',
                    Delimiter::Bracket => '[',
                    _ => '(',
                }));
                flatten(group.stream(), tokens);
                tokens.push(Token::Close);
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => {
                if tokens.last() == Some(&Token::Mark(':')) {
                    tokens.pop();
                    tokens.push(Token::Into);
                } else {
                    tokens.push(Token::Mark(':'));
                }
            }
            TokenTree::Punct(mark) => tokens.push(Token::Mark(mark.as_char())),
            TokenTree::Literal(_) => tokens.push(Token::Mark('"')),
        }
    }
}

/// The folder of each of the project's crates, and the crate's name in code.
fn crates(project: &Path) -> BTreeMap<String, String> {
    let mut crates = BTreeMap::new();
    for entry in fs::read_dir(project).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else {
            continue;
        };
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        let folder = folder.file_name().unwrap().to_str().unwrap();
        crates.insert(folder.to_owned(), name.replace('-', "_"));
    }
    crates
}

/// The module that a file is.
fn module(file: &str, crates: &BTreeMap<String, String>) -> Option<Segments> {
    let (folder, rest) = file.split_once("/src/")?;
    let mut module = vec![crates.get(folder)?.clone()];
    let names = rest.strip_suffix(".rs")?.split('/').map(str::to_owned);
    module.extend(names);
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    Some(module)
}
