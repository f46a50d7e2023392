//! What a repository records of how its packages were built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::build::circumstances::Circumstances;
use lustre_packaging::build::workdir::Settings;
use lustre_packaging::lock::{self, Lock};
use lustre_packaging::needs::{Estimate, Part};
use lustre_packaging::obs::is_disturl;
use lustre_packaging::process::Limits;
use lustre_packaging::store::Digest;
use lustre_repository::history::History;
use lustre_repository::layout::Kind;
use lustre_repository::manifest::{self, LOCK_FILE, Manifest};
use lustre_repository::repodata;

use super::compared::{NotRebuilt, WhyNot};
use crate::cli::RebuildArgs;
use crate::commands::verify::TrustedRepository;
use crate::context::Context;
use crate::exit::Usage;
use crate::graph::name;
use crate::graph::obs::OBS;
use crate::graph::rebuild::{Published, Rebuild};
use crate::ui;

/// How many times as much as usual a build may write.
const TIMES: u64 = 3;

/// How much any build may write, in GiB.
const ROOM: u64 = 8;

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
        is_of(&manifest, &found.shown, target)?;
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
        chosen(&self.manifest, &self.shown, packages)
    }

    /// The packages of the repository that are not rebuilt with the stages `wanted`, and why.
    pub fn not_rebuilt(&self, wanted: &[String]) -> anyhow::Result<Vec<NotRebuilt>> {
        let left = |nevra: &str, why| NotRebuilt {
            nevra: nevra.to_owned(),
            why,
        };
        let mut all = Vec::new();
        let mut files = BTreeSet::new();
        for one in &self.manifest.packages {
            files.insert(one.file.clone());
            if !wanted.contains(&one.stage) {
                all.push(left(&one.nevra, WhyNot::NotAsked));
            } else if one.nevra.ends_with(".src") {
                all.push(left(&one.nevra, WhyNot::Source));
            }
        }
        let history = History::read(&self.said)?;
        let earlier = history.iter().flat_map(|history| &history.sets);
        for one in earlier.flat_map(|set| &set.packages) {
            if files.insert(one.path.clone()) {
                all.push(left(&one.nevra, WhyNot::EarlierRelease));
            }
        }
        Ok(all)
    }

    /// What to build again of the stages `wanted`.
    pub fn rebuilds(
        &self,
        context: &Context,
        arguments: &RebuildArgs,
        wanted: &[String],
    ) -> anyhow::Result<Vec<Rebuild>> {
        let stages = wanted
            .iter()
            .filter(|stage| *stage != name::RELEASE_PACKAGE);
        stages
            .map(|stage| self.rebuild(context, arguments, stage))
            .collect()
    }

    fn rebuild(
        &self,
        context: &Context,
        arguments: &RebuildArgs,
        stage: &str,
    ) -> anyhow::Result<Rebuild> {
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
        settings.limits = Limits {
            time: Some(Duration::from_secs(arguments.max_time * 60 * 60)),
            disk: Some(arguments.max_disk.unwrap_or_else(|| room(context, stage)) << 30),
            ..context.limits()
        };
        let said = repodata::primary(&self.said.join(Kind::Source.folder()))?;
        let Some(said) = said.iter().find(|one| one.nevra() == source.nevra) else {
            let why = format!("its metadata do not list {}", source.nevra);
            return Err(cannot(&self.shown, &why, newer()));
        };
        // A package may have been built as of a later time than the others.
        let Ok(epoch) = u32::try_from(said.time_build) else {
            let why = format!(
                "{} was built at {}, which is no time",
                source.nevra, said.time_build
            );
            return Err(cannot(&self.shown, &why, newer()));
        };
        settings.source_date_epoch = epoch;
        let mut host_not_taken = None;
        match plain_host(&said.buildhost) {
            Some(host) => host.clone_into(&mut settings.host),
            None => {
                ui::warn(&format!(
                    "warning: {} was built on a host `{}`, which is no name of a host; it is rebuilt on `{}`, so its packages will say so",
                    source.nevra,
                    said.buildhost.escape_debug(),
                    settings.host
                ));
                host_not_taken = Some(said.buildhost.clone());
            }
        }
        let Some(root_digest) = of_stage.and_then(|stage| stage.digest.parse().ok()) else {
            let why = format!("manifest.json has no digest of the buildroot of `{stage}`");
            return Err(cannot(&self.shown, &why, newer()));
        };
        let builder = of_stage.and_then(|stage| stage.builder.as_ref());
        let disturl = match builder.map(|builder| (builder.name.as_str(), builder.disturl.as_str()))
        {
            None => None,
            Some((OBS, disturl)) if is_disturl(disturl) => Some(disturl.to_owned()),
            Some((OBS, disturl)) => {
                let why = format!(
                    "manifest.json says that `{stage}` was built with the DISTURL `{}`, which is none",
                    disturl.escape_debug()
                );
                return Err(cannot(&self.shown, &why, "ask who published it".to_owned()));
            }
            Some((other, _)) => {
                let why = format!(
                    "manifest.json says that `{stage}` was built by `{}`, which is no builder that is known here",
                    other.escape_debug()
                );
                return Err(cannot(&self.shown, &why, newer()));
            }
        };
        Ok(Rebuild {
            host_not_taken,
            disturl,
            root_digest,
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

/// That the repository `shown` with this manifest is one of `target`.
pub fn is_of(manifest: &Manifest, shown: &str, target: &str) -> Result<(), Usage> {
    if manifest.target == target {
        return Ok(());
    }
    Err(Usage::new(advised(
        format!(
            "--target {target}: {shown} is a repository of `{}`",
            manifest.target.escape_debug()
        ),
        "leave out --target: it is the one that the repository names",
    )))
}

/// The stages that built packages of the repository `shown`, as far as `packages` name them or what they made; all of them where nothing is
/// named.
pub fn chosen(
    manifest: &Manifest,
    shown: &str,
    packages: &[String],
) -> anyhow::Result<Vec<String>> {
    let mut all: BTreeSet<String> = BTreeSet::new();
    let mut chosen = BTreeSet::new();
    let mut left: BTreeSet<&String> = packages.iter().collect();
    for package in &manifest.packages {
        all.insert(package.stage.clone());
        for name in packages {
            if *name == package.stage || is_named(&package.nevra, name) {
                left.remove(name);
                chosen.insert(package.stage.clone());
            }
        }
    }
    if all.is_empty() {
        return Err(cannot(
            shown,
            "it has no packages, so there is nothing to compare",
            "ask who published it".to_owned(),
        ));
    }
    if let Some(name) = left.first() {
        let all: Vec<String> = all
            .iter()
            .map(|stage| stage.escape_debug().to_string())
            .collect();
        return Err(Usage::new(advised(
            format!("--package {name}: {shown} has no such package"),
            format!("its packages are made by: {}", all.join(", ")),
        ))
        .into());
    }
    let wanted = if packages.is_empty() { all } else { chosen };
    Ok(wanted.into_iter().collect())
}

/// How much the build of a stage may write, in GiB, where nobody says: what the target says that it takes, and some more. Whoever published
/// has nothing to do with that.
fn room(context: &Context, stage: &str) -> u64 {
    let parts = Part::of_stage(stage).into_iter().collect();
    let estimate = Estimate::of(&context.target, &parts, context.jobs);
    let gib = estimate.map_or(ROOM, |estimate| estimate.disk_gib);
    (gib * TIMES).max(ROOM)
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
    use lustre_repository::history::{self, Set, SetPackage};
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
    fn what_is_not_rebuilt_is_named_with_the_reason_and_nothing_at_all_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (files, trees) = (BTreeMap::new(), BTreeMap::new());
        let package = |nevra: &str, stage: &str| manifest::Package {
            nevra: nevra.to_owned(),
            file: format!("x86_64/Packages/{nevra}.rpm"),
            stage: stage.to_owned(),
            ..manifest::Package::default()
        };
        let mut recorded = Recorded {
            shown: "/srv/repo".to_owned(),
            tree: dir.path().to_owned(),
            said: dir.path().to_owned(),
            manifest: Manifest::default(),
            lock: Lock::new("rehearsal", Digest::of_bytes(b""), files, trees, Vec::new()),
        };
        let error = recorded.chosen(&[]).unwrap_err().to_string();
        assert!(error.contains("it has no packages"), "{error}");
        recorded.manifest.packages = vec![
            package("lustre-1-1.x86_64", "lustre"),
            package("lustre-1-1.src", "lustre"),
            package("kernel-1-1.x86_64", "kernel"),
        ];
        let of = |packages: &[&str]| -> Vec<SetPackage> {
            let all = packages.iter().map(|nevra| SetPackage {
                nevra: (*nevra).to_owned(),
                path: format!("x86_64/Packages/{nevra}.rpm"),
                sha256: Digest::of_bytes(b"").to_string(),
                sha256_unsigned: Digest::of_bytes(b"").to_string(),
                size: 1,
                stage: "lustre".to_owned(),
            });
            all.collect()
        };
        let set = |time, packages: &[&str]| Set {
            time,
            manifest_sha256: Digest::of_bytes(b"").to_string(),
            packages: of(packages),
            ..Set::default()
        };
        let history = History {
            format: history::FORMAT,
            target: "rehearsal".to_owned(),
            sets: vec![
                set(2, &["lustre-1-1.x86_64"]),
                set(1, &["bash-99-1.x86_64", "lustre-1-1.x86_64"]),
            ],
            dropped: Vec::new(),
        };
        assert_eq!(history.wrong(), None);
        std::fs::write(dir.path().join(history::FILE), history.to_json()).unwrap();
        let wanted = recorded.chosen(&["lustre".to_owned()]).unwrap();
        let left = recorded.not_rebuilt(&wanted).unwrap();
        let left: Vec<(&str, WhyNot)> = left
            .iter()
            .map(|one| (one.nevra.as_str(), one.why))
            .collect();
        let wanted = [
            ("lustre-1-1.src", WhyNot::Source),
            ("kernel-1-1.x86_64", WhyNot::NotAsked),
            ("bash-99-1.x86_64", WhyNot::EarlierRelease),
        ];
        assert_eq!(left, wanted);
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
