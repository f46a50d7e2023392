//! What is published says nothing of the machine that built it.

use std::fs;

use lustre_packaging::process;
use lustre_repo_tests::command_line::{project, run};
use walkdir::WalkDir;

use super::{CHEAP, World};

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn no_published_file_holds_a_path_of_the_machine_that_built() {
    let world = World::new();
    world.forget(&CHEAP);
    let source = world.base.join("a-clone");
    let mirror = world.base.join("a-mirror");
    fs::create_dir(&mirror).unwrap();
    let mut command = process::command("cp");
    command.args(["--archive", "-T"]);
    let model = project().join("specs/model/lustre");
    process::output(command.arg(model).arg(&source)).unwrap();
    let ran = run(world
        .command(0)
        .arg(format!("--source=lustre={}", source.display()))
        .arg(format!(
            "--mirror=https://a.example.org/={}",
            mirror.display()
        )));
    assert_eq!(ran.code, 0, "{ran:?}");
    let manifest = fs::read_to_string(world.dist().join("manifest.json")).unwrap();
    assert!(manifest.contains("https://a.example.org/"), "{manifest}");
    let home = world.home.path();
    let paths = [
        &source,
        &mirror,
        &world.store(),
        &world.dist(),
        home,
        project(),
    ]
    .map(|path| path.to_str().unwrap().to_owned());
    for entry in WalkDir::new(world.dist()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let content = fs::read(entry.path()).unwrap();
            for path in &paths {
                let found = content.windows(path.len()).any(|it| it == path.as_bytes());
                assert!(!found, "{}: {path}", entry.path().display());
            }
        }
    }
}
