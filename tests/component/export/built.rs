//! The rehearsal's packages, exported, and built by obs-build alone: by code that has nothing of ours.

use serde_json::Value;

use super::*;

/// `RPMTAG_COOKIE`: of which build a package is.
const COOKIE: u32 = 1094;

/// `RPMTAG_SOURCEPKGID`: the MD5 of the source package that was written in the same build; `rpmbuild --rebuild` writes none.
const SOURCEPKGID: u32 = 1146;

/// `RPMTAG_HEADERIMMUTABLE`: how many tags there are.
const HEADERIMMUTABLE: u32 = 63;

/// Exports with the world's store, by a checkout of its own.
fn exported(world: &World, specs: &Path, builder: &str, packages: &[&str], to: &Path) {
    let mut command = world
        .home
        .command(&["export", builder, "--offline", "--specs"]);
    command.arg(specs).arg("--output").arg(to);
    for package in packages {
        command.args(["--package", package]);
    }
    let ran = run(command.env("LUSTRE_REPO_STORE", world.store()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("export.json"), "{ran:?}");
}

fn copied(from: &Path, to: &Path) {
    let mut command = process::command("cp");
    process::output(command.args(["--archive", "-T"]).arg(from).arg(to)).unwrap();
}

#[test]
#[ignore = "needs the store of the built rehearsal: the step `elsewhere` of .ci/run"]
fn here_two_checkouts_and_stores_export_the_same_and_nothing_of_where_they_are() {
    let one = World::new();
    let other = World::new();
    let specs = other.base.join("another/place/specs");
    fs::create_dir_all(specs.parent().unwrap()).unwrap();
    copied(&project().join("specs"), &specs);
    for builder in ["obs", "koji", "mock"] {
        let (first, second) = (one.base.join(builder), other.base.join(builder));
        let own = project().join("specs");
        exported(&one, &own, builder, &["e2fsprogs", "kernel"], &first);
        exported(&other, &specs, builder, &["e2fsprogs", "kernel"], &second);
        let listed = list_tree(&first).unwrap();
        assert_eq!(listed, list_tree(&second).unwrap(), "{builder}");
        assert!(listed.len() > 5, "{listed:?}");
        // Once more, in place of itself.
        exported(&one, &own, builder, &["e2fsprogs", "kernel"], &first);
        assert_eq!(listed, list_tree(&first).unwrap(), "{builder}");
        let places: [PathBuf; 5] = [
            one.base.clone(),
            one.store(),
            one.home.path().to_owned(),
            project().to_owned(),
            PathBuf::from(std::env::var_os("HOME").unwrap()),
        ];
        for entry in walkdir::WalkDir::new(&first) {
            let path = entry.unwrap().into_path();
            // What is packed is the source packages', and theirs alone.
            if !path.is_file() || path.extension().is_some_and(|it| it == "rpm") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            for place in &places {
                let place = place.to_str().unwrap().as_bytes();
                let found = bytes.windows(place.len()).any(|part| part == place);
                assert!(!found, "{}", path.display());
            }
        }
        if builder == "mock" {
            for package in ["e2fsprogs", "kernel"] {
                listed_as_mock_does(&one, &first.join(package).join("buildroot_lock.json"));
            }
        }
        // Something else in the folder is not lost.
        fs::write(first.join("mine"), "").unwrap();
        let mut command = one.home.command(&["export", builder, "--offline", "-o"]);
        command.arg(&first).env("LUSTRE_REPO_STORE", one.store());
        let ran = run(&mut command);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("mine"), "{ran:?}");
        assert!(first.join("mine").exists());
    }
}

/// Here, a buildroot gets what the stages made; elsewhere, what the target lists.
#[test]
#[ignore = "needs the store of the built rehearsal: the step `elsewhere` of .ci/run"]
fn here_what_is_built_for_lustre_is_what_other_builders_are_told() {
    let world = World::new();
    let mut made = BTreeSet::new();
    for stage in ["kernel", "e2fsprogs"] {
        for path in packages(&world.newest(stage).join("RPMS")).values() {
            made.insert(rpmbuild::package_name(path).unwrap());
        }
    }
    let (of_root, others): (BTreeSet<String>, BTreeSet<String>) =
        made.into_iter().partition(|name| is_for_building(name));
    let told = Buildroot::of(&target("rehearsal"), LUSTRE, None).built;
    assert_eq!(of_root, BTreeSet::from_iter(told));
    assert!(others.contains("kernel"), "{others:?}");
}

/// That the list is as the documentation of mock's plugin has it, and that its packages are those of the distribution.
fn listed_as_mock_does(world: &World, path: &Path) {
    let list: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&list), ["buildroot", "config", "version"]);
    assert_eq!(list["version"], "1.1.0");
    assert_eq!(keys(&list["buildroot"]), ["rpms"]);
    let rpms = list["buildroot"]["rpms"].as_array().unwrap();
    assert!(rpms.len() > 100, "{}", rpms.len());
    let fields = [
        "arch",
        "epoch",
        "license",
        "name",
        "release",
        "sigmd5",
        "signature",
        "url",
        "version",
    ];
    let mut command = process::command("rpm");
    command.args(["-qp", "--nosignature", "--qf", "%{NAME} %{SIGMD5}\n"]);
    command.args(packages(&world.newest("distribution").join("base")).values());
    let there = printed(&mut command);
    let there: BTreeSet<&str> = there.lines().collect();
    for rpm in rpms {
        assert_eq!(keys(rpm), fields);
        for field in fields {
            let null = ["epoch", "signature"].contains(&field) && rpm[field].is_null();
            assert!(null || rpm[field].is_string(), "{field}: {rpm}");
        }
        let text = |field: &str| rpm[field].as_str().unwrap();
        let line = format!("{} {}", text("name"), text("sigmd5"));
        assert!(there.contains(line.as_str()), "{line}");
        // The end of the id of the distribution's key.
        assert_eq!(text("signature"), "3f1ba4f6");
    }
}

/// A throw-away build root, and a folder of packages that it is made of.
struct ObsBuild {
    folder: PathBuf,
    export: PathBuf,
}

impl ObsBuild {
    /// With the distribution's packages and those of the stages `built`, and the config package, which it builds.
    fn new(world: &World, packages: &[&str], built: &[&str]) -> Self {
        let folder = world.base.join("obs-build");
        let repository = folder.join("repository");
        fs::create_dir_all(&repository).unwrap();
        let mut folders = vec![world.newest("distribution").join("base/Packages")];
        folders.extend(built.iter().map(|stage| world.newest(stage).join("RPMS")));
        for from in folders {
            for item in fs::read_dir(from).unwrap() {
                let path = item.unwrap().path();
                fs::copy(&path, repository.join(path.file_name().unwrap())).unwrap();
            }
        }
        let export = world.base.join("export");
        exported(world, &project().join("specs"), "obs", packages, &export);
        let this = Self { folder, export };
        let spec = format!("lustre:rehearsal:config/{CONFIG_PACKAGE}/{CONFIG_PACKAGE}.spec");
        this.build(&this.export.join(spec), &[":base", ":config"]);
        let made = this.made("home/abuild/rpmbuild/RPMS");
        assert_eq!(made.len(), 1, "{made:?}");
        for path in made.values() {
            fs::copy(path, this.folder.join("repository/config.rpm")).unwrap();
        }
        this
    }

    /// Builds a spec or a source package, in a project of these parts.
    fn build(&self, recipe: &Path, parts: &[&str]) {
        let conf: String = parts
            .iter()
            .map(|part| self.export.join(format!("lustre:rehearsal{part}/_config")))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let dist = self.folder.join("dist.conf");
        fs::write(&dist, conf).unwrap();
        // It mounts, and has no business with the network or other processes.
        let mut command = process::command("unshare");
        command
            .args(["--mount", "--pid", "--net", "--uts", "--ipc", "--fork"])
            .args(["--kill-child", "--mount-proc", "obs-build", "--clean"])
            .args(["--arch", "x86_64", "--repo"])
            .arg(self.folder.join("repository"))
            .arg("--dist")
            .arg(&dist)
            .arg("--root")
            .arg(self.root())
            .arg(recipe);
        let log = self.folder.join("log");
        let ran = process::run_logged(&mut command, &log);
        if let Err(error) = ran {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let mut last: Vec<&str> = text.lines().rev().take(40).collect();
            last.reverse();
            panic!("{error}\n{}", last.join("\n"));
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The packages that were made below a folder of the root, by file name.
    fn made(&self, below: &str) -> BTreeMap<String, PathBuf> {
        packages(&self.root().join(below))
    }
}

fn packages(folder: &Path) -> BTreeMap<String, PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|it| it == "rpm"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// The tags of the main headers of two packages that differ; their payloads do not.
fn differing(one: &Path, other: &Path) -> BTreeSet<u32> {
    let read = |path: &Path| {
        let (headers, mut payload) = Headers::open(path).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut payload, &mut bytes).unwrap();
        (headers, bytes)
    };
    let ((one_headers, one_bytes), (other_headers, other_bytes)) = (read(one), read(other));
    assert!(one_bytes == other_bytes, "{}: the payload", one.display());
    let tags = |headers: &Headers| -> BTreeSet<(u32, usize, Vec<u8>)> {
        let all = headers.values().into_iter();
        all.map(|(tag, count, bytes)| (tag, count, bytes.to_vec()))
            .collect()
    };
    let (one, other) = (tags(&one_headers), tags(&other_headers));
    one.symmetric_difference(&other)
        .map(|(tag, _, _)| *tag)
        .collect()
}

/// Builds the source package of `package` with obs-build, and compares what it makes with what the stages made.
fn confirmed(world: &World, build: &ObsBuild, package: &str) {
    let sources = packages(&world.newest(&format!("{package}-srpm")).join("SRPMS"));
    let [source] = &sources.values().collect::<Vec<_>>()[..] else {
        panic!("{sources:?}");
    };
    let own = match package {
        "lustre" => String::new(),
        _ => format!(":{package}"),
    };
    build.build(source, &[":base", ":config", &own]);
    let made = build.made("builddir/build/RPMS");
    let ours = packages(&world.newest(package).join("RPMS"));
    assert!(ours.keys().eq(made.keys()), "{ours:?}\n{made:?}");
    assert!(ours.len() > 3, "{ours:?}");
    let may = BTreeSet::from([COOKIE, SOURCEPKGID, HEADERIMMUTABLE]);
    for (name, path) in &ours {
        let found = differing(path, &made[name]);
        assert!(found.is_subset(&may), "{name}: the tags {found:?}");
    }
    let again = build.made("builddir/build/SRPMS");
    assert!(again.keys().eq(sources.keys()), "{again:?}");
    for (name, path) in &again {
        let found = differing(path, &sources[name]);
        assert!(found.is_empty(), "{name}: the tags {found:?}");
    }
}

#[test]
#[ignore = "needs the store of the built rehearsal, and six minutes: the step `elsewhere` of .ci/run"]
fn here_obs_build_alone_makes_the_packages_of_e2fsprogs() {
    let world = World::new();
    let build = ObsBuild::new(&world, &["e2fsprogs"], &[]);
    confirmed(&world, &build, "e2fsprogs");
}

#[test]
#[ignore = "needs the store of the built rehearsal, and half an hour: the step `elsewhere-all` of .ci/run"]
fn all_obs_build_alone_makes_the_packages_of_the_kernel() {
    let world = World::new();
    let build = ObsBuild::new(&world, &["kernel"], &[]);
    confirmed(&world, &build, "kernel");
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: the step `elsewhere-all` of .ci/run"]
fn all_obs_build_alone_makes_the_packages_of_lustre() {
    let world = World::new();
    let build = ObsBuild::new(&world, &["lustre"], &["kernel", "e2fsprogs"]);
    confirmed(&world, &build, "lustre");
}
