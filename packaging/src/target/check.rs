//! What no type can say of a target.

use super::boot::Boot;
use super::model::{DistributionKind, KernelKind, Source, Target};
use super::site::BESIDE;
use super::syntax::{NEXT_KEY, fingerprint, inside};
use crate::advisories::commit::is_ticket;
use crate::sign::{PublicKey, Purpose};
use crate::spec_macros::SpecMacros;

/// The next key as it is published: the key that `text` has, and nothing that stands around it.
///
/// # Errors
/// When it is not exactly one public key, or one that could not sign, as a sentence without a part of it.
pub(super) fn next_key(text: &str) -> Result<String, String> {
    PublicKey::given(text, Purpose::Next)
        .and_then(|key| key.armored())
        .map_err(|error| format!("{NEXT_KEY}: {error}"))
}

impl Target {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The first thing that is wrong, as a sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        super::values::check(self)?;
        fingerprint("distribution.key", &self.distribution.key)?;
        if let Some(platform) = &self.distribution.module_platform
            && !platform.starts_with("platform:")
        {
            return Err(format!(
                "distribution.module_platform is `platform:` and a name, as PLATFORM_ID of /etc/os-release has it, not `{platform}`"
            ));
        }
        if let Some(obs) = &self.distribution.obs {
            obs.check()?;
        }
        match self.distribution.kind {
            DistributionKind::Rehearsal => self.check_rehearsal()?,
            DistributionKind::Repositories => self.distribution.check_repositories()?,
        }
        self.check_kernel()?;
        if let Source::GitTag { tag, .. } = &self.lustre.source {
            return Err(format!(
                "lustre.source has the tag `{tag}` and no commit: write it as `git`, with both"
            ));
        }
        for (place, source, key) in [
            ("lustre", &self.lustre.source, &self.lustre.tag_key),
            ("e2fsprogs", &self.e2fsprogs.source, &self.e2fsprogs.tag_key),
        ] {
            let Some(key) = key else { continue };
            key.check(&format!("{place}.tag_key"))?;
            if !matches!(
                source,
                Source::Git { tag: Some(_), .. } | Source::GitTag { .. }
            ) {
                return Err(format!(
                    "{place}.tag_key is the key of a tag, but {place}.source has no tag"
                ));
            }
        }
        // They become lines of Lustre's spec.
        SpecMacros::default()
            .add_options(&self.lustre.rpmbuild)
            .map_err(|error| format!("lustre.rpmbuild: {error}"))?;
        self.check_accepts()?;
        self.check_release_package()?;
        self.check_folders()?;
        under("e2fsprogs.spec", &self.e2fsprogs.spec)?;
        if let Some(series) = &self.e2fsprogs.series {
            inside("e2fsprogs.series", series)?;
        }
        if let Some(overlay) = &self.lustre.overlay {
            under("lustre.overlay", overlay)?;
        }
        self.boot.as_ref().map_or(Ok(()), Boot::check)
    }

    fn check_accepts(&self) -> Result<(), String> {
        for (ticket, why) in &self.lustre.accepts {
            if !is_ticket(ticket) {
                return Err(format!(
                    "lustre.accepts lists known faults by ticket, such as LU-20192; `{ticket}` is not a ticket"
                ));
            }
            if why.trim().is_empty() {
                return Err(format!(
                    "lustre.accepts.{ticket} has no reason: say why the fault is acceptable"
                ));
            }
        }
        Ok(())
    }

    fn check_release_package(&self) -> Result<(), String> {
        let numbers = &self.repository.release_package;
        let version = &numbers.version;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+~^".contains(c);
        if version.is_empty() || !version.chars().all(plain) {
            return Err(format!(
                "repository.release_package.version is an rpm version (letters, digits and any of ._+~^), not `{version}`"
            ));
        }
        if numbers.release == 0 {
            return Err("repository.release_package.release starts with 1".to_owned());
        }
        Ok(())
    }

    fn check_rehearsal(&self) -> Result<(), String> {
        let distribution = &self.distribution;
        let kernel = &distribution.kernel;
        let has_spec = kernel.spec.is_some() || kernel.is_tree();
        let Some(recipe) = distribution
            .recipe
            .as_deref()
            .filter(|_| has_spec && kernel.source.is_some())
        else {
            return Err(
                "a distribution of the kind `rehearsal` has a `recipe` and a [distribution.kernel] with a `source`, and a `spec` where \
                 that is no tree"
                    .to_owned(),
            );
        };
        if !distribution.repository.is_empty() || !distribution.keys.is_empty() {
            return Err(
                "a distribution of the kind `rehearsal` generates its repositories; they cannot be set"
                    .to_owned(),
            );
        }
        inside("distribution.recipe", recipe)?;
        if let Some(spec) = &kernel.spec {
            inside("distribution.kernel.spec", spec)?;
        }
        for fragment in &distribution.kernel.config {
            inside("distribution.kernel.config", fragment)?;
        }
        Ok(())
    }

    fn check_kernel(&self) -> Result<(), String> {
        let kernel = &self.kernel;
        if let Some(site) = &kernel.site {
            inside("kernel.site", site)?;
        }
        if let Some(version) = &kernel.version {
            is_version_and_release(version, &self.distribution.arch)?;
        }
        match kernel.kind {
            KernelKind::Patched => match &kernel.overlay {
                Some(overlay) => under("kernel.overlay", overlay),
                None => Err(
                "kernel.kind is `patched`, but there is no kernel.overlay: set the overlay for the kernel, such as `kernel/el9`, and its \
                 packages, or use the distribution's own kernel, `kind = \"distribution\"`"
                    .to_owned(),
                ),
            },
            KernelKind::Distribution => {
                if self.distribution.kind == DistributionKind::Rehearsal {
                    return Err(
                        "kernel.kind: a distribution of the kind `rehearsal` has the source package of a kernel and no kernel of its own"
                            .to_owned(),
                    );
                }
                if !kernel.packages.is_empty() {
                    return Err(
                        "kernel.packages: a target with the distribution's own kernel ships none"
                            .to_owned(),
                    );
                }
                if !matches!(kernel.source, Source::Srpm(_)) {
                    return Err(
                        "kernel.source: the ext4 source of the distribution's own kernel is in its SRPM"
                            .to_owned(),
                    );
                }
                Ok(())
            }
        }
    }
}

/// A kernel's version and release alone, as its source package has them.
fn is_version_and_release(text: &str, arch: &str) -> Result<(), String> {
    let whole = text.split_once('-').is_some_and(|(version, release)| {
        version.starts_with(|c: char| c.is_ascii_digit()) && !release.is_empty()
    });
    let tails = [arch, "src", "noarch", "rpm"];
    let tail = text.rsplit('.').next().filter(|tail| tails.contains(tail));
    if whole && tail.is_none() {
        return Ok(());
    }
    Err(format!(
        "kernel.version is the version and the release of the kernel's source package, such as 5.14.0-570.58.1.el9_6, not `{text}`"
    ))
}

/// A path under `specs/`, where it is not beside the target's file, which has a check of its own.
fn under(what: &str, path: &str) -> Result<(), String> {
    if path.starts_with(BESIDE) {
        return Ok(());
    }
    inside(what, path)
}
