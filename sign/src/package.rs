//! Signing and checking one RPM file: its headers in memory, its payload streamed.
//!
//! What is signed is the main header; the header holds the payload's digest, so a signature covers the whole package only
//! together with a check of that digest. rpm-rs's `verify_signature` does not look at the payload: the functions here do.

use std::fs::{File, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use lustre_files::tried;
use lustre_rpm_header::{Headers, Md5, SignatureEntries};
use rpm::{Header, IndexSignatureTag, IndexTag, PackageMetadata, SignatureHeaderBuilder};
use sha2::{Digest, Sha256};

use super::facts::hex;
use super::public::by_any;
use super::{Error, PublicKey, Signer};

/// How much of a payload is read at a time.
const CHUNK: usize = 128 * 1024;
/// How many such pieces wait for the other digest.
const PIECES: usize = 4;
/// From how many bytes on a package is large.
const LARGE: u64 = 4 << 20;
/// How many packages are signed at a time at most: of each, the header is in memory.
const MOST: usize = 8;
/// rpm's number for SHA-256 among its digest algorithms (those of OpenPGP).
const DIGEST_SHA256: u32 = 8;
const REBUILD: &str = "build or download it again";

/// A package that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPackage {
    /// SHA-256 of the input file, in hexadecimal digits.
    pub unsigned_sha256: String,
    /// Size of the signed file in bytes.
    pub size: u64,
    /// The key that signed it: 40 upper-case hexadecimal digits.
    pub fingerprint: String,
    /// The signature's time: seconds since 1970.
    pub time: u32,
}

/// A package whose signature and digests hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPackage {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// The key that signed it: 40 upper-case hexadecimal digits.
    pub fingerprint: String,
    /// The signature's time: seconds since 1970.
    pub time: u32,
}

/// Signs the binary or source package `unsigned` into the file `signed`, which may be the same path.
///
/// The result has one header signature of format v4, in the `RSA` tag (all rpm versions) and the `OPENPGP` tag (rpm 6), and
/// nothing of earlier signatures: the same package, key and time always give the same bytes, whether it was signed before or
/// not. Reserved space goes; digests and sizes stay, and MD5 is there also where it was not: it is by what build systems know a package.
/// The file's modification time is the package's build time, because `primary.xml` records it.
///
/// An existing `signed` stays as it was until the new one is whole, and on the disk.
pub fn sign_package(
    unsigned: &Path,
    signed: &Path,
    signer: &dyn Signer,
    time: u32,
) -> Result<SignedPackage, Error> {
    let mut package = Opened::read(unsigned)?;
    package.check_header()?;
    if package.is_v6() {
        return Err(package.bad(
            "it is of package format v6, which EL8 to EL10 do not verify",
            "build it with `%_rpmformat 4`",
        ));
    }
    let signature = signer.sign_rpm_header(package.header_bytes(), time)?;
    let md5 = package.absent_md5()?;
    let header =
        signature_header(&package.metadata, signature, md5).map_err(|e| package.rpm(&e))?;
    package.metadata.signature = header;
    let mut front = Vec::new();
    package
        .metadata
        .write(&mut front)
        .map_err(|e| package.rpm(&e))?;
    // The main header went through rpm-rs: what was signed must be what is written.
    if !front.ends_with(package.header_bytes()) {
        return Err(package.bad("its main header is not in the form rpm writes", REBUILD));
    }

    let folder = match signed.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".sign-")
        .tempfile_in(folder)
        .map_err(tried("make a temporary file in", folder))?;
    let writing = |source: io::Error| Error::from(tried("write", signed)(source));
    let mut output = temporary.as_file();
    output.write_all(&front).map_err(writing)?;
    let (unsigned_sha256, unsigned_size) = package.stream_payload(Some((&mut output, signed)))?;
    let payload = unsigned_size - package.headers.bytes().len() as u64;
    let size = front.len() as u64 + payload;

    let file = temporary.as_file();
    file.set_permissions(Permissions::from_mode(0o644))
        .map_err(writing)?;
    if let Ok(built) = package.metadata.get_build_time() {
        let built = UNIX_EPOCH + Duration::from_secs(built);
        file.set_modified(built).map_err(writing)?;
    }
    // A new file is the caller's to bring to the disk, with all others at once: a stage does.
    if signed.exists() {
        file.sync_all().map_err(writing)?;
    }
    temporary
        .persist(signed)
        .map_err(|error| writing(error.error))?;
    Ok(SignedPackage {
        unsigned_sha256,
        size,
        fingerprint: signer.fingerprint(),
        time,
    })
}

/// Writes the package `from` into the new file `to` without the signatures that it has, its digests checked: one that has none keeps its
/// bytes, any other becomes what [`sign_package`] would sign.
pub fn unsigned_package(from: &Path, to: &Path) -> Result<(), Error> {
    let mut package = Opened::read(from)?;
    package.check_header()?;
    let is_signed = SIGNATURES
        .iter()
        .any(|tag| package.metadata.signature.entry_is_present(*tag));
    let front = if is_signed {
        let mut entries = SignatureEntries::of_content(&package.metadata.signature)
            .map_err(|e| package.rpm(&e))?;
        if let Some(md5) = package.absent_md5()? {
            entries.set_md5(md5);
        }
        package.metadata.signature = entries.header();
        let mut front = Vec::new();
        package
            .metadata
            .write(&mut front)
            .map_err(|e| package.rpm(&e))?;
        if !front.ends_with(package.header_bytes()) {
            return Err(package.bad("its main header is not in the form rpm writes", REBUILD));
        }
        front
    } else {
        package.headers.bytes().to_vec()
    };
    let writing = |source: io::Error| Error::from(tried("write", to)(source));
    let mut output = File::create_new(to).map_err(writing)?;
    output.write_all(&front).map_err(writing)?;
    package.stream_payload(Some((&mut output, to)))?;
    Ok(())
}

/// rpm's numbers of the tags that hold signatures: DSA, RSA, OPENPGP, PGP, GPG, PGP5.
const SIGNATURES: [u32; 6] = [267, 268, 278, 1002, 1005, 1003];

/// As [`sign_package`], of several: of each pair, the first into the second. As many are signed at a time as the signer says. The first
/// error in their order ends it.
pub fn sign_packages(
    packages: &[(PathBuf, PathBuf)],
    signer: &dyn Signer,
    time: u32,
) -> Result<Vec<SignedPackage>, Error> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((unsigned, signed)) = packages.get(at) else {
                break;
            };
            let result = sign_package(unsigned, signed, signer, time);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((at, result));
        }
        done
    };
    let threads = signer.at_a_time().clamp(1, MOST).min(packages.len());
    let mut done = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let done = all.into_iter().flat_map(|one| {
            let joined = one.join();
            joined.unwrap_or_else(|panic| resume_unwind(panic))
        });
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Checks a package's header digests, its payload digest and that every header signature is a valid one by `key`.
///
/// So is the MD5 of header and payload, where there is one, since rpm checks it too. Signatures over header and payload together (tags
/// `PGP`, `GPG`), which old packages carry besides, are not looked at: the header signature and the payload digest cover all of the package.
pub fn verify_package(path: &Path, key: &PublicKey) -> Result<VerifiedPackage, Error> {
    verify_package_by(path, std::slice::from_ref(key))
}

/// The same, for a package that any of several keys may have signed.
pub fn verify_package_by(path: &Path, keys: &[PublicKey]) -> Result<VerifiedPackage, Error> {
    let mut package = Opened::read(path)?;
    package.check_header()?;
    let (time, fingerprint) = signed_at(path, &package.headers, &package.metadata, keys)?;
    let (sha256, size) = package.stream_payload(None)?;
    Ok(VerifiedPackage {
        sha256,
        size,
        fingerprint,
        time,
    })
}

/// Checks that every header signature of a package is a valid one by one of `keys`, by its headers alone: what `headers` begins with.
/// `path` is for errors. Whether the payload is the one that was signed, this does not say.
pub fn verify_headers(path: &Path, mut headers: &[u8], keys: &[PublicKey]) -> Result<(), Error> {
    let bad = |reason: String| Error::BadPackage {
        path: path.to_owned(),
        reason,
        hint: REBUILD,
    };
    let headers = Headers::read(&mut headers).map_err(|error| bad(error.to_string()))?;
    let metadata = headers.metadata().map_err(|error| bad(error.to_string()))?;
    signed_at(path, &headers, &metadata, keys).map(drop)
}

/// When the main header was signed last, and by which of `keys`.
fn signed_at(
    path: &Path,
    headers: &Headers,
    metadata: &PackageMetadata,
    keys: &[PublicKey],
) -> Result<(u32, String), Error> {
    let signatures = header_signatures(metadata).map_err(|error| Error::BadPackage {
        path: path.to_owned(),
        reason: error.to_string(),
        hint: REBUILD,
    })?;
    let mut newest = None;
    for signature in signatures {
        let check = |key: &PublicKey| {
            let time = key.verify_packet(&headers.bytes()[headers.main()], &signature)?;
            Ok((time, key.fingerprint()))
        };
        let made = by_any(keys, check).map_err(|error| Error::PackageSignature {
            path: path.to_owned(),
            source: Box::new(error),
        })?;
        newest = newest.max(Some(made));
    }
    newest.ok_or_else(|| Error::Unsigned {
        path: path.to_owned(),
    })
}

/// A package read up to its payload.
struct Opened<'a> {
    path: &'a Path,
    input: BufReader<File>,
    headers: Headers,
    metadata: PackageMetadata,
}

impl<'a> Opened<'a> {
    fn read(path: &'a Path) -> Result<Opened<'a>, Error> {
        let file = lustre_files::open(path).map_err(tried("read the package", path))?;
        let mut input = BufReader::with_capacity(CHUNK, file);
        let bad = |reason| Error::BadPackage {
            path: path.to_owned(),
            reason,
            hint: REBUILD,
        };
        let headers = Headers::read(&mut input).map_err(|error| bad(error.to_string()))?;
        let metadata = headers.metadata().map_err(|error| bad(error.to_string()))?;
        Ok(Opened {
            path,
            input,
            headers,
            metadata,
        })
    }

    /// The main header as it is in the file: what a signature covers.
    fn header_bytes(&self) -> &[u8] {
        &self.headers.bytes()[self.headers.main()]
    }

    fn is_v6(&self) -> bool {
        self.metadata
            .header
            .get_entry_data_as_u32(IndexTag::RPMTAG_RPMFORMAT)
            .is_ok_and(|format| format >= 6)
    }

    /// Compares the main header with the digests in the signature header; at least one must be there.
    fn check_header(&self) -> Result<(), Error> {
        let report = self
            .metadata
            .check_digests()
            .map_err(|error| self.rpm(&error))?;
        if !report.has_header_digest() {
            return Err(self.bad(
                "its signature header has no digest of the main header",
                REBUILD,
            ));
        }
        for status in [
            report.header_sha256,
            report.header_sha3_256,
            report.header_sha1,
        ] {
            if let rpm::DigestStatus::Mismatch { expected, actual } = status {
                return Err(self.mismatch("main header", expected, actual));
            }
        }
        Ok(())
    }

    /// The MD5 of header and payload that the signature header has.
    fn md5(&self) -> Option<&[u8]> {
        let signature = &self.metadata.signature;
        let tag = IndexSignatureTag::RPMSIGTAG_MD5;
        signature.get_entry_data_as_binary(tag).ok()
    }

    /// The MD5 of header and payload of a package whose signature header has none. Its file is read once more for it.
    fn absent_md5(&self) -> Result<Option<[u8; 16]>, Error> {
        if self.md5().is_some() {
            return Ok(None);
        }
        let mut again = Opened::read(self.path)?;
        let mut md5 = Md5::default();
        md5.update(again.header_bytes());
        while let Some(piece) = again.chunk()? {
            md5.update(&piece);
        }
        Ok(Some(md5.finish()))
    }

    /// Reads the payload to its end, compares it with its digests and copies it to `output`, whose path is for errors. Gives
    /// the SHA-256 and the size of the whole file.
    ///
    /// Of a large one, all digests are taken and it is written at a time, and a few pieces of it are in memory.
    fn stream_payload(
        &mut self,
        mut output: Option<(&mut (dyn Write + Send), &Path)>,
    ) -> Result<(String, u64), Error> {
        let expected = self.payload_digest()?;
        let meta = self.input.get_ref().metadata();
        let is_large = meta.is_ok_and(|meta| meta.len() >= LARGE);
        let md5 = self.md5().map(<[u8]>::to_vec);
        let mut payload = Sha256::new();
        let mut size = self.headers.bytes().len() as u64;
        let mut whole = Sha256::new_with_prefix(self.headers.bytes());
        let mut legacy = md5.is_some().then(Md5::default);
        if let Some(legacy) = &mut legacy {
            legacy.update(self.header_bytes());
        }
        let mut write = move |piece: &[u8]| match &mut output {
            Some((output, path)) => output
                .write_all(piece)
                .map_err(|error| Error::from(tried("write", *path)(error))),
            None => Ok(()),
        };
        let mut hash = |piece: &[u8]| {
            payload.update(piece);
            size += piece.len() as u64;
        };
        if is_large {
            (whole, legacy) = thread::scope(|scope| {
                // In here, so that an error ends who waits for more.
                let (to_hash, pieces) = sync_channel::<Arc<Vec<u8>>>(PIECES);
                let hashing = scope.spawn(move || {
                    pieces.iter().for_each(|piece| whole.update(&*piece));
                    whole
                });
                let (to_sum, pieces) = sync_channel::<Arc<Vec<u8>>>(PIECES);
                let summing = scope.spawn(move || {
                    for piece in pieces {
                        if let Some(legacy) = &mut legacy {
                            legacy.update(&piece);
                        }
                    }
                    legacy
                });
                let (to_write, pieces) = sync_channel::<Arc<Vec<u8>>>(PIECES);
                let writing =
                    scope.spawn(move || pieces.iter().try_for_each(|piece| write(&piece)));
                while let Some(piece) = self.chunk()? {
                    let piece = Arc::new(piece);
                    // Who does not take it has failed, which is found below.
                    let all = [&to_hash, &to_sum, &to_write];
                    let sent = all.map(|to| to.send(Arc::clone(&piece)));
                    if sent.iter().any(Result::is_err) {
                        break;
                    }
                    hash(&piece);
                }
                drop((to_hash, to_sum, to_write));
                let written = writing.join();
                written.unwrap_or_else(|panic| resume_unwind(panic))?;
                let whole = hashing.join();
                let legacy = summing.join();
                Ok::<_, Error>((
                    whole.unwrap_or_else(|panic| resume_unwind(panic)),
                    legacy.unwrap_or_else(|panic| resume_unwind(panic)),
                ))
            })?;
        } else {
            while let Some(piece) = self.chunk()? {
                hash(&piece);
                whole.update(&piece);
                if let Some(legacy) = &mut legacy {
                    legacy.update(&piece);
                }
                write(&piece)?;
            }
        }
        let actual = hex(&payload.finalize());
        if actual != expected {
            return Err(self.mismatch("payload", expected, actual));
        }
        if let (Some(expected), Some(actual)) = (md5, legacy.map(|md5| md5.finish().to_vec()))
            && expected != actual
        {
            let [expected, actual] = [&expected, &actual].map(|digest| hex(digest));
            return Err(self.mismatch("main header and payload together (MD5)", expected, actual));
        }
        Ok((hex(&whole.finalize()), size))
    }

    /// The next piece of the payload, of [`CHUNK`] bytes but for the last; none at the end.
    fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::with_capacity(CHUNK);
        let read = (&mut self.input).take(CHUNK as u64).read_to_end(&mut bytes);
        read.map_err(tried("read the package", self.path))?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The payload's SHA-256 as the main header has it.
    fn payload_digest(&self) -> Result<String, Error> {
        let header = &self.metadata.header;
        let algorithm = header.get_entry_data_as_u32(IndexTag::RPMTAG_PAYLOADSHA256ALGO);
        match header.get_entry_data_as_string(IndexTag::RPMTAG_PAYLOADSHA256) {
            Ok(digest) if algorithm.is_err() || algorithm.is_ok_and(|it| it == DIGEST_SHA256) => {
                Ok(digest.to_owned())
            }
            _ => Err(self.bad(
                "its header has no SHA-256 of the payload, so a header signature would not cover its files",
                "build it with rpm 4.14 or later",
            )),
        }
    }

    fn mismatch(&self, what: &'static str, expected: String, actual: String) -> Error {
        Error::Digest {
            path: self.path.to_owned(),
            what,
            expected,
            actual,
        }
    }

    fn bad(&self, reason: &str, hint: &'static str) -> Error {
        Error::BadPackage {
            path: self.path.to_owned(),
            reason: reason.to_owned(),
            hint,
        }
    }

    fn rpm(&self, error: &rpm::Error) -> Error {
        self.bad(&error.to_string(), REBUILD)
    }
}

/// The signature header of the signed package; `md5` is that of header and payload, where the package has none.
fn signature_header(
    metadata: &PackageMetadata,
    signature: Vec<u8>,
    md5: Option<[u8; 16]>,
) -> Result<Header<IndexSignatureTag>, rpm::Error> {
    // Old signatures and reserved space go.
    let mut entries = SignatureEntries::of_content(&metadata.signature)?;
    if let Some(md5) = md5 {
        entries.set_md5(md5);
    }
    let ours = SignatureHeaderBuilder::new()
        .reserved_space(None)
        .add_openpgp_signature(signature)
        .build()?;
    for tag in [
        IndexSignatureTag::RPMSIGTAG_OPENPGP,
        IndexSignatureTag::RPMSIGTAG_RSA,
    ] {
        entries.set(tag, ours.entry(tag as u32)?);
    }
    Ok(entries.header())
}

/// All header signatures, or none when the tags that rpm before 6 looks at (`RSA`, `DSA`) are missing: `OPENPGP`, which later
/// versions look at, counts besides them, not instead.
fn header_signatures(metadata: &PackageMetadata) -> Result<Vec<Vec<u8>>, rpm::Error> {
    let mut found: Vec<Vec<u8>> = [
        IndexSignatureTag::RPMSIGTAG_RSA,
        IndexSignatureTag::RPMSIGTAG_DSA,
    ]
    .into_iter()
    .filter_map(|tag| metadata.signature.get_entry_data_as_binary(tag).ok())
    .map(<[u8]>::to_vec)
    .collect();
    if !found.is_empty() {
        let later = metadata.raw_signatures()?;
        found.extend(later.into_iter().map(|signature| signature.into_owned()));
        found.sort();
        found.dedup();
    }
    Ok(found)
}
