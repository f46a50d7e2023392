//! The release of a rebuilt package: how it is formed, and the check that it sorts above the distribution's.
//!
//! rpm sorts `553.22.1.el8_lustre` *below* `553.22.1.el8_10`, so a rebuilt kernel with the wrong release is never
//! installed by `dnf upgrade`. The distribution's own `%dist` has to be kept whole, with the build id behind it.

use std::cmp::Ordering;

use rpm_version::Evr;
use serde::Deserialize;

/// How the release of the rebuilt package is formed, as it stands in an `overlay.toml` under `[release]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `%dist`, exactly as the distribution's builders had it for this package (`.el8_10`, not `.el8`).
    pub dist: String,
    /// `%buildid`, put behind the release (`_lustre`).
    pub buildid: String,
}

/// A release that will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The rebuilt package does not sort above the distribution's.
    #[error(
        "{package}: rpm sorts ours, {ours}, {} the distribution's, {base}, so dnf would not take it; keep the \
         distribution's whole %dist in `[release] dist` and put the build id behind it",
        if *equal { "equal to" } else { "below" }
    )]
    NotAbove {
        /// The package.
        package: String,
        /// `version-release` of the rebuilt package.
        ours: String,
        /// `version-release` of the distribution's.
        base: String,
        /// True when both are equal for rpm.
        equal: bool,
    },
    /// A part of the release cannot be part of one.
    #[error("`[release] {field}` is `{value}`: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Release {
    /// Checks the two parts by themselves.
    ///
    /// # Errors
    /// [`ReleaseError::Invalid`] for letters a release cannot have, and for a build id that begins where rpm would see
    /// an older version (`~`) or a new part (`-`).
    pub fn validate(&self) -> Result<(), ReleaseError> {
        let invalid = |field, value: &str, problem| {
            Err(ReleaseError::Invalid {
                field,
                value: value.to_owned(),
                problem,
            })
        };
        for (field, value) in [("dist", &self.dist), ("buildid", &self.buildid)] {
            let plain = value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._+".contains(&byte));
            if !plain {
                return invalid(
                    field,
                    value,
                    "only letters, digits, `.`, `_` and `+` are allowed",
                );
            }
        }
        if self.buildid.is_empty() {
            return invalid(
                "buildid",
                "",
                "it is empty, so the release would equal the distribution's",
            );
        }
        if !self.dist.is_empty() && !self.dist.starts_with('.') {
            return invalid("dist", &self.dist, "it has to begin with a dot");
        }
        Ok(())
    }

    /// The macros to define for rpmbuild, name and value.
    pub fn defines(&self) -> [(&'static str, &str); 2] {
        [("dist", &self.dist), ("buildid", &self.buildid)]
    }
}

/// Checks that `ours` sorts above `base`; both are `[epoch:]version-release`, `package` is for messages.
///
/// # Errors
/// [`ReleaseError::NotAbove`].
pub fn check_above(package: &str, ours: &str, base: &str) -> Result<(), ReleaseError> {
    match Evr::parse(ours).cmp(&Evr::parse(base)) {
        Ordering::Greater => Ok(()),
        order => Err(ReleaseError::NotAbove {
            package: package.to_owned(),
            ours: ours.to_owned(),
            base: base.to_owned(),
            equal: order == Ordering::Equal,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn our_order_is_that_of_rpm() {
        let pairs = [
            ("4.18.0-553.22.1.el8_lustre", "4.18.0-553.22.1.el8_10"),
            ("4.18.0-553.22.1.el8_10_lustre", "4.18.0-553.22.1.el8_10"),
            ("4.18.0-553.22.1.el8_10_lustre", "4.18.0-553.30.1.el8_10"),
            ("6.1.176-1.reh1_lustre", "6.1.176-1.reh1"),
            ("6.1.176-1.reh_lustre", "6.1.176-1.reh1"),
            ("6.1.176-1.reh1", "6.1.176-1.reh1"),
            ("1:6.1-1", "6.2-1"),
        ];
        for (ours, base) in pairs {
            let script = format!("%{{lua:print(rpm.vercmp('{ours}','{base}'))}}");
            let done = Command::new("rpm")
                .args(["--eval", &script])
                .output()
                .unwrap();
            let rpm_says = String::from_utf8(done.stdout).unwrap().trim() == "1";
            assert_eq!(
                check_above("kernel", ours, base).is_ok(),
                rpm_says,
                "{ours} {base}"
            );
        }
    }

    #[test]
    fn a_release_below_or_equal_is_refused_with_both() {
        let below = check_above(
            "kernel",
            "4.18.0-553.22.1.el8_lustre",
            "4.18.0-553.22.1.el8_10",
        );
        let text = below.unwrap_err().to_string();
        assert!(
            text.contains("el8_lustre, below the distribution's"),
            "{text}"
        );
        let equal = check_above("kernel", "1-1", "1-1").unwrap_err().to_string();
        assert!(equal.contains("equal to"), "{equal}");
    }

    #[test]
    fn parts_that_cannot_be_in_a_release_are_refused() {
        let good = Release {
            dist: ".el8_10".to_owned(),
            buildid: "_lustre".to_owned(),
        };
        good.validate().unwrap();
        for (dist, buildid) in [
            ("el8", "_l"),
            (".el8", ""),
            (".el8", "-l"),
            (".el 8", "_l"),
            (".e", "~l"),
        ] {
            let bad = Release {
                dist: dist.to_owned(),
                buildid: buildid.to_owned(),
            };
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
