//! What an assembled tree gets once it is proven: the proof, and the sums with it, signed anew.

use std::path::Path;

use lustre_files::tried;

use super::{Error, SignError, signature};
use crate::files::set_mtime;
use crate::{proof, sums};

/// The files that complete a proven tree, in place of those that it has of these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// `proof.json`.
    pub proof: String,
    /// `SHA256SUMS`.
    pub sums: String,
    /// `SHA256SUMS.asc`.
    pub signature: String,
}

impl Completion {
    /// Of the assembled tree `tree` and its proof. The tree is only read.
    ///
    /// # Errors
    /// When the tree's sums cannot be read or the new ones cannot be signed with the key that `public_key` belongs to.
    pub fn new(
        tree: &Path,
        proof: String,
        public_key: &str,
        sign: &dyn Fn(&[u8]) -> Result<String, SignError>,
    ) -> Result<Self, Error> {
        let path = tree.join(sums::FILE);
        let assembled = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .map_err(tried("read", &path))?;
        let sums = sums::with(&assembled, proof::FILE, &proof::digest(&proof));
        let signature = signature(&path, sums.as_bytes(), public_key, sign)?;
        Ok(Self {
            proof,
            sums,
            signature,
        })
    }

    /// Puts the files into a copy of the tree, whose times are `time`. Where the copy is made of links, what they lead to stays.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, copy: &Path, time: u64) -> Result<(), Error> {
        for (name, text) in self.files() {
            let path = copy.join(name);
            lustre_files::write_whole(&path, text.as_bytes()).map_err(tried("write", &path))?;
            set_mtime(&path, time).map_err(tried("write", &path))?;
        }
        Ok(set_mtime(copy, time).map_err(tried("write", copy))?)
    }

    /// The names of the files and their content.
    pub fn files(&self) -> [(&'static str, &str); 3] {
        [
            (proof::FILE, &self.proof),
            (sums::FILE, &self.sums),
            (sums::SIGNATURE, &self.signature),
        ]
    }
}
