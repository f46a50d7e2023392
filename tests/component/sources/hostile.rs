//! Clones that would have us run their programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::source::{FetchedSource, GitSource, Override, PathSource, Source};
use lustre_repo_tests::script;

use super::tools::{Place, Repository};

/// The settings of git (git-config(1)) whose value is a program, or leads to one, each with a value in which `RUN` is that program.
const SETTINGS: &[(&str, &str)] = &[
    ("alias.archive", "!RUN"),
    ("alias.x", "!RUN"),
    ("browser.x.cmd", "RUN"),
    ("core.alternateRefsCommand", "RUN"),
    ("core.askPass", "RUN"),
    ("core.editor", "RUN"),
    ("core.fsmonitor", "RUN"),
    ("core.gitProxy", "RUN"),
    ("core.hooksPath", "HOOKS"),
    ("core.pager", "RUN"),
    ("core.sshCommand", "RUN"),
    ("credential.helper", "!RUN"),
    ("credential.https://git.example.helper", "!RUN"),
    ("diff.external", "RUN"),
    ("diff.evil.command", "RUN"),
    ("diff.evil.textconv", "RUN"),
    ("difftool.evil.cmd", "RUN"),
    ("filter.evil.clean", "RUN"),
    ("filter.evil.process", "RUN"),
    ("filter.evil.required", "true"),
    ("filter.evil.smudge", "RUN"),
    ("gpg.program", "RUN"),
    ("gpg.openpgp.program", "RUN"),
    ("gpg.ssh.defaultKeyCommand", "RUN"),
    ("gpg.ssh.program", "RUN"),
    ("gpg.x509.program", "RUN"),
    ("interactive.diffFilter", "RUN"),
    ("log.showSignature", "true"),
    ("maintenance.auto", "true"),
    ("merge.evil.driver", "RUN"),
    ("mergetool.evil.cmd", "RUN"),
    ("pager.archive", "RUN"),
    ("pager.describe", "RUN"),
    ("pager.log", "RUN"),
    ("pager.ls-remote", "RUN"),
    ("pager.show", "RUN"),
    ("pager.status", "RUN"),
    ("protocol.ext.allow", "always"),
    ("remote.origin.proxy", "ext::RUN"),
    ("remote.origin.receivepack", "RUN"),
    ("remote.origin.uploadpack", "RUN"),
    ("remote.origin.url", "ext::RUN"),
    ("remote.origin.vcs", "ext"),
    ("remote.origin.promisor", "true"),
    ("remote.origin.partialCloneFilter", "blob:none"),
    ("extensions.partialClone", "origin"),
    ("sequence.editor", "RUN"),
    ("submodule.libcfs.update", "!RUN"),
    ("submodule.libcfs.url", "ext::RUN"),
    ("submodule.recurse", "true"),
    ("status.submoduleSummary", "true"),
    ("tar.tar.command", "RUN"),
    ("trailer.evil.cmd", "RUN"),
    ("trailer.evil.command", "RUN"),
    ("uploadpack.packObjectsHook", "RUN"),
    ("url.ext::RUN.insteadOf", "file://"),
    ("url.ext::RUN .insteadOf", "/"),
    ("man.evil.cmd", "RUN"),
    ("web.browser", "evil"),
];

const ATTRIBUTES: &str = "* filter=evil diff=evil merge=evil export-subst\n";

/// A clone in which everything that can start a program does; each program leaves a file named after what started it.
struct Hostile {
    clone: Repository,
    marks: PathBuf,
    commit: String,
}

impl Hostile {
    fn new(place: &Place) -> Self {
        let clone = Repository::new(place.path("clone"));
        let marks = place.path("marks");
        fs::create_dir(&marks).unwrap();
        fs::set_permissions(&marks, fs::Permissions::from_mode(0o777)).unwrap();
        clone.commit(&[
            ("VERSION", "$Format:%H$\n"),
            (".gitattributes", ATTRIBUTES),
            (
                ".gitmodules",
                "[submodule \"libcfs\"]\npath = libcfs\nurl = ext::sh\nupdate = !sh\n",
            ),
        ]);
        clone.git(&["tag", "--annotate", "--message=x", "2.17.0"]);
        // A commit that claims to have a signature: who looks at it, starts a program.
        let text = clone.git(&["cat-file", "commit", "HEAD"]);
        let (head, message) = text.split_once("\n\n").unwrap();
        let signed = format!(
            "{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
        );
        let file = place.path("signed");
        fs::write(&file, signed).unwrap();
        let commit = clone.git(&["hash-object", "-t", "commit", "-w", file.to_str().unwrap()]);
        clone.git(&["update-ref", "refs/heads/main", &commit]);
        let hostile = Self {
            clone,
            marks,
            commit,
        };
        hostile.arm(place);
        hostile
    }

    fn program(&self, place: &Place, name: &str) -> String {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let path = place.path("programs").join(&plain);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("#!/bin/sh\n: >'{}/{plain}'\nexit 1\n", self.marks.display());
        script::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn arm(&self, place: &Place) {
        let git = self.clone.0.join(".git");
        let hooks = git.join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        for hook in [
            "applypatch-msg",
            "commit-msg",
            "fsmonitor-watchman",
            "post-checkout",
            "post-commit",
            "post-index-change",
            "post-merge",
            "post-receive",
            "post-rewrite",
            "post-update",
            "pre-auto-gc",
            "pre-commit",
            "pre-push",
            "pre-receive",
            "prepare-commit-msg",
            "proc-receive",
            "push-to-checkout",
            "reference-transaction",
            "update",
        ] {
            let program = self.program(place, &format!("hook-{hook}"));
            fs::copy(program, hooks.join(hook)).unwrap();
        }
        let included = place.path("included");
        let program = self.program(place, "include.path");
        fs::write(&included, format!("[core]\n\tfsmonitor = {program}\n")).unwrap();
        let mut text = fs::read_to_string(git.join("config")).unwrap();
        text.push_str(&format!("[include]\n\tpath = {}\n", included.display()));
        text.push_str(&format!(
            "[includeIf \"gitdir:/\"]\n\tpath = {}\n",
            included.display()
        ));
        for (setting, value) in SETTINGS {
            let program = self.program(place, setting);
            let (section, key) = setting.rsplit_once('.').unwrap();
            let section = match section.split_once('.') {
                Some((name, sub)) => format!("{name} \"{}\"", sub.replace("RUN", &program)),
                None => section.to_owned(),
            };
            let value = value
                .replace("RUN", &program)
                .replace("HOOKS", &hooks.display().to_string());
            text.push_str(&format!("[{section}]\n\t{key} = \"{value}\"\n"));
        }
        fs::write(git.join("config"), text).unwrap();
        let info = git.join("info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("attributes"), ATTRIBUTES).unwrap();
        // A second repository's objects, and that repository is hostile too.
        let other = place.path("other.git");
        let copied = Command::new("cp").arg("-a").arg(&git).arg(&other).status();
        assert!(copied.unwrap().success());
        fs::create_dir_all(git.join("objects/info")).unwrap();
        let alternates = format!("{}\n", other.join("objects").display());
        fs::write(git.join("objects/info/alternates"), alternates).unwrap();
        // A repository inside the work tree, as a submodule would be.
        let inner = self.clone.0.join("libcfs");
        fs::create_dir(&inner).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(&git)
            .arg(inner.join(".git"))
            .status();
        assert!(copied.unwrap().success());
    }

    /// What was started so far.
    fn started(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.marks)
            .unwrap()
            .map(|item| item.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// All below a folder belongs to another user.
fn give_away(folder: &Path) {
    for item in walkdir::WalkDir::new(folder) {
        std::os::unix::fs::lchown(item.unwrap().path(), Some(4321), Some(4321)).unwrap();
    }
    chown(folder, Some(4321), Some(4321)).unwrap();
}

fn all_of(place: &Place, fetched: &FetchedSource) {
    let store = place.store();
    fetched.version(&store).unwrap();
    assert!(fetched.text(&store, "VERSION").unwrap().is_some());
    drop(store);
    let out = place.export(fetched);
    // Nothing was put in by the clone's attributes either.
    assert_eq!(
        fs::read_to_string(out.join("VERSION")).unwrap(),
        "$Format:%H$\n"
    );
}

#[test]
fn nothing_that_a_clone_names_is_started() {
    let mut place = Place::new();
    let hostile = Hostile::new(&place);
    let path = hostile.clone.0.clone();
    let root = rustix::process::geteuid().is_root();
    if root {
        give_away(&path);
    }
    let git = |url: &str, tag: Option<&str>, rev: Option<&str>| {
        Source::Git(GitSource {
            url: url.to_owned(),
            tag: tag.map(str::to_owned),
            rev: rev.map(str::to_owned),
        })
    };
    let replaced = |rev: Option<&str>| {
        vec![Override {
            name: "lustre".to_owned(),
            path: path.clone(),
            rev: rev.map(str::to_owned),
        }]
    };
    // In place of a source, by the target's tag, by a revision, and by what is checked out.
    let asked = git("https://git.example/lustre", Some("2.17.0"), None);
    place.options.overrides = replaced(None);
    all_of(&place, &place.lock(&asked).unwrap());
    place.options.overrides = replaced(Some("main"));
    all_of(&place, &place.lock(&asked).unwrap());
    place.options.overrides = replaced(None);
    let model = Source::Path(PathSource {
        path: place.path("model"),
    });
    let error = place.lock(&model).unwrap_err();
    assert!(error.contains("libcfs"), "{error}");
    // As a place to fetch from.
    place.options.overrides = Vec::new();
    for url in [
        format!("file://{}", path.display()),
        path.display().to_string(),
    ] {
        let fetched = place.lock(&git(&url, Some("2.17.0"), None)).unwrap();
        all_of(&place, &fetched);
        let fetched = place.lock(&git(&url, None, Some(&hostile.commit))).unwrap();
        all_of(&place, &fetched);
    }
    // As a folder.
    let folder = Source::Path(PathSource { path: path.clone() });
    let error = place.lock(&folder).unwrap_err();
    assert!(error.contains("libcfs"), "{error}");
    fs::remove_dir_all(path.join("libcfs")).unwrap();
    all_of(&place, &place.lock(&folder).unwrap());
    // Of what is missing, nothing is fetched.
    let blob = Command::new("git")
        .args(["--git-dir", path.join(".git").to_str().unwrap()])
        .args(["-c", "safe.directory=*", "rev-parse", "2.17.0:VERSION"])
        .output()
        .unwrap();
    let blob = String::from_utf8(blob.stdout).unwrap();
    let blob = blob.trim();
    for folder in [path.join(".git"), place.path("other.git")] {
        fs::remove_file(folder.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    }
    place.options.overrides = replaced(None);
    let error = place.lock(&asked).unwrap_err();
    assert!(error.contains("incomplete"), "{error}");
    assert_eq!(hostile.started(), [""; 0]);
}

/// What the test above has up its sleeve does start programs where git is used as usual.
#[test]
fn a_hostile_clone_is_one() {
    let place = Place::new();
    let hostile = Hostile::new(&place);
    let git = |arguments: &[&str]| {
        // Whether it succeeds is of no interest.
        let _ = Command::new("git")
            .arg("-C")
            .arg(&hostile.clone.0)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
    };
    fs::write(hostile.clone.0.join("VERSION"), "other\n").unwrap();
    git(&["status"]);
    git(&["log", "-1"]);
    git(&["diff"]);
    git(&["fetch", "origin"]);
    git(&["archive", "--format=tar", "HEAD"]);
    let started = hostile.started();
    for wanted in [
        "core-fsmonitor",
        "filter-evil-process",
        "gpg-openpgp-program",
        "remote-origin-url",
    ] {
        assert!(
            started.iter().any(|one| one == wanted),
            "{wanted}: {started:?}"
        );
    }
}

#[test]
fn what_is_no_file_in_a_repository_keeps_nobody_waiting() {
    let mut place = Place::new();
    let clone = Repository::new(place.path("clone"));
    let commit = clone.commit(&[("VERSION", "1\n")]);
    let asked = Source::Path(PathSource {
        path: place.path("model"),
    });
    place.options.overrides = vec![Override {
        name: "lustre".to_owned(),
        path: clone.0.clone(),
        rev: Some(commit.clone()),
    }];
    for pipe in [
        clone.0.join(".git/packed-refs"),
        clone.0.join(".git/objects").join(&commit[..2]).join("pipe"),
    ] {
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let error = place.lock(&asked).unwrap_err();
        assert!(error.contains(pipe.to_str().unwrap()), "{error}");
        fs::remove_file(&pipe).unwrap();
    }
    // And in what it borrows from.
    let others = place.path("others/objects");
    fs::create_dir_all(others.join("info")).unwrap();
    let pipe = others.join("info/alternates");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let list = clone.0.join(".git/objects/info/alternates");
    fs::write(&list, format!("{}\n", others.display())).unwrap();
    let error = place.lock(&asked).unwrap_err();
    assert!(error.contains(pipe.to_str().unwrap()), "{error}");
    fs::remove_file(&pipe).unwrap();
    // A loop of them has an end.
    fs::write(&pipe, format!("{}\n", others.display())).unwrap();
    place.lock(&asked).unwrap();
    fs::remove_file(&list).unwrap();
    place.lock(&asked).unwrap();
    // What takes the clone's place is a file or a folder.
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for (path, why) in [(pipe, "a pipe"), (PathBuf::from("/dev/zero"), "a device")] {
        place.options.overrides[0].path = path;
        place.options.overrides[0].rev = None;
        let error = place.lock(&asked).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_further_work_tree_and_one_in_its_own_format_are_read() {
    let mut place = Place::new();
    let upstream = Repository::new(place.path("upstream"));
    let first = upstream.commit(&[("VERSION", "1\n")]);
    let second = upstream.commit(&[("VERSION", "2\n")]);
    let tree = place.path("tree");
    upstream.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        tree.to_str().unwrap(),
        &first,
    ]);
    upstream.git(&["pack-refs", "--all"]);
    let asked = Source::Path(PathSource {
        path: place.path("model"),
    });
    let commit_of = |place: &Place, path: &Path, rev: Option<&str>| {
        let options = vec![Override {
            name: "lustre".to_owned(),
            path: path.to_owned(),
            rev: rev.map(str::to_owned),
        }];
        let mut options = lustre_packaging::source::Options {
            overrides: options,
            ..place.options.clone()
        };
        options.offline = true;
        let store = place.store();
        let fetcher = lustre_packaging::source::Fetcher::new(&store, &options, &|_| {});
        let fetched = fetcher.lock("lustre", &asked).unwrap();
        match fetched.locked {
            lustre_packaging::source::Locked::Git { commit, .. } => commit,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(commit_of(&place, &tree, None), first);
    assert_eq!(commit_of(&place, &upstream.0, None), second);
    assert_eq!(commit_of(&place, &tree, Some("main~1")), first);
    assert_eq!(commit_of(&place, &tree, Some(&second[..10])), second);
    fs::write(tree.join("VERSION"), "changed\n").unwrap();
    place.options.overrides = vec![Override {
        name: "lustre".to_owned(),
        path: tree,
        rev: None,
    }];
    let error = place.lock(&asked).unwrap_err();
    assert!(error.contains("VERSION"), "{error}");
    // Another digest.
    let other = place.path("sha256");
    let made = Command::new("git")
        .args([
            "init",
            "--quiet",
            "--object-format=sha256",
            "--initial-branch=main",
        ])
        .arg(&other)
        .status()
        .unwrap();
    assert!(made.success());
    let commit = Repository::new(other.clone()).commit(&[("VERSION", "3\n")]);
    assert_eq!(commit.len(), 64);
    assert_eq!(commit_of(&place, &other, Some("main")), commit);
}
