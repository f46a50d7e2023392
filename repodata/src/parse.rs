//! `primary.xml` and `filelists.xml` to packages.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::path::{Component, Path};

use super::document::{self, Attributes, Elements, Fault, number};
use super::model::{Entry, Evr, File, FileKind, Flag, Package, Relation};

/// The packages of `primary.xml`, without their files: those are in `filelists.xml`.
pub(super) fn primary(source: impl BufRead) -> Result<Vec<Package>, Fault> {
    let mut parser = Primary::default();
    document::parse(source, "metadata", &mut parser)?;
    Ok(parser.packages)
}

/// The lists of `filelists.xml`.
pub(super) fn filelists(source: impl BufRead) -> Result<FileLists, Fault> {
    let mut parser = Filelists::default();
    document::parse(source, "filelists", &mut parser)?;
    Ok(FileLists(parser.lists))
}

/// What `filelists.xml` says, in its order.
pub(super) struct FileLists(Vec<FileList>);

/// The files of one package.
#[derive(Default)]
struct FileList {
    /// The package's id: the digest of its file.
    id: String,
    name: String,
    files: Vec<File>,
}

impl FileLists {
    /// Gives the packages of `primary.xml` their files.
    pub(super) fn add_to(self, packages: &mut [Package]) -> Result<(), String> {
        // Whoever writes metadata lists the packages in the same order here and there.
        let same_order = self.0.len() == packages.len()
            && (self.0.iter().zip(&*packages)).all(|(list, it)| list.id == it.checksum.hex);
        if same_order {
            for (list, package) in self.0.into_iter().zip(packages) {
                package.files = list.files;
            }
            return Ok(());
        }
        let mut by_id: HashMap<String, Vec<usize>> = HashMap::with_capacity(packages.len());
        for (index, package) in packages.iter().enumerate() {
            // The same RPM may be in the repository at two places.
            by_id
                .entry(package.checksum.hex.clone())
                .or_default()
                .push(index);
        }
        // Each of a package's places gets its list once, though it is listed for each of them.
        let mut listed = HashSet::new();
        for FileList { id, name, files } in self.0 {
            let Some(indexes) = by_id.remove(&id) else {
                if listed.contains(&id) {
                    continue;
                }
                return Err(format!(
                    "the package `{name}` with the id {id} is not in primary.xml"
                ));
            };
            if let [index] = indexes[..] {
                packages[index].files = files;
            } else {
                for index in indexes {
                    packages[index].files.clone_from(&files);
                }
            }
            listed.insert(id);
        }
        match by_id.values().flatten().min() {
            Some(index) => Err(format!(
                "the package {} of primary.xml has no list of files",
                packages[*index].nevra()
            )),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Primary {
    announced: Option<usize>,
    packages: Vec<Package>,
    package: Option<Package>,
    relation: Option<Relation>,
    /// The entries of the relation so far; in the end they take as much memory as they need.
    entries: Vec<Entry>,
}

impl Elements for Primary {
    fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if name == "package" {
            self.package = Some(Package::default());
            return Ok(());
        }
        let Some(package) = &mut self.package else {
            if name == "metadata" {
                self.announced = announced(attributes)?;
            }
            return Ok(());
        };
        match name {
            "version" => package.evr = version(attributes)?,
            "checksum" => package.checksum.kind = attributes.required("type")?,
            "time" => {
                package.time_file = attributes.number("file")?;
                package.time_build = attributes.number("build")?;
            }
            "size" => {
                package.size_package = attributes.number("package")?;
                package.size_installed = attributes.number("installed")?;
                package.size_archive = attributes.number("archive")?;
            }
            "location" => {
                package.location = attributes.required("href")?;
                package.location_base = attributes.optional("base")?.unwrap_or_default();
            }
            "header-range" => {
                package.header_start = attributes.number("start")?;
                package.header_end = attributes.number("end")?;
            }
            "entry" => {
                self.relation.ok_or("an entry outside of a relation")?;
                self.entries.push(entry(attributes)?);
            }
            _ => {
                if let Some(relation) = relation(name)
                    && let Some(around) = self.relation.replace(relation)
                {
                    return Err(format!(
                        "the relation `{name}` inside of the relation `{}`",
                        around.element()
                    ));
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str) -> Result<(), String> {
        let Some(package) = &mut self.package else {
            if name == "metadata" {
                return counted(self.announced, self.packages.len());
            }
            return Ok(());
        };
        let field = match name {
            "package" => {
                complete(package)?;
                self.packages.extend(self.package.take());
                return Ok(());
            }
            "name" => &mut package.name,
            "arch" => &mut package.arch,
            "checksum" => &mut package.checksum.hex,
            "summary" => &mut package.summary,
            "description" => &mut package.description,
            "packager" => &mut package.packager,
            "url" => &mut package.url,
            "license" => &mut package.license,
            "vendor" => &mut package.vendor,
            "group" => &mut package.group,
            "buildhost" => &mut package.buildhost,
            "sourcerpm" => &mut package.sourcerpm,
            _ => {
                if relation(name).is_some()
                    && let Some(relation) = self.relation.take()
                {
                    let all = package.relation_mut(relation);
                    all.append(&mut self.entries);
                }
                return Ok(());
            }
        };
        text.clone_into(field);
        Ok(())
    }
}

#[derive(Default)]
struct Filelists {
    announced: Option<usize>,
    lists: Vec<FileList>,
    list: Option<FileList>,
    kind: Option<FileKind>,
    /// The files of the package so far, as above.
    files: Vec<File>,
}

impl Elements for Filelists {
    fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match name {
            "filelists" => self.announced = announced(attributes)?,
            "package" => {
                self.list = Some(FileList {
                    id: attributes.required("pkgid")?,
                    name: attributes.optional("name")?.unwrap_or_default(),
                    files: Vec::new(),
                });
            }
            "file" => {
                self.kind = Some(match attributes.optional("type")?.as_deref() {
                    None | Some("" | "file") => FileKind::File,
                    Some("dir") => FileKind::Dir,
                    Some("ghost") => FileKind::Ghost,
                    Some(other) => return Err(format!("unknown type of file `{other}`")),
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "file" => {
                let kind = self.kind.take().ok_or("a file inside of a file")?;
                self.list.as_ref().ok_or("a file of no package")?;
                self.files.push(File {
                    path: text.to_owned(),
                    kind,
                });
            }
            "package" => {
                let files = self.files.drain(..).collect();
                let list = self.list.take();
                self.lists
                    .extend(list.map(|list| FileList { files, ..list }));
            }
            "filelists" => return counted(self.announced, self.lists.len()),
            _ => {}
        }
        Ok(())
    }
}

fn announced(attributes: &Attributes<'_>) -> Result<Option<usize>, String> {
    attributes
        .optional("packages")?
        .map(|text| number("packages", &text))
        .transpose()
}

fn counted(announced: Option<usize>, found: usize) -> Result<(), String> {
    match announced {
        Some(announced) if announced != found => Err(format!(
            "{announced} packages are announced, but {found} are listed"
        )),
        _ => Ok(()),
    }
}

fn version(attributes: &Attributes<'_>) -> Result<Evr, String> {
    let mut evr = Evr::default();
    attributes.each(|key, value| {
        match key {
            "epoch" if !value.is_empty() => evr.epoch = number(key, value)?,
            "ver" => evr.version = value.into(),
            "rel" => evr.release = Some(value.into()),
            _ => {}
        }
        Ok(())
    })?;
    Ok(evr)
}

fn entry(attributes: &Attributes<'_>) -> Result<Entry, String> {
    let mut entry = Entry::default();
    let mut evr = Evr::default();
    attributes.each(|key, value| {
        match key {
            "name" => entry.name = value.into(),
            "flags" => {
                let flag = Flag::from_text(value);
                entry.flags = Some(flag.ok_or_else(|| format!("unknown flags `{value}`"))?);
            }
            "epoch" if !value.is_empty() => evr.epoch = number(key, value)?,
            "ver" => evr.version = value.into(),
            "rel" if !value.is_empty() => evr.release = Some(value.into()),
            "pre" => entry.pre = value == "1",
            _ => {}
        }
        Ok(())
    })?;
    if entry.name.is_empty() {
        return Err("an entry without a name".to_owned());
    }
    if entry.flags.is_some() && !evr.version.is_empty() {
        entry.evr = Some(evr);
    }
    Ok(entry)
}

fn relation(element: &str) -> Option<Relation> {
    Relation::ALL
        .into_iter()
        .find(|relation| relation.element() == element)
}

fn complete(package: &Package) -> Result<(), String> {
    for (what, value) in [
        ("name", package.name.as_str()),
        ("arch", &package.arch),
        ("version", &package.evr.version),
        ("checksum", &package.checksum.hex),
        ("location", &package.location),
    ] {
        if value.is_empty() {
            return Err(format!("the package `{}` has no {what}", package.name));
        }
    }
    if !is_inside(&package.location) {
        return Err(format!(
            "the package `{}` has its location `{}` outside of the repository",
            package.name, package.location
        ));
    }
    Ok(())
}

/// Whether a location stays inside of the repository.
pub(super) fn is_inside(location: &str) -> bool {
    !location.is_empty()
        && Path::new(location)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm">
  <name>kmod-x</name>
  <arch>x86_64</arch>
  <version epoch="0" ver="1.0" rel="2.el8"/>
  <checksum type="sha256" pkgid="YES">aa</checksum>
  <summary>A &amp; B</summary>
  <description/>
  <time file="5" build="4"/>
  <size package="1" installed="2" archive="3"/>
  <location href="Packages/kmod-x.rpm"/>
  <format>
    <rpm:license>GPL</rpm:license>
    <rpm:header-range start="10" end="20"/>
    <rpm:provides>
      <rpm:entry name="kmod-x" flags="EQ" epoch="0" ver="1.0" rel="2.el8"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="kernel(a)" flags="GE" epoch="1" ver="0x12"/>
      <rpm:entry name="/bin/sh" pre="1"/>
    </rpm:requires>
    <file>/etc/x</file>
  </format>
</package>
</metadata>"#;

    const FILELISTS: &str = r#"<filelists packages="1">
<package pkgid="aa" name="kmod-x" arch="x86_64">
  <version epoch="0" ver="1.0" rel="2.el8"/>
  <file>/etc/x</file>
  <file type="dir">/lib/x</file>
  <file type="ghost">/run/x</file>
</package>
</filelists>"#;

    /// Adds the files of a document.
    fn add(document: &str, packages: &mut [Package]) -> Result<(), String> {
        let lists = filelists(document.as_bytes()).map_err(|fault| fault.to_string())?;
        lists.add_to(packages)
    }

    #[test]
    fn a_package() {
        let mut packages = primary(PRIMARY.as_bytes()).unwrap();
        add(FILELISTS, &mut packages).unwrap();
        let package = &packages[0];
        assert_eq!(package.nevra(), "kmod-x-1.0-2.el8.x86_64");
        assert_eq!(package.summary, "A & B");
        assert_eq!((package.header_start, package.header_end), (10, 20));
        assert_eq!(package.provides[0].to_string(), "kmod-x = 1.0-2.el8");
        assert_eq!(package.requires[0].to_string(), "kernel(a) >= 1:0x12");
        assert_eq!(package.requires[1].to_string(), "/bin/sh");
        assert!(package.requires[1].pre && !package.requires[0].pre);
        let kinds: Vec<_> = package.files.iter().map(|file| file.kind).collect();
        assert_eq!(kinds, [FileKind::File, FileKind::Dir, FileKind::Ghost]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (from, to, expected) in [
            (
                "packages=\"1\"",
                "packages=\"2\"",
                "2 packages are announced",
            ),
            ("Packages/kmod-x", "../kmod-x", "outside of the repository"),
            ("flags=\"GE\"", "flags=\"XX\"", "unknown flags `XX`"),
            ("build=\"4\"", "", "`build` is missing"),
            (">aa<", "><", "has no checksum"),
            (
                "</rpm:provides>",
                "<rpm:requires></rpm:requires></rpm:provides>",
                "the relation `requires` inside of the relation `provides`",
            ),
        ] {
            let error = primary(PRIMARY.replace(from, to).as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
        let packages = primary(PRIMARY.as_bytes()).unwrap();
        for (from, to, expected) in [
            ("pkgid=\"aa\"", "pkgid=\"bb\"", "is not in primary.xml"),
            ("type=\"dir\"", "type=\"x\"", "unknown type of file"),
            (
                "<package ",
                "<file>/a</file><package ",
                "a file of no package",
            ),
        ] {
            let error = add(&FILELISTS.replace(from, to), &mut packages.clone()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let empty = "<filelists packages=\"0\"/>";
        let error = add(empty, &mut packages.clone()).unwrap_err();
        assert!(error.contains("has no list of files"), "{error}");
    }

    #[test]
    fn a_package_at_two_places_is_listed_once_or_twice() {
        let one = primary(PRIMARY.as_bytes()).unwrap();
        let mut twice = [one.clone(), one].concat();
        add(FILELISTS, &mut twice).unwrap();
        assert_eq!(twice[0].files.len(), 3);
        assert_eq!(twice[0].files, twice[1].files);
        let (_, list) = FILELISTS.split_once('\n').unwrap();
        let listed = list.replace("</filelists>", "");
        let both = format!("<filelists packages=\"2\">{listed}{listed}</filelists>");
        let mut again = twice.clone();
        again[1].files.clear();
        add(&both, &mut again).unwrap();
        assert_eq!(again, twice);
    }

    #[test]
    fn locations() {
        assert!(is_inside("repodata/a.xml.gz"));
        assert!(is_inside("./Packages/a.rpm"));
        for outside in ["", "/etc/passwd", "../a", "a/../../b"] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
