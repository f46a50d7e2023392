//! A plan, carried out at its destination, and told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_files::advised;
use lustre_repository::publishing::{
    Origin, Place, Plan, Release, RemoteEntry, STAGING, Step, Upload,
};

use super::client::{self, ClientCheck};
use super::destination::Destination;
use super::source::Source;
use super::workspace::Workspace;
use crate::cli::PlaceArgs;
use crate::exit::Outcome;
use crate::ui;

/// Where the files of a plan are.
pub struct Files<'a> {
    pub tree: &'a Path,
    pub published: &'a Path,
}

/// A plan, and what it is carried out with.
pub struct Work<'a> {
    pub own: &'a Workspace,
    /// What is staged there.
    pub staged: Option<&'a Release>,
    /// Whether what is staged is what clients read, all of it.
    pub already: bool,
    pub arguments: &'a PlaceArgs,
    pub place: &'a Place,
    pub destination: &'a dyn Destination,
    pub plan: &'a Plan,
    pub staging: bool,
    pub files: Files<'a>,
}

impl Work<'_> {
    /// Carries it out, looks at the result, and tells it; or only tells it.
    pub fn done(&self, source: &Source) -> anyhow::Result<Outcome> {
        self.warn_of_packages();
        if self.arguments.dry_run {
            self.tell(None)?;
            return Ok(Outcome::Done);
        }
        self.destination.begin()?;
        for step in &self.plan.steps {
            perform(self.destination, step, &self.files)?;
        }
        self.destination.end()?;
        let (release, place, summary) = (&self.plan.release, self.place, self.summary());
        ui::say(&match (self.already, self.staging) {
            (true, _) => {
                format!("what is staged at {place}, {release}, is published already: {summary}")
            }
            (false, true) => format!("staged {release} at {place}: {summary}"),
            (false, false) => format!("published {release} to {place}: {summary}"),
        });
        let below = match self.staging {
            true => format!("/{STAGING}"),
            false => String::new(),
        };
        let seen = client::look(
            self.arguments,
            self.place,
            &below,
            source,
            self.own,
            self.destination,
        )?;
        self.tell(Some(&seen))?;
        Ok(match seen {
            ClientCheck::Broken { .. } => Outcome::Unproven,
            ClientCheck::Whole { .. } | ClientCheck::NotLooked(_) => Outcome::Done,
        })
    }

    /// What a package with other content under the same name means for those who read the one that is there.
    fn warn_of_packages(&self) {
        let anew: Vec<&str> = self.plan.anew().collect();
        let Some(first) = anew.first() else {
            return;
        };
        ui::warn(&format!(
            "warning: {} packages take the place of others of the same name with other content, such as {first}: clients fail until they have \
             fetched the new metadata (`dnf makecache --refresh`)",
            anew.len()
        ));
        let differs = |release: &&Release| {
            let listed = anew.iter().filter_map(|path| release.file(path));
            let sent = |path: &str| self.plan.sent().find(|put| put.path == path);
            release.id != self.plan.release
                && listed
                    .into_iter()
                    .any(|file| sent(&file.path).is_some_and(|put| put.sha256 != file.sha256))
        };
        if let Some(staged) = self.staged.filter(differs) {
            ui::warn(&format!(
                "warning: {}, which is staged there, has the old ones, and cannot be promoted any more: stage it anew",
                staged.id
            ));
        }
    }

    fn summary(&self) -> String {
        let plan = self.plan;
        let removed = plan.removed().count();
        let beside = self.destination.beside();
        let sizes = beside.iter().map(|it| Some(it.size));
        let sizes: Vec<Option<u64>> = plan.sent().map(|put| put.size).chain(sizes).collect();
        let mut text = match sizes.is_empty() {
            true => "everything was there".to_owned(),
            false => format!("{} sent", amount(sizes.into_iter())),
        };
        if let Some(old) = &plan.replaces {
            let stays = match (self.staging, plan.anew().next()) {
                (true, _) => "there",
                (false, None) => "which stays for clients that have its metadata",
                (false, Some(_)) => "whose metadata does not fit any more (see the warning)",
            };
            text.push_str(&format!("; it replaces {old}, {stays}"));
        }
        if removed > 0 {
            text.push_str(&format!("; {removed} old ones removed"));
        }
        text
    }

    /// The result, for machines or, of a dry run, for people.
    fn tell(&self, seen: Option<&ClientCheck>) -> anyhow::Result<()> {
        let plan = self.plan;
        let removed: Vec<&str> = plan.removed().collect();
        let beside = self.destination.beside();
        if self.arguments.target.json {
            let one = |path: &str, size: Option<u64>, replaces: bool| serde_json::json!({ "path": path, "size": size, "replaces": replaces });
            let puts = plan.sent();
            let puts = puts.map(|put| one(&put.path, put.size, put.replaces));
            let beside = beside.iter();
            let beside = beside.map(|it| one(&it.path, Some(it.size), it.replaces));
            let sent: Vec<_> = beside.chain(puts).collect();
            let result = serde_json::json!({
                "format": FORMAT,
                "to": self.place.to_string(),
                "staging": self.staging,
                "release": plan.release,
                "replaces": plan.replaces,
                "dry_run": self.arguments.dry_run,
                "sent": sent,
                "removed": removed,
                "client": seen.map(ClientCheck::json),
            });
            ui::print(&serde_json::to_string_pretty(&result)?);
            return Ok(());
        }
        if self.arguments.dry_run {
            let line = |path: &str, bytes: Option<u64>, replaces: bool| {
                let word = if replaces { "replace" } else { "send" };
                let bytes = bytes.map_or_else(|| "old".to_owned(), size);
                ui::print(&format!("{word:8}{bytes:>9}  {path}"));
            };
            for it in &beside {
                line(&it.path, Some(it.size), it.replaces);
            }
            for put in plan.sent() {
                line(&put.path, put.size, put.replaces);
            }
            for path in removed {
                ui::print(&format!("remove            {path}"));
            }
            let word = if self.staging { "staged" } else { "published" };
            ui::say(&format!(
                "nothing was sent: {} would be {word} {} {}: {}",
                plan.release,
                if self.staging { "at" } else { "to" },
                self.place,
                self.summary()
            ));
        }
        Ok(())
    }
}

/// The version of the format of the result for machines.
const FORMAT: u32 = 1;

fn perform(destination: &dyn Destination, step: &Step, files: &Files<'_>) -> anyhow::Result<()> {
    match step {
        Step::Put(puts) => {
            ui::say(&format!(
                "sending {}",
                amount(puts.iter().map(|put| put.size))
            ));
            let with_source: Vec<(PathBuf, &Upload)> = puts
                .iter()
                .map(|put| match &put.origin {
                    Origin::Tree(path) => (files.tree.join(path), put),
                    Origin::Published(path) => (files.published.join(path), put),
                })
                .collect();
            destination.put(&with_source)
        }
        Step::Link(links) => destination.link(links),
        Step::TakeOver(links) => destination.take_over(links),
        Step::Probe(path) => destination.probe(path),
        Step::Complete(wanted) => complete(destination, wanted),
        Step::Switch { link, to } => {
            destination.settle()?;
            destination.link(&BTreeMap::from([((*link).to_owned(), to.clone())]))
        }
        Step::Remove(paths) => {
            // Clients read the new release by now: what cannot be removed is no reason to fail.
            if let Err(error) = destination.remove(paths) {
                ui::warn(&format!(
                    "warning: what is not needed any more is still there: {error:#}; the next publish removes it"
                ));
            }
            Ok(())
        }
    }
}

/// That everything has come as it was sent, and that nobody removed it meanwhile.
fn complete(destination: &dyn Destination, wanted: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let listing = destination.list()?;
    let missing = wanted.iter().find(|(path, size)| {
        !matches!(listing.get(*path), Some(RemoteEntry::File { size: there, .. }) if there == *size)
    });
    match missing {
        None => Ok(()),
        Some((path, size)) => anyhow::bail!(advised(
            format!(
                "{path} is not at the destination with its {size} bytes, although it was sent: another run may be publishing there"
            ),
            "run the same command again"
        )),
    }
}

fn amount(sizes: impl Iterator<Item = Option<u64>>) -> String {
    let (mut files, mut bytes) = (0, 0);
    for size in sizes {
        files += 1;
        bytes += size.unwrap_or_default();
    }
    format!("{files} files, {}", size(bytes))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}
