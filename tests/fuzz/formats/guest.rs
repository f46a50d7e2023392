//! What a guest says over its serial port: a kernel with foreign modules may say anything.

use std::path::Path;

use lustre_packaging::boot::{KernelLog, Report};

use super::specs;
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Guest;

impl Format for Guest {
    fn name(&self) -> &'static str {
        "guest"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good(
                "a report",
                "lustre-repo-boot 1\nbegin modules 1.5\n| loaded\n= 2 modules\n! one is missing\nend modules 0 2.5\nbegin mount 3\nend mount 1 4\ndone\n",
            ),
            Case::good(
                "a log",
                "[    0.000000] Linux version 5.14.0\n[    1.2] BUG: unable to handle page fault\n[    2.0] Call Trace:\nLustre: mounted\n",
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::either("a line of eight megabytes", "x".repeat(8 << 20)),
            Case::either(
                "many checks",
                format!(
                    "lustre-repo-boot 1\n{}",
                    (0..2000)
                        .map(|n| format!("begin c{n} 1\nend c{n} 0 2\n"))
                        .collect::<String>()
                ),
            ),
            Case::either("many lines", "[ 1.0] BUG: x\n".repeat(20_000)),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "begin x 1\n",
            "end x 0 1\n",
            "done\n",
            "| ",
            "= ",
            "! ",
            "nan",
            "inf",
            "BUG: ",
            "Oops",
            "Kernel panic",
            "[   1.0] ",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let report = Report::parse(&text);
        report.running();
        match KernelLog::load(&specs().join("boot/kernel-log.toml")) {
            Ok(log) => drop(log.look(text.lines())),
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        }
        Ok(ParseOutcome::Accepted)
    }
}
