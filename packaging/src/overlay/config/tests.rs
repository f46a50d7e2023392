use std::collections::BTreeSet;

use super::*;

const BASE: &str = include_str!("../testdata/config/base.config");
const LUSTRE: &str = include_str!("../testdata/config/lustre.config");
const SITE: &str = include_str!("../testdata/config/site.config");
const MERGED: &str = include_str!("../testdata/config/merged.config");

fn merged() -> Merged {
    merge(
        Fragment {
            name: "kernel-x86_64.config",
            text: BASE,
        },
        &[
            Fragment {
                name: "lustre.config",
                text: LUSTRE,
            },
            Fragment {
                name: "site.config",
                text: SITE,
            },
        ],
    )
    .unwrap()
}

fn known(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn all_kinds_of_values_are_read_and_written() {
    let text = "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\nCONFIG_E=\"a \\\"b\\\\\"\n\
                CONFIG_F=-12\nCONFIG_G=0xfF\n# just words\n#CONFIG_H=y\n\n  CONFIG_I=y\n";
    let config = Config::parse(text, "c").unwrap();
    let lines: Vec<String> = config
        .entries
        .iter()
        .map(|entry| entry.value.line(&entry.option))
        .collect();
    assert_eq!(
        lines,
        [
            "CONFIG_A=y",
            "CONFIG_B=m",
            "# CONFIG_C is not set",
            "# CONFIG_D is not set",
            "CONFIG_E=\"a \\\"b\\\\\"",
            "CONFIG_F=-12",
            "CONFIG_G=0xfF",
            "CONFIG_I=y",
        ]
    );
    assert_eq!(
        config.get("CONFIG_E"),
        Some(&Value::Text("a \"b\\".to_owned()))
    );
    assert_eq!(config.get("CONFIG_H"), None);
}

#[test]
fn malformed_lines_are_refused_with_their_number() {
    for (line, part) in [
        ("CONFIG_A", "expected CONFIG_NAME=value"),
        ("A=y", "the name is not"),
        ("CONFIG_A-B=y", "the name is not"),
        ("CONFIG_A=yes", "the value is not"),
        ("CONFIG_A=", "the value is not"),
        ("CONFIG_A= y", "the value is not"),
        ("CONFIG_A=\"x", "no closing quote"),
        ("CONFIG_A=\"x\" y", "after the closing quote"),
        ("CONFIG_A=0x", "the value is not"),
        ("#@ sometimes", "unknown directive"),
    ] {
        let text = Config::parse(&format!("# one\n{line}\n"), "frag")
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("frag, line 2:") && text.contains(part),
            "{text}"
        );
    }
}

#[test]
fn an_option_with_two_values_is_refused() {
    let error = Config::parse("CONFIG_A=y\nCONFIG_A=y\n# CONFIG_A is not set\n", "c").unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::Contradiction {
                first: 1,
                line: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn fragments_are_merged_in_order_with_their_provenance() {
    let merged = merged();
    assert_eq!(merged.text, MERGED);
    let from = |option: &str| {
        let setting = &merged.settings[option];
        (setting.from.as_str(), setting.line, setting.where_known)
    };
    assert_eq!(from("CONFIG_EXT4_FS"), ("kernel-x86_64.config", 3, false));
    assert_eq!(from("CONFIG_DM_FLAKEY"), ("site.config", 1, false));
    assert_eq!(from("CONFIG_IOSCHED_DEADLINE"), ("lustre.config", 6, true));
}

#[test]
fn a_config_that_came_out_as_meant_has_no_differences() {
    let used = Config::parse(
        "CONFIG_EXT4_FS=y\nCONFIG_DM_FLAKEY=y\nCONFIG_QUOTA=y\nCONFIG_HZ=250\nCONFIG_MORE=y\n",
        ".config",
    )
    .unwrap();
    let comparison = compare(
        &merged(),
        &used,
        &known(&["EXT4_FS", "DM_FLAKEY", "QUOTA", "DEBUG_INFO_BTF"]),
    );
    assert_eq!(comparison.fragments, []);
    assert_eq!(comparison.base, []);
    assert_eq!(
        comparison.skipped,
        ["CONFIG_DEFAULT_IOSCHED", "CONFIG_IOSCHED_DEADLINE"]
    );
}

#[test]
fn what_was_overruled_or_is_unknown_is_named() {
    let used = Config::parse(
        "CONFIG_EXT4_FS=m\nCONFIG_DM_FLAKEY=m\nCONFIG_QUOTA=y\nCONFIG_HZ=100\nCONFIG_IOSCHED_DEADLINE=y\n",
        ".config",
    )
    .unwrap();
    // This kernel knows the scheduler options, so they count.
    let known = known(&[
        "EXT4_FS",
        "QUOTA",
        "IOSCHED_DEADLINE",
        "DEFAULT_IOSCHED",
        "HZ",
    ]);
    let comparison = compare(&merged(), &used, &known);
    let shown: Vec<String> = comparison
        .fragments
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "CONFIG_DEFAULT_IOSCHED: wanted \"deadline\" (lustre.config, line 7), the build used not set: a dependency or a `select` \
             overrides it; correct the fragment",
            "CONFIG_DM_FLAKEY: wanted y (site.config, line 1), the build used m: this kernel does not have the option; put it after `#@ \
             where-known` or remove it",
        ]
    );
    let base: Vec<&str> = comparison
        .base
        .iter()
        .map(|difference| difference.option.as_str())
        .collect();
    assert_eq!(base, ["CONFIG_EXT4_FS", "CONFIG_HZ"]);
}
