//! `lustre-repo.repo`: how a server's dnf finds the repository.

use std::fmt::Write as _;

use lustre_files::{help, shown_url};

use crate::layout::Kind;
use crate::{assets, key};

/// The name of the file under `/etc/yum.repos.d` and at the top of the repository.
pub const FILE: &str = "lustre-repo.repo";

/// The name of the public key's file under `/etc/pki/rpm-gpg` and at the top of the repository.
pub const KEY_FILE: &str = "RPM-GPG-KEY-lustre-repo";

/// The name of the next key's file in the same places.
pub const NEXT_KEY_FILE: &str = "RPM-GPG-KEY-lustre-repo-next";

/// The next key's path on a server that has the release package.
pub const NEXT_KEY_PATH: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo-next";

/// The key's path on a server that has the release package.
pub const KEY_PATH: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo";

/// The priority of our sections. Everything else has 99 unless a site says otherwise, and for packages of one name dnf
/// takes those of the smallest number, whatever their version: that is what keeps a later kernel of the distribution from
/// replacing ours (`docs/kernel-pinning.md`).
pub const PRIORITY: u8 = 50;

/// A repository file that cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error(
        "the base URL `{}` of the repository {what}{}",
        shown_url(url),
        help!("set the target's publish URL to http://…, https://… or file:///…")
    )]
    Url { url: String, what: &'static str },
    #[error(transparent)]
    Assets(#[from] assets::Error),
    #[error("the next key of the repository cannot be used: {0}")]
    NextKey(String),
    #[error("the title `{0}` of the repository has control characters")]
    Title(String),
}

/// What a `.repo` file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoFile {
    /// Where the tree is published, without a slash at the end: the folder that holds `x86_64/`.
    pub base_url: String,
    /// For people: `Lustre 2.17.0 for Rocky Linux 8.10`.
    pub title: String,
    /// The armored public key that will sign later releases, where servers are told of one.
    next_key: Option<String>,
    /// Where the packages are as assets, if they are: servers then read the metadata that say so.
    assets_url: Option<String>,
}

/// Where the file's `gpgkey` points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLocation {
    /// The file the release package installs.
    Installed,
    /// The key next to the published tree, for a `.repo` file fetched by itself.
    Published,
}

impl RepoFile {
    /// Checks the values and takes slashes off the URL's end.
    pub fn new(base_url: &str, title: &str) -> Result<Self, Error> {
        let error = |what| Error::Url {
            url: base_url.to_owned(),
            what,
        };
        let rest = ["https://", "http://", "file:///"]
            .iter()
            .find_map(|scheme| base_url.strip_prefix(scheme))
            .ok_or_else(|| error("has no scheme dnf can use"))?;
        if rest.trim_matches('/').is_empty() {
            return Err(error("names no host or folder"));
        }
        if base_url
            .chars()
            .any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(error("has blanks or control characters"));
        }
        if shown_url(base_url) != base_url {
            return Err(error("has a user name or password in it"));
        }
        if title.is_empty() || title.chars().any(char::is_control) {
            return Err(Error::Title(title.to_owned()));
        }
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            title: title.to_owned(),
            next_key: None,
            assets_url: None,
        })
    }

    /// With the armored public key that will sign later releases, if there is one: dnf takes both. Only the key itself is taken, written
    /// anew.
    pub fn with_next_key(self, next_key: Option<&str>) -> Result<Self, Error> {
        let next_key = next_key
            .map(key::published)
            .transpose()
            .map_err(|error| Error::NextKey(error.to_string()))?;
        Ok(Self { next_key, ..self })
    }

    /// With the URL of the assets that its packages are, if they are.
    pub fn with_assets(self, url: Option<&str>) -> Result<Self, Error> {
        let assets_url = url.map(assets::checked_url).transpose()?;
        Ok(Self {
            assets_url: assets_url.map(str::to_owned),
            ..self
        })
    }

    /// The URL of the assets that its packages are, if they are.
    #[must_use]
    pub fn assets_url(&self) -> Option<&str> {
        self.assets_url.as_deref()
    }

    /// The armored public key that will sign later releases, as it is published.
    #[must_use]
    pub fn next_key(&self) -> Option<&str> {
        self.next_key.as_deref()
    }

    /// The file's text: the main section on, debuginfo and source off.
    pub fn render(&self, location: KeyLocation) -> String {
        let (mut key, next) = match location {
            KeyLocation::Installed => (
                format!("file://{KEY_PATH}"),
                format!("file://{NEXT_KEY_PATH}"),
            ),
            KeyLocation::Published => (
                format!("{}/{KEY_FILE}", self.base_url),
                format!("{}/{NEXT_KEY_FILE}", self.base_url),
            ),
        };
        if self.next_key.is_some() {
            key = format!("{key} {next}");
        }
        let sections = [
            ("lustre", "", Kind::Binary, 1),
            ("lustre-debuginfo", " - debuginfo", Kind::Debuginfo, 0),
            ("lustre-source", " - source", Kind::Source, 0),
        ];
        let mut text = String::new();
        for (at, (id, suffix, kind, enabled)) in sections.into_iter().enumerate() {
            let folder = match self.assets_url {
                Some(_) => assets::folder(kind),
                None => kind.folder().to_owned(),
            };
            if at > 0 {
                text.push('\n');
            }
            let _ = write!(
                text,
                "[{id}]\nname={}{suffix}\nbaseurl={}/{folder}\nenabled={enabled}\ngpgcheck=1\nrepo_gpgcheck=1\n\
                 gpgkey={key}\nmodule_hotfixes=1\npriority={PRIORITY}\n",
                self.title, self.base_url
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_keys() {
        let file = RepoFile::new("https://repo.example.org/lustre/", "Lustre").unwrap();
        let text = file.render(KeyLocation::Installed);
        assert_eq!(text.matches("gpgcheck=1\nrepo_gpgcheck=1\n").count(), 3);
        assert_eq!(text.matches("enabled=1").count(), 1);
        assert!(text.contains("baseurl=https://repo.example.org/lustre/x86_64\nenabled=1"));
        assert!(text.contains("gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo"));
        let assets = file
            .clone()
            .with_assets(Some("https://github.com/a/b/releases/download"));
        let text = assets.unwrap().render(KeyLocation::Published);
        for folder in [
            "x86_64\nenabled=1",
            "x86_64-debuginfo\nenabled=0",
            "source\nenabled=0",
        ] {
            let line = format!("\nbaseurl=https://repo.example.org/lustre/assets/{folder}\n");
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains("gpgkey=https://repo.example.org/lustre/RPM-GPG-KEY-lustre-repo\n"));
        let error = file.clone().with_assets(Some("github.com/a")).unwrap_err();
        assert!(error.to_string().contains("https://"), "{error}");
        let text = file.render(KeyLocation::Published);
        assert!(text.contains("gpgkey=https://repo.example.org/lustre/RPM-GPG-KEY-lustre-repo\n"));
        let error = file.clone().with_next_key(Some("a key")).unwrap_err();
        assert!(matches!(error, Error::NextKey(_)), "{error}");
        let both = RepoFile {
            next_key: Some("a key".to_owned()),
            ..file
        };
        let text = both.render(KeyLocation::Published);
        let next = "/lustre/RPM-GPG-KEY-lustre-repo https://repo.example.org/lustre/RPM-GPG-KEY-lustre-repo-next\n";
        assert_eq!(text.matches(next).count(), 3);
    }

    #[test]
    fn what_would_break_the_file_is_refused() {
        for url in [
            "ftp://example.org/x",
            "repo.example.org",
            "https://",
            "file:///",
            "https://example.org/a b",
            "https://example.org/a\nenabled=0",
            "https://user:secret@example.org/",
        ] {
            let error = RepoFile::new(url, "Lustre").unwrap_err().to_string();
            assert!(
                !error.contains("secret") && !error.contains('\n'),
                "{error}"
            );
        }
        assert!(RepoFile::new("https://example.org", "a\nb").is_err());
    }
}
