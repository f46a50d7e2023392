//! Metadata: written, updated, read; and whether the packages in it have what they require.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::measure::{Measured, Side, pair};
use crate::packages;
use crate::world::{THREADS, World};

/// The revision of all metadata here.
pub const REVISION: u64 = 1_714_521_600;

/// One package of so many changes before an update.
const CHANGED: usize = 100;

/// Our side: writes `root/repodata`.
fn write(world: &World, root: &Path) -> Command {
    let mut command = world.work();
    command.arg("write").arg(root).arg(THREADS.to_string());
    command
}

/// createrepo_c with the same settings: writes `to/repodata`.
fn createrepo(world: &World, root: &Path, to: &Path) -> Result<Command> {
    let mut command = Command::new(&world.createrepo()?.program);
    command
        .args(["--quiet", "--no-database", "--general-compress-type=gz"])
        .arg(format!("--revision={REVISION}"))
        .arg("--set-timestamp-to-revision")
        .arg(format!("--workers={THREADS}"))
        .arg("--outputdir")
        .arg(to)
        .arg(root)
        .env("LC_ALL", "C.UTF-8");
    Ok(command)
}

/// The same command each time.
fn again(command: Command) -> impl Fn() -> Command {
    move || {
        let mut copy = Command::new(command.get_program());
        copy.args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                copy.env(name, value);
            }
        }
        copy
    }
}

/// Whether both wrote the same documents, to the byte: by their digests, as the indexes have them.
fn same(ours: &Path, theirs: &Path) -> Result<()> {
    let index = |root: &Path| {
        let path = root.join("repodata/repomd.xml");
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let (ours, theirs) = (index(ours)?, index(theirs)?);
    for kind in ["primary", "filelists", "other"] {
        let (ours, theirs) = (open_checksum(&ours, kind), open_checksum(&theirs, kind));
        ensure!(
            ours.is_some() && ours == theirs,
            "{kind}: {ours:?} is ours, {theirs:?} theirs"
        );
    }
    Ok(())
}

/// The digest of a document before it was compressed.
fn open_checksum<'i>(index: &'i str, kind: &str) -> Option<&'i str> {
    let (_, record) = index.split_once(&format!("<data type=\"{kind}\">"))?;
    let (record, _) = record.split_once("</data>")?;
    let (_, digest) = record.split_once("<open-checksum type=\"sha256\">")?;
    Some(digest.split_once('<')?.0)
}

/// Metadata of small packages.
pub fn repodata(world: &World, count: usize) -> Result<Measured> {
    let root = world.packages(count)?;
    compared(world, &root)
}

fn compared(world: &World, root: &Path) -> Result<Measured> {
    let to = world.new_folder("theirs")?;
    let ours = Side::new(|| write(world, root));
    let theirs = Side::new(again(createrepo(world, root, &to)?));
    let measured = pair(world.options.rounds, world.folder(), &ours, &theirs)?;
    same(root, &to)?;
    Ok(measured)
}

/// Metadata of large packages, which are one file under several names: what is measured is not the disk.
pub fn large(world: &World) -> Result<Measured> {
    let (count, megabytes) = if world.options.short {
        (5, 40)
    } else {
        (20, 200)
    };
    let root = world.new_folder("large")?;
    let first = root.join("bench-large-0.rpm");
    packages::large(&first, megabytes)?;
    for number in 1..count {
        fs::hard_link(&first, root.join(format!("bench-large-{number}.rpm")))?;
    }
    let measured = compared(world, &root);
    fs::remove_dir_all(&root)?;
    measured
}

/// Metadata of packages of which one in a hundred changed since it was written last.
pub fn update(world: &World, count: usize) -> Result<Measured> {
    let root = world.packages(count)?;
    let to = world.new_folder("theirs")?;
    let kept = world.new_folder("kept")?;
    let run = |command: &mut Command| lustre_packaging::process::output(command);
    run(&mut write(world, &root))?;
    run(&mut createrepo(world, &root, &to)?)?;
    fs::rename(root.join("repodata"), kept.join("ours"))?;
    fs::rename(to.join("repodata"), kept.join("theirs"))?;
    for number in (0..count).step_by(CHANGED) {
        packages::one(&root, number, count, 2)?;
    }
    let restored = |from: &'static str, to: &Path| {
        let (from, to) = (kept.join(from), to.join("repodata"));
        move || {
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            fs::create_dir(&to)?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
            Ok(())
        }
    };
    let ours = Side::new(|| write(world, &root)).prepared(restored("ours", &root));
    let mut theirs = createrepo(world, &root, &to)?;
    theirs.arg("--update");
    let theirs = Side::new(again(theirs)).prepared(restored("theirs", &to));
    let measured = pair(world.options.rounds, world.folder(), &ours, &theirs)?;
    same(&root, &to)?;
    Ok(measured)
}

/// Our metadata of small packages.
fn written(world: &World, count: usize) -> Result<std::path::PathBuf> {
    let root = world.packages(count)?;
    if !root.join("repodata").exists() {
        lustre_packaging::process::output(&mut write(world, &root))?;
    }
    Ok(root)
}

/// Reading packages with their files, beside createrepo_c's own reader.
pub fn read(world: &World, count: usize) -> Result<Measured> {
    const PROGRAM: &str = "import createrepo_c as cr, sys\n\
        root = sys.argv[1]\n\
        index = cr.Repomd(root + '/repodata/repomd.xml')\n\
        path = {r.type: root + '/' + r.location_href for r in index.records}\n\
        packages = {}\n\
        def keep(package):\n    packages[package.pkgId] = package\n\
        cr.xml_parse_primary(path['primary'], pkgcb=keep, do_files=False)\n\
        cr.xml_parse_filelists(path['filelists'], newpkgcb=lambda id, *_: packages[id])\n\
        print(len(packages), sum(len(p.files) for p in packages.values()))";
    let root = written(world, count)?;
    let python = &world.createrepo()?.python;
    let ours = Side::new(|| {
        let mut command = world.work();
        command.arg("read").arg(&root);
        command
    });
    let theirs = Side::new(|| {
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM]).arg(&root);
        command
    });
    let measured = pair(world.options.rounds, world.folder(), &ours, &theirs)?;
    let theirs = measured.theirs.as_ref().map(|taken| &taken.output);
    ensure!(
        Some(&measured.ours.output) == theirs,
        "read were {} by us, {} by createrepo_c",
        String::from_utf8_lossy(&measured.ours.output),
        String::from_utf8_lossy(theirs.map_or(&[], Vec::as_slice)),
    );
    Ok(measured)
}

/// Whether all that packages require is there, beside `dnf repoclosure`, which has no cache of them yet: they are new.
pub fn closure(world: &World, count: usize) -> Result<Measured> {
    let root = written(world, count)?;
    let cache = world.folder().join("dnf-cache");
    let config = world.folder().join("dnf.conf");
    fs::write(&config, "[main]\n")?;
    let ours = Side::new(|| {
        let mut command = world.work();
        command.arg("closure").arg(&root);
        command
    });
    let theirs = Side::new(|| {
        let mut command = Command::new("dnf");
        command
            .arg(format!("--config={}", config.display()))
            .args(["--quiet", "--disableplugin=*"])
            .args(["--enableplugin=repoclosure", "--releasever=1"])
            .args(["--setopt=reposdir=/nothing", "--setopt=install_weak_deps=0"])
            .arg(format!("--setopt=cachedir={}", cache.display()))
            .arg(format!("--repofrompath=bench,file://{}", root.display()))
            .args(["repoclosure", "--repo=bench"])
            .env("LC_ALL", "C.UTF-8");
        command
    })
    .prepared(|| {
        if cache.exists() {
            fs::remove_dir_all(&cache)?;
        }
        Ok(())
    })
    // It ends with 1 where something is missing, and something is.
    .good(|output| output.status.code() == Some(1));
    let measured = pair(world.options.rounds, world.folder(), &ours, &theirs)?;
    let missing = String::from_utf8_lossy(&measured.ours.output).into_owned();
    let missing: BTreeSet<&str> = missing.lines().collect();
    let said = measured.theirs.as_ref().map(|taken| &taken.output);
    let said = String::from_utf8_lossy(said.map_or(&[], Vec::as_slice)).into_owned();
    let said: BTreeSet<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    ensure!(
        !missing.is_empty() && missing == said,
        "missing are {missing:?} by us, {said:?} by dnf"
    );
    Ok(measured)
}
