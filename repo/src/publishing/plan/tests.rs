use super::super::names::{STAGED, STAGING};
use super::super::obstacles::{called_by_content, only_its_own};
use super::super::release::File;
use super::super::staging::{NotPromoted, NotStaged, promote, stage, staged};
use super::*;

/// Releases of three versions of a tool, as their sums list them; each file's digest is made of what it is.
fn release(time: u64, packages: &[(&str, &str)], more: &[&str]) -> (Release, String) {
    let digest = |text: &str| sums::of_text(text);
    let mut lines = Vec::new();
    for (name, content) in packages {
        lines.push((format!("x86_64/Packages/{name}.rpm"), digest(content)));
    }
    for kind in ["x86_64", "x86_64-debuginfo", "source"] {
        let own = digest(&format!("{kind}{packages:?}"));
        lines.push((format!("{kind}/repodata/{own}-primary.xml.gz"), own));
        for name in ["repomd.xml", "repomd.xml.asc"] {
            lines.push((
                format!("{kind}/repodata/{name}"),
                digest(&format!("{kind}{name}{time}{packages:?}")),
            ));
        }
    }
    for name in ["manifest.json", "index.html"].iter().chain(more) {
        lines.push(((*name).to_owned(), digest(&format!("{name}{time}"))));
    }
    lines.sort();
    let text: String = lines
        .iter()
        .map(|(path, digest)| format!("{digest}  {path}\n"))
        .collect();
    let own = [
        (sums::FILE, digest(&text)),
        (sums::SIGNATURE, digest(&format!("signed {text}"))),
    ];
    let more = own.map(|(path, sha256)| File {
        path: path.to_owned(),
        size: Some(1),
        sha256,
    });
    let mut release = Release::new(time, &text, more);
    for file in &mut release.files {
        file.size = Some(1);
    }
    (release, text)
}

/// Three releases, each with another version of a tool.
fn three() -> [(Release, String); 3] {
    [
        release(1, &[("lustre-1", "l"), ("tool-1", "1")], &["KERNELS.txt"]),
        release(2, &[("lustre-1", "l"), ("tool-2", "2")], &[]),
        release(3, &[("lustre-1", "l"), ("tool-3", "3")], &["sbom.json"]),
    ]
}

/// A destination in memory.
#[derive(Clone, Default)]
struct MemoryDestination {
    listing: Listing,
}

impl MemoryDestination {
    /// As another program puts a repository there.
    fn plain(release: &Release) -> Listing {
        let files = release.files.iter().map(|file| {
            let found = RemoteEntry::File {
                size: 1,
                sha256: Some(file.sha256.clone()),
            };
            (file.path.clone(), found)
        });
        let mut listing: Listing = files.collect();
        for kind in Kind::ALL {
            let folder = format!("{}/repodata", kind.folder());
            listing.insert(folder, RemoteEntry::Folder);
        }
        listing
    }

    /// The digest of what a client gets at `path`.
    fn get(&self, path: &str) -> Option<&str> {
        let mut path = path.to_owned();
        'again: for _ in 0..8 {
            if let Some(RemoteEntry::File { sha256, .. }) = self.listing.get(&path) {
                return sha256.as_deref();
            }
            let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
            for at in ends.into_iter().chain([path.len()]) {
                if let Some(RemoteEntry::Link(to)) = self.listing.get(&path[..at]) {
                    let mut parts: Vec<&str> = path[..at].split('/').collect();
                    parts.pop();
                    for part in to.split('/') {
                        match part {
                            ".." => drop(parts.pop()),
                            part => parts.push(part),
                        }
                    }
                    path = format!("{}{}", parts.join("/"), &path[at..]);
                    continue 'again;
                }
            }
            return None;
        }
        None
    }

    /// Which of `releases` a client reads whole.
    fn read<'r>(&self, releases: &'r [(Release, String)]) -> Option<&'r Release> {
        self.read_at("", releases)
    }

    /// The same for one that looks below `at`.
    fn read_at<'r>(&self, at: &str, releases: &'r [(Release, String)]) -> Option<&'r Release> {
        let index = self.get(&format!("{at}x86_64/repodata/repomd.xml"))?;
        let (release, _) = releases.iter().find(|(release, _)| {
            release.file("x86_64/repodata/repomd.xml").unwrap().sha256 == index
        })?;
        let own = |file: &&File| file.path.starts_with("x86_64/");
        let mut files = release.files.iter().filter(own);
        files
            .all(|file| self.get(&format!("{at}{}", file.path)) == Some(&file.sha256))
            .then_some(release)
    }

    /// Whether all of a release is there, where people look for it as well.
    fn is(&self, release: &Release) -> bool {
        self.is_at("", release)
    }

    /// The same below `at`.
    fn is_at(&self, at: &str, release: &Release) -> bool {
        let mut files = release.files.iter();
        files.all(|file| self.get(&format!("{at}{}", file.path)) == Some(&file.sha256))
    }

    /// Whether a client that has the index of `release` finds all that it names.
    fn serves(&self, release: &Release) -> bool {
        let named = |file: &&File| is_package(&file.path) || is_named_by_content(&file.path);
        let mut files = release.files.iter().filter(named);
        files.all(|file| self.get(&file.path) == Some(&file.sha256))
    }

    fn state(&self, releases: &[(Release, String)], shape: Shape) -> State {
        let found = there(&self.listing);
        let untold = matches!(found, super::RemoteState::Untold(_));
        let published = match found {
            super::RemoteState::Nothing => None,
            super::RemoteState::Foreign(name) => panic!("{name}"),
            super::RemoteState::Linked(id) => releases.iter().find(|(it, _)| it.id == id),
            super::RemoteState::Plain | super::RemoteState::Untold(_) => {
                let at = self.get(sums::FILE);
                let of = |it: &(Release, String)| it.0.file(sums::FILE).unwrap().sha256.clone();
                releases.iter().find(|it| Some(of(it).as_str()) == at)
            }
        };
        let published = published.map(|(release, _)| release.clone());
        let staged = staged(shape, &self.listing).and_then(|(folder, _)| {
            let at = self.get(&format!("{folder}{}", sums::FILE))?;
            let is = |it: &&(Release, String)| it.0.file(sums::FILE).unwrap().sha256 == at;
            releases.iter().find(is).map(|(release, _)| release.clone())
        });
        let mut listing = self.listing.clone();
        if shape == Shape::Flat {
            // Nothing tells what an object is but the sums that are published.
            let known = [("", &published), ("staging/", &staged)];
            for (path, found) in &mut listing {
                if let RemoteEntry::File { sha256, .. } = found {
                    let mut known = known.iter().filter_map(|(at, release)| {
                        let file = release.as_ref()?.file(path.strip_prefix(at)?)?;
                        Some(file.sha256.clone())
                    });
                    *sha256 = known.next();
                }
            }
        }
        let ids = releases.iter().filter(|(release, _)| {
            let note = format!("{HOME}/{}/{}", release.id, sums::FILE);
            let there = |path: &str| self.listing.contains_key(path);
            there(&note) || there(&format!("{STAGING}/{note}"))
        });
        State {
            listing,
            staged,
            sums: ids
                .map(|(release, text)| (release.id.clone(), text.clone()))
                .collect(),
            all_stay: untold && published.is_none(),
            published,
        }
    }

    /// Does single acts of a plan one after the other; `look` is called behind each.
    fn perform(&mut self, plan: &Plan, look: &mut dyn FnMut(&Self)) {
        for step in &plan.steps {
            match step {
                Step::Put(puts) => {
                    for put in puts {
                        let found = RemoteEntry::File {
                            size: 1,
                            sha256: Some(put.sha256.clone()),
                        };
                        self.listing.insert(put.path.clone(), found);
                        look(self);
                    }
                }
                Step::Link(links) | Step::TakeOver(links) => {
                    for (path, to) in links {
                        let below = format!("{path}/");
                        self.listing.retain(|it, _| !it.starts_with(&below));
                        self.listing
                            .insert(path.clone(), RemoteEntry::Link(to.clone()));
                        look(self);
                    }
                }
                Step::Switch { link, to } => {
                    self.listing
                        .insert((*link).to_owned(), RemoteEntry::Link(to.clone()));
                    look(self);
                }
                Step::Probe(path) => assert!(self.get(path).is_some(), "{path}"),
                Step::Complete(wanted) => {
                    for path in wanted.keys() {
                        assert!(self.get(path).is_some(), "{path}");
                    }
                }
                Step::Remove(paths) => {
                    for path in paths {
                        let below = format!("{path}/");
                        self.listing
                            .retain(|it, _| it != path && !it.starts_with(&below));
                        look(self);
                    }
                }
            }
        }
    }
}

/// The states behind each act of a plan, and that at its end.
fn states(from: &MemoryDestination, plan: &Plan) -> Vec<MemoryDestination> {
    let mut now = from.clone();
    let mut states = vec![from.clone()];
    now.perform(plan, &mut |state| states.push(state.clone()));
    states.push(now);
    states
}

/// Those of a publish.
fn publish(
    from: &MemoryDestination,
    new: &Release,
    all: &[(Release, String)],
    shape: Shape,
) -> Vec<MemoryDestination> {
    states(from, &plan(shape, new, &from.state(all, shape)))
}

/// Those of one beside what is published.
fn staging(
    from: &MemoryDestination,
    new: &Release,
    all: &[(Release, String)],
    shape: Shape,
) -> Vec<MemoryDestination> {
    states(from, &stage(shape, new, &from.state(all, shape)).unwrap())
}

/// Those of a promotion.
fn promotion(
    from: &MemoryDestination,
    all: &[(Release, String)],
    shape: Shape,
) -> Vec<MemoryDestination> {
    let state = from.state(all, shape);
    let staged = state.staged.clone().unwrap();
    states(from, &promote(shape, &staged, &state).unwrap())
}

#[test]
fn wherever_a_publish_ends_a_client_reads_one_release_whole_and_the_same_command_goes_on() {
    let all = three();
    let [a, b, c] = [&all[0].0, &all[1].0, &all[2].0];
    let mut there = MemoryDestination::default();
    for new in [a, b, c, a] {
        let before = there.state(&all, Shape::Linked).published;
        let states = publish(&there, new, &all, Shape::Linked);
        for (at, state) in states.iter().enumerate() {
            match (state.read(&all), &before) {
                (Some(read), Some(before)) => {
                    assert!(*read == *new || read == before, "{at}");
                    assert!(state.is(read), "{at}: people read another than dnf");
                    assert!(state.serves(before), "{at}: it left clients behind");
                }
                (Some(read), None) => assert_eq!(read, new),
                (None, before) => assert!(before.is_none(), "{at}: nothing can be read"),
            }
            let again = publish(state, new, &all, Shape::Linked).pop().unwrap();
            assert!(again.is(new), "{at}");
            assert!(before.as_ref().is_none_or(|it| again.serves(it)), "{at}");
        }
        there = states.last().unwrap().clone();
        assert!(there.is(new));
        let done = plan(Shape::Linked, new, &there.state(&all, Shape::Linked));
        assert_eq!(done.sent().count(), 0, "{done:#?}");
        assert_eq!(done.removed().count(), 0, "{done:#?}");
        assert!(!done.switches());
    }
    // What was there two releases before is gone, and what is the last one's own.
    assert!(!there.serves(b) && there.serves(c));
    assert_eq!(there.get("x86_64/Packages/tool-2.rpm"), None);
    assert_eq!(there.get("sbom.json"), None);
}

#[test]
fn a_repository_that_was_put_there_by_other_means_is_taken_over_while_it_is_read() {
    let all = three();
    let [a, b, _] = [&all[0].0, &all[1].0, &all[2].0];
    for new in [a, b] {
        let plain = MemoryDestination {
            listing: MemoryDestination::plain(a),
        };
        let states = publish(&plain, new, &all, Shape::Linked);
        for (at, state) in states.iter().enumerate() {
            let read = state.read(&all).unwrap_or_else(|| panic!("{at}: nothing"));
            assert!(*read == *a || *read == *new, "{at}");
            assert!(state.is(read) && state.serves(a), "{at}");
            let again = publish(state, new, &all, Shape::Linked).pop().unwrap();
            assert!(again.is(new) && again.serves(a), "{at}");
        }
        let last = states.last().unwrap();
        assert!(last.is(new));
        let plain = last.listing.iter().filter(|(path, found)| {
            matches!(found, RemoteEntry::File { .. }) && !path.starts_with(HOME)
        });
        for (path, _) in plain {
            assert!(is_package(path), "{path} is not behind the link");
        }
    }
}

#[test]
fn where_there_are_no_links_what_servers_install_from_is_last_of_the_metadata_of_assets_as_well() {
    let kinds = Kind::ALL.map(|kind| kind.folder().to_owned());
    let folders = kinds.iter().cloned().chain(Kind::ALL.map(assets::folder));
    let index = |folder: &str| format!("{folder}/repodata/repomd.xml");
    let text: String = folders
        .map(|folder| format!("{}  {}\n", "1".repeat(64), index(&folder)))
        .collect();
    let new = Release::new(7, &text, []);
    let made = plan(
        Shape::Flat,
        &new,
        &MemoryDestination::default().state(&[], Shape::Flat),
    );
    let sent: Vec<&str> = made.sent().map(|put| put.path.as_str()).collect();
    let wanted = [
        "source",
        "x86_64-debuginfo",
        "x86_64",
        "assets/source",
        "assets/x86_64-debuginfo",
        "assets/x86_64",
    ];
    assert_eq!(sent[sent.len() - 6..], wanted.map(index));
}

#[test]
fn where_there_are_no_links_the_index_and_its_signature_are_last() {
    let all = three();
    let [a, b, c] = [&all[0].0, &all[1].0, &all[2].0];
    let mut there = MemoryDestination::default();
    for new in [a, b, c] {
        let state = there.state(&all, Shape::Flat);
        let before = state.published.clone();
        let made = plan(Shape::Flat, new, &state);
        let sent: Vec<&str> = made.sent().map(|put| put.path.as_str()).collect();
        assert_eq!(
            sent[sent.len() - 2..],
            [
                "x86_64/repodata/repomd.xml",
                "x86_64/repodata/repomd.xml.asc"
            ]
        );
        // Whoever goes on after a run that was killed knows by the sums which release it was to be.
        let at = |path: &str| sent.iter().position(|it| *it == path).unwrap();
        assert!(at(sums::FILE) < at("index.html") && at(sums::FILE) < at("manifest.json"));
        let mut broken = 0;
        for (at, state) in publish(&there, new, &all, Shape::Flat).iter().enumerate() {
            match state.read(&all) {
                Some(read) => assert!(*read == *new || Some(read) == before.as_ref(), "{at}"),
                // Between the two.
                None => broken += 1,
            }
            assert!(before.as_ref().is_none_or(|it| state.serves(it)), "{at}");
            let again = publish(state, new, &all, Shape::Flat).pop().unwrap();
            assert!(again.is(new), "{at}");
        }
        assert!(before.is_none() || broken == 1, "{broken}");
        there = publish(&there, new, &all, Shape::Flat).pop().unwrap();
    }
    assert!(there.serves(b) && !there.serves(a));
    assert_eq!(there.get("x86_64/Packages/tool-1.rpm"), None);
}

#[test]
fn a_package_with_other_content_under_the_same_name_comes_last_and_is_told() {
    let (old, text) = release(1, &[("a-1", "old"), ("b-1", "b")], &[]);
    let (new, more) = release(2, &[("a-1", "new"), ("b-1", "b"), ("c-1", "c")], &[]);
    let all = [(old.clone(), text), (new.clone(), more)];
    let there = publish(&MemoryDestination::default(), &old, &all, Shape::Linked);
    let state = there.last().unwrap().state(&all, Shape::Linked);
    let made = plan(Shape::Linked, &new, &state);
    let last = made.sent().last().unwrap();
    assert_eq!(last.path, "x86_64/Packages/a-1.rpm");
    let replaced: Vec<&str> = made
        .sent()
        .filter(|put| put.replaces)
        .map(|put| put.path.as_str())
        .collect();
    assert_eq!(replaced, ["x86_64/Packages/a-1.rpm"]);
    assert!(made.anew().eq(replaced));
}

#[test]
fn nothing_is_removed_that_no_release_of_ours_listed() {
    let all = three();
    let mut there = MemoryDestination::default();
    let foreign = ["x86_64/Packages/site-1.rpm", "favicon.ico", ".well-known/x"];
    for (at, (new, _)) in all.iter().enumerate() {
        there = publish(&there, new, &all, Shape::Linked).pop().unwrap();
        if at == 0 {
            for path in foreign {
                let found = RemoteEntry::File {
                    size: 1,
                    sha256: Some("f".repeat(64)),
                };
                there.listing.insert(path.to_owned(), found);
            }
        }
    }
    for path in foreign {
        assert!(there.get(path).is_some(), "{path}");
    }
    // Sums in a folder that is dropped may be anybody's.
    let evil = format!(
        "{0}  ../../etc/x\n{0}  .releases/current\n{0}  favicon.ico\n{0}  x86_64/Packages/../x.rpm\n",
        "0".repeat(64)
    );
    let mut state = there.state(&all, Shape::Linked);
    let id = "9-0123456789abcdef";
    state.sums.insert(id.to_owned(), evil);
    state
        .listing
        .insert(format!("{HOME}/{id}/{}", sums::FILE), RemoteEntry::Folder);
    let made = plan(Shape::Linked, &all[2].0, &state);
    let removed: Vec<&str> = made.removed().collect();
    assert_eq!(removed, [format!("{HOME}/{id}")]);
}

#[test]
fn what_is_there_is_told_by_names() {
    let file = || RemoteEntry::File {
        size: 1,
        sha256: None,
    };
    let listing = |found: &[(&str, RemoteEntry)]| -> Listing {
        let found = found.iter().cloned();
        found
            .map(|(path, found)| (path.to_owned(), found))
            .collect()
    };
    let id = "1-0123456789abcdef";
    let link = |to: &str| RemoteEntry::Link(to.to_owned());
    let note = format!(".releases/{id}/SHA256SUMS");
    let untold = |path: &str| super::RemoteState::Untold(path.to_owned());
    for (found, wanted) in [
        (vec![], super::RemoteState::Nothing),
        (
            vec![(".releases/.partial", RemoteEntry::Folder)],
            super::RemoteState::Nothing,
        ),
        (vec![("manifest.json", file())], super::RemoteState::Plain),
        (
            vec![
                ("manifest.json", link(".releases/current/manifest.json")),
                (".releases/current", link(id)),
            ],
            super::RemoteState::Linked(id.to_owned()),
        ),
        (
            vec![
                ("manifest.json", link(".releases/current/manifest.json")),
                (".releases/current", link("../../elsewhere")),
            ],
            untold(".releases/current"),
        ),
        (
            vec![
                ("manifest.json", link("../elsewhere")),
                (".releases/current", link(id)),
            ],
            super::RemoteState::Linked(id.to_owned()),
        ),
        (
            vec![(".releases/current", link(id))],
            super::RemoteState::Linked(id.to_owned()),
        ),
        (
            vec![(&note, file()), (".releases/current", file())],
            untold(".releases/current"),
        ),
        (
            vec![
                (&note, file()),
                (
                    "x86_64/repodata",
                    link("../.releases/current/x86_64/repodata"),
                ),
            ],
            untold("x86_64/repodata"),
        ),
        (
            vec![(&note, file()), ("x86_64/repodata/repomd.xml", file())],
            untold("x86_64/repodata/repomd.xml"),
        ),
        (
            vec![(&note, file()), ("assets.json", file())],
            untold("assets.json"),
        ),
        (
            vec![(&note, file()), ("SHA256SUMS", file())],
            untold("SHA256SUMS"),
        ),
        // As a first publish begins.
        (
            vec![
                (&note, file()),
                ("x86_64/Packages", RemoteEntry::Folder),
                ("x86_64/Packages/a.rpm", file()),
                ("staging", link(".releases/staged")),
            ],
            super::RemoteState::Nothing,
        ),
        // Of whom that folder is, nothing tells.
        (
            vec![(".releases/mine", file()), ("photos/1.jpg", file())],
            super::RemoteState::Foreign("photos/1.jpg".to_owned()),
        ),
        (
            vec![("photos", RemoteEntry::Folder), ("photos/1.jpg", file())],
            super::RemoteState::Foreign("photos/1.jpg".to_owned()),
        ),
        (
            vec![
                ("lost+found", RemoteEntry::Folder),
                ("a", RemoteEntry::Folder),
            ],
            super::RemoteState::Nothing,
        ),
    ] {
        assert_eq!(there(&listing(&found)), wanted, "{found:?}");
    }
}

#[test]
fn wherever_a_staging_ends_clients_read_what_they_read_and_it_goes_on() {
    let all = three();
    let [a, b, c] = [&all[0].0, &all[1].0, &all[2].0];
    for shape in [Shape::Linked, Shape::Flat] {
        let mut there = publish(&MemoryDestination::default(), a, &all, shape)
            .pop()
            .unwrap();
        let live = there.state(&all, shape).published.unwrap();
        for new in [b, c] {
            let before = there.state(&all, shape).staged;
            let mut between = 0;
            let made = staging(&there, new, &all, shape);
            for (at, state) in made.iter().enumerate() {
                assert_eq!(state.read(&all), Some(a), "{at}");
                assert!(state.is(a) && state.serves(a), "{at}");
                match state.read_at("staging/", &all) {
                    Some(read) => assert!(read == new || Some(read) == before.as_ref(), "{at}"),
                    None => between += usize::from(before.is_some()),
                }
                let again = staging(state, new, &all, shape).pop().unwrap();
                assert!(again.is_at("staging/", new) && again.is(a), "{at}");
                let promoted = promotion(&again, &all, shape).pop().unwrap();
                assert!(promoted.is(new) && promoted.serves(a), "{at}");
            }
            // Where there are no links, an index is there a moment before its signature.
            let index = usize::from(shape == Shape::Flat && before.is_some());
            assert_eq!(between, index, "{shape:?}");
            there = made.last().unwrap().clone();
            assert!(there.is_at("staging/", new));
            assert_eq!(there.state(&all, shape).published.as_ref(), Some(&live));
            let done = stage(shape, new, &there.state(&all, shape)).unwrap();
            assert_eq!(done.removed().count(), 0, "{done:#?}");
            assert!(
                shape == Shape::Flat || done.sent().count() == 0,
                "{done:#?}"
            );
        }
        // What was staged before is gone, but where its clients have a folder of their own.
        let gone = there.get("x86_64/Packages/tool-2.rpm");
        assert_eq!(gone, None, "{shape:?}");
    }
}

#[test]
fn wherever_a_promotion_ends_clients_read_one_release_whole_and_the_same_command_goes_on() {
    let all = three();
    let [a, b, c] = [&all[0].0, &all[1].0, &all[2].0];
    for shape in [Shape::Linked, Shape::Flat] {
        let mut there = MemoryDestination::default();
        for new in [a, b, c] {
            let before = there.state(&all, shape).published;
            there = staging(&there, new, &all, shape).pop().unwrap();
            assert_eq!(there.state(&all, shape).published, before);
            let mut between = 0;
            let made = promotion(&there, &all, shape);
            for (at, state) in made.iter().enumerate() {
                match (state.read(&all), &before) {
                    (Some(read), Some(before)) => {
                        assert!(*read == *new || read == before, "{at}");
                        assert!(state.serves(before), "{at}");
                        assert!(shape == Shape::Flat || state.is(read), "{at}");
                    }
                    (Some(read), None) => assert_eq!(read, new),
                    (None, before) => between += usize::from(before.is_some()),
                }
                assert!(state.is_at("staging/", new), "{at}: testers lost it");
                let again = promotion(state, &all, shape).pop().unwrap();
                assert!(again.is(new), "{at}");
                assert!(before.as_ref().is_none_or(|it| again.serves(it)), "{at}");
            }
            let index = usize::from(shape == Shape::Flat && before.is_some());
            assert_eq!(between, index, "{shape:?}");
            there = made.last().unwrap().clone();
            let state = there.state(&all, shape);
            let done = promote(shape, new, &state).unwrap();
            assert_eq!(done.removed().count(), 0, "{done:#?}");
            assert!(!done.switches());
            // A publish of the same goes on as well, and so does one of the next.
            let direct = publish(&there, new, &all, shape).pop().unwrap();
            assert!(direct.is(new) && direct.is_at("staging/", new));
        }
        assert!(there.serves(b) && !there.serves(a), "{shape:?}");
    }
}

#[test]
fn what_was_put_there_by_other_means_is_left_alone_until_a_promotion_takes_it_over() {
    let all = three();
    let [a, b, _] = [&all[0].0, &all[1].0, &all[2].0];
    let plain = MemoryDestination {
        listing: MemoryDestination::plain(a),
    };
    let staged = staging(&plain, b, &all, Shape::Linked);
    for (at, state) in staged.iter().enumerate() {
        for (path, found) in &plain.listing {
            assert_eq!(state.listing.get(path), Some(found), "{at}");
        }
    }
    let staged = staged.last().unwrap();
    assert!(staged.is_at("staging/", b));
    for (at, state) in promotion(staged, &all, Shape::Linked).iter().enumerate() {
        let read = state.read(&all).unwrap_or_else(|| panic!("{at}: nothing"));
        assert!(state.is(read) && state.serves(a), "{at}");
        let again = promotion(state, &all, Shape::Linked).pop().unwrap();
        assert!(again.is(b) && again.serves(a), "{at}");
    }
}

#[test]
fn a_publish_meanwhile_leaves_what_is_staged_and_keeps_it_from_being_promoted() {
    let all = three();
    let [a, b, c] = [&all[0].0, &all[1].0, &all[2].0];
    for shape in [Shape::Linked, Shape::Flat] {
        let first = publish(&MemoryDestination::default(), a, &all, shape)
            .pop()
            .unwrap();
        let there = staging(&first, c, &all, shape).pop().unwrap();
        let made = publish(&there, b, &all, shape);
        for (at, state) in made.iter().enumerate() {
            assert!(state.is_at("staging/", c), "{at}: testers lost it");
        }
        let there = made.last().unwrap();
        assert!(there.is(b));
        let refused = promote(shape, c, &there.state(&all, shape)).unwrap_err();
        let id = |release: &Release| BTreeSet::from([release.id.clone()]);
        let wanted = NotPromoted::Changed {
            staged: c.id.clone(),
            on: id(a),
            live: id(b),
        };
        assert_eq!(refused, wanted, "{shape:?}");
        // Staged again, it is beside what is published now.
        let again = staging(there, c, &all, shape).pop().unwrap();
        let promoted = promotion(&again, &all, shape).pop().unwrap();
        assert!(promoted.is(c) && promoted.serves(b), "{shape:?}");
    }
    let there = staging(&MemoryDestination::default(), a, &all, Shape::Linked)
        .pop()
        .unwrap();
    let there = publish(&there, b, &all, Shape::Linked).pop().unwrap();
    let refused = promote(Shape::Linked, a, &there.state(&all, Shape::Linked));
    assert!(refused.unwrap_err().to_string().contains("beside nothing"));
}

#[test]
fn what_would_change_what_clients_read_is_not_staged_and_what_is_not_whole_is_not_promoted() {
    let (old, text) = release(1, &[("a-1", "old")], &[]);
    let (new, more) = release(2, &[("a-1", "new")], &[]);
    let all = [(old.clone(), text), (new.clone(), more)];
    for shape in [Shape::Linked, Shape::Flat] {
        let there = publish(&MemoryDestination::default(), &old, &all, shape)
            .pop()
            .unwrap();
        let made = stage(shape, &new, &there.state(&all, shape));
        match shape {
            Shape::Linked => assert_eq!(
                made,
                Err(NotStaged::Contradicts("x86_64/Packages/a-1.rpm".to_owned()))
            ),
            // It lies in a folder of its own.
            Shape::Flat => assert!(made.is_ok()),
        }
        // What only testers read may change.
        let there = staging(&MemoryDestination::default(), &old, &all, shape)
            .pop()
            .unwrap();
        let there = staging(&there, &new, &all, shape).pop().unwrap();
        assert!(there.is_at("staging/", &new));
    }
    let mut there = staging(&MemoryDestination::default(), &new, &all, Shape::Linked)
        .pop()
        .unwrap();
    there.listing.remove("x86_64/Packages/a-1.rpm");
    let refused = promote(Shape::Linked, &new, &there.state(&all, Shape::Linked));
    let missing = "x86_64/Packages/a-1.rpm".to_owned();
    assert_eq!(refused, Err(NotPromoted::NotWhole(missing)));
    // The name may be somebody's own.
    for (shape, path, found) in [
        (Shape::Linked, "staging", RemoteEntry::Folder),
        (
            Shape::Linked,
            "staging",
            RemoteEntry::Link("photos".to_owned()),
        ),
        (
            Shape::Flat,
            "staging/1.jpg",
            RemoteEntry::File {
                size: 1,
                sha256: None,
            },
        ),
    ] {
        let mut there = publish(&MemoryDestination::default(), &old, &all, shape)
            .pop()
            .unwrap();
        there.listing.insert(path.to_owned(), found);
        let made = stage(shape, &new, &there.state(&all, shape));
        assert_eq!(made, Err(NotStaged::Foreign), "{path}");
    }
}

#[test]
fn links_that_rsync_did_not_get_to_rename_go_and_nothing_of_somebody_else() {
    let all = three();
    let [first, second, _] = &all;
    let mut at = MemoryDestination::default();
    let state = at.state(&all, Shape::Linked);
    at.perform(&plan(Shape::Linked, &first.0, &state), &mut |_| {});
    let id = &first.0.id;
    let half = [
        (".releases/.current.a1B2c3".to_owned(), id.clone()),
        (".releases/.probe.a1B2c3".to_owned(), id.clone()),
        (
            format!(".releases/{id}/.previous.a1B2c3"),
            "../x".to_owned(),
        ),
        (".SHA256SUMS.a1B2c3".to_owned(), link_to("SHA256SUMS")),
        (
            "x86_64/.repodata.a1B2c3".to_owned(),
            link_to("x86_64/repodata"),
        ),
        (".staging.a1B2c3".to_owned(), STAGED.to_owned()),
    ];
    let foreign = [
        (".SHA256SUMS.a1B2c4", "elsewhere"),
        (".hidden", "SHA256SUMS"),
        (".x.abcdef", "y"),
        ("latest.a1B2c3", "x86_64"),
    ];
    let foreign = foreign.map(|(path, to)| (path.to_owned(), to.to_owned()));
    for (path, to) in half.iter().chain(&foreign) {
        at.listing
            .insert(path.clone(), RemoteEntry::Link(to.clone()));
    }
    let state = at.state(&all, Shape::Linked);
    for made in [
        plan(Shape::Linked, &second.0, &state),
        stage(Shape::Linked, &second.0, &state).unwrap(),
    ] {
        let mut at = at.clone();
        at.perform(&made, &mut |_| {});
        for (path, _) in &half {
            assert!(!at.listing.contains_key(path), "{path}");
        }
        for (path, _) in &foreign {
            assert!(at.listing.contains_key(path), "{path}");
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_and_nothing_over_a_folder() {
    let all = three();
    let [a, b, _] = all.each_ref().map(|(release, _)| release);
    let there = publish(&MemoryDestination::default(), a, &all, Shape::Linked)
        .pop()
        .unwrap();
    let link = || RemoteEntry::Link("/elsewhere".to_owned());
    let file = || RemoteEntry::File {
        size: 1,
        sha256: None,
    };
    let plans = |state: &State| {
        let staged = stage(Shape::Linked, b, state).ok();
        [Some(plan(Shape::Linked, b, state)), staged]
    };
    let plain = there.state(&all, Shape::Linked);
    for made in plans(&plain).into_iter().flatten() {
        assert_eq!(made.judge(&plain.listing), Ok(()));
    }
    let folder = |path: &str| format!("{HOME}/{}/{path}", b.id);
    for (path, found) in [
        (HOME.to_owned(), link()),
        (PARTIAL.to_owned(), link()),
        (PARTIAL.to_owned(), file()),
        ("x86_64".to_owned(), link()),
        ("x86_64/Packages".to_owned(), link()),
        ("x86_64/Packages".to_owned(), file()),
        (folder("x86_64"), link()),
        (folder("x86_64/repodata"), link()),
        (PROBE.to_owned(), RemoteEntry::Folder),
        ("x86_64/Packages/tool-2.rpm".to_owned(), RemoteEntry::Folder),
        (folder("index.html"), RemoteEntry::Folder),
    ] {
        let mut state = plain.clone();
        state.listing.insert(path.clone(), found);
        for made in plans(&state).into_iter().flatten() {
            let error = made.judge(&state.listing).unwrap_err().to_string();
            assert!(error.contains(&format!("`{path}`")), "{path}: {error}");
        }
    }
}

#[test]
fn the_folder_of_a_release_has_its_files_alone() {
    assert!(crate::layout::is_published(&link_to(manifest::FILE)));
    let all = three();
    let [a, b, _] = all.each_ref().map(|(release, _)| release);
    let there = publish(&MemoryDestination::default(), a, &all, Shape::Linked)
        .pop()
        .unwrap();
    let there = staging(&there, b, &all, Shape::Linked).pop().unwrap();
    let listing = there.state(&all, Shape::Linked).listing;
    assert_eq!(only_its_own(b, &listing), Ok(()));
    // It carries the metadata of the one before, which are called by their content.
    let carried = called_by_content(b, &listing);
    assert_eq!(carried.len(), 3);
    assert!(carried.iter().all(|(path, digest)| path.contains(digest)));
    let digest = sums::of_text("another");
    let file = |sha256: Option<&String>| RemoteEntry::File {
        size: 1,
        sha256: sha256.cloned(),
    };
    let to = |to: &str| RemoteEntry::Link(to.to_owned());
    for (path, found, own) in [
        ("evil", file(None), false),
        ("evil", RemoteEntry::Folder, false),
        ("x86_64/repodata/evil.xml", file(None), false),
        ("x86_64/repodata/0-evil.xml", file(None), false),
        (
            &format!("x86_64/repodata/{digest}-x"),
            file(Some(&digest)),
            true,
        ),
        (
            &format!("x86_64/repodata/{digest}-x"),
            file(Some(&a.id)),
            false,
        ),
        (&format!("{digest}-x"), file(Some(&digest)), false),
        ("x86_64/repodata", RemoteEntry::Folder, true),
        ("x86_64/Packages", to("../../../x86_64/Packages"), true),
        ("x86_64/Packages", to("/etc"), false),
        ("x86_64/Packages", RemoteEntry::Folder, true),
        ("x86_64/Packages/tool-2.rpm", file(None), false),
        ("previous", to(&format!("../{}", a.id)), true),
        ("previous", to("../../.."), false),
        (".previous.abcdef", to(&format!("../{}", a.id)), true),
        (".evil.abcdef", to("/etc"), false),
        (
            "x86_64/.Packages.abcdef",
            to("../../../x86_64/Packages"),
            true,
        ),
        ("x86_64/.Packages.abcdef", to("/etc"), false),
        // A file takes its place, or it is not whole.
        ("index.html", to("/etc/passwd"), true),
    ] {
        let mut listing = listing.clone();
        listing.insert(format!("{HOME}/{}/{path}", b.id), found.clone());
        let found = (only_its_own(b, &listing), found);
        assert_eq!(found.0.is_ok(), own, "{path}: {found:?}");
    }
}

#[test]
fn only_what_testers_read_is_promoted_and_nothing_staged_is_lost() {
    let all = three();
    let [a, b, c] = all.each_ref().map(|(release, _)| release);
    let there = publish(&MemoryDestination::default(), a, &all, Shape::Linked)
        .pop()
        .unwrap();
    let there = publish(&there, b, &all, Shape::Linked).pop().unwrap();
    let there = staging(&there, c, &all, Shape::Linked).pop().unwrap();
    for found in [
        None,
        Some(RemoteEntry::Folder),
        Some(RemoteEntry::Link(".releases/current".to_owned())),
    ] {
        let mut other = there.clone();
        other.listing.remove(STAGING);
        if let Some(found) = found {
            other.listing.insert(STAGING.to_owned(), found);
        }
        let refused = promote(Shape::Linked, c, &other.state(&all, Shape::Linked));
        assert!(matches!(refused, Err(NotPromoted::Elsewhere(_))));
    }
    let mut other = there;
    let link = RemoteEntry::Link(b.id.clone());
    other.listing.insert(STAGED.to_owned(), link);
    let made = promote(Shape::Linked, b, &other.state(&all, Shape::Linked)).unwrap();
    assert_eq!(made.removed().count(), 0, "{made:?}");
}

#[test]
fn whether_there_are_links_is_known_before_the_packages_are_sent() {
    let all = three();
    let a = &all[0].0;
    let state = State::default();
    for made in [
        plan(Shape::Linked, a, &state),
        stage(Shape::Linked, a, &state).unwrap(),
    ] {
        let probe = made
            .steps
            .iter()
            .position(|it| matches!(it, Step::Probe(_)));
        let before = made.steps[..probe.unwrap()]
            .iter()
            .flat_map(|step| match step {
                Step::Put(puts) => puts.as_slice(),
                _ => &[],
            });
        let paths: Vec<&str> = before.map(|put| put.path.as_str()).collect();
        assert_eq!(paths, [format!("{HOME}/{}/{}", a.id, sums::FILE)]);
    }
}
