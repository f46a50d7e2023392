//! The commits that a pinned one is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::commit::{Commit, CommitReference};

/// All commits of a history, found by what others may say of them.
#[derive(Debug)]
pub struct History {
    /// Sorted by their ids.
    commits: Vec<Commit>,
    subjects: HashMap<String, Vec<usize>>,
    tickets: BTreeMap<String, Vec<usize>>,
    /// The reviews of those that no later one takes back.
    kept_changes: HashSet<String>,
    /// Their subjects, with whether each of them says its review.
    kept_subjects: HashMap<String, bool>,
}

/// By what a commit is in a history under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Same {
    /// By the id of its review.
    ChangeId,
    /// By its subject, where one of the two does not say its review.
    Subject,
}

impl History {
    /// The history of `log`, newest first, as git lists it.
    pub fn new(log: Vec<Commit>) -> Self {
        let undone: HashSet<String> = undone(&log)
            .into_iter()
            .map(|number| log[number].id.clone())
            .collect();
        let mut commits = log;
        commits.sort_by(|a, b| a.id.cmp(&b.id));
        let mut history = Self {
            subjects: HashMap::new(),
            tickets: BTreeMap::new(),
            kept_changes: HashSet::new(),
            kept_subjects: HashMap::new(),
            commits,
        };
        for (number, commit) in history.commits.iter().enumerate() {
            let same = history.subjects.entry(commit.subject.clone());
            same.or_default().push(number);
            if let Some(ticket) = commit.ticket() {
                let same = history.tickets.entry(ticket.to_owned());
                same.or_default().push(number);
            }
            if !undone.contains(&commit.id) {
                let changes = commit.change_ids().map(str::to_owned);
                history.kept_changes.extend(changes);
                let all_reviewed = history.kept_subjects.entry(commit.subject.clone());
                *all_reviewed.or_insert(true) &= commit.is_reviewed();
            }
        }
        history
    }

    /// The commits whose id begins with `prefix`.
    pub fn by_prefix(&self, prefix: &str) -> &[Commit] {
        let from = self
            .commits
            .partition_point(|commit| commit.id.as_str() < prefix);
        let rest = &self.commits[from..];
        let count = rest.partition_point(|commit| commit.id.starts_with(prefix));
        &rest[..count]
    }

    /// The commits with that subject.
    pub fn by_subject(&self, subject: &str) -> Vec<&Commit> {
        self.numbered(self.subjects.get(subject))
    }

    /// The commits of a ticket.
    pub fn of_ticket(&self, ticket: &str) -> Vec<&Commit> {
        self.numbered(self.tickets.get(ticket))
    }

    fn numbered(&self, numbers: Option<&Vec<usize>>) -> Vec<&Commit> {
        let numbers = numbers.map_or(&[][..], Vec::as_slice);
        numbers
            .iter()
            .map(|number| &self.commits[*number])
            .collect()
    }

    /// Whether `commit`, which is not in the history, is there under another id. One that was taken back again is not. Two that have one
    /// subject and name different reviews are two changes: the second part of a work is often called as the first.
    pub fn has(&self, commit: &Commit) -> Option<Same> {
        if commit
            .change_ids()
            .any(|change| self.kept_changes.contains(change))
        {
            return Some(Same::ChangeId);
        }
        let all_reviewed = self.kept_subjects.get(&commit.subject)?;
        (!(*all_reviewed && commit.is_reviewed())).then_some(Same::Subject)
    }

    /// The commits of the history that `named` means. `outside` finds commits elsewhere by the beginning of their id: one that was
    /// picked is named by the id that it has there.
    ///
    /// An id that several commits begin with is decided by the subject; where there is none, any of them may be meant.
    pub fn named<'o>(
        &self,
        named: &CommitReference<'_>,
        outside: &dyn Fn(&str) -> Vec<&'o Commit>,
    ) -> Vec<&Commit> {
        let inside = match &named.id {
            Some(id) => self.by_prefix(id),
            None => &[],
        };
        let subject = named.subject.as_deref();
        if inside.len() == 1 && named.id.as_ref().is_some_and(|id| outside(id).is_empty()) {
            return inside.iter().collect();
        }
        let with_subject = inside
            .iter()
            .filter(|commit| Some(commit.subject.as_str()) == subject);
        let with_subject: Vec<&Commit> = with_subject.collect();
        if !with_subject.is_empty() {
            return with_subject;
        }
        let elsewhere = named.id.as_ref().map(|id| outside(id)).unwrap_or_default();
        if !inside.is_empty()
            && !elsewhere
                .iter()
                .any(|commit| Some(commit.subject.as_str()) == subject)
        {
            return inside.iter().collect();
        }
        let subjects: BTreeSet<&str> = match (subject, elsewhere.as_slice()) {
            (Some(subject), _) => BTreeSet::from([subject]),
            (None, [one]) => BTreeSet::from([one.subject.as_str()]),
            _ => BTreeSet::new(),
        };
        subjects
            .into_iter()
            .flat_map(|subject| self.by_subject(subject))
            .collect()
    }
}

/// Which commits of `log`, newest first, are taken back by a later one that stands itself.
pub(super) fn undone(log: &[Commit]) -> HashSet<usize> {
    let mut undone = HashSet::new();
    // From the newest on: whether a revert stands is known before what it takes back is looked at.
    for (number, commit) in log.iter().enumerate() {
        if undone.contains(&number) {
            continue;
        }
        for named in commit.reverts() {
            let older = log.iter().enumerate().skip(number + 1);
            let found = older
                .clone()
                .find(|(_, one)| named.id.as_ref().is_some_and(|id| one.id.starts_with(id)))
                .or_else(|| {
                    older
                        .clone()
                        .find(|(_, one)| named.subject.as_deref() == Some(one.subject.as_str()))
                });
            undone.extend(found.map(|(number, _)| number));
        }
    }
    undone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: &str, subject: &str, body: &str) -> Commit {
        Commit {
            id: id.repeat(40 / id.len()),
            subject: subject.to_owned(),
            body: body.to_owned(),
            ..Commit::default()
        }
    }

    fn named<'a>(id: Option<&str>, subject: Option<&'a str>) -> CommitReference<'a> {
        CommitReference {
            id: id.map(str::to_owned),
            subject: subject.map(Into::into),
        }
    }

    #[test]
    fn a_revert_that_is_reverted_takes_nothing_back() {
        let log = [
            commit("d", "Revert \"Revert \"one\"\"", ""),
            commit("c", "Revert \"one\"", "This reverts commit aaaaaaaa."),
            commit("b", "two", ""),
            commit("a", "one", "Change-Id: I0123456789\n"),
        ];
        assert_eq!(undone(&log), HashSet::from([1]));
        assert_eq!(undone(&log[1..]), HashSet::from([2]));
        let picked = commit("e", "other", "Change-Id: I0123456789\n");
        let whole = History::new(log.to_vec());
        assert_eq!(whole.has(&picked), Some(Same::ChangeId));
        // The same subject and another review is another change; one without a review may be the same.
        let part_two = commit("f", "one", "Change-Id: I9876543210\n");
        assert_eq!(whole.has(&part_two), None);
        assert_eq!(whole.has(&commit("f", "one", "")), Some(Same::Subject));
        assert_eq!(
            whole.has(&commit("f", "two", "Change-Id: I9876543210\n")),
            Some(Same::Subject)
        );
        let taken_back = History::new(log[1..].to_vec());
        assert_eq!(taken_back.has(&picked), None);
        assert_eq!(taken_back.has(&commit("e", "two", "")), Some(Same::Subject));
    }

    #[test]
    fn an_id_that_is_no_single_one_is_decided_by_the_subject() {
        let history = History::new(vec![
            commit("abcdef01", "one", ""),
            commit("abcdef02", "two", ""),
            commit("b", "three", ""),
        ]);
        let nowhere = |_: &str| Vec::new();
        let subjects = |named: &CommitReference<'_>,
                        outside: &dyn Fn(&str) -> Vec<&'static Commit>| {
            let found = history.named(named, outside);
            found
                .into_iter()
                .map(|commit| commit.subject.clone())
                .collect::<Vec<_>>()
        };
        let id = Some("abcdef");
        assert_eq!(subjects(&named(id, Some("two")), &nowhere), ["two"]);
        assert_eq!(subjects(&named(id, None), &nowhere), ["one", "two"]);
        assert_eq!(subjects(&named(Some("bbbbbb"), None), &nowhere), ["three"]);
        // The subject may be said in other words; the id is what counts then.
        assert_eq!(
            subjects(&named(Some("bbbbbb"), Some("drei")), &nowhere),
            ["three"]
        );
        assert_eq!(subjects(&named(None, Some("three")), &nowhere), ["three"]);
        assert!(subjects(&named(Some("cccccc"), None), &nowhere).is_empty());
        // The id of the commit that was picked, elsewhere.
        let original: &'static Commit = Box::leak(Box::new(commit("c", "three", "")));
        let elsewhere = |id: &str| {
            let found = original.id.starts_with(id).then_some(original);
            found.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            subjects(&named(Some("cccccc"), None), &elsewhere),
            ["three"]
        );
        // The same beginning, and the subject of the one elsewhere.
        let later: &'static Commit = Box::leak(Box::new(commit("abcdef03", "later", "")));
        let both = |_: &str| vec![later];
        assert!(subjects(&named(id, Some("later")), &both).is_empty());
    }
}
