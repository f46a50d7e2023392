use super::*;

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
