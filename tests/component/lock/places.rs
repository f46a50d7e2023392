//! Where a repository is: several places, what moves to a vault, metadata that a vault does not sign, and what is older than before.

use std::fs;
use std::process::Command;

use lustre_packaging::lock::Lock;

use super::world::{KERNEL, LATER, MIRROR, World, succeed};
use super::{locked, package, refused};

/// Lets every repository have its live place and its vault.
fn with_vault(world: &World) {
    let text = fs::read_to_string(world.file()).unwrap();
    let both = |id: &str| {
        (
            format!("baseurl = '{MIRROR}/$tree/{id}'"),
            format!("baseurl = ['{MIRROR}/$tree/{id}', '{MIRROR}/vault/{id}']"),
        )
    };
    let text = ["base", "streams", "source"]
        .map(both)
        .iter()
        .fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        });
    fs::write(world.file(), text).unwrap();
}

/// Moves the repositories to the vault, as a distribution does when its next release is out.
fn retire(world: &World) {
    fs::create_dir(world.mirror("vault")).unwrap();
    for name in ["base", "streams", "source"] {
        fs::rename(world.mirror(name), world.mirror(&format!("vault/{name}"))).unwrap();
    }
}

#[test]
fn a_lock_survives_the_move_to_the_vault() {
    let world = World::new();
    let plain = locked(&world);
    let text = fs::read_to_string(world.lock_file()).unwrap();
    // One more place is no other request.
    with_vault(&world);
    world.server.requests();
    assert_eq!(locked(&world), plain);
    assert_eq!(world.server.requests(), []);
    retire(&world);
    let ran = world.run(&["fetch", "--locked"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = world.run(&["fetch", "--locked", "--offline"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), text);
    // A new lock finds everything there as well, and says where.
    fs::remove_file(world.lock_file()).unwrap();
    let lock = locked(&world);
    let tool = &package(&lock, "tool").file;
    assert_eq!(
        tool.uri,
        format!("{MIRROR}/vault/base/x86_64/tool-1.0-1.x86_64.rpm")
    );
    assert_eq!(tool.sha256, package(&plain, "tool").file.sha256);
    assert!(
        lock.source["kernel"]
            .uri
            .starts_with(&format!("{MIRROR}/vault/source/"))
    );
    assert_eq!(lock.request, plain.request);
    // Nowhere: every place is named.
    fs::remove_file(world.lock_file()).unwrap();
    fs::remove_dir_all(world.mirror("vault/base/repodata")).unwrap();
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "`base`",
            "not found at any of its locations",
            &format!("{MIRROR}/el10/base"),
            &format!("{MIRROR}/vault/base"),
            "404",
        ],
    );
}

#[test]
fn metadata_that_a_vault_does_not_sign_is_taken_where_a_target_says_so() {
    let world = World::new();
    fs::remove_file(world.mirror("base/repodata/repomd.xml.asc")).unwrap();
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "`base`",
            "its metadata is not signed",
            "the packages' own signatures are still checked",
            "[distribution.repository.base]",
            "signed_metadata = false",
            "inherits",
        ],
    );
    // As the error says, in a target of its own.
    fs::rename(world.file(), world.file().with_file_name("common.toml")).unwrap();
    let own = "inherits = 'common'\n[distribution.repository.base]\nsigned_metadata = false\n";
    fs::write(world.file(), own).unwrap();
    let lock = locked(&world);
    assert_eq!(package(&lock, "tool").version, "1.0-1");
    // The others are signed as before.
    fs::remove_file(world.lock_file()).unwrap();
    fs::remove_file(world.mirror("source/repodata/repomd.xml.asc")).unwrap();
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "[distribution.repository.source]",
            "signed_metadata = false",
        ],
    );
}

#[test]
fn a_kernel_that_is_not_there_is_told_with_the_newest_that_is() {
    let world = World::new();
    let plain = fs::read_to_string(world.file()).unwrap();
    let wanting = |version: &str, moves: bool| {
        let kernel = format!("\n[kernel]\nversion = '6.12.0-{version}'\nmoves = {moves}\n");
        fs::write(world.file(), plain.clone() + &kernel).unwrap();
    };
    wanting("99.1.1.el10_0", true);
    let newest = format!("the newest available: kernel-6.12.0-{LATER}");
    let update = format!("lock --update --target {}", world.file().display());
    let parts = ["99.1.1.el10_0", &newest, &update];
    refused(&world, &world.run(&["lock"]), &parts);
    // Going down to it is said.
    let ran = world.run(&["lock", "--update"]);
    let said = "older than the target's 6.12.0-99.1.1.el10_0";
    assert!(ran.stderr.contains(said), "{ran:?}");
    wanting("99.1.1.el10_0", false);
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &[&newest, "`version` in the target's [kernel]"],
    );
    assert!(!ran.stderr.contains("--update"), "{}", ran.stderr);
    // The source package is there, and what is built against is not.
    wanting(LATER, true);
    let devel = format!("base/x86_64/kernel-devel-6.12.0-{LATER}.x86_64.rpm");
    fs::remove_file(world.mirror(&devel)).unwrap();
    world.again("base");
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            &format!("kernel-devel-6.12.0-{LATER}"),
            &format!("the newest kernel-devel there is: 6.12.0-{KERNEL}"),
        ],
    );
}

#[test]
fn an_update_never_goes_down_silently() {
    let world = World::new();
    let plain = fs::read_to_string(world.file()).unwrap();
    let kernel = format!("\n[kernel]\nversion = '6.12.0-{LATER}'\n");
    fs::write(world.file(), plain + &kernel).unwrap();
    locked(&world);
    let before = fs::read_to_string(world.lock_file()).unwrap();
    let refused = |parts: &[&str]| {
        let ran = world.run(&["lock", "--update"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("preflight"), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), before);
    };
    // A mirror that shows what it had before the later kernel came.
    let source = world.mirror(&format!("source/kernel-6.12.0-{LATER}.src.rpm"));
    let aside = world.mirror("aside.src.rpm");
    fs::rename(&source, &aside).unwrap();
    world.again("source");
    refused(&[
        "older versions than",
        &format!("kernel: 6.12.0-{LATER} -> 6.12.0-{KERNEL}"),
        "the mirror is outdated",
    ]);
    fs::rename(&aside, &source).unwrap();
    world.again("source");
    // And one with an older package of the base.
    world.replace_tool("0.9");
    refused(&["tool.x86_64: 1.0-1 -> 0.9-1", "remove the lock"]);
    // Without the lock there is nothing to go down from.
    fs::remove_file(world.lock_file()).unwrap();
    let lock: Lock = locked(&world);
    assert_eq!(package(&lock, "tool").version, "0.9-1");
}

#[test]
fn a_repository_is_read_only_for_what_it_is_there_for() {
    let world = World::new();
    fs::rename(world.file(), world.file().with_file_name("common.toml")).unwrap();
    let own = format!(
        "inherits = 'common'\n[distribution.repository.add-on]\nbaseurl = '{MIRROR}/add-on'\nkey = 'distribution'\n\
         signed_metadata = true\nonly_for = ['agents']\nwhy = 'x'\n"
    );
    fs::write(world.file(), &own).unwrap();
    locked(&world);
    fs::remove_file(world.lock_file()).unwrap();
    let wanting = own + "[install]\nrequires = ['parser', 'agents']\n";
    fs::write(world.file(), wanting).unwrap();
    refused(&world, &world.run(&["lock"]), &["`add-on`", "404"]);
}

/// A site's copy, made as docs/rhel.md says.
#[test]
fn a_copy_by_reposync_is_a_mirror() {
    if !Command::new("dnf")
        .args(["reposync", "--help"])
        .output()
        .is_ok_and(|out| out.status.success())
    {
        eprintln!("skipped: there is no `dnf reposync` (dnf-plugins-core) here");
        return;
    }
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let mut mirrors = Vec::new();
    for name in ["base", "streams", "source"] {
        let mut command = Command::new("dnf");
        command
            .args(["--quiet", "--setopt=reposdir=/dev/null", "--releasever=10"])
            .arg(format!(
                "--setopt=cachedir={}",
                folder.path().join("cache").display()
            ))
            .arg(format!("--setopt=logdir={}", folder.path().display()))
            .arg(format!(
                "--repofrompath=site-{name},{}",
                world.server.url(&format!("/{name}"))
            ))
            .args(["reposync", "--download-metadata", "--setopt=gpgcheck=0"])
            .arg(format!("--repoid=site-{name}"))
            .arg(format!("--download-path={}", copy.display()));
        succeed(&mut command);
        mirrors.push(format!(
            "{MIRROR}/el10/{name}={}",
            copy.join(format!("site-{name}")).display()
        ));
        // What was copied is all that there is.
        fs::remove_dir_all(world.mirror(name)).unwrap();
    }
    let with = |verb: &'static str| -> Vec<&str> {
        let mut line = vec![verb];
        for mirror in &mirrors {
            line.extend(["--mirror", mirror.as_str()]);
        }
        line
    };
    // A copy has no signature of its metadata: reposync leaves it behind.
    fs::rename(world.file(), world.file().with_file_name("common.toml")).unwrap();
    let mut own = "inherits = 'common'\n".to_owned();
    for name in ["base", "streams", "source"] {
        if !copy
            .join(format!("site-{name}/repodata/repomd.xml.asc"))
            .is_file()
        {
            own += &format!("[distribution.repository.{name}]\nsigned_metadata = false\n");
        }
    }
    fs::write(world.file(), own).unwrap();
    for verb in ["lock", "fetch"] {
        let ran = world.run(&with(verb));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let lock = Lock::read(&world.lock_file()).unwrap().unwrap();
    assert_eq!(
        package(&lock, "tool").file.uri,
        format!("{MIRROR}/el10/base/x86_64/tool-1.0-1.x86_64.rpm"),
        "as the target names it"
    );
}
