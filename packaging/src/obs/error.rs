//! What can go wrong with an Open Build Service.

use std::path::PathBuf;

use lustre_files::help;

use super::variables::{PASSWORD_FILE_VARIABLE, USER_VARIABLE};
use crate::process::secrets::OBS_PASSWORD_VARIABLE;
use crate::store::PathError;
use crate::{archive, build, needs, sign, source};

/// What can go wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Build(#[from] build::Error),
    #[error(transparent)]
    Needs(#[from] needs::Error),
    #[error(transparent)]
    Sign(#[from] sign::Error),
    #[error(transparent)]
    Curl(Box<source::Error>),
    #[error(transparent)]
    Location(#[from] source::BadLocation),
    #[error("the API `{url}` cannot be used: {why}")]
    Api { url: String, why: &'static str },
    #[error("`{text}` cannot be the name of {what} of an OBS")]
    Name { what: &'static str, text: String },
    #[error(
        "`{text}` is not the name of a project{}",
        help!(
            "it has at most 150 letters, digits and any of -+_., in words with colons between them, such as home:jane:lustre; one of its \
             repositories may follow, such as home:jane:lustre/standard"
        )
    )]
    ProjectName { text: String },
    #[error(
        "`{text}` cannot be the name of a repository of an OBS{}",
        help!("it has letters, digits and any of -+_., and begins with a letter or a digit, such as standard")
    )]
    RepositoryName { text: String },
    #[error("{problem}{}", help!("{help}"))]
    Login { problem: String, help: &'static str },
    #[error(
        "{url} asks who you are, and {}{}",
        if *given { "does not take the user and the password that it was given" } else { "no user was given" },
        help!(
            "set {USER_VARIABLE}, and {PASSWORD_FILE_VARIABLE} to a file with the password (or {OBS_PASSWORD_VARIABLE} to the password)"
        )
    )]
    Unauthorized { url: String, given: bool },
    #[error(
        "{url} answered with the status {status}{}{}",
        said.as_ref().map_or_else(String::new, |said| format!(": {said}")),
        help!("{}", next_of(*status))
    )]
    Status {
        url: String,
        status: u16,
        /// What it says of it, which is nobody's word.
        said: Option<String>,
    },
    #[error(
        "{url}: somebody else changes it at the same time (status 409{}){}",
        said.as_ref().map_or_else(String::new, |said| format!(": {said}")),
        help!("run the same command again")
    )]
    Conflict { url: String, said: Option<String> },
    #[error(
        "{url}: who asks has no right to it (status 403{}){}",
        said.as_ref().map_or_else(String::new, |said| format!(": {said}")),
        help!(
            "the user has to be a maintainer of the project that --project names and of those below it, and what they build must not be kept \
             from being downloaded: ask whoever runs the server, or name a project of your own"
        )
    )]
    Forbidden { url: String, said: Option<String> },
    #[error(
        "{url} answered with the status {status}, which leads to {to}: nothing is asked there{}",
        help!("give the URL of the API itself with --api: where it has moved, and you trust the new place, that one")
    )]
    Redirected {
        url: String,
        status: u16,
        to: String,
    },
    /// It may pass.
    #[error(
        "{url}: {why}{}",
        help!("look whether --api is right; where it is, run the same command again to go on")
    )]
    Failed { url: String, why: String },
    /// It does not pass.
    #[error("{url}: {why}{}", help!("look whether --api is the URL of the API of an OBS"))]
    GivenUp { url: String, why: String },
    #[error(
        "{needed} MiB are to be fetched, and {free} MiB are free in {}{}",
        folder.display(),
        help!("make room, or use a store on another file system with --store")
    )]
    Room {
        folder: PathBuf,
        needed: u64,
        free: u64,
    },
    #[error("{url}: what it answers is larger than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error(
        "{url}: its answer cannot be used: {why}{}",
        help!("look whether --api is the URL of the API of an OBS: `osc` has it as `apiurl`")
    )]
    Answer { url: String, why: String },
    #[error(
        "{url} answered with a web page: that is not the API of an OBS{}",
        help!(
            "give the URL of the API with --api, not that of the pages: `osc` has it as `apiurl` (of build.opensuse.org, it is https://api.opensuse.org)"
        )
    )]
    WebPage { url: String },
    #[error(
        "{api} has no project {}{}",
        missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        help!(
            "correct --project, or write the projects with `{export}`, and make them, in this order, with {}. A project that is hidden from the user \
             looks as if it were missing",
            missing.iter().map(|name| format!("`osc -A {api} meta prj {name} -F DIR/{name}/_meta`")).collect::<Vec<_>>().join(", ")
        )
    )]
    NoProject {
        api: String,
        /// In the order in which they are made.
        missing: Vec<String>,
        /// The command that writes how they look.
        export: String,
    },
    #[error(
        "the project `{project}` has {}{}",
        if found.is_empty() { "no repository for this architecture".to_owned() } else { format!("the repositories {}", found.join(", ")) },
        help!("name one of its repositories with --project {project}/REPOSITORY; `{export}` writes how the projects look")
    )]
    Repository {
        project: String,
        found: Vec<String>,
        export: String,
    },
    #[error(
        "the repository {project}/{repository} does not build on {wanted}, so its packages would not have the settings of the target, or not \
         what was built for it{}",
        help!("its first paths are {order}, in this order: `{export}` writes how the projects look")
    )]
    NoPath {
        project: String,
        repository: String,
        wanted: String,
        order: String,
        export: String,
    },
    #[error(
        "{project}/{package}: the server says that the sources are {found}, and they are {expected}{}",
        help!("somebody changed them at the same time (another run in this project for one: each target has a project of its own), or the server runs a service on them: run the same command again")
    )]
    OtherSources {
        project: String,
        package: String,
        expected: String,
        found: String,
    },
    #[error("{package} failed on {place}; its log is {}\n{tail}", log.display())]
    BuildFailed {
        package: String,
        place: String,
        log: PathBuf,
        tail: String,
    },
    #[error(
        "{package} is {state} on {place}{}{}",
        if details.is_empty() { String::new() } else { format!(": {details}") },
        help!("{help}")
    )]
    NotBuilt {
        package: String,
        place: String,
        state: String,
        details: String,
        help: &'static str,
    },
    #[error(
        "{package} was not finished on {place} after {minutes} minutes, in which it was {state}{}",
        help!("the server goes on: run the same command again to go on waiting, with --wait MINUTES for longer")
    )]
    TooLong {
        package: String,
        place: String,
        minutes: u64,
        state: String,
    },
    #[error(
        "waiting for {package} was interrupted; the server goes on building, and the same command goes on from there"
    )]
    Interrupted { package: String },
    #[error(
        "{package} on {place} was built of earlier sources, and what came of the present ones was thrown away as unchanged{}",
        help!("remove what is there (`osc wipebinaries`), and run the same command again")
    )]
    Unchanged { package: String, place: String },
    #[error(
        "{package} on {place} was built again while it was fetched{}",
        help!("run the same command again when nobody else has it built")
    )]
    BuiltMeanwhile { package: String, place: String },
    #[error(
        "the buildroot here has {what}, which is neither of the distribution nor was it built{}",
        help!("the stages do not belong together; run the command again")
    )]
    Unknown { what: String },
    #[error(
        "{project}/{package} has files that are none of ours, and was not changed: {}{}",
        files.join(", "),
        help!(
            "remove them there, or take another --project; a package whose sources lustre-repo may replace has the `_meta` that \
             `cargo xtask export obs` writes"
        )
    )]
    Foreign {
        project: String,
        package: String,
        files: Vec<String>,
    },
    #[error("{package} on {place} is refused: {file}: {why}")]
    Refused {
        package: String,
        place: String,
        /// The file, or the package of the build root.
        file: String,
        why: String,
    },
    #[error(
        "{package} on {place} is refused: it was built with {with}, {why}{}",
        help!("{help}")
    )]
    BuiltWith {
        package: String,
        place: String,
        with: String,
        why: String,
        help: &'static str,
    },
}

impl Error {
    /// Whether it is an answer of the service, or that there is none: no program that ran here, and no log of one, says more of it.
    pub fn is_of_service(&self) -> bool {
        match self {
            Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::Conflict { .. }
            | Self::Forbidden { .. }
            | Self::Redirected { .. }
            | Self::Failed { .. }
            | Self::GivenUp { .. }
            | Self::TooLarge { .. }
            | Self::Answer { .. }
            | Self::WebPage { .. }
            | Self::NoProject { .. }
            | Self::Repository { .. }
            | Self::NoPath { .. }
            | Self::OtherSources { .. }
            | Self::NotBuilt { .. }
            | Self::TooLong { .. }
            | Self::Interrupted { .. }
            | Self::Unchanged { .. }
            | Self::BuiltMeanwhile { .. }
            | Self::Foreign { .. }
            | Self::Refused { .. }
            | Self::BuiltWith { .. } => true,
            Self::Path(_)
            | Self::Archive(_)
            | Self::Build(_)
            | Self::Needs(_)
            | Self::Sign(_)
            | Self::Curl(_)
            | Self::Location(_)
            | Self::Api { .. }
            | Self::Name { .. }
            | Self::ProjectName { .. }
            | Self::RepositoryName { .. }
            | Self::Login { .. }
            | Self::Room { .. }
            | Self::BuildFailed { .. }
            | Self::Unknown { .. } => false,
        }
    }

    /// Whether it may be over in a while: a server that is busy, restarted, or out of reach.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. }
                | Self::Status {
                    status: 408 | 425 | 429 | 500..=599,
                    ..
                }
        )
    }
}

/// What to do about a status.
fn next_of(status: u16) -> &'static str {
    match status {
        413 => "the server takes no file of this size: ask whoever runs it",
        507 => "the server has no room left: ask whoever runs it, or remove what you have there",
        408 | 425 | 429 | 500..=599 => "run the same command again later",
        _ => "look whether --api is the URL of the API, and ask whoever runs it",
    }
}
