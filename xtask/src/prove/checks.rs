//! What is checked in the chroot, one function a check.

use lustre_repository::history::location;
use lustre_repository::layout::Kind;
use lustre_repository::proof::Verdict;
use lustre_repository::repo_file::{KEY_FILE, NEXT_KEY_FILE};
use lustre_repository::{release_package, repodata};

use super::chroot::Step;

/// A check that ends early where a command of it fails.
pub(super) fn verdict(
    checked: impl Into<String>,
    check: impl FnOnce() -> Result<Vec<String>, String>,
) -> Verdict {
    let findings = check().unwrap_or_else(|error| vec![error]);
    Verdict::from_findings(checked, findings)
}

/// The key is imported, and the release package installs with its signature checked.
pub fn release_package(step: &Step<'_>) -> Verdict {
    verdict(release_package::NAME, || {
        step.run("rpm", &["--import", &Step::dist_file(KEY_FILE)])?;
        // Into a database of its own: nothing here is signed by it.
        if step.dist().join(NEXT_KEY_FILE).exists() {
            let next = Step::dist_file(NEXT_KEY_FILE);
            step.run("rpm", &["--dbpath", "/tmp/next-key", "--import", &next])?;
        }
        let root = step.dist().join(Kind::Binary.folder());
        let mut packages = repodata::primary(&root).map_err(|error| error.to_string())?;
        step.retain_release(Kind::Binary, &mut packages);
        packages.retain(|one| one.name == release_package::NAME);
        let [package] = packages.as_slice() else {
            return Err(format!(
                "the repository has {} packages of that name",
                packages.len()
            ));
        };
        let path = location(Kind::Binary, package);
        step.dnf(&["install", &Step::dist_file(&path)])?;
        Ok(Vec::new())
    })
}

/// `dnf install` of everything the target names, with signature checks on.
pub fn install(step: &Step<'_>) -> Verdict {
    let packages = &step.target().install.packages;
    verdict(packages.join(" "), || {
        let mut arguments = vec!["install"];
        arguments.extend(packages.iter().map(String::as_str));
        step.dnf(&arguments)?;
        let ours = step.ours_installed()?;
        Ok(packages
            .iter()
            .filter(|package| !ours.contains(package))
            .map(|package| format!("{package} was not installed from our repository"))
            .collect())
    })
}

/// `rpm -V` finds every file of our packages as the packages have it.
pub fn rpm_verify(step: &Step<'_>) -> Verdict {
    verdict("rpm -V of every installed package of ours", || {
        let mut findings = verified(step, &step.ours_installed()?)?;
        // What the base's packages say of themselves is the base's; a missing dependency or file is not. That it fails for anything
        // of the base is no finding, that it says nothing when it does is one.
        let all = step.try_program("rpm", &["-Va"])?;
        let silent = all.silent("rpm -Va").or_else(|| all.ended_early("rpm -Va"));
        findings.extend(
            all.lines
                .into_iter()
                .filter(|line| line.contains("Unsatisfied") || line.starts_with("missing")),
        );
        findings.extend(silent);
        findings.sort();
        findings.dedup();
        Ok(findings)
    })
}

/// What `rpm -V` says of the packages, and that it fails.
fn verified(step: &Step<'_>, packages: &[String]) -> Result<Vec<String>, String> {
    if packages.is_empty() {
        return Ok(vec!["no package of ours is installed".to_owned()]);
    }
    let mut arguments = vec!["-V"];
    arguments.extend(packages.iter().map(String::as_str));
    Ok(step.try_program("rpm", &arguments)?.findings("rpm -V"))
}

/// Nothing of the distribution's older e2fsprogs is left.
pub fn e2fsprogs_replaced(step: &Step<'_>) -> Verdict {
    let version = &step.target().e2fsprogs.version;
    verdict(format!("every e2fsprogs package is {version}"), || {
        let names = step.target().e2fsprogs.packages.join("|");
        let lines = step.rpm_lines(&["-qa", "--qf", "%{NAME} %{VERSION}\\n"])?;
        let installed: Vec<(&str, &str)> = lines
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| names.split('|').any(|one| one == *name))
            .collect();
        if installed.is_empty() {
            return Ok(vec!["no e2fsprogs package is installed".to_owned()]);
        }
        Ok(installed
            .iter()
            .filter(|(_, found)| found != version)
            .map(|(name, found)| format!("{name} is still {found}"))
            .collect())
    })
}

/// depmod finds every symbol that every module needs.
pub fn depmod(step: &Step<'_>) -> Verdict {
    verdict(
        "depmod -e over all modules of the kernel that ours are for",
        || {
            let release = step.kernel_release()?;
            let map = format!("/lib/modules/{release}/System.map");
            // Its standard output is the files that it would write, its standard error the symbols that it misses.
            let said = step.try_program("depmod", &["-n", "-e", "-F", &map, &release])?;
            let mut findings = said.errors_only().findings("depmod -n -e");
            if said.output.trim().is_empty() {
                findings.push(format!("depmod lists no module of {release}"));
            }
            Ok(findings)
        },
    )
}

/// modinfo finds the modules that the target names, for the kernel that they are for, and ours export what the target says.
pub fn modinfo(step: &Step<'_>) -> Verdict {
    let modules = &step.target().install.modules;
    let symbols = &step.target().install.symbols;
    verdict([&modules[..], symbols].concat().join(" "), || {
        let release = step.kernel_release()?;
        let mut findings = Vec::new();
        for module in modules {
            let magic = step.output("modinfo", &["-k", &release, "-F", "vermagic", module]);
            match magic {
                Ok(magic) if magic.starts_with(&release) => {}
                Ok(magic) => findings.push(format!(
                    "{module} is for the kernel {}, not {release}",
                    magic.trim()
                )),
                Err(error) => findings.push(error),
            }
        }
        if !symbols.is_empty() {
            let mut provided = String::new();
            for package in step.ours_installed()? {
                provided += &step.output("rpm", &["-q", "--provides", &package])?;
                provided.push('\n');
            }
            findings.extend(not_exported(symbols, &provided));
        }
        Ok(findings)
    })
}

/// What is wrong where packages that provide `provided`, as rpm tells it, have modules that must export `symbols`.
fn not_exported(symbols: &[String], provided: &str) -> Vec<String> {
    let exports = |symbol: &str| {
        let capability = format!("ksym({symbol}) ");
        provided.lines().any(|line| line.starts_with(&capability))
    };
    symbols
        .iter()
        .filter(|symbol| !exports(symbol))
        .map(|symbol| format!("no module of an installed package of ours exports {symbol}"))
        .collect()
}

/// ldd finds every library of the programs that the target names.
pub fn libraries(step: &Step<'_>) -> Verdict {
    let programs = &step.target().install.programs;
    verdict(programs.join(" "), || {
        let mut findings = Vec::new();
        for program in programs {
            let said = step.try_program("ldd", &[program])?;
            // A static program and a script have no libraries; ldd fails for both.
            let none = said
                .lines
                .iter()
                .any(|line| line.trim() == "not a dynamic executable");
            let missing: Vec<String> = said
                .lines
                .iter()
                .filter(|line| {
                    ["not found", "No such file", "execution permission"]
                        .iter()
                        .any(|text| line.contains(text))
                })
                .map(|line| format!("{program}: {}", line.trim()))
                .collect();
            if missing.is_empty() && !none {
                findings.extend(said.failed(&format!("ldd {program}")));
            }
            findings.extend(missing);
        }
        Ok(findings)
    })
}

/// The mke2fs in the path is ours and says so.
pub fn mke2fs(step: &Step<'_>) -> Verdict {
    let version = &step.target().e2fsprogs.version;
    verdict(format!("mke2fs -V is {version}"), || {
        let owner = step.output("rpm", &["-qf", "--qf", "%{NAME}", "/usr/sbin/mke2fs"])?;
        let said = step.try_program("mke2fs", &["-V"])?;
        let mut findings: Vec<String> = said.failed("mke2fs -V").into_iter().collect();
        let lines = &said.lines;
        if !step.ours_installed()?.contains(&owner) {
            findings.push(format!(
                "/usr/sbin/mke2fs belongs to {owner}, which is not from our repository"
            ));
        }
        if !lines
            .iter()
            .any(|line| line.starts_with(&format!("mke2fs {version}")))
        {
            findings.push(format!("mke2fs -V says: {}", lines.join(" ")));
        }
        Ok(findings)
    })
}

/// dnf knows the group and all its packages.
pub fn group(step: &Step<'_>) -> Verdict {
    let group = &step.target().repository.group;
    verdict(format!("dnf group info {}", group.id), || {
        let said = step.ask_dnf(&["--setopt=plugins=0", "group", "info", &group.id])?;
        let mut findings: Vec<String> = said.failed("dnf group info").into_iter().collect();
        findings.extend(
            group
                .mandatory
                .iter()
                .filter(|package| !said.lines.iter().any(|line| line.trim() == *package))
                .map(|package| format!("the group does not show {package}")),
        );
        Ok(findings)
    })
}

/// `dnf remove` takes everything of Lustre off again, and what stays is whole.
pub fn remove(step: &Step<'_>) -> Verdict {
    let lustre: Vec<&str> = step
        .target()
        .lustre
        .packages
        .iter()
        .map(String::as_str)
        .filter(|package| {
            step.target()
                .install
                .packages
                .iter()
                .any(|one| one == package)
        })
        .collect();
    verdict(lustre.join(" "), || {
        let mut arguments = vec!["remove"];
        arguments.extend(&lustre);
        step.dnf(&arguments)?;
        let left = step.ours_installed()?;
        let mut findings: Vec<String> = lustre
            .iter()
            .filter(|package| left.iter().any(|one| one == *package))
            .map(|package| format!("{package} is still installed"))
            .collect();
        findings.extend(verified(step, &left)?);
        // With nothing but the shell: what a server has is not ours to say.
        let modules = "for file in /lib/modules/*/extra/*.ko* /lib/modules/*/extra/*/*.ko* /lib/modules/*/extra/*/*/*.ko*; \
                       do if [ -e \"$file\" ]; then echo \"$file\"; fi; done";
        let said = step.try_program("sh", &["-c", modules])?;
        findings.extend(said.failed("looking for modules"));
        findings.extend(
            said.output
                .lines()
                .map(|file| format!("{file} was not removed")),
        );
        Ok(findings)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_exported_where_a_package_provides_it() {
        let provided = "kmod-lustre = 2.17.0-1.el9\nksym(cfs_hash_create) = 0x01234567\nksym(llcrypt_get) = 0x89abcdef\n";
        let wanted = ["llcrypt_get", "cfs_hash", "kmod-lustre"].map(str::to_owned);
        assert_eq!(
            not_exported(&wanted, provided),
            [
                "no module of an installed package of ours exports cfs_hash",
                "no module of an installed package of ours exports kmod-lustre"
            ]
        );
    }
}
