//! The signature header: what of it says something about header and payload, and is in every package that leaves here.
//!
//! rpmbuild writes SIZE, PAYLOADSIZE, MD5, SHA1 and SHA256 (LONGSIZE and LONGARCHIVESIZE from 4 GiB on), the same from rpm 4.14 to 4.18,
//! and reserved space for a signature, which nobody needs who writes the file anew. rpm-rs writes neither MD5 nor PAYLOADSIZE. MD5 is no
//! protection; but as SIGMD5 it is by what OBS, Koji and mock know a binary package, and a scheduler of OBS does not take one without it.
//! Signing changes neither the main header nor the payload, so it holds for the signed package too. rpm in FIPS mode neither writes nor
//! checks it: such packages have none, and get one here.

use std::collections::BTreeMap;

use crate::Md5;
use rpm::{Header, HeaderEntry, IndexData, IndexSignatureTag, Package};

use IndexSignatureTag as Tag;

/// The tags that say something of header and payload.
const OF_CONTENT: [Tag; 12] = [
    Tag::RPMSIGTAG_SHA1,
    Tag::RPMSIGTAG_SHA256,
    Tag::RPMSIGTAG_SHA3_256,
    Tag::RPMSIGTAG_SIZE,
    Tag::RPMSIGTAG_LONGSIZE,
    Tag::RPMSIGTAG_MD5,
    Tag::RPMSIGTAG_PAYLOADSIZE,
    Tag::RPMSIGTAG_LONGARCHIVESIZE,
    Tag::RPMSIGTAG_FILESIGNATURES,
    Tag::RPMSIGTAG_FILESIGNATURE_LENGTH,
    Tag::RPMSIGTAG_VERITYSIGNATURES,
    Tag::RPMSIGTAG_VERITYSIGNATUREALGO,
];

/// The entries of a signature header, by their tags.
#[derive(Debug, Default)]
pub struct SignatureEntries(BTreeMap<u32, IndexData>);

impl SignatureEntries {
    /// What a signature header says of header and payload; neither signatures nor reserved space.
    pub fn of_content(header: &Header<Tag>) -> Result<Self, rpm::Error> {
        let mut entries = Self::default();
        for tag in OF_CONTENT {
            if header.entry_is_present(tag as u32) {
                entries.set(tag, header.entry(tag as u32)?);
            }
        }
        Ok(entries)
    }

    /// Sets an entry, in place of one that is there.
    pub fn set(&mut self, tag: Tag, data: IndexData) {
        self.0.insert(tag as u32, data);
    }

    /// Sets the MD5 of the main header and the payload.
    pub fn set_md5(&mut self, md5: [u8; 16]) {
        self.set(Tag::RPMSIGTAG_MD5, IndexData::Bin(md5.to_vec()));
    }

    /// The header of these entries.
    pub fn header(self) -> Header<Tag> {
        let entries = self.0.into_iter();
        Header::from_entries(
            entries.map(|(tag, data)| HeaderEntry::new(tag, data)),
            Tag::HEADER_SIGNATURES,
        )
    }
}

/// Gives a package that rpm-rs made, unsigned, the signature header that rpmbuild would have given it, without reserved space.
pub fn as_rpmbuild(package: &mut Package) -> Result<(), rpm::Error> {
    let mut entries = SignatureEntries::of_content(&package.metadata.signature)?;
    let mut md5 = Md5::default();
    md5.update(&package.header_bytes()?);
    md5.update(&package.payload);
    entries.set_md5(md5.finish());
    let mut unpacked = package.clone();
    unpacked.decompress_payload()?;
    let size = unpacked.payload.len();
    match u32::try_from(size) {
        Ok(size) => entries.set(Tag::RPMSIGTAG_PAYLOADSIZE, IndexData::Int32(vec![size])),
        Err(_) => entries.set(
            Tag::RPMSIGTAG_LONGARCHIVESIZE,
            IndexData::Int64(vec![size as u64]),
        ),
    }
    package.metadata.signature = entries.header();
    Ok(())
}
