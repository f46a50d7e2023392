//! Every package: signed with our key, and neither header nor payload changed since. Once by ourselves, once by rpm.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::context::Context;
use super::input::{FILES, HOME};
use super::report::Verdict;
use super::tool;

/// Our own verification: the header's signature and digest, the payload's digest from the signed header.
pub(super) fn packages(context: &Context<'_>) -> Verdict {
    let rpms = match &context.rpms {
        Ok(rpms) => rpms,
        Err(error) => return Verdict::NotRun(error.clone()),
    };
    let key = match &context.key {
        Ok(key) => key,
        Err(error) => return Verdict::NotRun(error.clone()),
    };
    let dist = context.input.dist;
    let findings = at_a_time(rpms, |rpm| {
        let unfit = context.sizes.unfit_at(dist, rpm);
        let why = unfit.or_else(|| context.input.digests.signed(&dist.join(rpm), key).err())?;
        Some(format!("{rpm}: {why}"))
    });
    none_is_nothing(rpms.len(), findings)
}

/// What `find` finds in `all`, in their order; as many at a time as there are processors, and of each a header is in memory.
fn at_a_time(all: &[String], find: impl Fn(&str) -> Option<String> + Sync) -> Vec<String> {
    const MOST: usize = 8;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..workers.min(MOST).min(all.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(at) else {
                        return;
                    };
                    if let Some(what) = find(one) {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.insert(at, what);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.into_values().collect()
}

fn none_is_nothing(count: usize, findings: Vec<String>) -> Verdict {
    if count == 0 {
        return Verdict::Fail {
            checked: "0 packages".to_owned(),
            findings: vec!["there is no package in the repository".to_owned()],
        };
    }
    Verdict::from_findings(format!("{count} packages"), findings)
}

/// rpm's verification, with a key store that holds our key alone, and signature and digests both required.
pub(super) fn rpmkeys(context: &Context<'_>) -> Verdict {
    match rpmkeys_findings(context) {
        Ok((count, findings)) => none_is_nothing(count, findings),
        Err(why) => Verdict::NotRun(why),
    }
}

fn rpmkeys_findings(context: &Context<'_>) -> Result<(usize, Vec<String>), String> {
    /// Packages in one call, so that no command line gets too long.
    const BATCH: usize = 200;
    let rpms = context.rpms.as_ref().map_err(Clone::clone)?;
    let log = context.input.logs.join("rpmkeys.log");
    let home = tool::home(context.input.public_key)?;
    let define = format!("_dbpath {}/rpmdb", HOME);
    let run = |args: &[&str]| tool::run(&context.input, "rpmkeys", args, home.path(), &log);
    let imported = run(&["--define", &define, "--import", tool::KEY])?;
    if !imported.success {
        return Err(format!(
            "rpm cannot import the key: {}",
            imported.text.trim()
        ));
    }
    let mut findings = Vec::new();
    // As a user has them, each by itself: rpm reads less of a key's file than we do.
    for name in tool::published_keys(&context.input) {
        let define = format!("_dbpath {HOME}/{name}");
        let file = format!("{FILES}/{name}");
        let said = run(&["--define", &define, "--import", &file])?;
        if !said.success {
            findings.push(format!(
                "{name}: rpm cannot import it: {}",
                said.text.trim()
            ));
        }
    }
    let mut fit = Vec::new();
    for rpm in rpms {
        match context.sizes.unfit_at(context.input.dist, rpm) {
            Some(why) => findings.push(format!("{rpm}: {why}")),
            None => fit.push(rpm),
        }
    }
    for batch in fit.chunks(BATCH) {
        let paths: Vec<String> = batch.iter().map(|rpm| format!("{}/{rpm}", FILES)).collect();
        let mut args = vec![
            "--define",
            &define,
            "--define",
            "_pkgverify_level all",
            "--checksig",
        ];
        args.extend(paths.iter().map(String::as_str));
        let said = run(&args)?;
        let before = findings.len();
        for path in &paths {
            let fine = said
                .text
                .lines()
                .any(|line| line == format!("{path}: digests signatures OK"));
            if !fine {
                let line = said.text.lines().find(|line| line.contains(path.as_str()));
                findings.push(line.unwrap_or(path).to_owned());
            }
        }
        if !said.success && findings.len() == before {
            findings.push(format!("rpmkeys failed: {}", said.text.trim()));
        }
    }
    Ok((rpms.len(), findings))
}
