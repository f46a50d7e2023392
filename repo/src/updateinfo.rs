//! `updateinfo.xml`: what an update mends, for `dnf updateinfo` and `dnf upgrade --security`.
//!
//! A function of the manifest alone: the advisories in it, with the packages of the stage that each is of.

use std::fmt::Write as _;

use lustre_sign::utc;
use quick_xml::escape::escape;

use crate::layout::Kind;
use crate::manifest::{Advisory, KnownFault, Manifest, Package};
use crate::release::parts;

/// The type of this metadata in `repomd.xml`.
pub const TYPE: &str = "updateinfo";

/// The file's name, before its digest is put in front of it.
pub const FILE: &str = "updateinfo.xml";

/// What our own advisories begin with.
const OWN: &str = "lustre-repo:";

/// The advisory of a fault that the packages of `stage` have mended, in a repository released at `time` (seconds since 1970). None for a
/// fault that stands.
pub fn of_fault(fault: &KnownFault, stage: &str, time: u64) -> Option<Advisory> {
    if fault.standing_word() != "mended" {
        return None;
    }
    let (kind, severity) = match fault.severity.as_str() {
        "security" => ("security", "Important"),
        "corruption" | "data-loss" => ("bugfix", "Critical"),
        "crash" | "hang" => ("bugfix", "Important"),
        _ => ("bugfix", "Moderate"),
    };
    Some(Advisory {
        id: format!("{OWN}{}", fault.ticket),
        kind: kind.to_owned(),
        severity: Some(severity.to_owned()),
        title: format!("Lustre: {}", fault.title),
        description: format!("{} ({}): {}", fault.ticket, fault.severity, fault.standing),
        issued: Some(date(time)),
        cves: Vec::new(),
        stage: stage.to_owned(),
    })
}

/// A time as this metadata has it.
fn date(seconds: u64) -> String {
    utc(seconds)
        .replace('T', " ")
        .trim_end_matches('Z')
        .to_owned()
}

/// The metadata of the repository with this manifest; none where it has no advisory of a package that servers install.
pub fn of(manifest: &Manifest) -> Option<String> {
    let name = manifest
        .repository
        .as_ref()
        .map_or(manifest.target.as_str(), |one| one.name.as_str());
    let mut all = manifest.advisories.clone();
    all.sort();
    let texts: Vec<String> = all
        .iter()
        .filter_map(|one| update(one, name, &manifest.packages))
        .collect();
    if texts.is_empty() {
        return None;
    }
    let body = texts.concat();
    Some(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n{body}</updates>\n"
    ))
}

/// One advisory; none where no package has it.
fn update(advisory: &Advisory, from: &str, packages: &[Package]) -> Option<String> {
    let folder = format!("{}/", Kind::Binary.folder());
    let list: Vec<String> = packages
        .iter()
        .filter(|one| one.stage == advisory.stage && one.file.starts_with(&folder))
        .filter_map(package)
        .collect();
    if list.is_empty() {
        return None;
    }
    let mut xml = format!(
        "  <update from=\"{}\" status=\"final\" type=\"{}\" version=\"1\">\n    <id>{}</id>\n    <title>{}</title>\n",
        escape(from),
        escape(&advisory.kind),
        escape(&advisory.id),
        escape(&advisory.title),
    );
    if let Some(issued) = &advisory.issued {
        for element in ["issued", "updated"] {
            let _ = writeln!(xml, "    <{element} date=\"{}\"/>", escape(issued));
        }
    }
    if let Some(severity) = &advisory.severity {
        let _ = writeln!(xml, "    <severity>{}</severity>", escape(severity));
    }
    let _ = writeln!(
        xml,
        "    <description>{}</description>\n    <references>",
        escape(&advisory.description)
    );
    for cve in &advisory.cves {
        let cve = escape(cve);
        let _ = writeln!(
            xml,
            "      <reference href=\"https://www.cve.org/CVERecord?id={cve}\" id=\"{cve}\" title=\"{cve}\" type=\"cve\"/>"
        );
    }
    let _ = writeln!(
        xml,
        "    </references>\n    <pkglist>\n      <collection short=\"{}\">\n        <name>{}</name>",
        escape(&advisory.stage),
        escape(from)
    );
    xml.extend(list);
    xml.push_str("      </collection>\n    </pkglist>\n  </update>\n");
    Some(xml)
}

/// A package of an advisory.
fn package(package: &Package) -> Option<String> {
    let ((name, arch), evr) = parts(&package.nevra)?;
    let file = package.file.rsplit('/').next()?;
    Some(format!(
        "        <package name=\"{}\" version=\"{}\" release=\"{}\" epoch=\"{}\" arch=\"{}\">\n          \
         <filename>{}</filename>\n          <sum type=\"sha256\">{}</sum>\n        </package>\n",
        escape(name),
        escape(evr.version.as_str()),
        escape(evr.release.as_deref().unwrap_or_default()),
        evr.epoch,
        escape(arch),
        escape(file),
        escape(&package.sha256),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Repository;

    fn fault(severity: &str, standing: &str) -> KnownFault {
        KnownFault {
            ticket: "LU-7".to_owned(),
            severity: severity.to_owned(),
            title: "names are lost".to_owned(),
            standing: standing.to_owned(),
        }
    }

    #[test]
    fn only_a_mended_fault_is_an_advisory() {
        for standing in ["open", "accepted: we never do that"] {
            assert_eq!(of_fault(&fault("corruption", standing), "lustre", 0), None);
        }
        for (severity, kind, grave) in [
            ("security", "security", "Important"),
            ("corruption", "bugfix", "Critical"),
            ("data-loss", "bugfix", "Critical"),
            ("hang", "bugfix", "Important"),
            ("wrong-result", "bugfix", "Moderate"),
        ] {
            let fault = fault(severity, "mended by lustre/2.17:edit");
            let one = of_fault(&fault, "lustre", 1_767_323_045).unwrap();
            assert_eq!(
                (one.kind.as_str(), one.severity.as_deref()),
                (kind, Some(grave))
            );
            assert_eq!(one.id, "lustre-repo:LU-7");
            assert_eq!(one.issued.as_deref(), Some("2026-01-02 03:04:05"));
            assert!(one.description.contains("mended by lustre/2.17:edit"));
        }
    }

    fn one(nevra: &str, folder: &str, stage: &str) -> Package {
        Package {
            nevra: nevra.to_owned(),
            file: format!("{folder}/Packages/{nevra}.rpm"),
            stage: stage.to_owned(),
            ..Package::default()
        }
    }

    #[test]
    fn an_advisory_has_the_packages_of_its_stage_that_servers_install() {
        let advisory = |id: &str, stage: &str| Advisory {
            id: id.to_owned(),
            kind: "security".to_owned(),
            title: "a & b".to_owned(),
            stage: stage.to_owned(),
            cves: vec!["CVE-2026-1".to_owned()],
            ..Advisory::default()
        };
        let mut manifest = Manifest {
            repository: Some(Repository {
                name: "Ours <1>".to_owned(),
                ..Repository::default()
            }),
            packages: vec![
                one("kernel-2:5-1.x86_64", "x86_64", "kernel"),
                one("kernel-2:5-1.src", "source", "kernel"),
                one("kernel-debuginfo-5-1.x86_64", "x86_64-debuginfo", "kernel"),
                one("lustre-2-1.x86_64", "x86_64", "lustre"),
            ],
            advisories: vec![advisory("B", "kernel"), advisory("A", "lustre")],
            ..Manifest::default()
        };
        let text = of(&manifest).unwrap();
        assert!(text.find("<id>A</id>").unwrap() < text.find("<id>B</id>").unwrap());
        assert_eq!(text.matches("<package ").count(), 2, "{text}");
        for part in [
            "<package name=\"kernel\" version=\"5\" release=\"1\" epoch=\"2\" arch=\"x86_64\">",
            "from=\"Ours &lt;1&gt;\"",
            "<title>a &amp; b</title>",
            "id=\"CVE-2026-1\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Nobody can install what is not there.
        manifest.advisories = vec![advisory("C", "e2fsprogs")];
        assert_eq!(of(&manifest), None);
        manifest.advisories.clear();
        assert_eq!(of(&manifest), None);
    }
}
