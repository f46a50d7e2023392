//! What Lustre's tree asks of e2fsprogs, read from the tree itself: the modules that its configure asks pkg-config for, and the
//! packages that its spec requires.

use rpm_version::Evr;

/// A requirement with a version, where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// The module, package or capability.
    pub(super) name: String,
    /// `<`, `<=`, `=`, `>=` or `>`.
    pub(super) operator: String,
    /// The version, as it is written.
    pub(super) version: String,
    /// The line, counted from 1.
    pub(crate) line: usize,
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {}", self.name, self.operator, self.version)
    }
}

/// How far the arguments of one call are read, in letters: many times what a list of modules has. A call that is never closed
/// would else be read to the end of its file, and a file may have nothing but those.
const LONGEST: usize = 1024;

/// The requirements with a version in the `PKG_CHECK_MODULES` and `PKG_CHECK_EXISTS` of a configure macro file.
pub(crate) fn of_m4(text: &str) -> Vec<Requirement> {
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        // The first thing on the line that makes a comment of what follows.
        let comment = match line.trim_start().starts_with('#') {
            true => Some(0),
            false => dnl(line),
        };
        for (macro_name, argument) in [("PKG_CHECK_MODULES(", 1), ("PKG_CHECK_EXISTS(", 0)] {
            for (at, _) in line.match_indices(macro_name) {
                if comment.is_some_and(|comment| comment < at) {
                    continue;
                }
                let rest = &text[start + at + macro_name.len()..];
                if let Some(modules) = arguments(rest).get(argument) {
                    found.extend(list(modules, number + 1));
                }
            }
        }
        start += line.len();
    }
    found
}

/// Where `dnl` stands as a word.
fn dnl(line: &str) -> Option<usize> {
    line.match_indices("dnl").map(|(at, _)| at).find(|&at| {
        let is_end = |letter: Option<char>| letter.is_none_or(char::is_whitespace);
        is_end(line[..at].chars().next_back()) && is_end(line[at + 3..].chars().next())
    })
}

/// The requirements with a version in the `Requires` and `BuildRequires` of a spec, whatever conditions they stand under.
pub(crate) fn of_spec(text: &str) -> Vec<Requirement> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((tag, value)) = line.split_once(':') else {
            continue;
        };
        let tag = tag.trim().to_ascii_lowercase();
        let tag = tag.split('(').next().unwrap_or(&tag);
        if matches!(tag, "requires" | "buildrequires") {
            found.extend(list(value, number + 1));
        }
    }
    found
}

/// The arguments of an m4 macro that are whole, without their quotes; `text` begins after the opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut nested) = (0_usize, 0_usize);
    for letter in text.chars().take(LONGEST) {
        match letter {
            '[' => quoted += 1,
            ']' => quoted = quoted.saturating_sub(1),
            '(' if quoted == 0 => nested += 1,
            ')' if quoted == 0 && nested == 0 => return all,
            ')' if quoted == 0 => nested -= 1,
            ',' if quoted == 0 && nested == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        if !matches!(letter, '[' | ']')
            && let Some(last) = all.last_mut()
        {
            last.push(letter);
        }
    }
    // The last is not closed.
    all.pop();
    all
}

/// Those of a list of requirements that name a version.
fn list(text: &str, line: usize) -> Vec<Requirement> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    words
        .windows(3)
        .filter(|words| matches!(words[1], "<" | "<=" | "=" | ">=" | ">"))
        .map(|words| Requirement {
            name: words[0].to_owned(),
            operator: words[1].to_owned(),
            version: words[2].to_owned(),
            line,
        })
        .collect()
}

fn holds(order: std::cmp::Ordering, operator: &str) -> bool {
    match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        "=" => order.is_eq(),
        ">=" => order.is_ge(),
        _ => order.is_gt(),
    }
}

impl Requirement {
    /// Whether the version can be compared: it holds no macro or variable.
    pub(super) fn is_plain(&self) -> bool {
        !self.version.contains(['%', '@', '$'])
    }

    /// Whether pkg-config takes a module of version `found`: versions are compared whole, any punctuation separates.
    pub(super) fn holds_for_module(&self, found: &str) -> bool {
        let whole = |version: &str| version.replace('-', ".");
        let (found, asked) = (whole(found), whole(&self.version));
        let evr = |version| Evr::new("", version, "");
        holds(evr(found.as_str()).cmp(&evr(&asked)), &self.operator)
    }

    /// Whether rpm takes a package of this version and release: a release counts only where one is asked for.
    pub(super) fn holds_for_package(&self, version: &str, release: &str) -> bool {
        let asked = Evr::parse(&self.version);
        let release = if asked.release().is_empty() {
            ""
        } else {
            release
        };
        let asked = Evr::new("", asked.version(), asked.release());
        holds(Evr::new("", version, release).cmp(&asked), &self.operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: &[Requirement]) -> Vec<String> {
        found
            .iter()
            .map(|one| format!("{}: {one}", one.line))
            .collect()
    }

    #[test]
    fn modules_are_found_with_their_versions() {
        let text = "AC_DEFUN([X], [\n\tPKG_CHECK_MODULES([EXT2FS],\n\t\t[ext2fs >= 1.47.3-wc2, e2p > 1.40],\n\
                    \t\t[ok=yes], [AC_MSG_ERROR([no (really)])])\n\
                    # PKG_CHECK_MODULES([A], [a >= 1])\ndnl PKG_CHECK_MODULES([B], [b >= 1])\n\
                    PKG_CHECK_MODULES(NL, libnl-3.0 >= 3.1)\nPKG_CHECK_EXISTS([com_err = 1.46])\n\
                    PKG_CHECK_MODULES([Z], [zlib])\n])\n";
        assert_eq!(
            shown(&of_m4(text)),
            [
                "2: ext2fs >= 1.47.3-wc2",
                "2: e2p > 1.40",
                "7: libnl-3.0 >= 3.1",
                "8: com_err = 1.46"
            ]
        );
    }

    #[test]
    fn what_is_in_comments_is_none_and_calls_without_an_end_take_no_time() {
        let text = "# PKG_CHECK_EXISTS(a = 1)\nx dnl PKG_CHECK_EXISTS(b = 1)\ndnlx PKG_CHECK_EXISTS(c = 1)\n";
        assert_eq!(shown(&of_m4(text)), ["3: c = 1"]);
        // In proportion to the square of its length, this would take minutes.
        for open in ["PKG_CHECK_MODULES([a],[", "PKG_CHECK_EXISTS(a = 1\n"] {
            assert_eq!(of_m4(&open.repeat(20_000)), []);
        }
    }

    #[test]
    fn packages_are_found_with_their_versions() {
        let text = "Name: x\nBuildRequires: e2fsprogs-devel >= 1.44.3 pkgconfig(mount)\n%if 1\n\
                    Requires: ldiskfsprogs > 1.45.6, other\nRequires(post): a >= @V@\n%endif\nProvides: p = 1\n";
        let found = of_spec(text);
        assert_eq!(
            shown(&found),
            [
                "2: e2fsprogs-devel >= 1.44.3",
                "4: ldiskfsprogs > 1.45.6",
                "5: a >= @V@"
            ]
        );
        assert!(found[1].is_plain() && !found[2].is_plain());
    }

    #[test]
    fn versions_compare_as_the_tools_do() {
        let asked = |version: &str, operator: &str| Requirement {
            name: "ext2fs".to_owned(),
            operator: operator.to_owned(),
            version: version.to_owned(),
            line: 1,
        };
        let module = asked("1.47.3-wc2", ">=");
        assert!(!module.holds_for_module("1.47.0"));
        assert!(!module.holds_for_module("1.47.3"));
        assert!(!module.holds_for_module("1.47.3-wc1"));
        assert!(module.holds_for_module("1.47.3-wc2"));
        assert!(module.holds_for_module("1.47.4"));

        let package = asked("1.45.6.wc1", ">=");
        assert!(!package.holds_for_package("1.45.6", "9"));
        assert!(package.holds_for_package("1.46.0", "1"));
        // At equal version the release decides, and digits sort above letters: a fact of rpm's.
        assert!(asked("1.47.3-wc1", ">=").holds_for_package("1.47.3", "1.el8"));
        assert!(!asked("1.47.3-1", ">").holds_for_package("1.47.3", "1"));
        assert!(asked("1.47.3", "=").holds_for_package("1.47.3", "7"));
        assert!(!asked("1.45.6", ">").holds_for_package("1.45.6", "7"));
    }
}
