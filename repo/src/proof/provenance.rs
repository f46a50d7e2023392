//! `provenance.intoto.json`: signed as the sums are, of just these sums, and as the manifest has it.

use super::context::Context;
use super::report::Verdict;
use crate::manifest::{self, Manifest};
use crate::{key, provenance, sums};

/// The statement is signed, and is the one that the manifest and the sums give. Another version of the tool may write another one: of that,
/// the signature and the digest of the sums are checked.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    match findings(context) {
        Ok(findings) => Verdict::from_findings(provenance::FILE, findings),
        Err(why) => Verdict::Fail {
            checked: provenance::FILE.to_owned(),
            findings: vec![why],
        },
    }
}

fn findings(context: &Context<'_>) -> Result<Vec<String>, String> {
    let dist = context.input.dist;
    let read = |name: &str| {
        lustre_files::read_no_link_to_string(dist.join(name), lustre_files::SOURCE)
            .map_err(|error| format!("{name}: {error}"))
    };
    let found = read(provenance::FILE)?;
    let signature = read(provenance::SIGNATURE)?;
    let mut findings = Vec::new();
    if let Err(error) = key::verify_detached(context.input.public_key, &signature, found.as_bytes())
    {
        findings.push(format!("{}: {error}", provenance::SIGNATURE));
    }
    let manifest = Manifest::read(&dist.join(manifest::FILE)).map_err(|error| error.to_string())?;
    let sums = read(sums::FILE)?;
    if manifest.tool.version == env!("CARGO_PKG_VERSION") {
        if found != provenance::statement(&manifest, &sums) {
            findings.push(format!(
                "{} is not what {} and {} give",
                provenance::FILE,
                manifest::FILE,
                sums::FILE
            ));
        }
    } else if !found.contains(&crate::sums::of_text(&sums)) {
        findings.push(format!(
            "{} is not of {}: it does not have its digest",
            provenance::FILE,
            sums::FILE
        ));
    }
    Ok(findings)
}
