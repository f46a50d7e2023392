//! What this tool calls what it keeps for itself at the destination.

/// The folder at the destination that holds what changes from release to release: a folder for each, named after its content.
pub const HOME: &str = ".releases";

/// The link in it to the release that clients read: what is renamed when one is published.
pub const CURRENT: &str = ".releases/current";

/// The link in it to the release that is staged.
pub const STAGED: &str = ".releases/staged";

/// Where clients of the staged release read it: a link, or a folder where there are none.
pub const STAGING: &str = "staging";

/// Where there are no links: the folder that has a file called as the release that was published when another was staged.
pub const STAGED_ON: &str = "staging/.releases/previous";

/// The folder for files that are not whole yet.
pub const PARTIAL: &str = ".releases/.partial";

/// A link that is made to see whether the destination has links.
pub const PROBE: &str = ".releases/probe";

/// The link in a release's folder to the one that it replaced.
pub const PREVIOUS: &str = "previous";

/// The path of a file in the folder of a release.
pub(super) fn kept(id: &str, path: &str) -> String {
    format!("{HOME}/{id}/{path}")
}

/// What leads from where clients look to the release that they read.
pub(super) fn link_to(path: &str) -> String {
    let up = "../".repeat(path.matches('/').count());
    format!("{up}{CURRENT}/{path}")
}

/// Whether a link is one of ours under the name that rsync gives what it is about to rename: `.NAME.XXXXXX`.
pub(super) fn is_half_made(path: &str, to: &str) -> bool {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (format!("{folder}/"), name),
        None => (String::new(), path),
    };
    let rest = name.strip_prefix('.').and_then(|it| it.rsplit_once('.'));
    let Some((name, end)) = rest else {
        return false;
    };
    let own = format!("{folder}{name}");
    let leads = to == link_to(&own) || (own == STAGING && to == STAGED);
    end.len() == 6 && (own.starts_with(&format!("{HOME}/")) || leads)
}
