//! Debian versions as RPM epoch, version and release.
//!
//! Debian writes `[epoch:]upstream[-revision]` and orders it as deb-version(7) says; rpm orders segments of letters and
//! digits and ignores what separates them. The mapping keeps every part where it is and only replaces the two characters
//! that rpm does not allow (`-` and `:` inside upstream), so that `dpkg` and `rpm` agree on all versions that differ in
//! numbers, in `~` suffixes, or by an appended suffix such as `+dfsg`, `+b1` or `+deb12u3`. They may differ where one
//! separator stands against another (`1.0+2` and `1.0.1`), which no dependency inside one Debian release does.

use std::fmt;

/// Epoch, version and release as rpm knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Evr {
    /// The epoch; Debian's missing epoch and epoch 0 are both none.
    pub epoch: Option<u32>,
    /// The version: Debian's upstream part.
    pub version: String,
    /// The release: Debian's revision, `0` for a native package (Debian orders a missing revision as `0`).
    pub release: String,
}

/// A version that is not a Debian version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a Debian version: {reason}")]
pub struct Error {
    pub text: String,
    pub reason: &'static str,
}

impl Evr {
    /// Reads a Debian version such as `1:2.36-9+deb12u10`.
    pub fn from_debian(text: &str) -> Result<Self, Error> {
        let error = |reason| Error {
            text: text.to_owned(),
            reason,
        };
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (
                // A sign, which a number may have elsewhere, is none here.
                (epoch.bytes().all(|byte| byte.is_ascii_digit()))
                    .then(|| epoch.parse::<u32>().ok())
                    .flatten()
                    .ok_or_else(|| error("the epoch is not a number"))?,
                rest,
            ),
            None => (0, text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        if upstream.is_empty() || revision.is_empty() {
            return Err(error("a part is empty"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".+~".contains(c);
        if !upstream.chars().all(|c| allowed(c) || "-:".contains(c))
            || !revision.chars().all(allowed)
        {
            return Err(error("a character is not allowed in a version"));
        }
        Ok(Self {
            epoch: (epoch > 0).then_some(epoch),
            version: upstream.replace(['-', ':'], "_"),
            release: revision.to_owned(),
        })
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(epoch) = self.epoch {
            write!(f, "{epoch}:")?;
        }
        write!(f, "{}-{}", self.version, self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(text: &str) -> String {
        Evr::from_debian(text).unwrap().to_string()
    }

    #[test]
    fn parts_stay_where_they_are() {
        assert_eq!(mapped("2.36-9+deb12u10"), "2.36-9+deb12u10");
        assert_eq!(mapped("1:1.2.13.dfsg-1"), "1:1.2.13.dfsg-1");
        assert_eq!(mapped("0:1.0-1"), "1.0-1");
    }

    #[test]
    fn a_native_package_has_release_zero() {
        assert_eq!(mapped("12.4+deb12u15"), "12.4+deb12u15-0");
    }

    #[test]
    fn hyphens_and_colons_inside_upstream_are_replaced() {
        assert_eq!(mapped("2:1.2-rc3:4-5"), "2:1.2_rc3_4-5");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "-1",
            "1-",
            "x:1",
            "+1:1",
            "1 2-1",
            "1.0-1_2",
            "1:2.36-9+0x10:1",
        ] {
            assert!(Evr::from_debian(text).is_err(), "{text}");
        }
    }
}
