//! Running git, isolated from its surroundings.

use std::path::Path;
use std::process::Command;

use lustre_files::Advised;

use super::Error;
use crate::process;
use crate::store::Store;

/// Settings that hold whatever a configuration says: nothing is started, nothing fetched by a protocol that runs programs, and
/// what is read is what the objects say.
const SETTINGS: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.commitGraph=false",
    "core.untrackedCache=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "transfer.bundleURI=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.git.allow=always",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
];

/// git, for one source.
pub(super) struct Git<'s> {
    pub(super) store: &'s Store,
    pub(super) source: &'s str,
}

impl<'s> Git<'s> {
    pub(super) fn new(store: &'s Store, source: &'s str) -> Self {
        Self { store, source }
    }

    /// git, isolated from its surroundings.
    pub(super) fn command(&self) -> Command {
        let mut command = process::command("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }

    /// git in a repository of our own, whatever lies around it.
    pub(super) fn at(&self, repository: &Path) -> Command {
        let mut command = self.command();
        command.arg("--git-dir").arg(repository);
        command
    }

    pub(super) fn run(&self, command: &mut Command) -> Result<String, Error> {
        let out = process::output(command).map_err(|source| Error::Tool {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    pub(super) fn bytes(&self, command: &mut Command, input: &[u8]) -> Result<Vec<u8>, Error> {
        process::output_with_input(command, input).map_err(|source| Error::Tool {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })
    }

    pub(super) fn invalid(&self, why: impl Into<Advised>) -> Error {
        Error::Invalid {
            source_name: self.source.to_owned(),
            why: why.into(),
        }
    }
}
