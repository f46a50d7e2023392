//! What a plan tells where nothing is locked.

use lustre_repo_tests::command_line::Home;

/// A site's own target: what it is is read from its file, and what it would do is told before there is a lock, without network.
#[test]
fn a_sites_target_without_a_lock_is_planned_in_words() {
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("site.toml");
    std::fs::write(
        &file,
        "inherits = 'rocky-8.10-guide'\n[repository]\nbaseurl = 'https://repo.example/lustre'\n",
    )
    .unwrap();
    let home = Home::new();
    let path = file.to_str().unwrap();
    let ran = home.run(&["plan", "--target", path]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "site.lock.toml does not exist",
        "kernel-4.18.0-553.22.1.el8_10.src.rpm",
        "--without kabichk",
        "ext4-delayed-iput",
        "https://repo.example/lustre",
    ] {
        assert!(ran.stdout.contains(part), "`{part}`: {}", ran.stdout);
    }
    let ran = home.run(&["plan", "--json", "--target", path]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let stages: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let kernel = stages
        .as_array()
        .and_then(|stages| stages.iter().find(|one| one["stage"] == "kernel"))
        .unwrap();
    assert_eq!(kernel["runs"], true);
    assert!(kernel["key"].is_null());
    assert_eq!(kernel["needs"][0], "kernel-sources");
    // Nothing was written, beside the file or into it.
    assert_eq!(std::fs::read_dir(site.path()).unwrap().count(), 1);
    let ran = home.run(&["plan", "--locked", "--offline", "--target", path]);
    assert_eq!(ran.code, 0, "a plan asks nobody: {ran:?}");
}

/// What a target takes is told by a plan and held against the machine before anything is fetched.
#[test]
fn a_machine_that_is_too_small_is_told_before_anything_is_fetched() {
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("site.toml");
    std::fs::write(
        &file,
        "inherits = 'rocky-8.10-guide'\n[needs]\njob_memory_mib = 1\noutput_gib = 0\nbase = { disk_gib = 0, memory_mib = 0 }\n\
         e2fsprogs = { disk_gib = 0, memory_mib = 0 }\nkernel = { disk_gib = 70000000 }\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let home = Home::new();
    let ran = home.run(&["plan", "--target", path]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let takes = ran.stdout.lines().find(|line| line.starts_with("takes: "));
    assert!(
        takes.is_some_and(|line| line.contains("about 7000002") && line.contains("debuginfo")),
        "{}",
        ran.stdout
    );
    for command in ["repo", "assemble", "build"] {
        let ran = home.run(&[command, "--target", path]);
        assert_eq!(ran.code, 1, "{command}: {ran:?}");
        for part in [
            "`site`",
            "GiB of disk",
            "GiB are free there",
            "--store",
            "`no-debuginfo`",
        ] {
            assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("resolving"), "{}", ran.stderr);
    }
    // What does not need the kernel is not held up by it: that there is no lock is all that is wrong.
    let ran = home.run(&["build", "e2fsprogs", "--offline", "--target", path]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("site.lock.toml does not exist") && ran.stderr.contains("--offline"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read_dir(site.path()).unwrap().count(), 1);
}

/// What is planned is what `repo` does: it boots only where that is asked for, or was done.
#[test]
fn a_plan_has_the_boot_proof_where_a_run_has_it() {
    let home = Home::new();
    let stages = |line: &[&str]| -> serde_json::Value {
        let ran = home.run(&[&["plan", "--json"][..], line].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let named = |stages: &serde_json::Value, name: &str| {
        let all = stages.as_array().unwrap();
        all.iter().find(|one| one["stage"] == name).cloned()
    };
    let usual = stages(&[]);
    assert!(named(&usual, "boot").is_none(), "{usual}");
    assert!(named(&usual, "prove").is_some(), "{usual}");
    let booted = stages(&["--prove", "boot"]);
    assert_eq!(named(&booted, "boot").unwrap()["runs"], true);
    let finish = named(&booted, "finish").unwrap();
    assert!(finish["needs"].as_array().unwrap().contains(&"boot".into()));
    let ran = home.run(&["plan", "--prove", "boot", "--target", "rocky-9.6"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot be booted"), "{ran:?}");
}
