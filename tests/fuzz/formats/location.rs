//! Locations, and what metadata says lies below them: two lines, the folder and the path there. A program that fetches is given what
//! was meant, on one line, and nothing else.

use std::path::Path;

use lustre_packaging::source::{Location, Mirror};
use lustre_packaging::untrusted;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Place;

/// In the seeds, and in no message.
const PASSWORD: &str = "pass-w0rd";

impl Format for Place {
    fn name(&self) -> &'static str {
        "location"
    }

    fn seeds(&self) -> Vec<Case> {
        [
            (
                "a repository",
                "https://example.org/el9/BaseOS\nPackages/k/kernel-1.rpm",
            ),
            ("a path", "/srv/a b/100%/mirror\nrepodata/é #1?.xml"),
            ("a file", "file:///srv/mirror/\n./repodata//repomd.xml"),
            (
                "a password",
                "https://user:pass-w0rd@example.org:8443/x\na/b",
            ),
            ("elsewhere", "http://example.org\nhttps://other.org/x?y=1#z"),
            ("a mirror", "https://a.org/b=/srv/c\nhttps://a.org/b"),
            ("an address", "http://[::1]:80/x\ny"),
        ]
        .map(|(name, text)| Case::good(name, text))
        .into_iter()
        // Nothing is named below a clone.
        .chain([Case::either(
            "a clone",
            "ssh://git@example.org/fs/lustre\n.git",
        )])
        .collect()
    }

    fn hostile(&self) -> Vec<Case> {
        let base = "https://example.org/x\n";
        vec![
            Case::bad("empty", ""),
            Case::bad("no location", "example.org\nx"),
            Case::bad("a program", "ext::sh -c id\nx"),
            Case::bad("an option as host", "ssh://-oProxyCommand=id/x\nx"),
            Case::bad("up and out", format!("{base}../y")),
            Case::bad(
                "a file of this machine",
                format!("{base}file:///etc/shadow"),
            ),
            Case::bad("an option of curl", format!("{base}x\routput = /etc/x")),
            Case::bad("a tab in a URL", "https://exa\tmple.org/\nx"),
            Case::either("encoded dots", format!("{base}%2e%2e/%2e%2e/y")),
            Case::either("quotation marks", format!("{base}\"\\\" output = x")),
            Case::either("a megabyte", format!("{base}{}", "x/".repeat(500_000))),
            Case::either(
                "a host of a megabyte",
                format!("http://{}/\nx", "x.".repeat(500_000)),
            ),
            Case::either(
                "a host of many signs",
                format!("http://{}/\nx", "漢".repeat(100_000)),
            ),
            Case::either("slashes", format!("http:{}\nx", "/".repeat(1_000_000))),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "https://",
            "http://",
            "file:///",
            "ssh://",
            "git://",
            "ext::",
            "user:pass-w0rd@",
            "[::1]",
            "%2e%2e",
            "%00",
            "%0a",
            "/../",
            "/./",
            "//",
            "?x=y",
            "#z",
            ":99999",
            "xn--",
            "0x7f.1",
            "\noutput = x",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let (base, href) = text.split_once('\n').unwrap_or((&text, ""));
        let mut refused = Vec::new();
        let mut taken = Vec::new();
        for read in [Location::parse(base), Location::git(base)] {
            match read {
                Ok(location) => taken.push(location),
                Err(error) => refused.push(message(&error)),
            }
        }
        if let Ok(mirror) = base.parse::<Mirror>() {
            taken.extend([mirror.from, mirror.to]);
        }
        for location in &taken {
            let again = Location::git(location.as_str()).map_err(|error| {
                format!(
                    "`{}` is refused when read again: {error}",
                    location.as_str()
                )
            })?;
            fits(location)?;
            if again.as_str() != location.as_str() {
                return Err(format!(
                    "`{}` is read again as `{}`",
                    location.as_str(),
                    again.as_str()
                ));
            }
            match location.join(href) {
                Ok(joined) => below(location, &joined, href)?,
                Err(error) => refused.push(message(&error)),
            }
        }
        for words in &refused {
            if words.contains(char::is_control) {
                return Err(format!("a message of more than one line: {words:?}"));
            }
            crate::words::check(words, input)?;
        }
        let joined = taken.iter().any(|location| location.join(href).is_ok());
        Ok(if joined {
            ParseOutcome::Accepted
        } else {
            ParseOutcome::Refused(refused.join("\n"))
        })
    }
}

/// What holds of each location.
fn fits(location: &Location) -> Result<(), String> {
    let url = location.as_str();
    if url.contains(|c: char| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
        return Err(format!("`{url}` has something in it that no URL has"));
    }
    let line = untrusted::curl_line(location);
    let inside = line
        .strip_prefix("url = \"")
        .and_then(|rest| rest.strip_suffix("\"\n"))
        .unwrap_or_default();
    let (mut plain, mut letters) = (String::new(), inside.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next()),
            '"' => return Err(format!("curl reads only a part of {line}")),
            other => plain.push(other),
        }
    }
    if plain != url {
        return Err(format!("curl is told {line}, and meant is `{url}`"));
    }
    let shown = location.to_string();
    if has_password(&shown) {
        return Err(format!("`{shown}` is shown with its password"));
    }
    if let Some(path) = location.local_path()
        && !path.is_absolute()
    {
        return Err(format!("{} is no path from the root", path.display()));
    }
    Ok(())
}

/// Whether a URL's host has the password of the seeds in front of it; elsewhere, it is none.
fn has_password(url: &str) -> bool {
    // Of a path, nothing is a host.
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => "",
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(PASSWORD))
}

/// What holds of what is named by metadata at `base`.
fn below(base: &Location, joined: &Location, href: &str) -> Result<(), String> {
    fits(joined)?;
    if base.is_remote() && !joined.is_remote() {
        return Err(format!("{base} names the file {joined} of this machine"));
    }
    let folder = format!("{}/", base.as_str().trim_end_matches('/'));
    if !href.contains("://") && !joined.as_str().starts_with(&folder) {
        return Err(format!("`{}` is not below `{folder}`", joined.as_str()));
    }
    Ok(())
}
