//! What changed, kernels, faults, proofs, packages and sources.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::changes::Changes;
use super::front::time;
use super::input::{Kernel, Page};
use super::words::{href, shown, size};
use crate::history::{self, History};
use crate::layout::Kind;
use crate::manifest::{self, Manifest, Package};
use crate::proof::report::Outcome;
use crate::release::parts;

/// A table that scrolls where the window is narrow.
fn table(label: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead {
                    tr {
                        @for head in heads {
                            th scope="col" class=[["Size", "Took"].contains(head).then_some("number")] { (head) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// A list of names that are of one sort.
fn list(words: &str, names: &[String]) -> Markup {
    html! {
        @if !names.is_empty() {
            h3 { (words) }
            ul { @for name in names { li { code { (shown(name)) } } } }
        }
    }
}

/// What is other than in the repository that was replaced.
pub(super) fn changed(manifest: &Manifest) -> Markup {
    let release = manifest.release.as_ref();
    let Some(before) = release.and_then(|release| release.replaces.as_ref()) else {
        return html! { p { "There was no repository in this one's place: it is the first." } };
    };
    let changes = Changes::of(before, manifest);
    let overruled: Vec<&str> = release
        .map(|release| release.overrules.iter().map(|rule| rule.name()).collect())
        .unwrap_or_default();
    html! {
        p {
            "It replaces the one of " (time(before.time)) ", whose manifest has the SHA-256 "
            code { (shown(&before.manifest_sha256)) } ". "
            @if changes.is_empty() {
                "All packages are as they were."
            } @else if changes.same > 0 {
                (changes.same) " of the packages are as they were."
            }
        }
        @if before.target != manifest.target {
            p { "That one was of the target " code { (shown(&before.target)) } "." }
        }
        @if !overruled.is_empty() {
            p.notice { "It was put in place against the rules " (overruled.join(", ")) "." }
        }
        @if !changes.updated.is_empty() {
            h3 { "Other versions" }
            (table("Packages with other versions", &["Package", "Before", "Now"], &html! {
                @for one in &changes.updated {
                    tr {
                        td.name { (shown(&one.name)) }
                        td { (shown(&one.before.join("\n"))) }
                        td { (shown(&one.now.join("\n"))) }
                    }
                }
            }))
        }
        (list("New", &changes.added))
        (list("Gone", &changes.removed))
        (list("Other content under the same name and version", &changes.rebuilt))
        @if !changes.faults.is_empty() {
            h3 { "Known faults" }
            (table("Known faults that stand otherwise", &["Ticket", "Before", "Now"], &html! {
                @for (ticket, before, now) in &changes.faults {
                    tr {
                        td.name { (shown(ticket)) }
                        td.said { (shown(before.as_deref().unwrap_or("not known"))) }
                        td.said { (shown(now.as_deref().unwrap_or("not known"))) }
                    }
                }
            }))
        }
    }
}

/// The earlier releases whose packages it has, and those that it has no more.
pub(super) fn releases(releases: Option<&History>) -> Markup {
    let sets = releases.map(|it| it.sets.as_slice()).unwrap_or_default();
    let dropped = releases.map(|it| it.dropped.as_slice()).unwrap_or_default();
    let rows = html! {
        @for set in sets {
            tr {
                td.name { (time(set.time.into())) }
                td { (version(&set.lustre)) }
                td { (version(&set.kernel)) }
                td { (version(&set.e2fsprogs)) }
                td { (set.packages.len()) }
            }
        }
    };
    html! {
        @if sets.len() < 2 {
            p { "It has the packages of this release alone." }
        } @else {
            p {
                "It has the packages of " (sets.len()) " releases, each as it was proven. " code { "dnf" }
                " installs the newest; " code { "dnf history undo last" } " takes back an update, and "
                code { "dnf install NAME-VERSION-RELEASE" } " installs an earlier one. "
                a href=(href(history::FILE)) { (history::FILE) } " lists the packages of each."
            }
            (table("Releases", &["Released", "Lustre", "Kernel", "e2fsprogs", "Packages"], &rows))
        }
        @if !dropped.is_empty() {
            h3 { "No longer here" }
            (table("Releases that are no longer here", &["Released", "Lustre", "Kernel", "Why"], &html! {
                @for one in dropped {
                    tr {
                        td.name { (time(one.time.into())) }
                        td { (version(&one.lustre)) }
                        td { (version(&one.kernel)) }
                        td.said { (shown(&one.why)) }
                    }
                }
            }))
        }
    }
}

/// A version; where there is none, it is the distribution's.
fn version(text: &str) -> String {
    match text {
        "" => "the distribution's".to_owned(),
        text => shown(text),
    }
}

/// On which kernels its modules load.
pub(super) fn kernels(kernels: Option<&[Kernel]>) -> Markup {
    let Some(kernels) = kernels else {
        return html! {
            p { "On which kernels its modules load is not recorded here. They load on the kernel that they were built for." }
        };
    };
    let rows = html! {
        @for kernel in kernels {
            tr {
                td.name { (shown(&kernel.name)) }
                td { (shown(&kernel.repository)) }
                td {
                    @match kernel.loads {
                        Some(true) => span.good { "loads" },
                        Some(false) => span.bad { "does not load" },
                        None => span.none { "not known" },
                    }
                }
                td.said { (shown(&kernel.notes)) }
            }
        }
    };
    table(
        "Kernels",
        &["Kernel", "Repository", "Its modules", "Notes"],
        &rows,
    )
}

/// What is known to be wrong with its Lustre.
pub(super) fn faults(manifest: &Manifest) -> Markup {
    if let Some(why) = &manifest.known_faults_not_looked_up {
        return html! { p.notice { "Known faults were not looked up: " (shown(why)) "." } };
    }
    if manifest.known_faults.is_empty() {
        return html! { p { "None are recorded." } };
    }
    let rows = html! {
        @for fault in &manifest.known_faults {
            tr {
                td.name { (shown(&fault.ticket)) }
                td { (shown(&fault.severity)) }
                td.said { (shown(&fault.title)) }
                td.said {
                    @match fault.standing_word() {
                        "mended" => span.good { "mended" },
                        "accepted" => span.warn { "accepted" },
                        other => span.bad { (shown(other)) },
                    }
                    @if let Some(more) = fault.standing_more() { " " (shown(more)) }
                }
            }
        }
    };
    html! {
        p {
            "Faults of the release of Lustre that was built. Accepted ones are in these packages, and whoever built them said why; open "
            "ones are in them, too."
        }
        (table("Known faults", &["Ticket", "Severity", "Fault", "Standing"], &rows))
    }
}

/// What was checked.
pub(super) fn proofs(page: &Page<'_>) -> Markup {
    let Some(proof) = page.proof else {
        return html! {
            p.notice { "This repository was put together without its proofs: nobody has checked that it installs." }
        };
    };
    let faults = page.manifest.known_faults.iter();
    let accepted: Vec<&str> = faults
        .filter(|fault| fault.standing_word() == "accepted")
        .map(|fault| fault.ticket.as_str())
        .collect();
    let rows = html! {
        @for check in &proof.checks {
            tr {
                td.name { (shown(&check.name)) }
                td { (result(check.result)) }
                td.said { (shown(&check.checked)) }
                td.said { (shown(&check.message)) }
            }
        }
    };
    html! {
        p {
            "Checks of this release, that of " (time(page.manifest.release_time())) ", by version " (shown(&proof.tool_version)) " of the tool."
        }
        @if !accepted.is_empty() {
            p {
                "Known faults were waived for it by whoever built it: " (shown(&accepted.join(", "))) ". "
                a href="#faults" { "Why" } "."
            }
        }
        (table("Checks", &["Check", "Result", "What was checked", "What was found"], &rows))
    }
}

fn result(outcome: Outcome) -> Markup {
    let class = match outcome {
        Outcome::Pass => "good",
        Outcome::Fail | Outcome::NotRun => "bad",
        Outcome::NotNeeded => "none",
    };
    html! { span class=(class) { (outcome) } }
}

/// The packages, by what they are for.
pub(super) fn packages(page: &Page<'_>) -> Markup {
    let manifest = page.manifest;
    html! {
        @for (kind, heading) in [
            (Kind::Binary, "For servers"),
            (Kind::Debuginfo, "Debug symbols"),
            (Kind::Source, "Source packages"),
        ] {
            @let all = of_kind(manifest, kind);
            @let total: u64 = all.iter().map(|one| one.size).fold(0, u64::saturating_add);
            details open[kind == Kind::Binary] {
                summary { (heading) ": " (all.len()) ", " (size(total)) }
                @if !all.is_empty() {
                    (table(heading, &["Package", "Version", "Architecture", "Size"], &html! {
                        @for one in all { (package(page, one)) }
                    }))
                }
            }
        }
    }
}

fn package(page: &Page<'_>, one: &Package) -> Markup {
    let (name, arch, evr) = match parts(&one.nevra) {
        Some(((name, arch), evr)) => (name, arch, evr.to_string()),
        None => (one.nevra.as_str(), "", String::new()),
    };
    html! {
        tr {
            td.name { a href=(page.link(&one.file)) { (shown(name)) } }
            td.name { (shown(&evr)) }
            td { (shown(arch)) }
            td.number title={ (one.size) " bytes" } { (size(one.size)) }
        }
    }
}

/// The packages of one kind by name, the highest version first.
fn of_kind(manifest: &Manifest, kind: Kind) -> Vec<&Package> {
    let folder = format!("{}/", kind.folder());
    let all = manifest.packages.iter();
    let mut all: Vec<&Package> = all.filter(|one| one.file.starts_with(&folder)).collect();
    all.sort_by(|a, b| match (parts(&a.nevra), parts(&b.nevra)) {
        (Some((first, old)), Some((second, new))) => first
            .cmp(&second)
            .then_with(|| new.compare(&old))
            .then_with(|| a.file.cmp(&b.file)),
        (None, None) => a.file.cmp(&b.file),
        (one, _) => match one {
            Some(_) => Ordering::Less,
            None => Ordering::Greater,
        },
    });
    all
}

/// What it was built of.
pub(super) fn sources(manifest: &Manifest) -> Markup {
    let rows = html! {
        @for (stage, of) in &manifest.stages {
            @for source in &of.sources {
                tr {
                    td.name { (shown(stage)) }
                    td { (shown(&source.name)) }
                    td.said { (place(&source.location)) }
                    td.digest { code { (shown(&source.digest)) } }
                }
            }
        }
    };
    let replaced = &manifest.overrides;
    let built = manifest.stages.iter();
    let mut notes: Vec<String> = built
        .filter(|(_, of)| !of.build_packages.is_empty())
        .map(|(stage, of)| {
            let number = of.built_with().count();
            let by = of
                .builder
                .as_ref()
                .map(|by| format!("built by {}; ", by.disturl));
            format!(
                "{stage}: {}the packages that it was built with, {number}, are in manifest.json",
                by.unwrap_or_default()
            )
        })
        .collect();
    notes.extend(
        replaced
            .sources
            .keys()
            .map(|name| format!("{name}: in place of the target's source, from who built it")),
    );
    notes.extend(
        replaced
            .series
            .iter()
            .map(|(name, series)| match series.as_str() {
                "" => format!("{name}: without the target's patches"),
                series => format!("{name}: with the patches {series}"),
            }),
    );
    html! {
        @if manifest.stages.values().all(|of| of.sources.is_empty()) {
            p { "None are recorded." }
        } @else {
            (table("Sources", &["Part", "Source", "From", "Digest"], &rows))
        }
        @if !notes.is_empty() {
            ul { @for note in &notes { li { (shown(note)) } } }
        }
        @for (name, files) in &replaced.incomplete {
            details {
                summary { (shown(name)) ": " @if files.len() == 1 { "1 file was" } @else { (files.len()) " files were" } " missing; empty in what was built" }
                ul { @for file in files { li { code { (shown(file)) } } } }
            }
        }
    }
}

/// Where a source came from. A path of the machine that built says nothing to anybody else.
fn place(location: &str) -> Markup {
    let is_web = ["https://", "http://"]
        .iter()
        .any(|scheme| location.starts_with(scheme));
    html! {
        @if is_web {
            a href=(location) rel="noreferrer" { (shown(location)) }
        } @else if manifest::place(location) == manifest::LOCAL {
            "who built it"
        } @else {
            (shown(location))
        }
    }
}
