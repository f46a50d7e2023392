//! What a spec file requires to be built, by the host's rpmspec.

use std::path::Path;
use std::process::Command;

use super::Error;
use crate::process;
use crate::target::Distribution;

/// The build requirements of `spec`, as dnf takes them. `options` are rpmbuild's, such as `--with baseonly`; the sources are beside
/// the spec. A spec may run programs: they see the host read-only and no network.
///
/// # Errors
/// When rpmspec cannot read the spec.
pub fn build_requires(
    spec: &Path,
    options: &[String],
    distribution: &Distribution,
) -> Result<Vec<String>, Error> {
    let folder = spec.parent().unwrap_or(Path::new("/"));
    let mut command = isolated();
    command
        .args(["--", "rpmspec", "--query", "--buildrequires"])
        .args(["--target", &distribution.arch])
        .arg("--define")
        .arg(format!("_sourcedir {}", folder.display()));
    for (name, value) in macros(&distribution.dist) {
        command.arg("--define").arg(format!("{name} {value}"));
    }
    command.args(options).arg(spec);
    let out = process::output(&mut command).map_err(|source| Error::Tool {
        doing: "what the spec requires to be built cannot be told",
        source,
    })?;
    let mut requires: Vec<String> = String::from_utf8_lossy(&out)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("rpmlib("))
        .map(str::to_owned)
        .collect();
    requires.sort();
    requires.dedup();
    Ok(requires)
}

/// `bwrap` up to its last option: the host read-only, no network, and an empty folder for temporary files.
pub(super) fn isolated() -> Command {
    let mut command = process::command("bwrap");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("HOME", "/dev/shm")
        .env("TMPDIR", "/dev/shm")
        // The store may be anywhere, so nothing is laid over /tmp.
        .args([
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--tmpfs",
            "/var/tmp",
        ])
        .args(["--unshare-net", "--die-with-parent"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--unshare-user", "--uid", "0", "--gid", "0"]);
    }
    command
}

/// `%dist`, and the number of the release that specs of Enterprise Linux ask for: `.el8` is `rhel 8`.
fn macros(dist: &str) -> Vec<(String, String)> {
    let mut macros = vec![("dist".to_owned(), dist.to_owned())];
    let major: String = dist
        .strip_prefix(".el")
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    if !major.is_empty() {
        macros.push(("rhel".to_owned(), major.clone()));
        macros.push((format!("el{major}"), "1".to_owned()));
    }
    macros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_has_its_number() {
        let names = |dist| -> Vec<String> {
            macros(dist)
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        assert_eq!(names(".el8_10"), ["dist=.el8_10", "rhel=8", "el8=1"]);
        assert_eq!(names(".el10"), ["dist=.el10", "rhel=10", "el10=1"]);
        assert_eq!(names(".deb12"), ["dist=.deb12"]);
    }
}
