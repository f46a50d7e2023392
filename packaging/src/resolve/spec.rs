//! What a spec file requires to be built, by the host's rpmspec.

use std::path::Path;

use super::{Error, at};
use crate::process;
use crate::sandbox::{Ids, Sandbox, User};
use crate::target::Distribution;

/// The build requirements of `spec`, as dnf takes them; the sources are beside the spec. A spec may run programs: they see the host's, and the spec's folder.
pub fn build_requires(spec: &Path, distribution: &Distribution) -> Result<Vec<String>, Error> {
    let folder = spec.parent().unwrap_or(Path::new("/"));
    let name = spec.file_name().unwrap_or_default().to_string_lossy();
    let mut arguments = vec![
        "--query".to_owned(),
        "--buildrequires".to_owned(),
        format!("--target={}", distribution.arch),
        format!("--define=_sourcedir {FOLDER}"),
    ];
    for (name, value) in macros(&distribution.dist) {
        arguments.push(format!("--define={name} {value}"));
    }
    arguments.push(format!("{FOLDER}/{name}"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = isolated()
        .map_err(at(folder))?
        .read_only(folder, FOLDER)
        .command("rpmspec", &arguments);
    let out = process::output(&mut command).map_err(|source| Error::Tool {
        doing: "cannot determine the build requirements of the spec",
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

/// Where the spec and its sources are seen inside.
const FOLDER: &str = "/srv/spec";

/// The host's programs alone, for somebody without any rights.
pub(super) fn isolated() -> std::io::Result<Sandbox<'static>> {
    Sandbox::with_host_programs(Ids::for_new_chroots()?, User::BareRoot, "resolver")
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
