//! What decides what a spec builds, as lines at its beginning: release, conditions, words for configure.
//!
//! rpmbuild takes the same on its command line, but then the source package does not have it: rebuilt by mock, Koji or OBS, it becomes
//! another package.
//!
//! rpm expands the value of an option where the macro is used, and that of a line with `%global` where it stands. So a value that has
//! something to expand is set with `%define`, which does as the option does.

use lustre_files::help;

/// Macros that a spec is to have, in the order in which they are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecMacros(Vec<(String, String)>);

/// A macro that cannot be in a spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecMacroError {
    #[error(
        "`{option}` is an option of rpmbuild that a spec cannot have{}",
        help!("only `--with NAME`, `--without NAME` and `--define \"NAME VALUE\"` can be set here, since they are written into the spec: \
               the source package has to build the same without them")
    )]
    Option { option: String },
    #[error("`{option}` has nothing behind it: it takes {takes}")]
    Nothing { option: String, takes: &'static str },
    #[error("`{name}` is not the name of a macro or condition{}", help!("it has letters, digits and `_`, and begins with no digit"))]
    Name { name: String },
    #[error("the macro `{name}` cannot have the value `{value}`: {problem}")]
    Value {
        name: String,
        value: String,
        problem: &'static str,
    },
}

impl SpecMacros {
    /// With `%dist`, which a distribution's own macros do not get to change: the package keeps the release that it was made with.
    pub fn of_dist(dist: &str) -> Result<Self, SpecMacroError> {
        let mut macros = Self::default();
        macros.set("dist", dist)?;
        Ok(macros)
    }

    /// Sets a macro.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SpecMacroError> {
        checked_name(name)?;
        let wrong = |problem| {
            Err(SpecMacroError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                problem,
            })
        };
        if value.trim().is_empty() {
            return wrong("a macro without a value cannot be set; `%{nil}` is an empty one");
        }
        if value.contains(['\n', '\r']) || value.ends_with('\\') {
            return wrong("it is not one line");
        }
        if value.starts_with('{') {
            return wrong("rpm takes what is in braces at its beginning for all of it");
        }
        // rpm would read on into the spec.
        if !is_paired(value) {
            return wrong("its brackets are not in pairs");
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Switches a condition on, as `--with NAME` does.
    pub fn with(&mut self, name: &str) -> Result<(), SpecMacroError> {
        checked_name(name)?;
        self.set(&format!("_with_{name}"), "1")
    }

    /// Switches a condition off, as `--without NAME` does.
    pub fn without(&mut self, name: &str) -> Result<(), SpecMacroError> {
        checked_name(name)?;
        self.set(&format!("_without_{name}"), "1")
    }

    /// Adds what these options of rpmbuild set.
    pub fn add_options(&mut self, options: &[String]) -> Result<(), SpecMacroError> {
        let mut words = options.iter();
        while let Some(option) = words.next() {
            let mut next = |takes| {
                words.next().ok_or_else(|| SpecMacroError::Nothing {
                    option: option.clone(),
                    takes,
                })
            };
            match option.as_str() {
                "--with" => self.with(next("the name of a condition")?)?,
                "--without" => self.without(next("the name of a condition")?)?,
                "--define" | "-D" => {
                    let text = next("a macro and its value")?.trim();
                    let (name, value) = text.split_once([' ', '\t']).unwrap_or((text, ""));
                    self.set(name, value.trim())?;
                }
                _ => {
                    return Err(SpecMacroError::Option {
                        option: option.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The lines that set them.
    pub fn lines(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut text =
            "# Set by lustre-repo, so that this source package builds the same without any option of rpmbuild.\n"
                .to_owned();
        for (name, value) in &self.0 {
            let how = if value.contains('%') {
                "%define"
            } else {
                "%global"
            };
            text.push_str(&format!("{how} {name} {value}\n"));
        }
        text.push('\n');
        text
    }
}

/// Whether all that rpm is to expand, `%{…}`, `%(…)` and `%[…]`, ends, with brackets inside closed by their own kind. Others are text for rpm.
fn is_paired(value: &str) -> bool {
    let mut open: Vec<char> = Vec::new();
    let mut percent = false;
    for c in value.chars() {
        let inside = percent || !open.is_empty();
        percent = c == '%' && !percent;
        match c {
            '{' if inside => open.push('}'),
            '(' if inside => open.push(')'),
            '[' if inside => open.push(']'),
            '}' | ')' | ']' if !open.is_empty() && open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

fn checked_name(name: &str) -> Result<(), SpecMacroError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(SpecMacroError::Name {
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    const CONFIGURE: &str = "configure_args --disable-gss EXTRA_KCFLAGS='-Wno-error=a -Wno-b'";

    #[test]
    fn options_become_lines() {
        let mut macros = SpecMacros::of_dist(".el9").unwrap();
        let options = [
            "--with",
            "systemd",
            "--without",
            "mpi",
            "--define",
            CONFIGURE,
        ];
        macros.add_options(&words(&options)).unwrap();
        let lines = macros.lines();
        let lines: Vec<&str> = lines.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "%global dist .el9",
                "%global _with_systemd 1",
                "%global _without_mpi 1",
                "%global configure_args --disable-gss EXTRA_KCFLAGS='-Wno-error=a -Wno-b'",
                ""
            ]
        );
        assert_eq!(SpecMacros::default().lines(), "");
    }

    /// rpm's own word for it: conditions and values are those that the options give.
    #[test]
    fn a_spec_with_the_lines_is_read_as_one_with_the_options() {
        const SPEC: &str = "%bcond_without mpi\n%bcond_with systemd\n%bcond_with zfs\nName: x\nVersion: 1\nRelease: 1%{?dist}\n\
            Summary: %{with mpi}%{with systemd}%{with zfs} %{?configure_args}\nLicense: MIT\n%description\nx\n";
        let options = words(&[
            "--with",
            "systemd",
            "--without",
            "mpi",
            "--define",
            CONFIGURE,
        ]);
        let dir = tempfile::tempdir().unwrap();
        let said = |text: &str, options: &[String]| {
            let path = dir.path().join("x.spec");
            std::fs::write(&path, text).unwrap();
            let mut command = process::command("rpmspec");
            command.args(["-q", "--srpm", "--qf", "%{RELEASE} %{SUMMARY}"]);
            let out = process::output(command.args(options).arg(path)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let mut macros = SpecMacros::of_dist(".el9_6").unwrap();
        macros.add_options(&options).unwrap();
        let mut given = options.clone();
        given.extend(words(&["--define", "dist .el9_6"]));
        let wanted = said(SPEC, &given);
        assert_eq!(
            wanted,
            format!("1.el9_6 010 {}", CONFIGURE.split_once(' ').unwrap().1)
        );
        let whole = macros.lines() + SPEC;
        assert_eq!(said(&whole, &[]), wanted);
        // What is expanded is expanded where it is used, by what the spec sets later, too.
        const LATER: &str = "%define later 9\nName: x\nVersion: 1\nRelease: 1\nSummary: %{x}\nLicense: MIT\n%description\nx\n";
        for (value, summary) in [
            ("v%{?later}", "1 v9"),
            ("%%{name}", "1 %{name}"),
            ("%{name} %{nil}(a) [b]", "1 x (a) [b]"),
            ("%{expand:%{later}}%(echo {})", "1 9{}"),
            ("(a [b {c", "1 (a [b {c"),
            ("a} %% b", "1 a} % b"),
            ("%{name}) [b \\\"c\\\"", "1 x) [b \"c\""),
        ] {
            let option = words(&["--define", &format!("x {value}")]);
            let mut macros = SpecMacros::default();
            macros.add_options(&option).unwrap();
            let wanted = said(LATER, &option);
            assert_eq!(wanted, summary, "{value}");
            assert_eq!(said(&(macros.lines() + LATER), &[]), wanted, "{value}");
        }
        // A builder's own %dist changes nothing.
        assert_eq!(said(&whole, &words(&["--define", "dist .fc40"])), wanted);
    }

    #[test]
    fn what_a_spec_cannot_have_is_refused() {
        for (options, part) in [
            (
                &["--nocheck"][..],
                "`--nocheck` is an option of rpmbuild that a spec cannot have",
            ),
            (&["--with=mpi"], "`--with=mpi`"),
            (&["--target", "x86_64"], "`--target`"),
            (&["--with"], "`--with` has nothing behind it"),
            (&["--define"], "a macro and its value"),
            (&["--without", "a b"], "`a b` is not the name"),
            (&["--with", "--without"], "`--without` is not the name"),
            (&["--define", "1x y"], "`1x` is not the name"),
            (&["--define", "x"], "without a value"),
            (&["--define", "x a\nName: b"], "not one line"),
            (&["--define", "x a\\"], "not one line"),
            (&["--define", "x %{y"], "brackets"),
            (&["--define", "x %(y"], "brackets"),
            (&["--define", "x a }%{?y"], "brackets"),
            (&["--define", "x %[1"], "brackets"),
            (&["--define", "x %{y(}%{z)}"], "brackets"),
            (&["--define", "x {a} b"], "in braces"),
        ] {
            let mut macros = SpecMacros::default();
            let error = macros.add_options(&words(options)).unwrap_err().to_string();
            assert!(error.contains(part), "{options:?}: {error}");
        }
    }
}
