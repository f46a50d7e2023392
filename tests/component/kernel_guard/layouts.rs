//! Boot entries that are damaged or of another layout: they are left alone, and it says so.

use std::fs;

use super::machine::{ID, Machine};

const OURS: &str = "5.14.0-570.32.1_lustre.el9_6.x86_64";
const NEWER: &str = "5.14.0-570.60.1.el9_6.x86_64";

/// What `grub2-mkconfig` writes of the default, whatever that is: it names the saved entry all the same.
fn configuration(default: &str) -> String {
    format!(
        "if [ \"${{next_entry}}\" ] ; then\n   set default=\"${{next_entry}}\"\n   set next_entry=\n   save_env next_entry\n\
         \x20  set boot_once=true\nelse\n   set default=\"{default}\"\nfi\n\nif [ \"${{prev_saved_entry}}\" ]; then\n\
         \x20 set saved_entry=\"${{prev_saved_entry}}\"\n  save_env saved_entry\nfi\n\nfunction savedefault {{\n\
         \x20 saved_entry=\"${{chosen}}\"\n  save_env saved_entry\n}}\n\ninsmod part_gpt\ninsmod blscfg\nblscfg\n"
    )
}

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
    let layouts: [Layout; 10] = [
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
            |machine| fs::write(machine.path("boot/grub2/grub.cfg"), configuration("0")).unwrap(),
            "does not boot the saved one",
        ),
        (
            "named",
            |machine| {
                let text = configuration("0").replace("blscfg", "true") + "# no blscfg\n";
                fs::write(machine.path("boot/grub2/grub.cfg"), text).unwrap()
            },
            "does not boot the saved one",
        ),
        (
            "deployments",
            |machine| fs::create_dir_all(machine.path("ostree/repo")).unwrap(),
            "ostree boots deployments here",
        ),
        (
            "booted deployment",
            |machine| {
                fs::create_dir_all(machine.path("run")).unwrap();
                fs::write(machine.path("run/ostree-booted"), "").unwrap();
            },
            "ostree boots deployments here",
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
        fs::write(machine.path(file), configuration("${saved_entry}")).unwrap();
        machine.update();
        assert_eq!(machine.saved(), OURS, "{file}");
    }
}

#[test]
fn with_grubby_too_the_entry_of_this_installation_is_taken() {
    let machine = server();
    machine.grubby();
    // Its name sorts before ours: grubby takes the first entry with that kernel.
    machine.entry(
        &format!("0000000{}-{OURS}", &ID[7..]),
        format!("linux /vmlinuz-{OURS}\noptions root=/dev/another\n"),
    );
    machine.update();
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn the_place_in_the_menu_counts_what_the_boot_loader_has_there() {
    let machine = server();
    // Another installation, a kernel that is gone, and a rescue system stand in the menu, too: by name, then by version, the last first.
    let other = format!("9{}", &ID[1..]);
    machine.entry(
        &format!("{other}-{NEWER}"),
        format!("linux /vmlinuz-{NEWER}\n"),
    );
    machine.entry(
        &format!("{ID}-5.14.0-570.50.1.el9_6.x86_64"),
        "linux /vmlinuz-5.14.0-570.50.1.el9_6.x86_64\n",
    );
    let rescue = format!("vmlinuz-0-rescue-{ID}");
    fs::write(machine.path(&format!("boot/{rescue}")), "kernel").unwrap();
    machine.entry(&format!("{ID}-0-rescue"), format!("linux /{rescue}\n"));
    for (place, stays) in [
        ("0", false),
        ("1", false),
        ("2", false),
        ("3", true),
        ("4", false),
        ("", false),
    ] {
        machine.save(place);
        machine.update();
        let expected = if stays { place } else { OURS };
        assert_eq!(machine.saved(), expected, "{place}");
        machine.guard(&["release"]);
    }
}

#[test]
fn a_rescue_system_that_boots_by_default_gives_way() {
    let machine = server();
    let rescue = format!("vmlinuz-0-rescue-{ID}");
    fs::write(machine.path(&format!("boot/{rescue}")), "kernel").unwrap();
    machine.entry(&format!("{ID}-0-rescue"), format!("linux /{rescue}\n"));
    machine.save(&format!("{ID}-0-rescue"));
    machine.update().says(&["or the rescue system"]);
    assert_eq!(machine.saved(), OURS);
    machine.guard(&["release"]);
    assert_eq!(machine.saved(), "0-rescue");
}

#[test]
fn entries_below_a_subvolume_are_read() {
    let machine = server();
    for release in [OURS, NEWER] {
        machine.entry(
            &format!("{ID}-{release}"),
            format!("linux /@/boot/vmlinuz-{release}\n"),
        );
    }
    let said = machine.update();
    assert!(!said.text.contains("left alone"), "{}", said.text);
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn the_kernel_to_boot_is_named_as_its_entry_names_it() {
    let machine = server();
    let kernel = format!("{ID}/{OURS}/linux");
    fs::create_dir_all(machine.path(&format!("boot/{ID}/{OURS}"))).unwrap();
    fs::write(machine.path(&format!("boot/{kernel}")), "kernel").unwrap();
    machine.entry(&format!("{ID}-{OURS}"), format!("linux /{kernel}\n"));
    machine.runs(NEWER);
    let said = machine.guard(&["check"]);
    said.says(&[&format!("`grubby --set-default=/boot/{kernel}`")]);
}

#[test]
fn names_with_blanks_and_line_breaks_are_names() {
    let machine = server();
    let odd = format!("{ID}-{OURS} (a copy) $(exit 3) [0]");
    fs::rename(
        machine.path(&format!("boot/loader/entries/{ID}-{OURS}.conf")),
        machine.path(&format!("boot/loader/entries/{odd}.conf")),
    )
    .unwrap();
    machine.entry("two\nlines", format!("linux /vmlinuz-{NEWER}\n"));
    // Every line that is said begins with the guard's name; the helper looks at that.
    let said = machine.update();
    said.says(&["two?lines.conf has a name that is no entry's"]);
    assert_eq!(machine.saved(), odd.replace(&format!("{ID}-"), ""));
}

#[test]
fn what_was_said_of_a_boot_loader_that_came_later_is_taken_back_at_boot() {
    let machine = server();
    // As where an image is made: modules and kernel come before the boot loader.
    let entries = machine.path("boot/loader/entries");
    let aside = machine.path("boot/loader/aside");
    fs::rename(&entries, &aside).unwrap();
    machine.update();
    assert!(machine.notes().contains("there are no boot entries"));
    fs::rename(&aside, &entries).unwrap();
    machine.runs(OURS);
    assert_eq!(machine.guard(&["check"]).code, 0);
    assert!(
        machine.notes().contains(&format!("boots {OURS}")),
        "{}",
        machine.notes()
    );
    assert_eq!(machine.saved(), OURS);
}

#[test]
fn what_cannot_be_written_is_said_and_fails_nothing() {
    let machine = server();
    // A file where a folder has to be.
    fs::write(machine.path("etc/motd.d"), "").unwrap();
    fs::write(machine.path("var"), "").unwrap();
    let said = machine.update();
    assert_eq!((said.code, machine.saved()), (0, OURS.to_owned()));
    said.says(&[
        "motd.d/lustre-repo-kernel-guard cannot be written",
        "state cannot be written",
    ]);
}
