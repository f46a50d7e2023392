//! Compares the metadata of two repositories field by field.
//!
//! Nothing of the code under test is used: the documents become plain trees of elements, which are compared one by one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// An element: its name with prefix, attributes, text and inner elements. White space between elements is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// The name, with its prefix.
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    /// The text of an element without inner elements.
    pub text: String,
    /// The inner elements in order.
    pub children: Vec<Node>,
}

impl Node {
    /// The first inner element of a name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// An attribute; empty where there is none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The differences between `ours/repodata` and `theirs/repodata`, one line each, at most a hundred.
///
/// Compared are the kinds, order, locations and content of all documents. Left out is what follows from how the same
/// content is laid out and compressed (digests and sizes of the metadata, timestamps), and the RPM files' times.
pub fn diff(ours: &Path, theirs: &Path) -> Result<Vec<String>> {
    let (our_index, their_index) = (index(ours)?, index(theirs)?);
    let mut differences = Vec::new();
    compare(
        "repomd",
        &strip_index(&our_index),
        &strip_index(&their_index),
        &mut differences,
    );
    for (kind, key) in [("primary", "location"), ("filelists", ""), ("other", "")] {
        let ours = document(ours, &our_index, kind)?;
        let theirs = document(theirs, &their_index, kind)?;
        packages(kind, key, &ours, &theirs, &mut differences);
    }
    differences.truncate(100);
    Ok(differences)
}

/// `repodata/repomd.xml` as a tree.
pub fn index(root: &Path) -> Result<Node> {
    let path = root.join("repodata/repomd.xml");
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    parse(file).with_context(|| path.display().to_string())
}

/// One of the documents that `repomd.xml` lists, as a tree.
pub fn document(root: &Path, index: &Node, kind: &str) -> Result<Node> {
    let data = index
        .children
        .iter()
        .find(|data| data.name == "data" && data.attribute("type") == kind)
        .with_context(|| format!("{} has no {kind}", root.display()))?;
    let location = data.child("location").context("data without location")?;
    let path = root.join(location.attribute("href"));
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    ensure!(
        bytes.starts_with(&[0x1f, 0x8b]),
        "{} is no gzip",
        path.display()
    );
    parse(GzDecoder::new(&bytes[..])).with_context(|| path.display().to_string())
}

/// The index without what follows from the bytes of the documents.
fn strip_index(index: &Node) -> Node {
    let mut index = index.clone();
    for data in &mut index.children {
        for child in &mut data.children {
            match child.name.as_str() {
                "checksum" | "open-checksum" | "timestamp" | "size" | "open-size" => {
                    child.text.clear();
                }
                "location" => {
                    if let Some(href) = child.attributes.get_mut("href") {
                        let plain = href.split_once('-').map(|(_, name)| name.to_owned());
                        *href = plain.unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
    }
    index
}

/// Compares two documents package by package, so that one more or less is one difference and not thousands.
fn packages(kind: &str, key: &str, ours: &Node, theirs: &Node, differences: &mut Vec<String>) {
    let names = |root: &Node| -> Vec<String> {
        root.children
            .iter()
            .map(|package| match package.child(key) {
                Some(location) => location.attribute("href").to_owned(),
                None => format!(
                    "{} {}",
                    package.attribute("name"),
                    package.attribute("pkgid")
                ),
            })
            .collect()
    };
    let (our_names, their_names) = (names(ours), names(theirs));
    for (missing, here, there) in [
        ("we lack", &their_names, &our_names),
        ("only we have", &our_names, &their_names),
    ] {
        for name in here.iter().filter(|name| !there.contains(name)) {
            differences.push(format!("{kind}: {missing} {name}"));
        }
    }
    if our_names != their_names {
        differences.push(format!("{kind}: the packages or their order differ"));
    }
    if ours.attributes != theirs.attributes {
        differences.push(format!(
            "{kind}: {:?}, theirs {:?}",
            ours.attributes, theirs.attributes
        ));
    }
    for (name, our) in our_names.iter().zip(&ours.children) {
        if let Some(place) = their_names.iter().position(|their| their == name) {
            let path = format!("{kind} {name}");
            compare(&path, our, &theirs.children[place], differences);
        }
    }
}

fn compare(path: &str, ours: &Node, theirs: &Node, differences: &mut Vec<String>) {
    let mut note = |what: &str, ours: &dyn std::fmt::Debug, theirs: &dyn std::fmt::Debug| {
        differences.push(format!("{path}/{what}: {ours:?}, theirs {theirs:?}"));
    };
    if ours.name != theirs.name {
        return note("name", &ours.name, &theirs.name);
    }
    if ours.text != theirs.text {
        note("text", &ours.text, &theirs.text);
    }
    let keys = ours.attributes.keys().chain(theirs.attributes.keys());
    let keys: std::collections::BTreeSet<&String> = keys.collect();
    for key in keys {
        let (our, their) = (ours.attributes.get(key), theirs.attributes.get(key));
        let is_file_time = ours.name == "time" && key == "file" && our.is_some() == their.is_some();
        if our != their && !is_file_time {
            note(key, &our, &their);
        }
    }
    if ours.children.len() != theirs.children.len() {
        let names = |node: &Node| -> Vec<String> {
            let label =
                |child: &Node| format!("{} {}{}", child.name, child.attribute("name"), child.text);
            node.children.iter().map(label).collect()
        };
        let (our_names, their_names) = (names(ours), names(theirs));
        let only = |here: &[String], there: &[String]| -> Vec<String> {
            here.iter()
                .filter(|name| !there.contains(name))
                .cloned()
                .collect()
        };
        let (only_ours, only_theirs) = (
            only(&our_names, &their_names),
            only(&their_names, &our_names),
        );
        differences.push(format!(
            "{path}: {} elements, theirs {}; only ours {only_ours:?}, only theirs {only_theirs:?}",
            ours.children.len(),
            theirs.children.len()
        ));
        return;
    }
    for (number, (our, their)) in ours.children.iter().zip(&theirs.children).enumerate() {
        let path = format!("{path}/{}[{number}]", our.name);
        compare(&path, our, their, differences);
    }
}

fn parse(source: impl Read) -> Result<Node> {
    let mut reader = Reader::from_reader(BufReader::new(source));
    let mut open = vec![Node::default()];
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer)?;
        let current = open.last_mut().context("more ends than starts")?;
        match event {
            Event::Start(start) => open.push(node(&start)?),
            Event::Empty(start) => current.children.push(node(&start)?),
            Event::End(_) => {
                let mut done = open.pop().context("more ends than starts")?;
                if !done.children.is_empty() {
                    done.text.clear();
                }
                let parent = open.last_mut().context("more ends than starts")?;
                parent.children.push(done);
            }
            Event::Text(text) => current.text.push_str(&text.xml10_content()),
            Event::CData(text) => current.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => current.text.push(character),
                None => {
                    let name = reference.xml10_content();
                    let text = quick_xml::escape::resolve_xml_entity(&name);
                    current.text.push_str(text.context("unknown entity")?);
                }
            },
            Event::Eof => break,
            _ => {}
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut outside), true) if outside.children.len() == 1 => {
            outside.children.pop().context("no root")
        }
        _ => bail!("not one whole document"),
    }
}

fn node(start: &BytesStart<'_>) -> Result<Node> {
    let mut node = Node {
        name: start.name().as_ref().to_owned(),
        ..Node::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0)?;
        let key = attribute.key.as_ref().to_owned();
        node.attributes.insert(key, value.into_owned());
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(ours: &str, theirs: &str) -> Vec<String> {
        let mut found = Vec::new();
        let (ours, theirs) = (
            parse(ours.as_bytes()).unwrap(),
            parse(theirs.as_bytes()).unwrap(),
        );
        packages("primary", "location", &ours, &theirs, &mut found);
        found
    }

    /// A comparator that finds nothing is worth nothing: each kind of difference is found, and what is left out is.
    #[test]
    fn every_kind_of_difference_is_found() {
        let whole = r#"<metadata packages="1"><package type="rpm"><name>a</name><time file="1" build="2"/>
            <location href="a.rpm"/><format><rpm:requires><rpm:entry name="b" pre="1"/><rpm:entry name="c"/>
            </rpm:requires><file>/etc/a</file></format></package></metadata>"#;
        assert_eq!(differences(whole, whole), [] as [&str; 0]);
        assert_eq!(
            differences(whole, &whole.replace("file=\"1\"", "file=\"9\"")).len(),
            0
        );
        for (from, to, expected) in [
            ("<name>a<", "<name>A<", "/name[0]/text"),
            ("build=\"2\"", "build=\"3\"", "build"),
            (" pre=\"1\"", "", "pre: Some(\"1\"), theirs None"),
            ("<rpm:entry name=\"c\"/>", "", "only ours [\"rpm:entry c\"]"),
            ("<file>/etc/a", "<file type=\"dir\">/etc/a", "type: None"),
            ("packages=\"1\"", "packages=\"2\"", "\"2\""),
            ("href=\"a.rpm\"", "href=\"p/a.rpm\"", "we lack p/a.rpm"),
            ("file=\"1\" ", "", "file: Some(\"1\"), theirs None"),
            ("name=\"b\"", "name=\"B\"", "name: Some(\"b\")"),
            ("<time", "<x/><time", "only theirs"),
        ] {
            let found = differences(whole, &whole.replace(from, to)).join("\n");
            assert!(found.contains(expected), "{from}: {found}");
        }
    }
}
