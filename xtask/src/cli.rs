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

pub mod key;

pub use key::KeyArgs;
use key::KeyCommand;

/// Build signed, reproducible dnf repositories for Lustre servers.
///
/// Builds a patched e2fsprogs, a Lustre kernel, and the Lustre server packages, assembles them into a signed repository, and proves that it
/// installs.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), "\ncode ", env!("LUSTRE_REPO_CODE")),
    after_help = "Examples:\n  cargo xtask repo --target rocky-9.6 --setup   build the repository for Rocky Linux 9.6\n  \
                  cargo xtask repo --setup           try the whole pipeline, for the target `rehearsal`\n  \
                  cargo xtask plan                   show what would run, and why\n  \
                  cargo xtask verify dist/rehearsal  check a repository\n\n\
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
        if let (Command::Repo(arguments), Some((_, line))) = (&mut cli.command, line.subcommand()) {
            arguments.target_given = line.value_source("target") == Some(ValueSource::CommandLine);
        }
        if let (
            Command::Publish(PublishArgs {
                place: arguments, ..
            })
            | Command::Promote(arguments),
            Some((_, line)),
        ) = (&mut cli.command, line.subcommand())
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
            Command::Bench(arguments) => {
                arguments.json = *json;
                arguments.store.clone_from(store);
            }
            Command::Clean(arguments) => {
                arguments.json = *json;
                arguments.store.clone_from(store);
            }
            Command::Compare(arguments) => arguments.json = *json,
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
            Self::Promote(arguments) => Some(&mut arguments.key),
            Self::Publish(arguments) => Some(&mut arguments.place.key),
            Self::Bundle(arguments) => Some(&mut arguments.key),
            Self::Verify(arguments) => Some(&mut arguments.key),
            Self::Key(
                KeyCommand::Show { key, .. }
                | KeyCommand::Export { key }
                | KeyCommand::Renew { key, .. }
                | KeyCommand::Revoke { key, .. },
            ) => Some(key),
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
            Self::Bundle(arguments) => &mut arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Promote(arguments) => &mut arguments.target,
            Self::Publish(arguments) => &mut arguments.place.target,
            Self::Verify(arguments) => &mut arguments.target,
            Self::Plan(arguments) => &mut arguments.target,
            Self::Lock(arguments) => &mut arguments.target,
            Self::Log(arguments) => &mut arguments.target,
            Self::Shell(arguments) => &mut arguments.target,
            Self::Compat(arguments) => &mut arguments.target,
            Self::Watch(arguments) => &mut arguments.target,
            Self::Bench(_)
            | Self::Clean(_)
            | Self::Compare(_)
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
            Self::Bundle(arguments) => &arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Promote(arguments) => &arguments.target,
            Self::Publish(arguments) => &arguments.place.target,
            Self::Verify(arguments) => &arguments.target,
            Self::Plan(arguments) => &arguments.target,
            Self::Lock(arguments) => &arguments.target,
            Self::Log(arguments) => &arguments.target,
            Self::Shell(arguments) => &arguments.target,
            Self::Compat(arguments) => &arguments.target,
            Self::Watch(arguments) => &arguments.target,
            Self::Bench(_)
            | Self::Clean(_)
            | Self::Compare(_)
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
                Some("`key export` writes the public key itself; use `key show` for JSON")
            }
            Self::Key(KeyCommand::New { .. } | KeyCommand::Renew { .. }) => {
                Some("it only writes a file; use `key show --key-file FILE` for JSON")
            }
            Self::Key(KeyCommand::Revoke { .. }) => Some("it only writes a file"),
            Self::Test(_) => Some("the tests print their own results"),
            Self::Completions { .. } | Self::Man { .. } => {
                Some("the output has a format of its own")
            }
            Self::Shell(_) => Some("the output is that of the programs in the shell"),
            Self::Plan(arguments) if arguments.graph.is_some() => {
                Some("a graph has a format of its own; omit --graph for JSON")
            }
            _ => None,
        }
    }
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Directory for downloads and build results.
    ///
    /// Defaults to LUSTRE_REPO_STORE, or to `lustre-repo` in the user's cache directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Directory of the specs: `specs` of a checkout, or a copy of it.
    ///
    /// Defaults to LUSTRE_REPO_SPECS, or to the specs of the checkout; an installed program contains its own. Locks are in DIR/locks.
    #[arg(long, global = true, value_name = "DIR")]
    pub specs: Option<PathBuf>,
    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only results, errors and warnings.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more: which stages are cached, and where logs are.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colors: auto, always or never.
    ///
    /// `auto` respects NO_COLOR and CLICOLOR_FORCE.
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
    /// Output format: human, or json for one event per line.
    ///
    /// docs/schema/events.schema.json describes the events. Results are events, too.
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
                            cargo xtask repo --offline --locked\n  cargo xtask repo --prove boot      boot it before it is published\n  \
                            cargo xtask repo --from-bundle rocky-9.6.bundle    without a network, of what `bundle` wrote elsewhere\n  \
                            cargo xtask repo --from-build first --from-build second    sign what two builders agree on"
    )]
    Repo(ProvenRepoArgs),
    /// Show what would run, and why.
    #[command(
        after_help = "Examples:\n  cargo xtask plan --json | jq '.[] | select(.runs)'\n  \
                            cargo xtask plan --graph dot | dot -Tsvg -o graph.svg"
    )]
    Plan(PlanArgs),
    /// Check that all patch series, overlays, configs and versions fit: in seconds, without building.
    #[command(
        after_help = "Examples:\n  cargo xtask preflight\n  cargo xtask preflight --target debian-12 --source lustre=PATH@REV\n  \
                            cargo xtask preflight --json | jq '.checks[] | select(.result == \"fail\")'"
    )]
    Preflight(TargetArgs),
    /// List known faults of a target's Lustre, and what upstream has fixed since: from a clone, without network.
    #[command(
        after_help = "Examples:\n  cargo xtask advisories --target debian-12 --source lustre=CLONE\n  \
                            cargo xtask advisories --target rocky-9.6 --source lustre=CLONE --json | jq '.known[]'\n\n\
                            CLONE must have upstream's full history and branches. The exit code is 3 if a known fault corrupts or loses \
                            data and is neither fixed nor accepted."
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
    /// Build unsigned packages; all of them by default.
    #[command(
        after_help = "Examples:\n  cargo xtask build\n  cargo xtask build e2fsprogs lustre\n  \
                            cargo xtask build --rebuild kernel    build it again and compare\n  \
                            cargo xtask build --output unsigned   for another machine to sign: cargo xtask repo --from-build"
    )]
    Build(BuildArgs),
    /// Compare the unsigned packages of two builders, byte by byte.
    #[command(after_help = "Example:\n  cargo xtask compare build-1 build-2\n\n\
                            The folders are those of `cargo xtask build --output`. Ends with 3 where they differ, and names what does. Two \
                            builds of another lock, specs, sources or tool are not the same, whatever their packages are.")]
    Compare(CompareArgs),
    /// Build, sign and assemble the repository without proving it.
    #[command(after_help = "Example:\n  cargo xtask assemble -o /tmp/repository")]
    Assemble(RepoArgs),
    /// Check a repository: every signature, digest and dependency.
    #[command(
        after_help = "Examples:\n  cargo xtask verify\n  cargo xtask verify /srv/repo/rehearsal --public-key release.pub.asc --json\n  \
                            cargo xtask verify https://repo.example.org/lustre --public-key release.pub.asc\n  \
                            cargo xtask verify --static         without a chroot\n  \
                            cargo xtask verify --boot           also boot it\n  \
                            cargo xtask verify --reproducible   build twice, compare byte by byte\n  \
                            cargo xtask verify --reproducible /srv/repo/rehearsal   build it again, compare with that"
    )]
    Verify(VerifyArgs),
    /// Put a proven repository where clients read it: a folder, a place for rsync, an object store.
    #[command(
        after_help = "Examples:\n  cargo xtask publish --dry-run /srv/www/lustre      list what would be sent, replaced and removed\n  \
                            cargo xtask publish --target rocky-9.6 rsync://mirror.example.org/lustre/9.6\n  \
                            cargo xtask publish --url https://repo.example.org/lustre web:/srv/www/lustre\n  \
                            cargo xtask publish --check install /srv/www/lustre    and install from its URL, in a clean chroot\n  \
                            cargo xtask publish s3://BUCKET/lustre             with rclone, and the variables of AWS\n  \
                            cargo xtask publish rclone:REMOTE:PATH             with a remote of rclone's configuration\n  \
                            cargo xtask publish --staging /srv/www/lustre      beside what clients read, to be tested first\n\n\
                            Clients can read it at any moment. Interrupted, run it again. Ends with 3 where the proofs of the repository do \
                            not hold, and nothing is sent; or where clients do not see it at its URL afterwards. See docs/releases.md."
    )]
    Publish(PublishArgs),
    /// Publish what is staged: exactly that, by digest.
    #[command(
        after_help = "Examples:\n  cargo xtask publish --staging /srv/www/lustre\n  \
                            cargo xtask promote --dry-run /srv/www/lustre      check what is staged, and list what would be done\n  \
                            cargo xtask promote /srv/www/lustre\n  \
                            cargo xtask promote --url https://repo.example.org/lustre web:/srv/www/lustre\n\n\
                            Every file of what is staged is read and held against its signed sums. Interrupted, run it again. It is refused \
                            where another release was published since it was staged. Ends with 3 where a digest, a signature or a proof does \
                            not hold, and nothing is changed; or where clients do not see it at its URL afterwards. See docs/releases.md."
    )]
    Promote(PlaceArgs),
    /// Write one file for a site without a network: all that a target is built from, or a proven repository.
    #[command(
        after_help = "Examples:\n  cargo xtask bundle --target rocky-9.6 -o rocky-9.6.bundle     then, at the site: cargo xtask repo --from-bundle\n  \
                            cargo xtask bundle --release -o lustre.tar                     dist/<target>, for dnf from a disk\n  \
                            cargo xtask bundle --release /srv/repo/rocky-9.6 -o lustre.tar --public-key release.pub.asc\n\n\
                            The result is a line of sha256sum: compare it after the file was copied. Ends with 3 where the proofs of the \
                            repository do not hold, and nothing is written. See docs/air-gapped.md."
    )]
    Bundle(BundleArgs),
    /// Install the repository into a fresh root, boot its kernel in QEMU, mount Lustre and check it from inside.
    #[command(
        after_help = "Examples:\n  cargo xtask boot --setup                 install QEMU if it is missing\n  \
                            cargo xtask boot --json | jq '.checks[] | {name, result}'\n  \
                            cargo xtask verify --boot /srv/repo/rehearsal   the same for any repository"
    )]
    Boot(BootArgs),
    /// Write the lock of a target, or update it to the newest sources.
    #[command(after_help = "Example:\n  cargo xtask lock --update")]
    Lock(LockArgs),
    /// List the targets, or which Lustre release works with which kernel.
    #[command(
        after_help = "Examples:\n  cargo xtask targets --json\n  cargo xtask targets --matrix\n  \
                            cargo xtask targets --matrix --json | jq '.[] | select(.result == \"no\")'"
    )]
    Targets {
        /// Show which Lustre release works with which kernel.
        #[arg(long)]
        matrix: bool,
        /// As JSON: see [`GlobalArgs`].
        #[arg(skip)]
        json: bool,
    },
    /// Show the newest log of a stage, or list all logs.
    #[command(
        after_help = "Examples:\n  cargo xtask log\n  cargo xtask log kernel\n  less $(cargo xtask log --path kernel)"
    )]
    Log(LogArgs),
    /// Open a shell in a temporary copy of a stage's buildroot, in the same sandbox as its build.
    #[command(
        after_help = "Examples:\n  cargo xtask shell kernel\n  cargo xtask shell lustre -- rpm -qa\n\n\
                            The shell has no network, and its changes are discarded. The stage's source package is in /srv/srpms."
    )]
    Shell(ShellArgs),
    /// Write the completions for a shell to standard output.
    #[command(after_help = "Examples:\n  cargo install --locked --path xtask\n  \
                            cargo xtask completions bash > ~/.local/share/bash-completion/completions/lustre-repo\n\n\
                            cargo does not complete the arguments of `cargo xtask`; the completions are for the installed program.")]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
        /// The name of the program.
        #[arg(long, value_name = "PROGRAM", default_value = PROGRAM)]
        name: String,
    },
    /// Write man pages: one for the tool and one for each command.
    #[command(
        after_help = "Examples:\n  cargo xtask man -o ~/.local/share/man/man1\n  cargo help xtask    shows it then"
    )]
    Man {
        /// Directory for the pages.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Create, show, export, renew or revoke the signing key.
    #[command(
        subcommand,
        after_help = "Examples:\n  cargo xtask key new --user-id \"Site Lustre <lustre@example.org>\" --output release.key.asc\n  \
                      cargo xtask key show --key-file release.key.asc    until when it is valid\n  \
                      cargo xtask key export > RPM-GPG-KEY-lustre-repo"
    )]
    Key(KeyCommand),
    /// Remove what no target needs any more: superseded results, downloads, git mirrors and logs; with `--all`, the whole store.
    #[command(
        after_help = "Examples:\n  cargo xtask clean --dry-run    list what would be removed, with sizes\n  \
                            cargo xtask clean\n  cargo xtask clean --verify     check the whole store, and remove what is damaged"
    )]
    Clean(CleanArgs),
    /// Run all tests of the project.
    #[command(after_help = "Examples:\n  cargo xtask test --setup\n  cargo xtask test -- sign::")]
    Test(TestArgs),
    /// Measure the tool beside createrepo_c, rpmsign, dnf and rpm, with the same work in one run.
    #[command(
        after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench repodata closure     these, and their variants\n  \
                            cargo xtask bench --short              on fewer packages, in a minute or two\n  \
                            cargo xtask bench --json | jq '.rows[] | {name, ratio}'\n\n\
                            tests/bench/rows.toml has what is measured, and what each has to reach. Ends with 3 where one is slower than its \
                            floor by more than the noise of the run."
    )]
    Bench(BenchArgs),
}

/// What every command about a target takes.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Target to build for: a name, or a file.
    ///
    /// `cargo xtask targets` lists the names. A file (`./NAME.toml`) may inherit from a file beside it or from a named target; its lock is
    /// `NAME.lock.toml`, beside it.
    #[arg(
        long,
        default_value = "rehearsal",
        value_name = "NAME|PATH.toml",
        help_heading = "Target"
    )]
    pub target: String,
    /// Use another Lustre release than the target's.
    ///
    /// The name of a file in `specs/lustre/releases`. Lock and output are named NAME-lustre-RELEASE. `cargo xtask targets --matrix`
    /// shows which release works with which kernel.
    #[arg(long, value_name = "RELEASE", help_heading = "Target")]
    pub lustre: Option<String>,
    /// Run without network, from the store.
    #[arg(long, help_heading = "Sources")]
    pub offline: bool,
    /// Refuse to change the lock.
    #[arg(long, help_heading = "Sources")]
    pub locked: bool,
    /// Use a local source: NAME=PATH[@REV].
    ///
    /// NAME=PATH is a directory or a file, NAME=PATH@REV a commit of a clone.
    #[arg(long = "source", value_name = "NAME=PATH", help_heading = "Sources")]
    pub sources: Vec<String>,
    /// Fetch from another location: FROM=TO.
    #[arg(long = "mirror", value_name = "FROM=TO", help_heading = "Sources")]
    pub mirrors: Vec<String>,
    /// Continue if the clone of the source NAME lacks files.
    ///
    /// They are listed, and empty in the build.
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub allow_incomplete: Vec<String>,
    /// Parallel jobs of a build; defaults to the number of cores.
    ///
    /// Also the number of stages that run in parallel, up to four. The builds of the kernel and e2fsprogs can run at the same time, with up
    /// to 2 N jobs. The result does not depend on it.
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
    /// Directory of the repository; defaults to `dist/<target>`.
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
    /// Release time of the repository, in seconds since 1970.
    ///
    /// The time of its metadata and their signatures, recorded in the manifest. Defaults to LUSTRE_REPO_RELEASE_TIME; otherwise, an unchanged
    /// repository keeps its time, and a changed one gets the current time, always later than the time of the one that it replaces.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub release_time: Option<u32>,
    /// Replace a repository even though the new one contradicts it.
    ///
    /// `same-nevra`: a package has other content than the one with the same name, version and release; `lower-evr`: a package has a lower
    /// version; `release-package`: the key, the name or the URL changed, and `release` of the release package was not raised;
    /// `same-target`: it is of another target. The manifest records it.
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
    /// What to prove: `static`, `install` or `boot`.
    ///
    /// `static`: signatures, digests, metadata, dependencies. `install`: also that it installs, with the target's own dnf in a clean chroot.
    /// `boot`: also that its kernel boots and Lustre works, in QEMU.
    #[arg(
        long,
        value_enum,
        default_value_t = Prove::Install,
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub prove: Prove,
    /// Build from this bundle alone, without a network.
    ///
    /// A file that `cargo xtask bundle` wrote. It is checked, brought into the store, and its lock is used in place of the target's; --locked
    /// refuses another than the one there is. The target is the bundle's, unless --target names it.
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub from_bundle: Option<PathBuf>,
    /// Sign these packages, and build none.
    ///
    /// A folder that `cargo xtask build --output` wrote, on this machine or on another, of the same lock, sources, specs and tool. Given more
    /// than once, all of them must have the same packages, byte for byte: what two builders agree on. Otherwise, nothing is signed, and the
    /// exit code is 3.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Sources",
        conflicts_with = "from_bundle"
    )]
    pub from_build: Vec<PathBuf>,
    /// Whether the target was named on the command line: else it is the bundle's, where there is one.
    #[arg(skip)]
    pub target_given: bool,
}

/// How much is proven; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Prove {
    /// Signatures, digests, metadata, dependencies.
    Static,
    /// Also that it installs, with the target's own dnf in a clean chroot.
    Install,
    /// Also that its kernel boots and Lustre works, in QEMU.
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

/// Arguments of `bundle`.
#[derive(Debug, Clone, Args)]
pub struct BundleArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The file to write; another bundle there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Bundle a proven repository instead, for dnf from a disk; defaults to `dist/<target>`.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub release: Option<Option<PathBuf>>,
    /// Public key that the repository must be signed with.
    ///
    /// A file, or a fingerprint of 40 digits. Defaults to the secret key's, or to this machine's development key.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        requires = "release",
        conflicts_with_all = ["key_file", "key_agent"]
    )]
    pub public_key: Option<String>,
    /// The secret key that the repository is signed with.
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
    /// Print the build graph in a graph language: mermaid or dot.
    ///
    /// Shows which stages are cached, and how long each took the last time. Arrows implied by others are left out.
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
    /// The stage; by default, all stages with a log are listed.
    #[arg(value_name = "STAGE")]
    pub stage: Option<String>,
    /// Print only the path of the log.
    #[arg(long, requires = "stage")]
    pub path: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Clone, Args)]
pub struct ShellArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The stage, such as `kernel`, `lustre-srpm` or `e2fsprogs-root`.
    #[arg(value_name = "STAGE")]
    pub stage: String,
    /// Command to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Run this stage again even if it is cached.
    ///
    /// The new output is compared with the cached one and replaces it; the exit code is 3 if they differ.
    #[arg(long, value_name = "STAGE", conflicts_with = "packages")]
    pub rebuild: Option<String>,
    /// Write all unsigned packages to this folder, to be compared or signed.
    ///
    /// `compare` holds two of them against each other, `repo --from-build` signs. The result is the line of sha256sum of the folder's index,
    /// which stands for all of it. An earlier one there is replaced.
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["packages", "rebuild"])]
    pub output: Option<PathBuf>,
    /// The packages: e2fsprogs, kernel, lustre.
    #[arg(value_name = "PACKAGE")]
    pub packages: Vec<String>,
}

/// Arguments of `compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// A folder that `cargo xtask build --output` wrote.
    #[arg(value_name = "FIRST")]
    pub first: PathBuf,
    /// The same of another builder.
    #[arg(value_name = "SECOND")]
    pub second: PathBuf,
    /// The result as JSON: see [`GlobalArgs`].
    #[arg(skip)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository; defaults to `dist/<target>`.
    ///
    /// Of a URL, all files are fetched as clients see them, without a cache of this machine.
    #[arg(value_name = "PATH|URL")]
    pub path: Option<PathBuf>,
    /// Build everything a second time and compare byte by byte.
    ///
    /// Builds elsewhere and under other circumstances, and compares with the repository at PATH, if given.
    #[arg(long, conflicts_with = "boot")]
    pub reproducible: bool,
    /// Run only the static checks: no chroot, no root.
    ///
    /// Signatures, digests, metadata and, if the distribution's packages are in the store, dependencies. Checks that do not run are listed.
    #[arg(long = "static", conflicts_with_all = ["boot", "reproducible", "trust_on_first_use"])]
    pub only_static: bool,
    /// Boot it as well.
    ///
    /// Installs it into a fresh root, boots its kernel in QEMU, mounts Lustre and checks it from inside.
    #[arg(long)]
    pub boot: bool,
    /// Fail if the repository was signed more than DAYS days ago.
    ///
    /// An old repository that is served again still has all its signatures.
    #[arg(long, value_name = "DAYS", conflicts_with = "reproducible")]
    pub max_age: Option<u32>,
    /// Fail if the key expires within DAYS days.
    ///
    /// With 0, only if it has expired.
    #[arg(long, value_name = "DAYS", default_value_t = key::RENEWAL_DAYS, conflicts_with = "reproducible")]
    pub key_days: u32,
    /// Install it even if it is not known whose key to expect.
    ///
    /// The scriptlets of its packages run in a chroot, with no proof of who made them.
    #[arg(long, conflicts_with_all = ["public_key", "reproducible"])]
    pub trust_on_first_use: bool,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// Public key that the repository must be signed with.
    ///
    /// A file, or a fingerprint of 40 digits. Defaults to the secret key's, or to this machine's development key; without any, nothing of the
    /// repository is installed.
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

/// Arguments of `publish`.
#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// Where to, and how.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Repository to publish; defaults to `dist/<target>`.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Put it beside what is published, at TO/staging: other clients see nothing of it until it is promoted.
    #[arg(long)]
    pub staging: bool,
}

/// A place where clients read a repository, and how it is changed: the arguments of `promote`, and of `publish`.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The place: a folder, rsync://HOST/MODULE/PATH, HOST:PATH, s3://BUCKET/PATH or rclone:REMOTE:PATH.
    #[arg(value_name = "TO")]
    pub to: String,
    /// Only list what would be sent, replaced and removed, with sizes.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace what is published even though this repository does not follow it.
    ///
    /// It is another target's, newer, signed by another key or unreadable, or packages contradict it.
    #[arg(long)]
    pub replace_anyway: bool,
    /// Where clients read TO, to look at it afterwards as they do; `none` not to.
    ///
    /// Defaults to the URL that the repository says of itself, unless that is an example.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// How far it is looked into there: `index` or `install`.
    ///
    /// `index`: index, sums and signatures, and dnf reads the metadata. `install`: also all of `verify URL`: every file is fetched, and it is
    /// installed from what came, with the target's own dnf in a clean chroot.
    #[arg(
        long,
        value_enum,
        default_value_t = Look::Index,
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub check: Look,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// Public key that the repository must be signed with.
    ///
    /// A file, or a fingerprint of 40 digits. Defaults to the secret key's, or to this machine's development key.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        conflicts_with_all = ["key_file", "key_agent"]
    )]
    pub public_key: Option<String>,
    /// The secret key that the repository is signed with.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// How far a client's view of what was published is looked into; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Look {
    /// Index, sums and signatures, and that dnf reads the metadata.
    Index,
    /// Also every file, and that it installs.
    Install,
}

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Update all sources to the newest versions.
    #[arg(long)]
    pub update: bool,
}

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// Remove the whole store, with all downloads and build results.
    #[arg(long)]
    pub all: bool,
    /// Only list what would be removed, with sizes.
    #[arg(long)]
    pub dry_run: bool,
    /// Check the whole store, and remove what is damaged.
    ///
    /// The next run builds or fetches it again.
    #[arg(long, conflicts_with = "all")]
    pub verify: bool,
    /// The result as JSON: see [`GlobalArgs`].
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see [`GlobalArgs`].
    #[arg(skip)]
    pub store: Option<PathBuf>,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to measure, such as `repodata`; all by default.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Measure on fewer packages.
    ///
    /// What takes no part in a short run is left out.
    #[arg(long)]
    pub short: bool,
    /// How often each side runs.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(5).unwrap_or(NonZeroUsize::MIN))]
    pub rounds: NonZeroUsize,
    /// Put the table into this file, such as docs/performance.md.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Target whose repository and buildroots are measured, where it was built.
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    pub target: String,
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
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
