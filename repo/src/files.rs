//! Small things with files that several modules need: fixed modes and times.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

/// Sets a file's or folder's modification time, in seconds since 1970.
pub fn set_mtime(path: &Path, seconds: u64) -> io::Result<()> {
    let omitted = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    };
    let modified = Timespec {
        tv_sec: i64::try_from(seconds).map_err(io::Error::other)?,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: omitted,
        last_modification: modified,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

/// Sets a mode, whatever the umask made of it.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}
