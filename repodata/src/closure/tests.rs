//! Small universes, written as text.

use super::rich::{Requirement, parse};
use super::{Universe, kernel};
use crate::{Entry, Evr, File, FileKind, Flag, Package};

/// A package: `name evr | provides, … | requires, … | files …`, all parts after the first optional.
fn package(text: &str) -> Package {
    let mut parts = text.split('|').map(str::trim);
    let (name, evr) = parts.next().unwrap().split_once(' ').unwrap();
    let evr = Evr::parse(evr).unwrap();
    let entries = |part: Option<&str>| -> Vec<Entry> {
        part.unwrap_or_default()
            .split(", ")
            .filter(|one| !one.is_empty())
            .map(|one| match parse(one) {
                Ok(Requirement::Plain(entry)) => entry,
                _ => Entry {
                    name: one.into(),
                    ..Entry::default()
                },
            })
            .collect()
    };
    let mut provides = entries(parts.next());
    provides.push(Entry {
        name: name.into(),
        flags: Some(Flag::Eq),
        evr: Some(evr.clone()),
        pre: false,
    });
    Package {
        name: name.to_owned(),
        evr,
        arch: "x86_64".to_owned(),
        provides,
        requires: entries(parts.next()),
        files: parts
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|path| File {
                path: path.to_owned(),
                kind: FileKind::File,
            })
            .collect(),
        ..Package::default()
    }
}

fn packages(texts: &[&str]) -> Vec<Package> {
    texts.iter().map(|text| package(text)).collect()
}

fn missing(ours: &[&str], base: &[&str]) -> Vec<String> {
    Universe::new(&packages(ours), &packages(base))
        .missing()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn mixtures(ours: &[&str], base: &[&str]) -> Vec<kernel::Mixture> {
    kernel::mixtures(&Universe::new(&packages(ours), &packages(base)))
}

#[test]
fn rich_requirements() {
    // In the base: a-1, b-2, c-3 (which provides x and y).
    let base = ["a 1-1", "b 2-1", "c 3-1 | x = 1, y"];
    let table = [
        ("a", true),
        ("z", false),
        ("(a and b)", true),
        ("(a and z)", false),
        ("(z or b)", true),
        ("(z or z2)", false),
        ("(x with y)", true),
        ("(x with a)", false),
        ("(x with y with z)", false),
        ("(x without a)", true),
        ("(x without y)", false),
        ("(x without z)", true),
        ("(a >= 1 with a < 2)", true),
        ("(a >= 1 with a < 1)", false),
        // The condition can be installed: then the wanted one has to be there.
        ("(a if b)", true),
        ("(z if b)", false),
        // Nothing provides the condition: nothing is wanted.
        ("(z if z2)", true),
        ("(z if z2 else a)", true),
        ("(a if z2 else z)", false),
        ("(a if b else z)", true),
        ("(a unless b)", true),
        ("(z unless b)", true),
        ("(z unless z2)", false),
        ("(z unless b else c)", true),
        ("(a unless b else z)", false),
        ("((z or a) and (b if c))", true),
        ("rpmlib(CompressedFileNames) <= 3.0.4-1", true),
    ];
    for (requirement, met) in table {
        let ours = format!("mine 1-1 | | {requirement}");
        assert_eq!(missing(&[&ours], &base).is_empty(), met, "{requirement}");
    }
}

#[test]
fn files_are_found_in_the_file_lists() {
    let base = ["bash 5-1 | | | /usr/bin/bash /usr/bin/sh"];
    assert_eq!(
        missing(&["mine 1-1 | | /usr/bin/sh"], &base),
        Vec::<String>::new()
    );
    assert_eq!(
        missing(&["mine 1-1 | | /bin/sh"], &base),
        ["nothing provides /bin/sh needed by mine-1-1.x86_64"]
    );
}

#[test]
fn a_kmod_for_another_kernel_is_named_with_what_comes_near() {
    assert_eq!(
        missing(
            &[
                "kernel-core 6-1 | kernel(foo) = 0x1",
                "kmod-lustre 2.17-1 | | kernel(foo) = 0x2"
            ],
            &[]
        ),
        [
            "nothing provides kernel(foo) = 0x2 needed by kmod-lustre-2.17-1.x86_64; \
            kernel-core-6-1.x86_64 provides kernel(foo) = 0x1 (built from another kernel?)"
        ]
    );
}

#[test]
fn what_only_the_replaced_kernel_provides_is_missing() {
    let found = missing(
        &[
            "kernel-core 6-2 | kernel(foo) = 0x2",
            "kmod-lustre 2.17-1 | | kernel(foo) = 0x1",
        ],
        &["kernel-core 6-1 | kernel(foo) = 0x1"],
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains(
            "kernel-core-6-1.x86_64 of the base provides it, but a package of this repository replaces that package"
        ),
        "{found:?}"
    );
    // Without a kernel of ours the distribution's is the one to use.
    assert!(
        missing(
            &["kmod-lustre 2.17-1 | | kernel(foo) = 0x1"],
            &["kernel-core 6-1 | kernel(foo) = 0x1"]
        )
        .is_empty()
    );
}

#[test]
fn obsoleted_base_packages_provide_nothing() {
    let mut ours = package("new 2-1 | | old-capability");
    let base = package("old 1-1 | old-capability");
    assert_eq!(Universe::new([&ours], [&base]).missing().len(), 0);
    ours.obsoletes = vec![Entry {
        name: "old".into(),
        flags: Some(Flag::Lt),
        evr: Evr::parse("2"),
        pre: false,
    }];
    assert_eq!(Universe::new([&ours], [&base]).missing().len(), 1);
}

#[test]
fn symbols_must_come_from_one_kernel() {
    let kmod = "kmod-lustre 2.17-1 | | kernel(a) = 0x1, kernel(b) = 0x1, kernel(c) = 0x1";
    let one = "kernel-core 6-1 | kernel(a) = 0x1, kernel(b) = 0x1, kernel(c) = 0x2";
    let modules = "kernel-modules 6-1 | kernel(c) = 0x1";
    let other = "kernel-core 6-2 | kernel(a) = 0x9, kernel(b) = 0x9, kernel(c) = 0x1";
    let debug = "kernel-debug-core 6-1 | kernel(c) = 0x1";

    for second in [other, debug] {
        assert!(
            missing(&[kmod], &[one, second]).is_empty(),
            "each symbol has a provider"
        );
        let mixtures = mixtures(&[kmod], &[one, second]);
        assert_eq!(mixtures.len(), 1);
        assert_eq!(mixtures[0].best.as_deref(), Some("kernel-6-1.x86_64"));
        assert_eq!(mixtures[0].lacking, ["kernel(c) = 0x1"]);
    }
    // kernel-core and kernel-modules of one version are one kernel.
    assert_eq!(mixtures(&[kmod], &[one, modules]), []);
    // With a kernel of ours, only ours counts, whatever its name.
    let ours = "kernel-lustre-core 6-3 | kernel(a) = 0x1, kernel(b) = 0x1";
    assert_eq!(mixtures(&[kmod, ours], &[one, modules]).len(), 1);
}

#[test]
fn modules_load_on_the_kernels_that_have_every_symbol_as_they_were_built_for_it() {
    let modules = packages(&[
        "kmod-lustre 2.17-1 | | kernel(a) = 0x1, kernel(b) = 0x2, ksym(c) = 0x9, /bin/sh",
        "kmod-lustre-osd-ldiskfs 2.17-1 | | kernel(b) = 0x2, kernel(d) = 0x4",
    ]);
    let kernels = packages(&[
        "kernel-core 5.14-10 | kernel(a) = 0x1, kernel(b) = 0x3",
        "kernel-core 5.14-9 | kernel(a) = 0x1, kernel(b) = 0x2",
        // The rest of it is in another package.
        "kernel-modules-core 5.14-9 | kernel(d) = 0x4",
        "kernel-debug-core 5.14-9 | kernel(a) = 0x5, kernel(b) = 0x2, kernel(d) = 0x4",
        "kmod-other 1-1 | ksym(c) = 0x9",
    ]);
    let fits = kernel::fits(&modules, &kernels);
    let names: Vec<_> = fits.iter().map(|one| one.kernel.as_str()).collect();
    assert_eq!(
        names,
        [
            "kernel-5.14-9.x86_64",
            "kernel-debug-5.14-9.x86_64",
            "kernel-5.14-10.x86_64"
        ]
    );
    assert_eq!(kernel::symbols(&modules), 3);
    let provides: Vec<usize> = fits.iter().map(|one| one.provides).collect();
    assert_eq!(provides, [3, 3, 2]);
    assert!(fits[0].lacking.is_empty());
    assert_eq!(fits[1].lacking.len(), 1);
    let lacking = |symbol: &str, wanted: &str, has: Option<&str>, by: &str| kernel::Lacking {
        symbol: symbol.to_owned(),
        wanted: wanted.to_owned(),
        has: has.map(str::to_owned),
        by: by.to_owned(),
    };
    assert_eq!(
        fits[2].lacking,
        [
            lacking("b", "0x2", Some("0x3"), "kmod-lustre-2.17-1.x86_64"),
            lacking("d", "0x4", None, "kmod-lustre-osd-ldiskfs-2.17-1.x86_64"),
        ]
    );
}

#[test]
fn a_kernel_without_checksums_is_there_and_nothing_is_said_of_it() {
    let modules = packages(&["kmod-lustre 2.17-1 | | kernel(a) = 0x1"]);
    let base = packages(&[
        // As every package with an architecture does.
        "kernel 5.14-9 | kernel(x86-64) = 5.14-9",
        "kernel-core 5.14-9 | kernel-core(x86-64) = 5.14-9",
        "kernel-headers 5.14-9",
        "kernel-tools 5.14-9",
    ]);
    let fits = kernel::fits(&modules, &base);
    assert_eq!(fits.len(), 1);
    assert_eq!(
        (fits[0].kernel.as_str(), fits[0].provides),
        ("kernel-5.14-9.x86_64", 0)
    );
    assert!(fits[0].lacking.is_empty());
}

#[test]
fn an_upgrade_that_breaks_the_base_is_found() {
    let base = [
        "libs 1-1 | libfoo.so.1",
        "user 1-1 | | libfoo.so.1",
        "broken 1-1 | | never-there",
    ];
    let broken = |ours: &str| -> Vec<String> {
        Universe::new([&package(ours)], &packages(&base))
            .broken_base()
            .into_iter()
            .map(|m| m.requirement)
            .collect()
    };
    assert_eq!(broken("libs 2-1 | libfoo.so.2"), ["libfoo.so.1"]);
    assert!(broken("libs 2-1 | libfoo.so.1").is_empty());
    // Kernels stay side by side, so the base's kmods keep theirs.
    let base = [
        "kernel-core 1-1 | kernel(a) = 0x1, installonlypkg(kernel)",
        "kmod-other 1-1 | | kernel(a) = 0x1",
    ];
    let ours = "kernel-core 2-1 | kernel(a) = 0x2, installonlypkg(kernel)";
    assert_eq!(
        Universe::new([&package(ours)], &packages(&base)).broken_base(),
        []
    );
}

#[test]
fn ten_thousand_symbols_take_no_time() {
    let symbols: Vec<String> = (0..10_000)
        .map(|n| format!("kernel(symbol_{n}) = 0x{n:08x}"))
        .collect();
    let kernel = format!("kernel-core 6-1 | {}", symbols.join(", "));
    let kmod = format!("kmod 1-1 | | {}", symbols.join(", "));
    let packages = packages(&[&kernel, &kmod]);
    let start = std::time::Instant::now();
    let universe = Universe::new(&packages, []);
    assert_eq!(universe.missing(), []);
    assert_eq!(kernel::mixtures(&universe), []);
    let took = start.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
}
