//! Builds the stages with a shared store, which is a folder or a URL, in a process that can be killed. With a public key, it only takes what is
//! there.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;

use lustre_packaging::shared::{Folder, Keys, Objects, Place, Web};
use lustre_packaging::sign::{Key, PublicKey};
use lustre_packaging::store::Store;

#[path = "builder.rs"]
mod builder;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, place, key, size] = arguments.as_slice() else {
        panic!("STORE PLACE KEY SIZE");
    };
    let place: Box<dyn Place> = match place.split_once("://") {
        Some(("s3", path)) => Box::new(Objects {
            remote: format!(":s3:{path}"),
            s3: true,
            shown: place.clone(),
        }),
        Some(_) => Box::new(Web::new(place).unwrap()),
        None => Box::new(Folder(place.into())),
    };
    let keys = match Key::from_file(Path::new(key), None) {
        Ok(key) => Keys {
            accepted: vec![key.public_key()],
            signer: Some(Box::new(key)),
        },
        Err(_) => Keys {
            accepted: vec![PublicKey::parse(std::fs::read(key).unwrap()).unwrap()],
            signer: None,
        },
    };
    let store = Store::open(Path::new(store), "a test", &mut |_| {}).unwrap();
    let ran = builder::run(&store, &*place, &keys, &|made| {
        builder::graph("1", size.parse().unwrap(), made)
    });
    for warning in &ran.warnings {
        eprintln!("{warning}");
    }
    println!("{} {} {}", ran.made.len(), ran.taken.len(), ran.given.len());
}
