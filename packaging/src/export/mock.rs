//! A config of mock, and the packages of a buildroot as its plugin `buildroot_lock` records them.

use std::collections::BTreeMap;

use lustre_sign::{PublicKey, verify_package_by};
use serde_json::{Value, json};

use super::package::{Known, SourcePackage};
use super::{Error, macros};
use crate::build::roots::Buildroot;
use crate::lock::Lock;
use crate::target::{DistributionKind, Target};

/// The version of the format of [`LOCK`], which mock names in its schema.
pub const LOCK_VERSION: &str = "1.1.0";

/// What mock calls the list of a buildroot's packages.
pub const LOCK: &str = "buildroot_lock.json";

/// Where mock finds the packages of a distribution that is made on the spot: nobody else has them.
pub const BASE: &str = "file:///srv/lustre-repo-base";

/// The name of the config without its ending: what mock is given as `--root`.
pub fn root(target: &Target, package: &str) -> String {
    // mock keeps a root by its name, and those of the packages differ.
    let arch = &target.distribution.arch;
    format!("lustre-repo-{}-{package}-{arch}", target.name)
}

/// The config for `package`.
pub fn config(target: &Target, package: &SourcePackage) -> Result<String, Error> {
    let distribution = &target.distribution;
    let mut text = format!(
        "# What lustre-repo builds `{}` of the target `{}` with.\n",
        package.name, target.name
    );
    let mut set = |name: &str, value: &Value| {
        text.push_str(&format!("config_opts{name} = {}\n", python(value)));
    };
    set("['root']", &root(target, &package.name).into());
    for (name, value) in options(target) {
        set(&format!("['{name}']"), &value);
    }
    let install = format!("install {}", installed(target, package)?.join(" "));
    set("['chroot_setup_cmd']", &install.into());
    if let Some(release) = distribution.variables.get("releasever") {
        set("['releasever']", &release.as_str().into());
    }
    let modules: Vec<Value> = modules(target);
    if !modules.is_empty() {
        set("['module_setup_commands']", &modules.into());
    }
    set("['rpmbuild_networking']", &false.into());
    set("['use_host_resolv']", &false.into());
    let time = package.time.to_string();
    set("['environment']['SOURCE_DATE_EPOCH']", &time.into());
    for (name, value) in macros(target, &[]) {
        set(&format!("['macros']['%{name}']"), &value.into());
    }
    text.push_str(&format!(
        "config_opts['dnf.conf'] = \"\"\"\n{}\"\"\"\n",
        dnf_conf(target)?
    ));
    Ok(text)
}

/// The packages of the root besides those that the spec requires, as dnf takes them. Of the kernel that Lustre is for, and of what was built
/// before, just those that are in the buildroot here: by a name alone, dnf would take a newer one of the distribution.
fn installed(target: &Target, package: &SourcePackage) -> Result<Vec<String>, Error> {
    let root = Buildroot::of(target, &package.name, package.own_kernel().as_deref());
    let mut all = root.of_distribution();
    all.extend(package.built_names());
    let is_there = |name: &String| package.built.iter().any(|nevra| nevra.name == *name);
    match root.built.into_iter().find(|name| !is_there(name)) {
        None => Ok(all),
        Some(name) => Err(Error::NotBuilt {
            package: package.name.clone(),
            name,
        }),
    }
}

/// What the config and the list have both.
fn options(target: &Target) -> Vec<(&'static str, Value)> {
    let arch = target.distribution.arch.as_str();
    vec![
        ("target_arch", arch.into()),
        ("legal_host_arches", json!([arch])),
        (
            "dist",
            target.distribution.dist.trim_start_matches('.').into(),
        ),
        ("package_manager", "dnf".into()),
        ("use_bootstrap_image", false.into()),
    ]
}

/// The module streams, as dnf is told.
fn modules(target: &Target) -> Vec<Value> {
    let obs = target.distribution.obs.iter();
    obs.flat_map(|obs| &obs.modules)
        .map(|module| json!(["enable", module]))
        .collect()
}

fn dnf_conf(target: &Target) -> Result<String, Error> {
    let distribution = &target.distribution;
    let platform = distribution.module_platform.as_deref();
    let platform = platform.map(|it| format!("module_platform_id={it}\n"));
    let mut text = format!(
        "[main]\nreposdir=/dev/null\ngpgcheck=1\nassumeyes=1\nbest=1\ninstall_weak_deps=0\ntsflags=nodocs\nprotected_packages=\n{}",
        platform.unwrap_or_default()
    );
    if distribution.kind == DistributionKind::Rehearsal {
        text.push_str(&format!(
            "\n[base]\nname=base\nbaseurl={BASE}/base\ngpgkey={BASE}/key.asc\n"
        ));
    }
    let repositories = distribution.repository.iter();
    for one in repositories.filter(|one| one.enabled && !one.source) {
        let keys = one.key.all();
        let keys: Vec<&str> = keys
            .iter()
            .filter_map(|name| Some(distribution.keys.get(name.as_str())?.url.as_str()))
            .collect();
        text.push_str(&format!(
            "\n[{id}]\nname={id}\nbaseurl={}\nrepo_gpgcheck={}\ngpgkey={}\n",
            distribution.locations(one)?.join(" "),
            u8::from(one.signed_metadata),
            keys.join(" "),
            id = one.id,
        ));
        for (name, file) in [
            ("sslclientcert", &one.sslclientcert),
            ("sslclientkey", &one.sslclientkey),
            ("sslcacert", &one.sslcacert),
        ] {
            if let Some(file) = file {
                text.push_str(&format!("{name}={file}\n"));
            }
        }
    }
    Ok(text)
}

/// A value as Python has it.
fn python(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().map(python).collect();
            format!("[{}]", all.join(", "))
        }
        // A text of JSON is one of Python.
        other => other.to_string(),
    }
}

/// The packages of the distribution in the buildroot of `package`, as mock lists them. `keys` are those of the distribution, and `lock` says
/// where the packages are.
pub fn buildroot_lock(
    target: &Target,
    package: &SourcePackage,
    lock: &Lock,
    keys: &[PublicKey],
) -> Result<String, Error> {
    let pins: BTreeMap<&str, &str> = lock
        .files()
        .map(|pin| (pin.file.as_str(), pin.uri.as_str()))
        .collect();
    let mut rpms = Vec::new();
    for Known {
        nevra,
        sigmd5,
        license,
        path,
    } in &package.buildroot
    {
        if crate::process::interrupted() {
            return Err(Error::Interrupted);
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let signer = verify_package_by(path, keys)?.fingerprint.to_lowercase();
        // As mock has it: the end of the key's id.
        let signature = signer.get(signer.len().saturating_sub(8)..);
        let url = match pins.get(&*file) {
            Some(uri) => (*uri).to_owned(),
            None => format!("{BASE}/base/Packages/{file}"),
        };
        rpms.push(json!({
            "name": nevra.name,
            "arch": nevra.arch,
            "license": license,
            "version": nevra.version,
            "release": nevra.release,
            "epoch": nevra.epoch.map(|epoch| epoch.to_string()),
            "sigmd5": sigmd5,
            "signature": signature,
            "url": url,
        }));
    }
    let mut config: serde_json::Map<String, Value> = options(target)
        .into_iter()
        .filter(|(name, _)| *name != "use_bootstrap_image")
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let all = macros(target, &[]).into_iter();
    let all: serde_json::Map<String, Value> = all
        .map(|(name, value)| (format!("%{name}"), value.into()))
        .collect();
    config.insert("macros".to_owned(), all.into());
    let all = json!({
        "version": LOCK_VERSION,
        "buildroot": { "rpms": rpms },
        "config": config,
    });
    Ok(format!("{all:#}\n"))
}
