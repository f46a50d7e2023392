//! What is known of a release of Lustre, by the kernels of a release of Enterprise Linux.

use std::cmp::Ordering;

use super::{Kernel, Knowledge, Rule, order};

/// Kernels of one release of Enterprise Linux that the same holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range<'a> {
    /// The first one, without `%dist`; the release's first where not given.
    pub from: Option<&'a str>,
    /// The first one that it does not hold for any more.
    pub before: Option<&'a str>,
    /// What holds; nothing where nothing is known.
    pub rule: Option<&'a Rule>,
}

impl Range<'_> {
    /// Whether a kernel's release, such as `553.22.1.el8_10`, is one of these.
    pub fn has(&self, release: &str) -> bool {
        let Ok(kernel) = Kernel::parse(release) else {
            return false;
        };
        self.from
            .is_none_or(|from| order(&kernel.number, from).is_ge())
            && self
                .before
                .is_none_or(|before| order(&kernel.number, before).is_lt())
    }
}

/// Releases of Lustre in their order, candidates before their release.
pub fn in_order(a: &str, b: &str) -> Ordering {
    order(a, b)
}

impl Knowledge {
    /// The minor releases of Enterprise Linux that anything is said of, in their order.
    pub fn minors(&self) -> Vec<&str> {
        let all = self.rule.iter().flat_map(|rule| rule.el.all());
        let mut all: Vec<&str> = all
            .map(String::as_str)
            .filter(|el| el.contains('.'))
            .collect();
        all.sort_by(|a, b| order(a, b));
        all.dedup();
        all
    }

    /// What is known of a release of Lustre with the kernels of the minor release `el`, from the oldest on.
    pub fn ranges(&self, lustre: &str, el: &str) -> Vec<Range<'_>> {
        let major = el.split('.').next().unwrap_or(el);
        let mut bounds: Vec<&str> = self
            .rule
            .iter()
            .filter(|rule| rule.el.all().iter().any(|one| one == el || one == major))
            .flat_map(|rule| rule.from.iter().chain(&rule.before))
            .map(String::as_str)
            .collect();
        bounds.sort_by(|a, b| order(a, b));
        bounds.dedup();
        let mut ranges: Vec<Range<'_>> = Vec::new();
        for at in 0..=bounds.len() {
            let from = at.checked_sub(1).map(|at| bounds[at]);
            let kernel = Kernel {
                number: from.unwrap_or("0").to_owned(),
                el: el.to_owned(),
            };
            let rule = self.rule.iter().find(|rule| rule.fits(lustre, &kernel));
            let before = bounds.get(at).copied();
            match ranges.last_mut() {
                Some(last) if same(last.rule, rule) => last.before = before,
                _ => ranges.push(Range { from, before, rule }),
            }
        }
        ranges
    }
}

/// Whether two rules say the same.
fn same(a: Option<&Rule>, b: Option<&Rule>) -> bool {
    let said = |rule: &Rule| {
        (
            rule.result,
            rule.patchless,
            rule.series.clone(),
            rule.option.clone(),
            rule.why.clone(),
        )
    };
    a.map(said) == b.map(said)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Outcome;
    use super::*;

    #[test]
    fn kernels_that_the_same_holds_for_are_one_range() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let knowledge = Knowledge::load(&specs).unwrap();
        let ranges = |lustre, el| {
            let all = knowledge.ranges(lustre, el).into_iter();
            all.map(|one| (one.from, one.before, one.rule.map(|rule| rule.result)))
                .collect::<Vec<_>>()
        };
        let (builds, no) = (Some(Outcome::Builds), Some(Outcome::No));
        assert_eq!(
            ranges("2.17.0", "9.6"),
            [
                (None, Some("570.29.1"), no),
                (Some("570.29.1"), None, builds)
            ]
        );
        assert_eq!(
            ranges("2.16.1", "9.4"),
            [
                (None, Some("427.42.1"), builds),
                (Some("427.42.1"), None, no)
            ]
        );
        assert_eq!(ranges("2.17.0", "9.5"), [(None, None, builds)]);
        assert_eq!(ranges("2.16.1", "9.5"), [(None, None, no)]);
        assert_eq!(ranges("2.15.8", "10.1"), [(None, None, no)]);
        assert_eq!(ranges("2.16.50", "8.10"), [(None, None, None)]);
        let minors = knowledge.minors();
        assert_eq!(minors.first(), Some(&"8.10"));
        assert_eq!(minors.last(), Some(&"10.2"));
        let all = knowledge.ranges("2.17.0", "9.6");
        assert!(all[0].has("570.28.1.el9_6") && !all[0].has("570.29.1.el9_6"));
        assert!(all[1].has("570.29.1.el9_6") && !all[1].has("no kernel"));
    }
}
