//! Three machines and one file system: a server with the release before makes it, mounts it after the upgrade, and again after that was
//! undone. It is on a disk of its own; the disks with the root are made of one chroot, in which dnf does what it does on a server.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use lustre_packaging::boot::accelerator::Choice;
use lustre_packaging::boot::image;
use lustre_packaging::boot::judge::{Expected, judge};
use lustre_packaging::boot::loader::Entry;
use lustre_packaging::boot::qemu::Machine;
use lustre_packaging::boot::{Error, needs};
use lustre_repository::history::History;
use lustre_repository::proof::{Check, Outcome, Verdict};
use lustre_repository::upgrade::{Journey, NotBegun, Pair};

use super::host::Host;
use super::input::BootInput;
use super::proof::{self, UPGRADE};
use crate::prove::boot_loader;
use crate::prove::chroot::{Chroot, Step};
use crate::prove::upgrade::OnServer;

/// The log of what dnf does, and the name of the chroot's clone.
const LOG: &str = "upgrades";

/// The checks of the three machines, where the repository has a release before that boots or keeps its data with something else.
pub fn checks(
    input: &BootInput<'_>,
    host: &Host<'_>,
    choice: &Choice,
) -> anyhow::Result<Vec<Check>> {
    let history = History::read(input.install.dist);
    let pair = match &history {
        Ok(history) => match Pair::of(history.as_ref()) {
            Ok(pair) => pair,
            Err(why) => return Ok(all(|name| Check::not_needed(name, &why))),
        },
        Err(error) => return Ok(all(|name| Check::not_run(name, &error.to_string()))),
    };
    if let Some(why) = pair.alike() {
        return Ok(all(|name| Check::not_needed(name, &why)));
    }
    // What the disk that is kept has is what the root's does without: together they grow to what one may.
    let scratch = input.install.scratch;
    needs::check(input.boot, scratch).map_err(Error::from)?;
    let chroot = Chroot::named(&input.install, LOG).map_err(anyhow::Error::msg)?;
    let step = chroot.logging_to(host.logs.of(LOG));
    let server = match OnServer::new(&step) {
        Ok(server) => server,
        Err(why) => return Ok(all(|name| Check::not_run(name, &why))),
    };
    (input.tell)(&format!("boot: dnf upgrade {} and back", pair.words()));
    let wanted = &step.target().install.packages;
    let checked = pair.words();
    let mut journey = match Journey::begin(pair, &server, wanted, &input.boot.packages) {
        Ok(journey) => journey,
        Err(NotBegun::Impossible(why)) => return Ok(all(|name| Check::not_needed(name, &why))),
        Err(NotBegun::Failed(findings)) => {
            let why = format!(
                "the release before cannot be installed: {}",
                findings.join("; ")
            );
            return Ok(all(|name| Check::not_run(name, &why)));
        }
    };
    let kept = image::empty_disk(
        &step.sandbox(),
        input.boot.disk_mib,
        &scratch.join("kept"),
        &host.logs.of(LOG),
    )
    .context("cannot make the disk of the file system that an upgrade keeps")?;

    let upgrade = &input.boot.upgrade;
    let mut made: Vec<Check> = Vec::new();
    for (name, guest) in
        UPGRADE
            .iter()
            .zip([&upgrade.predecessor, &upgrade.upgraded, &upgrade.undone])
    {
        if let Some(before) = made.iter().find(|check| check.result != Outcome::Pass) {
            let why = format!("`{}` failed, and this check depends on it", before.name);
            made.push(Check::not_run(&proof::in_proof(name), &why));
            continue;
        }
        let clock = Instant::now();
        let step_made = match *name {
            "upgrade" => journey.upgrade(),
            "undo" => journey.undo(),
            _ => lustre_repository::upgrade::Step::default(),
        };
        let verdict = if step_made.findings.is_empty() {
            let kernel = kernel(&step, &journey, name).map_err(anyhow::Error::msg)?;
            let on = GuestSetup {
                input,
                host,
                choice,
                step: &step,
                kept: &kept,
                checked: &checked,
            };
            on.machine(name, guest, kernel)?
        } else {
            Verdict::Fail {
                checked: checked.clone(),
                findings: step_made.findings,
            }
        };
        let check = Check::run(&proof::in_proof(name), input.install.logs, || verdict);
        let log = host.logs.of(name);
        made.push(Check {
            duration_ms: u64::try_from(clock.elapsed().as_millis()).ok(),
            log: check.log.or_else(|| {
                [log, host.logs.of(LOG)]
                    .into_iter()
                    .find(|log| log.exists())
            }),
            ..check
        });
    }
    Ok(made)
}

fn all(check: impl Fn(&str) -> Check) -> Vec<Check> {
    UPGRADE.map(|name| check(&proof::in_proof(name))).to_vec()
}

/// What boots: the boot loader's default; where nothing makes boot entries, the kernel of the release, or the distribution's own.
fn kernel(
    step: &Step<'_>,
    journey: &Journey<'_>,
    name: &str,
) -> Result<(String, Option<Entry>), String> {
    if let Some(entry) = boot_loader::default(step)? {
        return Ok((boot_loader::release(&entry).to_owned(), Some(entry)));
    }
    let ours = match name {
        "upgrade" => journey.kernel_now()?,
        _ => journey.kernel_before(),
    };
    match ours {
        Some(release) => Ok((release, None)),
        None => Ok((step.kernel_release()?, None)),
    }
}

/// What the machines have alike.
struct GuestSetup<'a> {
    input: &'a BootInput<'a>,
    host: &'a Host<'a>,
    choice: &'a Choice,
    step: &'a Step<'a>,
    kept: &'a PathBuf,
    checked: &'a str,
}

impl GuestSetup<'_> {
    /// Boots the chroot as it is, with the disk that is kept, and judges `checks`.
    fn machine(
        &self,
        name: &str,
        checks: &[String],
        (release, entry): (String, Option<Entry>),
    ) -> anyhow::Result<Verdict> {
        let (input, logs) = (self.input, self.host.logs);
        let boot = input.boot.with_checks(checks);
        let scratch = input.install.scratch;
        let folder = scratch.join(format!("{LOG}-image"));
        let image = image::make(
            &self.step.sandbox(),
            image::Guest {
                boot: &boot,
                scripts: &input.specs.join(&boot.guest),
                kept: boot.images_folder(),
            },
            &release,
            entry.as_ref(),
            &folder,
            &logs.of(LOG),
        )
        .with_context(|| format!("cannot make a disk image of the server of the check {name}"))?;
        let console = logs.of(&format!("{name}-console"));
        let report = scratch.join(format!("{name}-report"));
        let machine = Machine {
            accelerator: self.choice.accelerator,
            kept: Some(self.kept),
            ..self.host.machine(input, &image, &console, &report)
        };
        let of = format!("{name}, ");
        let ran = self.host.run(input, &machine, &of, &logs.of(LOG))?;
        remove(&folder)?;
        let expected = Expected {
            boot: &boot,
            release: &release,
            kernel_log: self.host.kernel_log,
        };
        let of = match name {
            "upgrade" => format!("the file system of the release before is mounted after dnf upgrade {}", self.checked),
            "undo" => "after dnf history undo last, the release before mounts it again, and its e2fsck finds it clean".to_owned(),
            _ => "the release before makes a file system, and boots".to_owned(),
        };
        proof::machine(name, &of, &judge(&expected, &ran), logs)
    }
}

/// A disk less: the next one is made anew.
fn remove(folder: &Path) -> anyhow::Result<()> {
    lustre_files::remove_tree(folder).with_context(|| folder.display().to_string())
}
