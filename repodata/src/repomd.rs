//! `repomd.xml`: the index of the metadata files, and the only one that is signed.

use super::document::{self, Attributes, Elements, Fault, number};
use super::model::Checksum;

/// The content of `repomd.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repomd {
    /// The repository's revision: a number for ours, any text for others'.
    pub revision: String,
    /// The files it lists, in order.
    pub records: Vec<Record>,
}

/// A metadata file in `repomd.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// What it is: `primary`, `filelists`, `other`, `group`, `group_gz`, …
    pub kind: String,
    /// The digest of the file as it is.
    pub checksum: Checksum,
    /// The digest of the file's content, decompressed; none for a file that is not compressed.
    pub open_checksum: Option<Checksum>,
    /// Where it is, relative to the repository's root.
    pub location: String,
    /// Its time, in seconds since 1970; ours carry the revision.
    pub timestamp: i64,
    /// Its size in bytes; others' may leave it out.
    pub size: Option<u64>,
    /// Its size in bytes, decompressed; none for a file that is not compressed.
    pub open_size: Option<u64>,
}

impl Repomd {
    /// The record of one kind.
    #[must_use]
    pub fn record(&self, kind: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.kind == kind)
    }

    /// Parses the file's bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut parser = Parser::default();
        document::parse(bytes, "repomd", &mut parser)?;
        Ok(parser.repomd)
    }
}

#[derive(Default)]
struct Parser {
    repomd: Repomd,
    record: Option<Record>,
    checksum_kind: String,
}

impl Elements for Parser {
    fn open(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (name, &mut self.record) {
            ("data", _) => {
                self.record = Some(Record {
                    kind: attributes.required("type")?,
                    ..Record::default()
                });
            }
            ("checksum" | "open-checksum", Some(_)) => {
                self.checksum_kind = attributes.required("type")?;
            }
            ("location", Some(record)) => {
                if let Some(base) = attributes.optional("base")? {
                    return Err(format!(
                        "metadata at another location ({base}) is not supported"
                    ));
                }
                record.location = attributes.required("href")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, text: &str) -> Result<(), String> {
        let Some(record) = &mut self.record else {
            if name == "revision" {
                text.clone_into(&mut self.repomd.revision);
            }
            return Ok(());
        };
        match name {
            "data" => self.repomd.records.extend(self.record.take()),
            "checksum" => record.checksum = checksum(&self.checksum_kind, text),
            "open-checksum" => record.open_checksum = Some(checksum(&self.checksum_kind, text)),
            "size" => record.size = Some(number(name, text)?),
            "open-size" => record.open_size = Some(number(name, text)?),
            // Some writers give fractions of a second.
            "timestamp" => {
                record.timestamp = number(name, text.split('.').next().unwrap_or_default())?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn checksum(kind: &str, hex: &str) -> Checksum {
    Checksum {
        kind: kind.to_owned(),
        hex: hex.trim().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1700000000</revision>
  <data type="primary">
    <checksum type="sha256">AB</checksum>
    <open-checksum type="sha256">cd</open-checksum>
    <location href="repodata/ab-primary.xml.gz"/>
    <timestamp>1700000000.25</timestamp>
    <size>10</size>
    <open-size>20</open-size>
  </data>
</repomd>
"#;

    #[test]
    fn a_repomd() {
        let repomd = Repomd::parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!(repomd.revision, "1700000000");
        let record = repomd.record("primary").unwrap();
        assert_eq!(record.checksum.to_string(), "sha256:ab");
        assert_eq!(record.open_checksum.as_ref().unwrap().hex, "cd");
        assert_eq!(record.location, "repodata/ab-primary.xml.gz");
        assert_eq!((record.size, record.open_size), (Some(10), Some(20)));
        assert_eq!(record.timestamp, 1_700_000_000);
    }

    #[test]
    fn bad_ones_say_where() {
        let cut = &SAMPLE[..SAMPLE.len() - 20];
        let error = Repomd::parse(cut.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("repomd"), "{error}");
        let error = Repomd::parse(SAMPLE.replace(">10<", ">ten<").as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains("`size` is `ten`"), "{error}");
        assert!(error.contains("in /repomd/data/size"), "{error}");
        let error = Repomd::parse(b"").unwrap_err().to_string();
        assert!(error.contains("too early"), "{error}");
    }
}
