//! What is checked in the chroot, one function a check.

use lustre_repository::proof::Verdict;
use lustre_repository::release_package;
use lustre_repository::repo_file::KEY_FILE;

use super::chroot::Step;

/// A check that ends early where a command of it fails.
fn verdict(
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
        let pattern = format!("{}-*.rpm", release_package::NAME);
        let package = step.output(
            "sh",
            &["-c", &format!("ls /srv/lustre-repo/*/Packages/{pattern}")],
        )?;
        step.dnf(&["install", package.trim()])?;
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
        let ours = step.ours_installed()?;
        let found = step.shell_lines(&format!("rpm -V {}", ours.join(" ")))?;
        let all = step.shell_lines("rpm -Va")?;
        let mut findings: Vec<String> = found;
        // What the base's packages say of themselves is the base's; a missing dependency or file is not.
        findings.extend(
            all.into_iter()
                .filter(|line| line.contains("Unsatisfied") || line.starts_with("missing")),
        );
        findings.sort();
        findings.dedup();
        Ok(findings)
    })
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
            step.shell_lines(&format!(
                "depmod -n -e -F /lib/modules/{release}/System.map {release} 2>&1 >/dev/null"
            ))
        },
    )
}

/// modinfo finds the modules that the target names, for the kernel that they are for.
pub fn modinfo(step: &Step<'_>) -> Verdict {
    let modules = &step.target().install.modules;
    verdict(modules.join(" "), || {
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
        Ok(findings)
    })
}

/// ldd finds every library of the programs that the target names.
pub fn libraries(step: &Step<'_>) -> Verdict {
    let programs = &step.target().install.programs;
    verdict(programs.join(" "), || {
        let mut findings = Vec::new();
        for program in programs {
            let lines = step.shell_lines(&format!(
                "test -x {program} && ldd {program} || echo {program}: not found"
            ))?;
            findings.extend(
                lines
                    .into_iter()
                    .filter(|line| line.contains("not found"))
                    .map(|line| format!("{program}: {}", line.trim())),
            );
        }
        Ok(findings)
    })
}

/// The mke2fs in the path is ours and says so.
pub fn mke2fs(step: &Step<'_>) -> Verdict {
    let version = &step.target().e2fsprogs.version;
    verdict(format!("mke2fs -V is {version}"), || {
        let owner = step.output("rpm", &["-qf", "--qf", "%{NAME}", "/usr/sbin/mke2fs"])?;
        let lines = step.shell_lines("mke2fs -V")?;
        let mut findings = Vec::new();
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

/// dnf's own repoclosure finds nothing missing in our repository over the base.
pub fn repoclosure(step: &Step<'_>) -> Verdict {
    verdict("dnf repoclosure of our repository over the base", || {
        let lines = step.shell_lines(&format!(
            "dnf --quiet {} --disableplugin=local --releasever=1 repoclosure --check lustre",
            step.options()
        ))?;
        Ok(lines
            .into_iter()
            .filter(|line| !line.trim().is_empty())
            .collect())
    })
}

/// dnf knows the group and all its packages.
pub fn group(step: &Step<'_>) -> Verdict {
    let group = &step.target().repository.group;
    verdict(format!("dnf group info {}", group.id), || {
        let lines = step.shell_lines(&format!(
            "dnf --quiet {} --setopt=plugins=0 --releasever=1 group info {}",
            step.options(),
            group.id
        ))?;
        Ok(group
            .mandatory
            .iter()
            .filter(|package| !lines.iter().any(|line| line.trim() == *package))
            .map(|package| format!("the group does not show {package}"))
            .collect())
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
        findings.extend(step.shell_lines(&format!("rpm -V {}", left.join(" ")))?);
        // With nothing but the shell: what a server has is not ours to say.
        let modules = "for file in /lib/modules/*/extra/*.ko* /lib/modules/*/extra/*/*.ko* /lib/modules/*/extra/*/*/*.ko*; \
                       do if [ -e \"$file\" ]; then echo \"$file\"; fi; done";
        findings.extend(
            step.shell_lines(modules)?
                .into_iter()
                .map(|file| format!("{file} was left behind")),
        );
        Ok(findings)
    })
}
