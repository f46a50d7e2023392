//! Boot entries that are damaged or of another layout: they are left alone, and it says so.

use std::fs;

use crate::machine::{ID, Machine};

const OURS: &str = "5.14.0-570.32.1_lustre.el9_6.x86_64";
const NEWER: &str = "5.14.0-570.60.1.el9_6.x86_64";

/// A server whose distribution has just installed a newer kernel.
fn server() -> Machine {
    let machine = Machine::new();
    machine.lustre(OURS, &["lustre", "ldiskfs"]);
    machine.kernel(NEWER);
    machine
}

#[test]
fn damaged_entries_are_left_alone_and_named() {
    let machine = server();
    let large = [b"linux /vmlinuz-".as_slice(), &[b'x'; 70_000]].concat();
    let damaged: [(&str, &[u8], &str); 9] = [
        ("empty", b"", "names no kernel"),
        ("half", b"title Linux\nversion 9.9\nli", "names no kernel"),
        ("bare", b"linux\n", "names no kernel"),
        (
            "twice",
            b"linux /vmlinuz-9.9\nlinux /vmlinuz-9.9\n",
            "has 2 lines `linux`",
        ),
        (
            "gone",
            b"version 9.9\nlinux /vmlinuz-9.9\n",
            "names /vmlinuz-9.9, which is not there",
        ),
        ("binary", b"linux /vmlinuz-\0\x01\xff9.9\n", "is no text"),
        ("outside", b"linux /../../etc/passwd\n", "has no path"),
        (
            "shell",
            b"linux /vmlinuz-$(touch${IFS}x)\n",
            "does not say of which kernel it is",
        ),
        ("large", &large, "is larger than an entry can be"),
    ];
    for (name, text, _) in damaged {
        machine.entry(&format!("{ID}-{name}"), text);
    }
    fs::create_dir(machine.path("boot/loader/entries/folder.conf")).unwrap();
    std::os::unix::fs::symlink("nowhere", machine.path("boot/loader/entries/link.conf")).unwrap();
    let before = machine.files("boot/loader");
    let said = machine.update();
    assert_eq!((said.code, machine.saved()), (0, OURS.to_owned()));
    for (name, _, why) in damaged {
        said.says(&[&format!("{ID}-{name}.conf {why}")]);
    }
    said.says(&["folder.conf is no file", "link.conf is no file"]);
    assert_eq!(said.text.matches("left alone").count(), damaged.len() + 2);
    assert_eq!(machine.files("boot/loader"), before);
}

#[test]
fn a_default_whose_entry_is_damaged_gives_way() {
    let machine = server();
    machine.entry(&format!("{ID}-{NEWER}"), "title half");
    let said = machine.update();
    said.says(&["names no kernel"]);
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn entries_of_other_shapes_are_read() {
    let machine = server();
    // Without a partition for /boot; with a folder for each kernel; with spaces and an end of line of elsewhere; rescue systems.
    let (whole, folder) = (
        "5.14.0-570.70.1_lustre.el9_6.x86_64",
        "5.14.0-570.71.1_lustre.el9_6.x86_64",
    );
    for (release, file, entry) in [
        (
            whole,
            format!("boot/vmlinuz-{whole}"),
            format!("linux \t/boot/vmlinuz-{whole} \r\n"),
        ),
        (
            folder,
            format!("boot/{ID}/{folder}/linux"),
            format!("version {folder}\nlinux /{ID}/{folder}/linux"),
        ),
    ] {
        fs::create_dir_all(machine.path(&file).parent().unwrap()).unwrap();
        fs::write(machine.path(&file), "kernel").unwrap();
        machine.entry(&format!("{ID}-{release}"), entry);
        for module in ["lustre", "ldiskfs"] {
            machine.module(release, &format!("extra/{module}.ko"));
        }
        machine.save(&format!("{ID}-{NEWER}"));
        let said = machine.update();
        assert!(!said.text.contains("left alone"), "{}", said.text);
        assert_eq!(machine.saved(), release);
    }
    fs::write(
        machine.path(&format!("boot/vmlinuz-0-rescue-{ID}")),
        "kernel",
    )
    .unwrap();
    machine.entry(
        &format!("{ID}-0-rescue"),
        format!("version 0-rescue-{ID}\nlinux /vmlinuz-0-rescue-{ID}\n"),
    );
    assert_eq!(machine.update().text, "");
}

#[test]
fn entries_that_another_installation_left_are_not_taken_for_ours() {
    let machine = server();
    machine.entry(
        &format!("fedcba{}-{OURS}", &ID[6..]),
        format!("linux /vmlinuz-{OURS}\n"),
    );
    machine.update();
    assert_eq!(machine.saved(), OURS);
}

/// A change of a server that makes its boot loader one that the guard does not know, and what it says of that.
type Layout = (&'static str, fn(&Machine), &'static str);

#[test]
fn another_layout_is_left_alone_and_said() {
    let layouts: [Layout; 7] = [
        (
            "no entries",
            |machine| fs::remove_dir_all(machine.path("boot/loader")).unwrap(),
            "there are no boot entries",
        ),
        (
            "no entry",
            |machine| {
                fs::read_dir(machine.path("boot/loader/entries"))
                    .unwrap()
                    .for_each(|one| fs::remove_file(one.unwrap().path()).unwrap())
            },
            "no entry in",
        ),
        (
            "menu",
            |machine| {
                fs::write(
                    machine.path("boot/grub2/grub.cfg"),
                    "set default=\"${saved_entry}\"\nmenuentry x {}\n",
                )
                .unwrap()
            },
            "does not boot the saved one",
        ),
        (
            "fixed",
            |machine| {
                fs::write(
                    machine.path("boot/grub2/grub.cfg"),
                    "set default=0\nblscfg\n",
                )
                .unwrap()
            },
            "does not boot the saved one",
        ),
        (
            "half",
            |machine| fs::write(machine.path("boot/grub2/grubenv"), "# GRUB Env").unwrap(),
            "cannot read",
        ),
        (
            "other loader",
            |machine| fs::remove_file(machine.path("boot/grub2/grubenv")).unwrap(),
            "neither grubby nor a saved entry",
        ),
        (
            "no program",
            |machine| machine.without("grub2-editenv"),
            "neither grubby nor a saved entry",
        ),
    ];
    for (name, change, why) in layouts {
        let machine = server();
        change(&machine);
        let before = machine.files("boot");
        for command in [&["update"][..], &["release"]] {
            let said = machine.guard(command);
            assert_eq!(machine.files("boot"), before, "{name}");
            if command == ["update"] {
                said.says(&[
                    "left alone",
                    why,
                    "see to it yourself that a kernel with lustre.ko and ldiskfs.ko boots",
                ]);
                assert!(machine.notes().contains(why), "{name}: {}", machine.notes());
            } else {
                assert_eq!((said.code, machine.own().len()), (0, 0), "{name}");
            }
        }
        // At boot, it still says what is wrong.
        machine.runs(NEWER);
        let said = machine.guard(&["check"]);
        assert_eq!(said.code, 1, "{name}");
        said.says(&[NEWER, "has no lustre.ko and ldiskfs.ko", why]);
    }
}

#[test]
fn a_configuration_that_boots_the_saved_entry_is_known_wherever_it_is() {
    for file in ["boot/grub2/grub.cfg", "boot/efi/EFI/rocky/grub.cfg"] {
        let machine = server();
        fs::create_dir_all(machine.path(file).parent().unwrap()).unwrap();
        fs::write(
            machine.path(file),
            "set default=\"${saved_entry}\"\nblscfg\n",
        )
        .unwrap();
        machine.update();
        assert_eq!(machine.saved(), OURS, "{file}");
    }
}
