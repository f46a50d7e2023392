//! The host's ccache in a small chroot that has a compiler, and no ccache.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::build::ccache::{CompilerCache, Hits};
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::sandbox::Ids;

/// What is compiled: once as it is, and once with another option.
const SOURCE: &str =
    "static int twice(int x) { return x + x; }\nint f(int x) { return twice(x); }\n";

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The small chroot with the host's compiler.
pub fn chroot(folder: &Path) -> PathBuf {
    let root = super::chroot(folder);
    for name in ["gcc", "cc1", "as"] {
        let path = match name {
            "gcc" => said("sh", &["-c", "command -v gcc"]),
            other => said("gcc", &[&format!("-print-prog-name={other}")]),
        };
        let path = match path.starts_with('/') {
            true => path,
            false => said("sh", &["-c", &format!("command -v {path}")]),
        };
        let place = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&path, &place).unwrap();
        for word in said("ldd", &[&path]).split_whitespace() {
            if word.starts_with('/') {
                let place = word.trim_start_matches('/').trim_start_matches("usr/");
                let copy = root.join("usr").join(place);
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(word, &copy).unwrap();
            }
        }
    }
    // It includes that everywhere.
    let include = root.join("usr/include");
    fs::create_dir(&include).unwrap();
    fs::write(include.join("stdc-predef.h"), "").unwrap();
    Ids::for_new_chroots().unwrap().give(&root, 0).unwrap();
    root
}

/// A build in a clone of the chroot: what it made, and what came of the cache.
struct Builds<'w> {
    folder: &'w Path,
    root: &'w Path,
    count: usize,
}

impl Builds<'_> {
    fn build(&mut self, cache: Option<(&Path, &str)>, script: &str) -> (Vec<u8>, Option<Hits>) {
        self.count += 1;
        let folder = self.folder.join(self.count.to_string());
        let settings = Settings {
            source_date_epoch: 1_700_000_000,
            host: "builder.test".to_owned(),
            dist: ".test".to_owned(),
            jobs: 1,
            circumstances: Default::default(),
            limits: Default::default(),
        };
        let mut work = Workdir::new(self.root, &folder, &settings).unwrap();
        if let Some((cache, compilers)) = cache {
            let program = folder.join("program");
            let cache = CompilerCache::new(self.root, &program, cache, compilers).unwrap();
            work = work.with_compiler_cache(cache).unwrap();
        }
        fs::write(work.path("a.c").unwrap(), SOURCE).unwrap();
        work.hand_over().unwrap();
        let log = folder.join("log");
        work.script(script, &[], &log)
            .unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&log).unwrap()));
        let made = fs::read(work.path("a.o").unwrap()).unwrap();
        (made, work.hits().unwrap())
    }
}

#[test]
fn what_is_compiled_with_a_cache_is_the_same_and_is_found_by_the_same_buildroot_alone() {
    const COMPILE: &str = "gcc -g -O2 -c a.c -o a.o";
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    // Closed to others, as a store in a home is.
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let cache = dir.path().join("cache");
    let mut builds = Builds {
        folder: dir.path(),
        root: &root,
        count: 0,
    };
    let (plain, none) = builds.build(None, COMPILE);
    assert_eq!(none, None);
    let is = |(made, came): (Vec<u8>, Option<Hits>), (hits, misses)| {
        assert_eq!(came, Some(Hits { hits, misses }));
        assert!(made == plain, "other bytes");
    };
    let one = Some((cache.as_path(), "one"));
    is(builds.build(one, COMPILE), (0, 1));
    is(builds.build(one, COMPILE), (1, 0));
    // Other options, another buildroot.
    let (other, came) = builds.build(one, "gcc -g -O0 -c a.c -o a.o");
    assert!(other != plain);
    assert_eq!(came, Some(Hits { hits: 0, misses: 1 }));
    let two = Some((cache.as_path(), "two"));
    is(builds.build(two, COMPILE), (0, 1));
    // A build can write there, but no settings for others.
    let script = "echo 'prefix_command = /bin/false' > /tmp/compiler-cache/ccache.conf";
    let script = format!("{script}; {COMPILE}");
    is(builds.build(one, &script), (1, 0));
    is(builds.build(one, COMPILE), (1, 0));
    // It is shown what it needs, and cannot change it.
    let script = "! touch /tmp/compiler-cache.programs/bin/gcc; ! touch /tmp/compiler-cache.programs/new; : > a.o";
    builds.build(one, script);
}
