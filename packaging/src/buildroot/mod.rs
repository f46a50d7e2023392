//! Buildroots: chroots made by dnf from a target's base repositories.
//!
//! The first, the *bootstrap*, is made by the host's dnf and holds the target's own dnf, rpm and rpmbuild. All others are made by
//! that dnf, so what a target's dnf and rpm do differently from the host's cannot leak in (as mock's bootstrap does).

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::at;

use crate::process;
use crate::sandbox::{self, ChrootClone, Ids, Sandbox, User};

/// A chroot that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error(transparent)]
    Clone(#[from] sandbox::Error),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
}

/// A base repository as dnf sees it.
#[derive(Debug, Clone)]
pub struct BaseRepo {
    /// dnf's id for it.
    pub id: String,
    /// The folder that holds `repodata/`.
    pub folder: PathBuf,
}

/// The base repositories of a target and the key they are signed with.
#[derive(Debug, Clone)]
pub struct Base {
    /// The repositories.
    pub repos: Vec<BaseRepo>,
    /// The distribution's public keys, armored; already compared with the target's fingerprints.
    pub key: PathBuf,
    /// rpm's architecture.
    pub arch: String,
    /// True where the metadata is signed as well. It is not where it was made here, of packages whose digests are pinned.
    pub signed_metadata: bool,
    /// What dnf knows the release by when it chooses module streams; none where there are no modules.
    pub module_platform: Option<String>,
}

/// Where a base repository and the key are seen inside the bootstrap.
const REPOS_INSIDE: &str = "/srv/base";
const KEY_INSIDE: &str = "/srv/base-key.asc";
const LOCAL_INSIDE: &str = "/srv/local";
const ROOT_INSIDE: &str = "/srv/root";
const SCRATCH_INSIDE: &str = "/srv/scratch";
const CACHE: &str = "/var/cache/build-dnf";

impl BaseRepo {
    /// Its id, and where it is seen inside.
    fn inside(&self) -> (String, String) {
        (self.id.clone(), format!("{REPOS_INSIDE}/{}", self.id))
    }
}

/// The text of a dnf.conf that knows exactly `repos`, given as id and location, and checks packages, and metadata where the base has it
/// signed, against `key`.
fn dnf_conf(base: &Base, repos: &[(String, String)], key: &str, cache: &str) -> String {
    let metadata = u8::from(base.signed_metadata);
    let platform = base.module_platform.as_deref().unwrap_or("platform:none");
    let mut text = format!(
        "[main]\ngpgcheck=1\nrepo_gpgcheck={metadata}\nlocalpkg_gpgcheck=0\ninstall_weak_deps=0\ntsflags=nodocs\nplugins=0\nkeepcache=0\n\
         reposdir=/dev/null\nvarsdir=/dev/null\ncachedir={cache}\nmetadata_expire=0\nbest=1\nskip_if_unavailable=0\n\
         module_platform_id={platform}\n"
    );
    for (id, location) in repos {
        text.push_str(&format!(
            "\n[{id}]\nname={id}\nbaseurl=file://{location}\nenabled=1\ngpgkey=file://{key}\n"
        ));
    }
    text
}

/// Makes the bootstrap in the new folder `root` with the host's dnf, which sees its own programs, the base, and that folder.
///
/// `scratch` is for what dnf needs meanwhile.
pub fn bootstrap(
    base: &Base,
    packages: &[String],
    root: &Path,
    scratch: &Path,
    log: &Path,
) -> Result<(), Error> {
    fs::create_dir_all(root).map_err(at(root))?;
    fs::create_dir_all(scratch).map_err(at(scratch))?;
    // Debian's rpm keeps its database under $HOME unless told otherwise, and would do so inside the chroot.
    let macros = scratch.join(".rpmmacros");
    fs::write(&macros, "%_dbpath /var/lib/rpm\n").map_err(at(&macros))?;
    let repos: Vec<(String, String)> = base.repos.iter().map(BaseRepo::inside).collect();
    let conf = scratch.join("dnf.conf");
    fs::write(&conf, dnf_conf(base, &repos, KEY_INSIDE, CACHE)).map_err(at(&conf))?;
    let ids = Ids::for_new_chroots().map_err(sandbox::Error::Namespace)?;
    let mut sandbox = Sandbox::with_host_programs(ids, User::Root, "bootstrap")
        .map_err(sandbox::Error::Namespace)?
        .writable(root, ROOT_INSIDE)
        .writable(scratch, SCRATCH_INSIDE)
        .read_only(&base.key, KEY_INSIDE)
        .env("HOME", SCRATCH_INSIDE);
    for repo in &base.repos {
        sandbox = sandbox.read_only(&repo.folder, &repo.inside().1);
    }
    for folder in [root, scratch] {
        sandbox.give(folder).map_err(at(folder))?;
    }
    let config = format!("--config={SCRATCH_INSIDE}/dnf.conf");
    let installroot = format!("--installroot={ROOT_INSIDE}");
    let arch = format!("--forcearch={}", base.arch);
    let mut arguments = vec![
        config.as_str(),
        &installroot,
        &arch,
        "--releasever=1",
        "--assumeyes",
        "install",
    ];
    arguments.extend(packages.iter().map(String::as_str));
    process::run_logged(&mut sandbox.command("dnf", &arguments), log)?;
    without_cache(&sandbox, log)
}

/// Removes dnf's cache, which it keeps below the root that it made: it is no part of a chroot. What was installed there may have
/// made any part of the path a link, so this is done inside.
fn without_cache(sandbox: &Sandbox<'_>, log: &Path) -> Result<(), Error> {
    let cache = format!("{ROOT_INSIDE}{CACHE}");
    process::run_logged(&mut sandbox.command("rm", &["-rf", "--", &cache]), log)?;
    Ok(())
}

/// The target's own dnf, in a throw-away clone of the bootstrap.
#[derive(Debug)]
pub struct TargetDnf {
    clone: ChrootClone,
    base: Base,
}

impl TargetDnf {
    /// A clone of the bootstrap `chroot` in the new folder `folder`.
    pub fn new(chroot: &Path, folder: &Path, base: &Base) -> Result<Self, Error> {
        let clone = ChrootClone::new(chroot, folder, User::Root)?;
        let repos: Vec<(String, String)> = base.repos.iter().map(BaseRepo::inside).collect();
        let conf = dnf_conf(base, &repos, KEY_INSIDE, CACHE);
        clone.write("/etc/dnf/build.conf", &conf)?;
        // Mount points: what is shown there comes with each command.
        clone.write(KEY_INSIDE, "")?;
        for (_, inside) in &repos {
            clone.make_folder(inside)?;
        }
        for inside in [ROOT_INSIDE, LOCAL_INSIDE] {
            clone.make_folder(inside)?;
        }
        Ok(Self {
            clone,
            base: base.clone(),
        })
    }

    /// A sandbox for the target's tools: root of the chroot, no network; `root` is shown writable at the path given by
    /// [`TargetDnf::root_inside`].
    pub fn sandbox(&self, root: &Path) -> Sandbox<'_> {
        let mut sandbox = Sandbox::new(&self.clone, User::Root, "bootstrap")
            .writable(root, ROOT_INSIDE)
            .read_only(&self.base.key, KEY_INSIDE);
        for repo in &self.base.repos {
            sandbox = sandbox.read_only(&repo.folder, &repo.inside().1);
        }
        sandbox
    }

    /// Installs `packages` from the base, and the files `local` (packages just built, checked by their digests before), into `root`.
    pub fn install(
        &mut self,
        root: &Path,
        packages: &[String],
        local: Option<&Path>,
        log: &Path,
    ) -> Result<(), Error> {
        fs::create_dir_all(root).map_err(at(root))?;
        let mut arguments = self.arguments("install");
        arguments.extend(packages.iter().cloned());
        if let Some(local) = local {
            let mut names = Vec::new();
            for entry in fs::read_dir(local).map_err(at(local))? {
                names.push(entry.map_err(at(local))?.file_name());
            }
            names.sort();
            arguments.extend(
                names
                    .iter()
                    .map(|name| format!("{LOCAL_INSIDE}/{}", name.to_string_lossy())),
            );
        }
        let mut sandbox = self.sandbox(root);
        sandbox.give(root).map_err(at(root))?;
        if let Some(local) = local {
            sandbox = sandbox.read_only(local, LOCAL_INSIDE);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        process::run_logged(&mut sandbox.command("dnf", &arguments), log)?;
        without_cache(&sandbox, log)
    }

    /// The packages in `root` as lines `NEVRA digest-of-header`, sorted.
    pub fn installed(&self, root: &Path) -> Result<String, Error> {
        let mut command = self.sandbox(root).command(
            "rpm",
            &[
                "--root",
                ROOT_INSIDE,
                "-qa",
                "--qf",
                "%{NEVRA} %{SHA256HEADER}\\n",
            ],
        );
        let text = String::from_utf8_lossy(&process::output(&mut command)?).into_owned();
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|l| !l.starts_with("gpg-pubkey"))
            .collect();
        lines.sort_unstable();
        Ok(lines.join("\n") + "\n")
    }

    /// dnf's arguments up to and with `verb`.
    pub fn arguments(&self, verb: &str) -> Vec<String> {
        vec![
            "--config=/etc/dnf/build.conf".to_owned(),
            format!("--installroot={ROOT_INSIDE}"),
            "--releasever=1".to_owned(),
            "--assumeyes".to_owned(),
            verb.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnf_is_told_follows_the_base() {
        let base = |signed_metadata, module_platform: Option<&str>| Base {
            repos: Vec::new(),
            key: PathBuf::from("/key.asc"),
            arch: "x86_64".to_owned(),
            signed_metadata,
            module_platform: module_platform.map(str::to_owned),
        };
        let repos = [("base".to_owned(), "/srv/base".to_owned())];
        let has = |text: &str, line: &str| text.lines().any(|one| one == line);
        let text = dnf_conf(&base(true, None), &repos, "/key.asc", "/cache");
        for line in [
            "gpgcheck=1",
            "repo_gpgcheck=1",
            "module_platform_id=platform:none",
            "gpgkey=file:///key.asc",
        ] {
            assert!(has(&text, line), "{line} in {text}");
        }
        let text = dnf_conf(&base(false, Some("platform:el8")), &repos, "/key.asc", "/c");
        for line in [
            "gpgcheck=1",
            "repo_gpgcheck=0",
            "module_platform_id=platform:el8",
        ] {
            assert!(has(&text, line), "{line} in {text}");
        }
    }
}
