//! A capability, as `Provides:` and `Requires:` name it, and rpm's rule for when one fits the other.

use std::cmp::Ordering;
use std::fmt;

use rpm_version::Evr;

/// The comparison of a versioned capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sense {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
}

impl Sense {
    /// The sense that a spec file writes as `text`.
    pub fn from_operator(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" | "=<" => Self::LessEqual,
            "=" | "==" => Self::Equal,
            ">=" | "=>" => Self::GreaterEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    /// The sense that repodata writes as `text` (`LT`, `LE`, `EQ`, `GE`, `GT`).
    pub fn from_repodata(text: &str) -> Option<Self> {
        Some(match text {
            "LT" => Self::Less,
            "LE" => Self::LessEqual,
            "EQ" => Self::Equal,
            "GE" => Self::GreaterEqual,
            "GT" => Self::Greater,
            _ => return None,
        })
    }

    fn operator(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "=",
            Self::GreaterEqual => ">=",
            Self::Greater => ">",
        }
    }

    fn less(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual)
    }

    fn equal(self) -> bool {
        matches!(self, Self::LessEqual | Self::Equal | Self::GreaterEqual)
    }

    fn greater(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterEqual)
    }
}

/// A name, and possibly a range of versions of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The name: a package, a soname, `kernel(symbol)`, a path …
    pub name: String,
    /// The range; none means any version.
    pub version: Option<(Sense, Evr<'static>)>,
}

impl Capability {
    /// Any version of `name`.
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
        }
    }

    /// `name` in the versions that `sense` and `evr` (`epoch:version-release`, the outer two optional) say.
    pub fn versioned(name: impl Into<String>, sense: Sense, evr: &str) -> Self {
        let (epoch, version, release) = Evr::parse_values(evr);
        Self {
            name: name.into(),
            version: Some((
                sense,
                Evr::new(epoch.to_owned(), version.to_owned(), release.to_owned()),
            )),
        }
    }

    /// Whether a provided and a required capability of the same name fit: rpm's `rpmdsCompare`.
    ///
    /// Two ranges fit when they overlap. A capability without a version fits every version. Releases are compared only
    /// where both sides have one.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.name != other.name {
            return false;
        }
        let (Some((a, a_evr)), Some((b, b_evr))) = (&self.version, &other.version) else {
            return true;
        };
        match compare(a_evr, b_evr) {
            Ordering::Less => a.greater() || b.less(),
            Ordering::Greater => a.less() || b.greater(),
            Ordering::Equal => {
                (a.equal() && b.equal())
                    || (a.less() && b.less())
                    || (a.greater() && b.greater())
            }
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let Some((sense, evr)) = &self.version else {
            return Ok(());
        };
        write!(f, " {} {}", sense.operator(), display_evr(evr))
    }
}

/// `epoch:version-release` without an epoch of 0 or an empty release.
pub fn display_evr(evr: &Evr<'_>) -> String {
    let mut text = String::new();
    if !evr.epoch().is_empty() && evr.epoch() != "0" {
        text.push_str(evr.epoch());
        text.push(':');
    }
    text.push_str(evr.version());
    if !evr.release().is_empty() {
        text.push('-');
        text.push_str(evr.release());
    }
    text
}

/// Compares two EVRs as dependencies do: without the release where one side has none. No epoch is epoch 0.
pub fn compare(a: &Evr<'_>, b: &Evr<'_>) -> Ordering {
    if a.release().is_empty() || b.release().is_empty() {
        let short =
            |evr: &Evr<'_>| Evr::new(evr.epoch().to_owned(), evr.version().to_owned(), String::new());
        short(a).cmp(&short(b))
    } else {
        a.cmp(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(text: &str) -> Capability {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            [name] => Capability::any(*name),
            [name, operator, evr] => {
                Capability::versioned(*name, Sense::from_operator(operator).unwrap(), evr)
            }
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn ranges_overlap_as_rpm_says() {
        // provided, required, fits; the answers are those of `rpm.ds(…).Compare` / rpmdsCompare of rpm 4.18.
        let table = [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a = 1", true),
            ("a = 1", "a", true),
            ("a = 1", "a = 1", true),
            ("a = 1-1", "a = 1", true),
            ("a = 1-1", "a = 1-2", false),
            ("a = 1", "a = 1-2", true),
            ("a = 1-1", "a > 1", false),
            ("a = 1-1", "a >= 1", true),
            ("a = 1-2", "a > 1-1", true),
            ("a = 2", "a > 1-5", true),
            ("a = 1", "a < 2", true),
            ("a = 2", "a < 2", false),
            ("a <= 2", "a < 2", true),
            ("a < 2", "a > 1", true),
            ("a < 2", "a >= 2", false),
            ("a <= 2", "a >= 2", true),
            ("a > 2", "a > 5", true),
            ("a > 2", "a < 2", false),
            ("a = 1:1", "a = 1", false),
            ("a = 1:1", "a > 9", true),
            ("a = 0:1", "a = 1", true),
            ("a = 1.0~rc1", "a >= 1.0", false),
            ("a = 1.0^git1", "a > 1.0", true),
            ("a = 4.18.0-553.22.1.el8_lustre", "a >= 4.18.0-553.22.1.el8_10", false),
            ("a = 4.18.0-553.22.1.el8_10_lustre", "a > 4.18.0-553.22.1.el8_10", true),
            ("kernel(f) = 0x1", "kernel(f) = 0x2", false),
            ("kernel(f) = 0xdeadbeef", "kernel(f) = 0xdeadbeef", true),
        ];
        for (provided, required, fits) in table {
            assert_eq!(
                capability(provided).overlaps(&capability(required)),
                fits,
                "{provided} for {required}"
            );
            assert_eq!(
                capability(required).overlaps(&capability(provided)),
                fits,
                "{required} for {provided}"
            );
        }
    }

    #[test]
    fn shown_as_a_spec_file_writes_it() {
        for text in ["a", "a >= 1:2-3", "kernel(f) = 0x1"] {
            assert_eq!(capability(text).to_string(), text);
        }
        assert_eq!(capability("a = 0:1-2").to_string(), "a = 1-2");
    }
}
