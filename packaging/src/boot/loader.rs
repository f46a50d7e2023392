//! What the boot loader's files say: which kernel boots by default, and with which initial RAM disk.
//!
//! The entries are files of the Boot Loader Specification, as Enterprise Linux has them in `/boot/loader/entries`; which of them is the
//! default is in GRUB's environment, a block of 1,024 bytes.

use std::cmp::Ordering;

use rpm_version::Evr;

/// Where entries are, in a root.
pub const ENTRIES: &str = "/boot/loader/entries";
/// Where GRUB's environment is.
pub const ENVIRONMENT: &str = "/boot/grub2/grubenv";

/// What GRUB's environment begins with.
const HEADER: &str = "# GRUB Environment Block\n";
/// How large it is.
const SIZE: usize = 1024;

/// What cannot be read of a boot loader's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the boot entry {id} {why}")]
    Entry {
        /// The name of its file, without `.conf`.
        id: String,
        why: &'static str,
    },
    #[error("{ENVIRONMENT} is no environment of GRUB's: {0}")]
    Environment(&'static str),
    #[error("there is no boot entry in {ENTRIES}")]
    NoEntry,
}

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of its file, without `.conf`.
    pub id: String,
    /// What the menu shows.
    pub title: String,
    /// The kernel, below the root of the boot partition.
    pub linux: String,
    /// The initial RAM disk, if it has one.
    pub initrd: Option<String>,
}

impl Entry {
    /// Reads the text of the entry `id`.
    pub fn parse(id: &str, text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Entry {
            id: id.to_owned(),
            why,
        };
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| {
                let (word, rest) = line.trim().split_once([' ', '\t'])?;
                (word == key).then(|| rest.trim().to_owned())
            });
            lines.rfind(|value| !value.is_empty())
        };
        let linux = value("linux").ok_or_else(|| wrong("names no kernel"))?;
        // GRUB's variables stand behind the file, as `$tuned_initrd`.
        let initrd =
            value("initrd").and_then(|all| all.split_whitespace().next().map(str::to_owned));
        let inside =
            |path: &String| path.starts_with('/') && !path.split('/').any(|part| part == "..");
        if !inside(&linux) || !initrd.iter().all(inside) {
            return Err(wrong("names a file outside of the boot partition"));
        }
        Ok(Self {
            id: id.to_owned(),
            title: value("title").unwrap_or_default(),
            linux,
            initrd,
        })
    }

    /// What `uname -r` will say, by the name of the kernel's file.
    pub fn release(&self) -> Option<&str> {
        self.linux
            .rsplit_once("/vmlinuz-")
            .map(|(_, release)| release)
    }
}

/// Where the file that an entry names is in a root: in the boot partition, or with the name of its folder in front.
pub fn places(path: &str) -> [String; 2] {
    [format!("/boot{path}"), path.to_owned()]
}

/// The saved entry in GRUB's environment; none where none is saved.
pub fn saved(environment: &str) -> Result<Option<&str>, Error> {
    let wrong = Error::Environment;
    let body = environment
        .strip_prefix(HEADER)
        .ok_or(wrong("it does not begin like one"))?;
    if environment.len() != SIZE {
        return Err(wrong("it does not have 1,024 bytes"));
    }
    let saved = body
        .lines()
        .find_map(|line| line.strip_prefix("saved_entry="));
    Ok(saved.filter(|value| !value.is_empty()))
}

/// The entry that boots by default: the saved one, by its file, its place in the menu or its title; else the first of the menu.
pub fn default<'e>(entries: &'e [Entry], saved: Option<&str>) -> Result<&'e Entry, Error> {
    let mut menu: Vec<&Entry> = entries.iter().collect();
    menu.sort_by(|one, other| newer(one, other));
    let named = saved.and_then(|saved| {
        let by_place = || {
            saved
                .parse::<usize>()
                .ok()
                .and_then(|at| menu.get(at).copied())
        };
        let by = |told: fn(&Entry) -> &str| menu.iter().copied().find(|one| told(one) == saved);
        by(|one| &one.id)
            .or_else(by_place)
            .or_else(|| by(|one| &one.title))
    });
    named
        .or_else(|| menu.first().copied())
        .ok_or(Error::NoEntry)
}

/// The menu's order: the newest kernel first, what has no release last.
fn newer(one: &Entry, other: &Entry) -> Ordering {
    match (one.release(), other.release()) {
        (Some(one), Some(other)) => Evr::parse(other).cmp(&Evr::parse(one)),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
    .then_with(|| one.id.cmp(&other.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(release: &str) -> Entry {
        let text = format!(
            "title Linux ({release})\nversion {release}\nlinux\t/vmlinuz-{release} \ninitrd /initramfs-{release}.img $tuned_initrd\n"
        );
        Entry::parse(&format!("id-{release}"), &text).unwrap()
    }

    fn environment(lines: &str) -> String {
        format!("{:#<SIZE$}", format!("{HEADER}{lines}"))
    }

    #[test]
    fn the_default_is_the_saved_entry_or_the_newest() {
        let entries = [
            "5.14.0-570.el9",
            "5.14.0-570.12.1.el9_6",
            "4.18.0-553.el8_10",
        ]
        .map(entry);
        for (lines, release) in [
            ("saved_entry=id-4.18.0-553.el8_10\n", "4.18.0-553.el8_10"),
            ("kernelopts=x\nsaved_entry=1\n", "5.14.0-570.el9"),
            (
                "saved_entry=Linux (4.18.0-553.el8_10)\n",
                "4.18.0-553.el8_10",
            ),
            ("saved_entry=gone\n", "5.14.0-570.12.1.el9_6"),
            ("saved_entry=9\n", "5.14.0-570.12.1.el9_6"),
            ("saved_entry=\n", "5.14.0-570.12.1.el9_6"),
            ("", "5.14.0-570.12.1.el9_6"),
        ] {
            let environment = environment(lines);
            let found = default(&entries, saved(&environment).unwrap()).unwrap();
            assert_eq!(found.release(), Some(release), "{lines}");
            assert_eq!(found.initrd, Some(format!("/initramfs-{release}.img")));
        }
        assert_eq!(default(&[], None), Err(Error::NoEntry));
    }

    #[test]
    fn what_is_damaged_is_named() {
        for (text, why) in [
            ("", "names no kernel"),
            ("title x\nlinux\n", "names no kernel"),
            ("linux vmlinuz\n", "outside"),
            ("linux /../vmlinuz-1\n", "outside"),
            ("linux /vmlinuz-1\ninitrd ../x\n", "outside"),
        ] {
            let error = Entry::parse("x", text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("entry x"), "{error}");
        }
        for wrong in [
            String::new(),
            HEADER.to_owned(),
            environment("").replace("GRUB", "grub"),
            environment("") + "#",
        ] {
            assert!(
                matches!(saved(&wrong), Err(Error::Environment(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_is_in_the_boot_partition_or_has_its_folder_in_front() {
        assert_eq!(places("/vmlinuz-1"), ["/boot/vmlinuz-1", "/vmlinuz-1"]);
        assert_eq!(places("/boot/vmlinuz-1")[1], "/boot/vmlinuz-1");
        assert_eq!(
            Entry::parse("x", "linux /folder/linux").unwrap().release(),
            None
        );
    }
}
