//! The names of what a store has.

use std::path::Path;

use super::Digest;

/// The name of the file that says that a folder is a store.
pub const MARK: &str = "lustre-repo-store";

/// The name of the file that says who builds in the store.
pub const LOCK: &str = "store.lock";

/// The name of the file that all who use the store hold.
pub(super) const READERS: &str = "store.use";

/// The folders of a store.
pub(super) const FOLDERS: [&str; 12] = [
    "files", "stages", "targets", "outputs", "partial", "git", "apt", "logs", "second", "watch",
    "ccache", "tmp",
];

/// Those of them that are made once something is put there.
pub(super) const SELDOM: [&str; 2] = ["second", "ccache"];

/// How the folders of logs begin of runs that look on beside another.
pub(super) const BESIDE: &str = "beside-";

/// The name of a stage's folder.
pub(super) fn place_name(name: &str, key: &Digest) -> String {
    format!("{name}-{}", key.short())
}

/// Whether a name is one that a stage's folder gets.
pub(super) fn is_place(name: &str) -> bool {
    let Some((stage, key)) = name.rsplit_once('-') else {
        return false;
    };
    is_name(stage) && key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a stage may have this name: it makes a folder's name.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}

/// How the names of stages end in `tmp` that were taken out of `stages`, or replaced there.
pub(super) const REPLACED: &str = ".replaced";

/// Whether what is called so in `tmp` is such a stage.
pub(super) fn is_replaced(path: &Path) -> bool {
    path.to_string_lossy().ends_with(REPLACED)
}
