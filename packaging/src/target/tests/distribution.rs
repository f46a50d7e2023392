use super::*;

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

pub(super) fn there() -> String {
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

#[test]
fn what_a_build_service_is_told_stays_on_its_line() {
    for (line, part) in [
        ("project = \"a b\"", "the name of a project, not `a b`"),
        ("support = [\"a b\"]", "the name of a package, not `a b`"),
        ("modules = [\"python36\"]", "not a module and its stream"),
        ("macros = { vendor = \"%{a\" }", "not `%{a`"),
        ("macros = { \"a b\" = \"c\" }", "not the name of a macro"),
    ] {
        let text = there().replace(
            "[build]\n",
            &format!("[distribution.obs]\n{line}\n[build]\n"),
        );
        let dir = specs(&[("one.toml", &text)]);
        let error = Target::load(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains(part), "{line}: {error}");
    }
}
