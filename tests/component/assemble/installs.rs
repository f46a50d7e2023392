//! What installing with the release package does on a server.

use std::fs;
use std::process::Command;

use lustre_repository::repo_file::RepoFile;

use super::clients::Dnf;
use super::world::{
    BASE_KERNEL, OUR_KERNEL, Spec, Tree, public_key, release, run, signed, succeed, world,
};

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
    // rpm, which rpmlint asks, takes its keys from where `~/.rpmmacros` says.
    let db = dir.path().join("keys");
    fs::write(
        dir.path().join(".rpmmacros"),
        format!("%_dbpath {}\n", db.display()),
    )
    .unwrap();
    let key = dir.path().join("key.asc");
    fs::write(&key, public_key()).unwrap();
    let at_home = |program: &str| {
        let mut command = Command::new(program);
        command.env("HOME", dir.path());
        command
    };
    succeed(at_home("rpmkeys").arg("--import").arg(&key));
    let (_, text) = run(at_home("rpmlint").arg(&signed.path));
    assert!(
        text.contains("1 packages and 0 specfiles checked; 0 errors"),
        "{text}"
    );
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
