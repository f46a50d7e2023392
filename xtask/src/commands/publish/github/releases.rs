//! The releases that have the packages: a draft gets them, and is published when all are there.

use std::path::PathBuf;

use anyhow::bail;
use lustre_files::advised;
use lustre_packaging::process;
use lustre_repository::assets::{Asset, Assets};
use lustre_repository::publishing::{Listed, NotSo, Uploads, assets_fit, published_has, uploads};
use std::path::Path;

use super::super::destination::Beside;
use super::api::{Api, Release};
use crate::ui;

/// How often what is missing is uploaded until all of it is there.
const TRIES: usize = 4;

/// What has to be uploaded.
pub struct Uploading {
    assets: Assets,
    /// Where the packages are here.
    dist: PathBuf,
    /// The release of that tag, and what it has; none where there is none yet.
    there: Option<(Release, Vec<Listed>)>,
}

impl Uploading {
    /// Looks at what is there: earlier releases have to have what they are named for, and this one, if it is published already.
    pub fn look(api: &Api, assets: &Assets, dist: &Path) -> anyhow::Result<Self> {
        let own: Vec<&Asset> = assets.with_tag(&assets.tag).collect();
        assets_fit(&assets.tag, &own)?;
        let mut releases = api.releases()?;
        for tag in assets.tags() {
            if tag == assets.tag {
                continue;
            }
            let packages: Vec<&Asset> = assets.with_tag(tag).collect();
            let release = releases.iter().find(|it| it.tag_name == tag && !it.draft);
            let Some(release) = release else {
                let asset = packages.first().map_or("", |it| it.asset.as_str());
                return Err(NotSo::Unpublished {
                    tag: tag.to_owned(),
                    asset: asset.to_owned(),
                }
                .into());
            };
            published_has(tag, &packages, &api.assets(release)?)?;
        }
        releases.retain(|it| it.tag_name == assets.tag);
        let published = releases.iter().position(|it| !it.draft);
        if published.is_none() && releases.len() > 1 {
            bail!(advised(
                format!(
                    "{} has {} drafts of {}",
                    api.repository,
                    releases.len(),
                    assets.tag
                ),
                "another run may be publishing; else remove them, and run the same command again"
            ));
        }
        let there = match releases.into_iter().nth(published.unwrap_or_default()) {
            None => None,
            Some(release) => {
                let listed = api.assets(&release)?;
                match release.draft {
                    true => drop(uploads(&assets.tag, &own, &listed)?),
                    false => published_has(&assets.tag, &own, &listed)?,
                }
                Some((release, listed))
            }
        };
        Ok(Self {
            assets: assets.clone(),
            dist: dist.to_owned(),
            there,
        })
    }

    fn own(&self) -> Vec<&Asset> {
        self.assets.with_tag(&self.assets.tag).collect()
    }

    /// What is to be done, as far as it is known.
    fn uploads(&self) -> Uploads<'_> {
        let own = self.own();
        match &self.there {
            Some((release, _)) if !release.draft => Uploads::default(),
            Some((_, listed)) => uploads(&self.assets.tag, &own, listed).unwrap_or_default(),
            None => Uploads {
                remove: Vec::new(),
                upload: own,
            },
        }
    }

    /// The same, to be told.
    pub fn told(&self) -> Vec<Beside> {
        let found = self.uploads();
        let told = found.upload.iter().map(|asset| Beside {
            path: format!("releases/download/{}", asset.place()),
            size: asset.size,
            replaces: found.remove.iter().any(|it| it.name == asset.asset),
        });
        told.collect()
    }

    /// Uploads what is missing, looks whether all of it is there, and publishes the release.
    pub fn done(&self, api: &Api, title: &str, notes: &str) -> anyhow::Result<()> {
        let tag = &self.assets.tag;
        let own = self.own();
        // An unchanged set of packages needs no release of its own.
        if own.is_empty() {
            return Ok(());
        }
        let made;
        let release = match &self.there {
            Some((release, _)) if !release.draft => return Ok(()),
            Some((release, _)) => release,
            None => {
                made = api.draft(tag, title, notes)?;
                if made.tag_name != *tag || !made.draft {
                    bail!("the draft {tag} is {} there", made.tag_name.escape_debug());
                }
                &made
            }
        };
        let mut failed = None;
        for turn in 1..=TRIES {
            let listed = api.assets(release)?;
            let found = uploads(tag, &own, &listed)?;
            if found.remove.is_empty() && found.upload.is_empty() {
                break;
            }
            if turn == TRIES {
                let first = found.upload.first().map_or("", |it| it.asset.as_str());
                return Err(match failed {
                    Some(error) => error,
                    None => advised(
                        format!("{first} of the draft {tag} is not there, although it was uploaded: another run may be publishing"),
                        "run the same command again: it goes on",
                    )
                    .into(),
                });
            }
            failed = self.turn(api, release, &found)?;
        }
        let release = api.publish(release, title, notes)?;
        if release.draft {
            bail!("the release {tag} is a draft still, although it was published");
        }
        ui::say(&format!(
            "the release {tag} of {} is published",
            api.repository
        ));
        Ok(())
    }

    /// Goes through all that is to be done once; gives the last failure that another try may mend.
    fn turn(
        &self,
        api: &Api,
        release: &Release,
        found: &Uploads<'_>,
    ) -> anyhow::Result<Option<anyhow::Error>> {
        let mut failed = None;
        let mut judge = |done: Result<(), super::api::Failed>| match done {
            Err(error) if !error.again => Err(error.error),
            Err(error) => {
                ui::say(&format!("not yet: {:#}", error.error));
                failed = Some(error.error);
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
            ui::say(&format!(
                "uploading {} of {count}: {}",
                number + 1,
                asset.asset
            ));
            judge(api.upload(release, &asset.asset, &self.dist.join(&asset.path)))?;
        }
        Ok(failed)
    }
}
