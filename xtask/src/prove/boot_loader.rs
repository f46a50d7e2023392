//! What a chroot's boot loader would boot.

use lustre_packaging::boot::loader::{self, Entry};

use super::chroot::Step;

/// The entry that boots by default; none where nothing in the chroot makes boot entries.
pub fn default(step: &Step<'_>) -> Result<Option<Entry>, String> {
    let list = format!(
        "if [ -d {0} ]; then cd {0} && for one in *.conf; do if [ -e \"$one\" ]; then echo \"$one\"; fi; done; fi",
        loader::ENTRIES
    );
    let mut entries = Vec::new();
    for file in step.output("sh", &["-c", &list])?.lines() {
        let text = step.output("cat", &[&format!("{}/{file}", loader::ENTRIES)])?;
        let id = file.strip_suffix(".conf").unwrap_or(file);
        entries.push(Entry::parse(id, &text).map_err(|error| error.to_string())?);
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let environment = format!("if [ -e {0} ]; then cat {0}; fi", loader::ENVIRONMENT);
    let environment = step.output("sh", &["-c", &environment])?;
    let saved = match environment.as_str() {
        "" => None,
        text => loader::saved(text).map_err(|error| error.to_string())?,
    };
    let found = loader::default(&entries, saved).map_err(|error| error.to_string())?;
    Ok(Some(found.clone()))
}

/// Of which kernel the default is, for people.
pub fn release(entry: &Entry) -> &str {
    entry.release().unwrap_or(&entry.linux)
}
