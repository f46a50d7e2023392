//! Which kernel is the default.

use super::machine::{ID, Machine};

const OURS: &str = "4.18.0-553.22.1.el8_10_lustre.x86_64";
const NEWER: &str = "4.18.0-553.40.1.el8_10.x86_64";
const SERVER: &[&str] = &["lustre", "ldiskfs"];

#[test]
fn a_newer_kernel_without_lustre_is_not_the_default_as_long_as_it_has_none() {
    let machine = Machine::new();
    machine.lustre(OURS, SERVER);
    let said = machine.update();
    assert_eq!(
        (said.code, said.text.as_str(), machine.saved()),
        (0, "", OURS.to_owned())
    );
    assert_eq!(machine.own(), [] as [std::path::PathBuf; 0]);

    machine.kernel(NEWER);
    assert_eq!(machine.saved(), NEWER);
    machine.update().says(&[
        &format!("the boot default is {OURS}, which has lustre.ko and ldiskfs.ko"),
        &format!("no longer {NEWER}, which has no lustre.ko and ldiskfs.ko"),
    ]);
    assert_eq!(machine.saved(), OURS);
    let notes = machine.notes();
    assert!(
        notes.contains(&format!("this machine boots {OURS}")) && notes.contains(NEWER),
        "{notes}"
    );
    // Once is enough.
    assert_eq!(machine.update().text, "");
    assert_eq!((machine.saved(), machine.notes()), (OURS.to_owned(), notes));

    // Its modules come, and the distribution's choice is a good one.
    machine.module(NEWER, "extra/lustre/fs/lustre.ko.xz");
    assert_eq!(machine.update().text, "");
    assert_eq!(machine.saved(), OURS);
    assert!(machine.notes().contains("which has no ldiskfs.ko"));
    machine.module(NEWER, "updates/ldiskfs.ko.zst");
    machine
        .update()
        .says(&[&format!("the boot default is {NEWER}, which has")]);
    assert_eq!(machine.saved(), NEWER);
    assert_eq!(machine.own(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn with_the_distributions_own_kernel_it_is_the_same_and_when_the_newer_goes_nothing_is_left() {
    let machine = Machine::new();
    let (own, newer) = (
        "6.12.0-55.41.1.el10_0.x86_64",
        "6.12.0-55.43.1.el10_0.x86_64",
    );
    machine.lustre(own, SERVER);
    machine.kernel(newer);
    machine.update();
    assert_eq!(machine.saved(), own);
    assert!(!machine.own().is_empty());
    // The entry is gone, the modules are not yet.
    machine.forget(newer);
    assert_eq!(machine.guard(&["update", "--without", newer]).text, "");
    assert_eq!(
        (machine.saved(), machine.notes()),
        (own.to_owned(), String::new())
    );
    assert_eq!(machine.own(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn a_kernel_that_is_about_to_go_no_longer_counts() {
    let machine = Machine::new();
    machine.lustre(OURS, SERVER);
    machine.lustre(NEWER, SERVER);
    machine.guard(&["update", "--without", NEWER]);
    // Its entry is still there: some plugin before failed.
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn versions_are_compared_as_rpm_does() {
    let machine = Machine::new();
    // `sort -V` has them the other way round.
    let (first, second) = ("5.14.0-570.el9.x86_64", "5.14.0-570.12.1.el9_6.x86_64");
    machine.lustre(second, SERVER);
    machine.lustre(first, SERVER);
    machine.kernel("5.14.0-600.el9.x86_64");
    machine.update();
    assert_eq!(machine.saved(), second);
}

#[test]
fn somebodys_choice_of_a_kernel_with_lustre_stays() {
    let machine = Machine::new();
    machine.lustre(NEWER, SERVER);
    machine.lustre(OURS, SERVER);
    assert_eq!(machine.update().text, "");
    assert_eq!(
        (machine.saved(), machine.notes()),
        (OURS.to_owned(), String::new())
    );
    // By its place in the menu, and by its title; the first where nothing is saved.
    for (saved, kernel) in [
        ("1".to_owned(), OURS),
        (format!("Linux ({OURS})"), OURS),
        (String::new(), NEWER),
    ] {
        machine.save(&saved);
        machine.runs("other");
        let said = machine.guard(&["check"]);
        let is_default = said
            .text
            .contains(&format!("boot {NEWER}, which has it and is the default"));
        assert_eq!(is_default, kernel == NEWER, "{saved}: {}", said.text);
        machine.update();
        assert_eq!(machine.saved(), saved);
    }
}

#[test]
fn links_of_weak_modules_count_where_they_lead_somewhere() {
    let machine = Machine::new();
    machine.lustre(OURS, SERVER);
    machine.kernel(NEWER);
    for (module, target) in [("lustre", OURS), ("ldiskfs", "4.18.0-1.x86_64")] {
        machine.link(
            NEWER,
            &format!("weak-updates/{module}/fs/{module}.ko"),
            &format!("/lib/modules/{target}/extra/{module}/fs/{module}.ko"),
        );
    }
    machine.update();
    assert_eq!(machine.saved(), OURS, "one of the links leads nowhere");
    assert!(
        machine.notes().contains("which has no ldiskfs.ko"),
        "{}",
        machine.notes()
    );
    machine.module("4.18.0-1.x86_64", "extra/ldiskfs/fs/ldiskfs.ko");
    machine.update();
    assert_eq!(
        (machine.saved(), machine.notes()),
        (NEWER.to_owned(), String::new())
    );
}

#[test]
fn an_empty_module_another_folder_and_another_name_do_not_count() {
    let machine = Machine::new();
    machine.lustre(OURS, &["lustre"]);
    machine.kernel(NEWER);
    machine.module(NEWER, "kernel/fs/lustre.ko");
    machine.module(NEWER, "extra/lustre.ko.debug");
    machine.module(NEWER, "extra/mylustre.ko");
    machine.module(NEWER, "extra/lustre.ko");
    std::fs::write(
        machine.path(&format!("lib/modules/{NEWER}/extra/lustre.ko")),
        "",
    )
    .unwrap();
    machine.update();
    assert_eq!(machine.saved(), OURS);
    machine.module(NEWER, "extra/deep/er/lustre.ko.gz");
    machine.update();
    assert_eq!(machine.saved(), NEWER);
}

#[test]
fn a_client_needs_no_ldiskfs_and_a_server_does_by_its_packages() {
    let machine = Machine::new();
    machine.lustre(OURS, &["lustre"]);
    machine.kernel(NEWER);
    machine.update();
    assert_eq!(machine.saved(), OURS);
    let mount = machine.path("usr/lib64/lustre/mount_osd_ldiskfs.so");
    std::fs::create_dir_all(mount.parent().unwrap()).unwrap();
    std::fs::write(&mount, "").unwrap();
    machine
        .update()
        .says(&["no kernel that can be booted has lustre.ko and ldiskfs.ko"]);
    // Where none is right, the distribution's choice is as good as any.
    assert_eq!(machine.saved(), NEWER);
    assert!(
        machine.notes().contains("Install the kmod packages"),
        "{}",
        machine.notes()
    );
    machine.module(OURS, "extra/ldiskfs.ko");
    machine.update();
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn where_there_is_no_lustre_nothing_happens_and_when_it_goes_its_choice_goes_too() {
    let machine = Machine::new();
    machine.kernel(OURS);
    machine.kernel(NEWER);
    machine.save("1");
    assert_eq!(machine.update().text, "");
    assert_eq!((machine.saved().as_str(), machine.own().len()), ("1", 0));
    machine.module(OURS, "extra/lustre.ko");
    machine.save(&format!("{ID}-{NEWER}"));
    machine.update();
    assert_eq!(machine.saved(), OURS);
    std::fs::remove_file(machine.path(&format!("lib/modules/{OURS}/extra/lustre.ko"))).unwrap();
    assert_eq!(machine.update().text, "");
    assert_eq!(machine.saved(), NEWER);
    assert_eq!(machine.own(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn removing_it_gives_back_what_the_distribution_chose() {
    // A saved entry; none; one whose kernel is gone; one that somebody chose in the meantime.
    for case in ["saved", "none", "gone", "chosen"] {
        let machine = Machine::new();
        machine.lustre(OURS, SERVER);
        machine.kernel("4.18.0-553.30.1.el8_10.x86_64");
        machine.kernel(NEWER);
        if case == "none" {
            machine.unsave();
        }
        machine.update();
        assert_eq!(machine.saved(), OURS, "{case}");
        let expected = match case {
            "none" => "",
            "gone" => {
                machine.forget(NEWER);
                "4.18.0-553.30.1.el8_10.x86_64"
            }
            "chosen" => {
                machine.save("1");
                "1"
            }
            _ => NEWER,
        };
        let said = machine.guard(&["release"]);
        assert_eq!((said.code, said.text.as_str()), (0, ""), "{case}");
        assert_eq!(machine.saved(), expected, "{case}");
        assert_eq!(machine.own(), [] as [std::path::PathBuf; 0], "{case}");
    }
}

#[test]
fn grubby_chooses_where_it_is_and_the_environment_where_it_fails() {
    let machine = Machine::new();
    machine.lustre(OURS, SERVER);
    machine.kernel(NEWER);
    machine.grubby();
    machine.update();
    assert_eq!(machine.saved(), OURS);
    let asked = machine.asked_grubby();
    assert!(
        asked.contains(&format!("--set-default=/boot/vmlinuz-{OURS}")),
        "{asked}"
    );
    machine.save(&format!("{ID}-{NEWER}"));
    machine.broken_grubby();
    machine.update();
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn at_boot_it_says_which_kernel_to_boot() {
    let machine = Machine::new();
    machine.lustre(OURS, SERVER);
    machine.kernel(NEWER);
    machine.runs(OURS);
    let said = machine.guard(&["check"]);
    assert_eq!(
        (said.code, said.text.as_str(), machine.notes().as_str()),
        (0, "", "")
    );

    machine.runs(NEWER);
    let before = machine.files("boot");
    let said = machine.guard(&["check"]);
    assert_eq!(said.code, 1);
    said.says(&[
        &format!(
            "the running kernel {NEWER} has no lustre.ko and ldiskfs.ko; boot {OURS}, which has it"
        ),
        &format!("grubby --set-default=/boot/vmlinuz-{OURS}"),
    ]);
    assert!(
        machine.notes().contains(&format!("boot {OURS}")),
        "{}",
        machine.notes()
    );
    assert_eq!(machine.files("boot"), before);
    machine.update();
    machine
        .guard(&["check"])
        .says(&["which has it and is the default", "systemctl reboot"]);
    // Modules come for the running kernel.
    machine.module(NEWER, "extra/lustre.ko");
    machine.module(NEWER, "extra/ldiskfs.ko");
    machine.update();
    assert_eq!(
        (machine.guard(&["check"]).code, machine.notes()),
        (0, String::new())
    );

    let none = Machine::new();
    none.kernel(NEWER);
    none.runs(NEWER);
    assert_eq!(none.guard(&["check"]).code, 0, "nobody uses Lustre here");
    std::fs::create_dir_all(none.path("usr/sbin")).unwrap();
    std::fs::write(none.path("usr/sbin/mount.lustre"), "").unwrap();
    let said = none.guard(&["check"]);
    assert_eq!(said.code, 1);
    said.says(&["no other that can be booted has it; install the kmod packages"]);
}
