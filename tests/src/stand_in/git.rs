//! Repositories that are served as plain files.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lustre_packaging::process;

/// Makes the bare repository `bare` with a commit for each of `trees`, given as tag and folder, each upon the one before. The same
/// trees give the same commits, whose ids come back.
pub fn publish(bare: &Path, trees: &[(&str, &Path)]) -> Result<Vec<String>> {
    let git = |work: &Path, arguments: &[&str]| -> Result<String> {
        let out = process::output(
            Command::new("git")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_AUTHOR_DATE", format!("{} +0000", super::TIME))
                .env("GIT_COMMITTER_DATE", format!("{} +0000", super::TIME))
                .args([
                    "-c",
                    "user.name=stand-in",
                    "-c",
                    "user.email=stand-in@localhost",
                ])
                .args([
                    "-c",
                    "core.autocrlf=false",
                    "-c",
                    "init.defaultBranch=master",
                ])
                .arg(format!("--git-dir={}", bare.display()))
                .arg(format!("--work-tree={}", work.display()))
                .args(arguments),
        )?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    };
    process::output(
        Command::new("git")
            .args(["init", "--quiet", "--bare"])
            .arg(bare),
    )?;
    let mut commits = Vec::new();
    for (tag, tree) in trees {
        git(tree, &["add", "--all", "--force", "."])?;
        git(tree, &["commit", "--quiet", "--allow-empty", "-m", tag])?;
        git(tree, &["tag", "-a", "-m", tag, tag])?;
        commits.push(git(tree, &["rev-parse", "HEAD"])?);
    }
    git(bare, &["gc", "--quiet"])?;
    git(bare, &["update-server-info"])?;
    Ok(commits)
}
