//! Reading a dnf repository's metadata, as far as finding a source package needs it.

use std::io::BufRead;

use lustre_repodata::document::{Attributes, Visit, visit};

use crate::store::Digest;

/// A file that `repomd.xml` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataFile {
    /// What it is: `primary`, `filelists`, `modules` and so on.
    pub kind: String,
    /// Its path in the repository.
    pub href: String,
    /// Its digest as it is there, compressed.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// A source package that `primary.xml` lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SourcePackage {
    pub name: String,
    pub epoch: String,
    pub version: String,
    pub release: String,
    /// Its path in the repository, or a URL.
    pub href: String,
    pub size: u64,
    pub sha256: Option<Digest>,
}

impl SourcePackage {
    pub(crate) fn evr(&self) -> rpm_version::Evr<'_> {
        rpm_version::Evr::new(
            self.epoch.as_str(),
            self.version.as_str(),
            self.release.as_str(),
        )
    }

    /// `name-version-release.src`, with the epoch where it is not 0.
    pub(crate) fn nevra(&self) -> String {
        let epoch = match self.epoch.as_str() {
            "" | "0" => String::new(),
            epoch => format!("{epoch}:"),
        };
        format!("{}-{epoch}{}-{}.src", self.name, self.version, self.release)
    }
}

/// The file of type `primary` in a `repomd.xml`.
pub(super) fn primary_of(repomd: &[u8]) -> Result<MetadataFile, String> {
    files_of(repomd, &["primary"])?
        .pop()
        .ok_or_else(|| "it lists no primary.xml".to_owned())
}

/// The files of a `repomd.xml` that are of one of these kinds, in its order; no kind twice.
pub(crate) fn files_of(repomd: &[u8], kinds: &[&str]) -> Result<Vec<MetadataFile>, String> {
    let mut files: Vec<MetadataFile> = Vec::new();
    let mut kind: Option<String> = None;
    let (mut href, mut sha256, mut size) = (None, None, None);
    walk(repomd, "repomd", &mut |path, start, text| {
        match (path, start) {
            (["repomd", "data"], Some(start)) => {
                kind = start
                    .optional("type")?
                    .filter(|kind| kinds.contains(&kind.as_str()));
                (href, sha256, size) = (None, None, None);
            }
            (["repomd", "data"], None) => {
                let Some(kind) = kind.take() else {
                    return Ok(());
                };
                if files.iter().any(|file| file.kind == kind) {
                    return Err(format!("it names {kind} twice"));
                }
                files.push(MetadataFile {
                    href: href.take().ok_or(format!("{kind} has no location"))?,
                    sha256: sha256
                        .take()
                        .ok_or(format!("it has no sha256 for {kind}"))?,
                    size: size.take(),
                    kind,
                });
            }
            (["repomd", "data", "location"], Some(start)) => {
                if let Some(kind) = &kind {
                    href = Some(location(start, kind)?);
                }
            }
            (["repomd", "data", "checksum"], Some(start)) => {
                let digest = start.optional("type")?.unwrap_or_default();
                if let Some(kind) = &kind
                    && digest != "sha256"
                {
                    return Err(format!(
                        "the checksum of {kind} is {digest}, and sha256 is needed"
                    ));
                }
            }
            (["repomd", "data", "checksum"], None) if kind.is_some() => {
                sha256 = Some(text.parse::<Digest>().map_err(|error| error.to_string())?);
            }
            (["repomd", "data", "size"], None) => size = text.parse().ok(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(files)
}

/// All source packages called `name` in a `primary.xml` (uncompressed).
pub(crate) fn source_packages(
    primary: impl BufRead,
    name: &str,
) -> Result<Vec<SourcePackage>, String> {
    let mut found = Vec::new();
    let mut package = SourcePackage::default();
    let mut arch = String::new();
    let mut checksum = String::new();
    walk(primary, "metadata", &mut |path, start, text| {
        let ["metadata", "package", rest @ ..] = path else {
            return Ok(());
        };
        match (rest, start) {
            ([], Some(_)) => {
                package = SourcePackage::default();
                arch.clear();
            }
            ([], None) if arch == "src" && package.name == name => {
                found.push(std::mem::take(&mut package));
            }
            (["name"], None) => package.name = text.to_owned(),
            (["arch"], None) => arch = text.to_owned(),
            (["version"], Some(start)) => {
                package.epoch = start.optional("epoch")?.unwrap_or_default();
                package.version = start.optional("ver")?.unwrap_or_default();
                package.release = start.optional("rel")?.unwrap_or_default();
            }
            (["checksum"], Some(start)) => {
                checksum = start.optional("type")?.unwrap_or_default();
            }
            (["checksum"], None) if checksum == "sha256" => {
                package.sha256 = Some(text.parse::<Digest>().map_err(|error| error.to_string())?);
            }
            (["size"], Some(start)) => {
                let size = start.optional("package")?.unwrap_or_default();
                package.size = size
                    .parse()
                    .map_err(|_| format!("`{size}` is not the size of a package"))?;
            }
            (["location"], Some(start)) => {
                package.href = location(start, &package.name)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Where a `location` says that `what` is: a path in the repository, or a URL on the web. A repository that is reached over the network
/// has no say in what is read on this machine.
fn location(start: &Attributes<'_>, what: &str) -> Result<String, String> {
    let href = start.optional("href")?.unwrap_or_default();
    let base = start.optional("base")?;
    web(what, base.as_deref(), &href)?;
    Ok(match base {
        Some(base) if !is_web(&href) => format!("{}/{href}", base.trim_end_matches('/')),
        _ => href,
    })
}

/// That a package or file with this `xml:base` and `href` is in the repository itself or on the web.
pub(crate) fn web(what: &str, base: Option<&str>, href: &str) -> Result<(), String> {
    for (attribute, value) in [("xml:base", base), ("href", Some(href))] {
        let Some(value) = value else { continue };
        let relative = attribute == "href" && !has_scheme(value) && !value.starts_with('/');
        if !relative && !is_web(value) {
            return Err(format!(
                "the {attribute} of {what} is `{value}`, which is neither http nor https: such metadata is for a disc or a single machine; \
                 use a copy with new metadata (createrepo_c)"
            ));
        }
    }
    Ok(())
}

/// Whether this is the URL of something on the web, by `http` or `https`.
fn is_web(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
            && !rest.is_empty()
    })
}

/// Whether a text begins as a URL does (RFC 3986): with letters, digits and a few signs before a colon.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Reads a document of repodata, and tells `tell` of its elements.
pub(super) fn walk(input: impl BufRead, root: &str, tell: &mut Visit<'_>) -> Result<(), String> {
    visit(input, root, tell).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_by_number_are_read_and_unknown_names_refused() {
        let xml = |name: &str| {
            format!(
                "<metadata><package type='rpm'><name>{name}</name><arch>src</arch>\
                 <location href='Packages/a&#43;b.rpm'/></package></metadata>"
            )
        };
        let found = source_packages(xml("ker&#110;e&#x6c;").as_bytes(), "kernel").unwrap();
        assert_eq!(found[0].href, "Packages/a+b.rpm");
        for (name, part) in [("a&nbsp;b", "`&nbsp;`"), ("a&#0;b", "invalid character")] {
            let error = source_packages(xml(name).as_bytes(), "kernel").unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn metadata_has_no_say_in_what_is_read_on_this_machine() {
        let xml = |location: &str| {
            format!(
                "<metadata><package type='rpm'><name>kernel</name><arch>src</arch><location {location}/></package></metadata>"
            )
        };
        for location in [
            "xml:base='file:///srv/other' href='k.rpm'",
            "xml:base='media://1234#1' href='k.rpm'",
            "xml:base='/srv' href='k.rpm'",
            "href='file:///etc/passwd'",
            "href='/etc/passwd'",
            "href='media:k.rpm'",
        ] {
            let error = source_packages(xml(location).as_bytes(), "kernel").unwrap_err();
            assert!(
                error.contains("neither http nor https") && error.contains("kernel"),
                "{location}: {error}"
            );
        }
        for (location, href) in [
            (
                "xml:base='https://other.example/x/' href='k.rpm'",
                "https://other.example/x/k.rpm",
            ),
            (
                "href='http://other.example/k.rpm'",
                "http://other.example/k.rpm",
            ),
            ("href='Packages/k:1.rpm'", "Packages/k:1.rpm"),
        ] {
            let found = source_packages(xml(location).as_bytes(), "kernel").unwrap();
            assert_eq!(found[0].href, href);
        }
        let repomd = format!(
            "<repomd><data type='primary'><checksum type='sha256'>{EMPTY}</checksum><location href='file:///x'/></data></repomd>"
        );
        let error = primary_of(repomd.as_bytes()).unwrap_err();
        assert!(error.contains("href of primary"), "{error}");
    }

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_nests_or_goes_on_without_end_is_refused() {
        let deep = "<repomd>".repeat(100_000);
        let error = files_of(deep.as_bytes(), &[]).unwrap_err();
        assert!(error.contains("more than 32 deep"), "{error}");
        for long in [
            format!("<repomd>{}", "x".repeat(17 << 20)),
            format!("<{}>", "x".repeat(17 << 20)),
        ] {
            let error = files_of(long.as_bytes(), &[]).unwrap_err();
            assert!(error.contains("longer than 16 MiB"), "{error}");
        }
    }

    #[test]
    fn repomd_is_read() {
        let repomd = |kind: &str| {
            format!(
                "<?xml version='1.0'?><repomd xmlns='http://linux.duke.edu/metadata/repo'><revision>1</revision>\
                 <data type='filelists'><checksum type='sha256'>00</checksum><location href='f'/></data>\
                 <data type='primary'><checksum type='{kind}'>{EMPTY}</checksum>\
                 <location href='repodata/p&amp;q.xml.gz'/><size>12</size></data></repomd>"
            )
        };
        assert_eq!(
            primary_of(repomd("sha256").as_bytes()),
            Ok(MetadataFile {
                kind: "primary".to_owned(),
                href: "repodata/p&q.xml.gz".to_owned(),
                sha256: EMPTY.parse().unwrap(),
                size: Some(12),
            })
        );
        let error = primary_of(repomd("sha").as_bytes()).unwrap_err();
        assert!(error.contains("sha256 is needed"), "{error}");
        let error = primary_of(b"<repomd></repomd>").unwrap_err();
        assert!(error.contains("no primary.xml"), "{error}");
        let error = primary_of(b"<repomd><data>").unwrap_err();
        assert!(
            error.contains("ends too early (byte 14, in /repomd/data)"),
            "{error}"
        );
        let error = primary_of(b"<html>404</html>").unwrap_err();
        assert!(
            error.contains("element `html`, expected one `repomd`"),
            "{error}"
        );
    }

    #[test]
    fn source_packages_are_found_and_binary_ones_not() {
        let package = |name: &str, arch: &str, release: &str| {
            format!(
                "<package type='rpm'><name>{name}</name><arch>{arch}</arch>\
                 <version epoch='0' ver='4.18.0' rel='{release}'/>\
                 <checksum type='sha256' pkgid='YES'>{EMPTY}</checksum><summary>a &lt; b</summary>\
                 <size package='77' installed='1' archive='2'/><location href='Packages/{name}.rpm'/>\
                 <format><rpm:name>other</rpm:name></format></package>"
            )
        };
        let xml = format!(
            "<metadata packages='3'>{}{}{}</metadata>",
            package("kernel", "src", "553.el8_10"),
            package("kernel", "x86_64", "600.el8_10"),
            package("kernel-rt", "src", "700.el8_10"),
        );
        let found = source_packages(xml.as_bytes(), "kernel").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].nevra(), "kernel-4.18.0-553.el8_10.src");
        assert_eq!(found[0].href, "Packages/kernel.rpm");
        assert_eq!((found[0].size, found[0].sha256), (77, EMPTY.parse().ok()));
    }
}
