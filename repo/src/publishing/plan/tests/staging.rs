use super::*;

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
        // Somebody removed what tells of it: it is not nothing.
        let untold = State {
            published: None,
            all_stay: true,
            ..there.state(&all, shape)
        };
        let wanted = NotPromoted::Untold {
            staged: c.id.clone(),
            on: id(a),
        };
        assert_eq!(promote(shape, c, &untold).unwrap_err(), wanted);
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
