//! Publishing by rsync, to a daemon or by ssh.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process;
use lustre_repository::publishing::{Listing, PARTIAL, RemoteEntry, Shape, Upload};

use super::destination::Destination;

/// rsync's exit code where a file or folder is not there, among others.
const PARTLY: i32 = 23;

/// What it says then, in the language that it is told to speak.
const NOT_THERE: &str = "No such file or directory";

/// A place that rsync reaches.
pub struct Rsync {
    /// Where, with a slash at its end.
    to: String,
    /// Whether it is reached by ssh, or what stands in for that: its path goes through a shell there.
    by_shell: bool,
    /// Whether the place is there.
    made: Cell<bool>,
    /// Whether the folder for half-sent files is.
    prepared: Cell<bool>,
    /// For lists and links.
    scratch: tempfile::TempDir,
}

impl Rsync {
    /// The place `to`, without a slash at its end.
    pub fn new(to: &str) -> anyhow::Result<Self> {
        Ok(Self {
            to: format!("{to}/"),
            by_shell: !to.starts_with("rsync://") && !to.contains("::"),
            made: Cell::new(true),
            prepared: Cell::new(false),
            scratch: tempfile::tempdir().context("a temporary folder")?,
        })
    }

    /// rsync with what every run of it takes. The languages of the machine are not those that we read.
    fn command(&self) -> Command {
        let mut command = process::command("rsync");
        command.env("LC_ALL", "C").env("TZ", "UTC");
        command.args(["--timeout=600", "--no-human-readable"]);
        if self.by_shell {
            // Nothing of the path is for the shell.
            command.arg("--secluded-args");
        }
        command
    }

    /// Runs it, from `from` to the destination.
    fn send(&self, mut command: Command, from: &Path) -> anyhow::Result<()> {
        let mut folder = from.as_os_str().to_owned();
        folder.push("/");
        command.arg("--").arg(folder).arg(&self.to);
        let done = process::capture(&mut command)?;
        self.judge(&done)
    }

    fn judge(&self, done: &Output) -> anyhow::Result<()> {
        if done.status.success() {
            return Ok(());
        }
        // ssh ends its lines as a terminal has them.
        let said = String::from_utf8_lossy(&done.stderr).replace('\r', "");
        let said = said.trim();
        let failed = format!("rsync to {}: {}: {said}", self.to, done.status);
        bail!(advised(failed, advice(&self.to, self.by_shell, said)))
    }

    /// A list of paths for `--files-from`.
    fn list_of<'p>(&self, paths: impl Iterator<Item = &'p str>) -> anyhow::Result<PathBuf> {
        let text: Vec<String> = paths.map(|path| format!("{path}\0")).collect();
        let list = self.scratch.path().join("list");
        fs::write(&list, text.concat()).with_context(|| list.display().to_string())?;
        Ok(list)
    }

    /// A folder of that name, empty.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.scratch.path().join(name);
        lustre_files::remove_tree(&folder)?;
        fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Has rsync send these paths of `from`.
    fn send_paths<'p>(
        &self,
        from: &Path,
        paths: impl Iterator<Item = &'p str>,
        options: &[&str],
    ) -> anyhow::Result<()> {
        self.prepare()?;
        let mut command = self.command();
        command
            .args(options)
            .args(["--chmod=D755,F644", "--from0"])
            .arg(arg("--files-from=", &self.list_of(paths)?));
        self.send(command, from)
    }

    /// Makes the place, and the folder for half-sent files.
    fn prepare(&self) -> anyhow::Result<()> {
        if self.prepared.get() {
            return Ok(());
        }
        let from = self.folder("prepare")?;
        let partial = from.join(PARTIAL);
        fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
        let mut command = self.command();
        command.args(["--dirs", "--chmod=D755", "--from0"]);
        if !self.made.get() {
            command.arg("--mkpath");
        }
        let list = self.list_of([PARTIAL].into_iter())?;
        command.arg(arg("--files-from=", &list));
        self.send(command, &from)?;
        self.prepared.set(true);
        Ok(())
    }

    /// Sends links. With a folder for half-sent files, rsync would remove the link that is there before it makes the new one; without, it
    /// renames it from a name beside it.
    fn send_links(&self, links: &BTreeMap<String, String>, options: &[&str]) -> anyhow::Result<()> {
        let from = self.folder("links")?;
        for (path, to) in links {
            let path = from.join(path);
            make_parent(&path)?;
            symlink(to, &path).with_context(|| path.display().to_string())?;
        }
        let paths = links.keys().map(String::as_str);
        self.send_paths(&from, paths, options)
    }
}

/// What to do about what rsync, or what it starts, said of the place `to`.
fn advice(to: &str, by_shell: bool, said: &str) -> String {
    const AGAIN: &str = "and run the same command again";
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (scheme, rest) = to.split_once("://").unwrap_or(("", to));
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    if has(&["No space left", "Disk quota exceeded"]) {
        return format!("make room there, {AGAIN}");
    }
    if has(&["read only", "read-only"]) {
        return "set `read only = no` for the module in its rsyncd.conf".to_owned();
    }
    if by_shell {
        let lacks = ["rsync: not found", "rsync: command not found"];
        if has(&lacks) || has(&["remote command not found"]) {
            return format!("install rsync on {host}, {AGAIN}");
        }
        let refused = [
            "Permission denied (",
            "verification failed",
            "IDENTIFICATION",
        ];
        if has(&refused) || has(&["ssh: ", "unexpectedly closed"]) {
            return format!("see that `ssh {host} true` works without a question, {AGAIN}");
        }
    } else {
        if has(&["Unknown module"]) {
            let daemon = match scheme {
                "" => format!("{host}::"),
                _ => format!("{scheme}://{}/", rest.split('/').next().unwrap_or_default()),
            };
            return format!(
                "begin the path with a module: `rsync {daemon}` lists those that there are"
            );
        }
        if has(&["auth failed", "password"]) {
            return "put the password into RSYNC_PASSWORD, and the user into the place: rsync://USER@HOST/MODULE".to_owned();
        }
        let nobody = ["failed to connect", "getaddrinfo", "timeout", "timed out"];
        if has(&nobody) || has(&["unexpectedly closed"]) {
            return format!(
                "see whether host and port are right, and whether rsync's daemon runs there with this module in its rsyncd.conf, {AGAIN}"
            );
        }
    }
    if has(&["Permission denied"]) {
        return "let the user as whom rsync runs there write to the folder".to_owned();
    }
    format!("mend what rsync says, {AGAIN}")
}

/// The rules that let these paths pass, and the folders that they are in. What a rule would take for a pattern is none of ours.
fn rules(paths: &[String]) -> BTreeSet<String> {
    let plain = |path: &&String| !path.contains(['*', '?', '[', '\\']);
    let mut rules = BTreeSet::new();
    for path in paths.iter().filter(plain) {
        let folders = path.match_indices('/').map(|(at, _)| &path[..=at]);
        rules.extend(folders.map(|folder| format!("/{folder}")));
        rules.insert(format!("/{path}"));
    }
    rules
}

fn arg(option: &str, path: &Path) -> std::ffi::OsString {
    let mut arg = std::ffi::OsString::from(option);
    arg.push(path);
    arg
}

fn make_parent(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())
}

impl Destination for Rsync {
    fn shape(&self) -> Shape {
        Shape::Linked
    }

    fn list(&self) -> anyhow::Result<Listing> {
        let mut command = self.command();
        command.args(["--recursive", "--links", "--list-only", "--8-bit-output"]);
        command.arg("--").arg(&self.to);
        let done = process::capture(&mut command)?;
        let said = String::from_utf8_lossy(&done.stderr);
        if done.status.code() == Some(PARTLY) && said.contains(NOT_THERE) && done.stdout.is_empty()
        {
            self.made.set(false);
            return Ok(Listing::new());
        }
        self.judge(&done)?;
        let text = String::from_utf8_lossy(&done.stdout);
        listed(&text).with_context(|| format!("the listing of {}", self.to))
    }

    fn local(&self, paths: &[String], scratch: &Path, largest: u64) -> anyhow::Result<PathBuf> {
        let into = scratch.join("there");
        fs::create_dir_all(&into).with_context(|| into.display().to_string())?;
        if paths.is_empty() {
            return Ok(into);
        }
        // By filters: a daemon of rsync 3.5 without chroot finds no file of a list in a folder of its module.
        let list = self.list_of(rules(paths).iter().map(String::as_str))?;
        let mut command = self.command();
        command
            .args(["--recursive", "--times", "--from0"])
            .arg(format!("--max-size={largest}"))
            .arg(arg("--include-from=", &list))
            .args(["--exclude=*", "--"])
            .arg(&self.to)
            .arg(&into);
        let done = process::capture(&mut command)?;
        self.judge(&done)?;
        Ok(into)
    }

    fn put(&self, puts: &[(PathBuf, &Upload)]) -> anyhow::Result<()> {
        let from = self.folder("files")?;
        for (file, put) in puts {
            let path = from.join(&put.path);
            make_parent(&path)?;
            symlink(file, &path).with_context(|| path.display().to_string())?;
        }
        let paths = puts.iter().map(|(_, put)| put.path.as_str());
        // Half-sent files lie where nobody looks. Time and size tell nothing of a file that was there before.
        let temporary = format!("--temp-dir={PARTIAL}");
        let options = [
            temporary.as_str(),
            "--copy-links",
            "--times",
            "--omit-dir-times",
            "--checksum",
        ];
        self.send_paths(&from, paths, &options)
    }

    fn link(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()> {
        self.send_links(links, &["--links"])
    }

    fn take_over(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()> {
        // One after the other, so that each is missing for no longer than it takes.
        for (path, to) in links {
            let one = BTreeMap::from([(path.clone(), to.clone())]);
            self.send_links(&one, &["--links", "--force"])?;
        }
        Ok(())
    }

    fn probe(&self, path: &str) -> anyhow::Result<()> {
        let mut command = self.command();
        command.arg("--list-only");
        command.arg("--").arg(format!("{}{path}", self.to));
        let done = process::capture(&mut command)?;
        if done.status.success() && !done.stdout.is_empty() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        bail!(advised(
            format!(
                "links at {} do not lead anywhere, and clients have read what they read before: {}",
                self.to,
                said.replace('\r', "").trim()
            ),
            "set `munge symlinks = no` for the module in its rsyncd.conf, or publish by HOST:PATH"
        ))
    }

    fn remove(&self, paths: &[String]) -> anyhow::Result<()> {
        // What is in the list and not here goes there.
        let from = self.folder("nothing")?;
        for path in paths {
            make_parent(&from.join(path))?;
        }
        let mut command = self.command();
        command
            .args(["--recursive", "--force", "--delete-missing-args", "--from0"])
            .args(["--omit-dir-times", "--chmod=D755"])
            .arg(arg(
                "--files-from=",
                &self.list_of(paths.iter().map(String::as_str))?,
            ));
        self.prepared.set(false);
        self.send(command, &from)
    }
}

/// What `rsync --list-only` shows: mode, size, date, time, name, and of a link what it points to.
fn listed(text: &str) -> anyhow::Result<Listing> {
    let mut listing = Listing::new();
    for line in text.lines() {
        let odd = || format!("not a line of `rsync --list-only`: {line}");
        let mut rest = line;
        let mut word = || {
            let start = rest.trim_start();
            let (word, after) = start.split_once(' ')?;
            rest = after;
            Some(word)
        };
        let (Some(mode), Some(size), Some(_), Some(_)) = (word(), word(), word(), word()) else {
            bail!(odd());
        };
        let size = size.replace(',', "").parse().with_context(odd)?;
        let (name, found) = match mode.as_bytes().first() {
            Some(b'd') => (rest, RemoteEntry::Folder),
            Some(b'l') => {
                let (name, to) = rest.split_once(" -> ").with_context(odd)?;
                (name, RemoteEntry::Link(to.to_owned()))
            }
            Some(_) => (rest, RemoteEntry::File { size, sha256: None }),
            None => bail!(odd()),
        };
        if name != "." {
            listing.insert(name.to_owned(), found);
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_passes_with_its_folders_and_as_what_it_is() {
        let paths = ["a/b/c", "a/d", "e", "a/*", "x[y]"].map(str::to_owned);
        let rules: Vec<String> = rules(&paths).into_iter().collect();
        assert_eq!(rules, ["/a/", "/a/b/", "/a/b/c", "/a/d", "/e"]);
    }

    #[test]
    fn a_listing_is_read_with_its_links_and_blanks() {
        let text = "drwxr-xr-x        4096 2026/11/27 00:11:22 .\n\
                    lrwxrwxrwx          16 2026/11/27 00:11:22 .releases/current -> A\n\
                    drwxr-xr-x           4 2026/11/27 00:11:21 .releases/A\n\
                    -rw-r--r--   1,234,567 2026/11/27 00:11:21 .releases/A/with blank\n";
        let listing = listed(text).unwrap();
        let wanted = [
            (".releases/current", RemoteEntry::Link("A".to_owned())),
            (".releases/A", RemoteEntry::Folder),
            (
                ".releases/A/with blank",
                RemoteEntry::File {
                    size: 1_234_567,
                    sha256: None,
                },
            ),
        ];
        let wanted = wanted.map(|(path, found)| (path.to_owned(), found));
        assert_eq!(listing, Listing::from(wanted));
        for odd in ["x", "drwxr-xr-x many 2026/11/27 00:11:21 a"] {
            let error = listed(odd).unwrap_err();
            assert!(format!("{error:#}").contains(odd), "{error:#}");
        }
    }
}
