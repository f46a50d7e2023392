//! RPM files: their headers, as they are checked, signed, unpacked and put into metadata.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lustre_packaging::archive::unpack_srpm;
use lustre_packaging::sign::{self, Key, PublicKey, Secret, Signer};
use lustre_repository::repodata;
use rpm::{CompressionType, CompressionWithLevel, Dependency, FileOptions};
use sha2::{Digest, Sha256};

use super::spec_file;
use crate::{Case, Format, ParseOutcome, message};

/// When everything here is made.
const TIME: u32 = 1_767_225_600;

pub(super) struct Rpm {
    key: Option<PublicKey>,
}

/// Signs with something that is no signature: for what is done with a package before and after.
struct Nothing;

impl Signer for Nothing {
    fn fingerprint(&self) -> String {
        "0".repeat(40)
    }
    fn public_key_armored(&self) -> Result<String, sign::Error> {
        Ok(String::new())
    }
    fn sign_detached(&self, _: &[u8], _: u32) -> Result<String, sign::Error> {
        Ok(String::new())
    }
    fn sign_rpm_header(&self, _: &[u8], _: u32) -> Result<Vec<u8>, sign::Error> {
        // An OpenPGP packet: what is put into a header has to look like a signature.
        Ok([&[0x88, 0x13][..], &[4; 19]].concat())
    }
}

/// The key of the rehearsal's distribution, which is no secret.
fn signer() -> Option<Key> {
    let text = Secret::new(spec_file("distributions/rehearsal/key.asc"));
    Key::from_armored(&text, "the key of the fuzzers", None).ok()
}

impl Rpm {
    pub(super) fn new() -> Self {
        Self {
            key: signer().map(|key| key.public_key()),
        }
    }

    fn package(
        source: bool,
        signed: bool,
        compression: impl Into<CompressionWithLevel>,
    ) -> Result<Vec<u8>, rpm::Error> {
        let mut builder =
            rpm::PackageBuilder::new("a-package", "1.0", "MIT", "noarch", "A small package");
        builder
            .using_config(
                rpm::BuildConfig::v4()
                    .compression(compression)
                    .source_date(TIME)
                    .reserved_space(None),
            )
            .epoch(1)
            .release("2.el9")
            .description("Two\nlines")
            .requires(Dependency::any("(a if b)"))
            .requires(Dependency::greater_eq("libc.so.6()(64bit)", "2"))
            .provides(Dependency::eq("kmod(x.ko)", "0x12"))
            .obsoletes(Dependency::less("old", "1:3"))
            .add_changelog_entry("A B <a@b.c> - 1", "- more", TIME);
        if source {
            builder.with_file_contents("Name: a\n", FileOptions::new("/a.spec"))?;
            builder.with_file_contents("x".repeat(200), FileOptions::new("/a.tar"))?;
        } else {
            builder.with_file_contents(
                "one",
                FileOptions::new("/usr/bin/a").mode(rpm::FileMode::regular(0o755)),
            )?;
            builder.with_dir_entry(FileOptions::dir("/usr/share/a"))?;
            builder.with_symlink(FileOptions::symlink("/usr/bin/b", "a"))?;
        }
        let package = builder.build()?;
        let mut bytes = Vec::new();
        package.write(&mut bytes)?;
        if let (true, Some(key)) = (signed, signer()) {
            let folder = tempfile::tempdir()?;
            let [plain, signed] = ["plain.rpm", "signed.rpm"].map(|name| folder.path().join(name));
            fs::write(&plain, &bytes)?;
            sign::sign_package(&plain, &signed, &key, TIME)
                .map_err(|error| rpm::Error::SignError(Box::new(error)))?;
            bytes = fs::read(signed)?;
        }
        if source {
            // The library makes binary packages; this is what makes the difference to it.
            let _ = as_source(&mut bytes);
        }
        Ok(bytes)
    }
}

impl Format for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn seeds(&self) -> Vec<Case> {
        let made = [
            ("signed", Self::package(false, true, CompressionType::None)),
            ("gzip", Self::package(false, false, CompressionType::Gzip)),
            (
                "xz",
                Self::package(false, false, CompressionWithLevel::Xz(0)),
            ),
            ("source", Self::package(true, false, CompressionType::Zstd)),
            (
                "plain source",
                Self::package(true, false, CompressionType::None),
            ),
        ];
        // One that cannot be made is empty, and refused where it has to be accepted.
        made.into_iter()
            .map(|(name, bytes)| Case::good(name, bytes.unwrap_or_default()))
            .collect()
    }

    fn hostile(&self) -> Vec<Case> {
        let good = Self::package(false, false, CompressionType::None).unwrap_or_default();
        let mut cases = vec![
            Case::bad("empty", ""),
            Case::bad("a lead alone", &good[..good.len().min(96)]),
        ];
        // The counts in the introductions of both headers: entries, and bytes of data.
        let main = main_header(&good).unwrap_or(96);
        for (name, at, value) in [
            ("signature header: many entries", 104, 0x7fff_ffff),
            ("signature header: all entries that rpm allows", 104, 0xffff),
            ("signature header: much data", 108, 0x7fff_ffff),
            (
                "signature header: the data that rpm allows",
                108,
                0x0fff_ffff,
            ),
            ("header: many entries", main + 8, u32::MAX),
            ("header: all entries that rpm allows", main + 8, 0xffff),
            ("header: much data", main + 12, u32::MAX),
            ("header: the data that rpm allows", main + 12, 0x0fff_ffff),
        ] {
            let mut bytes = good.clone();
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&value.to_be_bytes());
            }
            cases.push(Case::bad(name, bytes));
        }
        // Every entry of the main header with a huge count, one after the other.
        let entries = word(&good, main + 8).unwrap_or(0) as usize;
        for entry in 0..entries.min(60) {
            for value in [0x7fff_ffff_u32, 0x0001_0000] {
                let mut bytes = good.clone();
                let at = main + 16 + entry * 16 + 12;
                if let Some(place) = bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&value.to_be_bytes());
                }
                cases.push(Case::either("a huge count", self.repair(bytes)));
            }
        }
        cases
    }

    fn untouched(&self) -> u64 {
        // rpm-rs 0.30.2 makes room, zeroed and so never touched, for a name in the payload as long as 32 bits say it is, and only then
        // refuses what is longer than 4096 bytes.
        4 << 30
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "/",
            "../x",
            "/etc/passwd",
            "(a if b)",
            "a.spec",
            "gzip",
            "zstd",
            "xz",
            "lzma",
            "bzip2",
            "cpio",
            "07070X",
        ]
    }

    fn repair(&self, mut input: Vec<u8>) -> Vec<u8> {
        // Nothing to repair where the headers cannot be found.
        let _ = digests(&mut input);
        input
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let root = folder.join("repository");
        let path = root.join("Packages/x.rpm");
        fs::create_dir_all(root.join("Packages"))
            .and_then(|()| fs::write(&path, input))
            .map_err(|e| e.to_string())?;
        let mut refused = String::new();
        let mut accepted = false;
        let mut told = |judged: ParseOutcome| match judged {
            ParseOutcome::Accepted => accepted = true,
            // Writing to a string does not fail.
            ParseOutcome::Refused(message) => drop(writeln!(refused, "{message}")),
        };
        if let Some(key) = &self.key {
            let verified = sign::verify_package(&path, key);
            told(ParseOutcome::of(verified));
        }
        told(ParseOutcome::of(sign::sign_package(
            &path,
            &folder.join("signed.rpm"),
            &Nothing,
            TIME,
        )));
        let into = folder.join("srpm");
        let unpacked = unpack_srpm(&path, &into);
        match &unpacked {
            Ok(_) => super::archive::stayed_inside(folder, &["repository", "srpm", "signed.rpm"])?,
            Err(_) => super::archive::stayed_inside(folder, &["repository", "signed.rpm"])?,
        }
        told(ParseOutcome::of(unpacked));
        let options = repodata::Options {
            revision: 1,
            workers: 1,
            ..repodata::Options::default()
        };
        match repodata::write(&root, &options) {
            Ok(_) => {
                let read = repodata::read(&root).map_err(|e| {
                    format!("repodata that was written cannot be read: {}", message(&e))
                })?;
                if read.packages.len() != 1 {
                    return Err(format!(
                        "{} packages in the repodata of one",
                        read.packages.len()
                    ));
                }
                told(ParseOutcome::Accepted);
            }
            Err(error) => told(ParseOutcome::Refused(message(&error))),
        }
        Ok(if accepted {
            ParseOutcome::Accepted
        } else {
            ParseOutcome::Refused(refused)
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Where a header that begins at `at` ends.
fn end(bytes: &[u8], at: usize) -> Option<usize> {
    let (entries, data) = (
        word(bytes, at + 8)? as usize,
        word(bytes, at + 12)? as usize,
    );
    let end = at + 16 + entries.checked_mul(16)?.checked_add(data)?;
    (end <= bytes.len()).then_some(end)
}

fn main_header(bytes: &[u8]) -> Option<usize> {
    Some(end(bytes, 96)?.next_multiple_of(8))
}

/// Makes a source package of a binary one, whose first file is its spec file.
fn as_source(bytes: &mut [u8]) -> Option<()> {
    const SOURCE_RPM: u32 = 1044;
    const SOURCE_PACKAGE: u32 = 1106;
    const FILE_FLAGS: u32 = 1037;
    const SPEC_FILE: u32 = 1 << 5;
    let main = main_header(bytes)?;
    let index = entry(bytes, main, SOURCE_RPM)?;
    bytes
        .get_mut(index..index + 4)?
        .copy_from_slice(&SOURCE_PACKAGE.to_be_bytes());
    let flags = tag(bytes, main, FILE_FLAGS)?;
    bytes
        .get_mut(flags..flags + 4)?
        .copy_from_slice(&SPEC_FILE.to_be_bytes());
    digests(bytes)
}

/// Where the index entry of a tag is, in the header at `at`.
fn entry(bytes: &[u8], at: usize, wanted: u32) -> Option<usize> {
    let entries = word(bytes, at + 8)? as usize;
    (0..entries)
        .map(|entry| at + 16 + entry * 16)
        .find(|index| word(bytes, *index) == Some(wanted))
}

/// Where the data of a tag begins, in the header at `at`.
fn tag(bytes: &[u8], at: usize, wanted: u32) -> Option<usize> {
    let entries = word(bytes, at + 8)? as usize;
    let index = entry(bytes, at, wanted)?;
    Some(at + 16 + entries * 16 + word(bytes, index + 8)? as usize)
}

/// Makes the digests of payload and main header right.
fn digests(bytes: &mut [u8]) -> Option<()> {
    const PAYLOAD_SHA256: u32 = 5092;
    const HEADER_SHA256: u32 = 273;
    let main = main_header(bytes)?;
    let payload = end(bytes, main)?;
    if let Some(at) = tag(bytes, main, PAYLOAD_SHA256) {
        let digest = format!("{:x}", Sha256::digest(&bytes[payload..]));
        bytes
            .get_mut(at..at + 64)?
            .copy_from_slice(digest.as_bytes());
    }
    let digest = format!("{:x}", Sha256::digest(&bytes[main..payload]));
    let at = tag(bytes, 96, HEADER_SHA256)?;
    bytes
        .get_mut(at..at + 64)?
        .copy_from_slice(digest.as_bytes());
    // The SHA-1 beside it is made by hand nowhere else; without it, the SHA-256 counts.
    hide(bytes, 96, 269);
    Some(())
}

/// Gives a tag a number that nobody looks at.
fn hide(bytes: &mut [u8], at: usize, wanted: u32) -> Option<()> {
    let index = entry(bytes, at, wanted)?;
    bytes
        .get_mut(index..index + 4)?
        .copy_from_slice(&999_999_u32.to_be_bytes());
    Some(())
}
