//! Reading a repository's metadata: nothing is parsed before its digest is right.

use std::fs;
use std::io::{self, BufRead, Read};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use lustre_files::tried;
use sha2::{Digest, Sha256, Sha512};

use super::error::Error;
use super::model::{Checksum, Package};
use super::parse::{self, is_inside};
use super::repomd::{Record, Repomd};

/// A repository's metadata, as [`read`] gives it.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The index, `repomd.xml`.
    pub repomd: Repomd,
    /// The packages in the order of `primary.xml`.
    pub packages: Vec<Package>,
}

/// The most that a metadata file may have, and the most that it may unpack to: several times what whole distributions have.
pub const MAX_FILE: u64 = 256 << 20;
const MAX_OPEN: u64 = 1 << 30;

/// How much is unpacked at a time, and how many such pieces wait to be parsed.
const PIECE: usize = 96 * 1024;
const WAITING: usize = 4;

/// The index, relative to the repository's root.
const INDEX: &str = "repodata/repomd.xml";

/// Reads `root/repodata`: verifies every file that `repomd.xml` lists, by size and digest, and parses the packages with
/// their files. Who signed `repomd.xml` is the caller's to check, before.
///
/// Metadata may be plain or compressed with gzip or zstd.
pub fn read(root: &Path) -> Result<Metadata, Error> {
    let (path, repomd) = (root.join(INDEX), index(root)?);
    for kind in ["primary", "filelists"] {
        if repomd.record(kind).is_none() {
            return Err(Error::Missing { path, kind });
        }
    }
    let mut primary = None;
    let mut filelists = None;
    for record in &repomd.records {
        let bytes = verified(root, record)?;
        match record.kind.as_str() {
            "primary" => primary = Some((record, bytes)),
            "filelists" => filelists = Some((record, bytes)),
            _ => {}
        }
    }
    let (Some((primary, primary_bytes)), Some((filelists, filelists_bytes))) = (primary, filelists)
    else {
        // Both are listed, as was seen above.
        let kind = "primary";
        return Err(Error::Missing { path, kind });
    };
    // One thread each: they have little to do with each other.
    let (packages, lists) = thread::scope(|scope| {
        let lists = scope.spawn(|| {
            opened(root, filelists, &filelists_bytes, |source| {
                parse::filelists(source)
            })
        });
        let packages = opened(root, primary, &primary_bytes, |source| {
            parse::primary(source)
        });
        (packages, lists.join())
    });
    let mut packages = packages?;
    if let Some(outside) = packages.iter().find(|it| !is_inside(&it.location)) {
        let reason = format!(
            "the package `{}` has its location `{}` outside of the repository",
            outside.name, outside.location
        );
        return Err(Error::malformed(root.join(&primary.location), reason));
    }
    lists
        .unwrap_or_else(|panic| resume_unwind(panic))?
        .add_to(&mut packages)
        .map_err(|reason| Error::malformed(root.join(&filelists.location), reason))?;
    Ok(Metadata { repomd, packages })
}

/// As [`read`], of the packages what `primary.xml` says alone: no other file is read.
pub fn primary(root: &Path) -> Result<Vec<Package>, Error> {
    let (path, repomd) = (root.join(INDEX), index(root)?);
    let kind = "primary";
    let record = repomd.record(kind).ok_or(Error::Missing { path, kind })?;
    let bytes = verified(root, record)?;
    opened(root, record, &bytes, |source| parse::primary(source))
}

/// What `repomd.xml` says.
pub(super) fn index(root: &Path) -> Result<Repomd, Error> {
    let path = root.join(INDEX);
    let bytes = lustre_files::read(&path, lustre_files::TEXT).map_err(tried("read", &path))?;
    Repomd::parse(&bytes).map_err(|fault| Error::malformed(&path, fault))
}

/// The bytes of a listed file, once size and digest are right.
pub(super) fn verified(root: &Path, record: &Record) -> Result<Vec<u8>, Error> {
    let index = root.join(INDEX);
    if !is_inside(&record.location) {
        let reason = format!(
            "the `{}` has its location `{}` outside of the repository",
            record.kind, record.location
        );
        return Err(Error::malformed(index, reason));
    }
    let path = root.join(&record.location);
    let size = fs::metadata(&path).map_err(tried("read", &path))?.len();
    if let Some(listed) = record.size
        && listed != size
    {
        return Err(size_mismatch(&path, "size", size, listed));
    }
    if size > MAX_FILE {
        return Err(Error::malformed(
            &path,
            format!("it has {size} bytes, more than {MAX_FILE}"),
        ));
    }
    let bytes = lustre_files::read(&path, MAX_FILE).map_err(tried("read", &path))?;
    let mut hasher = Hasher::new(&record.checksum.kind, &path)?;
    hasher.update(&bytes);
    let found = hasher.finish();
    if found != record.checksum {
        return Err(Error::checksum(path, "checksum", &found, &record.checksum));
    }
    Ok(bytes)
}

/// Gives the decompressed content of a verified file to `parse` and compares what came out with what is listed.
pub(super) fn opened<T, E: ToString>(
    root: &Path,
    record: &Record,
    bytes: &[u8],
    parse: impl FnOnce(&mut dyn BufRead) -> Result<T, E>,
) -> Result<T, Error> {
    let path = root.join(&record.location);
    let source: Box<dyn Read + Send + '_> = match bytes {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Box::new(zstd::stream::read::Decoder::with_buffer(bytes).map_err(tried("read", &path))?)
        }
        [b'<', ..] => Box::new(bytes),
        _ => {
            return Err(Error::Unsupported {
                path,
                what: "this compression".to_owned(),
                hint: "plain, gzip and zstd metadata are",
            });
        }
    };
    let kind = record
        .open_checksum
        .as_ref()
        .map_or("sha256", |sum| &sum.kind);
    let mut checked = Checked {
        source,
        hasher: Hasher::new(kind, &path)?,
        size: 0,
        limit: record.open_size.unwrap_or(MAX_OPEN).min(MAX_OPEN),
    };
    // What unpacks and hashes it is one thread, what parses it another.
    let (pieces, unpacked) = sync_channel(WAITING);
    let parsed = thread::scope(|scope| {
        let unpacking = scope.spawn(move || {
            checked.send(&pieces);
            checked
        });
        let mut source = Pieces::new(unpacked);
        let parsed = parse(&mut source).map_err(|fault| Error::malformed(&path, fault));
        let rest = parsed
            .is_ok()
            .then(|| io::copy(&mut source, &mut io::sink()));
        // Whoever unpacks more of what nobody reads, ends.
        drop(source);
        let checked = unpacking
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic));
        let parsed = parsed?;
        rest.transpose().map_err(tried("read", &path))?;
        Ok::<_, Error>((parsed, checked.size, checked.hasher.finish()))
    });
    let (parsed, open_size, found) = parsed?;
    if let Some(size) = record.open_size
        && size != open_size
    {
        return Err(size_mismatch(&path, "open size", open_size, size));
    }
    match &record.open_checksum {
        Some(expected) if *expected != found => {
            Err(Error::checksum(path, "open checksum", &found, expected))
        }
        _ => Ok(parsed),
    }
}

fn size_mismatch(path: &Path, what: &'static str, found: u64, expected: u64) -> Error {
    Error::Mismatch {
        path: path.to_owned(),
        what,
        found: format!("{found} bytes"),
        expected: format!("{expected} bytes"),
    }
}

/// Hashes and counts what is read through it, and ends a stream that is longer than it should be.
struct Checked<R> {
    source: R,
    hasher: Hasher,
    size: u64,
    limit: u64,
}

impl<R: Read> Checked<R> {
    /// Sends all of it, piece by piece, to whoever parses it; less where nobody does any more.
    fn send(&mut self, pieces: &SyncSender<io::Result<Vec<u8>>>) {
        loop {
            let piece = self.piece();
            let last = !matches!(&piece, Ok(piece) if !piece.is_empty());
            if pieces.send(piece).is_err() || last {
                return;
            }
        }
    }

    /// The next piece; empty at the end.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE);
        let part = &mut self.source;
        part.take(PIECE as u64).read_to_end(&mut piece)?;
        self.hasher.update(&piece);
        self.size += piece.len() as u64;
        if self.size > self.limit {
            return Err(io::Error::other(format!(
                "it unpacks to more than the limit of {} bytes, or than repomd.xml announces",
                self.limit
            )));
        }
        Ok(piece)
    }
}

/// What another thread unpacks, as one text.
struct Pieces {
    more: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// How much of the piece is read already.
    read: usize,
    ended: bool,
}

impl Pieces {
    fn new(more: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self {
            more,
            piece: Vec::new(),
            read: 0,
            ended: false,
        }
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.piece.len() && !self.ended {
            (self.piece, self.read) = (Vec::new(), 0);
            // The other ends without an empty piece only where it panics, which is found when it is joined.
            let next = self.more.recv().unwrap_or_else(|_| Ok(Vec::new()));
            self.ended = !matches!(&next, Ok(piece) if !piece.is_empty());
            self.piece = next?;
        }
        Ok(&self.piece[self.read..])
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// The digests that metadata is listed with. SHA-1 and MD5 are not accepted: they prove nothing.
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(kind: &str, path: &Path) -> Result<Self, Error> {
        match kind {
            "sha256" => Ok(Self::Sha256(Sha256::new())),
            "sha512" => Ok(Self::Sha512(Sha512::new())),
            _ => Err(Error::Unsupported {
                path: path.to_owned(),
                what: format!("the digest `{kind}`"),
                hint: "sha256 and sha512 are",
            }),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Checksum {
        let (kind, hex) = match self {
            Self::Sha256(hasher) => ("sha256", format!("{:x}", hasher.finalize())),
            Self::Sha512(hasher) => ("sha512", format!("{:x}", hasher.finalize())),
        };
        Checksum {
            kind: kind.to_owned(),
            hex,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_stops_ends_the_unpacking_and_one_that_reads_little_gets_the_rest_checked() {
        let text = format!("<a>{}", "x".repeat(8 << 20));
        let read = |record: &Record, parsed: Result<u8, &'static str>| {
            opened(Path::new("/"), record, text.as_bytes(), |source| {
                let mut first = [0; 2];
                source.read_exact(&mut first).map_err(|_| "nothing")?;
                parsed
            })
            .map_err(|error| error.to_string())
        };
        let refused = read(&Record::default(), Err("refused")).unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
        assert_eq!(read(&Record::default(), Ok(1)), Ok(1));
        let mut record = Record {
            open_size: Some(text.len() as u64 + 1),
            ..Record::default()
        };
        let short = read(&record, Ok(1)).unwrap_err();
        assert!(short.contains("open size"), "{short}");
        record.open_size = Some(1 << 20);
        let long = read(&record, Ok(1)).unwrap_err();
        assert!(long.contains("more than the limit"), "{long}");
    }
}
