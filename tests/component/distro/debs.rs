//! .debs made by Debian's own dpkg-deb, and recipes to convert them with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_distro::recipe::Recipe;
use lustre_packaging::lock::{FilePin, PackagePin};

/// What a program printed; fails when it failed.
pub fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

/// Writes a file with its folders, and gives it a mode.
pub fn write(path: &Path, contents: impl AsRef<[u8]>, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Packs the tree in `root` (with `DEBIAN/control`) into a .deb in `debs` and gives its pin.
fn pack(
    root: &Path,
    debs: &Path,
    name: &str,
    version: &str,
    arch: &str,
    compression: &str,
) -> PackagePin {
    let file = format!("{name}_{}_{arch}.deb", version.replace(':', "%3a"));
    output(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", "1600000000")
            .args(["--root-owner-group", &format!("-Z{compression}"), "--build"])
            .arg(root)
            .arg(debs.join(&file)),
    );
    PackagePin {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: arch.to_owned(),
        file: FilePin {
            file,
            size: 1,
            sha256: "0".repeat(64),
            uri: String::new(),
        },
    }
}

/// A library and the tools that need it.
pub fn samples(debs: &Path, scratch: &Path) -> Vec<PackagePin> {
    let library = scratch.join("libsample1");
    write(
        &library.join("DEBIAN/control"),
        "Package: libsample1\nVersion: 1:2.0-3+deb12u1\nArchitecture: amd64\nMaintainer: A <a@example.org>\n\
         Provides: libsample-abi-2\nDescription: sample library\n It does nothing.\n .\n Twice.\n",
        0o644,
    );
    // Any real library will do; this one is on every Debian host.
    let real = fs::read("/lib/x86_64-linux-gnu/libmount.so.1").unwrap();
    write(
        &library.join("lib/x86_64-linux-gnu/libmount.so.1.1.0"),
        real,
        0o644,
    );
    symlink(
        "libmount.so.1.1.0",
        library.join("lib/x86_64-linux-gnu/libmount.so.1"),
    )
    .unwrap();
    write(
        &library.join("usr/share/doc/libsample1/copyright"),
        "Free.\n",
        0o644,
    );
    write(
        &library.join("usr/share/doc/libsample1/changelog"),
        "Long.\n",
        0o644,
    );

    let tools = scratch.join("sample-tools");
    write(
        &tools.join("DEBIAN/control"),
        "Package: sample-tools\nVersion: 2.0\nArchitecture: all\nMaintainer: A <a@example.org>\n\
         Pre-Depends: debconf (>= 0.5) | debconf-2.0\n\
         Depends: libsample1 (>= 1:2.0-3~), libsample-abi-2 | libsample-abi-3 (>= 3)\nDescription: sample tools\n",
        0o644,
    );
    write(&tools.join("DEBIAN/conffiles"), "/etc/sample.conf\n", 0o644);
    write(&tools.join("etc/sample.conf"), "a = 1\n", 0o640);
    write(&tools.join("bin/sample"), "#!/bin/sh\n", 0o4755);
    fs::hard_link(tools.join("bin/sample"), tools.join("bin/sample2")).unwrap();
    write(
        &tools.join("usr/share/perl5/Sample/Thing.pm"),
        "package Sample::Thing;\nour $VERSION = '1.5';\n1;\n",
        0o644,
    );
    write(
        &tools.join("usr/share/pkgconfig/sample.pc"),
        "v=2.0\nName: sample\nVersion: ${v}\n",
        0o644,
    );
    fs::create_dir_all(debs).unwrap();
    vec![
        pack(
            &library,
            debs,
            "libsample1",
            "1:2.0-3+deb12u1",
            "amd64",
            "xz",
        ),
        pack(&tools, debs, "sample-tools", "2.0", "all", "zstd"),
    ]
}

/// A recipe for the samples, in a folder of its own.
pub fn recipe(dir: &Path) -> Recipe {
    write(
        &dir.join("distribution.toml"),
        r#"
[distribution]
name = "Sample"
time = 1704067200
skeleton = "skeleton"
[debian]
codename = "bookworm"
suites = ["bookworm"]
component = "main"
seeds = ["sample-tools"]
drop = ["debconf"]
[paths]
moved = [{ from = "/bin", to = "/usr/bin", provide_old = true }, { from = "/lib", to = "/usr/lib" }]
drop = ["/usr/share/doc"]
keep = ["/usr/share/doc/*/copyright"]
[provides]
libraries = ["/usr/lib/x86_64-linux-gnu"]
pkgconfig = ["/usr/share/pkgconfig"]
perl = ["/usr/share/perl5"]
[rename]
libsample1 = "libsample"
[package.libsample]
provides = ["sample-libs"]
[package.sample-tools]
links = { "/usr/bin/sampler" = "sample" }
"#,
        0o644,
    );
    write(
        &dir.join("own/skeleton/package.toml"),
        "name = \"skeleton\"\nversion = \"1\"\nrelease = \"1\"\nsummary = \"s\"\ndescription = \"d\"\n\
         license = \"GPL-2.0-or-later\"\nchanges = [\"/etc/passwd\"]\nlinks = { \"/bin\" = \"usr/bin\" }\n\
         directories = { \"/tmp\" = \"1777\" }\n",
        0o644,
    );
    write(
        &dir.join("own/skeleton/root/etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n",
        0o600,
    );
    Recipe::load(dir).unwrap()
}

/// The repository's recipe of the rehearsal distribution.
pub fn rehearsal() -> Recipe {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    Recipe::load(&specs.join("distributions/rehearsal")).unwrap()
}

/// The only file in `dir` whose name begins with `prefix`.
pub fn only(dir: &Path, prefix: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .collect();
    assert_eq!(found.len(), 1, "{prefix} in {}: {found:?}", dir.display());
    found.remove(0)
}
