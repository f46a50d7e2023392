//! Texts of a header.

use std::borrow::Cow;

/// A header's text. What is not UTF-8 is taken as Latin-1, without that set's control range (0x80 to 0xbf), as
/// createrepo_c does. Characters that XML cannot hold are refused, as there.
pub(super) fn to_text<'b>(bytes: &'b [u8], what: &str) -> Result<Cow<'b, str>, String> {
    let is_control = |byte: u8| byte < 32 && !matches!(byte, b'\t' | b'\n' | b'\r');
    // All of them at once, which is quicker than to stop at the first: hardly any text has one.
    let any = bytes
        .iter()
        .fold(false, |any, byte| any | is_control(*byte));
    if any && let Some(byte) = bytes.iter().find(|byte| is_control(**byte)) {
        return Err(format!(
            "the {what} has the control character 0x{byte:02x}, which XML cannot hold: {}",
            String::from_utf8_lossy(bytes).escape_debug()
        ));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_ascii() && text.contains(['\u{fffe}', '\u{ffff}']) => Err(format!(
            "the {what} has a character that XML cannot hold: {}",
            text.escape_debug()
        )),
        Ok(text) => Ok(text.into()),
        Err(_) => Ok(bytes
            .iter()
            .filter(|byte| !(0x80..=0xbf).contains(*byte))
            .map(|byte| char::from(*byte))
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(to_text("Škoda\n\t".as_bytes(), "x").unwrap(), "Škoda\n\t");
        assert_eq!(to_text(b"caf\xe9 \xa9", "x").unwrap(), "café ");
        let error = to_text(b"a\x07b", "summary").unwrap_err();
        assert!(
            error.contains("summary") && error.contains("0x07"),
            "{error}"
        );
        assert!(to_text("\u{ffff}".as_bytes(), "x").is_err());
    }
}
