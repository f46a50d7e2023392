//! Archives made by hand, well and badly.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tar::{Builder, EntryType, Header};

use super::{Error, Refusal, pack_tar_gz, unpack, unpack_only};

/// One entry: kind, name, link target or content. Names are written as they are, `..` and all.
fn tar_of(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_mtime(1_000_000);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let content = if is_link || *kind != EntryType::Regular {
            ""
        } else {
            text
        };
        if is_link {
            header.set_link_name_literal(text).unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn archive(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("in.tar");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("inner/out")
    }

    /// Unpacks what has to be refused, and checks that nothing came out.
    fn refusal(&self, entries: &[(EntryType, &str, &str)]) -> (String, Refusal) {
        let archive = self.archive(&tar_of(entries));
        let error = unpack(&archive, &self.out(), 0).unwrap_err();
        assert!(error.to_string().contains("in.tar"), "{error}");
        assert!(!self.out().exists());
        assert_eq!(
            fs::read_dir(self.0.path().join("inner")).unwrap().count(),
            0
        );
        match error {
            Error::Refused { entry, why, .. } => (entry, why),
            other => panic!("{other}"),
        }
    }
}

use EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};

#[test]
fn what_leads_out_is_refused() {
    let text = |text: &str| text.to_owned();
    for (entries, entry, why) in [
        (&[(Regular, "../x", "")][..], "../x", Refusal::Climbs),
        (&[(Regular, "a/../../x", "")], "a/../../x", Refusal::Climbs),
        (&[(Directory, "a/..", "")], "a/..", Refusal::Climbs),
        (&[(Regular, "/etc/x", "")], "/etc/x", Refusal::Absolute),
        (
            &[(Symlink, "a", "/etc")],
            "a",
            Refusal::LinkOut(text("/etc")),
        ),
        (
            &[(Directory, "d", ""), (Symlink, "d/a", "../../x")],
            "d/a",
            Refusal::LinkOut(text("../../x")),
        ),
        (
            &[(Symlink, "a", "."), (Regular, "a/x", "")],
            "a/x",
            Refusal::ThroughLink(text("a")),
        ),
        (
            &[(Symlink, "a", "/tmp"), (Regular, "a/x", "")],
            "a/x",
            Refusal::ThroughLink(text("a")),
        ),
        (
            &[(Symlink, "a", "/tmp/x"), (Regular, "a", "")],
            "a",
            Refusal::ThroughLink(text("a")),
        ),
        (
            &[(Link, "a", "/etc/passwd")],
            "a",
            Refusal::HardLink(text("/etc/passwd")),
        ),
        (
            &[(Link, "a", "../../etc/passwd")],
            "a",
            Refusal::HardLink(text("../../etc/passwd")),
        ),
        (
            &[(Symlink, "l", "/etc"), (Link, "a", "l/passwd")],
            "a",
            Refusal::HardLink(text("l/passwd")),
        ),
        (
            &[(Symlink, "l", "/etc/passwd"), (Link, "a", "l")],
            "a",
            Refusal::HardLink(text("l")),
        ),
        (
            &[(Regular, "a", ""), (Directory, "a", "")],
            "a",
            Refusal::Conflict,
        ),
        (
            &[(Directory, "a", ""), (Regular, "a", "")],
            "a",
            Refusal::Conflict,
        ),
        (
            &[(Char, "null", "")],
            "null",
            Refusal::Kind(text("a device")),
        ),
        (
            &[(Block, "sda", "")],
            "sda",
            Refusal::Kind(text("a device")),
        ),
        (&[(Fifo, "p", "")], "p", Refusal::Kind(text("a pipe"))),
    ] {
        assert_eq!(Place::new().refusal(entries), (entry.to_owned(), why));
    }
}

#[test]
fn stripping_does_not_help_to_get_out() {
    let place = Place::new();
    let archive = place.archive(&tar_of(&[
        (Directory, "top", ""),
        (Symlink, "top/a", "../x"),
    ]));
    let error = unpack(&archive, &place.out(), 1).unwrap_err().to_string();
    assert!(
        error.contains("`top/a` is a link that points outside"),
        "{error}"
    );
}

#[test]
fn a_good_archive_comes_out_with_modes_and_times() {
    let place = Place::new();
    let archive = place.archive(&tar_of(&[
        (Directory, "top/", ""),
        (Regular, "top/sub/file", "content"),
        (Link, "top/hard", "top/sub/file"),
        (Symlink, "top/soft", "sub/file"),
        (Regular, "top/sub/file", "content, newer"),
    ]));
    let done = unpack(&archive, &place.out(), 1).unwrap();
    assert_eq!(done.files, 4);
    let read = |name: &str| fs::read_to_string(place.out().join(name)).unwrap();
    assert_eq!(read("soft"), "content, newer");
    assert_eq!(read("hard"), "content");
    let meta = fs::metadata(place.out().join("sub/file")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000);
    assert_eq!(meta.modified().unwrap(), time);

    let again = unpack(&archive, &place.out(), 1).unwrap_err();
    assert!(matches!(again, Error::NotEmpty { .. }), "{again}");
}

#[test]
fn damage_is_told() {
    let place = Place::new();
    let tar = tar_of(&[(Regular, "file", &"content ".repeat(1000))]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut flipped = gzip.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    let empty = tar_of(&[]);
    for (bytes, wanted) in [
        (&gzip[..gzip.len() / 2], "damaged"),
        (&flipped, "damaged"),
        (&tar[..2000], "damaged"),
        (b"BZh91AY", "damaged"),
        (b"PK\x03\x04", "zip"),
        (b"not an archive at all", "damaged"),
        (&empty, "no files"),
    ] {
        let archive = place.archive(bytes);
        let error = unpack(&archive, &place.out(), 0).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains("in.tar"), "{error}");
        assert!(!place.out().exists());
    }
}

#[test]
fn folders_without_an_entry_have_mode_and_time_all_the_same() {
    let place = Place::new();
    let archive = place.archive(&tar_of(&[
        (Regular, "top/sub/deep/file", "content"),
        (Directory, "top/own", ""),
        (Symlink, "top/links/here", "."),
    ]));
    unpack(&archive, &place.out(), 1).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000);
    for folder in ["", "sub", "sub/deep", "own", "links"] {
        let meta = fs::metadata(place.out().join(folder)).unwrap();
        assert_eq!(meta.modified().unwrap(), time, "{folder}");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755, "{folder}");
    }
}

#[test]
fn a_little_that_is_much_is_refused() {
    let place = Place::new();
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    // A name without end, as it stands in front of what it is the name of.
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 40);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.resize(8 << 20, b'a');
        let archive = place.archive(&gzip(&tar));
        let error = unpack(&archive, &place.out(), 0).unwrap_err().to_string();
        assert!(
            error.contains("header of a member is not terminated"),
            "{error}"
        );
    }
    // A file that is one hole.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.as_old_mut().name[..4].copy_from_slice(b"hole");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_mtime(0);
    // 2^40, in the binary form of numbers that are too large for the other.
    let size = [0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    header.as_gnu_mut().unwrap().realsize = size;
    let end = &mut header.as_gnu_mut().unwrap().sparse[0];
    (end.offset, end.numbytes) = (size, *b"00000000000\0");
    header.set_cksum();
    let archive = place.archive(&[header.as_bytes().as_slice(), &[0; 1024]].concat());
    let error = unpack_only(&archive, &place.out(), 0, &|_| false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("exceeds the limit for unpacking"), "{error}");
    // A dictionary of 3 GiB.
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar_of(&[(Regular, "file", "content")]))
        .unwrap();
    let mut xz = xz.finish().unwrap();
    let end = 12 + (usize::from(xz[12]) + 1) * 4;
    assert_eq!(xz[14..16], [0x21, 1], "LZMA2, with one byte of properties");
    xz[16] = 39;
    let mut sum = flate2::Crc::new();
    sum.update(&xz[12..end - 4]);
    xz[end - 4..end].copy_from_slice(&sum.sum().to_le_bytes());
    let archive = place.archive(&xz);
    let error = unpack(&archive, &place.out(), 0).unwrap_err().to_string();
    assert!(
        error.contains("damaged") && error.to_lowercase().contains("mem"),
        "{error}"
    );
    assert!(!place.out().exists());
}

#[test]
fn each_compression_is_read() {
    let tar = tar_of(&[(Regular, "file", "content")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&tar).unwrap();
    for bytes in [
        gzip.finish().unwrap(),
        xz.finish().unwrap(),
        bzip2.finish().unwrap(),
        zstd::encode_all(&tar[..], 1).unwrap(),
        tar,
    ] {
        let place = Place::new();
        let archive = place.archive(&bytes);
        let done = unpack(&archive, &place.out(), 0).unwrap();
        assert_eq!((done.files, done.bytes), (1, 7));
    }
}

fn tree(dir: &Path, names: &[&str]) {
    for name in names {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
    }
}

#[test]
fn packing_gives_the_same_bytes_again() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("long/{}/{}", "d".repeat(90), "n".repeat(90));
    let names = ["b", "a/z", "a/y", &long];
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    tree(&one, &names);
    let reversed: Vec<&str> = names.iter().rev().copied().collect();
    tree(&two, &reversed);
    fs::set_permissions(two.join("b"), PermissionsExt::from_mode(0o600)).unwrap();
    tree(&two, &[".git/HEAD"]);
    for tree in [&one, &two] {
        std::os::unix::fs::symlink("a/z", tree.join("link")).unwrap();
        pack_tar_gz(tree, "lustre-2.17.0", 7, &tree.with_extension("tar.gz")).unwrap();
    }
    let packed = |tree: &Path| fs::read(tree.with_extension("tar.gz")).unwrap();
    assert_eq!(packed(&one), packed(&two));

    let out = dir.path().join("out");
    let done = unpack(&one.with_extension("tar.gz"), &out, 1).unwrap();
    assert_eq!(done.files, 5);
    assert_eq!(fs::read_to_string(out.join(&long)).unwrap(), long);
    assert_eq!(fs::read_to_string(out.join("link")).unwrap(), "a/z");
}

#[test]
fn a_part_of_an_archive_is_unpacked_and_the_rest_is_read() {
    let place = Place::new();
    let entries = [
        (EntryType::Directory, "linux/fs", ""),
        (EntryType::Regular, "linux/fs/open.c", "open"),
        (EntryType::Regular, "linux/fs/ext4/super.c", "super"),
        (EntryType::Symlink, "linux/away", "/etc/passwd"),
        (EntryType::Regular, "linux/Makefile", "make"),
    ];
    let archive = place.archive(&tar_of(&entries));
    let wanted = |path: &Path| path == Path::new("Makefile") || path.starts_with("fs/ext4");
    let done = unpack_only(&archive, &place.out(), 1, &wanted).unwrap();
    assert_eq!((done.files, done.bytes), (2, 9));
    let text = fs::read_to_string(place.out().join("fs/ext4/super.c")).unwrap();
    assert_eq!(text, "super");
    assert!(!place.out().join("fs/open.c").exists());
    assert!(place.out().join("away").symlink_metadata().is_err());
    // What is wanted is checked as ever.
    let place = Place::new();
    let archive = place.archive(&tar_of(&entries));
    let error = unpack_only(&archive, &place.out(), 1, &|path| path.ends_with("away"));
    assert!(
        matches!(
            error,
            Err(Error::Refused {
                why: Refusal::LinkOut(_),
                ..
            })
        ),
        "{error:?}"
    );
    let error = unpack_only(&archive, &place.out(), 1, &|_| false);
    assert!(matches!(error, Err(Error::Empty { .. })), "{error:?}");
    // Damage behind the last file that is wanted is noticed too.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar_of(&entries)).unwrap();
    let mut bytes = gzip.finish().unwrap();
    let end = bytes.len() - 6;
    bytes[end] ^= 1;
    let archive = place.archive(&bytes);
    let error = unpack_only(&archive, &place.out(), 1, &|path| path.starts_with("fs"));
    assert!(matches!(error, Err(Error::Damaged { .. })), "{error:?}");
}
