//! What of a distribution an Open Build Service has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec_macros::SpecMacros;

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
    /// Module streams that packages of the builds are in, as dnf names them: `NAME:STREAM`.
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

impl Obs {
    /// What has to hold of it besides what holds of each text: all of it becomes lines of the configuration of a project.
    pub(super) fn check(&self) -> Result<(), String> {
        for module in &self.modules {
            if !module
                .split_once(':')
                .is_some_and(|(name, stream)| !name.is_empty() && !stream.is_empty())
            {
                return Err(format!(
                    "distribution.obs.modules: `{module}` is not a module and its stream, such as `python36:3.6`"
                ));
            }
        }
        let mut macros = SpecMacros::default();
        for (name, value) in &self.macros {
            macros
                .set(name, value)
                .map_err(|error| format!("distribution.obs.macros: {error}"))?;
        }
        Ok(())
    }
}
