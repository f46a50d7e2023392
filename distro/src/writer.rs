//! Writing one RPM package: deterministic for the same plan.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lustre_files::Aside;
use rpm::{
    BuildConfig, CompressionWithLevel, Dependency, FileMode, FileOptions, FileVerifyFlags,
    PackageBuilder, Scriptlet, Timestamp,
};

use super::recipe::{FileTrigger, Scriptlets, TriggerKind};
use super::tree::{Entry, Kind, Tree};
use super::version::Evr;

/// Cheap to make and to unpack; the packages are used on this machine only.
const ZSTD_LEVEL: i32 = 1;

/// Everything that goes into one RPM.
#[derive(Debug, Default)]
pub struct Plan {
    pub name: String,
    /// Epoch, version and release.
    pub evr: Evr,
    /// `x86_64` or `noarch`.
    pub arch: String,
    /// One line.
    pub summary: String,
    /// Any number of lines.
    pub description: String,
    /// Licence.
    pub license: String,
    /// Home page, empty for none.
    pub url: String,
    /// Who made it.
    pub vendor: String,
    /// What it needs.
    pub requires: Vec<Dependency>,
    /// What it gives beyond its name.
    pub provides: Vec<Dependency>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Dependency>,
    /// What it replaces.
    pub obsoletes: Vec<Dependency>,
    /// Its files.
    pub tree: Tree,
    pub scriptlets: Scriptlets,
    /// Its file triggers.
    pub triggers: Vec<FileTrigger>,
    /// Build time, and the latest time a file may have; seconds since 1970.
    pub time: u32,
}

/// A package that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the RPM of `{name}`: {source}")]
    Build {
        /// The package's name.
        name: String,
        source: Box<rpm::Error>,
    },
    #[error("`{name}`: {path} is a hard link to {target}, which is not in the package")]
    HardLink {
        /// The package's name.
        name: String,
        /// The link.
        path: String,
        /// Its other end.
        target: String,
    },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Plan {
    /// The package's file name.
    pub fn file_name(&self) -> String {
        format!(
            "{}-{}-{}.{}.rpm",
            self.name, self.evr.version, self.evr.release, self.arch
        )
    }

    /// Builds the package and writes it into `dir`, under a temporary name first. Gives its path.
    pub fn write(self, dir: &Path) -> Result<PathBuf, Error> {
        let path = dir.join(self.file_name());
        let (time, name) = (self.time, self.name.clone());
        let package = self.build().map_err(|source| match source {
            BuildError::Rpm(source) => Error::Build {
                name,
                source: Box::new(source),
            },
            BuildError::HardLink { path, target } => Error::HardLink { name, path, target },
        })?;
        let write = |source| Error::Write {
            path: path.clone(),
            source,
        };
        let mut file = Aside::new(dir).map_err(write)?;
        let mut out = io::BufWriter::new(&mut file);
        package
            .write(&mut out)
            .map_err(|e| write(io::Error::other(e.to_string())))?;
        out.flush().map_err(write)?;
        drop(out);
        set_attributes(file.path(), time).map_err(write)?;
        file.put(&path).map_err(write)?;
        Ok(path)
    }

    fn build(mut self) -> Result<rpm::Package, BuildError> {
        let mut builder = PackageBuilder::new(
            &self.name,
            &self.evr.version,
            &self.license,
            &self.arch,
            &self.summary,
        );
        builder
            .using_config(
                BuildConfig::v4()
                    .compression(CompressionWithLevel::Zstd(ZSTD_LEVEL))
                    .source_date(Timestamp(self.time)),
            )
            .release(&self.evr.release)
            .description(&self.description)
            .vendor(&self.vendor)
            .group("Unspecified")
            .build_host("rehearsal");
        if let Some(epoch) = self.evr.epoch {
            builder.epoch(epoch);
        }
        if !self.url.is_empty() {
            builder.url(&self.url);
        }
        for dependency in unique(std::mem::take(&mut self.requires)) {
            builder.requires(dependency);
        }
        for dependency in unique(std::mem::take(&mut self.provides)) {
            builder.provides(dependency);
        }
        for dependency in unique(std::mem::take(&mut self.conflicts)) {
            builder.conflicts(dependency);
        }
        for dependency in unique(std::mem::take(&mut self.obsoletes)) {
            builder.obsoletes(dependency);
        }
        self.add_scripts(&mut builder);
        self.add_files(&mut builder)?;
        let mut package = builder.build()?;
        lustre_rpm_header::as_rpmbuild(&mut package)?;
        Ok(package)
    }

    fn add_scripts(&self, builder: &mut PackageBuilder) {
        let scripts = &self.scriptlets;
        let script = |text: &String| Scriptlet::new(text.clone()).prog(vec!["/bin/sh"]);
        if let Some(text) = &scripts.pre {
            builder
                .pre_install_script(script(text))
                .requires(Dependency::script_pre("/bin/sh"));
        }
        if let Some(text) = &scripts.post {
            builder
                .post_install_script(script(text))
                .requires(Dependency::script_post("/bin/sh"));
        }
        if let Some(text) = &scripts.preun {
            builder
                .pre_uninstall_script(script(text))
                .requires(Dependency::script_preun("/bin/sh"));
        }
        if let Some(text) = &scripts.postun {
            builder
                .post_uninstall_script(script(text))
                .requires(Dependency::script_postun("/bin/sh"));
        }
        if let Some(text) = &scripts.pretrans {
            builder.pre_trans_script(script(text));
        }
        if let Some(text) = &scripts.posttrans {
            builder
                .post_trans_script(script(text))
                .requires(Dependency::script_post("/bin/sh"));
        }
        for trigger in &self.triggers {
            for path in &trigger.paths {
                let script = Scriptlet::new(trigger.script.clone()).prog(trigger.program.clone());
                match trigger.on {
                    TriggerKind::In => builder.trans_file_trigger_in(path, None, script),
                    TriggerKind::Postun => builder.trans_file_trigger_postun(path, None, script),
                };
            }
        }
    }

    fn add_files(&mut self, builder: &mut PackageBuilder) -> Result<(), BuildError> {
        let linked: BTreeSet<String> = self
            .tree
            .values()
            .filter_map(|entry| match &entry.kind {
                Kind::HardLink(target) => Some(target.clone()),
                _ => None,
            })
            .collect();
        let links: Vec<(String, Entry)> = self
            .tree
            .iter()
            .filter_map(|(path, entry)| {
                let Kind::HardLink(target) = &entry.kind else {
                    return None;
                };
                // Every end of a link set has the same contents and attributes: they are one file.
                let first = self.tree.get(target).cloned();
                Some((path.clone(), first.unwrap_or_else(|| entry.clone())))
            })
            .collect();
        for (path, file) in &links {
            if let Kind::HardLink(target) = &file.kind {
                return Err(BuildError::HardLink {
                    path: path.clone(),
                    target: target.clone(),
                });
            }
        }
        let targets: std::collections::BTreeMap<String, String> = self
            .tree
            .iter()
            .filter_map(|(path, entry)| match &entry.kind {
                Kind::HardLink(target) => Some((path.clone(), target.clone())),
                _ => None,
            })
            .collect();
        let plain = std::mem::take(&mut self.tree)
            .into_iter()
            .filter(|(path, _)| !targets.contains_key(path));
        for (path, entry) in plain.chain(links) {
            let identity = targets
                .get(&path)
                .or_else(|| linked.get(&path))
                .map(String::as_str);
            add_entry(builder, &path, entry, identity)?;
        }
        Ok(())
    }
}

fn add_entry(
    builder: &mut PackageBuilder,
    path: &str,
    entry: Entry,
    identity: Option<&str>,
) -> Result<(), rpm::Error> {
    let Entry {
        mode,
        user,
        group,
        mtime,
        kind,
        config,
        changes,
    } = entry;
    let time = Timestamp(mtime);
    match kind {
        Kind::Directory => {
            builder.with_dir_entry(
                FileOptions::dir(path)
                    .mode(FileMode::dir(mode))
                    .user(user)
                    .group(group)
                    .modified_at(time),
            )?;
        }
        Kind::Symlink(target) => {
            builder.with_symlink(
                FileOptions::symlink(path, target)
                    .user(user)
                    .group(group)
                    .modified_at(time),
            )?;
        }
        Kind::File(contents) => {
            let mut options = FileOptions::new(path)
                .mode(FileMode::regular(mode))
                .user(user)
                .group(group)
                .modified_at(time);
            if config {
                options = options.config().noreplace();
            }
            if changes {
                options = options.verify(
                    FileVerifyFlags::all()
                        - FileVerifyFlags::FILEDIGEST
                        - FileVerifyFlags::FILESIZE
                        - FileVerifyFlags::MTIME,
                );
            }
            if path.starts_with("/usr/share/doc/") && path.ends_with("/copyright") {
                options = options.license();
            }
            if let Some(identity) = identity {
                options = options.hardlink(identity);
            }
            builder.with_file_contents(contents, options)?;
        }
        Kind::HardLink(_) => {}
    }
    Ok(())
}

enum BuildError {
    Rpm(rpm::Error),
    HardLink { path: String, target: String },
}

impl From<rpm::Error> for BuildError {
    fn from(error: rpm::Error) -> Self {
        Self::Rpm(error)
    }
}

/// Sorted and without repetitions, so that the header does not depend on the order of discovery.
fn unique(mut dependencies: Vec<Dependency>) -> Vec<Dependency> {
    dependencies.sort_by(|a, b| {
        (&a.name, a.flags.bits(), &a.version).cmp(&(&b.name, b.flags.bits(), &b.version))
    });
    dependencies.dedup();
    dependencies
}

/// Mode 0644 and the package's time: repodata records a package file's time.
pub(super) fn set_attributes(path: &Path, time: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.into());
    fs::File::options().write(true).open(path)?.set_modified(at)
}
