//! The signatures of metadata and sums: once by ourselves, once by gpg; and the key that the tree offers to its users.

use super::input::{FILES, StaticInput};
use super::report::Verdict;
use super::tool;
use crate::layout::Kind;
use crate::{assets, key, repo_file, sums};

/// Our own verification of every `repomd.xml.asc` and of `SHA256SUMS.asc`, and that the exported key is the one everything is signed with.
pub(super) fn signatures(input: &StaticInput<'_>) -> Verdict {
    let expected = match key::fingerprint(input.public_key) {
        Ok(fingerprint) => fingerprint,
        Err(error) => return Verdict::NotRun(format!("the public key cannot be read: {error}")),
    };
    let mut findings = Vec::new();
    match lustre_files::read_no_link_to_string(
        input.dist.join(repo_file::KEY_FILE),
        lustre_files::SOURCE,
    ) {
        Err(error) => findings.push(format!("{}: {error}", repo_file::KEY_FILE)),
        Ok(text) => findings.extend(
            key::wrong(&text, &expected).map(|why| format!("{}: {why}", repo_file::KEY_FILE)),
        ),
    }
    findings.extend(
        signed(input)
            .iter()
            .filter_map(|name| verified(input, name).err()),
    );
    Verdict::from_findings(
        format!("{} and the exported key", checked(input, ", ")),
        findings,
    )
}

/// The files that have a signature beside them.
fn signed(input: &StaticInput<'_>) -> Vec<String> {
    let mut names: Vec<String> = Kind::ALL.into_iter().map(index).collect();
    if input.has_assets() {
        names.extend(Kind::ALL.into_iter().map(assets_index));
    }
    names.push(sums::FILE.to_owned());
    names
}

/// How many these are, in a few words.
fn checked(input: &StaticInput<'_>, and: &str) -> String {
    format!("{} repomd.xml{and}{}", signed(input).len() - 1, sums::FILE)
}

/// The path of a repository's index in the tree.
pub(super) fn index(kind: Kind) -> String {
    format!("{}/repodata/repomd.xml", kind.folder())
}

/// The path of the index that locates the packages as assets.
pub(super) fn assets_index(kind: Kind) -> String {
    format!("{}/repodata/repomd.xml", assets::folder(kind))
}

/// Verifies the signature beside the file `name` of the tree.
pub(super) fn verified(input: &StaticInput<'_>, name: &str) -> Result<(), String> {
    let signature = format!("{name}.asc");
    let wrong = |why: String| format!("{signature}: {why}");
    let content = lustre_files::read_no_link(input.dist.join(name), lustre_files::SOURCE)
        .map_err(|e| format!("{name}: {e}"))?;
    let text =
        lustre_files::read_no_link_to_string(input.dist.join(&signature), lustre_files::SOURCE)
            .map_err(|e| wrong(e.to_string()))?;
    key::verify_detached(input.public_key, &text, &content).map_err(|e| wrong(e.to_string()))
}

/// gpg's verification, with a key ring that holds our key alone.
pub(super) fn gpg(input: &StaticInput<'_>) -> Verdict {
    match gpg_findings(input) {
        Ok(findings) => Verdict::from_findings(checked(input, " and "), findings),
        Err(why) => Verdict::NotRun(why),
    }
}

fn gpg_findings(input: &StaticInput<'_>) -> Result<Vec<String>, String> {
    let expected = key::fingerprint(input.public_key).map_err(|e| e.to_string())?;
    let log = input.logs.join("gpg.log");
    let home = tool::home(input.public_key)?;
    let common = ["--batch", "--no-autostart", "--no-auto-check-trustdb"];
    let mut args = common.to_vec();
    args.extend(["--import", tool::KEY]);
    let imported = tool::run(input, "gpg", &args, home.path(), &log)?;
    if !imported.success {
        return Err(format!(
            "gpg cannot import the key: {}",
            imported.text.trim()
        ));
    }
    let mut findings = Vec::new();
    // As a user has them: read where they are, and put into no key ring.
    for name in tool::published_keys(input) {
        let mut args = common.to_vec();
        let file = format!("{FILES}/{name}");
        args.extend(["--import-options", "show-only", "--import", &file]);
        let said = tool::run(input, "gpg", &args, home.path(), &log)?;
        if !said.success {
            findings.push(format!(
                "{name}: gpg cannot import it: {}",
                said.text.trim()
            ));
        }
    }
    for name in signed(input) {
        let signature = format!("{name}.asc");
        // gpg would read a device or a pipe for ever, and through any link.
        let unfit = [&name, &signature].into_iter().find_map(|file| {
            let error =
                lustre_files::read_no_link(input.dist.join(file), lustre_files::SOURCE).err()?;
            Some(format!("{file}: {error}"))
        });
        if let Some(why) = unfit {
            findings.push(why);
            continue;
        }
        let [content, signature] = [&name, &signature].map(|file| format!("{}/{file}", FILES));
        let mut args = common.to_vec();
        args.extend(["--status-fd", "1", "--verify", &signature, &content]);
        let said = tool::run(input, "gpg", &args, home.path(), &log)?;
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
            let reason = if reason.is_empty() {
                "gpg reports nothing about it"
            } else {
                &reason
            };
            findings.push(format!("{name}.asc: {reason}"));
        }
    }
    Ok(findings)
}
