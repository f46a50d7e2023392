//! Releases of Lustre on the command line: what goes with what, and another one than a target's.

use lustre_repo_tests::command_line::Home;
use serde_json::Value;

#[test]
fn the_matrix_says_what_goes_with_what_and_why_not_otherwise() {
    let home = Home::new();
    let ran = home.run(&["targets", "--matrix"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lustre = ran.stdout.split("Lustre 2.16.1\n").nth(1).unwrap();
    for part in ["8.10  from 553.22.1", "9.5   every kernel           no: "] {
        assert!(lustre.contains(part), "{part}: {lustre}");
    }
    let ran = home.run(&["targets", "--matrix", "--json"]);
    let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let of = |lustre: &str, el: &str| -> Vec<&Value> {
        let all = rows.iter();
        all.filter(|row| row["lustre"] == lustre && row["el"] == el)
            .collect()
    };
    assert!(
        of("2.15.8", "8.10")
            .iter()
            .all(|row| row["result"] == "builds")
    );
    for row in &rows {
        let goes = row["result"] == "builds" || row["result"] == "fixup";
        assert_eq!(goes, row["series"].is_string(), "{row}");
        if row["result"] == "no" {
            assert!(
                row["why"].is_string() && row["instead"].is_string(),
                "{row}"
            );
        }
    }
}

#[test]
fn another_release_is_taken_wherever_a_target_is() {
    let home = Home::new();
    let target = ["--target", "rocky-8.10", "--lustre", "2.15.8"];
    let ran = home.run(&[&["plan"][..], &target].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    for part in [
        "2.15.8, commit ee228420b7",
        "lustre/2.15",
        "rocky-8.10-lustre-2.15.8.toml",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let ran = home.run(&[
        "lock",
        "--locked",
        "--target",
        "rocky-8.10",
        "--lustre",
        "2.15.8",
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr
            .contains("cargo xtask lock --target rocky-8.10 --lustre 2.15.8"),
        "{ran:?}"
    );
    let ran = home.run(&["plan", "--target", "rocky-9.6", "--lustre", "2.99"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("2.15.8, 2.16.0-RC1, 2.16.1, 2.17.0"),
        "{ran:?}"
    );
    // What is known not to go together is not locked.
    let ran = home.run(&["lock", "--target", "rocky-9.6", "--lustre", "2.15.8"]);
    assert!(
        ran.code != 0 && ran.stderr.contains("only a client"),
        "{ran:?}"
    );
}
