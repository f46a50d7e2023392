//! Debian packages.

use std::path::Path;

use lustre_distro::deb;
use lustre_distro::depends;
use tar::EntryType as T;

use super::archive::archive;
use super::{gzip, tar_sums};
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Deb;

const CONTROL: &[u8] = b"Package: a\nVersion: 1:2-3\nArchitecture: amd64\nDepends: libc6 (>= 2.34), b | c\nDescription: one\n two\n .\n three\n";

/// An `ar` archive of these members.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                1_767_225_600,
                0,
                0,
                "100644",
                content.len()
            )
            .bytes(),
        );
        bytes.extend(*content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn control() -> Vec<u8> {
    archive(&[
        (T::Directory, "./", "", b""),
        (T::Regular, "./control", "", CONTROL),
        (T::Regular, "./conffiles", "", b"/etc/a\n"),
    ])
}

fn data() -> Vec<u8> {
    archive(&[
        (T::Directory, "./", "", b""),
        (T::Directory, "./etc/", "", b""),
        (T::Regular, "./etc/a", "", b"a\n"),
        (T::Symlink, "./etc/b", "a", b""),
        (T::Link, "./etc/c", "./etc/a", b""),
    ])
}

fn whole(control: (&str, &[u8]), data: (&str, &[u8])) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), control, data])
}

impl Format for Deb {
    fn name(&self) -> &'static str {
        "deb"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good(
                "plain",
                whole(("control.tar", &control()), ("data.tar", &data())),
            ),
            Case::good(
                "gzip",
                whole(
                    ("control.tar.gz", &gzip(&control())),
                    ("data.tar.gz", &gzip(&data())),
                ),
            ),
            Case::good(
                "zstd",
                whole(
                    ("control.tar", &control()),
                    (
                        "data.tar.zst",
                        &zstd::encode_all(&data()[..], 3).unwrap_or_default(),
                    ),
                ),
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        let with = |members: &[(T, &str, &str, &[u8])]| {
            whole(("control.tar", &control()), ("data.tar", &archive(members)))
        };
        let mut sized = data();
        sized[1024 + 124..1024 + 136].copy_from_slice(b"77777777777\0");
        tar_sums(&mut sized);
        let mut enormous = data();
        enormous[1024 + 124..1024 + 136]
            .copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
        tar_sums(&mut enormous);
        // A file of 127 MiB in a package of some hundred kilobytes: real ones are as large.
        let mut head = archive(&[(T::Regular, "./x", "", b"")]);
        head.truncate(512);
        head[124..136].copy_from_slice(b"00777777777\0");
        tar_sums(&mut head);
        let bomb = super::gzip_of(128, &head, 0, b"");
        let nested = format!("./{}x", "d/".repeat(48));
        vec![
            Case::bad("empty", ""),
            Case::bad("no members", "!<arch>\n"),
            Case::bad(
                "a member beyond the end",
                ar(&[("debian-binary", b"2.0\n")])
                    .iter()
                    .map(|b| if *b == b'4' { b'9' } else { *b })
                    .collect::<Vec<_>>(),
            ),
            Case::bad("up", with(&[(T::Regular, "./../x", "", b"x")])),
            Case::bad(
                "below a link",
                with(&[
                    (T::Symlink, "./l", "/etc", b""),
                    (T::Regular, "./l/passwd", "", b"x"),
                ]),
            ),
            Case::bad("a device", with(&[(T::Char, "./dev", "", b"")])),
            Case::bad(
                "a hard link to nothing",
                with(&[(T::Link, "./l", "./x", b"")]),
            ),
            Case::either("48 folders deep", with(&[(T::Regular, &nested, "", b"x")])),
            Case::bad(
                "a file of 8 GiB that is not there",
                whole(("control.tar", &control()), ("data.tar", &sized)),
            ),
            Case::bad(
                "a file larger than memory",
                whole(("control.tar", &control()), ("data.tar", &enormous)),
            ),
            Case::either(
                "127 MiB of data",
                whole(("control.tar", &control()), ("data.tar.gz", &bomb)),
            ),
            Case::either(
                "127 MiB of control",
                whole(("control.tar.gz", &bomb), ("data.tar", &data())),
            ),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "debian-binary",
            "control.tar",
            "control.tar.gz",
            "data.tar",
            "data.tar.xz",
            "./control",
            "./../x",
            "ustar",
            "!<arch>\n",
            "`\n",
            "root",
            "4294967296",
        ]
    }

    fn repair(&self, mut input: Vec<u8>) -> Vec<u8> {
        // Member by member, as far as the sizes lead.
        let mut at = 8;
        while let Some(header) = input.get(at..at + 60) {
            let size = std::str::from_utf8(&header[48..58])
                .ok()
                .and_then(|text| text.trim().parse::<usize>().ok());
            let Some(size) = size else { break };
            let end = (at + 60).saturating_add(size).min(input.len());
            tar_sums(&mut input[at + 60..end]);
            at = end.saturating_add(size % 2);
        }
        input
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let deb = match deb::Deb::read(input) {
            Ok(deb) => deb,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        for path in deb.tree.keys() {
            if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
                return Err(format!("it has the file `{path}`"));
            }
        }
        for field in ["Depends", "Pre-Depends", "Provides"] {
            if let Err(error) = depends::parse(deb.field(field)) {
                return Ok(ParseOutcome::Refused(message(&error)));
            }
        }
        Ok(ParseOutcome::of(deb.required("Package").map(|_| ())))
    }
}
