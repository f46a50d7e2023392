//! The builder's home: a fixed `_topdir` and the macros that make a build repeatable.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::ccache::{CompilerCache, Hits};
use super::circumstances::{Circumstances, SOURCE, SOURCE_FILE};
use super::{Error, at};
use crate::process::limits::{Written, written};
use crate::process::{self, Limits};
use crate::sandbox::{BUILDER_HOME, ChrootClone, PATH, Sandbox};
use crate::spec_macros::SpecMacros;
use crate::target::Target;

/// What of a target ends up in the macros of a build.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Every time in every package, in seconds since 1970.
    pub source_date_epoch: u32,
    /// Host name inside, and `%_buildhost`.
    pub host: String,
    /// `%dist`, with its dot: in the specs, and not in the builder's macros.
    pub dist: String,
    /// How many jobs make may run; must not change what comes out.
    pub jobs: usize,
    /// What else the build may notice; must not change what comes out.
    pub circumstances: Circumstances,
    /// How far it may go.
    pub limits: Limits,
}

impl Settings {
    /// The settings of `target` with `jobs` jobs.
    pub fn new(target: &Target, jobs: usize) -> Self {
        Self {
            source_date_epoch: target.build.source_date_epoch,
            host: target.build.host.clone(),
            dist: target.distribution.dist.clone(),
            jobs,
            circumstances: Circumstances::default(),
            limits: Limits::default(),
        }
    }

    /// The text of the builder's `.rpmmacros`: paths, and what makes builds repeatable. That is of the environment; what decides what a
    /// package is, such as `%dist`, is in its spec, or another builder would make another package of the source package.
    ///
    /// All of them are set although each rpm knows only some: 4.14 always takes the build time from the variable, 4.15 and later
    /// need the macro, 4.20 has a new one. The number of jobs stays a variable of the shell: an SRPM's header holds the spec with
    /// its macros expanded, and binary packages the digest of that header. What was built stays until the home goes, since it is looked at:
    /// `--rebuild` removes it, and `--noclean` keeps it with rpm 4.18, but not with 4.14.
    pub fn macros(&self) -> String {
        let mut text = format!("%_topdir {BUILDER_HOME}/build\n");
        for (name, value) in repeatable(&self.host) {
            text.push_str(&format!("%{name} {value}\n"));
        }
        text.push_str("%__spec_clean_pre exit 0\n%_smp_mflags -j${RPM_BUILD_NCPUS}\n");
        text
    }
}

/// What every builder is told, so that builds are repeatable; `host` is `%_buildhost`.
pub fn repeatable(host: &str) -> [(&'static str, String); 5] {
    let on = || "1".to_owned();
    [
        ("_buildhost", host.to_owned()),
        ("use_source_date_epoch_as_buildtime", on()),
        ("clamp_mtime_to_source_date_epoch", on()),
        (
            "build_mtime_policy",
            "clamp_to_source_date_epoch".to_owned(),
        ),
        ("source_date_epoch_from_changelog", "0".to_owned()),
    ]
}

/// A clone of a buildroot with the builder's home in it.
#[derive(Debug)]
pub struct Workdir {
    clone: ChrootClone,
    /// Where its home is, and what is written into the clone.
    folder: PathBuf,
    /// What was there at first, in bytes, where what is written is limited.
    before: u64,
    since: Instant,
    home: PathBuf,
    settings: Settings,
    cache: Option<CompilerCache>,
}

/// What ccache writes its results to, in the builder's home.
const RESULTS: &str = ".compiler-cache.results";

impl Workdir {
    /// Clones `chroot` and makes the builder's home, both under the new folder `folder`.
    pub fn new(chroot: &Path, folder: &Path, settings: &Settings) -> Result<Self, Error> {
        let home = folder.join("home");
        for part in ["BUILD", "BUILDROOT", "RPMS", "SOURCES", "SPECS", "SRPMS"] {
            let path = home.join("build").join(part);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let macros = home.join(".rpmmacros");
        fs::write(&macros, settings.macros()).map_err(at(&macros))?;
        if settings.circumstances == Circumstances::Other {
            let source = home.join(SOURCE_FILE);
            fs::write(&source, SOURCE).map_err(at(&source))?;
        }
        let user = settings.circumstances.user();
        let clone = ChrootClone::new(chroot, &folder.join("chroot"), user)?;
        clone.make_folder(BUILDER_HOME)?;
        let before = settings.limits.disk.map(|_| written(folder, u64::MAX));
        Ok(Self {
            clone,
            folder: folder.to_owned(),
            before: before.unwrap_or_default(),
            since: Instant::now(),
            home,
            settings: settings.clone(),
            cache: None,
        })
    }

    /// The same with a compiler cache.
    pub fn with_compiler_cache(mut self, cache: CompilerCache) -> Result<Self, Error> {
        let folder = cache.folder();
        let ids = self.clone.ids();
        let user = self.settings.circumstances.user();
        ids.give(folder, user.id()).map_err(at(folder))?;
        self.cache = Some(cache);
        Ok(self)
    }

    /// What came of the compiler cache, where there is one.
    pub fn hits(&self) -> Result<Option<Hits>, Error> {
        if self.cache.is_none() {
            return Ok(None);
        }
        let path = self.path(RESULTS)?;
        // The builder could have put anything there.
        let read = lustre_files::read_no_link(&path, lustre_files::LARGE);
        let log = lustre_files::if_there(read).map_err(at(&path))?;
        let log = log.unwrap_or_default();
        Ok(Some(Hits::of(&String::from_utf8_lossy(&log))))
    }

    /// A path under the builder's home, on the host. The builder owns all of it, and can have put a link anywhere, which would lead
    /// whoever works outside, as root, to files of the host: such a path is refused.
    pub fn path(&self, inside_home: &str) -> Result<PathBuf, Error> {
        match lustre_files::link_below(&self.home, Path::new(inside_home))? {
            None => Ok(self.home.join(inside_home)),
            Some(link) => Err(Error::Result {
                what: format!(
                    "the build left a link at `{inside_home}` in its home, where its files were to be"
                ),
                hint: format!("look at what the spec does with {}", link.display()),
            }),
        }
    }

    /// Gives the builder everything under the home; to be called after files were put there.
    pub fn hand_over(&self) -> Result<(), Error> {
        let ids = self.clone.ids();
        let user = self.settings.circumstances.user();
        ids.give(&self.home, user.id()).map_err(at(&self.home))?;
        for entry in walkdir::WalkDir::new(&self.home) {
            let entry = entry.map_err(at(&self.home))?;
            let path = entry.path();
            let source = ["build/SOURCES", "build/SPECS"]
                .iter()
                .any(|place| path.starts_with(self.home.join(place)));
            if source && entry.file_type().is_file() {
                // An SRPM records them, and but for whether it is a program those of a checkout are chance.
                source_mode(path)?;
                let file = fs::File::options()
                    .append(true)
                    .open(path)
                    .map_err(at(path))?;
                file.set_modified(self.epoch()).map_err(at(path))?;
            }
        }
        Ok(())
    }

    fn epoch(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH
            + std::time::Duration::from_secs(self.settings.source_date_epoch.into())
    }

    /// A sandbox in which the builder works, without network.
    pub fn sandbox(&self) -> Sandbox<'_> {
        let circumstances = self.settings.circumstances;
        let host = circumstances.host(&self.settings.host);
        let sandbox = Sandbox::new(&self.clone, circumstances.user(), host)
            .writable(&self.home, BUILDER_HOME)
            .env("RPM_BUILD_NCPUS", &self.settings.jobs.to_string())
            .env(
                "SOURCE_DATE_EPOCH",
                &self.settings.source_date_epoch.to_string(),
            )
            .directory(BUILDER_HOME);
        let sandbox = circumstances.of(sandbox);
        match &self.cache {
            None => sandbox,
            Some(cache) => cache.shown(sandbox, PATH, &format!("{BUILDER_HOME}/{RESULTS}")),
        }
    }

    /// Runs a shell script as the builder; its arguments are `$1` and so on.
    pub fn script(&self, script: &str, arguments: &[&str], log: &Path) -> Result<(), Error> {
        let script = format!("{}{script}", self.settings.circumstances.prologue());
        let mut line = vec!["-ec", script.as_str(), "sh"];
        line.extend(arguments);
        let mut command = self.sandbox().command("sh", &line);
        let written = Written {
            folder: &self.folder,
            before: self.before,
            since: self.since,
        };
        let limits = &self.settings.limits;
        Ok(process::run_limited(
            &mut command,
            log,
            limits,
            Some(written),
        )?)
    }

    /// What every spec is told: `%dist`.
    pub fn spec_macros(&self) -> Result<SpecMacros, Error> {
        Ok(SpecMacros::of_dist(&self.settings.dist)?)
    }

    /// Makes the time of everything that is made no earlier than `time`.
    ///
    /// # Errors
    /// When it is later than a package can have.
    pub fn not_before(&mut self, time: u64) -> Result<(), Error> {
        let time = build_time(time)?;
        self.settings.source_date_epoch = self.settings.source_date_epoch.max(time);
        Ok(())
    }

    /// The time of everything that is made, in seconds since 1970.
    pub fn time(&self) -> u64 {
        self.settings.source_date_epoch.into()
    }
}

fn build_time(time: u64) -> Result<u32, Error> {
    u32::try_from(time).map_err(|_| Error::Late { time })
}

/// Gives a source of a package the mode 0755 where it can be run, and 0644 where not: specs of kernels run some of theirs.
fn source_mode(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let meta = fs::metadata(path).map_err(at(path))?;
    let mode = if meta.permissions().mode() & 0o100 == 0 {
        0o644
    } else {
        0o755
    };
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(at(path))?)
}

/// Gives a file the mode 0644, whatever the umask of the build was.
pub(super) fn plain_mode(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(at(path))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_time_that_no_package_can_have_is_an_error() {
        assert_eq!(build_time(4_294_967_295).unwrap(), u32::MAX);
        let error = build_time(4_294_967_296).unwrap_err().to_string();
        assert!(error.contains("2106-02-07T06:28:16Z"), "{error}");
    }

    #[test]
    fn a_source_that_can_be_run_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, wanted) in [
            (0o700, 0o755),
            (0o775, 0o755),
            (0o600, 0o644),
            (0o664, 0o644),
        ] {
            let path = dir.path().join(format!("{mode:o}"));
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            source_mode(&path).unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, wanted, "{mode:o}");
        }
    }
}
