//! The certificate that a repository's server asks for, as subscription-manager keeps it on a registered host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Location};

/// What a server below a location asks for, and who its own certificate is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub repository: String,
    /// Where it is. A mirror in its place is another server, which is shown nothing.
    pub below: String,
    /// The client's certificate and its key: files in PEM, or folders with pairs of `NUMBER.pem` and `NUMBER-key.pem`.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The authorities that the server's certificate is by; the host's where not given.
    pub authorities: Option<PathBuf>,
}

impl Certificate {
    /// Whether `place` is asked with it.
    pub(super) fn is_for(&self, place: &Location) -> bool {
        place
            .as_str()
            .strip_prefix(self.below.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The lines of curl's configuration.
    pub(super) fn lines(&self) -> Result<String, Error> {
        let mut lines = String::new();
        let mut files = Vec::new();
        if let Some((certificate, key)) = &self.client {
            let pair = pair(certificate, key).map_err(|why| self.error(certificate, why))?;
            files.extend([("cert", pair.0), ("key", pair.1)]);
        }
        if let Some(authorities) = &self.authorities {
            files.push(("cacert", authorities.clone()));
        }
        for (option, path) in files {
            lustre_files::open_within(&path, lustre_files::TEXT)
                .map_err(|error| self.error(&path, error.to_string()))?;
            let text = path.to_str().filter(|text| !text.contains(['\n', '\r']));
            let text = text.ok_or_else(|| self.error(&path, "not a path in UTF-8".to_owned()))?;
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            lines.push_str(&format!("{option} = \"{quoted}\"\n"));
        }
        Ok(lines)
    }

    fn error(&self, path: &Path, why: String) -> Error {
        Error::Certificate {
            repository: self.repository.clone(),
            path: path.to_owned(),
            why,
        }
    }
}

/// The files of a certificate and its key; of folders, the newest pair.
fn pair(certificate: &Path, key: &Path) -> Result<(PathBuf, PathBuf), String> {
    if !certificate.is_dir() {
        return Ok((certificate.to_owned(), key.to_owned()));
    }
    let mut newest = None;
    let read = |error: io::Error| error.to_string();
    for entry in fs::read_dir(certificate).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let Some(number) = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".pem"))
            .filter(|number| !number.ends_with("-key"))
        else {
            continue;
        };
        let key = if key.is_dir() {
            key.join(format!("{number}-key.pem"))
        } else {
            key.to_owned()
        };
        let made = fs::metadata(&path)
            .and_then(|about| about.modified())
            .map_err(read)?;
        if key.is_file() && newest.as_ref().is_none_or(|(other, _)| *other < made) {
            newest = Some((made, (path, key)));
        }
    }
    newest
        .map(|(_, pair)| pair)
        .ok_or_else(|| "no pair of NUMBER.pem and NUMBER-key.pem is in it".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn certificate(below: &str, folder: &Path) -> Certificate {
        Certificate {
            repository: "baseos".to_owned(),
            below: below.to_owned(),
            client: Some((folder.to_owned(), folder.to_owned())),
            authorities: None,
        }
    }

    #[test]
    fn it_is_shown_to_its_own_server_alone() {
        let one = certificate("https://cdn.example/rhel9/", Path::new("/e"));
        let is_for = |text: &str| one.is_for(&Location::parse(text).unwrap());
        assert!(is_for("https://cdn.example/rhel9/os/repodata/repomd.xml"));
        for other in [
            "https://cdn.example/rhel90/os",
            "https://cdn.example.evil.example/rhel9/os",
            "http://cdn.example/rhel9/os",
            "/srv/copy/rhel9/os",
        ] {
            assert!(!is_for(other), "{other}");
        }
    }

    #[test]
    fn a_pipe_is_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let mut one = certificate("https://cdn.example", &pipe);
        one.authorities = Some(PathBuf::from("/dev/zero"));
        let error = one.lines().unwrap_err().to_string();
        assert!(error.contains("a pipe"), "{error}");
        one.client = None;
        let error = one.lines().unwrap_err().to_string();
        assert!(error.contains("a device"), "{error}");
    }

    #[test]
    fn of_a_folder_the_newest_pair_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let one = certificate("https://cdn.example", dir.path());
        let error = one.lines().unwrap_err().to_string();
        for part in [
            "`baseos`",
            "NUMBER-key.pem",
            "subscription-manager",
            "--mirror",
        ] {
            assert!(error.contains(part), "`{part}`: {error}");
        }
        for (at, name) in ["20", "3", "100"].iter().enumerate() {
            for end in [".pem", "-key.pem"] {
                // The newest has no key.
                if (at, end) != (2, "-key.pem") {
                    let file = fs::File::create(dir.path().join(format!("{name}{end}"))).unwrap();
                    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + at as u64);
                    file.set_modified(time).unwrap();
                }
            }
        }
        let folder = dir.path().display();
        assert_eq!(
            one.lines().unwrap(),
            format!("cert = \"{folder}/3.pem\"\nkey = \"{folder}/3-key.pem\"\n")
        );
    }
}
