//! Reading a file that holds a key or a passphrase: whatever it turns out to be, without waiting for ever and without end.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use lustre_files::tried;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::Error;
use super::armor::LIMIT;

/// How long a pipe may take: somebody may have to type a passphrase at its other end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a named pipe may have nobody at its other end.
const WRITER: Duration = Duration::from_secs(10);
/// Between two looks at a pipe.
const LOOK: Duration = Duration::from_millis(50);

/// All of a file or a pipe, and what kind of file it is.
pub(crate) fn read(
    path: &Path,
    what: &'static str,
) -> Result<(Zeroizing<Vec<u8>>, Metadata), Error> {
    let failed = |source: io::Error| Error::from(tried(what, path)(source));
    let unfit = |problem: &'static str| Error::Unfit {
        path: path.to_owned(),
        problem,
    };
    // Opening a named pipe must not wait for its writer.
    let mut file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(unfit("is a folder"));
    }
    if kind.is_char_device() || kind.is_block_device() {
        return Err(unfit("is a device"));
    }
    let start = Instant::now();
    // Grows by copying only up to here, and then never again: no copy of a secret is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(match metadata.len() {
        0 => 64 * 1024,
        size => usize::try_from(size).unwrap_or(LIMIT).min(LIMIT) + 1,
    }));
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        match file.read(&mut chunk[..]) {
            // Nobody has opened the other end yet.
            Ok(0) if kind.is_fifo() && bytes.is_empty() && start.elapsed() < WRITER => {
                std::thread::sleep(LOOK);
            }
            Ok(0) => return Ok((bytes, metadata)),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if start.elapsed() > PATIENCE {
                    return Err(unfit("is a pipe that was silent for two minutes"));
                }
                wait(&file).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        if bytes.len() > LIMIT {
            return Err(unfit("is larger than any key or passphrase (4 MiB)"));
        }
        if lustre_process::interrupted() {
            return Err(failed(io::ErrorKind::Interrupted.into()));
        }
    }
}

/// Until something comes, or for a moment.
fn wait(file: &File) -> io::Result<()> {
    let moment = rustix::event::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&moment)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Fails when the group or others may do anything with the file or folder.
pub(crate) fn closed_to_others(path: &Path, metadata: &Metadata, wanted: u32) -> Result<(), Error> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::OpenToOthers {
        path: path.to_owned(),
        mode,
        wanted,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn problem(path: &str) -> String {
        read(Path::new(path), "read").unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_file_is_named_at_once() {
        let start = Instant::now();
        assert!(problem("/dev/zero").contains("is a device"));
        assert!(problem("/dev/null").contains("is a device"));
        assert!(problem("/proc").contains("is a folder"));
        assert!(problem("/no/such/file").contains("/no/such/file"));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_huge_file_is_refused_without_reading_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge");
        File::create(&path).unwrap().set_len(300 << 20).unwrap();
        let start = Instant::now();
        let problem = problem(path.to_str().unwrap());
        assert!(
            problem.contains("4 MiB") && problem.contains("huge"),
            "{problem}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_slowly_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        lustre_process::output(lustre_process::command("mkfifo").arg(&path)).unwrap();
        let to = path.clone();
        let writer = std::thread::spawn(move || {
            let mut file = File::options().write(true).open(to).unwrap();
            for part in ["one ", "two ", "three"] {
                std::thread::sleep(Duration::from_millis(200));
                file.write_all(part.as_bytes()).unwrap();
            }
        });
        let (bytes, _) = read(&path, "read").unwrap();
        writer.join().unwrap();
        assert_eq!(&bytes[..], b"one two three");
    }

    #[test]
    fn a_named_pipe_without_a_writer_ends_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        lustre_process::output(lustre_process::command("mkfifo").arg(&path)).unwrap();
        let start = Instant::now();
        assert!(read(&path, "read").unwrap().0.is_empty());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
