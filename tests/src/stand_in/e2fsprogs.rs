//! The stand-in's e2fsprogs: the pinned upstream release with our series, under the tags and versions of those that Lustre's
//! developers make, with few of its tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::overlay::series::Series;
use lustre_packaging::{archive, process};

use super::lustre::change;
use crate::command_line::project;

/// The tests that stay: making, checking and repairing, the series' own; and one of those that upstream calls slow, which leaves
/// itself out.
const TESTS: &[&str] = &[
    "f_badbblocks",
    "f_dirdata",
    "f_large_dir",
    "f_lpf",
    "m_minrootdir",
    "m_std",
    "t_iexpand_full",
];

/// As many small tests take the place of the others: the spec does not believe a suite that has lost its own.
const SMALL: usize = 300;

/// Writes the tree of `version` (`1.47.0-wc1`) into the new folder `into`, of the upstream archive.
pub fn write(archive: &Path, version: &str, into: &Path) -> Result<()> {
    archive::unpack(archive, into, 1)?;
    let folder = project().join("specs/e2fsprogs");
    let series = Series::read(&folder.join("series"))?;
    for entry in &series.entries {
        let patch = folder.join("patches").join(&entry.name);
        process::output(
            Command::new("patch")
                .args(["-p1", "-s", "--no-backup-if-mismatch", "-d"])
                .arg(into)
                .arg("-i")
                .arg(&patch),
        )?;
    }
    change(
        &into.join("version.h"),
        "#define E2FSPROGS_VERSION \"1.47.0\"",
        &format!("#define E2FSPROGS_VERSION \"{version}\""),
    )?;
    let tests = into.join("tests");
    let mut stay = 0;
    for entry in fs::read_dir(&tests).with_context(|| tests.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // `a_name`, as the suite knows its tests.
        if !entry.file_type()?.is_dir() || name.as_bytes().get(1) != Some(&b'_') {
            continue;
        }
        if TESTS.contains(&name.as_str()) {
            stay += 1;
        } else {
            fs::remove_dir_all(entry.path())?;
        }
    }
    ensure!(
        stay > 2,
        "upstream has other tests now: {stay} of {TESTS:?} are there"
    );
    for number in 0..SMALL {
        let folder = tests.join(format!("m_stand_in_{number:03}"));
        fs::create_dir(&folder)?;
        fs::write(
            folder.join("script"),
            format!(
                "test_description=\"a file system of {} blocks\"\n\
                 if $MKE2FS -q -F -b 1024 -o Linux $TMPFILE {} >$test_name.log 2>&1 && $FSCK -fn $TMPFILE >>$test_name.log 2>&1; then\n\
                 \techo \"$test_name: $test_description: ok\"\n\
                 \ttouch $test_name.ok\n\
                 else\n\
                 \techo \"$test_name: $test_description: failed\"\n\
                 \tcp $test_name.log $test_name.failed\n\
                 fi\n\
                 rm -f $TMPFILE\n",
                200 + number,
                200 + number
            ),
        )?;
    }
    Ok(())
}
