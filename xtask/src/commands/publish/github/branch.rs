//! The branch that is served, by git: fetched without its history, and replaced by one commit without any.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process;
use lustre_repository::publishing::RemoteEntry;

use crate::context::variable;

/// The branch that is served.
pub const BRANCH: &str = "gh-pages";

/// Settings that hold for every run: nothing is started but gh for the token, nothing is asked, nothing of a configuration counts. Packages are
/// compressed already.
const SETTINGS: [&str; 14] = [
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.compression=0",
    "core.quotePath=false",
    "pack.window=0",
    "gc.auto=0",
    "maintenance.auto=false",
    "transfer.bundleURI=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=600",
    "credential.helper=",
    "credential.helper=!gh auth git-credential",
];

/// What its files are where they are plain ones.
const PLAIN: &str = "100644";

/// Something on the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    mode: String,
    /// What git calls its content.
    pub id: String,
    pub size: u64,
}

impl Entry {
    /// A plain file.
    pub fn file(id: String, size: u64) -> Self {
        Self {
            mode: PLAIN.to_owned(),
            id,
            size,
        }
    }

    pub fn found(&self) -> RemoteEntry {
        match self.mode.as_str() {
            "120000" => RemoteEntry::Link("somewhere".to_owned()),
            // Another repository.
            "160000" => RemoteEntry::Folder,
            _ => RemoteEntry::File {
                size: self.size,
                sha256: None,
            },
        }
    }
}

/// The branch.
pub struct Branch {
    folder: tempfile::TempDir,
    url: String,
    /// Its commit, where there is one.
    before: Option<String>,
}

impl Branch {
    /// That of the repository `owner/name`, as it is now.
    pub fn fetched(host: &str, owner: &str, name: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let mut branch = Self {
            folder,
            url: format!("https://{host}/{owner}/{name}.git"),
            before: None,
        };
        let mut command = branch.anywhere();
        command
            .args(["init", "--quiet", "--bare", "--template="])
            .arg(branch.repository());
        process::output(&mut command)?;
        let name = format!("refs/heads/{BRANCH}");
        let mut command = branch.remote();
        command.args(["ls-remote", "--refs", &branch.url, &name]);
        let listed = branch.asked(&mut command)?;
        let listed = String::from_utf8_lossy(&listed);
        let there = listed
            .lines()
            .find_map(|line| line.strip_suffix(&name)?.strip_suffix('\t'));
        let Some(there) = there else {
            return Ok(branch);
        };
        let mut command = branch.remote();
        command
            .args(["fetch", "--quiet", "--no-tags", "--depth=1"])
            .args(["--no-write-fetch-head", "--recurse-submodules=no"])
            .arg(&branch.url)
            .arg(format!("+{name}:refs/there"));
        branch.asked(&mut command)?;
        let mut command = branch.command();
        command.args(["rev-parse", "--verify", "refs/there^{commit}"]);
        let before = text(&process::output(&mut command)?);
        if before != there {
            bail!(moved());
        }
        branch.before = Some(before);
        Ok(branch)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    /// What is on it, by path.
    pub fn files(&self) -> anyhow::Result<BTreeMap<String, Entry>> {
        let Some(before) = &self.before else {
            return Ok(BTreeMap::new());
        };
        let mut command = self.command();
        command.args(["ls-tree", "-r", "-l", "-z", "--full-tree", before]);
        let listed = process::output(&mut command)?;
        let lines = listed.split(|byte| *byte == 0);
        let entries = lines.filter(|line| !line.is_empty()).map(entry);
        let entries: Option<BTreeMap<String, Entry>> = entries.collect();
        entries.with_context(|| {
            advised(
                format!("the branch {BRANCH} has a name that is no text"),
                "rename it there, or have another repository",
            )
        })
    }

    /// What a file of it has.
    pub fn read(&self, entry: &Entry) -> anyhow::Result<Vec<u8>> {
        let mut command = self.command();
        command.args(["cat-file", "blob", &entry.id]);
        Ok(process::output(&mut command)?)
    }

    /// What git calls the contents of these files of this machine; with `keep`, they are kept for the next commit.
    pub fn ids(&self, files: &[&Path], keep: bool) -> anyhow::Result<Vec<String>> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = self.command();
        command.args(["hash-object", "--no-filters", "--stdin-paths"]);
        if keep {
            command.arg("-w");
        }
        let mut list = Vec::new();
        for file in files {
            let file = std::path::absolute(file)?;
            list.extend_from_slice(file.as_os_str().as_bytes());
            list.push(b'\n');
        }
        let said = text(&process::output_with_input(&mut command, &list)?);
        let ids: Vec<String> = said.lines().map(str::to_owned).collect();
        if ids.len() != files.len() {
            bail!("git named {} of {} files", ids.len(), files.len());
        }
        Ok(ids)
    }

    /// The same of a content, which is kept.
    pub fn id_of(&self, content: &[u8]) -> anyhow::Result<String> {
        let mut command = self.command();
        command.args(["hash-object", "-w", "--stdin"]);
        Ok(text(&process::output_with_input(&mut command, content)?))
    }

    /// Makes the branch be these files, in one step. Whether it was anything else before.
    pub fn pushed(
        &self,
        files: &BTreeMap<String, Entry>,
        message: &str,
        time: u64,
    ) -> anyhow::Result<bool> {
        let mut list = Vec::new();
        for (path, entry) in files {
            list.extend_from_slice(format!("{} {}\t{path}\0", entry.mode, entry.id).as_bytes());
        }
        let mut command = self.command();
        command.args(["update-index", "-z", "--index-info"]);
        process::output_with_input(&mut command, &list)?;
        let mut command = self.command();
        command.arg("write-tree");
        let tree = text(&process::output(&mut command)?);
        if let Some(before) = &self.before {
            let mut command = self.command();
            command.args(["rev-parse", "--verify", &format!("{before}^{{tree}}")]);
            if text(&process::output(&mut command)?) == tree {
                return Ok(false);
            }
        }
        let mut command = self.command();
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "lustre-repo")
                .env(format!("GIT_{who}_EMAIL"), "")
                .env(format!("GIT_{who}_DATE"), format!("@{time} +0000"));
        }
        command.args(["commit-tree", "-F", "-", &tree]);
        let commit = process::output_with_input(&mut command, message.as_bytes())?;
        let commit = text(&commit);
        let name = format!("refs/heads/{BRANCH}");
        let before = self.before.as_deref().unwrap_or_default();
        let mut command = self.remote();
        command
            .args(["push", "--quiet", "--porcelain", "--no-verify"])
            .arg(format!("--force-with-lease={name}:{before}"))
            .arg(&self.url)
            .arg(format!("{commit}:{name}"));
        let done = process::capture(&mut command)?;
        if done.status.success() {
            return Ok(true);
        }
        let said = String::from_utf8_lossy(&done.stdout);
        if said.contains("(stale info)") {
            bail!(moved());
        }
        let more = String::from_utf8_lossy(&done.stderr);
        let said = said.lines().filter(|line| line.starts_with('!'));
        let said: Vec<&str> = said.chain(more.lines()).map(str::trim).collect();
        bail!(advised(
            format!(
                "git cannot push the branch {BRANCH} to {}: {}: {}",
                self.url,
                done.status,
                said.join("; ")
            ),
            "clients read what they read before; see whether the token may write to the repository's contents, and whether a rule protects the \
             branch; then run the same command again"
        ))
    }

    /// What a run that talks to the host says.
    fn asked(&self, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        process::output(command).with_context(|| {
            advised(
                format!("git cannot read {}", self.url),
                "see whether the token may read the repository; nothing was sent",
            )
        })
    }

    fn command(&self) -> Command {
        let mut command = self.anywhere();
        command.arg("--git-dir").arg(self.repository());
        command
    }

    /// The same for what talks to the host: gh, which it starts, gives it the token.
    fn remote(&self) -> Command {
        let mut command = self.command();
        process::with_tokens(&mut command);
        command
    }

    fn anywhere(&self) -> Command {
        let mut command = process::command("git");
        for (name, _) in std::env::vars_os() {
            // Among them what would have it show what it sends.
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        // The certificates of a site.
        for name in ["GIT_SSL_CAINFO", "GIT_SSL_CAPATH"] {
            command.envs(variable(name).map(|value| (name, value)));
        }
        for name in ["GH_DEBUG", "DEBUG"] {
            command.env_remove(name);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // Nobody is asked.
            .env("GIT_ASKPASS", "")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }
}

fn moved() -> lustre_files::Advised {
    advised(
        format!("somebody else changed the branch {BRANCH} meanwhile, and it is as they left it"),
        "look what they did, and run the same command again",
    )
}

fn text(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim_end().to_owned()
}

/// A line of `git ls-tree -l`: mode, type, id, size, and behind a tab the path.
fn entry(line: &[u8]) -> Option<(String, Entry)> {
    let line = std::str::from_utf8(line).ok()?;
    let (words, path) = line.split_once('\t')?;
    let mut words = words.split_whitespace();
    let (mode, _, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let entry = Entry {
        mode: mode.to_owned(),
        id: id.to_owned(),
        // That of another repository is none.
        size: size.parse().unwrap_or_default(),
    };
    Some((path.to_owned(), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_with_its_links_and_other_repositories() {
        let id = "8baef1b4abc478178b004d62031cf7fe6db6f903";
        for (line, path, found) in [
            (
                format!("100644 blob {id}    1234\ta b/c"),
                "a b/c",
                RemoteEntry::File {
                    size: 1234,
                    sha256: None,
                },
            ),
            (
                format!("120000 blob {id}       4\tl"),
                "l",
                RemoteEntry::Link("somewhere".to_owned()),
            ),
            (
                format!("160000 commit {id}       -\tm"),
                "m",
                RemoteEntry::Folder,
            ),
        ] {
            let (name, entry) = entry(line.as_bytes()).unwrap();
            assert_eq!((name.as_str(), entry.found()), (path, found));
            assert_eq!(entry.id, id);
        }
        for odd in [&b"100644 blob x"[..], b"\xff\tx", b"a b c\tx"] {
            assert_eq!(entry(odd), None);
        }
    }
}
