//! Annotated tags of git: what of them is signed, and by whom.

use std::path::Path;

use lustre_packaging::untrusted;

use crate::{Case, Format, ParseOutcome};

pub(super) struct Tag;

impl Format for Tag {
    fn name(&self) -> &'static str {
        "tag"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good(
            "signed",
            "object 0123456789012345678901234567890123456789\ntype commit\ntag 2.17.0\ntagger A B <a@b.c> 1767225600 +0000\n\nNew release\n  -----BEGIN PGP SIGNATURE-----\n\
             -----BEGIN PGP SIGNATURE-----\n\niQ==\n=AAAA\n-----END PGP SIGNATURE-----\n",
        )]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::bad("empty", ""),
            Case::either(
                "signatures",
                "-----BEGIN PGP SIGNATURE-----\n".repeat(50_000),
            ),
            Case::bad("no lines", "x".repeat(4 << 20)),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "-----BEGIN PGP SIGNATURE-----\n",
            "-----END PGP SIGNATURE-----\n",
            "object ",
            "type commit\n",
            "type tree\n",
            "tag 2.17.0\n",
            "tag other\n",
            "tagger ",
            "\n\n",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        match untrusted::signed_tag(input) {
            Some((signed, signature)) => {
                if !input.starts_with(signed) {
                    return Err("what is signed is not the beginning of the tag".to_owned());
                }
                if !signature.starts_with(b"-----BEGIN PGP SIGNATURE-----") {
                    return Err("the signature begins in another way".to_owned());
                }
                Ok(ParseOutcome::Accepted)
            }
            None => Ok(ParseOutcome::Refused("no signature".to_owned())),
        }
    }
}
