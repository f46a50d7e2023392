//! URLs, as far as fetching needs to know them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The URL of what may be a plain path.
pub(super) fn of_location(location: &str) -> String {
    if location.starts_with('/') {
        format!("file://{}", encode(location))
    } else {
        location.to_owned()
    }
}

/// The path of a location on this machine, given as a path or a `file:` URL.
pub(super) fn local_path(location: &str) -> Option<PathBuf> {
    if location.starts_with('/') {
        return Some(PathBuf::from(location));
    }
    let rest = location.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    rest.starts_with('/').then(|| decode(rest))
}

/// A folder's URL and a path below it.
pub(crate) fn join(base: &str, href: &str) -> String {
    if href.contains("://") {
        return href.to_owned();
    }
    format!(
        "{}/{}",
        of_location(base).trim_end_matches('/'),
        encode(href)
    )
}

/// A URL to show: without a user's name and password.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
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

fn decode(path: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { &tail[2..] } else { tail };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Whether reading the URL needs the network.
pub(super) fn is_remote(url: &str) -> bool {
    local_path(url).is_none()
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

    #[test]
    fn paths_become_urls_and_paths_again() {
        let path = "/srv/a b/100%/é";
        let url = of_location(path);
        assert_eq!(url, "file:///srv/a%20b/100%25/%C3%A9");
        assert_eq!(local_path(&url), Some(PathBuf::from(path)));
        assert_eq!(local_path(path), Some(PathBuf::from(path)));
        assert_eq!(local_path("https://example.org/srv"), None);
    }

    #[test]
    fn hrefs_are_joined() {
        assert_eq!(
            join("https://example.org/src/", "Packages/a^b+1.src.rpm"),
            "https://example.org/src/Packages/a%5Eb+1.src.rpm"
        );
        assert_eq!(
            join("/srv/x", "repodata/r.xml"),
            "file:///srv/x/repodata/r.xml"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(
            shown("https://me:secret@example.org/a@b"),
            "https://example.org/a@b"
        );
        assert_eq!(shown("https://example.org/a@b"), "https://example.org/a@b");
        assert_eq!(shown("/srv/a@b"), "/srv/a@b");
    }
}
