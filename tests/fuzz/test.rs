//! Every format's examples come to what they should, and so do some inputs made from them. `cargo run -p lustre-repo-fuzz` makes more.

// Helpers of tests fail by panicking, too.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use lustre_repo_fuzz::campaign::{self, Outcome};
use lustre_repo_fuzz::worker::Inputs;
use lustre_repo_fuzz::{formats, mutate};

/// All findings of all formats, each with the words of the process that read.
fn findings(inputs: &Inputs) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_fuzz"));
    let mut findings = Vec::new();
    for format in formats::all() {
        let mut inputs = inputs.clone();
        loop {
            let (at, text) = match campaign::run(program, &*format, &inputs).unwrap() {
                Outcome::Clean(_) => break,
                Outcome::Found {
                    at,
                    what,
                    which,
                    words,
                    ..
                } => (at, format!("{}: {which}: {what}\n{words}", format.name())),
            };
            findings.push(text);
            match &mut inputs {
                Inputs::Cases { from } => *from = at + 1,
                _ => break,
            }
        }
    }
    findings
}

#[test]
fn all_examples_come_to_what_they_should() {
    let findings = findings(&Inputs::Cases { from: 0 });
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn inputs_made_from_them_do_no_harm() {
    let made = Inputs::Made {
        seed: 7,
        from: 0,
        count: 150,
        time: Duration::from_secs(20),
    };
    let findings = findings(&made);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn a_seed_and_a_number_decide_an_input() {
    for format in formats::all()
        .into_iter()
        .filter(|format| format.name() != "rpm")
    {
        let seeds = format.seeds();
        let input = |number| mutate::input(&*format, &seeds, 3, number);
        assert_eq!(input(5), input(5));
        assert!(
            (0..20).any(|number| input(number) != seeds[0].bytes),
            "{}",
            format.name()
        );
    }
}
