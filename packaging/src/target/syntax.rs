//! What a fingerprint and a path look like in a target.

/// The one value of a target that has more than one line.
pub(super) const NEXT_KEY: &str = "repository.next_key";

/// A fingerprint as targets have it.
pub(super) fn fingerprint(what: &str, key: &str) -> Result<(), String> {
    if key.len() == 40 && key.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(format!(
        "{what} is a fingerprint of 40 hexadecimal digits, not `{key}`"
    ))
}

/// A path under `specs/`.
pub(super) fn inside(what: &str, path: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_+.-".contains(c);
    if !path.chars().all(plain)
        || path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == ".." || part.starts_with('-'))
    {
        return Err(format!("{what} is a path under specs/, not `{path}`"));
    }
    Ok(())
}
