//! Locks: what is read is written and read again as the same.

use std::fs;
use std::path::Path;

use lustre_packaging::lock;
use lustre_packaging::store::Digest;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Lock;

fn good() -> String {
    let digest = Digest::of_bytes(b"x").to_string();
    format!(
        "version = 1\ntarget = \"t\"\nrequest = \"{digest}\"\n\n\
         [source.e2fsprogs]\nfile = \"e2fsprogs_1.orig.tar.gz\"\nsize = 3\nsha256 = \"{digest}\"\nuri = \"mirror:/pool/e.tar.gz\"\n\n\
         [tree.lustre.git]\nurl = \"https://example.org/lustre\"\ntag = \"2.17.0\"\ncommit = \"0123456789012345678901234567890123456789\"\n\n\
         [[package]]\nname = \"a\"\nversion = \"1:2-3\"\narch = \"amd64\"\nfile = \"a_2-3_amd64.deb\"\nsize = 3\nsha256 = \"{digest}\"\nuri = \"https://example.org/a.deb\"\n"
    )
}

impl Format for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("one of each", good())]
    }

    fn hostile(&self) -> Vec<Case> {
        let package = good()
            .split("[[package]]")
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        vec![
            Case::bad("empty", ""),
            Case::bad("an unknown key", format!("more = 1\n{}", good())),
            Case::bad(
                "a version of the future",
                good().replace("version = 1\n", "version = 2\n"),
            ),
            Case::bad(
                "a digest that is too short",
                good().replace("sha256 = \"", "sha256 = \"0\" # "),
            ),
            Case::bad(
                "a size that is negative",
                good().replace("size = 3", "size = -3"),
            ),
            Case::either(
                "ten thousand packages",
                format!(
                    "{}{}",
                    good(),
                    format!("[[package]]{package}").repeat(10_000)
                ),
            ),
            Case::bad("lists 100,000 deep", format!("x = {}", "[".repeat(100_000))),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "[[package]]\n",
            "[source.x]\n",
            "[tree.x]\n",
            "[tree.x.git]\n",
            "[tree.x.archive]\n",
            "../../x",
            "/etc/passwd",
            "file = \"a/b\"\n",
            "= \"a\\nb\"",
            "= \"\\u0000\"",
            "sha256 = \"\"\n",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join("t.toml");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let lock = match lock::Lock::read(&path) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err("the file is not seen".to_owned()),
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let text = lock
            .to_toml()
            .map_err(|error| format!("cannot be written: {error}"))?;
        fs::write(&path, &text).map_err(|error| error.to_string())?;
        match lock::Lock::read(&path) {
            Ok(Some(again)) if again == lock => Ok(ParseOutcome::Accepted),
            Ok(_) => Err("is written as another lock".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}
