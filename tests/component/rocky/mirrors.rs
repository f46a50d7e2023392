//! Mirrors that misbehave: what passes is waited for, what does not ends in an error that says what to do, and nothing half-done
//! is left.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::lock::Lock;
use lustre_repo_tests::command_line::Run;
use lustre_repo_tests::http::Fault;
use lustre_repo_tests::stand_in::mirror;
use lustre_repo_tests::stand_in::world::World;

use super::{GUIDE, said};

const BASE_OS: &str = "dl.rockylinux.org/pub/rocky/8.10/BaseOS/x86_64/os";

/// The path of a file of the base repository's metadata, by its kind, as a request has it.
fn metadata(world: &World, kind: &str) -> Result<String> {
    let folder = world.root().join(BASE_OS).join("repodata");
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(kind) {
            return Ok(format!("/{BASE_OS}/repodata/{name}"));
        }
    }
    anyhow::bail!("no {kind} in {}", folder.display())
}

/// Runs `lock` without a lock to begin with, and with none of the base repository's metadata in the store.
fn lock(world: &World) -> Result<Run> {
    if world.lock().exists() {
        fs::remove_file(world.lock())?;
    }
    for entry in fs::read_dir(world.root().join(BASE_OS).join("repodata"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some((digest, _)) = name.split_once('-') {
            forgotten(world, digest)?;
        }
    }
    world.run("lock", &[])
}

/// The run failed, said all of `parts`, and left no lock.
fn refused(world: &World, run: &Run, parts: &[&str]) -> Result<()> {
    ensure!(run.code == 1, "{}", said(run));
    for part in parts {
        ensure!(
            run.stderr.contains(part),
            "nothing of {part:?} in\n{}",
            said(run)
        );
    }
    ensure!(!world.lock().exists(), "there is a lock");
    Ok(())
}

/// What passes is waited for.
fn patience(world: &World) -> Result<()> {
    let repomd = metadata(world, "repomd.xml")?;
    let (primary, filelists) = (
        metadata(world, "primary.xml.gz")?,
        metadata(world, "filelists.xml.gz")?,
    );
    world.server.requests();
    world
        .server
        .faults(&repomd, [Fault::Status(503), Fault::Status(503)]);
    world.server.faults(&primary, [Fault::Truncate(1000)]);
    world.server.faults(
        &filelists,
        [Fault::Slow(100_000, Duration::from_millis(50))],
    );
    let run = lock(world)?;
    ensure!(run.code == 0 && world.lock().exists(), "{}", said(&run));
    let requests = world.server.requests();
    let count = |path: &str| {
        requests
            .iter()
            .filter(|request| request.path == path)
            .count()
    };
    ensure!(
        count(&repomd) == 3,
        "{} requests of {repomd}",
        count(&repomd)
    );
    ensure!(
        count(&primary) == 2,
        "{} requests of {primary}",
        count(&primary)
    );
    Ok(())
}

/// A server that stays away.
fn away(world: &World) -> Result<()> {
    let repomd = metadata(world, "repomd.xml")?;
    world
        .server
        .faults(&repomd, std::iter::repeat_n(Fault::Status(503), 9));
    let run = lock(world)?;
    world.server.faults(&repomd, []);
    refused(world, &run, &["503", "BaseOS"])
}

/// Metadata that somebody else signed, or nobody.
fn signature(world: &World) -> Result<()> {
    let asc = metadata(world, "repomd.xml.asc")?;
    let other = fs::read(
        world
            .root()
            .join(BASE_OS.replace("BaseOS", "AppStream"))
            .join("repodata/repomd.xml.asc"),
    )?;
    // It stays so: what passes is waited for.
    world
        .server
        .faults(&asc, std::iter::repeat_n(Fault::Instead(other), 9));
    refused(world, &lock(world)?, &["repomd.xml", "baseos", "signature"])?;
    world.server.faults(&asc, [Fault::Status(404)]);
    let run = lock(world)?;
    world.server.faults(&asc, []);
    refused(world, &run, &["repomd.xml.asc", "signed_metadata = false"])
}

/// A list of packages that is not the one that was signed.
fn digest(world: &World) -> Result<()> {
    let primary = metadata(world, "primary.xml.gz")?;
    let mut content = fs::read(world.root().join(&primary[1..]))?;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    world
        .server
        .faults(&primary, std::iter::repeat_n(Fault::Instead(content), 9));
    let run = lock(world)?;
    world.server.faults(&primary, []);
    refused(world, &run, &["primary.xml.gz", "sha256"])
}

/// Takes a file out of the store, so that it is fetched again.
fn forgotten(world: &World, digest: &str) -> Result<PathBuf> {
    let place = world
        .store
        .join("files/sha256")
        .join(&digest[..2])
        .join(digest);
    if place.exists() {
        fs::remove_file(&place)?;
    }
    Ok(place)
}

fn pins(world: &World) -> Result<Lock> {
    Ok(toml::from_str(&fs::read_to_string(world.lock())?)?)
}

/// A source package that is replaced behind the lock's back.
fn replaced(world: &World) -> Result<()> {
    let pins = pins(world)?;
    let pin = pins
        .source
        .get("kernel")
        .context("the lock pins no kernel")?;
    let place = forgotten(world, &pin.sha256)?;
    let path = pin.uri.strip_prefix("https:/").context("a URL")?;
    let mut content = fs::read(world.root().join(&path[1..]))?;
    let last = content.len() - 1;
    content[last] ^= 1;
    world
        .server
        .faults(path, std::iter::repeat_n(Fault::Instead(content), 9));
    let run = world.run("fetch", &["--locked"])?;
    world.server.faults(path, []);
    ensure!(
        run.code == 1 && run.stderr.contains(&pin.file) && run.stderr.contains("sha256"),
        "{}",
        said(&run)
    );
    ensure!(!place.exists(), "the store has it");
    let run = world.run("fetch", &["--locked"])?;
    ensure!(run.code == 0 && place.exists(), "{}", said(&run));
    Ok(())
}

/// A mirror that has moved on: a pinned package is gone.
fn moved_on(world: &World) -> Result<()> {
    let pins = pins(world)?;
    let pinned = pins
        .package
        .iter()
        .find(|package| package.name == "git-core");
    let pin = &pinned.context("the lock pins no git-core")?.file;
    let place = forgotten(world, &pin.sha256)?;
    let path = pin.uri.strip_prefix("https:/").context("a URL")?;
    let file = world.root().join(&path[1..]);
    let aside = world.path().join("aside.rpm");
    fs::rename(&file, &aside)?;
    let run = world.run("fetch", &["--locked"])?;
    ensure!(run.code == 1, "{}", said(&run));
    for part in [pin.file.as_str(), "lock --update"] {
        ensure!(
            run.stderr.contains(part),
            "nothing of {part:?} in\n{}",
            said(&run)
        );
    }
    ensure!(!place.exists(), "the store has it");

    // Its successor is what a new lock pins.
    let newer = lustre_repo_tests::stand_in::packages::Small {
        name: "git-core",
        version: "2.43.6",
        release: "1.el8",
        arch: "x86_64",
        ..Default::default()
    };
    newer.write(file.parent().context("a folder")?, &world.base.key)?;
    let repository = world.root().join(BASE_OS);
    lustre_repo_tests::createrepo::run(&repository, 1, &[])?;
    mirror::sign(&world.base, &repository)?;
    let before = fs::read_to_string(world.lock())?;
    let run = world.run("lock", &["--update"])?;
    ensure!(run.code == 0, "{}", said(&run));
    let after = fs::read_to_string(world.lock())?;
    ensure!(
        before.contains("git-core-2.43.5-1.el8") && after.contains("git-core-2.43.6-1.el8"),
        "{}",
        said(&run)
    );
    ensure!(
        said(&run).contains("git-core"),
        "nothing is said of what moved:\n{}",
        said(&run)
    );
    Ok(())
}

#[test]
fn mirrors_that_misbehave() -> Result<()> {
    let world = World::new(&GUIDE)?.with_own_store()?;
    away(&world).context("a server that stays away")?;
    signature(&world).context("a wrong signature")?;
    digest(&world).context("a wrong digest")?;
    patience(&world).context("a server that comes back")?;
    replaced(&world).context("a replaced source package")?;
    moved_on(&world).context("a package that is gone")
}
