//! Packages to XML, laid out as createrepo_c lays it out.

use std::fmt::Write;

use super::model::{Entry, FileKind, Package, Relation};
use super::repomd::Repomd;

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The three documents that hold packages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Document {
    Primary,
    Filelists,
    Other,
}

impl Document {
    pub(super) const ALL: [Self; 3] = [Self::Primary, Self::Filelists, Self::Other];

    /// The type in `repomd.xml`, and the file's name before `.xml`.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Filelists => "filelists",
            Self::Other => "other",
        }
    }

    /// Everything before the first package.
    pub(super) fn head(self, packages: usize) -> String {
        let (root, namespaces) = match self {
            Self::Primary => (
                "metadata",
                "xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
            ),
            Self::Filelists => (
                "filelists",
                "xmlns=\"http://linux.duke.edu/metadata/filelists\"",
            ),
            Self::Other => (
                "otherdata",
                "xmlns=\"http://linux.duke.edu/metadata/other\"",
            ),
        };
        format!("{XML}<{root} {namespaces} packages=\"{packages}\">\n")
    }

    /// Everything after the last package.
    pub(super) const fn tail(self) -> &'static str {
        match self {
            Self::Primary => "</metadata>",
            Self::Filelists => "</filelists>",
            Self::Other => "</otherdata>",
        }
    }

    /// One package.
    pub(super) fn package(self, package: &Package) -> String {
        match self {
            Self::Primary => primary(package),
            Self::Filelists => filelists(package),
            Self::Other => other(package),
        }
    }
}

fn primary(package: &Package) -> String {
    let mut xml = Xml::with_capacity(8 * 1024);
    xml.line(0, "package", &[("type", "rpm")], Body::Open);
    xml.text(1, "name", &package.name);
    xml.text(1, "arch", &package.arch);
    xml.version(package);
    let checksum = &package.checksum;
    xml.line(
        1,
        "checksum",
        &[("type", &checksum.kind), ("pkgid", "YES")],
        Body::Text(&checksum.hex),
    );
    xml.text(1, "summary", &package.summary);
    xml.text(1, "description", &package.description);
    xml.text(1, "packager", &package.packager);
    xml.text(1, "url", &package.url);
    let (file, build) = (
        package.time_file.to_string(),
        package.time_build.to_string(),
    );
    xml.line(1, "time", &[("file", &file), ("build", &build)], Body::None);
    let sizes = [
        package.size_package,
        package.size_installed,
        package.size_archive,
    ];
    let [size, installed, archive] = sizes.map(|size| size.to_string());
    let sizes = [
        ("package", &*size),
        ("installed", &installed),
        ("archive", &archive),
    ];
    xml.line(1, "size", &sizes, Body::None);
    xml.location(package);
    xml.line(1, "format", &[], Body::Open);
    xml.text(2, "rpm:license", &package.license);
    xml.text(2, "rpm:vendor", &package.vendor);
    xml.text(2, "rpm:group", &package.group);
    xml.text(2, "rpm:buildhost", &package.buildhost);
    xml.text(2, "rpm:sourcerpm", &package.sourcerpm);
    let (start, end) = (
        package.header_start.to_string(),
        package.header_end.to_string(),
    );
    let range = [("start", &*start), ("end", &end)];
    xml.line(2, "rpm:header-range", &range, Body::None);
    for relation in Relation::ALL {
        let entries = package.relation(relation);
        if !entries.is_empty() {
            let element = format!("rpm:{}", relation.element());
            xml.line(2, &element, &[], Body::Open);
            for entry in entries {
                xml.entry(entry);
            }
            xml.close(2, &element);
        }
    }
    xml.files(2, package, true);
    xml.close(1, "format");
    xml.close(0, "package");
    xml.0
}

fn filelists(package: &Package) -> String {
    let mut xml = Xml::with_capacity(2 * 1024);
    xml.head(package);
    xml.version(package);
    xml.files(1, package, false);
    xml.close(0, "package");
    xml.0
}

fn other(package: &Package) -> String {
    let mut xml = Xml::with_capacity(2 * 1024);
    xml.head(package);
    xml.version(package);
    for entry in &package.changelogs {
        let date = entry.date.to_string();
        let attributes = [("author", &*entry.author), ("date", &date)];
        xml.line(1, "changelog", &attributes, Body::Text(&entry.text));
    }
    xml.close(0, "package");
    xml.0
}

/// The line of `primary.xml` that says where a package is.
pub(super) fn location(package: &Package) -> String {
    let mut xml = Xml::default();
    xml.location(package);
    xml.0
}

/// `repomd.xml`.
pub(super) fn repomd(repomd: &Repomd) -> String {
    let mut xml = Xml(XML.to_owned());
    let namespaces = [
        ("xmlns", "http://linux.duke.edu/metadata/repo"),
        ("xmlns:rpm", "http://linux.duke.edu/metadata/rpm"),
    ];
    xml.line(0, "repomd", &namespaces, Body::Open);
    xml.text(1, "revision", &repomd.revision);
    for record in &repomd.records {
        xml.line(1, "data", &[("type", &record.kind)], Body::Open);
        for (element, checksum) in [
            ("checksum", Some(&record.checksum)),
            ("open-checksum", record.open_checksum.as_ref()),
        ] {
            if let Some(checksum) = checksum {
                let kind = [("type", &*checksum.kind)];
                xml.line(2, element, &kind, Body::Text(&checksum.hex));
            }
        }
        xml.line(2, "location", &[("href", &record.location)], Body::None);
        xml.text(2, "timestamp", &record.timestamp.to_string());
        for (element, size) in [("size", record.size), ("open-size", record.open_size)] {
            if let Some(size) = size {
                xml.text(2, element, &size.to_string());
            }
        }
        xml.close(1, "data");
    }
    xml.close(0, "repomd");
    xml.0
}

/// What is between an element's tags.
enum Body<'a> {
    /// Nothing: one tag.
    None,
    /// Other elements: only the first tag is written.
    Open,
    /// A text; two tags even where it is empty.
    Text(&'a str),
}

#[derive(Default)]
struct Xml(String);

impl Xml {
    /// With room for so many bytes, which most packages have no more of.
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    fn attribute(&mut self, key: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push_str("=\"");
        escape(&mut self.0, value, true);
        self.0.push('"');
    }

    fn line(&mut self, depth: usize, name: &str, attributes: &[(&str, &str)], body: Body<'_>) {
        self.indent(depth);
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.attribute(key, value);
        }
        match body {
            Body::Open => self.0.push_str(">\n"),
            Body::None => self.0.push_str("/>\n"),
            Body::Text(text) => {
                self.0.push('>');
                escape(&mut self.0, text, false);
                self.0.push_str("</");
                self.0.push_str(name);
                self.0.push_str(">\n");
            }
        }
    }

    fn text(&mut self, depth: usize, name: &str, text: &str) {
        self.line(depth, name, &[], Body::Text(text));
    }

    fn close(&mut self, depth: usize, name: &str) {
        self.indent(depth);
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "</{name}>");
    }

    fn indent(&mut self, depth: usize) {
        self.0.extend(std::iter::repeat_n("  ", depth));
    }

    /// The first tag of a package in filelists and other.
    fn head(&mut self, package: &Package) {
        let attributes = [
            ("pkgid", &*package.checksum.hex),
            ("name", &package.name),
            ("arch", &package.arch),
        ];
        self.line(0, "package", &attributes, Body::Open);
    }

    fn location(&mut self, package: &Package) {
        let own = ("href", &*package.location);
        let base = ("xml:base", &*package.location_base);
        match package.location_base.is_empty() {
            true => self.line(1, "location", &[own], Body::None),
            false => self.line(1, "location", &[base, own], Body::None),
        }
    }

    fn version(&mut self, package: &Package) {
        let epoch = package.evr.epoch.to_string();
        let attributes = [
            ("epoch", &*epoch),
            ("ver", &package.evr.version),
            ("rel", package.evr.release.as_deref().unwrap_or_default()),
        ];
        self.line(1, "version", &attributes, Body::None);
    }

    fn entry(&mut self, entry: &Entry) {
        self.indent(3);
        self.0.push_str("<rpm:entry");
        self.attribute("name", &entry.name);
        if let Some(flags) = entry.flags {
            self.attribute("flags", flags.as_str());
            if let Some(evr) = &entry.evr {
                // Writing to a String cannot fail.
                let _ = write!(self.0, " epoch=\"{}\"", evr.epoch);
                if !evr.version.is_empty() {
                    self.attribute("ver", &evr.version);
                }
                if let Some(release) = &evr.release {
                    self.attribute("rel", release);
                }
            }
        }
        if entry.pre {
            self.attribute("pre", "1");
        }
        self.0.push_str("/>\n");
    }

    fn files(&mut self, depth: usize, package: &Package, primary: bool) {
        for file in &package.files {
            if primary && !file.is_primary() {
                continue;
            }
            let kind: &[(&str, &str)] = match file.kind {
                FileKind::File => &[],
                FileKind::Dir => &[("type", "dir")],
                FileKind::Ghost => &[("type", "ghost")],
            };
            self.line(depth, "file", kind, Body::Text(&file.path));
        }
    }
}

/// Appends `text` so that a parser gives back the same, line ends and tabs included. Attributes are in ASCII, as
/// libxml2 writes them for createrepo_c, so that even the bytes are the same.
fn escape(out: &mut String, mut text: &str, attribute: bool) {
    let is_special = |byte: u8| match byte {
        b'<' | b'>' | b'&' | b'\r' => true,
        b'"' | b'\n' | b'\t' | 0x80.. => attribute,
        _ => false,
    };
    // Most texts have nothing of this, which is seen quickest by looking at all of it.
    if !text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        out.push_str(text);
        return;
    }
    // What is between is taken as a whole. What is special starts a character.
    while let Some(at) = text.bytes().position(is_special) {
        let (plain, rest) = text.split_at(at);
        out.push_str(plain);
        let mut rest = rest.chars();
        match rest.next() {
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('&') => out.push_str("&amp;"),
            Some('\r') => out.push_str("&#13;"),
            Some('"') => out.push_str("&quot;"),
            Some('\n') => out.push_str("&#10;"),
            Some('\t') => out.push_str("&#9;"),
            Some(other) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "&#x{:X};", u32::from(other));
            }
            None => {}
        }
        text = rest.as_str();
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::super::model::{Changelog, Checksum, Evr, File, Flag};
    use super::super::parse;
    use super::*;

    fn sample() -> Package {
        let entry = |name: &str, flags, evr: &str| Entry {
            name: name.into(),
            flags,
            evr: Evr::parse(evr),
            pre: false,
        };
        let file = |path: &str, kind| File {
            path: path.to_owned(),
            kind,
        };
        Package {
            name: "a".to_owned(),
            arch: "noarch".to_owned(),
            evr: Evr::parse("1:2-3").unwrap(),
            checksum: Checksum {
                kind: "sha256".to_owned(),
                hex: "ff".to_owned(),
            },
            summary: "<\"ä\" & 'b'>".to_owned(),
            description: "one\r\n\ttwo]]>".to_owned(),
            location: "Packages/a \"b\".rpm".to_owned(),
            provides: vec![entry("a", Some(Flag::Eq), "1:2-3")],
            requires: vec![
                Entry {
                    pre: true,
                    ..entry("/bin/sh", None, "")
                },
                entry("b", Some(Flag::Le), "2"),
                entry("(c if d)", None, ""),
            ],
            files: vec![
                file("/etc/a", FileKind::File),
                file("/usr/share/a", FileKind::Dir),
                file("/var/log/<a>", FileKind::Ghost),
            ],
            ..Package::default()
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let elsewhere = Package {
            location_base: "https://example.org/a&b/".to_owned(),
            ..sample()
        };
        for package in [sample(), elsewhere] {
            let document = |kind: Document| kind.head(1) + &kind.package(&package) + kind.tail();
            let mut packages = parse::primary(document(Document::Primary).as_bytes()).unwrap();
            let lists = parse::filelists(document(Document::Filelists).as_bytes()).unwrap();
            lists.add_to(&mut packages).unwrap();
            assert_eq!(packages, [package]);
        }
    }

    #[test]
    fn the_layout() {
        let mut package = sample();
        package.changelogs.push(Changelog {
            author: "Ä <a@b> - 1".to_owned(),
            date: 5,
            text: "- x".to_owned(),
        });
        assert_eq!(
            Document::Other.package(&package),
            "<package pkgid=\"ff\" name=\"a\" arch=\"noarch\">\n  <version epoch=\"1\" ver=\"2\" rel=\"3\"/>\n  \
             <changelog author=\"&#xC4; &lt;a@b&gt; - 1\" date=\"5\">- x</changelog>\n</package>\n"
        );
        let primary = Document::Primary.package(&package);
        assert!(
            primary.contains("\n      <rpm:entry name=\"/bin/sh\" pre=\"1\"/>\n"),
            "{primary}"
        );
        assert!(
            primary
                .contains("\n      <rpm:entry name=\"b\" flags=\"LE\" epoch=\"0\" ver=\"2\"/>\n")
        );
        assert!(primary.contains("\n    <file>/etc/a</file>\n  </format>\n</package>\n"));
    }
}
