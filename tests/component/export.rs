//! What other builders are told, read by their own programs, and an independent builder's packages.
//!
//! What is built needs the store of the rehearsal: the steps `elsewhere` and `elsewhere-all` of `.ci/run`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::build::roots::{Buildroot, is_for_building};
use lustre_packaging::build::rpmbuild;
use lustre_packaging::export::obs::{
    CONFIG_PACKAGE, base_conf, config_conf, config_package, package_conf, prjconf,
};
use lustre_packaging::export::package::SourcePackage;
use lustre_packaging::export::{koji, mock};
use lustre_packaging::obs::Nevra;
use lustre_packaging::process;
use lustre_packaging::store::list_tree;
use lustre_packaging::target::{LUSTRE, Target};
use lustre_repo_tests::command_line::{Home, project, run};
use lustre_rpm_header::Headers;

use crate::kills::World;

mod built;
mod read;

fn target(name: &str) -> Target {
    Target::load(&project().join("specs"), name).unwrap()
}

/// Where obs-build has its modules of Perl.
fn obs_build() -> &'static str {
    let places = ["/usr/lib/obs-build", "/usr/lib/build"];
    places
        .into_iter()
        .find(|place| Path::new(place).join("Build.pm").exists())
        .expect("obs-build is installed by `cargo xtask test --setup`")
}

/// Succeeds, with what it prints.
fn printed(command: &mut Command) -> String {
    String::from_utf8(process::output(command).unwrap()).unwrap()
}
