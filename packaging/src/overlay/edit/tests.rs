use super::*;

const SPEC: &str = include_str!("../testdata/edit/kernel.spec");
const EDITED: &str = include_str!("../testdata/edit/kernel.spec.edited");

fn edit(name: &str, anchor: &str, mode: Match, position: Position, text: &str) -> Edit {
    Edit {
        name: name.to_owned(),
        why: "a test".to_owned(),
        file: None,
        anchor: anchor.to_owned(),
        mode,
        position,
        expect: 1,
        text: text.to_owned(),
    }
}

fn three() -> Vec<Edit> {
    vec![
        edit(
            "ext4",
            "    find $RPM_BUILD_ROOT/lib/modules/$KernelVer",
            Match::Prefix,
            Position::After,
            "    cp -a fs/ext4/* there\n    rm -f there/ext4-inode-test*\n",
        ),
        edit(
            "declare",
            "# empty final patch to facilitate testing of kernel patches",
            Match::Line,
            Position::Before,
            "Patch99995: patch-%{version}-lustre.patch\n",
        ),
        edit(
            "apply",
            "ApplyOptionalPatch linux-kernel-test.patch",
            Match::Line,
            Position::Replace,
            "ApplyOptionalPatch both",
        ),
    ]
}

#[test]
fn edits_of_all_positions_give_the_expected_spec() {
    assert_eq!(apply(SPEC, "kernel.spec", &three()).unwrap(), EDITED);
}

#[test]
fn an_edited_text_is_refused() {
    let errors = apply(EDITED, "kernel.spec", &three()).unwrap_err();
    assert_eq!(errors.0.len(), 3, "{errors}");
    for error in &errors.0 {
        assert!(matches!(error, EditError::AlreadyApplied { .. }), "{error}");
    }
}

#[test]
fn an_anchor_found_three_times_is_refused_with_its_lines() {
    let thrice = format!("{SPEC}    find $RPM_BUILD_ROOT/lib/modules/$KernelVer -x\n").repeat(2);
    let errors = apply(&thrice, "kernel.spec", [&three()[0]]).unwrap_err();
    let EditError::Count {
        edit,
        expected,
        found,
        ..
    } = &errors.0[0]
    else {
        panic!("{errors}")
    };
    assert_eq!((&**edit, *expected), ("ext4", 1));
    assert_eq!(*found, [8, 9, 17, 18]);
    let text = errors.to_string();
    assert!(text.contains("4 times, at lines 8, 9, 17, 18"), "{text}");
}

#[test]
fn a_missing_anchor_names_similar_lines() {
    let edit = edit(
        "indented",
        "  ApplyOptionalPatch linux-kernel-test.patch",
        Match::Line,
        Position::Before,
        "x",
    );
    let text = apply(SPEC, "kernel.spec", [&edit]).unwrap_err().to_string();
    assert!(text.contains("`indented` of kernel.spec"), "{text}");
    assert!(text.contains("found nowhere"), "{text}");
    assert!(
        text.contains("6: `ApplyOptionalPatch linux-kernel-test.patch`"),
        "{text}"
    );
}

#[test]
fn all_failures_are_reported() {
    let mut edits = three();
    edits[0].anchor = "nothing".to_owned();
    edits[2].expect = 2;
    let errors = apply(SPEC, "kernel.spec", &edits).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}

#[test]
fn anchors_of_several_lines_tell_equal_lines_apart() {
    let text = "a\nsame\nb\nsame\nc\n";
    let edit = edit("second", "b\nsame\n", Match::Line, Position::After, "new\n");
    assert_eq!(
        apply(text, "f", [&edit]).unwrap(),
        "a\nsame\nb\nsame\nnew\nc\n"
    );
}

#[test]
fn an_edit_never_matches_what_another_inserted() {
    let first = edit("one", "a", Match::Line, Position::After, "b");
    let second = edit("two", "b", Match::Line, Position::After, "c");
    let errors = apply("a\n", "f", [&first, &second]).unwrap_err();
    assert!(matches!(&errors.0[..], [EditError::Count { edit, .. }] if &**edit == "two"));
}

#[test]
fn two_edits_at_one_place_keep_their_order() {
    let first = edit("one", "a", Match::Line, Position::Before, "1");
    let second = edit("two", "a", Match::Line, Position::Before, "2");
    assert_eq!(apply("a", "f", [&first, &second]).unwrap(), "1\n2\na");
}

#[test]
fn edits_that_claim_one_line_are_refused() {
    let first = edit("one", "a", Match::Line, Position::After, "1");
    let second = edit("two", "a", Match::Line, Position::Replace, "2");
    for pair in [[&first, &second], [&second, &first]] {
        let errors = apply("a\n", "f", pair).unwrap_err();
        assert!(
            matches!(errors.0[..], [EditError::Overlap { line: 1, .. }]),
            "{errors}"
        );
    }
}

#[test]
fn senseless_edits_are_refused() {
    let good = edit("x", "a", Match::Line, Position::After, "b");
    for bad in [
        Edit {
            anchor: " ".into(),
            ..good.clone()
        },
        Edit {
            expect: 0,
            ..good.clone()
        },
        Edit {
            text: String::new(),
            ..good.clone()
        },
        Edit {
            why: String::new(),
            ..good.clone()
        },
    ] {
        let errors = apply("a\n", "f", [&bad]).unwrap_err();
        assert!(
            matches!(errors.0[..], [EditError::Invalid { .. }]),
            "{errors}"
        );
    }
    let delete = Edit {
        text: String::new(),
        position: Position::Replace,
        ..good
    };
    assert_eq!(apply("a\nb\n", "f", [&delete]).unwrap(), "b\n");
}
