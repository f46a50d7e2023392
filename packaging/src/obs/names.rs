//! What things may be called, whoever says it: names become paths here, and lines on a terminal.

use std::fmt;

use super::Error;
use crate::shown::obeyed;
use crate::target::LUSTRE;

/// No name is longer (bytes).
const LONGEST: usize = 200;

/// What `_meta` of a package says whose sources are replaced.
pub const MARK: &str = "Its sources are those of lustre-repo, which replaces all of them.";

/// Whether `text` is a name of these characters that is no path and no option.
fn is_name(text: &str, more: &[char]) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || more.contains(&c);
    !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(plain)
        && !text.starts_with(['.', '-'])
}

/// The name of a file of a package: of sources or results.
pub(super) fn is_file(text: &str) -> bool {
    is_name(text, &['_', '-', '.', '+', '~', '^', '%', ':', '@', '='])
}

/// The name, the version or the release of a package.
pub(super) fn is_package_part(text: &str) -> bool {
    is_name(text, &['_', '-', '.', '+', '~', '^', '%'])
}

/// An MD5 digest.
pub(super) fn is_md5(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A line that somebody else wrote, without what a terminal would take for a command, or show in another order.
pub(super) fn line(text: &str) -> String {
    let clean = |c: char| {
        if c.is_control() || obeyed(c) { ' ' } else { c }
    };
    let text: String = text.chars().take(2_000).map(clean).collect();
    text.trim().to_owned()
}

/// Whether a service takes `text` as the name of a project, and of those below it: words of letters, digits and `-+_.`, with colons between
/// them.
fn is_project(text: &str) -> bool {
    const LONGEST_PROJECT: usize = 150;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+_.".contains(c);
    text.len() <= LONGEST_PROJECT
        && text.split(':').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(plain)
        })
}

/// The project below `project` that holds what sets the build up.
pub fn config_project(project: &str) -> String {
    format!("{project}:config")
}

/// The project in which `package` is built. What others are built with is built in a project of its own, below `project`: the build roots of
/// a project have what is built there, in place of what the distribution has, and e2fsprogs has packages that every build root has.
pub fn project_of(project: &str, package: &str) -> String {
    match package {
        LUSTRE => project.to_owned(),
        package => format!("{project}:{package}"),
    }
}

/// No DISTURL is longer (bytes).
const LONGEST_DISTURL: usize = 1000;

/// Whether `text` can be a DISTURL: a server's name, project, repository, sources and package. It becomes a macro of a build, a line of a
/// terminal and a part of a published repository, so nothing in it is expanded or obeyed by any of them.
pub fn is_disturl(text: &str) -> bool {
    let rest = text.strip_prefix("obs://").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+~".contains(&byte);
    !rest.is_empty() && text.len() <= LONGEST_DISTURL && rest.bytes().all(plain)
}

/// A project, and which of its repositories, where that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    pub repository: Option<String>,
}

impl Project {
    /// `PROJECT` or `PROJECT/REPOSITORY`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (name, repository) = match text.split_once('/') {
            Some((name, repository)) => (name, Some(repository)),
            None => (text, None),
        };
        if !is_project(name) {
            let text = name.escape_debug().take(LONGEST).collect();
            return Err(Error::ProjectName { text });
        }
        let is_repository =
            |text: &str| is_name(text, &['_', '-', '.', '+']) && !text.starts_with('_');
        if let Some(text) = repository.filter(|text| !is_repository(text)) {
            let text = text.escape_debug().take(LONGEST).collect();
            return Err(Error::RepositoryName { text });
        }
        Ok(Self {
            name: name.to_owned(),
            repository: repository.map(str::to_owned),
        })
    }

    /// The project that holds what sets the build up.
    pub fn config(&self) -> String {
        config_project(&self.name)
    }

    /// The project in which `package` is built.
    pub fn of(&self, package: &str) -> String {
        project_of(&self.name, package)
    }
}

impl fmt::Display for Project {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        match &self.repository {
            Some(repository) => write!(out, "/{repository}"),
            None => Ok(()),
        }
    }
}

/// Where a package is built.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Place {
    pub project: String,
    pub repository: String,
    pub arch: String,
    pub package: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.repository, self.arch)
    }
}

impl Place {
    /// The path of what was built, and of what is known of it.
    pub(super) fn path<'p>(&'p self, file: Option<&'p str>) -> Vec<&'p str> {
        let mut path = vec![
            "build",
            &self.project,
            &self.repository,
            &self.arch,
            &self.package,
        ];
        path.extend(file);
        path
    }

    /// The path of the list of what was built for its repository and architecture.
    pub(super) fn history(&self) -> [&str; 5] {
        let Self {
            project,
            repository,
            arch,
            ..
        } = self;
        ["build", project, repository, arch, "_jobhistory"]
    }

    /// What is asked of its project about the package alone.
    pub(super) fn query(&self) -> [(&'static str, &str); 3] {
        [
            ("repository", &self.repository),
            ("arch", &self.arch),
            ("package", &self.package),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "..",
            ".a",
            "-a",
            "a/b",
            "a\nb",
            "a b",
            "é",
            &"a".repeat(201),
        ] {
            assert!(!is_file(text), "{text:?}");
        }
        assert!(is_file(
            "libcom_err-1.47.0-100.lustre1.el9~x^y+z.x86_64.rpm"
        ));
        for text in [
            "", "a/b/c", "a/", "/b", "..", "a?cmd=x", "a#b", "a%2fb", "a::b", ":a", "_a", "a b",
        ] {
            assert!(Project::parse(text).is_err(), "{text:?}");
        }
        let project = Project::parse("home:me:lustre/el9").unwrap();
        assert_eq!(project.config(), "home:me:lustre:config");
        assert_eq!(project.of("kernel"), "home:me:lustre:kernel");
        assert_eq!(project.of("lustre"), "home:me:lustre");
        assert_eq!(project.repository.as_deref(), Some("el9"));
    }

    /// It is a part of a macro of rpm, and of an argument of rpmbuild.
    #[test]
    fn a_disturl_has_nothing_in_it_that_rpm_expands() {
        let good = "obs://obs.test/lustre:el9/standard/d41d8cd98f00b204e9800998ecf8427e-e2fsprogs";
        assert!(is_disturl(good));
        for bad in [
            "",
            "obs://",
            "https://obs.test/x",
            "obs://a/%(id)",
            "obs://a/%{lua:x}",
            "obs://a b",
            "obs://$(touch${IFS}x)/p",
            "obs://a;b",
            "obs://a\u{202e}b",
            "obs://a\nb",
            "obs://\u{e9}",
        ] {
            assert!(!is_disturl(bad), "{bad:?}");
        }
        assert!(!is_disturl(&format!("obs://{}", "a".repeat(1000))));
    }

    #[test]
    fn a_line_of_others_has_no_commands_for_the_terminal() {
        assert_eq!(line(" a\u{1b}[2Jb\r\nc "), "a [2Jb  c");
        assert_eq!(line("a\u{202e}b"), "a b");
    }
}
