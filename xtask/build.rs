//! Hands on the digest of the tool's code, for the keys of the stages that it runs; and, with the feature `own-specs`, the specs.

mod code;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

fn main() -> io::Result<()> {
    let project = Path::new("..");
    let places = code::places(project)?;
    for path in &places {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    println!(
        "cargo:rustc-env=LUSTRE_REPO_CODE={}",
        code::digest(project, &places)?
    );
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?;
    fs::write(Path::new(&out).join("specs.rs"), own_specs(project)?)
}

/// The code that has the specs in it. Locks are not among them: they are of the place that they were made in.
fn own_specs(project: &Path) -> io::Result<String> {
    if std::env::var_os("CARGO_FEATURE_OWN_SPECS").is_none() {
        return Ok("const FILES: &[EmbeddedFile] = &[];\nconst DIGEST: &str = \"\";\n".to_owned());
    }
    let specs = fs::canonicalize(project.join("specs"))?;
    println!("cargo:rerun-if-changed={}", specs.display());
    let mut files = Vec::new();
    collect(&specs, &mut files)?;
    files.sort();
    let mut list = String::from("const FILES: &[EmbeddedFile] = &[\n");
    let mut hasher = Sha256::new();
    for path in &files {
        let name = path.strip_prefix(&specs).map_err(io::Error::other)?;
        if name.starts_with("locks") {
            continue;
        }
        let is_program = fs::metadata(path)?.permissions().mode() & 0o100 != 0;
        let name = name
            .to_str()
            .ok_or_else(|| io::Error::other(format!("{name:?} is not UTF-8")))?;
        #[allow(clippy::disallowed_methods, reason = "the project's own specs")]
        let content = fs::read(path)?;
        for part in [name.as_bytes(), &[u8::from(is_program)], &content] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let _ = writeln!(
            list,
            "    ({name:?}, {is_program}, include_bytes!({path:?})),"
        );
    }
    let digest = hasher.finalize();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{list}];\nconst DIGEST: &str = {digest:?};\n"))
}

/// The files below `folder`, without what editors leave.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() {
            collect(&path, files)?;
        } else if !kind.is_file() {
            return Err(io::Error::other(format!("{path:?} is no file")));
        } else if !name.ends_with('~') && !name.ends_with(".swp") {
            files.push(path);
        }
    }
    Ok(())
}
