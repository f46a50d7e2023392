//! Where a repository is published, as it is said on the command line.

use std::fmt;
use std::path::{Path, PathBuf};

use lustre_files::{help, shown_url};

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// What rsync takes: `rsync://HOST/MODULE/PATH`, `HOST::MODULE/PATH`, `HOST:PATH`; without a slash at its end.
    Rsync(String),
    /// What rclone takes: `REMOTE:PATH`, without a slash at its end.
    Store {
        /// As rclone takes it.
        remote: String,
        /// Whether it is S3 by the variables of AWS, and not a remote of rclone's own configuration.
        s3: bool,
    },
    /// A repository of a forge whose pages are served: `github:OWNER/NAME`.
    GitHub {
        owner: String,
        /// The repository's own name.
        name: String,
    },
}

/// What can be no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot publish to `{}`: {why}{}",
    shown_url(text),
    help!("give a folder, rsync://HOST/MODULE/PATH, HOST:PATH, s3://BUCKET/PATH, rclone:REMOTE:PATH or github:OWNER/NAME")
)]
pub struct BadPlace {
    text: String,
    why: String,
}

impl Place {
    /// Reads what was said. As with rsync, a colon before the first slash makes it another machine's: `./a:b` is a folder.
    pub fn parse(text: &str) -> Result<Self, BadPlace> {
        let bad = |why: &str| BadPlace {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if text.starts_with('-') {
            return Err(bad(
                "it begins with `-`, as an option does (a folder of that name is ./-…)",
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(bad("it has a control character"));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !is_name(bucket) {
                return Err(bad("that is no name of a bucket"));
            }
            let remote = match inner(path).ok_or_else(|| bad(ODD_PATH))? {
                "" => format!(":s3:{bucket}"),
                path => format!(":s3:{bucket}/{path}"),
            };
            return Ok(Self::Store { remote, s3: true });
        }
        if let Some(rest) = text.strip_prefix("rclone:") {
            let (remote, path) = rest
                .split_once(':')
                .ok_or_else(|| bad("rclone's part is REMOTE:PATH"))?;
            // Others are settings, with passwords among them: what is on a command line everybody can read.
            if !is_name(remote) {
                return Err(bad(
                    "REMOTE is the name of a remote in rclone's configuration, and has letters, digits, `.`, `-` and `_` alone",
                ));
            }
            let path = match path.trim_end_matches('/') {
                "" if path.is_empty() => "",
                "" => return Err(bad("it is the root")),
                path => path,
            };
            inner(path.trim_start_matches('/')).ok_or_else(|| bad(ODD_PATH))?;
            return Ok(Self::Store {
                remote: format!("{remote}:{path}"),
                s3: false,
            });
        }
        if let Some(rest) = text.strip_prefix("github:") {
            return match rest.split_once('/') {
                Some((owner, name)) if is_owner(owner) && is_repository(name) => Ok(Self::GitHub {
                    owner: owner.to_owned(),
                    name: name.to_owned(),
                }),
                _ => Err(bad(
                    "behind `github:`, OWNER/NAME has to be the name of a repository",
                )),
            };
        }
        if let Some(rest) = text.strip_prefix("rsync://") {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !is_host(host) {
                return Err(bad(ODD_HOST));
            }
            let path = inner(path).ok_or_else(|| bad(ODD_PATH))?;
            if path.is_empty() {
                return Err(bad("it names no module"));
            }
            return Ok(Self::Rsync(format!("rsync://{host}/{path}")));
        }
        // To ssh, it would be the name of a machine.
        let word = text
            .split_once(':')
            .map(|(word, _)| word.to_ascii_lowercase());
        if let Some(word) =
            word.filter(|it| ["github", "rclone", "s3", "rsync"].contains(&it.as_str()))
            && !text.starts_with(&word)
        {
            return Err(bad(&format!("`{word}:` has small letters alone")));
        }
        let first = text.split('/').next().unwrap_or_default();
        if let Some((scheme, _)) = text.split_once("://")
            && !scheme.contains('/')
        {
            return Err(bad(&format!("`{scheme}://` is not known")));
        }
        if let Some(at) = first.find(':') {
            let (host, path) = (&text[..at], &text[at + 1..]);
            if !is_host(host) || host.contains(':') {
                return Err(bad(ODD_HOST));
            }
            let (daemon, path) = match path.strip_prefix(':') {
                Some(path) => (true, path),
                None => (false, path),
            };
            // A user with a password, as a URL has it: to rsync, it is a path.
            if path.split('/').next().is_some_and(|it| it.contains('@')) {
                return Err(bad(ODD_HOST));
            }
            let path = match path.trim_end_matches('/') {
                "" => return Err(bad("it names no folder")),
                path if daemon && path.starts_with('/') => return Err(bad(ODD_PATH)),
                path => path,
            };
            inner(path.trim_start_matches('/')).ok_or_else(|| bad(ODD_PATH))?;
            let colons = if daemon { "::" } else { ":" };
            return Ok(Self::Rsync(format!("{host}{colons}{path}")));
        }
        Ok(Self::Folder(Path::new(text).to_owned()))
    }

    /// What the programs that it takes are for, as the table of the host's tools has it; none where it takes none.
    pub const fn tools(&self) -> Option<&'static str> {
        match self {
            Self::Folder(_) => None,
            Self::Rsync(_) => Some("publish-rsync"),
            Self::Store { .. } => Some("publish-store"),
            Self::GitHub { .. } => Some("publish-github"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Rsync(to) => f.write_str(to),
            Self::Store { remote, s3: true } => {
                write!(f, "s3://{}", remote.trim_start_matches(":s3:"))
            }
            Self::Store { remote, s3: false } => write!(f, "rclone:{remote}"),
            Self::GitHub { owner, name } => write!(f, "github:{owner}/{name}"),
        }
    }
}

const ODD_HOST: &str = "its host is none (a password is no part of it; it is in RSYNC_PASSWORD)";
const ODD_PATH: &str = "its path has an empty part, `.` or `..`";

/// A path below something, without slashes at its end; none where a part of it leads elsewhere.
fn inner(path: &str) -> Option<&str> {
    let path = path.trim_end_matches('/');
    let odd = |part: &str| matches!(part, "" | "." | "..");
    (path.is_empty() || !path.split('/').any(odd)).then_some(path)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(plain)
}

/// A name of a user or an organization.
fn is_owner(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    is_name(name) && name.len() <= 39 && name.chars().all(plain)
}

/// A name of a repository: without the end that its address has for git.
fn is_repository(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_dots = name.chars().all(|c| c == '.');
    let begins = !name.starts_with('-');
    begins && !is_dots && name.len() <= 100 && name.chars().all(plain) && !name.ends_with(".git")
}

/// `[USER@]HOST[:PORT]`, of letters that no shell and no ssh takes for anything else.
fn is_host(host: &str) -> bool {
    let (user, host) = match host.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, host),
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.chars().all(|c| c.is_ascii_hexdigit() || c == ':') => {
                ("six", port)
            }
            _ => return false,
        },
        None => host
            .find(':')
            .map_or((host, ""), |at| (&host[..at], &host[at..])),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    user.is_none_or(is_name)
        && is_name(host)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_place_is_told_by_how_it_is_written() {
        let store = |remote: &str, s3| Place::Store {
            remote: remote.to_owned(),
            s3,
        };
        for (text, place) in [
            ("/srv/www/lustre", Place::Folder("/srv/www/lustre".into())),
            ("./a:b", Place::Folder("./a:b".into())),
            ("with blank", Place::Folder("with blank".into())),
            (
                "rsync://mirror.example.org/lustre/el9/",
                Place::Rsync("rsync://mirror.example.org/lustre/el9".to_owned()),
            ),
            (
                "rsync://me@127.0.0.1:8730/m",
                Place::Rsync("rsync://me@127.0.0.1:8730/m".to_owned()),
            ),
            (
                "rsync://[::1]:873/m/a",
                Place::Rsync("rsync://[::1]:873/m/a".to_owned()),
            ),
            ("web:/srv/www/", Place::Rsync("web:/srv/www".to_owned())),
            (
                "me@web:path with blank",
                Place::Rsync("me@web:path with blank".to_owned()),
            ),
            ("web::m/a", Place::Rsync("web::m/a".to_owned())),
            ("s3://bucket/a/b/", store(":s3:bucket/a/b", true)),
            ("s3://bucket", store(":s3:bucket", true)),
            ("rclone:azure:box/a", store("azure:box/a", false)),
            ("rclone:disk:/srv/a", store("disk:/srv/a", false)),
            (
                "github:some-owner/.a_b-c.d",
                Place::GitHub {
                    owner: "some-owner".to_owned(),
                    name: ".a_b-c.d".to_owned(),
                },
            ),
        ] {
            assert_eq!(Place::parse(text), Ok(place), "{text}");
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for text in [
            "",
            "-e sh:path",
            "--rsh=sh",
            "-oProxyCommand=x:path",
            "me@-oProxyCommand=x:path",
            "a b:path",
            "$(id):path",
            "host:",
            "host:/",
            "host:a/../b",
            "host:a//b",
            "user:secret@host:path",
            "rsync://me:secret@host/m",
            "rsync://host",
            "rsync://host/",
            "rsync://-e/m",
            "rsync://host/m/../n",
            "ftp://host/a",
            "https://host/a",
            "s3://",
            "s3://-bucket/a",
            "s3://bucket,endpoint=x/a",
            "s3://bucket/../a",
            "rclone:bucket",
            "rclone::s3,secret_access_key=x:bucket",
            "rclone:-x:bucket",
            "rclone:disk:/",
            "github:owner",
            "github:owner/",
            "github:/name",
            "github:owner/name/",
            "github:owner/name/folder",
            "github:owner/..",
            "github:owner/-name",
            "github:owner/name.git",
            "github:-owner/name",
            "github:own.er/name",
            "github:user:secret@owner/name",
            "github:owner/na me",
            "GitHub:owner/name",
            "Rclone:disk:a",
            "S3://bucket/a",
            "RSYNC://host/m",
            "github:owner/name?x",
            "a\nb",
        ] {
            let error = Place::parse(text).unwrap_err().to_string();
            assert!(error.contains("rclone:REMOTE:PATH"), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_is_no_place_is_shown_without_a_password() {
        for text in [
            "HTTPS://user:sekret@host/y",
            "http://user:sekret@host",
            "https:user:sekret@host/y",
            "s3://user:sekret@host/y",
            "rsync://user:sekret@host/module/y",
            "user:sekret@host:/y",
            "rclone:user:sekret@host/\u{7}",
        ] {
            let said = Place::parse(text).unwrap_err().to_string();
            assert!(
                !said.contains("sekret") && said.contains("host"),
                "{text}: {said}"
            );
        }
        let said = Place::parse("user@host:").unwrap_err().to_string();
        assert!(said.contains("`user@host:`"), "{said}");
    }
}
