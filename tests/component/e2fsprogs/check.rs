//! The spec's `%check`, on a suite that is none.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use lustre_repo_tests::script;

use super::{rpmspec, succeed};

/// Runs the spec's `%check` on a suite of 320 stand-in tests, with a stand-in make that lets each test pass but the one in
/// `except`, for which it runs the shell command `instead`.
fn check(except: &str, instead: &str) -> Result<Output> {
    let place = tempfile::tempdir()?;
    let root = place.path();
    let make = root.join("make");
    script::write(
        &make,
        "#!/bin/sh\nfor word; do case \"$word\" in\n\
         -C) exit 0 ;;\n\
         TESTS=*) for test in ${word#TESTS=}; do name=${test#./}\n\
         if [ \"$name\" = \"$EXCEPT\" ]; then eval \"$INSTEAD\"; else : >$name.ok; fi\n\
         done ;;\nesac; done\n",
    )?;
    let names = (0..320).map(|number| format!("f_test{number}"));
    for name in names.chain(["d_print_acl", "m_rootdir_acl", "m_hugefile"].map(str::to_owned)) {
        let test = root.join("tests").join(name);
        fs::create_dir_all(&test)?;
        fs::write(test.join("script"), "")?;
    }
    let slow = root.join("tests/f_test7/is_slow_test");
    fs::write(slow, "")?;
    let define = format!("__make {}", make.display());
    let parsed = rpmspec(&["--parse", "--define", &define])?;
    let script = parsed
        .split_once("\n%check\n")
        .and_then(|(_, rest)| rest.split_once("\n%post "))
        .context("no %check in the parsed spec")?
        .0;
    Command::new("sh")
        .current_dir(root)
        .args(["-e", "-c", script])
        .env("EXCEPT", except)
        .env("INSTEAD", instead)
        .output()
        .context("cannot start sh")
}

#[test]
fn check_leaves_out_the_two_acl_tests_and_no_other() -> Result<()> {
    let said = succeed(check("none", "")?)?;
    assert!(
        said.contains(
            "321 of 321 passed, none failed; left themselves out: none; not run (ACLs): d_print_acl m_rootdir_acl"
        ),
        "{said}"
    );
    let said = succeed(check(
        "m_hugefile",
        "echo \"$name: a huge file: skipped for Linux\"",
    )?)?;
    assert!(
        said.contains("320 of 321 passed, none failed; left themselves out: m_hugefile;"),
        "{said}"
    );
    // Some tests report only in words.
    let said = succeed(check("f_test3", "echo \"$name: words: ok\"")?)?;
    assert!(said.contains("321 of 321 passed"), "{said}");
    Ok(())
}

#[test]
fn check_fails_when_a_test_fails_or_does_not_run() -> Result<()> {
    for (except, instead) in [
        ("f_test5", "touch $name.failed"),
        ("f_test5", "true"),
        ("f_test5", "echo \"$name: a test: skipped\""),
        // One that may leave itself out has to say so.
        ("m_hugefile", "true"),
    ] {
        let output = check(except, instead)?;
        assert!(!output.status.success(), "{except}: {instead}");
    }
    Ok(())
}
