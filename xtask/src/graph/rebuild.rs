//! A package of a published repository, built again of its source package there, in a buildroot of just the packages that its manifest names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use lustre_files::advised;
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::build::{ext4, rpmbuild};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::{Digest, PathError};
use lustre_repository::repodata;

use super::inputs::{BuildGraph, list_input, with_circumstances};
use super::{name, recipes};

/// How many packages are named that are missing.
const NAMED: usize = 5;

/// A file of the repository.
#[derive(Debug, Clone)]
pub struct Published {
    pub nevra: String,
    pub path: PathBuf,
    pub sha256: Digest,
}

/// What is built again.
#[derive(Debug, Clone)]
pub struct Rebuild {
    /// The stage that built it: `e2fsprogs`, `kernel`, `lustre`.
    pub stage: String,
    pub source: Published,
    /// All packages of the buildroot that it was built in.
    pub root: Vec<String>,
    /// The digest of that buildroot, in which the digests of the packages are.
    pub root_digest: Digest,
    /// Those among them that are the repository's own.
    pub own: Vec<Published>,
    pub settings: Settings,
    /// The host that it was built on, where that is none of `settings`, since it is no name of a host.
    pub host_not_taken: Option<String>,
    /// The DISTURL that it was built with by an Open Build Service; none where the tool built it.
    pub disturl: Option<String>,
}

impl Rebuild {
    /// The stage that builds it again.
    pub fn name(&self) -> String {
        format!("rebuild-{}", self.stage)
    }

    /// The stage of its buildroot.
    pub fn root_name(&self) -> String {
        name::root(&self.name())
    }

    /// Whether its buildroot has the ext4 source of the distribution's kernel, which no repository has.
    pub fn has_ext4_source(&self) -> bool {
        self.root.iter().any(|nevra| is_ext4(nevra))
    }
}

fn is_ext4(nevra: &str) -> bool {
    let rest = nevra.strip_prefix(ext4::NAME);
    rest.is_some_and(|rest| rest.starts_with('-'))
}

impl BuildGraph<'_> {
    /// The buildroot of what is built again, and the build.
    pub fn rebuild<'s>(&'s self, of: &'s Rebuild) -> [Stage<'s>; 2] {
        [self.rebuild_root(of), rebuild_in(of)]
    }

    fn rebuild_root<'s>(&'s self, of: &'s Rebuild) -> Stage<'s> {
        let own: Vec<String> = of.own.iter().map(|one| one.sha256.to_string()).collect();
        let mut inputs = recipes::of(&of.root_name());
        inputs.extend([list_input("packages", &of.root), list_input("own", &own)]);
        inputs.extend(self.module_input());
        let mut needs = vec![name::DISTRIBUTION.to_owned(), name::BOOTSTRAP.to_owned()];
        needs.extend(of.has_ext4_source().then(|| ext4::NAME.to_owned()));
        Stage {
            name: of.root_name(),
            needs,
            inputs,
            whole: Some(("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new(move |work| {
                let local = work.scratch.join("local");
                fs::create_dir(&local)?;
                for one in &of.own {
                    take(one, &local)?;
                }
                if of.has_ext4_source() {
                    for path in rpmbuild::packages_under(&work.need(ext4::NAME)?.join("RPMS"))? {
                        let to = local.join(path.file_name().unwrap_or_default());
                        lustre_files::copy(&path, &to)
                            .map_err(|error| PathError::new("copy", &path, error))?;
                    }
                }
                let wanted = self.of_base(work, of)?;
                let own = fs::read_dir(&local)?.next().is_some();
                self.make_root(work, &wanted, own.then_some(local.as_path()))?;
                as_recorded(of, &work.output.join("packages.txt"))
            }),
        }
    }

    /// The packages of the buildroot that are the distribution's; an error where it does not have one of them.
    fn of_base(&self, work: &Work<'_>, of: &Rebuild) -> Result<Vec<String>, Failure> {
        let mut there = BTreeSet::new();
        for repository in self.base(work)?.repos {
            let packages = repodata::primary(&repository.folder)?;
            there.extend(packages.iter().map(repodata::Package::nevra));
        }
        let own: BTreeSet<&String> = of.own.iter().map(|one| &one.nevra).collect();
        in_place_of(&of.stage, &own, &there)?;
        let wanted: Vec<String> = of
            .root
            .iter()
            .filter(|nevra| !own.contains(nevra) && !is_ext4(nevra))
            .cloned()
            .collect();
        let missing: Vec<&str> = wanted
            .iter()
            .filter(|nevra| !there.contains(*nevra))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(wanted);
        }
        Err(advised(
            format!(
                "the buildroot of `{}` had {}, which neither the packages of the lock nor the repository have",
                of.stage,
                some(&missing)
            ),
            "another version of the tool may have made the repository: use that, which manifest.json names",
        )
        .into())
    }
}

fn rebuild_in(of: &Rebuild) -> Stage<'_> {
    let Settings {
        source_date_epoch,
        host,
        dist,
        circumstances,
        ..
    } = &of.settings;
    let mut inputs = recipes::of(&of.name());
    inputs.extend([
        ("source".to_owned(), of.source.sha256.to_string()),
        (
            "settings".to_owned(),
            with_circumstances(format!("{source_date_epoch} {host} {dist}"), *circumstances),
        ),
    ]);
    let disturl = of.disturl.iter();
    inputs.extend(disturl.map(|disturl| ("disturl".to_owned(), disturl.clone())));
    Stage {
        name: of.name(),
        needs: vec![of.root_name()],
        inputs,
        whole: None,
        recipe: Box::new(move |work| {
            as_digest(of, &work.digest(&of.root_name())?)?;
            let source = take(&of.source, work.scratch)?;
            let root = work.need(&of.root_name())?.join("root");
            let folder = work.scratch.join("work");
            let build = Workdir::new(&root, &folder, &of.settings)?;
            let made = match (&of.disturl, of.stage.as_str()) {
                (Some(disturl), _) => rpmbuild::build_as_obs(&build, &source, disturl, work.log)?,
                // In two steps, as it was built: its config is looked at in between.
                (None, "kernel") => {
                    rpmbuild::prepare(&build, &source, work.log)?;
                    rpmbuild::build_prepared(&build, &source, work.log)?
                }
                (None, _) => rpmbuild::build(&build, &source, work.log)?,
            };
            Ok(rpmbuild::collect(&made, &work.output.join("RPMS"))?)
        }),
    }
}

/// Copies a file of the repository into `folder`, as it was when its signatures were checked.
fn take(one: &Published, folder: &Path) -> Result<PathBuf, Failure> {
    let to = folder.join(one.path.file_name().unwrap_or_default());
    match lustre_files::copy(&one.path, &to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!(
                "{} changed while it was used: it is gone, and manifest.json lists it",
                one.path.display()
            )
            .into());
        }
        copied => copied.map_err(|error| PathError::new("copy", &one.path, error))?,
    };
    let (found, _) = Digest::of_file(&to)?;
    if found != one.sha256 {
        return Err(format!(
            "{} changed while it was used: it has the SHA-256 {found}, and manifest.json says {}",
            one.path.display(),
            one.sha256
        )
        .into());
    }
    Ok(to)
}

/// That the packages listed in the file `made` are those of the buildroot that was recorded.
fn as_recorded(of: &Rebuild, made: &Path) -> Result<(), Failure> {
    let list = lustre_files::read_to_string(made, lustre_files::TEXT)
        .map_err(|error| PathError::new("read", made, error))?;
    let made: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let recorded: BTreeSet<&str> = of.root.iter().map(String::as_str).collect();
    let mut other = Vec::new();
    for (what, found) in [
        ("without", recorded.difference(&made)),
        ("with", made.difference(&recorded)),
    ] {
        let found: Vec<&str> = found.copied().collect();
        if !found.is_empty() {
            other.push(format!("{what} {}", some(&found)));
        }
    }
    if other.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the buildroot of `{}` is not the one that manifest.json records: it is {}",
        of.stage,
        other.join(", and ")
    )
    .into())
}

/// That a buildroot, whose packages are called as those that were recorded, has these packages and no others of their names.
fn as_digest(of: &Rebuild, made: &str) -> Result<(), Failure> {
    let recorded = of.root_digest.to_string();
    if made == recorded {
        return Ok(());
    }
    Err(advised(
        format!(
            "the buildroot of `{}` has packages with the names and versions that manifest.json records, and not all are the same packages: \
             its digest is {made}, and the recorded one is {recorded}",
            of.stage
        ),
        "another version of the tool may have made packages of the distribution otherwise: use that, which manifest.json names",
    )
    .into())
}

/// That no package of the repository takes the place of one that the distribution has under its very name and version.
fn in_place_of(
    stage: &str,
    own: &BTreeSet<&String>,
    there: &BTreeSet<String>,
) -> Result<(), Failure> {
    let both: Vec<&str> = own
        .iter()
        .filter(|nevra| there.contains(**nevra))
        .map(|nevra| nevra.as_str())
        .collect();
    if both.is_empty() {
        return Ok(());
    }
    Err(advised(
        format!(
            "the repository has {} itself, which the distribution has, too: the buildroot of `{stage}` would have the package of the repository",
            some(&both)
        ),
        "ask who published it why it is there",
    )
    .into())
}

/// The first of `names`, and how many more there are.
fn some(names: &[&str]) -> String {
    let mut text = names.iter().take(NAMED).copied().collect::<Vec<_>>();
    let more = format!("{} more", names.len().saturating_sub(NAMED));
    if names.len() > NAMED {
        text.push(&more);
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use lustre_packaging::build::circumstances::Circumstances;

    use super::*;

    fn rebuild(root: &[&str]) -> Rebuild {
        let published = Published {
            nevra: "a-1-1.src".to_owned(),
            path: PathBuf::from("a-1-1.src.rpm"),
            sha256: Digest::of_bytes(b"a"),
        };
        Rebuild {
            stage: "lustre".to_owned(),
            source: published,
            root: root.iter().map(|one| (*one).to_owned()).collect(),
            root_digest: Digest::of_bytes(b"root"),
            own: Vec::new(),
            host_not_taken: None,
            disturl: None,
            settings: Settings {
                source_date_epoch: 1,
                host: "h".to_owned(),
                dist: ".x".to_owned(),
                jobs: 1,
                circumstances: Default::default(),
                limits: Default::default(),
            },
        }
    }

    #[test]
    fn a_buildroot_that_is_not_the_recorded_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packages.txt");
        fs::write(&path, "bash-5-1.x86_64 abc\ngcc-12-1.x86_64 def\n").unwrap();
        as_recorded(&rebuild(&["gcc-12-1.x86_64", "bash-5-1.x86_64"]), &path).unwrap();
        let other = rebuild(&["gcc-12-2.x86_64", "bash-5-1.x86_64"]);
        let error = as_recorded(&other, &path).unwrap_err().to_string();
        for part in [
            "without gcc-12-2.x86_64",
            "with gcc-12-1.x86_64",
            "`lustre`",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    /// The package of the distribution is another with the same name, version and release.
    #[test]
    fn a_buildroot_of_other_packages_with_the_recorded_names_is_refused() {
        let of = rebuild(&["gcc-12-1.x86_64"]);
        as_digest(&of, &Digest::of_bytes(b"root").to_string()).unwrap();
        let other = Digest::of_bytes(b"other").to_string();
        let error = as_digest(&of, &other).unwrap_err().to_string();
        for part in ["`lustre`", "not all are the same packages", &other] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_package_in_place_of_the_distributions_is_refused() {
        let (gcc, devel) = (
            "gcc-12-1.x86_64".to_owned(),
            "kernel-devel-6-1.x86_64".to_owned(),
        );
        let there = BTreeSet::from([gcc.clone()]);
        in_place_of("lustre", &BTreeSet::from([&devel]), &there).unwrap();
        let own = BTreeSet::from([&devel, &gcc]);
        let error = in_place_of("lustre", &own, &there).unwrap_err().to_string();
        assert!(error.contains(&gcc) && !error.contains(&devel), "{error}");
    }

    #[test]
    fn a_file_that_changed_after_it_was_verified_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rpm");
        fs::write(&path, "a").unwrap();
        let mut one = rebuild(&[]).source;
        one.path.clone_from(&path);
        let to = dir.path().join("to");
        fs::create_dir(&to).unwrap();
        assert_eq!(fs::read(take(&one, &to).unwrap()).unwrap(), b"a");
        fs::write(&path, "b").unwrap();
        let error = take(&one, &to).unwrap_err().to_string();
        assert!(error.contains("changed while it was used"), "{error}");
        fs::remove_file(&path).unwrap();
        let error = take(&one, &to).unwrap_err().to_string();
        assert!(error.contains("it is gone"), "{error}");
    }

    #[test]
    fn what_is_rebuilt_elsewhere_is_another_result() {
        let mut of = rebuild(&["gcc-12-1.x86_64"]);
        let settings = |of: &Rebuild| {
            let inputs = rebuild_in(of).inputs;
            inputs.into_iter().find(|(name, _)| name == "settings")
        };
        let usual = settings(&of).unwrap();
        assert_eq!(usual.1, "1 h .x");
        of.settings.circumstances = Circumstances::Other;
        assert_ne!(settings(&of).unwrap(), usual);
    }

    #[test]
    fn the_ext4_source_is_known_by_its_name() {
        assert!(rebuild(&["ext4-source-6.12.0-1.el10.noarch"]).has_ext4_source());
        assert!(!rebuild(&["ext4-sources-1-1.noarch", "bash-5-1.x86_64"]).has_ext4_source());
    }
}
