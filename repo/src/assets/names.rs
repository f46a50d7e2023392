//! What assets, tags and URLs of a forge can be called.

use super::error::Error;
use crate::layout::Kind;

/// How long a path, a name, a tag or the URL may be.
const MOST_TEXT: usize = 512;

/// Where the metadata of the assets of a kind are, relative to the repository's root: a dnf repository of its own.
pub fn folder(kind: Kind) -> String {
    format!("{FOLDER}/{}", kind.folder())
}

/// The tag of the release of `target` at `time`.
pub fn tag(target: &str, time: u64) -> String {
    format!("{target}-{time}")
}

/// The name of the package at `path` as an asset. GitHub keeps letters, digits and a few signs, and makes one period of what is between
/// them; a `+` only where it came encoded. So all of that is a period here already, and GitHub has nothing to change.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let mut name = String::with_capacity(file.len());
    for sign in file.chars() {
        match sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-') {
            true => name.push(sign),
            false if name.is_empty() || name.ends_with('.') => {}
            false => name.push('.'),
        }
    }
    name.truncate(name.trim_end_matches('.').len());
    name
}

/// The URL, if assets can be under it: nothing in it is encoded, nothing of it secret, and nobody on the way reads what servers install.
/// On loopback there is no way.
pub fn checked_url(url: &str) -> Result<&str, Error> {
    let error = |what| {
        Err(Error::Url {
            url: url.to_owned(),
            what,
        })
    };
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (_, Some(rest)) if is_loopback(rest) => rest,
        _ => return error("does not start with https://"),
    };
    if url.len() > MOST_TEXT {
        return error("is too long");
    }
    if rest.contains('@') {
        return error("has a user name or password in it");
    }
    if rest.contains(['?', '#']) {
        return error("has a query or a fragment");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-~/:".contains(c);
    if !rest.chars().all(plain) {
        return error("has signs other than letters, digits and ._-~/:");
    }
    let mut parts = rest.split('/');
    let host = parts.next().unwrap_or_default();
    if host.trim_matches(['.', ':', '-']).is_empty() || host.starts_with(':') {
        return error("names no host");
    }
    if parts.any(|part| part.is_empty() || part.trim_matches('.').is_empty()) {
        return error("has a slash at the end, or an empty folder in it");
    }
    // Any other place of GitHub has pages for people.
    let is_github = host.eq_ignore_ascii_case("github.com");
    let path: Vec<&str> = rest.split('/').skip(1).collect();
    if is_github && !matches!(path[..], [_, _, "releases", "download"]) {
        return error("is not https://github.com/OWNER/NAME/releases/download");
    }
    Ok(url)
}

/// Whether what follows the scheme is on this machine.
fn is_loopback(rest: &str) -> bool {
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    host == "localhost"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether it can start a tag, as git takes it.
pub(super) fn is_tag(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty()
        && text.len() <= MOST_TEXT
        && text.chars().all(plain)
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
}

/// The time in a tag of `target`.
pub(super) fn time_of(target: &str, text: &str) -> Option<u64> {
    let digits = text.strip_prefix(target)?.strip_prefix('-')?;
    let time: u64 = digits.parse().ok()?;
    // One tag for one time.
    (tag(target, time) == text).then_some(time)
}

/// Whether it is where a package can be in a repository.
pub(super) fn is_path(path: &str) -> bool {
    let rest = Kind::ALL.into_iter().find_map(|kind| {
        path.strip_prefix(kind.folder())
            .and_then(|rest| rest.strip_prefix("/Packages/"))
    });
    let is_file = |file: &str| {
        file.ends_with(".rpm")
            && !file.starts_with('.')
            && !file.contains('/')
            && !file.contains(char::is_control)
    };
    path.len() <= MOST_TEXT && rest.is_some_and(is_file)
}

pub(super) fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(digit)
}

/// The folder at the top of the tree with the metadata that locate the packages there.
pub const FOLDER: &str = "assets";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_name_has_nothing_that_is_changed_or_encoded() {
        for (file, name) in [
            ("a-1.2_3-1.el9.x86_64.rpm", "a-1.2_3-1.el9.x86_64.rpm"),
            ("gcc-c++-1:2~rc-1.x86_64.rpm", "gcc-c.-1.2.rc-1.x86_64.rpm"),
            ("a~^+b..c.rpm", "a.b.c.rpm"),
            ("~a.rpm", "a.rpm"),
            ("ä-1.rpm", "-1.rpm"),
            ("a.rpm~", "a.rpm"),
            ("", ""),
        ] {
            assert_eq!(name_of(&format!("x86_64/Packages/{file}")), name);
            assert_eq!(name_of(name), name);
        }
    }
}
