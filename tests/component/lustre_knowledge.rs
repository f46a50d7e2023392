//! What is said of Lustre and kernels, compared with Lustre's own trees; and the fixup of a patch, on sources of both shapes.
//!
//! ```text
//! LUSTRE_GIT=REPOSITORY [EL_KERNEL_GIT=REPOSITORY] cargo test -p lustre-repo-tests --test component lustre_knowledge -- --nocapture
//! ```
//!
//! The second is a clone of a repository of distributions' kernels, one tag each, named as the kernel's package without its name.

mod clone;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::knowledge::{Knowledge, Outcome};
use lustre_packaging::overlay::Overlay;
use lustre_packaging::overlay::patch::{ApplyOptions, Patch, apply};
use lustre_packaging::overlay::series::Series;
use lustre_packaging::store::Digest;
use lustre_packaging::target::{self, Source, Target};

use clone::{EXT4, LUSTRE, REVISIONS, file, git, git_in, specs, unpack};

fn with_fixup(release: &str) -> Result<Overlay> {
    let folder = specs().join(format!("lustre/{release}"));
    let options = ["ext4-delayed-iput".to_owned()];
    Ok(Overlay::load_in(&specs(), &folder, &options)?)
}

/// A function with the lines that the real patch has as context, in the shape of before and after the kernel's change.
fn source(new: bool) -> String {
    let keep = |line: &str| {
        if new {
            String::new()
        } else {
            format!("{line}\n")
        }
    };
    format!(
        "static int set_entry(struct info *i)\n{{\n\tint in_inode = i->in_inode;\n\tstruct inode *old_ea_inode = NULL;\n{}\
         \tsize_t old_size, new_size;\n\tint ret;\n\n\told_size = 0;\n\tnew_size = 1;\n\tret = work(i, old_size, new_size);\n\n\
         \tret = 0;\nout:\n\tiput(old_ea_inode);\n{}\treturn ret;\n}}\n",
        keep("\tstruct inode *new_ea_inode = NULL;"),
        keep("\tiput(new_ea_inode);"),
    )
}

const PATCH: &str = "\
--- a/fs/ext4/xattr.c
+++ b/fs/ext4/xattr.c
@@ -3,6 +3,7 @@ static int set_entry(struct info *i)
 \tint in_inode = i->in_inode;
 \tstruct inode *old_ea_inode = NULL;
 \tstruct inode *new_ea_inode = NULL;
+\tstruct work *diwork = NULL;
 \tsize_t old_size, new_size;
 \tint ret;
 \n@@ -13,7 +14,7 @@ static int set_entry(struct info *i)
 
 \tret = 0;
 out:
-\tiput(old_ea_inode);
+\tdelayed_iput(old_ea_inode, diwork);
 \tiput(new_ea_inode);
 \treturn ret;
 }
";

/// True where `patch` applies with no line of context ignored.
fn applies(patch: &[u8], text: &str) -> Result<bool> {
    let dir = tempfile::tempdir()?;
    fs::create_dir_all(dir.path().join("fs/ext4"))?;
    fs::write(dir.path().join("fs/ext4/xattr.c"), text)?;
    fs::write(dir.path().join("the.patch"), patch)?;
    let done = Command::new("patch")
        .args(["-p1", "-F0", "-s", "-i", "the.patch"])
        .current_dir(dir.path())
        .output()?;
    Ok(done.status.success())
}

#[test]
fn the_fixed_patch_applies_to_the_new_source_and_the_original_to_the_old() -> Result<()> {
    let overlay = with_fixup("2.16")?;
    let fixed = overlay.manifest.fixup[0].apply(PATCH.as_bytes())?;
    for (patch, name, old, new) in [
        (PATCH.as_bytes(), "the original", true, false),
        (&fixed, "the fixed one", false, true),
    ] {
        ensure!(applies(patch, &source(false))? == old, "{name}, old source");
        ensure!(applies(patch, &source(true))? == new, "{name}, new source");
    }
    let twice = overlay.manifest.fixup[0].apply(&fixed);
    ensure!(
        twice.is_err(),
        "a fixup of a patch that upstream corrected has to be noticed"
    );
    Ok(())
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn the_statements_agree_with_lustre_s_trees() -> Result<()> {
    let knowledge = Knowledge::load(&specs())?;
    let mut compared = 0;
    for (revision, version) in REVISIONS {
        git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{revision}^{{commit}}"),
        ])?;
        for (el, releases) in [
            ("4.18-rhel8.10", ["553.16.1.el8_10", "553.22.1.el8_10"]),
            ("5.14-rhel9.4", ["427.31.1.el9_4", "427.42.1.el9_4"]),
            ("5.14-rhel9.5", ["503.40.1.el9_5", "503.11.1.el9_5"]),
            ("5.14-rhel9.6", ["570.62.1.el9_6", "570.17.1.el9_6"]),
            ("5.14-rhel9.7", ["611.13.1.el9_7", "611.55.1.el9_7"]),
            ("5.14-rhel9.8", ["687.39.1.el9_8", "687.39.1.el9_8"]),
            ("6.12-rhel10.0", ["55.43.1.el10_0", "55.43.1.el10_0"]),
            ("6.12-rhel10.1", ["124.20.1.el10_1", "124.56.1.el10_1"]),
            ("6.12-rhel10.2", ["211.47.1.el10_2", "211.47.1.el10_2"]),
        ] {
            let patches = file(
                revision,
                &format!("lustre/kernel_patches/series/{el}.series"),
            );
            for release in BTreeSet::from(releases) {
                let Some(rule) = knowledge.rule(version, release)? else {
                    continue;
                };
                let what = format!("Lustre {revision}, kernel {release}");
                compared += 1;
                println!(
                    "{what}: {:?}, series {:?}, {:?}",
                    rule.result, rule.series, rule.iput
                );
                let Some(series) = &rule.series else {
                    let own = file(
                        revision,
                        &format!("ldiskfs/kernel_patches/series/ldiskfs-{el}.series"),
                    );
                    ensure!(
                        own.is_none() && rule.result == Outcome::No,
                        "{what}: it has a series"
                    );
                    continue;
                };
                let list = file(
                    revision,
                    &format!("ldiskfs/kernel_patches/series/ldiskfs-{series}.series"),
                )
                .with_context(|| format!("{what}: there is no series {series}"))?;
                let build = file(revision, "config/lustre-build-ldiskfs.m4")
                    .context("no configure test")?;
                ensure!(
                    build.contains(&format!("\"{series}.series\"")),
                    "{what}: configure never takes {series}"
                );
                if let Some(iput) = &rule.iput {
                    ensure!(
                        list.lines().any(|line| line == iput),
                        "{what}: {iput} is not in {series}"
                    );
                    let patch = file(revision, &format!("ldiskfs/kernel_patches/patches/{iput}"))
                        .with_context(|| format!("{what}: there is no patch {iput}"))?;
                    // What the older patches have as context is what the newer kernels lost.
                    let old = patch.contains("new_ea_inode = NULL;");
                    let made_for_old = iput.starts_with("base/") || iput.starts_with("rhel9.1/");
                    ensure!(old == made_for_old, "{what}: {iput} is of the other shape");
                }
                ensure!(
                    patches.is_some() != rule.patchless,
                    "{what}: patches to the core: {}",
                    patches.is_some()
                );
            }
        }
    }
    println!("{compared} pairs compared");
    Ok(())
}

/// Why the series does not apply to the ext4 in `kernel`; nothing where it does.
fn misses(lustre: &Path, series: &str, kernel: &Path) -> Result<Option<String>> {
    let patches = lustre.join("ldiskfs/kernel_patches");
    let list = Series::read(&patches.join(format!("series/ldiskfs-{series}.series")))?;
    let patches = match list.load(&patches.join("patches")) {
        Ok(patches) => patches,
        // One that is not there does not apply.
        Err(error) => return Ok(Some(error.to_string())),
    };
    let results = apply::survey(kernel, &patches, ApplyOptions::default())?;
    let said: Vec<String> = results
        .iter()
        .flat_map(|result| {
            result
                .failures
                .iter()
                .map(|failure| format!("{}: {failure}", result.name))
        })
        .collect();
    Ok((!said.is_empty()).then(|| said.join("\n")))
}

/// What a kernel's ldiskfs is made of, in a folder below `folder` that kernels with the same have in common.
fn unpacked_ext4(tag: &str, folder: &Path) -> Result<PathBuf> {
    let mut arguments = vec!["ls-tree", tag];
    arguments.extend(EXT4);
    let listed = git_in("EL_KERNEL_GIT", &arguments)?;
    let kernel = folder.join(format!("kernel-{}", Digest::of_bytes(&listed)));
    if !kernel.exists() {
        fs::create_dir(&kernel)?;
        unpack("EL_KERNEL_GIT", tag, &EXT4, &kernel)?;
    }
    Ok(kernel)
}

#[test]
#[cfg_attr(
    not(all(lustre_git, el_kernel_git)),
    ignore = "needs LUSTRE_GIT and EL_KERNEL_GIT, clones of Lustre's repository and of one of distributions' kernels"
)]
fn every_kernel_that_is_to_be_had_takes_the_series_as_is_said() -> Result<()> {
    let knowledge = Knowledge::load(&specs())?;
    let tags = String::from_utf8(git_in("EL_KERNEL_GIT", &["tag"])?)?;
    let dir = tempfile::tempdir()?;
    let mut wrong = Vec::new();
    let mut compared = 0;
    // Many kernels have the same ext4: each is tried once.
    let mut kernels = BTreeMap::new();
    for tag in tags.lines() {
        kernels.insert(tag, unpacked_ext4(tag, dir.path())?);
    }
    let mut tried = BTreeMap::new();
    for (revision, version) in REVISIONS {
        let plain = dir.path().join(revision);
        fs::create_dir(&plain)?;
        unpack("LUSTRE_GIT", revision, &LUSTRE, &plain)?;
        for (tag, kernel) in &kernels {
            let Some((_, release)) = tag.split_once('-') else {
                continue;
            };
            let Ok(Some(rule)) = knowledge.rule(version, release) else {
                continue;
            };
            let Some(series) = &rule.series else {
                continue;
            };
            let mut misses = |tree: &Path| -> Result<Option<String>> {
                let key = (tree.to_owned(), series.clone(), kernel.clone());
                if let Some(found) = tried.get(&key) {
                    return Ok(Option::clone(found));
                }
                let found = misses(tree, series, kernel)?;
                tried.insert(key, found.clone());
                Ok(found)
            };
            compared += 1;
            let said = rule.result;
            let found = misses(&plain)?;
            if found.is_none() != (said == Outcome::Builds) {
                let found = found.as_deref().unwrap_or("it applies");
                wrong.push(format!("{revision}, {tag}: said {said:?}, but {found}"));
            }
            if let (Some(overlay), Some(option)) = (&rule.overlay, &rule.option) {
                let fixed = dir.path().join(format!("{revision}-{option}"));
                if !fixed.exists() {
                    fs::create_dir(&fixed)?;
                    unpack("LUSTRE_GIT", revision, &LUSTRE, &fixed)?;
                    let (folder, option) = (specs().join(overlay), std::slice::from_ref(option));
                    Overlay::load_in(&specs(), &folder, option)?.change_tree(&fixed)?;
                }
                if let Some(found) = misses(&fixed)? {
                    wrong.push(format!("{revision}, {tag}, with {option}: {found}"));
                }
            }
        }
        println!(
            "{revision}: {compared} pairs so far, {} series tried",
            tried.len()
        );
    }
    println!("{compared} pairs compared");
    ensure!(wrong.is_empty() && compared > 0, "{}", wrong.join("\n"));
    Ok(())
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn every_patch_of_lustre_s_trees_is_read() -> Result<()> {
    let mut read = 0;
    let mut refused = Vec::new();
    for revision in REVISIONS.map(|(revision, _)| revision) {
        let names = git(&["ls-tree", "-r", "-z", "--name-only", revision])?;
        let names = String::from_utf8(names)?;
        let patches = names
            .split('\0')
            .filter(|name| name.ends_with(".patch") && name.contains("kernel_patches/patches/"));
        for name in patches {
            let content = git(&["show", &format!("{revision}:{name}")])?;
            match Patch::parse(&content, name) {
                Ok(_) => read += 1,
                Err(error) => refused.push(format!("{revision}: {error}")),
            }
        }
    }
    println!("{read} patches read");
    ensure!(refused.is_empty() && read > 1000, "{}", refused.join("\n"));
    Ok(())
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn the_overlays_change_lustre_s_trees() -> Result<()> {
    let plain = |name: &str| Overlay::load_in(&specs(), &specs().join("lustre").join(name), &[]);
    for (revision, overlay) in [
        ("2.15.5", with_fixup("2.15")?),
        ("2.15.8", plain("2.15")?),
        ("2.16.0-RC1", with_fixup("2.16")?),
        ("2.16.1", with_fixup("2.16")?),
        ("2.17.0", plain("2.17")?),
        ("master", plain("2.18")?),
    ] {
        let dir = tempfile::tempdir()?;
        unpack("LUSTRE_GIT", revision, &LUSTRE, dir.path())?;
        let changed = overlay
            .change_tree(dir.path())
            .with_context(|| revision.to_owned())?;
        let mut hunks = Vec::new();
        for fixup in &overlay.manifest.fixup {
            let patch = fs::read_to_string(dir.path().join(&fixup.patch))?;
            ensure!(!patch.contains("new_ea_inode"), "the fixup left a line");
            hunks = patch
                .lines()
                .filter(|line| line.starts_with("@@ "))
                .map(str::to_owned)
                .collect();
        }
        println!("{revision}: {} files changed", changed.len());
        for hunk in hunks.iter().rev().take(3).rev() {
            println!("    {hunk}");
        }
    }
    Ok(())
}

/// A release of Lustre as it is built: its commit, with the edits of an overlay.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    commit: String,
    overlay: Option<String>,
    options: Vec<String>,
}

/// Every series of ldiskfs that is built of some release of Lustre: for kernels that it is said to fit, and for the kernels of the
/// project's targets; with what wants it.
fn built_series() -> Result<BTreeMap<(Built, String), Vec<String>>> {
    let specs = specs();
    let knowledge = Knowledge::load(&specs)?;
    let mut all = BTreeMap::<_, Vec<String>>::new();
    let mut add = |lustre: &target::Lustre, series: &str, options: &[String], what: String| {
        let commit = match &lustre.source {
            Source::Git { commit, .. } => commit.clone(),
            // The model's.
            Source::Path(_) => return Ok(()),
            other => anyhow::bail!("{what}: {other:?} is no commit"),
        };
        let built = Built {
            commit,
            overlay: lustre.overlay.clone(),
            options: options.to_vec(),
        };
        all.entry((built, series.to_owned()))
            .or_default()
            .push(what);
        Ok(())
    };
    for (release, version) in target::lustre_releases(&specs)? {
        let lustre = Target::load_with(&specs, "rocky-8.10", Some(&release))?.lustre;
        for el in knowledge.minors() {
            for range in knowledge.ranges(&version, el) {
                let Some(rule) = range.rule.filter(|rule| rule.result != Outcome::No) else {
                    continue;
                };
                let what = format!("Lustre {release}, kernels of {el} from {:?}", range.from);
                let series = rule.series.as_deref();
                let series = series.with_context(|| format!("{what}: no series"))?;
                let options: Vec<String> = rule.option.iter().cloned().collect();
                add(&lustre, series, &options, what)?;
            }
        }
    }
    for name in target::list(&specs)? {
        let lustre = Target::load(&specs, &name)?.lustre;
        if let Some(series) = &lustre.ldiskfs_series {
            add(&lustre, series, &lustre.options, format!("target {name}"))?;
        }
    }
    Ok(all)
}

/// What a patch makes of the number of levels of a directory's index when it grows: the lines that set it, without blanks.
fn levels(patch: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(patch);
    let added = text.lines().filter_map(|line| line.strip_prefix('+'));
    added
        .map(|line| line.replace([' ', '\t'], ""))
        .filter(|line| {
            line.split_once("indirect_levels")
                .is_some_and(|(_, rest)| ["=", "+=", "++"].iter().any(|set| rest.starts_with(set)))
        })
        .collect()
}

#[test]
#[cfg_attr(
    not(lustre_git),
    ignore = "needs LUSTRE_GIT=REPOSITORY, a clone of Lustre's"
)]
fn no_series_that_is_built_miscounts_the_levels_of_a_directory() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut trees = BTreeMap::new();
    let mut wrong = Vec::new();
    let all = built_series()?;
    for ((built, series), wanted) in &all {
        let number = trees.len();
        let tree = match trees.get(built) {
            Some(tree) => tree,
            None => {
                let tree = dir.path().join(number.to_string());
                fs::create_dir(&tree)?;
                unpack("LUSTRE_GIT", &built.commit, &LUSTRE, &tree)?;
                if let Some(overlay) = &built.overlay {
                    let folder = specs().join(overlay);
                    Overlay::load_in(&specs(), &folder, &built.options)?.change_tree(&tree)?;
                }
                trees.entry(built).or_insert(tree)
            }
        };
        let patches = tree.join("ldiskfs/kernel_patches");
        let list = Series::read(&patches.join(format!("series/ldiskfs-{series}.series")))?;
        let mut counted = 0;
        for patch in list.load(&patches.join("patches"))? {
            for line in levels(&patch.content) {
                if line.ends_with("indirect_levels+=1;") {
                    counted += 1;
                } else {
                    wrong.push(format!(
                        "{series}, {}: `{line}` ({})",
                        patch.name,
                        wanted.join("; ")
                    ));
                }
            }
        }
        println!(
            "{}, {series}: counted in {counted} places ({})",
            built.commit,
            wanted.join("; ")
        );
        // A patch of another shape is to be looked at, and not to pass.
        ensure!(
            counted > 0 || !wrong.is_empty(),
            "{series} of {}: no patch counts them",
            built.commit
        );
    }
    ensure!(wrong.is_empty() && !all.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
