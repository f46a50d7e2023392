//! Texts of source trees that somebody gives: makefiles, configure's macros, specs, Kconfig, a log. Whatever they say, reading takes time
//! in proportion to their length.

use std::path::Path;

use lustre_packaging::overlay::{Manifest, edit};
use lustre_packaging::untrusted;

use crate::{Case, Format, ParseOutcome, message};

const OVERLAY: &str = include_str!("../../../packaging/src/overlay/testdata/overlay/overlay.toml");
const SPEC: &str = include_str!("../../../packaging/src/overlay/testdata/edit/kernel.spec");

pub(super) struct Tree;

impl Format for Tree {
    fn name(&self) -> &'static str {
        "tree"
    }

    fn seeds(&self) -> Vec<Case> {
        [
            (
                "a makefile",
                "VERSION = 5\nPATCHLEVEL = 14\nSUBLEVEL = 0\nEXTRAVERSION =\nRHEL_MAJOR = 9\nRHEL_MINOR = 6\nRHEL_RELEASE = 570.32.1\n",
            ),
            (
                "ldiskfs's makefile",
                "sources: $(wildcard @LINUX@/fs/ext4/*.c) \\\n  $(wildcard @LINUX@/include/linux/ext4*.h @EXT4_SRC_DIR@/*.h)\n",
            ),
            (
                "macros of configure",
                "AC_DEFUN([LC_X], [\ndnl PKG_CHECK_MODULES(a, b)\nPKG_CHECK_MODULES([EXT2FS], [ext2fs >= 1.47.0, com_err], [have=yes], [AC_MSG_ERROR([(no)])])\nPKG_CHECK_EXISTS([ldiskfs = 1])\n",
            ),
            (
                "e2fsprogs",
                "#define E2FSPROGS_VERSION \"1.47.3-wc2\"\n#define EXT2_LIB_FEATURE_INCOMPAT_SUPP (EXT2_FEATURE_INCOMPAT_FILETYPE|\\\n\tEXT4_FEATURE_INCOMPAT_DIRDATA)\n",
            ),
            (
                "Kconfig",
                "menuconfig EXT4_FS\n\ttristate\n\thelp\n\t  text\nif EXT4_FS\nconfig EXT4_DEBUG # x\n\tbool\nendif\n",
            ),
            (
                "a log",
                "ac_cv_x='y'\nLDISKFS_SERIES='5.14-rhel9.6.series'\nldiskfs_cv='x'\n",
            ),
            (
                "a spec of tools",
                "Name: e2fsprogs\nVersion: 1.47.0\nRelease: %{e2fsprogs_release}%{?dist}\nRequires: a >= 1.2\nBuildRequires: b = 1, c < 3\nProvides: ldiskfsprogs = %{version}\nPatch1: %{name}-%{version}-1.patch\nPatch: two.patch\n",
            ),
            ("a kernel's spec", SPEC),
        ]
        .map(|(name, text)| Case::good(name, text))
        .to_vec()
    }

    fn hostile(&self) -> Vec<Case> {
        let megabyte = |text: &str| text.repeat((1 << 20) / text.len());
        let stars = |many: usize| format!("$(wildcard @LINUX@/{}b)\n", "*a".repeat(many));
        vec![
            Case::good("empty", ""),
            Case::either("wildcards without an end", megabyte("$(wildcard ")),
            Case::either(
                "a wildcard of many words",
                format!("$(wildcard {})", megabyte("@LINUX@/x ")),
            ),
            Case::either("a pattern of 8 stars", stars(8)),
            Case::either("a pattern of 100 stars", stars(100)),
            Case::either("macros without an end", megabyte("PKG_CHECK_MODULES(")),
            Case::either("macros in quotes", megabyte("PKG_CHECK_MODULES([a],[")),
            Case::either(
                "macros on lines of their own",
                megabyte("PKG_CHECK_EXISTS(a = 1\n"),
            ),
            Case::either("macros in comments", megabyte("# PKG_CHECK_EXISTS(")),
            Case::either("brackets", megabyte("[")),
            Case::either(
                "a line that goes on",
                format!(
                    "#define EXT2_LIB_FEATURE_INCOMPAT_SUPP {}",
                    megabyte("\\\n")
                ),
            ),
            Case::either(
                "macros in a patch's name",
                format!("Patch1: {}x\n", megabyte("%{a}")),
            ),
            Case::either(
                "a patch's name of 100 macros",
                format!("Patch1: {}b\n", "%{x}a".repeat(100)),
            ),
            Case::either("patches", megabyte("Patch1: x\n")),
            Case::either(
                "anchors",
                megabyte("# empty final patch to facilitate testing of kernel patches\n"),
            ),
            Case::either("options", megabyte("config A\n")),
            Case::either("a line of a megabyte", megabyte("Requires: a >= 1 ")),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "$(wildcard ",
            "@LINUX@/",
            "@EXT4_SRC_DIR@/",
            "*",
            "PKG_CHECK_MODULES(",
            "PKG_CHECK_EXISTS(",
            "dnl ",
            "[",
            "]",
            "(",
            ")",
            ", ",
            " >= ",
            "VERSION = ",
            "RHEL_RELEASE = ",
            "#define E2FSPROGS_VERSION \"",
            "\\\n",
            "config ",
            "Patch1: ",
            "%{",
            "}",
            "Provides: x = %{version}\n",
            "# empty final patch to facilitate testing of kernel patches\n",
            "    find $RPM_BUILD_ROOT/lib/modules/$KernelVer x\n",
            "LDISKFS_SERIES='",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        untrusted::tree_texts(&text)?;
        let overlay = Manifest::parse(OVERLAY, "overlay.toml")
            .map_err(|error| format!("the overlay is refused: {}", message(&error)))?;
        let edited = match edit::apply(&text, "kernel.spec", &overlay.edit) {
            Ok(edited) => edited,
            // Most of these texts are no spec of a kernel; the message is what counts.
            Err(error) => {
                crate::words::check(&message(&error), input)?;
                return Ok(ParseOutcome::Accepted);
            }
        };
        if edited.len() <= text.len() {
            return Err("edits that insert lines have inserted none".to_owned());
        }
        match edit::apply(&edited, "kernel.spec", &overlay.edit) {
            Ok(_) => Err("the edits are made twice".to_owned()),
            Err(_) => Ok(ParseOutcome::Accepted),
        }
    }
}
