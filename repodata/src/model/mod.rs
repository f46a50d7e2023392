//! What repodata says about a package.
//!
//! - here: the package, its relations and files. `entry`: one dependency, its version and what it matches.

mod entry;

use std::fmt;

pub use entry::{Entry, Evr, Flag};

/// The digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Checksum {
    /// The algorithm as repodata names it: `sha256`, `sha512`, …
    pub kind: String,
    /// The digest in lower-case hexadecimal.
    pub hex: String,
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.hex)
    }
}

/// One package: what `primary.xml`, `filelists.xml` and `other.xml` say of it together.
///
/// A text that the package does not have is empty, as in the XML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// The name, without version or architecture.
    pub name: String,
    /// The architecture; `src` for every source package, whatever machine it was made on.
    pub arch: String,
    /// Epoch, version and release.
    pub evr: Evr,
    /// The digest of the whole RPM file; repodata calls it the package's id.
    pub checksum: Checksum,
    /// One line on what the package is.
    pub summary: String,
    /// Several lines on what the package is.
    pub description: String,
    /// Who packaged it.
    pub packager: String,
    /// The home page.
    pub url: String,
    /// The RPM file's modification time, in seconds since 1970.
    pub time_file: i64,
    /// The build time, in seconds since 1970.
    pub time_build: i64,
    /// The RPM file's size in bytes.
    pub size_package: u64,
    /// The size of the installed files in bytes.
    pub size_installed: u64,
    /// The size of the unpacked payload in bytes; 0 where the package does not say.
    pub size_archive: u64,
    /// Where the RPM is, relative to the repository's root, or to `location_base`.
    pub location: String,
    /// The URL of another place that has the RPM (`xml:base`); empty where it is in the repository.
    pub location_base: String,
    /// The licence expression.
    pub license: String,
    pub vendor: String,
    /// The RPM group, a leftover that EL's macros still set.
    pub group: String,
    /// The host it was built on.
    pub buildhost: String,
    /// The file name of the source package; empty for a source package.
    pub sourcerpm: String,
    /// Offset of the first byte of the main header in the RPM file.
    pub header_start: u64,
    /// Offset of the first byte after the main header, where the payload starts.
    pub header_end: u64,
    pub provides: Vec<Entry>,
    /// What it requires; for a source package, what its build requires.
    pub requires: Vec<Entry>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Entry>,
    /// What it replaces.
    pub obsoletes: Vec<Entry>,
    /// Very weak dependencies.
    pub suggests: Vec<Entry>,
    /// Reverse very weak dependencies.
    pub enhances: Vec<Entry>,
    /// Weak dependencies.
    pub recommends: Vec<Entry>,
    /// Reverse weak dependencies.
    pub supplements: Vec<Entry>,
    /// Every file, directory and ghost.
    pub files: Vec<File>,
    /// The newest changelog entries, oldest first. [`read`](super::read) leaves this empty: nobody resolves
    /// dependencies with it.
    pub changelogs: Vec<Changelog>,
}

impl Package {
    /// Name, epoch (where it is not 0), version, release and architecture: `e2fsprogs-1.47.0-1.el8.x86_64`.
    #[must_use]
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr, self.arch)
    }

    /// The entries of one relation.
    #[must_use]
    pub fn relation(&self, relation: Relation) -> &[Entry] {
        match relation {
            Relation::Provides => &self.provides,
            Relation::Requires => &self.requires,
            Relation::Conflicts => &self.conflicts,
            Relation::Obsoletes => &self.obsoletes,
            Relation::Suggests => &self.suggests,
            Relation::Enhances => &self.enhances,
            Relation::Recommends => &self.recommends,
            Relation::Supplements => &self.supplements,
        }
    }

    /// As [`relation`](Self::relation), to change.
    pub fn relation_mut(&mut self, relation: Relation) -> &mut Vec<Entry> {
        match relation {
            Relation::Provides => &mut self.provides,
            Relation::Requires => &mut self.requires,
            Relation::Conflicts => &mut self.conflicts,
            Relation::Obsoletes => &mut self.obsoletes,
            Relation::Suggests => &mut self.suggests,
            Relation::Enhances => &mut self.enhances,
            Relation::Recommends => &mut self.recommends,
            Relation::Supplements => &mut self.supplements,
        }
    }
}

/// How a package relates to what an [`Entry`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// It has it.
    Provides,
    /// It needs it.
    Requires,
    /// It cannot be installed with it.
    Conflicts,
    /// It replaces it.
    Obsoletes,
    /// It would like it a little.
    Suggests,
    /// It would be liked by it a little.
    Enhances,
    /// It would like it.
    Recommends,
    /// It would be liked by it.
    Supplements,
}

impl Relation {
    /// All of them in the order of `primary.xml`.
    pub const ALL: [Self; 8] = [
        Self::Provides,
        Self::Requires,
        Self::Conflicts,
        Self::Obsoletes,
        Self::Suggests,
        Self::Enhances,
        Self::Recommends,
        Self::Supplements,
    ];

    /// The element's name in `primary.xml`, without its prefix `rpm:`.
    #[must_use]
    pub const fn element(self) -> &'static str {
        match self {
            Self::Provides => "provides",
            Self::Requires => "requires",
            Self::Conflicts => "conflicts",
            Self::Obsoletes => "obsoletes",
            Self::Suggests => "suggests",
            Self::Enhances => "enhances",
            Self::Recommends => "recommends",
            Self::Supplements => "supplements",
        }
    }
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    /// The absolute path; in a source package, the bare name.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
}

impl File {
    /// Whether `primary.xml` lists the file too: what packages commonly require by path.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        is_primary(&self.path)
    }
}

/// Whether a path belongs to the files that `primary.xml` lists.
pub(super) fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path == "/usr/lib/sendmail" || path.contains("bin/")
}

/// What a [`File`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A file, link or device in the payload.
    File,
    /// A directory.
    Dir,
    /// A file the package owns but does not carry.
    Ghost,
}

/// An entry of a package's changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changelog {
    /// Name, mail address and mostly a version.
    pub author: String,
    /// Seconds since 1970.
    pub date: i64,
    pub text: String,
}
