//! `index.html`: the repository for people. One file without scripts and without anything from elsewhere, which a text browser shows as
//! well.
//!
//! - `input`: what it is made of.
//! - `front`: what it is, how to use it, its files.
//! - `tables`: what changed, earlier releases, kernels, faults, proofs, packages, sources.
//! - `changes`: what is other than in the repository that was replaced.
//! - `words`: texts, sizes and addresses.
//!
//! Pure: what a repository says of itself comes in, text goes out. Whoever checks a repository makes its page again and compares.

mod changes;
mod front;
mod input;
mod tables;
mod words;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use input::{Kernel, Page};

use crate::assets::{self, Assets};
use crate::compat::{self, Compat};
use crate::history::{self, History};
use crate::json_file::{self, Error};
use crate::manifest::{self, Manifest};
use crate::proof::report::{self, Proof};

/// The file's name at the top of the tree.
pub const FILE: &str = "index.html";

/// How it looks.
const STYLE: &str = include_str!("style.css");

/// What a browser may do with the page: nothing but show it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// The page.
pub fn render(page: &Page<'_>) -> String {
    let title = page.title();
    let sections = sections(page);
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(page.made_by());
                title { (title) }
                // Without one, browsers ask the server for it.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    (front::summary(page))
                    nav aria-label="Parts of this page" {
                        ul {
                            @for (id, heading, _) in &sections {
                                li { a href={ "#" (id) } { (heading) } }
                            }
                        }
                    }
                }
                main {
                    @for (id, heading, content) in &sections {
                        section aria-labelledby=(id) {
                            h2 id=(id) { (heading) }
                            (content)
                        }
                    }
                }
            }
        }
    };
    text.into_string() + "\n"
}

/// The parts of the page: id, heading, content.
fn sections(page: &Page<'_>) -> Vec<(&'static str, &'static str, Markup)> {
    let manifest = page.manifest;
    vec![
        ("use", "Use it", front::commands(page)),
        ("changes", "What changed", tables::changed(manifest)),
        (
            "releases",
            "Releases to go back to",
            tables::releases(page.releases),
        ),
        ("kernels", "Kernels", tables::kernels(page.kernels)),
        (
            "faults",
            "Known faults of its Lustre",
            tables::faults(manifest),
        ),
        ("proofs", "Proofs", tables::proofs(page)),
        ("packages", "Packages", tables::packages(page)),
        ("sources", "Sources", tables::sources(manifest)),
        ("files", "Files and sums", front::files(page)),
    ]
}

/// The page of the repository at `tree`, which has the files of these names and `proof`.
pub fn of_tree<'n>(
    tree: &Path,
    names: impl IntoIterator<Item = &'n str>,
    proof: Option<&Proof>,
) -> Result<String, Error> {
    let manifest = Manifest::read(&tree.join(manifest::FILE))?;
    let names: Vec<&str> = names.into_iter().collect();
    let releases = match names.contains(&history::FILE) {
        true => History::read(tree)?,
        false => None,
    };
    let assets = match names.contains(&assets::FILE) {
        true => Assets::read(tree)?,
        false => None,
    };
    let kernels = match names.contains(&compat::FILE) {
        true => Some(kernels(&tree.join(compat::FILE))?),
        false => None,
    };
    let at_top = |name: &&str| !name.contains('/') && ![FILE, report::FILE].contains(name);
    let listed = names.into_iter().filter(at_top);
    let mut files: Vec<String> = listed
        .chain(proof.map(|_| report::FILE))
        .map(str::to_owned)
        .collect();
    files.sort();
    Ok(render(&Page {
        manifest: &manifest,
        releases: releases.as_ref(),
        assets: assets.as_ref(),
        proof,
        kernels: kernels.as_deref(),
        files: &files,
    }))
}

/// The kernels of a table.
fn kernels(path: &Path) -> Result<Vec<Kernel>, Error> {
    let table: Compat = json_file::read("table of kernels", path, compat::FORMAT)?;
    let all = table.kernels.into_iter().map(|one| {
        let text = one.to_text();
        // The first line is the row's.
        let notes: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
        Kernel {
            loads: match one.verdict {
                compat::Verdict::Loads => Some(true),
                compat::Verdict::DoesNotLoad => Some(false),
                compat::Verdict::Unknown => None,
            },
            notes: notes.join("\n"),
            name: one.kernel,
            repository: one.repository,
        }
    });
    Ok(all.collect())
}

#[cfg(test)]
mod tests;
