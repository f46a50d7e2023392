//! A file that is written aside.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A file that nobody sees under its name until it is [put](Self::put) there, whole. Until then it has a hidden name, and dropping it removes
/// it.
#[derive(Debug)]
pub struct Aside(tempfile::NamedTempFile);

impl Aside {
    /// A new one, of the mode 0644, in a folder of the file system that it is to be put on.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(folder)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o644))?;
        Ok(Self(file))
    }

    /// A new one, beside the file that it will be.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        Self::new(folder.unwrap_or(Path::new(".")))
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file itself.
    pub fn as_file(&self) -> &File {
        self.0.as_file()
    }

    /// Puts it in the place of `path`: a reader sees what was there or all of this.
    pub fn put(self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The same, and after a power failure, too.
    pub fn put_synced(self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.put(path)
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
