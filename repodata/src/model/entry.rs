//! Dependencies and versions.

use std::cmp::Ordering;
use std::fmt;

use smol_str::SmolStr;

/// One capability of a relation: `kernel(sym) = 0x1234`, `/bin/sh`, `(a or b)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Entry {
    /// The capability, path or rich expression.
    pub name: SmolStr,
    /// How the version compares; none for any version.
    pub flags: Option<Flag>,
    /// The version; none for any version.
    pub evr: Option<Evr>,
    /// Needed before the package's scripts run (requires only).
    pub pre: bool,
}

impl Entry {
    /// Whether the version ranges of two entries have a version in common; the names are the caller's to compare.
    ///
    /// rpm's rule: an entry without version matches every version. Where just one of two equal versions has a release, the other
    /// stands for all its releases, if it includes its version at all: `= 2` overlaps `> 2-1`.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some(flags), Some(evr)) = (self.flags, &self.evr) else {
            return true;
        };
        let (Some(other_flags), Some(other_evr)) = (other.flags, &other.evr) else {
            return true;
        };
        match evr.compare_as_dependency(other_evr) {
            Ordering::Less => flags.allows_greater() || other_flags.allows_less(),
            Ordering::Greater => flags.allows_less() || other_flags.allows_greater(),
            Ordering::Equal if evr.release.is_some() && other_evr.release.is_none() => {
                other_flags.allows_equal() || flags.same_direction(other_flags)
            }
            Ordering::Equal if evr.release.is_none() && other_evr.release.is_some() => {
                flags.allows_equal() || flags.same_direction(other_flags)
            }
            Ordering::Equal => {
                (flags.allows_equal() && other_flags.allows_equal())
                    || flags.same_direction(other_flags)
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let (Some(flags), Some(evr)) = (self.flags, &self.evr) {
            write!(f, " {} {evr}", flags.operator())?;
        }
        Ok(())
    }
}

/// How an entry's version compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Below the version.
    Lt,
    /// At or below the version.
    Le,
    /// The version.
    Eq,
    /// At or above the version.
    Ge,
    /// Above the version.
    Gt,
}

impl Flag {
    /// The flag as repodata writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lt => "LT",
            Self::Le => "LE",
            Self::Eq => "EQ",
            Self::Ge => "GE",
            Self::Gt => "GT",
        }
    }

    /// The flag that repodata writes as `text`.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "LT" => Self::Lt,
            "LE" => Self::Le,
            "EQ" => Self::Eq,
            "GE" => Self::Ge,
            "GT" => Self::Gt,
            _ => return None,
        })
    }

    /// The flag in the lowest bits of an RPM header's dependency flags (`RPMSENSE_LESS` 2, `GREATER` 4, `EQUAL` 8).
    #[must_use]
    pub const fn from_sense(sense: u32) -> Option<Self> {
        Some(match sense & 0xf {
            2 => Self::Lt,
            4 => Self::Gt,
            8 => Self::Eq,
            10 => Self::Le,
            12 => Self::Ge,
            _ => return None,
        })
    }

    /// The flag as people write it.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Eq => "=",
            Self::Ge => ">=",
            Self::Gt => ">",
        }
    }

    const fn allows_less(self) -> bool {
        matches!(self, Self::Lt | Self::Le)
    }

    const fn allows_equal(self) -> bool {
        matches!(self, Self::Le | Self::Eq | Self::Ge)
    }

    const fn allows_greater(self) -> bool {
        matches!(self, Self::Ge | Self::Gt)
    }

    const fn same_direction(self, other: Self) -> bool {
        (self.allows_less() && other.allows_less())
            || (self.allows_greater() && other.allows_greater())
    }
}

/// Epoch, version and release. The order is rpm's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Evr {
    /// The epoch; 0 where none is given.
    pub epoch: u32,
    pub version: SmolStr,
    /// The release; a dependency may come without.
    pub release: Option<SmolStr>,
}

impl Evr {
    /// Reads `[epoch:]version[-release]` as rpm does: an epoch is digits up to the first colon, a release what follows the last hyphen, and
    /// both marks are ordinary characters elsewhere. None where there is no version, or the epoch is beyond what a header can hold.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, rest) = match split_epoch(text) {
            None => (0, text),
            Some(("", rest)) => (0, rest),
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
        };
        let (version, release) = match rest.rsplit_once('-') {
            None => (rest, None),
            Some((version, "")) => (version, None),
            Some((version, release)) => (version, Some(release.into())),
        };
        (!version.is_empty()).then(|| Self {
            epoch,
            version: version.into(),
            release,
        })
    }

    /// rpm's comparison of two packages' versions. Differently written versions can be equal (`1.0` and `1.00`), so
    /// this is not the order of `Ord`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.compare_with(other, true)
    }

    /// rpm's comparison of two dependencies' versions: where either has no release, releases are not compared.
    #[must_use]
    pub fn compare_as_dependency(&self, other: &Self) -> Ordering {
        let with_release = self.release.is_some() && other.release.is_some();
        self.compare_with(other, with_release)
    }

    fn compare_with(&self, other: &Self, with_release: bool) -> Ordering {
        // Epochs are numbers already, and need not become texts for each comparison.
        self.epoch.cmp(&other.epoch).then_with(|| {
            // As most that are compared.
            if self.version == other.version && (!with_release || self.release == other.release) {
                return Ordering::Equal;
            }
            self.without_epoch(with_release)
                .cmp(&other.without_epoch(with_release))
        })
    }

    fn without_epoch(&self, with_release: bool) -> rpm_version::Evr<'_> {
        let release = self.release.as_deref().filter(|_| with_release);
        rpm_version::Evr::new("", self.version.as_str(), release.unwrap_or_default())
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 || split_epoch(&self.version).is_some() {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        match &self.release {
            Some(release) => write!(f, "-{release}"),
            // Without the mark, what follows a hyphen in the version would be read as the release.
            None if self.version.contains('-') => f.write_str("-"),
            None => Ok(()),
        }
    }
}

/// What stands before the colon of an epoch, which is digits or nothing, and what stands behind it.
fn split_epoch(text: &str) -> Option<(&str, &str)> {
    let (epoch, rest) = text.split_once(':')?;
    epoch
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some((epoch, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let mut words = text.split(' ');
        let flags = match words.next() {
            Some("<") => Flag::Lt,
            Some("<=") => Flag::Le,
            Some("=") => Flag::Eq,
            Some(">=") => Flag::Ge,
            Some(">") => Flag::Gt,
            _ => return Entry::default(),
        };
        Entry {
            flags: Some(flags),
            evr: Evr::parse(words.next().unwrap()),
            ..Entry::default()
        }
    }

    #[test]
    fn evr_text() {
        let evr = Evr::parse("1:2.3-4.el8").unwrap();
        assert_eq!((evr.epoch, evr.version.as_str()), (1, "2.3"));
        assert_eq!(evr.release.as_deref(), Some("4.el8"));
        assert_eq!(evr.to_string(), "1:2.3-4.el8");
        assert_eq!(Evr::parse("2.3-").unwrap().release, None);
        assert_eq!(Evr::parse(":7").unwrap().epoch, 0);
        for none in ["", ":", "1:", "-1", "1:-1"] {
            assert_eq!(Evr::parse(none), None, "{none}");
        }
    }

    #[test]
    fn marks_in_odd_places_are_read_as_rpm_reads_them_and_shown_so_that_they_are_read_again() {
        for (text, epoch, version, release) in [
            (":1:2", 0, "1:2", None),
            ("2:3:4-1", 2, "3:4", Some("1")),
            ("x:1", 0, "x:1", None),
            ("+1:2", 0, "+1:2", None),
            ("0x10:1-2", 0, "0x10:1", Some("2")),
            ("2.36-9+0x10:1", 0, "2.36", Some("9+0x10:1")),
            ("0:2.36-9+0x10:1", 0, "2.36", Some("9+0x10:1")),
            ("1-2-3", 0, "1-2", Some("3")),
            ("1-2-", 0, "1-2", None),
        ] {
            let evr = Evr::parse(text).unwrap();
            assert_eq!(
                (evr.epoch, evr.version.as_str()),
                (epoch, version),
                "{text}"
            );
            assert_eq!(evr.release.as_deref(), release, "{text}");
            assert_eq!(Evr::parse(&evr.to_string()), Some(evr), "{text}");
        }
        assert_eq!(Evr::parse("4294967296:1"), None);
    }

    #[test]
    fn evr_order() {
        let cmp = |a: &str, b: &str| Evr::parse(a).unwrap().compare(&Evr::parse(b).unwrap());
        assert_eq!(
            cmp("4.18.0-553.22.1.el8_lustre", "4.18.0-553.22.1.el8_10"),
            Ordering::Less
        );
        assert_eq!(
            cmp("4.18.0-553.22.1.el8_10_lustre", "4.18.0-553.22.1.el8_10"),
            Ordering::Greater
        );
        assert_eq!(cmp("1:1-1", "2-1"), Ordering::Greater);
        assert_eq!(cmp("1.0~rc1-1", "1.0-1"), Ordering::Less);
        assert_eq!(cmp("1.00-1", "1.0-1"), Ordering::Equal);
    }

    #[test]
    fn ranges() {
        for (a, b, overlap) in [
            ("= 1-1", "= 1", true),
            ("= 1-1", "= 1-2", false),
            (">= 2", "= 1-9", false),
            (">= 2", "= 2-0.1", true),
            ("> 2", "= 2-1", false),
            ("< 2", "> 2", false),
            ("< 2", "> 1", true),
            ("<= 2", ">= 2", true),
            ("< 2", "<= 2", true),
            // Where one side has no release, it stands for all of them.
            ("= 2", "> 2-1", true),
            ("= 2", "< 2-1", true),
            (">= 2", "< 2-1", true),
            ("< 2", "= 2-1", false),
            ("< 2", "> 2-1", false),
            ("< 2", "<= 2-1", true),
            ("> 2", ">= 2-1", true),
            ("= 2-1", "> 2-1", false),
            ("any", "= 2", true),
        ] {
            assert_eq!(entry(a).overlaps(&entry(b)), overlap, "{a} with {b}");
            assert_eq!(entry(b).overlaps(&entry(a)), overlap, "{b} with {a}");
        }
    }
}
