//! A run on a store, as another process: `store-run MODE STORE [ARGUMENT]`.
//!
//! - `hold`: opens the store, says so, and keeps it until its input ends.
//! - `stage`: begins a stage, writes half of it, says so, and waits.
//! - `interrupted`: makes a stage where it is not there; where it is, is interrupted while it reads it, and tells what comes of that.
//! - `git URL COMMIT`: fetches a commit into the store, on a disk that is too small, and says what came of it.
//! - `full FILE`: brings FILE into the store in each way there is, on a disk that is too small, and says what came of it.

// What it says is its result.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use lustre_packaging::archive::{pack_tar_gz, unpack};
use lustre_packaging::process::interrupt;
use lustre_packaging::source::{Downloader, Fetcher, GitSource, Retry, Source};
use lustre_packaging::stage::{Event, Options, Stage, run_taking};
use lustre_packaging::store::{Digest, Entry, StageRecord, Store};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, root, rest @ ..] = &arguments[..] else {
        panic!("store-run MODE STORE [ARGUMENT]");
    };
    let root = Path::new(root);
    let store = Store::open(root, &format!("store-run {mode}"), &mut |holder| {
        println!("waits for {holder}");
    })
    .unwrap();
    match mode.as_str() {
        "hold" => {
            println!("holds");
            wait();
        }
        "stage" => {
            let stage = store
                .stages()
                .begin("kernel", &Digest::of_bytes(b"key"))
                .unwrap();
            fs::create_dir(stage.dir().join("rpms")).unwrap();
            fs::write(stage.dir().join("rpms/half.rpm"), "half").unwrap();
            println!("in the stage");
            wait();
        }
        "interrupted" => interrupted(&store),
        "full" => full(&store, Path::new(&rest[0])),
        "git" => git(&store, &rest[0], &rest[1]),
        other => panic!("no mode {other}"),
    }
}

fn git(store: &Store, url: &str, commit: &str) {
    let source = Source::Git(GitSource {
        url: url.to_owned(),
        tag: None,
        rev: Some(commit.to_owned()),
    });
    let options = lustre_packaging::source::Options::default();
    let fetcher = Fetcher::new(store, &options, &|_| {});
    match fetcher.lock("lustre", &source) {
        Ok(_) => println!("fetched"),
        Err(error) => println!("{error}"),
    }
}

fn interrupted(store: &Store) {
    let stages = [Stage {
        name: "kernel".to_owned(),
        needs: Vec::new(),
        inputs: Vec::new(),
        whole: None,
        recipe: Box::new(|work| {
            // Takes a second to read, and no room.
            fs::File::create(work.output.join("kernel.rpm"))?.set_len(512 << 20)?;
            Ok(())
        }),
    }];
    let options = Options {
        width: 1,
        remote: None,
        keeps: &[],
    };
    // While it is read, which comes behind that it is found.
    let taken = run_taking(&["kernel"], &stages, store, options, &|event| {
        if let Event::Cached { .. } = event {
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                interrupt();
            });
        }
    });
    match taken {
        Ok(_) => println!("made"),
        Err(error) => println!("{error}\n{}", store.damage(&mut |_| {}).unwrap_err()),
    }
    println!("{} stages", store.stages().list().unwrap().len());
}

fn wait() {
    let mut all = String::new();
    std::io::stdin().read_to_string(&mut all).unwrap();
}

fn full(store: &Store, file: &Path) {
    let say = |what: &str, error: String| {
        println!("{what}: {}", error.replace('\n', " | "));
        for place in [store.tmp_dir().to_owned(), store.root().join("stages")] {
            println!("{what} leaves {}", fs::read_dir(place).unwrap().count());
        }
    };
    let (digest, _) = Digest::of_file(file).unwrap();
    say(
        "insert",
        store.insert_file(file, None).unwrap_err().to_string(),
    );
    assert_eq!(store.file(&digest), None);

    let stage = store.stages().begin("big", &digest).unwrap();
    let record = StageRecord {
        name: "big".to_owned(),
        key: digest,
        inputs: (0..50_000)
            .map(|n| (format!("input {n:060}"), "x".repeat(60)))
            .collect(),
        outputs: Vec::<Entry>::new(),
        started: 0,
        milliseconds: 0,
        log: None,
        contents: None,
        taken: None,
        compiler_cache: false,
    };
    say(
        "finish",
        store
            .stages()
            .finish(stage, &record)
            .unwrap_err()
            .to_string(),
    );

    let dir = store.temp_dir("unpack").unwrap();
    let error = unpack(file, &dir.path().join("out"), 0).unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    drop(dir);
    say("unpack", error.to_string());

    let dir = store.temp_dir("pack").unwrap();
    let source = file.parent().unwrap();
    let error = pack_tar_gz(source, "x", 0, &dir.path().join("x.tar.gz")).unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    drop(dir);
    say("pack", error.to_string());

    let retry = Retry {
        attempts: 2,
        first_pause: Duration::ZERO,
    };
    let downloader = Downloader::new(store, false, &[], retry, &|_| {});
    let urls = [file.display().to_string()];
    let error = downloader.file("big", &urls, &digest, None).unwrap_err();
    assert_eq!(store.file(&digest), None);
    say("download", error.to_string());
}
