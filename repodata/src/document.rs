//! An XML document as a run of opened and closed elements, with faults that say where.

use std::io::{BufRead, Take};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// No element of repodata is deeper; what nests without end is made to cost time and memory.
const DEEPEST: usize = 32;

/// No tag and no text of repodata is longer (bytes): one of either is in memory as a whole.
const LONGEST: u64 = 16 << 20;

/// No element of repodata has more attributes.
const MOST_ATTRIBUTES: usize = 16;

/// What takes a document's elements. Reasons for refusing are plain text; [`parse`] adds the place.
pub(super) trait Elements {
    /// An element starts. The name comes without its prefix.
    fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String>;
    /// An element ends. `text` is what stood after the last tag, entities resolved.
    fn close(&mut self, name: &str, text: &str) -> Result<(), String>;
}

/// Why a document is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{reason} (byte {offset}, in {element})")]
pub struct Fault {
    reason: String,
    offset: u64,
    element: String,
}

/// Reads the whole of `source`, whose outermost element has to be `root`, into `elements`.
pub(super) fn parse(
    source: impl BufRead,
    root: &str,
    elements: &mut impl Elements,
) -> Result<(), Fault> {
    let mut reader = Reader::from_reader(source.take(LONGEST));
    let mut path = String::new();
    events(&mut reader, root, &mut path, elements).map_err(|reason| Fault {
        reason,
        offset: reader.buffer_position(),
        element: if path.is_empty() {
            "no element".to_owned()
        } else {
            path
        },
    })
}

/// Told of an element's beginning (with its attributes) and of its end (with its text, trimmed), with the names above it and its own.
pub type Visit<'v> = dyn FnMut(&[&str], Option<&Attributes<'_>>, &str) -> Result<(), String> + 'v;

/// Reads the whole of `source`, whose outermost element has to be `root`, and tells `visit` of each element.
pub fn visit(source: impl BufRead, root: &str, visit: &mut Visit<'_>) -> Result<(), Fault> {
    let path = Vec::new();
    parse(source, root, &mut Paths { path, visit })
}

/// Tells of elements by their paths.
struct Paths<'a, 'v> {
    path: Vec<String>,
    visit: &'a mut Visit<'v>,
}

impl Paths<'_, '_> {
    fn tell(&mut self, attributes: Option<&Attributes<'_>>, text: &str) -> Result<(), String> {
        let names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        (self.visit)(&names, attributes, text.trim())
    }
}

impl Elements for Paths<'_, '_> {
    fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        self.path.push(name.to_owned());
        self.tell(Some(attributes), "")
    }

    fn close(&mut self, _: &str, text: &str) -> Result<(), String> {
        self.tell(None, text)?;
        self.path.pop();
        Ok(())
    }
}

fn events(
    reader: &mut Reader<Take<impl BufRead>>,
    root: &str,
    path: &mut String,
    elements: &mut impl Elements,
) -> Result<(), String> {
    let mut text = String::new();
    let mut buffer = Vec::new();
    let mut seen_root = false;
    let mut depth = 0;
    loop {
        buffer.clear();
        reader.get_mut().set_limit(LONGEST);
        let event = reader.read_event_into(&mut buffer);
        // Before anything that is said of an end which was made here.
        if reader.get_ref().limit() == 0 || text.len() as u64 > LONGEST {
            return Err(format!(
                "a tag or text is longer than {} MiB",
                LONGEST >> 20
            ));
        }
        let event = event.map_err(|error| error.to_string())?;
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                let qualified = start.local_name();
                let name = qualified.into_inner();
                if path.is_empty() {
                    if seen_root || name != root {
                        return Err(format!("outermost element `{name}`, expected one `{root}`"));
                    }
                    seen_root = true;
                }
                if depth == DEEPEST {
                    return Err(format!("elements are nested more than {DEEPEST} deep"));
                }
                depth += 1;
                path.push('/');
                path.push_str(name);
                text.clear();
                elements.open(name, &Attributes(start))?;
                if matches!(event, Event::Empty(_)) {
                    elements.close(name, "")?;
                    leave(path);
                    depth -= 1;
                }
            }
            Event::End(end) => {
                elements.close(end.local_name().into_inner(), &text)?;
                text.clear();
                leave(path);
                depth = depth.saturating_sub(1);
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = match reference
                    .resolve_char_ref()
                    .map_err(|error| error.to_string())?
                {
                    Some(character) => character,
                    None => entity(&reference.xml10_content())?,
                };
                text.push(character);
            }
            Event::Eof if seen_root && path.is_empty() => return Ok(()),
            Event::Eof => return Err("the document ends too early".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn leave(path: &mut String) {
    path.truncate(path.rfind('/').unwrap_or(0));
}

/// XML's own five entities. A document type that defines more has no place in repodata.
fn entity(name: &str) -> Result<char, String> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(format!("unknown entity `&{name};`")),
    }
}

/// The attributes of an element.
pub struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// Calls `take` with the name, without prefix, and the value of each.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(&str, &str) -> Result<(), String>,
    ) -> Result<(), String> {
        // That no two have one name is seen here, where it needs no memory.
        let mut seen = [""; MOST_ATTRIBUTES];
        for (count, attribute) in self.0.attributes().with_checks(false).enumerate() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.into_inner();
            if seen[..count.min(MOST_ATTRIBUTES)].contains(&name) {
                return Err(format!("the attribute `{name}` is there twice"));
            }
            *seen.get_mut(count).ok_or_else(|| {
                format!("an element has more than {MOST_ATTRIBUTES} attributes")
            })? = name;
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| error.to_string())?;
            take(attribute.key.local_name().into_inner(), &value)?;
        }
        Ok(())
    }

    /// The value of one attribute, or a reason that names it.
    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        self.optional(name)?
            .ok_or_else(|| format!("the attribute `{name}` is missing"))
    }

    /// The value of one attribute.
    pub fn optional(&self, name: &str) -> Result<Option<String>, String> {
        let mut found = None;
        self.each(|key, value| {
            if key == name {
                found = Some(value.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The value of one attribute as a number.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<N, String> {
        number(name, &self.required(name)?)
    }
}

/// `text` as a number, or a reason that names what it is.
pub(super) fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("`{name}` is `{text}`, not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Elements for Log {
        fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
            let mut line = format!("<{name}");
            attributes.each(|key, value| {
                line.push_str(&format!(" {key}={value:?}"));
                Ok(())
            })?;
            self.0.push(line);
            Ok(())
        }

        fn close(&mut self, name: &str, text: &str) -> Result<(), String> {
            self.0.push(format!(">{name} {text:?}"));
            if text == "refused" {
                return Err("no".to_owned());
            }
            Ok(())
        }
    }

    fn log(text: &str) -> Result<String, String> {
        let mut log = Log::default();
        parse(text.as_bytes(), "a", &mut log).map_err(|fault| fault.to_string())?;
        Ok(log.0.join("\n"))
    }

    #[test]
    fn texts_and_attributes_lose_their_escapes() {
        let text = "<?xml version=\"1.0\"?>\n<x:a><b c=\"1&#10;&quot;2\" x:d='e'/><f>&lt;&#xe9;&amp;\n<![CDATA[<>]]></f></x:a>";
        assert_eq!(
            log(text).unwrap(),
            "<a\n<b c=\"1\\n\\\"2\" d=\"e\"\n>b \"\"\n<f\n>f \"<é&\\n<>\"\n>a \"\""
        );
    }

    #[test]
    fn no_tag_and_no_text_is_longer_than_memory_is_meant_for() {
        let long = "x".repeat(17 << 20);
        for text in [
            format!("<a>{long}</a>"),
            format!("<a><{long}/></a>"),
            format!("<a b='{long}'/>"),
            format!("<a><!--{long}--></a>"),
            format!("<a>{}</a>", format!("{}&amp;", &long[..9 << 20]).repeat(2)),
        ] {
            let fault = log(&text).unwrap_err();
            assert!(fault.contains("longer than 16 MiB"), "{fault}");
        }
    }

    #[test]
    fn faults_say_where() {
        let many: String = (0..17).map(|at| format!(" n{at}=''")).collect();
        for (text, expected) in [
            ("", "ends too early (byte 0, in no element)"),
            ("<a><b>x</b>", "ends too early (byte 11, in /a)"),
            ("<c/>", "outermost element `c`, expected one `a`"),
            ("<a/><a/>", "outermost element `a`"),
            ("<a><b>refused</b></a>", "no (byte 17, in /a/b)"),
            ("<a>&bomb;</a>", "unknown entity `&bomb;`"),
            ("<a><b></a>", "in /a/b"),
            ("<a b='1' c='' b='2'/>", "`b` is there twice"),
            (&format!("<a{many}/>"), "more than 16 attributes"),
            (&"<a>".repeat(40), "elements are nested more than 32 deep"),
        ] {
            let fault = log(text).unwrap_err();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }
}
