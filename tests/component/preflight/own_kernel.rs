//! A target whose servers run the distribution's own kernel.

use lustre_packaging::preflight::Verdict;

use super::check;
use super::place::{NEW_SHAPE, OLD_SHAPE, Place};

#[test]
fn of_the_distributions_own_kernel_only_its_ext4_is_looked_at() {
    let mut place = Place::new(OLD_SHAPE);
    place.with_own_kernel();
    // The overlay of the kernel is not even read, nor is a series of Lustre's for the kernel itself.
    place.specs("kernel/t/overlay.toml", "not an overlay");
    place.write_lustre("lustre/kernel_patches/series/6.1.series", "none.patch\n");
    let report = place.run();
    assert!(report.fits, "{report:#?}");
    for name in ["kernel spec", "kernel config", "kernel series"] {
        let check = check(&report.checks, name);
        assert_eq!(check.result, Verdict::NotNeeded, "{name}");
        let told = check.to_string();
        assert!(told.contains("the distribution's own kernel"), "{told}");
    }
    assert_eq!(
        check(&report.checks, "ldiskfs series").result,
        Verdict::Pass
    );

    // The distribution's own patches are part of that kernel, ldiskfs' series comes on top of them.
    let own = "--- a/fs/ext4/ext4.h\n+++ b/fs/ext4/ext4.h\n@@ -1,1 +1,1 @@\n-no such line\n+x\n";
    place.write_kernel("sources/patch-6.1-redhat.patch", own);
    let spec = std::fs::read_to_string(place.kernel("sources/kernel.spec")).unwrap();
    place.write_kernel(
        "sources/kernel.spec",
        &spec.replace(
            "Name: kernel\n",
            "Name: kernel\nPatch1: patch-%{patchversion}-redhat.patch\n",
        ),
    );
    let report = place.run();
    let told = check(&report.checks, "kernel patches");
    assert_eq!(told.result, Verdict::Fail);
    assert!(
        told.to_string().contains("patch-6.1-redhat.patch"),
        "{told}"
    );

    let mut place = Place::new(NEW_SHAPE);
    place.with_own_kernel();
    let report = place.run();
    assert!(!report.fits);
    assert_eq!(
        check(&report.checks, "ldiskfs series").result,
        Verdict::Fail
    );
}
