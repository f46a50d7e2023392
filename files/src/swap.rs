//! A folder or a file made aside and swapped in whole: whenever the process ends, the old one is there or the new one is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with, syncfs};
use rustix::io::Errno;

/// What tells a name that is given here from one that somebody else gives.
const MARK: &str = ".lustre-repo-";

/// How many characters of a name are random.
const RANDOM: usize = 6;

/// How the name of an old tree ends that stepped aside.
const OLD: &str = ".old";

/// How much longer than a place's own name those are that are given beside it (bytes).
pub const LONGER: usize = ".".len() + MARK.len() + RANDOM + OLD.len();

/// A tree in the making, next to where it will be: `dist/.rehearsal.lustre-repo-XXXXXX` for `dist/rehearsal`.
///
/// Dropped without [`commit`](Self::commit), it goes away. What a killed process left is removed by the next one: a tree in
/// the making is locked, and a lock ends with its process.
#[derive(Debug)]
pub struct FolderAside {
    folder: Unfinished,
    /// Holds the lock.
    lock: File,
    target: PathBuf,
}

impl FolderAside {
    /// Starts a tree that will replace `target`.
    pub fn new(target: &Path) -> io::Result<Self> {
        let target = named(target)?;
        let (parent, prefix) = (parent(&target), prefix(&target)?);
        fs::create_dir_all(parent)?;
        recover(&target)?;
        let (folder, lock) = locked(&mut || {
            let folder = tempfile::Builder::new()
                .rand_bytes(RANDOM)
                .prefix(&prefix)
                .tempdir_in(parent)?;
            let path = folder.keep();
            Ok((opened(&path)?, path))
        })?;
        Ok(Self {
            folder,
            lock,
            target,
        })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the tree in place and removes the one that was there.
    ///
    /// Where something is mounted in the one that was there, both stay as they are: renamed, it would take that along.
    ///
    /// The data is on the disk before the names change, so that not even a power failure leaves a tree of empty files. That takes its
    /// time: what is at the place is judged by `last_look` after it.
    pub fn commit(self, last_look: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        syncfs(&self.lock)?;
        last_look()?;
        let new = self.folder.path();
        match renameat_with(CWD, new, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => {
                // Nothing is left under the temporary name.
                self.folder.keep();
                return Ok(());
            }
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => return self.two_renames(),
            Err(error) => return Err(error.into()),
        }
        crate::nothing_mounted(&self.target)?;
        // Nobody else is to take the old tree for one that was left.
        let old = crate::open_folder(&self.target)?;
        let _ = flock(&old, FlockOperation::NonBlockingLockExclusive);
        match renameat_with(CWD, new, CWD, &self.target, RenameFlags::EXCHANGE) {
            // The old tree now has the temporary name and goes with it.
            Ok(()) => Ok(crate::remove_tree(&self.folder.keep())?),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.two_renames(),
            Err(error) => Err(error.into()),
        }
    }

    /// For file systems without `renameat2`: the old tree steps aside, the new one takes its place. A process killed between
    /// the two leaves neither under the name, but the old one whole next to it.
    fn two_renames(self) -> io::Result<()> {
        crate::nothing_mounted(&self.target)?;
        let mut old = self.folder.path().as_os_str().to_owned();
        old.push(".old");
        let old = PathBuf::from(old);
        let held = crate::open_folder(&self.target);
        if let Ok(held) = &held {
            let _ = flock(held, FlockOperation::NonBlockingLockExclusive);
        }
        let had_old = match fs::rename(&self.target, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if let Err(error) = fs::rename(self.folder.path(), &self.target) {
            if had_old {
                fs::rename(&old, &self.target)?;
            }
            return Err(error);
        }
        self.folder.keep();
        if had_old {
            crate::remove_tree(&old)?;
        }
        Ok(())
    }
}

/// A file in the making, next to where it will be, as a [`FolderAside`] is. Its mode is 0644.
#[derive(Debug)]
pub struct FileAside {
    path: Unfinished,
    file: File,
    target: PathBuf,
}

impl FileAside {
    /// Starts a file that will replace `target`.
    pub fn new(target: &Path) -> io::Result<Self> {
        let target = named(target)?;
        let (parent, prefix) = (parent(&target), prefix(&target)?);
        recover(&target)?;
        let (path, file) = locked(&mut || {
            let file = tempfile::Builder::new()
                .rand_bytes(RANDOM)
                .prefix(&prefix)
                .permissions(fs::Permissions::from_mode(0o644))
                .tempfile_in(parent)?;
            let (file, path) = file.keep().map_err(|error| error.error)?;
            Ok((Some(file), path))
        })?;
        Ok(Self { path, file, target })
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        self.path.path()
    }

    /// What to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in the place of what is there; its content is on the disk before.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(self.path.path(), &self.target)?;
        self.path.keep();
        Ok(())
    }
}

/// How often something is made that another run takes for what was left: each time, one would have to come just then.
const TRIES: usize = 100;

/// What `make` makes and opens, locked. Until it is, another run may take it for what a killed process left, and remove it: then there is
/// another.
fn locked(
    make: &mut dyn FnMut() -> io::Result<(Option<File>, PathBuf)>,
) -> io::Result<(Unfinished, File)> {
    for _ in 0..TRIES {
        let (lock, path) = make()?;
        let unfinished = Unfinished(path);
        let Some(lock) = lock else {
            continue;
        };
        // Who only looks at what is left beside an output holds it for a moment.
        flock(&lock, FlockOperation::LockExclusive)?;
        if is_at(&lock, unfinished.path())? {
            return Ok((unfinished, lock));
        }
    }
    Err(io::Error::other(
        "other runs on the same output removed what this one wrote: wait for them",
    ))
}

/// The folder or file, open, where it is there.
fn opened(path: &Path) -> io::Result<Option<File>> {
    let open = || match fs::symlink_metadata(path)?.is_dir() {
        true => crate::open_folder(path),
        false => crate::open(path),
    };
    crate::if_there(open()).map_err(of(path))
}

/// Whether the open folder or file is the one at `path` still.
fn is_at(opened: &File, path: &Path) -> io::Result<bool> {
    let there = crate::if_there(fs::symlink_metadata(path)).map_err(of(path))?;
    let opened = opened.metadata().map_err(of(path))?;
    Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())))
}

/// A folder or file that goes away with the value.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Unfinished {
    fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it up: it stays where it is.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What cannot be removed now is found by the next run.
            let _ = crate::remove_tree(&self.0);
        }
    }
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The target by a path that ends in its name, whatever `..` led to it.
fn named(target: &Path) -> io::Result<PathBuf> {
    match target.file_name() {
        Some(_) => Ok(target.to_owned()),
        None => fs::canonicalize(target).map_err(of(target)),
    }
}

/// How the names begin that what replaces `target` has in the making.
fn prefix(target: &Path) -> io::Result<OsString> {
    let Some(name) = target.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has no last component to write next to",
        ));
    };
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(MARK);
    Ok(prefix)
}

/// Removes what processes that were killed left beside `target`: trees and files in the making, and the old tree that a new one replaced.
/// Where the process was killed between the two renames that some file systems need, the old tree gets its name back.
pub fn recover(target: &Path) -> io::Result<()> {
    let Some(target) = crate::if_there(named(target))? else {
        return Ok(());
    };
    let target = target.as_path();
    for (folder, is_old) in beside(target)? {
        let Some(_lock) = left(&folder, FlockOperation::NonBlockingLockExclusive)? else {
            continue;
        };
        if is_old && !target.try_exists().map_err(of(target))? {
            fs::rename(&folder, target)?;
        } else {
            crate::remove_tree(&folder)?;
        }
    }
    Ok(())
}

/// What [`recover`] would remove, or give its name back: for those who only look.
pub fn leftovers(target: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Some(target) = crate::if_there(named(target))? else {
        return Ok(found);
    };
    for (folder, _) in beside(&target)? {
        if left(&folder, FlockOperation::NonBlockingLockShared)?.is_some() {
            found.push(folder);
        }
    }
    Ok(found)
}

/// The folders and files beside `target` that have the names that are given here, and whether each is an old tree that stepped aside.
fn beside(target: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    use std::os::unix::ffi::OsStrExt;
    let parent = parent(target);
    let Ok(prefix) = prefix(target) else {
        return Ok(Vec::new());
    };
    let entries = crate::if_there(fs::read_dir(parent)).map_err(of(parent))?;
    let mut found = Vec::new();
    for entry in entries.into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.as_bytes().strip_prefix(prefix.as_bytes()) else {
            continue;
        };
        let (random, is_old) = match rest.strip_suffix(OLD.as_bytes()) {
            Some(random) => (random, true),
            None => (rest, false),
        };
        // Exactly the names that are given here: what else looks like them is somebody's.
        let given = random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric);
        let kind = entry.file_type()?;
        if given && (kind.is_dir() || kind.is_file()) {
            found.push((entry.path(), is_old));
        }
    }
    found.sort();
    Ok(found)
}

/// The lock, of the kind `how`, of what nobody makes any more; none where somebody does, or it went away meanwhile.
fn left(folder: &Path, how: FlockOperation) -> io::Result<Option<File>> {
    let Some(folder_lock) = opened(folder)? else {
        return Ok(None);
    };
    match flock(&folder_lock, how) {
        // Another run may have removed it, or given it its name, before this one had the lock.
        Ok(()) => Ok(is_at(&folder_lock, folder)?.then_some(folder_lock)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(of(folder)(error.into())),
    }
}

/// The error, with the path that it is of.
fn of(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_new_tree_takes_the_place_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("dist/target");
        for content in ["one", "two"] {
            let aside = FolderAside::new(&target).unwrap();
            fs::write(aside.path().join("file"), content).unwrap();
            aside.commit(|| Ok(())).unwrap();
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), content);
            assert_eq!(names(&dir.path().join("dist")), ["target"]);
        }
        let aside = FolderAside::new(&target).unwrap();
        fs::write(aside.path().join("file"), "three").unwrap();
        aside.two_renames().unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "three");
        assert_eq!(names(&dir.path().join("dist")), ["target"]);
    }

    #[test]
    fn an_unfinished_tree_leaves_the_old_one_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("file"), "old").unwrap();
        drop(FolderAside::new(&target).unwrap());
        assert_eq!(names(dir.path()), ["target"]);
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "old");
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_makes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let (dead, mine) = (
            dir.path().join(".target.lustre-repo-dEad00"),
            dir.path().join(".target.new-backup"),
        );
        for folder in [&dead, &mine] {
            fs::create_dir(folder).unwrap();
        }
        let living = FolderAside::new(&target).unwrap();
        let other = FolderAside::new(&target).unwrap();
        assert!(living.path().is_dir());
        assert!(other.path().is_dir());
        assert!(!dead.exists());
        assert!(mine.exists());
        assert!(leftovers(&target).unwrap().is_empty());
        fs::create_dir(&dead).unwrap();
        assert_eq!(leftovers(&target).unwrap(), [dead.as_path()]);
        recover(&target).unwrap();
        assert!(!dead.exists());
        assert!(living.path().is_dir());
    }

    /// Another run comes between the making of a folder and its lock.
    #[test]
    fn a_folder_that_another_run_took_away_before_it_was_locked_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let [first, second] =
            ["dEad00", "dEad01"].map(|end| dir.path().join(format!(".target.lustre-repo-{end}")));
        // It waits for the lock that the other run has on it, and gets it when the folder is gone.
        let mut made = 0;
        let mut make = || {
            made += 1;
            let folder = if made == 1 { &first } else { &second };
            fs::create_dir(folder)?;
            if made == 1 {
                let held = left(folder, FlockOperation::NonBlockingLockExclusive)?.unwrap();
                let gone = folder.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                    fs::remove_dir(gone).unwrap();
                    drop(held);
                });
            }
            Ok((opened(folder)?, folder.clone()))
        };
        let (folder, _lock) = locked(&mut make).unwrap();
        assert_eq!(folder.path(), second);
        recover(&target).unwrap();
        assert!(second.is_dir() && !first.exists());
        // Or it is gone before that.
        let mut made = 0;
        let mut make = || {
            made += 1;
            fs::create_dir(&first)?;
            if made < 3 {
                recover(&target)?;
            }
            Ok((opened(&first)?, first.clone()))
        };
        let (folder, _lock) = locked(&mut make).unwrap();
        assert!(folder.path().is_dir());
        assert_eq!(made, 3);
        // One that somebody takes away for ever is an error at some time.
        let mut make = || Ok((None, dir.path().join("never")));
        assert!(locked(&mut make).is_err());
    }

    #[test]
    fn what_cannot_be_looked_at_is_neither_passed_over_nor_taken_for_absent() {
        let dir = tempfile::tempdir().unwrap();
        let [target, folder, old] = ["target", "folder", ".target.lustre-repo-dEad00.old"]
            .map(|name| dir.path().join(name));
        let left = |folder: &Path| left(folder, FlockOperation::NonBlockingLockExclusive);
        assert!(left(&folder).unwrap().is_none());
        std::os::unix::fs::symlink(&folder, &folder).unwrap();
        let error = left(&folder).unwrap_err().to_string();
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
        fs::create_dir(&old).unwrap();
        let held = left(&old).unwrap().unwrap();
        assert!(left(&old).unwrap().is_none());
        drop(held);
        std::os::unix::fs::symlink(&target, &target).unwrap();
        let error = recover(&target).unwrap_err().to_string();
        assert!(error.contains(target.to_str().unwrap()), "{error}");
        assert!(old.is_dir());
    }

    #[test]
    fn a_file_takes_the_place_whole_and_a_killed_one_goes() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "old").unwrap();
        let mine = [
            ".target.part",
            ".target.new-backup",
            ".target.lustre-repo-backups",
        ];
        let dead = dir.path().join(".target.lustre-repo-dEad00");
        for name in mine {
            fs::write(dir.path().join(name), "mine").unwrap();
        }
        fs::write(&dead, "left").unwrap();
        assert_eq!(leftovers(&target).unwrap(), [dead.as_path()]);
        drop(FileAside::new(&target).unwrap());
        assert!(!dead.exists());
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        let mut aside = FileAside::new(&target).unwrap();
        aside.file().write_all(b"new").unwrap();
        recover(&target).unwrap();
        aside.commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o133, 0);
        assert_eq!(names(dir.path()).len(), mine.len() + 1);
    }

    #[test]
    fn an_old_tree_gets_its_name_back_where_there_is_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let old = dir.path().join(".target.lustre-repo-dEad00.old");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("file"), "old").unwrap();
        recover(&target).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["target"]);
        // Where there is one, it is the leftover.
        fs::create_dir(&old).unwrap();
        recover(&target).unwrap();
        assert_eq!(names(dir.path()), ["target"]);
    }

    /// Mounted after the output was judged: the new tree does not take its place, nothing is unmounted, and nothing goes.
    #[test]
    fn a_tree_with_a_mount_in_it_is_not_replaced() {
        const PLACE: &str = "LUSTRE_REPO_TEST_PLACE";
        let Some(place) = std::env::var_os(PLACE) else {
            // In a mount namespace of its own.
            let dir = tempfile::tempdir().unwrap();
            let [target, mine] = ["target", "mine"].map(|name| dir.path().join(name));
            fs::create_dir_all(target.join("below")).unwrap();
            fs::create_dir(&mine).unwrap();
            fs::write(mine.join("file"), "stays").unwrap();
            let unshare = || {
                let mut command = std::process::Command::new("unshare");
                command.arg("--mount");
                if !rustix::process::geteuid().is_root() {
                    command.args(["--user", "--map-root-user"]);
                }
                command
            };
            // Nothing is published where there is none, either.
            let tried = unshare().arg("true").status().unwrap();
            assert!(tried.success(), "no mount namespace can be had here");
            let mut command = unshare();
            let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
            command.args(["sh", "-c", script, "sh"]);
            command.args([&mine, &target.join("below")]);
            command.arg(std::env::current_exe().unwrap());
            let name = "swap::tests::a_tree_with_a_mount_in_it_is_not_replaced";
            let ran = command.args(["--exact", name]).env(PLACE, dir.path());
            let ran = ran.output().unwrap();
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(ran.status.success() && said.contains("1 passed"), "{said}");
            assert_eq!(fs::read_to_string(mine.join("file")).unwrap(), "stays");
            assert_eq!(names(dir.path()), ["mine", "target"]);
            return;
        };
        let target = PathBuf::from(place).join("target");
        let ways: [fn(FolderAside) -> io::Result<()>; 2] =
            [|aside| aside.commit(|| Ok(())), FolderAside::two_renames];
        for way in ways {
            let aside = FolderAside::new(&target).unwrap();
            let error = way(aside).unwrap_err().to_string();
            assert!(error.contains("target/below"), "{error}");
            assert_eq!(
                fs::read_to_string(target.join("below/file")).unwrap(),
                "stays"
            );
        }
    }
}
