use std::path::Path;
use std::time::Duration;

use super::*;
use crate::boot::KernelLog;
use crate::boot::report::Report;
use crate::target::Boot;
use crate::target::Target;

/// The table of the default target.
pub(crate) fn boot() -> Boot {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    Target::load(&specs, "rehearsal").unwrap().boot.unwrap()
}

const RELEASE: &str = "6.1.176-1.reh12_lustre.x86_64";

/// Judges a report on a target that has the checks `checks`.
fn judged(checks: &[&str], text: &str, end: End, console: &str) -> Vec<CheckOutcome> {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let mut boot = boot();
    boot.checks = checks.iter().map(|check| (*check).to_owned()).collect();
    boot.sanity = ["0", "17"].map(str::to_owned).to_vec();
    let kernel_log = KernelLog::load(&specs.join(&boot.kernel_log)).unwrap();
    let expected = Expected {
        boot: &boot,
        release: RELEASE,
        kernel_log: &kernel_log,
    };
    let ran = GuestRun {
        report: Report::parse(text),
        end,
        console: console.to_owned(),
    };
    judge(&expected, &ran)
}

/// Judges one check that ended with `status` after it had printed `lines`.
fn one_check(name: &str, lines: &[&str], status: i32) -> CheckOutcome {
    let mut text = "lustre-repo-boot 1\nbegin start 1\nend start 0 2\n".to_owned();
    text.push_str(&format!("begin {name} 2.5\n"));
    for line in lines {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str(&format!("end {name} {status} 4.0\ndone\n"));
    let mut all = judged(&[name], &text, End::Done, "");
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].findings, [""; 0]);
    all.remove(1)
}

#[test]
fn a_check_holds_with_status_0_and_without_findings() {
    let good = one_check("mount", &["| Format", "= mounted"], 0);
    assert_eq!((good.findings.len(), good.evidence.len()), (0, 1));
    assert!((good.seconds - 1.5).abs() < 1e-9);
    assert_eq!(one_check("mount", &["! no"], 0).findings, ["no"]);
    assert_eq!(one_check("mount", &["! no"], 1).findings, ["no"]);
    let status = one_check("mount", &["| why"], 7).findings;
    assert!(
        status[0].contains("status 7") && status[0].contains("why"),
        "{status:?}"
    );
}

#[test]
fn another_kernel_is_a_finding() {
    assert_eq!(
        one_check("kernel", &[&format!("| {RELEASE}")], 0).findings,
        [""; 0]
    );
    for lines in [
        &["| 6.1.0-9-amd64"][..],
        &[],
        &["| 6.1.176-1.reh12_lustre.x86_64", "| x"],
    ] {
        assert_eq!(one_check("kernel", lines, 0).findings.len(), 1, "{lines:?}");
    }
}

#[test]
fn every_device_is_up_and_all_are_there() {
    let all = [
        "|   0 UP osd-ldiskfs lustre-MDT0000 /dev/loop0 3",
        "|   1 UP osd-ldiskfs lustre-OST0000 /dev/loop1 2",
        "|   2 UP osd-ldiskfs lustre-OST0001 /dev/loop2 2",
        "|   3 UP llite lustre-client - 1",
    ];
    let good = one_check("devices", &all, 0);
    assert_eq!(
        (good.findings.len(), good.evidence.len()),
        (0, 4),
        "{good:?}"
    );
    let few = one_check("devices", &all[1..], 0).findings;
    assert_eq!(few, ["2 devices of type osd-ldiskfs are UP, expected 3"]);
    let mut down = all;
    down[3] = "|   3 ST llite lustre-client - 1";
    let findings = one_check("devices", &down, 0).findings;
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("3 ST llite"), "{findings:?}");
    assert_eq!(one_check("devices", &[], 0).findings.len(), 2);
    assert!(
        !one_check("devices", &["| lctl: no parameter devices"], 0)
            .findings
            .is_empty()
    );
}

#[test]
fn cases_of_sanity_are_counted_in_the_words_of_either() {
    let real = [
        "| == sanity test 0a: touch; rm",
        "| PASS 0a (2s)",
        "| PASS 17a (1s)",
        "|  SKIP: sanity test_17b needs more",
        "| SKIP 17b (1s)",
    ];
    let good = one_check("sanity", &real, 0);
    assert_eq!(good.findings, [""; 0]);
    assert_eq!(
        good.evidence,
        ["2 cases passed: 0a 17a", "1 cases were skipped: 17b"]
    );
    assert_eq!(
        one_check("sanity", &["| PASS 0", "| PASS 17"], 0).findings,
        [""; 0]
    );

    let failed = one_check("sanity", &["| PASS 0", "| FAIL 17"], 1).findings;
    assert_eq!(failed, ["case 17 failed"]);
    let missing = one_check("sanity", &["| PASS 0", "| PASS 170"], 0).findings;
    assert_eq!(missing, ["case 17 did not run"]);
    let none = one_check("sanity", &["| SKIP 0", "| SKIP 17"], 0).findings;
    assert_eq!(none, ["no case passed"]);
}

#[test]
fn the_log_must_be_whole_and_clean() {
    let first = "| Linux version 6.1.176-1.reh12_lustre.x86_64 (x) #1 SMP";
    assert_eq!(
        one_check("kernel-log", &[first, "| fine"], 0).findings,
        [""; 0]
    );
    assert_eq!(one_check("kernel-log", &["| fine"], 0).findings.len(), 1);
    let oops = one_check(
        "kernel-log",
        &[first, "| BUG: unable to handle page fault"],
        0,
    );
    assert_eq!(oops.findings.len(), 1, "{oops:?}");
}

#[test]
fn a_guest_that_hangs_fails_the_check_it_hung_in() {
    let text = "lustre-repo-boot 1\nbegin start 1\nend start 0 2\nbegin mount 3\n| Starting mds1\n";
    let limit = Duration::from_secs(1200);
    let all = judged(
        &["kernel", "mount", "data"],
        text,
        End::TimedOut(limit),
        "one\n\ntwo\n",
    );
    let [start, kernel, mount, data] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(start.findings, [""; 0]);
    assert!(kernel.not_run.is_some() && data.not_run.is_some());
    let said = mount.findings.join("\n");
    for part in ["1200 s", "Starting mds1", "one\ntwo"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn a_guest_that_dies_shows_its_console() {
    let console = "Linux version 6\nKernel panic - not syncing: VFS: Unable to mount root fs\n";
    let end = End::Died("it panicked".to_owned());
    let all = judged(&["kernel", "kernel-log"], "", end, console);
    let said = all[0].findings.join("\n");
    assert!(
        said.contains("it panicked") && said.contains("Unable to mount root fs"),
        "{said}"
    );
    assert!(all[1].not_run.is_some());
    // The reason is found where the guest could not show its log.
    assert_eq!(all[2].findings.len(), 1, "{all:?}");
}

#[test]
fn a_check_that_the_guest_skipped_has_not_run() {
    let text = "lustre-repo-boot 1\nbegin start 1\nend start 0 2\ndone\n";
    let all = judged(&["kernel"], text, End::Done, "");
    assert!(all[1].not_run.is_some(), "{all:?}");
    let stray = judged(&[], &format!("noise\n{text}"), End::Done, "");
    assert!(
        stray[0]
            .findings
            .iter()
            .any(|finding| finding.contains("noise")),
        "{stray:?}"
    );
}

#[test]
fn a_guest_that_is_never_done_is_no_good() {
    let text = format!(
        "lustre-repo-boot 1\nbegin start 1\nend start 0 2\nbegin kernel 2\n| {RELEASE}\nend kernel 0 3\n"
    );
    let all = judged(&["kernel"], &text, End::Died("it panicked".to_owned()), "x");
    assert!(all[1].findings[0].contains("it panicked"), "{all:?}");
    assert_eq!(all[0].findings, [""; 0]);
}
