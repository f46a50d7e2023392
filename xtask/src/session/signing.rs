//! The key, and the times that it signs with.

use anyhow::bail;
use lustre_files::advised;
use lustre_packaging::sign::PublicKey;
use lustre_repository::earlier::Earlier;
use lustre_repository::release::Release;

use crate::cli::KeyArgs;
use crate::context::Context;
use crate::graph::finish::Signing;
use crate::key;

/// The key, and a signature time that does not change from run to run: that of the packages, or the first that every client takes from
/// the key where that is later. The key is alive then and now.
pub fn signing(context: &Context, arguments: &KeyArgs) -> anyhow::Result<Signing> {
    let signer = key::open(arguments)?;
    let public = PublicKey::parse(signer.public_key_armored()?)?;
    let planned = planned_signing(context, Some(&public))?;
    public.check_usable(planned.time)?;
    Ok(Signing {
        signer: Some(signer),
        ..planned
    })
}

/// The same as far as its stages' keys need it. Where there is no key yet, those stages will run in any case.
pub fn planned_signing(context: &Context, public: Option<&PublicKey>) -> anyhow::Result<Signing> {
    let next = context.target.repository.next_key.as_deref();
    let next = next.map(lustre_repository::key::fingerprint).transpose()?;
    if next.is_some() && next == public.map(PublicKey::fingerprint) {
        bail!(advised(
            format!(
                "repository.next_key of the target `{}` is the key that signs",
                context.target.name
            ),
            "remove it there, and raise `release` in [repository.release_package]"
        ));
    }
    let packages = context.target.build.source_date_epoch;
    let time = public.map_or(packages, |key| packages.max(key.signs_from()));
    Ok(Signing {
        fingerprint: public.map(PublicKey::fingerprint).unwrap_or_default(),
        public_key: public
            .map(PublicKey::armored)
            .transpose()?
            .unwrap_or_default(),
        time,
        // No release is earlier; when it is, is decided once it is known what is in it.
        release: Release {
            time,
            ..Release::default()
        },
        earlier: Earlier::default(),
        signer: None,
    })
}
