//! Hands on the digest of the tool's code, for the keys of the stages that it runs.

mod code;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let project = Path::new("..");
    let places = code::places(project)?;
    for path in &places {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    println!(
        "cargo:rustc-env=LUSTRE_REPO_CODE={}",
        code::digest(project, &places)?
    );
    Ok(())
}
