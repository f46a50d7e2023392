use super::*;

const WHOLE: &str = r#"
description = "d"
[distribution]
kind = "rehearsal"
recipe = "distributions/rehearsal"
key = "0123456789ABCDEF0123456789ABCDEF01234567"
arch = "x86_64"
dist = ".t1"
bootstrap = ["dnf"]
buildroot = ["gcc"]
kernel = { spec = "k", source = { debian = { package = "linux", suite = "bookworm", file = ".orig.tar.xz" } } }
[build]
source_date_epoch = 1700000000
host = "builder"
[e2fsprogs]
source = { debian = { package = "e2fsprogs", suite = "bookworm", file = ".orig.tar.gz" } }
spec = "e2fsprogs"
version = "1.47.0"
packages = ["e2fsprogs"]
[kernel]
source = { srpm = "kernel" }
overlay = "kernel/rehearsal"
packages = ["kernel"]
[lustre]
source = { path = "model/lustre" }
version = "1.0"
configure = []
buildroot = []
packages = ["lustre"]
modules = ["ldiskfs.ko"]
[repository]
name = "n"
baseurl = "file:///srv"
release_package = { version = "1", release = 1 }
[repository.group]
id = "g"
name = "G"
description = "d"
mandatory = ["lustre"]
[install]
base = []
packages = ["lustre"]
programs = []
modules = []
"#;

fn specs(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("targets")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join("targets").join(name), text).unwrap();
    }
    dir
}

#[test]
fn an_unknown_target_lists_the_known_ones() {
    let dir = specs(&[("one.toml", WHOLE), ("two.toml", WHOLE)]);
    let error = Target::load(dir.path(), "three").unwrap_err().to_string();
    assert!(
        error.contains("`three`") && error.contains("one, two"),
        "{error}"
    );
}

#[test]
fn a_name_cannot_leave_the_folder() {
    let dir = specs(&[("one.toml", WHOLE)]);
    assert!(matches!(
        Target::load(dir.path(), "../one"),
        Err(Error::Name(_))
    ));
}

#[test]
fn malformed_toml_has_line_and_column() {
    let dir = specs(&[("bad.toml", "description = \"d\"\n[build]\nhost = = 1\n")]);
    let error = Target::load(dir.path(), "bad").unwrap_err().to_string();
    assert!(error.contains("bad.toml:3:8"), "{error}");
}

#[test]
fn an_unknown_key_has_line_and_column() {
    let text = WHOLE.replace("host = \"builder\"", "hots = \"builder\"");
    let dir = specs(&[("bad.toml", &text)]);
    let error = Target::load(dir.path(), "bad").unwrap_err().to_string();
    assert!(
        error.contains("bad.toml:14:1") && error.contains("hots"),
        "{error}"
    );
}

#[test]
fn a_child_overrides_key_by_key_and_replaces_sources_whole() {
    let child = "inherits = \"one\"\n[kernel]\nsource = { git = { url = \"u\", commit = \"c\" } }\n[build]\nhost = \"other\"\n";
    let dir = specs(&[("one.toml", WHOLE), ("two.toml", child)]);
    let target = Target::load(dir.path(), "two").unwrap();
    assert_eq!(target.name, "two");
    assert_eq!(target.build.host, "other");
    assert_eq!(target.build.source_date_epoch, 1_700_000_000);
    assert!(matches!(target.kernel.source, Source::Git { .. }));
    assert_eq!(target.kernel.overlay, "kernel/rehearsal");
}

#[test]
fn a_loop_of_inheritance_is_an_error() {
    let dir = specs(&[
        ("a.toml", "inherits = \"b\""),
        ("b.toml", "inherits = \"a\""),
    ]);
    let error = Target::load(dir.path(), "a").unwrap_err().to_string();
    assert!(error.contains("loop"), "{error}");
}

#[test]
fn a_short_fingerprint_is_refused() {
    let text = WHOLE.replace("0123456789ABCDEF0123456789ABCDEF01234567", "01234567");
    let dir = specs(&[("one.toml", &text)]);
    let error = Target::load(dir.path(), "one").unwrap_err().to_string();
    assert!(error.contains("fingerprint"), "{error}");
}

#[test]
fn numbers_of_the_release_package_that_rpm_cannot_take_are_refused() {
    for (numbers, part) in [
        ("version = \"2.17-1\", release = 1", "not `2.17-1`"),
        ("version = \"\", release = 1", "rpm version"),
        ("version = \"1\", release = 0", "starts with 1"),
    ] {
        let text = WHOLE.replace("version = \"1\", release = 1", numbers);
        let dir = specs(&[("one.toml", &text)]);
        let error = Target::load(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains(part), "{numbers}: {error}");
    }
}
