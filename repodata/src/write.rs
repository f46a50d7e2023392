//! Writing a repository's metadata from its packages.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use lustre_files::tried;
use lustre_rpm_header::Headers;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::document::{self, Attributes, Elements};
use super::error::Error;
use super::header;
use super::model::{Checksum, Package};
use super::output::{Compressed, Staged, is_metadata, sha256};
use super::render::{self, Document};
use super::repomd::{Record, Repomd};

/// How to write metadata.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The revision in `repomd.xml`, and the time of every metadata file, in seconds since 1970. The caller derives it
    /// from the packages or their sources: there is no clock in here.
    pub revision: u64,
    /// A comps file with the repository's groups.
    pub groupfile: Option<PathBuf>,
    /// Other metadata, by its type: with `modules`, the file of a distribution's module streams. Each is a file of text, which is
    /// compressed and taken as it is.
    pub more: BTreeMap<String, PathBuf>,
    /// How many threads read packages; 0 counts as 1.
    pub workers: usize,
    /// The SHA-256 digests and sizes of packages, by their locations, as far as the caller has read them: of these, the headers alone are
    /// read.
    pub known: BTreeMap<String, (String, u64)>,
    /// Whether the packages are only read: their modification times stay, whatever `primary.xml` says of them.
    pub read_only: bool,
}

/// Writes `root/repodata` from all packages (`*.rpm`) under `root`, in whichever folder, and gives the index written.
///
/// - The same packages, group file and revision give the same bytes.
/// - Sets the modification time of each RPM file to the package's build time, because `primary.xml` carries it; not where the
///   options say that packages are only read.
/// - An existing `repodata` is replaced as a whole, its signature with it: sign the new `repomd.xml`. After an error
///   it is as it was.
/// - Packages are streamed: of each, only the header is ever in memory.
pub fn write(root: &Path, options: &Options) -> Result<Repomd, Error> {
    let staged = Staged::begin(root)?;
    let paths = packages(root)?;
    let mut files = Vec::new();
    for document in Document::ALL {
        let name = format!("{}.xml.gz", document.kind());
        let mut file = Compressed::create(staged.path(), &name)?;
        file.write(&document.head(paths.len()))?;
        files.push(file);
    }
    in_order(
        &paths,
        options.workers,
        |path| rendered(root, path, options),
        |texts| texts.iter().map(String::len).sum(),
        |texts| {
            files
                .iter_mut()
                .zip(&texts)
                .try_for_each(|(file, text)| file.write(text))
        },
    )?;
    let mut records = Vec::new();
    for (document, mut file) in Document::ALL.into_iter().zip(files) {
        file.write(document.tail())?;
        records.push(file.finish(document.kind(), options.revision)?);
    }
    if let Some(path) = &options.groupfile {
        records.extend(groups(&staged, path, options.revision)?);
    }
    for (kind, path) in &options.more {
        records.push(other(&staged, kind, path, options.revision)?);
    }
    let repomd = Repomd {
        revision: options.revision.to_string(),
        records,
    };
    let index = render::repomd(&repomd);
    staged.plain("repomd.xml", index.as_bytes(), options.revision)?;
    staged.commit()?;
    Ok(repomd)
}

/// All packages under the root, by file name, then by folder: createrepo_c's order.
fn packages(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let walk = WalkDir::new(root).follow_links(true).into_iter();
    let walk = walk.filter_entry(|entry| {
        entry.depth() != 1 || !entry.file_name().to_str().is_some_and(is_metadata)
    });
    for entry in walk {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            tried("walk through", path)(error)
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|it| it == "rpm") {
            found.push(entry.into_path());
        }
    }
    found.sort_by(|a, b| (a.file_name(), a.parent()).cmp(&(b.file_name(), b.parent())));
    Ok(found)
}

/// How much of a package is read at once: most have no more.
const BUFFER: usize = 64 * 1024;

/// How many packages are read at a time at most, on however many processors: each may have as much as a header can.
const MAX_WORKERS: usize = 8;

/// How many bytes of results may wait to be taken when another is begun. What is due is begun in any case.
const MAX_WAITING: usize = 256 << 20;

/// What of the results is not taken yet.
struct Waiting<T> {
    /// The place of the one that is due.
    due: usize,
    /// Those that are there, by their places.
    results: BTreeMap<usize, Result<T, Error>>,
    /// The bytes of these.
    bytes: usize,
    /// One of the threads takes what is due; the others leave theirs to it.
    taking: bool,
    /// How many threads wait for room.
    asleep: usize,
    /// Nobody takes any more, and with which error it ended.
    over: bool,
    error: Option<Error>,
}

/// The same, where threads wait for it to change.
struct Backlog<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

impl<T> Backlog<T> {
    fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                due: 0,
                results: BTreeMap::new(),
                bytes: 0,
                taking: false,
                asleep: 0,
                over: false,
                error: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the one at `index` may be begun; false where nobody takes any more.
    fn enter(&self, index: usize) -> bool {
        let mut waiting = self.lock();
        while !waiting.over && index > waiting.due && waiting.bytes >= MAX_WAITING {
            waiting.asleep += 1;
            let woken = self.changed.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
            waiting.asleep -= 1;
        }
        !waiting.over
    }

    /// Wakes who waits: that is a call of the kernel, which is not made for each package.
    fn wake(&self, waiting: &Waiting<T>) {
        if waiting.asleep > 0 {
            self.changed.notify_all();
        }
    }

    /// Adds a result and, unless another thread is at it, takes all that are due.
    fn put(
        &self,
        index: usize,
        result: Result<T, Error>,
        size: impl Fn(&T) -> usize,
        take: &Mutex<impl FnMut(T) -> Result<(), Error>>,
    ) {
        let mut waiting = self.lock();
        waiting.bytes += result.as_ref().map_or(0, &size);
        waiting.results.insert(index, result);
        if waiting.taking {
            return;
        }
        waiting.taking = true;
        while !waiting.over {
            let due = waiting.due;
            let Some(result) = waiting.results.remove(&due) else {
                break;
            };
            drop(waiting);
            let bytes = result.as_ref().map_or(0, &size);
            let taken = result.and_then(|result| {
                let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
                take(result)
            });
            waiting = self.lock();
            waiting.due += 1;
            waiting.bytes -= bytes;
            if let Err(error) = taken {
                waiting.error = Some(error);
                waiting.over = true;
            }
            self.wake(&waiting);
        }
        waiting.taking = false;
    }
}

/// Where one of the threads panics, the others do not wait for it.
struct ReleaseOnPanic<'r, T>(&'r Backlog<T>);

impl<T> Drop for ReleaseOnPanic<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut waiting = self.0.lock();
            waiting.over = true;
            self.0.wake(&waiting);
        }
    }
}

/// Runs `work` on every path in several threads and `take`s the results in the order of the paths, one at a time, in whichever of these
/// threads. The first error in that order ends it. The results that wait have not many more than [`MAX_WAITING`] bytes together, as `size`
/// tells them: one that takes long does not have the others pile up behind it.
fn in_order<T: Send>(
    paths: &[PathBuf],
    workers: usize,
    work: impl Fn(&Path) -> Result<T, Error> + Sync,
    size: impl Fn(&T) -> usize + Sync,
    take: impl FnMut(T) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let backlog = Backlog::new();
    let take = Mutex::new(take);
    thread::scope(|scope| {
        for _ in 0..workers.min(MAX_WORKERS).clamp(1, paths.len().max(1)) {
            scope.spawn(|| {
                let _ends = ReleaseOnPanic(&backlog);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = paths.get(index) else {
                        return;
                    };
                    if !backlog.enter(index) {
                        return;
                    }
                    backlog.put(index, work(path), &size, &take);
                }
            });
        }
    });
    let waiting = backlog.waiting.into_inner();
    let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
    waiting.error.map_or(Ok(()), Err)
}

/// A package's part of each document.
fn rendered(root: &Path, path: &Path, options: &Options) -> Result<[String; 3], Error> {
    let package = load(root, path, options)?;
    Ok(Document::ALL.map(|document| document.package(&package)))
}

/// Reads one package: its header, its digest, its size and its place.
fn load(root: &Path, path: &Path, options: &Options) -> Result<Package, Error> {
    let refused = |reason: String| Error::Package {
        path: path.to_owned(),
        reason,
    };
    let location = path.strip_prefix(root).unwrap_or(path);
    let location = location.to_str().ok_or_else(|| Error::Name {
        path: path.to_owned(),
    })?;
    let file = lustre_files::open(path).map_err(tried("open", path))?;
    let mut source = BufReader::with_capacity(BUFFER, &file);
    let headers = Headers::read(&mut source).map_err(|source| Error::Rpm {
        path: path.to_owned(),
        source: source.into(),
    })?;
    headers.check_digests().map_err(|source| Error::Rpm {
        path: path.to_owned(),
        source,
    })?;
    let mut package = header::package(&headers).map_err(refused)?;
    let is_whole = |size: u64| file.metadata().is_ok_and(|meta| meta.len() == size);
    let (checksum, size) = match options.known.get(location) {
        Some((hex, size)) if is_whole(*size) => {
            let (kind, hex) = ("sha256".to_owned(), hex.clone());
            (Checksum { kind, hex }, *size)
        }
        _ => digest(headers.bytes(), source).map_err(tried("read", path))?,
    };
    if let Some(expected) = header::file_size(&headers).map_err(refused)?
        && expected != size
    {
        return Err(refused(format!(
            "the file has {size} bytes, but its header says {expected}: it was cut off or changed"
        )));
    }
    if !options.read_only {
        normalise_mtime(&file, package.time_build).map_err(tried("set the time of", path))?;
    }
    package.checksum = checksum;
    package.size_package = size;
    package.time_file = package.time_build;
    location.clone_into(&mut package.location);
    Ok(package)
}

/// The digest and the size of a file of which the `head` has been read already.
fn digest(head: &[u8], mut rest: impl BufRead) -> std::io::Result<(Checksum, u64)> {
    let mut hasher = Sha256::new();
    hasher.update(head);
    let mut size = head.len() as u64;
    loop {
        let bytes = match rest.fill_buf() {
            Ok([]) => return Ok((sha256(hasher), size)),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(bytes);
        let count = bytes.len();
        size += count as u64;
        rest.consume(count);
    }
}

/// Sets a file's modification time, unless it is that already.
fn normalise_mtime(file: &File, seconds: i64) -> std::io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
    if file.metadata()?.modified()? == time {
        return Ok(());
    }
    file.set_modified(time)
}

/// Metadata that is nothing to this library but text.
fn other(staged: &Staged, kind: &str, path: &Path, time: u64) -> Result<Record, Error> {
    let text =
        lustre_files::read_to_string(path, lustre_files::TEXT).map_err(tried("read", path))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Name {
        path: path.to_owned(),
    })?;
    let mut file = Compressed::create(staged.path(), &format!("{name}.gz"))?;
    file.write(&text)?;
    file.finish(kind, time)
}

/// The group file, plain and compressed: old clients look for either.
fn groups(staged: &Staged, path: &Path, time: u64) -> Result<[Record; 2], Error> {
    struct Any;
    impl Elements for Any {
        fn open(&mut self, _: &str, _: &Attributes<'_>) -> Result<(), String> {
            Ok(())
        }
        fn close(&mut self, _: &str, _: &str) -> Result<(), String> {
            Ok(())
        }
    }
    let text =
        lustre_files::read_to_string(path, lustre_files::TEXT).map_err(tried("read", path))?;
    document::parse(text.as_bytes(), "comps", &mut Any)
        .map_err(|fault| Error::malformed(path, fault))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Name {
        path: path.to_owned(),
    })?;
    let mut file = Compressed::create(staged.path(), &format!("{name}.gz"))?;
    file.write(&text)?;
    let compressed = file.finish("group_gz", time)?;
    let checksum = sha256(Sha256::new_with_prefix(&text));
    let name = format!("{}-{name}", checksum.hex);
    staged.plain(&name, text.as_bytes(), time)?;
    let plain = Record {
        kind: "group".to_owned(),
        checksum,
        open_checksum: None,
        location: format!("repodata/{name}"),
        timestamp: compressed.timestamp,
        size: Some(text.len() as u64),
        open_size: None,
    };
    Ok([plain, compressed])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    /// Whoever makes a repository decides how large each is, and how many there are; processors there may be any number of.
    #[test]
    fn what_waits_for_one_that_takes_long_is_bounded() {
        const SIZE: usize = MAX_WAITING / 4;
        let paths: Vec<PathBuf> = (0..500).map(|n| PathBuf::from(n.to_string())).collect();
        let (at_once, most, read) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let mut behind = None;
        let work = |path: &Path| {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            let first = path == Path::new("0");
            thread::sleep(Duration::from_millis(if first { 500 } else { 1 }));
            at_once.fetch_sub(1, Ordering::SeqCst);
            read.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let taken = in_order(
            &paths,
            64,
            work,
            |()| SIZE,
            |()| {
                behind.get_or_insert(read.load(Ordering::SeqCst));
                Ok(())
            },
        );
        taken.unwrap();
        assert_eq!(read.into_inner(), paths.len());
        // The first itself, those that wait, and those that were begun when there was room still.
        let bound = 1 + MAX_WAITING / SIZE + MAX_WORKERS;
        assert!(behind.unwrap() <= bound, "{behind:?} of {bound}");
        assert!(most.into_inner() <= MAX_WORKERS);
        // One that panics ends it all the same.
        let panics = std::panic::catch_unwind(|| {
            let work = |path: &Path| {
                assert!(path != Path::new("3"), "a package that nobody thought of");
                Ok(())
            };
            in_order(&paths, 4, work, |()| MAX_WAITING, |()| Ok(()))
        });
        assert!(panics.is_err());
    }

    #[test]
    fn results_come_in_order_and_the_first_error_ends_it() {
        let paths: Vec<PathBuf> = (0..500).map(|n| PathBuf::from(n.to_string())).collect();
        for workers in [0, 1, 7] {
            let mut taken = Vec::new();
            let work = |path: &Path| Ok(path.to_owned());
            in_order(
                &paths,
                workers,
                work,
                |_| usize::MAX / 1024,
                |path| {
                    taken.push(path);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(taken, paths);
        }
        let work = |path: &Path| {
            if path == Path::new("300") || path == Path::new("301") {
                return Err(Error::Name {
                    path: path.to_owned(),
                });
            }
            Ok(())
        };
        let mut count = 0;
        let error = in_order(
            &paths,
            4,
            work,
            |()| 1,
            |()| {
                count += 1;
                Ok(())
            },
        );
        assert_eq!(count, 300);
        assert!(error.unwrap_err().to_string().contains("300"));
    }

    #[test]
    fn an_empty_repository_and_its_groups() {
        let root = tempfile::tempdir().unwrap();
        let comps = root.path().join("comps.xml");
        fs::write(&comps, "<comps><group><id>x</id></group></comps>").unwrap();
        let options = Options {
            revision: 7,
            groupfile: Some(comps.clone()),
            workers: 2,
            ..Options::default()
        };
        let written = write(root.path(), &options).unwrap();
        let read = super::super::read(root.path()).unwrap();
        assert_eq!(read.repomd, written);
        assert!(read.packages.is_empty());
        let kinds: Vec<_> = written.records.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(
            kinds,
            ["primary", "filelists", "other", "group", "group_gz"]
        );
        let before = fs::read(root.path().join("repodata/repomd.xml")).unwrap();

        fs::write(&comps, "<comps>").unwrap();
        let error = write(root.path(), &options).unwrap_err().to_string();
        assert!(error.contains("comps.xml"), "{error}");
        let after = fs::read(root.path().join("repodata/repomd.xml")).unwrap();
        assert_eq!(before, after);
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(names.len(), 2, "nothing is left aside: {names:?}");
    }

    #[test]
    fn other_metadata_is_listed_by_its_type_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("modules.yaml");
        fs::write(&modules, "---\ndocument: modulemd\n").unwrap();
        let options = Options {
            revision: 7,
            more: BTreeMap::from([("modules".to_owned(), modules)]),
            workers: 1,
            ..Options::default()
        };
        let written = write(root.path(), &options).unwrap();
        let record = written.records.last().unwrap();
        assert_eq!(record.kind, "modules");
        assert!(
            record.location.ends_with("-modules.yaml.gz"),
            "{}",
            record.location
        );
        let mut text = String::new();
        let file = File::open(root.path().join(&record.location)).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "---\ndocument: modulemd\n");
        assert_eq!(super::super::read(root.path()).unwrap().repomd, written);
    }

    #[test]
    fn what_an_interrupted_run_left_goes_away_and_a_running_one_is_respected() {
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join(".repodata.new-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("x.rpm"), "not a package").unwrap();
        let options = Options {
            revision: 1,
            workers: 1,
            ..Options::default()
        };
        write(root.path(), &options).unwrap();
        assert!(!dead.exists());
        let staged = Staged::begin(root.path()).unwrap();
        assert!(matches!(
            write(root.path(), &options),
            Err(Error::Busy { .. })
        ));
        drop(staged);
        write(root.path(), &options).unwrap();
    }
}
