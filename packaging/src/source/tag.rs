//! Signed tags.

use std::path::Path;

use super::fetch::{invalid, offline};
use super::git::Git;
use super::{Error, Fetcher, url};
use crate::sign;

impl Fetcher<'_> {
    /// Checks that the tag `tag` of the repository at `url` is signed by one of the armored keys, and that it is at `commit`. Both are
    /// fetched for that.
    ///
    /// # Errors
    /// When the tag has no signature, it does not hold, or the tag is at another commit.
    pub fn check_tag(
        &self,
        name: &str,
        url: &str,
        tag: &str,
        commit: &str,
        keys: &str,
    ) -> Result<(), Error> {
        let git = Git::new(self.store, name);
        let mirror = git.mirror(url)?;
        let at_commit = |mirror: &Path| git.commit(mirror, &format!("refs/tags/{tag}"));
        // A commit that was fetched by its id came without the tag.
        if at_commit(&mirror)?.as_deref() != Some(commit) {
            let (place, local) = self.git_place(name, url)?;
            if self.options.offline && !local {
                return Err(offline(name, url, &format!("tag {tag}")));
            }
            git.fetch(&mirror, &place, Some(tag), commit)?;
        }
        if let Some(found) = at_commit(&mirror)?.filter(|found| found != commit) {
            return Err(Error::TagMoved {
                source_name: name.to_owned(),
                url: url::shown(url),
                tag: tag.to_owned(),
                locked: commit.to_owned(),
                found,
            });
        }
        let object = git.tag_object(&mirror, tag)?.unwrap_or_default();
        let Some((text, signature)) = signed(&object) else {
            return Err(invalid(
                name,
                format!(
                    "the tag {tag} of {} has no signature, and the target names a key that signs it (`tag_key`)",
                    url::shown(url)
                ),
            ));
        };
        sign::verify_detached(text, &signature, keys)
            .map(drop)
            .map_err(|error| Error::Signature {
                source_name: name.to_owned(),
                what: format!("the signature of the tag {tag} of {}", url::shown(url)),
                source: Box::new(error),
            })
    }
}

/// What of a tag's content is signed, and the signature behind it.
pub(crate) fn signed(object: &[u8]) -> Option<(&[u8], String)> {
    const BEGIN: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
    // At the beginning of a line, and the last one: a message may quote another.
    let at = object
        .windows(BEGIN.len())
        .enumerate()
        .filter(|(at, part)| *part == BEGIN && (*at == 0 || object[at - 1] == b'\n'))
        .map(|(at, _)| at)
        .next_back()?;
    let (text, signature) = object.split_at(at);
    Some((text, String::from_utf8_lossy(signature).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn the_signature_is_behind_all_of_the_message() {
        let quoted = "x\n  -----BEGIN PGP SIGNATURE-----\n-----BEGIN PGP SIGNATURE-----\none\n";
        let object = format!("object 1\n\n{quoted}-----BEGIN PGP SIGNATURE-----\ntwo\n");
        let (text, signature) = signed(object.as_bytes()).unwrap();
        assert_eq!(text, format!("object 1\n\n{quoted}").as_bytes());
        assert_eq!(signature, "-----BEGIN PGP SIGNATURE-----\ntwo\n");
        assert!(signed(b"object 1\n\nx -----BEGIN PGP SIGNATURE-----\n").is_none());
        assert!(signed(b"").is_none());
    }
}
