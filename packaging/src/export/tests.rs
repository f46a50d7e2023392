//! Texts for other builders, of the targets in `specs/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::package::{Known, SourcePackage};
use super::*;
use crate::build::roots::{Buildroot, KERNEL_DEVEL};
use crate::obs::{Nevra, Project};
use crate::target::{LUSTRE, Target};

fn target(name: &str) -> Target {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    Target::load(&specs, name).unwrap()
}

fn project(name: &str) -> Project {
    Project::parse(name).unwrap()
}

fn package(name: &str, time: u32) -> SourcePackage {
    SourcePackage {
        name: name.to_owned(),
        path: PathBuf::from(format!("/somewhere/{name}-1-1.src.rpm")),
        time,
        buildroot: Vec::new(),
        built: Vec::new(),
        carried: Vec::new(),
    }
}

/// Lustre's, whose buildroot has what the target says that is built before.
fn lustre(target: &Target) -> SourcePackage {
    let root = Buildroot::of(target, LUSTRE, None);
    SourcePackage {
        built: root.built.iter().map(|name| nevra(name, None)).collect(),
        ..package(LUSTRE, 1)
    }
}

fn nevra(name: &str, epoch: Option<u64>) -> Nevra {
    Nevra {
        name: name.to_owned(),
        epoch,
        version: "1".to_owned(),
        release: "2".to_owned(),
        arch: "noarch".to_owned(),
    }
}

fn known(name: &str, epoch: Option<u64>) -> Known {
    Known {
        nevra: nevra(name, epoch),
        sigmd5: "0123456789abcdef0123456789abcdef".to_owned(),
        path: PathBuf::from(format!("/somewhere/{name}-1-2.noarch.rpm")),
        license: "GPL".to_owned(),
    }
}

#[test]
fn every_target_says_where_a_service_has_its_distribution_or_how_it_begins() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    for name in crate::target::list(&specs).unwrap() {
        let target = target(&name);
        match obs::Path::of_distribution(&target) {
            Some(base) => assert_eq!(project(&base.project).name, base.project, "{name}"),
            None => {
                let conf = obs::base_conf(&target);
                let preinstall = conf.lines().find(|line| line.starts_with("Preinstall: "));
                assert!(
                    preinstall.is_some_and(|line| line.contains(" rpm ")),
                    "{name}: {conf}"
                );
            }
        }
        assert!(obs::prjconf(&target).contains("\nRelease:\n"), "{name}");
    }
    let base = |name: &str| obs::Path::of_distribution(&target(name)).unwrap().project;
    assert_eq!(base("rocky-9.6"), "RockyLinux:9");
    assert_eq!(base("alma-8.10"), "AlmaLinux:8");
}

#[test]
fn projects_are_built_on_each_other_and_names_are_escaped() {
    let base = obs::base_project(&project("a"));
    let own = obs::Path {
        project: "a & \"b\"".to_owned(),
        ..base.clone()
    };
    let text = obs::project_meta(&own, &[base], "x86_64");
    assert!(text.contains("<project name=\"a &amp; &quot;b&quot;\">"));
    assert!(text.contains("<path project=\"a:base\" repository=\"standard\"/>"));
    let text = obs::package_meta("a:config", obs::CONFIG_PACKAGE);
    assert!(text.starts_with("<package name=\"lustre-repo-build-config\" project=\"a:config\">"));
    for (name, is) in [
        ("home:jane:lustre-2.17", true),
        ("lustre", true),
        ("", false),
        ("a::b", false),
        (":a", false),
        ("a/b", true),
        ("a/b/c", false),
        ("_a", false),
        ("a b", false),
    ] {
        assert_eq!(Project::parse(name).is_ok(), is, "{name}");
    }
}

#[test]
fn lustre_alone_gets_what_its_configure_looks_for() {
    let target = target("rehearsal");
    let required = |text: &str| -> String {
        let lines: Vec<&str> = text.lines().collect();
        let line = lines.iter().rfind(|line| line.starts_with("Required: "));
        format!("{} ", line.unwrap())
    };
    let text = obs::prjconf(&target);
    // What `Substitute` brings is written into the spec, and so into the source package.
    assert!(!text.contains("Substitute:"), "{text}");
    // And what was built before, of which the spec requires a part.
    for name in ["automake", "kernel-devel", "e2fsprogs-static", "libcom_err"] {
        assert!(required(&text).contains(&format!(" {name} ")), "{text}");
        let others = required(&obs::package_conf(&target));
        assert!(!others.contains(&format!(" {name} ")), "{others}");
    }
    let installed = |one: &SourcePackage| mock::config(&target, one).unwrap();
    assert!(installed(&lustre(&target)).contains(" automake "));
    assert!(!installed(&package("e2fsprogs", 1)).contains(" automake "));
    // mock keeps a root by its name.
    let of = |name| mock::root(&target, name);
    assert_ne!(of("lustre"), of("e2fsprogs"));
}

#[test]
fn constraints_are_what_the_target_says_that_a_build_takes() {
    let needs = target("rehearsal").needs.unwrap();
    let text = obs::constraints(&needs, "kernel");
    assert!(text.contains("<size unit=\"G\">6</size>"), "{text}");
    // What the build takes besides its jobs, and as many jobs as there are cores.
    assert!(text.contains("<size unit=\"M\">1500</size>"), "{text}");
    let needs = target("rocky-9.6").needs.unwrap();
    let text = obs::constraints(&needs, "kernel");
    assert!(text.contains("<size unit=\"G\">36</size>"), "{text}");
}

#[test]
fn a_list_of_packages_has_one_order_and_an_epoch_where_there_is_one() {
    let all = [known("b", Some(1)), known("a", None)];
    let text = obs::buildenv(&all);
    let md5 = "hdrmd5=\"0123456789abcdef0123456789abcdef\"";
    assert_eq!(
        text,
        format!(
            "<buildinfo>\n  <bdep name=\"a\" version=\"1\" release=\"2\" arch=\"noarch\" {md5}/>\n  \
             <bdep name=\"b\" epoch=\"1\" version=\"1\" release=\"2\" arch=\"noarch\" {md5}/>\n</buildinfo>\n"
        )
    );
}

#[test]
fn a_package_of_nobody_in_a_buildroot_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a-1-1.src.rpm");
    let mut builder = rpm::PackageBuilder::new("a", "1", "GPL", "noarch", "a");
    builder.using_config(rpm::BuildConfig::v4().source_date(7));
    builder.build().unwrap().write_file(&path).unwrap();
    let none = BTreeMap::new();
    let error = SourcePackage::new("a", path.clone(), "gcc-1-2.x86_64 00\n", &none, &none);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("the buildroot of `a` has gcc-1-2.x86_64"),
        "{error}"
    );
    let one = SourcePackage::new("a", path, "", &none, &none).unwrap();
    assert_eq!(one.time, 7);
    let message = package::known(&dir.path().join("none")).unwrap_err();
    assert!(message.to_string().contains("none"), "{message}");
}

#[test]
fn a_tag_of_koji_gets_texts_and_no_numbers() {
    let text = koji::settings(&target("rocky-8.10"), &package("kernel", 1_767_225_600));
    for line in [
        "koji edit-tag \"$tag\" --extra 'rpm.env.SOURCE_DATE_EPOCH=\"1767225600\"'",
        "koji edit-tag \"$tag\" --extra 'rpm.macro.use_source_date_epoch_as_buildtime=\"1\"'",
        // Koji's own words would be tags of every package.
        "koji edit-tag \"$tag\" --extra 'rpm.macro.vendor=\"%%\"'",
        "koji edit-tag \"$tag\" --extra 'rpm.macro.packager=\"%%\"'",
        "koji edit-tag \"$tag\" --extra 'mock.module_setup_commands=[[\"enable\", \"python36:3.6\"]]'",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert_eq!(quoted("it's"), "'it'\\''s'");
}

/// Its repositories may have newer ones of the same name.
#[test]
fn mock_installs_just_what_lustre_is_built_against_here() {
    let installed = |target: &Target, one: &SourcePackage| {
        let text = mock::config(target, one).unwrap();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("config_opts['chroot_setup_cmd']"));
        line.unwrap().trim_end_matches('"').to_owned() + " "
    };
    let rehearsal = target("rehearsal");
    let mut one = lustre(&rehearsal);
    // What is built besides, and the target does not name.
    one.built.push(nevra("libss-more", Some(1)));
    let text = installed(&rehearsal, &one);
    for part in [" kernel-devel-1-2.noarch ", " libss-more-1:1-2.noarch "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // By its name, mock would take the distribution's.
    one.built.retain(|nevra| nevra.name != KERNEL_DEVEL);
    let error = mock::config(&rehearsal, &one).unwrap_err().to_string();
    for part in ["`lustre`", "`kernel-devel`", "run the command again"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let target = target("rocky-10.0");
    let mut one = lustre(&target);
    one.buildroot = vec![known("kernel-devel", None)];
    let text = installed(&target, &one);
    assert!(text.contains(" kernel-devel-1-2 "), "{text}");
    let text = readme::koji(&target, &[one]);
    assert!(text.contains("for the kernel 1-2"), "{text}");
}

#[test]
fn a_package_with_a_later_time_is_built_for_that() {
    let target = target("rehearsal");
    let late = [
        package("e2fsprogs", target.build.source_date_epoch),
        package("kernel", 1_800_000_000),
    ];
    for text in [readme::koji(&target, &late), readme::mock(&target, &late)] {
        assert!(text.contains("The time of kernel is 1800000000"), "{text}");
        assert!(!text.contains("The time of e2fsprogs"), "{text}");
    }
    let later = BTreeMap::from([("kernel".to_owned(), 1_800_000_000)]);
    let macros = &obs::config_package(&target, &later)["macros.lustre-repo-build-config"];
    let macros = String::from_utf8_lossy(macros);
    let chosen = "local time = \"1767225600\" \
                 if posix.access(\"/builddir/build/SOURCES/kernel.spec\") then time = \"1800000000\" end ";
    assert!(macros.starts_with("%_topdir %{lua:"), "{macros}");
    assert!(macros.contains(chosen), "{macros}");
    assert!(macros.contains("}/builddir/build\n"), "{macros}");
}

#[test]
fn another_configuration_is_another_config_package() {
    let file = |target: &Target| {
        let all = obs::config_package(target, &BTreeMap::new());
        String::from_utf8(all["macros.lustre-repo-build-config"].clone()).unwrap()
    };
    let mut target = target("rehearsal");
    let first = file(&target);
    assert!(
        first.contains("# Of the target rehearsal, with the configuration "),
        "{first}"
    );
    assert_eq!(first, file(&target));
    let mut seen = std::collections::BTreeSet::from([first]);
    target.build.host = "another.host".to_owned();
    assert!(seen.insert(file(&target)), "host");
    target.distribution.buildroot.push("zlib-devel".to_owned());
    assert!(seen.insert(file(&target)), "buildroot");
    target.lustre.buildroot.push("zlib-devel".to_owned());
    assert!(seen.insert(file(&target)), "Lustre's buildroot");
}

#[test]
fn what_lustre_is_built_with_has_projects_of_its_own() {
    let names = |target: &Target| -> Vec<(String, Vec<String>)> {
        let base = obs::Path::ours(&project("p"), "base".to_owned());
        let all = obs::projects(target, &project("p"), base).into_iter();
        all.map(|one| {
            (
                one.own.project,
                one.paths.into_iter().map(|path| path.project).collect(),
            )
        })
        .collect()
    };
    let one = |name: &str, paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        (name.to_owned(), paths)
    };
    assert_eq!(
        names(&target("rehearsal")),
        [
            one("p:config", &["base"]),
            one("p:kernel", &["p:config"]),
            one("p:e2fsprogs", &["p:config"]),
            one("p", &["p:kernel", "p:e2fsprogs", "p:config"]),
        ]
    );
    // Its servers run the distribution's own kernel.
    assert_eq!(
        names(&target("rocky-10.0")),
        [
            one("p:config", &["base"]),
            one("p:e2fsprogs", &["p:config"]),
            one("p", &["p:e2fsprogs", "p:config"]),
        ]
    );
    let text = obs::project_meta(&obs::base_project(&project("p")), &[], "x86_64");
    assert!(text.contains("<publish>\n    <disable/>"), "{text}");
    let text = readme::obs(&target("rehearsal"), &project("p"), &[]);
    for part in [
        "home:USER:NAME",
        "osc -A API meta prj p:kernel -F p:kernel/_meta",
        "maintainer",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// From a service that has nothing to packages that were built, as lines of a shell.
#[test]
fn who_knows_nothing_else_can_follow_what_is_written_for_a_service() {
    let packages = ["e2fsprogs", "kernel", "lustre"].map(|name| package(name, 1));
    let text = readme::obs(&target("rehearsal"), &project("p"), &packages);
    let mut after = 0;
    for line in [
        "osc -A API meta prj p:base -F p:base/_meta",
        "osc -A API meta prjconf p:base -F p:base/_config",
        "for file in STORE/stages/distribution-DIGEST/base/Packages/*.rpm; do",
        "osc -A API api -X PUT -T \"$file\" \"/build/p:base/standard/x86_64/_repository/${name%-*-*}.rpm\"",
        "osc -A API meta prj p:config -F p:config/_meta",
        "osc -A API meta prjconf p:kernel -F p:kernel/_config",
        "osc -A API meta prj p -F p/_meta",
        "from=$PWD && mkdir ../checkout && cd ../checkout",
        "osc -A API meta pkg p:config lustre-repo-build-config -F \"$from/p:config/lustre-repo-build-config/_meta\"",
        "osc -A API checkout --current-dir p:e2fsprogs e2fsprogs",
        "cp \"$from/p:kernel/kernel\"/* kernel/ && rm kernel/_meta",
        "(cd lustre && osc addremove && osc commit --message lustre-repo)",
        "osc -A API getbinaries --debuginfo --destdir built p lustre standard x86_64",
    ] {
        let at = text[after..].lines().any(|one| one.trim() == line);
        assert!(
            at,
            "{line} is not in, or not after what has to be before it:\n{text}"
        );
        after += text[after..].find(line).unwrap();
    }
    // The distribution's repositories, where a service has none of them.
    let text = readme::obs(&target("rocky-9.6"), &project("p"), &packages);
    for part in [
        "<repository name=\"baseos\">",
        "<download arch=\"x86_64\" url=\"https://dl.rockylinux.org/",
        "repotype=\"rpmmd\"/>",
        "<path project=\"NAME\" repository=\"appstream\"/>",
        "correct the path in p:config/_meta",
        "  https://dl.rockylinux.org/vault/rocky/9.6/BaseOS/x86_64/os\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("-source\">"), "{text}");
    assert!(!text.contains("certificate"), "{text}");
    let rhel = readme::obs(&target("rhel-9.6"), &project("p"), &packages);
    assert!(rhel.contains("ask for a certificate"), "{rhel}");
    assert!(!text.contains("the folder binaries"), "{text}");
    let mut with = package("lustre", 1);
    with.carried = vec![PathBuf::from("/somewhere/ext4-source-1-1.noarch.rpm")];
    let text = readme::obs(&target("rocky-10.0"), &project("p"), &[with]);
    for part in [
        "for file in binaries/ext4-source-1-1.noarch.rpm; do",
        "\"/build/RockyLinux:10/standard/x86_64/_repository/${name%-*-*}.rpm\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn all_projects_have_the_repository_that_was_named() {
    let project = project("p/el9");
    let base = obs::base_project(&project);
    assert_eq!(base.repository, "el9");
    for one in obs::projects(&target("rehearsal"), &project, base) {
        let text = obs::project_meta(&one.own, &one.paths, "x86_64");
        assert!(text.contains("<repository name=\"el9\""), "{text}");
        assert_eq!(text.matches("standard").count(), 0, "{text}");
    }
}

#[test]
fn what_no_source_package_makes_goes_along() {
    let dir = tempfile::tempdir().unwrap();
    let target = target("rocky-10.0");
    let mut one = package("lustre", 1);
    one.path = dir.path().join("lustre-1-1.src.rpm");
    fs::write(&one.path, "source").unwrap();
    let koji = |one: &SourcePackage, to: &Path| {
        contents::for_koji(to, &target, std::slice::from_ref(one)).unwrap();
        fs::read_to_string(to.join(readme::FILE)).unwrap()
    };
    let plain = dir.path().join("plain");
    fs::create_dir(&plain).unwrap();
    assert!(!koji(&one, &plain).contains(readme::CARRIED));
    assert!(!plain.join(readme::CARRIED).exists());
    one.carried = vec![dir.path().join("ext4-1-1.noarch.rpm")];
    fs::write(&one.carried[0], "ext4").unwrap();
    let with = dir.path().join("with");
    fs::create_dir(&with).unwrap();
    assert!(koji(&one, &with).contains("the folder binaries"));
    let carried = with.join("binaries/ext4-1-1.noarch.rpm");
    assert_eq!(fs::read_to_string(carried).unwrap(), "ext4");
}

#[test]
fn a_config_of_mock_has_the_repositories_with_their_keys() {
    let text = mock::config(&target("rhel-9.6"), &package("kernel", 1)).unwrap();
    for line in [
        "config_opts['root'] = \"lustre-repo-rhel-9.6-kernel-x86_64\"",
        "config_opts['environment']['SOURCE_DATE_EPOCH'] = \"1\"",
        "[baseos]",
        "gpgkey=https://access.redhat.com/security/data/fd431d51.txt",
        "sslclientcert=/etc/pki/entitlement",
        "module_platform_id=platform:el9",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    // What has source packages is nothing to install from.
    assert!(!text.contains("-source]"), "{text}");
}

#[test]
fn an_export_replaces_an_earlier_one_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let write = |text: &str| {
        folder::write(&out, Builder::Koji, "t", &["e2fsprogs"], |into| {
            folder::put(into, "e2fsprogs/a", text)
        })
    };
    let first = write("1").unwrap();
    assert_eq!(fs::read_to_string(out.join("e2fsprogs/a")).unwrap(), "1");
    assert_ne!(write("2").unwrap(), first);
    assert_eq!(write("1").unwrap(), first);
    fs::write(out.join("e2fsprogs/mine"), "").unwrap();
    let error = write("3").unwrap_err().to_string();
    assert!(error.contains("e2fsprogs/mine"), "{error}");
    assert_eq!(fs::read_to_string(out.join("e2fsprogs/a")).unwrap(), "1");
    fs::remove_file(out.join("e2fsprogs/mine")).unwrap();
    // What was changed is not lost; what was taken away comes back.
    fs::write(out.join("e2fsprogs/a"), "mine").unwrap();
    let error = write("3").unwrap_err();
    assert!(
        matches!(&error, Error::Edited { files, .. } if files == "e2fsprogs/a"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(out.join("e2fsprogs/a")).unwrap(), "mine");
    fs::remove_file(out.join("e2fsprogs/a")).unwrap();
    assert_eq!(write("1").unwrap(), first);
    // Of another target, or for another builder.
    for (builder, target) in [(Builder::Koji, "u"), (Builder::Obs, "t")] {
        let error = folder::write(&out, builder, target, &["e2fsprogs"], |into| {
            folder::put(into, "e2fsprogs/a", "1")
        });
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Other { .. }), "{error}");
        for part in ["target `t`", "for koji", "--output"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    assert_eq!(fs::read_to_string(out.join("e2fsprogs/a")).unwrap(), "1");
    // Not written by this tool.
    fs::write(out.join(folder::INDEX), "{}").unwrap();
    let error = write("3").unwrap_err();
    assert!(
        matches!(error, Error::Unfit(Unfit::Taken { .. })),
        "{error}"
    );
    let failed = folder::write(&dir.path().join("new"), Builder::Obs, "t", &[], |into| {
        folder::put(into, "a", "1")?;
        Err(Error::Interrupted)
    });
    assert!(failed.is_err());
    assert!(!dir.path().join("new").exists());
}

/// Writing takes time, and something else may come to be there.
#[test]
fn what_is_there_when_all_is_written_is_judged_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let write = |target: &str, meanwhile: &dyn Fn()| {
        folder::write(&out, Builder::Koji, target, &[], |into| {
            meanwhile();
            folder::put(into, "a", target)
        })
    };
    let other = || {
        write("u", &|| {}).unwrap();
    };
    let error = write("t", &other).unwrap_err();
    assert!(error.to_string().contains("target `u`"), "{error}");
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "u");
    let spoil = || fs::write(out.join(INDEX), "{}").unwrap();
    let error = write("u", &spoil).unwrap_err();
    assert!(error.to_string().contains("no earlier export"), "{error}");
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    write("u", &|| {}).unwrap();
    write("u", &|| fs::remove_dir_all(&out).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "u");
}
