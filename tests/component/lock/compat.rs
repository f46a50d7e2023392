//! `compat`: on which kernels of a mirror the modules of a repository load. What the tool says of checksums, rpm says, too.

use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_repo_tests::command_line::{Run, project};
use lustre_repo_tests::json_schema::wrong;
use lustre_repository::compat::{Compat, Ext4Comparison, Kernel, Verdict};
use serde_json::Value;

use super::world::{EXT4, KERNEL, LATER, SYMBOLS, World};

/// Everything as in the kernel that the modules were built for.
const SAME: &str = "56.1.1.el10_0";
/// One symbol is another, and one is gone.
const CHANGED: &str = "57.1.1.el10_0";
/// ext4 is another.
const MENDED: &str = "58.1.1.el10_0";

/// A mirror with these kernels besides the two that there are, the later of which provides no symbols.
fn world() -> World {
    let world = World::new();
    for release in [KERNEL, SAME] {
        world.publish_kernel(release, SYMBOLS, EXT4);
    }
    let changed = [("d_path", "0x1a"), ("iput", "0x99"), ("unasked", "0x1")];
    world.publish_kernel(CHANGED, &changed, EXT4);
    world.publish_kernel(MENDED, SYMBOLS, "int mended;\n");
    world
}

fn schema(name: &str) -> Value {
    let path = project().join(format!("docs/schema/{name}.schema.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What `compat --json` said, which has to be as its schema has it.
fn read(ran: &Run) -> Compat {
    let value: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    assert_eq!(wrong(&schema("compat"), &value), [] as [String; 0]);
    serde_json::from_value(value).unwrap()
}

fn kernel<'c>(compat: &'c Compat, release: &str) -> &'c Kernel {
    let name = format!("kernel-6.12.0-{release}.x86_64");
    let mut found = compat.kernels.iter().filter(|one| one.kernel == name);
    let one = found.next();
    assert!(found.next().is_none());
    one.unwrap_or_else(|| panic!("{release}: {compat:#?}"))
}

/// Whether rpm would install the modules beside the kernel: all that they require is there.
fn rpm_takes(world: &World, repository: &Path, release: &str) -> bool {
    let database = tempfile::tempdir().unwrap();
    let mut command = Command::new("rpm");
    command.arg("--dbpath").arg(database.path()).args([
        "--install",
        "--test",
        "--nosignature",
        "--ignoreos",
        "--ignorearch",
    ]);
    for name in ["kmod-lustre", "kmod-lustre-osd-ldiskfs"] {
        command.arg(repository.join(format!("x86_64/x86_64/{name}-2.17.0-1.x86_64.rpm")));
    }
    let core = format!("base/x86_64/kernel-core-6.12.0-{release}.x86_64.rpm");
    command
        .arg(world.mirror(&core))
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn every_kernel_of_the_mirror_is_judged_by_checksums_and_by_its_ext4() {
    let world = world();
    let repository = world.repository(KERNEL);
    let path = repository.to_str().unwrap();
    let ran = world.run(&["compat", path, "--json"]);
    let compat = read(&ran);
    assert_eq!((compat.symbols, compat.modules.len()), (3, 2));
    assert_eq!(compat.kernels.len(), 5);
    for (release, verdict, ext4) in [
        (KERNEL, Verdict::Loads, Ext4Comparison::Same),
        (SAME, Verdict::Loads, Ext4Comparison::Same),
        (CHANGED, Verdict::DoesNotLoad, Ext4Comparison::NotCompared),
        (MENDED, Verdict::Loads, Ext4Comparison::Differs),
        (LATER, Verdict::Unknown, Ext4Comparison::NotCompared),
    ] {
        let one = kernel(&compat, release);
        assert_eq!((one.verdict, one.ext4.result), (verdict, ext4), "{one:#?}");
        assert_eq!(
            rpm_takes(&world, &repository, release),
            verdict == Verdict::Loads,
            "{release}: rpm"
        );
    }
    let changed = kernel(&compat, CHANGED);
    let lacking: Vec<_> = changed
        .lacking
        .iter()
        .map(|one| (one.symbol.as_str(), one.wanted.as_str(), one.has.as_deref()))
        .collect();
    assert_eq!(
        lacking,
        [("iput", "0x2b", Some("0x99")), ("vfs_read", "0x3c", None)]
    );
    assert_eq!(kernel(&compat, MENDED).ext4.files, ["fs/ext4/inode.c"]);
    // The newest says nothing of its symbols: that is no yes.
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("{LATER}.x86_64, the newest"))
            && ran.stderr.contains("cannot be told"),
        "{}",
        ran.stderr
    );
    // Nothing of the lock was needed, and none was written.
    assert!(!world.lock_file().exists());
    let text = world.run(&["compat", path]);
    for part in [
        "iput 0x2b: the kernel has 0x99 (kmod-lustre-2.17.0-1.x86_64)",
        "vfs_read 0x3c: the kernel does not have it (kmod-lustre-osd-ldiskfs-2.17.0-1.x86_64)",
        "unknown        kernel-6.12.0-60.1.1.el10_0.x86_64 (base)",
        "1 of its files differ from those that ldiskfs was made of (fs/ext4/inode.c)",
    ] {
        assert!(text.stdout.contains(part), "`{part}`: {}", text.stdout);
    }
}

#[test]
fn the_newest_kernel_decides_whether_it_may_be_installed() {
    let world = world();
    world.withdraw_kernel(LATER);
    let repository = world.repository(KERNEL);
    let path = repository.to_str().unwrap();
    let asked = |code: i32, part: &str| {
        let ran = world.run(&["compat", path]);
        assert_eq!(ran.code, code, "{part}: {ran:?}");
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    };
    asked(3, "ldiskfs lacks what its ext4 has");
    world.withdraw_kernel(MENDED);
    asked(3, "the modules do not load");
    world.withdraw_kernel(CHANGED);
    asked(0, "nothing speaks against it");
    // Without its source nothing is said of its ext4, and least of all that it is the same.
    fs::remove_file(world.kernel_source(SAME)).unwrap();
    world.again("source");
    let ran = world.run(&["compat", path, "--json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let compat = read(&ran);
    let one = kernel(&compat, SAME);
    let why = one.ext4.why.clone().unwrap();
    assert_eq!(one.ext4.result, Ext4Comparison::NotCompared);
    assert!(why.contains(&format!("kernel-6.12.0-{SAME}")), "{why}");
}

#[test]
fn a_repository_that_is_not_there_or_says_too_little_is_told() {
    let world = World::new();
    world.publish_kernel(LATER, SYMBOLS, EXT4);
    let none = world.run(&["compat"]);
    assert_eq!(none.code, 1, "{none:?}");
    for part in ["no repository of `site`", "dist/site", "cargo xtask repo"] {
        assert!(none.stderr.contains(part), "`{part}`: {}", none.stderr);
    }
    let empty = tempfile::tempdir().unwrap();
    let ran = world.run(&["compat", empty.path().to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("repomd.xml"), "{}", ran.stderr);
    // What ldiskfs was made of is told by the manifest alone.
    let repository = world.repository(LATER);
    fs::remove_file(repository.join("manifest.json")).unwrap();
    let path = repository.to_str().unwrap();
    let ran = world.run(&["compat", path]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stdout.contains("what ldiskfs was made of is not known"),
        "{}",
        ran.stdout
    );
    // Without network, the store has to have what the lock pins.
    let ran = world.run(&["compat", path, "--offline"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in ["are not in the store", "without --offline"] {
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    }
}
