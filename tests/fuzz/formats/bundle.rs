//! Bundles: what is taken is written again as the same bytes, and what is refused brings nothing into a store but whole files of its lock.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lustre_packaging::bundle;
use lustre_packaging::lock::{FilePin, Lock, PackagePin};
use lustre_packaging::store::{Digest, Store};

use super::archive::{archive, stayed_inside};
use super::tar_sums;
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Bundle;

fn store(folder: &Path) -> Result<Store, String> {
    Store::open(folder, "a fuzzer", &mut |_| {}).map_err(|error| error.to_string())
}

/// A bundle with two files and one of a site.
fn good() -> Vec<u8> {
    let made = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = store(&folder.path().join("store"))?;
        let mut packages = Vec::new();
        for (name, content) in [("a", "first"), ("b", "second")] {
            let (digest, _) = store.insert_reader(&mut content.as_bytes(), name, None)?;
            packages.push(PackagePin {
                name: name.to_owned(),
                version: "1".to_owned(),
                arch: "all".to_owned(),
                file: FilePin {
                    file: format!("{name}.deb"),
                    size: content.len() as u64,
                    sha256: digest.to_string(),
                    uri: format!("mirror:/{name}.deb"),
                },
            });
        }
        let (files, trees) = (BTreeMap::new(), BTreeMap::new());
        let lock = Lock::new("site", Digest::of_bytes(b"x"), files, trees, packages);
        let own = folder.path().join("site.toml");
        fs::write(&own, "inherits = 'rehearsal'\n")?;
        let out = folder.path().join("out");
        bundle::Contents {
            made: &bundle::Provenance {
                tool: "1".to_owned(),
                code: "2".to_owned(),
                target: "site".to_owned(),
                lustre: None,
                specs: BTreeMap::new(),
            },
            lock: &lock,
            lock_text: &lock.to_toml()?,
            site: &BTreeMap::from([("site.toml".to_owned(), own)]),
        }
        .write(&store, &out, &|_| {})?;
        Ok(fs::read(&out)?)
    };
    // A good example that cannot be made is one that is refused: that is told.
    made().unwrap_or_default()
}

impl Format for Bundle {
    fn name(&self) -> &'static str {
        "bundle"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two files and a site's", good())]
    }

    fn hostile(&self) -> Vec<Case> {
        use tar::EntryType as T;
        let good = good();
        let index = |text: &str| archive(&[(T::Regular, bundle::INDEX, "", text.as_bytes())]);
        let head = |rest: &str| {
            index(&format!(
                "{{\"format\":\"lustre-repo bundle\",\"version\":1{rest}"
            ))
        };
        let claims = |text: &[u8; 12]| {
            let mut bytes = good.clone();
            bytes[124..136].copy_from_slice(text);
            tar_sums(&mut bytes);
            bytes
        };
        vec![
            Case::bad("empty", ""),
            Case::bad("a part", &good[..good.len() - 512]),
            Case::bad("more", [&good[..], &[0; 512]].concat()),
            Case::bad("another archive", archive(&[(T::Regular, "a", "", b"x")])),
            Case::bad(
                "a link",
                archive(&[(T::Symlink, bundle::INDEX, "/etc/passwd", b"")]),
            ),
            Case::bad("an index of 8 GiB", claims(b"77777777777\0")),
            Case::bad(
                "an index of 60 MiB that is not there",
                claims(b"00360000000\0"),
            ),
            Case::bad(
                "lists a million deep",
                head(&format!(",\"made\":{}", "[".repeat(1_000_000))),
            ),
            Case::bad(
                "a version of the future",
                index("{\"format\":\"lustre-repo bundle\",\"version\":2}"),
            ),
            Case::bad("nothing", head("}")),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "target/../x",
            "/etc/passwd",
            "files/",
            "trees/lustre.pack",
            "\"kind\": \"tree\"",
            "\"kind\": \"target\"",
            "\"size\": 0",
            "\"size\": 18446744073709551615",
            "ustar",
            "\0",
        ]
    }

    fn repair(&self, mut input: Vec<u8>) -> Vec<u8> {
        tar_sums(&mut input);
        input
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let file = folder.join("input");
        fs::write(&file, input).map_err(|error| error.to_string())?;
        let refused = |error: bundle::Error| Ok(ParseOutcome::Refused(message(&error)));
        let bundle = match bundle::Bundle::open(&file) {
            Ok(bundle) => bundle,
            Err(error) => return refused(error),
        };
        let store = store(&folder.join("store"))?;
        let taken = bundle.site().and_then(|site| {
            bundle.take(&store, &|_| {})?;
            Ok(site)
        });
        let judged = match taken {
            Err(error) => refused(error)?,
            Ok(site) => {
                let again =
                    again(&bundle, &site, &store, folder).map_err(|error| error.to_string())?;
                if again != input {
                    return Err("is written as other bytes".to_owned());
                }
                ParseOutcome::Accepted
            }
        };
        stayed_inside(folder, &["input", "store", "site", "again"])?;
        Ok(judged)
    }
}

/// What was read, written once more.
fn again(
    bundle: &bundle::Bundle,
    site: &[(String, Vec<u8>)],
    store: &Store,
    folder: &Path,
) -> io::Result<Vec<u8>> {
    let mut beside: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (below, content) in site {
        let path = folder.join("site").join(below);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, content)?;
        beside.insert(below.clone(), path);
    }
    let out = folder.join("again");
    bundle::Contents {
        made: &bundle.index().made,
        lock: bundle.lock(),
        lock_text: bundle.lock_text(),
        site: &beside,
    }
    .write(store, &out, &|_| {})
    .map_err(io::Error::other)?;
    fs::read(&out)
}
