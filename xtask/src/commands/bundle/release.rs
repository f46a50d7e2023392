//! A proven repository as one archive: what dnf reads from a disk, with a text that says how.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::bundle::{Archive, WrittenArchive};
use lustre_packaging::store::Digest;
use lustre_repository::manifest::Manifest;
use lustre_repository::release_package;
use lustre_repository::repo_file::{KEY_FILE, KeyLocation, RepoFile};

use super::super::proofs::ProofReport;
use super::super::publish::source::{self, Source};
use super::super::publish::workspace::Workspace;
use super::super::verify::expected::Expected;
use crate::cli::BundleArgs;
use crate::context;
use crate::{published_tree, ui};

/// The text, beside the repository: it is no part of that, and of its sums.
const README: &str = "README.txt";

/// The repository's folder, beside it.
const REPOSITORY: &str = "repository";

/// What the folder of an archive is called, before the target.
const FOLDER: &str = "lustre-";

/// Whether the first member of an archive is one of ours.
pub fn is_first(path: &str) -> bool {
    let parts = path.split_once('/');
    parts.is_some_and(|(folder, file)| folder.starts_with(FOLDER) && file == README)
}

/// Writes the repository at `dist`, or where the target's is, as the archive `output`; or gives the checks, where one does not hold.
pub fn write(
    arguments: &BundleArgs,
    dist: Option<&Path>,
    output: &Path,
) -> anyhow::Result<Result<(WrittenArchive, String), ProofReport>> {
    let dist = match dist {
        Some(path) => path.to_owned(),
        None => context::default_output(&context::target(&arguments.target)?.name)?,
    };
    context::judge_path("the repository", &dist, &[])?;
    let dist = std::fs::canonicalize(&dist).with_context(|| {
        advised(
            format!("no repository at {}", dist.display()),
            "`cargo xtask repo` makes one",
        )
    })?;
    let expected = Expected::of(
        &arguments.expected.public_key,
        &arguments.expected.key,
        false,
    )?;
    let own = Workspace::open("bundle", &arguments.target)?;
    let shown = dist.display().to_string();
    let dist = published_tree::published(&dist, own.scratch.path(), &mut |line| ui::warn(line))?
        .unwrap_or(dist);
    let source = match source::proven(&dist, &expected, &own.store.logs_dir())? {
        Ok(source) => source,
        Err(unproven) => return Ok(Err(unproven.seen_at(&dist, &shown))),
    };
    source.judge_target(&arguments.target, arguments.target_given, &shown)?;
    let Source {
        manifest, release, ..
    } = &source;
    let folder = format!("{FOLDER}{}", manifest.target);
    let time = manifest.release_time();
    let bytes = release.files.iter().filter_map(|file| file.size).sum();
    let mut archive = Archive::create(output, bytes)?;
    let text = readme(manifest, &folder)?;
    let content = (text.len() as u64, &Digest::of_bytes(text.as_bytes()));
    let path = format!("{folder}/{README}");
    archive.add(&path, time, content, output, &mut text.as_bytes())?;
    for file in &release.files {
        // As it was when its proofs were looked at: nothing that was put there since is taken along.
        let from = dist.join(&file.path);
        let digest: Digest = file
            .sha256
            .parse()
            .with_context(|| format!("the digest of {}", file.path))?;
        let size = file
            .size
            .with_context(|| format!("the size of {} is not known", file.path))?;
        let mut reader = lustre_files::open(&from).with_context(|| from.display().to_string())?;
        let path = format!("{folder}/{REPOSITORY}/{}", file.path);
        archive.add(&path, time, (size, &digest), &from, &mut reader)?;
    }
    let what = format!("{} files of {}", release.files.len(), manifest.target);
    Ok(Ok((archive.finish()?, what)))
}

/// The fingerprint in groups of four digits, to be read aloud.
fn grouped(fingerprint: &str) -> String {
    let digits: Vec<char> = fingerprint.chars().collect();
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

/// What people read: how to check the repository, and how to use it.
fn readme(manifest: &Manifest, folder: &str) -> anyhow::Result<String> {
    let told = manifest.repository.as_ref();
    let name = told.map_or("Lustre", |it| it.name.as_str());
    let place = format!("file:///MOUNTED/{folder}/{REPOSITORY}");
    let repo_file = RepoFile::new(&place, name)?.render(KeyLocation::Published);
    let mut text = format!(
        "{name}\n{}\n\n\
         A dnf repository for the target {}, to be used from a disk, without a network. It is in the folder `{REPOSITORY}`; \
         `{REPOSITORY}/index.html`\nsays what is in it. Nothing of it has to be run. Below, MOUNTED stands for where the disk is mounted, such \
         as run/media/root/DISK.\n\n\n",
        "=".repeat(name.chars().count()),
        manifest.target,
    );
    if let Some(notice) = &manifest.notice {
        let _ = write!(text, "{notice}\n\n\n");
    }
    let _ = write!(
        text,
        "1. Check it\n\n\
         The key that signed it has to have this fingerprint. Whoever could change the key could change this text as well: compare it with what\n\
         you were told elsewhere.\n\n    {}\n\n\
         \x20   cd /MOUNTED/{folder}/{REPOSITORY}\n\
         \x20   gpg --show-keys --with-fingerprint {KEY_FILE}\n\
         \x20   keys=$(mktemp -d)\n\
         \x20   gpg --dearmor --output \"$keys/lustre-repo.gpg\" {KEY_FILE}\n\
         \x20   gpgv --keyring \"$keys/lustre-repo.gpg\" SHA256SUMS.asc SHA256SUMS\n\
         \x20   sha256sum --check --quiet SHA256SUMS\n\n\
         The last command prints nothing where every file is whole. `cargo xtask verify /MOUNTED/{folder}/{REPOSITORY}` of lustre-repo checks\n\
         more, on a machine that has it.\n\n\n",
        grouped(&manifest.key_fingerprint),
    );
    let _ = write!(
        text,
        "2. Use it, as root on the server\n\n\
         Write this to /etc/yum.repos.d/lustre-disk.repo, with the folder in place of MOUNTED:\n\n"
    );
    for line in repo_file.lines() {
        match line {
            "" => text.push('\n'),
            line => drop(writeln!(text, "    {line}")),
        }
    }
    let groups = told.map(|it| it.groups.as_slice()).unwrap_or_default();
    let mut install = format!("    rpm --import /MOUNTED/{folder}/{REPOSITORY}/{KEY_FILE}\n");
    for group in groups {
        let _ = writeln!(install, "    dnf group install {}", group.id);
    }
    let _ = write!(
        text,
        "\nThen:\n\n{install}\n\
         What these packages require of the distribution comes from the repositories that the server has. Where it reaches none, but has all\n\
         that is required, add --disablerepo='*' --enablerepo=lustre.\n\n\
         Do not install the package {} from here: it has dnf look at the address where the repository is published.\n",
        release_package::NAME
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_key_the_sums_and_what_dnf_reads() {
        let manifest = Manifest {
            target: "rehearsal".to_owned(),
            key_fingerprint: "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
            repository: Some(lustre_repository::manifest::Repository {
                name: "Lustre for a test".to_owned(),
                baseurl: "https://repo.example.org/lustre".to_owned(),
                assets_url: None,
                next_key: None,
                groups: vec![lustre_repository::manifest::Group {
                    id: "lustre-server".to_owned(),
                    ..Default::default()
                }],
            }),
            notice: Some("its Lustre is a model".to_owned()),
            ..Manifest::default()
        };
        let text = readme(&manifest, "lustre-rehearsal").unwrap();
        // A name in /tmp that is known beforehand is anybody's.
        assert!(!text.contains("/tmp"), "{text}");
        for part in [
            "keys=$(mktemp -d)\n",
            "0123 4567 89AB CDEF",
            "\nits Lustre is a model\n",
            "gpgv --keyring \"$keys/lustre-repo.gpg\" SHA256SUMS.asc SHA256SUMS\n",
            "sha256sum --check --quiet SHA256SUMS\n",
            "\n    baseurl=file:///MOUNTED/lustre-rehearsal/repository/x86_64\n",
            "\n    repo_gpgcheck=1\n",
            "\n    dnf group install lustre-server\n",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        // No address of a network, and nothing that is run by itself.
        assert!(!text.contains("http") && !text.contains("#!"), "{text}");
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest < Some(160), "{longest:?}");
        assert!(is_first("lustre-rehearsal/README.txt") && !is_first("rehearsal/README.txt"));
    }
}
