//! Signed tags.

use std::path::Path;

use lustre_files::shown_url;

use super::fetch::{invalid, offline};
use super::git_command::Git;
use super::{Error, Fetcher};
use crate::sign;

impl Fetcher<'_> {
    /// Checks that the tag `tag` of the repository at `url` is signed by one of the armored keys as a tag of that name, and that it is at
    /// `commit`. Both are fetched for that.
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
                url: shown_url(url),
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
                    "the tag {tag} of {} is not signed, and the target requires a signature (`tag_key`)",
                    shown_url(url)
                ),
            ));
        };
        sign::verify_detached(text, signature, keys).map_err(|error| Error::Signature {
            source_name: name.to_owned(),
            what: format!("the signature of the tag {tag} of {}", shown_url(url)),
            source: Box::new(error),
        })?;
        // The signature covers the name in the tag, not the one it is asked for by: an old release can be given out as a new one.
        let known = named(text);
        if known != Some(tag) {
            return Err(invalid(
                name,
                format!(
                    "the tag {tag} of {} was signed as {}: one release is passed off as another",
                    shown_url(url),
                    known.map_or("a tag without a name".to_owned(), |known| format!(
                        "the tag {known}"
                    ))
                ),
            ));
        }
        Ok(())
    }
}

/// The name that a tag gives itself, in the lines before its message.
fn named(text: &[u8]) -> Option<&str> {
    let mut names = text
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix(b"tag "));
    match (names.next(), names.next()) {
        (Some(name), None) => std::str::from_utf8(name).ok(),
        _ => None,
    }
}

/// What of a tag's content is signed, and the signature behind it.
pub(crate) fn signed(object: &[u8]) -> Option<(&[u8], &[u8])> {
    const BEGIN: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
    // At the beginning of a line, and the last one: a message may quote another.
    let at = object
        .windows(BEGIN.len())
        .enumerate()
        .filter(|(at, part)| *part == BEGIN && (*at == 0 || object[at - 1] == b'\n'))
        .map(|(at, _)| at)
        .next_back()?;
    Some(object.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::{named, signed};

    #[test]
    fn the_signature_is_behind_all_of_the_message() {
        let quoted = "x\n  -----BEGIN PGP SIGNATURE-----\n-----BEGIN PGP SIGNATURE-----\none\n";
        let object = format!("object 1\n\n{quoted}-----BEGIN PGP SIGNATURE-----\ntwo\n");
        let (text, signature) = signed(object.as_bytes()).unwrap();
        assert_eq!(text, format!("object 1\n\n{quoted}").as_bytes());
        assert_eq!(signature, b"-----BEGIN PGP SIGNATURE-----\ntwo\n");
        assert!(signed(b"object 1\n\nx -----BEGIN PGP SIGNATURE-----\n").is_none());
        assert!(signed(b"").is_none());
    }

    #[test]
    fn a_tags_name_is_the_one_in_its_head() {
        assert_eq!(
            named(b"object 1\ntype commit\ntag v1\ntagger A\n\ntag v2\n"),
            Some("v1")
        );
        for other in [
            &b"object 1\n\ntag v1\n"[..],
            b"tag v1\ntag v2\n\n",
            b"tag \xff\n\n",
            b"",
        ] {
            assert_eq!(named(other), None);
        }
    }
}
