//! The headers of RPM files, for whoever has to read a package that may be damaged or hostile.
//!
//! An RPM file is a lead of 96 bytes, the signature header (padded to 8 bytes), the main header and the payload. `rpm-rs` trusts what
//! a header says of itself: an offset outside of it ends in a panic, a count in an allocation of any size. So the bytes are read and
//! checked here first, with what rpm itself demands of a header and with bounds of our own, and only then given to it.
//!
//! - [`Headers`]: both headers, with their tags as numbers and as texts in bytes (those of old packages are Latin-1).
//! - [`metadata`], [`reader`] and [`package`]: what `rpm-rs` makes of a checked file. Nothing else in the project opens one with it.
//! - [`SignatureEntries`] and [`as_rpmbuild`]: the signature header of a package that is written here.
//! - [`Md5`]: the digest that is in the signature header.
//! - `section`: one header and its index.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

mod section;
mod signature;
mod sum;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use rpm::{IndexSignatureTag, IndexTag, Package, PackageMetadata, PackageReader};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

pub use signature::{SignatureEntries, as_rpmbuild};
pub use sum::Md5;

use section::{Limits, Section, malformed, take};

/// Bytes of the lead, of which rpm still reads the magic number, the version and the type of the signature.
const LEAD: usize = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The lead's type of signature: a header follows.
const HEADER_SIGNATURE: [u8; 2] = [0, 5];

/// rpm's limit for the data of a signature header; its index is rarely longer than ten entries.
const SIGNATURE: Limits = Limits {
    name: "signature header",
    region: 62,
    entries: 0xffff,
    data: 64 * 1024 * 1024,
};
/// Half of rpm's limit for data: a package of 400,000 files stays below.
const MAIN: Limits = Limits {
    name: "header",
    region: 63,
    entries: 0xffff,
    data: 128 * 1024 * 1024,
};
/// How long all paths of a package may be together. Each is a folder's name and a file's, and many files may name one long folder.
const MAX_PATHS: u64 = 256 * 1024 * 1024;

/// The lead and both headers of an RPM file, checked.
#[derive(Debug)]
pub struct Headers {
    bytes: Vec<u8>,
    signature: Section,
    main: Section,
}

impl Headers {
    /// Reads everything up to the payload, and leaves the source there.
    pub fn read(source: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        take(source, &mut bytes, LEAD)?;
        if bytes[..4] != LEAD_MAGIC {
            return Err(malformed("it does not start like an RPM"));
        }
        if !matches!(bytes[4], 3 | 4) || bytes[78..80] != HEADER_SIGNATURE {
            return Err(malformed("its lead is not one that rpm accepts"));
        }
        let signature = Section::read(source, &mut bytes, &SIGNATURE)?;
        let padding = signature.end.next_multiple_of(8) - signature.end;
        take(source, &mut bytes, padding)?;
        let main = Section::read(source, &mut bytes, &MAIN)?;
        let headers = Self {
            bytes,
            signature,
            main,
        };
        headers.check_paths()?;
        Ok(headers)
    }

    /// Opens a package; the file is left at its payload.
    pub fn open(path: &Path) -> io::Result<(Self, File)> {
        let mut file = lustre_files::open(path)?;
        let headers = Self::read(&mut file)?;
        Ok((headers, file))
    }

    /// All bytes up to the payload, as they are in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`bytes`](Self::bytes), to keep.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Where the main header is in [`bytes`](Self::bytes), and in the file.
    pub fn main(&self) -> Range<usize> {
        self.main.start..self.main.end
    }

    /// Whether there is such a tag in the main header.
    pub fn has(&self, tag: u32) -> bool {
        self.main.has(tag)
    }

    /// Every tag of the main header with the number of its values and their bytes, sorted.
    pub fn values(&self) -> Vec<(u32, usize, &[u8])> {
        self.main.values(&self.bytes)
    }

    /// Compares the main header with the digests of it in the signature header; those that are there.
    pub fn check_digests(&self) -> Result<(), rpm::Error> {
        let main = &self.bytes[self.main()];
        compared::<Sha1>(self, IndexSignatureTag::RPMSIGTAG_SHA1, "header SHA1", main)?;
        let tag = IndexSignatureTag::RPMSIGTAG_SHA256;
        compared::<Sha256>(self, tag, "header SHA-256", main)?;
        let tag = IndexSignatureTag::RPMSIGTAG_SHA3_256;
        compared::<Sha3_256>(self, tag, "header SHA3-256", main)
    }

    /// What `rpm-rs` makes of them.
    pub fn metadata(&self) -> Result<PackageMetadata, rpm::Error> {
        // The one place where `rpm-rs` gets a header.
        #[allow(clippy::disallowed_methods)]
        PackageMetadata::parse(&mut &self.bytes[..])
    }

    /// The texts of a tag of the main header; empty where there is none.
    pub fn texts(&self, tag: u32) -> Result<Vec<&[u8]>, String> {
        self.main.texts(&self.bytes, tag)
    }

    /// The first text of a tag of the main header. Of a translated text that is the one in the C locale.
    pub fn text(&self, tag: u32) -> Result<Option<&[u8]>, String> {
        Ok(self.texts(tag)?.first().copied())
    }

    /// The numbers of a tag of the main header; empty where there is none.
    pub fn numbers(&self, tag: u32) -> Result<Vec<u64>, String> {
        self.main.numbers(&self.bytes, tag)
    }

    /// The first number of a tag of the main header.
    pub fn number(&self, tag: u32) -> Result<Option<u64>, String> {
        Ok(self.numbers(tag)?.first().copied())
    }

    /// The first number of a tag of the signature header.
    pub fn signature_number(&self, tag: u32) -> Result<Option<u64>, String> {
        Ok(self.signature.numbers(&self.bytes, tag)?.first().copied())
    }

    /// The MD5 over the main header and the payload, by which build systems know a package; what the signature header says it is.
    pub fn sigmd5(&self) -> Option<&[u8]> {
        let tag = IndexSignatureTag::RPMSIGTAG_MD5 as u32;
        let values = self.signature.values(&self.bytes).into_iter();
        let mut found = values.filter(|(other, count, _)| *other == tag && *count == 16);
        found.next().map(|(_, _, bytes)| bytes)
    }

    /// Refuses a header whose files would be more than their paths are worth: a few bytes for each file, and a long folder for all.
    fn check_paths(&self) -> io::Result<()> {
        let folders = self
            .texts(IndexTag::RPMTAG_DIRNAMES as u32)
            .map_err(malformed)?;
        let indexes = self
            .numbers(IndexTag::RPMTAG_DIRINDEXES as u32)
            .map_err(malformed)?;
        let mut total = 0_u64;
        for index in indexes {
            let folder = usize::try_from(index)
                .ok()
                .and_then(|index| folders.get(index))
                .ok_or_else(|| malformed("one of its files is in an unknown folder"))?;
            total += folder.len() as u64;
        }
        if total > MAX_PATHS {
            return Err(malformed(format!(
                "the paths of its files are longer than {MAX_PATHS} bytes"
            )));
        }
        Ok(())
    }
}

/// Compares a digest of the signature header, where there is one.
fn compared<D: Digest>(
    headers: &Headers,
    tag: IndexSignatureTag,
    what: &'static str,
    main: &[u8],
) -> Result<(), rpm::Error> {
    let texts = headers.signature.texts(&headers.bytes, tag as u32);
    let texts = texts.map_err(malformed)?;
    let Some(expected) = texts.first() else {
        return Ok(());
    };
    let digest = D::digest(main);
    let actual: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if actual.as_bytes() == *expected {
        return Ok(());
    }
    Err(rpm::Error::DigestMismatchError {
        digest: what,
        expected: String::from_utf8_lossy(expected).into_owned(),
        actual,
    })
}

/// A package's headers, by `rpm-rs`.
pub fn metadata(path: &Path) -> Result<PackageMetadata, rpm::Error> {
    Headers::open(path)?.0.metadata()
}

/// A package's headers and, file by file, its payload.
pub fn reader(path: &Path) -> Result<PackageReader, rpm::Error> {
    #[allow(clippy::disallowed_methods)]
    PackageReader::parse(checked(path)?)
}

/// A package with its compressed payload in memory.
pub fn package(path: &Path) -> Result<Package, rpm::Error> {
    #[allow(clippy::disallowed_methods)]
    Package::parse(&mut checked(path)?)
}

/// A file from its start, with the very bytes of its headers that have been checked.
fn checked(path: &Path) -> io::Result<impl BufRead + use<>> {
    let (headers, payload) = Headers::open(path)?;
    Ok(Cursor::new(headers.into_bytes()).chain(BufReader::new(payload)))
}

#[cfg(test)]
mod tests;
