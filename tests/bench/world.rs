//! What the rows share: a folder, the packages in it, the programs.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lustre_packaging::process;
use lustre_repo_tests::createrepo;
use tempfile::TempDir;

use crate::options::Options;
use crate::packages;

/// How many threads both sides have, where they can have several.
pub const THREADS: usize = 2;

/// How many packages the short form has.
const SHORT: usize = 1000;

/// A row cannot be measured on this machine, as it is now: why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotHere(pub String);

/// createrepo_c, and the Python that has its reader.
pub struct Createrepo {
    /// The program itself, not the wrapper in Python that starts it.
    pub program: PathBuf,
    pub python: PathBuf,
}

pub struct World<'o> {
    pub options: &'o Options,
    folder: TempDir,
    packages: RefCell<BTreeMap<usize, PathBuf>>,
    createrepo: OnceCell<Createrepo>,
}

impl<'o> World<'o> {
    pub fn new(options: &'o Options) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("lustre-repo-bench-")
            .tempdir()
            .context("cannot make a folder for the packages")?;
        Ok(Self {
            options,
            folder,
            packages: RefCell::default(),
            createrepo: OnceCell::new(),
        })
    }

    /// Where everything is that a run makes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder of this name.
    pub fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(path)
    }

    /// How many packages there are where the full form has `full`.
    pub fn count(&self, full: usize) -> usize {
        if self.options.short {
            full.min(SHORT)
        } else {
            full
        }
    }

    /// A folder with `count` small packages, made once.
    pub fn packages(&self, count: usize) -> Result<PathBuf> {
        if let Some(made) = self.packages.borrow().get(&count) {
            return Ok(made.clone());
        }
        let folder = self.new_folder(&format!("packages-{count}"))?;
        packages::small(&folder, count)?;
        let made = folder.clone();
        self.packages.borrow_mut().insert(count, made);
        Ok(folder)
    }

    /// createrepo_c, as the tests have it: pinned by digest.
    pub fn createrepo(&self) -> Result<&Createrepo> {
        if let Some(found) = self.createrepo.get() {
            return Ok(found);
        }
        let wrapper = createrepo::program()?;
        let python = wrapper.with_file_name("python");
        let found = if python.is_file() {
            let say = "import createrepo_c, os; print(os.path.dirname(createrepo_c.__file__))";
            let said = process::output(Command::new(&python).args(["-c", say]))?;
            let home = PathBuf::from(String::from_utf8_lossy(&said).trim());
            Createrepo {
                program: home.join("data/bin/createrepo_c"),
                python,
            }
        } else {
            Createrepo {
                program: wrapper,
                python: "python3".into(),
            }
        };
        Ok(self.createrepo.get_or_init(|| found))
    }

    /// This program, to do our side of a row.
    pub fn work(&self) -> Command {
        // It has read its own path once already.
        let ourselves = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
        let mut command = Command::new(ourselves);
        command.arg(crate::work::ARGUMENT);
        command
    }
}
