//! Assembles over and over until it is killed: `assemble-forever KEYS TREE PACKAGE...`, with the development key in the folder KEYS, at
//! TREE, from the signed packages: all of them and all but the last, in turn.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_packaging::sign::{Signer, dev_key};
use lustre_repository::comps::Comps;
use lustre_repository::earlier::Earlier;
use lustre_repository::layout::{Assembly, Input, assemble};
use lustre_repository::manifest::{Manifest, Stage};
use lustre_repository::repo_file::RepoFile;
use lustre_repository::sbom::MadeWith;
use lustre_repository::sums::sha256;

const TIME: u32 = 1_704_067_200;

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [keys, tree, packages @ ..] = &arguments[..] else {
        panic!("assemble-forever KEYS TREE PACKAGE...");
    };
    let key = dev_key(keys).unwrap().key;
    let all: Vec<Input> = packages
        .iter()
        .map(|path| Input {
            path: path.clone(),
            // Whatever it was: nothing checks it here.
            sha256_unsigned: sha256(path).unwrap().0,
            stage: "test".to_owned(),
        })
        .collect();
    loop {
        for packages in [&all[..], &all[..all.len() - 1]] {
            once(&key, packages, tree);
        }
    }
}

fn once(key: &dyn Signer, packages: &[Input], tree: &Path) {
    let manifest = Manifest {
        target: "test".to_owned(),
        source_date_epoch: TIME.into(),
        stages: BTreeMap::from([("test".to_owned(), Stage::default())]),
        ..Manifest::default()
    };
    let assembly = Assembly {
        packages,
        comps: &Comps::default(),
        repo_file: &RepoFile::new("https://repo.example.org/lustre", "Lustre test").unwrap(),
        public_key: &key.public_key_armored().unwrap(),
        manifest,
        base: None,
        lock: None,
        made_with: &MadeWith::default(),
        earlier: &Earlier::default(),
        sign: &|content| Ok(key.sign_detached(content, TIME)?),
    };
    assemble(&assembly, tree).unwrap();
}
