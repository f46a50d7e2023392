use super::super::listing::{RemoteState, remains, there};
use super::super::names::{STAGED, STAGING};
use super::super::obstacles::{called_by_content, foreign_packages, only_its_own};
use super::super::release::File;
use super::super::staging::{NotPromoted, NotStaged, promote, stage, staged};
use super::*;
use crate::manifest;

/// What lies where a release has to, or is somebody else's.
mod obstacles;
/// A release beside the one that clients read.
mod staging;

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
        let untold = matches!(found, RemoteState::Untold(_));
        let published = match found {
            RemoteState::Nothing => None,
            RemoteState::Foreign(name) => panic!("{name}"),
            RemoteState::Linked(id) => releases.iter().find(|(it, _)| it.id == id),
            RemoteState::Plain | RemoteState::Untold(_) => {
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
