//! `index.html`: as parsers and browsers of others see it, and against what the repository says of itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use lustre_packaging::sign::Signer as _;
use lustre_repository::manifest::{KnownFault, Manifest};
use lustre_repository::proof::Outcome;
use lustre_repository::{provenance, sums};

use super::tamper::{site_target, verify};
use super::world::{EPOCH, Spec, Tree, key, public_key};

/// A repository that replaces another, with its proof.
fn published() -> Tree {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let before = fs::read(tree.dist().join("manifest.json")).unwrap();
    let digest = sums::sha256(&tree.dist().join("manifest.json")).unwrap().0;
    let before: Manifest = serde_json::from_slice(&before).unwrap();
    tree.replaces = Some(before.replaced(digest));
    tree.released = EPOCH + 86_400;
    tree.with(&Spec {
        name: "site-tool",
        evr: "1.0-1",
        tags: "",
        files: &[],
    });
    tree.known_faults = vec![KnownFault {
        ticket: "LU-20192".to_owned(),
        severity: "corruption".to_owned(),
        title: "a large directory is corrupted".to_owned(),
        standing: "mended by large-directory of lustre/2.17".to_owned(),
    }];
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    tree
}

fn page(dist: &Path) -> String {
    fs::read_to_string(dist.join("index.html")).unwrap()
}

/// The values of an attribute.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    let parts = page.split(start.as_str()).skip(1);
    parts.filter_map(|rest| rest.split('"').next()).collect()
}

/// That every link leads to something that is there.
fn links_resolve(dist: &Path) {
    let page = page(dist);
    let ids: BTreeSet<&str> = values(&page, "id").into_iter().collect();
    let links = values(&page, "href");
    assert!(links.len() > 20, "{links:?}");
    for link in links {
        if let Some(file) = link.strip_prefix("./") {
            assert!(!file.contains('%') && dist.join(file).is_file(), "{link}");
        } else if let Some(id) = link.strip_prefix('#') {
            assert!(ids.contains(id), "{link}");
        } else {
            assert_eq!(link, "data:,");
        }
    }
}

#[test]
fn the_page_goes_with_the_repository_from_its_assembly_to_its_proof() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let before = page(&tree.dist());
    assert!(before.contains("without its proofs"), "{before}");
    links_resolve(&tree.dist());
    let tree = published();
    let text = page(&tree.dist());
    for words in [
        "19 of 19 checks hold",
        "site-tool-1.0-1.x86_64",
        "LU-20192",
        "2024-01-02 00:00:00 UTC",
        // The table of kernels.
        "does not load",
        "foo 0x2: the kernel has 0x1",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    links_resolve(&tree.dist());
    let failures = tree.failures();
    assert!(failures.is_empty(), "{failures:#?}");
    // Every file of the tree has a place on it.
    for name in sums::files(&tree.dist()).unwrap() {
        let folder = name.contains("/repodata/");
        assert!(
            folder || name == "index.html" || text.contains(&format!("\"./{name}\"")),
            "{name}"
        );
    }
}

/// Who has the key can sign anything; the page still has to say what the manifest says.
#[test]
fn a_page_that_says_other_than_the_manifest_fails_though_it_is_signed() {
    let tree = published();
    let dist = tree.dist();
    let folder = tempfile::tempdir().unwrap();
    let target = site_target(folder.path(), &dist);
    let key_file = folder.path().join("key.asc");
    fs::write(&key_file, public_key()).unwrap();
    let static_checks = ["--static", "--public-key", key_file.to_str().unwrap()];
    let (ran, said) = verify(&dist, &target, &static_checks);
    // The target asks for packages that it does not have.
    let failed = |said: &std::collections::BTreeMap<String, (Outcome, String)>| -> Vec<String> {
        let all = said
            .iter()
            .filter(|(_, (result, _))| *result == Outcome::Fail);
        all.map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(
        (ran.code, failed(&said)),
        (3, vec!["expected-packages".to_owned()]),
        "{ran:?}"
    );
    let edited = page(&dist)
        .replace("mended by", "accepted by")
        .replace(">mended<", ">accepted<");
    assert_ne!(edited, page(&dist));
    fs::write(dist.join("index.html"), edited).unwrap();
    sums::write(&dist).unwrap();
    let content = fs::read_to_string(dist.join(sums::FILE)).unwrap();
    let manifest = Manifest::read(&dist.join("manifest.json")).unwrap();
    let statement = provenance::statement(&manifest, &content);
    fs::write(dist.join(provenance::FILE), &statement).unwrap();
    for (name, text) in [
        (sums::SIGNATURE, &content),
        (provenance::SIGNATURE, &statement),
    ] {
        let signature = key().sign_detached(text.as_bytes(), EPOCH).unwrap();
        fs::write(dist.join(name), signature).unwrap();
    }
    let (ran, said) = verify(&dist, &target, &static_checks);
    assert_eq!(
        (ran.code, failed(&said)),
        (3, vec!["expected-packages".to_owned(), "page".to_owned()]),
        "{ran:?}"
    );
    assert!(said["page"].1.contains("says other than"), "{said:?}");
}

/// Gives a program the page on its standard input.
fn given(command: &mut Command, page: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{command:?}: {said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    said
}

#[test]
fn parsers_and_a_text_browser_take_it() {
    let tree = published();
    let text = page(&tree.dist());
    // Warnings make it fail as well.
    given(
        Command::new("tidy").args(["-errors", "-quiet", "-utf8"]),
        &text,
    );
    let seen = given(
        Command::new("w3m").args([
            "-dump",
            "-cols",
            "80",
            "-T",
            "text/html",
            "-I",
            "UTF-8",
            "-O",
            "UTF-8",
        ]),
        &text,
    );
    for words in [
        "Lustre test",
        "rpm --import RPM-GPG-KEY-lustre-repo",
        "dnf group install lustre-server",
        "site-tool",
        "LU-20192",
        "kernel-symbols",
        "sha256sum --check --quiet SHA256SUMS",
    ] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert!(!seen.contains("--good"), "the style is no text: {seen}");
}

/// What the browser measures: each frame is a window of that width, in that scheme of colours.
const MEASURE: &str = r#"<!DOCTYPE html><meta charset="utf-8"><title>measure</title>
<body><script>
const luminance = (c) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
const colour = (text) => text.match(/[\d.]+/g).map(Number);
const behind = (view, element) => { for (let e = element; e; e = e.parentElement) {
  const c = colour(view.getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
const measure = (frame) => { const d = frame.contentDocument, view = d.defaultView; let least = 99, where = "", texts = 0;
  const walk = d.createTreeWalker(d.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { if (!walk.currentNode.data.trim()) continue; const e = walk.currentNode.parentElement; texts++;
    const a = luminance(colour(view.getComputedStyle(e).color)), b = luminance(behind(view, e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); if (ratio < least) { least = ratio; where = e.outerHTML.slice(0, 80); } }
  return { width: frame.clientWidth, scrolls: d.documentElement.scrollWidth, height: d.documentElement.scrollHeight,
    background: view.getComputedStyle(d.body).backgroundColor, texts, least, where }; };
const frames = [[390, "light"], [390, "dark"], [1280, "light"], [1280, "dark"]].map(([width, scheme]) => {
  const frame = document.createElement("iframe"); frame.style = `width: ${width}px; height: 800px; border: 0; color-scheme: ${scheme}`;
  frame.src = "index.html"; document.body.append(frame); return frame; });
Promise.all(frames.map((frame) => new Promise((done) => { frame.onload = done; }))).then(() => {
  const out = document.createElement("pre"); out.id = "result"; out.textContent = JSON.stringify(frames.map(measure)); document.body.append(out); });
</script>"#;

/// Runs the browser on a file; gives its output, and what it logged.
fn chromium(folder: &Path, more: &[&str], file: &Path) -> (String, String) {
    let done = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args([
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .env("HOME", folder)
        .args(more)
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let logged = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{logged}");
    (said, logged)
}

#[test]
fn a_browser_shows_it_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    // Half a gigabyte of browser is not among what the tests need.
    if Command::new("chromium").arg("--version").output().is_err() {
        println!("skipped: there is no chromium here (apt-get install chromium)");
        return;
    }
    let tree = published();
    let dist = tree.dist();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(dist.join("index.html"), folder.path().join("index.html")).unwrap();
    let measure = folder.path().join("measure.html");
    fs::write(&measure, MEASURE).unwrap();
    let (dom, logged) = chromium(
        folder.path(),
        &["--dump-dom", "--window-size=1400,900"],
        &measure,
    );
    assert!(!logged.contains("CONSOLE"), "{logged}");
    let result = dom
        .split("id=\"result\">")
        .nth(1)
        .unwrap_or_else(|| panic!("{dom}\n{logged}"));
    let result = result
        .split("</pre>")
        .next()
        .unwrap()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let all: Vec<serde_json::Value> = serde_json::from_str(&result).unwrap();
    assert_eq!(all.len(), 4);
    for one in &all {
        let number = |name: &str| one[name].as_f64().unwrap();
        // Nothing but tables and commands scrolls sideways.
        assert!(number("scrolls") <= number("width"), "{one}");
        assert!(
            number("texts") > 200.0 && number("height") > 2000.0,
            "{one}"
        );
        // What WCAG asks of text of this size (AA).
        assert!(number("least") >= 4.5, "{one}");
    }
    assert_ne!(all[0]["background"], all[1]["background"], "{all:?}");

    // Kept for a look where somebody asks for it.
    let shots = std::env::var_os("PAGE_SCREENSHOTS").map(std::path::PathBuf::from);
    let to = shots.unwrap_or_else(|| folder.path().to_owned());
    for (name, size) in [
        ("phone", "--window-size=500,1600"),
        ("desk", "--window-size=1280,1600"),
    ] {
        let png = to.join(format!("{name}.png"));
        let shot = format!("--screenshot={}", png.display());
        let (_, logged) = chromium(folder.path(), &[&shot, size], &dist.join("index.html"));
        assert!(!logged.contains("CONSOLE"), "{logged}");
        assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
}
