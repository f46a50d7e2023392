//! Packages as release assets of a forge, metadata on its pages: what dnf makes of that, with a server that renames and redirects as GitHub does.

use std::fs;
use std::path::Path;

use lustre_packaging::sign::Signer as _;
use lustre_repo_tests::createrepo;
use lustre_repo_tests::nginx::Nginx;

use crate::client::Dnf;
use crate::world::{EPOCH, Spec, key, signed};

/// What GitHub calls an asset: it takes letters, digits and a few signs as they are, and a period for any other.
fn asset(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    name.chars()
        .map(|c| if plain(c) { c } else { '.' })
        .collect()
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
    assert_eq!(renamed, "site-tool-1.0.rc1.git2+3-1.x86_64.rpm");
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
