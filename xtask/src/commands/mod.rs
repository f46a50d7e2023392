//! One module a command.

mod advisories;
mod bench;
mod boot;
mod build_again;
mod bundle;
mod clean;
mod compare;
mod compat;
mod export;
mod from_bundle;
mod key;
mod lock;
mod log;
mod named;
mod needs;
mod plan;
mod preflight;
mod proofs;
mod publish;
mod rebuild;
mod release;
mod repo;
mod shell;
mod shipped;
mod targets;
mod test;
mod verify;
mod watch;

use lustre_packaging::host;
use lustre_packaging::process::secrets;
use lustre_packaging::target::{self, DistributionKind};

use crate::cli::{Cli, Command, Prove};
use crate::context;
use crate::exit::Outcome;
use crate::place;
use crate::signals::{self, AfterSignal};
use crate::ui;

/// Runs the command given.
pub fn run(mut cli: Cli) -> anyhow::Result<Outcome> {
    context::judge_path(place::folder_is(), &place::folder()?, &[])?;
    if reads_specs(&cli.command) {
        place::settle(cli.global.specs.as_deref())?;
        context::judge_path("the folder of the specs", &place::specs(), &[])?;
    }
    if let Command::Verify(arguments) = &mut cli.command
        && let Some(outcome) = verify::name_target(arguments)?
    {
        return Ok(outcome);
    }
    if let Command::Rebuild(arguments) = &mut cli.command
        && let Some(outcome) = rebuild::name_target(arguments)?
    {
        return Ok(outcome);
    }
    if let Command::Repo(arguments) = &mut cli.command {
        from_bundle::name_target(arguments)?;
    }
    // Chroots and the repository are read by others than their owner, whatever the umask of the shell. What is secret gets its mode
    // explicitly.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // What is wrong with the line is said before anything is installed for it. What this user cannot read may be read by the one we
    // go on as.
    let target = match cli.command.target().map(context::target) {
        Some(Err(error)) if !matches!(error, target::Error::Read { .. }) => {
            return Err(error.into());
        }
        Some(Ok(target)) => Some(target),
        _ => None,
    };
    if let Some(arguments) = cli.command.target() {
        context::store_folder(arguments.store.as_deref())?;
    }
    let purpose = purpose(&cli.command);
    match work(&cli.command, target.map(|target| target.distribution.kind)) {
        Work::Builds { setup } => {
            host::ensure(&place::specs(), &purpose, setup, &mut |text| ui::say(text))?;
            privileges(true)?;
            signals::heed(AfterSignal::CleanUp)?;
        }
        Work::Store { setup } => {
            if setup {
                host::ensure(&place::specs(), &purpose, true, &mut |text| ui::say(text))?;
            }
            privileges(false)?;
            let cleans =
                matches!(&cli.command, Command::Verify(arguments) if verify::fetches(arguments));
            signals::heed(if cleans {
                AfterSignal::CleanUp
            } else {
                AfterSignal::End
            })?;
        }
        Work::Other => {
            if matches!(cli.command, Command::Key(_)) {
                secrets::hide_memory()?;
            }
            signals::heed(match cli.command {
                Command::Bench(_)
                | Command::Bundle(_)
                | Command::Promote(_)
                | Command::Publish(_)
                | Command::Test(_) => AfterSignal::CleanUp,
                _ => AfterSignal::End,
            })?
        }
    }
    match cli.command {
        Command::Repo(arguments) => repo::repo(&arguments),
        Command::Assemble(arguments) => repo::assemble(&arguments),
        Command::Build(arguments) => match &arguments.rebuild {
            Some(stage) => build_again::run(&arguments, stage),
            None => repo::build(&arguments),
        },
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Fetch(arguments) => repo::fetch(&arguments),
        Command::Preflight(arguments) => preflight::run(&arguments),
        Command::Advisories(arguments) => advisories::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Compat(arguments) => compat::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Promote(arguments) => publish::promote(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Rebuild(arguments) => rebuild::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Boot(arguments) => boot::run(&arguments),
        Command::Lock(arguments) => lock::run(&arguments),
        Command::Targets { matrix, json } => targets::run(matrix, json),
        Command::Key(command) => key::run(&command),
        Command::Completions { shell, name } => shipped::completions(shell, &name),
        Command::Log(arguments) => log::run(&arguments),
        Command::Man { output } => shipped::man(&output),
        Command::Shell(arguments) => shell::run(&arguments),
        Command::Clean(arguments) => clean::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    }
}

/// Whether a command looks at specs.
fn reads_specs(command: &Command) -> bool {
    !matches!(
        command,
        Command::Clean(_)
            | Command::Compare(_)
            | Command::Completions { .. }
            | Command::Key(_)
            | Command::Man { .. }
    )
}

/// What a command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It makes chroots or runs programs that may have to be installed.
    Builds {
        /// Whether what is missing on the host may be installed.
        setup: bool,
    },
    /// It reads or clears the store and makes no chroot.
    Store {
        /// As above.
        setup: bool,
    },
    /// Neither; or it looks after itself.
    Other,
}

fn work(command: &Command, distribution: Option<DistributionKind>) -> Work {
    let setup = command.target().is_some_and(|arguments| arguments.setup);
    match command {
        // It has dnf choose, and preflight look.
        Command::Lock(_) if distribution == Some(DistributionKind::Repositories) => {
            Work::Builds { setup }
        }
        Command::Plan(_)
        | Command::Lock(_)
        | Command::Log(_)
        | Command::Clean(_)
        | Command::Advisories(_)
        | Command::Compat(_) => Work::Store { setup },
        // What it runs of the host is what the sandbox needs to look.
        Command::Verify(arguments) if arguments.is_static() => Work::Store { setup },
        // A proven repository is read, and nothing is started.
        Command::Bundle(arguments) if arguments.release.is_some() => Work::Other,
        Command::Targets { .. }
        | Command::Compare(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Key(_)
        // It is the user's ssh that it starts, with the user's keys: no namespace of our own.
        | Command::Publish(_)
        | Command::Promote(_)
        | Command::Bench(_)
        | Command::Test(_) => Work::Other,
        _ => Work::Builds { setup },
    }
}

/// Whether a command starts a virtual machine.
fn boots(command: &Command) -> bool {
    match command {
        Command::Boot(_) => true,
        Command::Repo(arguments) => arguments.prove == Prove::Boot,
        Command::Verify(arguments) => arguments.boot,
        _ => false,
    }
}

/// What the host's tools are for, in the words of `specs/host-tools.toml`.
fn purpose(command: &Command) -> Vec<&'static str> {
    let mut purpose = vec!["repo"];
    if !rustix::process::geteuid().is_root() {
        purpose.push("repo-unprivileged");
    }
    if boots(command) {
        purpose.push("boot");
    }
    // Not found out when all before the first compiler has run.
    let hands_on = matches!(command, Command::Build(arguments) if arguments.output.is_some());
    if !hands_on && command.target().is_some_and(|it| it.ccache.is_some()) {
        purpose.push("ccache");
    }
    purpose
}

/// Goes on as root of a user namespace of our own where the user is not root. What builds leave in the store belongs to ids that only
/// such a namespace has, so commands that only look need it too; where it cannot be had, they do without.
fn privileges(needed: bool) -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match host::privileges(&std::env::current_exe()?, &arguments) {
        Ok(Some(mut command)) => Err(secrets::become_again(&mut command).into()),
        Ok(None) => Ok(()),
        Err(error) if needed => Err(error.into()),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn of(line: &[&str]) -> Work {
        let line = ["cargo xtask"].iter().chain(line);
        work(&Cli::try_parse_from(line).unwrap().command, None)
    }

    #[test]
    fn setup_is_heeded_by_every_command_that_takes_it() {
        for command in [
            "repo",
            "assemble",
            "build",
            "fetch",
            "preflight",
            "verify",
            "boot",
        ] {
            assert_eq!(of(&[command]), Work::Builds { setup: false });
            assert_eq!(of(&[command, "--setup"]), Work::Builds { setup: true });
        }
        for command in ["plan", "lock"] {
            assert_eq!(of(&[command]), Work::Store { setup: false });
            assert_eq!(of(&[command, "--setup"]), Work::Store { setup: true });
        }
        assert_eq!(of(&["clean"]), Work::Store { setup: false });
        assert_eq!(of(&["targets"]), Work::Other);
        let lock = Cli::try_parse_from(["cargo xtask", "lock"]).unwrap();
        for (kind, expected) in [
            (DistributionKind::Rehearsal, Work::Store { setup: false }),
            (
                DistributionKind::Repositories,
                Work::Builds { setup: false },
            ),
        ] {
            assert_eq!(work(&lock.command, Some(kind)), expected, "{kind:?}");
        }
    }

    #[test]
    fn only_what_boots_needs_an_emulator() {
        let boots_at = |line: &[&str]| {
            let line = ["cargo xtask"].iter().chain(line);
            boots(&Cli::try_parse_from(line).unwrap().command)
        };
        for line in [
            &["boot"][..],
            &["repo", "--prove", "boot"],
            &["verify", "--boot", "dist/rehearsal"],
        ] {
            assert!(boots_at(line), "{line:?}");
        }
        for line in [
            &["repo"][..],
            &["repo", "--prove", "static"],
            &["assemble"],
            &["verify"],
            &["plan"],
        ] {
            assert!(!boots_at(line), "{line:?}");
        }
        assert!(purpose_of(&["boot"]).contains(&"boot"));
        assert!(!purpose_of(&["repo"]).contains(&"boot"));
    }

    fn purpose_of(line: &[&str]) -> Vec<&'static str> {
        let line = ["cargo xtask"].iter().chain(line);
        purpose(&Cli::try_parse_from(line).unwrap().command)
    }

    #[test]
    fn only_what_compiles_with_a_cache_needs_the_cache() {
        for line in [&["repo", "--ccache"][..], &["build", "--ccache=/srv/c"]] {
            assert!(purpose_of(line).contains(&"ccache"), "{line:?}");
        }
        for line in [
            &["repo"][..],
            &["build", "--ccache", "--output", "unsigned"],
            &["clean"],
        ] {
            assert!(!purpose_of(line).contains(&"ccache"), "{line:?}");
        }
    }
}
