//! What every command needs to know: where the project, the store and the target are.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::store::Store;
use lustre_packaging::target::Target;

use crate::cli::TargetArgs;
use crate::ui::Screen;

/// The project's folder.
pub fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The project's `specs/`.
pub fn specs() -> PathBuf {
    project().join("specs")
}

/// Where fetched and built things are kept: `chosen`, or the user's cache folder.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn store_folder(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match chosen {
        Some(path) => path.to_owned(),
        None => base_folder("XDG_CACHE_HOME", ".cache")
            .context("give the store's folder with --store")?,
    };
    std::path::absolute(&folder).with_context(|| format!("the path {}", folder.display()))
}

/// Where the development key is kept: outside any checkout, so that no commit can take it along.
///
/// # Errors
/// When neither `XDG_DATA_HOME` nor `HOME` is set.
pub fn key_folder() -> anyhow::Result<PathBuf> {
    base_folder("XDG_DATA_HOME", ".local/share").context("give a key with --key-file")
}

/// `lustre-repo` in one of the XDG base directories.
fn base_folder(variable: &str, under_home: &str) -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(under_home)))
        .map(|base| base.join("lustre-repo"))
        .with_context(|| format!("neither {variable} nor HOME is set"))
}

/// How many jobs may run at a time.
pub fn jobs(chosen: Option<NonZeroUsize>) -> usize {
    chosen
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
}

/// An open store and a loaded target.
#[derive(Debug)]
pub struct Context {
    /// The target.
    pub target: Target,
    /// The open store: no other run uses it meanwhile.
    pub store: Store,
    /// The screen.
    pub screen: Screen,
    /// How many jobs may run at a time.
    pub jobs: usize,
    /// What was given on the command line.
    pub arguments: TargetArgs,
}

impl Context {
    /// Loads the target and opens the store, waiting where another run uses it.
    ///
    /// # Errors
    /// When the target is unknown or malformed, or the store cannot be opened.
    pub fn open(arguments: &TargetArgs, who: &str) -> anyhow::Result<Self> {
        let target = Target::load(&specs(), &arguments.target)?;
        let screen = Screen::new();
        let folder = store_folder(arguments.store.as_deref())?;
        let store = Store::open(&folder, who, &mut |holder| {
            screen.line(&format!(
                "waiting for another run that uses {}: {holder}",
                folder.display()
            ));
        })
        .with_context(|| format!("the store {}", folder.display()))?;
        Ok(Self {
            target,
            store,
            screen,
            jobs: jobs(arguments.jobs),
            arguments: arguments.clone(),
        })
    }
}
