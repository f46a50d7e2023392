//! The release that a repository is of, and the one before it: their packages, as they are compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::history::{History, Set, SetPackage};
use crate::layout::Kind;
use crate::release::parts;

/// The package whose version is that of a kernel.
pub(super) const KERNEL: &str = "kernel-core";

/// The release that a repository is of, and the one before it.
#[derive(Clone, Debug)]
pub struct Pair<'h> {
    pub(super) now: &'h Set,
    pub(super) before: &'h Set,
    /// All packages for servers that the repository has, of whichever set.
    pub(super) all: BTreeSet<String>,
}

impl<'h> Pair<'h> {
    /// Of the releases that a repository has.
    pub fn of(history: Option<&'h History>) -> Result<Self, String> {
        let sets = history.map_or(&[][..], |history| &history.sets);
        let [now, before, ..] = sets else {
            let mut why =
                "no predecessor: the repository has the packages of no release before this one"
                    .to_owned();
            for dropped in history.into_iter().flat_map(|history| &history.dropped) {
                let _ = write!(
                    why,
                    "; Lustre {} was not kept: {}",
                    dropped.lustre, dropped.why
                );
            }
            return Err(why);
        };
        let all: BTreeSet<String> = sets
            .iter()
            .flat_map(|set| packages_of(set).map(nevra_of))
            .collect();
        let pair = Self { now, before, all };
        if nevras(now) == nevras(before) {
            return Err(format!(
                "the predecessor ({}) has the same packages",
                pair.words_of(before)
            ));
        }
        Ok(pair)
    }

    /// Why what the predecessor boots and has on its disks is the same; none where kernel, Lustre or e2fsprogs are others.
    pub fn alike(&self) -> Option<String> {
        let of = |set: &Set| {
            [KERNEL, "lustre", "e2fsprogs"].map(|name| {
                let named = packages_of(set).filter(|one| name_of(&one.nevra) == Some(name));
                named.map(nevra_of).collect::<Vec<_>>()
            })
        };
        let parts = |set: &'h Set| [&set.kernel, &set.lustre, &set.e2fsprogs];
        (parts(self.now) == parts(self.before) && of(self.now) == of(self.before)).then(|| {
            format!(
                "the predecessor ({}) has the same kernel, Lustre and e2fsprogs",
                self.words_of(self.before)
            )
        })
    }

    /// From what to what, for people.
    pub fn words(&self) -> String {
        format!(
            "from {} to {}",
            self.words_of(self.before),
            self.words_of(self.now)
        )
    }

    fn words_of(&self, set: &Set) -> String {
        let mut words = format!("Lustre {}", set.lustre);
        for (what, version) in [("kernel", &set.kernel), ("e2fsprogs", &set.e2fsprogs)] {
            if !version.is_empty() {
                let _ = write!(words, ", {what} {version}");
            }
        }
        words
    }
}

/// The packages of a set that servers install.
pub(super) fn packages_of(set: &Set) -> impl Iterator<Item = &SetPackage> {
    set.packages.iter().filter(|package| {
        let folder = package.path.split('/').next();
        folder == Some(Kind::Binary.folder())
    })
}

pub(super) fn nevras(set: &Set) -> BTreeSet<String> {
    packages_of(set).map(nevra_of).collect()
}

pub(super) fn nevra_of(package: &SetPackage) -> String {
    plain(&package.nevra)
}

/// An epoch of 0 is none.
pub(super) fn plain(nevra: &str) -> String {
    nevra.replacen("-0:", "-", 1)
}

pub(super) fn without_epoch(nevra: &str) -> String {
    match nevra.split_once(':') {
        Some((front, rest)) => match front.rsplit_once('-') {
            Some((name, _)) => format!("{name}-{rest}"),
            None => nevra.to_owned(),
        },
        None => nevra.to_owned(),
    }
}

pub(super) fn name_of(nevra: &str) -> Option<&str> {
    parts(nevra).map(|((name, _), _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_compared_whatever_is_said_of_an_epoch_of_0() {
        assert_eq!(plain("lustre-0:2.17-1.x86_64"), "lustre-2.17-1.x86_64");
        assert_eq!(plain("lustre-2:2.17-1.x86_64"), "lustre-2:2.17-1.x86_64");
        assert_eq!(without_epoch("a-b-2:2.17-1.x86_64"), "a-b-2.17-1.x86_64");
        assert_eq!(without_epoch("a-b-2.17-1.x86_64"), "a-b-2.17-1.x86_64");
        assert_eq!(name_of("a-b-2:2.17-1.x86_64"), Some("a-b"));
    }
}
