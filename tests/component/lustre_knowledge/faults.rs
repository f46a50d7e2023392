//! The known faults, and what was mended since, compared with Lustre's history.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::advisories::select::Reason;
use lustre_packaging::advisories::{self, Commit, Concerns, History, Ledger};
use lustre_packaging::knowledge::in_order;
use lustre_packaging::process;
use lustre_packaging::target::{self, Source, Target};

use super::clone::{file, git, specs};

/// What a plain pipeline counts: the later commits, and those of them whose `Fixes:` names one of the history, by the beginning of its
/// id, by its subject, or by the id of a later commit of that subject, of which it was picked.
const PIPELINE: &str = r#"
set -eu
pin=$1; shift
{
    git log --format='I %H' "$pin"
    git log --format='S %s' "$pin"
    git log --format='C %H %s%n%b' "$@" "^$pin"
} | awk '
    /^I [0-9a-f]+$/ && !later { for (n = 6; n <= 40; n++) ids[substr($2, 1, n)] = 1; next }
    /^S / && !later { subjects[substr($0, 3)] = 1; next }
    /^C [0-9a-f]+ / && length($2) == 40 {
        later++
        for (n = 6; n <= 40; n++) elsewhere[substr($2, 1, n)] = substr($0, 44)
        next
    }
    /^[ \t]*[Ff]ixes:/ {
        line = $0; sub(/^[ \t]*[Ff]ixes:[ \t]*/, "", line); sub(/^[Cc]ommit /, "", line)
        id = line; sub(/[^0-9a-zA-Z].*/, "", id); subject = line
        if (match(line, /".*"/)) subject = substr(line, RSTART + 1, RLENGTH - 2)
        of[++count] = later; id_of[count] = tolower(id); subject_of[count] = subject
    }
    END {
        for (n = 1; n <= count; n++) {
            id = id_of[n]; is_id = length(id) >= 6
            if ((is_id && id in ids) || subject_of[n] in subjects || (is_id && id in elsewhere && elsewhere[id] in subjects)) named[of[n]] = 1
        }
        for (one in named) naming++
        print later + 0, naming + 0
    }'
"#;

/// What a history with what came after it selects.
struct Selected {
    later: usize,
    naming: usize,
    /// The commits that are listed.
    listed: Vec<String>,
    /// The commits that are left out because the history has them.
    left_out: Vec<String>,
}

/// A history with what came after it.
fn selected(commit: &str, branches: &[&str]) -> Result<Selected> {
    let format = format!("--format={}", advisories::commit::FORMAT);
    let without = format!("^{commit}");
    let history = git(&["log", "--topo-order", "--no-patch", &format, commit])?;
    let mut line = vec![
        "log",
        "--topo-order",
        "--name-only",
        "--no-renames",
        &format,
    ];
    line.extend(branches);
    line.push(&without);
    let history = History::new(Commit::parse_log(&history)?);
    let later = Commit::parse_log(&git(&line)?)?;
    let selection = advisories::select(&history, &later);
    let ids = selection.advisories.iter().flat_map(|one| {
        let all = [one.commit].into_iter().chain(one.also.iter().copied());
        all.map(|commit| commit.id.clone())
    });
    let there = selection.left_out.iter();
    let there = there.filter(|one| one.why != Reason::TakenBack);
    Ok(Selected {
        later: selection.later,
        naming: selection.naming,
        listed: ids.collect(),
        left_out: there.map(|one| one.commit.id.clone()).collect(),
    })
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn what_is_counted_agrees_with_a_plain_pipeline() -> Result<()> {
    let repository = std::env::var_os("LUSTRE_GIT").context("LUSTRE_GIT names no clone")?;
    for (release, branches) in [
        ("2.17.0", &["master"][..]),
        ("2.16.1", &["master", "b2_15", "b2_16", "b2_17"]),
        ("2.15.8", &["master", "b2_17"]),
    ] {
        let commit = String::from_utf8(git(&["rev-parse", &format!("{release}^{{commit}}")])?)?;
        let commit = commit.trim();
        let mut sh = Command::new("sh");
        sh.current_dir(&repository)
            .args(["-c", PIPELINE, "pipeline", commit])
            .args(branches);
        let counted = String::from_utf8(process::output(&mut sh)?)?;
        let Selected {
            later,
            naming,
            listed,
            left_out,
        } = selected(commit, branches)?;
        println!(
            "{release}: {later} later, {naming} name one of it, {} remain, it has {}",
            listed.len(),
            left_out.len()
        );
        ensure!(
            counted.trim() == format!("{later} {naming}"),
            "{release}: counted {counted} and {later} {naming}"
        );
        // Nothing that is listed is in the history, under its own id or by its review.
        let changes = git(&["log", "--format=%b", commit])?;
        let changes = String::from_utf8_lossy(&changes).into_owned();
        let kept: BTreeSet<&str> = changes
            .lines()
            .filter_map(|line| line.strip_prefix("Change-Id: "))
            .collect();
        let has = |id: &String| -> Result<Option<bool>> {
            let body =
                String::from_utf8_lossy(&git(&["log", "-1", "--format=%b", id])?).into_owned();
            let mut lines = body.lines();
            let change = lines.find_map(|line| line.strip_prefix("Change-Id: "));
            Ok(change.map(|change| kept.contains(change)))
        };
        for id in &listed {
            let inside = git(&["merge-base", "--is-ancestor", id, commit]).is_ok();
            ensure!(
                !inside && has(id)? != Some(true),
                "{release}: {id} is in the history"
            );
        }
        // And what is left out is: another change may have the same subject.
        for id in &left_out {
            ensure!(
                has(id)? != Some(false),
                "{release}: {id} is not in the history"
            );
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn the_ledger_agrees_with_lustre_s_history() -> Result<()> {
    let specs = specs();
    let ledger = Ledger::load(&specs)?;
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (release, version) in target::lustre_releases(&specs)? {
        let Source::Git { commit, .. } = Target::load_with(&specs, "rocky-8.10", Some(&release))?
            .lustre
            .source
        else {
            continue;
        };
        let changes = git(&["log", "--format=%H%n%b", &commit])?;
        let changes = String::from_utf8_lossy(&changes).into_owned();
        let lines: BTreeSet<&str> = changes.lines().collect();
        // By its id, or by its review where it was picked.
        let has = |id: &String| -> Result<bool> {
            let body =
                String::from_utf8_lossy(&git(&["log", "-1", "--format=%b", id])?).into_owned();
            let mut ids = body.lines().filter(|line| line.starts_with("Change-Id: "));
            Ok(lines.contains(id.as_str()) || ids.any(|line| lines.contains(line)))
        };
        for fault in &ledger.fault {
            let (since, until) = (&fault.since, fault.until.as_ref());
            let late = until.is_some_and(|until| in_order(&version, until).is_ge());
            let early = in_order(&version, since).is_lt();
            for (what, ids, is) in [
                ("mended", &fault.changes, late),
                ("brought", &fault.causes, !early),
            ] {
                for id in ids {
                    compared += 1;
                    if has(id)? != is {
                        wrong.push(format!(
                            "{release}, {}: {what} by {id}: {}",
                            fault.ticket, !is
                        ));
                    }
                }
            }
        }
    }
    println!("{compared} statements compared");
    ensure!(wrong.is_empty() && compared > 50, "{}", wrong.join("\n"));
    Ok(())
}

/// The series of ldiskfs in the tree of `revision`, each with the patches that it names.
fn series_of(revision: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let folder = "ldiskfs/kernel_patches/series/";
    let names = git(&["ls-tree", "--name-only", revision, folder])?;
    let mut all = BTreeMap::new();
    for path in String::from_utf8(names)?.lines() {
        let name = path.strip_prefix(&format!("{folder}ldiskfs-"));
        let Some(name) = name.and_then(|name| name.strip_suffix(".series")) else {
            continue;
        };
        let text = file(revision, path).with_context(|| format!("{revision}:{path}"))?;
        let patches = text.lines().map(str::trim);
        let patches = patches.filter(|line| !line.is_empty() && !line.starts_with('#'));
        all.insert(name.to_owned(), patches.map(str::to_owned).collect());
    }
    Ok(all)
}

/// All of upstream's releases that the ledger is about, and those of its development branch, with their tags.
fn releases() -> Result<Vec<String>> {
    let tags = String::from_utf8(git(&["tag", "--list", "2.1[5-9].*"])?)?;
    let plain = |tag: &&str| tag.chars().all(|c| c.is_ascii_digit() || c == '.');
    let tags: Vec<String> = tags.lines().filter(plain).map(str::to_owned).collect();
    ensure!(tags.len() > 40, "only {tags:?}");
    Ok(tags)
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn the_ledger_s_series_are_those_of_lustre_s_trees() -> Result<()> {
    let ledger = Ledger::load(&specs())?;
    let of_index: Vec<_> = ["LU-18471", "LU-20192"]
        .into_iter()
        .filter_map(|ticket| ledger.of_ticket(ticket))
        .collect();
    ensure!(of_index.len() == 2, "only {of_index:?}");
    let mut wrong = BTreeSet::new();
    let mut there = BTreeSet::new();
    let mut faulty = 0;
    let mut revisions = releases()?;
    revisions.push("master".to_owned());
    for revision in &revisions {
        let series = series_of(revision)?;
        there.extend(series.keys().cloned());
        if revision == "master" {
            continue;
        }
        // Exit code 1: no patch has the line.
        let pattern = r"^\+\s*info->indirect_levels = 1;";
        let folder = "ldiskfs/kernel_patches/patches";
        let found = git(&["grep", "-l", "-P", pattern, revision, "--", folder]).unwrap_or_default();
        let begin = format!("{revision}:{folder}/");
        let patches: BTreeSet<&str> = std::str::from_utf8(&found)?
            .lines()
            .filter_map(|line| line.strip_prefix(&begin))
            .collect();
        for (name, taken) in &series {
            let has = taken.iter().any(|one| patches.contains(one.as_str()));
            faulty += usize::from(has);
            let said = of_index
                .iter()
                .filter(|fault| ledger.concerns(fault, revision, Some(name)) == Concerns::Yes);
            match (has, said.count()) {
                (true, 0) => wrong.insert(format!("{name} of {revision} has the fault")),
                (false, 1..) => wrong.insert(format!("{name} of {revision} has it not")),
                _ => continue,
            };
        }
    }
    for name in there.difference(&ledger.series) {
        wrong.insert(format!("{name} is not in `series`"));
    }
    for name in ledger.series.difference(&there) {
        wrong.insert(format!("no tree has the series {name}"));
    }
    println!("{faulty} faulty series in {} trees", revisions.len());
    let wrong: Vec<String> = wrong.into_iter().collect();
    ensure!(wrong.is_empty() && faulty > 100, "{}", wrong.join("\n"));
    Ok(())
}
