//! The kernel guard: a newer kernel of the distribution is installed over the one that has Lustre, and is not what boots.

use std::path::PathBuf;

use lustre_packaging::boot::loader::Entry;
use lustre_repository::kernel_guard::{self, NOTE, RUNNING_NOTE, STATE};
use lustre_repository::proof::Verdict;
use lustre_repository::repodata::{self, Evr, Package};

use super::boot_loader;
use super::chroot::Step;

/// The package whose scriptlet has the boot entry made.
const KERNEL: &str = "kernel-core";

/// dnf's name for the repository of what the distribution publishes later, and where that is inside.
const UPDATES: &str = "updates";

/// The default stays with a newer kernel; goes with the guard, and comes back with it; and nothing is left when that kernel goes.
pub fn kernel_guard(step: &Step<'_>) -> Verdict {
    let checked = format!("{} keeps the boot default", kernel_guard::NAME);
    match checks(step) {
        Ok((findings, note)) if findings.is_empty() => Verdict::Pass { checked, note },
        Ok((findings, _)) => Verdict::Fail { checked, findings },
        Err(error) => Verdict::Fail {
            checked,
            findings: vec![error],
        },
    }
}

/// What is wrong; and what is worth saying.
fn checks(step: &Step<'_>) -> Result<(Vec<String>, String), String> {
    let ours = step.kernel_release()?;
    if !step
        .ours_installed()?
        .iter()
        .any(|one| one == kernel_guard::NAME)
    {
        return Err(format!(
            "{} did not come with the packages of the target, although it supplements {}",
            kernel_guard::NAME,
            kernel_guard::GUARDED
        ));
    }
    let Some(before) = boot_loader::default(step)? else {
        return Ok((
            Vec::new(),
            "not needed: no package of [install] makes boot entries, so there is no default to keep".to_owned(),
        ));
    };
    let mut findings = Vec::new();
    expect(&before, &ours, "before", &mut findings);
    let Some(newer) = newest(step, &ours)? else {
        return Ok((
            findings,
            format!(
                "not needed: the distribution has no kernel newer than {ours}, which is the default"
            ),
        ));
    };
    let release = release_of(&newer);
    let nevra = newer.nevra();
    let updates = step.updates_option();
    let with = |arguments: &[&str]| {
        let mut line: Vec<&str> = updates.iter().map(String::as_str).collect();
        line.extend(arguments);
        step.dnf(&line)
    };

    let there = step.output("rpm", &["-q", &nevra]).is_ok();
    if there && step.runs_own_kernel() {
        // The chroot was made with the one that they are for, and no other.
        findings.push(format!(
            "{nevra} came with our packages, which are for {ours}: one of them requires what only the newer kernel provides"
        ));
    }
    with(&[if there { "reinstall" } else { "install" }, &nevra])?;
    expect(
        &default(step)?,
        &ours,
        &format!("after {release} was installed"),
        &mut findings,
    );
    let note = step.output("cat", &[NOTE]).unwrap_or_default();
    for part in [&ours, &release] {
        if !note.contains(part.as_str()) {
            findings.push(format!(
                "{NOTE} does not name {part} after {release} was installed: `{}`",
                note.trim()
            ));
        }
    }

    // What the distribution does by itself: without this, nothing above would have been shown.
    step.dnf(&["remove", kernel_guard::NAME])?;
    expect(
        &default(step)?,
        &release,
        "after the guard was removed",
        &mut findings,
    );
    findings.extend(left(step, "after the guard was removed")?);

    step.dnf(&["install", kernel_guard::NAME])?;
    expect(
        &default(step)?,
        &ours,
        "after the guard was installed again",
        &mut findings,
    );

    if !there {
        with(&["remove", &nevra])?;
        expect(
            &default(step)?,
            &ours,
            &format!("after {release} was removed"),
            &mut findings,
        );
        findings.extend(left(step, &format!("after {release} was removed"))?);
    }
    Ok((
        findings,
        format!("{ours} stays the default with {release}, which is it without the guard"),
    ))
}

/// The default, where there must be one.
fn default(step: &Step<'_>) -> Result<Entry, String> {
    boot_loader::default(step)?.ok_or_else(|| "all boot entries are gone".to_owned())
}

fn expect(found: &Entry, release: &str, when: &str, findings: &mut Vec<String>) {
    let found = boot_loader::release(found);
    if found != release {
        findings.push(format!("the boot default {when} is {found}, not {release}"));
    }
}

/// What the guard left that is not true any more.
fn left(step: &Step<'_>, when: &str) -> Result<Vec<String>, String> {
    let files = [NOTE, RUNNING_NOTE, STATE].join(" ");
    let script =
        format!("for file in {files}; do if [ -e \"$file\" ]; then echo \"$file\"; fi; done");
    let found = step.output("sh", &["-c", &script])?;
    Ok(found
        .lines()
        .map(|file| format!("{file} is still there {when}"))
        .collect())
}

/// The newest kernel of the distribution, where it is newer than `ours`.
fn newest(step: &Step<'_>, ours: &str) -> Result<Option<Package>, String> {
    let ours = version_of(ours)?;
    let folders: Vec<PathBuf> = step.updates().into_iter().chain([step.base()]).collect();
    let mut newest: Option<Package> = None;
    for folder in folders {
        let metadata = repodata::read(&folder).map_err(|error| error.to_string())?;
        for package in metadata.packages {
            let above = |evr: &Evr| package.evr.compare(evr).is_gt();
            if package.name == KERNEL
                && above(&ours)
                && newest.as_ref().is_none_or(|other| above(&other.evr))
            {
                newest = Some(package);
            }
        }
    }
    Ok(newest)
}

/// The version and release of the kernel `release`, as `uname -r` says it.
fn version_of(release: &str) -> Result<Evr, String> {
    let version = release
        .rsplit_once('.')
        .map_or(release, |(version, _)| version);
    Evr::parse(version).ok_or_else(|| format!("{version} is no version of a kernel"))
}

/// The packages of the base that belong to kernels newer than the distribution's own that our modules are for: what is only there to be
/// installed beside it, and meets no requirement of ours. None where servers run a kernel of ours.
pub(super) fn of_later_kernels(step: &Step<'_>) -> Result<Vec<String>, String> {
    if !step.runs_own_kernel() {
        return Ok(Vec::new());
    }
    let ours = version_of(&step.kernel_release()?)?;
    let metadata = repodata::read(&step.base()).map_err(|error| error.to_string())?;
    Ok(later(&metadata.packages, &ours))
}

/// Those of `packages` that are parts of a kernel newer than `ours`.
fn later(packages: &[Package], ours: &Evr) -> Vec<String> {
    let of_kernel = |package: &&Package| {
        package
            .provides
            .iter()
            .any(|one| one.name.starts_with("kernel(") || one.name.ends_with("-uname-r"))
    };
    packages
        .iter()
        .filter(of_kernel)
        .filter(|package| package.evr.compare(ours).is_gt())
        .map(Package::nevra)
        .collect()
}

/// What `uname -r` would say.
fn release_of(package: &Package) -> String {
    let release = package.evr.release.as_deref().unwrap_or_default();
    format!("{}-{release}.{}", package.evr.version, package.arch)
}

impl Step<'_> {
    /// dnf's options that make it know the repository of what the distribution publishes later, where there is one.
    fn updates_option(&self) -> Vec<String> {
        match self.updates() {
            None => Vec::new(),
            Some(_) => vec![
                format!("--repofrompath={UPDATES},{}", super::chroot::UPDATES),
                format!(
                    "--setopt={UPDATES}.gpgkey=file://{}",
                    super::chroot::BASE_KEY
                ),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use lustre_repository::repodata::Entry;

    use super::*;

    fn package(name: &str, evr: &str, provides: &str) -> Package {
        Package {
            name: name.to_owned(),
            evr: Evr::parse(evr).unwrap(),
            arch: "x86_64".to_owned(),
            provides: vec![Entry {
                name: provides.into(),
                ..Entry::default()
            }],
            ..Package::default()
        }
    }

    #[test]
    fn parts_of_kernels_that_are_newer_than_the_one_of_the_modules_are_found() {
        let ours = version_of("6.12.0-55.9.1.el10_0.x86_64").unwrap();
        let packages = [
            package("kernel-core", "6.12.0-55.9.1.el10_0", "kernel(iput)"),
            package("kernel-core", "6.12.0-55.10.1.el10_0", "kernel(iput)"),
            package(
                "kernel-modules-core",
                "6.12.0-55.10.1.el10_0",
                "kernel-modules-core-uname-r",
            ),
            package(
                "kernel-headers",
                "6.12.0-55.10.1.el10_0",
                "glibc-kernheaders",
            ),
            package("bash", "7-1", "/bin/sh"),
        ];
        assert_eq!(
            later(&packages, &ours),
            [
                "kernel-core-6.12.0-55.10.1.el10_0.x86_64",
                "kernel-modules-core-6.12.0-55.10.1.el10_0.x86_64"
            ]
        );
    }
}
