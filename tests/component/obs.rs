//! An Open Build Service as the builder, against one that misbehaves: what is submitted, what is waited for, what of its results is taken, and
//! what the command line says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use lustre_packaging::obs::{
    self, Again, Api, Build, Collected, Error, Known, Login, Pace, Place, Sources, State,
    Submitted, Wanted,
};
use lustre_packaging::source::{Patience, Retry};
use lustre_repo_tests::obs_stub::{ARCH, Built, Obs, Package, REPOSITORY};

mod alone;
mod command;
mod hostile;
mod refused;
mod root;
mod submit;
mod waiting;

/// The project of the tests, and its package.
const PROJECT: &str = "home:me";
const PACKAGE: &str = "hello";

/// The name of the only file that it makes.
const FILE: &str = "hello-1-1.noarch.rpm";

/// An API that is not waited for as long as one that is far away.
fn api(obs: &Obs, login: Option<Login>) -> Api {
    let retry = Retry {
        attempts: 3,
        first_pause: Duration::from_millis(10),
    };
    let patience = Patience {
        connect: Duration::from_secs(2),
        stall: Duration::from_secs(1),
        answer: Duration::from_secs(20),
    };
    Api::new(&obs.url(), login).unwrap().with(retry, patience)
}

fn pace() -> Pace {
    Pace {
        first: Duration::from_millis(1),
        most: Duration::from_millis(5),
        settled: 3,
        outage: Duration::from_secs(2),
        limit: Duration::from_secs(60),
    }
}

fn place() -> Place {
    Place {
        project: PROJECT.to_owned(),
        repository: REPOSITORY.to_owned(),
        arch: ARCH.to_owned(),
        package: PACKAGE.to_owned(),
    }
}

/// A package by the real rpmbuild.
fn rpm(name: &str, version: &str, disturl: &str) -> Vec<u8> {
    type Made = BTreeMap<(String, String, String), Vec<u8>>;
    static MADE: OnceLock<Mutex<Made>> = OnceLock::new();
    let key = (name.to_owned(), version.to_owned(), disturl.to_owned());
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    made.entry(key)
        .or_insert_with(|| {
            let folder = tempfile::tempdir().unwrap();
            let spec = folder.path().join("x.spec");
            let text = format!(
                "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n%files\n"
            );
            fs::write(&spec, text).unwrap();
            let mut command = Command::new("rpmbuild");
            command
                .args(["--define", &format!("_topdir {}", folder.path().display())])
                .args(["--define", "_buildhost b"])
                .args(["--define", &format!("disturl {disturl}"), "-bb"])
                .arg(&spec);
            let done = command.output().unwrap();
            assert!(done.status.success(), "{done:?}");
            let file = format!("RPMS/noarch/{name}-{version}-1.noarch.rpm");
            fs::read(folder.path().join(file)).unwrap()
        })
        .clone()
}

/// The DISTURL of the package's sources.
fn disturl(srcmd5: &str) -> String {
    format!("obs://stub/{PROJECT}/{REPOSITORY}/{srcmd5}-{PACKAGE}")
}

/// The package of the distribution that everything is built with, and its SIGMD5 as rpm says it.
fn base() -> &'static (tempfile::TempDir, PathBuf, String) {
    static BASE: OnceLock<(tempfile::TempDir, PathBuf, String)> = OnceLock::new();
    BASE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gcc.rpm");
        fs::write(&path, rpm("gcc", "12", "none")).unwrap();
        let md5 = query(&path, "%{SIGMD5}");
        (folder, path, md5)
    })
}

/// What rpm says of a package.
fn query(path: &Path, format: &str) -> String {
    let mut command = Command::new("rpm");
    command
        .args(["-qp", "--nosignature", "--qf", format])
        .arg(path);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// `_buildenv` of the package, built of these sources with these packages: their names and SIGMD5.
fn buildenv(srcmd5: &str, with: &[(&str, &str)]) -> Vec<u8> {
    let packages = with.iter().map(|(name, md5)| {
        format!("<bdep name=\"{name}\" hdrmd5=\"{md5}\" project=\"base\" repository=\"standard\"/>")
    });
    let packages: String = packages.collect();
    format!(
        "<buildinfo project=\"{PROJECT}\" repository=\"{REPOSITORY}\" package=\"{PACKAGE}\"><arch>{ARCH}</arch><srcmd5>{srcmd5}</srcmd5>\
         {packages}</buildinfo>"
    )
    .into_bytes()
}

type Files = BTreeMap<String, Vec<u8>>;

/// What an honest service makes of sources.
fn honest(srcmd5: &str) -> Files {
    let (_, _, md5) = base();
    BTreeMap::from([
        (FILE.to_owned(), rpm("hello", "1", &disturl(srcmd5))),
        ("hello-1-1.src.rpm".to_owned(), b"not looked at".to_vec()),
        ("_buildenv".to_owned(), buildenv(srcmd5, &[("gcc", md5)])),
        ("_statistics".to_owned(), b"<buildstatistics/>".to_vec()),
        ("rpmlint.log".to_owned(), Vec::new()),
    ])
}

/// A service with the project, which builds by `builder`.
fn service(builder: impl Fn(&Package) -> Built + Send + 'static) -> Obs {
    // Before the service holds anything.
    base();
    let obs = Obs::start(move |_, _, package| builder(package));
    obs.projects(PROJECT, &["kernel", "e2fsprogs"]);
    obs
}

fn honest_service() -> Obs {
    service(|package| Built::Succeeded(honest(&package.srcmd5())))
}

/// Sources in a folder.
fn sources(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let sources = Sources::of_folder(folder.path()).unwrap();
    (folder, sources)
}

fn submitted(api: &Api) -> Result<Submitted, Error> {
    let (_folder, sources) = sources(&[("hello.spec", "Name: hello\n")]);
    obs::package(api, PROJECT, PACKAGE, "<package/>", &sources)
}

/// What is wanted of the package.
fn with_wanted<T>(srcmd5: &str, then: impl FnOnce(Wanted<'_>) -> T) -> T {
    let mut known = Known::default();
    known.add(&base().1).unwrap();
    with_known(&known, srcmd5, then)
}

/// The same of a package whose build root has what is known.
fn with_known<T>(known: &Known, srcmd5: &str, then: impl FnOnce(Wanted<'_>) -> T) -> T {
    then(Wanted {
        place: &place(),
        srcmd5,
        source: Some("hello-1-1.src.rpm"),
        can_be: &BTreeSet::from(["hello-1-1.noarch".to_owned()]),
        expected: &["hello".to_owned()],
        known,
    })
}

/// A run from the sources to the packages.
struct Run {
    folder: tempfile::TempDir,
    states: Mutex<Vec<State>>,
}

impl Run {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            states: Mutex::default(),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where the packages are.
    fn packages(&self) -> PathBuf {
        self.folder.path().join("RPMS")
    }

    fn waited(&self, api: &Api, submitted: &Submitted, pace: Pace) -> Result<(), Error> {
        let tell = |state: &State| self.states.lock().unwrap().push(state.clone());
        obs::wait(
            api,
            &place(),
            submitted,
            Again::Failed,
            pace,
            &self.log(),
            &tell,
        )
    }

    fn collected(&self, api: &Api, srcmd5: &str) -> Result<Collected, Error> {
        let list = self.folder.path().join("_buildenv");
        with_wanted(srcmd5, |wanted| {
            obs::collect(api, &wanted, &self.packages(), &list)
        })
    }

    fn all(&self, api: &Api) -> Result<Collected, Error> {
        self.all_of(api, "Name: hello\n")
    }

    /// The same of a spec with this text.
    fn all_of(&self, api: &Api, spec: &str) -> Result<Collected, Error> {
        let tell = |state: &State| self.states.lock().unwrap().push(state.clone());
        let (_folder, sources) = sources(&[("hello.spec", spec)]);
        let list = self.folder.path().join("_buildenv");
        with_wanted("", |wanted| {
            let build = Build {
                wanted,
                meta: "<package/>",
                sources: &sources,
                pace: pace(),
                log: &self.log(),
            };
            obs::built(api, &build, (&self.packages(), &list), &tell)
        })
    }
}
