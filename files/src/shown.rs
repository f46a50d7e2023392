//! Paths in messages.

use std::path::Path;

/// A path on one line, whatever it is called: somebody else may have named it, to have a message say what it does not.
pub fn shown(path: &(impl AsRef<Path> + ?Sized)) -> impl std::fmt::Display {
    let path = path.as_ref().display().to_string();
    if !path.contains(char::is_control) {
        return path;
    }
    path.chars().fold(String::new(), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_on_one_line() {
        assert_eq!(shown("/a b/é'.rpm").to_string(), "/a b/é'.rpm");
        let path = "a\nerror: b\u{9b}\r";
        assert_eq!(shown(path).to_string(), "a\\nerror: b\\u{9b}\\r");
    }
}
