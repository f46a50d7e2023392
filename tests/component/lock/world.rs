//! A small distribution on a mirror, which a test may change, and a target's file that asks for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lustre_packaging::store::Digest;
use lustre_repo_tests::command_line::{Home, Run};
use lustre_repo_tests::createrepo;
use lustre_repo_tests::gpg::Gpg;
use lustre_repo_tests::http::Server;
use lustre_repo_tests::little::NEEDS;
use lustre_repository::manifest::{self, Manifest, Source, Stage};

pub use super::mirror::{KERNEL, LATER, MODULES, succeed};
use super::mirror::{Package, build, createrepo, shared};

/// What the target calls the mirror.
pub const MIRROR: &str = "https://mirror.example";

/// A mirror of one's own, a target's file, and a user.
pub struct World {
    folder: tempfile::TempDir,
    pub home: Home,
    pub server: Server,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mirror", "git"] {
            succeed(
                Command::new("cp")
                    .arg("-a")
                    .arg(shared().folder.path().join(name))
                    .arg(folder.path()),
            );
        }
        let server = Server::start(&folder.path().join("mirror")).unwrap();
        let world = Self {
            folder,
            home: Home::new(),
            server,
        };
        world.target("");
        world
    }

    pub fn gpg(&self) -> &'static Gpg {
        &shared().gpg
    }

    pub fn mirror(&self, name: &str) -> PathBuf {
        self.folder.path().join("mirror").join(name)
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    pub fn lock_file(&self) -> PathBuf {
        self.folder.path().join("site.lock.toml")
    }

    /// Writes the target's file, with `[install]` as given.
    pub fn target(&self, install: &str) {
        let install = if install.is_empty() {
            "base = ['site-release', 'kernel', 'tool']\nrequires = ['parser']"
        } else {
            install
        };
        let fingerprint = self.gpg().fingerprint();
        let repository = |id: &str, source: bool| {
            format!(
                "[[distribution.repository]]\nid = '{id}'\nbaseurl = '{MIRROR}/$tree/{id}'\nsource = {source}\nkey = 'distribution'\n\
                 signed_metadata = true\nwhy = 'x'\n"
            )
        };
        let text = format!(
            "inherits = 'rocky-10.0'\nfeatures = {{ gss = false }}\n[distribution]\nkey = '{fingerprint}'\nmodule_platform = 'platform:el10'\n\
             bootstrap = ['site-release', 'tool']\nbuildroot = ['site-release', 'compiler']\n\
             [distribution.variables]\ntree = 'el10'\n\
             [distribution.keys.distribution]\nfingerprint = '{fingerprint}'\nfile = 'keys/site-of-the-test.asc'\nurl = '{MIRROR}/KEY'\n\
             {}{}{}[e2fsprogs]\nsource = {{ git-tag = {{ url = 'https://git.example/e2fsprogs', tag = 'v1' }} }}\n\
             [lustre]\nsource = {{ path = 'model/lustre' }}\nbuildroot = ['linker']\n[install]\n{install}\n\
             {NEEDS}[needs.debuginfo]\ndisk_gib = 0\nmemory_mib = 0\n",
            repository("base", false),
            repository("streams", false),
            repository("source", true),
        );
        fs::write(self.file(), text).unwrap();
    }

    /// Runs a command of the tool for the target, with its mirrors.
    pub fn run(&self, command: &[&str]) -> Run {
        lustre_repo_tests::command_line::run(&mut self.command(command))
    }

    /// A command of the tool for the target, with its mirrors, about to run.
    pub fn command(&self, command: &[&str]) -> Command {
        let file = self.file();
        let tree = format!("{MIRROR}/el10={}", self.server.url(""));
        let rest = format!("{MIRROR}={}", self.server.url(""));
        let git = format!(
            "https://git.example={}",
            self.folder.path().join("git").display()
        );
        let mut line = command.to_vec();
        line.extend(["--target", file.to_str().unwrap()]);
        for mirror in [&tree, &rest, &git] {
            line.extend(["--mirror", mirror]);
        }
        self.home.command(&line)
    }

    /// The commit that the tag of e2fsprogs is at.
    pub fn commit(&self) -> String {
        let git = self.folder.path().join("git/e2fsprogs");
        let mut command = Command::new("git");
        command
            .args(["-c", "safe.directory=*", "-C"])
            .arg(git)
            .args(["rev-parse", "v1^{commit}"]);
        succeed(&mut command).trim().to_owned()
    }

    /// A newer `tool` takes the place of the one there is, as on a mirror that has moved on.
    pub fn move_on(&self) {
        self.replace_tool("1.1");
    }

    /// A `tool` of this version takes the place of the one there is.
    pub fn replace_tool(&self, version: &str) {
        let old = self.mirror("base/x86_64/tool-1.0-1.x86_64.rpm");
        fs::remove_file(old).unwrap();
        let tool: &[Package<'_>] = &[("tool", "Requires: (good or bad)")];
        build(&self.mirror("base"), "tools", (version, "1"), tool, None);
        let new = self.mirror(&format!("base/x86_64/tool-{version}-1.x86_64.rpm"));
        self.gpg().sign_package(&new);
        self.again("base");
    }

    /// Makes the metadata of a repository anew, and signs it.
    pub fn again(&self, repository: &str) {
        createrepo(&self.mirror(repository));
        self.gpg().sign_repository(&self.mirror(repository));
    }
}

/// The symbols that the modules of [`World::repository`] ask for, and others that a kernel may have.
pub const SYMBOLS: &[(&str, &str)] = &[("d_path", "0x1a"), ("iput", "0x2b"), ("vfs_read", "0x3c")];

/// The ext4 that ldiskfs was made of.
pub const EXT4: &str = "int ext4;\n";

impl World {
    /// A kernel that provides `symbols`, with its source, whose ext4 is `ext4`. One of the same release is replaced.
    pub fn publish_kernel(&self, release: &str, symbols: &[(&str, &str)], ext4: &str) {
        self.build_kernel(release, symbols, ext4);
        for folder in ["base/x86_64", "source"] {
            let mut packages = Vec::new();
            for entry in fs::read_dir(self.mirror(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if name.starts_with("kernel") && name.contains(release) {
                    packages.push(path);
                }
            }
            self.gpg().sign_packages(&packages);
        }
        for repository in ["base", "source"] {
            self.again(repository);
        }
    }

    /// The packages of a kernel, and its source package as distributions have them: of the few files that are looked at.
    fn build_kernel(&self, release: &str, symbols: &[(&str, &str)], ext4: &str) {
        let work = tempfile::tempdir().unwrap();
        let top = format!("linux-6.12.0-{release}");
        for (file, text) in [
            ("Makefile", "all:\n"),
            ("fs/ext4/inode.c", ext4),
            ("fs/ext4/super.c", "int super;\n"),
            ("fs/jbd2/journal.c", "int journal;\n"),
            ("fs/open.c", release),
        ] {
            let path = work.path().join(&top).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let archive = format!("{top}.tar.xz");
        succeed(
            Command::new("tar")
                .arg("-C")
                .arg(work.path())
                .args(["-cJf"])
                .arg(work.path().join(&archive))
                .arg(&top),
        );
        let patch = "--- a/fs/jbd2/journal.c\n+++ b/fs/jbd2/journal.c\n@@ -1 +1 @@\n-int journal;\n+int patched;\n";
        fs::write(work.path().join("own.patch"), patch).unwrap();
        let provides: String = symbols
            .iter()
            .map(|(symbol, sum)| format!("Provides: kernel({symbol}) = {sum}\n"))
            .collect();
        let core = "Requires: kernel-core = %{version}-%{release}";
        let mut text = format!(
            "Name: kernel\nVersion: 6.12.0\nRelease: {release}\nSummary: x\nLicense: GPL-2.0-only\nSource0: {archive}\n\
             Patch1: own.patch\n{core}\n%description\nx\n%files\n"
        );
        for (name, preamble) in [
            (
                "core",
                format!("Provides: installonlypkg(kernel)\n{provides}"),
            ),
            ("modules", core.to_owned()),
            ("devel", String::new()),
        ] {
            text.push_str(&format!(
                "%package {name}\nSummary: x\n{preamble}\n%description {name}\nx\n%files {name}\n"
            ));
        }
        let spec = work.path().join("kernel.spec");
        fs::write(&spec, text).unwrap();
        let mut command = Command::new("rpmbuild");
        command.args(["--quiet", "-ba", "--target", "x86_64"]);
        command.args(["--define", "debug_package %{nil}"]);
        command.args(["--define", "_build_id_links none"]);
        for (name, path) in [
            ("_topdir", work.path()),
            ("_dbpath", work.path()),
            ("_sourcedir", work.path()),
            ("_rpmdir", &self.mirror("base")),
            ("_srcrpmdir", &self.mirror("source")),
        ] {
            command
                .arg("--define")
                .arg(format!("{name} {}", path.display()));
        }
        succeed(command.arg(&spec));
    }

    /// The kernel's source package in the mirror.
    pub fn kernel_source(&self, release: &str) -> PathBuf {
        self.mirror("source")
            .join(format!("kernel-6.12.0-{release}.src.rpm"))
    }

    /// Takes a kernel off the mirror.
    pub fn withdraw_kernel(&self, release: &str) {
        for folder in ["base/x86_64", "source"] {
            for entry in fs::read_dir(self.mirror(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if name.starts_with("kernel") && name.contains(release) {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        for repository in ["base", "source"] {
            self.again(repository);
        }
    }

    /// The target builds a Lustre whose ldiskfs is made of [`EXT4`]; gives the option with its tree of a few files.
    pub fn small_lustre(&self) -> String {
        let tree = self.folder.path().join("lustre");
        let series = "ldiskfs/kernel_patches/series/ldiskfs-6.12-site.series";
        let patch = "--- a/fs/ext4/inode.c\n+++ b/fs/ext4/inode.c\n@@ -1 +1 @@\n-int ext4;\n+int ldiskfs;\n";
        for (file, text) in [
            ("configure.ac", "AC_INIT\n"),
            ("config/ldiskfs.m4", "LDISKFS_SERIES=\"6.12-site.series\"\n"),
            ("lustre.spec.in", "Name: lustre\n"),
            (series, "one.patch\n"),
            ("ldiskfs/kernel_patches/patches/one.patch", patch),
        ] {
            let path = tree.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let text = fs::read_to_string(self.file()).unwrap();
        let overlay = self.file().with_file_name("plain");
        fs::create_dir_all(&overlay).unwrap();
        fs::write(overlay.join("overlay.toml"), "package = 'lustre'\n").unwrap();
        let plain = "source = { path = 'model/lustre' }\n";
        let small = format!(
            "{plain}version = '1.0.0'\noverlay = './plain'\nldiskfs_series = '6.12-site'\n"
        );
        fs::write(self.file(), text.replace(plain, &small)).unwrap();
        format!("--source=lustre={}", tree.display())
    }

    /// The same as a release of Lustre, by its tag in a clone.
    pub fn small_lustre_tagged(&self, tag: &str) -> String {
        let option = self.small_lustre();
        let tree = self.folder.path().join("lustre");
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "."],
            &["commit", "--quiet", "--message=x"],
            &["tag", "--annotate", "--message=x", tag],
        ] {
            let mut command = Command::new("git");
            command
                .arg("-C")
                .arg(&tree)
                .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
                .args(arguments)
                .env("HOME", self.folder.path());
            succeed(&mut command);
        }
        format!("{option}@{tag}")
    }

    /// Where the repositories of targets are.
    pub fn repositories(&self) -> PathBuf {
        self.folder.path().join("repositories")
    }

    /// The distribution says of a kernel in the repository `base` that it mends something: `updateinfo.xml` as createrepo_c writes it.
    pub fn advise(&self, release: &str, severity: &str, cves: &[&str]) {
        const WRITER: &str = "\
import createrepo_c as cr, datetime, sys
release, severity, cves = sys.argv[1], sys.argv[2], sys.argv[3:]
one = cr.UpdateRecord()
one.fromstr, one.status, one.type, one.version = 'x', 'final', 'security', '1'
one.id, one.title, one.severity = 'SITE-2026:' + release, 'kernel & `more`', severity
one.issued_date = datetime.datetime(2026, 1, 2, 3, 4, 5)
for cve in cves:
    reference = cr.UpdateReference()
    reference.href, reference.id, reference.type, reference.title = 'https://x.example', cve, 'cve', 'x'
    one.append_reference(reference)
collection = cr.UpdateCollection()
collection.shortname, collection.name = 'x', 'x'
for name in ['kernel', 'kernel-core', 'bash']:
    package = cr.UpdateCollectionPackage()
    package.name, package.version, package.release, package.epoch = name, '6.12.0', release, '0'
    package.arch, package.src, package.filename = 'x86_64', 'x', 'x.rpm'
    collection.append(package)
one.append_collection(collection)
all = cr.UpdateInfo()
all.append(one)
print(all.xml_dump())
";
        let python = createrepo::program().unwrap().with_file_name("python");
        let mut command = Command::new(python);
        command.args(["-c", WRITER, release, severity]).args(cves);
        let xml = succeed(&mut command);
        let file = self.folder.path().join("updateinfo.xml");
        fs::write(&file, xml).unwrap();
        succeed(
            Command::new("modifyrepo_c")
                .arg("--mdtype=updateinfo")
                .arg(&file)
                .arg(self.mirror("base/repodata")),
        );
        self.gpg().sign_repository(&self.mirror("base"));
    }

    /// A repository as this tool makes them, whose modules are for [`SYMBOLS`] and whose ldiskfs is made of the source of the kernel
    /// `release`.
    pub fn repository(&self, release: &str) -> PathBuf {
        let folder = self.repositories().join("site");
        let requires = |symbols: &[(&str, &str)]| -> String {
            let line =
                |(symbol, sum): &(&str, &str)| format!("Requires: kernel({symbol}) = {sum}\n");
            symbols.iter().map(line).collect()
        };
        let (lustre, ldiskfs) = (requires(&SYMBOLS[..2]), requires(&SYMBOLS[1..]));
        let kmods: &[Package<'_>] = &[
            ("kmod-lustre", &lustre),
            ("kmod-lustre-osd-ldiskfs", &ldiskfs),
        ];
        build(
            &folder.join("x86_64"),
            "kmods",
            ("2.17.0", "1"),
            kmods,
            None,
        );
        createrepo(&folder.join("x86_64"));
        let source = fs::read(self.kernel_source(release)).unwrap();
        let manifest = Manifest {
            format: manifest::FORMAT,
            target: "site".to_owned(),
            stages: BTreeMap::from([(
                "lustre".to_owned(),
                Stage {
                    sources: vec![Source {
                        name: "kernel".to_owned(),
                        location: format!("{MIRROR}/el10/source/kernel.src.rpm"),
                        digest: format!("sha256:{}", Digest::of_bytes(&source)),
                    }],
                    ..Stage::default()
                },
            )]),
            ..Manifest::default()
        };
        manifest.write(&folder.join(manifest::FILE)).unwrap();
        folder
    }
}
