//! The releases that have the packages: a draft gets them, and is published when all are there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::process;
use lustre_repository::assets::{Asset, Assets};
use lustre_repository::publishing::{ReleaseAsset, Uploads, assets_fit, published_has, uploads};

use super::super::destination::Beside;
use super::api::{Api, ApiError, Release};
use crate::ui;

/// How often what is missing is uploaded until all of it is there.
const TRIES: usize = 4;

/// What has to be uploaded.
pub struct Uploading {
    /// Where the packages are here.
    dist: PathBuf,
    /// The releases that are not published yet, that of the repository itself last: those before it were made and never published.
    releases: Vec<Unpublished>,
}

/// A release that is not published.
struct Unpublished {
    tag: String,
    packages: Vec<Asset>,
    /// Its draft, and what that has; none where there is none.
    there: Option<(Release, Vec<ReleaseAsset>)>,
}

impl Uploading {
    /// Looks at what is there: the releases that are published have to have what they are named for.
    pub fn look(api: &Api, assets: &Assets, dist: &Path) -> anyhow::Result<Self> {
        let mut tags: Vec<&str> = assets.tags().into_iter().collect();
        tags.sort_by_key(|tag| *tag == assets.tag);
        let all = api.releases()?;
        let mut releases = Vec::new();
        for tag in tags {
            let packages: Vec<&Asset> = assets.with_tag(tag).collect();
            let of_tag = || all.iter().filter(|it| it.tag_name == tag);
            if let Some(release) = of_tag().find(|it| !it.draft) {
                published_has(tag, &packages, &api.assets(release)?)?;
                continue;
            }
            assets_fit(tag, &packages)?;
            let drafts = of_tag().count();
            if drafts > 1 {
                bail!(advised(
                    format!("{} has {drafts} drafts of {tag}", api.repository),
                    "another run may be publishing; else remove them, and run the same command again"
                ));
            }
            let there = match of_tag().next() {
                None => None,
                Some(release) => {
                    let listed = api.assets(release)?;
                    uploads(tag, &packages, &listed)?;
                    Some((release.clone(), listed))
                }
            };
            releases.push(Unpublished {
                tag: tag.to_owned(),
                packages: packages.into_iter().cloned().collect(),
                there,
            });
        }
        Ok(Self {
            dist: dist.to_owned(),
            releases,
        })
    }

    /// What is to be done, to be told.
    pub fn told(&self) -> Vec<Beside> {
        let mut told = Vec::new();
        for one in &self.releases {
            let all: Vec<&Asset> = one.packages.iter().collect();
            let listed = one.there.as_ref().map_or(&[][..], |(_, listed)| listed);
            // It was judged when it was looked at.
            let found = uploads(&one.tag, &all, listed).unwrap_or_default();
            told.extend(found.upload.iter().map(|asset| Beside {
                path: format!("releases/download/{}", asset.place()),
                size: asset.size,
                replaces: found.remove.iter().any(|it| it.name == asset.asset),
            }));
        }
        told
    }

    /// Uploads what is missing, looks whether all of it is there, and publishes each release.
    pub fn done(&self, api: &Api, notes: &str) -> anyhow::Result<()> {
        for one in &self.releases {
            one.published(api, &self.dist, notes).with_context(|| {
                format!(
                    "the release {} of {} is not published, and clients read what they read before",
                    one.tag, api.repository
                )
            })?;
            ui::say(&format!(
                "the release {} of {} is published",
                one.tag, api.repository
            ));
        }
        Ok(())
    }
}

impl Unpublished {
    fn published(&self, api: &Api, dist: &Path, notes: &str) -> anyhow::Result<()> {
        let tag = &self.tag;
        let all: Vec<&Asset> = self.packages.iter().collect();
        let made;
        let release = match &self.there {
            Some((release, _)) => release,
            None => {
                made = api.draft(tag, notes)?;
                if made.tag_name != *tag || !made.draft {
                    bail!(
                        "the draft {tag} is no draft of that name there, but `{}`",
                        made.tag_name.escape_debug()
                    );
                }
                &made
            }
        };
        let mut failed = None;
        for turn in 1.. {
            let listed = api.assets(release)?;
            let found = uploads(tag, &all, &listed)?;
            if found.remove.is_empty() && found.upload.is_empty() {
                break;
            }
            if turn > TRIES {
                return Err(failed.unwrap_or_else(|| {
                    let first = found.upload.first().map_or("", |it| it.asset.as_str());
                    advised(
                        format!("{first} is not there, although it was uploaded: another run may be publishing"),
                        "run the same command again: it goes on",
                    )
                    .into()
                }));
            }
            failed = turned(api, release, &found, dist)?;
        }
        let release = api.publish(release, notes)?;
        if release.draft {
            bail!("it is a draft still, although it was published");
        }
        Ok(())
    }
}

/// Does all of it once; gives the last failure that another try may mend.
fn turned(
    api: &Api,
    release: &Release,
    found: &Uploads<'_>,
    dist: &Path,
) -> anyhow::Result<Option<anyhow::Error>> {
    let mut failed = None;
    let mut judge = |done: Result<(), ApiError>| match done {
        Err(failure) if !failure.again => Err(failure.error),
        Err(failure) => {
            ui::say(&format!("once more: {:#}", failure.error));
            failed = Some(failure.error);
            Ok(())
        }
        Ok(()) => Ok(()),
    };
    for asset in &found.remove {
        judge(api.remove(asset))?;
    }
    let count = found.upload.len();
    for (number, asset) in found.upload.iter().enumerate() {
        if process::interrupted() {
            bail!(advised(
                "interrupted",
                "run the same command again to go on"
            ));
        }
        let (number, name) = (number + 1, &asset.asset);
        ui::say(&format!("uploading {number} of {count}: {name}"));
        judge(api.upload(release, name, &dist.join(&asset.path)))?;
    }
    Ok(failed)
}
