//! The distribution's own builds of what its source repository holds.
//!
//! They carry no kernel: compiling one twice would double the time of a run. They are packages with the names, version and
//! release that the source package's spec declares, so that everything that compares a rebuilt kernel with the
//! distribution's has something real to compare with, and they say so in the only file they have.

use super::convert::apply;
use super::recipe::{Extra, Recipe, Stock};
use super::srpm::SpecPackage;
use super::tree::{Entry, Kind, Tree};
use super::version::Evr;
use super::writer::Plan;

/// The recipe wants a package that the spec does not make.
#[derive(Debug, thiserror::Error)]
#[error("the recipe's `stock.packages` contains `{name}`, but the spec only makes: {made}")]
pub struct Error {
    pub name: String,
    /// What the spec makes.
    pub made: String,
}

/// The plans of the stock packages of a spec.
pub fn plans(stock: &Stock, made: &[SpecPackage], recipe: &Recipe) -> Result<Vec<Plan>, Error> {
    let find = |name: &String| {
        made.iter()
            .find(|package| package.name == *name)
            .ok_or_else(|| Error {
                name: name.clone(),
                made: made
                    .iter()
                    .map(|package| package.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    };
    let (first, others) = match stock.packages.split_first() {
        Some(parts) => parts,
        None => return Ok(Vec::new()),
    };
    let mut plans = Vec::new();
    for name in &stock.packages {
        let package = find(name)?;
        let requires = if name == first {
            others
                .iter()
                .map(|other| format!("{other} = {{evr}}"))
                .collect()
        } else {
            Vec::new()
        };
        let time = recipe.distribution.time;
        let folder = format!("/usr/share/doc/{name}");
        let tree = Tree::from([
            (folder.clone(), Entry::of_root(Kind::Directory, 0o755, time)),
            (
                format!("{folder}/README"),
                Entry::of_root(
                    Kind::File(stock.description.trim_start().into()),
                    0o644,
                    time,
                ),
            ),
        ]);
        let mut plan = Plan {
            name: name.clone(),
            evr: Evr {
                epoch: None,
                version: package.version.clone(),
                release: package.release.clone(),
            },
            arch: "x86_64".to_owned(),
            summary: stock.summary.clone(),
            description: stock.description.trim().to_owned(),
            license: stock.license.clone(),
            vendor: recipe.distribution.name.clone(),
            tree,
            time,
            ..Plan::default()
        };
        let extra = Extra {
            requires,
            provides: stock.provides.clone(),
            ..Extra::default()
        };
        apply(&mut plan, extra, &recipe.distribution.skeleton);
        plans.push(plan);
    }
    Ok(plans)
}
