//! What somebody put there who may write, and has no accepted key; and what one who has one should not sign.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use lustre_packaging::archive::pack_tar_zst;
use lustre_packaging::shared::Folder;
use lustre_packaging::sign::{Key, Signer as _};
use lustre_packaging::store::{Digest, tree_digest};
use serde_json::{Value, json};

use super::{Builder, RunReport, archive, entry, filled, key, other_key, reads, signed};

/// Puts an entry in place of that of `last`.
fn put(folder: &Path, statement: &str, signature: &str) {
    let text = json!({ "statement": statement, "signature": signature }).to_string();
    fs::write(entry(folder, "last"), text).unwrap();
}

/// What somebody with a key says.
fn says(folder: &Path, key: &Key, statement: &Value) {
    let text = statement.to_string();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let time = u32::try_from(now.as_secs()).unwrap();
    put(
        folder,
        &text,
        &key.sign_detached(text.as_bytes(), time).unwrap(),
    );
}

/// That `last` is made here, because of `word`, and is what it always is.
fn refused(place: &Folder, word: &str) -> RunReport {
    let builder = Builder::new();
    let ran = builder.run(place, &reads(key()));
    assert_eq!(ran.made, ["last", "own"], "{word}: {ran:?}");
    assert_eq!(ran.taken, ["second"], "{word}: {ran:?}");
    assert_eq!(ran.warnings.len(), 1, "{word}: {ran:?}");
    let warning = &ran.warnings[0];
    assert!(
        warning.starts_with("last here: ") && warning.contains(word),
        "{word}: {warning}"
    );
    assert!(ran.done["last"].record.taken.is_none());
    assert_eq!(
        fs::read(ran.done["last"].path.join("deep/tool")).unwrap(),
        b"last"
    );
    builder.is_tidy();
    ran
}

#[test]
fn entries_that_are_exchanged_changed_or_signed_by_others_are_refused() {
    let (folder, place) = filled();
    let path = entry(folder.path(), "last");
    let good = fs::read(&path).unwrap();
    let (statement, signature) = signed(&path);
    // That of another stage; that of the same stage with another input.
    fs::copy(entry(folder.path(), "first"), &path).unwrap();
    refused(&place, "it is about the stage first");
    let (elsewhere, other) = (tempfile::tempdir().unwrap(), Builder::new());
    other.run_with(
        &Folder(elsewhere.path().to_owned()),
        &super::writes(key()),
        "2",
    );
    fs::copy(entry(elsewhere.path(), "last"), &path).unwrap();
    refused(&place, "it is about the stage last with the key");
    // Not the statement that was signed.
    let mut changed = statement.clone();
    changed["outputs"][0]["sha256"] = json!(Digest::of_bytes(b"x").to_string());
    put(folder.path(), &changed.to_string(), &signature);
    refused(&place, "no accepted key signed it");
    put(folder.path(), &statement.to_string(), "");
    refused(&place, "no accepted key signed it");
    says(folder.path(), other_key(), &statement);
    refused(&place, "no accepted key signed it");
    // Something else that the key signed; something of another version.
    says(folder.path(), key(), &json!({ "target": "rehearsal" }));
    refused(&place, "no statement about a stage");
    let mut changed = statement.clone();
    changed["kind"] = json!("a release");
    says(folder.path(), key(), &changed);
    refused(&place, "no statement about a stage");
    let mut changed = statement.clone();
    changed["format"] = json!(2);
    changed["more"] = json!(1);
    says(folder.path(), key(), &changed);
    refused(&place, "it has the format 2");
    let mut changed = statement.clone();
    changed["content"]["size"] = json!(1_u64 << 40);
    says(folder.path(), key(), &changed);
    refused(&place, "1099511627776 bytes");
    // What cannot be read.
    for text in [
        &b"{"[..],
        b"",
        b"\xff\xfe",
        b"null",
        &good[..good.len() / 2],
    ] {
        fs::write(&path, text).unwrap();
        refused(&place, "it cannot be read");
    }
    let large = fs::File::create(&path).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    refused(&place, "it is no entry");
    // Nothing else of the place is given up for it.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&place, "it is no entry");
    fs::remove_dir(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    refused(&place, "it is no entry");
    fs::remove_file(&path).unwrap();
    // It is as it was.
    fs::write(&path, good).unwrap();
    let ran = Builder::new().run(&place, &reads(key()));
    assert_eq!(ran.taken, ["last"]);
}

#[test]
fn archives_that_are_exchanged_or_changed_are_refused() {
    let (folder, place) = filled();
    let path = archive(folder.path(), "last");
    let good = fs::read(&path).unwrap();
    fs::copy(archive(folder.path(), "first"), &path).unwrap();
    refused(&place, "cannot be used");
    let mut changed = good.clone();
    changed[1000] ^= 1;
    fs::write(&path, &changed).unwrap();
    refused(&place, "it has the sha256");
    fs::write(&path, &good[..1000]).unwrap();
    refused(&place, "1000 bytes");
    fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    refused(&place, "cannot be used");
    fs::remove_file(&path).unwrap();
    refused(&place, "No such file");
    let fifo = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(fifo.success());
    refused(&place, "cannot be used");
}

/// A member of a tar archive.
fn member(kind: u8, path: &str, link: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    let mut at = |from: usize, text: &[u8]| block[from..from + text.len()].copy_from_slice(text);
    at(0, path.as_bytes());
    at(100, b"0000644\0");
    at(108, b"0000000\0");
    at(116, b"0000000\0");
    at(124, format!("{size:011o}\0").as_bytes());
    at(136, b"00000000000\0");
    at(148, b"        ");
    at(156, &[kind]);
    at(157, link.as_bytes());
    at(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut all = block.to_vec();
    all.extend(content);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

/// A key that is accepted signs what no builder of ours makes: it harms nothing but the stage.
#[test]
fn hostile_archives_of_a_trusted_builder_leave_their_folder_in_no_way() {
    let (folder, place) = filled();
    let (good, _) = signed(&entry(folder.path(), "last"));
    let outside = folder.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    let file = |path: &str, text: &str| member(b'0', path, "", text.len() as u64, text.as_bytes());
    let link = |path: &str, to: &str| member(b'2', path, to, 0, b"");
    let there = outside.to_str().unwrap();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("..", file("stage/../../../x", "x"), "leaves its folder"),
        (
            "absolute",
            file("/tmp/shared-store-test", "x"),
            "absolute path",
        ),
        (
            "link out",
            link("stage/link", "../../../../etc"),
            "points outside",
        ),
        (
            "link to a file",
            link("stage/link", there),
            "points outside",
        ),
        (
            "through a link",
            [link("stage/a", "b"), file("stage/a/x", "x")].concat(),
            "through the link",
        ),
        (
            "hard link",
            member(b'1', "stage/h", "/etc/passwd", 0, b""),
            "hard link",
        ),
        ("device", member(b'3', "stage/null", "", 0, b""), "a device"),
        ("pipe", member(b'6', "stage/pipe", "", 0, b""), "a pipe"),
        ("another", file("stage/more", "x"), "deep/tool is not there"),
        ("nothing", Vec::new(), "holds no files"),
        ("no archive", b"not at all".to_vec(), "cannot be used"),
        (
            "git",
            file("stage/.git/config", "x"),
            ".git, which no stage has",
        ),
        (
            "git below",
            file("stage/deep/.git/config", "x"),
            ".git, which no stage has",
        ),
        (
            "record",
            file("stage/stage.json", "{}"),
            "stage.json, which no stage has",
        ),
        (
            "record that leads to a file",
            [file("stage/a", "x"), link("stage/stage.json", "a")].concat(),
            "stage.json, which no stage has",
        ),
    ];
    let says_of = |archive: &[u8]| {
        let digest = Digest::of_bytes(archive);
        let path = folder.path().join(format!("contents/{digest}.tar.zst"));
        fs::write(&path, archive).unwrap();
        let mut statement = good.clone();
        statement["content"] = json!({ "sha256": digest.to_string(), "size": archive.len() });
        says(folder.path(), key(), &statement);
        path
    };
    for (name, members, word) in cases {
        let archive = if name == "no archive" || name == "nothing" {
            members
        } else {
            [members, vec![0; 1024]].concat()
        };
        says_of(&archive);
        let ran = refused(&place, word);
        assert!(
            ran.warnings[0].contains("cannot be used") || name == "another",
            "{name}"
        );
        assert_eq!(fs::read(&outside).unwrap(), b"mine", "{name}");
    }
    assert!(!Path::new("/tmp/shared-store-test").exists());
    // All that it should have, and one file more; another program; no program.
    let builder = Builder::new();
    let made = builder.run(&place, &reads(other_key()));
    let tree = folder.path().join("tree");
    type Change<'c> = (&'c dyn Fn(&Path), &'c str);
    let changes: [Change<'_>; 3] = [
        (
            &|tree| fs::write(tree.join("more"), "x").unwrap(),
            "more was added",
        ),
        (
            &|tree| fs::write(tree.join("deep/tool"), "evil").unwrap(),
            "deep/tool differs from its record",
        ),
        (
            &|tree| {
                let mode = PermissionsExt::from_mode(0o644);
                fs::set_permissions(tree.join("deep/tool"), mode).unwrap();
            },
            "deep/tool differs from its record",
        ),
    ];
    for (change, word) in changes {
        let copied = Command::new("cp")
            .args(["-a", "-T"])
            .arg(&made.done["last"].path)
            .arg(&tree)
            .status();
        assert!(copied.unwrap().success());
        fs::remove_file(tree.join("stage.json")).unwrap();
        change(&tree);
        let packed = folder.path().join("packed");
        pack_tar_zst(&tree, "stage", &|_| true, &packed).unwrap();
        says_of(&fs::read(packed).unwrap());
        refused(&place, word);
        fs::remove_dir_all(&tree).unwrap();
    }
    // More than the files that it should have: a few bytes on the disk.
    let path = folder.path().join("large");
    let mut large = fs::File::create(&path).unwrap();
    large
        .write_all(&member(b'0', "stage/large", "", 1 << 30, b""))
        .unwrap();
    large.set_len((1 << 30) + 2048).unwrap();
    let (digest, size) = Digest::of_file(&path).unwrap();
    fs::rename(
        &path,
        folder.path().join(format!("contents/{digest}.tar.zst")),
    )
    .unwrap();
    let mut statement = good.clone();
    statement["content"] = json!({ "sha256": digest.to_string(), "size": size });
    says(folder.path(), key(), &statement);
    refused(&place, "exceeds the limit");
    // Outputs that no tree has.
    for bad in ["../x", "/etc/passwd", "", "a//b"] {
        let mut statement = good.clone();
        statement["outputs"][0]["path"] = json!(bad);
        says(folder.path(), key(), &statement);
        refused(&place, "is not what");
    }
    assert!(tree_digest(folder.path()).is_ok());
}
