//! What is known of releases of Lustre and kernels of Enterprise Linux: which build together, which need a fixup, which do not
//! fit, and what to take instead. The statements are data, `specs/lustre/knowledge.toml`.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use lustre_files::help;
use rpm_version::Evr;
use serde::Deserialize;

use crate::overlay::Overlay;
use crate::target::{OneOrMore, Source, Target};

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// The rules; the first that fits counts.
    pub rule: Vec<Rule>,
}

/// A statement about a range of Lustre releases and a range of kernels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The first release of Lustre it holds for.
    pub since: String,
    /// The last one; all later ones as well where not given.
    pub until: Option<String>,
    /// The release of Enterprise Linux, or several: `8.10`, or `9` for all of its minor releases.
    pub el: OneOrMore,
    /// The first kernel release it holds for, without `%dist`: `553.22.1`.
    pub from: Option<String>,
    /// The kernel release from which on it does not hold any more.
    pub before: Option<String>,
    /// What comes of it.
    pub result: Outcome,
    /// True where Lustre has no patches to the core of this kernel, so that the distribution's own is taken, or one built without any.
    #[serde(default)]
    pub patchless: bool,
    /// The ldiskfs series that Lustre's configure takes, by the name between `ldiskfs-` and `.series`.
    pub series: Option<String>,
    /// The patch of that series that changes `ext4_xattr_set_entry()`.
    pub iput: Option<String>,
    /// For a fixup: the overlay under `specs/` that has it.
    pub overlay: Option<String>,
    /// For a fixup: the option of that overlay.
    pub option: Option<String>,
    /// Why it does not build as it is.
    pub why: Option<String>,
    /// What to take instead.
    pub instead: Option<String>,
}

/// What comes of a Lustre and a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Builds,
    /// It builds with a fixup.
    Fixup,
    /// It does not build.
    No,
}

/// Knowledge that cannot be read, or a question that is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{file}: {problem}")]
    Malformed { file: String, problem: String },
    #[error("`{0}` is not the release of an Enterprise Linux kernel, such as 553.22.1.el8_10")]
    Kernel(String),
}

/// A target's Lustre and kernel that do not go together as the target has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("Lustre {lustre} does not build with kernel {kernel}: {why}{}", help!("{instead}"))]
    No {
        lustre: String,
        /// The kernel's release.
        kernel: String,
        why: String,
        /// What to take instead.
        instead: String,
    },
    #[error(
        "Lustre {lustre} needs a fixup with kernel {kernel}: {why}{}",
        help!("use the overlay `{overlay}` with `options = [\"{option}\"]` in the target's [lustre]")
    )]
    FixupMissing {
        lustre: String,
        /// The kernel's release.
        kernel: String,
        why: String,
        overlay: String,
        option: String,
    },
    #[error(
        "Lustre {lustre} builds with kernel {kernel} without the fixup `{option}`, which would not apply{}",
        help!("remove it from `options` in the target's [lustre]")
    )]
    FixupTooMany {
        lustre: String,
        /// The kernel's release.
        kernel: String,
        option: String,
    },
    #[error(
        "Lustre {lustre} has no patches for kernel {kernel} itself{}",
        help!("use the distribution's own: `kind = \"distribution\"` and `packages = []` in the target's [kernel]; or an overlay without \
               its series, such as `kernel/el10-unpatched`")
    )]
    Patchless {
        lustre: String,
        /// The kernel's release.
        kernel: String,
    },
}

/// A release of a kernel of Enterprise Linux, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kernel {
    /// Without `%dist`: `553.22.1`.
    number: String,
    /// `8.10`.
    el: String,
}

impl Kernel {
    fn parse(release: &str) -> Result<Self, Error> {
        let wrong = || Error::Kernel(release.to_owned());
        let (number, dist) = release.rsplit_once(".el").ok_or_else(wrong)?;
        // What a rebuild put before or behind is no part of the distribution's own number.
        let number = number.split('_').next().unwrap_or(number);
        let digits = |text: &str| {
            text.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        };
        let (major, minor) = dist.split_once('_').ok_or_else(wrong)?;
        let (major, minor) = (digits(major), digits(minor));
        if number.is_empty() || major.is_empty() || minor.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            number: number.to_owned(),
            el: format!("{major}.{minor}"),
        })
    }
}

/// A release of Lustre as rpm orders it: candidates are before their release, `2.16.0-RC1` before `2.16.0`.
fn order(a: &str, b: &str) -> Ordering {
    let plain = |text: &str| text.replace("-RC", "~rc").replace("_RC", "~rc");
    let (a, b) = (plain(a), plain(b));
    Evr::parse(&a).cmp(&Evr::parse(&b))
}

impl Rule {
    fn fits(&self, lustre: &str, kernel: &Kernel) -> bool {
        let major = kernel.el.split('.').next();
        let of = |el: &str| el == kernel.el || Some(el) == major;
        let bound = |limit: &Option<String>, wanted: fn(Ordering) -> bool| {
            limit
                .as_ref()
                .is_none_or(|limit| wanted(order(&kernel.number, limit)))
        };
        self.el.all().iter().any(|el| of(el))
            && order(lustre, &self.since).is_ge()
            && self
                .until
                .as_ref()
                .is_none_or(|until| order(lustre, until).is_le())
            && bound(&self.from, Ordering::is_ge)
            && bound(&self.before, Ordering::is_lt)
    }

    fn check(&self) -> Result<(), String> {
        let el = self.el.all().join(", ");
        let what = format!("the rule for Lustre {} and EL {el}", self.since);
        let needed: &[(&str, bool)] = match self.result {
            Outcome::Builds => &[("series", self.series.is_some())],
            Outcome::Fixup => &[
                ("series", self.series.is_some()),
                ("overlay", self.overlay.is_some()),
                ("option", self.option.is_some()),
                ("why", self.why.is_some()),
            ],
            Outcome::No => &[
                ("why", self.why.is_some()),
                ("instead", self.instead.is_some()),
            ],
        };
        match needed.iter().find(|(_, there)| !there) {
            Some((key, _)) => Err(format!("{what} has no `{key}`")),
            None => Ok(()),
        }
    }
}

impl Knowledge {
    /// The file under `specs/`.
    pub const FILE: &str = "lustre/knowledge.toml";

    /// Reads `specs/lustre/knowledge.toml`.
    pub fn load(specs: &Path) -> Result<Self, Error> {
        let path = specs.join(Self::FILE);
        let text = lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(|source| {
            Error::Read {
                path: path.clone(),
                source,
            }
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of such a file; `file` is for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed {
            file: file.to_owned(),
            problem,
        };
        let knowledge: Self =
            crate::bounded_toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        for rule in &knowledge.rule {
            rule.check().map_err(malformed)?;
        }
        Ok(knowledge)
    }

    /// The rule for a release of Lustre (`2.16.0-RC1`) and a kernel's release (`553.22.1.el8_10`); nothing where nothing is known.
    pub fn rule(&self, lustre: &str, kernel: &str) -> Result<Option<&Rule>, Error> {
        let kernel = Kernel::parse(kernel)?;
        Ok(self.rule.iter().find(|rule| rule.fits(lustre, &kernel)))
    }

    /// Whether a target's choice is right: `options` are those of its Lustre overlay, `patched` says whether it builds the
    /// kernel with Lustre's patches. Where nothing is known there is nothing wrong.
    pub fn judge(
        &self,
        lustre: &str,
        kernel: &str,
        options: &[String],
        patched: bool,
    ) -> Result<Option<Misfit>, Error> {
        let Some(rule) = self.rule(lustre, kernel)? else {
            return Ok(None);
        };
        let (lustre, kernel) = (lustre.to_owned(), kernel.to_owned());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        if rule.result == Outcome::No {
            return Ok(Some(Misfit::No {
                lustre,
                kernel,
                why: text(&rule.why),
                instead: text(&rule.instead),
            }));
        }
        let wanted = rule.option.as_ref();
        let fixups = self.rule.iter().filter_map(|rule| rule.option.as_ref());
        let too_many = fixups
            .filter(|option| Some(*option) != wanted)
            .find(|option| options.contains(option));
        Ok(match wanted {
            Some(option) if !options.contains(option) => Some(Misfit::FixupMissing {
                lustre,
                kernel,
                why: text(&rule.why),
                overlay: text(&rule.overlay),
                option: option.clone(),
            }),
            _ if too_many.is_some() => Some(Misfit::FixupTooMany {
                lustre,
                kernel,
                option: too_many.cloned().unwrap_or_default(),
            }),
            _ if rule.patchless && patched => Some(Misfit::Patchless { lustre, kernel }),
            _ => None,
        })
    }

    /// The options of the `overlays` for another kernel than the one that they were written for: with the fixup that this kernel is known
    /// to need, where it is one of these overlays, and without those for others. Where nothing is known they stay as they are.
    pub fn options(
        &self,
        lustre: &str,
        kernel: &str,
        overlays: &[String],
        options: &[String],
    ) -> Vec<String> {
        let Ok(Some(rule)) = self.rule(lustre, kernel) else {
            return options.to_vec();
        };
        let wanted = rule.option.as_ref().filter(|_| {
            rule.overlay
                .as_ref()
                .is_some_and(|overlay| overlays.contains(overlay))
        });
        let is_fixup = |option: &String| {
            self.rule
                .iter()
                .any(|rule| rule.option.as_ref() == Some(option))
        };
        let mut taken: Vec<String> = options
            .iter()
            .filter(|option| !is_fixup(option) || Some(*option) == wanted)
            .cloned()
            .collect();
        if let Some(wanted) = wanted
            && !taken.contains(wanted)
        {
            taken.push(wanted.clone());
        }
        taken
    }

    /// The series of ldiskfs for another kernel or another Lustre than the target's own, where that is another and the target takes the one
    /// that is known of its own. Where nothing is known, or the target has a series that somebody chose, there is none.
    pub fn series_instead(&self, target: &Target, lustre: &str, kernel: &str) -> Option<String> {
        let known = |lustre: &str, kernel: &str| {
            let rule = self.rule(lustre, kernel).ok().flatten()?;
            rule.series.clone()
        };
        let tag = match &target.distribution.kernel.source {
            Some(Source::Git { tag, .. }) => tag.as_deref(),
            _ => None,
        };
        let (_, own) = target.kernel.version.as_deref().or(tag)?.split_once('-')?;
        let taken = &target.lustre.ldiskfs_series;
        if known(&target.lustre.version, own) != *taken {
            return None;
        }
        known(lustre, kernel).filter(|series| taken.as_ref() != Some(series))
    }

    /// [`Knowledge::judge`] of what `target` takes, with this release of Lustre and of its kernel; `overlay` is that of the kernel, where
    /// it is built. Nothing is wrong with a release that is none of Enterprise Linux's, since nothing is known of it.
    pub fn judge_target(
        &self,
        target: &Target,
        overlay: Option<&Overlay>,
        lustre: &str,
        kernel: &str,
    ) -> Option<Misfit> {
        let patched = overlay.is_some_and(|overlay| overlay.takes_of(Overlay::LUSTRE));
        self.judge(lustre, kernel, &target.lustre.options, patched)
            .unwrap_or(None)
    }
}

mod matrix;

pub use matrix::{Range, in_order};

#[cfg(test)]
mod tests;
