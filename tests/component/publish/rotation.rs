//! A release signed by another key: it takes the place of one that told servers of that key, and of no other.

use std::fs;

use lustre_packaging::sign::{Key, Signer as _};
use lustre_repo_tests::command_line::{Home, Run, run};

use super::releases::command;
use super::served::TARGET;
use super::world::{EPOCH, Spec, Tree, key, next_key};

/// Makes a release signed by `by`, and publishes it to `to`.
fn released(tree: &mut Tree, by: &'static Key, next: Option<&Key>, day: u32, to: &str) -> Run {
    tree.signed_anew(by, next, &format!("{day}.el8"));
    tree.released = EPOCH + 86_400 * day;
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    run(&mut command(&Home::new(), &tree.dist(), to, &[]))
}

#[test]
fn the_next_key_signs_what_follows_and_no_other_key_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let mut tree = Tree::published_at("https://repo.example.org/lustre");
    tree.with(&Spec {
        name: "site-tool",
        evr: "1-1",
        tags: "",
        files: &[],
    });
    let first = released(&mut tree, key(), None, 1, to);
    assert_eq!(first.code, 0, "{first:?}");
    let untold = released(&mut tree, next_key(), None, 2, to);
    assert_eq!(untold.code, 1, "{untold:?}");
    assert!(untold.stderr.contains("another key"), "{untold:?}");

    let told = released(&mut tree, key(), Some(next_key()), 3, to);
    assert_eq!(told.code, 0, "{told:?}");
    let page = fs::read_to_string(at.join("index.html")).unwrap();
    let end = next_key().fingerprint()[36..].to_owned();
    assert!(page.contains("Next key") && page.contains(&end), "{page}");
    let followed = released(&mut tree, next_key(), None, 4, to);
    assert_eq!(followed.code, 0, "{followed:?}");
    // Each package has another signature under its name: what clients have does not fit.
    let words = "packages take the place of others";
    assert!(followed.stderr.contains(words), "{followed:?}");
    for ran in [&told, &followed] {
        let stays = ran.stderr.contains("which stays for clients");
        assert_eq!(stays, !ran.stderr.contains(words), "{ran:?}");
    }
    // And there is no way back.
    let back = released(&mut tree, key(), None, 5, to);
    assert_eq!(back.code, 1, "{back:?}");
    assert!(back.stderr.contains("another key"), "{back:?}");
}

/// docs/keys.md, "A key that others may have".
#[test]
fn nothing_holds_by_a_key_that_its_owner_took_back() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::published_at("https://repo.example.org/lustre");
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    let file = folder.path().join("revoked.asc");
    let since = key().public_key().signs_from();
    let revoked = key().revoked(since, false).unwrap();
    fs::write(&file, revoked.armored().unwrap()).unwrap();
    let (dist, home) = (tree.dist(), Home::new());
    let (dist, file) = (dist.to_str().unwrap(), file.to_str().unwrap());
    let to = folder.path().join("www");
    let to = to.to_str().unwrap();
    let target = folder.path().join("test.toml");
    fs::write(&target, TARGET).unwrap();
    let target = target.to_str().unwrap();
    for line in [
        &["verify", dist, "--static", "--offline", "--target", target][..],
        &["publish", "--from", dist, "--dry-run", to],
        &["bundle", "--release", dist, "-o", to],
    ] {
        let ran = home.run(&[line, &["--public-key", file]].concat());
        assert_eq!(ran.code, 3, "{line:?}: {ran:?}");
        assert!(
            ran.stderr.contains("was revoked by its owner"),
            "{line:?}: {ran:?}"
        );
    }
}
