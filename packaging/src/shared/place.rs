//! Where a shared store is.

use std::fmt::{Debug, Display, Formatter, Result as Shown};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::source::{BadLocation, Location, Retry, Transfer, TransferError};
use crate::stage::Failure;
use crate::store::{Digest, PathError, Store, copy_bytes};

/// What is at a path of a place.
#[derive(Debug)]
pub enum Found {
    Nothing,
    File(Vec<u8>),
    /// Something else than a file of the size that it may have; the place itself can be used.
    Odd(Failure),
}

/// What keeps the files of a shared store, by their paths in it. It is shown without a password.
pub trait Place: Sync + Send + Debug + Display {
    /// A file of at most `limit` bytes.
    ///
    /// # Errors
    /// When nothing can be read there at all.
    fn small(&self, store: &Store, path: &str, limit: u64) -> Result<Found, Failure>;

    /// Fetches the file with this digest and size into the file `into`, where what an interrupted run left may be.
    fn fetch(
        &self,
        store: &Store,
        path: &str,
        content: (&Digest, u64),
        into: &Path,
    ) -> Result<(), Failure>;

    /// Puts a file there, in place of what is there: all of it, or nothing.
    fn put(&self, store: &Store, file: &Path, path: &str) -> Result<(), Failure>;
}

/// A folder of this machine, or of one whose disks it has.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Display for Folder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Shown {
        write!(f, "{}", self.0.display())
    }
}

/// How files begin that are not there as a whole.
const UNFINISHED: &str = ".part-";

/// What is not finished after this time never will be.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes what runs that were killed long ago left in `folder`.
fn tidy(folder: &Path) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let item = item?;
        let unfinished = item.file_name().to_string_lossy().starts_with(UNFINISHED);
        let Some(meta) = lustre_files::if_there(item.metadata())?.filter(|_| unfinished) else {
            continue;
        };
        let age = SystemTime::now().duration_since(meta.modified()?);
        if age.is_ok_and(|age| age > LONGEST) {
            lustre_files::if_there(fs::remove_file(item.path()))?;
        }
    }
    Ok(())
}

impl Place for Folder {
    fn small(&self, _: &Store, path: &str, limit: u64) -> Result<Found, Failure> {
        let path = self.0.join(path);
        // A disk that is not mounted is not one that has nothing.
        fs::read_dir(&self.0).map_err(|source| PathError::new("read", &self.0, source))?;
        let folder = path.parent().unwrap_or(&self.0);
        lustre_files::if_there(fs::read_dir(folder))
            .map_err(|source| PathError::new("read", folder, source))?;
        Ok(
            match lustre_files::if_there(lustre_files::read(&path, limit)) {
                Ok(None) => Found::Nothing,
                Ok(Some(bytes)) => Found::File(bytes),
                Err(source) => Found::Odd(PathError::new("read", &path, source).into()),
            },
        )
    }

    fn fetch(
        &self,
        _: &Store,
        path: &str,
        (expected, size): (&Digest, u64),
        into: &Path,
    ) -> Result<(), Failure> {
        let path = self.0.join(path);
        let failed = |source| PathError::new("read", &path, source);
        let (mut from, found) = lustre_files::open_within(&path, size).map_err(failed)?;
        if found != size {
            return Err(format!("it has {found} bytes in place of {size}").into());
        }
        let writes = |source| PathError::new("write", into, source);
        let mut file = fs::File::create(into).map_err(writes)?;
        copy_bytes(&mut from, &mut |bytes| file.write_all(bytes)).map_err(writes)?;
        let (found, _) = Digest::of_file(into)?;
        if found != *expected {
            fs::remove_file(into).map_err(|source| PathError::new("remove", into, source))?;
            return Err(format!("it has the sha256 {found} in place of {expected}").into());
        }
        Ok(())
    }

    fn put(&self, _: &Store, file: &Path, path: &str) -> Result<(), Failure> {
        let path = self.0.join(path);
        let folder = path.parent().unwrap_or(&self.0);
        let failed = |source| PathError::new("write", &path, source);
        // The folder itself is made by who says that it is the right one.
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(failed(error).into());
            }
            _ => {}
        }
        tidy(folder).map_err(failed)?;
        let mut aside = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(folder)
            .map_err(failed)?;
        let mut from =
            lustre_files::open(file).map_err(|source| PathError::new("read", file, source))?;
        copy_bytes(&mut from, &mut |bytes| aside.write_all(bytes)).map_err(failed)?;
        aside.as_file().sync_all().map_err(failed)?;
        // Others read it, too.
        fs::set_permissions(aside.path(), Permissions::from_mode(0o644)).map_err(failed)?;
        aside.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// A web server, which takes files where it takes PUT.
#[derive(Debug)]
pub struct Web(Location);

impl Web {
    /// The folder at a URL.
    pub fn new(url: &str) -> Result<Self, BadLocation> {
        Location::parse(url).map(Self)
    }

    /// Who waits for a server can build meanwhile.
    const TRANSFER: Transfer = Transfer {
        retry: Retry {
            attempts: 3,
            first_pause: Duration::from_secs(1),
        },
    };
}

impl Display for Web {
    fn fmt(&self, f: &mut Formatter<'_>) -> Shown {
        write!(f, "{}", self.0)
    }
}

impl Place for Web {
    fn small(&self, store: &Store, path: &str, limit: u64) -> Result<Found, Failure> {
        let folder = store.temp_dir("shared")?;
        let aside = folder.path().join("file");
        let read = Self::TRANSFER.get_small(&self.0.join(path)?, limit, &aside);
        match read {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(bytes)) => Ok(Found::File(bytes)),
            Err(error @ TransferError::TooLarge { .. }) => Ok(Found::Odd(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    fn fetch(
        &self,
        _: &Store,
        path: &str,
        content: (&Digest, u64),
        into: &Path,
    ) -> Result<(), Failure> {
        Ok(Self::TRANSFER.get(&self.0.join(path)?, content, into)?)
    }

    fn put(&self, _: &Store, file: &Path, path: &str) -> Result<(), Failure> {
        Ok(Self::TRANSFER.put(file, &self.0.join(path)?)?)
    }
}
