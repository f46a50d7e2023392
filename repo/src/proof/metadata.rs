//! The signatures of the metadata: once by ourselves, once by gpg; and the key that the tree offers to its users.

use std::fs;

use super::context::Context;
use super::report::Verdict;
use super::tool;
use crate::layout::Kind;
use crate::{key, repo_file};

/// Our own verification of every `repomd.xml.asc`, and that the exported key is the one everything is signed with.
pub(super) fn signatures(context: &Context<'_>) -> Verdict {
    let input = &context.input;
    let expected = match key::fingerprint(input.public_key) {
        Ok(fingerprint) => fingerprint,
        Err(error) => return Verdict::NotRun(format!("the public key cannot be read: {error}")),
    };
    let mut findings = Vec::new();
    match fs::read_to_string(input.dist.join(repo_file::KEY_FILE)) {
        Err(error) => findings.push(format!("{}: {error}", repo_file::KEY_FILE)),
        Ok(text) => match key::fingerprint(&text) {
            Ok(found) if found == expected => {}
            Ok(found) => findings.push(format!(
                "{} is the key {found}, expected {expected}",
                repo_file::KEY_FILE
            )),
            Err(error) => findings.push(format!("{}: {error}", repo_file::KEY_FILE)),
        },
    }
    for kind in Kind::ALL {
        let name = format!("{}/repodata/repomd.xml", kind.folder());
        let path = input.dist.join(&name);
        let verified = fs::read(&path)
            .and_then(|content| {
                let signature = fs::read_to_string(path.with_extension("xml.asc"))?;
                Ok((content, signature))
            })
            .map_err(|e| e.to_string())
            .and_then(|(content, signature)| {
                key::verify_detached(input.public_key, &signature, &content)
                    .map_err(|e| e.to_string())
            });
        if let Err(why) = verified {
            findings.push(format!("{name}.asc: {why}"));
        }
    }
    Verdict::from_findings("3 repomd.xml and the exported key", findings)
}

/// gpg's verification, with a key ring that holds our key alone.
pub(super) fn gpg(context: &Context<'_>) -> Verdict {
    match gpg_findings(context) {
        Ok(findings) => Verdict::from_findings("3 repomd.xml", findings),
        Err(why) => Verdict::NotRun(why),
    }
}

fn gpg_findings(context: &Context<'_>) -> Result<Vec<String>, String> {
    let input = &context.input;
    let expected = key::fingerprint(input.public_key).map_err(|e| e.to_string())?;
    let log = input.logs.join("gpg.log");
    let (home, key) = tool::home(input.public_key)?;
    let key = key.display().to_string();
    let common = ["--batch", "--no-autostart", "--no-auto-check-trustdb"];
    let mut args = common.to_vec();
    args.extend(["--import", &key]);
    let imported = tool::run("gpg", &args, home.path(), &log)?;
    if !imported.success {
        return Err(format!(
            "gpg cannot import the key: {}",
            imported.text.trim()
        ));
    }
    let mut findings = Vec::new();
    for kind in Kind::ALL {
        let name = format!("{}/repodata/repomd.xml", kind.folder());
        let content = input.dist.join(&name).display().to_string();
        let signature = format!("{content}.asc");
        let mut args = common.to_vec();
        args.extend(["--status-fd", "1", "--verify", &signature, &content]);
        let said = tool::run("gpg", &args, home.path(), &log)?;
        // "VALIDSIG <signing key> … <primary key>": both have to be ours, since dnf5 takes no subkey.
        let by_ours = said
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] VALIDSIG "))
            .any(|rest| {
                let mut words = rest.split_whitespace();
                words.next() == Some(expected.as_str())
                    && words.next_back() == Some(expected.as_str())
            });
        if !said.success || !by_ours {
            let reason = said
                .text
                .lines()
                .filter(|line| line.starts_with("gpg: "))
                .collect::<Vec<_>>()
                .join(" / ");
            findings.push(format!("{name}.asc: {reason}"));
        }
    }
    Ok(findings)
}
