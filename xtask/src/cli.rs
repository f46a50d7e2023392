//! The command line: a contract. Add to it, don't change it.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::invocation::PROGRAM;

mod bench;
mod build;
mod builder;
mod export;
mod global;
pub mod key;
mod look;
mod publish;
mod rebuild;
mod repo;
mod target;
mod upkeep;
mod verify;

pub use bench::BenchArgs;
pub use build::{BuildArgs, CompareArgs};
pub use builder::{BuilderArgs, On};
pub use export::ExportArgs;
pub use global::{Color, GlobalArgs, MessageFormat};
pub use key::KeyArgs;
use key::KeyCommand;
pub use look::{CompatArgs, GraphFormat, LogArgs, PlanArgs, ShellArgs, WatchArgs};
pub use publish::{BundleArgs, Look, PlaceArgs, PublishArgs};
pub use rebuild::RebuildArgs;
pub use repo::{BootArgs, Prove, ProvenRepoArgs, ReleaseArgs, RepoArgs};
pub use target::TargetArgs;
pub use upkeep::{CleanArgs, LockArgs, TestArgs};
pub use verify::VerifyArgs;

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

/// Which of `options`, ids and how they are written, are on the line.
fn without_effect(line: &ArgMatches, options: &[(&str, &'static str)]) -> Vec<&'static str> {
    let given = |id: &str| line.value_source(id) == Some(ValueSource::CommandLine);
    let options = options.iter().filter(|(id, _)| given(id));
    options.map(|(_, option)| *option).collect()
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
        if let (Command::Rebuild(arguments), Some((_, line))) =
            (&mut cli.command, line.subcommand())
        {
            arguments.target_given = line.value_source("target") == Some(ValueSource::CommandLine);
            arguments.without_effect = without_effect(line, &RebuildArgs::WITHOUT_EFFECT);
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
            arguments.without_effect = without_effect(line, &PlaceArgs::WITHOUT_EFFECT);
        }
        if let (Command::Bundle(arguments), Some((_, line))) = (&mut cli.command, line.subcommand())
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
            Self::Promote(arguments) => Some(&mut arguments.expected.key),
            Self::Publish(arguments) => Some(&mut arguments.place.expected.key),
            Self::Bundle(arguments) => Some(&mut arguments.expected.key),
            Self::Rebuild(arguments) => Some(&mut arguments.expected.key),
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
            Self::Export(arguments) => &mut arguments.target,
            Self::Bundle(arguments) => &mut arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Promote(arguments) => &mut arguments.target,
            Self::Publish(arguments) => &mut arguments.place.target,
            Self::Rebuild(arguments) => &mut arguments.target,
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
            Self::Export(arguments) => &arguments.target,
            Self::Bundle(arguments) => &arguments.target,
            Self::Fetch(arguments) | Self::Preflight(arguments) | Self::Advisories(arguments) => {
                arguments
            }
            Self::Promote(arguments) => &arguments.target,
            Self::Publish(arguments) => &arguments.place.target,
            Self::Rebuild(arguments) => &arguments.target,
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lock, fetch, build, sign, assemble, and prove: the whole pipeline.
    #[command(
        after_help = "Examples:\n  cargo xtask repo --setup\n  cargo xtask repo --target rehearsal -j 2 -o /srv/repo\n  \
                            cargo xtask repo --offline --locked\n  cargo xtask repo --prove boot      boot it before it is published\n  \
                            cargo xtask repo --from-bundle rocky-9.6.bundle    without a network, of what `bundle` wrote elsewhere\n  \
                            cargo xtask repo --from-build first --from-build second    sign what two builders agree on\n  \
                            cargo xtask repo --on obs --api URL --project home:me:lustre    build on a build service"
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
    /// Show on which of the distribution's kernels a repository's modules load: from metadata, without building anything.
    #[command(
        after_help = "Examples:\n  cargo xtask compat --target rocky-10.0\n  cargo xtask compat --target rocky-10.0 /srv/repo/rocky-10.0\n  \
                            cargo xtask compat --target rocky-10.0 --json | jq '.kernels[] | select(.verdict == \"loads\") | .kernel'\n\n\
                            Ends with 0 where nothing speaks against the newest kernel: the modules load there, and ldiskfs lacks nothing \
                            that its ext4 has. Ends with 3 where they do not load, where ext4 differs, and where either cannot be told."
    )]
    Compat(CompatArgs),
    /// Show what is new in the repositories of targets: kernels, whether they fit, and the distribution's advisories for them.
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
    /// Fetch all sources into the store: nothing that is built needs the network afterwards.
    #[command(after_help = "Example:\n  cargo xtask fetch && cargo xtask repo --offline")]
    Fetch(TargetArgs),
    /// Build unsigned packages; all of them by default.
    #[command(
        after_help = "Examples:\n  cargo xtask build\n  cargo xtask build e2fsprogs lustre\n  \
                            cargo xtask build --rebuild kernel    build it again and compare\n  \
                            cargo xtask build --output unsigned   for another machine to sign: cargo xtask repo --from-build"
    )]
    Build(BuildArgs),
    /// Write source packages, and what an Open Build Service, Koji or mock is to be told so that it builds the same of them.
    #[command(
        after_help = "Examples:\n  cargo xtask export obs -o obs    projects, with _meta, _config and sources\n  \
                            cargo xtask export obs --project home:jane:lustre --package e2fsprogs -o obs\n  \
                            cargo xtask export koji --target rocky-9.6 -o koji    settings of a build tag\n  \
                            cargo xtask export mock -o mock          a config, and buildroot_lock.json\n\n\
                            The same target gives the same files on every machine; the digest that is printed stands for all of them. README in \
                            the folder says what to do with it. See docs/building-elsewhere.md."
    )]
    Export(ExportArgs),
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
    /// Build the packages of a published repository again, from its own source packages, and compare.
    #[command(
        after_help = "Examples:\n  cargo xtask rebuild https://repo.example.org/lustre --public-key release.pub.asc\n  \
                            cargo xtask rebuild /srv/repo/rehearsal --package e2fsprogs\n  \
                            cargo xtask rebuild --bundle rocky-9.6.bundle /srv/repo/rocky-9.6    where mirrors no longer have the packages\n  \
                            cargo xtask rebuild --json URL | jq '.packages[] | select(.result != \"same\")'\n\n\
                            Ends with 0 if all packages are the same as before they were signed, with 3 if one differs, and with 1 if one cannot be built. See \
                            docs/rebuilding.md."
    )]
    Rebuild(RebuildArgs),
    /// Put a proven repository where clients read it: a folder, a place for rsync, an object store, GitHub.
    #[command(
        after_help = "Examples:\n  cargo xtask publish --dry-run /srv/www/lustre      list what would be sent, replaced and removed\n  \
                            cargo xtask publish --target rocky-9.6 rsync://mirror.example.org/lustre/9.6\n  \
                            cargo xtask publish --url https://repo.example.org/lustre web:/srv/www/lustre\n  \
                            cargo xtask publish --check install /srv/www/lustre    and install from its URL, in a clean chroot\n  \
                            cargo xtask publish s3://BUCKET/lustre             with rclone, and the variables of AWS\n  \
                            cargo xtask publish rclone:REMOTE:PATH             with a remote of rclone's configuration\n  \
                            cargo xtask publish github:OWNER/NAME              its pages, and its releases where the target has assets_url\n  \
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, Command, PlaceArgs, RebuildArgs};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_folder_of_the_compiler_cache_is_no_package() {
        for (line, folder) in [
            (&["build", "--ccache", "e2fsprogs"][..], None),
            (
                &["build", "--ccache=/srv/cache", "e2fsprogs"],
                Some("/srv/cache"),
            ),
        ] {
            let line = ["cargo xtask"].iter().chain(line);
            let matches = Cli::command().get_matches_from(line);
            let Command::Build(arguments) = Cli::of_matches(&matches).unwrap().command else {
                panic!("another command");
            };
            assert_eq!(arguments.packages, ["e2fsprogs"]);
            assert_eq!(arguments.target.ccache, Some(folder.map(Into::into)));
        }
    }

    /// What has no effect is refused, and no help has it.
    #[test]
    fn no_help_lists_an_option_that_the_command_refuses() {
        for (name, line, options) in [
            ("rebuild", "rebuild /srv/repo", RebuildArgs::WITHOUT_EFFECT),
            ("publish", "publish /srv/www", PlaceArgs::WITHOUT_EFFECT),
            ("promote", "promote /srv/www", PlaceArgs::WITHOUT_EFFECT),
        ] {
            let mut command = Cli::command();
            let help = command.find_subcommand_mut(name).unwrap();
            let help = help.render_long_help().to_string();
            assert!(help.contains("--mirror"), "{name}");
            for (_, option) in options {
                assert!(!help.contains(&format!("{option} ")), "{name} {option}");
                let value = match option {
                    "--offline" | "--push" | "--ccache" => "",
                    "--max-log" => "=5",
                    _ => "=a=b",
                };
                let line = format!("cargo-xtask {line} {option}{value}");
                let matches = Cli::command().get_matches_from(line.split(' '));
                let refused = match Cli::of_matches(&matches).unwrap().command {
                    Command::Rebuild(arguments) => arguments.without_effect,
                    Command::Publish(arguments) => arguments.place.without_effect,
                    Command::Promote(arguments) => arguments.without_effect,
                    _ => panic!("another command"),
                };
                assert_eq!(refused, [option], "{name}");
            }
        }
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
