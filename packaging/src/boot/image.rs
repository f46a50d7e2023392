//! From a clone of a chroot to what a machine boots: a root file system and a kernel.

use std::fs;
use std::path::{Path, PathBuf};

use super::loader::{self, Entry};
use super::{Error, at};
use crate::process;
use crate::sandbox::{self, Sandbox};
use crate::target::Boot;

/// Where the guest finds what it runs.
pub const GUEST_INSIDE: &str = "/usr/lib/lustre-repo-boot";

/// The guest's host name and the address of its one interface.
const HOST: &str = "server";
const ADDRESS: &str = "192.168.100.1";

/// What was made.
#[derive(Debug)]
pub struct Image {
    /// The root file system: ext4, sparse.
    pub disk: PathBuf,
    pub kernel: PathBuf,
    /// Its initial RAM disk, where the boot entry has one.
    pub initrd: Option<PathBuf>,
    /// The guest's first process.
    pub init: String,
}

const GUEST: &str = "/srv/boot-guest";
const ROOT: &str = "/srv/boot-root";
const OUT: &str = "/srv/boot-image";

/// Puts the guest's scripts into the chroot, takes the kernel out of it, and makes a file system of it, by its own mke2fs.
const SCRIPT: &str = r#"
size=$1 inside=$2
mkdir -p "$inside"
cp -R /srv/boot-guest/. "$inside/"
cp /srv/boot-image/settings "$inside/settings"
chmod 755 "$inside/init"
# Takes the first of two places that is there.
take() {
    for file in "$2" "$3"; do
        if [ -f "$file" ]; then cp "$file" "/srv/boot-image/$1"; return; fi
    done
    echo "there is no $1: neither $2 nor $3" >&2
    exit 1
}
take vmlinuz "$3" "$4"
if [ -n "$5" ]; then take initrd "$5" "$6"; fi
mke2fs -q -F -t ext4 -d /srv/boot-root /srv/boot-image/root.img "$size"
"#;

/// What runs in a guest.
#[derive(Debug, Clone, Copy)]
pub struct Guest<'a> {
    /// The target's table.
    pub boot: &'a Boot,
    /// The folder with the scripts.
    pub scripts: &'a Path,
    /// Where the disk that other machines have, too, is mounted.
    pub kept: Option<&'a str>,
}

/// Makes a file system of `mib` MiB without files in the new folder `out`, by the mke2fs of the chroot that `sandbox` runs commands in.
pub fn empty_disk(
    sandbox: &Sandbox<'_>,
    mib: u64,
    out: &Path,
    log: &Path,
) -> Result<PathBuf, Error> {
    fs::create_dir_all(out).map_err(at(out))?;
    let sandbox = sandbox.clone().writable(out, OUT);
    sandbox.give(out).map_err(at(out))?;
    let file = "kept.img";
    let (inside, size) = (format!("{OUT}/{file}"), format!("{mib}M"));
    let arguments = ["-q", "-F", "-t", "ext4", &inside, &size];
    let mut command = sandbox.command("mke2fs", &arguments);
    process::run_logged(&mut command, log)?;
    Ok(out.join(file))
}

/// Makes an image of the chroot that `sandbox` runs commands in, with `guest`'s scripts and the target's settings, in the new folder
/// `out`. The kernel is what the boot loader's `entry` names; where nothing makes such entries, the one of the `release`.
pub fn make(
    sandbox: &Sandbox<'_>,
    guest: Guest<'_>,
    release: &str,
    entry: Option<&Entry>,
    out: &Path,
    log: &Path,
) -> Result<Image, Error> {
    fs::create_dir_all(out).map_err(at(out))?;
    let path = out.join("settings");
    fs::write(&path, settings(guest)).map_err(at(&path))?;
    let scripts = &sandbox::readable(guest.scripts, &out.join("guest"))?;
    let sandbox = sandbox
        .clone()
        .itself(ROOT)
        .read_only(scripts, GUEST)
        .writable(out, OUT);
    sandbox.give(out).map_err(at(out))?;
    let size = format!("{}M", guest.boot.disk_mib);
    let [kernels, initrds] = files(release, entry);
    let mut arguments = vec!["-euc", SCRIPT, "sh", &size, GUEST_INSIDE];
    arguments.extend(kernels.iter().chain(&initrds).map(String::as_str));
    let mut command = sandbox.command("sh", &arguments);
    process::run_logged(&mut command, log)?;
    Ok(Image {
        disk: out.join("root.img"),
        kernel: out.join("vmlinuz"),
        initrd: (!initrds[0].is_empty()).then(|| out.join("initrd")),
        init: format!("{GUEST_INSIDE}/init"),
    })
}

/// Where the kernel may be in the chroot, and where its initial RAM disk; empty where it has none.
fn files(release: &str, entry: Option<&Entry>) -> [[String; 2]; 2] {
    match entry {
        Some(entry) => [
            loader::places(&entry.linux),
            entry
                .initrd
                .as_deref()
                .map(loader::places)
                .unwrap_or_default(),
        ],
        None => [
            [
                format!("/lib/modules/{release}/vmlinuz"),
                format!("/boot/vmlinuz-{release}"),
            ],
            <[String; 2]>::default(),
        ],
    }
}

/// The target's settings as the guest's shell reads them.
fn settings(guest: Guest<'_>) -> String {
    let boot = guest.boot;
    let mut text = "# What the target expects, for the checks.\n".to_owned();
    let mut one = |name: &str, value: &str| text.push_str(&format!("{name}={}\n", quoted(value)));
    one("HOST", HOST);
    one("ADDRESS", ADDRESS);
    one("TESTS", &boot.tests);
    one("CLIENT", &boot.client);
    one("KEPT", guest.kept.unwrap_or_default());
    let users: Vec<String> = boot
        .users
        .iter()
        .map(|(name, id)| format!("{name}:{id}"))
        .collect();
    let nameless: Vec<String> = boot
        .nameless
        .iter()
        .map(|one| format!("{} {}", one.fid, one.why))
        .collect();
    for (name, values) in [
        ("CHECKS", &boot.checks),
        ("USERS", &users),
        ("MODULES", &boot.modules),
        ("MODULE_PACKAGES", &boot.module_packages),
        ("STAYS", &boot.stays),
        ("SERVERS", &boot.servers),
        ("TARGETS", &boot.targets),
        ("SANITY", &boot.sanity),
        ("IMAGES", &boot.images),
        ("FEATURES", &boot.features),
        ("NAMELESS", &nameless),
        ("UNCHECKED", &boot.unchecked),
    ] {
        let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        text.push_str(&format!("{name}=({})\n", values.join(" ")));
    }
    for (name, value) in &boot.environment {
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    text
}

/// A word for the shell, whatever is in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::boot::judge::tests::boot;

    #[test]
    fn the_kernel_is_the_one_of_the_boot_entry_where_there_is_one() {
        let [kernel, initrd] = files("6.1", None);
        assert_eq!(kernel, ["/lib/modules/6.1/vmlinuz", "/boot/vmlinuz-6.1"]);
        assert_eq!(initrd, ["", ""]);
        let entry = |text| Entry::parse("x", text).unwrap();
        let [kernel, initrd] = files("6.1", Some(&entry("linux /vmlinuz-9\ninitrd /i.img\n")));
        assert_eq!(kernel, ["/boot/vmlinuz-9", "/vmlinuz-9"]);
        assert_eq!(initrd, ["/boot/i.img", "/i.img"]);
        assert_eq!(files("6.1", Some(&entry("linux /k")))[1], ["", ""]);
    }

    #[test]
    fn the_guest_reads_the_settings_as_they_are_meant() {
        let mut boot = boot();
        boot.unchecked = vec!["it's $HOME; `x`".to_owned(), String::new()];
        boot.environment
            .insert("ODD".to_owned(), "a \"b\" 'c'".to_owned());
        let script = format!(
            "{}printf '%s|' \"${{#UNCHECKED[@]}}\" \"${{UNCHECKED[0]}}\" \"${{CHECKS[0]}}\" \"$CLIENT\" \"$KEPT\"; sh -c 'echo \"$ODD\"'",
            settings(Guest {
                boot: &boot,
                scripts: Path::new("/scripts"),
                kept: Some("/tmp"),
            })
        );
        let said = process::capture(process::command("bash").args(["-uc", &script])).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "2|it's $HOME; `x`|kernel|/mnt/lustre|/tmp|a \"b\" 'c'\n"
        );
    }

    #[test]
    fn every_check_of_the_project_is_there_and_is_bash() {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../specs")
            .join(boot().guest);
        let mut scripts = vec![guest.join("init"), guest.join("functions")];
        let boot = boot();
        let upgrade = &boot.upgrade;
        let later = [&upgrade.predecessor, &upgrade.upgraded, &upgrade.undone];
        let checks = boot.checks.iter().chain(later.into_iter().flatten());
        scripts.extend(checks.map(|check| guest.join("checks").join(check)));
        for script in scripts {
            let parsed = process::capture(process::command("bash").arg("-n").arg(&script)).unwrap();
            assert!(parsed.status.success(), "{}: {parsed:?}", script.display());
        }
    }
}
