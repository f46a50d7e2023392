//! The client of an Open Build Service against a real one, which builds small packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lustre_packaging::build::rpmbuild;
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::export::obs as texts;
use lustre_packaging::obs::{
    Again, Api, Collected, Error, Known, Pace, Place, Project, Sources, Submitted, Wanted, collect,
    config, config_project, package, repository, wait,
};
use lustre_packaging::target::Target;
use lustre_repo_tests::command_line::{project, run};
use lustre_repo_tests::obs_backend::{Backend, Base, system};

mod rehearsal;

const PROJECT: &str = "lustre";
const ARCH: &str = "x86_64";

/// A spec of a package without programs.
fn spec(more: &str) -> String {
    format!(
        "%global dist .test\nName: small\nVersion: 1\nRelease: 1%{{?dist}}\nSummary: A small package\nLicense: MIT\nBuildArch: noarch\n\
         Source0: text\n{more}%description\nIt is small.\n%build\necho \"built at $SOURCE_DATE_EPOCH in %{{_topdir}} with %{{?_smp_mflags}}\"\n%install\n\
         install -D -p -m 644 %{{SOURCE0}} %{{buildroot}}/usr/share/small\n%files\n/usr/share/small\n"
    )
}

/// A backend with the projects of a target.
struct World {
    backend: Backend,
    api: Api,
    target: Target,
    folder: tempfile::TempDir,
    system: PathBuf,
}

impl World {
    fn new() -> Self {
        let target = Target::load(&project().join("specs"), "rehearsal").unwrap();
        let mut names = target.distribution.buildroot.clone();
        let obs = target.distribution.obs.clone().unwrap();
        names.extend(obs.preinstall.into_iter().chain(obs.support));
        names.sort();
        names.dedup();
        let system = system::of_one_package(&names);
        let base = texts::base_project(&Project::parse(PROJECT).unwrap());
        let backend = Backend::start(&Base {
            project: &base.project,
            meta: &texts::project_meta(&base, &[], ARCH),
            config: &texts::base_conf(&target),
            packages: &system,
        });
        put_projects(&backend, base);
        Self {
            api: Api::new(&backend.url(), None).unwrap(),
            backend,
            target,
            folder: tempfile::tempdir().unwrap(),
            system,
        }
    }

    /// Where `name` is built in `project`.
    fn place(project: &str, name: &str) -> Place {
        Place {
            project: project.to_owned(),
            repository: texts::REPOSITORY.to_owned(),
            arch: ARCH.to_owned(),
            package: name.to_owned(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn submit(&self, project: &str, name: &str, files: &[(&str, &[u8])]) -> Submitted {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let meta = texts::package_meta(project, name);
        let sources = Sources::of_folder(folder.path()).unwrap();
        package(&self.api, project, name, &meta, &sources).unwrap()
    }

    fn submit_small(&self, more: &str) -> Submitted {
        let spec = spec(more);
        let files = [("small.spec", spec.as_bytes()), ("text", b"small\n")];
        self.submit(PROJECT, "small", &files)
    }

    fn wait(&self, project: &str, name: &str, submitted: &Submitted) -> Result<(), Error> {
        let pace = Pace {
            first: Duration::from_millis(200),
            most: Duration::from_secs(1),
            settled: 3,
            outage: Duration::from_secs(10),
            limit: Duration::from_secs(300),
        };
        let place = Self::place(project, name);
        let mut states = std::cell::RefCell::new(Vec::new());
        let waited = wait(
            &self.api,
            &place,
            submitted,
            Again::Failed,
            pace,
            &self.log(name),
            &|state| states.borrow_mut().push(state.words()),
        );
        if let Err(Error::TooLong { .. }) = &waited {
            panic!("{waited:?} {:?}\n{}", states.get_mut(), self.backend.logs());
        }
        waited
    }

    fn collect(
        &self,
        project: &str,
        name: &str,
        submitted: &Submitted,
        nevra: &str,
        known: &Known,
    ) -> Result<(Collected, PathBuf), Error> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let (into, list) = (folder.join("RPMS"), folder.join("buildenv"));
        let collected = collect(
            &self.api,
            &Wanted {
                place: &Self::place(project, name),
                srcmd5: &submitted.srcmd5,
                source: None,
                can_be: &BTreeSet::from([nevra.to_owned()]),
                expected: &[name.to_owned()],
                known,
            },
            &into,
            &list,
        )?;
        Ok((collected, into.join(format!("{nevra}.rpm"))))
    }

    /// The small package, built on this machine of a source package, as a service says it did.
    fn built_here(&self, disturl: &str) -> PathBuf {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let settings = Settings::new(&self.target, 1);
        let log = folder.join("log");
        let source = Workdir::new(&system::root(), &folder.join("source"), &settings).unwrap();
        let put = |name: &str, text: &str| {
            let path = source.path(name).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        put("build/SPECS/small.spec", &spec(""));
        // Here, it is a program: the service forgets that.
        let text = put("build/SOURCES/text", "small\n");
        fs::set_permissions(text, fs::Permissions::from_mode(0o755)).unwrap();
        let srpm = rpmbuild::source_package(&source, "small.spec", &log).unwrap();
        let work = Workdir::new(&system::root(), &folder.join("work"), &settings).unwrap();
        let made = rpmbuild::build_as_obs(&work, &srpm, disturl, &log);
        let made = made.unwrap_or_else(|error| {
            panic!("{error}\n{}", fs::read_to_string(&log).unwrap_or_default())
        });
        assert_eq!(made.len(), 1, "{made:?}");
        made[0].clone()
    }

    /// What a build root may have: the distribution.
    fn known(&self) -> Known {
        let mut known = Known::default();
        for entry in fs::read_dir(&self.system).unwrap() {
            known.add(&entry.unwrap().path()).unwrap();
        }
        known
    }

    /// How often the sources of the small package were changed.
    fn revisions(&self) -> usize {
        let history = self.backend.get("source/lustre/small/_history");
        history.matches("<revision ").count()
    }

    /// Which builds of the project there were.
    fn builds(&self) -> usize {
        let history = self.backend.get("build/lustre/standard/x86_64/_jobhistory");
        history.matches("<jobhist ").count()
    }
}

/// Makes the projects of a target on the project that has its distribution.
fn put_projects(backend: &Backend, base: texts::Path) {
    let target = Target::load(&project().join("specs"), "rehearsal").unwrap();
    for one in texts::projects(&target, &Project::parse(PROJECT).unwrap(), base) {
        let meta = texts::project_meta(&one.own, &one.paths, ARCH);
        backend.put(&format!("{}/_meta", one.own.project), &meta);
    }
}

/// A tag of a package as rpm prints it.
fn tag(package: &Path, tag: &str) -> String {
    let mut command = std::process::Command::new("rpm");
    command
        .args(["--query", "--nosignature", "--queryformat"])
        .arg(format!("%{{{tag}}}"))
        .arg("--package")
        .arg(package);
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout
}

/// All tags of a package, as rpm itself shows them.
fn tags(package: &Path) -> BTreeMap<String, String> {
    let mut command = std::process::Command::new("rpm");
    command.args(["--query", "--nosignature", "--xml", "--package"]);
    let ran = run(command.arg(package));
    assert_eq!(ran.code, 0, "{ran:?}");
    let parts = ran.stdout.split("<rpmTag name=\"").skip(1);
    let tags: BTreeMap<String, String> = parts
        .map(|part| part.split_once("\">").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(tags.len() > 40, "{ran:?}");
    tags
}

/// The names of the tags in which two packages differ; the digests of the payload are among them.
fn differing(one: &Path, other: &Path) -> BTreeSet<String> {
    let (one, other) = (tags(one), tags(other));
    let all = one.keys().chain(other.keys());
    all.filter(|tag| one.get(*tag) != other.get(*tag))
        .cloned()
        .collect()
}

#[test]
fn a_small_package_is_built_with_the_settings_of_the_target_and_only_once() {
    let world = World::new();
    let found = Project::parse(PROJECT).unwrap();
    let before = texts::before(&world.target);
    let name = repository(&world.api, &found, "rehearsal", before, ARCH)
        .unwrap()
        .name;
    assert_eq!(name, texts::REPOSITORY);

    // What sets the build up comes first.
    let above = config_project(PROJECT);
    let settings = texts::config_package(&world.target, &Default::default());
    let files: Vec<(&str, &[u8])> = settings
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    assert!(config(&world.api, &above, &texts::config_conf(&world.target)).unwrap());
    let submitted = world.submit(&above, texts::CONFIG_PACKAGE, &files);
    world
        .wait(&above, texts::CONFIG_PACKAGE, &submitted)
        .unwrap();
    let mut known = world.known();
    let nevra = format!("{}-1-1.noarch", texts::CONFIG_PACKAGE);
    let (_, path) = world
        .collect(&above, texts::CONFIG_PACKAGE, &submitted, &nevra, &known)
        .unwrap();

    // As the packages that Lustre is built with: Lustre's own project requires these, too.
    let text = texts::package_conf(&world.target);
    assert!(config(&world.api, PROJECT, &text).unwrap());
    assert!(!config(&world.api, PROJECT, &text).unwrap(), "it is there");
    let submitted = world.submit_small("");
    assert!(!submitted.unchanged);
    world.wait(PROJECT, "small", &submitted).unwrap();

    // Its build root had a package that nobody has shown us.
    let nevra = "small-1-1.test.noarch";
    let error = world
        .collect(PROJECT, "small", &submitted, nevra, &known)
        .unwrap_err()
        .to_string();
    assert!(error.contains(texts::CONFIG_PACKAGE), "{error}");
    known.add(&path).unwrap();
    let (collected, path) = world
        .collect(PROJECT, "small", &submitted, nevra, &known)
        .unwrap();
    let disturl = format!("obs://obs.test/lustre/standard/{}-small", submitted.srcmd5);
    assert_eq!(collected.disturl, disturl);
    assert_eq!(collected.built_with.len(), 2, "{collected:?}");
    let epoch = world.target.build.source_date_epoch.to_string();
    for (name, wanted) in [
        ("DISTURL", disturl.as_str()),
        ("BUILDTIME", &epoch),
        ("BUILDHOST", &world.target.build.host),
        ("VENDOR", "Rehearsal Linux"),
        ("DISTRIBUTION", "(none)"),
        ("RELEASE", "1.test"),
    ] {
        assert_eq!(tag(&path, name), wanted, "{name}");
    }
    let log = fs::read_to_string(world.log("small")).unwrap();
    assert!(
        log.contains(&format!("built at {epoch} in /builddir/build")),
        "{log}"
    );

    // Built here with what it says of where it is from, it is the same.
    let here = world.built_here(&disturl);
    assert_eq!(differing(&here, &path), BTreeSet::new());
    assert!(fs::read(here).unwrap() == fs::read(&path).unwrap());
    let other = world.built_here("obs://elsewhere/lustre/standard/0-small");
    assert!(differing(&other, &path).contains("Sourcepkgid"));

    // Nothing changed: nothing is sent, and nothing built.
    let (revisions, builds) = (world.revisions(), world.builds());
    assert_eq!(revisions, 1);
    let again = world.submit_small("");
    assert!(again.unchanged && again.uploaded.is_empty(), "{again:?}");
    assert_eq!(again.srcmd5, submitted.srcmd5);
    world.wait(PROJECT, "small", &again).unwrap();
    let (second, _) = world
        .collect(PROJECT, "small", &again, nevra, &known)
        .unwrap();
    assert_eq!(second, collected);
    assert_eq!((world.revisions(), world.builds()), (revisions, builds));
}

#[test]
fn a_package_that_is_not_built_says_why() {
    let world = World::new();
    // A package that nobody has.
    let submitted = world.submit_small("BuildRequires: what-nobody-has\n");
    let error = world.wait(PROJECT, "small", &submitted).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("unresolvable") && text.contains("what-nobody-has"),
        "{text}"
    );

    let wrong = "%prep\necho and here it ends\nexit 7\n";
    let files: [(&str, &[u8]); 1] = [("small.spec", &spec("").into_bytes())];
    let broken = String::from_utf8(files[0].1.to_vec()).unwrap();
    let broken = broken.replace("%build\n", &format!("{wrong}%build\n"));
    let submit = || {
        let files = [("small.spec", broken.as_bytes()), ("text", b"small\n")];
        world.submit(PROJECT, "small", &files)
    };
    let submitted = submit();
    assert_eq!(submitted.uploaded, ["small.spec"]);
    let error = world.wait(PROJECT, "small", &submitted).unwrap_err();
    let text = error.to_string();
    for part in ["and here it ends", "small failed", "small.log"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let builds = world.builds();

    // The same once more: the server would not build it by itself.
    let again = submit();
    assert!(again.unchanged);
    let error = world
        .wait(PROJECT, "small", &again)
        .unwrap_err()
        .to_string();
    assert!(error.contains("and here it ends"), "{error}");
    assert_eq!(world.builds(), builds + 1);

    // Mended, it is built.
    let submitted = world.submit_small("");
    world.wait(PROJECT, "small", &submitted).unwrap();
}

#[test]
fn nothing_of_a_backend_is_left() {
    let world = World::new();
    let processes = || -> Vec<(PathBuf, PathBuf)> {
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                Some((fs::read_link(path.join("ns/net")).ok()?, path))
            })
            .collect()
    };
    let network = fs::read_link(format!("/proc/{}/ns/net", world.backend.process())).unwrap();
    let count = || {
        let all = processes();
        all.iter().filter(|(found, _)| *found == network).count()
    };
    assert_ne!(network, fs::read_link("/proc/self/ns/net").unwrap());
    assert!(count() > 6, "{}", count());
    let World { backend, .. } = world;
    drop(backend);
    assert_eq!(count(), 0);
}
