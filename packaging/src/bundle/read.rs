//! Reading a bundle: nothing of it is used before it is known to be what the lock in it names.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lustre_files::PathError;
use tar::Header;

use super::Error;
use super::archive::{BLOCK, END, header, padded};
use super::index::{INDEX, Index, Kind, LARGEST_INDEX, LARGEST_LOCK, LOCK, Member, OF_SITE, pack};
use crate::json_index::JsonIndex as _;
use crate::lock::Lock;
use crate::process;
use crate::source::{self, Locked, Packed};
use crate::store::{self, Digest, Store};

/// A bundle: its index and its lock are read and fit each other, and the file has the size that follows from them.
#[derive(Debug)]
pub struct Bundle {
    members: Members,
    lock: Lock,
    lock_text: String,
}

/// The members of a bundle.
#[derive(Debug)]
struct Members {
    path: PathBuf,
    file: File,
    index: Index,
    /// Where each member's header is.
    places: Vec<u64>,
}

/// What a store took of a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// How many files and commits were copied.
    pub copied: usize,
    /// How many were there.
    pub there: usize,
}

impl Bundle {
    /// Opens the bundle `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let members = Members::open(path)?;
        let (lock, lock_text) = members.lock()?;
        members
            .index
            .check(&lock)
            .map_err(|(member, why)| Error::Refused {
                path: path.to_owned(),
                member,
                why,
            })?;
        Ok(Self {
            members,
            lock,
            lock_text,
        })
    }

    /// What it was made with and for.
    pub fn index(&self) -> &Index {
        &self.members.index
    }

    /// The lock in it.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The lock's text, byte for byte as it was.
    pub fn lock_text(&self) -> &str {
        &self.lock_text
    }

    /// How many bytes its files and commits have, and how many of them there are.
    pub fn amount(&self) -> (usize, u64) {
        let content = self.content();
        content.fold((0, 0), |(files, bytes), (member, _)| {
            (files + 1, bytes + member.size)
        })
    }

    /// How many bytes of its files and commits the store does not have.
    pub fn missing(&self, store: &Store) -> Result<u64, Error> {
        let mut bytes = 0;
        for (member, _) in self.content() {
            let is_there = match member.kind {
                Kind::Tree => source::has(store, &self.packed(member)?)?,
                _ => store.file(&member.sha256).is_some(),
            };
            bytes += if is_there { 0 } else { member.size };
        }
        Ok(bytes)
    }

    /// The site's files, by their paths beside the target's own, with what is in them.
    pub fn site(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let members = self.members.index.members.iter().zip(&self.members.places);
        members
            .filter(|(member, _)| member.kind == Kind::Target)
            .map(|(member, place)| {
                let below = member.path.strip_prefix(OF_SITE).unwrap_or_default();
                Ok((below.to_owned(), self.members.whole(member, *place)?))
            })
            .collect()
    }

    /// Brings what is not there yet into the store, each checked while it is copied: a file is there whole or not at all. `told` hears how
    /// many bytes more were gone through.
    ///
    /// What was copied before stays, and is not copied again.
    pub fn take(&self, store: &Store, told: &dyn Fn(u64)) -> Result<ImportCounts, Error> {
        let mut taken = ImportCounts::default();
        for (member, place) in self.content() {
            let copied = match member.kind {
                Kind::Tree => self.take_tree(store, member, place)?,
                _ => self.take_file(store, member, place)?,
            };
            *if copied {
                &mut taken.copied
            } else {
                &mut taken.there
            } += 1;
            told(member.size);
        }
        Ok(taken)
    }

    /// Files and commits, each with its place.
    fn content(&self) -> impl Iterator<Item = (&Member, u64)> {
        let Members { index, places, .. } = &self.members;
        let members = index.members.iter().zip(places.iter().copied());
        members.filter(|(member, _)| matches!(member.kind, Kind::File | Kind::Tree))
    }

    fn take_file(&self, store: &Store, member: &Member, place: u64) -> Result<bool, Error> {
        if store.file(&member.sha256).is_some() {
            return Ok(false);
        }
        let mut part = self.members.part(member, place)?;
        let stored =
            store.insert_reader(&mut part, &self.members.shown(member), Some(&member.sha256));
        self.members.judged(member, stored)?;
        self.members.judge_filling(member, place)?;
        Ok(true)
    }

    fn take_tree(&self, store: &Store, member: &Member, place: u64) -> Result<bool, Error> {
        let packed = self.packed(member)?;
        if source::has(store, &packed)? {
            return Ok(false);
        }
        let folder = store.temp_dir("bundle")?;
        let path = folder.path().join("pack");
        let mut file =
            File::create(&path).map_err(|source| PathError::new("create", &path, source))?;
        let mut part = self.members.part(member, place)?;
        let copied = io::copy(&mut part, &mut file);
        interrupted()?;
        copied.map_err(|source| PathError::new("write", &path, source))?;
        let (found, _) = Digest::of_file(&path)?;
        if found != member.sha256 {
            return Err(self
                .members
                .damaged(member, wrong_digest(&member.sha256, &found)));
        }
        self.members.judge_filling(member, place)?;
        source::unpack(store, &packed, &path)?;
        if source::has(store, &packed)? {
            return Ok(true);
        }
        Err(self.members.refused(
            member,
            &format!("the commit {} is not in it", packed.commit),
        ))
    }

    /// The commit that a member is.
    fn packed(&self, member: &Member) -> Result<Packed<'_>, Error> {
        let named = self
            .lock
            .tree
            .iter()
            .find(|(name, _)| pack(name) == member.path);
        match named {
            Some((name, Locked::Git { url, commit, .. })) => Ok(Packed { name, url, commit }),
            _ => Err(self.members.refused(member, "the lock does not name it")),
        }
    }
}

impl Members {
    /// The members that the index of `path` names, once the file is known to have their size.
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| PathError::new("read", path, source);
        let file = lustre_files::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (index, size) = read_index(path, &file)?;
        let mut at = BLOCK + padded(size);
        let mut places = Vec::with_capacity(index.members.len());
        for member in &index.members {
            places.push(at);
            at = at.saturating_add(BLOCK).saturating_add(
                member
                    .size
                    .checked_next_multiple_of(BLOCK)
                    .unwrap_or(u64::MAX),
            );
        }
        let members = Self {
            path: path.to_owned(),
            file,
            index,
            places,
        };
        members.judge_size(length, at.saturating_add(END))?;
        Ok(members)
    }

    /// The lock, and its text.
    fn lock(&self) -> Result<(Lock, String), Error> {
        let Some(member) = self.index.members.first().filter(|it| it.path == LOCK) else {
            return Err(Error::Refused {
                path: self.path.clone(),
                member: LOCK.to_owned(),
                why: "it is not the first that the index names".to_owned(),
            });
        };
        if member.size > LARGEST_LOCK {
            return Err(self.refused(member, "no lock is that large"));
        }
        let shown = PathBuf::from(format!("{}/{LOCK}", self.path.display()));
        let text = String::from_utf8(self.whole(member, self.places[0])?)
            .map_err(|_| self.refused(member, "it is not UTF-8"))?;
        Ok((Lock::parse(&shown, &text)?, text))
    }

    /// That the file has the size that follows from the index, and ends as an archive does.
    fn judge_size(&self, found: u64, wanted: u64) -> Result<(), Error> {
        if found < wanted {
            return Err(Error::Incomplete {
                path: self.path.clone(),
                found,
                wanted,
            });
        }
        let mut end = [0; END as usize];
        self.file
            .read_exact_at(&mut end, wanted - END)
            .map_err(|source| PathError::new("read", &self.path, source))?;
        if found > wanted || end.iter().any(|byte| *byte != 0) {
            return Err(Error::Refused {
                path: self.path.clone(),
                member: "its end".to_owned(),
                why: format!(
                    "something is behind the last member, from byte {} on",
                    wanted - END
                ),
            });
        }
        Ok(())
    }

    /// The content of a member, whose header is compared with the one that it has to have.
    fn part(&self, member: &Member, place: u64) -> Result<Part<'_>, Error> {
        let mut block = [0; BLOCK as usize];
        self.file
            .read_exact_at(&mut block, place)
            .map_err(|source| PathError::new("read", &self.path, source))?;
        let ours = header(&member.path, member.size, 0);
        if !ours.is_ok_and(|ours| ours.as_bytes() == &block) {
            return Err(self.refused(member, &format!("in its place is {}", described(&block))));
        }
        Ok(Part {
            file: &self.file,
            at: place + BLOCK,
            left: member.size,
        })
    }

    /// A member as a whole: one whose size is bounded.
    fn whole(&self, member: &Member, place: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.part(member, place)?
            .read_to_end(&mut bytes)
            .map_err(|source| PathError::new("read", &self.path, source))?;
        let found = Digest::of_bytes(&bytes);
        if found != member.sha256 {
            return Err(self.damaged(member, wrong_digest(&member.sha256, &found)));
        }
        self.judge_filling(member, place)?;
        Ok(bytes)
    }

    /// Nothing is hidden between two members.
    fn judge_filling(&self, member: &Member, place: u64) -> Result<(), Error> {
        let fill = padded(member.size) - member.size;
        let mut bytes = vec![0; usize::try_from(fill).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, place + BLOCK + member.size)
            .map_err(|source| PathError::new("read", &self.path, source))?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(self.refused(member, "something is behind it that nothing names"));
        }
        Ok(())
    }

    fn judged<T>(&self, member: &Member, stored: Result<T, store::Error>) -> Result<T, Error> {
        interrupted()?;
        match stored {
            Err(store::Error::Digest {
                expected, found, ..
            }) => Err(self.damaged(member, wrong_digest(&expected, &found))),
            other => Ok(other?),
        }
    }

    fn shown(&self, member: &Member) -> String {
        format!("{} in {}", member.shown(), self.path.display())
    }

    fn damaged(&self, member: &Member, why: String) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            member: member.shown(),
            why,
        }
    }

    fn refused(&self, member: &Member, why: &str) -> Error {
        Error::Refused {
            path: self.path.clone(),
            member: member.shown(),
            why: why.to_owned(),
        }
    }
}

impl Member {
    /// Its path, with the name that the lock has for it.
    fn shown(&self) -> String {
        match &self.name {
            None => self.path.escape_debug().to_string(),
            Some(name) => format!("{} ({})", self.path.escape_debug(), name.escape_debug()),
        }
    }
}

/// A part of a file, read until somebody interrupts the run.
struct Part<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if process::interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let length = self.file.read_at(&mut buffer[..most], self.at)?;
        if length == 0 && most > 0 {
            // It was whole when it was opened.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

fn read_index(path: &Path, file: &File) -> Result<(Index, u64), Error> {
    let none = |why: &str| Error::NotABundle {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let failed = |source| PathError::new("read", path, source);
    let mut block = [0; BLOCK as usize];
    match file.read_exact_at(&mut block, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(none("it is shorter than any archive"));
        }
        Err(source) => return Err(failed(source).into()),
    }
    let size = Header::from_byte_slice(&block)
        .entry_size()
        .unwrap_or(u64::MAX);
    let is_index =
        size <= LARGEST_INDEX && header(INDEX, size, 0).is_ok_and(|ours| ours.as_bytes() == &block);
    if !is_index {
        return Err(none(&format!("it begins with {}", described(&block))));
    }
    let whole = padded(size);
    let mut text = vec![0; usize::try_from(whole).unwrap_or_default()];
    match file.read_exact_at(&mut text, BLOCK) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Error::Incomplete {
                path: path.to_owned(),
                found: file.metadata().map_err(failed)?.len(),
                wanted: BLOCK + whole + END,
            });
        }
        Err(source) => return Err(failed(source).into()),
    }
    let fill = text.split_off(usize::try_from(size).unwrap_or_default());
    if fill.iter().any(|byte| *byte != 0) {
        return Err(none(&format!(
            "something is behind {INDEX} that nothing names"
        )));
    }
    Ok((Index::parse(&text).map_err(|why| none(&why))?, size))
}

/// What a block says that it is, for people.
fn described(block: &[u8; BLOCK as usize]) -> String {
    let header = Header::from_byte_slice(block);
    let sum = block.iter().enumerate().map(|(at, byte)| {
        u32::from(if (148..156).contains(&at) {
            b' '
        } else {
            *byte
        })
    });
    if header.cksum().ok() != Some(sum.sum()) {
        return "something that is no member of an archive".to_owned();
    }
    let kind = match header.entry_type() {
        kind if kind.is_file() => "the file",
        kind if kind.is_dir() => "the folder",
        kind if kind.is_symlink() => "the symbolic link",
        kind if kind.is_hard_link() => "the hard link",
        kind if kind.is_character_special() || kind.is_block_special() => "the device",
        kind if kind.is_fifo() => "the pipe",
        _ => "something special named",
    };
    let path = header.path_bytes();
    let size = header
        .entry_size()
        .map_or("an unknown number of".to_owned(), |it| it.to_string());
    format!("{kind} `{}` of {size} bytes", path.escape_ascii())
}

fn wrong_digest(expected: &Digest, found: &Digest) -> String {
    format!("it has the sha256 {found}, and {expected} according to the index")
}

fn interrupted() -> Result<(), Error> {
    match process::interrupted() {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}
