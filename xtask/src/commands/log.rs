//! `cargo xtask log`

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::store::{Store, Uses};

use crate::cli::LogArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::graph::name;
use crate::ui;

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Log {
    path: PathBuf,
    written: SystemTime,
    bytes: u64,
}

impl Log {
    /// The log at `path`, where there is one.
    fn at(path: PathBuf) -> anyhow::Result<Option<Self>> {
        let about = lustre_files::if_there(std::fs::metadata(&path))
            .with_context(|| path.display().to_string())?;
        let Some(about) = about.filter(std::fs::Metadata::is_file) else {
            return Ok(None);
        };
        let written = about.modified().unwrap_or(UNIX_EPOCH);
        Ok(Some(Self {
            path,
            written,
            bytes: about.len(),
        }))
    }

    fn json(&self, stage: &str) -> serde_json::Value {
        let written = self.written.duration_since(UNIX_EPOCH);
        serde_json::json!({
            "stage": stage,
            "path": self.path,
            "written": written.map_or(0, |since| since.as_secs()),
            "bytes": self.bytes,
        })
    }
}

/// Prints the newest log of a stage, or only where it is; lists all logs of the target where no stage is named.
pub fn run(arguments: &LogArgs) -> anyhow::Result<Outcome> {
    let context = Context::read_only(&arguments.target, "cargo xtask log")?;
    let target = context.target.argument();
    let uses = context.store.all_uses()?;
    let uses = uses.into_iter().find(|uses| uses.target == target);
    let logs = logs(&context.store, &uses.unwrap_or_default())?;
    let json = context.arguments.json;
    let Some(stage) = &arguments.stage else {
        list(&logs, json)?;
        return Ok(Outcome::Done);
    };
    let Some(log) = logs.get(stage.as_str()) else {
        let names: Vec<&str> = logs.keys().map(String::as_str).collect();
        let next = if names.is_empty() {
            format!("`cargo xtask repo --target {target}` runs its stages")
        } else {
            format!("available logs: {}", names.join(", "))
        };
        let what = format!(
            "target `{target}` has no log of a stage `{stage}` in {}: a stage without output has none",
            context.store.root().display()
        );
        return Err(advised(what, next).into());
    };
    if json {
        ui::print(&serde_json::to_string_pretty(&log.json(stage))?);
    } else if arguments.path {
        ui::print(&log.path.display().to_string());
    } else {
        show(&log.path, &mut |text| ui::print(text))
            .with_context(|| log.path.display().to_string())?;
    }
    Ok(Outcome::Done)
}

/// How much of a log is shown at a time; a longer line goes on in the next one.
const PIECE: usize = 64 << 10;

/// Hands on the log at `path` in pieces of whole lines, as far as it is written now: how large it is, and how long its lines are, is up to
/// what is built.
fn show(path: &Path, shown: &mut dyn FnMut(&str)) -> io::Result<()> {
    let file = lustre_files::open(path)?;
    let size = file.metadata()?.len();
    let mut rest = file.take(size);
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        let room = (PIECE - piece.len()) as u64;
        let read = rest.by_ref().take(room).read_to_end(&mut piece)?;
        let end = match read {
            0 => piece.len(),
            _ => end_of_lines(&piece),
        };
        let text = String::from_utf8_lossy(&piece[..end]);
        if !text.is_empty() {
            shown(text.strip_suffix('\n').unwrap_or(&text));
        }
        if read == 0 {
            return Ok(());
        }
        piece.drain(..end);
    }
}

/// How much of `piece` can be shown: up to the end of its last line, or all of a line that fills it, but for half a character.
fn end_of_lines(piece: &[u8]) -> usize {
    if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
        return last + 1;
    }
    if piece.len() < PIECE {
        return 0;
    }
    // A character has at most four bytes, and all but the first begin with the bits 10.
    let begin = piece.iter().rposition(|byte| byte & 0xc0 != 0x80);
    begin
        .filter(|begin| piece.len() - begin < 4)
        .unwrap_or(piece.len())
}

fn list(logs: &BTreeMap<String, Log>, json: bool) -> anyhow::Result<()> {
    if json {
        let all: Vec<_> = logs.iter().map(|(stage, log)| log.json(stage)).collect();
        ui::print(&serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for (stage, log) in logs {
        ui::print(&format!("{stage:16} {}", log.path.display()));
    }
    if logs.is_empty() {
        ui::say("this target has no logs");
    }
    Ok(())
}

/// The newest log of every stage that the target used, or began. Those of proofs are the store's: each run writes them anew.
fn logs(store: &Store, uses: &Uses) -> anyhow::Result<BTreeMap<String, Log>> {
    let mut logs: BTreeMap<String, Log> = BTreeMap::new();
    let mut add = |stage: &str, path: PathBuf| -> anyhow::Result<()> {
        if let Some(log) = Log::at(path)? {
            let newest = logs.entry(stage.to_owned()).or_insert_with(|| log.clone());
            if log.written > newest.written {
                *newest = log;
            }
        }
        Ok(())
    };
    let folder = store.logs_dir();
    let of_stage = uses.stages.iter().chain(&uses.begun);
    let before = uses.superseded.iter().filter_map(|path| {
        let (stage, _) = path.strip_prefix("stages/")?.rsplit_once('-')?;
        Some((stage, path))
    });
    let all = of_stage.map(|(stage, path)| (stage.as_str(), path));
    for (stage, path) in all.chain(before) {
        let place = Path::new(path).file_name().unwrap_or_default();
        add(
            stage,
            folder.join(format!("{}.log", place.to_string_lossy())),
        )?;
    }
    let listed = lustre_files::if_there(std::fs::read_dir(&folder))
        .with_context(|| folder.display().to_string())?;
    for item in listed.into_iter().flatten() {
        let path = item.with_context(|| folder.display().to_string())?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(proof) = file.strip_suffix(".log").and_then(proof) {
            add(proof, path.clone())?;
        }
    }
    Ok(logs)
}

/// The proof that a log called `name` is of, where it is of one: `prove-install`, `boot-console`.
fn proof(name: &str) -> Option<&str> {
    let (first, rest) = name.split_once('-')?;
    let key = rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    ([name::PROVE, name::BOOT].contains(&first) && !key).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stage_has_the_newest_log_that_a_run_of_its_target_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
        let write = |name: &str, age: u64| {
            let path = store.logs_dir().join(format!("{name}.log"));
            fs::write(&path, name).unwrap();
            let file = File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        let key = |letter: char| -> String { std::iter::repeat_n(letter, 16).collect() };
        let [a, b, c] = ['a', 'b', 'c'].map(key);
        // The last run began one and failed; another target used `c`.
        write(&format!("kernel-{a}"), 30);
        write(&format!("kernel-{b}"), 10);
        write(&format!("kernel-{c}"), 1);
        write("prove-install", 5);
        write("gpg", 5);
        let mut uses = Uses::default();
        uses.stage("kernel", &format!("kernel-{a}"));
        uses.begins("kernel", &format!("kernel-{b}"));
        uses.stage("lustre", &format!("lustre-{a}"));
        let found = logs(&store, &uses).unwrap();
        let names: Vec<&String> = found.keys().collect();
        assert_eq!(names, ["kernel", "prove-install"]);
        let kernel = found["kernel"].path.file_name().unwrap();
        assert_eq!(kernel, format!("kernel-{b}.log").as_str());
        // What took its place does not hide it where it left no log itself.
        let mut later = uses.clone();
        later.stage("kernel", &format!("kernel-{}", key('d')));
        let found = logs(&store, &later).unwrap();
        let kernel = found["kernel"].path.file_name().unwrap();
        assert_eq!(kernel, format!("kernel-{b}.log").as_str());
    }

    #[test]
    fn a_log_is_shown_in_pieces_however_large_it_is_and_long_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kernel.log");
        let show = |text: &[u8]| -> Vec<String> {
            fs::write(&path, text).unwrap();
            let mut pieces = Vec::new();
            super::show(&path, &mut |piece| {
                // What is no text takes three bytes for one.
                assert!(piece.len() <= 3 * PIECE, "{}", piece.len());
                pieces.push(piece.to_owned());
                // What is built writes on.
                let mut log = File::options().append(true).open(&path).unwrap();
                log.write_all(&[b'x'; 2 * PIECE]).unwrap();
            })
            .unwrap();
            pieces
        };
        assert_eq!(show(b""), Vec::<String>::new());
        assert_eq!(show(b"one\n\ntwo"), ["one\n", "two"]);
        assert_eq!(show(b"one\ntwo\n\n"), ["one\ntwo\n"]);
        let lines: String = (0..50_000).map(|line| format!("line {line}\n")).collect();
        let pieces = show(lines.as_bytes());
        assert!(pieces.len() > 5, "{}", pieces.len());
        assert_eq!(pieces.join("\n") + "\n", lines);
        // Not in the middle of a character.
        let long = format!("a{}\nend\n", "漢".repeat(100_000));
        let pieces = show(long.as_bytes());
        assert_eq!(pieces.concat(), long.trim_end());
        let no_text = [0x80; PIECE + 1];
        assert_eq!(show(&no_text).concat().chars().count(), PIECE + 1);
    }
}
