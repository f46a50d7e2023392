//! `updateinfo.xml`: what a distribution says of its updates.

use std::io::BufRead;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::repodata::walk;

/// What an advisory may be for; dnf knows no other.
pub(crate) const KINDS: [&str; 4] = ["security", "bugfix", "enhancement", "newpackage"];

/// Reads what an advisory of a lock is for.
fn kind<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let kind = String::deserialize(reader)?;
    match KINDS.contains(&kind.as_str()) {
        true => Ok(kind),
        false => Err(D::Error::custom(format!(
            "an advisory is for {}, not `{}`",
            KINDS.join(", "),
            kind.escape_debug()
        ))),
    }
}

/// A distribution's advisory.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// Its name: `RLSA-2026:0001`.
    pub id: String,
    /// What it is for: `security`, `bugfix`, `enhancement` or `newpackage`.
    #[serde(deserialize_with = "kind")]
    pub kind: String,
    /// How grave it is, where the distribution says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it is, in a few words.
    pub title: String,
    /// When it was issued, as the distribution writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<String>,
    /// The CVEs that it is about, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<String>,
    /// The packages that have what it is about, as name and `version-release`; a lock does not keep them.
    #[serde(skip)]
    pub packages: Vec<(String, String)>,
}

/// The advisories that are about a package called by one of `names`, with these packages alone.
pub(crate) fn advisories(xml: impl BufRead, names: &[&str]) -> Result<Vec<Advisory>, String> {
    let mut found = Vec::new();
    let mut one = Advisory::default();
    walk(xml, "updates", &mut |path, start, text| {
        let ["updates", "update", rest @ ..] = path else {
            return Ok(());
        };
        let said = || Some(text.to_owned()).filter(|text| !text.is_empty());
        match (rest, start) {
            ([], Some(start)) => {
                one = Advisory {
                    kind: start.optional("type")?.unwrap_or_default(),
                    ..Advisory::default()
                };
            }
            ([], None) => {
                one.cves.sort();
                one.cves.dedup();
                one.packages.sort();
                one.packages.dedup();
                if !one.packages.is_empty() {
                    found.push(std::mem::take(&mut one));
                }
            }
            (["id"], None) => text.clone_into(&mut one.id),
            (["title"], None) => text.clone_into(&mut one.title),
            (["severity"], None) => one.severity = said(),
            (["issued"], Some(start)) => one.issued = start.optional("date")?,
            (["references", "reference"], Some(start))
                if start.optional("type")?.as_deref() == Some("cve") =>
            {
                one.cves.extend(start.optional("id")?);
            }
            (["pkglist", "collection", "package"], Some(start)) => {
                let value = |name| Ok::<_, String>(start.optional(name)?.unwrap_or_default());
                let name = value("name")?;
                if names.contains(&name.as_str()) && value("arch")? != "src" {
                    let version = format!("{}-{}", value("version")?, value("release")?);
                    one.packages.push((name, version));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advisory_is_of_the_packages_asked_for() {
        let xml = r#"<updates>
            <update type="security" status="final"><id>A-1</id><title>kernel &amp; more</title><severity>Important</severity>
              <issued date="2026-01-02 03:04:05"/>
              <references><reference type="cve" id="CVE-2" href="x"/><reference type="cve" id="CVE-1"/><reference type="self" id="A-1"/></references>
              <pkglist><collection><name>x</name>
                <package name="kernel-core" version="5" release="2" epoch="0" arch="x86_64"><filename>k.rpm</filename></package>
                <package name="kernel-core" version="5" release="2" arch="src"/>
                <package name="bash" version="1" release="1" arch="x86_64"/></collection></pkglist></update>
            <update type="bugfix"><id>A-2</id><severity/><pkglist><collection>
                <package name="bash" version="1" release="1" arch="x86_64"/></collection></pkglist></update></updates>"#;
        let found = advisories(xml.as_bytes(), &["kernel", "kernel-core"]).unwrap();
        assert_eq!(found.len(), 1);
        let one = &found[0];
        assert_eq!(
            (one.id.as_str(), one.kind.as_str(), one.title.as_str()),
            ("A-1", "security", "kernel & more")
        );
        assert_eq!(one.severity.as_deref(), Some("Important"));
        assert_eq!(one.cves, ["CVE-1", "CVE-2"]);
        assert_eq!(one.packages, [("kernel-core".to_owned(), "5-2".to_owned())]);
        let bash = advisories(xml.as_bytes(), &["bash"]).unwrap();
        assert_eq!((bash.len(), bash[1].severity.as_deref()), (2, None));
        assert!(advisories(&b"<updates><update>"[..], &[]).is_err());
    }
}
