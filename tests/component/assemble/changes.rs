//! The changes that somebody between a published repository and its users could think of.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, Signer, sign_package};
use lustre_repository::{repodata, sums};

use super::world::{EPOCH, Spec, succeed, world};

pub const LUSTRE: &str = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";

pub const INDEX: &str = "x86_64/repodata/repomd.xml";

/// What dnf does on a server that has the `.repo` file and the key of the repository as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// It installs nothing.
    Refuses,
    /// It never reads what was changed, and installs what was published.
    DoesNotLook,
}
use Server::{DoesNotLook, Refuses};

/// A change: its name, what does it to a copy of the tree, checks that have to notice it, and dnf.
pub type Change = (&'static str, fn(&Path), &'static [&'static str], Server);

/// Whoever changes a tree can write its list of digests anew, but not sign it.
const SUMS: &[&str] = &["metadata-signatures", "gpg-verify"];

const PACKAGE: &[&str] = &[
    "package-signatures",
    "rpmkeys",
    "sha256sums",
    "manifest",
    "repodata",
];

const METADATA: &[&str] = &[
    "metadata-signatures",
    "gpg-verify",
    "sha256sums",
    "repodata",
];

pub const CHANGES: [Change; 33] = [
    (
        "a byte of a payload",
        |d| flip(&d.join(LUSTRE), -20),
        PACKAGE,
        Refuses,
    ),
    (
        "a byte of a header",
        |d| flip(&d.join(LUSTRE), 3000),
        PACKAGE,
        Refuses,
    ),
    ("a header that claims 4 GiB", claims, PACKAGE, Refuses),
    (
        "a header with a tag outside of it",
        points_outside,
        PACKAGE,
        Refuses,
    ),
    (
        "a package cut off",
        |d| cut(&d.join(LUSTRE)),
        PACKAGE,
        Refuses,
    ),
    (
        "a package without its signature",
        unsigned,
        PACKAGE,
        Refuses,
    ),
    (
        "a package signed by another",
        |d| signed_by(other(), d),
        PACKAGE,
        Refuses,
    ),
    (
        "an older package of ours, signed",
        |d| signed_by(super::world::key(), d),
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "one package under the name of another",
        |d| {
            let from = d.join("x86_64/Packages/e2fsprogs-1.47-1.x86_64.rpm");
            fs::copy(from, d.join(LUSTRE)).unwrap();
        },
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "a package taken away",
        |d| fs::remove_file(d.join(LUSTRE)).unwrap(),
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "a package that is a link",
        |d| {
            fs::rename(d.join(LUSTRE), d.with_extension("elsewhere")).unwrap();
            symlink(d.with_extension("elsewhere"), d.join(LUSTRE)).unwrap();
        },
        // The others cannot be made.
        &["sha256sums"],
        DoesNotLook,
    ),
    (
        "a package put beside",
        beside,
        &[
            "package-signatures",
            "rpmkeys",
            "sha256sums",
            "manifest",
            "repodata",
        ],
        DoesNotLook,
    ),
    (
        "metadata made anew, with another's package",
        made_anew,
        METADATA,
        Refuses,
    ),
    (
        "metadata made anew, without a package",
        without_one,
        METADATA,
        Refuses,
    ),
    (
        "a byte of the index",
        |d| flip(&d.join(INDEX), -30),
        METADATA,
        Refuses,
    ),
    (
        "no signature of the index",
        |d| fs::remove_file(d.join(INDEX).with_extension("xml.asc")).unwrap(),
        METADATA,
        Refuses,
    ),
    (
        "the index signed by another",
        |d| {
            let content = fs::read(d.join(INDEX)).unwrap();
            let signature = other().sign_detached(&content, EPOCH).unwrap();
            fs::write(d.join(INDEX).with_extension("xml.asc"), signature).unwrap();
        },
        METADATA,
        Refuses,
    ),
    (
        "the signature of another index",
        |d| {
            let from = d.join("source/repodata/repomd.xml.asc");
            fs::copy(from, d.join(INDEX).with_extension("xml.asc")).unwrap();
        },
        METADATA,
        Refuses,
    ),
    (
        "the metadata of another of our repositories, signed",
        |d| {
            fs::remove_dir_all(d.join("x86_64/repodata")).unwrap();
            succeed(
                Command::new("cp")
                    .arg("-a")
                    .arg(d.join("x86_64-debuginfo/repodata"))
                    .arg(d.join("x86_64/repodata")),
            );
        },
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "a byte of the package list",
        |d| flip(&document(d, "primary"), 100),
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "a package list that unpacks without end",
        bomb,
        METADATA,
        Refuses,
    ),
    (
        "no file list",
        |d| fs::remove_file(document(d, "filelists")).unwrap(),
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "all of it by another",
        forged,
        &[
            "package-signatures",
            "rpmkeys",
            "metadata-signatures",
            "gpg-verify",
            "manifest",
        ],
        Refuses,
    ),
    (
        "the manifest",
        |d| edit(d, "manifest.json", "\"tool\"", "\"tool\" "),
        SUMS,
        DoesNotLook,
    ),
    (
        "the proof",
        |d| edit(d, "proof.json", "\"pass\"", "\"fail\""),
        SUMS,
        DoesNotLook,
    ),
    (
        "a page with another key",
        |d| {
            edit(
                d,
                "index.html",
                "rpm --import RPM",
                "rpm --import https://example.org/RPM",
            )
        },
        &["metadata-signatures", "gpg-verify", "page"],
        DoesNotLook,
    ),
    (
        "the provenance",
        |d| {
            edit(
                d,
                "provenance.intoto.json",
                "\"target\": \"test\"",
                "\"target\": \"other\"",
            )
        },
        &["provenance"],
        DoesNotLook,
    ),
    (
        "the list of parts",
        |d| edit(d, "sbom.spdx.json", "NOASSERTION", "NONE"),
        &["metadata-signatures", "gpg-verify", "provenance"],
        DoesNotLook,
    ),
    (
        "no page",
        |d| {
            fs::remove_file(d.join("index.html")).unwrap();
            sums::write(d).unwrap();
        },
        &["metadata-signatures", "gpg-verify", "page"],
        DoesNotLook,
    ),
    (
        "a .repo file that checks nothing",
        |d| edit(d, "lustre-repo.repo", "gpgcheck=1", "gpgcheck=0"),
        &["metadata-signatures", "gpg-verify", "repo-file"],
        DoesNotLook,
    ),
    (
        "a .repo file for another place",
        |d| {
            edit(
                d,
                "lustre-repo.repo",
                "baseurl=file://",
                "baseurl=file:///elsewhere",
            )
        },
        &["metadata-signatures", "gpg-verify", "repo-file"],
        DoesNotLook,
    ),
    (
        "a file put beside",
        |d| {
            fs::write(d.join(".htaccess"), "Redirect / https://example.org/").unwrap();
            sums::write(d).unwrap();
        },
        SUMS,
        DoesNotLook,
    ),
    (
        "no signature of the digests",
        |d| fs::remove_file(d.join(sums::SIGNATURE)).unwrap(),
        SUMS,
        DoesNotLook,
    ),
];

fn other() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("Other <other@example.org>", DEV_KEY_CREATED).unwrap())
}

/// Flips a bit; a negative place counts from the end.
fn flip(path: &Path, at: isize) {
    let mut bytes = fs::read(path).unwrap();
    let at = if at < 0 {
        bytes.len() - at.unsigned_abs()
    } else {
        at.unsigned_abs()
    };
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
}

/// Writes a number into the introduction of the signature header, which begins after the lead.
fn write_at(path: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

fn claims(dist: &Path) {
    write_at(&dist.join(LUSTRE), 96 + 12, &u32::MAX.to_be_bytes());
}

fn points_outside(dist: &Path) {
    // The offset of the second entry.
    write_at(
        &dist.join(LUSTRE),
        96 + 16 + 16 + 8,
        &0x7fff_ffff_u32.to_be_bytes(),
    );
}

fn unsigned(dist: &Path) {
    let unsigned = world().path().join("unsigned/lustre-2.17.0-1.x86_64.rpm");
    fs::copy(unsigned, dist.join(LUSTRE)).unwrap();
}

/// Another package of the same name and version, whose script runs as root, signed with a key.
fn signed_by(key: &Key, dist: &Path) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let spec = Spec {
            name: "lustre",
            evr: "2.17.0-1",
            tags: "Requires: kmod-lustre",
            files: &[("/usr/sbin/lctl", "another tool")],
        };
        spec.build(&world().path().join("tampered")).0
    });
    sign_package(built, &dist.join(LUSTRE), key, EPOCH).unwrap();
}

fn beside(dist: &Path) {
    let spec = Spec {
        name: "beside",
        evr: "1-1",
        tags: "",
        files: &[],
    };
    let built = spec.build(&dist.with_extension("built")).0;
    let to = dist.join("x86_64/Packages/beside-1-1.x86_64.rpm");
    sign_package(&built, &to, other(), EPOCH).unwrap();
}

/// Writes the repodata anew; the signature stays the old one.
fn rewritten(dist: &Path) {
    let signature = fs::read(dist.join(INDEX).with_extension("xml.asc")).unwrap();
    let options = repodata::Options {
        revision: u64::from(EPOCH),
        workers: 1,
        ..repodata::Options::default()
    };
    repodata::write(&dist.join("x86_64"), &options).unwrap();
    fs::write(dist.join(INDEX).with_extension("xml.asc"), signature).unwrap();
}

fn made_anew(dist: &Path) {
    signed_by(other(), dist);
    rewritten(dist);
}

fn without_one(dist: &Path) {
    fs::remove_file(dist.join("x86_64/Packages/e2fsprogs-1.47-1.x86_64.rpm")).unwrap();
    rewritten(dist);
}

/// A file of the binary repository's metadata.
fn document(dist: &Path, kind: &str) -> PathBuf {
    let root = dist.join("x86_64");
    let repomd = repodata::read(&root).unwrap().repomd;
    root.join(&repomd.record(kind).unwrap().location)
}

/// A package list of half a gigabyte in half a megabyte, rightly listed in an index that nobody signed.
pub fn bomb(dist: &Path) {
    let path = document(dist, "primary");
    let file = File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    gzip.write_all(b"<metadata packages=\"1\">").unwrap();
    for _ in 0..512 {
        gzip.write_all(&[b' '; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap().sync_all().unwrap();
    let (digest, size) = sums::sha256(&path).unwrap();
    let old = path.file_name().unwrap().to_str().unwrap();
    let index = fs::read_to_string(dist.join(INDEX)).unwrap();
    let start = index.find("<data type=\"primary\">").unwrap();
    let end = start + index[start..].find("</data>").unwrap();
    let data = format!(
        "<data type=\"primary\"><checksum type=\"sha256\">{digest}</checksum><location href=\"repodata/{old}\"/>\
         <timestamp>1</timestamp><size>{size}</size>"
    );
    fs::write(
        dist.join(INDEX),
        format!("{}{data}{}", &index[..start], &index[end..]),
    )
    .unwrap();
}

/// Every signature is another's, and the key that is offered, too.
fn forged(dist: &Path) {
    let key = other();
    for entry in walkdir::WalkDir::new(dist) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|e| e == "rpm") {
            sign_package(&path, &path, key, EPOCH).unwrap();
        }
    }
    for folder in ["x86_64", "x86_64-debuginfo", "source"] {
        let options = repodata::Options {
            revision: u64::from(EPOCH),
            workers: 1,
            ..repodata::Options::default()
        };
        repodata::write(&dist.join(folder), &options).unwrap();
    }
    fs::write(
        dist.join("RPM-GPG-KEY-lustre-repo"),
        key.public_key_armored().unwrap(),
    )
    .unwrap();
    sums::write(dist).unwrap();
    for name in [
        "x86_64/repodata/repomd.xml",
        "x86_64-debuginfo/repodata/repomd.xml",
        "source/repodata/repomd.xml",
        sums::FILE,
    ] {
        let content = fs::read(dist.join(name)).unwrap();
        let signature = key.sign_detached(&content, EPOCH).unwrap();
        fs::write(dist.join(format!("{name}.asc")), signature).unwrap();
    }
}

/// Replaces a text in a file at the top, and writes the digests anew.
fn edit(dist: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dist.join(name)).unwrap();
    assert!(text.contains(from), "{name}: {text}");
    fs::write(dist.join(name), text.replacen(from, to, 1)).unwrap();
    sums::write(dist).unwrap();
}
