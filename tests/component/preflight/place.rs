//! A target with all its sources, small enough to read: a kernel of a few files, a Lustre tree with two patches of ldiskfs, an
//! e2fsprogs with one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::archive::pack_tar_gz;
use lustre_packaging::preflight::{self, Inputs, KernelSource, LustreSource, Report};
use lustre_packaging::target::{KernelKind, Target};
use lustre_repo_tests::command_line::project;

/// The target: the rehearsal's, but for what is looked at.
pub const TARGET: &str = r#"
inherits = "rehearsal"
[distribution]
dist = ".t1"
bootstrap = ["dnf"]
buildroot = ["gcc"]
[e2fsprogs]
spec = "e2fsprogs"
version = "1.47.0"
packages = ["e2fsprogs", "e2fsprogs-devel"]
[kernel]
overlay = "kernel/t"
[lustre]
ldiskfs_series = "6.1-test"
configure = []
buildroot = ["autoconf"]
modules = ["ldiskfs.ko"]
[install]
base = ["dnf"]
"#;

const KERNEL_OVERLAY: &str = r#"package = "kernel"
spec = "kernel.spec"
[config]
base = "kernel-x.config"
fragments = ["lustre.config"]
tree = "linux-{version}"
used = ".config"
[[series]]
root = "lustre"
series = "lustre/kernel_patches/series/6.1.series"
patches = "lustre/kernel_patches/patches"
collated = "patch-{version}-lustre.patch"
fuzz = 1
[[edit]]
name = "apply-patch"
why = "w"
anchor = "ApplyOptionalPatch linux-kernel-test.patch"
position = "before"
expect = 1
text = "ApplyOptionalPatch patch-lustre.patch"
"#;

/// Of one kernel something is known: it needs a fixup from its second release on.
const KNOWLEDGE: &str = r#"
[[rule]]
since = "1.0"
el = "9.6"
before = "20"
result = "builds"
series = "6.1-test"
[[rule]]
since = "1.0"
el = "9.6"
from = "20"
result = "fixup"
overlay = "lustre/t"
option = "delayed-put"
series = "6.1-test"
why = "there is no fresh node any more"
"#;

/// A kernel's xattr.c as it was: it has a fresh node to put away.
pub const OLD_SHAPE: &str = "\
/* attributes */
static int read_attribute(struct node *node)
{
	int size = 0;

	if (!node)
		return -1;
	size = node->size;
	return size;
}

/* from here on things are set */

static int
set_attribute(struct node *node, int value)
{
	struct node *old = find_node(node);
	struct node *fresh = NULL;
	int error = 0;

	if (!old)
		return -1;
	error = store(old, value);
	put_node(old);
	put_node(fresh);
	node->changed = 1;
	return error;
}
";

/// The same after a change that no longer needs one: the second hunk's context is gone.
pub const NEW_SHAPE: &str = "\
/* attributes */
static int read_attribute(struct node *node)
{
	int size = 0;

	if (!node)
		return -1;
	size = node->size;
	return size;
}

/* from here on things are set */

static int
set_attribute(struct node *node, int value)
{
	struct node *old = find_node(node);
	int error = 0;

	if (!old)
		return -1;
	error = store(old, value);
	put_node(old);
	node->changed = 1;
	return error;
}
";

const HEADER: &str = "struct node {\n\tint size;\n\tint changed;\n};\n";

const FIRST: &str = "\
--- a/fs/ext4/ext4.h
+++ b/fs/ext4/ext4.h
@@ -1,4 +1,5 @@
 struct node {
 	int size;
 	int changed;
+	struct work later;
 };
";

/// Nodes are put away later: in two files, the second of them twice. Written for the old shape.
const DELAYED: &str = "\
A node is put away when nobody waits for it.

--- a/fs/ext4/ext4.h
+++ b/fs/ext4/ext4.h
@@ -3,3 +3,4 @@
 	int changed;
 	struct work later;
 };
+void put_node_later(struct node *node);
--- a/fs/ext4/xattr.c
+++ b/fs/ext4/xattr.c
@@ -4,6 +4,7 @@ static int read_attribute(struct node *node)
 	int size = 0;
 
 	if (!node)
 		return -1;
+	wait_for(node);
 	size = node->size;
 	return size;
@@ -16,13 +17,14 @@ set_attribute(struct node *node, int value)
 {
 	struct node *old = find_node(node);
 	struct node *fresh = NULL;
+	struct work *work = NULL;
 	int error = 0;
 
 	if (!old)
 		return -1;
 	error = store(old, value);
-	put_node(old);
+	put_node_later(old);
 	put_node(fresh);
-	node->changed = 1;
+	node->changed = work != NULL;
 	return error;
 }
";

/// The folders and files of one target.
pub struct Place {
    dir: tempfile::TempDir,
    target: Target,
    /// Files that Lustre's clone lacks.
    pub missing: Vec<String>,
    /// Whether the user takes it so.
    pub incomplete_allowed: bool,
    /// The release of the kernel's source package.
    pub kernel_release: String,
    /// The release of Lustre, where that is known.
    pub lustre_version: Option<String>,
}

impl Place {
    /// Everything fits, for a kernel whose xattr.c has the old shape.
    pub fn new(xattr: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut place = Self {
            target: load(dir.path(), TARGET),
            dir,
            missing: Vec::new(),
            incomplete_allowed: false,
            kernel_release: "1.t1".to_owned(),
            lustre_version: Some("1.0".to_owned()),
        };
        place.specs("kernel/t/overlay.toml", KERNEL_OVERLAY);
        place.specs("kernel/t/lustre.config", "CONFIG_QUOTA=y\n");
        place.specs(
            "e2fsprogs/e2fsprogs.spec",
            "Release: 1%{?dist}\nProvides: ldiskfsprogs = %{version}\n",
        );
        place.specs("e2fsprogs/series", "one.patch\n");
        place.specs(
            "e2fsprogs/patches/one.patch",
            "--- a/lib/features.c\n+++ b/lib/features.c\n@@ -1,2 +1,3 @@\n known\n+dirdata\n end\n",
        );
        place.write_e2fsprogs("lib/features.c", "known\nend\n");
        place.write_e2fsprogs("version.h", "#define E2FSPROGS_VERSION \"1.47.0\"\n");
        place.write_e2fsprogs(
            "lib/ext2fs/ext2fs.pc.in",
            "Name: ext2fs\nVersion: @E2FSPROGS_VERSION@\n",
        );
        for (file, text) in [
            (
                "sources/kernel.spec",
                "Name: kernel\nPatch9: linux-kernel-test.patch\nApplyOptionalPatch linux-kernel-test.patch\n",
            ),
            ("sources/linux-kernel-test.patch", "nothing yet\n"),
            ("sources/kernel-x.config", "CONFIG_EXT4_FS=m\n"),
            (
                "parts/Kconfig",
                "config QUOTA\n\tbool\nconfig EXT4_FS\n\ttristate\n",
            ),
            ("parts/fs/open.c", "one\ntwo\nthree\n"),
            ("parts/fs/ext4/ext4.h", HEADER),
            ("parts/fs/ext4/xattr.c", xattr),
        ] {
            place.write_kernel(file, text);
        }
        for (file, text) in [
            ("configure.ac", "AC_INIT\n"),
            ("config/ldiskfs.m4", "LDISKFS_SERIES=\"6.1-test.series\"\n"),
            ("lustre.spec.in", "Requires: ldiskfsprogs > 1.45.6\n"),
            ("lustre/kernel_patches/series/6.1.series", "core.patch\n"),
            (
                "lustre/kernel_patches/patches/core.patch",
                "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
            ),
            (
                "ldiskfs/kernel_patches/series/ldiskfs-6.1-test.series",
                "base/first.patch\nbase/delayed-put.patch\n",
            ),
            ("ldiskfs/kernel_patches/patches/base/first.patch", FIRST),
            (
                "ldiskfs/kernel_patches/patches/base/delayed-put.patch",
                DELAYED,
            ),
        ] {
            place.write_lustre(file, text);
        }
        place
    }

    /// Sets the target's text.
    pub fn target(&mut self, text: &str) {
        self.target = load(self.dir.path(), text);
    }

    /// Has the servers run the distribution's own kernel.
    pub fn with_own_kernel(&mut self) {
        self.target.kernel.kind = KernelKind::Distribution;
        self.target.kernel.overlay = None;
    }

    /// Writes a file under `specs/`.
    pub fn specs(&mut self, file: &str, text: &str) {
        write(&self.dir.path().join("specs").join(file), text);
    }

    /// The folder `specs/`.
    pub fn specs_folder(&self) -> PathBuf {
        self.dir.path().join("specs")
    }

    /// A file of the kernel: of the source package below `sources`, of the archive below `parts`.
    pub fn kernel(&self, file: &str) -> PathBuf {
        self.dir.path().join("kernel").join(file)
    }

    /// Writes a file of the kernel.
    pub fn write_kernel(&self, file: &str, text: &str) {
        write(&self.kernel(file), text);
    }

    /// A file of Lustre's tree.
    pub fn lustre(&self, file: &str) -> PathBuf {
        self.dir.path().join("lustre").join(file)
    }

    /// Writes a file of Lustre's tree.
    pub fn write_lustre(&self, file: &str, text: &str) {
        write(&self.lustre(file), text);
    }

    /// Writes a file of e2fsprogs.
    pub fn write_e2fsprogs(&self, file: &str, text: &str) {
        write(&self.dir.path().join("e2fsprogs").join(file), text);
    }

    /// Runs every check.
    pub fn run(&self) -> Report {
        let archive = self.dir.path().join("e2fsprogs.tar.gz");
        pack_tar_gz(
            &self.dir.path().join("e2fsprogs"),
            "e2fsprogs-1.47.0",
            1_700_000_000,
            &archive,
        )
        .unwrap();
        let offered: BTreeSet<String> = ["dnf", "gcc", "autoconf"].map(str::to_owned).into();
        let scratch = tempfile::tempdir().unwrap();
        let before = contents(self.dir.path());
        let report = preflight::run(&Inputs {
            target: &self.target,
            specs: &self.dir.path().join("specs"),
            kernel: &KernelSource {
                folder: self.kernel("sources"),
                parts: self.kernel("parts"),
                version: "6.1.9".to_owned(),
                release: self.kernel_release.clone(),
                arch: "x86_64".to_owned(),
                tree: None,
            },
            lustre: &LustreSource {
                tree: self.dir.path().join("lustre"),
                label: "Lustre 1.0".to_owned(),
                version: self.lustre_version.clone(),
                missing: self.missing.clone(),
                incomplete_allowed: self.incomplete_allowed,
            },
            e2fsprogs: Some(&archive),
            offered: Some(&offered),
            scratch: scratch.path(),
        })
        .unwrap();
        assert_eq!(contents(self.dir.path()), before, "an input was changed");
        report
    }
}

fn load(dir: &Path, text: &str) -> Target {
    let specs = dir.join("specs");
    // What the rehearsal is composed of.
    for file in [
        "targets/rehearsal.toml",
        "lustre/releases/model.toml",
        "lustre/server.toml",
        "lustre/features.toml",
        "e2fsprogs/releases/1.47.0.toml",
        "e2fsprogs/packages.toml",
    ] {
        let text = fs::read_to_string(project().join("specs").join(file)).unwrap();
        write(&specs.join(file), &text);
    }
    // The releases' series are looked up in it.
    write(&specs.join("lustre/knowledge.toml"), KNOWLEDGE);
    write(&specs.join("targets/t.toml"), text);
    Target::load(&specs, "t").unwrap()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<(PathBuf, Vec<u8>)> = walkdir::WalkDir::new(dir)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (entry.path().to_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}
