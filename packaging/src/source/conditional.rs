//! Asking whether a small file has changed since it was read last: by what its server said of it then, in one request.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::download::SMALL;
use super::{Downloader, Error};
use crate::store::PathError;

/// What a server said of a file, for asking whether it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validators {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// The answer to whether a file has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is as it was.
    Unchanged,
    /// Its content, and what the server says of it now.
    Content(Vec<u8>, Validators),
}

/// No header of use here is longer (bytes).
const LONGEST: usize = 512;

impl Validators {
    /// The lines of curl's configuration that ask with them.
    fn request(&self) -> String {
        [
            ("If-None-Match", &self.etag),
            ("If-Modified-Since", &self.last_modified),
        ]
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_deref().filter(|one| is_plain(one))?)))
        .map(|(name, value)| format!("header = \"{name}: {}\"\n", quoted(value)))
        .collect()
    }

    /// The status of the last answer in what curl wrote of headers, and what that says of the file. Answers before it sent elsewhere.
    fn read(headers: &str) -> (Option<u16>, Self) {
        let (mut status, mut found) = (None, Self::default());
        for line in headers.lines() {
            if line.starts_with("HTTP/") {
                found = Self::default();
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            } else if let Some((name, value)) = line.split_once(':') {
                let value = Some(value.trim()).filter(|value| is_plain(value));
                let value = value.map(str::to_owned);
                if name.eq_ignore_ascii_case("etag") {
                    found.etag = value;
                } else if name.eq_ignore_ascii_case("last-modified") {
                    found.last_modified = value;
                }
            }
        }
        (status, found)
    }
}

/// Whether a value is one that can be sent back: a server chose it.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    !value.is_empty() && value.len() <= LONGEST && value.bytes().all(plain)
}

/// A value between quotation marks in curl's configuration.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The small file at `location`, unless it is as it was when the server said `known` of it. Not kept.
pub fn changed(
    downloader: &Downloader<'_>,
    source: &str,
    location: &str,
    known: &Validators,
) -> Result<Answer, Error> {
    let folder = downloader.store.temp_dir("watch")?;
    let (file, headers) = (folder.path().join("file"), folder.path().join("headers"));
    let path = headers.display().to_string();
    let more = format!("{}dump-header = \"{}\"\n", known.request(), quoted(&path));
    downloader.small_into(source, location, &file, Some(&headers), &more)?;
    answer(&file, &headers)
}

fn answer(file: &Path, headers: &Path) -> Result<Answer, Error> {
    // A folder has no headers.
    let text = lustre_files::if_there(lustre_files::read(headers, lustre_files::TEXT))
        .map_err(|source| PathError::new("read", headers, source))?;
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
    let (status, validators) = Validators::read(&text);
    if status == Some(304) {
        return Ok(Answer::Unchanged);
    }
    let content =
        lustre_files::read(file, SMALL).map_err(|source| PathError::new("read", file, source))?;
    Ok(Answer::Content(content, validators))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_what_the_last_answer_says() {
        let headers = "HTTP/1.1 302 Found\r\nETag: \"old\"\r\nLocation: /x\r\n\r\n\
                       HTTP/2 200\r\netag: W/\"a\\b\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";
        let (status, found) = Validators::read(headers);
        assert_eq!(status, Some(200));
        assert_eq!(found.etag.as_deref(), Some("W/\"a\\b\""));
        assert_eq!(
            found.request(),
            "header = \"If-None-Match: W/\\\"a\\\\b\\\"\"\nheader = \"If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\"\n"
        );
        let (status, found) = Validators::read("HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!((status, found), (Some(304), Validators::default()));
    }

    #[test]
    fn what_a_server_or_a_file_says_adds_no_line_to_the_configuration() {
        let long = "x".repeat(LONGEST + 1);
        for evil in [
            "",
            "a\nurl = \"file:///etc/passwd\"",
            "a\rb",
            "\u{e9}",
            long.as_str(),
        ] {
            let validators = Validators {
                etag: Some(evil.to_owned()),
                last_modified: None,
            };
            assert_eq!(validators.request(), "", "{evil:?}");
        }
    }
}
