//! What apt is told and what it answers.

use std::path::Path;

use lustre_distro::debian::{self, sources};

use crate::{Case, Format, ParseOutcome};

pub(super) struct Apt;

impl Format for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good(
                "a list",
                "# here\ndeb [arch=amd64 signed-by=/k.gpg] http://site/debian bookworm main contrib # x\ndeb-src http://site/debian bookworm main\n",
            ),
            Case::good(
                "stanzas",
                "Types: deb deb-src\n# where\nURIs: http://site/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN\n .\n\nTypes: deb\nEnabled: no\nURIs: http://x\nSuites: y\n",
            ),
            Case::good(
                "targets",
                "Debian\tbookworm\tmain\tamd64\thttp://site/debian/\t/etc/apt/sources.list.d/debian.sources:1\n",
            ),
            Case::good(
                "answers",
                format!(
                    "'http://site/debian/pool/a_1%3a2-3_amd64.deb' a_1%3a2-3_amd64.deb 123 SHA256:{}\n",
                    "a".repeat(64)
                ),
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::either("brackets", format!("deb {} x y z\n", "[".repeat(1 << 20))),
            Case::either("many words", format!("deb x y {}\n", "z ".repeat(500_000))),
            Case::either("many stanzas", "Types: deb\n\n".repeat(100_000)),
            Case::either(
                "a long field",
                format!("Types: deb\nURIs:{}\n", "\n x".repeat(300_000)),
            ),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "deb ",
            "deb-src ",
            "[",
            "]",
            "signed-by=",
            "trusted=yes",
            "Types: deb\n",
            "URIs: ",
            "Suites: ",
            "Components: main\n",
            "Signed-By: ",
            "Enabled: no\n",
            "SHA256:",
            "' ",
            "\n ",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let text = String::from_utf8_lossy(input);
        let pinned = debian::lines(input);
        let asked = sources::asked(&text);
        // The text as a file of sources, whatever apt says of it.
        let mut found = false;
        for (file, number) in [
            ("a.sources", 1),
            ("a.sources", 2),
            ("sources.list", 1),
            ("sources.list", 2),
        ] {
            let named = sources::IndexTarget {
                origin: String::new(),
                suite: "bookworm".to_owned(),
                component: "main".to_owned(),
                uri: "http://site/debian/".to_owned(),
                file: folder.join(file),
                number,
            };
            if let Some(options) = sources::Options::of(&named, &text) {
                found = true;
                sources::written(&[sources::Entry {
                    uri: named.uri,
                    suite: named.suite,
                    component: named.component,
                    options,
                }]);
            }
        }
        match (found, asked, pinned) {
            (false, Err(line), Err(other)) => Ok(ParseOutcome::Refused(format!("{line}\n{other}"))),
            _ => Ok(ParseOutcome::Accepted),
        }
    }
}
