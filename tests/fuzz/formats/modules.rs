//! The text of module streams: what is taken can follow another and be followed by one.

use std::fs;
use std::path::Path;

use lustre_packaging::resolve::module_streams;

use super::{gzip, gzip_bomb};
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Modules;

const STREAM: &str = "---
document: modulemd
version: 2
data:
  name: perl
  stream: \"5.26\"
  version: 820181219174508
  context: 9edba152
  arch: x86_64
  summary: Practical Extraction and Report Language
  description: >-
    Perl is a language.
  license:
    module: [GPL+ or Artistic]
  dependencies:
  - requires:
      platform: [el8]
  artifacts:
    rpms:
    - perl-4:5.26.3-416.el8.x86_64
...
";

const DEFAULTS: &str = "--- {document: modulemd-defaults, version: 1}\n";

impl Format for Modules {
    fn name(&self) -> &'static str {
        "modules"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good("a stream", STREAM),
            Case::good("two documents", format!("{STREAM}{DEFAULTS}")),
            Case::good(
                "what may stand before them",
                format!("\u{feff}# made by hand\n\n%YAML 1.2\n{STREAM}"),
            ),
            Case::good("without a mark", STREAM.trim_start_matches("---\n")),
            Case::good("gzip", gzip(STREAM.as_bytes())),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::good("empty", ""),
            Case::bad("a page", "<html>not found</html>"),
            Case::bad(
                "another directive",
                "%TAG ! tag:x,2000:\n---\ndocument: modulemd\n",
            ),
            Case::bad("not UTF-8", b"---\ndocument: \xff".to_vec()),
            Case::bad(
                "512 MiB of blanks",
                gzip_bomb(STREAM.as_bytes(), b' ', b"\n"),
            ),
            Case::bad("512 MiB of a comment", gzip_bomb(b"#", b'#', b"\n")),
            Case::bad("512 MiB of lines", gzip_bomb(b"", b'\n', STREAM.as_bytes())),
            Case::either("a hundred thousand documents", DEFAULTS.repeat(100_000)),
            Case::either("packed twice", gzip(&gzip(STREAM.as_bytes()))),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "---\n",
            "--- ",
            "...\n",
            "%YAML 1.2\n",
            "%TAG ",
            "document: modulemd\n",
            "{document: modulemd}",
            "\"document\": ",
            "document",
            "# ",
            "&a ",
            "*a",
            "- ",
            "|\n",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let file = folder.join("modules.yaml");
        let read = |bytes: &[u8]| {
            fs::write(&file, bytes).map_err(|error| error.to_string())?;
            Ok::<_, String>(module_streams(&file))
        };
        let text = match read(input)? {
            Ok(text) => text,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        if text.is_empty() {
            return Ok(ParseOutcome::Accepted);
        }
        if !text.starts_with(b"---") || !text.ends_with(b"\n") {
            return Err("what is taken has not the beginning or the end of documents".to_owned());
        }
        let twice = [&text[..], &text[..]].concat();
        for text in [text, twice] {
            match read(&text)? {
                Ok(again) if again == text => {}
                Ok(_) => return Err("what is taken is read as something else".to_owned()),
                Err(error) => {
                    return Err(format!("what is taken is refused: {}", message(&error)));
                }
            }
        }
        Ok(ParseOutcome::Accepted)
    }
}
