//! Messages: whether they are in the tool's words.

/// What only programmers say; a message with one of these shows the program's inside.
const INSIDE: &[&str] = &[
    "assertion",
    "left == right",
    "panicked",
    "unwrap",
    "called `",
    "RUST_BACKTRACE",
    "internal error",
    "unreachable",
    "index out of bounds",
    "Some(",
    "None)",
    "Err(",
    "Ok(",
    "ParseError",
    "nom::",
    "Parsing(",
    "ErrorKind",
    "Custom {",
    "kind: ",
    "Utf8Error",
    "second time provided was later than self",
    "backtrace",
    // What wanted more memory than there is here would have taken all of it elsewhere.
    "memory allocation failed",
    "Cannot allocate memory",
    "out of memory",
];

/// Why a message is none that the tool may show, for an `input`.
pub fn check(message: &str, input: &[u8]) -> Result<(), String> {
    let shown = || {
        message
            .chars()
            .take(600)
            .collect::<String>()
            .escape_debug()
            .to_string()
    };
    if message.trim().is_empty() {
        return Err("an error without a message".to_owned());
    }
    // What the input itself says may be quoted.
    let input = String::from_utf8_lossy(input);
    if let Some(word) = INSIDE
        .iter()
        .find(|word| message.contains(**word) && !input.contains(**word))
    {
        return Err(format!(
            "a message with the inside showing (`{word}`): {}",
            shown()
        ));
    }
    if let Some(run) = bytes_as_numbers(message).filter(|run| !input.contains(run.as_str())) {
        return Err(format!(
            "a message with bytes as numbers (`{run}`): {}",
            shown()
        ));
    }
    Ok(())
}

/// A list such as `[149, 3, 190, 4`: bytes that were printed as a programmer sees them.
fn bytes_as_numbers(message: &str) -> Option<String> {
    message.match_indices('[').find_map(|(at, _)| {
        let list: String = message[at + 1..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || ", ".contains(*c))
            .collect();
        (list.split(", ").filter(|number| !number.is_empty()).count() >= 4).then_some(list)
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_shows_the_inside_is_found() {
        for message in [
            "",
            "thread panicked at src/x.rs",
            "bad: Err(ParseError)",
            "it has [149, 3, 190, 4, 99]",
        ] {
            assert!(check(message, b"").is_err(), "{message}");
        }
        for message in [
            "x.toml:3:4: expected `=`",
            "the lists [1, 2] and [3]",
            "a\nb",
        ] {
            assert_eq!(check(message, b""), Ok(()), "{message}");
        }
        assert_eq!(check("unknown key `unwrap`", b"unwrap = 1"), Ok(()));
    }
}
