//! What is believed: signatures of metadata and tags, digests, and keys by their fingerprints.

use std::fs;

use lustre_packaging::source::Locked;
use lustre_repo_tests::gpg::Gpg;
use lustre_repo_tests::http::Fault;

use super::world::{MIRROR, World};
use super::{locked, refused};

#[test]
fn metadata_is_believed_only_with_its_signature_and_digests() {
    let world = World::new();
    // Changed after it was signed.
    let repomd = world.mirror("base/repodata/repomd.xml");
    let good = fs::read_to_string(&repomd).unwrap();
    fs::write(&repomd, good.replace("</repomd>", "<!-- --></repomd>")).unwrap();
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &[
            "`base`",
            "the signature of",
            "/el10/base/repodata/repomd.xml",
            "--mirror",
        ],
    );
    fs::write(&repomd, &good).unwrap();
    // Not signed at all.
    let signature = world.mirror("source/repodata/repomd.xml.asc");
    let signed = fs::read(&signature).unwrap();
    fs::remove_file(&signature).unwrap();
    refused(&world, &world.run(&["lock"]), &["repomd.xml.asc", "404"]);
    fs::write(&signature, signed).unwrap();
    locked(&world);
    // Other packages than those that were signed.
    let world = World::new();
    let primary = good
        .split('"')
        .find(|part| part.ends_with("-primary.xml.gz"))
        .unwrap();
    let place = world.mirror("base").join(primary);
    let listed = fs::read(&place).unwrap();
    fs::write(&place, b"something else").unwrap();
    refused(
        &world,
        &world.run(&["lock"]),
        &["wrong digest", "primary.xml.gz"],
    );
    fs::write(&place, listed).unwrap();
    locked(&world);
}

#[test]
fn a_key_counts_by_its_fingerprint() {
    let world = World::new();
    let other = Gpg::new("Somebody else");
    let key = Fault::Instead(other.public_key().into_bytes());
    world.server.faults("/KEY", [key]);
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &[
            "`distribution`",
            &other.fingerprint(),
            &world.gpg().fingerprint(),
            "https://mirror.example/KEY",
        ],
    );
    world
        .server
        .faults("/KEY", [Fault::Instead(b"<html>".to_vec())]);
    refused(
        &world,
        &world.run(&["lock"]),
        &["`distribution`", "cannot read the key"],
    );
    // A ring of keys will do, if the right one is in it.
    let mut ring = other.public_key();
    ring.push_str(&world.gpg().public_key());
    fs::write(world.mirror("KEY"), ring).unwrap();
    locked(&world);
}

#[test]
fn a_tag_is_taken_with_the_signature_that_the_target_asks_for() {
    let world = World::new();
    let other = Gpg::new("Somebody else");
    fs::write(world.mirror("OTHER"), other.public_key()).unwrap();
    let plain = fs::read_to_string(world.file()).unwrap();
    let with = |tag: &str, fingerprint: &str, key: &str| {
        let text = plain.replace("tag = 'v1'", &format!("tag = '{tag}'"));
        let tag_key = format!(
            "[e2fsprogs.tag_key]\nfingerprint = '{fingerprint}'\nfile = 'keys/tags-of-the-test.asc'\nurl = '{MIRROR}/{key}'\n[lustre]\n"
        );
        fs::write(world.file(), text.replacen("[lustre]\n", &tag_key, 1)).unwrap();
    };
    with("v1", &world.gpg().fingerprint(), "KEY");
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "the tag v1",
            "https://git.example/e2fsprogs",
            "is not signed",
        ],
    );
    with("v2", &other.fingerprint(), "OTHER");
    refused(
        &world,
        &world.run(&["lock"]),
        &["the signature of the tag v2", &other.fingerprint()],
    );
    with("v2", &other.fingerprint(), "KEY");
    refused(&world, &world.run(&["lock"]), &["`e2fsprogs.tag_key`"]);
    // What was signed as one release is not taken as another.
    with("v3", &world.gpg().fingerprint(), "KEY");
    refused(
        &world,
        &world.run(&["lock"]),
        &["the tag v3", "was signed as the tag v2"],
    );
    with("v2", &world.gpg().fingerprint(), "KEY");
    match &locked(&world).tree["e2fsprogs"] {
        Locked::Git { tag, commit, .. } => {
            assert_eq!(tag.as_deref(), Some("v2"));
            assert_eq!(*commit, world.commit());
        }
        other => panic!("{other:?}"),
    }
}
