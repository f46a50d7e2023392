//! A shared store: finished stages, put where other machines find them.
//!
//! ```text
//! stages/NAME-KEY.json       what came out of a stage, signed: its files with their digests, and the digest of the archive (statement)
//! contents/SHA256.tar.zst    the archive
//! ```
//!
//! A stage's key says what went in, and nothing of what came out. So whoever can write there could put anything under a key, and nothing is
//! taken that no accepted key has signed, stage, key, files and all. The archive is put before what names it: who is killed in between leaves
//! nothing that another would take.

mod error;
mod objects;
mod place;
mod statement;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lustre_files::PathError;
use walkdir::WalkDir;

use crate::archive::{check_links, pack_tar_zst, unpack_within};
use crate::sign::{PublicKey, Signer};
use crate::stage::{Failure, Offer, Remote, ShareOutcome};
use crate::store::{Digest, EntryKind, Reserved, SharedOrigin, StageDir, Store};

pub use error::Error;
use error::Refusal;
pub use objects::{Objects, rclone};
pub use place::{Folder, Found, Place, Web};
use statement::{Content, Statement};

/// The folder above all in an archive.
const TOP: &str = "stage";

/// How much of a stage is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Nothing: it is always made here.
    Nothing,
    /// What came out of it, by digest, so that others need not make it to know what follows; not the files.
    Digests,
    /// All.
    All,
}

/// Which keys are taken for good, and which one signs.
pub struct Keys {
    pub accepted: Vec<PublicKey>,
    /// With one, finished stages are put there.
    pub signer: Option<Box<dyn Signer>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("accepted", &self.accepted)
            .field("signs", &self.signer.is_some())
            .finish()
    }
}

/// What was found out of a place by all that use it in one command.
#[derive(Debug, Default)]
pub struct Standing {
    /// Whether it cannot be used: it is not asked again.
    given_up: AtomicBool,
    /// The stages that it was to get, and did not.
    lacking: Mutex<BTreeSet<String>>,
}

impl Standing {
    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Whether that was found out only now: of several that ask at once, one says so.
    fn give_up(&self) -> bool {
        !self.given_up.swap(true, Ordering::SeqCst)
    }

    fn lacks(&self, stage: &str) {
        let lacking = self.lacking.lock();
        let mut lacking = lacking.unwrap_or_else(PoisonError::into_inner);
        lacking.insert(stage.to_owned());
    }

    /// The stages that were to be put there, and were not because that failed.
    pub fn lacking(&self) -> Vec<String> {
        let lacking = self.lacking.lock();
        let lacking = lacking.unwrap_or_else(PoisonError::into_inner);
        lacking.iter().cloned().collect()
    }
}

/// A shared store, as one run uses it.
#[derive(Debug)]
pub struct Shared<'s> {
    store: &'s Store,
    place: &'s dyn Place,
    keys: &'s Keys,
    shares: fn(&str) -> Share,
    standing: &'s Standing,
}

/// What there is of a stage, where it can be asked.
enum StageLookup {
    Nothing,
    Offered(Offer),
    Refused(Error),
}

impl<'s> Shared<'s> {
    /// The one at `place`. `shares` says which stages are shared.
    pub fn new(
        store: &'s Store,
        place: &'s dyn Place,
        keys: &'s Keys,
        shares: fn(&str) -> Share,
        standing: &'s Standing,
    ) -> Self {
        Self {
            store,
            place,
            keys,
            shares,
            standing,
        }
    }

    fn seen(&self, stage: &str, key: &Digest) -> Result<StageLookup, Error> {
        let path = entry(stage, key);
        let read = self.place.small(self.store, &path, statement::LARGEST);
        let refused = |why| Error::Refused {
            place: self.place.to_string(),
            path: path.clone(),
            why,
        };
        let bytes = match read {
            Ok(Found::File(bytes)) => bytes,
            Ok(Found::Odd(why)) => return Ok(StageLookup::Refused(refused(Refusal::Odd(why)))),
            Err(why) if self.standing.give_up() => {
                return Err(Error::Unreachable {
                    place: self.place.to_string(),
                    why,
                });
            }
            Ok(Found::Nothing) | Err(_) => return Ok(StageLookup::Nothing),
        };
        let read = Statement::read(&bytes, stage, key, &self.keys.accepted);
        Ok(match read {
            Err(why) => StageLookup::Refused(refused(why)),
            Ok((statement, signer)) => StageLookup::Offered(Offer {
                outputs: statement.outputs,
                milliseconds: statement.milliseconds,
                content: statement.content.map(|it| (it.sha256, it.size)),
                taken: SharedOrigin {
                    from: self.place.to_string(),
                    signer,
                },
            }),
        })
    }

    /// The archive of a stage, in `folder`; or why it is not shared.
    fn packed(&self, stage: &StageDir, folder: &Path) -> Result<Result<PathBuf, String>, Error> {
        let record = &stage.record;
        if (self.shares)(&record.name) != Share::All {
            return Ok(Err("it is not one whose files are shared".to_owned()));
        }
        if record.outputs.is_empty() || record.outputs.iter().any(is_folder) {
            return Ok(Err("it is a chroot, which is made anew".to_owned()));
        }
        if let Err(error) = check_links(&stage.path) {
            return Ok(Err(error.to_string()));
        }
        let out = folder.join("content");
        pack_tar_zst(&stage.path, TOP, &|path| !Reserved::is(path), &out)?;
        Ok(Ok(out))
    }

    /// Puts a stage there that is one to be put there; `Own` where the place was given up.
    fn given(&self, stage: &StageDir, signer: &dyn Signer) -> Result<ShareOutcome, Error> {
        if self.standing.is_given_up() {
            return Ok(ShareOutcome::Own);
        }
        let record = &stage.record;
        match self.seen(&record.name, &record.key)? {
            StageLookup::Offered(offer) if offer.digest() == record.digest() => {
                return Ok(ShareOutcome::Kept);
            }
            StageLookup::Offered(offer) => {
                return Err(Error::Differs {
                    place: self.place.to_string(),
                    signer: offer.taken.signer,
                });
            }
            // What nobody takes is replaced.
            StageLookup::Nothing | StageLookup::Refused(_) => {}
        }
        if self.standing.is_given_up() {
            return Ok(ShareOutcome::Own);
        }
        self.store.stages().check(stage).map_err(Error::Damaged)?;
        match self.put(stage, signer) {
            Err(Error::Put { .. }) if !self.standing.give_up() => Ok(ShareOutcome::Own),
            given => given,
        }
    }

    fn put(&self, stage: &StageDir, signer: &dyn Signer) -> Result<ShareOutcome, Error> {
        let record = &stage.record;
        let folder = self.store.temp_dir("shared")?;
        let failed = |why| Error::Put {
            place: self.place.to_string(),
            why,
        };
        let (content, without) = match self.packed(stage, folder.path())? {
            Err(why) => (None, Some(why)),
            Ok(archive) => {
                let (sha256, size) = Digest::of_file(&archive)?;
                let path = contents(&sha256);
                self.place
                    .put(self.store, &archive, &path)
                    .map_err(failed)?;
                (Some(Content { sha256, size }), None)
            }
        };
        let statement = Statement::of(record, content);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| {
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        });
        let text = statement.signed(signer, now)?;
        let file = folder.path().join("entry");
        fs::write(&file, text).map_err(|source| PathError::new("write", &file, source))?;
        let path = entry(&record.name, &record.key);
        self.place.put(self.store, &file, &path).map_err(failed)?;
        Ok(without.map_or(ShareOutcome::Put, ShareOutcome::Described))
    }
}

fn is_folder(entry: &crate::store::Entry) -> bool {
    matches!(entry.kind, EntryKind::Folder { .. })
}

/// Where what is signed of a stage is.
fn entry(stage: &str, key: &Digest) -> String {
    format!("stages/{stage}-{key}.json")
}

/// Where an archive is.
fn contents(sha256: &Digest) -> String {
    format!("contents/{sha256}.tar.zst")
}

/// How much an archive with these files gives at most: what it has to say of them, and folders, take some.
fn unpacked(offer: &Offer) -> u64 {
    const OF_ONE: u64 = 16 << 10;
    const OF_ALL: u64 = 64 << 20;
    let sizes = offer.outputs.iter().map(|entry| match entry.kind {
        EntryKind::File { size, .. } => size.saturating_add(OF_ONE),
        EntryKind::Link { .. } | EntryKind::Folder { .. } => OF_ONE,
    });
    sizes.fold(OF_ALL, u64::saturating_add)
}

impl Remote for Shared<'_> {
    fn look(&self, stage: &str, key: &Digest) -> Result<Option<Offer>, Failure> {
        if (self.shares)(stage) == Share::Nothing || self.standing.is_given_up() {
            return Ok(None);
        }
        match self.seen(stage, key)? {
            StageLookup::Nothing => Ok(None),
            StageLookup::Offered(offer) => Ok(Some(offer)),
            StageLookup::Refused(why) => Err(why.into()),
        }
    }

    fn is_unknown(&self, stage: &str) -> bool {
        (self.shares)(stage) != Share::Nothing && self.standing.is_given_up()
    }

    fn take(&self, key: &Digest, offer: &Offer, into: &Path) -> Result<(), Failure> {
        let Some((sha256, size)) = &offer.content else {
            return Err(Error::NoContent.into());
        };
        let path = contents(sha256);
        let failed = |why: Failure| Error::Content {
            place: self.place.to_string(),
            path: path.clone(),
            why,
        };
        // Two stages may have the same content.
        let name = format!("{sha256}-{}", key.short());
        let archive = self.store.partial_dir().join(name);
        self.place
            .fetch(self.store, &path, (sha256, *size), &archive)
            .map_err(failed)?;
        let done = unpack_within(&archive, into, 1, unpacked(offer));
        lustre_files::if_there(fs::remove_file(&archive))
            .map_err(|source| PathError::new("remove", &archive, source))?;
        done.map_err(|error| failed(error.into()))?;
        // What the store leaves out of a stage's files would be held against nothing.
        for item in WalkDir::new(into).min_depth(1) {
            let item = item.map_err(|error| PathError::new("read", into, error.into()))?;
            let below = item.path().strip_prefix(into).unwrap_or(item.path());
            if Reserved::is(below) {
                let why = format!("it has {}, which no stage has", below.display());
                return Err(failed(why.into()).into());
            }
        }
        Ok(())
    }

    fn receives(&self) -> bool {
        self.keys.signer.is_some()
    }

    fn give(&self, stage: &StageDir) -> Result<ShareOutcome, Failure> {
        let record = &stage.record;
        let Some(signer) = self.keys.signer.as_deref() else {
            return Ok(ShareOutcome::Own);
        };
        // Of what others made, nobody here can say that it is right.
        if record.taken.is_some() || (self.shares)(&record.name) == Share::Nothing {
            return Ok(ShareOutcome::Own);
        }
        if record.compiler_cache {
            return Err(Error::CompilerCache.into());
        }
        let given = self.given(stage, signer);
        match &given {
            // It has one.
            Ok(ShareOutcome::Put | ShareOutcome::Described(_) | ShareOutcome::Kept)
            | Err(Error::Differs { .. }) => {}
            Ok(ShareOutcome::Own) | Err(_) => self.standing.lacks(&record.name),
        }
        Ok(given?)
    }
}
