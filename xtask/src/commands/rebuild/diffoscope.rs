//! How two packages differ, in detail, where the host has diffoscope.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use lustre_packaging::process::Bounded;
use lustre_packaging::{process, sandbox};

use crate::context::Context;

/// What tells in detail how two packages differ, where the host has it.
pub const DIFFOSCOPE: &str = "diffoscope";

/// How long that may take of the processor: whoever wrote a package could keep it busy without end.
const DIFFOSCOPE_TIME: Duration = Duration::from_secs(30 * 60);

/// What diffoscope says, in a file; none where the host has none.
pub fn report(
    context: &Context,
    nevra: &str,
    published: &Path,
    made: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    if !Path::new("/usr/bin").join(DIFFOSCOPE).exists() {
        return Ok(None);
    }
    let scratch = context.store.temp_dir(DIFFOSCOPE)?;
    let (files, home) = (scratch.path().join("files"), scratch.path().join("home"));
    for folder in [&files, &home] {
        std::fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    }
    for (from, to) in [(published, "published.rpm"), (made, "rebuilt.rpm")] {
        lustre_files::copy(from, files.join(to)).with_context(|| from.display().to_string())?;
    }
    let arguments = [
        "--text=/home/report.txt",
        "/files/published.rpm",
        "/files/rebuilt.rpm",
    ];
    let sandbox = sandbox::reading(&files, "/files")?
        .writable(&home, "/home")
        .env("HOME", "/home");
    sandbox.give(&home)?;
    let mut command = sandbox.command("diffoscope", &arguments);
    let ran = match process::capture_bounded(&mut command, DIFFOSCOPE_TIME)? {
        Bounded::Ended(ran) => ran,
        Bounded::Busy => bail!(
            "it had not ended after {} minutes of processor time",
            DIFFOSCOPE_TIME.as_secs() / 60
        ),
    };
    let report = home.join("report.txt");
    let text = lustre_files::read_no_link(&report, lustre_files::SOURCE);
    let text = lustre_files::if_there(text)?.ok_or_else(|| {
        anyhow!(
            "it ended with {}: {}",
            ran.status,
            String::from_utf8_lossy(&ran.stderr).trim().escape_debug()
        )
    })?;
    // A package may be called anything.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+~^-".contains(letter);
    let named = nevra.replace(|letter| !plain(letter), "_");
    let to = context
        .store
        .logs_dir()
        .join(format!("rebuild-{named}.{DIFFOSCOPE}.txt"));
    lustre_files::write_whole(&to, &text).with_context(|| to.display().to_string())?;
    Ok(Some(to))
}
