//! What gh asks and tells GitHub. The token is gh's: nothing here reads it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, anyhow};
use lustre_files::{Advised, advised};
use lustre_packaging::process;
use lustre_repository::publishing::ReleaseAsset;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// gh's exit code where it has no token.
const NO_TOKEN: i32 = 4;

/// The interface of one repository.
pub struct Api {
    host: String,
    /// `OWNER/NAME`.
    pub repository: String,
}

/// A release.
#[derive(Clone, Debug, Deserialize)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub draft: bool,
    /// Where assets go to, with what may follow it in braces.
    upload_url: String,
}

/// An asset.
#[derive(Deserialize)]
struct Asset {
    id: u64,
    name: String,
    size: u64,
    state: String,
    digest: Option<String>,
}

/// What went wrong, and whether it is worth another try.
pub struct ApiError {
    pub error: anyhow::Error,
    pub again: bool,
}

impl From<ApiError> for anyhow::Error {
    fn from(failed: ApiError) -> Self {
        failed.error
    }
}

impl Api {
    pub fn new(host: &str, owner: &str, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            host: host.to_owned(),
            repository: format!("{owner}/{name}"),
        })
    }

    /// That the repository is there, and that there is a token.
    pub fn repository(&self) -> anyhow::Result<()> {
        let mut command = self.command("GET", "");
        self.run(&mut command, &[]).map(drop)?;
        Ok(())
    }

    /// All releases, drafts among them.
    pub fn releases(&self) -> anyhow::Result<Vec<Release>> {
        self.pages("/releases?per_page=100")
    }

    /// All assets of a release.
    pub fn assets(&self, release: &Release) -> anyhow::Result<Vec<ReleaseAsset>> {
        let path = format!("/releases/{}/assets?per_page=100", release.id);
        let assets: Vec<Asset> = self.pages(&path)?;
        let listed = assets.into_iter().map(|asset| ReleaseAsset {
            id: asset.id,
            name: asset.name,
            size: asset.size,
            whole: asset.state == "uploaded",
            sha256: asset
                .digest
                .and_then(|digest| digest.strip_prefix("sha256:").map(str::to_owned)),
        });
        Ok(listed.collect())
    }

    /// Makes a draft, which nobody sees but those who may write to the repository.
    pub fn draft(&self, tag: &str, notes: &str) -> anyhow::Result<Release> {
        let body = serde_json::json!({
            "tag_name": tag, "name": tag, "body": notes, "draft": true, "prerelease": false,
        });
        self.sends("POST", "/releases", &body)
    }

    /// Publishes a draft: from here on everybody sees it.
    pub fn publish(&self, release: &Release, notes: &str) -> anyhow::Result<Release> {
        let path = format!("/releases/{}", release.id);
        let body = serde_json::json!({ "body": notes, "draft": false });
        self.sends("PATCH", &path, &body)
    }

    /// Removes an asset.
    pub fn remove(&self, asset: &ReleaseAsset) -> Result<(), ApiError> {
        let mut command = self.command("DELETE", &format!("/releases/assets/{}", asset.id));
        self.run(&mut command, &[]).map(drop)
    }

    /// Uploads a file as an asset.
    pub fn upload(&self, release: &Release, name: &str, file: &Path) -> Result<(), ApiError> {
        let url = release.upload_url.split('{').next().unwrap_or_default();
        let host = url.split("://").nth(1).unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        // The token goes there.
        let own = host == self.host || host.ends_with(&format!(".{}", self.host));
        if !own {
            return Err(ApiError {
                error: anyhow!(
                    "{} wants assets to be sent to `{}`, which is not its own",
                    self.host,
                    host.escape_debug()
                ),
                again: false,
            });
        }
        let mut command = self.program();
        // Its name has nothing that would have to be encoded.
        command
            .args(["--method", "POST", &format!("{url}?name={name}")])
            .args(["--header", "Content-Type: application/octet-stream"])
            .arg("--input")
            .arg(file);
        self.run(&mut command, &[]).map(drop)
    }

    /// All pages of a list.
    fn pages<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut command = self.command("GET", path);
        command.arg("--paginate");
        let text = self.run(&mut command, &[])?;
        // Each page is a list of its own.
        let lists = serde_json::Deserializer::from_slice(&text).into_iter::<Vec<T>>();
        let lists: Result<Vec<Vec<T>>, _> = lists.collect();
        let lists = lists.with_context(|| self.odd(path))?;
        Ok(lists.into_iter().flatten().collect())
    }

    fn sends<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let mut command = self.command(method, path);
        command.args(["--input", "-"]);
        let text = self.run(&mut command, body.to_string().as_bytes())?;
        serde_json::from_slice(&text).with_context(|| self.odd(path))
    }

    fn odd(&self, path: &str) -> String {
        format!(
            "what {} answers to /repos/{}{path} is not as it is described",
            self.host, self.repository
        )
    }

    fn command(&self, method: &str, path: &str) -> Command {
        let mut command = self.program();
        let path = format!("repos/{}{path}", self.repository);
        command.args(["--method", method, &path]);
        command
    }

    fn program(&self) -> Command {
        let mut command = process::command("gh");
        process::with_tokens(&mut command);
        // What the first would have it say has the token in it; with the last, it takes having no token for having one.
        for name in ["GH_DEBUG", "DEBUG", "GH_FORCE_TTY", "GH_REPO", "GH_HOST"] {
            command.env_remove(name);
        }
        command
            .env("GH_PROMPT_DISABLED", "1")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1")
            .args(["api", "--hostname", &self.host])
            .args(["--header", "Accept: application/vnd.github+json"]);
        command
    }

    fn run(&self, command: &mut Command, input: &[u8]) -> Result<Vec<u8>, ApiError> {
        let done = process::capture_with_input(command, input);
        let done = done.map_err(|error| ApiError {
            error: error.into(),
            again: false,
        })?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim();
        let what = format!("gh, {}, {}: {said}", self.repository, done.status);
        let (again, help) = judged(done.status.code(), said);
        let error = match help {
            None => Advised::from(what),
            Some(help) => advised(what, help),
        };
        Err(ApiError {
            error: error.into(),
            again,
        })
    }
}

/// Whether to try once more after what gh said, and what to do about it.
fn judged(code: Option<i32>, said: &str) -> (bool, Option<&'static str>) {
    let has = |word: &str| said.contains(word);
    if code == Some(NO_TOKEN) {
        return (
            false,
            Some(
                "set GH_TOKEN to a token that may write to the repository's contents, or run `gh auth login`",
            ),
        );
    }
    if has("rate limit") {
        return (
            false,
            Some(
                "wait until the limit is over, an hour at most, and run the same command again: it goes on",
            ),
        );
    }
    if has("HTTP 401") {
        return (
            false,
            Some(
                "the token is none, or has expired: set GH_TOKEN to another, or run `gh auth login`",
            ),
        );
    }
    if has("HTTP 403") {
        return (
            false,
            Some("the token has to be allowed to write to the repository's contents"),
        );
    }
    if has("HTTP 404") {
        return (
            false,
            Some(
                "see whether there is a repository of that name, and whether the token may see it and write to its contents",
            ),
        );
    }
    // What is there by the name already, servers that are busy, and what never got there.
    let again = has("HTTP 422") || has("HTTP 5") || !has("HTTP ");
    (again, Some("run the same command again: it goes on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_try_can_mend_is_tried_again_and_nothing_else() {
        for (code, said, again, help) in [
            (4, "To get started", false, "GH_TOKEN"),
            (1, "gh: Bad credentials (HTTP 401)", false, "expired"),
            (
                1,
                "gh: API rate limit exceeded for user (HTTP 403)",
                false,
                "wait",
            ),
            (
                1,
                "gh: You have exceeded a secondary rate limit (HTTP 429)",
                false,
                "wait",
            ),
            (
                1,
                "gh: Resource not accessible by integration (HTTP 403)",
                false,
                "write",
            ),
            (1, "gh: Not Found (HTTP 404)", false, "name"),
            (1, "gh: Validation Failed (HTTP 422)", true, "again"),
            (1, "gh: HTTP 502", true, "again"),
            (1, "Post \"http://x\": EOF", true, "again"),
        ] {
            let (found, advice) = judged(Some(code), said);
            assert_eq!(found, again, "{said}");
            assert!(advice.unwrap().contains(help), "{said}: {advice:?}");
        }
    }
}
