//! The indexes of what this tool hands on, as JSON: `build.json` of a folder of packages, `bundle.json` of a bundle.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An index. There is one text for one content, so that the digest of the text stands for the content, and nothing is in the text that
/// is skipped when it is read.
pub(crate) trait JsonIndex: Serialize + DeserializeOwned {
    /// The name of its file, for messages.
    const FILE: &'static str;

    /// What the format is called.
    const FORMAT: &'static str;

    /// The version of the format.
    const VERSION: u32;

    /// Its text, with a line break at the end.
    fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads its text.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let invalid = |error: serde_json::Error| format!("{}: {error}", Self::FILE);
        let head: Head = serde_json::from_slice(text).map_err(invalid)?;
        if head.format != Self::FORMAT {
            return Err(format!("its format is `{}`", head.format.escape_debug()));
        }
        if head.version != Self::VERSION {
            return Err(format!(
                "its format has the version {}, this tool reads {}",
                head.version,
                Self::VERSION
            ));
        }
        let index: Self = serde_json::from_slice(text).map_err(invalid)?;
        if index.to_json().is_ok_and(|again| again.as_bytes() == text) {
            Ok(index)
        } else {
            Err(format!(
                "{} is not written as this tool writes it",
                Self::FILE
            ))
        }
    }
}

/// What every version of a format begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}
