//! Repodata against createrepo_c 1.2, dnf and itself, on a corpus of real packages.
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use lustre_packaging::process;
use lustre_repo_tests::repodata_diff::{self, Node};
use lustre_repo_tests::{createrepo, rpm_corpus};
use lustre_repository::repodata::{self, Entry, Evr, FileKind, Flag, Options, Package};
use tempfile::TempDir;

/// 2024-05-01.
const REVISION: u64 = 1_714_521_600;

fn options(workers: usize) -> Options {
    Options {
        revision: REVISION,
        workers,
        ..Options::default()
    }
}

#[test]
fn every_field_is_createrepo_c_s() {
    let (ours, theirs) = (rpm_corpus::copy().unwrap(), rpm_corpus::copy().unwrap());
    repodata::write(ours.path(), &options(2)).unwrap();
    createrepo::run(theirs.path(), REVISION, &[]).unwrap();
    let differences = repodata_diff::diff(ours.path(), theirs.path()).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    // With the same file times even the documents' bytes are the same.
    createrepo::run(
        ours.path(),
        REVISION,
        &["--outputdir", theirs.path().to_str().unwrap()],
    )
    .unwrap();
    let sums = |root: &Path| -> Vec<(String, String)> {
        let index = repodata_diff::index(root).unwrap();
        let sum = |data: &Node| {
            let sum = data.child("open-checksum").unwrap().text.clone();
            (data.attribute("type").to_owned(), sum)
        };
        index
            .children
            .iter()
            .filter(|it| it.name == "data")
            .map(sum)
            .collect()
    };
    assert_eq!(sums(ours.path()), sums(theirs.path()));
}

/// What the caller has read is not read again, but where it cannot be this file.
#[test]
fn digests_that_are_known_are_taken_and_the_same_comes_of_it() {
    let root = rpm_corpus::copy().unwrap();
    let written = repodata::write(root.path(), &options(2)).unwrap();
    let packages = repodata::read(root.path()).unwrap().packages;
    let known = |package: &Package, hex: &str, more: u64| {
        let size = package.size_package + more;
        (package.location.clone(), (hex.to_owned(), size))
    };
    let again = |known: Vec<(String, (String, u64))>| {
        let options = Options {
            known: known.into_iter().collect(),
            ..options(2)
        };
        repodata::write(root.path(), &options).unwrap()
    };
    let all = |package: &Package| known(package, &package.checksum.hex, 0);
    assert_eq!(again(packages.iter().map(all).collect()), written);
    let other = "0".repeat(64);
    again(vec![known(&packages[0], &other, 0)]);
    assert_eq!(
        repodata::read(root.path()).unwrap().packages[0]
            .checksum
            .hex,
        other
    );
    assert_eq!(again(vec![known(&packages[0], &other, 1)]), written);
}

/// That both sides agree proves little if the corpus has nothing to agree on.
#[test]
fn the_corpus_has_what_it_promises() {
    let root = rpm_corpus::copy().unwrap();
    repodata::write(root.path(), &options(2)).unwrap();
    let index = repodata_diff::index(root.path()).unwrap();
    let primary = repodata_diff::document(root.path(), &index, "primary").unwrap();
    let text = format!("{primary:?}");
    for needle in [
        "rpm:recommends",
        "rpm:suggests",
        "rpm:supplements",
        "rpm:enhances",
        "rpm:conflicts",
        "rpm:obsoletes",
        "(rich-a or rich-b)",
        "needed-by-pretrans",
        "needed-by-posttrans",
        "\"src\"",
        "\"ghost\"",
        "\"dir\"",
        "/usr/bin/corpus-foreign",
        "/usr/lib/sendmail",
        "ünïcödé ✓",
        "日本語",
        "Café crème",
        "Source Packages/",
        "Packages/c/deep/er/",
        "bundled(zlib)",
        "x86_64",
        "noarch",
        "might-be-missing",
    ] {
        assert!(text.contains(needle), "{needle} is not in primary.xml");
    }
    for absent in ["rpmlib(", "\"own-capability\", \"pre\"", "GLIBC_2.4)"] {
        assert!(!text.contains(absent), "{absent} is in primary.xml");
    }
    let packages = repodata::read(root.path()).unwrap().packages;
    let find = |name: &str, source: bool| -> &Package {
        packages
            .iter()
            .find(|package| package.name == name && (package.arch == "src") == source)
            .unwrap()
    };
    let pre: Vec<&str> = find("corpus-scripts", false)
        .requires
        .iter()
        .filter(|entry| entry.pre)
        .map(|entry| entry.name.as_str())
        .collect();
    for name in [
        "needed-by-pretrans",
        "needed-by-posttrans",
        "needed-by-pre",
        "needed-by-post",
    ] {
        assert!(pre.contains(&name), "{name} is not pre: {pre:?}");
    }
    assert!(!pre.contains(&"needed-by-preun"));
    let relations = find("corpus-relations", false);
    let names: Vec<&str> = relations
        .requires
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert!(
        names.contains(&"/usr/share/corpus-own/data") && !names.contains(&"/usr/bin/corpus-own")
    );
    assert!(find("corpus-large", false).provides.len() > 4000);
    assert!(
        find("corpus-sources", true)
            .requires
            .iter()
            .any(|entry| entry.name == "(gcc or clang)")
    );
    let other = repodata_diff::document(root.path(), &index, "other").unwrap();
    let dates = |name: &str| -> Vec<i64> {
        let is_it = |it: &&Node| it.attribute("name") == name && it.attribute("arch") == "noarch";
        let package = other.children.iter().find(is_it).unwrap();
        let logs = package.children.iter().filter(|it| it.name == "changelog");
        logs.map(|it| it.attribute("date").parse().unwrap())
            .collect()
    };
    let long = dates("corpus-changelog-long");
    assert_eq!(long.len(), 10);
    assert!(long.windows(2).all(|pair| pair[0] < pair[1]), "{long:?}");
}

#[test]
fn groups_are_createrepo_c_s() {
    let root = rpm_corpus::copy().unwrap();
    let comps = root.path().join("comps.xml");
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<comps>\n  <group>\n    <id>corpus</id>\n    \
        <name>Corpus</name>\n    <description/>\n    <default>true</default>\n    <uservisible>true</uservisible>\n    \
        <packagelist>\n      <packagereq type=\"mandatory\">corpus-empty</packagereq>\n    </packagelist>\n  </group>\n\
        </comps>\n";
    fs::write(&comps, text).unwrap();
    let with_groups = Options {
        groupfile: Some(comps),
        ..options(2)
    };
    repodata::write(root.path(), &with_groups).unwrap();
    let record = |root: &Path, kind: &str| {
        let index = repodata_diff::index(root).unwrap();
        let is_it = |it: &&Node| it.attribute("type") == kind;
        index.children.iter().find(is_it).unwrap().clone()
    };
    let theirs = tempfile::tempdir().unwrap();
    let output = ["--outputdir", theirs.path().to_str().unwrap()];
    // As a plain file …
    createrepo::run(
        root.path(),
        REVISION,
        &[
            &output[..],
            &["--groupfile", "comps.xml", "--compatibility"],
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(record(root.path(), "group"), record(theirs.path(), "group"));
    // … and compressed, which 1.2 lists as `group` and older ones as `group_gz`.
    createrepo::run(
        root.path(),
        REVISION,
        &[&output[..], &["--groupfile", "comps.xml"]].concat(),
    )
    .unwrap();
    let (ours, theirs) = (
        record(root.path(), "group_gz"),
        record(theirs.path(), "group"),
    );
    assert_eq!(ours.child("open-checksum"), theirs.child("open-checksum"));
    assert_eq!(ours.child("open-size"), theirs.child("open-size"));
    let listed = Dnf::new(root.path()).run(&["group", "list", "--ids"]);
    assert!(listed.contains("(corpus)"), "{listed}");
}

#[test]
fn reading_gives_what_was_written() {
    let (ours, theirs) = (rpm_corpus::copy().unwrap(), rpm_corpus::copy().unwrap());
    let written = repodata::write(ours.path(), &options(2)).unwrap();
    createrepo::run(theirs.path(), REVISION, &[]).unwrap();
    let our = repodata::read(ours.path()).unwrap();
    assert_eq!(our.repomd, written);
    let mut their = repodata::read(theirs.path()).unwrap();
    for (our, their) in our.packages.iter().zip(&mut their.packages) {
        assert_eq!(our.time_file, our.time_build, "{}", our.nevra());
        let file = ours.path().join(&our.location).metadata().unwrap();
        assert_eq!(file.mtime(), our.time_build, "{}", our.nevra());
        their.time_file = our.time_file;
        assert_eq!(our, their);
    }
    assert_eq!(our.packages.len(), their.packages.len());

    // zstd, which createrepo_c 1.2 writes by default.
    createrepo::run(theirs.path(), REVISION, &["--general-compress-type=zstd"]).unwrap();
    let zstd = repodata::read(theirs.path()).unwrap();
    assert!(
        zstd.repomd
            .record("primary")
            .unwrap()
            .location
            .ends_with(".zst")
    );
    assert_eq!(zstd.packages.len(), our.packages.len());

    // rpm itself on files and dependencies.
    for package in our.packages.iter().filter(|package| package.arch != "src") {
        let path = ours.path().join(&package.location);
        let query = |what: &str| rpm(&["-qp", what], &path);
        let files = query("--list");
        let mut expected: Vec<&str> = files.lines().filter(|line| line.starts_with('/')).collect();
        expected.sort_unstable();
        let mut found: Vec<&str> = package
            .files
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        found.sort_unstable();
        if package.name != "corpus-latin1" {
            assert_eq!(found, expected, "{}", package.nevra());
        }
        let requires = query("--requires");
        for entry in &package.requires {
            assert!(
                requires
                    .lines()
                    .any(|line| line.trim_end().starts_with(&entry.name)),
                "{entry} in {requires}"
            );
        }
        assert_eq!(
            query("--qf=%{nevra}").trim().replace("-0:", "-"),
            package.nevra()
        );
    }
}

#[test]
fn dnf_reads_it() {
    let root = rpm_corpus::copy().unwrap();
    repodata::write(root.path(), &options(2)).unwrap();
    let dnf = Dnf::new(root.path());
    let query = |arguments: &[&str]| -> Vec<String> {
        let out = dnf.run(&[&["repoquery", "-q"], arguments].concat());
        out.lines().map(str::to_owned).collect()
    };
    let mut listed = query(&["--qf=%{name} %{epoch} %{version} %{release} %{arch}"]);
    listed.sort();
    listed.dedup();
    let mut expected: Vec<String> = repodata::read(root.path())
        .unwrap()
        .packages
        .iter()
        .map(|package| {
            let evr = &package.evr;
            let release = evr.release.as_deref().unwrap();
            format!(
                "{} {} {} {release} {}",
                package.name, evr.epoch, evr.version, package.arch
            )
        })
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(listed, expected);
    assert_eq!(
        query(&["--whatprovides", "kernel(some_symbol)"]),
        ["corpus-relations-2:1.5~rc1-3.el8.noarch"]
    );
    assert_eq!(query(&["--whatprovides", "/opt/corpus/bin/tool"]).len(), 1);
    assert_eq!(
        query(&["--whatrecommends", "recommended-a"]),
        query(&["--whatprovides", "kernel(some_symbol)"])
    );
    assert_eq!(
        query(&["--whatobsoletes", "obsoleted"]),
        query(&["--whatprovides", "kernel(some_symbol)"])
    );
    assert!(
        query(&["--requires-pre", "corpus-scripts"]).contains(&"needed-by-pre >= 1.0".to_owned())
    );
    let sources = query(&["--whatrequires", "bash"]);
    assert_eq!(sources, ["corpus-sources-1:3.2.1-4.el8.src"]);
    let files = query(&["--list", "corpus-files.x86_64"]);
    let package = repodata::read(root.path()).unwrap().packages;
    let package = package
        .iter()
        .find(|it| it.name == "corpus-files" && it.arch != "src")
        .unwrap();
    assert_eq!(files.len(), package.files.len());
    assert!(
        package
            .files
            .iter()
            .any(|file| file.kind == FileKind::Ghost)
    );
    let changes = query(&["--changelogs", "corpus-changelog-same.noarch"]);
    for entry in ["- 10", "- 1"] {
        assert!(changes.iter().any(|line| line == entry), "{changes:?}");
    }
}

/// Asks rpm for each line whether two ranges of versions overlap: in the words of `provides` and `requires`.
const RANGES: &str = "
import rpm, sys
senses = {'<': rpm.RPMSENSE_LESS, '>': rpm.RPMSENSE_GREATER, '=': rpm.RPMSENSE_EQUAL}
def range_of(text, tag):
    if not text:
        return rpm.ds(('cap', 0), tag)
    operator, version = text.split(' ')
    return rpm.ds(('cap', sum(senses[mark] for mark in operator), version), tag)
for line in sys.stdin:
    one, two = line.rstrip('\\n').split('|')
    ranges = range_of(one, rpm.RPMTAG_PROVIDENAME), range_of(two, rpm.RPMTAG_REQUIRENAME)
    print(ranges[0].Compare(ranges[1]))
";

#[test]
fn ranges_of_versions_overlap_where_rpm_says_so() {
    let mut all = vec![(String::new(), Entry::default())];
    for version in [
        "1", "2", "2-1", "2-2", "2-1.el8", "2.0", "02", "2~rc1", "2~rc1-1", "2^git1-1", "1:1",
        "1:2-1", "0:2-1", "a",
    ] {
        for flag in [Flag::Lt, Flag::Le, Flag::Eq, Flag::Ge, Flag::Gt] {
            let entry = Entry {
                flags: Some(flag),
                evr: Evr::parse(version),
                ..Entry::default()
            };
            assert!(entry.evr.is_some(), "{version}");
            all.push((format!("{} {version}", flag.operator()), entry));
        }
    }
    let pairs: Vec<_> = all
        .iter()
        .flat_map(|one| all.iter().map(move |two| (one, two)))
        .collect();
    let asked: String = pairs
        .iter()
        .map(|(one, two)| format!("{}|{}\n", one.0, two.0))
        .collect();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("asked");
    fs::write(&file, asked).unwrap();
    // That of the host, for which rpm's module is made; dnf needs it, too.
    let out = Command::new("/usr/bin/python3")
        .args(["-I", "-c", RANGES])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(
        said.len(),
        pairs.len(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let wrong: Vec<String> = pairs
        .iter()
        .zip(&said)
        .filter(|((one, two), said)| one.1.overlaps(&two.1) != (**said == "True"))
        .map(|((one, two), said)| format!("`{}` with `{}`: rpm says {said}", one.0, two.0))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        pairs.len()
    );
    // Both answers are there.
    assert!(said.contains(&"True") && said.contains(&"False"));
}

/// The host's dnf on one repository alone, with nothing of the host's configuration.
struct Dnf<'a> {
    repository: &'a Path,
    root: TempDir,
}

impl<'a> Dnf<'a> {
    fn new(repository: &'a Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { repository, root }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let out = process::output(
            Command::new("dnf")
                .arg(format!("--installroot={}", self.root.path().display()))
                .arg("--setopt=reposdir=/dev/null")
                .arg(format!(
                    "--setopt=cachedir={}",
                    self.root.path().join("cache").display()
                ))
                .args(["--releasever=8", "--forcearch=x86_64"])
                .arg(format!(
                    "--repofrompath=corpus,file://{}",
                    self.repository.display()
                ))
                .args(["--repo=corpus", "--nogpgcheck"])
                .args(arguments)
                .env("LC_ALL", "C.UTF-8"),
        );
        String::from_utf8(out.unwrap()).unwrap()
    }
}

fn rpm(arguments: &[&str], package: &Path) -> String {
    let out = process::output(
        Command::new("rpm")
            .args(arguments)
            .arg(package)
            .env("LC_ALL", "C.UTF-8"),
    );
    String::from_utf8_lossy(&out.unwrap()).into_owned()
}
