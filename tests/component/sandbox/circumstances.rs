//! Everything that a second build is to find otherwise is otherwise, inside.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_packaging::build::circumstances::Circumstances;
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::sandbox::Ids;

/// What a build may notice, each by what prints it.
const NOTICED: [(&str, &str); 14] = [
    ("time", "date +%Y-%m"),
    ("umask", "umask"),
    ("mode of a folder", "mkdir made; stat -c %a made"),
    ("locale", "echo $LC_ALL $LANG"),
    ("zone", "echo $TZ; date +%z"),
    ("host", "uname -n"),
    ("id", "id -u; id -g"),
    ("user", "echo $USER $LOGNAME"),
    ("kernel", "uname -r"),
    ("version of the kernel", "uname -v"),
    ("processors", "nproc"),
    ("jobs", "echo $RPM_BUILD_NCPUS"),
    ("order of a folder", "ls -U names | tr '\\n' ' '"),
    ("path of the store", "cut -d ' ' -f 4 /proc/self/mountinfo"),
];

/// What it has to find as always: these are in packages, or a build could not do without.
const THE_SAME: [(&str, &str); 6] = [
    ("home", "pwd; echo $HOME"),
    ("machine", "uname -s; uname -m"),
    ("time of sources", "echo $SOURCE_DATE_EPOCH"),
    ("macros", "cat .rpmmacros"),
    ("files of a folder", "ls names | tr '\\n' ' '"),
    ("all files of a folder", "ls -U names | sort | tr '\\n' ' '"),
];

/// The small chroot with a compiler and what prints that.
fn chroot(folder: &Path) -> std::path::PathBuf {
    let root = super::compiler_cache::chroot(folder);
    let prints = ["date", "nproc", "ls", "cut", "tr", "sort", "ld.bfd"];
    for name in prints {
        let path = lustre_packaging::host::find_program(name).unwrap();
        let name = if name == "ld.bfd" { "ld" } else { name };
        super::with_libraries(&path, &root, &root.join("usr/bin").join(name));
    }
    let helper = Command::new("gcc")
        .arg("-print-prog-name=collect2")
        .output()
        .unwrap();
    let helper = String::from_utf8(helper.stdout).unwrap();
    let helper = Path::new(helper.trim());
    let to = root.join(helper.strip_prefix("/").unwrap());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    super::with_libraries(helper, &root, &to);
    Ids::for_new_chroots().unwrap().give(&root, 0).unwrap();
    root
}

fn noticed(root: &Path, folder: &Path, circumstances: Circumstances) -> BTreeMap<String, String> {
    let settings = Settings {
        source_date_epoch: 1_700_000_000,
        host: "builder.test".to_owned(),
        dist: ".test".to_owned(),
        jobs: match circumstances {
            Circumstances::Usual => 2,
            Circumstances::Other => 3,
        },
        circumstances,
        limits: Default::default(),
    };
    let work = Workdir::new(root, folder, &settings).unwrap();
    work.hand_over().unwrap();
    let log = folder.join("log");
    let mut script = "mkdir names; for name in b d a c; do touch names/$name; done\n".to_owned();
    for (number, (_, print)) in NOTICED.iter().chain(&THE_SAME).enumerate() {
        script += &format!("({print}) >seen-{number}\n");
    }
    work.script(&script, &[], &log)
        .unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&log).unwrap()));
    let all = NOTICED.iter().chain(&THE_SAME).enumerate();
    all.map(|(number, (what, _))| {
        let seen = fs::read_to_string(work.path(&format!("seen-{number}")).unwrap()).unwrap();
        assert!(!seen.trim().is_empty(), "{what}");
        ((*what).to_owned(), seen)
    })
    .collect()
}

#[test]
fn a_second_build_finds_everything_otherwise_that_must_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let first = noticed(&root, &dir.path().join("first"), Circumstances::Usual);
    let second = noticed(
        &root,
        &dir.path().join("second/below"),
        Circumstances::Other,
    );
    for (what, _) in NOTICED {
        assert_ne!(first[what], second[what], "{what}");
    }
    for (what, _) in THE_SAME {
        assert_eq!(first[what], second[what], "{what}");
    }
    let year = |seen: &BTreeMap<String, String>| seen["time"][..4].parse::<u32>().unwrap();
    assert!(year(&second) >= year(&first) + 2, "{second:?}");
    assert_eq!(second["order of a folder"].trim(), "d c b a");
}
