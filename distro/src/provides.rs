//! What a package's files provide: sonames, `pkgconfig(…)` and `perl(…)`, as rpmbuild's generators name them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use rpm::Dependency;

use super::recipe::ProvidesFrom;
use lustre_packaging::glob::matches;

use super::tree::{Kind, Tree};
use lustre_process as process;

/// rpm's own reader of ELF files; the format of its output is the format of the dependencies.
const ELFDEPS: &str = "/usr/lib/rpm/elfdeps";

/// Provides that cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write a library for {ELFDEPS} to read: {0}")]
    Write(#[from] io::Error),
    #[error("{0} (the host package `rpm` has this tool)")]
    Tool(#[from] process::Error),
}

/// Everything the files of a package provide.
pub fn of(tree: &Tree, from: &ProvidesFrom) -> Result<Vec<Dependency>, Error> {
    let mut all = sonames(tree, &from.libraries)?;
    for (path, entry) in tree {
        // A link in a library directory carries no text; its target is provided where it lies.
        let Kind::File(contents) = &entry.kind else {
            continue;
        };
        if let Some((dir, name)) = path.rsplit_once('/')
            && let Some(name) = name.strip_suffix(".pc")
            && from.pkgconfig.iter().any(|p| matches(p, dir, false))
        {
            let text = String::from_utf8_lossy(contents);
            all.push(versioned(&format!("pkgconfig({name})"), pc_version(&text)));
        }
        if let Some(module) = perl_module(path, &from.perl) {
            let text = String::from_utf8_lossy(contents);
            all.push(versioned(&format!("perl({module})"), perl_version(&text)));
        }
    }
    Ok(all)
}

fn versioned(name: &str, version: Option<String>) -> Dependency {
    match version {
        Some(version) => Dependency::eq(name, version),
        None => Dependency::any(name),
    }
}

/// Sonames with their symbol versions, such as `libc.so.6(GLIBC_2.34)(64bit)`, of the shared libraries in `dirs`.
fn sonames(tree: &Tree, dirs: &[String]) -> Result<Vec<Dependency>, Error> {
    let libraries: Vec<&Vec<u8>> = tree
        .iter()
        .filter_map(|(path, entry)| match (&entry.kind, path.rsplit_once('/')) {
            (Kind::File(contents), Some((dir, name)))
                if dirs.iter().any(|d| d == dir)
                    && name.contains(".so")
                    && contents.starts_with(b"\x7fELF") =>
            {
                Some(contents)
            }
            _ => None,
        })
        .collect();
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    let scratch = tempfile::tempdir()?;
    let mut command = process::command(ELFDEPS);
    command.arg("--provides");
    for (number, contents) in libraries.iter().enumerate() {
        let path = scratch.path().join(number.to_string());
        fs::write(&path, contents)?;
        command.arg(path);
    }
    let out = process::output(&mut command)?;
    Ok(String::from_utf8_lossy(&out)
        .lines()
        .map(Dependency::any)
        .collect())
}

/// The `Version:` of a pkg-config file, its variables filled in; none where rpm could not compare it.
fn pc_version(text: &str) -> Option<String> {
    let mut variables: BTreeMap<&str, String> = BTreeMap::new();
    let mut version = None;
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("Version:") {
            version = Some(value.trim().to_owned());
        } else if let Some((name, value)) = line.split_once('=')
            && name
                .trim()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            variables.insert(name.trim(), value.trim().to_owned());
        }
    }
    let mut version = version?;
    // A variable may hold another one; more than a few steps is a loop.
    for _ in 0..4 {
        for (name, value) in &variables {
            version = version.replace(&format!("${{{name}}}"), value);
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~".contains(c);
    (!version.is_empty() && version.chars().all(plain)).then_some(version)
}

/// `File::Find` for `…/File/Find.pm` in one of Perl's directories.
fn perl_module(path: &str, dirs: &[String]) -> Option<String> {
    let stem = path.strip_suffix(".pm")?;
    // The innermost fitting directory counts: Perl's lie inside one another.
    let start = stem
        .match_indices('/')
        .map(|(at, _)| at)
        .filter(|at| dirs.iter().any(|dir| matches(dir, &stem[..*at], false)))
        .max()?;
    Some(stem[start + 1..].replace('/', "::"))
}

/// The literal that a module assigns to `$VERSION`.
fn perl_version(text: &str) -> Option<String> {
    text.lines()
        .take_while(|line| *line != "__END__")
        .filter(|line| !line.trim_start().starts_with('#'))
        .find_map(|line| {
            let (_, rest) = line.split_once("$VERSION")?;
            let rest = rest.trim_start().strip_prefix('=')?.trim_start();
            let rest = rest.trim_start_matches(['\'', '"']).trim_start_matches('v');
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let version = rest[..end].trim_end_matches('.');
            (!version.is_empty() && rest[end..].starts_with(['\'', '"', ';']))
                .then(|| version.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkgconfig_versions() {
        assert_eq!(
            pc_version("major=3\nv=${major}.7\nName: x\nVersion: ${v}.0\n").as_deref(),
            Some("3.7.0")
        );
        assert_eq!(pc_version("Name: x\nVersion:\n"), None);
    }

    #[test]
    fn perl_modules() {
        let dirs = ["/usr/share/perl/*".into(), "/usr/lib/*/perl-base".into()];
        assert_eq!(
            perl_module("/usr/share/perl/5.36.0/File/Find.pm", &dirs).as_deref(),
            Some("File::Find")
        );
        assert_eq!(
            perl_module("/usr/lib/x86_64-linux-gnu/perl-base/strict.pm", &dirs).as_deref(),
            Some("strict")
        );
        assert_eq!(perl_module("/opt/x.pm", &dirs), None);
    }

    #[test]
    fn perl_versions() {
        assert_eq!(
            perl_version("our $VERSION = '1.23';").as_deref(),
            Some("1.23")
        );
        assert_eq!(perl_version("$VERSION=\"0.1\";").as_deref(), Some("0.1"));
        assert_eq!(perl_version("our $VERSION = $Other::VERSION;"), None);
    }
}
