//! How the tool was started: by the cargo of a checkout, or by itself; and what it is called so.

use std::borrow::Cow;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lustre_packaging::process;

/// What cargo's users call the tool.
pub const CARGO: &str = "cargo xtask";

/// What it is called where it was installed.
pub const PROGRAM: &str = "lustre-repo";

/// The checkout whose cargo runs this, if one does.
pub fn checkout() -> Option<PathBuf> {
    let ours = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    // Another program's may have started this, too.
    let is_ours = ours.is_absolute()
        && ours.ends_with("xtask")
        && ours.with_file_name("specs").join("targets").is_dir();
    Some(ours.parent().filter(|_| is_ours)?.to_owned())
}

/// The cargo that runs this, in the checkout: in a group of its own, so that all that it starts ends when we are told to.
pub fn cargo(checkout: &Path) -> Command {
    let mut command = process::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.process_group(0).current_dir(checkout);
    command
}

/// What the tool is called, as it was started.
pub fn called() -> &'static str {
    static CALLED: OnceLock<&str> = OnceLock::new();
    CALLED.get_or_init(|| match checkout() {
        Some(_) => CARGO,
        None => PROGRAM,
    })
}

/// `text` for people, in which the tool is called by the name it was started by.
pub fn as_called(text: &str) -> Cow<'_, str> {
    if called() != CARGO && text.contains("cargo xtask ") {
        Cow::Owned(text.replace("cargo xtask ", &format!("{} ", called())))
    } else {
        Cow::Borrowed(text)
    }
}
