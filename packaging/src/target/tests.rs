use super::*;

/// The distribution, its repositories and its kernel.
mod distribution;
/// What a value can be, and what is said of one that cannot.
mod values;

pub(super) const WHOLE: &str = r#"
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

pub(super) fn specs(files: &[(&str, &str)]) -> tempfile::TempDir {
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
    let dir = specs(&[("one.toml", WHOLE), ("above.toml", "inherits = '../one'")]);
    for name in [".one", "one two", "", "above"] {
        let error = Target::load(dir.path(), name).unwrap_err();
        assert!(matches!(error, Error::Name(_)), "{name}: {error}");
    }
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
    let child = "inherits = \"one\"\n[kernel]\nsource = { git = { url = \"https://a.example/k\", commit = \"0123456789abcdef0123456789abcdef01234567\" } }\n[build]\nhost = \"other\"\n";
    let dir = specs(&[("one.toml", WHOLE), ("two.toml", child)]);
    let target = Target::load(dir.path(), "two").unwrap();
    assert_eq!(target.name, "two");
    assert_eq!(target.build.host, "other");
    assert_eq!(target.build.source_date_epoch, 1_700_000_000);
    assert!(matches!(target.kernel.source, Source::Git { .. }));
    assert_eq!(target.kernel.changed_by(), Some("kernel/rehearsal"));
}

#[test]
fn a_loop_of_inheritance_is_an_error() {
    let dir = specs(&[
        ("a.toml", "inherits = \"b\""),
        ("b.toml", "inherits = \"a\""),
    ]);
    let error = Target::load(dir.path(), "a").unwrap_err().to_string();
    assert!(error.contains("cycle"), "{error}");
}

#[test]
fn a_short_fingerprint_is_refused() {
    let text = WHOLE.replace("0123456789ABCDEF0123456789ABCDEF01234567", "01234567");
    let dir = specs(&[("one.toml", &text)]);
    let error = Target::load(dir.path(), "one").unwrap_err().to_string();
    assert!(error.contains("fingerprint"), "{error}");
}

#[test]
fn nothing_is_written_of_what_a_target_does_not_say() {
    // What stages are made of holds a target's JSON: a key that is new here must not appear there.
    let dir = specs(&[("one.toml", WHOLE)]);
    let target = Target::load(dir.path(), "one").unwrap();
    let text = toml::to_string(&target).unwrap();
    for key in [
        "variables",
        "repository = []",
        "keys",
        "options",
        "kind = \"patched\"",
    ] {
        assert!(!text.contains(key), "{key}: {text}");
    }
}

#[test]
fn all_targets_of_the_project_are_whole() {
    let specs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let names = list(&specs).unwrap();
    for name in [
        "rehearsal",
        "debian-12",
        "rocky-8.10-guide",
        "rocky-8.10",
        "rocky-9.6",
        "rocky-9.7",
        "rocky-9.8",
        "rocky-10.0",
        "rocky-10.1",
        "rocky-10.2",
        "alma-9.6",
        "rhel-9.6",
    ] {
        assert!(names.iter().any(|there| there == name), "{name}");
    }
    for name in names {
        let target = Target::load(&specs, &name).unwrap();
        if let Some(overlay) = target.kernel_overlay(&specs).unwrap()
            && let Some(version) = &target.kernel.version
        {
            let release = version.split_once('-').unwrap().1;
            let (_, vars) = overlay.for_release(release).unwrap();
            let minor = &target.distribution.variables["releasever"];
            assert!(
                vars.contains(&("minor".to_owned(), minor.clone())),
                "{name}: {vars:?}"
            );
        }
        if let Some(overlay) = &target.lustre.overlay {
            let options = &target.lustre.options;
            crate::overlay::Overlay::load_in(&specs, &specs.join(overlay), options).unwrap();
        }
        let ours = target
            .install
            .packages
            .iter()
            .any(|package| package == "kernel");
        assert_eq!(ours, target.kernel.kind.is_patched(), "{name}");
        assert_eq!(
            target
                .repository
                .group
                .mandatory
                .iter()
                .any(|package| package == "kernel"),
            ours,
            "{name}"
        );
    }
}

#[test]
fn a_target_is_laid_over_the_parts_that_it_names() {
    let dir = specs(&[
        ("one.toml", &distribution::there()),
        (
            "two.toml",
            "inherits = \"one\"\nwith = [\"distributions/own\"]\ndescription = \"for $vendor\"\n",
        ),
        ("loop.toml", "with = [\"distributions/loop\"]\n"),
        ("out.toml", "with = [\"../one\"]\n"),
        ("none.toml", "with = [\"distributions/none\"]\n"),
        ("word.toml", "with = \"distributions/own\"\n"),
    ]);
    let parts = dir.path().join("distributions");
    std::fs::create_dir(&parts).unwrap();
    for (name, text) in [
        (
            "base",
            "[distribution.variables]\nvendor = \"Base\"\n[build]\nhost = \"base\"\n",
        ),
        (
            "own",
            "with = [\"distributions/base\"]\n[distribution.variables]\nvendor = \"Own\"\n",
        ),
        ("loop", "with = [\"distributions/loop\"]\n"),
    ] {
        std::fs::write(parts.join(format!("{name}.toml")), text).unwrap();
    }
    let target = Target::load(dir.path(), "two").unwrap();
    assert_eq!(
        (target.description.as_str(), target.build.host.as_str()),
        ("for Own", "base")
    );
    for (name, part) in [
        ("loop", "a cycle at `distributions/loop`"),
        ("out", "path under specs/"),
        ("none", "none.toml"),
        ("word", "`with` is a list"),
    ] {
        let error = Target::load(dir.path(), name).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
}
