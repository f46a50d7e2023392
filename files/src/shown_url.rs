//! URLs in messages.

/// A URL, or what should have been one, as a message shows it: on one line, and without the user's name and password. Where neither is
/// certain, less is shown rather than more: parsers of URLs do not agree on where a password ends.
pub fn shown_url(text: &str) -> String {
    let (start, end) = user_info(text).unwrap_or((0, 0));
    let mut shown = String::with_capacity(text.len());
    for c in text[..start].chars().chain(text[end..].chars()) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Where in `text` the user's name and password start, and where they end.
fn user_info(text: &str) -> Option<(usize, usize)> {
    let is_slash = |c| matches!(c, '/' | '\\');
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme)
        .filter(|scheme| !scheme.is_empty() && scheme.chars().all(plain));
    let slashes = scheme.map_or(0, |scheme| {
        let rest = &text[scheme.len() + 1..];
        rest.len() - rest.trim_start_matches(is_slash).len()
    });
    let start = match scheme {
        // A path of this machine.
        Some("file") if slashes > 2 => return None,
        Some(scheme) if slashes > 0 => scheme.len() + 1 + slashes,
        _ => 0,
    };
    let rest = &text[start..];
    let host_end = rest
        .find(|c| is_slash(c) || matches!(c, '?' | '#'))
        .unwrap_or(rest.len());
    let authority = &rest[..host_end];
    match authority.rfind('@') {
        // Without a scheme, as ssh and rsync take it: a user without a password is part of the host.
        Some(at) if start > 0 || authority[..at].contains(':') => Some((start, start + at + 1)),
        Some(_) => None,
        // A password with a slash in it, which is no port.
        None => {
            let (_, port) = authority.rsplit_once(':')?;
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            if start == 0 || is_port || authority.starts_with('[') {
                return None;
            }
            rest.rfind('@').map(|at| (start, start + at + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_users_name_nor_a_password_is_shown() {
        for (text, shown) in [
            (
                "https://me:sekret@example.org/a@b",
                "https://example.org/a@b",
            ),
            ("https://me@example.org/a", "https://example.org/a"),
            ("HTTPS://me:sekret@host/y", "HTTPS://host/y"),
            ("https://me:se@kret@host", "https://host"),
            ("https://me:sek/ret@host/y", "https://host/y"),
            ("https:///me:sekret@host/y", "https:///host/y"),
            ("https:\\\\me:sekret@host/y", "https:\\\\host/y"),
            ("https:me:sekret@host/y", "host/y"),
            ("rsync://me:sekret@host/m", "rsync://host/m"),
            ("file://me:sekret@host/m", "file://host/m"),
            ("me:sekret@host:/y", "host:/y"),
            ("https://me:sekret@host?a\nb", "https://host?a\\nb"),
        ] {
            assert_eq!(shown_url(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for text in [
            "",
            "https://example.org/a@b",
            "https://example.org:8080/a@b",
            "https://[::1]:8080/a@b",
            "file:///a@b/c",
            "/srv/a:b@c",
            "./a:b@c/d",
            "me@host:path",
            "a b é 漢",
        ] {
            assert_eq!(shown_url(text), text);
        }
    }
}
