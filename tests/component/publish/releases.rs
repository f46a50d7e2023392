//! Three releases of a small repository, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use lustre_packaging::sign::Signer as _;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repository::layout::Completion;
use lustre_repository::proof::Proof;
use lustre_repository::{manifest::Manifest, sums};

use super::world::{EPOCH, Spec, Tree, key, public_key, succeed, world};

/// The releases, in folders of their own: each has another version of a tool, and follows the one before.
pub struct Releases(Vec<PathBuf>);

impl Releases {
    /// One of them.
    pub fn at(&self, number: usize) -> &Path {
        &self.0[number]
    }
}

/// The URL that they say of themselves: nobody looks there.
const URL: &str = "https://repo.example.org/lustre";

/// The package that is another one in each.
pub fn tool(number: usize) -> String {
    format!("x86_64/Packages/site-tool-1.0-{}.x86_64.rpm", number + 1)
}

/// All three.
pub fn releases() -> &'static Releases {
    static RELEASES: OnceLock<Releases> = OnceLock::new();
    RELEASES.get_or_init(|| {
        let mut tree = Tree::published_at(URL);
        let mut made = Vec::new();
        for number in 0..3 {
            let evr = format!("1.0-{}", number + 1);
            if number > 0 {
                tree.without(tool(number - 1).rsplit('/').next().unwrap());
            }
            tree.with(&Spec {
                name: "site-tool",
                evr: &evr,
                tags: "",
                files: &[("/usr/share/site-tool", "a tool")],
            });
            tree.released = EPOCH + 86_400 * u32::try_from(number).unwrap();
            tree.assemble().unwrap();
            complete(&tree);
            let manifest = tree.dist().join("manifest.json");
            let (digest, _) = sums::sha256(&manifest).unwrap();
            tree.replaces = Some(Manifest::read(&manifest).unwrap().replaced(digest));
            let kept = world().path().join(format!("release-{number}"));
            copy(&tree.dist(), &kept);
            made.push(kept);
        }
        Releases(made)
    })
}

/// With its proof, signed when it is released.
pub fn complete(tree: &Tree) {
    let dist = tree.dist();
    let checks = tree.check();
    let proof = Proof::new(&dist, "test", "0", checks).unwrap();
    assert!(proof.holds(), "{}", proof.summary());
    let sign = |content: &[u8]| Ok(key().sign_detached(content, tree.released)?);
    let completion = Completion::new(&dist, &proof, &public_key(), &sign).unwrap();
    for (name, text) in completion.files() {
        let file = dist.join(name);
        fs::write(&file, text).unwrap();
        // As the tool does it: two of the same second and size would be the same to a cache.
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(tree.released.into());
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(time).unwrap();
    }
}

/// A copy of a folder, links and times as they are.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    succeed(Command::new("cp").args(["-a", "-T"]).args([from, to]));
}

/// `publish` of a release, about to run.
pub fn command(home: &Home, dist: &Path, to: &str, more: &[&str]) -> Command {
    let key = dist.join("RPM-GPG-KEY-lustre-repo");
    let mut command = home.command(&["publish", "--public-key"]);
    command.arg(key).arg("--from").arg(dist).args(more).arg(to);
    command
}

/// Publishes a release.
pub fn publish(home: &Home, number: usize, to: &str, more: &[&str]) -> Run {
    run(&mut command(home, releases().at(number), to, more))
}

/// Publishes a release, and it has to succeed.
#[track_caller]
pub fn published(home: &Home, number: usize, to: &str) -> Run {
    let ran = publish(home, number, to, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// `promote` of what is staged, about to run.
pub fn promote_command(home: &Home, to: &str, more: &[&str]) -> Command {
    let key = releases().at(0).join("RPM-GPG-KEY-lustre-repo");
    let mut command = home.command(&["promote", "--public-key"]);
    command.arg(key).args(more).arg(to);
    command
}

/// Promotes what is staged.
pub fn promote(home: &Home, to: &str, more: &[&str]) -> Run {
    run(&mut promote_command(home, to, more))
}
