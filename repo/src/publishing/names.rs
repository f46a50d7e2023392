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
