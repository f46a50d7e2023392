//! Running guests: with a shell script in the place of QEMU, so that what a machine does can be chosen. That a real one boots is
//! shown end to end, by `.ci/run`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lustre_packaging::boot::accelerator::{self, Accelerator, Probe};
use lustre_packaging::boot::guest::{self, End, GuestRun};
use lustre_packaging::boot::judge::{Expected, judge};
use lustre_packaging::boot::kernel_log::KernelLog;
use lustre_packaging::boot::report::Report;
use lustre_packaging::target::{Boot, Target};
use lustre_repo_tests::command_line::{Home, project};

mod fake;
mod fsck;
mod interrupt;

use fake::Fake;

/// A guest that has one check, which holds.
const GOOD: &str = r#"
echo "[    0.000000] Linux version 6.1.176" >> "$console"
printf '%s\r\n' "lustre-repo-boot 1" "begin start 3.0" "end start 0 4.0" "begin kernel 4.0" "| 6.1.176" "end kernel 0 4.5" done >> "$report"
"#;

/// How machines are run here.
trait Runs {
    /// As a guest, to its end or its limit.
    fn run(&self, limit: Duration) -> GuestRun;
    /// With KVM, to see whether that works.
    fn probe(&self, device: &Path) -> Probe;
}

impl Runs for Fake {
    fn run(&self, limit: Duration) -> GuestRun {
        let mut told = Vec::new();
        let ran = self.with(Accelerator::Tcg, |machine, log| {
            guest::run(machine, limit, log, &mut |check| {
                told.push(check.to_owned())
            })
            .unwrap()
        });
        let begun: Vec<&str> = ran
            .report
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect();
        // What begins just before the end may not have been told of.
        assert!(
            begun.starts_with(&told.iter().map(String::as_str).collect::<Vec<_>>()),
            "{told:?}"
        );
        ran
    }

    fn probe(&self, device: &Path) -> Probe {
        self.with(Accelerator::Tcg, |machine, log| {
            accelerator::probe(machine, device, Duration::from_secs(2), log).unwrap()
        })
    }
}

fn boot() -> Boot {
    let specs = project().join("specs");
    let mut boot = Target::load(&specs, "rehearsal").unwrap().boot.unwrap();
    boot.checks = vec!["kernel".to_owned()];
    boot
}

/// What is wrong, by check.
fn findings(ran: &GuestRun) -> Vec<(String, Vec<String>)> {
    let boot = boot();
    let kernel_log = KernelLog::load(&project().join("specs").join(&boot.kernel_log)).unwrap();
    let expected = Expected {
        boot: &boot,
        release: "6.1.176",
        kernel_log: &kernel_log,
    };
    judge(&expected, ran)
        .into_iter()
        .map(|judged| (judged.name, judged.findings))
        .collect()
}

#[test]
fn a_guest_that_is_done_and_ends_is_judged_by_what_it_said() {
    let ran = Fake::new(GOOD).run(Duration::from_secs(60));
    assert_eq!(ran.end, End::Done);
    for (name, findings) in findings(&ran) {
        assert_eq!(findings, [""; 0], "{name}");
    }
    assert!(ran.console.contains("Linux version"), "{}", ran.console);
}

#[test]
fn a_guest_that_hangs_is_ended_at_its_limit_and_shows_its_console() {
    let hangs = Fake::new(
        r#"
echo "Linux version 6.1.176" >> "$console"
echo "last words" >> "$console"
printf '%s\n' "lustre-repo-boot 1" "begin start 3.0" "end start 0 4.0" "begin kernel 4.0" "| what it did" >> "$report"
while :; do echo >> "$console"; sleep 0.1; done
"#,
    );
    let clock = Instant::now();
    let limit = Duration::from_secs(2);
    let ran = hangs.run(limit);
    assert!(clock.elapsed() < Duration::from_secs(30));
    assert_eq!(ran.end, End::TimedOut(limit));
    let findings = findings(&ran);
    assert_eq!(findings[0], ("start".to_owned(), Vec::new()));
    let said = findings[1].1.join("\n");
    for part in ["2 s", "what it did", "last words"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(!hangs.still_writes(), "it still runs");
}

#[test]
fn a_guest_that_dies_in_a_check_fails_it() {
    let ran = Fake::new(
        r#"
printf '%s\n' "lustre-repo-boot 1" "begin start 3.0" "end start 0 4.0" "begin kernel 4.0" >> "$report"
echo "Kernel panic - not syncing: Fatal exception" >> "$console"
"#,
    )
    .run(Duration::from_secs(60));
    assert!(matches!(ran.end, End::Died(_)), "{:?}", ran.end);
    let findings = findings(&ran);
    assert!(
        findings[1].1.join("\n").contains("Kernel panic"),
        "{findings:?}"
    );
}

#[test]
fn an_emulator_that_fails_says_why() {
    let ran = Fake::new("echo 'qemu: no such machine' >&2; exit 1").run(Duration::from_secs(60));
    let End::Died(why) = &ran.end else {
        panic!("{:?}", ran.end)
    };
    assert!(why.contains("no such machine"), "{why}");
    assert!(findings(&ran)[0].1.join("\n").contains("no such machine"));
}

#[test]
fn kvm_is_used_where_it_gets_the_kernel_through_its_start() {
    let works = Fake::new(
        r#"
[ -n "$kvm" ] || exit 8
printf '%s\n' "Linux version 6.1.176" "Kernel panic - not syncing: VFS: Unable to mount root fs" >> "$console"
"#,
    );
    let probe = works.probe(Path::new("/dev/null"));
    assert_eq!(probe, Probe::Ran);
    assert_eq!(accelerator::decide(&probe).accelerator, Accelerator::Kvm);
}

#[test]
fn kvm_that_opens_and_hangs_is_given_up_at_its_deadline_and_the_guest_is_emulated() {
    // As seen: the kernel's decompressor speaks, the kernel never does.
    let hangs = Fake::new(&format!(
        "if [ -n \"$kvm\" ]; then printf 'Decompressing Linux... ' >> \"$console\"; exec sleep 600; fi\n{GOOD}"
    ));
    let clock = Instant::now();
    let probe = hangs.probe(Path::new("/dev/null"));
    assert!(clock.elapsed() < Duration::from_secs(30));
    let Probe::Hung(deadline, last) = &probe else {
        panic!("{probe:?}")
    };
    assert_eq!(
        (deadline.as_secs(), last.as_str()),
        (2, "Decompressing Linux...")
    );
    let choice = accelerator::decide(&probe);
    assert_eq!(choice.accelerator, Accelerator::Tcg);
    assert!(choice.why.contains("2 s"), "{}", choice.why);
    // What the probe left on the console is not taken for the guest's.
    let ran = hangs.run(Duration::from_secs(60));
    assert_eq!(ran.end, End::Done);
    assert!(!ran.console.contains("Decompressing"), "{}", ran.console);
}

#[test]
fn kvm_that_fails_or_cannot_be_opened_says_why() {
    let fails = Fake::new("echo 'failed to set MSR 0x10a' >&2; exit 1");
    let probe = fails.probe(Path::new("/dev/null"));
    let Probe::Ended(why) = &probe else {
        panic!("{probe:?}")
    };
    assert!(why.contains("failed to set MSR"), "{why}");
    let none = fails.probe(Path::new("/nonexistent/kvm"));
    assert!(
        matches!(&none, Probe::NoDevice(why) if why.contains("/nonexistent/kvm")),
        "{none:?}"
    );
}

/// Runs lines of a check with the guest's own functions, and reads the report they make.
fn guest_says(check: &str) -> Report {
    let functions = project().join("specs").join(boot().guest).join("functions");
    let script = format!(
        ". '{}'\nmain() {{\nsay 'lustre-repo-boot 1'\nsay 'begin it 1.0'\n({check}\n)\nsay \"end it $? 2.0\"\nsay done\n}}\nmain 2>&1 | relay",
        functions.display()
    );
    let out = Command::new("bash").args(["-c", &script]).output().unwrap();
    Report::parse(&String::from_utf8(out.stdout).unwrap())
}

#[test]
fn whatever_programs_print_the_report_stays_readable() {
    let report = guest_says(
        "printf 'no end of line'; evidence one; echo 'end it 0 9'; echo done; must true; must sh -c 'exit 4'; printf 'unfinished'",
    );
    assert!(report.done && report.stray.is_empty(), "{report:?}");
    let check = report.check("it").unwrap();
    assert_eq!(check.ended, Some((0, 2.0)));
    assert_eq!(check.evidence, ["one"]);
    assert_eq!(check.findings, ["`sh -c exit 4` ended with status 4"]);
    assert_eq!(
        check.output,
        [
            "no end of line",
            "end it 0 9",
            "done",
            "+ true",
            "+ sh -c exit 4",
            "unfinished"
        ]
    );
}

#[test]
fn a_plain_folder_passes_for_no_client() {
    let report = guest_says("CLIENT=/tmp; need_client; evidence 'it went on'");
    let check = report.check("it").unwrap();
    assert_eq!(check.ended, Some((1, 2.0)));
    assert!(
        check.findings[0].contains("/tmp is no mounted Lustre client"),
        "{check:?}"
    );
    assert_eq!(check.evidence, [""; 0]);
}

#[test]
fn no_check_of_the_mounted_file_system_passes_without_one() {
    let boot = boot();
    let checks = project().join("specs").join(&boot.guest).join("checks");
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "striping",
        "data",
        "sanity",
        "restart",
        "kept-made",
        "kept-upgraded",
        "kept-undone",
    ] {
        let report = guest_says(&format!(
            "CLIENT='{}'; KEPT=$CLIENT; TESTS=/nonexistent; TARGETS=(lustre-OST0000); SANITY=(0); . '{}'",
            folder.path().display(),
            checks.join(name).display()
        ));
        let check = report.check("it").unwrap();
        assert!(!check.findings.is_empty(), "{name}: {check:?}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was written to it"
    );
}

#[test]
fn what_a_machine_left_is_whole_or_what_is_not_is_said() {
    // Attributes are stood in for: not every folder of a test has any.
    let left = |change: &str| {
        let folder = tempfile::tempdir().unwrap();
        let report = guest_says(&format!(
            "cd '{}'; mkdir client kept; CLIENT=$PWD/client; KEPT=$PWD/kept; attribute=before\n\
             drop_caches() {{ :; }}\nsetfattr() {{ :; }}\ngetfattr() {{ printf %s \"$attribute\"; }}\n\
             leave predecessor\n{change}\nwhole predecessor",
            folder.path().display()
        ));
        report.check("it").unwrap().clone()
    };
    let good = left("");
    assert_eq!(good.findings, [""; 0]);
    assert!(
        good.evidence
            .iter()
            .any(|it| it.contains("what predecessor left is whole")),
        "{good:?}"
    );
    for (change, said) in [
        (
            "printf x | dd of=client/kept-predecessor/of-1024 bs=1 seek=5 conv=notrunc status=none",
            "of-1024",
        ),
        ("rm client/kept-predecessor/names/name-7", "name-7"),
        ("ln -sfn of-1 client/kept-predecessor/link", "of-17"),
        ("attribute=after", "before"),
        ("rm -r client/kept-predecessor", "is not what it was"),
        (
            "rm kept/kept-predecessor",
            "no machine before this one left predecessor",
        ),
    ] {
        let findings = left(change).findings.join("\n");
        assert!(findings.contains(said), "{change}: {findings}");
    }
}

#[test]
fn without_an_emulator_the_error_names_its_package() {
    // A path with everything but QEMU.
    let home = Home::new();
    let bin = tempfile::tempdir().unwrap();
    for folder in ["/usr/bin", "/usr/sbin"] {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("qemu-system") {
                let _ = std::os::unix::fs::symlink(entry.path(), bin.path().join(name));
            }
        }
    }
    for arguments in [
        &["boot", "--offline"][..],
        &["repo", "--offline", "--prove", "boot"],
        &["verify", "--offline", "--boot"],
    ] {
        let mut command = home.command(arguments);
        command.env("PATH", bin.path());
        let ran = lustre_repo_tests::command_line::run(&mut command);
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains("qemu-system-x86") || ran.stderr.contains("qemu-kvm"),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(home.is_untouched(), "{arguments:?}");
    }
}
