use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::store::{SharedOrigin, StageDir, StageState, Store};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    (dir, store)
}

fn stage<'a>(name: &str, needs: &[&str], input: &str, recipe: Recipe<'a>) -> Stage<'a> {
    Stage {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        inputs: vec![("input".to_owned(), input.to_owned())],
        whole: None,
        recipe,
    }
}

/// A recipe that writes `content` and counts its runs.
fn writes<'a>(content: &'a str, count: &'a AtomicUsize) -> Recipe<'a> {
    Box::new(move |work| {
        count.fetch_add(1, Ordering::SeqCst);
        std::fs::write(work.output.join("out"), content)?;
        Ok(())
    })
}

fn quiet(_: Event<'_>) {}

fn run(
    stages: &[Stage<'_>],
    store: &Store,
    options: Options,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    run_taking(&[], stages, store, options, tell)
}

#[test]
fn a_finished_stage_is_not_repeated_and_an_equal_output_stops_a_change() {
    let (_dir, store) = store();
    let (first, second) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for input in ["1", "1", "2"] {
        let graph = [
            stage("second", &["first"], "", writes("b", &second)),
            stage("first", &[], input, writes("a", &first)),
        ];
        let done = run(
            &graph,
            &store,
            Options {
                width: 2,
                remote: None,
                keeps: &[],
            },
            &quiet,
        )
        .unwrap();
        assert_eq!(done.len(), 2);
    }
    assert_eq!(first.load(Ordering::SeqCst), 2, "once for each input");
    assert_eq!(
        second.load(Ordering::SeqCst),
        1,
        "what it read never changed"
    );
}

#[test]
fn a_stage_is_finished_where_all_that_it_needs_is() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = |input: &'static str| {
        vec![
            stage("last", &["first"], "", writes("b", &count)),
            stage("first", &[], input, writes("a", &count)),
            stage("beside", &[], "", writes("c", &count)),
        ]
    };
    let finished = |name: &str, input| is_finished(name, &graph(input), &store).unwrap();
    assert!(!finished("last", "1"));
    run(
        &graph("1")[..2],
        &store,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
    assert!(finished("last", "1") && !finished("beside", "1"));
    // That it would put out the same, nobody knows before.
    assert!(!finished("last", "2") && !finished("first", "2"));
}

#[test]
fn what_a_run_would_use_is_known_before_what_it_needs_is_there() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = |first: &'static str, last: &'static str| {
        vec![
            stage("last", &["first"], last, writes("b", &count)),
            stage("first", &[], first, writes("a", &count)),
        ]
    };
    let names = |first, last| -> Vec<String> {
        let used = used(&graph(first, last), &store).unwrap().into_iter();
        used.map(|record| record.name).collect()
    };
    assert!(names("1", "1").is_empty());
    let options = Options {
        width: 1,
        remote: None,
        keeps: &[],
    };
    run(&graph("1", "1"), &store, options, &quiet).unwrap();
    assert_eq!(names("1", "1"), ["first", "last"]);
    assert_eq!(names("1", "2"), ["first"]);
    // It may put out the same once more.
    assert_eq!(names("2", "1"), ["last"]);
    assert!(names("2", "2").is_empty());
}

#[test]
fn a_record_is_read_again_where_it_is_another_file() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = [stage("one", &[], "", writes("a", &count))];
    let done = run(
        &graph,
        &store,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
    let record = done["one"].path.join(crate::store::RECORD);
    let stamp = || lustre_files::Stamp::of(&std::fs::metadata(&record).unwrap());
    while !stamp().is_settled() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let state = || store.stages().state("one", &done["one"].record.key);
    assert!(matches!(state(), StageState::Done(_)));
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"one\"", "\"two\"")).unwrap();
    assert!(matches!(state(), StageState::Damaged(_)));
}

#[test]
fn a_plan_says_what_would_run_and_why() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = |input: &'static str| {
        vec![
            stage("first", &[], input, writes("a", &count)),
            stage("second", &["first"], "", writes("b", &count)),
        ]
    };
    let states = |input| -> Vec<State> {
        let planned = plan(&graph(input), &store).unwrap();
        planned.into_iter().map(|one| one.state).collect()
    };
    assert_eq!(
        states("1"),
        [
            State::Runs("it has never run here".to_owned()),
            State::Runs("after first".to_owned())
        ]
    );
    run(
        &graph("1"),
        &store,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
    assert_eq!(states("1"), [State::Cached, State::Cached]);
    assert_eq!(states("2")[0], State::Runs("changed: input".to_owned()));
}

#[test]
fn a_failure_names_the_stage_leaves_nothing_and_stops_what_follows() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = [
        stage(
            "bad",
            &[],
            "",
            Box::new(|work| {
                std::fs::write(work.output.join("half"), "x")?;
                Err("the patch does not apply".into())
            }),
        ),
        stage("after", &["bad"], "", writes("b", &count)),
    ];
    let failed = Mutex::new(Vec::new());
    let error = run(
        &graph,
        &store,
        Options {
            width: 2,
            remote: None,
            keeps: &[],
        },
        &|event| {
            if let Event::Failed { stage } = event {
                failed.lock().unwrap().push(stage.to_owned());
            }
        },
    )
    .unwrap_err();
    assert!(
        matches!(&error, Error::Stage { stage, .. } if stage == "bad"),
        "{error}"
    );
    assert_eq!(*failed.lock().unwrap(), ["bad"]);
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert!(store.stages().list().unwrap().is_empty());
}

#[test]
fn independent_stages_run_at_the_same_time() {
    let (_dir, store) = store();
    let barrier = std::sync::Barrier::new(2);
    let meets = || -> Recipe<'_> {
        Box::new(|_| {
            // Returns only when the other stage is there too.
            barrier.wait();
            Ok(())
        })
    };
    let graph = [stage("a", &[], "", meets()), stage("b", &[], "", meets())];
    run(
        &graph,
        &store,
        Options {
            width: 2,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
}

#[test]
fn a_graph_that_cannot_run_says_why() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let missing = [stage("a", &["nobody"], "", writes("", &count))];
    let cycle = [
        stage("a", &["b"], "", writes("", &count)),
        stage("b", &["a"], "", writes("", &count)),
    ];
    for (graph, word) in [(&missing[..], "nobody"), (&cycle[..], "cycle")] {
        let error = plan(graph, &store).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_folder_too_large_to_hash_is_stood_for_by_a_file() {
    let (_dir, store) = store();
    let graph = [Stage {
        name: "root".to_owned(),
        needs: Vec::new(),
        inputs: Vec::new(),
        whole: Some(("root".to_owned(), "packages.txt".to_owned())),
        recipe: Box::new(|work| {
            std::fs::create_dir(work.output.join("root"))?;
            std::fs::write(
                work.output.join("root/anything"),
                work.scratch.display().to_string(),
            )?;
            std::fs::write(work.output.join("packages.txt"), "a-1-1\n")?;
            Ok(())
        }),
    }];
    let first = run(
        &graph,
        &store,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap()["root"]
        .record
        .digest();
    let (_other_dir, other) = self::store();
    let second = run(
        &graph,
        &other,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap()["root"]
        .record
        .digest();
    assert_eq!(first, second);
}

#[test]
fn a_mistake_in_a_recipe_is_a_failure_and_nobody_waits_for_ever() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = [
        stage(
            "mistaken",
            &[],
            "",
            Box::new(|_| panic!("index out of bounds")),
        ),
        stage("after", &["mistaken"], "", writes("b", &count)),
    ];
    let error = run(
        &graph,
        &store,
        Options {
            width: 2,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap_err();
    match error {
        Error::Stage { stage, source, .. } => {
            assert_eq!(stage, "mistaken");
            assert!(
                source.to_string().contains("index out of bounds"),
                "{source}"
            );
        }
        other => panic!("{other}"),
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert!(store.stages().list().unwrap().is_empty());
}

/// A graph of two, whose first stage makes a file and a folder that is recorded as one.
fn root_and_reader<'a>(
    made: &'a AtomicUsize,
    reads: &'a AtomicUsize,
    input: &str,
) -> Vec<Stage<'a>> {
    vec![
        Stage {
            name: "root".to_owned(),
            needs: Vec::new(),
            inputs: Vec::new(),
            whole: Some(("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new(move |work| {
                made.fetch_add(1, Ordering::SeqCst);
                std::fs::create_dir_all(work.output.join("root/usr"))?;
                std::fs::write(work.output.join("root/usr/gcc"), "compiler")?;
                std::fs::write(work.output.join("packages.txt"), "gcc-1-1\n")?;
                Ok(())
            }),
        },
        stage("reader", &["root"], input, writes("b", reads)),
    ]
}

#[test]
fn a_damaged_stage_is_named_and_made_again_when_it_is_met() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 7] = [
        ("packages.txt differs", |dir| {
            std::fs::write(dir.join("packages.txt"), "gcc-1-2\n").unwrap()
        }),
        ("root/usr/gcc is not there", |dir| {
            std::fs::remove_file(dir.join("root/usr/gcc")).unwrap()
        }),
        ("root/usr/gcc differs", |dir| {
            std::fs::write(dir.join("root/usr/gcc"), "Compiler").unwrap()
        }),
        ("root/usr/added was added", |dir| {
            std::fs::write(dir.join("root/usr/added"), "").unwrap()
        }),
        ("added.rpm was added", |dir| {
            std::fs::write(dir.join("added.rpm"), "").unwrap()
        }),
        ("stage.contents differs", |dir| {
            std::fs::write(dir.join("stage.contents"), "").unwrap()
        }),
        ("root/usr/gcc differs", |dir| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
            std::fs::set_permissions(dir.join("root/usr/gcc"), mode).unwrap();
        }),
    ];
    for (words, damage) in cases {
        let (dir, store) = store();
        let (made, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = run(
            &root_and_reader(&made, &reads, "1"),
            &store,
            Options {
                width: 2,
                remote: None,
                keeps: &[],
            },
            &quiet,
        )
        .unwrap();
        damage(&done["root"].path);
        // Another run: this one has made it itself, and reads it no more.
        drop(store);
        let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |event: Event<'_>| {
            if let Event::Damaged { stage, why } = event {
                told.lock().unwrap().push(format!("{stage}: {why}"));
            }
        };
        let done = run(
            &root_and_reader(&made, &reads, "2"),
            &store,
            Options {
                width: 2,
                remote: None,
                keeps: &[],
            },
            &tell,
        )
        .unwrap();
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 1, "{words}: {told:?}");
        assert!(
            told[0].starts_with("root: ") && told[0].contains(words),
            "{words}: {told:?}"
        );
        assert_eq!(made.load(Ordering::SeqCst), 2, "{words}");
        assert_eq!(reads.load(Ordering::SeqCst), 2, "{words}");
        store.stages().check(&done["root"]).unwrap();
    }
}

#[test]
fn what_is_taken_out_of_the_store_is_read_before() {
    let (dir, store) = store();
    let (made, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let graph = || root_and_reader(&made, &reads, "1");
    let done = run(
        &graph(),
        &store,
        Options {
            width: 2,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
    // As large as before, which is all that a look at the folder tells.
    std::fs::write(done["reader"].path.join("out"), "c").unwrap();
    std::fs::write(done["root"].path.join("root/usr/gcc"), "Compiler").unwrap();
    drop(store);
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    let taking = |taken: &[&str]| {
        let done = run_taking(
            taken,
            &graph(),
            &store,
            Options {
                width: 2,
                remote: None,
                keeps: &[],
            },
            &quiet,
        )
        .unwrap();
        let out = std::fs::read_to_string(done["reader"].path.join("out")).unwrap();
        (
            out,
            reads.load(Ordering::SeqCst),
            made.load(Ordering::SeqCst),
        )
    };
    assert_eq!(taking(&[]), ("c".to_owned(), 1, 1));
    // What it is made of anew is read, too.
    assert_eq!(taking(&["reader"]), ("b".to_owned(), 2, 2));
    assert_eq!(taking(&["reader", "root"]), ("b".to_owned(), 2, 2));
}

#[test]
fn a_plan_assumes_that_changed_code_puts_out_what_it_did() {
    let (_dir, store) = store();
    let count = AtomicUsize::new(0);
    let graph = |code: &str, input: &str| {
        let mut stages = vec![
            stage("first", &[], input, writes("a", &count)),
            stage("second", &["first"], "", writes("b", &count)),
            stage("third", &["second"], "", writes("c", &count)),
        ];
        stages[0].inputs.push((CODE.to_owned(), code.to_owned()));
        stages
    };
    run(
        &graph("1", "1"),
        &store,
        Options {
            width: 1,
            remote: None,
            keeps: &[],
        },
        &quiet,
    )
    .unwrap();
    let of = |code, input| -> Vec<(State, Vec<String>)> {
        let planned = plan(&graph(code, input), &store).unwrap();
        planned
            .into_iter()
            .map(|one| (one.state, one.assuming))
            .collect()
    };
    let assuming = vec!["first".to_owned()];
    assert_eq!(
        of("2", "1"),
        [
            (State::Runs("changed: code".to_owned()), Vec::new()),
            (State::Cached, assuming.clone()),
            (State::Cached, assuming)
        ]
    );
    assert!(of("1", "1").iter().all(|(_, assuming)| assuming.is_empty()));
    assert_eq!(of("2", "2")[1].0, State::Runs("after first".to_owned()));
}

#[test]
fn what_others_made_is_made_here_where_nobody_is_to_be_believed() {
    let (dir, store) = store();
    let (first, second, last) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let graph = [
        stage("first", &[], "", writes("a", &first)),
        stage("second", &["first"], "", writes("b", &second)),
        stage("last", &["second"], "", writes("c", &last)),
    ];
    let options = Options {
        width: 1,
        remote: None,
        keeps: &[],
    };
    let mut done = run(&graph, &store, options, &quiet).unwrap();
    // One was taken from others, and one was compiled with what may be of others.
    for (name, taken) in [("first", true), ("second", false)] {
        let stage = done.get_mut(name).unwrap();
        stage.record.taken = taken.then(|| SharedOrigin {
            from: "elsewhere".to_owned(),
            signer: "somebody".to_owned(),
        });
        stage.record.compiler_cache = !taken;
        let text = serde_json::to_string(&stage.record).unwrap();
        std::fs::write(stage.path.join(crate::store::RECORD), text).unwrap();
    }
    drop(store);
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    let made = || [&first, &second, &last].map(|count| count.load(Ordering::SeqCst));
    assert_eq!(made(), [1, 1, 1]);
    run_again("last", Others::Taken, &graph, &store, options, &quiet).unwrap();
    assert_eq!(made(), [1, 1, 2]);
    let done = run_again("last", Others::MadeHere, &graph, &store, options, &quiet).unwrap();
    assert_eq!(made(), [2, 2, 3]);
    for stage in done.values() {
        assert!(stage.record.taken.is_none() && !stage.record.compiler_cache);
    }
    // They are this machine's own from then on.
    run_again("last", Others::MadeHere, &graph, &store, options, &quiet).unwrap();
    assert_eq!(made(), [2, 2, 4]);
}
