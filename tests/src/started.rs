//! Which programs a run of the tool starts, and what they are given.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command_line::{Run, program, run};
use crate::script;

/// A folder with a program of every name in the path, each of which notes how it was started, and goes on as the real one.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
    notes: PathBuf,
}

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    pub program: String,
    /// Its arguments, a line each.
    pub arguments: String,
    /// The environment that it was given, a line for each variable.
    pub environment: String,
    /// What it could read of the tool and of what is between: environments, command lines, open files.
    pub around: String,
}

impl Programs {
    /// Makes it in `folder`, which is there and is kept. The programs `failing` do nothing, and fail.
    pub fn new(folder: &Path, failing: &[&str]) -> io::Result<Self> {
        let [programs, notes] = ["programs", "notes"].map(|name| folder.join(name));
        fs::create_dir(&programs)?;
        fs::create_dir(&notes)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let real: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let quoted = |path: &Path| format!("'{}'", path.display());
        let folders: Vec<String> = real.iter().map(|folder| quoted(folder)).collect();
        // The ones that do nothing have a name of their own, so that none matches by accident where there are none.
        let text = format!(
            r#"#!/bin/sh
name=${{0##*/}}
note={notes}/$name.$$
printf '%s\n' "$@" >"$note"
/bin/cat /proc/$$/environ >"$note.env"
id=$$ found=
while [ -z "$found" ] && [ "$id" -gt 1 ] && [ -r "/proc/$id/status" ]; do
    while read -r word value rest; do [ "$word" != PPid: ] || id=$value; done </proc/$id/status
    echo "of process $id:"
    /bin/cat "/proc/$id/environ" "/proc/$id/cmdline"
    for file in "/proc/$id/fd"/*; do
        case $(/bin/readlink "$file") in /dev/*) continue ;; esac
        [ ! -f "$file" ] || /usr/bin/head -c 100000 "$file"
    done
    [ "$(/bin/readlink "/proc/$id/exe")" != {tool} ] || found=yes
done >"$note.around" 2>&1
[ -n "$found" ] || echo "the tool was not found" >>"$note.around"
case $name in {failing}) exit 1 ;; esac
for folder in {folders}; do
    [ ! -x "$folder/$name" ] || exec "$folder/$name" "$@"
done
exit 127
"#,
            notes = quoted(&notes),
            tool = quoted(program()),
            failing = [&["no program"], failing]
                .concat()
                .join("|")
                .replace(' ', "\\ "),
            folders = folders.join(" ")
        );
        let noting = folder.join("noting");
        script::write(&noting, text)?;
        for item in real
            .iter()
            .filter_map(|one| fs::read_dir(one).ok())
            .flatten()
        {
            match symlink(&noting, programs.join(item?.file_name())) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(Self {
            folder: programs,
            notes,
        })
    }

    /// Takes a program away.
    pub fn remove(&self, program: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(program))
    }

    /// Runs `command` with these programs in its path to its end, and gives what was started by it.
    ///
    /// # Panics
    /// As [`run`].
    pub fn run(&self, command: &mut Command) -> io::Result<(Run, Vec<Started>)> {
        let ran = run(command.env("PATH", &self.folder));
        let mut started = Vec::new();
        for item in fs::read_dir(&self.notes)? {
            let environment = item?.path();
            if environment.extension().is_none_or(|end| end != "env") {
                continue;
            }
            let arguments = environment.with_extension("");
            let name = arguments.file_stem().unwrap_or_default();
            let text = |path: &Path| {
                let bytes = fs::read(path)?;
                fs::remove_file(path)?;
                io::Result::Ok(String::from_utf8_lossy(&bytes).replace('\0', "\n"))
            };
            started.push(Started {
                program: name.to_string_lossy().into_owned(),
                arguments: text(&arguments)?,
                environment: text(&environment)?,
                around: text(&environment.with_extension("around"))?,
            });
        }
        Ok((ran, started))
    }
}
