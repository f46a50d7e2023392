//! Patterns of paths.

/// Whether a pattern fits a path: `*` stands for any characters but `/`. With `below`, also everything underneath.
pub fn matches(pattern: &str, path: &str, below: bool) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (None, Some(_)) => return below,
            (Some(_), None) => return false,
            (Some(pattern), Some(part)) if component_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// A star takes as little as it can, and more only where what follows fits nowhere else: the time is at most the product of both lengths,
/// whoever wrote the pattern.
fn component_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("/usr/share/doc", "/usr/share/doc/x/y", true));
        assert!(!matches("/usr/share/doc", "/usr/share/docs", true));
        assert!(matches(
            "/usr/share/doc/*/copyright",
            "/usr/share/doc/a/copyright",
            false
        ));
        assert!(!matches(
            "/usr/share/doc/*/copyright",
            "/usr/share/doc/a/b/copyright",
            false
        ));
        assert!(matches("/a/*.so*", "/a/libx.so.1", false));
        assert!(!matches("/a/b/c", "/a/b", true));
        for (pattern, fits) in [
            ("*", true),
            ("**", true),
            ("abcab", true),
            ("a*b", true),
            ("ab*ab", true),
            ("abca*cab", false),
            ("*c*", true),
            ("*bc*b", true),
            ("*b*c*b*c", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(matches(pattern, "abcab", false), fits, "{pattern}");
        }
        // Trying every place of every star would take longer than anybody waits.
        let stars = "*a".repeat(100) + "b";
        assert!(!matches(&stars, &"a".repeat(255), false));
    }
}
