//! `sign-and-measure KEY UNSIGNED SIGNED TIME`: signs one package, verifies it and prints the process's peak memory in KiB.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lustre_packaging::sign::{Key, sign_package, verify_package};

#[expect(clippy::print_stdout, reason = "what it prints is its result")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, unsigned, signed, time] = arguments.as_slice() else {
        bail!("usage: sign-and-measure KEY UNSIGNED SIGNED TIME");
    };
    let key = Key::from_file(Path::new(key), None)?;
    let signed = Path::new(signed);
    sign_package(Path::new(unsigned), signed, &key, time.parse()?)?;
    verify_package(signed, &key.public_key())?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("no VmHWM in /proc/self/status")?;
    println!("{peak}");
    Ok(())
}
