//! Replacements given on the command line: `--source NAME=PATH[@REV]` and `--mirror FROM=TO`.

use std::path::PathBuf;
use std::str::FromStr;

use super::{BadLocation, Location};

/// `--source NAME=PATH[@REV]`: something local in place of a target's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The source's name in the target.
    pub name: String,
    /// A git clone or bare mirror, a folder, an archive or a source package.
    pub path: PathBuf,
    /// The revision to take from a git repository, in place of the one the target asks for.
    pub rev: Option<String>,
}

/// `--mirror FROM=TO`: another place for all that is below a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The beginning of the URLs that are replaced.
    pub from: Location,
    /// What comes in its place: a URL or a path.
    pub to: Location,
}

/// An argument that is no replacement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not `NAME=PATH` or `NAME=PATH@REV`.
    #[error("`{0}` is not NAME=PATH or NAME=PATH@REV")]
    Override(String),
    /// Not `FROM=TO`.
    #[error("`{0}` is not FROM=TO, with a URL as FROM and a URL or an absolute path as TO")]
    Mirror(String),
    /// `FROM=TO`, and one of the two is no location.
    #[error(transparent)]
    Location(#[from] BadLocation),
}

impl FromStr for Override {
    type Err = ParseError;

    /// A path that exists is taken whole, also with an `@` in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseError::Override(text.to_owned());
        let (name, place) = text.split_once('=').ok_or_else(bad)?;
        if name.is_empty() || place.is_empty() {
            return Err(bad());
        }
        let whole = PathBuf::from(place);
        let (path, rev) = match place.rsplit_once('@') {
            Some((path, rev)) if !whole.exists() => {
                if path.is_empty() || rev.is_empty() || rev.starts_with('-') {
                    return Err(bad());
                }
                (PathBuf::from(path), Some(rev.to_owned()))
            }
            _ => (whole, None),
        };
        Ok(Self {
            name: name.to_owned(),
            path,
            rev,
        })
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.path.display())?;
        self.rev.iter().try_for_each(|rev| write!(f, "@{rev}"))
    }
}

impl FromStr for Mirror {
    type Err = ParseError;

    /// The `=` that separates is the first with a URL or an absolute path after it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_place = |text: &str| {
            text.starts_with('/')
                || text.split_once("://").is_some_and(|(scheme, rest)| {
                    !rest.is_empty()
                        && !scheme.is_empty()
                        && scheme.chars().all(|c| c.is_ascii_alphanumeric())
                })
        };
        let (from, to) = text
            .match_indices('=')
            .map(|(at, _)| (&text[..at], &text[at + 1..]))
            .find(|(from, to)| is_place(from) && is_place(to))
            .ok_or_else(|| ParseError::Mirror(text.to_owned()))?;
        Ok(Self {
            from: Location::git(from)?,
            to: Location::git(to)?,
        })
    }
}

impl std::fmt::Display for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl Mirror {
    /// Whether it is for the location `text`.
    pub fn is_for(&self, text: &str) -> bool {
        let location = Location::git(text);
        location.is_ok_and(|location| location.moved(&self.from, &self.to).is_some())
    }
}

/// Where a location is really fetched from: the mirror with the longest beginning in common replaces it.
pub(super) fn rewrite(location: &Location, mirrors: &[Mirror]) -> Result<Location, BadLocation> {
    mirrors
        .iter()
        .filter_map(|mirror| Some((mirror, location.moved(&mirror.from, &mirror.to)?)))
        .max_by_key(|(mirror, _)| mirror.from.as_str().trim_end_matches('/').len())
        .map_or_else(|| Ok(location.clone()), |(_, moved)| moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_read() {
        let read = |text: &str| text.parse::<Override>();
        let with_rev = read("lustre=/no/such/clone@v2_17_0").unwrap();
        assert_eq!(with_rev.path, PathBuf::from("/no/such/clone"));
        assert_eq!(with_rev.rev.as_deref(), Some("v2_17_0"));
        assert_eq!(with_rev.to_string(), "lustre=/no/such/clone@v2_17_0");
        let dir = tempfile::Builder::new().prefix("a@b").tempdir().unwrap();
        let path = dir.path().display();
        let whole = read(&format!("lustre={path}")).unwrap();
        assert_eq!((whole.path.as_path(), whole.rev), (dir.path(), None));
        let both = read(&format!("lustre={path}@abc")).unwrap();
        assert_eq!(both.path.as_path(), dir.path());
        for bad in [
            "lustre",
            "=x",
            "lustre=",
            "lustre=@x",
            "lustre=x@--upload-pack",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_longest_mirror_wins_and_parts_are_whole() {
        let mirrors: Vec<Mirror> = [
            "https://a.example/=/srv/a mirror",
            "https://a.example/b?x=1=http://127.0.0.1:8000/b",
            "https://a.example/c=https://c.example/",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        for (location, wanted) in [
            ("https://a.example/x/y", "file:///srv/a%20mirror/x/y"),
            ("https://a.example/c/d", "https://c.example/d"),
            ("https://a.example/cc", "file:///srv/a%20mirror/cc"),
            ("https://a.example.org/c", "https://a.example.org/c"),
            ("https://a.example/b?x=1", "http://127.0.0.1:8000/b"),
            ("/srv/x", "file:///srv/x"),
        ] {
            let location = Location::parse(location).unwrap();
            assert_eq!(rewrite(&location, &mirrors).unwrap().as_str(), wanted);
        }
        assert!("https://a.example".parse::<Mirror>().is_err());
        assert!("https://a.example=relative".parse::<Mirror>().is_err());
        assert!("https://a.example=/srv/a\nb".parse::<Mirror>().is_err());
    }
}
