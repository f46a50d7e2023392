//! Where a repository may be put: judged before anything is done for it.

use std::fs;
use std::os::unix::fs::symlink;

use lustre_repo_tests::command_line::Home;

#[test]
fn an_output_that_cannot_be_one_is_refused_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    fs::create_dir_all(elsewhere.path().join("app/below")).unwrap();
    fs::write(
        elsewhere.path().join("app/manifest.json"),
        "{\"name\": \"Photos\", \"icons\": []}",
    )
    .unwrap();
    fs::write(elsewhere.path().join("app/photo.jpg"), "mine").unwrap();
    fs::write(elsewhere.path().join("file"), "mine").unwrap();
    fs::create_dir(elsewhere.path().join("empty")).unwrap();
    symlink(
        elsewhere.path().join("empty"),
        elsewhere.path().join("link"),
    )
    .unwrap();
    for command in ["repo", "assemble"] {
        for (output, words) in [
            (at("app"), "is not one of this tool"),
            (at("app/below/.."), "is not one of this tool"),
            (at(""), "has no manifest.json"),
            (at("file"), "it is no folder"),
            (at("link"), "it is a link"),
            (at("file/below"), "Not a directory"),
            ("/".to_owned(), "mounted"),
            ("/proc".to_owned(), "mounted"),
            ("/proc/new".to_owned(), "nothing can be written"),
        ] {
            let home = Home::new();
            let ran = home.run(&[command, "--offline", "--output", &output]);
            assert_eq!(ran.code, 2, "{command} {output}: {ran:?}");
            assert!(
                ran.stderr.contains(words),
                "{command} {output}: {}",
                ran.stderr
            );
            assert!(home.is_untouched(), "{command} {output}");
        }
    }
    assert_eq!(fs::read_to_string(at("app/photo.jpg")).unwrap(), "mine");
    // What can be one is not what stops the run.
    for output in [at("empty"), at("new/below")] {
        let ran = Home::new().run(&["repo", "--offline", "--output", &output]);
        assert!(!ran.stderr.contains(&output), "{}", ran.stderr);
    }
}

/// A repository of this tool, as far as one is told by its manifest.
const MANIFEST: &str = r#"{"format": 1, "tool": {"name": "lustre-repo", "version": "1"}, "target": "x", "source_date_epoch": 1,
    "key_fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567"}"#;

#[test]
fn what_is_mounted_below_an_output_keeps_it_from_being_replaced() {
    let elsewhere = tempfile::tempdir().unwrap();
    let [photos, dist] = ["photos", "dist"].map(|name| elsewhere.path().join(name));
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("photo.jpg"), "mine").unwrap();
    fs::create_dir_all(dist.join("deep/photos")).unwrap();
    fs::write(dist.join("manifest.json"), MANIFEST).unwrap();
    for command in ["repo", "assemble"] {
        let home = Home::new();
        let output = dist.to_str().unwrap();
        let arguments = [command, "--offline", "--output", output];
        let ran = home.run_with_mount(&photos, &dist.join("deep/photos"), &arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.stderr.contains("mounted below it, at") && ran.stderr.contains("deep/photos`"),
            "{}",
            ran.stderr
        );
        assert!(ran.stdout.trim().ends_with("dist/deep/photos"), "{ran:?}");
        assert!(home.is_untouched());
        // Without the mount, that is not what stops the run.
        let ran = home.run(&arguments);
        assert!(!ran.stderr.contains("mounted"), "{}", ran.stderr);
    }
    assert_eq!(
        fs::read_to_string(photos.join("photo.jpg")).unwrap(),
        "mine"
    );
}
