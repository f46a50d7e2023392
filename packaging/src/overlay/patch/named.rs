//! The names that GNU `patch` finds in the lines between two hunks. It takes much for a header that is none: indented, quoted in prose, left
//! over from a broken part.

/// What `patch -p1` keeps of a path; several slashes count as one.
pub(super) fn after_first_component(raw: &[u8]) -> Option<&[u8]> {
    let slash = raw.iter().position(|byte| *byte == b'/')?;
    let rest = &raw[slash..];
    let start = rest.iter().position(|byte| *byte != b'/')?;
    Some(&rest[start..])
}

/// The names in a line that is no header of ours, without their first components; what has none after that is no name.
pub(super) fn by_line(line: &[u8]) -> Vec<&[u8]> {
    if line.starts_with(b"#") {
        return Vec::new();
    }
    let shown = line
        .iter()
        .position(|byte| !b" \tX".contains(byte))
        .map_or(&line[line.len()..], |at| &line[at..]);
    if let Some(rest) = shown.strip_prefix(b"diff --git ") {
        return by_git(rest);
    }
    // Mailers quote a line that begins with a dash by one more, and a blank.
    let mut quoted = shown;
    while let Some(rest) = quoted.strip_prefix(b"- ") {
        quoted = rest;
    }
    let rest = shown
        .strip_prefix(b"*** ")
        .or(shown.strip_prefix(b"+++ "))
        .or(quoted.strip_prefix(b"--- "));
    rest.and_then(name).into_iter().collect()
}

/// The names behind `diff --git`: two words, or nothing.
pub(super) fn by_git(rest: &[u8]) -> Vec<&[u8]> {
    if rest.contains(&b'"') {
        // Whatever that comes to, it is none that we read.
        return vec![rest];
    }
    let words: Vec<&[u8]> = rest
        .split(|byte| is_blank(*byte))
        .filter(|word| !word.is_empty())
        .collect();
    match words[..] {
        [old, new] => match (after_first_component(old), after_first_component(new)) {
            (Some(old), Some(new)) => vec![old, new],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The name that follows `---` and the like, without its first component.
fn name(rest: &[u8]) -> Option<&[u8]> {
    let name = whole(rest)?;
    if name.starts_with(b"\"") {
        return Some(name);
    }
    if name == b"/dev/null" {
        return None;
    }
    after_first_component(name)
}

/// The name that follows `---` and the like: up to the blanks before a tab, or else up to the first blank.
pub(super) fn whole(rest: &[u8]) -> Option<&[u8]> {
    let start = rest.iter().position(|byte| !is_blank(*byte))?;
    let rest = &rest[start..];
    if rest.starts_with(b"\"") {
        return Some(rest);
    }
    let first = rest.iter().position(|byte| is_blank(*byte));
    let tab = rest.iter().position(|byte| *byte == b'\t');
    let end = match tab {
        None => first,
        Some(tab) => rest[..tab]
            .iter()
            .rposition(|byte| !is_blank(*byte))
            .map(|at| at + 1),
    };
    Some(&rest[..end.unwrap_or(rest.len())])
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}
