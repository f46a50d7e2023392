//! The spec and the series of e2fsprogs, judged by rpmspec, rpm, rpmlint and git. What needs the source itself (that the
//! patches apply, that the packages come out) belongs to the end-to-end test.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use lustre_packaging::build::e2fsprogs;
use lustre_packaging::target::Target;
use lustre_repo_tests::command_line::project;

/// The packages of the spec, each with those it requires at exactly its own version.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("e2fsprogs", &["e2fsprogs-libs", "libcom_err", "libss"]),
    ("e2fsprogs-libs", &["libcom_err"]),
    ("e2fsprogs-devel", &["e2fsprogs-libs", "libcom_err-devel"]),
    ("e2fsprogs-static", &["e2fsprogs-devel", "libss-devel"]),
    ("libcom_err", &[]),
    ("libcom_err-devel", &["libcom_err"]),
    ("libss", &["libcom_err"]),
    ("libss-devel", &["libss", "libcom_err-devel"]),
];

fn folder() -> PathBuf {
    project().join("specs/e2fsprogs")
}

fn succeed(output: Output) -> Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

fn rpmspec(arguments: &[&str]) -> Result<String> {
    rpmspec_of(&folder().join(e2fsprogs::SPEC), arguments)
}

fn rpmspec_of(spec: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("rpmspec")
        .args(["--define", "dist .el8"])
        .arg("--define")
        .arg(format!("_sourcedir {}/patches", folder().display()))
        .args(arguments)
        .arg(spec)
        .output()
        .context("cannot start rpmspec")?;
    succeed(output)
}

/// The text of a spec as rpm parses it.
fn parsed(spec: &str, arguments: &[&str]) -> Result<String> {
    let place = tempfile::tempdir()?;
    let path = place.path().join(e2fsprogs::SPEC);
    fs::write(&path, spec)?;
    rpmspec_of(&path, &[&["--parse"], arguments].concat())
}

/// The series that the spec names by itself.
const SERIES: &str = "series";

/// All series, by file name.
fn all_series() -> Result<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == SERIES || name.starts_with("series-") {
            let patches = series(&name)?;
            all.insert(name, patches);
        }
    }
    Ok(all)
}

/// The patches of a series file, in its order.
fn series(name: &str) -> Result<Vec<String>> {
    Ok(fs::read_to_string(folder().join(name))?
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// The patches that the parsed spec names, in the order of their numbers.
fn patches_of_spec(arguments: &[&str]) -> Result<Vec<String>> {
    patches_in(&rpmspec(&[&["--parse"], arguments].concat())?)
}

/// The patches of a parsed spec.
fn patches_in(parsed: &str) -> Result<Vec<String>> {
    let mut numbered = BTreeMap::new();
    for line in parsed.lines() {
        let Some((number, name)) = line
            .strip_prefix("Patch")
            .and_then(|rest| rest.split_once(':'))
        else {
            continue;
        };
        numbered.insert(number.parse::<u32>()?, name.trim().to_owned());
    }
    Ok(numbered.into_values().collect())
}

/// Negative, zero or positive, as rpm sorts two versions or releases.
fn compare(left: &str, right: &str) -> Result<i32> {
    let expression = format!("%{{lua:print(rpm.vercmp('{left}', '{right}'))}}");
    let output = Command::new("rpm").args(["--eval", &expression]).output()?;
    Ok(succeed(output)?.trim().parse()?)
}

#[test]
fn packages_upgrade_as_one_set() -> Result<()> {
    let format = "%{NAME}|%{VERSION}-%{RELEASE}|[%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION};]|\
        [%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION};]\\n";
    let mut found = BTreeSet::new();
    for line in rpmspec(&["--query", "--rpms", "--queryformat", format])?.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [name, version, requires, provides] = fields[..] else {
            anyhow::bail!("unexpected answer of rpmspec: {line}");
        };
        if name.ends_with("-debuginfo") || name.ends_with("-debugsource") {
            continue;
        }
        assert_eq!(version, "1.47.0-100.lustre1.el8");
        let (_, needs) = PACKAGES
            .iter()
            .find(|(package, _)| *package == name)
            .with_context(|| format!("{name} is not one of Enterprise Linux's packages"))?;
        let exact: BTreeSet<String> = requires
            .split(';')
            .filter_map(|requirement| requirement.strip_suffix(&format!("= {version}")))
            .map(|left| left.trim().split('(').next().unwrap_or(left).to_owned())
            .collect();
        let expected: BTreeSet<String> = needs.iter().map(|need| (*need).to_owned()).collect();
        assert_eq!(exact, expected, "exact requirements of {name}");
        if name == "e2fsprogs" {
            assert!(
                provides
                    .split(';')
                    .any(|provide| provide == "ldiskfsprogs = 1.47.0"),
                "{provides}"
            );
        }
        found.insert(name.to_owned());
    }
    assert_eq!(found.len(), PACKAGES.len(), "{found:?}");
    Ok(())
}

#[test]
fn release_sorts_above_every_distribution() -> Result<()> {
    let release = rpmspec(&["--query", "--srpm", "--queryformat", "%{RELEASE}"])?;
    assert_eq!(release, "100.lustre1.el8");
    for other in [
        "1.el8",
        "5.el8_10",
        "10.el9",
        "23.fc42",
        "99.el10",
        "2+b2.reh12",
        "wc1.el8",
        "0.wc2",
    ] {
        assert_eq!(compare(&release, other)?, 1, "{release} against {other}");
    }
    // The release above all is not an accident of the order of the arguments.
    assert_eq!(compare("1.el8", &release)?, -1);
    assert_eq!(compare("wc1.el8", "1.el8")?, -1);
    Ok(())
}

#[test]
fn another_source_is_a_matter_of_macros() -> Result<()> {
    let parsed = rpmspec(&[
        "--parse",
        "--without",
        "series",
        "--define",
        "e2fsprogs_version 1.47.3",
        "--define",
        "e2fsprogs_archive e2fsprogs-1.47.3-wc2.tar.xz",
        "--define",
        "e2fsprogs_dir e2fsprogs",
        "--define",
        "e2fsprogs_release 102.lustre1",
    ])?;
    for expected in [
        "e2fsprogs-1.47.3-wc2.tar.xz",
        "ldiskfsprogs = 1.47.3",
        "102.lustre1.el8",
    ] {
        assert!(parsed.contains(expected), "{expected} in\n{parsed}");
    }
    assert!(parsed.lines().any(|line| line == "cd 'e2fsprogs'"));
    assert!(!parsed.contains("Patch1:"));
    Ok(())
}

#[test]
fn number_of_processors_is_not_in_the_text() -> Result<()> {
    let with = |count: &str| {
        rpmspec(&[
            "--parse",
            "--define",
            &format!("_smp_build_ncpus {count}"),
            "--define",
            &format!("_smp_mflags -j{count}"),
        ])
    };
    assert_eq!(with("3")?, with("17")?);
    Ok(())
}

#[test]
fn series_spec_and_folder_name_the_same_patches() -> Result<()> {
    let all = all_series()?;
    assert!(all.values().all(|patches| !patches.is_empty()));
    assert_eq!(all[SERIES], patches_of_spec(&[])?);
    assert!(patches_of_spec(&["--without", "series"])?.is_empty());
    let mut there = fs::read_dir(folder().join("patches"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<String>>>()?;
    there.sort();
    let named: BTreeSet<String> = all.into_values().flatten().collect();
    assert_eq!(there, named.into_iter().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn another_series_is_in_the_spec_of_its_source_package() -> Result<()> {
    let specs = folder().join("..");
    let target = Target::load(&specs, "debian-12-next")?;
    let wanted = &target.e2fsprogs;
    let name = wanted.series.as_deref().context("no series")?;
    assert_ne!(name, SERIES);
    let patches = series(name)?;
    let text = fs::read_to_string(folder().join(e2fsprogs::SPEC))?;
    let archive = "e2fsprogs_1.47.4.orig.tar.gz";
    let fitted = e2fsprogs::fitted(&text, wanted, archive, Some(&patches))?;
    let parsed = parsed(&fitted, &[])?;
    assert_eq!(patches_in(&parsed)?, patches);
    for expected in [
        "Version:        1.47.4",
        "Source0:        e2fsprogs_1.47.4.orig.tar.gz",
        "Provides:       ldiskfsprogs = 1.47.4",
    ] {
        assert!(parsed.contains(expected), "{expected} in\n{parsed}");
    }
    // The rehearsal's is the spec as it stands.
    let rehearsal = Target::load(&specs, "rehearsal")?.e2fsprogs;
    let patches = series(SERIES)?;
    let archive = "e2fsprogs_1.47.0.orig.tar.gz";
    assert_eq!(
        e2fsprogs::fitted(&text, &rehearsal, archive, Some(&patches))?,
        text
    );
    Ok(())
}

#[test]
fn a_tree_with_its_own_support_gets_no_patches() -> Result<()> {
    let mut wanted = Target::load(&folder().join(".."), "rehearsal")?.e2fsprogs;
    wanted.series = None;
    wanted.version = "1.47.3".to_owned();
    wanted.release = Some("100.wc2".to_owned());
    let text = fs::read_to_string(folder().join(e2fsprogs::SPEC))?;
    let fitted = e2fsprogs::fitted(&text, &wanted, "e2fsprogs-1.47.3.tar.gz", None)?;
    let parsed = parsed(&fitted, &[])?;
    assert!(patches_in(&parsed)?.is_empty());
    for expected in [
        "Version:        1.47.3",
        "Release:        100.wc2.el8",
        "Source0:        e2fsprogs-1.47.3.tar.gz",
    ] {
        assert!(parsed.contains(expected), "{expected} in\n{parsed}");
    }
    assert_eq!(compare("100.wc2.el8", "wc1")?, 1);
    Ok(())
}

#[test]
fn patches_parse_and_say_what_they_are_for() -> Result<()> {
    let names: BTreeSet<String> = all_series()?.into_values().flatten().collect();
    for name in names {
        let path = folder().join("patches").join(&name);
        let text = fs::read_to_string(&path)?;
        let header = text
            .split_once("\n---\n")
            .with_context(|| format!("{name} has no header"))?
            .0;
        let subject = header
            .lines()
            .find_map(|line| line.strip_prefix("Subject: "))
            .with_context(|| format!("{name} has no subject"))?;
        assert!(!subject.is_empty() && header.lines().count() > 4, "{name}");
        assert!(!text.contains('\r'), "{name}");
        // Counts each hunk's lines against its header.
        let output = Command::new("git")
            .current_dir("/")
            .args(["apply", "--numstat"])
            .arg(fs::canonicalize(&path)?)
            .output()?;
        let files = succeed(output).with_context(|| name.clone())?;
        assert!(files.lines().count() > 3, "{name}: {files}");
    }
    Ok(())
}

#[test]
fn rpmlint_finds_no_error_in_the_spec() -> Result<()> {
    let output = Command::new("rpmlint")
        // What the filters for the packages explain is not in the spec.
        .args(["--ignore-unused-rpmlintrc", "--rpmlintrc"])
        .arg(project().join("specs/rpmlint/e2fsprogs.rpmlintrc"))
        .arg(folder().join("e2fsprogs.spec"))
        .output()
        .context("cannot start rpmlint")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1 specfiles checked; 0 errors"), "{text}");
    Ok(())
}
