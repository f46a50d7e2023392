//! A compiler cache in a build: the host's ccache, in front of the compilers of the buildroot.
//!
//! The buildroot may be of another distribution, and has no ccache. So the host's is shown to it in a folder of its own, with its
//! libraries and its loader, and with wrappers that stand before the compilers in PATH. What was compiled counts for one buildroot alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Error, at};
use crate::host::find_program;
use crate::process;
use crate::sandbox::Sandbox;

/// The compilers that are asked for by these names.
const COMPILERS: [&str; 4] = ["gcc", "cc", "g++", "c++"];

/// Where the programs are inside: not in the chroot itself, and in no folder that bubblewrap makes, which would be closed to the builder.
const PROGRAMS: &str = "/tmp/compiler-cache.programs";

/// Where what was compiled is inside.
const CACHE: &str = "/tmp/compiler-cache";

/// What builds see of a compiler cache.
#[derive(Debug, Clone)]
pub struct CompilerCache {
    /// ccache with what it takes, and the wrappers.
    program: PathBuf,
    /// What was compiled.
    cache: PathBuf,
    /// What the compilers are.
    compilers: String,
}

/// How often a build asked for something, and how often it was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    pub hits: u64,
    pub misses: u64,
}

impl CompilerCache {
    /// The host's ccache, brought into the new folder `folder` for the chroot `root`, with what it has compiled in `cache`. `compilers` is the
    /// digest of all that the chroot consists of.
    pub fn new(root: &Path, folder: &Path, cache: &Path, compilers: &str) -> Result<Self, Error> {
        let ccache = find_program("ccache").ok_or_else(|| Error::Result {
            what: "--ccache: there is no ccache on this machine".to_owned(),
            hint: "install the package `ccache`, or build without --ccache".to_owned(),
        })?;
        for made in [folder, &folder.join("bin"), &folder.join("lib"), cache] {
            fs::create_dir_all(made).map_err(at(made))?;
        }
        copy(&ccache, &folder.join("ccache"), 0o755)?;
        let mut command = process::command("ldd");
        let text = process::output(command.arg(&ccache))?;
        let needed = Needed::of(&String::from_utf8_lossy(&text)).ok_or_else(|| Error::Result {
            what: format!(
                "--ccache: {} is no program with libraries of its own machine",
                ccache.display()
            ),
            hint: "build without --ccache".to_owned(),
        })?;
        copy(&needed.loader, &folder.join("loader"), 0o755)?;
        for library in &needed.libraries {
            let name = library.file_name().unwrap_or_default();
            copy(library, &folder.join("lib").join(name), 0o644)?;
        }
        for name in COMPILERS {
            let compiler = format!("usr/bin/{name}");
            // Links lead to where they lead in the chroot.
            if fs::symlink_metadata(root.join(&compiler)).is_err() {
                continue;
            }
            let wrapper = folder.join("bin").join(name);
            let text = format!(
                "#!/bin/sh\nexec {PROGRAMS}/loader --library-path {PROGRAMS}/lib {PROGRAMS}/ccache /{compiler} \"$@\"\n"
            );
            fs::write(&wrapper, text).map_err(at(&wrapper))?;
            mode(&wrapper, 0o755)?;
        }
        for made in [folder, &folder.join("bin"), &folder.join("lib")] {
            mode(made, 0o755)?;
        }
        Ok(Self {
            program: folder.to_owned(),
            cache: cache.to_owned(),
            compilers: compilers.to_owned(),
        })
    }

    /// The folder with what was compiled.
    pub fn folder(&self) -> &Path {
        &self.cache
    }

    /// The sandbox with the cache in it; `path` is where it looks for programs otherwise, and `log` is a file of the builder.
    pub(super) fn shown<'s>(&self, sandbox: Sandbox<'s>, path: &str, log: &str) -> Sandbox<'s> {
        sandbox
            .read_only(&self.program, PROGRAMS)
            .writable(&self.cache, CACHE)
            .env("PATH", &format!("{PROGRAMS}/bin:{path}"))
            .env("CCACHE_DIR", CACHE)
            // No settings but these: any build can write into the cache's own.
            .env("CCACHE_CONFIGPATH", &format!("{PROGRAMS}/none"))
            .env("CCACHE_TEMPDIR", "/tmp")
            .env("CCACHE_MAXSIZE", "20G")
            .env(
                "CCACHE_COMPILERCHECK",
                &format!("string:{}", self.compilers),
            )
            .env("CCACHE_STATSLOG", log)
    }
}

impl Hits {
    /// What ccache's log of results says.
    pub fn of(log: &str) -> Self {
        let count = |names: &[&str]| {
            let lines = log.lines().filter(|line| names.contains(&line.trim()));
            lines.count() as u64
        };
        Self {
            hits: count(&["direct_cache_hit", "preprocessed_cache_hit"]),
            misses: count(&["cache_miss"]),
        }
    }
}

/// What a program takes to run.
#[derive(Debug, PartialEq, Eq)]
struct Needed {
    loader: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Needed {
    /// What `ldd` says.
    fn of(text: &str) -> Option<Self> {
        let mut loader = None;
        let mut libraries = Vec::new();
        for line in text.lines().map(str::trim) {
            let (name, path) = match line.split_once(" => ") {
                Some((name, path)) => (name, path),
                None => (line, line),
            };
            let path = path.split(" (").next()?.trim();
            // What the kernel has is no file.
            if !path.starts_with('/') {
                continue;
            }
            let is_loader = Path::new(name).file_name()?.to_str()?.starts_with("ld-");
            if is_loader {
                loader = Some(PathBuf::from(path));
            } else {
                libraries.push(PathBuf::from(path));
            }
        }
        Some(Self {
            loader: loader?,
            libraries,
        })
    }
}

fn copy(from: &Path, to: &Path, wanted: u32) -> Result<(), Error> {
    lustre_files::copy(from, to).map_err(at(from))?;
    mode(to, wanted)
}

fn mode(path: &Path, wanted: u32) -> Result<(), Error> {
    Ok(fs::set_permissions(path, Permissions::from_mode(wanted)).map_err(at(path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_needs_is_read_of_what_ldd_says() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibzstd.so.1 => /lib/x/libzstd.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x0)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let needed = Needed::of(text).unwrap();
        assert_eq!(needed.loader, Path::new("/lib64/ld-linux-x86-64.so.2"));
        let names = ["/lib/x/libzstd.so.1", "/lib/x/libc.so.6"].map(PathBuf::from);
        assert_eq!(needed.libraries, names);
        assert_eq!(Needed::of("\tnot a dynamic executable\n"), None);
    }

    #[test]
    fn hits_are_counted_of_the_log_of_results() {
        let log = "# a.c\ndirect_cache_hit\nlocal_storage_hit\n# b.c\npreprocessed_cache_hit\n# c.c\ncache_miss\nlocal_storage_miss\n# d.c\ncalled_for_link\n";
        assert_eq!(Hits::of(log), Hits { hits: 2, misses: 1 });
        assert_eq!(Hits::of(""), Hits::default());
    }
}
