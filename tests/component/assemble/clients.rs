//! What the users' tools say of an assembled repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repository::repo_file::RepoFile;

use crate::world::{
    BASE_KERNEL, OUR_KERNEL, Spec, Tree, public_key, release, run, signed, succeed, world,
};

/// A dnf with nothing of this machine's configuration.
struct Dnf<'a> {
    folder: &'a Path,
}

impl Dnf<'_> {
    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn command(&self) -> Command {
        let file = self.folder.join("dnf.conf");
        let folder = self.folder.display();
        // `best` as on Enterprise Linux.
        let text = format!(
            "[main]\nbest=True\ninstallonly_limit=3\ncachedir={folder}/cache\npersistdir={folder}/persist\n\
             logdir={folder}/log\nreposdir={folder}/root/etc/yum.repos.d\n"
        );
        fs::create_dir_all(self.folder).unwrap();
        fs::write(&file, text).unwrap();
        let mut command = Command::new("dnf");
        command
            .arg("-c")
            .arg(file)
            .arg(format!("--installroot={}", self.root().display()))
            // Debian's dnf-plugins-core comes with the plugin `local` switched on: it keeps every package any dnf of the
            // machine installs, and offers it to all others.
            .args([
                "--releasever=8",
                "--forcearch=x86_64",
                "-y",
                "--disableplugin=local",
            ]);
        command
    }

    /// As [`Self::command`] with the base repository.
    fn with_base(&self) -> Command {
        let mut command = self.command();
        command.arg(format!(
            "--repofrompath=base,file://{}",
            world().base.display()
        ));
        command
    }
}

#[test]
fn sha256sum_gpg_and_rpmkeys_agree() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let home = tree.path().join("gnupg");
    fs::create_dir(&home).unwrap();
    let key = tree.dist().join("RPM-GPG-KEY-lustre-repo");
    succeed(
        Command::new("sha256sum")
            .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
            .current_dir(tree.dist()),
    );
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--no-autostart", "--homedir"])
            .arg(&home);
        gpg
    };
    succeed(gpg().arg("--import").arg(&key));
    for folder in ["x86_64", "x86_64-debuginfo", "source"] {
        let index = tree.dist().join(folder).join("repodata/repomd.xml");
        let text = succeed(
            gpg()
                .arg("--verify")
                .arg(index.with_extension("xml.asc"))
                .arg(&index),
        );
        assert!(text.contains("Good signature"), "{text}");
    }
    let define = format!("_dbpath {}", tree.path().join("rpmdb").display());
    succeed(
        Command::new("rpmkeys")
            .args(["--define", &define, "--import"])
            .arg(&key),
    );
    for entry in walkdir::WalkDir::new(tree.dist()) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|e| e == "rpm") {
            let text = succeed(
                Command::new("rpmkeys")
                    .args(["--define", &define, "-K"])
                    .arg(&path),
            );
            assert!(text.contains("digests signatures OK"), "{text}");
        }
    }
}

/// dnf's opinion on closure: the lines `nothing provides …`, or none.
fn repoclosure(tree: &Tree) -> (bool, String) {
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    run(dnf
        .with_base()
        .arg(format!(
            "--repofrompath=ours,file://{}/x86_64",
            tree.dist().display()
        ))
        .args(["--repo=base", "--repo=ours", "--refresh"])
        .args(["repoclosure", "--check=ours"]))
}

#[test]
fn dnf_repoclosure_agrees() {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let (success, text) = repoclosure(&tree);
    assert!(success, "{text}");
    assert!(!tree.failures().contains_key("closure"));

    let unmet = [
        "/usr/bin/none",
        "kernel(bar) = 0x9",
        "ldiskfsprogs > 1.47",
        "lustre >= 2.18",
    ];
    let met = [
        "/usr/bin/bash",
        "ldiskfsprogs",
        "ldiskfsprogs = 1.47-9",
        "lustre >= 2.17",
    ];
    let tags = requiring(unmet.iter().chain(&met));
    tree.with(&asking("asking", &tags));
    tree.assemble().unwrap();
    let (success, text) = repoclosure(&tree);
    assert!(!success, "{text}");
    let mut theirs: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    theirs.sort_unstable();
    let failures = tree.failures();
    let mut ours: Vec<&str> = failures["closure"]
        .lines()
        .filter_map(|line| {
            line.strip_prefix("nothing provides ")?
                .split(" needed by asking-1-1.x86_64")
                .next()
        })
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs, "{text}");
    assert_eq!(ours, unmet);
}

fn requiring<'a>(requirements: impl IntoIterator<Item = &'a &'a str>) -> String {
    requirements
        .into_iter()
        .map(|requirement| format!("Requires: {requirement}\n"))
        .collect()
}

fn asking<'a>(name: &'a str, tags: &'a str) -> Spec<'a> {
    Spec {
        name,
        evr: "1-1",
        tags,
        files: &[],
    }
}

/// Rich requirements: repoclosure does not resolve them (it calls `(z if y)` unmet where nothing provides `y`), so the
/// judge is what dnf installs. (`unless` is not in the table: rpmbuild refuses it in `Requires:`.)
#[test]
fn dnf_agrees_on_rich_requirements() {
    let table = [
        ("(z if y)", true),
        ("(z if y else bash)", true),
        ("(z or /usr/bin/bash)", true),
        ("(bash and (z or e2fsprogs >= 1.47))", true),
        ("(ldiskfsprogs with e2fsprogs)", true),
        ("(ldiskfsprogs without lustre)", true),
        ("(z or y)", false),
        ("(bash and z)", false),
        ("(ldiskfsprogs with bash)", false),
        ("(ldiskfsprogs without e2fsprogs)", false),
        ("(bash if y else z)", false),
    ];
    let mut tree = Tree::new();
    let names: Vec<String> = (0..table.len()).map(|n| format!("asking{n}")).collect();
    for (name, (requirement, _)) in names.iter().zip(&table) {
        tree.with(&asking(name, &requiring([requirement])));
    }
    tree.assemble().unwrap();
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    let closure = tree
        .check()
        .into_iter()
        .find(|check| check.name == "closure")
        .unwrap()
        .message;
    for (name, (requirement, met)) in names.iter().zip(&table) {
        let ours = format!("ours,file://{}/x86_64", tree.dist().display());
        let (success, text) = run(dnf.with_base().arg(format!("--repofrompath={ours}")).args([
            "--setopt=tsflags=test",
            "install",
            name,
        ]));
        assert_eq!(success, *met, "{requirement}: {text}");
        let sentence = format!("nothing provides {requirement} needed by {name}-1-1.x86_64");
        assert_eq!(
            !closure.contains(&sentence),
            *met,
            "{requirement}: {closure}"
        );
    }
}

#[test]
fn the_release_package_is_a_good_rpm() {
    let dir = tempfile::tempdir().unwrap();
    let repo_file = RepoFile::new("https://repo.example.org/lustre", "Lustre test").unwrap();
    let built = release(&repo_file);
    assert!(
        built.bytes == release(&repo_file).bytes,
        "not the same twice"
    );
    let path = dir.path().join(&built.file_name);
    fs::write(&path, &built.bytes).unwrap();
    let query = |arguments: &[&str]| {
        succeed(
            Command::new("rpm")
                .args(["-qp", "--nosignature", "--dbpath"])
                .arg(dir.path().join("db"))
                .args(arguments)
                .arg(&path),
        )
    };
    assert_eq!(
        query(&["--qf", "%{nevra} %{license} %{buildtime} %{buildhost}\\n"]),
        "lustre-repo-release-1.0-1.el8.noarch GPL-2.0-or-later 1704067200 lustre-repo\n"
    );
    assert_eq!(
        query(&[
            "--qf",
            "[%{filenames} %{fileflags:fflags} %{filemodes:perms} %{fileusername}\\n]"
        ]),
        "/etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo  -rw-r--r-- root\n\
         /etc/yum.repos.d/lustre-repo.repo cn -rw-r--r-- root\n\
         /usr/share/doc/lustre-repo-release  drwxr-xr-x root\n\
         /usr/share/doc/lustre-repo-release/kernel-pinning.md d -rw-r--r-- root\n"
    );
    // The package manager needs no scripts and nothing but itself.
    assert_eq!(query(&["--scripts"]), "");
    for requirement in query(&["--requires"]).lines() {
        assert!(
            requirement.starts_with("rpmlib(") || requirement.starts_with("config("),
            "{requirement}"
        );
    }
    // Signed, as it is published.
    let signed = signed(&path, dir.path());
    let (_, text) = run(Command::new("rpmlint").arg(&signed.path));
    let errors: Vec<&str> = text
        .lines()
        // rpmlint looks for the key in this machine's rpm database, where a test's key has no business.
        .filter(|line| line.contains(" E: ") && !line.contains(" E: unknown-key "))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(text.contains("1 packages"), "{text}");
}

#[test]
fn dnf_installs_the_release_package_and_then_everything_from_it() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    let release = tree
        .dist()
        .join("x86_64/Packages/lustre-repo-release-1.0-1.el8.noarch.rpm");
    let define = ["--root".to_owned(), dnf.root().display().to_string()];
    fs::create_dir_all(dnf.root()).unwrap();
    succeed(
        Command::new("rpmkeys")
            .args(&define)
            .arg("--import")
            .arg(tree.dist().join("RPM-GPG-KEY-lustre-repo")),
    );
    succeed(dnf.with_base().arg("install").arg(&release));
    let installed = fs::read_to_string(dnf.root().join("etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo"));
    assert_eq!(installed.unwrap(), public_key());

    let list = succeed(dnf.command().args(["repolist", "--all"]));
    let enabled = |id: &str| {
        list.lines()
            .find(|line| line.split_whitespace().next() == Some(id))
            .unwrap_or_else(|| panic!("{id} in {list}"))
            .ends_with("enabled")
    };
    assert!(enabled("lustre"));
    assert!(!enabled("lustre-debuginfo"));
    assert!(!enabled("lustre-source"));

    // The key's path in the file is the server's; from outside of the root it is this one.
    let key = format!(
        "--setopt=lustre.gpgkey=file://{}/etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo",
        dnf.root().display()
    );
    let said = succeed(
        dnf.with_base()
            .arg(&key)
            .args(["group", "install", "Lustre Server"]),
    );
    for nvra in [
        format!("kernel-core-{OUR_KERNEL}.x86_64"),
        "kmod-lustre-2.17.0-1.x86_64".to_owned(),
        "lustre-2.17.0-1.x86_64".to_owned(),
        "e2fsprogs-1.47-1.x86_64".to_owned(),
    ] {
        assert!(said.contains(&nvra), "{nvra} in {said}");
    }
}

/// What `docs/kernel-pinning.md` promises: a newer kernel of the distribution does not come in by itself.
#[test]
fn a_newer_kernel_of_the_distribution_does_not_replace_ours() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let later = tree.path().join("later");
    let newer = "6.1-999.el8_10";
    for (name, evr) in [
        ("kernel-core", newer),
        ("e2fsprogs", "9-1"),
        ("bash", "6-1"),
    ] {
        Spec {
            name,
            evr,
            tags: "Provides: installonlypkg(kernel)",
            files: &[],
        }
        .build(&later);
    }
    succeed(Command::new("createrepo_c").arg("-q").arg(&later));
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    let text = fs::read_to_string(tree.dist().join("lustre-repo.repo")).unwrap();
    let repos = dnf.root().join("etc/yum.repos.d");
    fs::create_dir_all(&repos).unwrap();
    fs::write(repos.join("lustre-repo.repo"), &text).unwrap();
    fs::write(
        repos.join("base.repo"),
        format!(
            "[base]\nname=base\ngpgcheck=0\nbaseurl=file://{}\n[later]\nname=later\ngpgcheck=0\nbaseurl=file://{}\n",
            world().base.display(),
            later.display()
        ),
    )
    .unwrap();
    let kernels = || -> Vec<String> {
        let text = succeed(Command::new("rpm").arg("--root").arg(dnf.root()).args([
            "-q",
            "kernel-core",
            "--qf",
            "%{version}-%{release}\\n",
        ]));
        text.lines().map(str::to_owned).collect()
    };
    succeed(
        dnf.command()
            .args(["install", "kernel-core", "kmod-lustre", "e2fsprogs"]),
    );
    assert_eq!(kernels(), [OUR_KERNEL]);
    let said = succeed(dnf.command().arg("upgrade"));
    assert!(said.contains("Nothing to do"), "{said}");
    assert_eq!(kernels(), [OUR_KERNEL]);
    // Asked for by version, it comes, next to ours.
    succeed(
        dnf.command()
            .arg("install")
            .arg(format!("kernel-core-{BASE_KERNEL}")),
    );
    assert_eq!(kernels().len(), 2);

    // And without the line, the distribution's wins: the test can fail.
    fs::remove_dir_all(dnf.root()).unwrap();
    fs::create_dir_all(&repos).unwrap();
    fs::write(
        repos.join("lustre-repo.repo"),
        text.replace("priority=50\n", ""),
    )
    .unwrap();
    fs::write(
        repos.join("later.repo"),
        format!(
            "[later]\nname=later\ngpgcheck=0\nbaseurl=file://{}\n",
            later.display()
        ),
    )
    .unwrap();
    succeed(dnf.command().args(["install", "kernel-core"]));
    assert_eq!(kernels(), [newer]);
}
