//! Archives: tar, plain or compressed. Nothing is written outside of the folder, and a refused one leaves nothing.

use std::fs;
use std::path::Path;

use lustre_packaging::archive::{check_links, unpack};
use tar::{Builder, EntryType, Header};

use super::{gzip, tar_sums};
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Archive;

/// One member.
pub(super) fn member(
    builder: &mut Builder<Vec<u8>>,
    kind: EntryType,
    name: &str,
    link: &str,
    content: &[u8],
) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_767_225_600);
    header.set_size(content.len() as u64);
    // As bytes: names that a library refuses to write are what this is about.
    let fields = header.as_old_mut();
    fields.name[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
    fields.linkname[..link.len().min(100)].copy_from_slice(&link.as_bytes()[..link.len().min(100)]);
    header.set_cksum();
    // Writing to memory does not fail.
    let _ = builder.append(&header, content);
}

pub(super) fn archive(members: &[(EntryType, &str, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, link, content) in members {
        member(&mut builder, *kind, name, link, content);
    }
    builder.into_inner().unwrap_or_default()
}

fn good() -> Vec<u8> {
    use EntryType as T;
    archive(&[
        (T::Directory, "lustre-1/", "", b""),
        (T::Regular, "lustre-1/configure.ac", "", b"AC_INIT\n"),
        (T::Regular, "lustre-1/a/b/c", "", b"deep\n"),
        (T::Symlink, "lustre-1/link", "a/b/c", b""),
        (T::Link, "lustre-1/hard", "lustre-1/configure.ac", b""),
    ])
}

/// With long names in the ways of GNU and of POSIX.
fn long_names() -> Vec<u8> {
    use EntryType as T;
    let name = format!("lustre-1/{}", "x".repeat(120));
    archive(&[
        (
            T::XGlobalHeader,
            "pax_global_header",
            "",
            b"52 comment=0123456789012345678901234567890123456789\n",
        ),
        (
            T::GNULongName,
            "././@LongLink",
            "",
            format!("{name}\0").as_bytes(),
        ),
        (T::Regular, "lustre-1/short", "", b"long\n"),
        (
            T::XHeader,
            "PaxHeaders/x",
            "",
            b"23 path=lustre-1/pax.txt\n20 mtime=1767225600\n",
        ),
        (T::Regular, "lustre-1/other", "", b"pax\n"),
    ])
}

fn xz(content: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    let _ = liblzma::read::XzEncoder::new(content, 6).read_to_end(&mut out);
    out
}

fn zst(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap_or_default()
}

impl Format for Archive {
    fn name(&self) -> &'static str {
        "archive"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good("plain", good()),
            Case::good("long names", long_names()),
            Case::good("gzip", gzip(&good())),
            Case::good("xz", xz(&good())),
            Case::good("zstd", zst(&good())),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        use EntryType as T;
        let one =
            |kind, name, link| archive(&[(T::Regular, "d/ok", "", b"x"), (kind, name, link, b"")]);
        let through = |link: &str, name: &str| {
            archive(&[(T::Symlink, "d/l", link, b""), (T::Regular, name, "", b"x")])
        };
        let size = |text: &[u8; 12]| {
            let mut bytes = good();
            bytes[512 + 124..512 + 136].copy_from_slice(text);
            tar_sums(&mut bytes);
            bytes
        };
        let deep = "d/".repeat(49);
        let long = |kind, size: usize| {
            archive(&[
                (kind, "././@LongLink", "", &vec![b'a'; size]),
                (T::Regular, "d/x", "", b""),
            ])
        };
        // A header of xz that asks for a dictionary of 4 GiB - 1, the most there is, with its checksum.
        let greedy_xz = {
            let mut bytes = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x28\0\0\0".to_vec();
            let sum = crc32(&bytes[12..20]);
            bytes.extend(sum.to_le_bytes());
            bytes.extend([0x01, 0x00, 0x00, b'x', 0x00]);
            bytes
        };
        // A frame of zstd with a window of 2 GiB.
        let greedy_zstd = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
        vec![
            Case::bad("empty", ""),
            Case::bad("up", one(T::Regular, "../x", "")),
            Case::bad("up in between", one(T::Regular, "d/../../x", "")),
            Case::bad("from the root", one(T::Regular, "/etc/fuzz-was-here", "")),
            Case::bad("a link out", one(T::Symlink, "d/l", "../../x")),
            Case::bad("a link to the root", one(T::Symlink, "d/l", "/etc/passwd")),
            Case::bad("a hard link out", one(T::Link, "d/l", "../../x")),
            Case::bad(
                "a hard link to the root",
                one(T::Link, "d/l", "/etc/passwd"),
            ),
            Case::bad("through a link", through("..", "d/l/x")),
            Case::bad("through a link that stays", through(".", "d/l/x")),
            Case::bad("in the place of a link", through("../../x", "d/l")),
            Case::bad("a device", one(T::Block, "d/dev", "")),
            Case::bad("a pipe", one(T::Fifo, "d/pipe", "")),
            Case::either("a link to itself", one(T::Symlink, "d/l", "l/x")),
            Case::either(
                "49 folders deep",
                archive(&[(T::Regular, &format!("{deep}x"), "", b"x")]),
            ),
            Case::bad("a size of 8 GiB", size(b"77777777777\0")),
            Case::bad(
                "a size in base 256",
                size(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
            ),
            Case::bad(
                "a size that is negative",
                size(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            ),
            Case::either("a long name of 8 MiB", long(T::GNULongName, 8 << 20)),
            Case::either("a long link of 8 MiB", long(T::GNULongLink, 8 << 20)),
            Case::either("headers of POSIX of 8 MiB", long(T::XHeader, 8 << 20)),
            Case::bad("xz that wants 4 GiB", greedy_xz),
            Case::bad("zstd that wants 2 GiB", greedy_zstd),
            Case::bad("512 MiB of zeroes", super::gzip_bomb(b"", 0, b"")),
            Case::bad("512 MiB of a long name", long_name_bomb()),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "../x",
            "/etc/x",
            "ustar",
            "ustar  \0",
            "././@LongLink",
            "12 path=a/b\n",
            "9 size=0\n",
            "lustre-1/",
            "00000000000\0",
            "77777777777\0",
        ]
    }

    fn repair(&self, mut input: Vec<u8>) -> Vec<u8> {
        tar_sums(&mut input);
        input
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let file = folder.join("input");
        fs::write(&file, input).map_err(|error| error.to_string())?;
        let mut judged = ParseOutcome::Accepted;
        for (name, strip) in [("strip", 1), ("whole", 0)] {
            let into = folder.join(name);
            judged = match unpack(&file, &into, strip) {
                Ok(_) => {
                    check_links(&into)
                        .map_err(|error| format!("a link that leads out was unpacked: {error}"))?;
                    ParseOutcome::Accepted
                }
                Err(error) => {
                    if into.exists() {
                        return Err(format!("a refused archive leaves {name}"));
                    }
                    ParseOutcome::Refused(message(&error))
                }
            };
        }
        stayed_inside(folder, &["input", "strip", "whole"])?;
        Ok(judged)
    }
}

/// A name that never ends, in a gzip file.
fn long_name_bomb() -> Vec<u8> {
    let mut head = archive(&[(EntryType::GNULongName, "././@LongLink", "", b"")]);
    head.truncate(512);
    head[124..136].copy_from_slice(b"07777777777\0");
    tar_sums(&mut head);
    super::gzip_bomb(&head, b'a', b"")
}

/// The checksum that xz and gzip use.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// That nothing else than these is in the folder, and nothing beside it.
pub(super) fn stayed_inside(folder: &Path, expected: &[&str]) -> Result<(), String> {
    let beside = folder.parent().unwrap_or(folder);
    let own = folder.file_name().unwrap_or_default();
    for (place, allowed) in [(folder, expected), (beside, &["progress", "stderr"][..])] {
        for entry in fs::read_dir(place).map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            if !allowed.iter().any(|allowed| name == **allowed) && (place == folder || name != own)
            {
                return Err(format!(
                    "{} was made in {}",
                    name.display(),
                    place.display()
                ));
            }
        }
    }
    Ok(())
}
