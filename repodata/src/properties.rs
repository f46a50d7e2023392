//! What holds for all packages and versions, not only for those of the other tests.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::model::{Checksum, Entry, Evr, File, FileKind, Flag, Package, Relation};
use super::parse;
use super::render::Document;

/// A text that XML can hold, with what has to be escaped in it more often than chance has it.
fn text() -> impl Strategy<Value = String> {
    let odd = proptest::sample::select(vec![
        '&', '<', '>', '"', '\'', '\n', '\r', '\t', ' ', ']', '-', ';', '\u{a0}', '\u{2028}',
        '\u{fffd}', '🦀',
    ]);
    let any = any::<char>().prop_filter("XML has no place for it", |c| {
        !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
    });
    proptest::collection::vec(prop_oneof![odd, any], 0..12)
        .prop_map(|letters| letters.into_iter().collect())
}

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._+~^:/()-]{1,12}"
}

fn version() -> impl Strategy<Value = String> {
    "[a-z0-9.~^+_]{1,8}"
}

fn evr() -> impl Strategy<Value = Evr> {
    (prop_oneof![Just(0), any::<u32>()], version(), version()).prop_map(
        |(epoch, version, release)| Evr {
            epoch,
            version: version.into(),
            release: Some(release.into()),
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let flags = proptest::sample::select(vec![Flag::Lt, Flag::Le, Flag::Eq, Flag::Ge, Flag::Gt]);
    (
        words(),
        text(),
        proptest::option::of((flags, evr(), any::<bool>())),
        any::<bool>(),
    )
        .prop_map(|(name, more, version, pre)| {
            let (flags, evr) = match version {
                Some((flags, evr, whole)) => {
                    let release = evr.release.filter(|_| whole);
                    (Some(flags), Some(Evr { release, ..evr }))
                }
                None => (None, None),
            };
            Entry {
                name: (name + &more).into(),
                flags,
                evr,
                pre,
            }
        })
}

fn file() -> impl Strategy<Value = File> {
    let kind = proptest::sample::select(vec![FileKind::File, FileKind::Dir, FileKind::Ghost]);
    (text(), kind).prop_map(|(path, kind)| File {
        path: format!("/{path}"),
        kind,
    })
}

prop_compose! {
    fn package()(
        names in (words(), words(), evr()),
        texts in proptest::collection::vec(text(), 9),
        sizes in any::<[u64; 5]>(),
        times in any::<[i64; 2]>(),
        relations in proptest::collection::vec(proptest::collection::vec(entry(), 0..3), Relation::ALL.len()),
        files in proptest::collection::vec(file(), 0..4),
        digest in "[0-9a-f]{64}",
    ) -> Package {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        let mut package = Package {
            name: names.0,
            arch: names.1,
            evr: names.2,
            checksum: Checksum { kind: "sha256".to_owned(), hex: digest },
            summary: next(),
            description: next(),
            packager: next(),
            url: next(),
            time_file: times[0],
            time_build: times[1],
            size_package: sizes[0],
            size_installed: sizes[1],
            size_archive: sizes[2],
            location: format!("Packages/x{}", next().replace(['/', '\\'], "")),
            license: next(),
            vendor: next(),
            group: next(),
            buildhost: next(),
            header_start: sizes[3],
            header_end: sizes[4],
            files,
            ..Package::default()
        };
        for (relation, entries) in Relation::ALL.into_iter().zip(relations) {
            *package.relation_mut(relation) = entries;
        }
        package
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_package_that_is_written_reads_back(packages in proptest::collection::vec(package(), 1..3)) {
        let mut packages = packages;
        packages.dedup_by(|a, b| a.checksum == b.checksum);
        let document = |kind: Document| {
            let body: String = packages.iter().map(|package| kind.package(package)).collect();
            kind.head(packages.len()) + &body + kind.tail()
        };
        let mut read = parse::primary(document(Document::Primary).as_bytes()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let lists = parse::filelists(document(Document::Filelists).as_bytes()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        lists.add_to(&mut read).map_err(TestCaseError::fail)?;
        prop_assert_eq!(read, packages);
    }

    #[test]
    fn the_order_of_versions_is_one(a in evr(), b in evr(), c in evr()) {
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        if a.compare(&b) != Ordering::Greater && b.compare(&c) != Ordering::Greater {
            prop_assert_ne!(a.compare(&c), Ordering::Greater, "{} <= {} <= {}", a, b, c);
        }
    }

    #[test]
    fn ranges_overlap_both_ways_or_not_at_all(a in entry(), b in entry()) {
        prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
        prop_assert!(a.overlaps(&a) || matches!(a.flags, Some(Flag::Lt | Flag::Gt)));
    }
}
