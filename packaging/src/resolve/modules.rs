//! The text of a repository's module streams: one reader, for the lock, for dnf and for the base repository that is made of what the
//! lock pins.

use std::io::Read as _;
use std::path::Path;

use crate::archive;

/// How much of it is read, in bytes: whole distributions have some millions. A mirror's few bytes can stand for more than any memory holds.
const LONGEST: u64 = 64 << 20;

/// Metadata of module streams that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error("it cannot be read completely: {0}")]
    Damaged(#[from] std::io::Error),
    #[error(
        "it is larger than {} MiB when unpacked", LONGEST >> 20
    )]
    TooLarge,
    #[error("it is not modulemd: {0}")]
    Other(&'static str),
}

/// The row of YAML documents in `file`, whichever way it is compressed: it begins with `---` and ends with a line's end, so that others
/// can follow it. Empty where there is none.
pub fn module_streams(file: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    archive::open(file)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::Other("it is not in UTF-8"))?;
    Ok(documents(&text)?.into_bytes())
}

/// What may stand before the first document says nothing of the documents: a byte order mark, comments, blank lines, and which YAML it is.
fn documents(text: &str) -> Result<String, Error> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let skipped =
            line.trim().is_empty() || line.trim_start().starts_with('#') || directive(line);
        if !skipped {
            break;
        }
        if after.is_empty() {
            return Ok(String::new());
        }
        rest = after;
    }
    if rest.starts_with('%') {
        return Err(Error::Other("it begins with a directive that is not %YAML"));
    }
    let marked = rest
        .strip_prefix("---")
        .is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace));
    if !rest.lines().any(names_a_document) {
        return Err(Error::Other("no document of it says which kind it is"));
    }
    let begin = if marked { "" } else { "---\n" };
    let end = if rest.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{begin}{rest}{end}"))
}

/// `%YAML 1.2`, in front of the first document.
fn directive(line: &str) -> bool {
    line.strip_prefix("%YAML")
        .is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// The line that each document has, in its block or its flow style: `document: modulemd`.
fn names_a_document(line: &str) -> bool {
    let line = line.strip_prefix("---").unwrap_or(line);
    let key = line.trim_start_matches(|c: char| c.is_whitespace() || "{\"'".contains(c));
    key.strip_prefix("document").is_some_and(|rest| {
        rest.trim_start_matches(['"', '\''])
            .trim_start()
            .starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "---\ndocument: modulemd\nversion: 2\n...\n";

    #[test]
    fn every_beginning_that_yaml_has_is_read() {
        let bare = ONE.trim_start_matches("---\n");
        for text in [
            ONE.to_owned(),
            format!("# made on a Monday\n\n{ONE}"),
            format!("%YAML 1.2\n{ONE}"),
            format!("\u{feff}# one\n%YAML 1.1\n# two\n{ONE}"),
            bare.to_owned(),
            format!("\n# none\n{bare}"),
            ONE.trim_end().to_owned(),
        ] {
            assert_eq!(documents(&text).unwrap(), ONE, "{text:?}");
        }
        let flow = "--- {document: modulemd-defaults, version: 1}\n";
        assert_eq!(documents(flow).unwrap(), flow);
    }

    #[test]
    fn nothing_is_nothing_and_something_else_is_refused() {
        for text in ["", "\n\n", "# only a comment", "%YAML 1.2\n"] {
            assert_eq!(documents(text).unwrap(), "", "{text:?}");
        }
        for text in [
            "<html>not found</html>",
            "--- not found\n",
            "----\nmore\n",
            "%TAG ! tag:x,2000:\n---\ndocument: modulemd\n",
        ] {
            let error = documents(text).unwrap_err().to_string();
            assert!(error.contains("not modulemd"), "{text}: {error}");
        }
    }

    #[test]
    fn damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("modules.yaml.gz");
        fs::write(&path, b"\x1f\x8b\x08\0half").unwrap();
        assert!(matches!(module_streams(&path), Err(Error::Damaged(_))));
        fs::write(&path, b"---\ndocument: \xff").unwrap();
        let error = module_streams(&path).unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "{error}");
    }

    #[test]
    fn a_little_that_is_much_is_refused() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("modules.yaml.gz");
        let file = fs::File::create(&path).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(ONE.as_bytes()).unwrap();
        let blanks = vec![b'\n'; 1 << 20];
        for _ in 0..65 {
            gzip.write_all(&blanks).unwrap();
        }
        gzip.finish().unwrap();
        assert!(matches!(module_streams(&path), Err(Error::TooLarge)));
    }
}
