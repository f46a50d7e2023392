use super::super::config::Value;
use super::super::patch::{ApplyOptions, apply};
use super::*;

const MANIFEST: &str = include_str!("../testdata/overlay/overlay.toml");
const SPEC: &str = include_str!("../testdata/edit/kernel.spec");
const PATCH: &str =
    "--- a/fs/set.c\n+++ b/fs/set.c\n@@ -1,4 +1,4 @@\n zero\n two\n-one\n+ONE\n three\n";

/// A place with an SRPM's sources, an overlay and a Lustre tree with a series.
struct Place {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        at("sources/kernel.spec", SPEC);
        at("sources/kernel-x86_64.config", "# x86_64\nCONFIG_MD=y\n");
        at("sources/linux.tar", "tar");
        at("overlay/overlay.toml", MANIFEST);
        at(
            "overlay/lustre.config",
            "CONFIG_DM_FLAKEY=m\n#@ where-known\nCONFIG_IOSCHED_DEADLINE=y\n",
        );
        at("overlay/extra.txt", "extra");
        at(
            "lustre/lustre/kernel_patches/series/test.series",
            "fix.patch\n",
        );
        at("lustre/lustre/kernel_patches/patches/fix.patch", PATCH);
        let mut inputs = Inputs::default();
        inputs.vars.insert("version".to_owned(), "6.1".to_owned());
        inputs
            .roots
            .insert("lustre".to_owned(), dir.path().join("lustre"));
        Place { dir, inputs }
    }

    fn manifest(&self, from: &str, to: &str) {
        let path = self.dir.path().join("overlay/overlay.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn overlay(&self) -> Result<Overlay, OverlayError> {
        Overlay::load_in(self.dir.path(), &self.dir.path().join("overlay"), &[])
    }

    fn prepare(&self) -> Result<Prepared, OverlayError> {
        let overlay = self.overlay()?;
        overlay.prepare(
            &self.dir.path().join("sources"),
            &self.dir.path().join("out"),
            &self.inputs,
        )
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join(path)).unwrap()
    }
}

fn place() -> Place {
    let place = Place::new();
    place.manifest(
        "\"fix.patch\"",
        "\"lustre/kernel_patches/patches/fix.patch\"",
    );
    place
}

#[test]
fn sources_are_prepared_whole_and_the_input_is_not_changed() {
    let place = place();
    let prepared = place.prepare().unwrap();
    assert_eq!(
        prepared.changed,
        [
            "extra.txt",
            "kernel-x86_64.config",
            "kernel.spec",
            "patch-6.1-lustre.patch"
        ]
    );
    assert!(
        place
            .read("out/kernel.spec")
            .contains("Patch99995: patch-%{version}-lustre.patch\n# empty")
    );
    assert_eq!(
        place.read("out/kernel-x86_64.config"),
        "# x86_64\nCONFIG_MD=y\n# from lustre.config\nCONFIG_DM_FLAKEY=m\nCONFIG_IOSCHED_DEADLINE=y\n"
    );
    let patch = place.read("out/patch-6.1-lustre.patch");
    assert!(patch.starts_with(
        "# Collated from lustre: lustre/kernel_patches/series/test.series: 1 patch(es)"
    ));
    assert!(
        patch.contains("@@ -1,3 +1,3 @@\n zero\n-one\n+ONE\n three\n"),
        "{patch}"
    );
    assert_eq!(place.read("out/linux.tar"), "tar");
    assert_eq!(place.read("sources/kernel.spec"), SPEC);
    let spec = place.read("out/kernel.spec");
    let told: Vec<&str> = spec.lines().skip(1).take(5).collect();
    assert_eq!(
        told,
        [
            "%global dist .reh1",
            "%global buildid _lustre",
            "%global _with_firmware 1",
            "%global _with_baseonly 1",
            "%global _without_kabichk 1"
        ]
    );
    let config = prepared.config.unwrap();
    assert_eq!(config.settings["CONFIG_DM_FLAKEY"].value, Value::Module);
}

#[test]
fn an_overlay_is_not_applied_upon_itself() {
    let place = place();
    place.prepare().unwrap();
    let text = place.prepare().unwrap_err().to_string();
    assert!(text.contains("already exists"), "{text}");
    fs::remove_dir_all(place.dir.path().join("sources")).unwrap();
    fs::rename(
        place.dir.path().join("out"),
        place.dir.path().join("sources"),
    )
    .unwrap();
    let text = place.prepare().unwrap_err().to_string();
    assert!(text.contains("its text is already present"), "{text}");
}

#[test]
fn what_does_not_fit_is_named_and_leaves_nothing() {
    for (from, to, part) in [
        (
            "{version}-lustre",
            "{flavour}-lustre",
            "unknown placeholder `{flavour}`; known placeholders: version",
        ),
        ("root = \"lustre\"", "root = \"zfs\"", "the source `zfs`"),
        (
            "patches/fix.patch",
            "patches/none.patch",
            "in none of its series",
        ),
        ("test.series", "other.series", "other.series"),
        (
            "name = \"declare\"\nwhy = \"the collated series\"\nanchor = \"",
            "name = \"d\"\nwhy = \"w\"\nanchor = \"x",
            "edit `d` of kernel.spec",
        ),
        ("\"lustre.config\"", "\"none.config\"", "none.config"),
        (
            "\"extra.txt\"",
            "\"lustre.config\"\nname = \"linux.tar\"",
            "adds the source `linux.tar`",
        ),
    ] {
        let place = place();
        place.manifest(from, to);
        let text = place.prepare().unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
        let left: Vec<_> = fs::read_dir(place.dir.path()).unwrap().collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}

#[test]
fn a_version_cannot_lead_out_of_the_folder() {
    let mut place = place();
    place
        .inputs
        .vars
        .insert("version".to_owned(), "../x".to_owned());
    let text = place.prepare().unwrap_err().to_string();
    assert!(text.contains("not a file name"), "{text}");
}

#[test]
fn the_config_of_the_build_is_compared() {
    let place = place();
    let merged = place.prepare().unwrap().config.unwrap();
    let overlay = place.overlay().unwrap();
    let tree = place.dir.path().join("BUILD/kernel-6.1/linux-6.1");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("Kconfig"), "config MD\nconfig DM_FLAKEY\n").unwrap();
    fs::write(
        tree.join(".config"),
        "CONFIG_MD=y\n# CONFIG_DM_FLAKEY is not set\n",
    )
    .unwrap();
    let build = place.dir.path().join("BUILD");
    let comparison = overlay
        .compare_config(&merged, &build, &place.inputs)
        .unwrap();
    assert_eq!(comparison.skipped, ["CONFIG_IOSCHED_DEADLINE"]);
    let [difference] = &comparison.fragments[..] else {
        panic!("{comparison:?}")
    };
    assert_eq!(difference.option, "CONFIG_DM_FLAKEY");
    assert_eq!(difference.got, Some(Value::No));
    // A spec can leave a link anywhere.
    let other = place.dir.path().join("other");
    fs::rename(&tree, &other).unwrap();
    std::os::unix::fs::symlink(&other, &tree).unwrap();
    let compared = overlay.compare_config(&merged, &build, &place.inputs);
    let known = overlay.known_options(&build, &place.inputs);
    for error in [compared.unwrap_err(), known.unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("left a link"), "{error}");
    }
    fs::remove_file(&tree).unwrap();
    fs::create_dir(&tree).unwrap();
    fs::copy(other.join("Kconfig"), tree.join("Kconfig")).unwrap();
    std::os::unix::fs::symlink(other.join(".config"), tree.join(".config")).unwrap();
    overlay.known_options(&build, &place.inputs).unwrap();
    let error = overlay.compare_config(&merged, &build, &place.inputs);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("left a link"), "{error}");
}

#[test]
fn a_tree_is_changed_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tree/config")).unwrap();
    let m4 = dir.path().join("tree/config/a.m4");
    fs::write(&m4, "one\ntwo\n").unwrap();
    fs::write(dir.path().join("tree/fix.patch"), PATCH).unwrap();
    let manifest = |drop: &str| {
        format!(
            "package = \"lustre\"\n[[edit]]\nname = \"e\"\nwhy = \"w\"\nfile = \"config/a.m4\"\nanchor = \"one\"\n\
             position = \"after\"\nexpect = 1\ntext = \"one and a half\"\n[[fixup]]\nname = \"f\"\nwhy = \"w\"\n\
             patch = \"fix.patch\"\nfile = \"fs/set.c\"\ndrop_context = [\"{drop}\"]\n"
        )
    };
    let toml = dir.path().join("overlay.toml");
    fs::write(&toml, manifest("nowhere")).unwrap();
    let tree = dir.path().join("tree");
    let load = || Overlay::load_in(dir.path(), dir.path(), &[]).unwrap();
    assert!(load().change_tree(&tree).is_err());
    assert_eq!(fs::read_to_string(&m4).unwrap(), "one\ntwo\n");
    fs::write(&toml, manifest("two")).unwrap();
    let changed = load().change_tree(&tree).unwrap();
    assert_eq!(changed, [m4.clone(), tree.join("fix.patch")]);
    assert_eq!(
        fs::read_to_string(&m4).unwrap(),
        "one\none and a half\ntwo\n"
    );
}

#[test]
fn series_are_tried_on_a_tree_with_their_fixups() {
    let place = place();
    let overlay = place.overlay().unwrap();
    let tree = place.dir.path().join("tree");
    fs::create_dir_all(tree.join("fs")).unwrap();
    fs::write(tree.join("fs/set.c"), "zero\none\nthree\n").unwrap();
    let source = &overlay.manifest.series[0];
    let patches = overlay.series_patches(source, &place.inputs).unwrap();
    let options = ApplyOptions { fuzz: source.fuzz };
    let failures = || -> Vec<String> {
        let results = apply::survey(&tree, &patches, options).unwrap();
        let failures = results.iter().flat_map(|result| &result.failures);
        failures.map(ToString::to_string).collect()
    };
    assert_eq!(failures(), [""; 0]);
    // The overlay allows no fuzz, so one other line of context is enough to fail.
    fs::write(tree.join("fs/set.c"), "zero\none\nfour\n").unwrap();
    let failures = failures();
    assert!(failures[0].starts_with("fs/set.c: hunk 1"), "{failures:?}");
}

#[test]
fn whatever_is_no_file_of_its_size_ends_in_an_error_that_names_it() {
    for name in [
        "sources/kernel.spec",
        "sources/kernel-x86_64.config",
        "sources/linux.tar",
        "overlay/overlay.toml",
        "overlay/lustre.config",
        "overlay/extra.txt",
        "lustre/lustre/kernel_patches/series/test.series",
        "lustre/lustre/kernel_patches/patches/fix.patch",
    ] {
        for (kind, why) in [
            ("pipe", "a pipe"),
            ("device", "a device"),
            ("size", "314572800 bytes"),
        ] {
            // An archive among the sources may be of any size, and a link is no source of a package.
            if name == "sources/linux.tar" && kind == "size" {
                continue;
            }
            let place = place();
            let path = place.dir.path().join(name);
            fs::remove_file(&path).unwrap();
            match kind {
                "pipe" => {
                    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
                }
                "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => fs::File::create(&path).unwrap().set_len(300 << 20).unwrap(),
            }
            let (told, ended) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let result = place.prepare().map(drop).map_err(|error| {
                    use std::error::Error as _;
                    format!("{error}: {:?}", error.source())
                });
                told.send(result)
            });
            let error = ended
                .recv_timeout(std::time::Duration::from_secs(20))
                .unwrap_or_else(|_| panic!("{name} as a {kind} keeps it waiting"))
                .unwrap_err();
            let file = path.file_name().unwrap().to_str().unwrap();
            assert!(error.contains(file), "{name} as a {kind}: {error}");
            // A link is refused as one first, where none is expected.
            let refused = [why, "plain files", "points outside of"];
            assert!(
                refused.iter().any(|why| error.contains(why)),
                "{name} as a {kind}: {error}"
            );
        }
    }
}
