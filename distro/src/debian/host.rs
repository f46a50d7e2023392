//! The host's side: which release it is, how it reaches archives, and a configuration for an apt state of our own.

use std::io;
use std::path::Path;

use lustre_files::at;

use super::Error;
use lustre_process as process;

pub(super) fn check_host(etc: &Path, wanted: &str) -> Result<(), Error> {
    let text = lustre_files::read_to_string(etc.join("os-release"), lustre_files::TEXT)
        .unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    if field("ID") == "debian" && field("VERSION_CODENAME") == wanted {
        return Ok(());
    }
    let found = field("PRETTY_NAME");
    Err(Error::Host {
        wanted: wanted.to_owned(),
        found: if found.is_empty() {
            "unknown (no os-release)".to_owned()
        } else {
            format!("`{found}`")
        },
    })
}

/// How the host reaches archives (proxies, time limits): its `Acquire` settings, as apt prints them.
pub(super) fn host_acquire() -> String {
    process::output(process::command("apt-config").args(["dump", "Acquire"]))
        .map(|out| {
            String::from_utf8_lossy(&out)
                .lines()
                .filter(|line| line.starts_with("Acquire::") && line.ends_with("\";"))
                .map(|line| format!("{line}\n"))
                .collect()
        })
        .unwrap_or_default()
}

pub(super) fn configuration(dir: &Path, acquire: &str) -> Result<String, Error> {
    let dir = dir
        .to_str()
        .filter(|d| !d.contains(['"', '\n']))
        .ok_or_else(|| {
            at(dir)(io::Error::other(
                "apt cannot have its state in a folder with such a name",
            ))
        })?;
    // Parts and main configuration of the host are left out: its hooks (such as emptying the package cache) are not ours.
    Ok(format!(
        r#"{acquire}Dir::Etc::parts "{dir}/empty.d";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{dir}/sources.list.d";
Dir::Etc::preferences "{dir}/preferences";
Dir::Etc::preferencesparts "{dir}/empty.d";
Dir::State "{dir}";
Dir::State::Lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
"#
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn another_host_is_named() {
        let etc = tempfile::tempdir().unwrap();
        fs::write(
            etc.path().join("os-release"),
            "ID=fedora\nPRETTY_NAME=\"Fedora Linux 42\"\n",
        )
        .unwrap();
        let error = check_host(etc.path(), "bookworm").unwrap_err().to_string();
        assert!(
            error.contains("Fedora Linux 42") && error.contains("bookworm"),
            "{error}"
        );
    }
}
