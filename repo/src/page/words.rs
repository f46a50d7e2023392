//! Texts, sizes and addresses, as the page shows them.

use std::fmt::Write as _;

/// A text that somebody else may have written: nothing in it moves a cursor or turns the direction in which the rest is read. Line breaks
/// stay.
pub(super) fn shown(text: &str) -> String {
    /// What turns the direction, or has no width: it would make a text look like another one.
    fn hides(c: char) -> bool {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    }
    text.chars().fold(String::new(), |mut shown, c| {
        if c != '\n' && (c.is_control() || hides(c)) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = bytes.max(1).ilog2() / 10;
    let Some(unit) = power.checked_sub(1).and_then(|at| UNITS.get(at as usize)) else {
        return format!("{bytes} B");
    };
    let one = 1u128 << (10 * power);
    let tenths = (u128::from(bytes) * 10 + one / 2) / one;
    match tenths {
        0..1_000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        _ => format!("{} {unit}", (tenths + 5) / 10),
    }
}

/// The address of a file of the tree, from the page: never one that leads out of it, whatever the file is called.
pub(super) fn href(file: &str) -> String {
    let mut text = String::new();
    let parts = file
        .split('/')
        .filter(|part| !["", ".", ".."].contains(part));
    for (at, part) in parts.enumerate() {
        text.push_str(if at > 0 { "/" } else { "./" });
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte) {
                text.push(byte.into());
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// A word of a command, in quotes where a shell would make something else of it.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~+:/@%=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A fingerprint in groups of four.
pub(super) fn grouped(fingerprint: &str) -> String {
    let digits: Vec<char> = fingerprint.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|four| four.iter().collect()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_look_like_another_one() {
        assert_eq!(shown("a é\nb"), "a é\nb");
        assert_eq!(shown("a\u{1b}[2J\r\0"), "a\\u{1b}[2J\\u{d}\\u{0}");
        assert_eq!(
            shown("gpj.\u{202e}exe\u{200b}"),
            "gpj.\\u{202e}exe\\u{200b}"
        );
    }

    #[test]
    fn sizes_are_rounded() {
        for (bytes, words) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_075, "1.0 KiB"),
            (102_400, "100 KiB"),
            (9_654_952, "9.2 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), words, "{bytes}");
        }
    }

    #[test]
    fn an_address_stays_in_the_tree_and_a_word_is_one_word() {
        assert_eq!(
            href("x86_64/Packages/a+b-1~2.rpm"),
            "./x86_64/Packages/a+b-1~2.rpm"
        );
        assert_eq!(href("../../etc/passwd"), "./etc/passwd");
        assert_eq!(href("//example.org/a"), "./example.org/a");
        assert_eq!(
            href("javascript:a?b#c\" é"),
            "./javascript%3Aa%3Fb%23c%22%20%C3%A9"
        );
        assert_eq!(word("https://a/b-1.rpm"), "https://a/b-1.rpm");
        assert_eq!(word("a b'$(c)"), r"'a b'\''$(c)'");
        assert_eq!(word(""), "''");
        assert_eq!(grouped("0123456789ABCDEF"), "0123 4567 89AB CDEF");
    }
}
