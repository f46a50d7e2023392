use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::{Source, Target, lustre_releases, own_name, releases};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

/// What a site's target with this text is.
fn site(text: &str, lustre: Option<&str>) -> Result<Target, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    std::fs::write(&path, text).unwrap();
    Target::load_with(&specs(), path.to_str().unwrap(), lustre).map_err(|error| error.to_string())
}

#[test]
fn another_release_is_chosen_whole_and_has_a_lock_of_its_own() {
    let own = Target::load(&specs(), "rocky-8.10").unwrap();
    let other = Target::load_with(&specs(), "rocky-8.10", Some("2.15.8")).unwrap();
    assert_eq!(other.lustre.version, "2.15.8");
    assert_eq!(other.lustre.overlay.as_deref(), Some("lustre/2.15"));
    assert_eq!(
        other.lustre.ldiskfs_series.as_deref(),
        Some("4.18-rhel8.10")
    );
    let wbcfs = "lustre-osd-wbcfs-mount".to_owned();
    assert!(own.lustre.packages.contains(&wbcfs) && !other.lustre.packages.contains(&wbcfs));
    assert!(other.description.starts_with("Lustre 2.15.8 for Rocky"));
    assert_eq!(other.name, "rocky-8.10-lustre-2.15.8");
    assert_eq!(other.argument(), "rocky-8.10 --lustre 2.15.8");
    let lock = other.lock_path(Path::new("specs/locks"));
    assert_eq!(lock, Path::new("specs/locks/rocky-8.10-lustre-2.15.8.toml"));
    assert!(other.chosen.instead && !own.chosen.instead);
    assert_eq!(own_name(&other.name, Some("2.15.8")), "rocky-8.10");
    assert_eq!(own_name(&own.name, None), "rocky-8.10");
    // The kernel and all else are the target's.
    assert_eq!(other.kernel.version, own.kernel.version);
    // The target's own is no other.
    let same = Target::load_with(&specs(), "rocky-8.10", Some("2.17.0")).unwrap();
    assert_eq!(
        (same.name.as_str(), same.chosen.instead),
        ("rocky-8.10", false)
    );
    // The model is in no repository, and a target says where that is.
    let error = Target::load_with(&specs(), "debian-12", Some("model")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("lustre.source sets the repository"), "{text}");
    assert!(text.contains("model/lustre"), "{text}");
    // What stood for the model is said of no other.
    let real = Target::load_with(&specs(), "rehearsal", Some("2.17.0")).unwrap();
    assert_eq!(real.model, None);
}

#[test]
fn the_fixup_that_a_kernel_needs_comes_from_what_is_known() {
    for (target, lustre, options) in [
        ("rocky-8.10", "2.16.1", &["ext4-delayed-iput"][..]),
        ("rocky-8.10", "2.17.0", &[]),
        ("rocky-10.0", "2.17.0", &["ext4-delayed-iput"]),
        ("rocky-10.0", "2.17.57", &[]),
    ] {
        let target = Target::load_with(&specs(), target, Some(lustre)).unwrap();
        assert_eq!(target.lustre.options, options, "{lustre}");
    }
    // Another kernel of the same release.
    let text = "inherits = 'rocky-10.0'\n[kernel]\nversion = '6.12.0-55.24.1.el10_0'\n";
    assert!(site(text, None).unwrap().lustre.options.is_empty());
    // What a target says itself, counts.
    let text = "inherits = 'rocky-10.0'\n[lustre]\noptions = []\nldiskfs_series = 'own'\n";
    let target = site(text, None).unwrap();
    assert!(target.lustre.options.is_empty());
    assert_eq!(target.lustre.ldiskfs_series.as_deref(), Some("own"));
}

#[test]
fn an_overlay_of_a_site_has_the_fixups_of_those_that_it_is_laid_over() {
    let folder = tempfile::tempdir().unwrap();
    let overlay = |with: &str| {
        let ours = folder.path().join("ours");
        std::fs::create_dir_all(&ours).unwrap();
        std::fs::write(
            ours.join("overlay.toml"),
            format!("package = 'lustre'\n{with}\n"),
        )
        .unwrap();
        let path = folder.path().join("site.toml");
        let text = "inherits = 'rocky-10.0'\n[lustre]\noverlay = './ours'\n";
        std::fs::write(&path, text).unwrap();
        Target::load(&specs(), path.to_str().unwrap())
    };
    let target = overlay("with = ['lustre/2.17']").unwrap();
    assert_eq!(target.lustre.overlay.as_deref(), Some("./ours"));
    assert_eq!(target.lustre.options, ["ext4-delayed-iput"]);
    // One that extends nothing has none to take, and what is missing is told by preflight.
    let target = overlay("").unwrap();
    assert!(target.lustre.options.is_empty());
}

#[test]
fn the_series_is_of_the_kernel_however_it_is_named() {
    for (target, series) in [
        ("rehearsal", "6.1-rehearsal"),
        ("debian-12", "6.12-ml"),
        // By the tag of its tree.
        ("el-9.6-on-debian", "5.14-rhel9.6"),
    ] {
        let target = Target::load(&specs(), target).unwrap();
        assert_eq!(target.lustre.ldiskfs_series.as_deref(), Some(series));
    }
}

#[test]
fn a_release_over_what_was_said_outside_of_one_is_refused_with_what_to_write() {
    let own = "inherits = 'rocky-9.6'\n[lustre]\nversion = '2.17.0_site'\n\
               source = { git = { url = 'https://a.example/l', commit = '0123456789abcdef0123456789abcdef01234567' } }\n";
    let target = site(own, None).unwrap();
    assert_eq!(target.lustre.version, "2.17.0_site");
    let error = site(own, Some("2.16.1")).unwrap_err();
    for part in [
        "--lustre 2.16.1",
        "lustre.source",
        "remove the keys of the other release",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // Where the repository is, is no release.
    let place =
        "inherits = 'rocky-8.10'\n[lustre]\nsource = { git = { url = 'https://a.example/l' } }\n";
    let Source::Git { url, tag, .. } = site(place, Some("2.15.8")).unwrap().lustre.source else {
        panic!("the source is in git");
    };
    assert_eq!(
        (url.as_str(), tag.as_deref()),
        ("https://a.example/l", Some("2.15.8"))
    );
    for (text, part) in [
        (
            "releases = { lustre = '9.9' }",
            "available releases: 2.15.8",
        ),
        ("releases = { lustre = 2 }", "releases is a table"),
        ("releases = { kernel = '6' }", "releases.kernel is unknown"),
        ("releases = 'a'", "releases is a table"),
        ("features = ['gss']", "features is a table of names"),
    ] {
        let error = site(&format!("inherits = 'rocky-9.6'\n{text}\n"), None).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_feature_adds_what_it_needs_and_its_proofs() {
    let with = |features: &str| {
        site(
            &format!("inherits = 'rocky-9.6'\nfeatures = {{ {features} }}\n"),
            None,
        )
    };
    let plain = Target::load(&specs(), "rocky-9.6").unwrap();
    let has = |list: &[String], word: &str| list.iter().any(|one| one == word);
    assert!(has(&plain.lustre.configure, "--enable-gss"));
    assert!(has(&plain.lustre.buildroot, "krb5-devel"));
    assert!(has(&plain.lustre.modules, "ptlrpc_gss.ko"));
    assert!(has(&plain.install.programs, "/usr/sbin/lgss_sk"));
    assert_eq!(
        plain.lustre.rpmbuild.join(" "),
        "--with systemd --with gss --with gss_keyring --without mpi --define configure_args --enable-gss --disable-crypto --disable-mpitests"
    );
    let without = with("gss = false, crypto = true").unwrap();
    assert!(has(&without.lustre.configure, "--disable-gss"));
    assert!(has(&without.lustre.configure, "--enable-crypto"));
    assert!(has(&without.install.symbols, "llcrypt_get_encryption_info"));
    assert!(plain.install.symbols.is_empty());
    assert!(!has(&without.lustre.buildroot, "krb5-devel"));
    assert!(!has(&without.lustre.modules, "ptlrpc_gss.ko"));
    let infiniband = with("o2ib = true").unwrap();
    assert!(has(&infiniband.lustre.modules, "ko2iblnd.ko"));
    let many = with("o2ib = true, multiple-lnds = true").unwrap();
    assert!(!has(&many.lustre.modules, "ko2iblnd.ko"));
    assert!(has(&many.lustre.packages, "kmod-lustre-lnet-socklnd"));
    assert!(has(
        &many.repository.group.mandatory,
        "kmod-lustre-lnet-socklnd"
    ));
    for (features, part) in [
        ("gps = true", "features.gps is not a feature"),
        ("multiple-lnds = true", "needs `o2ib = true`"),
        ("gss = 1", "each true or false"),
    ] {
        let error = with(features).unwrap_err();
        assert!(error.contains(part), "{features}: {error}");
    }
    let error = site(
        "inherits = 'rocky-8.10'\nfeatures = { o2ib = true }\n",
        Some("2.15.8"),
    );
    let error = error.unwrap_err();
    assert!(
        error.contains("features.o2ib") && error.contains("configure decides"),
        "{error}"
    );
}

#[test]
fn a_list_that_a_target_gives_whole_stays_and_contradicts_no_feature() {
    let with = |features: &str, lustre: &str| {
        site(
            &format!("inherits = 'rocky-9.6'\nfeatures = {{ {features} }}\n[lustre]\n{lustre}\n"),
            None,
        )
    };
    let target = with("gss = false", "configure = ['--disable-gss']").unwrap();
    assert_eq!(target.lustre.configure, ["--disable-gss"]);
    for (features, lustre, part) in [
        (
            "gss = true",
            "configure = ['--disable-gss']",
            "set `gss = false` in [features]",
        ),
        (
            "gss = false",
            "configure = ['--enable-gss']",
            "set `gss = true` in [features]",
        ),
        (
            "gss = true",
            "configure = ['--enable-server']",
            "lacks `--enable-gss`",
        ),
        (
            "gss = true",
            "rpmbuild = ['--with', 'systemd']",
            "lustre.rpmbuild is set",
        ),
    ] {
        let error = with(features, lustre).unwrap_err();
        assert!(error.contains(part), "{lustre}: {error}");
    }
}

#[test]
fn the_words_of_the_targets_on_debians_packages_are_what_they_were() {
    let target = Target::load(&specs(), "debian-12").unwrap();
    assert_eq!(
        target.lustre.configure.join(" "),
        "--enable-server --enable-ldiskfs --without-zfs --disable-gss --disable-crypto --disable-mpitests --with-o2ib=no"
    );
    assert_eq!(
        target.lustre.rpmbuild.join(" "),
        "--with systemd --without mpi --without o2ib --define configure_args --disable-crypto --disable-mpitests"
    );
    let guide = Target::load(&specs(), "rocky-8.10-guide").unwrap();
    assert_eq!(
        guide.lustre.configure,
        ["--disable-gss", "--disable-shared", "--disable-crypto"]
    );
}

#[test]
fn every_release_makes_a_target() {
    let specs = specs();
    let all = releases(&specs, "lustre").unwrap();
    assert!(all.len() > 5, "{all:?}");
    // The model is a tree of the project, and the only one that is in no repository.
    for release in all.iter().filter(|release| *release != "model") {
        let text = format!("inherits = 'debian-12'\nreleases = {{ lustre = '{release}' }}\n");
        let target = site(&text, None).unwrap();
        assert_eq!(target.chosen.lustre.as_ref(), Some(release));
    }
    for release in releases(&specs, "e2fsprogs").unwrap() {
        let text = format!("inherits = 'rocky-9.6'\nreleases = {{ e2fsprogs = '{release}' }}\n");
        let target = site(&text, None).unwrap();
        assert!(release.starts_with(&target.e2fsprogs.version), "{release}");
    }
    for (release, version) in lustre_releases(&specs).unwrap() {
        assert_eq!(version, release.replace('-', "_"));
    }
}

#[test]
fn no_commit_of_lustre_stands_twice() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in ["targets", "distributions", "lustre/releases"] {
        for entry in walkdir::WalkDir::new(specs().join(folder)) {
            let path = entry.unwrap().into_path();
            if path.extension().is_none_or(|ending| ending != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split("commit = \"").skip(1) {
                let commit = rest.split('"').next().unwrap().to_owned();
                places.entry(commit).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 4, "{places:?}");
    assert!(places.values().all(|all| all.len() == 1), "{places:?}");
}
