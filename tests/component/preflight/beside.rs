//! Preflight from the command line, of sources that are given: while another run builds in the same store, and in a checkout at a path with
//! characters that mean something to some program.

use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, project, run};

use super::place::{OLD_SHAPE, Place};

/// A kernel of Enterprise Linux, as far as it is told by its name.
const RELEASE: &str = "1.el9_6";

const TARGET: &str = r#"
inherits = "rehearsal"
[distribution]
dist = ".el9"
[distribution.kernel]
spec = "kernel/t-spec"
config = []
[kernel]
overlay = "kernel/t"
[lustre]
ldiskfs_series = "6.1-test"
configure = []
modules = ["ldiskfs.ko"]
"#;

/// The spec of the kernel's source package, with its release as `version` and `release` say it.
fn spec(head: &str, version: &str, release: &str) -> String {
    format!(
        "{head}Name: kernel\nVersion: {version}\nRelease: {release}\nSummary: x\nLicense: GPL-2.0-only\n\
         Source0: linux-{version}-{release}.tar.xz\nSource1: kernel-x.config\nPatch9: linux-kernel-test.patch\n%description\nx\n\
         %prep\nApplyOptionalPatch linux-kernel-test.patch\n"
    )
}

fn succeed(command: &mut Command) {
    let ran = run(command);
    assert_eq!(ran.code, 0, "{command:?}: {ran:?}");
}

/// Copies what is in a folder into another one, over what is there.
fn copy(from: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    succeed(Command::new("cp").arg("-a").arg(from.join(".")).arg(into));
}

#[test]
fn what_is_given_is_looked_at_beside_a_run_that_builds_wherever_the_checkout_is() {
    let place = Place::new(OLD_SHAPE);
    let folder = tempfile::tempdir().unwrap();
    let checkout = folder
        .path()
        .join("a b,c%{lua:x}%20#d?e:f'g\"$HOME`h\\i*[j]{k,l}~é");
    fs::create_dir_all(checkout.join("xtask")).unwrap();
    let specs = checkout.join("specs");
    copy(&project().join("specs"), &specs);
    copy(&place.specs_folder(), &specs);
    let of_spec = specs.join("kernel/t-spec");
    // The source package, unpacked, and the spec of those that are made of such.
    let given = folder.path().join("kernel");
    copy(&place.kernel("sources"), &given);
    copy(&place.kernel("sources"), &of_spec);
    fs::write(given.join("kernel.spec"), spec("", "6.1.9", RELEASE)).unwrap();
    let own = spec(
        "%global rpmversion 0\n%global pkgrelease 0\n",
        "%{rpmversion}",
        "%{pkgrelease}%{?dist}",
    );
    fs::write(of_spec.join("kernel.spec"), own).unwrap();
    let name = format!("linux-6.1.9-{RELEASE}");
    copy(&place.kernel("parts"), &folder.path().join(&name));
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .arg("-cJf")
            .arg(given.join(format!("{name}.tar.xz")))
            .arg(&name),
    );
    let target = folder.path().join("t.toml");
    fs::write(&target, TARGET).unwrap();
    let source = |name: &str, path: &Path| format!("{name}={}", path.display());
    let sources = [
        source("kernel", &given),
        source("lustre", &place.lustre("")),
    ];

    let home = Home::new();
    let _held = Store::open(&home.store(), "a run that builds", &mut |_| {}).unwrap();
    let mut command = home.command(&["preflight", "--offline", "--json", "--target"]);
    command
        .arg(&target)
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"));
    for source in &sources {
        command.args(["--source", source]);
    }
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("waiting"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["fits"], true, "{report}");
    for check in ["kernel series", "ldiskfs series", "kernel config"] {
        let all = report["checks"].as_array().unwrap();
        let one = all.iter().find(|one| one["check"] == check).unwrap();
        assert_eq!(one["result"], "pass", "{one}");
    }
}
