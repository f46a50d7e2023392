//! What a repository records of how its packages were built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::build::circumstances::Circumstances;
use lustre_packaging::build::workdir::Settings;
use lustre_packaging::lock::{self, Lock};
use lustre_packaging::store::Digest;
use lustre_repository::layout::Kind;
use lustre_repository::manifest::{self, LOCK_FILE, Manifest};
use lustre_repository::repodata;

use crate::commands::verify::TrustedRepository;
use crate::context::Context;
use crate::exit::Usage;
use crate::graph::name;
use crate::graph::rebuild::{Published, Rebuild};

/// The manifest and the lock of a repository.
pub struct Recorded {
    shown: String,
    tree: PathBuf,
    said: PathBuf,
    pub manifest: Manifest,
    pub lock: Lock,
}

impl Recorded {
    /// Of the repository `found`, which has to be one of `target`; the lock is the one there, or else that of a bundle.
    pub fn read(
        found: &TrustedRepository,
        target: &str,
        of_bundle: Option<&str>,
    ) -> anyhow::Result<Self> {
        let manifest = Manifest::read(&found.said.join(manifest::FILE))?;
        if manifest.target != target {
            return Err(Usage::new(advised(
                format!(
                    "--target {target}: {} is a repository of `{}`",
                    found.shown,
                    manifest.target.escape_debug()
                ),
                "leave out --target: it is the one that the repository names",
            ))
            .into());
        }
        let lock = lock_of(found, &manifest, of_bundle)?;
        Ok(Self {
            shown: found.shown.clone(),
            tree: found.tree.clone(),
            said: found.said.clone(),
            manifest,
            lock,
        })
    }

    /// The stages that built packages, as far as `packages` name them or what they made; all of them where nothing is named.
    pub fn chosen(&self, packages: &[String]) -> anyhow::Result<Vec<String>> {
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut chosen = BTreeSet::new();
        let mut left: BTreeSet<&String> = packages.iter().collect();
        for package in &self.manifest.packages {
            all.insert(package.stage.clone());
            for name in packages {
                if *name == package.stage || is_named(&package.nevra, name) {
                    left.remove(name);
                    chosen.insert(package.stage.clone());
                }
            }
        }
        if let Some(name) = left.first() {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            return Err(Usage::new(advised(
                format!("--package {name}: {} has no such package", self.shown),
                format!("its packages are made by: {}", all.join(", ")),
            ))
            .into());
        }
        let wanted = if packages.is_empty() { all } else { chosen };
        Ok(wanted.into_iter().collect())
    }

    /// What to build again of the stages `wanted`.
    pub fn rebuilds(&self, context: &Context, wanted: &[String]) -> anyhow::Result<Vec<Rebuild>> {
        let stages = wanted
            .iter()
            .filter(|stage| *stage != name::RELEASE_PACKAGE);
        stages.map(|stage| self.rebuild(context, stage)).collect()
    }

    fn rebuild(&self, context: &Context, stage: &str) -> anyhow::Result<Rebuild> {
        let newer = || {
            format!(
                "use version {} of the tool, which made it; this is {}",
                self.manifest.tool.version,
                env!("CARGO_PKG_VERSION")
            )
        };
        // It becomes a part of the names of folders.
        if stage.is_empty()
            || !stage
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            let why = format!("`{}` is no stage of builds", stage.escape_debug());
            return Err(cannot(&self.shown, &why, newer()));
        }
        let packages = self.manifest.packages.iter();
        let sources: Vec<&manifest::Package> = packages
            .filter(|one| one.stage == stage && one.nevra.ends_with(".src"))
            .collect();
        let [source] = sources[..] else {
            let why = format!("it has {} source packages of `{stage}`", sources.len());
            return Err(cannot(&self.shown, &why, newer()));
        };
        let of_stage = self.manifest.stages.get(stage);
        let root = of_stage.map_or(&[][..], |stage| &stage.build_packages);
        if root.is_empty() {
            let why = format!("manifest.json does not say in which buildroot `{stage}` was built");
            return Err(cannot(&self.shown, &why, newer()));
        }
        let own = self.manifest.packages.iter();
        let own = own.filter(|one| !one.nevra.ends_with(".src") && root.contains(&one.nevra));
        let source = published(&self.tree, source)?;
        let mut settings = Settings::new(&context.target, context.jobs);
        settings.circumstances = match context.arguments.elsewhere {
            true => Circumstances::Other,
            false => Circumstances::Usual,
        };
        let said = repodata::primary(&self.said.join(Kind::Source.folder()))?;
        let said = said.iter().find(|one| one.nevra() == source.nevra);
        // A package may have been built as of a later time than the others.
        let epoch = said.and_then(|one| u64::try_from(one.time_build).ok());
        let epoch = epoch.unwrap_or(self.manifest.source_date_epoch);
        settings.source_date_epoch = u32::try_from(epoch)
            .with_context(|| format!("{}: the build time {epoch}", source.nevra))?;
        if let Some(host) = said.and_then(|one| plain_host(&one.buildhost)) {
            host.clone_into(&mut settings.host);
        }
        Ok(Rebuild {
            stage: stage.to_owned(),
            root: root.to_vec(),
            own: own
                .map(|one| published(&self.tree, one))
                .collect::<anyhow::Result<_>>()?,
            source,
            settings,
        })
    }

    /// The packages of a stage, without its source package.
    pub fn packages(&self, stage: &str, tree: &Path) -> Vec<(manifest::Package, PathBuf)> {
        let packages = self.manifest.packages.iter();
        packages
            .filter(|one| one.stage == stage && !one.nevra.ends_with(".src"))
            .map(|one| (one.clone(), tree.join(&one.file)))
            .collect()
    }
}

/// An error of a repository that cannot be rebuilt.
fn cannot(shown: &str, why: &str, next: String) -> anyhow::Error {
    advised(format!("{shown} cannot be rebuilt: {why}"), next).into()
}

/// Whether a package has this name: what follows it is version, release and architecture.
fn is_named(nevra: &str, name: &str) -> bool {
    let mut parts = nevra.rsplitn(3, '-');
    let (_release, _version) = (parts.next(), parts.next());
    parts.next() == Some(name)
}

fn published(tree: &Path, package: &manifest::Package) -> anyhow::Result<Published> {
    Ok(Published {
        nevra: package.nevra.clone(),
        path: tree.join(&package.file),
        sha256: package
            .sha256
            .parse()
            .with_context(|| format!("manifest.json: the digest of {}", package.file))?,
    })
}

/// The host that a package says it was built on, where that is a plain name: it becomes a macro, and the name of the host in the sandbox.
fn plain_host(host: &str) -> Option<&str> {
    let mut bytes = host.bytes();
    let plain = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && host.len() <= 64
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    plain.then_some(host)
}

/// The lock that the repository was made with.
fn lock_of(
    found: &TrustedRepository,
    manifest: &Manifest,
    of_bundle: Option<&str>,
) -> anyhow::Result<Lock> {
    let path = found.said.join(LOCK_FILE);
    let read = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE);
    let there = lustre_files::if_there(read).with_context(|| path.display().to_string())?;
    let Some(told) = &manifest.lock_sha256 else {
        return Err(cannot(
            &found.shown,
            "its manifest.json does not say with which lock it was made",
            "repositories of earlier versions of the tool cannot be rebuilt from themselves: make it again, and publish that".to_owned(),
        ));
    };
    let is_it = |text: &str| Digest::of_bytes(text.as_bytes()).to_string() == *told;
    let (text, from) = match (there, of_bundle) {
        (Some(text), _) if is_it(&text) => (text, format!("{}/{LOCK_FILE}", found.shown)),
        (Some(_), _) => {
            return Err(cannot(
                &found.shown,
                &format!("its {LOCK_FILE} is not the lock that its manifest.json names"),
                "ask who published it".to_owned(),
            ));
        }
        (None, Some(text)) if is_it(text) => (text.to_owned(), "the lock of the bundle".to_owned()),
        (None, Some(_)) => {
            return Err(cannot(
                &found.shown,
                &format!(
                    "it has no {LOCK_FILE}, and the lock of the bundle is not the one that its manifest.json names"
                ),
                "give a bundle that was written with the lock that the repository was made with"
                    .to_owned(),
            ));
        }
        (None, None) => {
            return Err(cannot(
                &found.shown,
                &format!("it has no {LOCK_FILE}, which says of which packages its buildroots were made"),
                "give a bundle that was written with its lock (--bundle FILE). A repository whose lock names places of the machine that built \
                 it, or one of an earlier version of the tool, has none"
                    .to_owned(),
            ));
        }
    };
    let lock = Lock::parse(Path::new(&from), &text).map_err(|error| match error {
        lock::Error::Malformed { message, .. } => cannot(
            &found.shown,
            &format!("{from}: {message}"),
            format!(
                "use version {} of the tool, which made it; this is {}",
                manifest.tool.version,
                env!("CARGO_PKG_VERSION")
            ),
        ),
        other => other.into(),
    })?;
    if let Some(place) = lock.private_place() {
        return Err(cannot(
            &found.shown,
            &format!(
                "{from} pins something at {}, which is a place of another machine",
                place.escape_debug()
            ),
            "ask who published it".to_owned(),
        ));
    }
    if lock.target != manifest.target {
        return Err(cannot(
            &found.shown,
            &format!(
                "{from} is of the target `{}`, and manifest.json of `{}`",
                lock.target.escape_debug(),
                manifest.target.escape_debug()
            ),
            "ask who published it".to_owned(),
        ));
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _};
    use lustre_repository::sums;

    use super::*;
    use crate::place;

    #[test]
    fn what_is_exchanged_after_the_check_is_not_what_is_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let lock = |request: &[u8]| {
            let (files, trees) = (BTreeMap::new(), BTreeMap::new());
            let lock = Lock::new(
                "rehearsal",
                Digest::of_bytes(request),
                files,
                trees,
                Vec::new(),
            );
            lock.to_toml().unwrap()
        };
        let write = |lock: &str, version: &str| {
            let mut manifest = Manifest {
                target: "rehearsal".to_owned(),
                lock_sha256: Some(Digest::of_bytes(lock.as_bytes()).to_string()),
                ..Manifest::default()
            };
            version.clone_into(&mut manifest.tool.version);
            manifest.write(&tree.join(manifest::FILE)).unwrap();
            std::fs::write(tree.join(LOCK_FILE), lock).unwrap();
        };
        write(&lock(b"one"), "1");
        let file = place::specs().join("distributions/rehearsal/key.asc");
        let text = Secret::new(std::fs::read(file).unwrap());
        let key = Key::from_armored(&text, "the test", None).unwrap();
        let public_key = key.public_key_armored().unwrap();
        let time = PublicKey::parse(&public_key).unwrap().created();
        sums::write(&tree).unwrap();
        let listed = std::fs::read(tree.join(sums::FILE)).unwrap();
        let signature = key.sign_detached(&listed, time).unwrap();
        std::fs::write(tree.join(sums::SIGNATURE), signature).unwrap();
        let scratch = context.store.temp_dir("verify").unwrap();
        let shown = "/srv/repo".to_owned();
        let found =
            TrustedRepository::holding(None, scratch, tree.clone(), shown, &public_key).unwrap();
        write(&lock(b"two"), "2");
        let recorded = Recorded::read(&found, "rehearsal", None).unwrap();
        assert_eq!(recorded.manifest.tool.version, "1");
        assert_eq!(recorded.lock.to_toml().unwrap(), lock(b"one"));
        let error = Recorded::read(&found, "debian-12", None).err().unwrap();
        assert!(error.is::<Usage>(), "{error}");
        assert!(
            error.to_string().contains("a repository of `rehearsal`"),
            "{error}"
        );
    }

    #[test]
    fn a_package_is_chosen_by_its_whole_name() {
        assert!(is_named("kmod-lustre-2.17.0-1.el9.x86_64", "kmod-lustre"));
        assert!(is_named("gcc-4:12.2.0-3.x86_64", "gcc"));
        assert!(!is_named("kmod-lustre-2.17.0-1.el9.x86_64", "kmod"));
        assert!(!is_named("kmod-lustre-2.17.0-1.el9.x86_64", "lustre"));
    }

    #[test]
    fn the_host_of_a_build_is_taken_where_it_is_a_plain_name() {
        for host in ["builder", "builder-1.example"] {
            assert_eq!(plain_host(host), Some(host));
        }
        for odd in ["", "a\n%x y", "-a", "a b", "%{lua:os.exit()}"] {
            assert_eq!(plain_host(odd), None, "{odd}");
        }
    }
}
