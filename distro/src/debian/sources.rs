//! The host's apt sources: where its Debian archive is, and what they say of it. apt is asked which entries count; of the entry
//! itself, all that it says besides is handed on as it stands: keys, trust, architectures, how long it is believed.

use std::path::PathBuf;

/// One archive, suite and component that apt uses, and the entry that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexTarget {
    /// Who publishes it, by its own words; empty where its list was not fetched yet.
    pub origin: String,
    /// The suite, as the entry has it: `bookworm-updates`.
    pub suite: String,
    /// The component: `main`.
    pub component: String,
    /// Where the archive is.
    pub uri: String,
    /// The file with the entry.
    pub file: PathBuf,
    /// Which entry of that file: the number of its line or of its stanza, from 1.
    pub number: usize,
}

/// How `apt-get indextargets` is to answer, so that [`asked`] can read it: a line for each.
pub const FORMAT: &str =
    "$(ORIGIN)\t$(RELEASE)\t$(COMPONENT)\t$(ARCHITECTURE)\t$(REPO_URI)\t$(SOURCESENTRY)";

/// Reads that answer, as far as it is of packages for this architecture.
pub fn asked(answer: &str) -> Result<Vec<IndexTarget>, String> {
    let mut all = Vec::new();
    for line in answer.lines().filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split('\t').collect();
        let [origin, suite, component, arch, uri, entry] = parts.as_slice() else {
            return Err(line.to_owned());
        };
        let (file, number) = entry.rsplit_once(':').ok_or_else(|| line.to_owned())?;
        if *arch != "amd64" {
            continue;
        }
        all.push(IndexTarget {
            // What apt does not know, it leaves as it stands.
            origin: Some(*origin)
                .filter(|origin| !origin.starts_with("$("))
                .unwrap_or_default()
                .to_owned(),
            suite: (*suite).to_owned(),
            component: (*component).to_owned(),
            uri: (*uri).to_owned(),
            file: PathBuf::from(file),
            number: number.parse().map_err(|_| line.to_owned())?,
        });
    }
    Ok(all)
}

/// An entry of our own: an archive's suite and component, with what the host's entry says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the archive is.
    pub uri: String,
    pub suite: String,
    pub component: String,
    /// What else the host's entry says.
    pub options: Options,
}

/// What an entry says besides what it is of, as it stands there (sources.list(5), in either format).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Options {
    /// Fields of a stanza.
    Fields(String),
    /// What is between the brackets of a line.
    Brackets(String),
}

impl Options {
    /// Those of the entry that apt named, in the text of its file; none where the text has no such entry.
    pub fn of(asked: &IndexTarget, text: &str) -> Option<Self> {
        let stanzas = asked.file.extension().is_some_and(|end| end == "sources");
        if stanzas {
            of_stanza(asked, text).map(Self::Fields)
        } else {
            of_line(text.lines().nth(asked.number.checked_sub(1)?)?).map(Self::Brackets)
        }
    }
}

fn of_line(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("deb")?;
    let rest = rest.strip_prefix("-src").unwrap_or(rest);
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    Some(match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.trim().to_owned(),
        None => String::new(),
    })
}

fn of_stanza(asked: &IndexTarget, text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    let stanzas: Vec<Vec<(&str, String)>> = lines
        .split(|line| line.trim().is_empty())
        .filter(|stanza| !stanza.is_empty())
        .map(fields)
        .collect();
    let has = |stanza: &[(&str, String)], name: &str, wanted: &str| {
        stanza
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split_whitespace())
            .any(|word| word.trim_end_matches('/') == wanted.trim_end_matches('/'))
    };
    let fits = |stanza: &&Vec<(&str, String)>| {
        has(stanza, "uris", &asked.uri) && has(stanza, "suites", &asked.suite)
    };
    let named = asked.number.checked_sub(1).and_then(|at| stanzas.get(at));
    // apt may count what is a comment only: then the one that is of this archive.
    let stanza = named
        .filter(fits)
        .or_else(|| stanzas.iter().find(fits))
        .or(named)?;
    const OWN: [&str; 5] = ["types", "uris", "suites", "components", "enabled"];
    Some(
        stanza
            .iter()
            .filter(|(key, _)| !OWN.iter().any(|own| key.eq_ignore_ascii_case(own)))
            .map(|(key, value)| format!("{key}:{value}\n"))
            .collect(),
    )
}

/// The fields of a stanza, each value with its further lines, as they stand.
fn fields<'t>(stanza: &[&'t str]) -> Vec<(&'t str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    for line in stanza {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = all.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            all.push((name.trim(), value.to_owned()));
        }
    }
    all
}

/// Entries as the texts of a `.sources` and of a `.list` file, with the source packages as well.
pub fn written(entries: &[Entry]) -> (String, String) {
    let (mut stanzas, mut lines) = (String::new(), String::new());
    for Entry {
        uri,
        suite,
        component,
        options,
    } in entries
    {
        match options {
            Options::Fields(fields) => stanzas.push_str(&format!(
                "Types: deb deb-src\nURIs: {uri}\nSuites: {suite}\nComponents: {component}\n{fields}\n"
            )),
            Options::Brackets(options) => {
                let options = match options.as_str() {
                    "" => String::new(),
                    options => format!("[{options}] "),
                };
                for kind in ["deb", "deb-src"] {
                    lines.push_str(&format!("{kind} {options}{uri} {suite} {component}\n"));
                }
            }
        }
    }
    (stanzas, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(file: &str, number: usize, uri: &str) -> IndexTarget {
        let line = format!("Debian\tbookworm\tmain\tamd64\t{uri}\t{file}:{number}");
        asked(&line).unwrap().remove(0)
    }

    #[test]
    fn answers_are_read() {
        let answer = "Debian\tbookworm\tmain\tamd64\thttp://s/debian/\t/etc/apt/a b.sources:2\n\
                      Debian\tbookworm\tmain\tarm64\thttp://s/debian/\t/etc/apt/a b.sources:2\n\
                      $(ORIGIN)\tx\tmain\tamd64\thttp://s/x/\t/etc/apt/sources.list:7\n";
        let all = asked(answer).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].origin.as_str(), all[0].number), ("Debian", 2));
        assert_eq!(all[0].file, PathBuf::from("/etc/apt/a b.sources"));
        assert_eq!((all[1].origin.as_str(), all[1].number), ("", 7));
        assert!(asked("E: nothing").is_err());
    }

    #[test]
    fn what_an_entry_says_is_handed_on() {
        let text = "# where\n\nTypes: deb\nURIs: http://other\nSuites: bookworm\nComponents: main\nTrusted: yes\n\n\
                    Types: deb deb-src\n# here\nURIs: http://s/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\n\
                    Enabled: Yes\nArchitectures: amd64\nCheck-Valid-Until: no\nSigned-By:\n -----BEGIN\n .\n";
        for number in [2, 3] {
            let asked = one(
                "/etc/apt/sources.list.d/x.sources",
                number,
                "http://s/debian/",
            );
            assert_eq!(
                Options::of(&asked, text),
                Some(Options::Fields(
                    "Architectures: amd64\nCheck-Valid-Until: no\nSigned-By:\n -----BEGIN\n .\n"
                        .to_owned()
                ))
            );
        }
        let text = "# x\ndeb [ arch=amd64 signed-by=/k.gpg trusted=yes ] http://s/debian bookworm main\ndeb http://s/debian bookworm main\n";
        let list = |number| {
            Options::of(
                &one("/etc/apt/sources.list", number, "http://s/debian/"),
                text,
            )
        };
        assert_eq!(
            list(2),
            Some(Options::Brackets(
                "arch=amd64 signed-by=/k.gpg trusted=yes".to_owned()
            ))
        );
        assert_eq!(list(3), Some(Options::Brackets(String::new())));
        assert_eq!((list(1), list(9)), (None, None));
    }

    #[test]
    fn entries_are_written_with_the_source_packages() {
        let entry = |options| Entry {
            uri: "http://s/debian/".to_owned(),
            suite: "bookworm".to_owned(),
            component: "main".to_owned(),
            options,
        };
        let (stanzas, lines) = written(&[
            entry(Options::Fields("Trusted: yes\n".to_owned())),
            entry(Options::Brackets("trusted=yes".to_owned())),
        ]);
        assert_eq!(
            stanzas,
            "Types: deb deb-src\nURIs: http://s/debian/\nSuites: bookworm\nComponents: main\nTrusted: yes\n\n"
        );
        assert_eq!(
            lines,
            "deb [trusted=yes] http://s/debian/ bookworm main\ndeb-src [trusted=yes] http://s/debian/ bookworm main\n"
        );
    }
}
