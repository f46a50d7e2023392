//! Our side of the rows, in processes of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lustre_packaging::sandbox::{ChrootClone, User};
use lustre_packaging::sign::{Key, sign_packages};
use lustre_repository::closure::Universe;
use lustre_repository::repodata::{self, Options};

use crate::metadata::REVISION;

/// The argument after which a piece of work is named.
pub const ARGUMENT: &str = "--work";

pub fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["write", root, workers] => {
            let options = Options {
                revision: REVISION,
                workers: workers.parse()?,
                ..Options::default()
            };
            repodata::write(Path::new(root), &options)?;
        }
        ["read", root] => {
            let packages = repodata::read(Path::new(root))?.packages;
            let files: usize = packages.iter().map(|package| package.files.len()).sum();
            println!("{} {files}", packages.len());
        }
        ["closure", root] => {
            let packages = repodata::read(Path::new(root))?.packages;
            for missing in Universe::new(&packages, []).missing() {
                println!("{}", missing.requirement);
            }
        }
        ["sign", key, from, to, time] => {
            let key = Key::from_file(Path::new(key), None)?;
            let time = time.parse()?;
            let mut packages = Vec::new();
            for entry in fs::read_dir(from)? {
                let path = entry?.path();
                let name = path.file_name().context("a file")?;
                let signed = Path::new(to).join(name);
                packages.push((path, signed));
            }
            sign_packages(&packages, &key, time)?;
        }
        ["clone", chroot, folder] => {
            ChrootClone::new(Path::new(chroot), Path::new(folder), User::Builder)?;
        }
        _ => bail!("what is {}?", arguments.join(" ")),
    }
    Ok(())
}
