//! The table, for people, for scripts and for `docs/performance.md`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result as Fallible};
use lustre_packaging::process;
use serde_json::{Value, json};

use crate::measure::Measured;
use crate::rows::{Memory, Row};
use crate::statistics::{median, spread};
use crate::world::{THREADS, World};

/// Lines between which `docs/performance.md` has the table.
const BEGIN: &str = "<!-- made by `cargo xtask bench --write docs/performance.md` -->";
const END: &str = "<!-- end -->";

/// What became of a row.
pub enum Result {
    Measured(Figures),
    /// It could not be measured here: why.
    NotRun(String),
}

/// The figures of a row.
pub struct Figures {
    /// Median seconds, and their spread.
    ours: (f64, f64),
    theirs: Option<(f64, f64)>,
    /// How many times as fast ours is, and the noise of that.
    ratio: Option<(f64, f64)>,
    /// The most memory, in KiB.
    memory: u64,
    their_memory: Option<u64>,
    /// Whether the goal is reached.
    met: bool,
    /// Why the bench fails, where it does.
    fallen: Option<String>,
}

impl Result {
    pub fn of(row: &Row, short: bool, measured: &Measured) -> Self {
        let of = |seconds: &[f64]| (median(seconds), spread(seconds));
        let ours = of(&measured.ours.seconds);
        let memory = measured.ours.memory;
        let their_memory = measured.theirs.as_ref().map(|taken| taken.memory);
        let ratio = measured.ratio();
        let fast = match ratio {
            Some((ratio, _)) => row.goal.is_none_or(|goal| ratio >= goal),
            None => row.goal_seconds.is_none_or(|goal| ours.0 <= goal),
        };
        let small = match row.memory {
            Some(Memory::Megabytes(most)) => megabytes(memory) <= most,
            Some(Memory::Peer) => their_memory.is_none_or(|theirs| memory <= theirs),
            None => true,
        };
        Self::Measured(Figures {
            ours,
            theirs: measured.theirs.as_ref().map(|taken| of(&taken.seconds)),
            ratio,
            memory,
            their_memory,
            met: fast && small,
            fallen: fallen(row, short, ours, ratio),
        })
    }

    /// In a few words.
    pub fn line(&self) -> String {
        match self {
            Self::NotRun(why) => format!("not measured: {why}"),
            Self::Measured(figures) => figures.line(),
        }
    }
}

/// Why a row fails: it is beyond its bound by more than its rounds differ.
fn fallen(row: &Row, short: bool, ours: (f64, f64), ratio: Option<(f64, f64)>) -> Option<String> {
    if let Some((ratio, noise)) = ratio {
        let floor = row.floor(short)?;
        let peer = row.peer.as_deref().unwrap_or_default();
        return (ratio + noise < floor).then(|| {
            format!(
                "{} is {ratio:.2} times as fast as {peer} (noise {noise:.2}), and at least {floor} is required",
                row.name
            )
        });
    }
    let ceiling = row.ceiling_seconds?;
    let (seconds, noise) = ours;
    (seconds - noise > ceiling).then(|| {
        format!(
            "{} takes {seconds:.2} s (noise {noise:.2}), and at most {ceiling} is allowed",
            row.name
        )
    })
}

impl Figures {
    fn line(&self) -> String {
        let mut line = format!("{}, {:.0} MB", seconds(self.ours), megabytes(self.memory));
        if let (Some(theirs), Some(memory)) = (self.theirs, self.their_memory) {
            line += &format!("; theirs {}, {:.0} MB", seconds(theirs), megabytes(memory));
        }
        if let Some((ratio, noise)) = self.ratio {
            line += &format!("; {ratio:.2} times as fast, ± {noise:.2}");
        }
        line
    }
}

fn seconds((median, spread): (f64, f64)) -> String {
    format!("{median:.2} s ± {spread:.2}")
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// All rows, and what they were measured with.
pub struct Report {
    facts: Vec<(&'static str, String)>,
    short: bool,
    rounds: usize,
    rows: Vec<(Row, Result)>,
}

impl Report {
    pub fn new(world: &World) -> Fallible<Self> {
        Ok(Self {
            facts: facts(world)?,
            short: world.options.short,
            rounds: world.options.rounds,
            rows: Vec::new(),
        })
    }

    pub fn add(&mut self, row: &Row, result: Result) {
        self.rows.push((row.clone(), result));
    }

    /// What is wrong with the rows that are below their floors.
    pub fn fallen(&self) -> Vec<&str> {
        let all = self.rows.iter().filter_map(|(_, result)| match result {
            Result::Measured(figures) => figures.fallen.as_deref(),
            Result::NotRun(_) => None,
        });
        all.collect()
    }

    /// A table in Markdown, which is plain text enough for a terminal.
    pub fn table(&self) -> String {
        let mut cells = vec![
            [
                "bench",
                "work",
                "beside",
                "ours",
                "theirs",
                "times as fast",
                "goal",
                "memory",
                "theirs",
                "",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for (row, result) in &self.rows {
            let mut line = vec![
                row.name.clone(),
                row.what(self.short).to_owned(),
                row.peer.clone().unwrap_or_else(|| "–".to_owned()),
            ];
            let goal = match (row.goal, row.goal_seconds) {
                (Some(goal), _) => format!("{goal}"),
                (None, Some(most)) => format!("{most} s"),
                (None, None) => "–".to_owned(),
            };
            let none = || "–".to_owned();
            match result {
                Result::Measured(figures) => line.extend([
                    seconds(figures.ours),
                    figures.theirs.map_or_else(none, seconds),
                    figures
                        .ratio
                        .map_or_else(none, |(ratio, noise)| format!("{ratio:.2} ± {noise:.2}")),
                    goal,
                    memory(figures.memory),
                    figures.their_memory.map_or_else(none, memory),
                    if figures.met { "reached" } else { "missed" }.to_owned(),
                ]),
                Result::NotRun(why) => line.extend([
                    none(),
                    none(),
                    none(),
                    goal,
                    none(),
                    none(),
                    format!("not measured: {why}"),
                ]),
            }
            cells.push(line);
        }
        let mut text = aligned(&cells);
        text.push('\n');
        for (name, value) in &self.facts {
            text += &format!("- {name}: {value}\n");
        }
        text
    }

    pub fn json(&self) -> Fallible<String> {
        let rows: Vec<Value> = self.rows.iter().map(|(row, result)| {
            let mut value = json!({
                "name": row.name,
                "what": row.what(self.short),
                "peer": row.peer,
                "goal": row.goal,
                "goal_seconds": row.goal_seconds,
                "floor": row.floor(self.short),
                "ceiling_seconds": row.ceiling_seconds,
            });
            let more = match result {
                Result::NotRun(why) => json!({ "result": "not run", "why": why }),
                Result::Measured(figures) => json!({
                    "result": if figures.fallen.is_some() { "fail" } else if figures.met { "reached" } else { "missed" },
                    "seconds": figures.ours.0,
                    "spread": figures.ours.1,
                    "memory_kib": figures.memory,
                    "peer_seconds": figures.theirs.map(|it| it.0),
                    "peer_spread": figures.theirs.map(|it| it.1),
                    "peer_memory_kib": figures.their_memory,
                    "ratio": figures.ratio.map(|it| it.0),
                    "noise": figures.ratio.map(|it| it.1),
                }),
            };
            if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
                value.extend(more);
            }
            value
        }).collect();
        let facts: serde_json::Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
            .collect();
        let all = json!({
            "facts": facts,
            "short": self.short,
            "rounds": self.rounds,
            "rows": rows,
        });
        Ok(serde_json::to_string_pretty(&all)?)
    }

    /// Puts the table in place of the one in a file.
    pub fn write(&self, path: &Path) -> Fallible<()> {
        let new = replaced_in(path, &self.table())?;
        fs::write(path, new).with_context(|| format!("write {}", path.display()))
    }
}

/// Checks that a file has a place for the table, and can be written.
pub fn check(path: &Path) -> Fallible<()> {
    replaced_in(path, "")?;
    let opened = fs::OpenOptions::new().append(true).open(path);
    opened.with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

/// The text of a file with another table.
fn replaced_in(path: &Path, table: &str) -> Fallible<String> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}, into which the table is to be put",
            path.display()
        )
    })?;
    replaced(&text, table).with_context(|| {
        format!(
            "{} has no place for the table: the lines `{BEGIN}` and `{END}`",
            path.display()
        )
    })
}

/// The text with another table between the two lines.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn memory(kib: u64) -> String {
    format!("{:.0} MB", megabytes(kib))
}

/// Lines of cells as a Markdown table whose columns are as wide as their widest cell.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            text += &format!("| {cell:<width$} ");
        }
        text += "|\n";
        if at == 0 {
            for width in &widths {
                text += &format!("|{}", "-".repeat(width + 2));
            }
            text += "|\n";
        }
    }
    text
}

/// The machine, the day and the versions.
fn facts(world: &World) -> Fallible<Vec<(&'static str, String)>> {
    let first = |command: &mut Command| -> Fallible<String> {
        let said = process::output(command)?;
        let said = String::from_utf8_lossy(&said).into_owned();
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    };
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line
            .unwrap_or_default()
            .trim_start_matches([':', '=', ' ', '\t']);
        value.trim().trim_matches('"').to_owned()
    };
    let processors = std::thread::available_parallelism()?.get();
    let memory = field("/proc/meminfo", "MemTotal");
    let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let today = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let today = lustre_packaging::sign::utc(today);
    let profile = if cfg!(debug_assertions) {
        "dev, as `cargo xtask` has it"
    } else {
        "release"
    };
    let createrepo = world.createrepo()?;
    Ok(vec![
        ("date", today.chars().take(10).collect()),
        (
            "machine",
            format!(
                "{}, {processors} processors, {:.0} GB of memory",
                field("/proc/cpuinfo", "model name"),
                megabytes(memory) / 1000.0,
            ),
        ),
        (
            "system",
            format!(
                "{}, Linux {}",
                field("/etc/os-release", "PRETTY_NAME"),
                fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
            ),
        ),
        ("profile", profile.to_owned()),
        (
            "threads",
            format!("{THREADS} on either side where both can have several"),
        ),
        (
            "rounds",
            format!("{}, in turn; medians", world.options.rounds),
        ),
        (
            "createrepo_c",
            first(Command::new(&createrepo.program).arg("--version"))?,
        ),
        ("rpm", first(Command::new("rpm").arg("--version"))?),
        ("dnf", first(Command::new("dnf").arg("--version"))?),
        ("gpg", first(Command::new("gpg").arg("--version"))?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::SideCost;

    fn row() -> Row {
        toml::from_str(
            "name = 'x'\nwhat = 'y'\nshort = 'z'\npeer = 'p'\ngoal = 3.0\nfloor = 2.0\nshort_floor = 1.5\nmemory = 'peer'",
        )
        .unwrap()
    }

    fn measured(ours: &[f64], theirs: &[f64]) -> Measured {
        let taken = |seconds: &[f64], memory| SideCost {
            seconds: seconds.to_vec(),
            memory,
            output: Vec::new(),
        };
        Measured {
            ours: taken(ours, 10),
            theirs: Some(taken(theirs, 20)),
        }
    }

    fn figures(short: bool, ours: &[f64], theirs: &[f64]) -> Figures {
        match Result::of(&row(), short, &measured(ours, theirs)) {
            Result::Measured(figures) => figures,
            Result::NotRun(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_row_falls_by_more_than_its_noise() {
        let good = figures(false, &[1.0, 1.0, 1.0], &[3.0, 3.1, 3.2]);
        assert!(good.met && good.fallen.is_none());
        let slow = figures(false, &[1.0, 1.0, 1.0], &[1.7, 1.8, 1.9]);
        let said = slow.fallen.unwrap();
        assert!(
            said.contains("1.80 times as fast as p") && said.contains("at least 2"),
            "{said}"
        );
        let unsure = figures(false, &[1.0, 1.0, 1.0], &[1.5, 1.8, 2.1]);
        assert!(unsure.fallen.is_none() && !unsure.met);
        let short = figures(true, &[1.0, 1.0, 1.0], &[1.7, 1.8, 1.9]);
        assert!(short.fallen.is_none());
    }

    #[test]
    fn without_a_peer_seconds_count() {
        let row: Row =
            toml::from_str("name = 'x'\nwhat = 'y'\ngoal_seconds = 0.5\nceiling_seconds = 1.0")
                .unwrap();
        let of = |seconds: &[f64]| {
            let mut measured = measured(seconds, &[]);
            measured.theirs = None;
            let Result::Measured(figures) = Result::of(&row, false, &measured) else {
                panic!("not measured");
            };
            (figures.met, figures.fallen.is_some())
        };
        assert_eq!(of(&[0.3, 0.4, 0.5]), (true, false));
        assert_eq!(of(&[0.8, 0.9, 0.9]), (false, false));
        assert_eq!(of(&[1.1, 1.2, 1.2]), (false, true));
    }

    #[test]
    fn more_memory_than_the_peer_has_misses_the_goal() {
        let mut measured = measured(&[1.0], &[4.0]);
        measured.ours.memory = 21;
        let Result::Measured(figures) = Result::of(&row(), false, &measured) else {
            panic!("not measured");
        };
        assert!(!figures.met && figures.fallen.is_none());
    }

    #[test]
    fn the_table_takes_the_place_of_the_one_before() {
        let text = format!("Before\n{BEGIN}\nold\n{END}\nAfter\n");
        let new = replaced(&text, "new\n").unwrap();
        assert_eq!(new, format!("Before\n{BEGIN}\n\nnew\n\n{END}\nAfter\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("no place", "new").is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.md");
        assert!(
            check(&path)
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
        fs::write(&path, "no place").unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("no place"));
        fs::write(&path, &text).unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
