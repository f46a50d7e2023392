//! What the release workflow runs of the tool, run: two builders, compared, signed, carried, published, and installed from a server.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::{CARGO_SAYS, Run, program, project, run};
use lustre_repo_tests::http::Server;
use lustre_repo_tests::script;
use lustre_repo_tests::workflow::{arguments, jobs, lines};
use serde_json::Value;

use super::World;

/// A checkout of the runner's, with programs that stand for cargo and for the installed tool.
struct Runner {
    world: World,
    folder: PathBuf,
    server: Server,
    fingerprint: String,
}

impl Runner {
    fn new() -> Self {
        let world = World::new();
        let folder = world.base.join("checkout");
        fs::create_dir_all(folder.join("bin")).unwrap();
        symlink(project().join("specs"), folder.join("specs")).unwrap();
        let tool = program().display();
        for (name, text) in [
            ("cargo", format!("#!/bin/sh\nshift\nexec '{tool}' \"$@\"\n")),
            ("lustre-repo", format!("#!/bin/sh\nexec '{tool}' \"$@\"\n")),
        ] {
            let path = folder.join("bin").join(name);
            script::write(&path, text).unwrap();
        }
        // As where a site goes from one key to the next.
        let fingerprint = [1, 0].map(|number| {
            let key: &PathBuf = &world.keys[number];
            let line = ["key", "show", "--json", "--key-file", key.to_str().unwrap()];
            let shown: Value = serde_json::from_str(&world.home.run(&line).stdout).unwrap();
            shown["fingerprint"].as_str().unwrap().to_owned()
        });
        let fingerprint = fingerprint.join(" ");
        let server = Server::start(&folder).unwrap();
        Self {
            world,
            folder,
            server,
            fingerprint,
        }
    }

    /// Runs a line as the workflow's shell does.
    fn runs(&self, line: &str, key: bool) -> Run {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", line]);
        self.world.home.prepare(&mut command);
        let path = std::env::var("PATH").unwrap();
        let at = |name: &str| self.folder.join(name);
        command
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", at("bin").display()))
            .env("LUSTRE_REPO_STORE", self.world.store())
            // A checkout of its own, and not the one that the tests are in.
            .env_remove(CARGO_SAYS)
            .env("LUSTRE_REPO_FOLDER", &self.folder)
            .env("LUSTRE_REPO_SPECS", at("specs"))
            .env("GITHUB_REF_NAME", "rehearsal/1")
            .env("FINGERPRINT", &self.fingerprint)
            .env("PUBLISH_TO", at("www"))
            .env("PUBLISH_URL", self.server.url("/www"))
            .env("no_proxy", "*");
        if key {
            let text = fs::read_to_string(&self.world.keys[0]).unwrap();
            command.env("LUSTRE_REPO_KEY", text);
        }
        run(&mut command)
    }

    /// The lines of a job that start the tool, for the first or the second builder.
    fn lines(&self, job: &str, builder: &str) -> Vec<String> {
        let text = fs::read_to_string(project().join(".github/workflows/release.yml")).unwrap();
        let (_, text) = jobs(&text)
            .into_iter()
            .find(|(name, _)| name == job)
            .unwrap();
        let found = lines(&text).into_iter().map(|line| {
            line.replace("${{ matrix.builder }}", builder)
                .replace("${{ matrix.jobs }}", "2")
        });
        found.collect()
    }

    #[track_caller]
    fn done(&self, job: &str, builder: &str, key: bool) -> Vec<Run> {
        let lines = self.lines(job, builder);
        assert!(!lines.is_empty(), "{job}");
        let ran = lines.iter().map(|line| {
            let ran = self.runs(line, key);
            assert_eq!(ran.code, 0, "{job}: {line}: {ran:?}");
            ran
        });
        ran.collect()
    }
}

/// Changes a byte of the list of build packages, and the index with it, as a builder would that had others.
fn differ(built: &Path) {
    let list = built.join("kernel-root/packages.txt");
    let before = lustre_packaging::store::Digest::of_file(&list).unwrap().0;
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replacen('a', "b", 1)).unwrap();
    let after = lustre_packaging::store::Digest::of_file(&list).unwrap().0;
    let index = built.join("build.json");
    let text = fs::read_to_string(&index).unwrap();
    let changed = text.replace(&before.to_string(), &after.to_string());
    assert_ne!(changed, text);
    fs::write(index, changed).unwrap();
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_release_goes_the_way_of_its_workflow() {
    let runner = Runner::new();
    runner.done("lock", "1", false);
    let built: Vec<String> = ["1", "2"]
        .iter()
        .map(|builder| runner.done("build", builder, false)[0].stdout.clone())
        .collect();
    let digest = |line: &str| line.split(' ').next().unwrap().to_owned();
    assert_eq!(digest(&built[0]), digest(&built[1]));
    let compared = runner.done("compare", "1", false);
    assert!(
        compared[0].stdout.contains("byte-identical"),
        "{compared:?}"
    );

    // A builder that has something else: nothing is signed, and the tool says so before it looks at a key.
    let second = runner.folder.join("unsigned-2");
    differ(&second);
    let refused = runner.runs(&runner.lines("compare", "1")[0], false);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stdout.contains("kernel-root/packages.txt differs"),
        "{refused:?}"
    );
    // Nothing is published yet.
    let [before, sign, carry] = &runner.lines("sign", "1")[..] else {
        panic!("{:?}", runner.lines("sign", "1"));
    };
    assert!(
        arguments(before).unwrap().starts_with("verify "),
        "{before}"
    );
    let refused = runner.runs(sign, true);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("nothing was signed"), "{refused:?}");
    assert!(!runner.folder.join("dist").exists());
    runner.done("build", "2", false);
    let checkout = fs::metadata(project().join("dist/rehearsal/SHA256SUMS")).ok();

    let signs = |line: &str| {
        let ran = runner.runs(line, true);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran
    };
    let signed = signs(sign);
    assert!(signed.stderr.contains("nothing is built"), "{signed:?}");
    assert!(!signed.stderr.contains("rpmbuild"), "{signed:?}");
    signs(carry);
    let carried = Command::new("tar")
        .args(["--extract", "--file", "repository.tar"])
        .current_dir(&runner.folder)
        .status();
    assert!(carried.unwrap().success());
    // Without the guest, which has a step of its own in CI.
    let boot = &runner.lines("boot", "1")[0];
    assert!(arguments(boot).unwrap().starts_with("verify ") && boot.contains(" --boot "));
    let ran = runner.runs(&boot.replace(" --boot ", " "), false);
    assert_eq!(ran.code, 0, "{ran:?}");

    let all = runner.lines("publish", "1");
    let [stages, promotes, publishes, verifies] = &all[..] else {
        panic!("{all:?}");
    };
    assert!(arguments(publishes).unwrap().starts_with("publish "));
    let done = |line: &str| {
        let ran = runner.runs(line, false);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran
    };
    let (staged, promoted, verified) = (done(stages), done(promotes), done(verifies));
    // At once, as at GitHub: what is there stays.
    assert!(!publishes.contains("--staging"), "{publishes}");
    done(&publishes.replace(" --check install", ""));
    assert!(staged.stderr.contains("and it installs"), "{staged:?}");
    assert!(promoted.stderr.contains("published "), "{promoted:?}");
    assert!(
        verified.stderr.contains("as SHA256SUMS lists them"),
        "{verified:?}"
    );
    let sums = |at: &str| fs::read(runner.folder.join(at)).unwrap();
    assert_eq!(sums("www/SHA256SUMS"), sums("dist/rehearsal/SHA256SUMS"));
    let after = fs::metadata(project().join("dist/rehearsal/SHA256SUMS")).ok();
    let time = |it: &Option<fs::Metadata>| it.as_ref().map(|it| it.modified().unwrap());
    assert_eq!(time(&checkout), time(&after));
    // The next release is made on another machine, and knows of this one what is published.
    let first = sums("www/SHA256SUMS");
    fs::remove_dir_all(runner.folder.join("dist")).unwrap();
    let kept = runner.runs(before, false);
    assert_eq!(kept.code, 0, "{kept:?}");
    assert_eq!(sums("dist/rehearsal/SHA256SUMS"), first);
    // With nothing that changed, it is this one.
    signs(sign);
    assert_eq!(sums("dist/rehearsal/SHA256SUMS"), first);
    // What is not served any more is what somebody who verifies is told.
    let packages = fs::read_dir(runner.folder.join("www/source/Packages")).unwrap();
    for package in packages {
        fs::remove_file(package.unwrap().path()).unwrap();
    }
    let gone = runner.runs(verifies, false);
    assert_eq!(gone.code, 3, "{gone:?}");
    assert!(gone.stderr.contains("source/Packages/"), "{gone:?}");
}
