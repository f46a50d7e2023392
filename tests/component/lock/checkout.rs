//! What is asked of a checkout, wherever it is: at a path with characters that mean something to some program, with a repository in its
//! `dist/` that is damaged, and where Lustre's source cannot be had.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Run, project, run};

use super::world::{World, succeed};
use crate::assemble::world::{Tree, public_key};

/// Every character that some program takes for something else.
const ODD: &str = "-a b,c%{lua:x}%20#d?e:f'g\"$HOME`h\\i*[j]{k,l}~é";

/// A checkout, as far as the tool that was built in another one reads it.
struct Checkout {
    folder: tempfile::TempDir,
    world: World,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self {
            folder: tempfile::tempdir().unwrap(),
            world: World::new(),
        };
        fs::create_dir_all(checkout.path().join("xtask")).unwrap();
        let mut copy = std::process::Command::new("cp");
        copy.arg("-a").arg(project().join("specs"));
        succeed(copy.arg(checkout.path()));
        checkout
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(ODD)
    }

    /// Runs a command of the tool for the world's target, as this checkout's cargo does.
    fn run(&self, line: &[&str]) -> Run {
        let mut command = self.world.command(line);
        run(command.env("CARGO_MANIFEST_DIR", self.path().join("xtask")))
    }

    fn succeed(&self, line: &[&str]) -> Run {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        ran
    }

    /// The stages of a plan.
    fn plan(&self) -> Vec<serde_json::Value> {
        let ran = self.succeed(&["plan", "--json"]);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Puts a repository that is signed, whole and not of this target where the target's would be. Gives its key.
    fn publish(&self) -> PathBuf {
        let tree = Tree::new();
        tree.assemble().unwrap();
        tree.complete();
        let dist = self.path().join("dist");
        fs::create_dir_all(&dist).unwrap();
        let mut copy = std::process::Command::new("cp");
        copy.args(["-a", "-T"]).arg(tree.dist());
        succeed(copy.arg(dist.join("site")));
        let key = self.folder.path().join("expected.asc");
        fs::write(&key, public_key()).unwrap();
        key
    }

    /// Has the target take Lustre from where nobody has it.
    fn without_lustre(&self) {
        let file = self.world.file();
        let text = fs::read_to_string(&file).unwrap();
        let model = "source = { path = 'model/lustre' }";
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let git = format!("source = {{ git = {{ url = '{NOWHERE}', commit = '{commit}' }} }}");
        assert!(text.contains(model), "{text}");
        fs::write(file, text.replacen(model, &git, 1)).unwrap();
    }
}

const NOWHERE: &str = "https://nowhere.example/lustre";

fn key_of<'v>(stages: &'v [serde_json::Value], name: &str) -> Option<&'v str> {
    let stage = stages.iter().find(|one| one["stage"] == name);
    stage.unwrap_or_else(|| panic!("no {name}"))["key"].as_str()
}

#[test]
fn a_checkout_can_be_at_any_path_and_neither_a_plan_nor_a_proof_takes_the_source_of_lustre() {
    let checkout = Checkout::new();
    checkout.succeed(&["lock"]);
    let fetched = checkout.succeed(&["fetch"]);
    assert!(fetched.stderr.contains("e2fsprogs"), "{fetched:?}");
    assert!(key_of(&checkout.plan(), "lustre-tree").is_some());

    checkout.without_lustre();
    checkout.succeed(&["lock"]);
    // A plan knows all that it knew; which commit it is, is in the lock.
    assert!(key_of(&checkout.plan(), "lustre-tree").is_some());
    // What is built of it is another thing.
    for command in ["fetch", "build"] {
        let ran = checkout.run(&[command, "--offline"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(NOWHERE), "{}", ran.stderr);
    }
    let key = checkout.publish();
    let store = checkout.world.home.store();
    let dist = checkout.path().join("dist/site");
    for path in [None, Some(dist.to_str().unwrap())] {
        // A run that builds in the same store is waited for only where it may be about to replace what is looked at.
        let _held = path.map(|_| Store::open(&store, "a run that builds", &mut |_| {}).unwrap());
        let mut line = vec!["verify", "--offline", "--public-key"];
        line.push(key.to_str().unwrap());
        line.extend(path);
        let ran = checkout.run(&line);
        // Its signatures hold; the tiny distribution has no dnf to make a server with, and that is what ends it.
        assert_eq!(ran.code, 1, "{ran:?}");
        for not in [NOWHERE, "waiting"] {
            assert!(!ran.stderr.contains(not), "{}", ran.stderr);
        }
        assert!(ran.stderr.contains("bootstrap"), "{}", ran.stderr);
    }
}

/// A run stops at it; a plan puts nothing there.
#[test]
fn what_is_wrong_with_a_repository_that_is_there_is_told_by_a_plan_and_does_not_stop_it() {
    let checkout = Checkout::new();
    checkout.succeed(&["lock"]);
    checkout.succeed(&["fetch"]);
    checkout.publish();
    let whole = checkout.succeed(&["plan", "--json"]);
    assert!(!whole.stderr.contains("continuing without it"), "{whole:?}");
    let manifest = checkout.path().join("dist/site/manifest.json");
    fs::write(&manifest, "{").unwrap();
    let ran = checkout.succeed(&["plan", "--json"]);
    assert!(
        ran.stderr.contains("manifest.json") && ran.stderr.contains("continuing without it"),
        "{}",
        ran.stderr
    );
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&ran.stdout).is_ok());
    // Of another target, it is refused before anything is built.
    fs::remove_dir_all(Path::new(&checkout.path()).join("dist/site")).unwrap();
    checkout.publish();
    let ran = checkout.run(&["repo", "--offline"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["`test`", "`site`", "--overrule same-target"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}
