//! That what was published installs: `verify URL`, by this very program. Publishing needs the user's own ssh, and proofs a namespace of our own.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use lustre_files::shown_url;
use lustre_packaging::process;
use lustre_packaging::sign::PublicKey;

use super::source::Source;
use crate::cli::{Look, PlaceArgs};
use crate::place;
use crate::ui;

/// The exit code of proofs that do not hold.
const UNPROVEN: i32 = 3;

/// Fetches what is served at `url`, and proves and installs it, where that is asked for; or gives why it is not what it has to be.
pub fn installs(
    arguments: &PlaceArgs,
    url: &str,
    source: &Source,
) -> anyhow::Result<Result<(), String>> {
    if arguments.check < Look::Install {
        return Ok(Ok(()));
    }
    let target = &arguments.target;
    let fingerprint = PublicKey::parse(&source.public_key)?.fingerprint();
    let shown = shown_url(url);
    ui::say(&format!("verifying {shown}"));
    let mut command = process::ourselves("sh");
    command
        .args(["-c", "exec \"$@\"", "sh"])
        .arg(std::env::current_exe()?)
        .args(["verify", url, "--public-key", &fingerprint])
        // Near the end of a key, a release tells servers of the next one, or mends what cannot wait.
        .args(["--key-days", "0"])
        .env(place::FOLDER_VARIABLE, place::folder()?)
        // A terminal's Ctrl-C is for us alone: what we hand on would be its second signal, which ends it without cleaning up.
        .process_group(0)
        .stdin(Stdio::null())
        // The result is ours to tell.
        .stdout(Stdio::null());
    if arguments.target_given {
        command.args(["--target", &target.target]);
    }
    if let Some(store) = &target.store {
        command.arg("--store").arg(store);
    }
    if let Some(specs) = place::named_specs() {
        command.arg("--specs").arg(specs);
    }
    if let Some(release) = &target.lustre {
        command.args(["--lustre", release]);
    }
    if let Some(jobs) = target.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    for source in &target.sources {
        command.args(["--source", source]);
    }
    for name in &target.allow_incomplete {
        command.args(["--allow-incomplete", name]);
    }
    for mirror in &target.mirrors {
        command.args(["--mirror", mirror]);
    }
    for (given, option) in [(target.setup, "--setup"), (target.locked, "--locked")] {
        if given {
            command.arg(option);
        }
    }
    let status = match process::status(process::ends_with_us(&mut command)) {
        Err(process::Error::Interrupted { .. }) => bail!(
            "it is there, and `verify {shown}` was not done to its end; run that again by itself"
        ),
        status => status.context("cannot start `verify`")?,
    };
    match status.code() {
        Some(0) => Ok(Ok(())),
        Some(UNPROVEN) => Ok(Err(format!(
            "`verify {shown}` found what is not as it has to be; its messages are above"
        ))),
        _ => bail!(
            "it is there, but `verify {shown}` could not be done ({status}); its messages are above. Run it again by itself"
        ),
    }
}
