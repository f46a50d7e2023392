//! The release of a rebuilt package: how it is formed.
//!
//! rpm sorts `553.22.1.el8_lustre` *below* `553.22.1.el8_10`, so a rebuilt kernel with the wrong release is never
//! installed by `dnf upgrade`. The distribution's own `%dist` has to be kept whole, with the build id behind it.

use serde::Deserialize;

/// How the release of the rebuilt package is formed, as it stands in an `overlay.toml` under `[release]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `%dist`, exactly as the distribution's builders had it for this package (`.el8_10`, not `.el8`). Absent where
    /// `dist_from` says how to find it.
    #[serde(default)]
    pub dist: Option<String>,
    /// The mark that `%dist` begins with in the release of the distribution's source package: with `.el`, the release
    /// `553.22.1.el8_10` has the dist `.el8_10`. One overlay then serves all minor releases.
    #[serde(default)]
    pub dist_from: Option<String>,
    /// `%buildid`, put behind the release (`_lustre`).
    pub buildid: String,
}

/// A release that will not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The distribution's release does not have the mark that its `%dist` begins with.
    #[error(
        "the release `{release}` of the distribution's source package has no `{mark}` in it, which `[release] dist_from` sets as the start \
         of %dist; is this overlay for another distribution?"
    )]
    NoMark {
        /// The distribution's release.
        release: String,
        mark: String,
    },
    /// `%dist` is only known once the distribution's source package is.
    #[error(
        "`[release] dist_from` is not resolved: the release of the distribution's source package is not known yet"
    )]
    Unresolved,
    #[error("`[release] {field}` is `{value}`: {problem}")]
    Invalid {
        field: &'static str,
        value: String,
        problem: &'static str,
    },
}

impl Release {
    /// Checks the two parts by themselves.
    pub fn validate(&self) -> Result<(), ReleaseError> {
        let invalid = |field, value: &str, problem| {
            Err(ReleaseError::Invalid {
                field,
                value: value.to_owned(),
                problem,
            })
        };
        let (dist, mark) = match (&self.dist, &self.dist_from) {
            (Some(dist), None) => (dist.as_str(), None),
            (None, Some(mark)) => ("", Some(mark.as_str())),
            _ => {
                return invalid(
                    "dist",
                    self.dist.as_deref().unwrap_or_default(),
                    "set exactly one of `dist` and `dist_from`",
                );
            }
        };
        for (field, value) in [
            ("dist", dist),
            ("dist_from", mark.unwrap_or_default()),
            ("buildid", &self.buildid),
        ] {
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
        if !dist.is_empty() && !dist.starts_with('.') {
            return invalid("dist", dist, "it has to begin with a dot");
        }
        if mark.is_some_and(|mark| !mark.starts_with('.') || mark.len() < 2) {
            return invalid(
                "dist_from",
                mark.unwrap_or_default(),
                "it has to be a dot and what follows it, such as `.el`",
            );
        }
        Ok(())
    }

    /// The release with its `%dist` known, for a source package of the distribution whose release is `base`.
    pub fn resolved(&self, base: &str) -> Result<Self, ReleaseError> {
        let Some(mark) = &self.dist_from else {
            return Ok(self.clone());
        };
        let at = base.rfind(mark).ok_or_else(|| ReleaseError::NoMark {
            release: base.to_owned(),
            mark: mark.clone(),
        })?;
        let resolved = Self {
            dist: Some(base[at..].to_owned()),
            dist_from: None,
            buildid: self.buildid.clone(),
        };
        resolved.validate()?;
        Ok(resolved)
    }

    /// The distribution's minor release as `%dist` has it behind the mark: `8.10` of `.el8_10`; nothing where `%dist` is
    /// given, or has no minor release.
    pub fn minor(&self, base: &str) -> Result<Option<String>, ReleaseError> {
        let Some(mark) = &self.dist_from else {
            return Ok(None);
        };
        let dist = self.resolved(base)?.dist.unwrap_or_default();
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A rebuild may have put something behind it: `.el9_6.1`.
        let version = dist[mark.len()..].split('.').next().unwrap_or_default();
        Ok(version
            .split_once('_')
            .filter(|(major, minor)| number(major) && number(minor))
            .map(|(major, minor)| format!("{major}.{minor}")))
    }

    /// The macros that the spec has to set, name and value.
    pub fn defines(&self) -> Result<[(&'static str, &str); 2], ReleaseError> {
        let dist = self.dist.as_deref().ok_or(ReleaseError::Unresolved)?;
        Ok([("dist", dist), ("buildid", &self.buildid)])
    }
}

#[cfg(test)]
mod tests {
    use crate::process;

    use super::*;

    #[test]
    fn parts_that_cannot_be_in_a_release_are_refused() {
        let good = Release {
            dist: Some(".el8_10".to_owned()),
            dist_from: None,
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
                dist: Some(dist.to_owned()),
                dist_from: None,
                buildid: buildid.to_owned(),
            };
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        for (dist, mark) in [
            (Some(".el8"), Some(".el")),
            (None, None),
            (None, Some("el")),
            (None, Some(".")),
        ] {
            let bad = Release {
                dist: dist.map(str::to_owned),
                dist_from: mark.map(str::to_owned),
                buildid: "_l".to_owned(),
            };
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_dist_is_that_of_the_distribution_s_package() {
        let release = Release {
            dist: None,
            dist_from: Some(".el".to_owned()),
            buildid: "_lustre".to_owned(),
        };
        release.validate().unwrap();
        assert_eq!(release.defines(), Err(ReleaseError::Unresolved));
        for (base, dist, minor) in [
            ("553.22.1.el8_10", ".el8_10", Some("8.10")),
            ("570.62.1.el9_6", ".el9_6", Some("9.6")),
            ("55.43.1.el10_0", ".el10_0", Some("10.0")),
            ("611.13.1.el9_7.2", ".el9_7.2", Some("9.7")),
            ("211.el8", ".el8", None),
        ] {
            let resolved = release.resolved(base).unwrap();
            assert_eq!(
                resolved.defines().unwrap(),
                [("dist", dist), ("buildid", "_lustre")]
            );
            assert_eq!(release.minor(base).unwrap().as_deref(), minor);
        }
        let error = release.resolved("1.fc40").unwrap_err().to_string();
        assert!(
            error.contains("`1.fc40`") && error.contains("`.el`"),
            "{error}"
        );
    }

    #[test]
    fn a_build_id_before_the_dist_sorts_above_as_well() {
        // EL8's spec has the build id behind %dist, EL9's and EL10's before it.
        for (ours, base) in [
            ("4.18.0-553.22.1.el8_10_lustre", "4.18.0-553.22.1.el8_10"),
            ("5.14.0-570.62.1_lustre.el9_6", "5.14.0-570.62.1.el9_6"),
            ("6.12.0-55.43.1_lustre.el10_0", "6.12.0-55.43.1.el10_0"),
        ] {
            let script = format!("%{{lua:print(rpm.vercmp('{ours}','{base}'))}}");
            let done = process::capture(process::command("rpm").args(["--eval", &script])).unwrap();
            assert_eq!(
                String::from_utf8(done.stdout).unwrap().trim(),
                "1",
                "{ours}"
            );
        }
    }
}
