//! Text that may quote somebody else's, made fit to be shown.

use std::borrow::Cow;

/// A text that may quote a name or a line of somebody else's, so that whoever shows it obeys nothing in it: a terminal (control
/// characters, and those that turn the direction of writing), or a CI system that takes commands from a log (`::set-env …`,
/// `##[…]`).
pub fn harmless(text: &str) -> Cow<'_, str> {
    let command = |line: &str| line.trim_start().starts_with("::");
    if !text.contains(obeyed) && !text.lines().any(command) && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        if command(line) {
            out.push('\\');
        }
        for c in line.chars() {
            if obeyed(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
    }
    Cow::Owned(out.replace("##[", "##\\["))
}

/// What a terminal obeys, or shows in another order.
pub(crate) fn obeyed(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same for a text of JSON, which it leaves the same: such characters stand only in strings, and are escaped as those do it.
pub fn harmless_json(text: &str) -> Cow<'_, str> {
    if !text.contains(obeyed) && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out.replace("##[", "##\\u005b"))
}

/// Every line with its beginning alone where it is very long: a message quotes a line of a file, and the file may have only one.
pub fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 1000;
    // In bytes first, which is quick and never less.
    if text.lines().all(|line| line.len() <= LONGEST) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<Cow<'_, str>> = text
        .split('\n')
        .map(|line| match line.char_indices().nth(LONGEST) {
            Some((end, _)) => Cow::Owned(format!(
                "{}… ({} bytes more)",
                &line[..end],
                line.len() - end
            )),
            None => Cow::Borrowed(line),
        })
        .collect();
    Cow::Owned(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_quoted_is_obeyed() {
        for (text, shown) in [
            ("plain\n\ttext: é 漢 ::", "plain\n\ttext: é 漢 ::"),
            ("a\u{1b}[2Jb\r\u{9b}c\0", "a\\u{1b}[2Jb\\r\\u{9b}c\\u{0}"),
            ("x\u{202e}gpj.exe", "x\\u{202e}gpj.exe"),
            ("no `a\n  ::add-mask::b`", "no `a\n\\  ::add-mask::b`"),
            ("::error::x\ny", "\\::error::x\ny"),
            ("a ##[command]b", "a ##\\[command]b"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }

    #[test]
    fn json_says_the_same_and_nothing_of_it_is_obeyed() {
        let name = "a\u{9b}31m\u{7f}\u{202e}x ##[command]\n::error::é";
        let text = serde_json::to_string_pretty(&serde_json::json!({ "name": name })).unwrap();
        let shown = harmless_json(&text);
        assert!(!shown.contains(obeyed) && !shown.contains("##["), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["name"], name);
        assert!(matches!(harmless_json("{\n\t\"é\": 1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_without_an_end_is_shown_by_its_beginning() {
        assert_eq!(shortened("a\nb\n"), "a\nb\n");
        let text = format!("one\n{}\nthree", "é".repeat(1 << 20));
        let shown = shortened(&text).into_owned();
        assert!(shown.len() < 2100, "{}", shown.len());
        assert!(shown.starts_with("one\néé") && shown.ends_with("é… (2095152 bytes more)\nthree"));
    }
}
