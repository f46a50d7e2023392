//! A secret key where something else belongs: in the variable beside its own, or as the value of an option. It would be shown as what could
//! not be found, or not be understood.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use lustre_packaging::process::secrets;
use lustre_packaging::sign::may_be_a_key;

use crate::exit::Usage;

/// Refuses a line and an environment with a key in the wrong place.
pub fn check() -> Result<(), Usage> {
    // The variables of this tool all begin as that of the key does.
    let ours = secrets::KEY_VARIABLE.trim_end_matches("KEY");
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_secret = [secrets::KEY_VARIABLE, secrets::PASSPHRASE_VARIABLE].contains(&&*name);
        if name.starts_with(ours) && !is_secret && is_a_key(&value) {
            return Err(usage(&name));
        }
    }
    let mut before = None;
    for word in std::env::args_os().skip(1) {
        let name = option(&word.to_string_lossy());
        if is_a_key(&word) {
            return Err(usage(
                name.or(before).as_deref().unwrap_or("the command line"),
            ));
        }
        before = name;
    }
    Ok(())
}

/// The option that a word is, or has a value for; a key's first line begins like one.
fn option(word: &str) -> Option<String> {
    let (name, _) = word.split_once('=').unwrap_or((word, ""));
    let plain = |c: char| c.is_ascii_lowercase() || c == '-';
    let is_one = name.starts_with("--") && name.chars().all(plain);
    is_one.then(|| name.to_owned())
}

fn usage(place: &str) -> Usage {
    Usage::new(format!(
        "{place} looks like a secret key (not shown); put the key into a file and pass its path with --key-file or in {}_FILE, or put the \
         key itself into {}",
        secrets::KEY_VARIABLE,
        secrets::KEY_VARIABLE
    ))
}

/// Whether this may be a secret key, or a part of one, whatever became of its lines; a file of that name is none.
fn is_a_key(value: &OsStr) -> bool {
    may_be_a_key(value.as_bytes()) && !Path::new(value).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_named_and_nothing_else() {
        assert_eq!(option("--key-file=/a").as_deref(), Some("--key-file"));
        assert_eq!(option("--key-file").as_deref(), Some("--key-file"));
        for word in [
            "/a=b",
            "-q",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxcZ=",
            "show",
        ] {
            assert_eq!(option(word), None, "{word}");
        }
    }
}
