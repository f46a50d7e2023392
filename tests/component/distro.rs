//! The rehearsal distribution's parts against Debian's and rpm's own tools.

mod archive;
mod debs;

use std::fs;
use std::path::Path;
use std::process::Command;

use debs::{only, output, recipe, samples, write};
use lustre_distro::Recipe;
use lustre_distro::assemble::{self, metadata, packages};
use lustre_distro::version::Evr;

#[test]
fn versions_keep_the_order_that_dpkg_gives_them() {
    let versions = [
        "0.1~rc1-1",
        "1.0~beta-1",
        "1.0~rc1~git1-1",
        "1.0~rc1-1",
        "1.0-1~bpo12+1",
        "1.0-1",
        "1.0-1+b1",
        "1.0-1+b12",
        "1.0-1+deb12u1",
        "1.0-1+deb12u10",
        "1.0-1.1",
        "1.0-2",
        "1.0-10",
        "1.0+dfsg-1",
        "1.0+dfsg1-1",
        "1.0a-1",
        "1.0b-1",
        "1.0.1-1",
        "1.0.1",
        "1.0.10-1",
        "1.2-rc3-1",
        "1.10-1",
        "2.36-9+deb12u14",
        "20230311+deb12u1",
        "1:0.5-1",
        "1:0.5-1+b3",
        "2:0.1",
    ];
    let mut lua = String::new();
    let mut expected = Vec::new();
    for a in versions {
        for b in versions {
            let less = Command::new("dpkg")
                .args(["--compare-versions", a, "lt", b])
                .status()
                .unwrap()
                .success();
            // In these pairs a letter stands against a plus sign, which rpm does not see: `1.0a` and `1.0+dfsg`.
            let letter = |v: &str| v.starts_with("1.0a") || v.starts_with("1.0b");
            let plus = |v: &str| v.starts_with("1.0+dfsg");
            if (letter(a) && plus(b)) || (plus(a) && letter(b)) {
                continue;
            }
            expected.push((a, b, less));
            let [a, b] = [a, b].map(|v| Evr::from_debian(v).unwrap());
            lua.push_str(&format!("print(rpm.ver('{a}') < rpm.ver('{b}'), '\\n')"));
        }
    }
    let answers = output(
        Command::new("rpm")
            .arg("--eval")
            .arg(format!("%{{lua:{lua}}}")),
    );
    let answers: Vec<&str> = answers.split_whitespace().collect();
    assert_eq!(answers.len(), expected.len());
    for (answer, (a, b, less)) in answers.iter().zip(expected) {
        assert_eq!(*answer, less.to_string(), "{a} < {b}");
    }
}

/// Converts the samples into `out/Packages` of a repository.
fn convert(dir: &Path, out: &Path, jobs: usize) -> Recipe {
    let recipe = recipe(&dir.join("recipe"));
    let pins = samples(&dir.join("debs"), &dir.join("trees"));
    packages(
        &recipe,
        &pins,
        &dir.join("debs"),
        &out.join("Packages"),
        jobs,
    )
    .unwrap();
    recipe
}

fn query(package: &Path, arguments: &[&str]) -> String {
    output(
        Command::new("rpm")
            .args(["--query", "--package", "--nosignature"])
            .args(arguments)
            .arg(package)
            .env("LC_ALL", "C")
            .env("TZ", "UTC"),
    )
}

#[test]
fn rpm_reads_the_packages_as_debian_meant_them() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("repo");
    convert(dir.path(), &out, 2);
    let folder = out.join("Packages");

    let library = only(&folder, "libsample-");
    assert_eq!(
        query(
            &library,
            &[
                "--queryformat",
                "%{name} %{evr} %{arch} %{summary}|%{description}"
            ]
        ),
        "libsample 1:2.0-3+deb12u1 x86_64 sample library|It does nothing.\n\nTwice."
    );
    let provides = query(&library, &["--provides"]);
    for wanted in [
        "libsample1 = 1:2.0-3+deb12u1",
        "sample-libs = 1:2.0-3+deb12u1",
        "libsample-abi-2",
        "libmount.so.1()(64bit)",
        "libmount.so.1(MOUNT_2.20)(64bit)",
    ] {
        assert!(
            provides.lines().any(|line| line == wanted),
            "{wanted} in {provides}"
        );
    }
    let files = query(&library, &["--list"]);
    assert!(
        files.contains("/usr/lib/x86_64-linux-gnu/libmount.so.1.1.0\n"),
        "{files}"
    );
    assert!(
        files.contains("/usr/share/doc/libsample1/copyright"),
        "{files}"
    );
    assert!(!files.contains("changelog"), "{files}");

    let tools = only(&folder, "sample-tools-");
    assert_eq!(
        query(&tools, &["--queryformat", "%{evr} %{arch}"]),
        "2.0-0 noarch"
    );
    let requires = query(&tools, &["--requires"]);
    for wanted in [
        "libsample >= 1:2.0-3~",
        "(libsample-abi-2 or libsample-abi-3 >= 3-0)",
        "skeleton",
    ] {
        assert!(
            requires.lines().any(|line| line == wanted),
            "{wanted} in {requires}"
        );
    }
    assert!(!requires.contains("debconf"), "{requires}");
    let provides = query(&tools, &["--provides"]);
    for wanted in [
        "/bin/sample",
        "perl(Sample::Thing) = 1.5",
        "pkgconfig(sample) = 2.0",
    ] {
        assert!(
            provides.lines().any(|line| line == wanted),
            "{wanted} in {provides}"
        );
    }
    assert_eq!(query(&tools, &["--configfiles"]), "/etc/sample.conf\n");
    let list = query(
        &tools,
        &[
            "--queryformat",
            "[%{filemodes:perms} %{filenlinks} %{fileusername} %{filenames} %{filelinktos}\n]",
        ],
    );
    for wanted in [
        "-rw-r----- 1 root /etc/sample.conf ",
        "-rwsr-xr-x 2 root /usr/bin/sample ",
        "-rwsr-xr-x 2 root /usr/bin/sample2 ",
        "lrwxrwxrwx 1 root /usr/bin/sampler sample",
    ] {
        assert!(
            list.lines().any(|line| line == wanted),
            "{wanted} in {list}"
        );
    }

    // The skeleton's files have modes of its own, not of the checkout, and passwd may change.
    let skeleton = only(&folder, "skeleton-");
    let list = query(
        &skeleton,
        &[
            "--queryformat",
            "[%{filemodes:perms} %{filenames} %{fileverifyflags:hex}\n]",
        ],
    );
    assert!(list.contains("drwxrwxrwt /tmp"), "{list}");
    let passwd = list
        .lines()
        .find(|line| line.contains("/etc/passwd"))
        .unwrap();
    assert!(passwd.starts_with("-rw-r--r-- "), "{list}");
    // RPMVERIFY_FILEDIGEST, _FILESIZE and _MTIME are bits 0, 1 and 5.
    let flags = u32::from_str_radix(passwd.rsplit(' ').next().unwrap(), 16).unwrap();
    assert_eq!(flags & 0b10_0011, 0, "{list}");
    assert_ne!(flags, 0, "{list}");
}

#[test]
fn the_payload_is_what_the_deb_holds() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("repo");
    convert(dir.path(), &out, 1);
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    output(
        Command::new("sh")
            .args(["-ec", "rpm2cpio \"$1\" | cpio --quiet -idm", "sh"])
            .arg(only(&out.join("Packages"), "sample-tools-"))
            .current_dir(&root),
    );
    use std::os::unix::fs::MetadataExt;
    let [one, two] =
        ["sample", "sample2"].map(|name| fs::metadata(root.join("usr/bin").join(name)).unwrap());
    assert_eq!(one.ino(), two.ino());
    assert_eq!(one.mtime(), 1_600_000_000);
    assert_eq!(
        fs::read(root.join("usr/bin/sample2")).unwrap(),
        b"#!/bin/sh\n"
    );
    assert_eq!(fs::read(root.join("etc/sample.conf")).unwrap(), b"a = 1\n");
}

#[test]
fn dnf_finds_the_repository_closed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("repo");
    let recipe = convert(dir.path(), &out, 2);
    metadata(&out, recipe.distribution.time, &dir.path().join("log")).unwrap();
    let closure = |folder: &Path| {
        Command::new("dnf")
            .arg("repoclosure")
            .arg(format!("--repofrompath=sample,{}", folder.display()))
            .args(["--disablerepo=*", "--enablerepo=sample", "--releasever=1"])
            .arg(format!(
                "--setopt=cachedir={}",
                dir.path().join("cache").display()
            ))
            .env("HOME", dir.path())
            .output()
            .unwrap()
    };
    let done = closure(&out);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // And it would notice.
    fs::remove_file(only(&out.join("Packages"), "libsample-")).unwrap();
    metadata(&out, recipe.distribution.time + 1, &dir.path().join("log")).unwrap();
    fs::remove_dir_all(dir.path().join("cache")).unwrap();
    assert!(!closure(&out).status.success());
}

#[test]
fn the_same_debs_give_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, jobs) in [(&one, 1), (&two, 3)] {
        let recipe = convert(dir.path(), dir.path(), jobs);
        metadata(
            dir.path(),
            recipe.distribution.time,
            &dir.path().join("log"),
        )
        .unwrap();
    }
    let names = |dir: &Path| {
        let mut names: Vec<_> = ["Packages", "repodata"]
            .iter()
            .flat_map(|folder| fs::read_dir(dir.join(folder)).unwrap())
            .map(|entry| entry.unwrap().path().strip_prefix(dir).unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(one.path()), names(two.path()));
    assert!(names(one.path()).len() > 5);
    for name in names(one.path()) {
        let same =
            fs::read(one.path().join(&name)).unwrap() == fs::read(two.path().join(&name)).unwrap();
        assert!(same, "{}", name.display());
    }
}

#[test]
fn a_deb_that_climbs_out_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&dir.path().join("recipe"));
    let mut pins = samples(&dir.path().join("debs"), &dir.path().join("trees"));
    let evil = dir.path().join("x/y");
    fs::create_dir_all(&evil).unwrap();
    write(&dir.path().join("passwd"), "evil\n", 0o644);
    let deb = dir.path().join("debs").join(&pins[1].file.file);
    output(
        Command::new("sh")
            .args([
                "-ec",
                "ar p \"$1\" control.tar.zst >control.tar.zst; echo 2.0 >debian-binary\n\
                 tar -P -cf data.tar ../../passwd\nrm \"$1\"\nar rc \"$1\" debian-binary control.tar.zst data.tar",
                "sh",
            ])
            .arg(&deb)
            .current_dir(&evil),
    );
    pins.remove(0);
    let out = dir.path().join("out");
    let recipe_without = Recipe {
        package: Default::default(),
        ..recipe
    };
    let error = packages(&recipe_without, &pins, &dir.path().join("debs"), &out, 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("leaves") && error.contains(&pins[0].file.file),
        "{error}"
    );
    assert!(fs::read_dir(&out).unwrap().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with("sample-tools")
    }));
}

#[test]
fn a_recipe_that_names_a_missing_package_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&dir.path().join("recipe"));
    let error = packages(&recipe, &[], dir.path(), &dir.path().join("out"), 1).unwrap_err();
    assert!(matches!(error, assemble::Error::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("libsample"), "{error}");
}

#[test]
fn what_is_published_later_is_made_for_itself_and_its_scriptlets_make_boot_entries() {
    let dir = tempfile::tempdir().unwrap();
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let recipe = Recipe::load(&specs.join("distributions/rehearsal")).unwrap();
    let made = assemble::updates(&recipe, dir.path()).unwrap();
    let [kernel] = made.as_slice() else {
        panic!("not one package: {made:?}");
    };
    assert_eq!(
        kernel.file_name().unwrap(),
        "kernel-core-99.0-1.reh12.x86_64.rpm"
    );
    let scripts = output(
        Command::new("rpm")
            .args(["-qp", "--nosignature", "--scripts"])
            .arg(kernel),
    );
    for command in ["kernel-install add 99.0-1", "kernel-install remove 99.0-1"] {
        assert!(scripts.contains(command), "{scripts}");
    }
    let own = lustre_distro::own::folders(&recipe).unwrap();
    assert!(own.iter().all(|folder| !folder.ends_with("kernel-core")));
}
