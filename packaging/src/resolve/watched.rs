//! Whether a repository has changed since it was looked at: its `repomd.xml`, by one request.

use lustre_files::shown_url;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::source::{self, Answer, Downloader, Validators, url};
use crate::store::Digest;
use crate::target::{BaseRepository, Distribution};

/// A repository's `repomd.xml` as it was seen. It says that something changed and no more: what is believed is read and checked anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryState {
    /// Where the repository was, before mirrors.
    pub location: String,
    /// The digest of the file.
    pub sha256: Digest,
    /// What the server said of it.
    #[serde(default)]
    pub validators: Validators,
}

/// What `repository` has now, at the first of its places that answers, that where it was `seen` before the others; none where it is as it
/// was then.
pub fn changed(
    downloader: &Downloader<'_>,
    distribution: &Distribution,
    repository: &BaseRepository,
    seen: Option<&RepositoryState>,
) -> Result<Option<RepositoryState>, Error> {
    let mut places = distribution.locations(repository)?;
    let seen = seen.filter(|seen| places.contains(&seen.location));
    if let Some(seen) = seen {
        places.sort_by_key(|place| *place != seen.location);
    }
    let mut last = None;
    for location in places {
        let known = seen.filter(|seen| seen.location == location);
        let place = url::join(&repository.id, &location, "repodata/repomd.xml")?;
        let validators = known.map(|known| known.validators.clone());
        let answer = source::changed(
            downloader,
            &repository.id,
            &place,
            &validators.unwrap_or_default(),
        );
        match answer {
            Ok(Answer::Unchanged) if known.is_some() => return Ok(None),
            Ok(Answer::Unchanged) => {
                last = Some(Error::Metadata {
                    repository: repository.id.clone(),
                    url: shown_url(&place),
                    why: "the server says that it has not changed, and nobody asked that"
                        .to_owned(),
                });
            }
            Ok(Answer::Content(content, validators)) => {
                let sha256 = Digest::of_bytes(&content);
                if seen.is_some_and(|seen| seen.sha256 == sha256) {
                    return Ok(None);
                }
                return Ok(Some(RepositoryState {
                    location,
                    sha256,
                    validators,
                }));
            }
            Err(error @ source::Error::Interrupted { .. }) => return Err(error.into()),
            Err(error) => last = Some(error.into()),
        }
    }
    Err(last.unwrap_or_else(|| Error::Nowhere {
        repository: repository.id.clone(),
        tried: Vec::new(),
    }))
}
