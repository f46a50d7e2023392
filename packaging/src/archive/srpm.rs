//! The content of source packages.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Component, Path};

use rpm::{FileFlags, FileType};

use super::unpack::{finish, in_new_folder};
use super::{Error, Refusal};
use crate::store::{PathError, copy_bytes};

/// An unpacked source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srpm {
    /// The name of its spec file in the folder.
    pub spec: String,
    /// The names of all its files, the spec among them, sorted.
    pub files: Vec<String>,
}

/// Unpacks the source package `package` into `into`, a folder that is empty or not there: all files side by side, as a
/// source package has them. They get the mode 0644 or 0755 and the times of the package. Signatures and digests are
/// not checked here.
pub fn unpack_srpm(package: &Path, into: &Path) -> Result<Srpm, Error> {
    let bad = |why: String| Error::Package {
        package: package.to_owned(),
        why,
    };
    let wrong = |error: rpm::Error| bad(error.to_string());
    let mut reader = lustre_rpm_header::reader(package).map_err(wrong)?;
    if !reader.metadata.is_source_package() {
        return Err(bad("it is a binary package".to_owned()));
    }
    in_new_folder(into, |folder| {
        let mut specs = Vec::new();
        let mut files = Vec::new();
        while let Some(mut file) = reader.next_file().map_err(wrong)? {
            let entry = file.metadata.clone();
            let name = plain_name(&entry.path()).map_err(|why| Error::Refused {
                archive: package.to_owned(),
                entry: entry.path().display().to_string(),
                why,
            })?;
            if !matches!(entry.mode().file_type(), FileType::Regular) {
                return Err(Error::Refused {
                    archive: package.to_owned(),
                    entry: name,
                    why: Refusal::Kind("not a file".to_owned()),
                });
            }
            let full = folder.join(&name);
            let failed = |source| PathError::new("write", &full, source);
            let mut out = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&full)
                .map_err(failed)?;
            let mut write_error = None;
            let copied = copy_bytes(&mut file, &mut |bytes| {
                out.write_all(bytes).map_err(|error| {
                    let kind = error.kind();
                    write_error = Some(error);
                    kind.into()
                })
            });
            if let Some(error) = write_error {
                return Err(failed(error).into());
            }
            copied.map_err(|error| bad(error.to_string()))?;
            let mode = if entry.mode().permissions() & 0o111 == 0 {
                0o644
            } else {
                0o755
            };
            finish(&full, Some(mode), u64::from(entry.modified_at().0))?;
            if entry.flags().contains(FileFlags::SPECFILE) {
                specs.push(name.clone());
            }
            files.push(name);
        }
        files.sort();
        match <[String; 1]>::try_from(specs) {
            Ok([spec]) => Ok(Srpm { spec, files }),
            Err(specs) => Err(bad(format!("it has {} spec files, not one", specs.len()))),
        }
    })
}

/// The name of a file of a source package: one plain part, which rpm-rs may give below `/`.
fn plain_name(path: &Path) -> Result<String, Refusal> {
    let parts: Vec<Component<'_>> = path
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .collect();
    match parts[..] {
        [Component::Normal(name)] => name.to_str().map(str::to_owned).ok_or(Refusal::Name),
        [] => Err(Refusal::Name),
        _ => Err(Refusal::Climbs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let name = |text: &str| plain_name(Path::new(text));
        assert_eq!(name("kernel.spec"), Ok("kernel.spec".to_owned()));
        assert_eq!(name("/kernel.spec"), Ok("kernel.spec".to_owned()));
        assert_eq!(name("./kernel.spec"), Ok("kernel.spec".to_owned()));
        assert_eq!(name("/etc/passwd"), Err(Refusal::Climbs));
        assert_eq!(name("../x"), Err(Refusal::Climbs));
        assert_eq!(name(".."), Err(Refusal::Climbs));
        assert_eq!(name("/"), Err(Refusal::Name));
    }
}
