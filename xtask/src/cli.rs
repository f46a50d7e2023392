//! The command line: a contract. Add to it, don't change it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};
use clap_complete::Shell;
use lustre_repository::release::Rule;

use crate::called::PROGRAM;

/// Builds patched e2fsprogs, the Lustre kernel and the Lustre server into signed RPMs, assembles a reproducible dnf repository and
/// proves that it installs.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), "\ncode ", env!("LUSTRE_REPO_CODE")),
    after_help = "Examples:\n  cargo xtask repo --setup           everything, from nothing, for the target `rehearsal`\n  \
                  cargo xtask plan                   what would run, and why\n  \
                  cargo xtask verify dist/rehearsal  is that repository whole and signed?\n\n\
                  Exit codes: 0 done, 1 failed, 2 usage, 3 a proof failed or something does not fit, 130 interrupted."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What clap found on a line, where it makes sense together.
    ///
    /// # Errors
    /// When a command is given what is for others.
    pub fn of_matches(line: &ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(line)?;
        if let (Command::Verify(arguments), Some((_, line))) = (&mut cli.command, line.subcommand())
        {
            arguments.target_given = line.value_source("target") == Some(ValueSource::CommandLine);
        }
        if let (Command::Watch(arguments), Some((_, line))) = (&mut cli.command, line.subcommand())
            && line.value_source("target") == Some(ValueSource::CommandLine)
        {
            let names = line.get_many::<String>("target");
            arguments.targets = names.into_iter().flatten().cloned().collect();
        }
        cli.hand_down();
        if let Some(why) = cli.command.has_no_json().filter(|_| cli.global.json) {
            let message = format!("--json: {why}");
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        let streams = cli.global.message_format == MessageFormat::Json;
        if let Some(why) = cli.command.has_no_events().filter(|_| streams) {
            let message = format!("--message-format json: {why}");
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(cli)
    }

    /// Gives the commands what was given for all of them.
    pub fn hand_down(&mut self) {
        let GlobalArgs { json, store, .. } = &self.global;
        if let Some(target) = self.command.target_mut() {
            target.json = *json;
            target.store.clone_from(store);
        }
        match &mut self.command {
            Command::Clean(arguments) => {
                arguments.json = *json;
                arguments.store.clone_from(store);
            }
            Command::Targets { json: wanted, .. } => *wanted = *json,
            Command::Key(KeyCommand::Show { json: wanted, .. }) => *wanted = *json,
            _ => {}
        }
    }
}

impl Command {
    /// Which key a command is told to take.
    pub fn key_mut(&mut self) -> Option<&mut KeyArgs> {
        match self {
            Self::Repo(arguments) => Some(&mut arguments.repo.key),
            Self::Assemble(arguments) => Some(&mut arguments.key),
            Self::Boot(arguments) => Some(&mut arguments.key),
            Self::Plan(arguments) => Some(&mut arguments.key),
            Self::Verify(arguments) => Some(&mut arguments.key),
            Self::Key(KeyCommand::Show { key, .. } | KeyCommand::Export { key }) => Some(key),
            _ => None,
        }
    }

    /// What a command about a target says of it.
    pub fn target_mut(&mut self) -> Option<&mut TargetArgs> {
        Some(match self {
            Self::Repo(arguments) => &mut arguments.repo.target,
            Self::Assemble(arguments) => &mut arguments.target,
            Self::Boot(arguments) => &mut arguments.target,
            Self::Build(arguments) => &mut arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Verify(arguments) => &mut arguments.target,
            Self::Plan(arguments) => &mut arguments.target,
            Self::Lock(arguments) => &mut arguments.target,
            Self::Log(arguments) => &mut arguments.target,
            Self::Shell(arguments) => &mut arguments.target,
            Self::Compat(arguments) => &mut arguments.target,
            Self::Watch(arguments) => &mut arguments.target,
            Self::Clean(_)
            | Self::Completions { .. }
            | Self::Key(_)
            | Self::Man { .. }
            | Self::Targets { .. }
            | Self::Test(_) => return None,
        })
    }

    /// What a command about a target says of it.
    pub fn target(&self) -> Option<&TargetArgs> {
        Some(match self {
            Self::Repo(arguments) => &arguments.repo.target,
            Self::Assemble(arguments) => &arguments.target,
            Self::Boot(arguments) => &arguments.target,
            Self::Build(arguments) => &arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Verify(arguments) => &arguments.target,
            Self::Plan(arguments) => &arguments.target,
            Self::Lock(arguments) => &arguments.target,
            Self::Log(arguments) => &arguments.target,
            Self::Shell(arguments) => &arguments.target,
            Self::Compat(arguments) => &arguments.target,
            Self::Watch(arguments) => &arguments.target,
            Self::Clean(_)
            | Self::Completions { .. }
            | Self::Key(_)
            | Self::Man { .. }
            | Self::Targets { .. }
            | Self::Test(_) => return None,
        })
    }

    /// Why what a command writes to standard output can be no events: it is handed on as it is.
    fn has_no_events(&self) -> Option<&'static str> {
        match self {
            Self::Completions { .. } | Self::Shell(_) => self.has_no_json(),
            _ => None,
        }
    }

    /// Why a command has no result that could be JSON.
    fn has_no_json(&self) -> Option<&'static str> {
        match self {
            Self::Key(KeyCommand::Export { .. }) => {
                Some("what `key export` writes is the public key itself; `key show` has JSON")
            }
            Self::Key(KeyCommand::New { .. }) => {
                Some("`key new` has no result but the file; `key show --key-file FILE` has JSON")
            }
            Self::Test(_) => Some("the tests tell their results themselves"),
            Self::Completions { .. } | Self::Man { .. } => {
                Some("what it writes has a form of its own")
            }
            Self::Shell(_) => Some("what runs in a shell tells its results itself"),
            Self::Plan(arguments) if arguments.graph.is_some() => {
                Some("a graph has a form of its own; without --graph, the plan can be JSON")
            }
            _ => None,
        }
    }
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Where fetched and built things are kept.
    ///
    /// Without it, LUSTRE_REPO_STORE says; else it is `lustre-repo` in the user's cache folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The specs: that folder of a checkout, or a copy of it.
    ///
    /// Without it, LUSTRE_REPO_SPECS says; else they are those of the checkout, or those that an installed program has with it. Locks are in
    /// DIR/locks.
    #[arg(long, global = true, value_name = "DIR")]
    pub specs: Option<PathBuf>,
    /// The result as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results, failures and warnings.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: which stages come from the store, and where logs are.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colours: NO_COLOR and CLICOLOR_FORCE decide where this does not.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
    /// `json`: events for machines on standard output, a line each.
    ///
    /// docs/schema/events.schema.json describes them. What would be there otherwise is an event, too.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub message_format: MessageFormat,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Results alone.
    #[default]
    Human,
    /// Events, a JSON object a line.
    Json,
}

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that has them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for clap::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lock, fetch, build, sign, assemble, and prove: the whole pipeline.
    #[command(
        after_help = "Examples:\n  cargo xtask repo --setup\n  cargo xtask repo --target rehearsal -j 2 -o /srv/repo\n  \
                            cargo xtask repo --offline --locked\n  cargo xtask repo --prove boot      boot it before it is put there"
    )]
    Repo(ProvenRepoArgs),
    /// What would run, and why.
    #[command(
        after_help = "Examples:\n  cargo xtask plan --json | jq '.[] | select(.runs)'\n  \
                            cargo xtask plan --graph dot | dot -Tsvg -o graph.svg"
    )]
    Plan(PlanArgs),
    /// Do all patch series, overlays, configs and versions fit? In seconds, without building.
    #[command(
        after_help = "Examples:\n  cargo xtask preflight\n  cargo xtask preflight --target debian-12 --source lustre=PATH@REV\n  \
                            cargo xtask preflight --json | jq '.checks[] | select(.result == \"fail\")'"
    )]
    Preflight(TargetArgs),
    /// What is known to be wrong with the Lustre of a target, and what upstream has mended since: from a clone, without network.
    #[command(
        after_help = "Examples:\n  cargo xtask advisories --target debian-12 --source lustre=CLONE\n  \
                            cargo xtask advisories --target rocky-9.6 --source lustre=CLONE --json | jq '.known[]'\n\n\
                            CLONE has all of upstream's history and its branches. Ends with 3 where a known fault corrupts or loses data \
                            and is neither mended nor accepted."
    )]
    Advisories(TargetArgs),
    /// On which kernels of the distribution the modules of a repository load: by the metadata, without building anything.
    #[command(
        after_help = "Examples:\n  cargo xtask compat --target rocky-10.0\n  cargo xtask compat --target rocky-10.0 /srv/repo/rocky-10.0\n  \
                            cargo xtask compat --target rocky-10.0 --json | jq '.kernels[] | select(.verdict == \"loads\") | .kernel'\n\n\
                            Ends with 0 where nothing speaks against the newest kernel: the modules load there, and ldiskfs lacks nothing \
                            that its ext4 has. Ends with 3 where they do not load, where ext4 differs, and where either cannot be told."
    )]
    Compat(CompatArgs),
    /// What is new in the repositories of targets: kernels, whether they fit, and the distribution's advisories of them.
    #[command(
        mut_arg("target", |target| target.num_args(1..).action(ArgAction::Append)),
        after_help = "Examples:\n  cargo xtask watch --target rocky-9.6 rocky-10.0\n  \
                            cargo xtask watch --update --markdown change.md     a new lock, and the text of a change request\n  \
                            cargo xtask watch --json | jq '.targets[] | select(.new) | .kernels[].version'\n\n\
                            Each repository is asked once whether it changed; where none did, nothing is written. Ends with 0 where nothing \
                            is new, and where the newest kernel fits; with 3 where it does not, or that could not be looked at. Without \
                            --target, it looks at all targets with repositories that have a lock."
    )]
    Watch(WatchArgs),
    /// Fetch all sources into the store: the only step that uses the network.
    #[command(after_help = "Example:\n  cargo xtask fetch && cargo xtask repo --offline")]
    Fetch(TargetArgs),
    /// Build packages, unsigned; all of them where none is named.
    #[command(
        after_help = "Examples:\n  cargo xtask build\n  cargo xtask build e2fsprogs lustre\n  \
                            cargo xtask build --rebuild kernel    does it come out the same?"
    )]
    Build(BuildArgs),
    /// Build, sign and assemble the repository without proving it.
    #[command(after_help = "Example:\n  cargo xtask assemble -o /tmp/repository")]
    Assemble(RepoArgs),
    /// Prove a repository: every signature, digest and dependency.
    #[command(
        after_help = "Examples:\n  cargo xtask verify\n  cargo xtask verify /srv/repo/rehearsal --public-key release.pub.asc --json\n  \
                            cargo xtask verify --static         without a chroot\n  \
                            cargo xtask verify --boot           boot it, too\n  \
                            cargo xtask verify --reproducible   build twice, compare byte by byte\n  \
                            cargo xtask verify --reproducible /srv/repo/rehearsal   build it again, compare with that"
    )]
    Verify(VerifyArgs),
    /// Install the repository into a fresh root, boot its kernel in QEMU, mount Lustre and check it from inside.
    #[command(
        after_help = "Examples:\n  cargo xtask boot --setup                 with QEMU installed where it is missing\n  \
                            cargo xtask boot --json | jq '.checks[] | {name, result}'\n  \
                            cargo xtask verify --boot /srv/repo/rehearsal   the same for a repository anywhere"
    )]
    Boot(BootArgs),
    /// Write the lock of a target, or move it to the newest sources.
    #[command(after_help = "Example:\n  cargo xtask lock --update")]
    Lock(LockArgs),
    /// The targets there are; or which release of Lustre goes with which kernel, and why not otherwise.
    #[command(
        after_help = "Examples:\n  cargo xtask targets --json\n  cargo xtask targets --matrix\n  \
                            cargo xtask targets --matrix --json | jq '.[] | select(.result == \"no\")'"
    )]
    Targets {
        /// Which release of Lustre goes with which kernel, as far as known.
        #[arg(long)]
        matrix: bool,
        /// As JSON: see [`GlobalArgs`].
        #[arg(skip)]
        json: bool,
    },
    /// Show the newest log of a stage; or which logs there are.
    #[command(
        after_help = "Examples:\n  cargo xtask log\n  cargo xtask log kernel\n  less $(cargo xtask log --path kernel)"
    )]
    Log(LogArgs),
    /// Open a shell in a throw-away copy of the buildroot of a stage, in the same sandbox as its build.
    #[command(
        after_help = "Examples:\n  cargo xtask shell kernel\n  cargo xtask shell lustre -- rpm -qa\n\n\
                            There is no network in it, and what is changed is gone with the shell. The source package of the stage is in \
                            /srv/srpms."
    )]
    Shell(ShellArgs),
    /// Write the completions for a shell to standard output.
    #[command(after_help = "Examples:\n  cargo install --locked --path xtask\n  \
                            cargo xtask completions bash > ~/.local/share/bash-completion/completions/lustre-repo\n\n\
                            They are for a program, and cargo completes its own line: hence the installed one.")]
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: Shell,
        /// What the program is called.
        #[arg(long, value_name = "PROGRAM", default_value = PROGRAM)]
        name: String,
    },
    /// Write the manual: a page for the tool and one for every command.
    #[command(
        after_help = "Examples:\n  cargo xtask man -o ~/.local/share/man/man1\n  cargo help xtask    shows it then"
    )]
    Man {
        /// The folder for the pages.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// The key that signs.
    #[command(
        subcommand,
        after_help = "Example:\n  cargo xtask key export > RPM-GPG-KEY-lustre-repo"
    )]
    Key(KeyCommand),
    /// Remove what no target needs any more: superseded results, downloads, git mirrors and logs; with `--all`, the whole store.
    #[command(
        after_help = "Examples:\n  cargo xtask clean --dry-run    what would go, and how much room it takes\n  \
                            cargo xtask clean\n  cargo xtask clean --verify     read all of the store, and remove what is damaged"
    )]
    Clean(CleanArgs),
    /// Run all tests of the project.
    #[command(after_help = "Examples:\n  cargo xtask test --setup\n  cargo xtask test -- sign::")]
    Test(TestArgs),
}

/// What every command about a target takes.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// What to build for: a name, or a file.
    ///
    /// `cargo xtask targets` lists the names. A file (`./NAME.toml`) may inherit from one beside it or from those; its lock is written beside it,
    /// as `NAME.lock.toml`.
    #[arg(
        long,
        default_value = "rehearsal",
        value_name = "NAME|PATH.toml",
        help_heading = "Target"
    )]
    pub target: String,
    /// Another release of Lustre than the target's.
    ///
    /// The name of a file of `specs/lustre/releases`. What comes of it has a lock and a folder of its own, NAME-lustre-RELEASE. `cargo
    /// xtask targets --matrix` says which goes with which kernel.
    #[arg(long, value_name = "RELEASE", help_heading = "Target")]
    pub lustre: Option<String>,
    /// Use what is in the store, and no network.
    #[arg(long, help_heading = "Sources")]
    pub offline: bool,
    /// Refuse to change the lock.
    #[arg(long, help_heading = "Sources")]
    pub locked: bool,
    /// Take a source from a local path: NAME=PATH[@REV].
    ///
    /// NAME=PATH is a folder or a file, NAME=PATH@REV a commit of a clone.
    #[arg(long = "source", value_name = "NAME=PATH", help_heading = "Sources")]
    pub sources: Vec<String>,
    /// Fetch what is at a location from another: FROM=TO.
    #[arg(long = "mirror", value_name = "FROM=TO", help_heading = "Sources")]
    pub mirrors: Vec<String>,
    /// Go on where the clone of the source NAME lacks files.
    ///
    /// They are named, and empty in what is built.
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub allow_incomplete: Vec<String>,
    /// How many jobs a build runs; the number of cores by default.
    ///
    /// So many stages run beside each other, too, four at most. Two builds can be under way at once, the kernel's and that of e2fsprogs, and
    /// then there are up to 2 N jobs. What comes out does not depend on it.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
    /// Results as JSON: see [`GlobalArgs`].
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see [`GlobalArgs`].
    #[arg(skip)]
    pub store: Option<PathBuf>,
}

/// Arguments of `repo` and `assemble`.
#[derive(Debug, Clone, Args)]
pub struct RepoArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository's folder; `dist/<target>` where not given.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// When it is released, and whether it may contradict what it replaces.
    #[command(flatten)]
    pub release: ReleaseArgs,
    /// Which key signs.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What the user says of a release.
#[derive(Debug, Clone, Default, Args)]
pub struct ReleaseArgs {
    /// The repository's release time, in seconds since 1970.
    ///
    /// It is that of its metadata and of their signatures, recorded in the manifest. Where neither this nor LUSTRE_REPO_RELEASE_TIME gives one, it is that of the repository that is replaced, where nothing but the
    /// time would differ, else the time now; always later than that of one with other content.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub release_time: Option<u32>,
    /// Replace a repository that this one contradicts.
    ///
    /// `same-nevra`, a package has other content than one of the same name, version and
    /// release; `lower-evr`, a package's version goes back; `release-package`, the key, the name or the URL changed, and `release` of the
    /// release package was not raised; `same-target`, it is of another target. The manifest records it.
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = rules(), hide_possible_values = true)]
    pub overrule: Vec<Rule>,
    /// Release it just as this `manifest.json` says.
    ///
    /// With its time, the rules that were overruled for it, and what it says of the repository that it replaced: to make that repository
    /// again elsewhere, byte for byte.
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["release_time", "overrule"])]
    pub released_as: Option<PathBuf>,
}

/// Reads the name of a rule.
fn rules() -> impl TypedValueParser<Value = Rule> {
    PossibleValuesParser::new(Rule::ALL.map(Rule::name))
        .try_map(|name| Rule::named(&name).ok_or_else(|| format!("no rule is called `{name}`")))
}

/// Arguments of `repo`.
#[derive(Debug, Clone, Args)]
pub struct ProvenRepoArgs {
    /// Which target, how, and where to.
    #[command(flatten)]
    pub repo: RepoArgs,
    /// What must hold: `static`, `install` or `boot`.
    ///
    /// `static`: signatures, digests, metadata, dependencies. `install`: and that it installs, by the target's own dnf in a clean chroot.
    /// `boot`: and that its kernel boots and Lustre works, in QEMU.
    #[arg(
        long,
        value_enum,
        default_value_t = Prove::Install,
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub prove: Prove,
}

/// How much is proven; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Prove {
    /// Signatures, digests, metadata, dependencies.
    Static,
    /// And that it installs, by the target's own dnf in a clean chroot.
    Install,
    /// And that its kernel boots and Lustre works, in QEMU.
    Boot,
}

/// Arguments of `boot`.
#[derive(Debug, Clone, Args)]
pub struct BootArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Which key signs.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Arguments of `compat`.
#[derive(Debug, Clone, Args)]
pub struct CompatArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository with the modules; `dist/<target>` where not given, or what the store has of it.
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
}

/// Arguments of `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The targets that the line names.
    #[arg(skip)]
    pub targets: Vec<String>,
    /// Write the new lock where a kernel is new and everything fits it.
    ///
    /// As `lock --update` does: nothing goes down to an older version.
    #[arg(long)]
    pub update: bool,
    /// Write what is new to this file, as the text of a change request.
    ///
    /// Nothing is written where nothing is new.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Where the targets' repositories are; `dist` where not given.
    ///
    /// Each is in a folder of the target's name.
    #[arg(long, value_name = "DIR")]
    pub repositories: Option<PathBuf>,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// The build graph as a picture's source: mermaid or dot.
    ///
    /// With what is in the store, and how long each stage took the last time. Arrows that follow from others are left out.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        num_args = 0..=1,
        default_missing_value = "mermaid",
        hide_possible_values = true
    )]
    pub graph: Option<GraphFormat>,
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Which key would sign.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// How the build graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Mermaid, which GitHub and GitLab draw.
    Mermaid,
    /// DOT, which Graphviz draws.
    Dot,
}

/// Arguments of `log`.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Which target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The stage; all that have a log are listed where none is named.
    #[arg(value_name = "STAGE")]
    pub stage: Option<String>,
    /// Print only where the log is.
    #[arg(long, requires = "stage")]
    pub path: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Clone, Args)]
pub struct ShellArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The stage: `kernel`, `lustre-srpm`, `e2fsprogs-root`.
    #[arg(value_name = "STAGE")]
    pub stage: String,
    /// What to run in place of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Which key signs.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArgs {
    /// A file with the armored secret key, or a pipe (`/dev/stdin`).
    ///
    /// Where no option names a key, LUSTRE_REPO_KEY_FILE,
    /// LUSTRE_REPO_KEY_AGENT or LUSTRE_REPO_KEY, which holds the key itself, may. The passphrase, if any, comes from the file named
    /// by LUSTRE_REPO_KEY_PASSPHRASE_FILE or the variable LUSTRE_REPO_KEY_PASSPHRASE.
    #[arg(long, value_name = "FILE", help_heading = "Signing key")]
    pub key_file: Option<PathBuf>,
    /// The fingerprint of a key that gpg-agent holds.
    #[arg(
        long,
        value_name = "FINGERPRINT",
        conflicts_with = "key_file",
        help_heading = "Signing key"
    )]
    pub key_agent: Option<String>,
    /// The key file of a site's defaults, for where neither the line nor the environment names a key.
    #[arg(skip)]
    pub default: Option<PathBuf>,
}

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Run this stage again though it is in the store.
    ///
    /// What it puts out takes the place of what is there, and is compared with it: the command ends with 3 where they differ.
    #[arg(long, value_name = "STAGE", conflicts_with = "packages")]
    pub rebuild: Option<String>,
    /// The packages: e2fsprogs, kernel, lustre.
    #[arg(value_name = "PACKAGE")]
    pub packages: Vec<String>,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository; `dist/<target>` where not given.
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Build everything a second time and compare byte by byte.
    ///
    /// It is built elsewhere and under other circumstances, and compared with the repository at PATH, where that is given.
    #[arg(long, conflicts_with = "boot")]
    pub reproducible: bool,
    /// Make the static checks alone: no chroot, no root.
    ///
    /// Signatures, digests, metadata and, where the distribution's packages are in the store, dependencies. What is not run is named.
    #[arg(long = "static", conflicts_with_all = ["boot", "reproducible", "trust_on_first_use"])]
    pub only_static: bool,
    /// Boot it as well.
    ///
    /// It is installed into a fresh root, its kernel booted in QEMU, Lustre mounted and checked from inside.
    #[arg(long)]
    pub boot: bool,
    /// Fail where what is signed is older than so many days.
    ///
    /// Somebody may serve an old repository again, with all its signatures.
    #[arg(long, value_name = "DAYS", conflicts_with = "reproducible")]
    pub max_age: Option<u32>,
    /// Install it though nobody has said whose key it must have.
    ///
    /// The scripts of its packages run, in a chroot, on the word of whoever made it.
    #[arg(long, conflicts_with_all = ["public_key", "reproducible"])]
    pub trust_on_first_use: bool,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// The public key that it has to be signed with.
    ///
    /// A file, or the fingerprint of 40 digits. Where neither this nor a
    /// secret key is given, it is this machine's development key; without one, nothing of the repository is installed.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        conflicts_with_all = ["key_file", "key_agent", "reproducible"]
    )]
    pub public_key: Option<String>,
    /// The secret key that the repository is signed with.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Move every pin to what is newest now.
    #[arg(long)]
    pub update: bool,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new release key (RSA-4096) in a file.
    New {
        /// Name and address, as in "Site Lustre <lustre@example.org>".
        #[arg(long)]
        user_id: String,
        /// The file that takes the armored secret key; it must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show the key that would sign.
    Show {
        /// Which key.
        #[command(flatten)]
        key: KeyArgs,
        /// As JSON: see [`GlobalArgs`].
        #[arg(skip)]
        json: bool,
    },
    /// Write the public key to standard output.
    Export {
        /// Which key.
        #[command(flatten)]
        key: KeyArgs,
    },
}

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// Remove the whole store: fetched sources, built packages and all.
    #[arg(long)]
    pub all: bool,
    /// Only say what would be removed, and how much room it takes.
    #[arg(long)]
    pub dry_run: bool,
    /// Read the whole store, and remove what is damaged.
    ///
    /// What is no longer as it was recorded is made or fetched again by the next run.
    #[arg(long, conflicts_with = "all")]
    pub verify: bool,
    /// The result as JSON: see [`GlobalArgs`].
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see [`GlobalArgs`].
    #[arg(skip)]
    pub store: Option<PathBuf>,
}

/// Arguments of `test`.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
    /// Arguments for the tests, such as a part of their names.
    #[arg(last = true, value_name = "ARG")]
    pub arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verify_knows_whether_the_target_was_named() {
        for (line, given) in [
            (&["verify", "/srv/repo"][..], false),
            (&["verify", "/srv/repo", "--target", "rehearsal"], true),
        ] {
            let line = ["cargo xtask"].iter().chain(line);
            let matches = Cli::command().get_matches_from(line);
            let Command::Verify(arguments) = Cli::of_matches(&matches).unwrap().command else {
                panic!("another command");
            };
            assert_eq!(
                (arguments.target_given, arguments.target.target.as_str()),
                (given, "rehearsal")
            );
        }
    }
}
