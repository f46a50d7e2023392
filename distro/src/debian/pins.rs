//! Pins: files of the archive, exactly, as apt names them.

use super::Error;
use lustre_packaging::lock::{FilePin, PackagePin};

/// The package in a file: name, version and architecture are in the file's name, as apt writes it.
pub(super) fn package(file: FilePin) -> Result<PackagePin, Error> {
    let parts: Vec<&str> = file
        .file
        .strip_suffix(".deb")
        .map(|stem| stem.split('_').collect())
        .unwrap_or_default();
    let [name, version, arch] = parts.as_slice() else {
        return Err(Error::Answer { line: file.file });
    };
    Ok(PackagePin {
        name: (*name).to_owned(),
        version: version.replace("%3a", ":"),
        arch: (*arch).to_owned(),
        file,
    })
}

/// Reads `--print-uris` lines: `'uri' file size SHA256:digest`.
pub fn lines(out: &[u8]) -> Result<Vec<FilePin>, Error> {
    String::from_utf8_lossy(out)
        .lines()
        .filter(|line| line.starts_with('\''))
        .map(|line| {
            let answer = || Error::Answer {
                line: line.to_owned(),
            };
            let (uri, rest) = line[1..].split_once("' ").ok_or_else(answer)?;
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [file, size, digest] = words.as_slice() else {
                return Err(answer());
            };
            let sha256 = digest.strip_prefix("SHA256:").ok_or_else(answer)?;
            if file.contains('/') || sha256.len() != 64 {
                return Err(answer());
            }
            Ok(FilePin {
                file: (*file).to_owned(),
                size: size.parse().map_err(|_| answer())?,
                sha256: sha256.to_owned(),
                uri: uri.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_pins() {
        let digest = "a".repeat(64);
        let text = format!(
            "'http://s/p/zlib1g_1%253a1.2-1_amd64.deb' zlib1g_1%3a1.2-1_amd64.deb 42 SHA256:{digest}\n"
        );
        let pin = package(lines(text.as_bytes()).unwrap().remove(0)).unwrap();
        assert_eq!(
            (pin.name.as_str(), pin.version.as_str()),
            ("zlib1g", "1:1.2-1")
        );
        assert_eq!((pin.arch.as_str(), pin.file.size), ("amd64", 42));
        let back: PackagePin = toml::from_str(&toml::to_string(&pin).unwrap()).unwrap();
        assert_eq!(back, pin);
    }

    #[test]
    fn other_answers_are_refused() {
        for line in ["'x' f 1 MD5Sum:0", "'x' ../f 1 SHA256:00", "'x f 1"] {
            assert!(lines(line.as_bytes()).is_err(), "{line}");
        }
    }
}
