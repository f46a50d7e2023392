use super::*;

fn guide() -> Target {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    Target::load(&specs, "rocky-8.10-guide").unwrap()
}

fn all() -> BTreeSet<Part> {
    BTreeSet::from([Part::Base, Part::E2fsprogs, Part::Kernel, Part::Lustre])
}

fn machine(store_gib: u64, memory_mib: u64) -> Machine {
    Machine {
        store: PathBuf::from("/store"),
        store_mib: store_gib << 10,
        output: PathBuf::from("/out"),
        output_mib: None,
        memory_mib,
        cores: 4,
    }
}

#[test]
fn the_available_memory_is_read() {
    let text = "MemTotal:       24682216 kB\nMemFree:  1 kB\nMemAvailable:   21504000 kB\n";
    assert_eq!(available_mib(text), Some(21000));
    assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
}

#[test]
fn of_what_a_service_builds_the_packages_take_disk_here() {
    let target = guide();
    let needs = target.needs.clone().unwrap();
    let whole = Estimate::on_service(&target, &all(), 4).unwrap();
    assert_eq!(whole.disk_gib, needs.base.disk_gib + needs.output_gib);
    assert_eq!(whole.output_gib, needs.output_gib);
    let base = Estimate::of(&target, &BTreeSet::from([Part::Base]), 4).unwrap();
    assert_eq!(
        (whole.memory_mib, whole.minutes),
        (base.memory_mib, base.minutes)
    );
    let kernel = Estimate::on_service(&target, &BTreeSet::from([Part::Kernel]), 4).unwrap();
    assert_eq!(kernel.disk_gib, needs.output_gib);
    assert_eq!((kernel.minutes, kernel.memory_mib), (0, 0));
    assert_eq!(kernel.debuginfo, None);
    let here = machine(100 << 10, 0);
    let said = NeedsSummary(&kernel, &here).to_string();
    assert!(
        said.ends_with(&format!("free in {})", here.store.display())),
        "{said}"
    );
    here.check("t", &kernel).unwrap();
    machine(0, 0).check("t", &kernel).unwrap_err();
}

#[test]
fn only_what_is_left_to_build_counts() {
    let target = guide();
    let needs = target.needs.clone().unwrap();
    let whole = Estimate::of(&target, &all(), 4).unwrap();
    let debuginfo = needs.debuginfo.clone().unwrap();
    let disk = needs.base.disk_gib + needs.e2fsprogs.disk_gib + needs.kernel.disk_gib;
    assert_eq!(
        whole.disk_gib,
        disk + needs.lustre.disk_gib + debuginfo.disk_gib
    );
    let lustre = Estimate::of(&target, &BTreeSet::from([Part::Lustre]), 4).unwrap();
    assert_eq!(lustre.disk_gib, needs.lustre.disk_gib);
    assert_eq!(lustre.debuginfo, None);
    let nothing = Estimate::of(&target, &BTreeSet::new(), 4).unwrap();
    assert_eq!(
        (nothing.disk_gib, nothing.output_gib, nothing.minutes),
        (0, 0, 0)
    );
    machine(0, 0).check("t", &nothing).unwrap();
    let parts = ["distribution", "kernel", "kernel-srpm", "sign"].map(Part::of_stage);
    assert_eq!(parts, [Some(Part::Base), Some(Part::Kernel), None, None]);
}

#[test]
fn debuginfo_that_is_left_out_and_a_kernel_that_is_not_built_take_nothing() {
    let mut target = guide();
    let with = Estimate::of(&target, &all(), 2).unwrap();
    let more = with.debuginfo.clone().unwrap();
    target.kernel.options.push(more.option.clone());
    let without = Estimate::of(&target, &all(), 2).unwrap();
    assert_eq!(without.disk_gib + more.disk_gib, with.disk_gib);
    assert_eq!(without.memory_mib + more.memory_mib, with.memory_mib);
    assert!(without.minutes < with.minutes);
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let own = Target::load(&specs, "rocky-10.0").unwrap();
    let own = Estimate::of(&own, &all(), 2).unwrap();
    assert!(!own.parts.contains(&Part::Kernel) && own.debuginfo.is_none());
}

#[test]
fn more_jobs_take_more_memory_and_less_time() {
    let (one, four) = (
        Estimate::of(&guide(), &all(), 1).unwrap(),
        Estimate::of(&guide(), &all(), 4).unwrap(),
    );
    assert_eq!(one.memory_mib + 3 * one.job_memory_mib, four.memory_mib);
    assert!(one.minutes > 3 * four.minutes, "{one:?} {four:?}");
}

#[test]
fn too_little_is_said_with_what_is_there_what_is_needed_and_what_lowers_it() {
    let estimate = Estimate::of(&guide(), &all(), 4).unwrap();
    let disk = estimate.disk_gib + estimate.output_gib;
    machine(disk, estimate.memory_mib)
        .check("t", &estimate)
        .unwrap();
    let error = machine(disk - 1, estimate.memory_mib).check("t", &estimate);
    let said = error.unwrap_err().to_string();
    for part in [
        format!("{disk} GiB"),
        format!("{} GiB are free", disk - 1),
        "/store".to_owned(),
        "--store".to_owned(),
        "`no-debuginfo`".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let short = estimate.memory_mib - estimate.job_memory_mib - 1;
    let error = machine(disk, short).check("t", &estimate);
    let said = error.unwrap_err().to_string();
    for part in [
        format!("{} MiB of memory", estimate.memory_mib),
        format!("{short} MiB are available"),
        "`-j 2`".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let said = machine(disk, 1).check("t", &estimate).unwrap_err();
    assert!(!said.to_string().contains("-j"), "{said}");
}

#[test]
fn an_output_elsewhere_needs_room_of_its_own() {
    let estimate = Estimate::of(&guide(), &all(), 4).unwrap();
    let mut here = machine(estimate.disk_gib, estimate.memory_mib);
    here.output_mib = Some(estimate.output_gib << 10);
    here.check("t", &estimate).unwrap();
    here.output_mib = Some((estimate.output_gib << 10) - 1);
    let said = here.check("t", &estimate).unwrap_err().to_string();
    assert!(said.contains("/out") && said.contains("--output"), "{said}");
}

#[test]
fn this_host_says_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let here = Machine::here(dir.path(), &dir.path().join("not/there/yet")).unwrap();
    assert!(here.memory_mib > 0 && here.cores > 0);
    assert_eq!(here.output_mib, None, "the same file system");
    let estimate = Estimate {
        disk_gib: 1 << 40,
        ..Estimate::of(&guide(), &all(), 1).unwrap()
    };
    assert!(matches!(
        here.check("t", &estimate),
        Err(Error::Disk { .. })
    ));
    let line = NeedsSummary(&estimate, &here).to_string();
    assert!(
        line.contains("MiB of memory") && line.contains("debuginfo"),
        "{line}"
    );
}
