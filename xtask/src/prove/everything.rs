//! All packages of the release at once: `-devel`, debug symbols and what no target installs by itself.

use lustre_repository::closure::exclusion::together;
use lustre_repository::layout::Kind;
use lustre_repository::proof::Verdict;
use lustre_repository::repodata::{self, Package};

use super::chroot::Step;

/// Unpacked, debug symbols up to this size are installed. Of more, dnf and rpm only try the transaction.
const MAX_DEBUGINFO: u64 = 2 << 30;

/// dnf installs every package of ours beside all others, but those that say themselves that they cannot be.
pub fn install(step: &Step<'_>) -> Verdict {
    match installed(step) {
        Ok((checked, note)) => Verdict::Pass { checked, note },
        Err((checked, finding)) => Verdict::Fail {
            checked,
            findings: vec![finding],
        },
    }
}

/// What was installed and what is worth saying; or the same with what went wrong.
fn installed(step: &Step<'_>) -> Result<(String, String), (String, String)> {
    let unread = |why: String| ("all our packages".to_owned(), why);
    let read = |kind: Kind| -> Result<Vec<Package>, (String, String)> {
        let root = step.dist().join(kind.folder());
        let mut packages = repodata::read(&root)
            .map_err(|error| unread(error.to_string()))?
            .packages;
        step.retain_release(kind, &mut packages);
        Ok(packages)
    };
    let (binary, debuginfo) = (read(Kind::Binary)?, read(Kind::Debuginfo)?);
    let all: Vec<&Package> = binary.iter().chain(&debuginfo).collect();
    let (chosen, left_out) = together(&all);
    let of = |from: &[Package]| -> Vec<String> {
        let of_kind = |at: &&usize| from.iter().any(|one| std::ptr::eq(one, all[**at]));
        let chosen = chosen.iter().filter(of_kind);
        chosen.map(|at| all[*at].nevra()).collect()
    };
    let (binaries, symbols) = (of(&binary), of(&debuginfo));
    let checked = format!(
        "{} packages, {} of them with debug symbols",
        chosen.len(),
        symbols.len()
    );
    let wrong = |why: String| (checked.clone(), why);
    let mut notes: Vec<String> = left_out
        .iter()
        .map(|(at, other)| format!("{} excludes {}", all[*at].nevra(), all[*other].nevra()))
        .collect();

    let install = |options: &[&str], packages: &[String]| {
        if packages.is_empty() {
            return Ok(());
        }
        let mut line = options.to_vec();
        line.push("install");
        line.extend(packages.iter().map(String::as_str));
        step.dnf(&line).map_err(wrong)
    };
    install(&[], &binaries)?;
    let location = format!(
        "--setopt=lustre-debuginfo.baseurl=file://{}",
        Step::dist_file(Kind::Debuginfo.folder())
    );
    let mut options = vec!["--enablerepo=lustre-debuginfo", &location];
    let size: u64 = debuginfo.iter().map(|one| one.size_installed).sum();
    let tried = size > MAX_DEBUGINFO;
    if tried {
        options.push("--setopt=tsflags=test");
        notes.push(format!(
            "the debug symbols unpack to {size} bytes: the transaction was only tested"
        ));
    }
    install(&options, &symbols)?;

    let there = step
        .rpm_lines(&["-qa", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n"])
        .map_err(wrong)?;
    let missing: Vec<String> = chosen
        .iter()
        .map(|at| all[*at])
        .filter(|one| !tried || binary.iter().any(|other| std::ptr::eq(*one, other)))
        .map(file_name)
        .filter(|name| !there.contains(name))
        .collect();
    if missing.is_empty() {
        Ok((checked, notes.join("\n")))
    } else {
        let why = format!(
            "dnf succeeded, but these are not installed: {}",
            missing.join(", ")
        );
        Err((checked, why))
    }
}

/// The name without the epoch, as rpm's query gives it here.
fn file_name(package: &Package) -> String {
    let release = package.evr.release.as_deref().unwrap_or_default();
    format!(
        "{}-{}-{release}.{}",
        package.name, package.evr.version, package.arch
    )
}
