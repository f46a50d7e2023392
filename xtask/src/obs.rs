//! The Open Build Service that the command line names, and a package that is built there.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lustre_files::{Advised, advised};
use lustre_packaging::export::obs::{before, package_meta};
use lustre_packaging::obs::{
    Api, BUILDENV, Build, Collected, Error, Known, Login, Pace, Project, Repositories, Sources,
    State, Wanted, built, repository,
};
use lustre_packaging::process;
use lustre_packaging::stage::{Failure, Work};
use lustre_packaging::target::Target;

use crate::cli::{BuilderArgs, On, TargetArgs};
use crate::exit::Usage;
use crate::ui::Screen;

/// How long is waited for a package where nobody says it, in minutes.
const WAIT: u32 = 24 * 60;

/// An Open Build Service, and a project there.
#[derive(Debug, Clone)]
pub struct ObsBuilder {
    pub api: Api,
    pub project: Project,
    /// How long is waited for a package.
    pub limit: Duration,
}

impl ObsBuilder {
    /// The one that the arguments name, if any, and who asks it.
    pub fn of(builder: &BuilderArgs, target: &TargetArgs) -> anyhow::Result<Option<Self>> {
        if builder.on == On::Obs && target.offline {
            return Err(usage(
                "--on obs: it needs the network, and --offline was given",
                "omit one of them",
            ));
        }
        let Some(named) = Self::named(builder, target)? else {
            return Ok(None);
        };
        let api = Api::new(named.api.url(), Login::of_environment()?)?;
        Ok(Some(Self { api, ..named }))
    }

    /// The same for a command that asks nobody.
    pub fn named(builder: &BuilderArgs, target: &TargetArgs) -> anyhow::Result<Option<Self>> {
        let BuilderArgs {
            on,
            api,
            project,
            wait,
        } = builder;
        if *on == On::Local {
            let given = [
                ("--api", api.is_some()),
                ("--project", project.is_some()),
                ("--wait", wait.is_some()),
            ];
            return match given.iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((option, _)) => Err(usage(
                    &format!("{option} is for a build service, and packages are built here"),
                    "add --on obs",
                )),
            };
        }
        let (Some(api), Some(project)) = (api, project) else {
            return Err(usage(
                "--on obs: it takes the URL of the API and the project",
                "give them with --api URL --project PROJECT",
            ));
        };
        if target.ccache.is_some() {
            return Err(usage(
                "--on obs: nothing is compiled here, and --ccache was given",
                "omit one of them",
            ));
        }
        if target.elsewhere {
            return Err(usage(
                "--on obs: --elsewhere is for builds on this machine",
                "omit one of them",
            ));
        }
        let bad = |error: Error| Usage::new(Advised::of(&error));
        Ok(Some(Self {
            api: Api::new(api, None).map_err(bad)?,
            project: Project::parse(project).map_err(bad)?,
            limit: Duration::from_secs(u64::from(wait.map_or(WAIT, Into::into)) * 60),
        }))
    }

    /// The repositories of its projects, asked for by `api`: that the projects are there, and build on each other as they have to.
    pub fn check_projects(&self, api: &Api, target: &Target) -> Result<Repositories, Error> {
        let arch = &target.distribution.arch;
        let name = target.argument();
        repository(api, &self.project, &name, before(target), arch)
    }
}

fn usage(what: &str, help: &str) -> anyhow::Error {
    Usage::new(advised(what, help)).into()
}

/// An Open Build Service that builds in place of this machine.
#[derive(Debug)]
pub struct Obs<'a> {
    pub builder: &'a ObsBuilder,
    screen: &'a Screen,
    /// What is done once for all packages.
    pub ready: Mutex<Option<Ready>>,
}

/// Projects in which can be built.
#[derive(Debug, Clone)]
pub struct Ready {
    pub repositories: Repositories,
    /// What may be in any build root.
    pub known: Known,
}

impl<'a> Obs<'a> {
    pub fn new(builder: &'a ObsBuilder, screen: &'a Screen) -> Self {
        Self {
            builder,
            screen,
            ready: Mutex::default(),
        }
    }

    /// The project in which is built.
    pub fn project(&self) -> &Project {
        &self.builder.project
    }

    /// Has the package of the sources in `folder` built, and collects it into `into`.
    pub fn built(
        &self,
        work: &Work<'_>,
        stage: &str,
        folder: &Path,
        wanted: Wanted<'_>,
        into: &Path,
    ) -> Result<Collected, Failure> {
        let place = wanted.place;
        let tell = |state: &State| {
            let words = format!("{} on {place}: {}", place.package, state.words());
            self.screen.stands(stage, &words);
        };
        let build = Build {
            wanted,
            meta: &package_meta(&place.project, &place.package),
            sources: &Sources::of_folder(folder)?,
            pace: Pace::polite(self.builder.limit),
            log: work.log,
        };
        let list = work.output.join(BUILDENV);
        let api = self.builder.api.clone().with_folder(work.scratch);
        let done = built(&api, &build, (into, &list), &tell);
        if process::interrupted() {
            let package = place.package.clone();
            self.screen
                .warn(&Error::Interrupted { package }.to_string());
        }
        Ok(done?)
    }
}
