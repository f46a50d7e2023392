//! Locations: what a target, a lock, a mirror's metadata or the command line says of where something is, parsed where it comes in.
//!
//! Nothing but a [`Location`] is given to a program that fetches. It is a URL of a scheme that is known here, in its written form
//! free of blanks and control characters, whoever wrote it.

use std::fmt::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use lustre_files::shown_url;
use url::{Host, Url};

use super::error::{BadLocation, Error};

/// Where something is: a URL, or a path of this machine, which is one of the scheme `file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    url: Url,
    /// The path it was given as.
    path: Option<String>,
}

/// What files are fetched from.
const FILES: &[&str] = &["http", "https", "file"];

/// What git fetches from. Its `ext` runs any program, and what else there is needs one that this project does not know.
const GIT: &[&str] = &["http", "https", "file", "git", "ssh"];

impl Location {
    /// The location of files: an absolute path, or a URL.
    pub fn parse(text: &str) -> Result<Self, BadLocation> {
        Self::of(text, FILES)
    }

    /// The location of a git repository: an absolute path, or a URL.
    pub fn git(text: &str) -> Result<Self, BadLocation> {
        Self::of(text, GIT)
    }

    fn of(text: &str, schemes: &[&str]) -> Result<Self, BadLocation> {
        let bad = |why: String| BadLocation {
            text: shown_url(text),
            why,
        };
        // A parser of URLs drops some of these without a word.
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(bad(format!(
                "it contains the control character {}",
                control.escape_default()
            )));
        }
        let path = text.starts_with('/').then(|| text.to_owned());
        let written = match &path {
            Some(path) => format!("file://{}", encode(path)),
            None => text.to_owned(),
        };
        if written.contains(char::is_whitespace) {
            return Err(bad("it contains a blank: write %20 in a URL".to_owned()));
        }
        let url = Url::parse(&written).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => {
                bad("it is neither a URL nor an absolute path".to_owned())
            }
            other => bad(other.to_string()),
        })?;
        if !schemes.contains(&url.scheme()) {
            return Err(bad(format!(
                "the scheme `{}` is not one of {}",
                url.scheme(),
                schemes.join(", ")
            )));
        }
        let host = url.host_str().unwrap_or_default();
        match (url.scheme(), host) {
            ("file", "") => {}
            ("file", _) => {
                return Err(bad(format!(
                    "a `file` URL has no host, this one has `{host}`: write file:///PATH"
                )));
            }
            (_, "") => return Err(bad("it names no host".to_owned())),
            // A program would take it for an option.
            (_, host) if host.starts_with('-') => {
                return Err(bad(format!("`{host}` is no host")));
            }
            _ => {}
        }
        Ok(Self { url, path })
    }

    /// As it is given to a program that fetches: with a password where there is one.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The path, of a location on this machine.
    pub fn local_path(&self) -> Option<PathBuf> {
        match &self.path {
            Some(path) => Some(PathBuf::from(path)),
            None if self.is_remote() => None,
            None => self.url.to_file_path().ok(),
        }
    }

    /// Whether reading it needs the network.
    pub fn is_remote(&self) -> bool {
        self.url.scheme() != "file"
    }

    /// Whether all of the way to it is encrypted and its host is known by a certificate.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it is at an address that is another one for everybody: see [`is_near`].
    pub fn is_near(&self) -> bool {
        is_near(self.as_str())
    }

    /// What lies at `href` below this folder: as a repository's metadata says it, which nobody vouches for. A whole URL is taken as
    /// it is, but no repository elsewhere names files of this machine.
    pub fn join(&self, href: &str) -> Result<Self, BadLocation> {
        let bad = |why: &str| BadLocation {
            text: shown_url(href),
            why: format!("{why} (it is named by {self})"),
        };
        if href.contains("://") {
            let named = Self::parse(href)?;
            if self.is_remote() && !named.is_remote() {
                return Err(bad("it is a file of this machine"));
            }
            if self.is_remote() && !self.is_near() && named.is_near() {
                return Err(bad("it is at a loopback or link-local address"));
            }
            return Ok(named);
        }
        if href.is_empty() {
            return Err(bad("it is empty"));
        }
        if href.chars().any(char::is_control) {
            return Err(bad("it contains a control character"));
        }
        if href.split('/').any(|part| part == "..") {
            return Err(bad("it leaves its repository"));
        }
        let base = self.url.as_str().trim_end_matches('/');
        Self::parse(&format!("{base}/{}", encode(href)))
    }

    /// The location under `to` that this one is under `from`; whole parts of the path are compared, so that `https://a/b` is not
    /// the beginning of `https://a/bc`.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Option<Result<Self, BadLocation>> {
        let rest = self
            .url
            .as_str()
            .strip_prefix(from.url.as_str().trim_end_matches('/'))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        let to = to.url.as_str().trim_end_matches('/');
        Some(Self::of(&format!("{to}{rest}"), GIT))
    }
}

/// Without a user's name and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => f.write_str(path),
            None => f.write_str(&shown_url(self.url.as_str())),
        }
    }
}

/// The URL of what lies at `href` below the folder `base`, for the source `name`.
pub(crate) fn join(name: &str, base: &str, href: &str) -> Result<String, Error> {
    Location::parse(base)
        .and_then(|base| base.join(href))
        .map(|location| location.as_str().to_owned())
        .map_err(|source| Error::Location {
            source_name: name.to_owned(),
            source,
        })
}

/// Whether the URL `text` names this machine (loopback) or the link that it is connected to (link-local, where clouds tell their secrets): in
/// what others published, such an address is none of theirs. So is one whose host cannot be told. A file is not near, and a name is what it
/// says, whatever it stands for.
pub fn is_near(text: &str) -> bool {
    if text.starts_with('/') || text.starts_with("file:") {
        return false;
    }
    let Some((_, rest)) = text.split_once("://") else {
        return true;
    };
    // Programs read such a URL differently.
    if rest.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace()) {
        return true;
    }
    // Of other schemes, a host is any text; all that fetch take it for an address where it is one.
    let url = Url::parse(&format!("http://{rest}"));
    let near = |address: Ipv4Addr| {
        address.is_loopback() || address.is_link_local() || address.octets()[0] == 0
    };
    match url.as_ref().map(Url::host) {
        Ok(Some(Host::Ipv4(address))) => near(address),
        Ok(Some(Host::Ipv6(address))) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address.to_ipv4().is_some_and(near)
        }
        Ok(Some(Host::Domain(name))) => {
            let name = name.trim_end_matches('.');
            let last = name.rsplit('.').next().unwrap_or_default();
            last == "localhost"
                || last == "localdomain"
                || name == "ip6-localhost"
                || name == "ip6-loopback"
        }
        Ok(None) | Err(_) => true,
    }
}

/// Percent-encodes what may not stand in a URL's path (RFC 3986).
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A short name for a folder that belongs to a URL.
pub(super) fn folder_name(name: &str, url: &str) -> PathBuf {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let digest = crate::store::Digest::of_bytes(url.as_bytes()).short();
    Path::new(&format!("{plain}-{digest}.git")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn paths_become_urls_and_paths_again() {
        let path = "/srv/a b/100%/é?#,:";
        let place = location(path);
        assert_eq!(place.as_str(), "file:///srv/a%20b/100%25/%C3%A9%3F%23,:");
        assert_eq!(place.local_path(), Some(PathBuf::from(path)));
        assert_eq!(
            location(place.as_str()).local_path(),
            Some(PathBuf::from(path))
        );
        assert_eq!(location("https://example.org/srv").local_path(), None);
        assert_eq!(place.to_string(), path);
    }

    #[test]
    fn hrefs_are_joined() {
        for (base, href, whole) in [
            (
                "https://example.org/src/",
                "Packages/a^b+1.src.rpm",
                "https://example.org/src/Packages/a%5Eb+1.src.rpm",
            ),
            ("/srv/x", "repodata/r.xml", "file:///srv/x/repodata/r.xml"),
            (
                "https://example.org/a",
                "https://b.example/c",
                "https://b.example/c",
            ),
        ] {
            assert_eq!(location(base).join(href).unwrap().as_str(), whole);
        }
    }

    #[test]
    fn an_address_of_this_machine_or_of_its_link_is_known_however_it_is_written() {
        for (text, near) in [
            ("https://mirror.example/a.rpm", false),
            ("http://10.0.0.1/a.rpm", false),
            ("http://192.168.1.1:8080/a.rpm", false),
            ("mirror+https://mirror.example/a.deb", false),
            ("ssh://git@host.example/lustre", false),
            ("http://localhost.example/a", false),
            ("http://[2001:db8::1]/a", false),
            ("file:///srv/mirror/a.rpm", false),
            ("/srv/mirror/a.rpm", false),
            ("http://127.0.0.1:8080/a.rpm", true),
            ("http://127.1/a.rpm", true),
            ("http://2130706433/a.rpm", true),
            ("http://0x7f.0.0.1/a.rpm", true),
            ("http://0.0.0.0/a.rpm", true),
            ("mirror+http://127.0.0.1/a.deb", true),
            ("git://127.0.0.1/lustre", true),
            ("ssh://git@127.1/lustre", true),
            ("ftp://LOCALHOST./a", true),
            ("http://a.localhost/a", true),
            ("http://169.254.169.254/latest/meta-data", true),
            ("http://[::1]/a", true),
            ("http://[::ffff:127.0.0.1]/a", true),
            ("http://[fe80::1]/a", true),
            ("http://[::]/a", true),
            ("http://mirror.example\\@127.0.0.1/a", true),
            ("http:127.0.0.1/a", true),
            ("http://", true),
        ] {
            assert_eq!(is_near(text), near, "{text}");
        }
    }

    #[test]
    fn what_a_mirror_says_is_below_it_or_refused() {
        let base = location("https://example.org/src");
        for href in [
            "a\noutput = /etc/x\n",
            "a\rb",
            "a\u{85}b",
            "https://example.org/a\noutput = /etc/x",
            "file:///dev/zero",
            "ftp://example.org/x",
            "http://169.254.169.254/x",
            "https://localhost/x",
            "ext::sh -c id://x",
            "../../other",
            "a/../../b",
            "",
        ] {
            let error = base.join(href).unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
        // What looks odd is a name.
        let odd = base.join("a\" b\\c%2e%2e/?q#f").unwrap();
        assert_eq!(
            odd.as_str(),
            "https://example.org/src/a%22%20b%5Cc%252e%252e/%3Fq%23f"
        );
    }

    #[test]
    fn what_is_no_location_is_said() {
        for (text, part) in [
            ("relative/path", "neither a URL nor an absolute path"),
            ("host:path", "scheme `host`"),
            ("git@host:path", "neither"),
            ("ext::sh -c id", "blank"),
            ("ext::sh", "scheme `ext`"),
            ("https://a b.example/x", "blank"),
            ("https:///x y", "blank"),
            ("file://other/x", "has no host"),
            ("ssh://-oProxyCommand=id/x", "scheme `ssh`"),
            ("https://a.example/\tx", "\\t"),
            ("https://[::1/x", "invalid"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = Location::git("ssh://-oProxyCommand=id/x").unwrap_err();
        assert!(error.to_string().contains("no host"), "{error}");
        assert!(Location::git("ssh://git@example.org/x").is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let place = location("https://me:secret@example.org/x");
        assert!(place.as_str().contains("secret"));
        assert_eq!(place.to_string(), "https://example.org/x");
        let error = location("https://me:secret@example.org/x").join("..");
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }
}
