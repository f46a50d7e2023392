//! `watch`: what is new on a mirror that moves on, and how little is asked where nothing is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use lustre_packaging::lock::Lock;
use lustre_repo_tests::command_line::{Run, project};
use lustre_repo_tests::http::Fault;
use lustre_repo_tests::json_schema::wrong;
use serde_json::{Value, json};

use super::locked;
use super::world::{EXT4, KERNEL, LATER, SYMBOLS, World};

/// Everything as in the kernel that is locked.
const SAME: &str = "56.1.1.el10_0";
/// One symbol is another.
const CHANGED: &str = "57.1.1.el10_0";
/// ext4 is another.
const MENDED: &str = "58.1.1.el10_0";

const INDEX: [&str; 3] = [
    "/base/repodata/repomd.xml",
    "/streams/repodata/repomd.xml",
    "/source/repodata/repomd.xml",
];

/// A mirror with the one kernel that is locked, and a repository of modules for it.
fn world() -> World {
    world_of(World::new())
}

fn world_of(world: World) -> World {
    world.withdraw_kernel(LATER);
    world.publish_kernel(KERNEL, SYMBOLS, EXT4);
    locked(&world);
    world.repository(KERNEL);
    world
}

fn watch(world: &World, options: &[&str]) -> Run {
    let repositories = world.repositories();
    let folder = repositories.to_str().unwrap();
    world.run(&[&["watch", "--json", "--repositories", folder], options].concat())
}

/// What it said, which has to be as its schema has it.
fn read(ran: &Run) -> Value {
    let value: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let path = project().join("docs/schema/watch.schema.json");
    let schema = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(wrong(&schema, &value), [] as [String; 0], "{value:#}");
    value
}

/// What it said of the one target.
fn one(ran: &Run) -> Value {
    let mut report = read(ran);
    assert_eq!(report["failed"], json!([]), "{report:#}");
    let one = report["targets"][0].take();
    assert_eq!(report["new"], one["new"]);
    one
}

fn statuses(world: &World) -> Vec<(String, u16)> {
    let requests = world.server.requests().into_iter();
    requests.map(|one| (one.path, one.status)).collect()
}

/// All files of the user, but for what only says who runs, and for logs.
fn files(world: &World) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(world.home.path()) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(world.home.path()).unwrap();
        let of_a_run = [
            "store/tmp",
            "store/logs",
            "store/store.lock",
            "store/store.use",
        ];
        if entry.file_type().is_file() && !of_a_run.iter().any(|one| path.starts_with(one)) {
            let about = entry.metadata().unwrap();
            files.insert(path.to_owned(), (about.ino(), about.modified().unwrap()));
        }
    }
    files
}

#[test]
fn where_nothing_is_new_each_repository_is_asked_once_and_nothing_is_written() {
    let world = world();
    let first = watch(&world, &[]);
    assert_eq!(first.code, 0, "{first:?}");
    let said = one(&first);
    assert_eq!(
        (&said["new"], &said["preflight"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(said["locked"], format!("6.12.0-{KERNEL}"));

    let text = world.home.path().join("change.md");
    let lock = fs::read_to_string(world.lock_file()).unwrap();
    let before = files(&world);
    for options in [&[][..], &["--update", "--markdown", text.to_str().unwrap()]] {
        world.server.requests();
        let ran = watch(&world, options);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(one(&ran)["new"], false);
        let expected = INDEX.map(|path| (path.to_owned(), 304));
        assert_eq!(statuses(&world), expected, "one request each");
        assert_eq!(files(&world), before);
    }
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);
    // A server that cannot say so is asked for the file, and what did not change is not new.
    for path in INDEX {
        world.server.faults(path, [Fault::Forgetful]);
    }
    let ran = watch(&world, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let expected = INDEX.map(|path| (path.to_owned(), 200));
    assert_eq!(statuses(&world), expected);
    assert_eq!(files(&world), before);
}

#[test]
fn a_mirror_that_moves_on_is_told_with_verdicts_and_advisories() {
    let world = world();
    assert_eq!(watch(&world, &[]).code, 0);
    let lock = fs::read_to_string(world.lock_file()).unwrap();
    let text = world.home.path().join("change.md");
    let markdown = ["--update", "--markdown", text.to_str().unwrap()];

    // The same checksums.
    world.publish_kernel(SAME, SYMBOLS, EXT4);
    world.advise(SAME, "Important", &["CVE-2026-2", "CVE-2026-1"]);
    let ran = watch(&world, &markdown);
    let said = one(&ran);
    assert_eq!(said["new"], true, "{said:#}");
    let kernel = &said["kernels"][0];
    assert_eq!(kernel["version"], format!("6.12.0-{SAME}"));
    assert_eq!(kernel["known"]["result"], "pass");
    assert_eq!(kernel["compat"]["verdict"], "loads");
    assert_eq!(kernel["compat"]["ext4"]["result"], "same");
    let advisory = &kernel["advisories"][0];
    assert_eq!(advisory["severity"], "Important");
    assert_eq!(advisory["cves"], json!(["CVE-2026-1", "CVE-2026-2"]));
    assert_eq!(advisory["id"], format!("SITE-2026:{SAME}"));
    let updateinfo: Vec<(&Value, &Value)> = said["repositories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["changed"], &one["updateinfo"]))
        .collect();
    assert_eq!(
        updateinfo,
        [
            (&json!(true), &json!(true)),
            (&json!(false), &json!(false)),
            (&json!(true), &Value::Null),
        ]
    );
    // What is in this kernel's source is not what ldiskfs can be made of: preflight says so, and the lock stays.
    assert_eq!(said["preflight"]["result"], "fail", "{said:#}");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(said["updated"], false);
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);
    let change = fs::read_to_string(&text).unwrap();
    for part in [
        &format!("kernel 6.12.0-{SAME} in place of 6.12.0-{KERNEL}"),
        "the modules of the repository load on it",
        "its ext4 and jbd2 are the same",
        "`SITE-2026:56.1.1.el10_0 security Important: kernel &  more  (CVE-2026-1, CVE-2026-2)`",
        "no advisories (updateinfo.xml) are in the repository `streams`",
        "preflight: something does not fit",
    ] {
        assert!(change.contains(part), "`{part}`: {change}");
    }
    // It was told.
    let ran = watch(&world, &[]);
    assert_eq!((ran.code, &one(&ran)["new"]), (0, &json!(false)));

    // One checksum is another, and nobody says anything of it.
    let changed = [("d_path", "0x1a"), ("iput", "0x99"), ("vfs_read", "0x3c")];
    world.publish_kernel(CHANGED, &changed, EXT4);
    let ran = watch(&world, &[]);
    let said = one(&ran);
    assert_eq!(said["new"], true);
    let kernel = &said["kernels"][1];
    assert_eq!(kernel["version"], format!("6.12.0-{CHANGED}"));
    assert_eq!(kernel["compat"]["verdict"], "does-not-load");
    assert_eq!(kernel["compat"]["lacking"][0]["symbol"], "iput");
    assert_eq!(kernel["advisories"], json!([]));
    assert_eq!(said["repositories"][0]["updateinfo"], false, "it is gone");

    // ext4 is another.
    world.publish_kernel(MENDED, SYMBOLS, "int mended;\n");
    let said = one(&watch(&world, &[]));
    let kernel = &said["kernels"][2];
    assert_eq!(kernel["compat"]["verdict"], "loads");
    assert_eq!(kernel["compat"]["ext4"]["result"], "differs");
    assert_eq!(
        kernel["compat"]["ext4"]["files"],
        json!(["fs/ext4/inode.c"])
    );

    // One that says nothing of its symbols.
    world.publish_kernel(LATER, &[], EXT4);
    let said = one(&watch(&world, &[]));
    assert_eq!(said["kernels"][3]["compat"]["verdict"], "unknown");
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);
}

#[test]
fn an_older_kernel_is_not_new_and_what_was_told_is_taken_when_that_is_asked() {
    let world = world();
    world.publish_kernel("54.1.1.el10_0", SYMBOLS, EXT4);
    let ran = watch(&world, &["--update"]);
    assert_eq!((ran.code, &one(&ran)["new"]), (0, &json!(false)));
    world.publish_kernel(SAME, SYMBOLS, EXT4);
    assert_eq!(one(&watch(&world, &[]))["new"], true);
    assert_eq!(one(&watch(&world, &[]))["new"], false);
    let taken = one(&watch(&world, &["--update"]));
    assert_eq!(taken["new"], true);
    assert_eq!(taken["preflight"]["kernel"], format!("6.12.0-{SAME}"));
    // What decides is the target, where it says so.
    let plain = fs::read_to_string(world.file()).unwrap();
    fs::write(world.file(), plain + "\n[kernel]\nmoves = false\n").unwrap();
    world.publish_kernel(MENDED, SYMBOLS, EXT4);
    let ran = watch(&world, &["--update"]);
    let said = one(&ran);
    assert_eq!((ran.code, &said["updated"]), (0, &json!(false)), "{ran:?}");
    assert_eq!(said["preflight"]["result"], "not-needed");
}

#[test]
fn what_cannot_be_looked_at_is_told_and_hides_nothing_else() {
    let world = World::new();
    let ran = watch(&world, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("cargo xtask lock --target"), "{ran:?}");
    let made_here = world.home.run(&["watch", "--target", "rehearsal"]);
    assert_eq!(made_here.code, 2, "{made_here:?}");
    let offline = watch(&world, &["--offline"]);
    assert_eq!(offline.code, 2, "{offline:?}");
    let nowhere = watch(&world, &["--markdown", "/no/such/folder/change.md"]);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.contains("/no/such/folder"), "{nowhere:?}");

    locked(&world);
    let file = world.file();
    let other = file.with_file_name("other.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &other,
        text.replace("/base'", "/gone'").replace("'base'", "'gone'"),
    )
    .unwrap();
    let lock = fs::read_to_string(world.lock_file()).unwrap();
    fs::write(
        file.with_file_name("other.lock.toml"),
        lock.replace("target = \"site\"", "target = \"other\""),
    )
    .unwrap();
    world.server.requests();
    // The world names its own target, too.
    let ran = watch(&world, &["--target", other.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = read(&ran);
    assert_eq!(report["failed"][0]["target"], other.to_str().unwrap());
    assert_eq!(report["targets"][0]["target"], "site");
    assert_eq!(report["new"], true, "{report:#}");
    let asked = statuses(&world).into_iter();
    assert_eq!(
        asked
            .filter(|(path, _)| path == "/gone/repodata/repomd.xml")
            .count(),
        1
    );
}

/// The kernel that a target's lock pins.
fn pinned(world: &World) -> String {
    let lock = Lock::read(&world.lock_file()).unwrap().unwrap();
    lock.source["kernel"].file.clone()
}

#[test]
fn the_lock_moves_to_a_kernel_that_everything_fits_and_to_no_other() {
    let world = World::new();
    let source = world.small_lustre();
    let world = world_of(world);
    let text = world.home.path().join("change.md");
    let update = ["--update", &source, "--markdown", text.to_str().unwrap()];
    assert_eq!(watch(&world, &update).code, 0);
    let of = |release: &str| format!("kernel-6.12.0-{release}.src.rpm");
    assert_eq!(pinned(&world), of(KERNEL));

    // What ldiskfs is made of is another: the lock stays.
    world.publish_kernel(MENDED, SYMBOLS, "int mended;\n");
    let ran = watch(&world, &update);
    let said = one(&ran);
    assert_eq!((ran.code, &said["updated"]), (3, &json!(false)), "{said:#}");
    assert_eq!(said["preflight"]["result"], "fail");
    assert_eq!(pinned(&world), of(KERNEL));
    world.withdraw_kernel(MENDED);
    fs::remove_file(&text).unwrap();

    // The mirror moves on while it is looked at: its source package is listed, and not there yet.
    world.publish_kernel(SAME, SYMBOLS, EXT4);
    let listed = world.kernel_source(SAME);
    let aside = listed.with_extension("aside");
    fs::rename(&listed, &aside).unwrap();
    let ran = watch(&world, &update);
    let said = one(&ran);
    assert_eq!((ran.code, &said["updated"]), (3, &json!(false)), "{said:#}");
    assert_eq!(said["preflight"]["result"], "not-run", "{said:#}");
    assert_eq!(pinned(&world), of(KERNEL));
    fs::rename(&aside, &listed).unwrap();

    // It is whole, and everything fits.
    let ran = watch(&world, &update);
    let said = one(&ran);
    assert_eq!((ran.code, &said["updated"]), (0, &json!(true)), "{said:#}");
    assert_eq!(said["preflight"]["result"], "pass", "{said:#}");
    assert_eq!(pinned(&world), of(SAME));
    let moves = said["moves"].as_array().unwrap();
    assert!(
        moves.iter().any(|one| one.as_str().unwrap().contains(SAME)),
        "{said:#}"
    );
    let change = fs::read_to_string(&text).unwrap();
    for part in ["what the new lock moves", "the lock was moved", SAME] {
        assert!(change.contains(part), "`{part}`: {change}");
    }
    // It is a lock that everything else takes as it is, and nothing is new against it.
    let lock = fs::read_to_string(world.lock_file()).unwrap();
    let plain = world.run(&["lock", "--locked"]);
    assert_eq!(plain.code, 0, "{plain:?}");
    fs::remove_file(&text).unwrap();
    let before = files(&world);
    let ran = watch(&world, &update);
    assert_eq!((ran.code, &one(&ran)["new"]), (0, &json!(false)), "{ran:?}");
    assert_eq!(files(&world), before);
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);

    // A mirror that serves an old state takes nothing back.
    world.withdraw_kernel(SAME);
    let ran = watch(&world, &update);
    assert_eq!(one(&ran)["updated"], false, "{ran:?}");
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);
}

/// How the check of known faults came out, and what it lists.
fn known_faults(report: &Value) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let one = checks.iter().find(|one| one["check"] == "known faults");
    let one = one.unwrap_or_else(|| panic!("{report:#}"));
    let result = one["result"].as_str().unwrap().to_owned();
    (result, one["problems"].to_string())
}

#[test]
fn a_lustre_that_corrupts_is_not_built_and_no_lock_moves_for_it_until_somebody_takes_it() {
    // The last is of some series of upstream's, and nobody knows whether it is in that of this target.
    const GRAVE: [&str; 4] = ["LU-12268", "LU-19955", "LU-19791", "LU-20192"];
    let world = World::new();
    let source = world.small_lustre_tagged("2.17.50");
    let world = world_of(world);
    for command in ["preflight", "repo", "build", "assemble"] {
        let ran = world.run(&[command, &source]);
        assert_eq!(ran.code, 3, "{command}: {ran:?}");
        let said = ran.stdout.clone() + &ran.stderr;
        for part in GRAVE.iter().chain(&[
            "known faults",
            "or accept it in the target",
            "may be in the series 6.12-site",
        ]) {
            assert!(said.contains(part), "{command}: `{part}`: {said}");
        }
    }
    // Nothing was built for it.
    let stages = fs::read_dir(world.home.path().join("store/stages")).unwrap();
    let stages: Vec<String> = stages
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        stages.iter().all(|one| one.starts_with("preflight-")),
        "{stages:?}"
    );

    world.publish_kernel(SAME, SYMBOLS, EXT4);
    let ran = watch(&world, &["--update", &source]);
    let said = one(&ran);
    assert_eq!((ran.code, &said["updated"]), (3, &json!(false)), "{said:#}");
    let (result, problems) = known_faults(&said["preflight"]);
    assert!(
        result == "fail" && problems.contains(GRAVE[0]),
        "{problems}"
    );

    // With a reason for each, it is a waiver that is told, and without one it is none.
    let text = fs::read_to_string(world.file()).unwrap();
    let accepts = |why: &str| {
        let lines = GRAVE.map(|ticket| format!("{ticket} = '{why}'\n"));
        fs::write(
            world.file(),
            format!("{text}\n[lustre.accepts]\n{}", lines.concat()),
        )
        .unwrap();
        world.run(&["preflight", "--json", &source])
    };
    let ran = accepts("we have backups");
    let (result, problems) = known_faults(&serde_json::from_str(&ran.stdout).unwrap());
    assert_eq!(result, "waived", "{problems}");
    assert_eq!(
        problems.matches("accepted: we have backups").count(),
        GRAVE.len()
    );
    let ran = accepts("");
    assert!(ran.code == 1 && ran.stderr.contains("no reason"), "{ran:?}");
}
