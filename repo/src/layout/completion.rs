//! What an assembled tree gets once it is proven: the proof, and the sums with it, signed anew.

use std::path::Path;

use lustre_files::tried;

use super::{Error, SignError, signature};
use crate::files::set_mtime;
use crate::manifest::{self, Manifest};
use crate::proof::{self, Proof};
use crate::{page, provenance, sums};

/// The names of the files that a proof changes or adds.
pub const COMPLETED: [&str; 6] = [
    proof::FILE,
    page::FILE,
    sums::FILE,
    sums::SIGNATURE,
    provenance::FILE,
    provenance::SIGNATURE,
];

/// The sums of a tree as they were before it was completed, from those that it has: `page` is the digest of the page that it had.
pub fn assembled_sums(sums: &str, page: &str) -> String {
    sums::with(&sums::without(sums, proof::FILE), page::FILE, page)
}

/// The files that complete a proven tree, in place of those that it has of these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// `proof.json`.
    pub proof: String,
    /// `index.html`.
    pub page: String,
    /// `SHA256SUMS`.
    pub sums: String,
    /// `SHA256SUMS.asc`.
    pub signature: String,
    /// How all of it was made, which has the digest of the sums.
    pub provenance: String,
    pub provenance_signature: String,
}

impl Completion {
    /// Of the assembled tree `tree` and its proof. The tree is only read.
    pub fn new(
        tree: &Path,
        proof: &Proof,
        public_key: &str,
        sign: &dyn Fn(&[u8]) -> Result<String, SignError>,
    ) -> Result<Self, Error> {
        let path = tree.join(sums::FILE);
        let assembled = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .map_err(tried("read", &path))?;
        let page = page::of_tree(tree, sums::names(&assembled), Some(proof))?;
        let proof = proof.to_json();
        let sums = sums::with(&assembled, proof::FILE, &sums::of_text(&proof));
        let sums = sums::with(&sums, page::FILE, &sums::of_text(&page));
        let manifest = Manifest::read(&tree.join(manifest::FILE))?;
        let provenance = provenance::statement(&manifest, &sums);
        let signed =
            |name: &str, text: &str| signature(&tree.join(name), text.as_bytes(), public_key, sign);
        Ok(Self {
            signature: signed(sums::FILE, &sums)?,
            provenance_signature: signed(provenance::FILE, &provenance)?,
            proof,
            page,
            sums,
            provenance,
        })
    }

    /// Puts the files into a copy of the tree, whose times are `time`. Where the copy is made of links, what they lead to stays.
    pub fn write(&self, copy: &Path, time: u64) -> Result<(), Error> {
        for (name, text) in self.files() {
            let path = copy.join(name);
            lustre_files::write_whole(&path, text.as_bytes()).map_err(tried("write", &path))?;
            set_mtime(&path, time).map_err(tried("write", &path))?;
        }
        Ok(set_mtime(copy, time).map_err(tried("write", copy))?)
    }

    /// The names of the files and their content.
    pub fn files(&self) -> [(&'static str, &str); 6] {
        [
            (proof::FILE, &self.proof),
            (page::FILE, &self.page),
            (sums::FILE, &self.sums),
            (sums::SIGNATURE, &self.signature),
            (provenance::FILE, &self.provenance),
            (provenance::SIGNATURE, &self.provenance_signature),
        ]
    }
}
