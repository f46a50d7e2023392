//! Package groups (comps): what `dnf group install "Lustre Server"` installs.

use std::fmt::Write as _;

use quick_xml::escape::escape;

/// A description of groups that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the group id `{0}` may only have lower-case letters, digits and `-`")]
    Id(String),
    #[error("the group id `{0}` appears twice")]
    Twice(String),
    #[error("group `{group}`: the package `{package}` is listed twice")]
    Package { group: String, package: String },
}

/// The groups of a repository, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comps {
    /// The groups, in the order shown to users.
    groups: Vec<Group>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The id, such as `lustre-server`.
    pub id: String,
    /// The name, such as `Lustre Server`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Packages that the group always installs.
    pub mandatory: Vec<String>,
    /// Packages that it installs unless told otherwise.
    pub default: Vec<String>,
    /// Packages that it installs on request.
    pub optional: Vec<String>,
}

impl Comps {
    /// The groups, checked.
    pub fn new(groups: Vec<Group>) -> Result<Self, Error> {
        let comps = Self { groups };
        comps.check()?;
        Ok(comps)
    }

    fn check(&self) -> Result<(), Error> {
        let mut ids = std::collections::HashSet::new();
        for group in &self.groups {
            let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if group.id.is_empty() || !group.id.chars().all(usable) {
                return Err(Error::Id(group.id.clone()));
            }
            if !ids.insert(&group.id) {
                return Err(Error::Twice(group.id.clone()));
            }
            let mut packages = std::collections::HashSet::new();
            for package in group.packages().map(|(_, package)| package) {
                if !packages.insert(package) {
                    return Err(Error::Package {
                        group: group.id.clone(),
                        package: package.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The groups, in the order shown to users.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The comps XML that goes into repodata as `group`.
    pub fn to_xml(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">\n<comps>\n",
        );
        for group in &self.groups {
            let _ = write!(
                xml,
                "  <group>\n    <id>{}</id>\n    <name>{}</name>\n    <description>{}</description>\n    \
                 <default>false</default>\n    <uservisible>true</uservisible>\n    <packagelist>\n",
                escape(&group.id),
                escape(&group.name),
                escape(&group.description),
            );
            for (kind, package) in group.packages() {
                let _ = writeln!(
                    xml,
                    "      <packagereq type=\"{kind}\">{}</packagereq>",
                    escape(package)
                );
            }
            xml.push_str("    </packagelist>\n  </group>\n");
        }
        xml.push_str("</comps>\n");
        xml
    }
}

impl Group {
    /// Every package with its kind, mandatory ones first, each list in alphabetical order.
    pub fn packages<'a>(&'a self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let sorted = |kind: &'static str, list: &'a [String]| {
            let mut list: Vec<&'a str> = list.iter().map(String::as_str).collect();
            list.sort_unstable();
            list.into_iter().map(move |package| (kind, package))
        };
        sorted("mandatory", &self.mandatory)
            .chain(sorted("default", &self.default))
            .chain(sorted("optional", &self.optional))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group {
            id: "lustre-server".to_owned(),
            name: "Lustre Server".to_owned(),
            description: "Kernel & tools".to_owned(),
            mandatory: ["lustre", "kernel"].map(str::to_owned).into(),
            default: Vec::new(),
            optional: vec!["lustre-tests".to_owned()],
        }
    }

    #[test]
    fn groups_become_comps() {
        let xml = Comps::new(vec![group()]).unwrap().to_xml();
        let lines: Vec<&str> = xml.lines().map(str::trim).collect();
        assert!(lines.contains(&"<description>Kernel &amp; tools</description>"));
        let packages: Vec<&&str> = lines
            .iter()
            .filter(|l| l.starts_with("<packagereq"))
            .collect();
        assert_eq!(
            packages,
            [
                &"<packagereq type=\"mandatory\">kernel</packagereq>",
                &"<packagereq type=\"mandatory\">lustre</packagereq>",
                &"<packagereq type=\"optional\">lustre-tests</packagereq>",
            ]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let error = |groups| Comps::new(groups).unwrap_err().to_string();
        let mut twice = group();
        twice.optional = vec!["lustre".to_owned()];
        assert!(error(vec![twice]).contains("`lustre` is listed twice"));
        let mut named = group();
        named.id = "Lustre Server".to_owned();
        assert!(error(vec![named]).contains("group id"));
        assert!(error(vec![group(), group()]).contains("appears twice"));
    }
}
