//! The repositories of an existing distribution: where they are, and which keys sign them.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::one_or_more::OneOrMore;
use super::syntax::{fingerprint, inside};
use crate::source::Location;

/// One repository of a distribution, as dnf knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRepository {
    /// Its id; in a table of repositories, its key there.
    #[serde(default)]
    pub id: String,
    /// Where it is: URLs, tried in this order, with `$NAME` for the distribution's variables and `$basearch`. Live trees move to a vault
    /// within days of the next release: both belong here.
    pub baseurl: OneOrMore,
    /// True for one that has source packages.
    #[serde(default)]
    pub source: bool,
    /// False for one that a target inherits and has no use for.
    #[serde(default = "enabled", skip_serializing_if = "Clone::clone")]
    pub enabled: bool,
    /// Packages that it is read for: where the target asks for none of them, the repository is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_for: Vec<String>,
    /// The names of the keys that sign its packages, in the distribution's `keys`.
    pub key: OneOrMore,
    /// True where one of these keys signs the metadata as well (`repomd.xml.asc`). Otherwise only the signatures of the packages say
    /// where they are from, and nothing says that the metadata is of today.
    pub signed_metadata: bool,
    /// The certificate that its server asks for: a file in PEM, or a folder with pairs of `NUMBER.pem` and `NUMBER-key.pem`, as
    /// subscription-manager keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sslclientcert: Option<String>,
    /// That certificate's key: a file, or the same folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sslclientkey: Option<String>,
    /// The file of the authorities that the server's own certificate is by, where these are not the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sslcacert: Option<String>,
    /// What it is needed for.
    pub why: String,
}

fn enabled() -> bool {
    true
}

/// Repositories as a list, each with its `id`, or as a table by id, which a target can lay single keys over.
pub(super) fn by_id<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<BaseRepository>, D::Error> {
    struct Repositories;
    impl<'de> Visitor<'de> for Repositories {
        type Value = Vec<BaseRepository>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("repositories, as a list or as a table by id")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                all.push(one);
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((id, mut one)) = table.next_entry::<String, BaseRepository>()? {
                if !one.id.is_empty() && one.id != id {
                    return Err(A::Error::custom(format!(
                        "the repository `{id}` says that its id is `{}`",
                        one.id
                    )));
                }
                one.id = id;
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Repositories)
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its fingerprint, 40 upper-case hexadecimal digits: what counts, wherever the key is from.
    pub fingerprint: String,
    /// Its file under `specs/`. Where it is not there, it is fetched once.
    pub file: String,
    /// Where the distribution publishes it.
    pub url: String,
}

impl KeyFile {
    /// What has to hold of the key that stands at `place` in a target.
    pub(super) fn check(&self, place: &str) -> Result<(), String> {
        fingerprint(&format!("{place}.fingerprint"), &self.fingerprint)?;
        inside(&format!("{place}.file"), &self.file)?;
        web(&format!("{place}.url"), &self.url)
    }
}

/// A location that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the baseurl `{baseurl}` of the repository `{repository}` contains `${variable}`, which is not one of the distribution's variables ({})", known.join(", ")
)]
pub struct UnknownVariable {
    /// The repository.
    pub repository: String,
    /// Its baseurl.
    pub baseurl: String,
    /// The name behind the `$`.
    pub variable: String,
    /// The variables there are.
    pub known: Vec<String>,
}

impl BaseRepository {
    /// Whether `wanted`, the packages that a target names of its distribution, are a reason to read it.
    pub fn is_used(&self, wanted: &BTreeSet<&str>) -> bool {
        self.enabled
            && (self.only_for.is_empty()
                || self
                    .only_for
                    .iter()
                    .any(|one| wanted.contains(one.as_str())))
    }
}

impl BaseRepository {
    pub(super) fn check_certificates(&self) -> Result<(), String> {
        for (name, path) in [
            ("sslclientcert", &self.sslclientcert),
            ("sslclientkey", &self.sslclientkey),
            ("sslcacert", &self.sslcacert),
        ] {
            if let Some(path) = path
                && !path.starts_with('/')
            {
                return Err(format!(
                    "the {name} of the repository `{}` is the absolute path of a file on the host, not `{path}`",
                    self.id
                ));
            }
        }
        if self.sslclientcert.is_some() != self.sslclientkey.is_some() {
            return Err(format!(
                "the repository `{}` has one of sslclientcert and sslclientkey: both are needed, or neither",
                self.id
            ));
        }
        Ok(())
    }
}

pub(super) fn web(what: &str, url: &str) -> Result<(), String> {
    let location = Location::parse(url).map_err(|why| format!("{what}: {why}"))?;
    if location.is_https() {
        return Ok(());
    }
    Err(format!(
        "{what} is an https URL, not `{url}`; for another location, use --mirror"
    ))
}
