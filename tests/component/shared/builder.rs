//! Three stages, one after the other, as one of several builders has them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use lustre_packaging::shared::{Keys, Place, Share, Shared, Standing};
use lustre_packaging::stage::{Event, Options, Recipe, Stage, run_taking};
use lustre_packaging::store::{StageDir, Store};

/// Which stages are shared: all but these.
pub fn shares(stage: &str) -> Share {
    match stage {
        "own" => Share::Nothing,
        "root" => Share::Digests,
        _ => Share::All,
    }
}

/// What does not compress, the same each time.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn stage<'a>(name: &str, needs: &[&str], input: &str, recipe: Recipe<'a>) -> Stage<'a> {
    Stage {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        inputs: vec![("input".to_owned(), input.to_owned())],
        whole: None,
        recipe,
    }
}

/// Writes what a stage may have: folders, an empty one among them, links, programs, and times.
fn writes(output: &Path, text: &str, size: usize) -> std::io::Result<()> {
    fs::create_dir_all(output.join("deep/empty"))?;
    let tool = output.join("deep/tool");
    fs::write(&tool, text)?;
    fs::set_permissions(&tool, PermissionsExt::from_mode(0o755))?;
    std::os::unix::fs::symlink("deep/tool", output.join("link"))?;
    let mut large = fs::File::create(output.join("large"))?;
    large.write_all(&noise(size))?;
    large.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000))
}

/// The stages `first`, `root`, `second` of both, `last` of that, and `own`, with what the last has for its input. Each says that it is made.
pub fn graph<'a>(input: &str, size: usize, made: &'a Mutex<Vec<String>>) -> Vec<Stage<'a>> {
    let recipe = |name: &'static str| -> Recipe<'a> {
        Box::new(move |work| {
            made.lock().unwrap().push(name.to_owned());
            Ok(writes(work.output, name, size)?)
        })
    };
    vec![
        stage("first", &[], "1", recipe("first")),
        stage("root", &[], "1", recipe("root")),
        stage("second", &["first", "root"], "1", recipe("second")),
        stage("last", &["second"], input, recipe("last")),
        stage("own", &["last"], "1", recipe("own")),
    ]
}

/// What happened in a run.
#[derive(Debug, Default)]
pub struct RunReport {
    pub made: Vec<String>,
    pub taken: Vec<String>,
    pub given: Vec<String>,
    /// The stages that are not taken or not given, each with the reason.
    pub warnings: Vec<String>,
    pub done: std::collections::BTreeMap<String, StageDir>,
}

/// Runs a graph.
pub fn run(
    store: &Store,
    place: &dyn Place,
    keys: &Keys,
    graph: &dyn Fn(&Mutex<Vec<String>>) -> Vec<Stage<'_>>,
) -> RunReport {
    let standing = Standing::default();
    let shared = Shared::new(store, place, keys, shares, &standing);
    let options = Options {
        width: 2,
        remote: Some(&shared),
        keeps: &[],
    };
    let made = Mutex::default();
    let seen = Mutex::new(RunReport::default());
    let done = run_taking(&[], &graph(&made), store, options, &|event| {
        let mut seen = seen.lock().unwrap();
        match event {
            Event::Taken { stage, .. } => seen.taken.push(stage.to_owned()),
            Event::Given { stage, .. } => seen.given.push(stage.to_owned()),
            Event::NotTaken { stage, why } => seen.warnings.push(format!("{stage} here: {why}")),
            Event::NotGiven { stage, why } => seen.warnings.push(format!("{stage} kept: {why}")),
            _ => {}
        }
    })
    .unwrap();
    let mut ran = seen.into_inner().unwrap();
    ran.done = done;
    ran.made = made.into_inner().unwrap();
    for list in [&mut ran.made, &mut ran.taken, &mut ran.given] {
        list.sort();
    }
    ran
}
