//! An Open Build Service as the builder: packages are submitted, built there, and collected.
//!
//! - [`Api`] asks the server (`api`), by the calls that the API of a public one and a bare source server both have; [`Login`] is who asks
//!   (`login`, `variables`).
//! - `answers` reads what it says; `names` holds what is told against what such names may be.
//! - [`package()`] brings sources there, as far as they differ (`submit`); [`wait()`] waits for the build (`wait`); [`collect()`] fetches the
//!   packages and the list of what they were built with (`collect`); [`built()`] does all of it.
//! - [`Known`] is what may have been in the build root, by SIGMD5 (`known`); [`Header`] reads that, and what else a package says (`header`).
//!
//! Nothing that the server says is believed that can be found out here: which sources a package is of (DISTURL), what it is called, what was
//! in its build root. What it did with that build root, nobody here can know: who builds there trusts the server.

mod answers;
mod api;
mod built;
mod collect;
mod error;
mod header;
mod known;
mod login;
mod names;
mod submit;
mod variables;
mod wait;

pub use api::Api;
pub use built::{Build, built};
pub use collect::{BUILDENV, Collected, Wanted, collect};
pub use error::Error;
pub use header::{Header, Nevra};
pub use known::{BuiltWith, Known};
pub use login::Login;
pub use names::{MARK, Place, Project, config_project, is_disturl, project_of};
pub use submit::{Repositories, Sources, Submitted, config, package, repository};
pub use variables::{PASSWORD_FILE_VARIABLE, USER_VARIABLE};
pub use wait::{Again, Pace, State, log, wait};
