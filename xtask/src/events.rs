//! The event stream for machines, `--message-format json`: one JSON object a line on standard output, as `docs/schema/events.schema.json` has
//! them. New kinds and keys may be added; where one goes or changes, [`FORMAT`] is raised.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lustre_packaging::stage;
use serde::Serialize;
use serde_json::Value;

/// The version of the stream.
pub const FORMAT: u32 = 1;

/// One line of the stream.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'e> {
    /// A stage begins.
    StageStarted { stage: &'e str, log: Cow<'e, str> },
    /// A stage was found in the store.
    StageCached {
        stage: &'e str,
        folder: Cow<'e, str>,
    },
    /// What the store has of a stage is no longer as it was, and is made again.
    StageDamaged { stage: &'e str, why: &'e str },
    /// A stage ended well.
    StageFinished {
        stage: &'e str,
        folder: Cow<'e, str>,
        log: Option<String>,
        seconds: f64,
    },
    /// A stage failed, or was interrupted.
    StageFailed {
        stage: &'e str,
        log: Option<String>,
        seconds: f64,
    },
    /// A stage was taken from a shared store.
    StageTaken {
        stage: &'e str,
        folder: Cow<'e, str>,
        from: &'e str,
        signer: &'e str,
        seconds: f64,
    },
    /// A stage could not be taken from there, and is made here.
    StageNotTaken { stage: &'e str, why: &'e str },
    /// A stage was put there; without its files for the reason given.
    StageShared {
        stage: &'e str,
        without: Option<&'e str>,
    },
    /// A stage could not be put there.
    StageNotShared { stage: &'e str, why: &'e str },
    /// A further tenth of what is fetched has come.
    Fetched {
        files: usize,
        of_files: usize,
        bytes: u64,
        of_bytes: u64,
        seconds: f64,
    },
    /// What the command would have written to standard output: a value where it is JSON.
    Output { value: Value },
    /// What failed, its causes, the log, and what to do next.
    Error { part: &'e str, text: &'e str },
    /// The command is over: the last line.
    Ended { result: &'e str, exit_code: u8 },
}

#[derive(Serialize)]
struct Line<'e> {
    format: u32,
    #[serde(flatten)]
    event: Event<'e>,
}

fn line(event: Event<'_>) -> String {
    let line = Line {
        format: FORMAT,
        event,
    };
    // Only a path that is not UTF-8 cannot be said, and paths are said by `said`.
    serde_json::to_string(&line).unwrap_or_else(|error| {
        let text = error.to_string();
        let part = "error";
        serde_json::json!({ "format": FORMAT, "event": "error", "part": part, "text": text })
            .to_string()
    })
}

/// A path as text, with a replacement for what of it is not UTF-8.
fn said(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// What has come, or is to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files, all of them.
    pub files: usize,
    /// Bytes, also of files that are not complete.
    pub bytes: u64,
}

/// What is known of the stages that run, or ran.
#[derive(Debug, Default)]
pub struct Running {
    begun: Mutex<BTreeMap<String, (PathBuf, Instant)>>,
    /// Where those are that were found or made.
    over: Mutex<BTreeMap<String, PathBuf>>,
}

impl Running {
    /// Whether an event tells something new: that a stage is found in the store is told once, and not of what this run made.
    pub fn is_news(&self, event: &stage::Event<'_>) -> bool {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            stage::Event::Cached { stage, folder }
            | stage::Event::Finished { stage, folder, .. }
            | stage::Event::Taken { stage, folder, .. } => {
                let before = over.insert(stage.to_owned(), folder.to_owned());
                !matches!(event, stage::Event::Cached { .. }) || before.as_deref() != Some(folder)
            }
            stage::Event::Started { stage, .. }
            | stage::Event::Damaged { stage, .. }
            | stage::Event::Failed { stage } => {
                over.remove(stage);
                true
            }
            stage::Event::NotTaken { .. }
            | stage::Event::Given { .. }
            | stage::Event::NotGiven { .. } => true,
        }
    }

    /// The line for what happened to a stage.
    pub fn line(&self, event: &stage::Event<'_>) -> String {
        let mut running = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = |stage: &str| {
            let (log, since) = running.remove(stage).unzip();
            let seconds = since.map_or(0.0, |since| since.elapsed().as_secs_f64());
            let log = log.filter(|log| log.exists());
            (log.map(|log| said(&log).into_owned()), seconds)
        };
        line(match *event {
            stage::Event::Started { stage, log, .. } => {
                let begun = (log.to_owned(), Instant::now());
                running.insert(stage.to_owned(), begun);
                let log = said(log);
                Event::StageStarted { stage, log }
            }
            stage::Event::Cached { stage, folder } => {
                let folder = said(folder);
                Event::StageCached { stage, folder }
            }
            stage::Event::Damaged { stage, why } => Event::StageDamaged { stage, why },
            stage::Event::Finished {
                stage,
                folder,
                took,
            } => Event::StageFinished {
                stage,
                folder: said(folder),
                log: over(stage).0,
                seconds: took.as_secs_f64(),
            },
            stage::Event::Taken {
                stage,
                folder,
                taken,
                took,
            } => Event::StageTaken {
                stage,
                folder: said(folder),
                from: &taken.from,
                signer: &taken.signer,
                seconds: took.as_secs_f64(),
            },
            stage::Event::NotTaken { stage, why } => Event::StageNotTaken { stage, why },
            stage::Event::Given { stage, without } => Event::StageShared { stage, without },
            stage::Event::NotGiven { stage, why } => Event::StageNotShared { stage, why },
            stage::Event::Failed { stage } => {
                let (log, seconds) = over(stage);
                Event::StageFailed {
                    stage,
                    log,
                    seconds,
                }
            }
        })
    }
}

/// The line for how far fetching is.
pub fn fetched(come: Amount, all: Amount, took: Duration) -> String {
    line(Event::Fetched {
        files: come.files,
        of_files: all.files,
        bytes: come.bytes,
        of_bytes: all.bytes,
        seconds: took.as_secs_f64(),
    })
}

/// The line for what a command writes.
pub fn output(text: &str) -> String {
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    line(Event::Output { value })
}

/// The line for a part of an error.
pub fn error(part: &str, text: &str) -> String {
    line(Event::Error { part, text })
}

/// The last line.
pub fn ended(exit_code: u8) -> String {
    let result = match exit_code {
        0 => "done",
        2 => "usage",
        3 => "unproven",
        130 => "interrupted",
        _ => "failed",
    };
    line(Event::Ended { result, exit_code })
}

#[cfg(test)]
mod tests {
    use lustre_packaging::store::SharedOrigin;

    use super::*;

    /// The schema's own list of events: what is here and what is there are the same.
    #[test]
    fn every_event_is_as_the_schema_has_it() {
        let schema = crate::invocation::checkout()
            .unwrap()
            .join("docs/schema/events.schema.json");
        let schema: Value =
            serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
        let described = |name: &Value| {
            let all = schema["oneOf"].as_array().unwrap();
            let one = all
                .iter()
                .find(|one| one["properties"]["event"]["const"] == *name);
            one.unwrap_or_else(|| panic!("{name} is not described"))
        };
        let running = Running::default();
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("kernel.log");
        std::fs::write(&log, "it ran").unwrap();
        let place = Path::new("/store/stages/kernel-0123456789abcdef");
        let started = |stage| stage::Event::Started {
            stage,
            folder: place,
            log: &log,
        };
        let lines = [
            running.line(&stage::Event::Cached {
                stage: "bootstrap",
                folder: place,
            }),
            running.line(&stage::Event::Damaged {
                stage: "bootstrap",
                why: "a file is gone",
            }),
            running.line(&started("kernel")),
            running.line(&stage::Event::Finished {
                stage: "kernel",
                folder: place,
                took: Duration::from_millis(1500),
            }),
            running.line(&started("lustre")),
            running.line(&stage::Event::Failed { stage: "lustre" }),
            running.line(&stage::Event::Taken {
                stage: "kernel",
                folder: place,
                taken: &SharedOrigin {
                    from: "/srv/shared".to_owned(),
                    signer: "0123456789ABCDEF".to_owned(),
                },
                took: Duration::from_millis(1500),
            }),
            running.line(&stage::Event::NotTaken {
                stage: "kernel",
                why: "nobody signed it",
            }),
            running.line(&stage::Event::Given {
                stage: "kernel",
                without: None,
            }),
            running.line(&stage::Event::NotGiven {
                stage: "kernel",
                why: "the disk is full",
            }),
            fetched(
                Amount {
                    files: 1,
                    bytes: 10,
                },
                Amount {
                    files: 2,
                    bytes: 100,
                },
                Duration::from_millis(500),
            ),
            output("/srv/repo"),
            output("{\"a\": [1, 2]}"),
            error("error", "it broke"),
            ended(0),
            ended(3),
            ended(130),
        ];
        let mut kinds = std::collections::BTreeSet::new();
        let mut read = Vec::new();
        for text in &lines {
            let value: Value = serde_json::from_str(text).unwrap();
            let about = described(&value["event"]);
            assert_eq!(about["additionalProperties"], false);
            let keys = |of: &Value| -> Vec<String> {
                let of = of.as_object().unwrap();
                of.keys().cloned().collect()
            };
            // Keys are sorted, and all of them are required.
            assert_eq!(keys(&value), keys(&about["properties"]), "{text}");
            let required = about["required"].as_array().unwrap().len();
            assert_eq!(required, keys(&value).len(), "{text}");
            assert_eq!(value["format"], FORMAT);
            kinds.insert(value["event"].as_str().unwrap().to_owned());
            read.push(value);
        }
        assert_eq!(read[3]["seconds"], 1.5);
        assert_eq!(read[5]["log"], log.to_str().unwrap());
        assert_eq!(read[12]["value"]["a"][1], 2);
        let listed: std::collections::BTreeSet<String> = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let name = &one["properties"]["event"]["const"];
                name.as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(kinds, listed, "each is tried, and each is described");
    }

    #[test]
    fn what_is_in_the_store_is_told_once_and_not_of_what_this_run_made() {
        let running = Running::default();
        let (one, two) = (Path::new("/s/stages/a-1"), Path::new("/s/stages/a-2"));
        let cached = |folder| stage::Event::Cached { stage: "a", folder };
        assert!(running.is_news(&cached(one)));
        assert!(!running.is_news(&cached(one)));
        // Another of the same name is another.
        assert!(running.is_news(&cached(two)));
        let why = "a file is gone";
        assert!(running.is_news(&stage::Event::Damaged { stage: "a", why }));
        let made = stage::Event::Finished {
            stage: "a",
            folder: two,
            took: Duration::ZERO,
        };
        assert!(running.is_news(&made));
        assert!(!running.is_news(&cached(two)));
    }

    #[test]
    fn a_path_that_is_no_text_is_said_as_well_as_it_can_be() {
        use std::os::unix::ffi::OsStrExt as _;

        let place = Path::new(std::ffi::OsStr::from_bytes(b"/store/\xff/kernel"));
        let running = Running::default();
        for event in [
            stage::Event::Cached {
                stage: "kernel",
                folder: place,
            },
            stage::Event::Started {
                stage: "kernel",
                folder: place,
                log: place,
            },
            stage::Event::Finished {
                stage: "kernel",
                folder: place,
                took: Duration::ZERO,
            },
        ] {
            let line = running.line(&event);
            let value: Value = serde_json::from_str(&line).unwrap();
            let path = value.get("folder").or(value.get("log")).unwrap();
            assert_eq!(path, "/store/\u{fffd}/kernel");
        }
    }
}
