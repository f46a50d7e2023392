//! What the install proof needs: a server, and the repository that is installed on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_packaging::buildroot::Base;
use lustre_packaging::store::StageDir;
use lustre_packaging::target::Target;

use crate::graph::{self, BuildGraph, name};
use crate::session;

/// What a repository is for: a server of the distribution, as the stages made it.
#[derive(Debug)]
pub struct Server {
    /// The target as it is built: with the versions of sources that were replaced.
    pub target: Target,
    /// What `uname -r` says where it runs the distribution's own kernel; none where it runs ours.
    pub own_kernel: Option<String>,
    /// The distribution's packages.
    pub base: Base,
    /// The repository of what it publishes later, where it was made here.
    pub updates: Option<PathBuf>,
    /// The chroot made from them alone.
    pub root: PathBuf,
}

impl Server {
    /// The stages that make it.
    pub const STAGES: [&str; 2] = [name::DISTRIBUTION, name::INSTALL_ROOT];

    /// The server that the stages of `graph` made.
    pub fn of(graph: &BuildGraph<'_>, done: &BTreeMap<String, StageDir>) -> anyhow::Result<Self> {
        let distribution = session::folder(done, name::DISTRIBUTION)?;
        let updates = distribution.join(lustre_distro::build::UPDATES);
        Ok(Self {
            target: graph.target.as_ref().clone(),
            own_kernel: graph.own_kernel_release()?,
            base: graph::base(&graph.target, &distribution),
            updates: updates.is_dir().then_some(updates),
            root: session::folder(done, name::INSTALL_ROOT)?.join("root"),
        })
    }

    /// The base repository.
    pub fn base_repository(&self) -> &Path {
        &self.base.repos[0].folder
    }
}

/// What the install proof needs.
#[derive(Debug)]
pub struct InstallInput<'a> {
    /// What it is installed on.
    pub server: &'a Server,
    /// The repository's tree.
    pub dist: &'a Path,
    /// A folder for the clone; removed by the caller.
    pub scratch: &'a Path,
    /// Where logs go.
    pub logs: &'a Path,
}

/// The log of the check `name`.
pub(super) fn log_of(input: &InstallInput<'_>, name: &str) -> PathBuf {
    input.logs.join(format!("prove-{name}.log"))
}
