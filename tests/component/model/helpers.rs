//! What the tests share: a kernel tree, rpm's configuration with our macros, modules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const RELEASE: &str = "6.1.176-1.reh12_lustre.x86_64";
pub const SYMVERS: &str = "0x11111111\tvfs_create\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                       0x22222222\tmnt_source_name\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                       0x0badcafe\tjbd2_log_start\tfs/jbd2/jbd2\tEXPORT_SYMBOL\t\n";

pub fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

pub fn model() -> PathBuf {
    specs().join("model/lustre")
}

pub fn macros() -> PathBuf {
    specs().join("distributions/rehearsal/own/kernel-rpm-macros/root/usr/lib/rpm")
}

/// A kernel tree as far as spec and generators look at one.
pub fn kernel_tree(dir: &Path) -> PathBuf {
    let tree = dir.join("linux");
    fs::create_dir_all(tree.join("include/generated")).unwrap();
    fs::write(
        tree.join("include/generated/utsrelease.h"),
        format!("#define UTS_RELEASE \"{RELEASE}\"\n"),
    )
    .unwrap();
    fs::write(tree.join("Module.symvers"), SYMVERS).unwrap();
    tree
}

/// rpm's own configuration with our macros installed into it, as in the distribution.
pub fn rpm_config(dir: &Path) -> PathBuf {
    let config = dir.join("rpm");
    for from in [Path::new("/usr/lib/rpm"), &macros()] {
        let done = Command::new("cp")
            .arg("-a")
            .arg(from.join("."))
            .arg(&config)
            .status()
            .unwrap();
        assert!(done.success(), "cannot copy {}", from.display());
    }
    config
}

/// The spec as configure writes it.
pub fn spec(dir: &Path, tree: &Path) -> PathBuf {
    let text = fs::read_to_string(model().join("lustre.spec.in")).unwrap();
    let text = text
        .replace("@PACKAGE_VERSION@", "2.17.0_model")
        .replace("@LINUX@", tree.to_str().unwrap())
        .replace("@LINUXRELEASE@", "");
    let path = dir.join("lustre.spec");
    fs::write(&path, text).unwrap();
    path
}

pub fn rpmspec(dir: &Path, config: &Path, arguments: &[&str]) -> Output {
    Command::new("rpmspec")
        .env("RPM_CONFIGDIR", config)
        .env("HOME", dir)
        .arg("--define")
        .arg(format!("_sourcedir {}", model().join("rpm").display()))
        .args(arguments)
        .arg(dir.join("lustre.spec"))
        .output()
        .unwrap()
}

pub fn names(output: &Output) -> BTreeSet<String> {
    lines(output).into_iter().collect()
}

/// Runs a generator on one file name, as rpm does.
pub fn generate(program: &str, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(macros().join(program));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(
        child.stdin.as_mut().unwrap(),
        format!("{}\n", file.display()).as_bytes(),
    )
    .unwrap();
    child.wait_with_output().unwrap()
}

pub fn lines(output: &Output) -> Vec<String> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Compiles a module that exports and needs the given symbols, each with its checksum.
pub fn module(
    buildroot: &Path,
    path: &str,
    exports: &[(&str, u32)],
    needs: &[(&str, u32)],
) -> PathBuf {
    let file = buildroot.join("lib/modules").join(RELEASE).join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut source = String::from(".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n");
    if !exports.is_empty() {
        source.push_str(".section __ksymtab_strings,\"aMS\",@progbits,1\n");
    }
    for (symbol, _) in exports {
        source.push_str(&format!(".asciz \"{symbol}\"\n"));
    }
    for (symbol, checksum) in exports {
        source.push_str(&format!(
            ".section ___kcrctab_gpl+{symbol},\"a\"\n__crc_{symbol}: .long {checksum}\n"
        ));
        source.push_str(&format!(".text\n.globl {symbol}\n{symbol}: ret\n"));
    }
    if !needs.is_empty() {
        source.push_str(".section __versions,\"a\"\n");
    }
    for (symbol, checksum) in needs {
        source.push_str(&format!(
            "1: .quad {checksum}\n.asciz \"{symbol}\"\n.org 1b + 64\n"
        ));
    }
    let input = file.with_extension("s");
    fs::write(&input, source).unwrap();
    let done = Command::new("gcc")
        .arg("-c")
        .arg(&input)
        .arg("-o")
        .arg(&file)
        .status()
        .unwrap();
    assert!(done.success(), "gcc cannot make {}", file.display());
    fs::remove_file(input).unwrap();
    file
}
