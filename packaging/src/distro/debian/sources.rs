//! The host's apt sources: where its Debian archive is, and which keys sign it (sources.list(5), both formats).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One entry: archives and their suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The archives' locations.
    pub uris: Vec<String>,
    /// Suites such as `bookworm-updates`.
    pub suites: Vec<String>,
    /// Components such as `main`.
    pub components: Vec<String>,
    /// The keyring file or the key's text, as it is written there; none for apt's default.
    pub signed_by: Option<String>,
}

/// Reads every `.list` and `.sources` file of an apt configuration directory (usually `/etc/apt`).
///
/// # Errors
/// When a file that is there cannot be read.
pub fn read(etc_apt: &Path) -> Result<Vec<Source>, (PathBuf, io::Error)> {
    let mut files = vec![etc_apt.join("sources.list")];
    let parts = etc_apt.join("sources.list.d");
    if parts.is_dir() {
        for entry in fs::read_dir(&parts).map_err(|e| (parts.clone(), e))? {
            files.push(entry.map_err(|e| (parts.clone(), e))?.path());
        }
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        let text = || fs::read_to_string(&file).map_err(|e| (file.clone(), e));
        match file.extension().and_then(|e| e.to_str()) {
            Some("sources") => sources.extend(deb822(&text()?)),
            Some("list") => sources.extend(text()?.lines().filter_map(one_line)),
            _ => {}
        }
    }
    Ok(sources)
}

/// A line of a `.list` file: `deb [options] uri suite component…`.
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(|value| value.replace(',', " ")),
    })
}

/// The stanzas of a `.sources` file that are enabled and have binary packages.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let field = |name: &str| {
            fields
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.as_str())
        };
        let words = |name: &str| -> Vec<String> {
            field(name)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        let enabled = field("enabled").is_none_or(|v| !matches!(v, "no" | "false" | "0"));
        if enabled && words("types").iter().any(|t| t == "deb") {
            sources.push(Source {
                uris: words("uris"),
                suites: words("suites"),
                components: words("components"),
                signed_by: field("signed-by").map(str::to_owned),
            });
        }
    }
    sources
}

/// The host's entries cut down to the wanted suites and component, and an entry per extra suite at the place where the
/// main suite is. Empty where the host has no entry for the main suite.
pub fn wanted(
    host: &[Source],
    main: &str,
    suites: &BTreeSet<String>,
    extra: &BTreeSet<String>,
    component: &str,
) -> Vec<Source> {
    let mut out: Vec<Source> = Vec::new();
    let has_component = |source: &&Source| source.components.iter().any(|c| c == component);
    for source in host.iter().filter(has_component) {
        let chosen: Vec<String> = source
            .suites
            .iter()
            .filter(|suite| suites.contains(*suite))
            .cloned()
            .collect();
        if !chosen.is_empty() {
            out.push(Source {
                suites: chosen,
                components: vec![component.to_owned()],
                ..source.clone()
            });
        }
    }
    let site = out
        .iter()
        .find(|source| source.suites.iter().any(|suite| suite == main))
        .cloned();
    let Some(site) = site else {
        return Vec::new();
    };
    if !extra.is_empty() {
        out.push(Source {
            suites: extra.iter().cloned().collect(),
            ..site
        });
    }
    out
}

/// Entries as a `.sources` file, with the source packages as well.
pub fn to_deb822(sources: &[Source]) -> String {
    sources
        .iter()
        .map(|source| {
            let mut stanza = format!(
                "Types: deb deb-src\nURIs: {}\nSuites: {}\nComponents: {}\n",
                source.uris.join(" "),
                source.suites.join(" "),
                source.components.join(" "),
            );
            if let Some(keys) = &source.signed_by {
                stanza.push_str(&format!("Signed-By: {keys}\n"));
            }
            stanza
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats() {
        let list = "# a comment\ndeb [arch=amd64 signed-by=/k.gpg] http://site/debian bookworm main contrib # x\n\
                    deb-src http://site/debian bookworm main\n";
        let sources: Vec<Source> = list.lines().filter_map(one_line).collect();
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(sources[0].components, ["main", "contrib"]);

        let sources = deb822(
            "Types: deb deb-src\n# where\nURIs: http://site/debian\nSuites: bookworm bookworm-updates\n\
             Components: main\nSigned-By:\n -----BEGIN\n .\n\nTypes: deb\nEnabled: no\nURIs: http://x\nSuites: y\n",
        );
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("\n -----BEGIN\n ."));
    }

    #[test]
    fn only_what_is_wanted_and_extra_suites_at_the_same_site() {
        let host = [
            one_line("deb http://site/debian bookworm main contrib").unwrap(),
            one_line("deb http://site/security bookworm-security main").unwrap(),
            one_line("deb http://other bookworm stable").unwrap(),
            one_line("deb http://site/debian trixie main").unwrap(),
        ];
        let suites = ["bookworm".into(), "bookworm-security".into()].into();
        let chosen = wanted(
            &host,
            "bookworm",
            &suites,
            &["bullseye".into()].into(),
            "main",
        );
        assert_eq!(
            to_deb822(&chosen),
            "Types: deb deb-src\nURIs: http://site/debian\nSuites: bookworm\nComponents: main\n\n\
             Types: deb deb-src\nURIs: http://site/security\nSuites: bookworm-security\nComponents: main\n\n\
             Types: deb deb-src\nURIs: http://site/debian\nSuites: bullseye\nComponents: main\n"
        );
        assert!(wanted(&host[1..], "bookworm", &suites, &BTreeSet::new(), "main").is_empty());
    }
}
