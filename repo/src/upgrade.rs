//! What `dnf upgrade` and going back do to a server that has the release before: the checks `upgrade` and `undo` of the install proof, and
//! the steps between the machines of the boot proof.
//!
//! The server is the caller's: a root with a dnf and an rpm of its own, which see the repository.

mod judgement;
mod pair;
mod state;

pub use pair::Pair;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::program_output::ProgramOutput;
use crate::proof::{Check, Verdict};
use crate::{release_package, scriptlets};

use pair::{KERNEL, name_of, nevra_of, nevras, packages_of, plain, without_epoch};
use state::{MODULES, State, kernels, with_lustre};

/// The check of the way forward.
pub const UPGRADE: &str = "upgrade";
/// The check of the way back.
pub const UNDO: &str = "undo";

/// Both, in the order in which they are made.
pub const CHECKS: [&str; 2] = [UPGRADE, UNDO];

/// Packages that provide one of these stay when a newer one comes: dnf's own list.
const SIDE_BY_SIDE: [&str; 6] = [
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
];

/// Where configuration files are, and what rpm adds to the name of one that it must not replace.
const CONFIGURATION: &str = "/etc";
const PUT_ASIDE: [&str; 3] = [".rpmnew", ".rpmsave", ".rpmorig"];

/// A server.
pub trait Server {
    /// Runs its dnf, which asks nothing; gives what that said.
    fn dnf(&self, arguments: &[&str]) -> Result<String, String>;

    /// Runs its rpm, which may fail.
    fn rpm(&self, arguments: &[&str]) -> Result<ProgramOutput, String>;

    /// The paths of all files below a folder of it; none where there is no such folder.
    fn files(&self, folder: &str) -> Result<Vec<String>, String>;

    /// The release of the kernel that its boot loader boots by default; none where nothing makes boot entries.
    fn boots(&self) -> Result<Option<String>, String>;

    /// Where it sees a file of the repository, by its path from the repository's root.
    fn place(&self, path: &str) -> String;
}

/// Why a server cannot be made to have the predecessor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotBegun {
    /// No server of this proof could.
    Impossible(String),
    /// One should.
    Failed(Vec<String>),
}

impl From<String> for NotBegun {
    fn from(why: String) -> Self {
        Self::Failed(vec![why])
    }
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub findings: Vec<String>,
    /// What is worth saying.
    pub note: String,
}

impl Step {
    fn verdict(self, checked: String) -> Verdict {
        if self.findings.is_empty() {
            Verdict::Pass {
                checked,
                note: self.note,
            }
        } else {
            Verdict::Fail {
                checked,
                findings: self.findings,
            }
        }
    }
}

/// A server on its way from the predecessor to the release and back.
pub struct Journey<'a> {
    pair: Pair<'a>,
    server: &'a dyn Server,
    /// With the predecessor.
    before: State,
    /// Those of its packages that are installed.
    ours: BTreeSet<String>,
    /// Those that stay when a newer one comes.
    side_by_side: BTreeSet<String>,
    /// Whether the upgrade changed anything: only then is there anything to undo.
    moved: bool,
}

/// The checks `upgrade` and `undo` on `server`; `wanted` are the names of the packages that a server installs.
pub fn checks(pair: Pair<'_>, server: &dyn Server, wanted: &[String], logs: &Path) -> Vec<Check> {
    let checked = pair.words();
    let mut journey = None;
    let there = Check::run(UPGRADE, logs, || {
        match Journey::begin(pair, server, wanted, &[]) {
            Ok(mut begun) => {
                let step = begun.upgrade();
                journey = Some(begun);
                step.verdict(format!("dnf upgrade {checked}"))
            }
            Err(NotBegun::Impossible(why)) => Verdict::NotNeeded(why),
            Err(NotBegun::Failed(findings)) => Verdict::Fail {
                checked: format!("dnf upgrade {checked}"),
                findings,
            },
        }
    });
    let back = Check::run(UNDO, logs, || match &journey {
        Some(journey) if journey.moved => journey
            .undo()
            .verdict("dnf history undo last, after the upgrade".to_owned()),
        None if there.result == crate::proof::Outcome::NotNeeded => {
            Verdict::NotNeeded(there.message.clone())
        }
        _ => Verdict::NotRun(format!(
            "`{UPGRADE}` failed before there was anything to undo"
        )),
    });
    vec![there, back]
}

impl<'a> Journey<'a> {
    /// Makes `server` one that has the predecessor's packages, those named `wanted` with what they need, and no others of ours; and of the
    /// distribution's those named `besides`.
    pub fn begin(
        pair: Pair<'a>,
        server: &'a dyn Server,
        wanted: &[String],
        besides: &[String],
    ) -> Result<Self, NotBegun> {
        let mut journey = Self {
            before: State::default(),
            ours: BTreeSet::new(),
            side_by_side: BTreeSet::new(),
            moved: false,
            pair,
            server,
        };
        let bare = journey.installed()?;
        journey.install(&bare, wanted, besides)?;
        let state = journey.state()?;
        let of_set = nevras(journey.pair.before);
        journey.ours = state.packages.intersection(&of_set).cloned().collect();

        let mut findings: Vec<String> = state
            .packages
            .difference(&bare)
            .filter(|one| journey.pair.all.contains(*one) && !of_set.contains(*one))
            .map(|one| format!("{one} was installed with the predecessor, which does not have it"))
            .collect();
        for name in wanted {
            let there = |all: &BTreeSet<String>| {
                all.iter()
                    .any(|nevra| name_of(nevra) == Some(name.as_str()))
            };
            if there(&of_set) && !there(&journey.ours) {
                findings.push(format!("{name} of the predecessor was not installed"));
            }
        }
        findings.extend(journey.unverified(&state, &state.complaints)?);
        findings.extend(journey.unfit(&state, journey.pair.before));
        if !findings.is_empty() {
            let about = |finding| format!("before the upgrade: {finding}");
            return Err(NotBegun::Failed(findings.into_iter().map(about).collect()));
        }
        for nevra in &journey.ours {
            let said = server.rpm(&["-q", "--qf", "[%{PROVIDENAME}\\n]", &without_epoch(nevra)])?;
            if let Some(failed) = said.failed(&format!("rpm -q {nevra}")) {
                return Err(failed.into());
            }
            if said
                .lines
                .iter()
                .any(|one| SIDE_BY_SIDE.contains(&one.as_str()))
            {
                journey.side_by_side.insert(nevra.clone());
            }
        }
        journey.before = state;
        Ok(journey)
    }

    /// As the documentation has a server do it when the predecessor was the newest: its dnf sees no other package of ours.
    fn install(
        &self,
        bare: &BTreeSet<String>,
        wanted: &[String],
        besides: &[String],
    ) -> Result<(), NotBegun> {
        let before = self.pair.before;
        let release = packages_of(before)
            .find(|one| name_of(&one.nevra) == Some(release_package::NAME))
            .ok_or_else(|| format!("the predecessor has no {}", release_package::NAME))?;
        let mut findings = self.change(&["install", &self.server.place(&release.path)])?;

        let mut packages: Vec<String> = packages_of(before)
            .filter(|one| {
                name_of(&one.nevra).is_some_and(|name| wanted.iter().any(|it| it == name))
            })
            .map(nevra_of)
            .collect();
        packages.extend(self.kernel_of_the_distribution(bare, &packages)?);
        packages.extend_from_slice(besides);
        let of_set = nevras(before);
        let hidden: Vec<String> = self
            .pair
            .all
            .difference(&of_set)
            .map(|one| format!("--exclude={one}"))
            .collect();
        let mut line: Vec<&str> = hidden.iter().map(String::as_str).collect();
        line.push("install");
        line.extend(packages.iter().map(String::as_str));
        findings.extend(self.change(&line)?);
        match findings.is_empty() {
            true => Ok(()),
            false => Err(NotBegun::Failed(findings)),
        }
    }

    /// The package of the distribution's own kernel that the predecessor's modules are for, where they are for one and the server does
    /// not have it.
    fn kernel_of_the_distribution(
        &self,
        bare: &BTreeSet<String>,
        packages: &[String],
    ) -> Result<Option<String>, NotBegun> {
        let before = self.pair.before;
        if !before.kernel.is_empty() {
            return Ok(None);
        }
        let mut kernels = BTreeSet::new();
        for one in packages_of(before).filter(|one| packages.contains(&nevra_of(one))) {
            let said =
                self.server
                    .rpm(&["-qpl", "--nosignature", &self.server.place(&one.path)])?;
            if let Some(failed) = said.failed(&format!("rpm -qpl {}", one.path)) {
                return Err(failed.into());
            }
            kernels.extend(said.lines.iter().filter_map(|path| with_lustre(path)));
        }
        let Some(kernel) = kernels.into_iter().next_back() else {
            return Ok(None);
        };
        let package = format!("{KERNEL}-{kernel}");
        if bare.contains(&package) {
            return Ok(None);
        }
        match self.server.dnf(&["list", &package]) {
            Ok(_) => Ok(Some(package)),
            Err(_) => Err(NotBegun::Impossible(format!(
                "the predecessor's modules are for the distribution's kernel {kernel}, which is not among the packages that the lock pins: \
                 no server of this proof can have it"
            ))),
        }
    }

    /// The kernel of the predecessor, as `uname -r` says it, where it is ours and installed.
    pub fn kernel_before(&self) -> Option<String> {
        kernels(&self.before, self.pair.before).into_iter().next()
    }

    /// As [`Journey::kernel_before`], of the release, where nothing was undone.
    pub fn kernel_now(&self) -> Result<Option<String>, String> {
        let state = State {
            packages: self.installed()?,
            ..State::default()
        };
        Ok(kernels(&state, self.pair.now).into_iter().next())
    }

    /// `dnf upgrade`, and what the server has then.
    pub fn upgrade(&mut self) -> Step {
        match self.upgraded() {
            Ok(step) => step,
            Err(why) => Step {
                findings: vec![why],
                note: String::new(),
            },
        }
    }

    fn upgraded(&mut self) -> Result<Step, String> {
        let mut findings = self.change(&["upgrade"])?;
        let state = self.state()?;
        self.moved = state.packages != self.before.packages;
        findings.extend(self.not_upgraded(&state));
        findings.extend(self.unverified(&state, &self.before.complaints)?);
        findings.extend(self.unfit(&state, self.pair.now));
        findings.extend(
            state
                .put_aside
                .difference(&self.before.put_aside)
                .map(|file| format!("the upgrade left {file}")),
        );
        if state.boots.is_none() && self.before.boots.is_some() {
            findings.push("all boot entries are gone".to_owned());
        }
        let came = state.packages.difference(&self.before.packages).count();
        let went = self.before.packages.difference(&state.packages).count();
        let mut note = format!("{came} packages came, {went} went; rpm -Va says nothing new");
        match &state.boots {
            Some(kernel) => {
                let _ = write!(note, "; boots {kernel}");
            }
            None => note.push_str("; nothing makes boot entries"),
        }
        Ok(Step { findings, note })
    }

    /// `dnf history undo last`, and what the server has then.
    pub fn undo(&self) -> Step {
        match self.undone() {
            Ok(step) => step,
            Err(why) => Step {
                findings: vec![why],
                note: String::new(),
            },
        }
    }

    fn undone(&self) -> Result<Step, String> {
        let mut findings = self.change(&["history", "undo", "last"])?;
        let state = self.state()?;
        for (one, other, what) in [
            (&state, &self.before, "is there after the undo, and was not"),
            (&self.before, &state, "was there, and is not after the undo"),
        ] {
            for (all, others) in [
                (&one.packages, &other.packages),
                (&one.modules, &other.modules),
                (&one.put_aside, &other.put_aside),
            ] {
                let odd = all.difference(others);
                findings.extend(odd.map(|one| format!("{one} {what}")));
            }
        }
        findings.extend(self.unverified(&state, &self.before.complaints)?);
        if state.boots != self.before.boots {
            let shown =
                |boots: &Option<String>| boots.clone().unwrap_or_else(|| "nothing".to_owned());
            findings.push(format!(
                "the boot default after the undo is {}; it was {}",
                shown(&state.boots),
                shown(&self.before.boots)
            ));
        }
        let note = format!(
            "{} packages, as before the upgrade; rpm -Va says nothing new",
            state.packages.len()
        );
        Ok(Step { findings, note })
    }

    /// Runs dnf. What is wrong although it ended well: a scriptlet of ours that failed, an error of rpm's.
    fn change(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let said = self.server.dnf(arguments)?;
        let ours: Vec<String> = self.pair.all.iter().map(|one| without_epoch(one)).collect();
        let mut findings = scriptlets::findings(&said, &ours);
        let errors = said.lines().map(str::trim).filter(|line| {
            line.starts_with("error:")
                && !line.contains("scriptlet")
                && !line.contains("lua script")
        });
        findings.extend(errors.map(|line| format!("dnf {}: {line}", arguments.join(" "))));
        Ok(findings)
    }

    fn installed(&self) -> Result<BTreeSet<String>, String> {
        let format = "%{NAME}-%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}.%{ARCH}\\n";
        let said = self.server.rpm(&["-qa", "--qf", format])?;
        match said.failed("rpm -qa") {
            Some(failed) => Err(failed),
            None => Ok(said.output.lines().map(plain).collect()),
        }
    }

    fn state(&self) -> Result<State, String> {
        let all = self.server.rpm(&["-Va"])?;
        if let Some(why) = all.silent("rpm -Va").or_else(|| all.ended_early("rpm -Va")) {
            return Err(why);
        }
        let files = |folder: &str, wanted: &dyn Fn(&str) -> bool| {
            let all = self.server.files(folder)?;
            Ok::<_, String>(all.into_iter().filter(|path| wanted(path)).collect())
        };
        Ok(State {
            packages: self.installed()?,
            complaints: all.lines.into_iter().collect(),
            boots: self.server.boots()?,
            modules: files(MODULES, &|path| path.contains(".ko"))?,
            put_aside: files(CONFIGURATION, &|path| {
                PUT_ASIDE.iter().any(|end| path.ends_with(end))
            })?,
        })
    }
}
