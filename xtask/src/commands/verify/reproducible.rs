//! `cargo xtask verify --reproducible`: everything built a second time, elsewhere and under other circumstances, compared byte by byte.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::build::circumstances;
use lustre_packaging::lock::Lock;
use lustre_packaging::sign::{KeySource, Secret};
use lustre_packaging::source::Locked;
use lustre_packaging::store::{Digest, Entry, EntryKind, list_tree};
use lustre_packaging::target::Target;
use lustre_packaging::{process, stage};
use lustre_repository::layout::COMPLETED;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::{page, proof, sums};

use super::super::{needs, preflight, release};
use crate::cli::VerifyArgs;
use crate::context::{self, Context, variable};
use crate::exit::{Outcome, Usage};
use crate::graph::finish::Signing;
use crate::graph::name::tree;
use crate::graph::shape::built;
use crate::graph::{BuildGraph, name};
use crate::place;
use crate::{key, lock, session, sources, ui};

/// What the tool itself finds different in the second build; its sandboxes have nothing of that, and vary what a build sees by themselves.
const OUTSIDE: [(&str, &str); 4] = [
    ("TZ", "Pacific/Kiritimati"),
    ("LC_ALL", "C"),
    ("LANG", "tr_TR.UTF-8"),
    ("USER", "somebody"),
];

/// Builds twice and compares.
pub fn run(arguments: &VerifyArgs) -> anyhow::Result<Outcome> {
    let context = Context::open(
        &arguments.target,
        &context::who("verify --reproducible", &arguments.target),
    )?;
    if !key::can_be_read_again(&arguments.key)? {
        return Err(Usage::new(advised(
            "everything is signed twice, and a pipe can be read only once",
            "give a file or set LUSTRE_REPO_KEY",
        ))
        .into());
    }
    let mut signing = session::signing(&context, &arguments.key)?;
    let published = arguments.path.as_deref();
    let published = published
        .map(|path| published_at(path, &mut signing))
        .transpose()?;
    // It is all built again, in the store.
    needs::before_fetching(&context, &needs::ALL, context.store.root())?;
    let pins = session::ready(&context)?;
    let graph = BuildGraph::new(&context, &pins)?;
    let first = match published {
        Some(build) => build,
        None => {
            if preflight::gate(&context, &graph)?.is_none() {
                return Ok(Outcome::Misfit);
            }
            let mut taken = vec![name::ASSEMBLE.to_owned()];
            for package in built(&context.target) {
                taken.extend([package.to_owned(), format!("{package}-srpm")]);
            }
            let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
            release::settle_in_store(&context, &graph, &mut signing)?;
            let done = session::run_taking(&context, &taken, &graph.assembled(&signing)?)?;
            Build {
                tree: tree(&session::folder(&done, name::ASSEMBLE)?),
                packages: Some(packages(&context.target, |stage| {
                    session::folder(&done, stage)
                })?),
            }
        }
    };

    let scratch = context.store.root().join("second");
    if scratch.exists() {
        lustre_packaging::store::remove_tree(&scratch)?;
    }
    // Only what was fetched is shared: everything else is made anew.
    lock::share_files(&context, &pins, &scratch.join("store"))?;
    share_trees(&context, &pins, &scratch.join("store"))?;
    let jobs = if context.jobs == 1 {
        2
    } else {
        context.jobs + 1
    };
    ui::say(&format!(
        "building again in {}, -j {jobs}, years ahead, by another user on another host and kernel, with another locale, time zone, umask, \
         number of processors and order of folders",
        scratch.display()
    ));
    let mut command = process::ourselves("sh");
    command
        // What is outside of the sandboxes, too.
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(std::env::current_exe()?)
        .args([
            "assemble",
            "--elsewhere",
            "--locked",
            "--offline",
            "--target",
        ])
        .arg(match (&context.target.file, &arguments.target.lustre) {
            (Some(path), _) => std::path::absolute(path)?,
            // With another release it has a name that no target is found by.
            (None, Some(_)) => PathBuf::from(&arguments.target.target),
            (None, None) => PathBuf::from(&context.target.name),
        })
        .arg("--store")
        .arg(scratch.join("store"))
        .arg("--output")
        .arg(scratch.join("dist"))
        .args(["--jobs", &jobs.to_string()])
        .arg("--released-as")
        .arg(first.tree.join(manifest::FILE))
        .env(place::FOLDER_VARIABLE, place::folder()?)
        .envs(OUTSIDE)
        // A terminal's Ctrl-C is for us alone: what we hand on would be its second signal, which ends it without cleaning up.
        .process_group(0)
        .current_dir("/")
        .stdout(Stdio::null());
    if let Some(specs) = place::named_specs() {
        command.arg("--specs").arg(specs);
    }
    if let Some(release) = &arguments.target.lustre {
        command.args(["--lustre", release]);
    }
    if let Some(mib) = arguments.target.max_log {
        command.args(["--max-log", &mib.to_string()]);
    }
    for source in &arguments.target.sources {
        command.args(["--source", &from_anywhere(source)?]);
    }
    for name in &arguments.target.allow_incomplete {
        command.args(["--allow-incomplete", name]);
    }
    for mirror in &arguments.target.mirrors {
        command.args(["--mirror", mirror]);
    }
    // It runs in another folder, so what the environment names is given to it by absolute paths, too.
    match key::source(&arguments.key)? {
        KeySource::File(path) => {
            command.arg("--key-file").arg(std::path::absolute(path)?);
        }
        KeySource::Agent { fingerprint, .. } => {
            command.args(["--key-agent", &fingerprint]);
        }
        KeySource::Variable(_) | KeySource::Development(_) => {}
    }
    if let Some(path) = variable(Secret::PASSPHRASE_FILE_VARIABLE) {
        command.env(
            Secret::PASSPHRASE_FILE_VARIABLE,
            std::path::absolute(PathBuf::from(path))?,
        );
    }
    let command = process::secrets::give(&mut command).context("for the second build")?;
    process::ends_with_us(command);
    let status = process::status(command);
    if process::interrupted() {
        return Err(stage::Error::Interrupted.into());
    }
    let status = status.context("cannot start the second build")?;
    if !status.success() {
        bail!("the second build failed ({status}); its messages are above");
    }
    let stages = scratch.join("store/stages");
    let second = Build {
        tree: scratch.join("dist"),
        packages: Some(packages(&context.target, |stage| only(&stages, stage))?),
    };
    let differences = first.compare(&second)?;
    let mut unsigned = 0;
    for (_, folder) in second.packages.iter().flatten() {
        unsigned += entries(folder)?.len();
    }
    let files = list_tree(&first.tree)?.len();
    let same = differences.is_empty();
    let not_varied = without_library(&scratch.join("store/logs"))?;
    if context.arguments.json {
        let told = serde_json::json!({
            "same": same,
            "packages": unsigned,
            "files": files,
            "differs": differences,
            "not_varied": not_varied,
            "first": first.tree,
            "second": (!same).then_some(&second.tree),
        });
        ui::print(&serde_json::to_string_pretty(&told)?);
    }
    if !not_varied.is_empty() {
        ui::say(&format!(
            "time, kernel, number of processors and order of folders were as always in these stages, whose buildroot has no compiler: {}",
            not_varied.join(", ")
        ));
    }
    if same {
        if !context.arguments.json {
            ui::print(&format!(
                "byte-identical: {unsigned} unsigned packages and the {files} files of the repository"
            ));
        }
        lustre_packaging::store::remove_tree(&scratch)?;
        return Ok(Outcome::Done);
    }
    for difference in differences.iter().filter(|_| !context.arguments.json) {
        ui::print(difference);
    }
    ui::warn(&format!(
        "{} differences; both are kept for comparison (diffoscope): {} and {}",
        differences.len(),
        first.tree.display(),
        second.tree.display()
    ));
    Ok(Outcome::Unproven)
}

/// Gives another store the git repositories that were fetched, where the lock pins trees in them.
fn share_trees(context: &Context, lock: &Lock, store: &Path) -> anyhow::Result<()> {
    let fetched = lock.tree.iter().any(|(name, locked)| {
        matches!(locked, Locked::Git { .. }) && !sources::is_replaced(&context.arguments, name)
    });
    if !fetched {
        return Ok(());
    }
    let to = store.join("git");
    let mut command = process::command("cp");
    // git never writes into a file that is there.
    command
        .args(["--archive", "--link", "--force", "--no-target-directory"])
        .arg(context.store.git_dir())
        .arg(&to);
    process::output(&mut command)
        .with_context(|| format!("cannot share the fetched trees with {}", store.display()))?;
    Ok(())
}

/// `NAME=PATH` or `NAME=PATH@REV` with an absolute path: the second build runs in another folder.
fn from_anywhere(source: &str) -> anyhow::Result<String> {
    let Some((name, path)) = source.split_once('=') else {
        return Ok(source.to_owned());
    };
    let path = std::path::absolute(path).with_context(|| format!("--source {source}"))?;
    Ok(format!("{name}={}", path.display()))
}

/// The repository at PATH in place of a first build: it has to be signed with the key that signs here. The second is released as it was.
fn published_at(path: &Path, signing: &mut Signing) -> anyhow::Result<Build> {
    let tree = std::fs::canonicalize(path)
        .with_context(|| format!("no repository at {}", path.display()))?;
    let manifest = Manifest::read(&tree.join(manifest::FILE))?;
    if manifest.key_fingerprint != signing.fingerprint {
        return Err(Usage::new(format!(
            "{} is signed with the key {}, but this build would be signed with {}: to compare byte by byte, give that key with --key-file \
             or --key-agent",
            path.display(),
            manifest.key_fingerprint.escape_debug(),
            signing.fingerprint
        ))
        .into());
    }
    signing.release = manifest.released()?;
    Ok(Build {
        tree,
        packages: None,
    })
}

/// What one build left.
#[derive(Debug)]
struct Build {
    tree: PathBuf,
    /// The folders of unsigned packages by stage; a published repository has their digests in its manifest alone.
    packages: Option<Vec<(String, PathBuf)>>,
}

impl Build {
    fn compare(&self, other: &Self) -> anyhow::Result<Vec<String>> {
        let mut differences = compare(
            "repository",
            &unproven(&self.tree)?,
            &unproven(&other.tree)?,
        );
        if let (Some(mine), Some(theirs)) = (&self.packages, &other.packages) {
            for (mine, theirs) in mine.iter().zip(theirs) {
                differences.extend(compare(&mine.0, &entries(&mine.1)?, &entries(&theirs.1)?));
            }
        }
        Ok(differences)
    }
}

/// The entries of a repository as it was before its proof, which says how long the checks took, came into it: without the proof and the
/// page that shows it, with the digests of all the rest, and without their signature, which is one over all.
fn unproven(tree: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = entries(tree)?;
    let path = tree.join(sums::FILE);
    let all = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
        .with_context(|| path.display().to_string())?;
    let text = sums::without(&sums::without(&all, proof::FILE), page::FILE);
    let left_out = |path: &str| path != sums::FILE && COMPLETED.contains(&path);
    entries.retain(|entry| !left_out(&entry.path));
    for entry in entries.iter_mut().filter(|entry| entry.path == sums::FILE) {
        entry.kind = EntryKind::File {
            sha256: Digest::of_bytes(text.as_bytes()),
            size: text.len() as u64,
            executable: false,
        };
    }
    Ok(entries)
}

/// The folders of unsigned packages by stage.
fn packages(
    target: &Target,
    folder: impl Fn(&str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    for package in built(target) {
        let srpm = format!("{package}-srpm");
        folders.push((package.to_owned(), folder(package)?.join("RPMS")));
        folders.push((srpm.clone(), folder(&srpm)?.join("SRPMS")));
    }
    Ok(folders)
}

/// The stages in whose logs it says that they ran without what varies time, kernel, processors and folders for them.
fn without_library(logs: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(logs).with_context(|| logs.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some((stage, _)) = name.rsplit_once('-') else {
            continue;
        };
        let log = lustre_files::open(&path).with_context(|| path.display().to_string())?;
        if circumstances::had_no_library(log).with_context(|| path.display().to_string())? {
            found.push(stage.to_owned());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The one finished stage `name` in a store's folder of stages.
fn only(stages: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(stages).with_context(|| stages.display().to_string())? {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if file
            .rsplit_once('-')
            .is_some_and(|(stage, _)| stage == name)
        {
            found.push(path);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!("{} stages `{name}` in {}", found.len(), stages.display()),
    }
}

fn entries(folder: &Path) -> anyhow::Result<Vec<Entry>> {
    list_tree(folder).with_context(|| folder.display().to_string())
}

/// What differs between two lists of files.
fn compare(what: &str, first: &[Entry], second: &[Entry]) -> Vec<String> {
    let mut differences = Vec::new();
    for entry in first {
        match second.iter().find(|other| other.path == entry.path) {
            None => differences.push(format!("{what}: {} is only in the first build", entry.path)),
            Some(other) if other.kind != entry.kind => {
                differences.push(format!("{what}: {} differs", entry.path))
            }
            Some(_) => {}
        }
    }
    for entry in second {
        if !first.iter().any(|other| other.path == entry.path) {
            differences.push(format!(
                "{what}: {} is only in the second build",
                entry.path
            ));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_found_from_another_folder() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            from_anywhere("lustre=clone@v2").unwrap(),
            format!("lustre={}/clone@v2", here.display())
        );
        assert_eq!(from_anywhere("lustre=/a/b").unwrap(), "lustre=/a/b");
    }

    #[test]
    fn a_stage_that_found_the_usual_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let line =
            "no compiler here: time, kernel, processors and the order of folders are as always";
        log("kernel-srpm-aa.log", &format!("+ x\n{line}\n"));
        log(
            "e2fsprogs-srpm-ab.log",
            &format!("{line}\n\u{fffd}\n{line}"),
        );
        log("kernel-bb.log", "+ x\n");
        log("gpg.log", "x");
        let found = without_library(dir.path()).unwrap();
        assert_eq!(found, ["e2fsprogs-srpm", "kernel-srpm"]);
    }

    #[test]
    fn every_sort_of_difference_is_named() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let write = |folder: usize, name: &str, text: &str| {
            std::fs::write(folders[folder].path().join(name), text).unwrap()
        };
        write(0, "same", "1");
        write(1, "same", "1");
        write(0, "changed", "1");
        write(1, "changed", "2");
        write(0, "gone", "");
        write(1, "new", "");
        let found = compare(
            "x",
            &entries(folders[0].path()).unwrap(),
            &entries(folders[1].path()).unwrap(),
        );
        assert_eq!(
            found,
            [
                "x: changed differs",
                "x: gone is only in the first build",
                "x: new is only in the second build"
            ]
        );
    }

    #[test]
    fn a_published_repository_is_compared_without_its_proof_and_with_all_the_rest() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for folder in &folders {
            std::fs::write(folder.path().join("a.rpm"), "a").unwrap();
            std::fs::write(folder.path().join(sums::SIGNATURE), "one").unwrap();
        }
        let published = folders[0].path();
        std::fs::write(published.join(proof::FILE), "took 7 ms").unwrap();
        std::fs::write(published.join(page::FILE), "took 7 ms").unwrap();
        std::fs::write(published.join(sums::SIGNATURE), "another").unwrap();
        let build = |at: usize| {
            sums::write(folders[at].path()).unwrap();
            Build {
                tree: folders[at].path().to_owned(),
                packages: None,
            }
        };
        assert_eq!(build(0).compare(&build(1)).unwrap(), [] as [&str; 0]);
        std::fs::write(published.join("a.rpm"), "b").unwrap();
        let found = build(0).compare(&build(1)).unwrap();
        assert_eq!(
            found,
            [
                "repository: SHA256SUMS differs",
                "repository: a.rpm differs"
            ]
        );
    }
}
