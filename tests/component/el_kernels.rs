//! The overlays for the kernels of Enterprise Linux 8, 9 and 10: on stand-ins for their specs, with golden files, and on the
//! real specs where somebody has them.

mod real;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_distro::release;
use lustre_packaging::overlay::edit::Match;
use lustre_packaging::overlay::{Inputs, Overlay};
use lustre_packaging::process;
use lustre_repo_tests::version_order::check_above;
use lustre_repository::files;

/// A kernel of the distribution that a stand-in stands for.
struct Kernel {
    el: u32,
    version: &'static str,
    release: &'static str,
    minor: &'static str,
    /// The release that comes out.
    ours: &'static str,
}

const KERNELS: [Kernel; 3] = [
    Kernel {
        el: 8,
        version: "4.18.0",
        release: "553.22.1.el8_10",
        minor: "8.10",
        ours: "553.22.1.el8_10_lustre",
    },
    Kernel {
        el: 9,
        version: "5.14.0",
        release: "570.62.1.el9_6",
        minor: "9.6",
        ours: "570.62.1_lustre.el9_6",
    },
    Kernel {
        el: 10,
        version: "6.12.0",
        release: "211.47.1.el10_2",
        minor: "10.2",
        ours: "211.47.1_lustre.el10_2",
    },
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn overlay(el: u32, options: &[&str]) -> Result<Overlay> {
    let specs = repository().join("specs");
    let options: Vec<String> = options.iter().map(|&name| name.to_owned()).collect();
    let folder = specs.join(format!("kernel/el{el}"));
    Ok(Overlay::load_in(&specs, &folder, &options)?)
}

fn stand_in(el: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/el/el{el}.spec"))
}

/// rpmspec's answer to `query` for `spec`, with what rpmbuild would be given for `overlay`.
fn rpmspec(overlay: &Overlay, el: u32, spec: &Path, query: &[&str]) -> Result<String> {
    let mut command = Command::new("rpmspec");
    command.args(query).args(["--target", "x86_64"]);
    let sources = spec.parent().context("a spec is in a folder")?;
    let mut defines = vec![
        format!("rhel {el}"),
        format!("_sourcedir {}", sources.display()),
        "_buildhost builder.test".to_owned(),
    ];
    let release = overlay.manifest.release.as_ref().context("a [release]")?;
    for (name, value) in release.defines()? {
        defines.push(format!("{name} {value}"));
    }
    for define in defines {
        command.args(["--define", &define]);
    }
    command.args(overlay.manifest.build.flags()).arg(spec);
    Ok(String::from_utf8_lossy(&process::output(&mut command)?).into_owned())
}

/// The lines of `text` that hold `part`.
fn lines<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(part)).collect()
}

/// What only shows where such a spec is run: with which files it does what.
#[test]
fn pahole_is_asked_for_one_thread_in_every_form_that_a_kernel_has() -> Result<()> {
    let forms = [
        (
            "scripts/Makefile.btf",
            "pahole-flags-$(call test-ge, $(pahole-ver), 122)\t+= -j\nother = -j --btf_features=var\n",
            "pahole-flags-$(call test-ge, $(pahole-ver), 122)\t+=\nother = --btf_features=var\n",
        ),
        (
            "scripts/pahole-flags.sh",
            "if [ 1 -ge 122 ]; then\n\textra=\"${extra} -j\"\nfi\n",
            "if [ 1 -ge 122 ]; then\n\textra=\"${extra}\"\nfi\n",
        ),
    ];
    for el in [9, 10] {
        let overlay = overlay(el, &[])?;
        let mut edits = overlay.manifest.edit.iter();
        let edit = edits
            .find(|edit| edit.name == "one-pahole")
            .context("no edit of it")?;
        for (file, before, after) in forms {
            let dir = tempfile::tempdir()?;
            fs::create_dir(dir.path().join("scripts"))?;
            fs::write(dir.path().join(file), before)?;
            let mut shell = Command::new("sh");
            shell.args(["-ec", &edit.text]).current_dir(dir.path());
            process::output(&mut shell)?;
            let text = fs::read_to_string(dir.path().join(file))?;
            ensure!(text == after, "EL{el}, {file}: {text}");
        }
    }
    Ok(())
}

#[test]
fn the_symbols_of_a_kernel_are_compressed_without_the_time_of_the_build() -> Result<()> {
    for el in [8, 9, 10] {
        let overlay = overlay(el, &[])?;
        let mut edits = overlay.manifest.edit.iter();
        let edit = edits
            .find(|edit| edit.name == "symvers-without-time")
            .context("no edit of it")?;
        let build = |time: u64| -> Result<Vec<Vec<u8>>> {
            let dir = tempfile::tempdir()?;
            let (root, modules) = (dir.path(), dir.path().join("lib/modules/5.14"));
            fs::create_dir_all(&modules)?;
            fs::create_dir(root.join("boot"))?;
            let symvers = root.join("Module.symvers");
            fs::write(&symvers, "0x1\tone\tvmlinux\tEXPORT_SYMBOL\n")?;
            files::set_mtime(&symvers, time)?;
            // As the distribution's specs have it.
            let text = format!(
                "gzip -c9 < Module.symvers > boot/symvers-5.14.gz\ncp boot/symvers-5.14.gz lib/modules/5.14/symvers.gz\n{}",
                edit.text
            );
            let mut shell = Command::new("sh");
            shell.args(["-ec", &text]).current_dir(root);
            shell.env("RPM_BUILD_ROOT", root).env("KernelVer", "5.14");
            process::output(&mut shell)?;
            let mut found = Vec::new();
            for file in [
                root.join("boot/symvers-5.14.gz"),
                modules.join("symvers.gz"),
            ] {
                let read = process::output(Command::new("gzip").arg("-dc").arg(&file))?;
                ensure!(read.starts_with(b"0x1\tone"), "EL{el}: {file:?}");
                found.push(fs::read(file)?);
            }
            ensure!(!root.join("lib/modules/5.14/symvers.xz").exists());
            Ok(found)
        };
        ensure!(build(1_000_000_000)? == build(1_700_000_000)?, "EL{el}");
    }
    Ok(())
}

/// What has to hold of a spec that the overlay changed, whatever else is in it: `parsed` is what rpm makes of it.
fn check_parsed(parsed: &str, version: &str) -> Result<()> {
    let all: Vec<&str> = parsed.lines().map(str::trim_end).collect();
    let only = |part: &str| -> Result<usize> {
        let found: Vec<usize> = (0..all.len())
            .filter(|&at| all[at].contains(part))
            .collect();
        ensure!(found.len() == 1, "`{part}` is at {} places", found.len());
        Ok(found[0])
    };
    let copy = only("cp -a fs/ext4/*.[ch] ")?;
    ensure!(
        all[copy - 1].contains("-name \"*.ko\" -type f >modnames"),
        "the copy is behind `{}`",
        all[copy - 1]
    );
    ensure!(all[copy].ends_with("/build/fs/ext4") && all[copy + 1].contains("ext4-inode-test"));
    let declared = only(&format!("Patch99995: patch-{version}-lustre.patch"))?;
    let prep = all
        .iter()
        .position(|line| *line == "%prep")
        .context("no %prep")?;
    ensure!(declared < prep, "the patch is declared in a section");
    let applied = only(&format!("ApplyOptionalPatch patch-{version}-lustre.patch"))?;
    let tests = only("ApplyOptionalPatch linux-kernel-test.patch")?;
    ensure!(applied + 1 == tests && applied > prep);
    let stamp = only("export KBUILD_BUILD_TIMESTAMP=")?;
    ensure!(
        all[stamp - 1] == "BuildKernel() {"
            && all[stamp + 1].contains("KBUILD_BUILD_HOST=builder.test")
    );
    let calls = all
        .iter()
        .position(|line| line.trim() == "BuildKernel" || line.starts_with("BuildKernel "));
    ensure!(
        calls.is_some_and(|at| at > stamp),
        "nothing calls BuildKernel"
    );
    for part in [
        "pesign -s",
        "certs/signing_key.pem certs/signing_key.pem.sign",
    ] {
        ensure!(lines(parsed, part).is_empty(), "`{part}` is still done");
    }
    ensure!(
        all[..prep].contains(&"BuildRequires: openssl-devel"),
        "openssl-devel is not required"
    );
    // Sources and the changelog may speak of it.
    let made = |line: &&&str| {
        let section = ["%package", "%files", "%post", "%preun"]
            .iter()
            .any(|start| line.starts_with(start));
        let built = line.starts_with("BuildRequires:");
        (section && line.contains("uki"))
            || (built && (line.contains("ukify") || line.contains("sb-certs")))
    };
    let uki: Vec<_> = all.iter().filter(made).collect();
    ensure!(uki.is_empty(), "a unified image is made: {uki:?}");
    let documented = |line: &&&str| line.starts_with("BuildRequires:") && line.contains("sphinx");
    ensure!(
        all.iter().find(documented).is_none(),
        "documentation is built"
    );
    for name in ["kernel-lustre", "kernel-devel-lustre"] {
        let provided = lines(
            &parsed.replace("+debug", ""),
            &format!("Provides: {name} = "),
        )
        .len();
        ensure!(provided > 0, "nothing provides {name}");
    }
    Ok(())
}

#[test]
fn the_edited_stand_ins_are_the_golden_files() -> Result<()> {
    for kernel in &KERNELS {
        let (overlay, _) = overlay(kernel.el, &[])?.for_release(kernel.release)?;
        let spec = stand_in(kernel.el);
        let edited = overlay.edit_spec(&fs::read_to_string(&spec)?)?;
        let golden = spec.with_extension("spec.edited");
        ensure!(
            edited == fs::read_to_string(&golden)?,
            "{} is not what the overlay makes of the spec",
            golden.display()
        );
        let nevra = rpmspec(
            &overlay,
            kernel.el,
            &golden,
            &["-q", "--srpm", "--qf", "%{version}-%{release}"],
        )?;
        let base = format!("{}-{}", kernel.version, kernel.release);
        ensure!(
            nevra == format!("{}-{}", kernel.version, kernel.ours),
            "{nevra}"
        );
        check_above(&nevra, &base)?;
        check_parsed(
            &rpmspec(&overlay, kernel.el, &golden, &["-P"])?,
            kernel.version,
        )
        .with_context(|| format!("EL{}", kernel.el))?;
    }
    Ok(())
}

/// The spec that stands in for EL8's own where the kernel is built of its real source.
#[test]
fn the_spec_for_the_source_of_el8_takes_the_edits_of_its_overlay() -> Result<()> {
    let kernel = &KERNELS[0];
    let (overlay, _) = overlay(kernel.el, &[])?.for_release(kernel.release)?;
    let folder = repository().join("specs/distributions/rehearsal-el/kernel-8");
    let scratch = tempfile::tempdir()?;
    let release = "553.66.1.el8_10";
    let ours = "553.66.1.el8_10_lustre";
    release::for_release(&folder, kernel.version, release, scratch.path())?;
    let spec = scratch.path().join("kernel.spec");
    let edited = overlay.edit_spec(&fs::read_to_string(&spec)?)?;
    fs::write(&spec, edited)?;
    let query = ["-q", "--srpm", "--qf", "%{version}-%{release}"];
    let nevra = rpmspec(&overlay, kernel.el, &spec, &query)?;
    ensure!(nevra == format!("{}-{ours}", kernel.version), "{nevra}");
    let parsed = rpmspec(&overlay, kernel.el, &spec, &["-P"])?;
    check_parsed(&parsed, kernel.version)
}

#[test]
fn an_anchor_that_fits_three_lines_is_noticed() -> Result<()> {
    // The hand-written recipe matches the beginning of a line, which was one line in EL8's spec and is three in EL9's.
    for (el, found) in [(8, 1), (9, 3), (10, 3)] {
        let mut overlay = overlay(el, &[])?;
        let edit = &mut overlay.manifest.edit[0];
        ensure!(edit.name == "ext4-source");
        edit.anchor = "    find $RPM_BUILD_ROOT/lib/modules/$KernelVer".to_owned();
        edit.mode = Match::Prefix;
        let edited = overlay.edit_spec(&fs::read_to_string(stand_in(el))?);
        match (found, edited) {
            (1, Ok(_)) => {}
            (3, Err(errors)) => {
                let text = errors.to_string();
                ensure!(
                    text.contains("ext4-source") && text.contains("3 times"),
                    "{text}"
                );
            }
            (_, other) => anyhow::bail!("EL{el}: {other:?}"),
        }
    }
    Ok(())
}

/// Sources as an SRPM has them, and a Lustre tree with the series that the overlay names.
fn prepared(kernel: &Kernel, options: &[&str]) -> Result<(tempfile::TempDir, Overlay)> {
    let dir = tempfile::tempdir()?;
    let (sources, lustre, site) = (
        dir.path().join("sources"),
        dir.path().join("lustre"),
        dir.path().join("site"),
    );
    let patches = lustre.join("lustre/kernel_patches");
    for folder in [
        &sources,
        &patches.join("series"),
        &patches.join("patches"),
        &site,
    ] {
        fs::create_dir_all(folder)?;
    }
    let (overlay, vars) = overlay(kernel.el, options)?.for_release(kernel.release)?;
    let config = overlay.manifest.config.as_ref().context("a [config]")?;
    fs::copy(stand_in(kernel.el), sources.join("kernel.spec"))?;
    fs::write(
        sources.join(&config.base),
        "# x86_64\nCONFIG_BLK_DEV_LOOP=m\nCONFIG_MODULE_SIG_ALL=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"\"\n",
    )?;
    let major = kernel.version.rsplit_once('.').context("a version")?.0;
    fs::write(
        patches.join(format!("series/{major}-rhel{}.series", kernel.minor)),
        "one.patch\n",
    )?;
    fs::write(
        patches.join("patches/one.patch"),
        "--- a/fs/a.c\n+++ b/fs/a.c\n@@ -1,3 +1,4 @@\n one\n+patched\n two\n three\n",
    )?;
    fs::write(site.join("module-signing.pem"), "the site's certificate\n")?;
    let mut inputs = Inputs {
        roots: BTreeMap::from([("lustre".to_owned(), lustre), ("site".to_owned(), site)]),
        ..Inputs::default()
    };
    inputs.vars.extend(vars);
    for (name, value) in [
        ("version", kernel.version),
        ("release", kernel.ours),
        ("arch", "x86_64"),
    ] {
        inputs.vars.insert(name.to_owned(), value.to_owned());
    }
    overlay.prepare(&sources, &dir.path().join("out"), &inputs)?;
    Ok((dir, overlay))
}

#[test]
fn the_config_that_the_spec_reads_gets_the_fragments() -> Result<()> {
    for kernel in &KERNELS {
        let (dir, overlay) = prepared(kernel, &[])?;
        let base = &overlay.manifest.config.as_ref().context("a [config]")?.base;
        ensure!(
            (base == "kernel-x86_64.config") == (kernel.el == 8),
            "{base}"
        );
        let config = fs::read_to_string(dir.path().join("out").join(base))?;
        ensure!(
            config.starts_with("# x86_64\n"),
            "the spec reads the architecture from the first line"
        );
        for line in [
            "CONFIG_MODULE_SIG_KEY=\"\"",
            "# CONFIG_MODULE_SIG_ALL is not set",
            "CONFIG_DM_FLAKEY=m",
        ] {
            ensure!(
                config.lines().any(|there| there == line),
                "EL{}: no `{line}`:\n{config}",
                kernel.el
            );
        }
        let patch = dir
            .path()
            .join(format!("out/patch-{}-lustre.patch", kernel.version));
        ensure!(fs::read_to_string(patch)?.contains("+patched"));
        ensure!(!dir.path().join("out/site-module-signing.pem").exists());
    }
    Ok(())
}

#[test]
fn a_site_s_certificate_goes_into_the_kernel_and_no_key_does() -> Result<()> {
    for kernel in &KERNELS {
        let (dir, overlay) = prepared(kernel, &["site-key", "no-debuginfo"])?;
        let out = dir.path().join("out");
        let base = &overlay.manifest.config.as_ref().context("a [config]")?.base;
        let config = fs::read_to_string(out.join(base))?;
        ensure!(
            lines(
                &config,
                "CONFIG_SYSTEM_TRUSTED_KEYS=\"certs/site-module-signing.pem\""
            )
            .len()
                == 1
        );
        ensure!(lines(&config, "CONFIG_MODULE_SIG_KEY=\"\"").len() == 1);
        ensure!(out.join("site-module-signing.pem").exists());
        ensure!(
            overlay
                .manifest
                .build
                .flags()
                .ends_with(&["--without".to_owned(), "debuginfo".to_owned()])
        );
        let parsed = rpmspec(&overlay, kernel.el, &out.join("kernel.spec"), &["-P"])?;
        check_parsed(&parsed, kernel.version)?;
        ensure!(lines(&parsed, "Source99995: site-module-signing.pem").len() == 1);
        ensure!(lines(&parsed, "site-module-signing.pem\" certs/").len() == 1);
    }
    Ok(())
}

#[test]
fn an_option_that_is_not_there_is_told_with_those_that_are() -> Result<()> {
    for (options, part) in [
        (
            &["secure-boot"][..],
            "available options: absent-patches, no-debuginfo, site-key, trimmed-config",
        ),
        (&["site-key", "site-key"], "listed twice"),
    ] {
        let error = overlay(9, options).err().context("an error")?.to_string();
        ensure!(
            error.contains(part) && error.contains("overlay.toml"),
            "{error}"
        );
    }
    Ok(())
}
