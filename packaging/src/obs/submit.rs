//! Bringing sources there: what differs, and nothing twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lustre_rpm_header::Md5;

use super::answers::{self, Directory};
use super::api::Question;
use super::{Api, Error, Project, names};
use crate::process;
use crate::store::PathError;
use crate::target::E2FSPROGS;

/// Files that whoever has the project may have put there, and that stay: for its workers, and to pin what a build root has.
const KEPT: [&str; 2] = ["_constraints", "_buildenv"];

/// How often a list is committed that a cut connection may have committed already.
const TRIES: usize = 3;

/// The sources of a package: files in a folder.
#[derive(Debug, Clone)]
pub struct Sources {
    folder: PathBuf,
    /// The MD5 of each, by name.
    files: BTreeMap<String, String>,
}

impl Sources {
    /// All files of `folder`.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        let failed = |source| PathError::new("read", folder, source);
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !names::is_file(&name) {
                return Err(Error::Name {
                    what: "a source file",
                    text: name.escape_debug().to_string(),
                });
            }
            files.insert(name, md5_of(&entry.path())?);
        }
        Ok(Self {
            folder: folder.to_owned(),
            files,
        })
    }
}

/// The MD5 of a file, by which the server knows it.
fn md5_of(path: &Path) -> Result<String, PathError> {
    let failed = |source| PathError::new("read", path, source);
    let mut file = lustre_files::open(path).map_err(failed)?;
    let mut md5 = Md5::default();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        if process::interrupted() {
            return Err(failed(std::io::Error::other("interrupted")));
        }
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&md5.finish())),
            count => md5.update(&buffer[..count]),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the server calls sources of these files: the MD5 of the list of theirs.
fn srcmd5(files: &BTreeMap<String, String>) -> String {
    let lines = files.iter().map(|(name, md5)| format!("{md5}  {name}\n"));
    hex(&Md5::of(lines.collect::<String>().as_bytes()))
}

/// Sources that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// What the server calls them, as it was found out here.
    pub srcmd5: String,
    /// Whether they were there before.
    pub unchanged: bool,
    /// The files that were uploaded.
    pub uploaded: Vec<String>,
}

/// A repository of a project, and those of the projects below it on which it builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repositories {
    pub name: String,
    pub config: String,
    /// Of the packages that have a project of their own.
    pub packages: BTreeMap<String, String>,
}

impl Repositories {
    /// That in which `package` is built.
    pub fn of(&self, package: &str) -> &str {
        self.packages.get(package).unwrap_or(&self.name)
    }
}

/// The repository of a project in which `target` is built for `arch`: the one that was named, or the only one. `before` are the packages that
/// have a project of their own, in the order in which the project has to build on these.
pub fn repository(
    api: &Api,
    project: &Project,
    target: &str,
    before: &[&str],
    arch: &str,
) -> Result<Repositories, Error> {
    let config = project.config();
    let below: Vec<String> = before.iter().map(|package| project.of(package)).collect();
    let export = format!(
        "cargo xtask export obs --target {target} --package {E2FSPROGS} --project {project} -o DIR"
    );
    let mut all = BTreeMap::new();
    let mut missing = Vec::new();
    // Each is made after those that it is built on.
    for name in [&config].into_iter().chain(&below).chain([&project.name]) {
        let path = ["source", name, "_meta"];
        let question = Question {
            path: &path,
            query: &[],
        };
        let Some(meta) = api.get(question)? else {
            missing.push(name.clone());
            continue;
        };
        let found = answers::repositories(&meta).map_err(|why| api.odd(question, why))?;
        let found: Vec<_> = found
            .into_iter()
            .filter(|one| one.arches.iter().any(|other| other == arch))
            .collect();
        all.insert(name, found);
    }
    if !missing.is_empty() {
        return Err(Error::NoProject {
            api: api.url().to_owned(),
            missing,
            export,
        });
    }
    let own = &all[&project.name];
    let wanted: Vec<_> = own
        .iter()
        .filter(|one| {
            project
                .repository
                .as_ref()
                .is_none_or(|name| *name == one.name)
        })
        .collect();
    let [one] = wanted[..] else {
        return Err(Error::Repository {
            project: project.name.clone(),
            found: own.iter().map(|one| names::line(&one.name)).collect(),
            export,
        });
    };
    // Each of its first paths is a repository of one of those, in this order.
    let order: Vec<&String> = below.iter().chain([&config]).collect();
    let mut names = Vec::new();
    for (at, name) in order.iter().enumerate() {
        let path = one.paths.get(at).filter(|(found, _)| found == *name);
        let there = path.and_then(|(_, found)| all[*name].iter().find(|one| one.name == *found));
        let Some(there) = there else {
            return Err(Error::NoPath {
                project: project.name.clone(),
                repository: names::line(&one.name),
                wanted: format!("a repository of {name} for {arch}"),
                order: order
                    .iter()
                    .map(|name| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                export,
            });
        };
        names.push(there);
    }
    // What they build on is the configuration that the project itself has.
    let of_config = &names[before.len()].name;
    for (name, one) in below.iter().zip(&names) {
        let wanted = (config.clone(), of_config.clone());
        if one.paths.first() != Some(&wanted) {
            return Err(Error::NoPath {
                project: name.clone(),
                repository: names::line(&one.name),
                wanted: format!("{config}/{}", names::line(of_config)),
                order: config.clone(),
                export,
            });
        }
    }
    // They become parts of URLs and paths.
    let named = |name: &str| -> Result<String, Error> {
        let project = Project::parse(&format!("{}/{name}", project.name))?;
        Ok(project.repository.unwrap_or_default())
    };
    let packages = before.iter().zip(&names);
    Ok(Repositories {
        name: named(&one.name)?,
        config: named(of_config)?,
        packages: packages
            .map(|(package, one)| Ok(((*package).to_owned(), named(&one.name)?)))
            .collect::<Result<_, Error>>()?,
    })
}

/// Sets the project's configuration, where it is another; whether it was.
pub fn config(api: &Api, project: &str, text: &str) -> Result<bool, Error> {
    let path = ["source", project, "_config"];
    let question = Question {
        path: &path,
        query: &[],
    };
    if api
        .get(question)?
        .is_some_and(|found| found == text.as_bytes())
    {
        return Ok(false);
    }
    api.send_text("PUT", question, text.as_bytes())?;
    Ok(true)
}

/// Makes the package of a project, with the text `meta`, where it is not there, and its sources those in `sources`.
pub fn package(
    api: &Api,
    project: &str,
    name: &str,
    meta: &str,
    sources: &Sources,
) -> Result<Submitted, Error> {
    let path = ["source", project, name];
    let list = Question {
        path: &path,
        query: &[],
    };
    let mut files = sources.files.clone();
    let found = match api.get(list)? {
        Some(found) => answers::directory(&found).map_err(|why| api.odd(list, why))?,
        None => {
            let path = ["source", project, name, "_meta"];
            let question = Question {
                path: &path,
                query: &[],
            };
            api.send_text("PUT", question, meta.as_bytes())?;
            Directory::default()
        }
    };
    let others = found
        .entries
        .iter()
        .filter(|(name, _)| !sources.files.contains_key(name));
    let (kept, foreign): (Vec<_>, Vec<_>) =
        others.partition(|(name, _)| KEPT.contains(&name.as_str()));
    for (name, md5) in kept {
        if !names::is_md5(md5) {
            return Err(api.odd(list, format!("`{md5}` is no MD5")));
        }
        files.insert(name.clone(), md5.clone());
    }
    // What a service itself reads makes another package of it, and is never ours; other files are where we said so.
    let is_ours = || is_marked(api, project, name);
    if !foreign.is_empty() && (foreign.iter().any(|(name, _)| name.starts_with('_')) || !is_ours()?)
    {
        return Err(Error::Foreign {
            project: project.to_owned(),
            package: name.to_owned(),
            files: foreign.iter().map(|(name, _)| names::line(name)).collect(),
        });
    }
    let expected = srcmd5(&files);
    let other = |found: Option<String>| Error::OtherSources {
        project: project.to_owned(),
        package: name.to_owned(),
        expected: expected.clone(),
        found: names::line(&found.unwrap_or_else(|| "unknown".to_owned())),
    };
    if same(&found, &files) {
        if found.srcmd5.as_deref() != Some(expected.as_str()) {
            return Err(other(found.srcmd5));
        }
        return Ok(Submitted {
            srcmd5: expected,
            unchanged: true,
            uploaded: Vec::new(),
        });
    }
    let mut uploaded = Vec::new();
    for _ in 0..TRIES {
        let answer = committed(api, project, name, &files)?;
        if answer.error.as_deref() != Some("missing") {
            if answer.srcmd5.as_deref() != Some(expected.as_str()) {
                return Err(other(answer.srcmd5));
            }
            return Ok(Submitted {
                srcmd5: expected,
                unchanged: false,
                uploaded,
            });
        }
        for (file, _) in &answer.entries {
            // What is missing there and not here, nobody can bring.
            if !sources.files.contains_key(file) {
                return Err(api.odd(list, format!("it asks for {file}, which is no source")));
            }
            let path = ["source", project, name, file];
            // The content alone: a revision is made of all of them.
            let question = Question {
                path: &path,
                query: &[("rev", "repository")],
            };
            api.send("PUT", question, Some(&sources.folder.join(file)))?;
            uploaded.push(file.clone());
        }
    }
    Err(api.odd(list, "it misses files that were uploaded"))
}

/// Whether a package says that its sources are replaced.
fn is_marked(api: &Api, project: &str, package: &str) -> Result<bool, Error> {
    let path = ["source", project, package, "_meta"];
    let question = Question {
        path: &path,
        query: &[],
    };
    let meta = api.get(question)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&meta).contains(names::MARK))
}

/// Whether the server has just these files.
fn same(found: &Directory, files: &BTreeMap<String, String>) -> bool {
    let there: BTreeMap<&String, &String> = found.entries.iter().map(|(a, b)| (a, b)).collect();
    there.len() == found.entries.len() && there == files.iter().collect()
}

/// Commits a list of files. It is asked once: of a second time it could make another revision.
fn committed(
    api: &Api,
    project: &str,
    name: &str,
    files: &BTreeMap<String, String>,
) -> Result<Directory, Error> {
    let entries = files.iter().map(|(name, md5)| {
        let name = name
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;");
        format!("<entry name=\"{name}\" md5=\"{md5}\"/>")
    });
    let text = format!("<directory>{}</directory>", entries.collect::<String>());
    let path = ["source", project, name];
    let question = Question {
        path: &path,
        query: &[("cmd", "commitfilelist"), ("comment", "lustre-repo")],
    };
    let list = Question {
        path: &path,
        query: &[],
    };
    let mut last = None;
    for _ in 0..TRIES {
        match api.once().send_text("POST", question, text.as_bytes()) {
            Ok(answer) => {
                return answers::directory(&answer).map_err(|why| api.odd(question, why));
            }
            // The connection was cut, or the server stumbled: before or after it made a revision?
            Err(error) if error.is_transient() => {
                let found = api.got(list)?;
                let found = answers::directory(&found).map_err(|why| api.odd(list, why))?;
                if same(&found, files) {
                    return Ok(found);
                }
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| api.odd(question, "it does not answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_called_as_the_server_calls_them() {
        let files = BTreeMap::from([
            (
                "b".to_owned(),
                "60b725f10c9c85c70d97880dfe8191b3".to_owned(),
            ),
            (
                "a.spec".to_owned(),
                "3b5d5c3712955042212316173ccf37be".to_owned(),
            ),
        ]);
        // printf '3b5d…  a.spec\n60b7…  b\n' | md5sum
        assert_eq!(srcmd5(&files), "9ff7a8c81a3a9ed9883b03a5ff96830c");
        assert_eq!(srcmd5(&BTreeMap::new()), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
