//! What every command needs to know: where the project, the store and the target are.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::place::real;
use lustre_files::{Advised, advised};
use lustre_packaging::export::folder as exported;
use lustre_packaging::process::{Limits, limits};
use lustre_packaging::sign::default_key_dir;
use lustre_packaging::store::{Holder, Store, store_around};
use lustre_packaging::target::{self, Target};
use lustre_packaging::{built, cpu};
use lustre_repository::layout;

use crate::cli::TargetArgs;
use crate::exit::Usage;
use crate::invocation::called;
use crate::leftovers;
use crate::obs::ObsBuilder;
use crate::place;
use crate::shared::SharedStore;
use crate::ui::Screen;

/// The target that the arguments name, with the release of Lustre that they choose.
pub fn target(arguments: &TargetArgs) -> Result<Target, target::Error> {
    Target::load_with(
        &place::specs(),
        &arguments.target,
        arguments.lustre.as_deref(),
    )
}

/// What an environment variable holds. An empty one is one that is not set: CI systems give what is missing so.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// That `path` can be where we keep or put things, which `what` names: other programs are told of it line by line, and as text.
pub fn judge_path(what: &str, path: &Path, not: &[char]) -> Result<(), Usage> {
    // A link may lead to it.
    let real = path.canonicalize();
    for path in [Some(path), real.as_deref().ok()].into_iter().flatten() {
        let why = match path.to_str() {
            None => "it is not UTF-8".to_owned(),
            Some(text) => match text.chars().find(|c| c.is_control() || not.contains(c)) {
                None => continue,
                Some(letter) => format!("it contains {letter:?}"),
            },
        };
        return Err(Usage::new(advised(
            format!(
                "{what} cannot be {path:?}: {why}, which some programs that work there cannot handle"
            ),
            "choose another folder",
        )));
    }
    Ok(())
}

/// That `path`, where something is written that `what` names, is in nothing that we keep as a whole: a repository, what `build --output`
/// wrote, or a store.
pub fn judge_beside(what: &str, path: &Path) -> anyhow::Result<()> {
    let (is, around, so) = if let Some(around) = layout::around(path) {
        ("repository at", around, "would not be one any more")
    } else if let Some(around) = built::around(path) {
        let so = "`build --output` wrote, and which would be refused then";
        ("folder", around, so)
    } else if let Some(around) = exported::around(path) {
        let so = "has what was exported, and could not be replaced then";
        ("folder", around, so)
    } else if let Some(around) = store_around(path)? {
        ("store", around, "is cleaned and removed as a whole")
    } else {
        return Ok(());
    };
    Err(Usage::new(advised(
        format!(
            "{what} cannot be {}: it is inside the {is} {}, which {so}",
            path.display(),
            around.display()
        ),
        "choose a place beside that",
    ))
    .into())
}

/// That `output`, where something is put that `what` names, can be written by other programs, is beside all that is kept as a whole, and is
/// not in the store that was `chosen`, nor that in it: one of them would go with the other.
pub fn judge_output(what: &str, output: &Path, chosen: Option<&Path>) -> anyhow::Result<()> {
    judge_path(what, &std::path::absolute(output)?, &[])?;
    let store = store_folder(chosen)?;
    let real = |path: &Path| real(path).map_err(|why| Usage::new(Advised::of(&why)));
    let (there, kept) = (real(output)?, real(&store)?);
    if there.starts_with(&kept) || kept.starts_with(&there) {
        return Err(Usage::new(advised(
            format!(
                "{what} would be at {} and the store is at {}: one must not be in the other",
                output.display(),
                store.display()
            ),
            "choose another --output or --store",
        ))
        .into());
    }
    judge_beside(what, output)
}

/// Where fetched and built things are kept: `chosen`, or the user's cache folder.
pub fn store_folder(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match chosen {
        Some(path) => path.to_owned(),
        None => variable("LUSTRE_REPO_STORE")
            .map(PathBuf::from)
            .or_else(cache_folder)
            .context(advised(
                "neither XDG_CACHE_HOME nor HOME is set",
                "set the store with --store",
            ))?,
    };
    let folder =
        std::path::absolute(&folder).with_context(|| format!("the path {}", folder.display()))?;
    // apt's configuration has no way to write a quote.
    judge_path("the store", &folder, &['"'])?;
    Ok(folder)
}

/// Where the development key is kept: outside any checkout, so that no commit can take it along.
pub fn key_folder() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name);
    default_key_dir(variable("XDG_DATA_HOME"), variable("HOME")).context(advised(
        "neither XDG_DATA_HOME nor HOME is set",
        "give a key with --key-file",
    ))
}

/// `lustre-repo` in the user's cache folder, as the XDG base directories have it.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("lustre-repo"))
}

/// `dist/<target>` in the folder that the tool works in.
pub fn default_output(target: &str) -> Result<PathBuf, Usage> {
    Ok(place::folder()?.join("dist").join(target))
}

/// How a run names itself to others that wait for it.
pub fn who(command: &str, arguments: &TargetArgs) -> String {
    format!("{} {command} --target {}", called(), arguments.target)
}

/// How many jobs may run at a time.
pub fn jobs(chosen: Option<NonZeroUsize>) -> usize {
    chosen
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
}

/// An open store and a loaded target.
#[derive(Debug)]
pub struct Context {
    pub target: Target,
    /// The open store: no other run uses it meanwhile.
    pub store: Store,
    pub screen: Screen,
    /// How many jobs may run at a time.
    pub jobs: usize,
    /// Where finished stages are taken from, if anywhere.
    pub shared: Option<SharedStore>,
    /// What builds packages in place of this machine, if anything.
    pub obs: Option<ObsBuilder>,
    /// What was given on the command line.
    pub arguments: TargetArgs,
}

fn waiting(screen: &Screen, store: &Path, holder: &Holder) {
    screen.line(&format!(
        "waiting for another run that uses {}: {holder}",
        store.display()
    ));
}

/// How a command uses the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Builds,
    /// It looks at something, and does not wait for a run that builds.
    Looks,
    /// It changes nothing at all.
    Reads,
}

impl Context {
    /// That of a test: the rehearsal, with a store in `folder`.
    #[cfg(test)]
    pub fn of_a_test(folder: &Path) -> Self {
        use clap::Parser as _;
        let line = ["cargo xtask", "build"];
        let mut line = crate::cli::Cli::try_parse_from(line).expect("a command");
        Self {
            target: Target::load(&place::specs(), "rehearsal").expect("a target"),
            store: Store::open(&folder.join("store"), "a test", &mut |_| {}).expect("a store"),
            screen: Screen::new(),
            jobs: 1,
            shared: None,
            obs: None,
            arguments: line.command.target_mut().expect("its target").clone(),
        }
    }

    /// Loads the target and opens the store, waiting where another run builds in it.
    pub fn open(arguments: &TargetArgs, who: &str) -> anyhow::Result<Self> {
        Self::opened(arguments, who, Use::Builds)
    }

    /// The same for a command that looks at something: it waits for another run only where it needs what that one may be making.
    pub fn beside(arguments: &TargetArgs, who: &str) -> anyhow::Result<Self> {
        Self::opened(arguments, who, Use::Looks)
    }

    /// The same for a command that changes nothing, waits for nobody and asks nobody; the store need not exist.
    pub fn read_only(arguments: &TargetArgs, who: &str) -> anyhow::Result<Self> {
        let arguments = TargetArgs {
            offline: true,
            ..arguments.clone()
        };
        Self::opened(&arguments, who, Use::Reads)
    }

    /// Where what is compiled is kept, if it is.
    pub fn ccache(&self) -> Option<PathBuf> {
        let given = self.arguments.ccache.as_ref()?;
        Some(match given {
            None => self.store.ccache_dir(),
            Some(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        })
    }

    /// How far a build may go.
    pub fn limits(&self) -> Limits {
        let log = self.arguments.max_log.map(|mib| mib << 20);
        Limits {
            log: log.unwrap_or(limits::LOG),
            ..Limits::default()
        }
    }

    /// Waits until no other run builds in the store: before anything is fetched.
    pub fn alone(&self) -> anyhow::Result<()> {
        Ok(self.store.alone(&mut |holder| {
            waiting(&self.screen, self.store.root(), holder);
        })?)
    }

    fn opened(arguments: &TargetArgs, who: &str, how: Use) -> anyhow::Result<Self> {
        let target = target(arguments)?;
        let shared = SharedStore::of(arguments)?;
        let screen = Screen::new();
        let folder = store_folder(arguments.store.as_deref())?;
        let mut wait = |holder: &Holder| waiting(&screen, &folder, holder);
        let store = match how {
            Use::Builds => Store::open(&folder, who, &mut wait),
            Use::Looks => Store::beside(&folder, who, &mut wait),
            Use::Reads => Store::look(&folder, who),
        }
        .with_context(|| format!("the store {}", folder.display()))?;
        let mut tell = |line: &str| screen.warn(line);
        match how {
            Use::Builds => leftovers::recover_and_tell(&store, &mut tell)?,
            Use::Looks | Use::Reads => leftovers::tell_leftovers(&store, &mut tell)?,
        }
        // What a killed run leaves there, the next one removes. Only the first call counts, and there is one store in a run.
        let _ = tempfile::env::override_temp_dir(store.tmp_dir());
        Ok(Self {
            target,
            store,
            screen,
            jobs: jobs(arguments.jobs),
            shared,
            obs: None,
            arguments: arguments.clone(),
        })
    }
}

/// That this machine's processor runs the distribution's packages.
pub fn processor(context: &Context) -> anyhow::Result<()> {
    Ok(cpu::check(
        &context.target.name,
        context.target.distribution.cpu,
    )?)
}
