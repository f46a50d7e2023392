//! Metadata as other people's tools write it, and mirrors while they are brought up to date.

use std::fs;
use std::process::Command;

use lustre_packaging::lock::Lock;
use lustre_packaging::store::Digest;
use lustre_repo_tests::http::Fault;

use super::world::{KERNEL, MODULES, World, succeed};
use super::{locked, package, refused};

/// Puts `text` in place of the module metadata of the repository `streams`, with modifyrepo_c.
fn modules(world: &World, text: &str, arguments: &[&str]) {
    let folder = world.mirror("streams/repodata");
    let file = world.mirror("modules.yaml");
    fs::write(&file, text).unwrap();
    succeed(
        Command::new("modifyrepo_c")
            .args(["--remove", "modules"])
            .arg(&folder),
    );
    succeed(
        Command::new("modifyrepo_c")
            .arg("--mdtype=modules")
            .args(arguments)
            .arg(&file)
            .arg(&folder),
    );
    world.gpg().sign_repository(&world.mirror("streams"));
}

fn again(world: &World) -> Lock {
    if world.lock_file().exists() {
        fs::remove_file(world.lock_file()).unwrap();
    }
    locked(world)
}

#[test]
fn module_metadata_is_read_in_every_shape() {
    let world = World::new();
    let bare = MODULES.trim_start_matches("---\n");
    for (shape, text, arguments) in [
        ("bz2", MODULES.to_owned(), ["--compress-type=bz2"]),
        ("xz", MODULES.to_owned(), ["--compress-type=xz"]),
        ("plain", MODULES.to_owned(), ["--no-compress"]),
        (
            "comment first",
            format!("# written by a tool\n\n{MODULES}"),
            ["--compress-type=gz"],
        ),
        (
            "%YAML first",
            format!("%YAML 1.2\n{MODULES}"),
            ["--compress-type=gz"],
        ),
        ("without ---", bare.to_owned(), ["--compress-type=bz2"]),
    ] {
        modules(&world, &text, &arguments);
        let lock = again(&world);
        assert_eq!(package(&lock, "parser").version, "0.9-1.module", "{shape}");
        assert!(lock.source.contains_key("modules-streams"), "{shape}");
    }
    // There are none, so none hides the newer package.
    for text in ["", "# nothing yet\n"] {
        modules(&world, text, &["--compress-type=gz"]);
        let lock = again(&world);
        assert_eq!(package(&lock, "parser").version, "1.0-1", "{text:?}");
        assert!(!lock.source.contains_key("modules-streams"), "{text:?}");
    }
    fs::remove_file(world.lock_file()).unwrap();
    modules(&world, "<html>not found</html>", &["--compress-type=gz"]);
    refused(
        &world,
        &world.run(&["lock"]),
        &["`streams`", "modules.yaml.gz", "not modulemd"],
    );
}

#[test]
fn a_source_repository_may_be_compressed_by_bzip2_and_name_characters_by_number() {
    let world = World::new();
    let source = world.mirror("source");
    succeed(
        Command::new("createrepo_c")
            .args(["--quiet", "--general-compress-type=bz2"])
            .arg(&source),
    );
    world.gpg().sign_repository(&source);
    let lock = again(&world);
    assert_eq!(
        lock.source["kernel"].file,
        format!("kernel-6.12.0-{KERNEL}.src.rpm")
    );
    restate(&world, "source", "primary", |content| {
        let plain = succeed_bytes(Command::new("bzip2").arg("-dc"), content);
        let text = String::from_utf8(plain).unwrap();
        assert!(text.contains("<name>kernel</name>"), "{text}");
        let text = text.replace("<name>kernel</name>", "<name>ker&#110;e&#x6C;</name>");
        succeed_bytes(Command::new("bzip2").arg("-c"), text.as_bytes())
    });
    let lock = again(&world);
    assert_eq!(
        lock.source["kernel"].file,
        format!("kernel-6.12.0-{KERNEL}.src.rpm")
    );
}

#[test]
fn a_repository_has_no_say_in_what_is_read_on_this_machine() {
    let world = World::new();
    for (repository, base) in [
        ("base", "file:///srv/other"),
        ("base", "media://1234.5678#1"),
        ("source", "file:///srv/other"),
        ("source", "media://1234.5678#1"),
    ] {
        let folder = world.mirror(repository);
        let again = |base: &[&str]| {
            succeed(
                Command::new("createrepo_c")
                    .arg("--quiet")
                    .args(base)
                    .arg(&folder),
            );
            world.gpg().sign_repository(&folder);
        };
        again(&["--baseurl", base]);
        refused(
            &world,
            &world.run(&["lock"]),
            &[&format!("`{repository}`"), base, "neither http nor https"],
        );
        again(&[]);
    }
    locked(&world);
}

#[test]
fn a_compression_that_the_name_misstates_is_an_error() {
    let world = World::new();
    restate(&world, "base", "primary", |content| {
        let plain = succeed_bytes(Command::new("gzip").arg("-dc"), content);
        succeed_bytes(Command::new("zstd").args(["-q", "-c"]), &plain)
    });
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &["`base`", "primary.xml.gz", "says gzip", "is zstd"],
    );
    assert!(!ran.stderr.contains("Traceback"), "{}", ran.stderr);
    // Of the right compression, and half of it.
    let world = World::new();
    restate(&world, "base", "primary", |content| {
        content[..content.len() / 2].to_vec()
    });
    let ran = world.run(&["lock"]);
    refused(&world, &ran, &["dnf cannot read", "'base'"]);
    assert!(!ran.stderr.contains("Traceback"), "{}", ran.stderr);
}

#[test]
fn a_mirror_between_two_states_is_read_anew() {
    let world = World::new();
    let (repomd, signature) = ("/base/repodata/repomd.xml", "/base/repodata/repomd.xml.asc");
    let old = |path: &str| Fault::Instead(fs::read(world.mirror(&path[1..])).unwrap());
    let (old_repomd, old_signature) = (old(repomd), old(signature));
    world.move_on();
    // The list of the state before, whose files are gone.
    world.server.faults(repomd, [old_repomd]);
    world.server.faults(signature, [old_signature.clone()]);
    let lock = locked(&world);
    assert_eq!(package(&lock, "tool").version, "1.1-1");
    // The list of today, with the signature of the day before.
    world.server.requests();
    world.server.faults(signature, [old_signature]);
    again(&world);
    let asked = world.server.requests();
    let count = |path: &str| asked.iter().filter(|one| one.path == path).count();
    assert_eq!((count(repomd), count(signature)), (2, 2));
}

/// What `command` makes of `input`.
fn succeed_bytes(command: &mut Command, input: &[u8]) -> Vec<u8> {
    lustre_packaging::process::output_with_input(command, input).unwrap()
}

/// Another content for the file of the kind `kind`, under the name it has, as somebody's script might leave it: with its new digest.
fn restate(world: &World, repository: &str, kind: &str, change: impl Fn(&[u8]) -> Vec<u8>) {
    let repomd = world.mirror(repository).join("repodata/repomd.xml");
    let text = fs::read_to_string(&repomd).unwrap();
    let begin = text.find(&format!("<data type=\"{kind}\">")).unwrap();
    let end = begin + text[begin..].find("</data>").unwrap();
    let block = &text[begin..end];
    let between = |before: &str, after: &str| {
        let (_, rest) = block.split_once(before).unwrap();
        rest.split_once(after).unwrap().0.to_owned()
    };
    let path = world
        .mirror(repository)
        .join(between("<location href=\"", "\""));
    let content = change(&fs::read(&path).unwrap());
    let changed = block
        .replace(
            &between("<checksum type=\"sha256\">", "<"),
            &Digest::of_bytes(&content).to_string(),
        )
        .replace(
            &format!("<size>{}</size>", between("<size>", "<")),
            &format!("<size>{}</size>", content.len()),
        );
    // The digest is in the name as well.
    let (_, name) = changed.split_once("<location href=\"").unwrap();
    let (name, _) = name.split_once('"').unwrap();
    fs::write(world.mirror(repository).join(name), content).unwrap();
    let text = format!("{}{changed}{}", &text[..begin], &text[end..]);
    fs::write(&repomd, text).unwrap();
    world.gpg().sign_repository(&world.mirror(repository));
}
