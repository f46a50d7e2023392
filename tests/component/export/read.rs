//! The texts, read by rpm and by the programs of an Open Build Service; and wrong usage.

use super::*;

/// rpm's macros as they are on a build root that has the config package, and what `expression` is there.
fn evaluated(macros: &Path, expression: &str) -> String {
    let mut command = process::command("rpm");
    command
        .env_remove("SOURCE_DATE_EPOCH")
        .arg("--load")
        .arg(macros)
        .args(["--eval", expression]);
    printed(&mut command).trim().to_owned()
}

#[test]
fn the_folder_of_rpmbuild_comes_with_the_time_of_what_it_makes() {
    let folder = tempfile::tempdir().unwrap();
    let file = |later: &BTreeMap<String, u32>| {
        let all = config_package(&target("rehearsal"), later);
        let path = folder.path().join("macros.test");
        fs::write(&path, &all[&format!("macros.{CONFIG_PACKAGE}")]).unwrap();
        path
    };
    let time = "%{_topdir} %(echo $SOURCE_DATE_EPOCH)";
    let macros = file(&BTreeMap::new());
    assert_eq!(evaluated(&macros, time), "/builddir/build 1767225600");
    assert_eq!(evaluated(&macros, "%(echo $SOURCE_DATE_EPOCH)"), "");

    // A kernel whose changelog goes on later has a time of its own, and nothing else has it.
    let later = BTreeMap::from([("kernel".to_owned(), 1_767_300_000)]);
    let macros = file(&later);
    assert_eq!(evaluated(&macros, time), "/builddir/build 1767225600");
    let text = fs::read_to_string(&macros).unwrap();
    let there = folder.path().join("kernel.spec");
    fs::write(&there, "").unwrap();
    let looked = "/builddir/build/SOURCES/kernel.spec";
    assert!(text.contains(looked), "{text}");
    fs::write(&macros, text.replace(looked, there.to_str().unwrap())).unwrap();
    assert_eq!(evaluated(&macros, time), "/builddir/build 1767300000");
}

#[test]
fn rpmbuild_writes_no_tag_for_a_macro_that_a_service_must_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("a.spec");
    fs::write(
        &spec,
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: a\n%description\na\n%files\n",
    )
    .unwrap();
    let text = prjconf(&target("rehearsal"));
    let macros: String = text
        .lines()
        .filter(|line| line.starts_with('%'))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = folder.path().join("macros");
    // What a service has set before.
    fs::write(
        &file,
        format!("%vendor obs://a/b\n%distribution b\n{macros}"),
    )
    .unwrap();
    let mut command = process::command("rpmbuild");
    command
        .args(["-bs", "--quiet", "--load"])
        .arg(&file)
        .arg(format!("--define=_topdir {}", folder.path().display()))
        .arg(&spec);
    process::output(&mut command).unwrap();
    let mut command = process::command("rpm");
    command
        .args(["-qp", "--nosignature", "--qf"])
        .arg("%|DISTRIBUTION?{has one}:{none}| %{VENDOR} %{BUILDHOST}")
        .arg(folder.path().join("SRPMS/a-1-1.src.rpm"));
    assert_eq!(
        printed(&mut command),
        "none Rehearsal Linux builder.rehearsal"
    );
}

/// What obs-build makes of a config: a list, or the macros.
fn queried(conf: &str, what: &str) -> String {
    const ASK: &str = "my $is = Build::read_config('x86_64', $ARGV[0])->{$ARGV[1]}; print ref($is) ? \"@$is\" : $is";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.conf");
    fs::write(&path, conf).unwrap();
    let mut command = process::command("perl");
    command
        .arg(format!("-I{}", obs_build()))
        .args(["-MBuild", "-e", ASK])
        .arg(&path)
        .arg(what);
    printed(&mut command)
}

#[test]
fn obs_build_reads_a_project_as_it_is_meant() {
    let rehearsal = target("rehearsal");
    // As a service puts them together: what a base says is not the last word.
    let base = format!(
        "{}Support: extra-support\nRequired: extra-required\n",
        base_conf(&rehearsal)
    );
    let of = |own: String| [base.clone(), config_conf(&rehearsal), own].concat();
    let mut required = rehearsal.distribution.buildroot.clone();
    required.push(CONFIG_PACKAGE.to_owned());
    let conf = of(package_conf(&rehearsal));
    for (list, wanted) in [
        ("required", required.clone()),
        (
            "support",
            rehearsal.distribution.obs.clone().unwrap().support,
        ),
        (
            "preinstall",
            rehearsal.distribution.obs.clone().unwrap().preinstall,
        ),
    ] {
        let found = queried(&conf, list);
        let found: BTreeSet<&str> = found.split_whitespace().collect();
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        assert_eq!(found, wanted, "{list}");
    }
    // Lustre gets what it is configured with, and what was built before it.
    required.extend(
        rehearsal
            .lustre
            .buildroot
            .iter()
            .chain(&rehearsal.e2fsprogs.packages)
            .cloned(),
    );
    required.push("kernel-devel".to_owned());
    let found = queried(&of(prjconf(&rehearsal)), "required");
    let found: BTreeSet<&str> = found.split_whitespace().collect();
    let wanted: BTreeSet<&str> = required.iter().map(String::as_str).collect();
    assert_eq!(found, wanted);
    let macros = queried(&conf, "rawmacros");
    let last = |name: &str| macros.lines().rfind(|line| line.starts_with(name));
    assert_eq!(last("%_buildhost"), Some("%_buildhost builder.rehearsal"));
    assert_eq!(last("%vendor"), Some("%vendor Rehearsal Linux"));
    assert_eq!(last("%distribution"), Some("%distribution %%"));

    let rocky = prjconf(&target("rocky-8.10"));
    assert!(
        rocky.contains("\nExpandFlags: module:python36-3.6\n"),
        "{rocky}"
    );
}

/// The words of the last line that begins with `start`.
fn words_after<'t>(text: &'t str, start: &str) -> BTreeSet<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(start));
    let words = lines.next_back().unwrap().split_whitespace();
    words.map(|word| word.trim_matches('"')).collect()
}

/// What the kernel and e2fsprogs are built for is no part of Lustre's spec.
#[test]
fn every_builder_is_told_the_same_of_the_root_that_lustre_is_built_in() {
    for (name, has) in [
        ("rehearsal", &["kernel-devel", "e2fsprogs-static"][..]),
        (
            "rocky-10.0",
            &["kernel-devel", "ext4-source", "libss-devel"],
        ),
    ] {
        let target = target(name);
        let built = Buildroot::of(&target, LUSTRE, None).built.into_iter();
        let built = built.map(|name| Nevra {
            name,
            epoch: None,
            version: "1".to_owned(),
            release: "2".to_owned(),
            arch: "noarch".to_owned(),
        });
        let lustre = SourcePackage {
            name: LUSTRE.to_owned(),
            path: PathBuf::from("lustre-1-1.src.rpm"),
            time: 1,
            buildroot: Vec::new(),
            built: built.collect(),
            carried: Vec::new(),
        };
        let conf = prjconf(&target);
        let mut wanted = words_after(&conf, "Required: ");
        assert!(wanted.remove(CONFIG_PACKAGE), "{conf}");
        for package in has {
            assert!(wanted.contains(package), "{name}: {package}");
        }
        let mock = mock::config(&target, &lustre).unwrap();
        let start = "config_opts['chroot_setup_cmd'] = \"install ";
        // mock is told of what is built in which version.
        let words = words_after(&mock, start).into_iter();
        let words: BTreeSet<&str> = words
            .map(|word| word.trim_end_matches("-1-2.noarch"))
            .collect();
        assert_eq!(words, wanted, "{name}: mock");
        let koji = koji::settings(&target, &lustre);
        for group in ["build", "srpm-build"] {
            let start = format!("koji add-group-pkg \"$tag\" {group} ");
            assert_eq!(words_after(&koji, &start), wanted, "{name}: {group}");
        }
    }
}

#[test]
fn wrong_usage_is_said_before_anything_is_done() {
    let home = Home::new();
    let taken = home.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine"), "").unwrap();
    let other = home.path().join("other");
    fs::create_dir(&other).unwrap();
    let index = "{\n  \"format\": \"lustre-repo-export\",\n  \"version\": 1,\n  \"builder\": \"koji\",\n  \"target\": \"rocky-9.6\",\n  \
                 \"packages\": [],\n  \"files\": {}\n}\n";
    fs::write(other.join("export.json"), index).unwrap();
    let inside = other.join("a/b");
    let inside = inside.to_str().unwrap();
    let link = home.path().join("link");
    std::os::unix::fs::symlink(home.path(), &link).unwrap();
    // A slash at its end leads nowhere else.
    let link = format!("{}/", link.display());
    let link = link.as_str();
    let out = home.path().join("out");
    let (out, taken) = (out.to_str().unwrap(), taken.to_str().unwrap());
    let other = other.to_str().unwrap();
    for (line, said) in [
        (&["obs"][..], "--output"),
        (&["copr", "-o", out], "possible values: obs, koji, mock"),
        (
            &["obs", "--package", "lustr", "-o", out],
            "no package `lustr`; available packages: e2fsprogs, kernel, lustre",
        ),
        (
            &["koji", "--project", "a", "-o", out],
            "only an Open Build Service has projects",
        ),
        (
            &["obs", "--project", "a::b", "-o", out],
            "`a::b` is not the name of a project",
        ),
        (
            &["obs", "--project", "a/b:c", "-o", out],
            "`b:c` cannot be the name of a repository",
        ),
        (
            &["obs", "--project", "locked", "-o", out],
            "an export has something else in `locked`",
        ),
        (&["obs", "-o", link], "it is a link"),
        (&["obs", "-o", inside], "has what was exported"),
        (&["mock", "-o", taken], "is no earlier export"),
        (
            &["mock", "--target", "rocky-9.6", "-o", other],
            "has the export of the target `rocky-9.6` for koji",
        ),
        (&["koji", "-o", other], "choose another --output"),
    ] {
        let ran = home.run(&[&["export", "--offline"][..], line].concat());
        assert_eq!(ran.code, 2, "{line:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{line:?}: {ran:?}");
        assert!(!Path::new(out).exists());
        assert!(!home.store().exists());
    }
    assert!(Path::new(taken).join("mine").exists());
}
