//! When a repository is released, where nobody says it: a stage, so that it is decided once for a content, and then an input like any other.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lustre_packaging::stage::Stage;
use lustre_packaging::store::{EntryKind, PathError, StageDir};
use lustre_repository::history::{SetPackage, path_of};
use lustre_repository::manifest::Package;
use lustre_repository::release::ComparedPackage;

use super::finish::{SIGNED_LIST, SignedEntry, Signing};
use super::inputs::BuildGraph;
use super::{name, recipes};

/// The file with the stage's time.
const TIME: &str = "time";

impl BuildGraph<'_> {
    /// The stage that takes the release time from the clock, for just this content in place of a repository of the time `replaced`. The
    /// time is later than that, and no earlier than those in the packages' signatures, wherever the clock stands.
    pub fn release_time<'s>(
        &'s self,
        signing: &'s Signing,
        replaced: Option<u64>,
    ) -> anyhow::Result<Stage<'s>> {
        let mut inputs = recipes::of(name::RELEASE_TIME);
        inputs.extend(self.content_inputs(signing)?);
        let label = replaced.map_or_else(|| "nothing".to_owned(), |time| time.to_string());
        inputs.push(("replaces".to_owned(), label));
        inputs.push(("signed".to_owned(), signing.time.to_string()));
        Ok(Stage {
            name: name::RELEASE_TIME.to_owned(),
            needs: self.needs(name::RELEASE_TIME),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                let time = later(now, replaced, signing.time)?;
                fs::write(work.output.join(TIME), format!("{time}\n"))?;
                Ok(())
            }),
        })
    }
}

/// The first time that a release may have at `now`, or as soon after it as what there is already lets it.
fn later(now: u64, replaced: Option<u64>, signed: u32) -> Result<u32, String> {
    let least = replaced.map_or(0, |time| time.saturating_add(1));
    let time = now.max(least).max(signed.into());
    u32::try_from(time).map_err(|_| {
        format!(
            "the release time would be {time} seconds since 1970, but signatures end in 2106: set the clock, or move away the repository \
             that would be replaced"
        )
    })
}

/// The time that the stage put out.
pub fn time(stage: &StageDir) -> anyhow::Result<u32> {
    let path = stage.path.join(TIME);
    let text = lustre_files::read_to_string(&path, lustre_files::TEXT)
        .map_err(|error| PathError::new("read", &path, error))?;
    Ok(text.trim_end().parse()?)
}

/// The packages that the stage `sign` put out.
#[derive(Debug)]
pub struct Packages {
    listed: Vec<SignedEntry>,
    /// Size and digest of each file.
    files: BTreeMap<String, (u64, String)>,
}

impl Packages {
    /// Reads the stage's list.
    pub fn of(sign: &StageDir) -> anyhow::Result<Self> {
        let outputs = sign.record.outputs.iter();
        let files = outputs.filter_map(|entry| match &entry.kind {
            EntryKind::File { sha256, size, .. } => {
                let file = entry.path.strip_prefix("packages/")?;
                Some((file.to_owned(), (*size, sha256.to_string())))
            }
            _ => None,
        });
        let path = sign.path.join(SIGNED_LIST);
        let text = lustre_files::read(&path, lustre_files::TEXT)
            .map_err(|error| PathError::new("read", &path, error))?;
        Ok(Self {
            listed: serde_json::from_slice(&text)?,
            files: files.collect(),
        })
    }

    /// The packages, as they are published.
    pub fn published(&self) -> anyhow::Result<Vec<SetPackage>> {
        let listed = self.listed.iter();
        let published = listed.map(|signed| {
            let nevra = &signed.nevra;
            let (size, sha256) = self
                .files
                .get(&signed.file)
                .with_context(|| format!("the stage `{}` did not put out {nevra}", name::SIGN))?;
            Ok(SetPackage {
                nevra: nevra.clone(),
                path: path_of(nevra)
                    .with_context(|| format!("a repository has no place for {nevra}"))?,
                size: *size,
                sha256: sha256.clone(),
                sha256_unsigned: signed.unsigned_sha256.clone(),
                stage: signed.stage.clone(),
            })
        });
        published.collect()
    }

    /// What is compared of them.
    pub fn known(&self) -> Vec<ComparedPackage<'_>> {
        self.listed
            .iter()
            .map(|signed| ComparedPackage {
                nevra: &signed.nevra,
                content: &signed.unsigned_sha256,
            })
            .collect()
    }
}

/// Whether the stage `sign` recorded just the packages that a manifest lists, signatures included.
pub fn has_packages(sign: &StageDir, listed: &[Package]) -> bool {
    let mut here: Vec<(String, String)> = sign
        .record
        .outputs
        .iter()
        .filter_map(|entry| match &entry.kind {
            EntryKind::File { sha256, .. } => {
                let file = entry.path.strip_prefix("packages/")?;
                Some((file.to_owned(), sha256.to_string()))
            }
            _ => None,
        })
        .collect();
    let mut there: Vec<(String, String)> = listed
        .iter()
        .map(|package| {
            let file = package.file.rsplit('/').next().unwrap_or_default();
            (file.to_owned(), package.sha256.clone())
        })
        .collect();
    here.sort();
    there.sort();
    here == there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_later_than_all_there_is_wherever_the_clock_stands() {
        for (now, replaced, signed, wanted) in [
            (100, None, 7, 100),
            (100, Some(50), 7, 100),
            (100, Some(100), 7, 101),
            // The clock went back.
            (100, Some(500), 7, 501),
            (0, None, 7, 7),
        ] {
            assert_eq!(later(now, replaced, signed), Ok(wanted));
        }
        let end = u64::from(u32::MAX);
        assert!(later(1, Some(end), 1).unwrap_err().contains("2106"));
        assert!(later(1, Some(u64::MAX), 1).is_err());
    }
}
