//! Which later commits mend something that a history has wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::commit::Commit;
use super::history::{History, Same, undone};
use super::relevance::Relevance;

/// Something that a history has wrong, as the commits say that mend it elsewhere.
#[derive(Debug)]
pub struct Advisory<'a> {
    /// The oldest of the commits that are the same change.
    pub commit: &'a Commit,
    /// The others: the change on other branches.
    pub also: Vec<&'a Commit>,
    /// The commits of the history that it mends or takes back.
    pub mends: Vec<&'a Commit>,
    /// Later commits, not in the history, that mend the mend itself.
    pub followed_by: Vec<&'a Commit>,
    /// The commits of the history that have its ticket: earlier parts of the same work.
    pub of_ticket: Vec<&'a Commit>,
    /// What it says and touches.
    pub weight: Relevance,
}

/// A commit that names one of the history and is no advisory.
#[derive(Debug)]
pub struct LeftOut<'a> {
    pub commit: &'a Commit,
    pub why: Reason,
}

/// Why a commit is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The history has the change under another id: the same id of its review.
    SameChangeId,
    /// The history has a commit of that subject, and one of the two does not say its review.
    SameSubject,
    /// A later commit takes it back.
    TakenBack,
}

/// What came of the later commits.
#[derive(Debug)]
pub struct Selection<'a> {
    /// How many there are.
    pub later: usize,
    /// How many of them name a commit of the history in a line `Fixes:`.
    pub naming: usize,
    /// Those that are left out although they name one.
    pub left_out: Vec<LeftOut<'a>>,
    /// The others, the gravest first; one for each change.
    pub advisories: Vec<Advisory<'a>>,
}

impl Selection<'_> {
    /// How many commits the advisories are of: some are the same change on several branches.
    pub fn commits(&self) -> usize {
        self.advisories.iter().map(|one| 1 + one.also.len()).sum()
    }
}

/// What `later` commits, which are not in `history`, mend of it. They are in the order of git's log, newest first.
pub fn select<'a>(history: &'a History, later: &'a [Commit]) -> Selection<'a> {
    let undone = undone(later);
    let mut by_id: Vec<&Commit> = later.iter().collect();
    by_id.sort_by(|a, b| a.id.cmp(&b.id));
    let outside = |prefix: &str| -> Vec<&'a Commit> {
        let from = by_id.partition_point(|commit| commit.id.as_str() < prefix);
        let rest = by_id[from..].iter();
        rest.take_while(|commit| commit.id.starts_with(prefix))
            .copied()
            .collect()
    };
    let mut naming = 0;
    let mut left_out = Vec::new();
    let mut found: Vec<(&Commit, Vec<&Commit>)> = Vec::new();
    for (number, commit) in later.iter().enumerate() {
        let of = |named: &super::commit::CommitReference<'_>| history.named(named, &outside);
        let mut mends: Vec<&Commit> = commit.fixes().iter().flat_map(of).collect();
        naming += usize::from(!mends.is_empty());
        mends.extend(commit.reverts().iter().flat_map(of));
        if mends.is_empty() {
            continue;
        }
        let mut seen = HashSet::new();
        mends.retain(|commit| seen.insert(&commit.id));
        let why = match history.has(commit) {
            Some(Same::ChangeId) => Some(Reason::SameChangeId),
            Some(Same::Subject) => Some(Reason::SameSubject),
            None => undone.contains(&number).then_some(Reason::TakenBack),
        };
        match why {
            Some(why) => left_out.push(LeftOut { commit, why }),
            None => found.push((commit, mends)),
        }
    }
    let mut advisories = grouped(history, found);
    follow(&mut advisories, later, &undone, &outside);
    advisories.sort_by_key(|one| (one.weight.order(), Reverse(one.commit.time)));
    Selection {
        later: later.len(),
        naming,
        left_out,
        advisories,
    }
}

/// One advisory for each change: commits with the id of one review are the same, and those with one subject, where not both say their
/// review.
fn grouped<'a>(
    history: &'a History,
    mut found: Vec<(&'a Commit, Vec<&'a Commit>)>,
) -> Vec<Advisory<'a>> {
    found.sort_by_key(|(commit, _)| commit.time);
    let mut places: HashMap<&str, usize> = HashMap::new();
    // The first of a subject, and the first of them that does not say its review.
    let mut by_subject: HashMap<&str, (usize, Option<usize>)> = HashMap::new();
    let mut advisories: Vec<Advisory<'a>> = Vec::new();
    for (commit, mends) in found {
        let of_subject = by_subject.get(commit.subject.as_str());
        let place = commit
            .change_ids()
            .find_map(|change| places.get(change))
            .copied()
            .or_else(|| match commit.is_reviewed() {
                true => of_subject.and_then(|(_, unreviewed)| *unreviewed),
                false => of_subject.map(|(first, _)| *first),
            })
            .unwrap_or(advisories.len());
        places.extend(commit.change_ids().map(|change| (change, place)));
        let (_, unreviewed) = by_subject.entry(&commit.subject).or_insert((place, None));
        if !commit.is_reviewed() {
            unreviewed.get_or_insert(place);
        }
        match advisories.get_mut(place) {
            Some(same) => {
                same.also.push(commit);
                for one in mends {
                    if !same.mends.iter().any(|known| known.id == one.id) {
                        same.mends.push(one);
                    }
                }
            }
            None => {
                let ticket = commit.ticket();
                advisories.push(Advisory {
                    commit,
                    also: Vec::new(),
                    mends,
                    followed_by: Vec::new(),
                    of_ticket: ticket.map_or_else(Vec::new, |ticket| history.of_ticket(ticket)),
                    weight: Relevance::of(commit),
                });
            }
        }
    }
    advisories
}

/// Puts what mends a mend, and what mends that, to the advisory that needs it.
fn follow<'a>(
    advisories: &mut [Advisory<'a>],
    later: &'a [Commit],
    undone: &HashSet<usize>,
    outside: &dyn Fn(&str) -> Vec<&'a Commit>,
) {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, advisory) in advisories.iter().enumerate() {
        of.insert(&advisory.commit.id, place);
        of.extend(advisory.also.iter().map(|one| (one.id.as_str(), place)));
    }
    let own: HashSet<&str> = of.keys().copied().collect();
    // From the oldest on, so that a mend of a mend of a mend is found by what was found before.
    for (number, commit) in later.iter().enumerate().rev() {
        if own.contains(commit.id.as_str()) || undone.contains(&number) {
            continue;
        }
        let fixes = commit.fixes();
        let ids = fixes.iter().filter_map(|named| named.id.as_deref());
        let place = ids
            .flat_map(outside)
            .find_map(|mended| of.get(mended.id.as_str()).copied());
        if let Some(place) = place {
            of.insert(&commit.id, place);
            advisories[place].followed_by.push(commit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64, subject: &str, body: &str) -> Commit {
        Commit {
            id: format!("{number:040x}"),
            time: number,
            subject: subject.to_owned(),
            body: body.to_owned(),
            ..Commit::default()
        }
    }

    fn fixes(number: u64) -> String {
        format!("Fixes: {number:040x}\n")
    }

    #[test]
    fn what_mends_the_history_is_found_and_what_it_has_is_not() {
        let history = History::new(vec![
            commit(3, "LU-3 c", "Change-Id: I00000000003\n"),
            commit(2, "LU-2 b", ""),
            commit(1, "LU-1 a", ""),
        ]);
        let later = [
            commit(29, "LU-29 mends the mend of the mend", &fixes(28)),
            commit(28, "LU-28 mends the mend", &fixes(27)),
            commit(27, "LU-1 a corruption", &fixes(1)),
            commit(
                26,
                "LU-26 picked from here",
                &format!("{}Change-Id: I00000000003\n", fixes(1)),
            ),
            commit(25, "LU-2 b", &fixes(1)),
            commit(
                24,
                "Revert \"LU-23 wrong\"",
                &format!("This reverts commit {:040x}.", 23),
            ),
            commit(23, "LU-23 wrong", &fixes(2)),
            commit(
                22,
                "LU-22 leak",
                "Fixes: abcdef0123 (\"LU-2 b\")\nChange-Id: I00000000022\n",
            ),
            commit(
                21,
                "LU-22 leak, here too",
                "Fixes: LU-2 b\nChange-Id: I00000000022\n",
            ),
            commit(20, "LU-20 of nothing here", "Fixes: abcdef0123 (\"no\")\n"),
            commit(
                19,
                "Revert \"LU-1 a\"",
                &format!("This reverts commit {:040x}.", 1),
            ),
            commit(18, "LU-18 anything", ""),
        ];
        let selection = select(&history, &later);
        let left: Vec<(u64, Reason)> = selection
            .left_out
            .iter()
            .map(|one| (one.commit.time, one.why))
            .collect();
        assert_eq!(
            left,
            [
                (26, Reason::SameChangeId),
                (25, Reason::SameSubject),
                (23, Reason::TakenBack)
            ]
        );
        assert_eq!((selection.later, selection.naming), (12, 6));
        let numbers = |of: &[&Commit]| of.iter().map(|one| one.time).collect::<Vec<_>>();
        let found: Vec<_> = selection
            .advisories
            .iter()
            .map(|one| {
                let lists = [&one.also, &one.mends, &one.followed_by, &one.of_ticket];
                (one.commit.time, lists.map(|list| numbers(list)))
            })
            .collect();
        assert_eq!(
            found,
            [
                (27, [vec![], vec![1], vec![28, 29], vec![1]]),
                (21, [vec![22], vec![2], vec![], vec![]]),
                (19, [vec![], vec![1], vec![], vec![]]),
            ]
        );
    }

    #[test]
    fn two_reviews_of_one_subject_are_two_changes() {
        let reviewed = |number: u64, review: &str| {
            let body = format!("{}Change-Id: I{review}\n", fixes(1));
            commit(number, "LU-9 use strscpy", &body)
        };
        let history = History::new(vec![
            commit(2, "LU-9 use strscpy", "Change-Id: I00000000002\n"),
            commit(1, "LU-1 a", ""),
        ]);
        let later = [
            commit(23, "LU-9 use strscpy", &fixes(1)),
            reviewed(22, "00000000022"),
            reviewed(21, "00000000022"),
            reviewed(20, "00000000020"),
        ];
        let selection = select(&history, &later);
        // The one without a review may be any of them, and that which the history has, too.
        let left: Vec<_> = selection
            .left_out
            .iter()
            .map(|one| one.commit.time)
            .collect();
        assert_eq!(left, [23]);
        let found: Vec<_> = selection
            .advisories
            .iter()
            .map(|one| {
                let also: Vec<_> = one.also.iter().map(|one| one.time).collect();
                (one.commit.time, also)
            })
            .collect();
        assert_eq!(found, [(21, vec![22]), (20, vec![])]);

        let without = History::new(vec![commit(1, "LU-1 a", "")]);
        let selection = select(&without, &later);
        let found: Vec<_> = selection
            .advisories
            .iter()
            .map(|one| (one.commit.time, one.also.len()))
            .collect();
        assert_eq!(found, [(21, 1), (20, 1)]);
    }
}
