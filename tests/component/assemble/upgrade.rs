//! A server with the release before upgrades, and goes back: the checks `upgrade` and `undo`, with real dnf and rpm, on releases that do it
//! well, and on some that each do something else wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repository::history::{FORMAT, History, Set, SetPackage, path_of};
use lustre_repository::proof::{Check, Outcome};
use lustre_repository::said::Said;
use lustre_repository::upgrade::{self, Pair, Server};

use super::clients::Dnf;
use super::world::{Spec, Tree, succeed};

/// What a server of the tests installs.
const WANTED: [&str; 5] = [
    "kernel",
    "kmod-lustre",
    "lustre",
    "e2fsprogs",
    "lustre-tests",
];

/// A server: a root, with the machine's dnf and rpm.
pub struct Machine<'a> {
    dnf: Dnf<'a>,
    tree: &'a Tree,
    /// Which kernel its boot loader boots, of those that have Lustre's module.
    boots: Boots,
}

/// What a boot loader boots.
#[derive(Clone, Copy, PartialEq)]
pub enum Boots {
    /// There is none.
    Nothing,
    /// The newest kernel with Lustre's module, as the guard has it.
    Fitting,
    /// The first kernel by name, whatever comes.
    First,
}

impl<'a> Machine<'a> {
    pub fn new(tree: &'a Tree, folder: &'a Path, boots: Boots) -> Self {
        let machine = Self {
            dnf: Dnf { folder },
            tree,
            boots,
        };
        fs::create_dir_all(machine.dnf.root()).unwrap();
        succeed(
            machine
                .rpm_command("rpmkeys")
                .arg("--import")
                .arg(tree.dist().join("RPM-GPG-KEY-lustre-repo")),
        );
        succeed(
            machine
                .dnf
                .with_base()
                .args(["install", "bash", "kernel-core", "e2fsprogs"]),
        );
        machine
    }

    fn rpm_command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.dnf.root());
        command
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.dnf.root().join(inside.trim_start_matches('/'))
    }

    /// Its packages, sorted.
    pub fn packages(&self) -> Vec<String> {
        let said = succeed(self.rpm_command("rpm").args(["-qa", "--qf", "%{NVR}\\n"]));
        let mut all: Vec<String> = said.lines().map(str::to_owned).collect();
        all.retain(|one| !one.starts_with("gpg-pubkey"));
        all.sort();
        all
    }
}

impl Server for Machine<'_> {
    fn dnf(&self, arguments: &[&str]) -> Result<String, String> {
        // The path of the key in the file is the server's; from outside of the root it is this one.
        let key = format!(
            "--setopt=lustre.gpgkey=file://{}",
            self.path("etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo")
                .display()
        );
        let (success, text) = super::world::run(self.dnf.with_base().arg(key).args(arguments));
        match success {
            true => Ok(text),
            false => Err(text),
        }
    }

    fn rpm(&self, arguments: &[&str]) -> Result<Said, String> {
        let done = self.rpm_command("rpm").args(arguments).output().unwrap();
        Ok(Said::new(done.status, &done.stdout, &done.stderr))
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, String> {
        let root = self.dnf.root();
        let all = walkdir::WalkDir::new(self.path(folder)).into_iter();
        Ok(all
            .filter_map(Result::ok)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| format!("/{}", entry.path().strip_prefix(&root).unwrap().display()))
            .collect())
    }

    fn boots(&self) -> Result<Option<String>, String> {
        let mut kernels: Vec<String> = fs::read_dir(self.path("lib/modules"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|kernel| self.path(&format!("lib/modules/{kernel}/vmlinuz")).exists())
            .collect();
        kernels.sort();
        let fits = |kernel: &&String| {
            self.path(&format!("lib/modules/{kernel}/extra/lustre.ko"))
                .exists()
        };
        Ok(match self.boots {
            Boots::Nothing => None,
            Boots::Fitting => kernels.iter().rfind(fits).or(kernels.last()).cloned(),
            Boots::First => kernels.into_iter().next(),
        })
    }

    fn place(&self, path: &str) -> String {
        self.tree.dist().join(path).display().to_string()
    }
}

/// A package of one of the two releases, with what a case changes of it.
#[derive(Clone)]
struct Package {
    name: &'static str,
    evr: &'static str,
    tags: String,
    files: Vec<(String, &'static str)>,
}

impl Package {
    fn new(name: &'static str, evr: &'static str, tags: &str, files: &[&str]) -> Self {
        Self {
            name,
            evr,
            tags: tags.to_owned(),
            files: files.iter().map(|file| ((*file).to_owned(), evr)).collect(),
        }
    }
}

/// The packages of a release: the kernel of the number `build`, Lustre of `version`.
fn release(
    build: u32,
    kernel: &'static str,
    lustre: &'static str,
    e2fsprogs: &'static str,
) -> Vec<Package> {
    let modules = format!("/lib/modules/{kernel}.x86_64");
    vec![
        Package::new(
            "kernel-core",
            kernel,
            &format!("Provides: installonlypkg(kernel)\nProvides: kernel(foo) = 0x{build}"),
            &[&format!("{modules}/vmlinuz")],
        ),
        Package::new(
            "kernel",
            kernel,
            "Requires: kernel-core = %{version}-%{release}",
            &[],
        ),
        Package::new(
            "kmod-lustre",
            lustre,
            &format!("Requires: kernel(foo) = 0x{build}"),
            &[&format!("{modules}/extra/lustre.ko")],
        ),
        Package::new(
            "lustre",
            lustre,
            "Requires: kmod-lustre = %{version}-%{release}",
            &["/usr/sbin/lctl"],
        ),
        Package::new("e2fsprogs", e2fsprogs, "", &["/usr/sbin/mke2fs"]),
        Package::new(
            "lustre-guard",
            lustre,
            "Supplements: lustre",
            &["/usr/libexec/guard"],
        ),
    ]
}

/// Two releases in one repository.
struct Releases {
    before: Vec<Package>,
    now: Vec<Package>,
}

impl Releases {
    fn new() -> Self {
        Self {
            before: release(2, "6.1-553.1.el8_10_lustre", "2.17.0-1", "1.47.0-1"),
            now: release(3, "6.1-553.2.el8_10_lustre", "2.17.1-1", "1.47.1-1"),
        }
    }

    fn package<'a>(of: &'a mut [Package], name: &str) -> &'a mut Package {
        of.iter_mut().find(|one| one.name == name).unwrap()
    }

    /// Adds lines to the spec of a package of the release.
    fn now(&mut self, name: &str, lines: &str) {
        Self::package(&mut self.now, name).tags += &format!("\n{lines}");
    }

    /// Adds lines to the spec of a package of the one before.
    fn before(&mut self, name: &str, lines: &str) {
        Self::package(&mut self.before, name).tags += &format!("\n{lines}");
    }

    /// The repository, and what its list of releases says.
    fn assemble(&self) -> (Tree, History) {
        let mut tree = Tree::new();
        tree.packages.retain(|input| {
            let name = input.path.file_name().unwrap().to_string_lossy();
            name.starts_with("lustre-repo-release")
        });
        let mut built = std::collections::BTreeSet::new();
        for one in self.now.iter().chain(&self.before) {
            if !built.insert((one.name, one.evr)) {
                continue;
            }
            let files: Vec<(&str, &str)> = one
                .files
                .iter()
                .map(|(path, content)| (path.as_str(), *content))
                .collect();
            tree.with(&Spec {
                name: one.name,
                evr: one.evr,
                tags: &one.tags,
                files: &files,
            });
        }
        tree.assemble().unwrap();
        (tree, self.history())
    }

    /// What the list of its releases says.
    fn history(&self) -> History {
        let set = |time: u32, packages: &[Package]| {
            let nevras = packages
                .iter()
                .map(|one| format!("{}-{}.x86_64", one.name, one.evr))
                .chain(["lustre-repo-release-1.0-1.el8.noarch".to_owned()]);
            let version = |name: &str| {
                let found = packages.iter().find(|one| one.name == name);
                found.map_or_else(String::new, |one| one.evr.to_owned())
            };
            Set {
                time,
                lustre: version("lustre"),
                kernel: version("kernel-core"),
                e2fsprogs: version("e2fsprogs"),
                packages: nevras
                    .map(|nevra| SetPackage {
                        path: path_of(&nevra).unwrap(),
                        nevra,
                        ..SetPackage::default()
                    })
                    .collect(),
                ..Set::default()
            }
        };
        History {
            format: FORMAT,
            target: "test".to_owned(),
            sets: vec![set(2, &self.now), set(1, &self.before)],
            dropped: Vec::new(),
        }
    }

    /// The two checks, on a server whose boot loader boots what is said.
    fn checks(&self, boots: Boots) -> [Check; 2] {
        let (tree, history) = self.assemble();
        let folder = tree.path().join("server");
        let machine = Machine::new(&tree, &folder, boots);
        checks(&machine, &history)
    }
}

fn checks(machine: &Machine<'_>, history: &History) -> [Check; 2] {
    let wanted = WANTED.map(str::to_owned);
    let logs = machine.tree.path().join("logs");
    let pair = Pair::of(Some(history)).unwrap();
    upgrade::checks(pair, machine, &wanted, &logs)
        .try_into()
        .unwrap()
}

#[test]
fn a_server_upgrades_and_goes_back_to_what_it_had() {
    let (tree, history) = Releases::new().assemble();
    let folder = tree.path().join("server");
    let machine = Machine::new(&tree, &folder, Boots::Fitting);
    let checks = checks(&machine, &history);
    for check in &checks {
        assert_eq!(check.result, Outcome::Pass, "{check:?}");
    }
    let [upgrade, undo] = checks;
    assert_eq!(
        (upgrade.name.as_str(), undo.name.as_str()),
        ("upgrade", "undo")
    );
    for part in [
        "2.17.0-1",
        "2.17.1-1",
        "6.1-553.1.el8_10_lustre",
        "1.47.1-1",
    ] {
        assert!(upgrade.checked.contains(part), "{part}: {upgrade:?}");
    }
    // The kernel came beside the other; four packages took the place of their predecessors.
    assert!(
        upgrade.message.contains("6 packages came, 4 went"),
        "{upgrade:?}"
    );
    assert!(
        upgrade
            .message
            .contains("boots 6.1-553.2.el8_10_lustre.x86_64"),
        "{upgrade:?}"
    );
    // The machine has the predecessor again, with what came as a weak dependency.
    assert_eq!(
        machine.packages(),
        [
            "bash-5.2-1",
            "e2fsprogs-1.47.0-1",
            "kernel-6.1-553.1.el8_10_lustre",
            "kernel-core-6.1-553.1.el8_10_lustre",
            "kernel-core-6.1-553.el8_10",
            "kmod-lustre-2.17.0-1",
            "lustre-2.17.0-1",
            "lustre-guard-2.17.0-1",
            "lustre-repo-release-1.0-1.el8",
        ]
    );
    assert_eq!(
        machine.boots().unwrap().unwrap(),
        "6.1-553.1.el8_10_lustre.x86_64"
    );
}

#[test]
fn where_there_is_nothing_to_upgrade_from_it_is_said() {
    let mut same = Releases::new();
    same.now = same.before.clone();
    let history = same.history();
    let first = History {
        sets: history.sets[..1].to_vec(),
        ..history.clone()
    };
    for (history, why) in [
        (None, "no predecessor"),
        (Some(&first), "no predecessor"),
        (Some(&history), "has the same packages"),
    ] {
        let said = Pair::of(history).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    // What boots is the same where only tools of ours are others.
    let mut tools = Releases::new();
    tools.now = tools.before.clone();
    Releases::package(&mut tools.now, "lustre-guard").evr = "2.17.0-2";
    let history = tools.history();
    let alike = Pair::of(Some(&history)).unwrap().alike().unwrap();
    assert!(
        alike.contains("the same kernel, Lustre and e2fsprogs"),
        "{alike}"
    );
    let history = Releases::new().history();
    assert_eq!(Pair::of(Some(&history)).unwrap().alike(), None);
}

/// What a release does wrong; how the two checks end, and what is said.
type Fault = (&'static str, fn(&mut Releases), [Outcome; 2], &'static str);

/// A scriptlet that fails, without a shell.
const FAILS: &str = "-p <lua>\nerror('it failed')";

#[test]
fn what_goes_wrong_on_the_way_and_back_is_found() {
    use Outcome::{Fail, NotRun, Pass};
    let faults: [Fault; 13] = [
        (
            "a scriptlet of the release fails when it goes, of which dnf only warns",
            |all| all.now("lustre", &format!("%postun {FAILS}")),
            [Pass, Fail],
            "%postun(lustre-2.17.1-1.x86_64)",
        ),
        (
            "one that keeps the package from going",
            |all| all.now("lustre", &format!("%preun {FAILS}")),
            [Pass, Fail],
            "lustre-2.17.1-1",
        ),
        (
            "a scriptlet of the predecessor fails",
            |all| all.before("lustre", &format!("%postun {FAILS}")),
            [Fail, Pass],
            "%postun(lustre-2.17.0-1.x86_64)",
        ),
        (
            "the upgrade is not possible",
            |all| all.now("lustre", "Requires: nobody-has-this"),
            [Fail, NotRun],
            "nobody-has-this",
        ),
        (
            "a package is not newer",
            |all| Releases::package(&mut all.now, "e2fsprogs").evr = "1.46.9-1",
            [Fail, Pass],
            "e2fsprogs-1.47.0-1.x86_64 did not become e2fsprogs-1.46.9-1.x86_64",
        ),
        (
            "a package has no successor, and nothing takes it off",
            |all| {
                all.before.push(Package::new(
                    "lustre-tests",
                    "2.17.0-1",
                    "",
                    &["/usr/lib/tests"],
                ));
            },
            [Fail, Pass],
            "lustre-tests-2.17.0-1.x86_64 stayed",
        ),
        (
            "a package takes the place of another, and does not let go of it",
            |all| {
                all.now.retain(|one| one.name != "e2fsprogs");
                let tags = "Provides: e2fsprogs = 1.48\nObsoletes: e2fsprogs < 9\nConflicts: e2fsprogs\n\
                            Provides: ldiskfsprogs";
                all.now.push(Package::new(
                    "ldiskfsprogs",
                    "1.48-1",
                    tags,
                    &["/usr/sbin/mke2fs"],
                ));
                all.now("lustre", "Requires: ldiskfsprogs");
                all.now("lustre-guard", "Requires: ldiskfsprogs");
                all.now("ldiskfsprogs", &format!("%preun {FAILS}"));
            },
            [Pass, Fail],
            "ldiskfsprogs",
        ),
        (
            "a package takes the place of one of the distribution's",
            |all| all.now("lustre", "Obsoletes: bash"),
            [Fail, Pass],
            "the upgrade removed bash-5.2-1.x86_64",
        ),
        (
            "a file of ours changes at the upgrade",
            |all| {
                all.now(
                    "lustre",
                    "%post -p <lua>\nlocal f = io.open('/usr/sbin/lctl', 'a'); f:write('x'); f:close()",
                );
            },
            [Fail, Pass],
            "/usr/sbin/lctl",
        ),
        (
            "a file of the distribution's changes at the upgrade",
            |all| {
                all.now(
                    "lustre",
                    "%post -p <lua>\nlocal f = io.open('/lib/modules/6.1-553.el8_10/vmlinuz', 'a'); f:write('x'); f:close()",
                );
            },
            [Fail, Fail],
            "/lib/modules/6.1-553.el8_10/vmlinuz",
        ),
        (
            "something stays after the undo",
            |all| {
                all.now(
                    "lustre",
                    "%posttrans -p <lua>\nlocal f = io.open('/lib/modules/6.1-553.el8_10/extra.ko', 'w'); f:write('x'); f:close()",
                );
            },
            [Pass, Fail],
            "/lib/modules/6.1-553.el8_10/extra.ko is there after the undo",
        ),
        (
            "the modules are for no kernel that is there",
            |all| {
                let modules = Releases::package(&mut all.now, "kmod-lustre");
                modules.files[0].0 = "/lib/modules/6.1-999.x86_64/extra/lustre.ko".to_owned();
            },
            [Fail, Pass],
            "the boot default is 6.1-553.el8_10, which has no lustre.ko",
        ),
        (
            "the predecessor was never whole",
            |all| {
                all.before(
                    "lustre",
                    "%post -p <lua>\nlocal f = io.open('/usr/sbin/lctl', 'a'); f:write('x'); f:close()",
                );
            },
            [Fail, NotRun],
            "before the upgrade: ",
        ),
    ];
    let mut wrong = Vec::new();
    for (what, change, ends, said) in faults {
        let mut releases = Releases::new();
        change(&mut releases);
        let checks = releases.checks(Boots::Fitting);
        let results = [checks[0].result, checks[1].result];
        let text: Vec<&str> = checks
            .iter()
            .filter(|check| check.result == Fail)
            .map(|check| check.message.as_str())
            .collect();
        if results != ends || !text.iter().all(|text| text.contains(said)) {
            wrong.push(format!(
                "{what}: {results:?} is not {ends:?} with `{said}`: {checks:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_kernel_that_boots_and_has_no_lustre_is_found() {
    // As without the guard: the kernel of the predecessor still boots, and its modules are gone.
    let [upgrade, undo] = Releases::new().checks(Boots::First);
    assert_eq!(
        (upgrade.result, undo.result),
        (Outcome::Fail, Outcome::Pass)
    );
    let old = "the boot default is 6.1-553.1.el8_10_lustre.x86_64";
    for part in [
        format!("{old}, which has no lustre.ko"),
        format!("{old}, not 6.1-553.2.el8_10_lustre.x86_64"),
    ] {
        assert!(upgrade.message.contains(&part), "{upgrade:?}");
    }
    for check in Releases::new().checks(Boots::Nothing) {
        assert_eq!(check.result, Outcome::Pass, "{check:?}");
    }
}
