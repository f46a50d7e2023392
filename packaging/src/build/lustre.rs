//! Lustre: autogen, configure and `make dist` for the source package; a check that the server is whole afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::process;
use crate::target::Lustre;

/// What the tree's own build is asked to do; arguments are the frozen version and configure's options.
///
/// The kernel is the one whose kernel-devel is in the buildroot, and there must be exactly one: anything else would build modules
/// for a kernel that nobody chose.
const DIST: &str = r#"
version=$1; shift
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
cp lustre.spec ../build/SPECS/
# Preambles and file lists of the kmod packages are sources of the spec besides the archive.
for file in rpm/*; do
    if [ -f "$file" ]; then cp "$file" ../build/SOURCES/; fi
done
"#;

/// Makes the SRPM from the source tree `tree` (a folder that is copied, never changed).
///
/// # Errors
/// When the tree's autogen, configure or `make dist` fails, or rpmbuild does.
pub fn source_package(
    work: &Workdir,
    wanted: &Lustre,
    tree: &Path,
    log: &Path,
) -> Result<PathBuf, Error> {
    let copy = work.path("lustre");
    let mut command = Command::new("cp");
    command.args(["-a", "-T"]).arg(tree).arg(&copy);
    process::run_logged(&mut command, log)?;
    work.hand_over()?;
    let mut arguments = vec![wanted.version.as_str()];
    arguments.extend(wanted.configure.iter().map(String::as_str));
    work.script(DIST, &arguments, log)?;
    rpmbuild::source_package(work, "lustre.spec", &wanted.rpmbuild, log)
}

/// Checks that every kernel module the target asks for is in one of `packages`.
///
/// Lustre's configure only warns when the kernel's ext4 cannot be used, drops ldiskfs and succeeds: what came out is all that counts.
///
/// # Errors
/// When a module is missing.
pub fn expect_modules(packages: &[PathBuf], modules: &[String]) -> Result<(), Error> {
    let mut names = Vec::new();
    for package in packages {
        let unreadable = |e: rpm::Error| Error::Package {
            path: package.clone(),
            message: e.to_string(),
        };
        let metadata = rpm::PackageMetadata::open(package).map_err(unreadable)?;
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
        hint: "its configure drops ldiskfs with a mere warning when kernel-devel has no usable ext4 source or a patch of the series \
               does not fit: look for `ldiskfs` in the log of the stage `lustre-srpm`"
            .to_owned(),
    })
}

/// A tree's digest depends on names and bytes only; what a build leaves behind must not get in.
///
/// # Errors
/// When the tree was configured in place.
pub fn expect_clean(tree: &Path) -> Result<(), Error> {
    let left = tree.join("config.status");
    if fs::symlink_metadata(&left).is_ok() {
        return Err(Error::Result {
            what: format!("{} was configured in place: {} exists", tree.display(), left.display()),
            hint: "give a clean tree (`git clean -dfx` there), or a commit: `--source lustre=PATH@REV`".to_owned(),
        });
    }
    let autogen = tree.join("autogen.sh");
    fs::metadata(&autogen).map(drop).map_err(at(autogen))
}
