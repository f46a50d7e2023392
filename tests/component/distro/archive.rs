//! Fetching from an archive, the repository's own recipe, and source packages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use lustre_distro::debian::Error;
use lustre_distro::srpm::SpecTools;
use lustre_distro::{Apt, Recipe, build, inputs_digest, own};
use lustre_packaging::lock::FilePin;
use lustre_packaging::sign::{PublicKey, Signer};
use lustre_repo_tests::gpg::Gpg;
use sha2::{Digest, Sha256};

use super::debs::{output, rehearsal, write};
use super::query;

#[test]
fn files_are_fetched_checked_and_missed() {
    let dir = tempfile::tempdir().unwrap();
    let apt = Apt::open(&rehearsal().debian, &[], &dir.path().join("apt")).unwrap();
    let pin = |name: &str, contents: &[u8]| FilePin {
        file: name.to_owned(),
        size: contents.len() as u64,
        sha256: Sha256::digest(contents)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect(),
        uri: format!("copy:{}", dir.path().join("site").join(name).display()),
    };
    for name in ["one", "two"] {
        write(&dir.path().join("site").join(name), name, 0o644);
    }
    let into = dir.path().join("files");
    // A damaged file in the cache is fetched anew.
    write(&into.join("one"), "damaged", 0o644);
    apt.fetch(&[pin("one", b"one"), pin("two", b"two")], &into)
        .unwrap();
    assert_eq!(fs::read(into.join("one")).unwrap(), b"one");
    assert_eq!(fs::read(into.join("two")).unwrap(), b"two");

    let other = pin("two", b"three");
    fs::remove_file(into.join("two")).unwrap();
    let error = apt.fetch(std::slice::from_ref(&other), &into).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Digest { .. }), "{text}");
    assert!(
        text.contains(&other.sha256) && text.contains(&pin("two", b"two").sha256),
        "{text}"
    );
    assert!(!into.join("two").exists());

    let error = apt
        .fetch(&[pin("gone", b"x"), pin("two", b"two")], &into)
        .unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error}");
    assert!(
        error.to_string().contains("only current versions"),
        "{error}"
    );
    // What is there was kept.
    assert!(into.join("two").is_file());
}

/// An archive with one package, that calls itself `origin`; its folder.
fn archive(folder: &Path, origin: &str, version: &str) -> String {
    let main = folder.join("dists/bookworm/main");
    let package = format!(
        "Package: thing\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\nFilename: pool/thing_{version}_amd64.deb\n\
         Size: 3\nSHA256: {}\nDescription: x\n\n",
        "a".repeat(64)
    );
    write(&main.join("binary-amd64/Packages"), &package, 0o644);
    write(&main.join("source/Sources"), "", 0o644);
    let sums: String = ["main/binary-amd64/Packages", "main/source/Sources"]
        .iter()
        .map(|name| {
            let bytes = fs::read(folder.join("dists/bookworm").join(name)).unwrap();
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!(" {digest} {} {name}\n", bytes.len())
        })
        .collect();
    let release = format!(
        "Origin: {origin}\nLabel: {origin}\nSuite: stable\nCodename: bookworm\nComponents: main\nArchitectures: amd64\n\
         Date: Mon, 01 Jan 2024 00:00:00 UTC\nValid-Until: Tue, 02 Jan 2024 00:00:00 UTC\nSHA256:\n{sums}"
    );
    write(&folder.join("dists/bookworm/Release"), &release, 0o644);
    format!("copy:{}", folder.display())
}

#[test]
fn only_what_is_debians_and_enabled_is_asked_and_keeps_what_its_entry_says() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let debian = archive(&at("debian"), "Debian", "2");
    let other = archive(&at("other"), "Somebody", "9");
    let disabled = archive(&at("disabled"), "Debian", "8");
    let etc = at("etc");
    let stanza = |uri: &str, more: &str| {
        format!(
            "Types: deb\nURIs: {uri}\nSuites: bookworm\nComponents: main\nTrusted: yes\nCheck-Valid-Until: no\n{more}\n"
        )
    };
    let sources = [
        stanza(&disabled, "Enabled: No\n"),
        stanza(&other, ""),
        stanza(&debian, "Enabled: Yes\n"),
    ]
    .join("\n");
    write(&etc.join("sources.list.d/some.sources"), &sources, 0o644);
    let recipe = of_one_package();
    let apt = Apt::update_from(&recipe.debian, &[], &at("apt"), Some(&etc)).unwrap();
    let pins = apt.resolve(&recipe).unwrap();
    assert_eq!(pins.len(), 1);
    assert_eq!(pins[0].version, "2");
    assert!(
        pins[0].file.uri.starts_with(&debian),
        "{}",
        pins[0].file.uri
    );
    // As a line, with its options between brackets.
    fs::remove_dir_all(etc.join("sources.list.d")).unwrap();
    let line = format!("# x\ndeb [trusted=yes check-valid-until=no] {debian} bookworm main\n");
    write(&etc.join("sources.list"), &line, 0o644);
    let apt = Apt::update_from(&recipe.debian, &[], &at("apt"), Some(&etc)).unwrap();
    assert_eq!(apt.resolve(&recipe).unwrap(), pins);
    // Nobody else's will do.
    let line = format!("deb [trusted=yes check-valid-until=no] {other} bookworm main\n");
    write(&etc.join("sources.list"), &line, 0o644);
    let error = Apt::update_from(&recipe.debian, &[], &at("apt"), Some(&etc)).unwrap_err();
    assert!(matches!(error, Error::NoSource { .. }), "{error}");
}

/// The recipe of one package, `thing`, of one suite.
fn of_one_package() -> Recipe {
    let mut recipe = rehearsal();
    recipe.debian.seeds = vec!["thing".to_owned()];
    recipe.debian.drop = Default::default();
    recipe.debian.instead = Default::default();
    recipe.debian.suites = ["bookworm".to_owned()].into();
    recipe
}

#[test]
fn an_entry_s_keys_architectures_and_exceptions_are_apt_s_as_they_are_the_host_s() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // apt fetches as somebody else.
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let [signer, stranger] = ["Archive", "Stranger"].map(Gpg::new);
    let keys = [("signer", &signer), ("stranger", &stranger)].map(|(name, gpg)| {
        let path = at(&format!("{name}.asc"));
        write(&path, gpg.public_key(), 0o644);
        path.display().to_string()
    });
    let unsigned = archive(&at("unsigned"), "Debian", "1");
    let signed = archive(&at("signed"), "Debian", "2");
    let release = at("signed/dists/bookworm/Release");
    let done = signer
        .command()
        .args(["--clearsign", "--output"])
        .arg(release.with_file_name("InRelease"))
        .arg(&release)
        .status();
    assert!(done.unwrap().success());
    let embedded = signer.public_key().replace("\n\n", "\n.\n");
    let embedded = embedded.trim_end().replace('\n', "\n ");
    let [signer, stranger] = keys;
    let recipe = of_one_package();
    let mut number = 0;
    // What comes of an entry, as a stanza and as a line: a version of the package, or why there is none.
    let mut of = |fields: Option<&str>, brackets: Option<&str>, uri: &str| {
        let stanza = fields.map(|fields| {
            format!(
                "Types: deb\nURIs: {uri}\nSuites: bookworm\nComponents: main\nCheck-Valid-Until: no\n{fields}\n"
            )
        });
        let line = brackets
            .map(|options| format!("deb [check-valid-until=no {options}] {uri} bookworm main\n"));
        let files = [
            stanza.map(|stanza| ("sources.list.d/a.sources", stanza)),
            line.map(|line| ("sources.list", line)),
        ];
        let results: Vec<Result<String, Error>> = files
            .into_iter()
            .flatten()
            .map(|(name, text)| {
                number += 1;
                let etc = at(&format!("etc{number}"));
                write(&etc.join(name), &text, 0o644);
                let apt = Apt::update_from(
                    &recipe.debian,
                    &[],
                    &at(&format!("apt{number}")),
                    Some(&etc),
                )?;
                Ok(apt.resolve(&recipe)?[0].version.clone())
            })
            .collect();
        results
    };
    let taken = |results: Vec<Result<String, Error>>, version: &str| {
        for result in results {
            assert_eq!(result.unwrap(), version);
        }
    };
    let refused = |results: Vec<Result<String, Error>>, what: &str| {
        for result in results {
            assert!(result.is_err(), "{what}: {result:?}");
        }
    };
    let both = |name: &str, short: &str, value: &str| {
        (
            format!("{name}: {value}\n"),
            format!("{short}={}", value.replace(' ', ",")),
        )
    };
    let (fields, brackets) = both("Signed-By", "signed-by", &signer);
    taken(of(Some(&fields), Some(&brackets), &signed), "2");
    let fields = format!("Signed-By:\n {embedded}\n");
    taken(of(Some(&fields), None, &signed), "2");
    let (fields, brackets) = both("Signed-By", "signed-by", &stranger);
    refused(of(Some(&fields), Some(&brackets), &signed), "another's key");
    refused(of(Some(""), Some(""), &signed), "no key of the host");
    // Not every apt knows this field of a stanza.
    taken(of(None, Some("allow-insecure=yes"), &unsigned), "1");
    refused(
        of(None, Some("allow-insecure=no"), &unsigned),
        "no signature",
    );
    refused(of(Some(""), Some(""), &unsigned), "no signature");
    for (value, there) in [("amd64 arm64", true), ("arm64", false)] {
        let (fields, brackets) = both("Trusted: yes\nArchitectures", "trusted=yes arch", value);
        let results = of(Some(&fields), Some(&brackets), &unsigned);
        if there {
            taken(results, "1");
        } else {
            refused(results, "another architecture");
        }
    }
}

#[test]
fn the_rehearsal_recipe_fits_its_folder() {
    let recipe = rehearsal();
    let folders = own::folders(&recipe).unwrap();
    assert!(folders.len() >= 4);
    let mut names = Vec::new();
    for folder in &folders {
        let plan = own::plan(folder, &recipe).unwrap();
        // A package is found by its folder's name.
        assert_eq!(folder.file_name().unwrap().to_str().unwrap(), plan.name);
        names.push(plan.name);
    }
    assert!(names.contains(&recipe.distribution.skeleton));
    assert_eq!(inputs_digest(&recipe, &[]).unwrap().len(), 64);
    for file in &recipe.distribution.macros {
        assert!(recipe.dir.join(file).is_file(), "{}", file.display());
    }
    // The key: readable by our own code and by GnuPG, with one fingerprint.
    let key = build::key(&recipe).unwrap();
    let home = tempfile::tempdir().unwrap();
    let shown = output(
        Command::new("gpg")
            .args(["--batch", "--with-colons", "--show-keys"])
            .arg(recipe.dir.join("key.asc"))
            .env("GNUPGHOME", home.path()),
    );
    assert!(shown.contains(&key.fingerprint()), "{shown}");
    assert!(PublicKey::parse(key.public_key_armored().unwrap()).is_ok());
}

#[test]
fn a_source_package_has_the_same_bytes_from_any_folder() {
    let recipe = rehearsal();
    let spec_dir = recipe.dir.join("kernel");
    let macros: Vec<_> = recipe
        .distribution
        .macros
        .iter()
        .map(|f| recipe.dir.join(f))
        .collect();
    let mut made = Vec::new();
    // Whoever may read a source is a matter of the umask; whoever may run it, of the source.
    for mode in [0o600, 0o644, 0o700, 0o755] {
        let dir = tempfile::tempdir().unwrap();
        let tools = SpecTools {
            macros: &macros,
            scratch: dir.path(),
            time: recipe.distribution.time,
            dist: None,
        };
        let specs = tools.packages(&spec_dir).unwrap();
        let core = specs
            .iter()
            .find(|package| package.name == "kernel-core")
            .unwrap();
        assert!(core.release.ends_with(".reh12"), "{core:?}");
        let name = format!("linux_{}.orig.tar.xz", core.version);
        let source = dir.path().join("some-name");
        write(&source, "not a kernel", mode);
        let log = dir.path().join("log");
        let missing = tools
            .build_srpm(
                &spec_dir,
                &[("other.tar.xz".to_owned(), source.clone())],
                dir.path(),
                &log,
            )
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains(&name) && missing.contains("other.tar.xz"),
            "{missing}"
        );
        let srpm = tools
            .build_srpm(&spec_dir, &[(name, source)], &dir.path().join("out"), &log)
            .unwrap();
        assert_eq!(
            query(
                &srpm,
                &[
                    "--queryformat",
                    "%{name} %{release} %{buildtime} %{buildhost}"
                ]
            ),
            format!(
                "kernel {} {} rehearsal",
                core.release, recipe.distribution.time
            )
        );
        made.push(fs::read(srpm).unwrap());
    }
    assert!(made[0] == made[1], "readable by its owner, and by all");
    assert!(made[2] == made[3], "run by its owner, and by all");
    assert!(made[0] != made[2], "a source that may be run stays one");
}
