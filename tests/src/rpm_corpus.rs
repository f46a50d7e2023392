//! A varied corpus of packages, made by the real rpmbuild from `tests/data/corpus/*.spec`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lustre_packaging::process;
use rpm::{IndexData, IndexTag};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::python::tools;

fn spec_files() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

/// The corpus, built once for the same specs and the same rpmbuild, and kept below Cargo's target folder. Not to be
/// changed: copy it.
pub fn cached() -> Result<PathBuf> {
    let mut hasher = Sha256::new();
    hasher.update(include_str!("rpm_corpus.rs"));
    hasher.update(process::output(Command::new("rpmbuild").arg("--version"))?);
    for spec in spec_files()? {
        hasher.update(fs::read(spec)?);
    }
    let digest = format!("{:x}", hasher.finalize());
    let tools = tools()?;
    let place = tools.join(format!("corpus-{}", &digest[..12]));
    // Tests run side by side; one builds, the others wait.
    let lock = fs::File::create(tools.join("corpus.lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if !place.exists() {
        let aside = tempfile::tempdir_in(&tools)?;
        let root = aside.path().join("corpus");
        build(&root, &aside.path().join("work"))?;
        by_rpm_rs(&root)?;
        fs::rename(&root, &place)?;
    }
    Ok(place)
}

/// A copy of the corpus that a test can change.
pub fn copy() -> Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let corpus = cached()?;
    for entry in WalkDir::new(&corpus) {
        let entry = entry?;
        let place = copy.path().join(entry.path().strip_prefix(&corpus)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(copy)
}

/// Builds the whole corpus, binary and source packages, and spreads it over folders of `root` as repositories do. `work`
/// is for what is needed meanwhile. Gives the packages' paths.
fn build(root: &Path, work: &Path) -> Result<Vec<PathBuf>> {
    let sources = work.join("SOURCES");
    fs::create_dir_all(&sources)?;
    fs::write(sources.join("corpus-one.txt"), "one\n")?;
    fs::write(sources.join("corpus-two.txt"), "two\n")?;
    fs::write(sources.join("corpus.patch"), "")?;
    for spec in spec_files()? {
        rpmbuild(&spec, work)?;
    }
    let mut packages = Vec::new();
    for entry in WalkDir::new(work).sort_by_file_name() {
        let path = entry?.into_path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| name.ends_with(".rpm")) else {
            continue;
        };
        let place = root.join(folder(name)).join(name);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::copy(&path, &place)?;
        packages.push(place);
    }
    // The same package at two places has one id.
    let twice = root.join("Packages/again/corpus-empty.rpm");
    fs::create_dir_all(twice.parent().context("a folder")?)?;
    let empty = packages
        .iter()
        .find(|path| path.ends_with("corpus-empty-0-0.noarch.rpm"));
    fs::copy(empty.context("the empty package")?, &twice)?;
    packages.push(twice);
    ensure!(
        packages.len() == 25,
        "{} packages, expected 25: one overwrote another?",
        packages.len()
    );
    Ok(packages)
}

/// Some in the root, some in folders as dnf's repositories have them, some deeper, and one with a space.
fn folder(name: &str) -> &'static str {
    if name.ends_with("src.rpm") {
        "Source Packages"
    } else if name.contains("files") {
        "Packages/c/deep/er"
    } else if name.contains("text") {
        ""
    } else if name.ends_with(".noarch.rpm") {
        "Packages/c"
    } else {
        "Packages"
    }
}

/// Packages that no rpmbuild of today makes: one of rpm-rs, as our release package is, and one with the weak
/// dependencies of rpm before 4.12.
fn by_rpm_rs(root: &Path) -> Result<()> {
    let package = of_rpm_rs("corpus-rpm-rs")?;
    package.write_file(root.join("Packages/corpus-rpm-rs-1.0-1.noarch.rpm"))?;
    let text = |tag: IndexTag, texts: &[&str]| {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        (tag as u32, IndexData::StringArray(texts))
    };
    let flags = |tag: IndexTag, flags: &[u32]| (tag as u32, IndexData::Int32(flags.to_vec()));
    // RPMSENSE_MISSINGOK is bit 19, the strong one of SUSE's bit 27.
    doctored(
        of_rpm_rs("corpus-old-weak")?,
        vec![
            text(
                IndexTag::RPMTAG_REQUIRENAME,
                &["might-be-missing", "needed", "libc.so.6"],
            ),
            flags(IndexTag::RPMTAG_REQUIREFLAGS, &[1 << 19 | 12, 1 << 9, 0]),
            text(IndexTag::RPMTAG_REQUIREVERSION, &["2-1", "", ""]),
            text(
                IndexTag::RPMTAG_OLDSUGGESTSNAME,
                &["old-suggested", "old-recommended"],
            ),
            flags(IndexTag::RPMTAG_OLDSUGGESTSFLAGS, &[0, 1 << 27 | 8]),
            text(IndexTag::RPMTAG_OLDSUGGESTSVERSION, &["", "1:2"]),
            text(
                IndexTag::RPMTAG_OLDENHANCESNAME,
                &["old-enhanced", "old-supplemented"],
            ),
            flags(IndexTag::RPMTAG_OLDENHANCESFLAGS, &[2, 1 << 27]),
            text(IndexTag::RPMTAG_OLDENHANCESVERSION, &["3", ""]),
        ],
        &root.join("Packages/corpus-old-weak-1.0-1.noarch.rpm"),
    )
}

/// A small package built by rpm-rs.
pub fn of_rpm_rs(name: &str) -> Result<rpm::Package> {
    let config = rpm::BuildConfig::v4().compression(rpm::CompressionType::Gzip);
    Ok(
        rpm::PackageBuilder::new(name, "1.0", "GPL-2.0-or-later", "noarch", "Built by rpm-rs")
            .using_config(config)
            .release("1")
            .epoch(1)
            .with_file_contents(
                "[x]\n",
                rpm::FileOptions::new("/etc/yum.repos.d/x.repo").config(),
            )?
            .requires(rpm::Dependency::greater_eq("dnf", "4"))
            .provides(rpm::Dependency::any("corpus(rs)"))
            .build()?,
    )
}

/// Writes a package with some tags of its header replaced.
pub fn doctored(mut package: rpm::Package, tags: Vec<(u32, IndexData)>, path: &Path) -> Result<()> {
    let region = IndexTag::RPMTAG_HEADERIMMUTABLE;
    let kept = package.metadata.header.get_all_entries()?;
    let kept = kept.into_iter().filter(|(tag, _)| {
        *tag != region as u32 && !tags.iter().any(|(replaced, _)| replaced == tag)
    });
    let entries = kept.chain(tags.iter().cloned());
    let entries = entries.map(|(tag, data)| rpm::HeaderEntry::new(tag, data));
    package.metadata.header = rpm::Header::from_entries(entries.collect::<Vec<_>>(), region);
    let header = package.metadata.header_bytes()?;
    package.metadata.signature = rpm::SignatureHeaderBuilder::new()
        .calculate_digests(&header)
        .build()?;
    package.write_file(path)?;
    Ok(())
}

/// Builds the binary and source packages of one spec below `work`.
fn rpmbuild(spec: &Path, work: &Path) -> Result<()> {
    let name = spec
        .file_name()
        .context("a spec")?
        .to_string_lossy()
        .into_owned();
    // `@E9@` stands for the byte 0xe9: a file with other than UTF-8 in it is hard to keep.
    let text = fs::read_to_string(spec).with_context(|| spec.display().to_string())?;
    let spec = work.join("SPECS").join(&name);
    fs::create_dir_all(work.join("SPECS"))?;
    fs::write(&spec, unescape(&text))?;
    let log = work.join(format!("{name}.log"));
    let mut command = Command::new("rpmbuild");
    command.arg("-ba").arg(&spec);
    for define in [
        format!("_topdir {}", work.display()),
        "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm".to_owned(),
        "_build_id_links none".to_owned(),
        "dist .el8".to_owned(),
    ] {
        command.args(["--define", &define]);
    }
    // The requirements of a build are part of the corpus, not of the machine.
    command
        .arg("--nodeps")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", work);
    process::run_logged(&mut command, &log)?;
    Ok(())
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let escape = rest
            .get(at + 1..at + 3)
            .filter(|_| rest[at + 1..].get(2..3) == Some("@"));
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.extend(&rest.as_bytes()[..at]);
                bytes.push(byte);
                rest = &rest[at + 4..];
            }
            None => {
                bytes.extend(&rest.as_bytes()[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn bytes() {
        assert_eq!(
            unescape("a@E9@b <c@d.org> é@"),
            b"a\xe9b <c@d.org> \xc3\xa9@"
        );
    }
}
