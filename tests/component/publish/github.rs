//! Publishing to a repository of GitHub, with its own programs and a stand-in for it: the pages are one branch.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lustre_repo_tests::chance::Chance;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::github::{BRANCH, Fault, GitHub, REPOSITORY, TOKEN};

use super::client::{Dnf, serves, snapshot, whole};
use super::kills::{killed_at, next_guess};
use super::releases::{self, releases, tool};

/// Whoever publishes there.
pub struct Publisher {
    pub home: Home,
    pub github: GitHub,
}

/// The place.
pub fn place() -> String {
    format!("github:{REPOSITORY}")
}

/// The folder of the pages.
const FOLDER: &str = "lustre/9.6";

impl Publisher {
    pub fn new() -> Self {
        Self {
            home: Home::new(),
            github: GitHub::new(),
        }
    }

    /// `publish` of the repository at `dist` with a token, about to run; nobody looks afterwards.
    pub fn command_of(&self, dist: &Path, more: &[&str]) -> Command {
        let url = format!("{}/{FOLDER}", self.github.pages());
        let given = more.contains(&"--url");
        let url = [&["--url", &url][..], more].concat();
        let more = if given { more } else { &url };
        let mut command = releases::command(&self.home, dist, &place(), more);
        command
            .envs(self.github.variables())
            .env("GH_TOKEN", TOKEN)
            .env("no_proxy", "127.0.0.1");
        command
    }

    /// The same of one of the small releases.
    pub fn command(&self, number: usize, more: &[&str]) -> Command {
        self.command_of(releases().at(number), more)
    }

    pub fn publish(&self, number: usize, more: &[&str]) -> Run {
        run(&mut self.command(number, more))
    }

    /// Publishes a release, and it has to succeed.
    #[track_caller]
    pub fn published(&self, number: usize) -> Run {
        let ran = self.publish(number, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }

    /// Where clients read, on the disk.
    pub fn at(&self) -> PathBuf {
        self.github.www().join(FOLDER)
    }

    /// The URL of it.
    pub fn url(&self) -> String {
        format!("{}/{FOLDER}", self.github.pages())
    }
}

/// What changes anything there, of what was asked.
pub fn changes(github: &GitHub) -> Vec<String> {
    let mut asked = github.requests();
    let reads = |line: &String| line.starts_with("GET ") || line.contains("/git-upload-pack ");
    asked.retain(|line| !reads(line));
    asked
}

#[test]
fn the_pages_have_one_release_after_the_other_and_what_others_have_there_stays() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let theirs = [
        ("CNAME", "docs.example.org\n"),
        ("index.html", "theirs"),
        ("lustre/10.0/SHA256SUMS", "another target"),
        ("lustre/9.6x/manifest.json", "another again"),
        (".gitattributes", "* text=auto\n"),
    ];
    github.commits(&theirs);
    let client = Dnf::new();
    let at = publisher.at();
    for number in 0..3 {
        let ran = publisher.published(number);
        assert!(ran.stderr.contains("clients see it at"), "{ran:?}");
        assert!(ran.stderr.contains("dnf reads it"), "{ran:?}");
        assert_eq!(whole(&at), number);
        if number > 0 {
            // It has the metadata of the one before, and does not ask.
            client.downloads(&publisher.url(), number - 1);
            serves(&at, number - 1);
        }
        assert_eq!(client.sees(&publisher.url()), number);
        for other in 0..3 {
            let needed = other == number || other + 1 == number;
            assert_eq!(at.join(tool(other)).exists(), needed, "release {other}");
        }
        let own = fs::read_dir(at.join(".releases")).unwrap();
        assert_eq!(own.count(), 2.min(number + 1));
        for (path, content) in theirs {
            let found = fs::read_to_string(github.www().join(path)).unwrap();
            assert_eq!(found, content, "{path}");
        }
        assert!(github.www().join(".nojekyll").is_file());
        assert_eq!(github.history(), 1);
        // Nothing of it is sent once more.
        let (commit, before) = (github.commit(BRANCH), snapshot(&at));
        github.requests();
        let again = publisher.published(number);
        assert!(again.stderr.contains("everything was there"), "{again:?}");
        assert_eq!(changes(github), Vec::<String>::new());
        assert!(commit == github.commit(BRANCH) && before == snapshot(&at));
    }
    // What is there is not replaced by what is older, and the same rules let it be.
    let ran = publisher.publish(0, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("does not follow"), "{ran:?}");
    assert_eq!(whole(&at), 2);
    let ran = publisher.publish(0, &["--replace-anyway"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(whole(&at), 0);
}

#[test]
fn a_file_that_somebody_changed_there_is_put_right_whatever_the_sums_say_of_it() {
    let publisher = Publisher::new();
    publisher.published(0);
    let path = releases().at(0).join("KERNELS.txt");
    let same_size = "x".repeat(fs::read(&path).unwrap().len());
    let github = &publisher.github;
    let name = format!("{FOLDER}/KERNELS.txt");
    github.commits(&[(&name, &same_size)]);
    let ran = publisher.published(0);
    assert!(ran.stderr.contains("1 files"), "{ran:?}");
    assert_eq!(whole(&publisher.at()), 0);
}

#[test]
fn a_dry_run_lists_and_changes_nothing() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    for number in 0..2 {
        let before = github.keep();
        let ran = publisher.publish(number, &["--dry-run"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let package = tool(number);
        let line = |line: &str| line.starts_with("send ") && line.ends_with(&package);
        assert!(ran.stdout.lines().any(line), "{ran:?}");
        let ran = publisher.publish(number, &["--dry-run", "--json"]);
        let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(result["to"], place());
        assert_eq!(changes(github), Vec::<String>::new());
        assert_eq!(github.keep(), before);
        publisher.published(number);
        github.requests();
    }
}

#[test]
fn a_branch_that_somebody_changes_meanwhile_stays_as_they_left_it() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    publisher.published(0);
    for (number, file) in [(1, "theirs-1"), (2, "theirs-2")] {
        // Between what was read and what is pushed; and a branch that was made meanwhile.
        let files: &'static [(&str, &str)] = match file {
            "theirs-1" => &[("theirs-1", "a")],
            _ => &[("theirs-2", "b")],
        };
        github.fault("GET", "service=git-receive-pack", github.committing(files));
        let ran = publisher.publish(number, &[]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.contains("somebody else changed the branch"),
            "{ran:?}"
        );
        assert!(github.www().join(file).is_file());
        assert_eq!(whole(&publisher.at()), number - 1);
        publisher.published(number);
        assert!(github.www().join(file).is_file());
        assert_eq!(whole(&publisher.at()), number);
    }
    let publisher = Publisher::new();
    let github = &publisher.github;
    github.fault(
        "GET",
        "service=git-receive-pack",
        github.committing(&[("theirs", "a")]),
    );
    let ran = publisher.publish(0, &[]);
    assert!(
        ran.stderr.contains("somebody else changed the branch"),
        "{ran:?}"
    );
    assert!(github.www().join("theirs").is_file() && !publisher.at().exists());
}

/// Looks at all processes until it is dropped: who is seen with the token.
struct Spy {
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<BTreeSet<String>>>,
}

impl Spy {
    /// Of the processes that have `mark` in their variables: those of other tests have the same token.
    fn new(mark: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !end.load(Ordering::SeqCst) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let path = entry.path();
                    let has = |name: &str, what: &str| {
                        let text = fs::read(path.join(name)).unwrap_or_default();
                        text.windows(what.len()).any(|part| part == what.as_bytes())
                    };
                    let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                    let name = name.trim();
                    if has("cmdline", TOKEN) {
                        seen.insert(format!("in the arguments of {name}"));
                    }
                    if has("environ", TOKEN) && has("environ", mark) {
                        seen.insert(name.to_owned());
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self {
            over,
            thread: Some(thread),
        }
    }

    fn seen(mut self) -> BTreeSet<String> {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

#[test]
fn only_the_programs_of_the_forge_have_the_token_and_nothing_shows_it() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let mark = "spied=of-the-one-that-is-looked-at";
    let spy = Spy::new(mark);
    // Whatever they would be told to say of what they send.
    let mut command = publisher.command(0, &[]);
    for (name, value) in [
        ("GH_DEBUG", "api"),
        ("DEBUG", "1"),
        ("GIT_TRACE_CURL", "1"),
        ("GIT_TRACE_REDACT", "0"),
        ("GIT_CURL_VERBOSE", "1"),
        ("GIT_TRACE", "1"),
        ("spied", "of-the-one-that-is-looked-at"),
    ] {
        command.env(name, value);
    }
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let seen = spy.seen();
    assert!(seen.iter().any(|it| it == "gh"), "{seen:?}");
    for name in &seen {
        let own = ["gh", "git", "sh"].contains(&name.as_str())
            || name.starts_with("git-remote-")
            || name.starts_with("lustre-repo");
        assert!(own, "{seen:?}");
    }
    let coded = "eC1hY2Nlc3MtdG9rZW46";
    let mut said = vec![ran.stdout, ran.stderr];
    // Failures say no more.
    for (what, path) in [
        ("GET", "/repos/"),
        ("GET", "service=git-receive-pack"),
        ("POST", "git-receive-pack"),
    ] {
        github.fault(what, path, Fault::Status(500, "broken"));
        let ran = publisher.publish(1, &[]);
        assert_eq!(ran.code, 1, "{ran:?}");
        said.extend([ran.stdout, ran.stderr]);
    }
    for text in said {
        assert!(!text.contains(TOKEN) && !text.contains(coded), "{text}");
    }
}

#[test]
fn without_a_token_that_may_the_reason_is_said_and_nothing_is_done() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let mut without = publisher.command(0, &[]);
    without.env_remove("GH_TOKEN");
    let mut wrong = publisher.command(0, &[]);
    wrong.env("GH_TOKEN", "ghp_another");
    for (command, word) in [(&mut without, "set GH_TOKEN"), (&mut wrong, "expired")] {
        let ran = run(command);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
    for (method, path, fault, word) in [
        (
            "GET",
            "/repos/",
            Fault::Status(403, "Resource not accessible by integration"),
            "allowed to write",
        ),
        (
            "GET",
            "/repos/",
            Fault::Status(403, "API rate limit exceeded for user ID 1"),
            "limit is over",
        ),
        (
            "GET",
            "/repos/",
            Fault::Status(404, "Not Found"),
            "of that name",
        ),
        (
            "GET",
            "/repos/",
            Fault::Status(500, "Server Error"),
            "again",
        ),
        (
            "GET",
            "service=git-upload-pack",
            Fault::Status(503, "busy"),
            "cannot read",
        ),
        (
            "GET",
            "service=git-receive-pack",
            Fault::Status(503, "busy"),
            "cannot push",
        ),
        (
            "POST",
            "git-receive-pack",
            Fault::Status(403, "denied"),
            "cannot push",
        ),
    ] {
        github.fault(method, path, fault);
        github.requests();
        let ran = publisher.publish(0, &[]);
        let asked = github.requests();
        assert_eq!(ran.code, 1, "{word}: {ran:?} {asked:?}");
        assert!(ran.stderr.contains(word), "{word}: {ran:?} {asked:?}");
    }
    assert_eq!(github.commit(BRANCH), None);
    github.fault("GET", "/repos/", Fault::Slow(Duration::from_secs(2)));
    publisher.published(0);
}

#[test]
fn what_cannot_be_there_is_refused_before_anything_is_asked() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    for more in [&["--staging"][..], &["--staging", "--dry-run"]] {
        let ran = publisher.publish(0, more);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("nothing can be staged"), "{ran:?}");
    }
    let mut promote = releases::promote_command(&publisher.home, &place(), &[]);
    let ran = run(promote.envs(github.variables()));
    assert_eq!(ran.code, 2, "{ran:?}");
    let owner = REPOSITORY.split('/').next().unwrap();
    let other = format!("https://{owner}.github.io/other/9.6");
    let ran = publisher.publish(0, &["--url", &other]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("is not served from"), "{ran:?}");
    let mut odd = publisher.command(0, &[]);
    odd.env("GH_HOST", "-x/y");
    assert_eq!(run(&mut odd).code, 2);
    assert_eq!(changes(github), Vec::<String>::new());
    // A folder that has something else, and links where ours have to be.
    let file = format!("{FOLDER}/theirs");
    github.commits(&[(&file, "a")]);
    let ran = publisher.publish(0, &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("theirs") && ran.stderr.contains("nothing was sent"),
        "{ran:?}"
    );
    assert_eq!(changes(github), Vec::<String>::new());
}

#[test]
fn pages_that_would_be_too_much_are_refused_and_nothing_is_sent() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    github.commits_zeros("theirs", 1_000_000_000);
    let before = github.commit(BRANCH);
    for more in [&[][..], &["--dry-run"]] {
        let ran = publisher.publish(0, more);
        assert_eq!(ran.code, 1, "{ran:?}");
        for words in [
            "1001 MB",
            "at most 1000 MB",
            "assets_url",
            "nothing was sent",
        ] {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
    }
    assert_eq!(changes(github), Vec::<String>::new());
    assert_eq!(github.commit(BRANCH), before);
}

/// How often a run is killed.
const KILLS: u32 = 10;

/// Kills runs of `command` at moments of a whole one, which ends with `after`, and looks at what is there each time.
#[allow(
    clippy::print_stderr,
    reason = "whoever looks into a failure needs the seed"
)]
pub fn killed(
    publisher: &Publisher,
    from: f64,
    command: impl Fn() -> Command,
    look: impl Fn(u32) -> bool,
) {
    let before = publisher.github.keep();
    let clock = Instant::now();
    let ran = run(&mut command());
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut took = clock.elapsed();
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}, a whole run takes {took:?}");
    let mut chance = Chance::new(seed);
    let (mut died, mut switched) = (0, 0);
    for attempt in 0.. {
        if died == KILLS {
            break;
        }
        assert!(
            attempt < 3 * KILLS,
            "of {attempt} runs only {died} were killed"
        );
        publisher.github.restore(&before);
        let until = took.mul_f64(from + (1.05 - from) * chance.next());
        let (running, ran) = killed_at(&mut command(), until);
        took = next_guess(took, running, ran);
        died += u32::from(running);
        switched += u32::from(look(attempt));
        // The same command goes on, whatever is left.
        let ran = run(&mut command());
        assert_eq!(ran.code, 0, "attempt {attempt}: {ran:?}");
        assert!(look(attempt), "attempt {attempt}");
    }
    eprintln!("{died} were killed, {switched} runs had switched");
}

#[test]
fn the_pages_are_whole_whenever_a_publish_is_killed() {
    let publisher = Publisher::new();
    publisher.published(0);
    let at = publisher.at();
    killed(
        &publisher,
        0.3,
        || publisher.command(1, &["--url", &publisher.url()]),
        |attempt| {
            let read = whole(&at);
            assert!(read < 2, "attempt {attempt}");
            serves(&at, 0);
            read == 1
        },
    );
}
