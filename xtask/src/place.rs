//! Where things are: the specs, the locks, the output, a site's defaults.
//!
//! `cargo xtask` works on the checkout whose cargo runs it. The program `lustre-repo`, started by itself, has the specs with it, and works
//! in the folder that it is started in. It never looks at the place where it was compiled.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_files::advised;
use lustre_packaging::sign::default_key_dir;

use crate::exit::Usage;
use crate::invocation::checkout;
use crate::own_specs;

/// The folder that stands for the current one, where no cargo runs the tool.
pub const FOLDER_VARIABLE: &str = "LUSTRE_REPO_FOLDER";

/// The specs that are used in place of the tool's own.
pub const SPECS_VARIABLE: &str = "LUSTRE_REPO_SPECS";

/// A site's defaults, in [`folder`].
pub const DEFAULTS: &str = "lustre-repo.toml";

/// What was chosen, from the moment that it is known.
static CHOSEN: OnceLock<Specs> = OnceLock::new();

#[derive(Debug)]
struct Specs {
    specs: PathBuf,
    /// Whether the specs are a folder that the user named.
    named: bool,
}

/// Where `dist/` and a site's defaults are: the checkout; for the program by itself the current folder, or the one that the variable names.
pub fn folder() -> Result<PathBuf, Usage> {
    if let Some(checkout) = checkout() {
        return Ok(checkout);
    }
    let here = match std::env::var_os(FOLDER_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => std::path::absolute(path),
        None => std::env::current_dir(),
    };
    here.map_err(|error| {
        Usage::new(advised(
            format!("the current folder, where the program works: {error}"),
            format!("name another with {FOLDER_VARIABLE}"),
        ))
    })
}

/// What [`folder`] is, in words.
pub fn folder_is() -> &'static str {
    match checkout() {
        Some(_) => "the checkout",
        None => "the folder that the program works in",
    }
}

/// Uses the specs at `named`, or those that come with the tool: the checkout's, or the program's own, which are put where they can be read.
pub fn settle(named: Option<&Path>) -> Result<(), Usage> {
    let specs = match (named, checkout()) {
        (Some(path), _) => {
            let path = std::path::absolute(path)
                .map_err(|error| Usage::new(format!("--specs {}: {error}", path.display())))?;
            if !path.join("targets").is_dir() {
                return Err(Usage::new(advised(
                    format!(
                        "{} has no folder `targets`, as the specs of this project have one",
                        path.display()
                    ),
                    "give the folder `specs` of a checkout, or a copy of it, with --specs",
                )));
            }
            path
        }
        (None, Some(checkout)) => checkout.join("specs"),
        (None, None) => own_specs::put(data_folder().as_deref())?,
    };
    let named = named.is_some();
    // Only the first call counts, and there is one command in a run.
    CHOSEN.get_or_init(|| Specs { specs, named });
    Ok(())
}

/// The specs: `specs/` of the checkout, unless others were chosen.
pub fn specs() -> PathBuf {
    match CHOSEN.get() {
        Some(chosen) => chosen.specs.clone(),
        None => checkout().unwrap_or_default().join("specs"),
    }
}

/// The specs that the user named.
pub fn named_specs() -> Option<PathBuf> {
    let chosen = CHOSEN.get().filter(|chosen| chosen.named)?;
    Some(chosen.specs.clone())
}

/// The user's data folder of this tool, as the XDG base directories have it.
fn data_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name);
    let keys = default_key_dir(variable("XDG_DATA_HOME"), variable("HOME"))?;
    Some(keys.parent()?.to_owned())
}

/// Where locks are: with the specs, where those are the user's. The program's own are the same for all who use it, and then it is `locks/`
/// of the folder that it works in.
pub fn locks() -> Result<PathBuf, Usage> {
    if checkout().is_some() || named_specs().is_some() {
        return Ok(specs().join("locks"));
    }
    Ok(folder()?.join("locks"))
}

/// That the defaults in `path` are the user's own, or the machine's: in a folder that others can write to, they would be theirs.
pub fn judge_owner(path: &Path) -> Result<(), Usage> {
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|data| data.uid());
    let Some(uid) = owner(path) else {
        // Who reads it says why it cannot be.
        return Ok(());
    };
    // In a user namespace root of the host has another number, which the root folder has, too.
    let own = rustix::process::geteuid().as_raw();
    if [Some(own), Some(0), owner(Path::new("/"))].contains(&Some(uid)) {
        return Ok(());
    }
    Err(Usage::new(advised(
        format!(
            "the defaults in {} belong to another user (id {uid}), who would decide what is built",
            path.display()
        ),
        "move to a folder of your own, or make the file yours with `chown`",
    )))
}
