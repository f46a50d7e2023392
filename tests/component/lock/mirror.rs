//! What all tests of locks share, made once: repositories of tiny packages, made by rpmbuild and createrepo_c and signed by GnuPG, and a git
//! repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lustre_repo_tests::gpg::Gpg;

/// The kernel that the target names, and a later one.
pub const KERNEL: &str = "55.41.1.el10_0";

pub const LATER: &str = "60.1.1.el10_0";

/// Name, what is in its preamble.
pub type Package<'a> = (&'a str, &'a str);

/// What our e2fsprogs requires to be built is all in one package.
const BASE: &[Package<'static>] = &[
    ("site-release", "BuildArch: noarch"),
    ("tool", "Requires: (good or bad)\nRecommends: weak"),
    ("good", "Epoch: 2"),
    ("weak", ""),
    ("unwanted", ""),
    ("compiler", "Requires: linker >= 1"),
    ("linker", ""),
    ("parser", ""),
    (
        "build-tools",
        "Provides: diffutils, file-devel, gawk, gcc, gettext, gzip, libblkid-devel, libuuid-devel, make, patch, pkgconfig, sed, texinfo",
    ),
];

/// What the command says, which has to succeed.
pub fn succeed(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// Builds packages of these names, all of one version and release, into `folder`; with `source`, the source package instead.
pub fn build(
    folder: &Path,
    name: &str,
    evr: (&str, &str),
    packages: &[Package<'_>],
    source: Option<&Path>,
) {
    let work = tempfile::tempdir().unwrap();
    let mut text = format!(
        "Name: {name}\nVersion: {}\nRelease: {}\nSummary: x\nLicense: GPL-2.0-only\n%description\nx\n",
        evr.0, evr.1
    );
    for (package, preamble) in packages {
        text.push_str(&format!(
            "%package -n {package}\nSummary: x\n{preamble}\n%description -n {package}\nx\n%files -n {package}\n"
        ));
    }
    let spec = work.path().join(format!("{name}.spec"));
    fs::write(&spec, text).unwrap();
    let mut command = Command::new("rpmbuild");
    command.args(["--quiet", "--target", "x86_64"]);
    for (macro_name, path) in [
        ("_topdir", work.path()),
        ("_dbpath", work.path()),
        ("_rpmdir", folder),
        ("_srcrpmdir", source.unwrap_or(folder)),
    ] {
        command
            .arg("--define")
            .arg(format!("{macro_name} {}", path.display()));
    }
    command
        .args(["--define", "debug_package %{nil}"])
        .args(["--define", "_build_id_links none"])
        .arg(if source.is_some() { "-bs" } else { "-bb" })
        .arg(&spec);
    succeed(&mut command);
}

/// Signs all packages below a folder.
pub fn sign(gpg: &Gpg, folder: &Path) {
    let packages: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|end| end == "rpm"))
        .collect();
    gpg.sign_packages(&packages);
}

pub fn createrepo(folder: &Path) {
    succeed(Command::new("createrepo_c").arg("--quiet").arg(folder));
}

/// A stream of a module: its package hides the one of the same name that is newer and in none.
pub const MODULES: &str = r#"---
document: modulemd
version: 2
data:
  name: parser
  stream: "1"
  version: 1
  context: c0ffee11
  arch: x86_64
  summary: x
  description: x
  license: {module: [MIT]}
  dependencies: [{requires: {platform: [el10]}}]
  artifacts: {rpms: ["parser-0:0.9-1.module.x86_64"]}
...
---
document: modulemd-defaults
version: 1
data: {module: parser, stream: "1"}
...
"#;

/// What all tests share: built once.
pub struct Shared {
    pub folder: tempfile::TempDir,
    pub gpg: Gpg,
}

pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let gpg = Gpg::new("Distribution");
        let place = |name: &str| folder.path().join("mirror").join(name);
        build(&place("base"), "world", ("1.0", "1"), BASE, None);
        for release in [KERNEL, LATER] {
            let kernel: &[Package<'_>] = &[
                ("kernel", "Requires: kernel-core = %{version}-%{release}"),
                ("kernel-core", "Provides: installonlypkg(kernel)"),
                (
                    "kernel-modules",
                    "Requires: kernel-core = %{version}-%{release}",
                ),
                ("kernel-devel", ""),
            ];
            let version = ("6.12.0", release);
            build(&place("base"), "kernels", version, kernel, None);
            fs::create_dir_all(place("source")).unwrap();
            build(
                &place("base"),
                "kernel",
                version,
                &[],
                Some(&place("source")),
            );
        }
        let parser: &[Package<'_>] = &[("parser", "")];
        build(
            &place("streams"),
            "parsers",
            ("0.9", "1.module"),
            parser,
            None,
        );
        for name in ["base", "streams", "source"] {
            sign(&gpg, &place(name));
            createrepo(&place(name));
        }
        let modules = folder.path().join("modules.yaml");
        fs::write(&modules, MODULES).unwrap();
        succeed(
            Command::new("modifyrepo_c")
                .arg("--mdtype=modules")
                .arg(&modules)
                .arg(place("streams/repodata")),
        );
        for name in ["base", "streams", "source"] {
            gpg.sign_repository(&place(name));
        }
        fs::write(place("KEY"), gpg.public_key()).unwrap();
        let git = folder.path().join("git/e2fsprogs");
        fs::create_dir_all(&git).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(&git).args([
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@example.org",
            ]);
            succeed(command.args(arguments).env("HOME", folder.path()))
        };
        run(&["init", "--quiet", "--initial-branch=main"]);
        fs::create_dir_all(git.join("lib/ext2fs")).unwrap();
        for (name, text) in [
            ("version.h", "#define E2FSPROGS_VERSION \"1.47.3\"\n"),
            (
                "lib/ext2fs/ext2fs.h",
                "#define EXT2_LIB_FEATURE_INCOMPAT_SUPP (EXT4_FEATURE_INCOMPAT_DIRDATA)\n",
            ),
        ] {
            fs::write(git.join(name), text).unwrap();
        }
        run(&["add", "."]);
        run(&["commit", "--quiet", "--message=x"]);
        run(&["tag", "--annotate", "--message=x", "v1"]);
        let mut command = Command::new("git");
        command.arg("-C").arg(&git).args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            "tag",
            "--message=signed",
            "--local-user",
            &gpg.fingerprint(),
            "v2",
        ]);
        succeed(
            command
                .env("HOME", folder.path())
                .env("GNUPGHOME", gpg.home()),
        );
        // The same signed tag under another name.
        run(&["update-ref", "refs/tags/v3", "refs/tags/v2"]);
        Shared { folder, gpg }
    })
}
