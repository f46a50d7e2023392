//! The settings of a Koji tag, as its own client takes them.

use super::package::SourcePackage;
use super::{macros, quoted};
use crate::build::roots::Buildroot;
use crate::target::Target;

/// The script that sets a tag up, in the folder of a package.
pub const SETTINGS: &str = "tag-settings.sh";

/// The script that gives a build tag what `package` is built with. Values are written as JSON: the client would take `1` for a number, and
/// an environment has none.
pub fn settings(target: &Target, package: &SourcePackage) -> String {
    let mut text = format!(
        "#!/bin/sh\n# What lustre-repo builds `{}` of the target `{}` with, for a build tag of Koji: sh {SETTINGS} TAG\nset -eu\ntag=${{1:?the name of the build tag}}\n",
        package.name, target.name
    );
    let mut extra: Vec<(String, String)> = vec![(
        "rpm.env.SOURCE_DATE_EPOCH".to_owned(),
        json(&package.time.to_string()),
    )];
    // The last three are Koji's own words where a tag says nothing.
    for (name, value) in macros(target, &["vendor", "packager", "distribution"]) {
        extra.push((format!("rpm.macro.{name}"), json(&value)));
    }
    extra.push(("mock.package_manager".to_owned(), json("dnf")));
    let obs = target.distribution.obs.iter();
    let modules: Vec<String> = obs.flat_map(|obs| obs.modules.iter().cloned()).collect();
    if !modules.is_empty() {
        let enable: Vec<[&str; 2]> = modules.iter().map(|module| ["enable", module]).collect();
        let enable = enable
            .iter()
            .map(|[verb, module]| format!("[{}, {}]", json(verb), json(module)));
        let enable: Vec<String> = enable.collect();
        extra.push((
            "mock.module_setup_commands".to_owned(),
            format!("[{}]", enable.join(", ")),
        ));
    }
    for (name, value) in extra {
        text.push_str(&format!(
            "koji edit-tag \"$tag\" --extra {}\n",
            quoted(&format!("{name}={value}"))
        ));
    }
    // A group has names alone.
    let packages = Buildroot::of(target, &package.name, None).all();
    for group in ["build", "srpm-build"] {
        // It may be there.
        text.push_str(&format!(
            "koji add-group \"$tag\" {group} || echo 'the group {group} is left as it is, but for these packages'\n"
        ));
        text.push_str(&format!(
            "koji add-group-pkg \"$tag\" {group} {}\n",
            packages.join(" ")
        ));
    }
    text
}

/// A text of JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
