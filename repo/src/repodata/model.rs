//! What repodata says about a package.

use std::cmp::Ordering;
use std::fmt;

use super::repomd::Repomd;

/// A repository's metadata, as [`read`](super::read) gives it.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The index, `repomd.xml`.
    pub repomd: Repomd,
    /// The packages in the order of `primary.xml`.
    pub packages: Vec<Package>,
}

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
    /// Where the RPM is, relative to the repository's root.
    pub location: String,
    /// The licence expression.
    pub license: String,
    /// The vendor.
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
    /// What it provides.
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

/// One capability of a relation: `kernel(sym) = 0x1234`, `/bin/sh`, `(a or b)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Entry {
    /// The capability, path or rich expression.
    pub name: String,
    /// How the version compares; none for any version.
    pub flags: Option<Flag>,
    /// The version; none for any version.
    pub evr: Option<Evr>,
    /// Needed before the package's scripts run (requires only).
    pub pre: bool,
}

impl Entry {
    /// Whether the version ranges of two entries have a version in common; the names are the caller's to compare.
    ///
    /// rpm's rule: an entry without version matches every version, and where either side has no release, releases are
    /// not compared.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some(flags), Some(evr)) = (self.flags, &self.evr) else {
            return true;
        };
        let (Some(other_flags), Some(other_evr)) = (other.flags, &other.evr) else {
            return true;
        };
        match evr.compare_as_dependency(other_evr) {
            Ordering::Less => flags.allows_greater() || other_flags.allows_less(),
            Ordering::Greater => flags.allows_less() || other_flags.allows_greater(),
            Ordering::Equal => {
                (flags.allows_equal() && other_flags.allows_equal())
                    || (flags.allows_less() && other_flags.allows_less())
                    || (flags.allows_greater() && other_flags.allows_greater())
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let (Some(flags), Some(evr)) = (self.flags, &self.evr) {
            write!(f, " {} {evr}", flags.operator())?;
        }
        Ok(())
    }
}

/// How an entry's version compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Below the version.
    Lt,
    /// At or below the version.
    Le,
    /// The version.
    Eq,
    /// At or above the version.
    Ge,
    /// Above the version.
    Gt,
}

impl Flag {
    /// The flag as repodata writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lt => "LT",
            Self::Le => "LE",
            Self::Eq => "EQ",
            Self::Ge => "GE",
            Self::Gt => "GT",
        }
    }

    /// The flag that repodata writes as `text`.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "LT" => Self::Lt,
            "LE" => Self::Le,
            "EQ" => Self::Eq,
            "GE" => Self::Ge,
            "GT" => Self::Gt,
            _ => return None,
        })
    }

    /// The flag in the lowest bits of an RPM header's dependency flags (`RPMSENSE_LESS` 2, `GREATER` 4, `EQUAL` 8).
    #[must_use]
    pub const fn from_sense(sense: u32) -> Option<Self> {
        Some(match sense & 0xf {
            2 => Self::Lt,
            4 => Self::Gt,
            8 => Self::Eq,
            10 => Self::Le,
            12 => Self::Ge,
            _ => return None,
        })
    }

    /// The flag as people write it.
    #[must_use]
    pub const fn operator(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Eq => "=",
            Self::Ge => ">=",
            Self::Gt => ">",
        }
    }

    const fn allows_less(self) -> bool {
        matches!(self, Self::Lt | Self::Le)
    }

    const fn allows_equal(self) -> bool {
        matches!(self, Self::Le | Self::Eq | Self::Ge)
    }

    const fn allows_greater(self) -> bool {
        matches!(self, Self::Ge | Self::Gt)
    }
}

/// Epoch, version and release. The order is rpm's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Evr {
    /// The epoch; 0 where none is given.
    pub epoch: u32,
    /// The version.
    pub version: String,
    /// The release; a dependency may come without.
    pub release: Option<String>,
}

impl Evr {
    /// Reads `[epoch:]version[-release]`. None where the text is empty or the epoch is not a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let (epoch, rest) = match text.split_once(':') {
            None => (0, text),
            Some(("", rest)) => (0, rest),
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
        };
        let (version, release) = match rest.split_once('-') {
            None => (rest, None),
            Some((version, "")) => (version, None),
            Some((version, release)) => (version, Some(release.to_owned())),
        };
        Some(Self {
            epoch,
            version: version.to_owned(),
            release,
        })
    }

    /// rpm's comparison of two packages' versions. Differently written versions can be equal (`1.0` and `1.00`), so
    /// this is not the order of `Ord`.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.as_rpm(true).cmp(&other.as_rpm(true))
    }

    /// rpm's comparison of two dependencies' versions: where either has no release, releases are not compared.
    #[must_use]
    pub fn compare_as_dependency(&self, other: &Self) -> Ordering {
        let with_release = self.release.is_some() && other.release.is_some();
        self.as_rpm(with_release).cmp(&other.as_rpm(with_release))
    }

    fn as_rpm(&self, with_release: bool) -> rpm_version::Evr<'_> {
        let release = self.release.as_deref().filter(|_| with_release);
        rpm_version::Evr::new(
            std::borrow::Cow::Owned(self.epoch.to_string()),
            self.version.as_str().into(),
            release.unwrap_or_default().into(),
        )
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        match &self.release {
            Some(release) => write!(f, "-{release}"),
            None => Ok(()),
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
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        let mut words = text.split(' ');
        let flags = match words.next() {
            Some("<") => Flag::Lt,
            Some("<=") => Flag::Le,
            Some("=") => Flag::Eq,
            Some(">=") => Flag::Ge,
            Some(">") => Flag::Gt,
            _ => return Entry::default(),
        };
        Entry {
            flags: Some(flags),
            evr: Evr::parse(words.next().unwrap()),
            ..Entry::default()
        }
    }

    #[test]
    fn evr_text() {
        let evr = Evr::parse("1:2.3-4.el8").unwrap();
        assert_eq!((evr.epoch, evr.version.as_str()), (1, "2.3"));
        assert_eq!(evr.release.as_deref(), Some("4.el8"));
        assert_eq!(evr.to_string(), "1:2.3-4.el8");
        assert_eq!(Evr::parse("2.3-").unwrap().release, None);
        assert_eq!(Evr::parse(":7").unwrap().epoch, 0);
        assert_eq!(Evr::parse(""), None);
        assert_eq!(Evr::parse("x:1"), None);
    }

    #[test]
    fn evr_order() {
        let cmp = |a: &str, b: &str| Evr::parse(a).unwrap().compare(&Evr::parse(b).unwrap());
        assert_eq!(
            cmp("4.18.0-553.22.1.el8_lustre", "4.18.0-553.22.1.el8_10"),
            Ordering::Less
        );
        assert_eq!(
            cmp("4.18.0-553.22.1.el8_10_lustre", "4.18.0-553.22.1.el8_10"),
            Ordering::Greater
        );
        assert_eq!(cmp("1:1-1", "2-1"), Ordering::Greater);
        assert_eq!(cmp("1.0~rc1-1", "1.0-1"), Ordering::Less);
        assert_eq!(cmp("1.00-1", "1.0-1"), Ordering::Equal);
    }

    #[test]
    fn ranges() {
        for (a, b, overlap) in [
            ("= 1-1", "= 1", true),
            ("= 1-1", "= 1-2", false),
            (">= 2", "= 1-9", false),
            (">= 2", "= 2-0.1", true),
            ("> 2", "= 2-1", false),
            ("< 2", "> 2", false),
            ("< 2", "> 1", true),
            ("<= 2", ">= 2", true),
            ("< 2", "<= 2", true),
            ("any", "= 2", true),
        ] {
            assert_eq!(entry(a).overlaps(&entry(b)), overlap, "{a} with {b}");
            assert_eq!(entry(b).overlaps(&entry(a)), overlap, "{b} with {a}");
        }
    }
}
