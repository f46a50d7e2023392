use super::*;
use crate::target::{self, Source, Target};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

#[test]
fn the_table_is_what_is_known() {
    let knowledge = Knowledge::load(&specs()).unwrap();
    use Outcome::{Builds, Fixup, No};
    for (lustre, below, from) in [
        ("2.15.5", Some(Builds), Some(Fixup)),
        ("2.15.6", Some(No), Some(Builds)),
        ("2.15.7", Some(No), Some(Builds)),
        ("2.15.8", Some(Builds), Some(Builds)),
        ("2.16.0_RC1", Some(Builds), Some(Fixup)),
        ("2.16.0-RC1", Some(Builds), Some(Fixup)),
        ("2.16.1", Some(Builds), Some(Fixup)),
        ("2.16.53", Some(Builds), Some(Builds)),
        ("2.17.0", Some(Builds), Some(Builds)),
        ("2.17.57", Some(Builds), Some(Builds)),
        ("2.16.50", None, None),
    ] {
        for (kernel, expected) in [
            ("553.el8_10", below),
            ("553.16.1.el8_10", below),
            ("553.22.1.el8_10", from),
            ("553.22.1.el8_10_lustre", from),
            ("553.155.1.el8_10", from),
        ] {
            let rule = knowledge.rule(lustre, kernel).unwrap();
            assert_eq!(rule.map(|rule| rule.result), expected, "{lustre} {kernel}");
        }
    }
    let rule = |lustre, kernel| {
        knowledge
            .rule(lustre, kernel)
            .unwrap()
            .map(|rule| rule.result)
    };
    assert_eq!(rule("2.15.8", "570.62.1.el9_6"), Some(No));
    assert_eq!(rule("2.16.1", "427.42.1.el9_4"), Some(No));
    assert_eq!(rule("2.17.0", "687.39.1.el9_8"), Some(No));
    assert_eq!(rule("2.16.1", "503.40.1.el9_5"), Some(No));
    assert_eq!(rule("2.17.0", "211.47.1.el10_2"), None);
    for (lustre, kernel, expected) in [
        ("2.17.0", "570.28.1.el9_6", No),
        ("2.17.0", "570.29.1.el9_6", Builds),
        ("2.17.0", "55.24.1.el10_0", Builds),
        ("2.17.0", "55.25.1.el10_0", Fixup),
        ("2.17.0", "124.20.1.el10_1", No),
        ("2.17.57", "55.24.1.el10_0", No),
        ("2.17.57", "55.25.1.el10_0", Builds),
    ] {
        assert_eq!(rule(lustre, kernel), Some(expected), "{lustre} {kernel}");
    }
}

#[test]
fn what_a_target_has_wrong_is_told_with_what_to_do() {
    let knowledge = Knowledge::load(&specs()).unwrap();
    let fixup = ["ext4-delayed-iput".to_owned()];
    for (lustre, kernel, options, patched, parts) in [
        (
            "2.16.0-RC1",
            "553.22.1.el8_10",
            &[][..],
            true,
            ["lustre/2.16", "ext4-delayed-iput"],
        ),
        (
            "2.17.0",
            "553.89.1.el8_10",
            &fixup[..],
            true,
            ["without the fixup", "would not apply"],
        ),
        (
            "2.15.7",
            "553.16.1.el8_10",
            &[],
            true,
            ["does not build", "take Lustre 2.15.8"],
        ),
        (
            "2.17.0",
            "55.43.1.el10_0",
            &fixup[..],
            true,
            ["no patches for kernel", "kind = \"distribution\""],
        ),
    ] {
        let misfit = knowledge.judge(lustre, kernel, options, patched).unwrap();
        let text = misfit.unwrap().to_string();
        for part in parts.iter().chain(&[lustre, kernel]) {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    for (lustre, kernel, options, patched) in [
        ("2.16.0-RC1", "553.22.1.el8_10", &fixup[..], true),
        ("2.17.0", "55.43.1.el10_0", &fixup[..], false),
        ("2.17.0", "55.24.1.el10_0", &[], false),
        ("2.17.0", "570.62.1.el9_6", &[], true),
    ] {
        assert_eq!(
            knowledge.judge(lustre, kernel, options, patched).unwrap(),
            None
        );
    }
    assert!(
        knowledge
            .rule("2.17.0", "1.fc40")
            .unwrap_err()
            .to_string()
            .contains("1.fc40")
    );
}

#[test]
fn another_kernel_takes_the_fixup_that_it_is_known_to_need() {
    let knowledge = Knowledge::load(&specs()).unwrap();
    let fixup = "ext4-delayed-iput".to_owned();
    let of = |kernel, overlay: &str, options: &[String]| {
        knowledge.options("2.17.0", kernel, &[overlay.to_owned()], options)
    };
    let (none, other) = (Vec::<String>::new(), "other".to_owned());
    assert_eq!(
        of(
            "55.24.1.el10_0",
            "lustre/2.17",
            &[other.clone(), fixup.clone()]
        ),
        [other]
    );
    let with = [fixup.clone()];
    assert_eq!(of("55.25.1.el10_0", "lustre/2.17", &none), with);
    assert_eq!(of("55.25.1.el10_0", "lustre/2.17", &with), with);
    // Another overlay does not have it, and of this kernel nothing is known.
    assert_eq!(of("55.25.1.el10_0", "lustre/site", &none), none);
    assert_eq!(of("1.fc40", "lustre/2.17", &with), with);
    // One that extends it has.
    let both = ["./ours".to_owned(), "lustre/2.17".to_owned()];
    assert_eq!(
        knowledge.options("2.17.0", "55.25.1.el10_0", &both, &none),
        with
    );
}

#[test]
fn no_target_of_the_project_is_a_misfit() {
    let knowledge = Knowledge::load(&specs()).unwrap();
    for name in target::list(&specs()).unwrap() {
        let target = Target::load(&specs(), &name).unwrap();
        let tag = match &target.distribution.kernel.source {
            Some(Source::Git { tag, .. }) => tag.clone(),
            _ => None,
        };
        let version = target.kernel.version.clone().or(tag);
        let Some((_, release)) = version.as_deref().and_then(|v| v.split_once('-')) else {
            continue;
        };
        let lustre = &target.lustre.version;
        let overlay = target.kernel_overlay(&specs()).unwrap();
        let misfit = knowledge.judge_target(&target, overlay.as_ref(), lustre, release);
        assert_eq!(misfit, None, "{name}");
        let rule = knowledge.rule(lustre, release).unwrap();
        let series = rule
            .unwrap_or_else(|| panic!("nothing is known of {name}"))
            .series
            .clone();
        assert_eq!(series, target.lustre.ldiskfs_series, "{name}");
    }
}

#[test]
fn a_rule_that_leaves_something_out_is_refused() {
    let text = "[[rule]]\nsince = \"1\"\nel = \"8.10\"\nresult = \"no\"\nwhy = \"w\"\n";
    let error = Knowledge::parse(text, "k.toml").unwrap_err().to_string();
    assert!(
        error.contains("k.toml") && error.contains("`instead`"),
        "{error}"
    );
    let error = Knowledge::parse("[[rule]]\nx = 1\n", "k.toml")
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `x`"), "{error}");
}

#[test]
fn another_kernel_takes_the_series_that_is_known_of_it() {
    let knowledge = Knowledge::load(&specs()).unwrap();
    let nine = Target::load(&specs(), "rocky-9.6").unwrap();
    let instead = |target, lustre, kernel| knowledge.series_instead(target, lustre, kernel);
    let of = |series: &str| Some(series.to_owned());
    assert_eq!(
        instead(&nine, "2.17.0", "427.42.1.el9_4"),
        of("5.14-rhel9.4")
    );
    assert_eq!(instead(&nine, "2.17.0", "570.32.1.el9_6"), None);
    assert_eq!(instead(&nine, "2.17.0", "999.1.1.el9_9"), None);
    let ten = Target::load(&specs(), "rocky-10.0").unwrap();
    assert_eq!(
        instead(&ten, "2.17.57", "55.41.1.el10_0"),
        of("6.12-rhel10.0")
    );
    let on_debian = Target::load(&specs(), "el-9.6-on-debian").unwrap();
    assert_eq!(
        instead(&on_debian, "2.17.0", "503.40.1.el9_5"),
        of("5.14-rhel9.5")
    );
    // One that somebody chose stays.
    let mut own = nine.clone();
    own.lustre.ldiskfs_series = of("5.14-ours");
    assert_eq!(instead(&own, "2.17.0", "427.42.1.el9_4"), None);
}
