//! What the server answers: XML, of which no name is taken that is none, and no more entries than there can be.

use std::fmt::Display;

use lustre_repodata::document::{Attributes, visit};

use super::names::{self, Place};

/// No answer has more entries of a kind.
const MOST: usize = 100_000;

/// The files of a package's sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) srcmd5: Option<String>,
    /// `missing` where files are missing, which the entries are then.
    pub(super) error: Option<String>,
    /// Names with the MD5 of the content.
    pub(super) entries: Vec<(String, String)>,
}

/// What stands where for a repository and an architecture.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) repository: String,
    pub(super) arch: String,
    /// It is to be looked at anew, and what it says is not to be relied upon.
    pub(super) dirty: bool,
    pub(super) packages: Vec<Status>,
}

/// What stands where for a package.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) package: String,
    pub(super) code: String,
    pub(super) details: String,
}

/// A file that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binary {
    pub(super) name: String,
    pub(super) size: u64,
    /// When it was built.
    pub(super) mtime: Option<String>,
}

/// A build that is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) srcmd5: String,
    pub(super) code: String,
    /// When it began.
    pub(super) started: String,
}

/// What a package was built with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Buildenv {
    pub(super) place: Place,
    pub(super) srcmd5: String,
    pub(super) packages: Vec<Bdep>,
}

/// A package of a build root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bdep {
    pub(super) name: String,
    /// The MD5 over header and payload.
    pub(super) sigmd5: String,
}

/// A repository of a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) name: String,
    pub(super) arches: Vec<String>,
    /// Projects with their repositories, in the order in which packages are taken from them.
    pub(super) paths: Vec<(String, String)>,
}

/// An attribute that has to be there.
fn required(attributes: &Attributes<'_>, name: &str) -> Result<String, String> {
    let found = attributes.optional(name)?;
    found.ok_or_else(|| format!("the attribute `{name}` is missing"))
}

/// The same, that is a name of the kind `is`.
fn checked(
    attributes: &Attributes<'_>,
    name: &str,
    is: fn(&str) -> bool,
) -> Result<String, String> {
    let found = required(attributes, name)?;
    match is(&found) {
        true => Ok(found),
        false => Err(refused(name, &found)),
    }
}

fn refused(name: &str, found: &str) -> String {
    format!("`{name}` cannot be `{}`", names::line(found))
}

fn bounded<T>(list: &mut Vec<T>, one: T) -> Result<(), String> {
    if list.len() == MOST {
        return Err(format!("it has more than {MOST} entries"));
    }
    list.push(one);
    Ok(())
}

fn plain(error: impl Display) -> String {
    error.to_string()
}

/// Whether an answer is a page for people: HTML, behind what may be in front of it.
pub(super) fn is_web_page(bytes: &[u8]) -> bool {
    let mut text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    loop {
        text = text.trim_ascii_start();
        let skipped = [("<?", "?>"), ("<!--", "-->")]
            .iter()
            .find_map(|(from, to)| {
                let rest = text.strip_prefix(from.as_bytes())?;
                let end = rest
                    .windows(to.len())
                    .position(|end| end == to.as_bytes())?;
                rest.get(end + to.len()..)
            });
        match skipped {
            Some(rest) => text = rest,
            None => break,
        }
    }
    [&b"<!doctype html"[..], b"<html"].iter().any(|start| {
        let begins = text.get(..start.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(start))
    })
}

pub(super) fn directory(bytes: &[u8]) -> Result<Directory, String> {
    let mut found = Directory::default();
    visit(bytes, "directory", &mut |path, attributes, _| {
        let Some(attributes) = attributes else {
            return Ok(());
        };
        match path {
            ["directory"] => {
                found.srcmd5 = attributes.optional("srcmd5")?;
                found.error = attributes.optional("error")?;
            }
            ["directory", "entry"] => {
                let name = checked(attributes, "name", names::is_file)?;
                // The one of a list of packages has none.
                let md5 = attributes.optional("md5")?.unwrap_or_default();
                bounded(&mut found.entries, (name, md5))?;
            }
            _ => {}
        }
        Ok(())
    })
    .map_err(plain)?;
    Ok(found)
}

pub(super) fn results(bytes: &[u8]) -> Result<Vec<Standing>, String> {
    let mut found: Vec<Standing> = Vec::new();
    let mut packages = 0;
    visit(bytes, "resultlist", &mut |path, attributes, text| {
        match (path, attributes) {
            (["resultlist", "result"], Some(attributes)) => {
                let dirty = attributes.optional("dirty")?;
                let one = Standing {
                    repository: required(attributes, "repository")?,
                    arch: required(attributes, "arch")?,
                    dirty: dirty.is_some_and(|dirty| dirty != "false"),
                    packages: Vec::new(),
                };
                bounded(&mut found, one)?;
            }
            (["resultlist", "result", "status"], Some(attributes)) => {
                packages += 1;
                let standing = found.last_mut().filter(|_| packages <= MOST);
                let standing = standing.ok_or("it has too many packages")?;
                standing.packages.push(Status {
                    package: required(attributes, "package")?,
                    code: names::line(&required(attributes, "code")?),
                    details: String::new(),
                });
            }
            (["resultlist", "result", "status", "details"], None) => {
                let status = found.last_mut().and_then(|one| one.packages.last_mut());
                if let Some(status) = status {
                    status.details = names::line(text);
                }
            }
            _ => {}
        }
        Ok(())
    })
    .map_err(plain)?;
    Ok(found)
}

pub(super) fn binaries(bytes: &[u8]) -> Result<Vec<Binary>, String> {
    let mut found = Vec::new();
    visit(bytes, "binarylist", &mut |path, attributes, _| {
        let (["binarylist", "binary"], Some(attributes)) = (path, attributes) else {
            return Ok(());
        };
        let size = required(attributes, "size")?;
        let one = Binary {
            name: checked(attributes, "filename", names::is_file)?,
            size: size.parse().map_err(|_| refused("size", &size))?,
            mtime: attributes.optional("mtime")?,
        };
        bounded(&mut found, one)
    })
    .map_err(plain)?;
    Ok(found)
}

/// The size of the file `name`, of a list of one.
pub(super) fn size_of(bytes: &[u8], name: &str) -> Result<u64, String> {
    let mut found = None;
    visit(bytes, "directory", &mut |path, attributes, _| {
        if let (["directory", "entry"], Some(attributes)) = (path, attributes)
            && attributes.optional("name")?.as_deref() == Some(name)
        {
            let size = required(attributes, "size")?;
            found = Some(size.parse().map_err(|_| refused("size", &size))?);
        }
        Ok(())
    })
    .map_err(plain)?;
    found.ok_or_else(|| format!("it does not list {name}"))
}

/// The last build, of those that are listed from the first to the last.
pub(super) fn last_job(bytes: &[u8]) -> Result<Option<Job>, String> {
    let mut found = None;
    visit(bytes, "jobhistlist", &mut |path, attributes, _| {
        if let (["jobhistlist", "jobhist"], Some(attributes)) = (path, attributes) {
            found = Some(Job {
                srcmd5: attributes.optional("srcmd5")?.unwrap_or_default(),
                code: attributes.optional("code")?.unwrap_or_default(),
                started: attributes.optional("starttime")?.unwrap_or_default(),
            });
        }
        Ok(())
    })
    .map_err(plain)?;
    Ok(found)
}

pub(super) fn buildenv(bytes: &[u8]) -> Result<Buildenv, String> {
    let mut found = Buildenv::default();
    visit(bytes, "buildinfo", &mut |path, attributes, text| {
        match (path, attributes) {
            (["buildinfo"], Some(attributes)) => {
                let of = |name| attributes.optional(name).map(Option::unwrap_or_default);
                found.place.project = of("project")?;
                found.place.repository = of("repository")?;
                found.place.package = of("package")?;
            }
            (["buildinfo", "arch"], None) => found.place.arch = text.to_owned(),
            (["buildinfo", "srcmd5"], None) => found.srcmd5 = text.to_owned(),
            (["buildinfo", "error"], None) if !text.is_empty() => {
                return Err(format!("it says: {}", names::line(text)));
            }
            (["buildinfo", "bdep"], Some(attributes)) => {
                // It says no version: a package is known by its digest.
                let one = Bdep {
                    name: checked(attributes, "name", names::is_package_part)?,
                    sigmd5: checked(attributes, "hdrmd5", names::is_md5)?,
                };
                bounded(&mut found.packages, one)?;
            }
            _ => {}
        }
        Ok(())
    })
    .map_err(plain)?;
    Ok(found)
}

pub(super) fn repositories(bytes: &[u8]) -> Result<Vec<Repository>, String> {
    let mut found: Vec<Repository> = Vec::new();
    visit(bytes, "project", &mut |path, attributes, text| {
        match (path, attributes) {
            (["project", "repository"], Some(attributes)) => {
                let one = Repository {
                    name: required(attributes, "name")?,
                    ..Repository::default()
                };
                bounded(&mut found, one)?;
            }
            (["project", "repository", "path"], Some(attributes)) => {
                let path = (
                    required(attributes, "project")?,
                    required(attributes, "repository")?,
                );
                if let Some(last) = found.last_mut() {
                    bounded(&mut last.paths, path)?;
                }
            }
            (["project", "repository", "arch"], None) => {
                if let Some(last) = found.last_mut() {
                    bounded(&mut last.arches, text.to_owned())?;
                }
            }
            _ => {}
        }
        Ok(())
    })
    .map_err(plain)?;
    Ok(found)
}

/// What an answer says of an error; none where it is something else, a page for people for one.
pub(super) fn summary(bytes: &[u8]) -> Option<String> {
    let mut found = None;
    let read = visit(bytes, "status", &mut |path, attributes, text| {
        if let (["status", "summary"], None) = (path, attributes) {
            found = Some(text.to_owned());
        }
        Ok(())
    });
    read.ok().and(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let text = br#"<directory name="p" rev="3" srcmd5="d41d8cd98f00b204e9800998ecf8427e"><entry name="a.spec" md5="x" size="3"/></directory>"#;
        let found = directory(text).unwrap();
        assert_eq!(found.entries, [("a.spec".to_owned(), "x".to_owned())]);
        let text = br#"<resultlist state="1"><result project="p" repository="s" arch="x86_64" state="building" dirty="true">
            <status package="a" code="unresolvable"><details>nothing provides x</details></status><status package="b" code="succeeded"/></result></resultlist>"#;
        let found = results(text).unwrap();
        assert!(found[0].dirty);
        assert_eq!(found[0].packages[0].details, "nothing provides x");
        assert_eq!(found[0].packages[1].code, "succeeded");
        let text = br#"<buildinfo project="p" repository="s" package="a"><arch>x86_64</arch><srcmd5>d4</srcmd5>
            <bdep name="gcc" hdrmd5="d41d8cd98f00b204e9800998ecf8427e" project="base" repository="s"/>
            <bdep name="e" preinstall="1" hdrmd5="d41d8cd98f00b204e9800998ecf8427e"/></buildinfo>"#;
        let found = buildenv(text).unwrap();
        let names: Vec<&str> = found.packages.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["gcc", "e"]);
        assert_eq!(
            (found.place.arch.as_str(), found.srcmd5.as_str()),
            ("x86_64", "d4")
        );
        let text = br#"<status code="404"><summary>no such project</summary></status>"#;
        assert_eq!(summary(text).as_deref(), Some("no such project"));
        assert_eq!(summary(b"<html><body/></html>"), None);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["../x.rpm", "a/b", "", ".x", "a&#10;b"] {
            let text = format!("<binarylist><binary filename=\"{name}\" size=\"1\"/></binarylist>");
            assert!(binaries(text.as_bytes()).is_err(), "{name}");
            let text = format!("<directory><entry name=\"{name}\" md5=\"x\"/></directory>");
            assert!(directory(text.as_bytes()).is_err(), "{name}");
        }
        assert!(
            binaries(b"<binarylist><binary filename=\"a\" size=\"-1\"/></binarylist>").is_err()
        );
        for (name, md5) in [
            ("a b", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "d4"),
            ("a", "D41D8CD98F00B204E9800998ECF8427E"),
        ] {
            let text = format!(
                "<buildinfo><bdep name=\"{name}\" version=\"1\" release=\"1\" arch=\"x\" hdrmd5=\"{md5}\"/></buildinfo>"
            );
            assert!(buildenv(text.as_bytes()).is_err(), "{name} {md5}");
        }
        assert!(results(b"<html/>").is_err());
        assert!(results(b"<resultlist><result repository='a' arch='b'>").is_err());
    }
}
