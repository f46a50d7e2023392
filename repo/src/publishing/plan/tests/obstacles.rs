use super::*;

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
    let untold = |path: &str| RemoteState::Untold(path.to_owned());
    for (found, wanted) in [
        (vec![], RemoteState::Nothing),
        (
            vec![(".releases/.partial", RemoteEntry::Folder)],
            RemoteState::Nothing,
        ),
        (vec![("manifest.json", file())], RemoteState::Plain),
        (
            vec![
                ("manifest.json", link(".releases/current/manifest.json")),
                (".releases/current", link(id)),
            ],
            RemoteState::Linked(id.to_owned()),
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
            RemoteState::Linked(id.to_owned()),
        ),
        (
            vec![(".releases/current", link(id))],
            RemoteState::Linked(id.to_owned()),
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
            RemoteState::Nothing,
        ),
        // Of whom that folder is, nothing tells.
        (
            vec![(".releases/mine", file()), ("photos/1.jpg", file())],
            RemoteState::Foreign("photos/1.jpg".to_owned()),
        ),
        (
            vec![("photos", RemoteEntry::Folder), ("photos/1.jpg", file())],
            RemoteState::Foreign("photos/1.jpg".to_owned()),
        ),
        (
            vec![
                ("lost+found", RemoteEntry::Folder),
                ("a", RemoteEntry::Folder),
            ],
            RemoteState::Nothing,
        ),
    ] {
        assert_eq!(there(&listing(&found)), wanted, "{found:?}");
    }
}

#[test]
fn what_is_left_of_a_repository_is_told_from_what_is_somebody_elses() {
    let link = |to: &str| RemoteEntry::Link(to.to_owned());
    let file = || RemoteEntry::File {
        size: 1,
        sha256: None,
    };
    for (found, wanted) in [
        // `.releases` was removed; a store lost what tells of a release.
        (
            vec![
                ("KERNELS.txt", link(".releases/current/KERNELS.txt")),
                ("photos/1.jpg", file()),
            ],
            vec!["KERNELS.txt", "photos"],
        ),
        (
            vec![
                ("KERNELS.txt", file()),
                ("x86_64/Packages/a.rpm", file()),
                ("x86_64/repodata/1-primary.xml.gz", file()),
            ],
            vec!["KERNELS.txt", "x86_64"],
        ),
        (
            vec![("KERNELS.txt", file()), ("photos/1.jpg", file())],
            vec![],
        ),
    ] {
        let listing: Listing = found
            .iter()
            .map(|(path, found)| ((*path).to_owned(), found.clone()))
            .collect();
        assert!(matches!(there(&listing), RemoteState::Foreign(_)));
        assert_eq!(Vec::from_iter(remains(&listing)), wanted, "{found:?}");
    }
}

/// Clients can read it, whatever the metadata list.
#[test]
fn a_package_of_no_release_is_found() {
    let all = three();
    let there = publish(
        &MemoryDestination::default(),
        &all[0].0,
        &all,
        Shape::Linked,
    );
    let mut state = there.last().unwrap().state(&all, Shape::Linked);
    let next = &all[1].0;
    assert_eq!(foreign_packages(&state, next), Vec::<String>::new());
    let evil = "x86_64/Packages/evil.rpm";
    let file = RemoteEntry::File {
        size: 1,
        sha256: None,
    };
    state.listing.insert(evil.to_owned(), file);
    assert_eq!(foreign_packages(&state, next), [evil]);
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
