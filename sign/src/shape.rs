//! What a secret key looks like where none belongs: in a file of settings, a variable, a word of the command line.

/// What its armor is called, without all that may have come between the letters.
const NAMES: [&[u8]; 6] = [
    b"BEGINPGPPRIVATEKEY",
    b"BEGINPRIVATEKEY",
    b"BEGINENCRYPTEDPRIVATEKEY",
    b"BEGINRSAPRIVATEKEY",
    b"BEGINECPRIVATEKEY",
    b"BEGINOPENSSHPRIVATEKEY",
];

/// Whether a text has the first line of a secret key in it, whatever became of its blanks, its dashes and its line ends.
#[must_use]
pub fn begins_a_secret(text: impl AsRef<[u8]>) -> bool {
    let letters = letters(text.as_ref());
    NAMES.iter().any(|name| find(&letters, name).is_some())
}

/// Whether a text may be a secret key, or a part of one, whatever became of its lines. A public key, and a part of one, may be as well.
#[must_use]
pub fn may_be_a_key(text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    // A line of the key has 64 characters, of all kinds; paths have dots and dashes, and mostly small letters, digests no capitals.
    let is_coded = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let coded = text.split(|byte| !is_coded(byte)).any(|run| {
        let count = |kind: fn(&u8) -> bool| run.iter().filter(|byte| kind(byte)).count();
        run.len() >= 60
            && count(u8::is_ascii_uppercase) >= 15
            && count(u8::is_ascii_lowercase) >= 10
            && count(u8::is_ascii_digit) >= 4
    });
    coded || find(&letters(text), b"PRIVATEKEYBLOCK").is_some()
}

/// Where a text has `part`.
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

fn letters(text: &[u8]) -> Vec<u8> {
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic());
    letters.map(u8::to_ascii_uppercase).collect()
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
            assert!(may_be_a_key(text), "{text}");
        }
        for text in [
            "",
            "932A9873EFDBBC3451A4E7557E1AC7EBC5ECDD24",
            "kernel=/srv/Some Long/Path/With/Many/Parts/linux-5.14.0-570.32.1.el9_6.src.rpm",
            "lustre=https://git.example.org/fs/lustre-release.git@0123456789abcdef0123456789abcdef01234567",
            &format!("sha256:{}", "0123456789abcdef".repeat(4)),
        ] {
            assert!(!may_be_a_key(text) && !begins_a_secret(text), "{text}");
        }
        assert!(begins_a_secret("-----BEGIN PGP PRIVATE KEY BLOCK-----"));
        assert!(begins_a_secret("> begin pgp private  key\tblock"));
        assert!(begins_a_secret("# -----BEGIN OPENSSH PRIVATE KEY-----"));
        assert!(!begins_a_secret("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    }
}
