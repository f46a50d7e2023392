//! Lustre: autogen, configure and `make dist` for the source package; a check that the server is whole afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::process;
use crate::target::Lustre;

/// What the tree's own build is asked to do; arguments are the frozen version, the lines before the spec and configure's options.
///
/// The kernel is the one whose kernel-devel is in the buildroot, and there must be exactly one: anything else would build modules
/// for a kernel that nobody chose.
const DIST: &str = r#"
version=$1; lines=$2; shift 2
kernels=$(ls -d /usr/src/kernels/*) || { echo "no kernel-devel in the buildroot" >&2; exit 1; }
[ "$(echo "$kernels" | wc -l)" = 1 ] || { echo "more than one kernel-devel in the buildroot: $kernels" >&2; exit 1; }
# Times, owners and order in the archive must not depend on when and where it is made.
TAR_OPTIONS="--sort=name --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX"
TAR_OPTIONS="$TAR_OPTIONS --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"
export TAR_OPTIONS GZIP=-n
cd lustre
printf 'LUSTRE_VERSION = %s\n' "$version" > LUSTRE-VERSION-FILE
sh ./autogen.sh
./configure --with-linux="$kernels" "$@"
make dist
cp "lustre-$version.tar.gz" ../build/SOURCES/
{ printf %s "$lines"; cat lustre.spec; } > ../build/SPECS/lustre.spec
# Preambles and file lists of the kmod packages are sources of the spec besides the archive.
for file in rpm/*; do
    if [ -f "$file" ]; then cp "$file" ../build/SOURCES/; fi
done
"#;

/// Makes the SRPM from the source tree `tree` (a folder that is copied, never changed).
pub fn source_package(
    work: &Workdir,
    wanted: &Lustre,
    tree: &Path,
    log: &Path,
) -> Result<PathBuf, Error> {
    let copy = work.path("lustre")?;
    let mut command = process::command("cp");
    command.args(["-a", "-T"]).arg(tree).arg(&copy);
    process::run_logged(&mut command, log)?;
    work.hand_over()?;
    // What the target asks of the spec is in the spec, so that the source package builds the same without options of rpmbuild.
    let mut macros = work.spec_macros()?;
    macros.add_options(&wanted.rpmbuild)?;
    let lines = macros.lines();
    let mut arguments = vec![wanted.version.as_str(), lines.as_str()];
    arguments.extend(wanted.configure.iter().map(String::as_str));
    work.script(DIST, &arguments, log)?;
    // The tree's own scripts ran in between.
    expect_series(&work.path("lustre")?, wanted.ldiskfs_series.as_deref())?;
    rpmbuild::source_package(work, "lustre.spec", log)
}

/// What configure leaves in the tree: all it found out, with the values it put into the makefiles at the end.
const CONFIG_LOG: &str = "config.log";

/// The value in it that names the series of ldiskfs, up to the name.
const SERIES: &str = "LDISKFS_SERIES='";

/// Checks that the configure of the package's build, too, chose the series that the target names. To be called when rpmbuild is done:
/// its configure is not the one that the source package was made with.
pub fn expect_built_series(work: &Workdir, wanted: &Lustre) -> Result<(), Error> {
    let Some(series) = wanted.ldiskfs_series.as_deref() else {
        return Ok(());
    };
    let build = work.path("build/BUILD")?;
    // Older versions of rpm have the tree right there, newer ones in a folder of the package.
    for entry in walkdir::WalkDir::new(&build)
        .max_depth(3)
        .sort_by_file_name()
    {
        let entry = entry.map_err(at(&build))?;
        let tree = entry.path().parent().unwrap_or(&build);
        if entry.file_name() == CONFIG_LOG && tree.join("lustre").is_dir() {
            return expect_series(tree, Some(series));
        }
    }
    Err(Error::Result {
        what: format!(
            "rpmbuild left no configured tree of Lustre in {}, so the series that ldiskfs was built with is unknown",
            build.display()
        ),
        hint: "does the spec run configure in its %build?".to_owned(),
    })
}

/// Checks that the configure that ran in `tree` chose the series of ldiskfs that the target names, where it names one.
fn expect_series(tree: &Path, wanted: Option<&str>) -> Result<(), Error> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let path = tree.join(CONFIG_LOG);
    let text = lustre_files::read_no_link(&path, lustre_files::LARGE).map_err(at(&path))?;
    let chosen = chosen_series(&String::from_utf8_lossy(&text));
    if chosen.as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(Error::Result {
        what: match chosen {
            Some(chosen) => format!(
                "Lustre's configure chose the ldiskfs series {chosen}, and the target sets {wanted} (`lustre.ldiskfs_series`), which \
                 preflight has checked"
            ),
            None => format!(
                "Lustre's configure chose no ldiskfs series for this kernel, and the target sets {wanted} (`lustre.ldiskfs_series`)"
            ),
        },
        hint: format!(
            "set the series that fits this kernel, or make configure use it: `LDISKFS_SERIES={wanted}.series` among the options of \
             `lustre.configure` and, as configure_args, of `lustre.rpmbuild`"
        ),
    })
}

/// The series that a `config.log` says was chosen, as targets name it.
pub(crate) fn chosen_series(config_log: &str) -> Option<String> {
    let mut values = config_log
        .lines()
        .filter_map(|line| line.strip_prefix(SERIES));
    let value = values.next_back()?.strip_suffix('\'')?;
    let name = value.strip_suffix(".series").unwrap_or(value);
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// Checks that every kernel module the target asks for is in one of `packages`.
///
/// Lustre's configure only warns when the kernel's ext4 cannot be used, drops ldiskfs and succeeds: what came out is all that counts.
pub fn expect_modules(packages: &[PathBuf], modules: &[String]) -> Result<(), Error> {
    let mut names = Vec::new();
    for package in packages {
        let unreadable = |e: rpm::Error| Error::Package {
            path: package.clone(),
            message: e.to_string(),
        };
        let metadata = lustre_rpm_header::metadata(package).map_err(unreadable)?;
        for path in metadata.get_file_paths().map_err(unreadable)? {
            if let Some(name) = path.file_name() {
                let name = name.to_string_lossy();
                let plain = [".xz", ".zst", ".gz"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap_or(&name);
                names.push(plain.to_owned());
            }
        }
    }
    let missing: Vec<&str> = modules
        .iter()
        .map(String::as_str)
        .filter(|wanted| !names.iter().any(|name| name == wanted))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Result {
        what: format!("Lustre was built without {}", missing.join(", ")),
        hint: "its configure only warns and drops ldiskfs if kernel-devel has no usable ext4 source or a patch of the series does not fit: \
               search for `ldiskfs` in the log of the stage `lustre-srpm`"
            .to_owned(),
    })
}

/// A tree's digest depends on names and bytes only; what a build leaves behind must not get in.
pub fn expect_clean(tree: &Path) -> Result<(), Error> {
    let left = tree.join("config.status");
    if fs::symlink_metadata(&left).is_ok() {
        return Err(Error::Result {
            what: format!(
                "{} was configured in place: {} exists",
                tree.display(),
                left.display()
            ),
            hint: "clean the tree (`git clean -dfx`), or give a commit: `--source lustre=PATH@REV`"
                .to_owned(),
        });
    }
    let autogen = tree.join("autogen.sh");
    fs::metadata(&autogen).map_err(at(autogen))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(value: &str) -> String {
        format!(
            "  $ ./configure LDISKFS_SERIES='given.series'\nac_cv_x='y'\nLDISKFS_SERIES='{value}'\nLINUX='/x'\n"
        )
    }

    #[test]
    fn the_chosen_series_is_the_one_that_was_put_into_the_makefiles() {
        assert_eq!(
            chosen_series(&log("6.12-ml.series")).as_deref(),
            Some("6.12-ml")
        );
        assert_eq!(chosen_series(&log("")), None);
        assert_eq!(chosen_series("LINUX='/x'\n"), None);
    }

    #[test]
    fn another_series_than_the_targets_is_an_error_that_names_both() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CONFIG_LOG), log("5.14-rhel9.6.series")).unwrap();
        expect_series(dir.path(), Some("5.14-rhel9.6")).unwrap();
        expect_series(dir.path(), None).unwrap();
        let error = expect_series(dir.path(), Some("5.14-rhel9.7")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("5.14-rhel9.6,") && error.contains("5.14-rhel9.7"),
            "{error}"
        );
        fs::write(dir.path().join(CONFIG_LOG), log("")).unwrap();
        let error = expect_series(dir.path(), Some("6.12-ml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("chose no ldiskfs series") && error.contains("6.12-ml"),
            "{error}"
        );
        fs::remove_file(dir.path().join(CONFIG_LOG)).unwrap();
        let error = expect_series(dir.path(), Some("6.12-ml")).unwrap_err();
        assert!(error.to_string().contains(CONFIG_LOG), "{error}");
    }
}
