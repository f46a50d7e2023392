//! What a target's file holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Boot;
use super::chosen::ChosenReleases;
use super::needs::{Debuginfo, Needs};
use super::obs::Obs;
use super::repositories::{self, BaseRepository, KeyFile};
use crate::cpu::Level;

/// One target, merged with what it inherits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The target's name: that of its file.
    #[serde(skip_deserializing)]
    pub name: String,
    /// Its file, where it was given by its path. It changes nothing of what is built.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// That file, and those beside it that it inherits from.
    #[serde(skip)]
    pub beside: Vec<PathBuf>,
    /// What it was asked for by.
    #[serde(skip)]
    pub asked_by: String,
    /// The releases that it is composed of, and the features that it chooses: what came of them is in the tables.
    #[serde(skip)]
    pub chosen: ChosenReleases,
    /// One line for `cargo xtask targets`; `$lustre` stands for the release of Lustre.
    pub description: String,
    /// Set where the Lustre of this target is a model: the sentence that says so wherever a user could be mistaken. A target that
    /// inherits from a model's and has the real Lustre takes it back with an empty one.
    #[serde(default, deserialize_with = "unless_empty")]
    pub model: Option<String>,
    /// The distribution the packages are for.
    pub distribution: Distribution,
    /// What all builds of the target share.
    pub build: Build,
    /// The patched e2fsprogs.
    pub e2fsprogs: E2fsprogs,
    /// The kernel.
    pub kernel: Kernel,
    /// Lustre itself.
    pub lustre: Lustre,
    /// The repository that comes out.
    pub repository: Repository,
    /// What the install proof installs.
    pub install: Install,
    /// How the boot proof is made, where the target can be booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// What building it takes of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// How a distribution's repositories come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistributionKind {
    /// Made on the spot from Debian's packages, as the recipe says.
    Rehearsal,
    /// The distribution's own, on its mirrors.
    Repositories,
}

/// The distribution a target's packages are for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// How its repositories come to be.
    pub kind: DistributionKind,
    /// The recipe's folder under `specs/`; only of the kind `rehearsal`.
    #[serde(
        default,
        deserialize_with = "unless_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub recipe: Option<String>,
    /// Fingerprint of the key that signs its packages and metadata, upper-case hexadecimal.
    pub key: String,
    /// rpm's architecture.
    pub arch: String,
    /// The level of x86-64 that its packages are compiled for, where not every processor has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Level>,
    /// rpm's `%dist`, with its dot.
    pub dist: String,
    /// What dnf knows the release by when it chooses module streams (`PLATFORM_ID` of `/etc/os-release`), such as `platform:el8`; a
    /// distribution without modules has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_platform: Option<String>,
    /// Packages of the chroot whose dnf and rpmbuild do the work.
    pub bootstrap: Vec<String>,
    /// Packages of every buildroot.
    pub buildroot: Vec<String>,
    /// The kernel of its source repository; only of the kind `rehearsal`, where it is generated.
    #[serde(default, skip_serializing_if = "DistributionKernel::is_none")]
    pub kernel: DistributionKernel,
    /// What stands for `$NAME` in the locations of the repositories, besides `$basearch`: `releasever` and whatever they need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Its repositories, of the kind `repositories`: a table by id, or a list.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "repositories::by_id"
    )]
    pub repository: Vec<BaseRepository>,
    /// The keys that sign them, by the names that the repositories use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, KeyFile>,
    /// What of it an Open Build Service has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obs: Option<Obs>,
}

/// The kernel that a generated distribution offers as an SRPM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistributionKernel {
    /// The folder under `specs/` that holds its spec and config; a tree brings its own, and an empty one takes back what is inherited.
    #[serde(
        default,
        deserialize_with = "unless_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub spec: Option<String>,
    /// Config fragments under `specs/`, merged into the spec's config for another series of kernels.
    #[serde(default)]
    pub config: Vec<String>,
    /// The config that they are merged into; by default, every config beside the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The upstream source, or the tree of a distribution's kernel with the files of its source package. A distribution made on the spot
    /// has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl DistributionKernel {
    /// True for the one of a distribution that is not generated.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the source is a tree in git.
    pub fn is_tree(&self) -> bool {
        matches!(
            self.source,
            Some(Source::Git { .. } | Source::GitTag { .. })
        )
    }
}

/// What all builds of a target share.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Every time in every package, in seconds since 1970.
    pub source_date_epoch: u32,
    /// Host name inside builds, and rpm's `%_buildhost`.
    pub host: String,
}

/// Where a package's source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// A folder under `specs/`.
    Path(String),
    /// One file of a Debian source package: `{ package, suite, file }`; `file` may hold `*` for what follows the version.
    Debian {
        /// The source package.
        package: String,
        /// The suite that has it.
        suite: String,
        /// Its version; the suite's newest where not given.
        version: Option<String>,
        /// How the wanted file's name ends, such as `.orig.tar.xz`.
        file: String,
    },
    /// A source package of the distribution's source repository.
    Srpm(String),
    /// A commit of a git repository.
    Git {
        /// Where the repository is.
        url: String,
        /// The tag that names the commit.
        tag: Option<String>,
        /// The commit, 40 hexadecimal digits.
        commit: String,
    },
    /// A tag of a git repository; the lock says which commit it is.
    GitTag {
        /// Where the repository is.
        url: String,
        /// The tag.
        tag: String,
    },
}

/// What may be inherited and is taken back by an empty string, which TOML has no other word for.
fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// The patched e2fsprogs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct E2fsprogs {
    /// The upstream release, or a tree.
    pub source: Source,
    /// The key that signs the tag of its source. Where it is given, the lock takes only a tag with that signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_key: Option<KeyFile>,
    /// The folder under `specs/` that holds the spec, the series and the folder `patches`.
    pub spec: String,
    /// The series applied to the source: a file of that folder. Empty for a source that already supports Lustre.
    #[serde(default = "default_series", deserialize_with = "unless_empty")]
    pub series: Option<String>,
    /// The upstream version.
    pub version: String,
    /// The packages' release without the distribution's tag; that of the spec where not given.
    pub release: Option<String>,
    /// Every package that must come out.
    pub packages: Vec<String>,
}

fn default_series() -> Option<String> {
    Some("series".to_owned())
}

/// Whose kernel the servers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelKind {
    /// The distribution's, rebuilt with Lustre's patches; our repository has it.
    #[default]
    Patched,
    /// The distribution's own. Our repository has no kernel, and ldiskfs is made of the ext4 source in the kernel's SRPM.
    Distribution,
}

impl KernelKind {
    /// True for a rebuilt kernel.
    pub fn is_patched(&self) -> bool {
        *self == Self::Patched
    }
}

/// The kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Whose kernel the servers run.
    #[serde(default, skip_serializing_if = "KernelKind::is_patched")]
    pub kind: KernelKind,
    /// The distribution's source package.
    pub source: Source,
    /// Its `VERSION-RELEASE`, as the distribution has it; the newest one where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether `lock --update` moves on to the newest kernel of the release, where that fits; the lock then says which it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves: bool,
    /// The overlay's folder under `specs/`; not used for the distribution's own kernel.
    #[serde(
        default,
        deserialize_with = "unless_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub overlay: Option<String>,
    /// The options of the overlay that are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The folder with what an option takes of the site, such as the certificate of `site-key`: beside the target's file where that is
    /// given by its path, otherwise under `specs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Every package that must come out; none for the distribution's own kernel.
    pub packages: Vec<String>,
}

impl Kernel {
    /// The folder of the overlay that it is changed by; none for the distribution's own.
    pub fn changed_by(&self) -> Option<&str> {
        self.overlay.as_deref().filter(|_| self.kind.is_patched())
    }
}

/// Lustre.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lustre {
    /// The source tree.
    pub source: Source,
    /// The key that signs the tag of its source. Where it is given, the lock takes only a tag with that signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_key: Option<KeyFile>,
    /// The folder under `specs/` of the overlay that makes the tree fit: anchored edits and fixups.
    pub overlay: Option<String>,
    /// The options of that overlay that are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The series that makes ldiskfs of the kernel's ext4, by the name between `ldiskfs-` and `.series` in Lustre's
    /// `ldiskfs/kernel_patches/series`, such as `6.12-ml`: what Lustre's configure chooses for this kernel.
    pub ldiskfs_series: Option<String>,
    /// The version that is frozen into the tree, whatever `git describe` says.
    pub version: String,
    /// Options of `configure`.
    pub configure: Vec<String>,
    /// What the spec is told, as options of `rpmbuild` would: `--with NAME`, `--without NAME`, `--define "NAME VALUE"`. They are
    /// written into the spec.
    #[serde(default)]
    pub rpmbuild: Vec<String>,
    /// Packages that autogen, configure and the build need.
    pub buildroot: Vec<String>,
    /// Every package that must come out.
    pub packages: Vec<String>,
    /// Kernel modules that must be inside the packages, by file name.
    pub modules: Vec<String>,
    /// The known faults that it is taken with although they corrupt or lose data: a ticket of `specs/lustre/safety.toml`, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accepts: BTreeMap<String, String>,
}

/// The repository that comes out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// The name dnf shows.
    pub name: String,
    /// Where servers will find it; `$basearch` may stand in it.
    pub baseurl: String,
    /// Where the packages are as assets of releases of a forge: a release's tag and the asset's name follow. Without it, they are beside
    /// the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets_url: Option<String>,
    /// The armored public key that will sign later releases: servers get to know it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<String>,
    /// How many releases it has the packages of, with the newest: servers can go back to the others.
    #[serde(default = "kept", deserialize_with = "number_kept")]
    pub keep: usize,
    /// The package that makes a server know the repository.
    pub release_package: ReleasePackage,
    /// The comps group.
    pub group: Group,
}

/// The most releases that a repository may keep.
pub const MOST_KEPT: usize = 32;

/// How many releases a repository keeps where the target does not say.
fn kept() -> usize {
    3
}

/// Reads [`Repository::keep`]; what is no such number hears what it is.
fn number_kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(
                f,
                "the number of releases that the repository has the packages of, from 1 to {MOST_KEPT}"
            )
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<usize, E> {
            usize::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<usize, E> {
            usize::try_from(number)
                .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }
    }
    deserializer.deserialize_any(Number)
}

/// The numbers of `lustre-repo-release`. They are its own, whatever Lustre's are: dnf replaces it only by one with higher numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePackage {
    /// rpm's Version: the distribution's release, as `epel-release` has it.
    pub version: String,
    /// rpm's Release, without `%dist`: raised whenever the key, the name or the URL changes.
    pub release: u32,
    /// The page that people are sent to, if there is one.
    pub url: Option<String>,
}

/// A comps group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Packages that make the group.
    pub mandatory: Vec<String>,
    /// Packages that the group offers, and does not install by default.
    #[serde(default)]
    pub optional: Vec<String>,
}

/// What the install proof does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// What the clean chroot holds before ours is installed: the distribution's own packages.
    pub base: Vec<String>,
    /// What our packages require of the distribution to be installed. For an existing distribution, the lock pins these
    /// before our packages are built and can say so themselves; the proofs tell which one is not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// What is installed from our repository.
    pub packages: Vec<String>,
    /// Programs that must find every library.
    pub programs: Vec<String>,
    /// Kernel modules that `modinfo` must find.
    pub modules: Vec<String>,
    /// Symbols that the installed modules of our packages must export.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
}

impl Target {
    /// What the target itself names of its distribution's packages.
    pub fn asks_for(&self) -> BTreeSet<&str> {
        let distribution = &self.distribution;
        [
            &distribution.bootstrap,
            &distribution.buildroot,
            &self.lustre.buildroot,
            &self.install.base,
            &self.install.requires,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect()
    }

    /// Every package that must be in the repository.
    pub fn expected_packages(&self) -> Vec<String> {
        [
            &self.e2fsprogs.packages,
            &self.kernel.packages,
            &self.lustre.packages,
        ]
        .into_iter()
        .flatten()
        .cloned()
        .collect()
    }
}

impl Target {
    /// What debuginfo adds to the build of this target's kernel; none where there is none.
    pub fn kernel_debuginfo(&self) -> Option<&Debuginfo> {
        let debuginfo = self.needs.as_ref()?.debuginfo.as_ref()?;
        let left_out = self.kernel.options.contains(&debuginfo.option);
        (self.kernel.kind.is_patched() && !left_out).then_some(debuginfo)
    }

    /// The target as far as it decides what comes out and whether it holds: without what it takes to build it.
    pub fn without_needs(&self) -> Self {
        Self {
            needs: None,
            ..self.clone()
        }
    }
}
