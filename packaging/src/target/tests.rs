use super::*;

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

/// A target for an existing distribution.
const THERE: &str = r#"
description = "d"
[distribution]
kind = "repositories"
key = "0123456789ABCDEF0123456789ABCDEF01234567"
arch = "x86_64"
dist = ".el9"
bootstrap = ["dnf"]
buildroot = ["gcc"]
variables = { releasever = "9.6", location = "https://vault.example/el" }
[distribution.keys.main]
fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567"
file = "keys/main.asc"
url = "https://vault.example/KEY"
[[distribution.repository]]
id = "baseos"
baseurl = "$location/$releasever/BaseOS/$basearch/os"
key = "main"
signed_metadata = true
why = "w"
[[distribution.repository]]
id = "source"
baseurl = "$location/$releasever/source"
source = true
key = "main"
signed_metadata = true
why = "w"
[build]
"#;

fn there() -> String {
    let rest = WHOLE.split_once("[build]\n").unwrap().1;
    format!("{THERE}{rest}")
}

#[test]
fn repositories_are_where_the_variables_say() {
    let text = there();
    let child = "inherits = \"one\"\n[distribution.variables]\nreleasever = \"9.7\"\n";
    let dir = specs(&[("one.toml", &text), ("two.toml", child)]);
    for (name, first) in [
        ("one", "https://vault.example/el/9.6/BaseOS/x86_64/os"),
        ("two", "https://vault.example/el/9.7/BaseOS/x86_64/os"),
    ] {
        let distribution = Target::load(dir.path(), name).unwrap().distribution;
        let locations = distribution.locations(&distribution.repository[0]);
        assert_eq!(locations.unwrap(), [first]);
    }
}

#[test]
fn a_distribution_made_on_the_spot_has_no_kernel_of_its_own() {
    let text = WHOLE.replacen("[kernel]\n", "[kernel]\nkind = \"distribution\"\n", 1);
    assert_ne!(text, WHOLE);
    let dir = specs(&[("one.toml", &text)]);
    let error = Target::load(dir.path(), "one").unwrap_err().to_string();
    assert!(error.contains("`rehearsal`"), "{error}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let text = there();
    for (from, to, part) in [
        ("$releasever/source", "$release/source", "`$release`"),
        ("key = \"main\"", "key = \"other\"", "the key `other`"),
        ("source = true\n", "", "source packages"),
        ("id = \"source\"", "id = \"baseos\"", "two have the id"),
        (
            "https://vault.example/el",
            "http://vault.example/el",
            "https URL",
        ),
        ("keys/main.asc", "../main.asc", "path under specs/"),
        (
            "fingerprint = \"0123456789ABCDEF0123456789ABCDEF01234567\"",
            "fingerprint = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "not the fingerprint of any of [distribution.keys]",
        ),
        (
            "dist = \".el9\"",
            "dist = \".el9\"\nrecipe = \"r\"",
            "belong to the kind `rehearsal`",
        ),
        (
            "dist = \".el9\"",
            "dist = \".el9\"\nmodule_platform = \"el9\"",
            "PLATFORM_ID",
        ),
        (
            "[kernel]\n",
            "[kernel]\nkind = \"distribution\"\n",
            "ships none",
        ),
        (
            "{ path = \"model/lustre\" }",
            "{ git-tag = { url = \"https://a.example/l\", tag = \"t\" } }",
            "no commit",
        ),
    ] {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let dir = specs(&[("one.toml", &wrong)]);
        let error = Target::load(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    let without = WHOLE.replace("recipe = \"distributions/rehearsal\"\n", "");
    let dir = specs(&[("one.toml", &without)]);
    let error = Target::load(dir.path(), "one").unwrap_err().to_string();
    assert!(error.contains("has a `recipe`"), "{error}");
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
fn the_release_package_of_a_minor_release_has_its_number() {
    let specs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    for name in list(&specs).unwrap() {
        let target = Target::load(&specs, &name).unwrap();
        let Some(minor) = target.distribution.variables.get("releasever") else {
            continue;
        };
        assert_eq!(&target.repository.release_package.version, minor, "{name}");
    }
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

#[test]
fn a_tags_key_goes_with_a_tag() {
    let key = "[lustre.tag_key]\nfingerprint = '0123456789ABCDEF0123456789ABCDEF01234567'\nfile = 'keys/l.asc'\n\
               url = 'https://a.example/l.asc'\n";
    let dir = specs(&[("one.toml", &format!("{WHOLE}{key}"))]);
    let error = Target::load(dir.path(), "one").unwrap_err().to_string();
    assert!(
        error.contains("lustre.tag_key") && error.contains("has no tag"),
        "{error}"
    );
    let tagged = WHOLE.replace(
        "source = { path = \"model/lustre\" }",
        "source = { git = { url = \"https://a.example/l\", tag = \"t\", commit = \"0123456789abcdef0123456789abcdef01234567\" } }",
    );
    let dir = specs(&[
        ("one.toml", &format!("{tagged}{key}")),
        (
            "two.toml",
            &format!("{tagged}{}", key.replace("https:", "http:")),
        ),
    ]);
    let target = Target::load(dir.path(), "one").unwrap();
    assert_eq!(target.lustre.tag_key.unwrap().file, "keys/l.asc");
    let error = Target::load(dir.path(), "two").unwrap_err().to_string();
    assert!(error.contains("lustre.tag_key.url"), "{error}");
}

#[test]
fn a_repository_has_several_places_and_a_file_is_looked_for_in_all_of_them() {
    let text = there().replace(
        "baseurl = \"$location/$releasever/BaseOS/$basearch/os\"",
        "baseurl = [\"$location/$releasever/BaseOS/os/\", \"https://vault.example/old/$releasever/BaseOS/os\", \"$location/$releasever/BaseOS/os/\"]",
    );
    let dir = specs(&[("one.toml", &text)]);
    let distribution = Target::load(dir.path(), "one").unwrap().distribution;
    let (live, vault) = (
        "https://vault.example/el/9.6/BaseOS/os/",
        "https://vault.example/old/9.6/BaseOS/os",
    );
    assert_eq!(
        distribution.locations(&distribution.repository[0]).unwrap(),
        [live, vault]
    );
    let (here, there) = (
        format!("{live}Packages/a.rpm"),
        format!("{vault}/Packages/a.rpm"),
    );
    assert_eq!(distribution.places(&here), [here.clone(), there.clone()]);
    assert_eq!(distribution.places(&there), [there, here]);
    for elsewhere in [
        "https://other.example/a.rpm",
        "https://vault.example/old/9.6/BaseOS/os2/a.rpm",
    ] {
        assert_eq!(distribution.places(elsewhere), [elsewhere]);
    }
}

#[test]
fn one_setting_of_one_repository_is_laid_over_what_is_inherited() {
    let text = there();
    let child = "inherits = \"one\"\n[distribution.repository.baseos]\nsigned_metadata = false\n\
                 [distribution.repository.more]\nbaseurl = \"https://more.example\"\nkey = \"main\"\nsigned_metadata = true\n\
                 enabled = false\nwhy = \"w\"\n";
    let dir = specs(&[("one.toml", &text), ("two.toml", child)]);
    let all = Target::load(dir.path(), "two").unwrap();
    let signed: Vec<(&str, bool, bool)> = all
        .distribution
        .repository
        .iter()
        .map(|one| {
            (
                one.id.as_str(),
                one.signed_metadata,
                one.is_used(&all.asks_for()),
            )
        })
        .collect();
    assert_eq!(
        signed,
        [
            ("baseos", false, true),
            ("more", true, false),
            ("source", true, true)
        ]
    );
    for (wrong, part) in [
        ("id = \"other\"\n", "says that its id is"),
        ("sslclientcert = \"/a\"\n", "both are needed"),
        (
            "sslcacert = \"a.pem\"\n",
            "the sslcacert of the repository `baseos`",
        ),
        ("key = []\n", "at least one"),
        ("signed_metadate = true\n", "signed_metadate"),
    ] {
        let child = format!("inherits = \"one\"\n[distribution.repository.baseos]\n{wrong}");
        let dir = specs(&[("one.toml", &text), ("two.toml", &child)]);
        let error = Target::load(dir.path(), "two").unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_target_is_laid_over_the_parts_that_it_names() {
    let dir = specs(&[
        ("one.toml", &there()),
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

#[test]
fn every_release_is_found_after_it_moved_and_its_sources_where_they_are() {
    let specs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    for name in list(&specs).unwrap() {
        let distribution = Target::load(&specs, &name).unwrap().distribution;
        for repository in &distribution.repository {
            let places = distribution.locations(repository).unwrap();
            let id = &repository.id;
            let (vendor, _) = name.split_once('-').unwrap();
            match (vendor, repository.source) {
                // Its content network keeps a release where it was.
                ("rhel", _) => {
                    assert!(
                        places[0].starts_with("https://cdn.redhat.com/"),
                        "{name} {id}"
                    );
                    assert!(repository.sslclientcert.is_some(), "{name} {id}");
                }
                ("alma", true) => assert_eq!(
                    places,
                    [format!(
                        "https://vault.almalinux.org/{}/BaseOS/Source",
                        distribution.variables["releasever"]
                    )]
                ),
                _ => assert!(
                    places.len() == 2 && places[1].contains("vault"),
                    "{name} {id}: {places:?}"
                ),
            }
            assert!(!id.contains("epel"), "{name}");
        }
    }
    let alma = Target::load(&specs, "alma-8.10").unwrap().distribution;
    let keys: Vec<&str> = alma
        .repository
        .iter()
        .flat_map(|one| one.key.all())
        .map(|name| alma.keys[name].fingerprint.as_str())
        .collect();
    assert_eq!(keys.len(), 2 * alma.repository.len());
    assert!(keys.contains(&"5E9B8F5617B5066CE92057C3488FCF7C3ABB34F8"));
}

#[test]
fn what_a_value_would_do_elsewhere_is_refused_where_it_is_read() {
    for (from, to, part) in [
        (
            "dist = \".t1\"",
            r#"dist = ".x\n%{lua:os.execute('id')}""#,
            "distribution.dist",
        ),
        (
            "dist = \".t1\"",
            r#"dist = ".x%{lua:x}""#,
            "distribution.dist is a dot followed by",
        ),
        (
            "path = \"model/lustre\"",
            "path = \"/etc\"",
            "lustre.source.path is a path under specs/",
        ),
        (
            "path = \"model/lustre\"",
            "path = \"../../etc\"",
            "lustre.source.path",
        ),
        (
            "mandatory = [\"lustre\"]",
            "mandatory = [\"lsutre\"]",
            "`lsutre`, which is not one of the built packages",
        ),
        (
            "name = \"G\"",
            r#"name = "G\u0000""#,
            "repository.group.name",
        ),
        (
            "name = \"n\"",
            r#"name = "n\ngpgcheck=0""#,
            "repository.name",
        ),
        (
            "id = \"g\"",
            "id = \"g; id\"",
            "repository.group.id is the id of a group",
        ),
        (
            "\"file:///srv\"",
            "\"file:///srv a\"",
            "repository.baseurl is a URL",
        ),
        (
            "baseurl = \"file:///srv\"",
            "baseurl = \"file:///srv\"\nkeep = 0",
            "keep is 0; it is the number",
        ),
        ("host = \"builder\"", "host = \"b --x\"", "build.host"),
        (
            "buildroot = [\"gcc\"]",
            "buildroot = [\"--installroot=/\"]",
            "distribution.buildroot",
        ),
        (
            "description = \"d\"",
            r#"description = "d\u001b[2J""#,
            "description",
        ),
    ] {
        let wrong = WHOLE.replacen(from, to, 1);
        assert_ne!(wrong, WHOLE, "{from}");
        let dir = specs(&[("one.toml", &wrong)]);
        let error = Target::load(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
        if part.starts_with(|c: char| c.is_ascii_lowercase()) && part.contains('.') {
            // With the line.
            let line = wrong.lines().position(|line| line.contains(to)).unwrap() + 1;
            assert!(error.contains(&format!("one.toml:{line}:")), "{error}");
        }
    }
}

#[test]
fn what_is_no_such_number_is_told_in_the_words_of_those_who_write_targets() {
    let keep = "the number of releases that the repository has the packages of, from 1 to 32";
    for (from, to, part) in [
        ("baseurl =", "keep = -1\nbaseurl =", keep),
        ("baseurl =", "keep = \"3\"\nbaseurl =", keep),
        ("baseurl =", "keep = 3.5\nbaseurl =", keep),
        ("baseurl =", "keep = [3]\nbaseurl =", keep),
        (
            "baseurl =",
            "keep = 1000000000000000000000\nbaseurl =",
            "a number that fits into 64 bits",
        ),
        (
            "source_date_epoch = 1",
            "source_date_epoch = -1",
            "a whole number, 0 or more",
        ),
    ] {
        let wrong = WHOLE.replacen(from, to, 1);
        assert_ne!(wrong, WHOLE, "{from}");
        let dir = specs(&[("one.toml", &wrong)]);
        let error = Target::load(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains(part), "{to}: {error}");
        for word in ["usize", "u32", "i128", "valid TOML"] {
            assert!(!error.contains(word), "{to}: {error}");
        }
    }
}

#[test]
fn what_lustre_s_spec_is_told_is_what_a_spec_can_have() {
    let with = |options: &str| {
        let to = format!("configure = []\nrpmbuild = [{options}]");
        let text = WHOLE.replacen("configure = []", &to, 1);
        assert_ne!(text, WHOLE);
        let dir = specs(&[("one.toml", &text)]);
        Target::load(dir.path(), "one")
    };
    with("'--without', 'mpi', '--define', 'configure_args --disable-gss'").unwrap();
    for (options, part) in [
        (
            "'--nocheck'",
            "`--nocheck` is an option of rpmbuild that a spec cannot have",
        ),
        ("'--with'", "`--with` has nothing behind it"),
        ("'--define', 'x'", "the macro `x`"),
    ] {
        let error = with(options).unwrap_err().to_string();
        assert!(
            error.contains("lustre.rpmbuild: ") && error.contains(part),
            "{error}"
        );
    }
}

#[test]
fn a_key_has_its_line_whichever_of_the_files_has_it() {
    for (child, place, part) in [
        (
            "inherits = 'one'\n[kernel]\n  optoins = ['x']\n",
            "two.toml:3:3",
            "optoins",
        ),
        ("inherits = 'one'\n\nlutsre = 1\n", "two.toml:3:1", "lutsre"),
        (
            "inherits = 'one'\n[build]\nhost = 7\n",
            "two.toml:3:1",
            "build.host",
        ),
        (
            "inherits = 'one'\n[build]\nhost = 'a b'\n",
            "two.toml:3:1",
            "build.host",
        ),
        (
            "inherits = 'one'\n[lustre]\nversion = '2'\n",
            "one.toml:",
            "e2fsprogs.packages",
        ),
    ] {
        let parent = if place.starts_with("one") {
            WHOLE.replacen(
                "packages = [\"e2fsprogs\"]",
                "packages = [\"e2fsprogs\", \"-x\"]",
                1,
            )
        } else {
            WHOLE.to_owned()
        };
        let dir = specs(&[("one.toml", &parent), ("two.toml", child)]);
        let error = Target::load(dir.path(), "two").unwrap_err().to_string();
        assert!(
            error.contains(place) && error.contains(part),
            "{part}: {error}"
        );
    }
}

#[test]
fn what_is_no_targets_file_is_not_read() {
    let dir = specs(&[("one.toml", WHOLE)]);
    let large = dir.path().join("large.toml");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(300 << 20)
        .unwrap();
    let pipe = dir.path().join("pipe.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    for (path, why) in [(large, "314572800 bytes"), (pipe, "a pipe")] {
        let error = Target::load(dir.path(), path.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// The last scriptlet of 9's kernel-core calls restorecon, and fails where there is none.
#[test]
fn every_server_of_enterprise_linux_has_what_the_scriptlets_of_its_kernel_call() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let mut servers = 0;
    for name in list(&specs).unwrap() {
        let target = Target::load(&specs, &name).unwrap();
        if target.distribution.kind == DistributionKind::Repositories || name.starts_with("el-") {
            let base = &target.install.base;
            assert!(
                base.iter().any(|one| one == "policycoreutils"),
                "{name}: {base:?}"
            );
            servers += 1;
        }
    }
    assert!(servers > 20, "{servers}");
}

#[test]
fn what_is_mistyped_is_told_with_what_there_is() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("site.toml");
    for (parent, text, parts) in [
        (
            "rocky-9.6",
            "with = ['kernel/owm']",
            &["`kernel/owm`", "there are: kernel/own"][..],
        ),
        (
            "rocky-9.6",
            "with = ['kernels/own']",
            &["specs/kernels/own.toml does not exist"],
        ),
        (
            "rocky-9.6",
            "kernel.version = '570.58.1.el9_6'",
            &["kernel.version", "`570.58.1.el9_6`"],
        ),
        (
            "rocky-9.6",
            "kernel.version = 'kernel-5.14.0-570.58.1.el9_6'",
            &["kernel.version"],
        ),
        (
            "rocky-9.6",
            "kernel.version = '5.14.0-570.58.1.el9_6.x86_64'",
            &["such as 5.14.0-"],
        ),
        (
            "rocky-9.6",
            "distribution.variables.releasver = '9.7'",
            &["releasver", "releasever"],
        ),
        (
            "rocky-10.0",
            "kernel.kind = 'patched'",
            &["there is no kernel.overlay", "such as `kernel/el9`"],
        ),
    ] {
        std::fs::write(&path, format!("inherits = '{parent}'\n{text}\n")).unwrap();
        let error = Target::load(&specs, path.to_str().unwrap()).unwrap_err();
        let error = error.to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: {part}: {error}");
        }
    }
}

/// Of a release, Rocky Linux ended earlier than the others: its mirrors have no later kernel.
#[test]
fn a_targets_kernel_is_one_that_its_distribution_has() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    for (vendor, nine, ten) in [
        ("rocky", "570.58.1", "55.41.1"),
        ("alma", "570.62.1", "55.43.1"),
        ("rhel", "570.62.1", "55.43.1"),
    ] {
        for (release, last) in [
            ("9.6", format!("5.14.0-{nine}.el9_6")),
            ("10.0", format!("6.12.0-{ten}.el10_0")),
        ] {
            let target = Target::load(&specs, &format!("{vendor}-{release}")).unwrap();
            let version = target.kernel.version.unwrap();
            assert!(
                rpm_version::Evr::parse(&version) <= rpm_version::Evr::parse(&last),
                "{vendor} {release} ends with {last}, not {version}"
            );
        }
    }
}
