//! Locks of a patched kernel, whose changed spec decides what its build requires.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use lustre_packaging::lock::Lock;
use lustre_repo_tests::stand_in::world::World;

use super::{GUIDE, alone, said};

#[test]
fn an_update_is_written_only_where_all_fits() -> Result<()> {
    let _alone = alone();
    let world = World::new(&GUIDE)?;
    let run = world.run("lock", &[])?;
    ensure!(run.code == 0, "{}", said(&run));
    let first = fs::read_to_string(world.lock())?;
    let lock = Lock::read(&world.lock())?.context("a lock")?;
    let pinned = |name: &str| lock.package.iter().any(|pin| pin.name == name);
    // The first only the kernel's spec asks for, the second only Lustre's packages, once they are installed.
    for name in ["cpio", "resource-agents"] {
        ensure!(pinned(name), "{name} is not pinned");
    }

    let run = world.run("lock", &["--update"])?;
    ensure!(run.code == 0, "{}", said(&run));
    ensure!(run.stderr.contains("nothing moved"), "{}", said(&run));
    ensure!(fs::read_to_string(world.lock())? == first, "another lock");

    // Its last table is that of Lustre.
    let mut target = fs::read_to_string(world.target())?;
    target.push_str("ldiskfs_series = \"4.18-of-nobody\"\n");
    fs::write(world.target(), target)?;
    fs::write(world.lock(), first.replacen("size = ", "size =  ", 1))?;
    let before = fs::read_to_string(world.lock())?;
    let run = world.run("lock", &["--update"])?;
    ensure!(run.code == 3, "{}", said(&run));
    for part in ["4.18-of-nobody", "was not changed"] {
        ensure!(run.stderr.contains(part), "`{part}`: {}", said(&run));
    }
    ensure!(
        fs::read_to_string(world.lock())? == before,
        "it was written"
    );
    Ok(())
}
