//! What `cargo xtask bench` was asked for. It has checked the line already; this program is not for users.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// How many rounds there are, unless told.
const ROUNDS: usize = 5;

pub struct Options {
    /// The rows; all where there is none.
    pub names: Vec<String>,
    pub json: bool,
    /// On fewer packages.
    pub short: bool,
    pub rounds: usize,
    /// The file to write the table to.
    pub write: Option<PathBuf>,
    /// The tool itself.
    pub tool: Option<PathBuf>,
    /// The store of the tool, where not the one it has by itself.
    pub store: Option<PathBuf>,
    /// The target whose repository and stages are measured.
    pub target: String,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            names: Vec::new(),
            json: false,
            short: false,
            rounds: ROUNDS,
            write: None,
            tool: None,
            store: None,
            target: "rehearsal".to_owned(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                let value = rest.next();
                value.with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--json" => options.json = true,
                "--short" => options.short = true,
                "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
                "--write" => options.write = Some(value()?.into()),
                "--tool" => options.tool = Some(value()?.into()),
                "--store" => options.store = Some(value()?.into()),
                "--target" => value()?.clone_into(&mut options.target),
                name if !name.starts_with('-') => options.names.push(name.to_owned()),
                other => bail!("what is {other}?"),
            }
        }
        if options.rounds == 0 {
            bail!("no rounds measure nothing");
        }
        Ok(options)
    }
}
