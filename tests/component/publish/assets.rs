//! Packages as release assets of a forge, metadata on its pages: what dnf and `verify` make of that, with a server that renames and redirects as
//! GitHub does.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::sign::Signer as _;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::createrepo;
use lustre_repo_tests::github::stored;
use lustre_repo_tests::nginx::Nginx;
use lustre_repository::assets::Assets;
use serde_json::Value;

use super::client::Dnf;
use super::releases::copy;
use super::served::result;
use super::world::{EPOCH, Spec, Tree, key, next_key, public_key, signed};

/// What GitHub calls an asset whose name did not come encoded.
fn asset(name: &str) -> String {
    stored(name, false)
}

/// Signed metadata at `root`, of the packages in it, which are at `assets` and not there.
fn metadata(root: &Path, assets: &str) {
    createrepo::run(root, 1, &["--baseurl", assets]).unwrap();
    let index = root.join("repodata/repomd.xml");
    let signature = key()
        .sign_detached(&fs::read(&index).unwrap(), EPOCH)
        .unwrap();
    fs::write(root.join("repodata/repomd.xml.asc"), signature).unwrap();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn packages_behind_a_redirect_are_installed_by_the_names_that_the_forge_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let spec = Spec {
        name: "site-tool",
        evr: "1.0~rc1^git2+3-1",
        tags: "",
        files: &[("/usr/share/site-tool", "a tool")],
    };
    let (package, _) = spec.build(&at("built"));
    let package = signed(&package, &at("built")).path;
    let name = package.file_name().unwrap().to_str().unwrap();
    // What it does to the names of assets, and where a browser is sent to.
    let server = Nginx::start(|_| {
        format!(
            "server {{ listen 127.0.0.1:PORT; root {};\nlocation /assets/ {{ rewrite ^/assets/([A-Za-z0-9._+-]+)$ /storage/$1?signature=abc redirect; return 404; }}\n\
         location /storage/ {{ if ($arg_signature != abc) {{ return 403; }} }} }}",
            folder.path().display()
        )
    });
    for folder in ["storage", "renamed/x86_64", "as-it-is/x86_64"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    let renamed = asset(name);
    assert_eq!(renamed, "site-tool-1.0.rc1.git2.3-1.x86_64.rpm");
    fs::copy(&package, at("storage").join(&renamed)).unwrap();
    for (pages, href) in [("renamed", renamed.as_str()), ("as-it-is", name)] {
        let root = at(pages).join("x86_64");
        fs::copy(&package, root.join(href)).unwrap();
        metadata(&root, &format!("{}/assets/", server.url()));
        assert!(!root.join(href).exists());
        let client = Dnf::new();
        let (success, text) = client.installs(&format!("{}/{pages}", server.url()), "site-tool");
        assert_eq!(success, href == renamed, "{pages}: {text}");
        let installed = client.root().join("usr/share/site-tool");
        assert_eq!(installed.is_file(), success, "{pages}: {text}");
    }
}

/// A forge: what is published on its pages, and assets behind a redirect to where they are stored.
struct Forge {
    folder: tempfile::TempDir,
    server: Nginx,
}

impl Forge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["pages", "storage"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let server = Nginx::start(|_| {
            format!(
                "server {{ listen 127.0.0.1:PORT; root {};\nlocation /download/ {{ rewrite ^/download/([A-Za-z0-9._/-]+)$ \
                 /storage/$1?signature=abc redirect; return 404; }}\n\
                 location /storage/ {{ if ($arg_signature != abc) {{ return 403; }} }} }}",
                folder.path().display()
            )
        });
        Self { folder, server }
    }

    fn pages(&self) -> String {
        format!("{}/pages", self.server.url())
    }

    fn assets(&self) -> String {
        format!("{}/download", self.server.url())
    }

    /// A repository for it.
    fn tree(&self) -> Tree {
        let mut tree = Tree::published_at(&self.pages());
        let repo_file = tree.repo_file.clone();
        tree.repo_file = repo_file.with_assets(Some(&self.assets())).unwrap();
        tree.signed_anew(key(), None, "1.el8");
        tree
    }

    fn stored(&self, place: &str) -> PathBuf {
        self.folder.path().join("storage").join(place)
    }

    /// Uploads what is new in a tree, under the name that it gets there, and publishes everything but packages. Nothing that is an asset is
    /// replaced.
    fn publish(&self, tree: &Tree) -> Assets {
        tree.complete();
        let assets = Assets::read(&tree.dist()).unwrap().unwrap();
        for package in assets.with_tag(&assets.tag) {
            let place = format!("{}/{}", package.tag, asset(&package.asset));
            let to = self.stored(&place);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            assert!(!to.exists(), "{place}");
            fs::copy(tree.dist().join(&package.path), to).unwrap();
        }
        let pages = self.folder.path().join("pages");
        copy(&tree.dist(), &pages);
        for kind in ["x86_64", "x86_64-debuginfo", "source"] {
            fs::remove_dir_all(pages.join(kind).join("Packages")).unwrap();
        }
        assets
    }

    /// What `verify` says of the pages to somebody who expects the key.
    fn verified(&self, key: &str) -> (Run, Value) {
        let home = Home::new();
        let at = |name: &str| home.path().join(name);
        let target = format!(
            "inherits = \"rehearsal\"\n[repository]\nname = \"Lustre test\"\nbaseurl = \"{}\"\nassets_url = \"{}\"\n",
            self.pages(),
            self.assets()
        );
        fs::write(at("test.toml"), target).unwrap();
        fs::write(at("key.asc"), key).unwrap();
        let mut command = home.command(&["verify", "--static", "--json", &self.pages()]);
        command.arg("--public-key").arg(at("key.asc"));
        command.arg("--target").arg(at("test.toml"));
        let ran = run(&mut command);
        let proof = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        (ran, proof)
    }

    /// That it is served as it was signed.
    #[track_caller]
    fn holds(&self, key: &str) {
        let (ran, proof) = self.verified(key);
        for name in [
            "served",
            "assets",
            "repo-file",
            "sha256sums",
            "metadata-signatures",
            "gpg-verify",
            "repodata",
        ] {
            assert_eq!(result(&proof, name).0, "pass", "{name}: {ran:?}");
        }
    }

    /// That a server with the `.repo` file of the pages installs it.
    #[track_caller]
    fn installs(&self, package: &str, file: &str) {
        let text = fs::read_to_string(self.folder.path().join("pages/lustre-repo.repo")).unwrap();
        let url = text.lines().find_map(|line| line.strip_prefix("baseurl="));
        let url = url.and_then(|url| url.strip_suffix("/x86_64")).unwrap();
        assert_eq!(url, format!("{}/assets", self.pages()));
        let client = Dnf::new();
        let (success, said) = client.installs(url, package);
        assert!(success, "{package}: {said}");
        assert!(client.root().join(file).is_file(), "{package}: {said}");
    }
}

/// A tool of that version.
fn tool(evr: &'static str) -> Spec<'static> {
    Spec {
        name: "site-tool",
        evr,
        tags: "",
        files: &[("/usr/share/site-tool", "a tool")],
    }
}

#[test]
fn servers_install_from_pages_and_assets_what_the_tool_assembled_release_after_release() {
    let forge = Forge::new();
    let mut tree = forge.tree();
    tree.with(&tool("1.0~rc1^git2+3-1"));
    tree.assemble().unwrap();
    let first = forge.publish(&tree);
    assert!(
        forge
            .stored(&first.tag)
            .join("site-tool-1.0.rc1.git2.3-1.x86_64.rpm")
            .is_file()
    );
    for (package, file) in [
        ("site-tool", "usr/share/site-tool"),
        ("e2fsprogs", "usr/sbin/mke2fs"),
    ] {
        forge.installs(package, file);
    }
    forge.holds(&public_key());

    // What did not change is not uploaded once more, and is installed from where it is.
    tree.without("site-tool-1.0~rc1^git2+3-1.x86_64.rpm");
    tree.with(&tool("1.0-1"));
    tree.released = EPOCH + 86_400;
    tree.keeping(3);
    tree.assemble().unwrap();
    let second = forge.publish(&tree);
    let new: Vec<String> = second
        .with_tag(&second.tag)
        .map(|one| one.asset.clone())
        .collect();
    assert_eq!(new, ["site-tool-1.0-1.x86_64.rpm"]);
    for (package, file) in [
        ("site-tool-1.0-1", "usr/share/site-tool"),
        ("site-tool-1.0~rc1^git2+3-1", "usr/share/site-tool"),
        ("e2fsprogs", "usr/sbin/mke2fs"),
    ] {
        forge.installs(package, file);
    }
    forge.holds(&public_key());

    // Signed anew, each is an asset of the new release under the name that it had.
    tree.signed_anew(next_key(), None, "2.el8");
    tree.released = EPOCH + 2 * 86_400;
    tree.keeping(1);
    tree.assemble().unwrap();
    let third = forge.publish(&tree);
    assert_eq!(third.tags(), [third.tag.as_str()].into());
    let lustre = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";
    assert_eq!(
        third.at(lustre).map(|one| &one.asset),
        second.at(lustre).map(|one| &one.asset)
    );
    forge.holds(&tree.public_key());
}

#[test]
fn a_package_that_is_no_such_asset_is_named_and_a_mirror_of_all_needs_no_assets() {
    let forge = Forge::new();
    let tree = forge.tree();
    tree.assemble().unwrap();
    let assets = forge.publish(&tree);
    let lustre = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";
    let stored = forge.stored(&assets.at(lustre).unwrap().place());
    let whole = fs::read(&stored).unwrap();
    let other = whole.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    let longer = [whole.as_slice(), b"more"].concat();
    for (content, words) in [
        (None, "404"),
        (Some(&other), "was signed"),
        (Some(&longer), "larger than"),
    ] {
        match content {
            None => fs::remove_file(&stored).unwrap(),
            Some(content) => fs::write(&stored, content).unwrap(),
        }
        let (ran, proof) = forge.verified(&public_key());
        assert_eq!(ran.code, 3, "{ran:?}");
        let (verdict, said) = result(&proof, "served");
        assert_eq!(verdict, "fail", "{ran:?}");
        for word in [lustre, words, &format!("{}/", forge.assets())] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    // Whoever has all of it needs nobody else.
    fs::remove_dir_all(forge.folder.path().join("storage")).unwrap();
    copy(&tree.dist(), &forge.folder.path().join("pages"));
    forge.holds(&public_key());
    let client = Dnf::new();
    let (success, said) = client.installs(&forge.pages(), "e2fsprogs");
    assert!(success, "{said}");
}
