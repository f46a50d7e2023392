//! What of a distribution an Open Build Service has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The table `[distribution.obs]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obs {
    /// The project that has the distribution's packages on build.opensuse.org; on another service, it has a name of its own there. None
    /// for a distribution that is made on the spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The repository of that project.
    #[serde(default = "standard")]
    pub repository: String,
    /// What is unpacked before there is an rpm that could install anything; needed where no project says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preinstall: Vec<String>,
    /// What a build root of the service needs besides the target's buildroot: it becomes the builder with `su`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub support: Vec<String>,
    /// Module streams that packages of the builds are in, as `NAME-STREAM`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// What the distribution's own rpm macros set and an OBS sets to something else: `vendor`, `distribution`. Without a value here, packages
    /// have no such tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub macros: BTreeMap<String, String>,
}

fn standard() -> String {
    "standard".to_owned()
}
