//! Packages to measure with.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};

use crate::world::THREADS;

/// How many capabilities each small package provides, requires, and how many files it has.
const EACH: usize = 20;

/// When they were built, in seconds since 1970.
const BUILT: u64 = 1_714_000_000;

/// One of so many requires something that there is not.
const LACKS: usize = 500;

/// Small packages with some files, dependencies and changelog entries each, in folders of `root` as repositories have them.
pub fn small(root: &Path, count: usize) -> Result<()> {
    let some = |first: usize| {
        (first..count)
            .step_by(THREADS)
            .try_for_each(|number| one(root, number, count, 1))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || some(first)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// The small package `number` of `count`, of this release, in place of the one before it.
pub fn one(root: &Path, number: usize, count: usize, release: usize) -> Result<()> {
    let name = format!("bench-{number:05}");
    let config = rpm::BuildConfig::v4()
        .compression(rpm::CompressionType::None)
        .source_date(u32::try_from(BUILT)? + u32::try_from(release)?);
    let mut builder =
        rpm::PackageBuilder::new(&name, "1.0", "MIT", "noarch", "A package to measure with");
    builder
        .using_config(config)
        .release("1")
        .description(format!("Some words on it, {release}.\n").repeat(10));
    for at in 0..EACH {
        let path = format!("/usr/share/{name}/folder/file-{at}");
        let content = format!("{number} {at} {release}\n").repeat(20);
        builder.with_file_contents(content, rpm::FileOptions::new(path))?;
        builder.provides(rpm::Dependency::eq(format!("{name}({at})"), "1.0-1"));
        let other = (number * 31 + at * 17 + 1) % count;
        builder.requires(rpm::Dependency::greater_eq(
            format!("bench-{other:05}({at})"),
            "1.0-1",
        ));
    }
    if number.is_multiple_of(LACKS) {
        builder.requires(rpm::Dependency::any(format!("missing-{number}")));
    }
    for entry in 0..12_u32 {
        let time = 1_700_000_000 - entry * 86_400;
        builder.add_changelog_entry("A <a@example.org> - 1.0-1", "- A change\n- Another", time);
    }
    let path = root.join(format!("Packages/{}/{name}-1.0-1.noarch.rpm", number % 26));
    fs::create_dir_all(path.parent().context("a folder")?)?;
    write(&mut builder, &path)?;
    // As our side leaves it: for createrepo_c, a file of another time is another file.
    let built = UNIX_EPOCH + Duration::from_secs(BUILT + u64::try_from(release)?);
    fs::File::options()
        .write(true)
        .open(&path)?
        .set_modified(built)?;
    Ok(())
}

/// A package with one file of so many MB that cannot be compressed, and is not.
pub fn large(path: &Path, megabytes: usize) -> Result<()> {
    let config = rpm::BuildConfig::v4()
        .compression(rpm::CompressionType::None)
        .source_date(u32::try_from(BUILT)?);
    let mut builder =
        rpm::PackageBuilder::new("bench-large", "1.0", "MIT", "noarch", "A large package");
    // A generator of which every byte is another; what it is does not matter.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut content = Vec::with_capacity(megabytes * 1_000_000);
    while content.len() < megabytes * 1_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend(state.to_le_bytes());
    }
    builder
        .using_config(config)
        .release("1")
        .with_file_contents(content, rpm::FileOptions::new("/usr/share/bench-large"))?;
    write(&mut builder, path)
}

/// Writes what `builder` makes, with the digests that rpmbuild writes, too.
fn write(builder: &mut rpm::PackageBuilder, path: &Path) -> Result<()> {
    let mut package = builder.build()?;
    lustre_rpm_header::as_rpmbuild(&mut package)?;
    package.write_file(path)?;
    Ok(())
}
