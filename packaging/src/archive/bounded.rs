//! What an archive may take: whoever made it says how much there is, and a few bytes can stand for more than any disk holds.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// What describes one member, names and all, is not longer than this (bytes). It is kept in memory.
const DESCRIPTION: u64 = 1 << 20;

/// How much memory xz may take: what its `-9` makes needs a tenth of it.
const XZ_MEMORY: u64 = 768 << 20;

/// Reads a tar archive, and no more of it than is allowed at the moment.
pub struct Bounded<R> {
    inner: R,
    budget: Budget,
}

/// How much may still be read, shared by an archive's reader and the one who walks through its members.
#[derive(Clone)]
pub struct Budget {
    all: Rc<Cell<u64>>,
    /// As much of it as the description of the next member may take, while that is read.
    description: Rc<Cell<Option<u64>>>,
}

impl Budget {
    /// At most `bytes` of a tar archive, uncompressed.
    pub fn new(bytes: u64) -> Self {
        Self {
            all: Rc::new(Cell::new(bytes)),
            description: Rc::default(),
        }
    }

    pub fn reader<R: Read>(&self, inner: R) -> Bounded<R> {
        Bounded {
            inner,
            budget: self.clone(),
        }
    }

    /// The next member of an archive. The one before has to be read to its end: skipping it would count.
    pub fn next<'a, R: Read>(
        &self,
        entries: &mut tar::Entries<'a, R>,
    ) -> io::Result<Option<tar::Entry<'a, R>>> {
        self.description.set(Some(DESCRIPTION));
        let next = entries.next().transpose();
        self.description.set(None);
        next
    }

    /// Takes `bytes` that come without being read: the holes of a file.
    pub fn take(&self, bytes: u64) -> io::Result<()> {
        match self.all.get().checked_sub(bytes) {
            Some(left) => {
                self.all.set(left);
                Ok(())
            }
            None => Err(too_much("it exceeds the limit for unpacking")),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A kernel's archive takes minutes.
        if crate::process::interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        let budget = &self.budget;
        let left = budget.description.get().unwrap_or(u64::MAX);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 && !buffer.is_empty() {
            return Err(too_much("the header of a member is not terminated"));
        }
        let read = self.inner.read(&mut buffer[..wanted])?;
        budget.take(read as u64)?;
        if let Some(left) = budget.description.get() {
            budget.description.set(Some(left - read as u64));
        }
        Ok(read)
    }
}

fn too_much(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What xz compressed, one stream or several, in bounded memory.
pub fn xz<R: Read>(compressed: R) -> io::Result<XzDecoder<R>> {
    let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::other)?;
    Ok(XzDecoder::new_stream(compressed, stream))
}
