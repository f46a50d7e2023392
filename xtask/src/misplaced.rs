//! A secret key where something else belongs: in the variable beside its own, or as the value of an option. It would be shown as what could
//! not be found, or not be understood.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use lustre_packaging::process::secrets;

use crate::exit::Usage;

/// What the variables of this tool begin with.
const OURS: &str = "LUSTRE_REPO_";

/// Refuses a line and an environment with a key in the wrong place.
///
/// # Errors
/// Where, and where it belongs.
pub fn check() -> Result<(), Usage> {
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_secret = [secrets::KEY_VARIABLE, secrets::PASSPHRASE_VARIABLE].contains(&&*name);
        if name.starts_with(OURS) && !is_secret && is_a_key(&value) {
            return Err(usage(&name));
        }
    }
    let mut before = None;
    for word in std::env::args_os().skip(1) {
        if is_a_key(&word) {
            let word = word.to_string_lossy();
            let option = word.split_once('=').map(|(name, _)| name.to_owned());
            let option = option.filter(|name| name.starts_with("--")).or(before);
            return Err(usage(option.as_deref().unwrap_or("the command line")));
        }
        before = word
            .to_str()
            .filter(|word| word.starts_with("--"))
            .map(str::to_owned);
    }
    Ok(())
}

fn usage(place: &str) -> Usage {
    Usage(format!(
        "{place} has what looks like a secret key, which is not shown; put it into a file, and its path into {}_FILE or after --key-file, or \
         the key itself into {}",
        secrets::KEY_VARIABLE,
        secrets::KEY_VARIABLE
    ))
}

/// Whether this may be a secret key, or a part of one, whatever became of its lines; a file of that name is none.
fn is_a_key(value: &OsStr) -> bool {
    looks_like_a_key(value.as_bytes()) && !Path::new(value).exists()
}

fn looks_like_a_key(text: &[u8]) -> bool {
    let letters: Vec<u8> = text
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_uppercase)
        .collect();
    let marked = letters
        .windows(15)
        .any(|letters| letters == b"PRIVATEKEYBLOCK");
    // A line of the key has 64 characters, of all kinds; names have blanks, dots and dashes, and digests no capitals.
    let is_coded = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let coded = text.split(|byte| !is_coded(byte)).any(|run| {
        let count = |kind: fn(&u8) -> bool| run.iter().filter(|byte| kind(byte)).count();
        run.len() >= 60
            && count(u8::is_ascii_uppercase) >= 10
            && count(u8::is_ascii_lowercase) >= 10
            && count(u8::is_ascii_digit) >= 3
    });
    marked || coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_what_the_line_is_made_of() {
        let line = "xVgEXlnmgBYJKwYBBAHaRw8BAQdAd1v0B3tG/dQm3Zt3y2Kq8Vn5Lw0xT7cRz1Pp";
        for text in [
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "> begin pgp\\nprivate  key\tblock",
            line,
            &format!("--key-file={line}"),
            &format!("\"{line}\\n{line}\""),
        ] {
            assert!(looks_like_a_key(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "932A9873EFDBBC3451A4E7557E1AC7EBC5ECDD24",
            "kernel=/srv/Some Long/Path/With/Many/Parts/linux-5.14.0-570.32.1.el9_6.src.rpm",
            "lustre=https://git.example.org/fs/lustre-release.git@0123456789abcdef0123456789abcdef01234567",
            &format!("sha256:{}", "0123456789abcdef".repeat(4)),
        ] {
            assert!(!looks_like_a_key(text.as_bytes()), "{text}");
        }
    }
}
