//! What a run that publishes has of its own.

use anyhow::Context as _;
use lustre_packaging::store::{Store, TempDir};

use crate::cli::TargetArgs;
use crate::context;

/// What a run has of its own.
pub struct Workspace {
    /// Its logs are there afterwards.
    pub store: Store,
    /// For what is fetched.
    pub scratch: TempDir,
}

impl Workspace {
    /// In the store: what a killed run leaves there, the next one removes.
    pub fn open(command: &str, arguments: &TargetArgs) -> anyhow::Result<Self> {
        let folder = context::store_folder(arguments.store.as_deref())?;
        let who = context::who(command, arguments);
        let store = Store::beside(&folder, &who, &mut |_| {})
            .with_context(|| format!("the store {}", folder.display()))?;
        // Only the first call counts, and there is one store in a run.
        let _ = tempfile::env::override_temp_dir(store.tmp_dir());
        let scratch = store.temp_dir(command)?;
        Ok(Self { store, scratch })
    }
}
