//! Two releases at one place: what mirrors, proxies and dnf make of the second.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use lustre_packaging::sign::PublicKey;
use lustre_repository::repodata;

use crate::clients::Dnf;
use crate::world::{EPOCH, Spec, Tree, public_key, run, succeed};

/// A package that both releases have, each another version of it.
fn tool(evr: &str) -> Spec<'_> {
    Spec {
        name: "site-tool",
        evr,
        tags: "",
        files: &[("/usr/share/site-tool", "a tool")],
    }
}

/// A tree in which a release with the first tool, of the time [`EPOCH`], is replaced by one with the second.
struct Releases(Tree);

impl Releases {
    fn first(url: &str) -> Self {
        let mut tree = Tree::published_at(url);
        tree.with(&tool("1.0-1"));
        tree.assemble().unwrap();
        Self(tree)
    }

    fn second(&mut self) {
        self.0.without("site-tool-1.0-1.x86_64.rpm");
        self.0.with(&tool("1.0-2"));
        self.0.released = EPOCH + 86_400;
        self.0.assemble().unwrap();
    }
}

/// The version of the tool that dnf sees at `url`, with nothing remembered but what `folder` holds; or what it says.
fn seen_by_dnf(folder: &Path, url: &str) -> String {
    let dnf = Dnf { folder };
    let key = folder.join("key.asc");
    fs::create_dir_all(folder).unwrap();
    fs::write(&key, public_key()).unwrap();
    let (success, text) = run(dnf
        .command()
        .arg(format!("--repofrompath=ours,{url}"))
        .args(["--repo=ours", "--refresh", "--setopt=ours.repo_gpgcheck=1"])
        .arg(format!("--setopt=ours.gpgkey=file://{}", key.display()))
        .args(["repoquery", "--quiet", "site-tool.x86_64"])
        .args(["--qf", "seen %{evr} at %{location}"]));
    let line = text.lines().find_map(|line| line.strip_prefix("seen "));
    match line {
        Some(line) if success => line.split(' ').next().unwrap().to_owned(),
        _ => text,
    }
}

/// dnf gets the tool out of the repository at `url`.
fn downloads(folder: &Path, url: &str) -> bool {
    let dnf = Dnf { folder };
    let to = folder.join("downloaded");
    let mut command = dnf.command();
    command
        .arg(format!("--repofrompath=ours,{url}"))
        .args(["--repo=ours", "download", "site-tool.x86_64"])
        .arg(format!("--destdir={}", to.display()));
    let (success, text) = run(&mut command);
    assert!(success, "{text}");
    to.join("site-tool-1.0-2.x86_64.rpm").is_file()
}

#[test]
fn everything_but_the_packages_moves_with_the_release_time() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let key = PublicKey::parse(public_key()).unwrap();
    let facts = |tree: &Tree| {
        let dist = tree.dist();
        let mut times = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&dist) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(&dist).unwrap();
            let mtime = u32::try_from(entry.metadata().unwrap().mtime()).unwrap();
            let is_package = entry.path().extension().is_some_and(|it| it == "rpm");
            times.insert(name.display().to_string(), (is_package, mtime));
        }
        let mut signed = Vec::new();
        for name in [
            "SHA256SUMS",
            "x86_64/repodata/repomd.xml",
            "source/repodata/repomd.xml",
        ] {
            let data = fs::read(dist.join(name)).unwrap();
            let signature = fs::read(dist.join(format!("{name}.asc"))).unwrap();
            signed.push(key.verify_detached(&data, signature).unwrap());
        }
        (
            times,
            signed,
            repodata::read(&dist.join("x86_64")).unwrap().repomd,
        )
    };
    for time in [EPOCH, EPOCH + 86_400] {
        let (times, signed, repomd) = facts(&releases.0);
        for (name, (is_package, mtime)) in &times {
            let wanted = if *is_package { EPOCH } else { time };
            assert_eq!(*mtime, wanted, "{name}");
        }
        assert_eq!(signed, [time; 3]);
        assert_eq!(repomd.revision, time.to_string());
        for record in &repomd.records {
            assert_eq!(record.timestamp, i64::from(time), "{}", record.kind);
        }
        if time == EPOCH {
            releases.second();
        }
    }
}

#[test]
fn plain_rsync_takes_the_second_release() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let mirror = tempfile::tempdir().unwrap();
    let sync = |tree: &Tree| {
        let mut from = tree.dist().into_os_string();
        from.push("/");
        succeed(
            Command::new("rsync")
                .args(["-a", "--delete"])
                .arg(from)
                .arg(mirror.path()),
        );
    };
    let url = format!("file://{}/x86_64", mirror.path().display());
    let client = tempfile::tempdir().unwrap();
    sync(&releases.0);
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    releases.second();
    sync(&releases.0);
    assert_eq!(
        lustre_repository::sums::verify(mirror.path(), &|_, _| None).unwrap(),
        []
    );
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-2");
}

/// What a server says of a file: its validator, made of time and size as nginx does it, and its content.
type Answer = (String, Vec<u8>);

/// The path in a request, and the validator that it brings; the connection is closed behind each answer.
fn request(stream: &TcpStream) -> Option<(String, Option<String>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut validator = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("if-none-match")
        {
            validator = Some(value.trim().to_owned());
        }
        if header.trim().is_empty() {
            return Some((path, validator));
        }
    }
}

fn answer(mut stream: &TcpStream, status: &str, tag: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: {tag}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A client that goes away is no error of the server's.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// Serves on a port of loopback for as long as the tests run; gives its address.
fn serve(handle: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            handle(stream);
        }
    });
    address
}

/// A web server that tells whether a file changed by its time and size.
fn server(folder: PathBuf) -> String {
    serve(move |stream| {
        let Some((path, validator)) = request(&stream) else {
            return;
        };
        let file = folder.join(path.trim_start_matches('/'));
        let Ok(content) = fs::read(&file) else {
            return answer(&stream, "404 Not Found", "\"\"", b"");
        };
        let mtime = fs::metadata(&file).unwrap().mtime();
        let tag = format!("\"{mtime:x}-{:x}\"", content.len());
        if validator.as_ref() == Some(&tag) {
            return answer(&stream, "304 Not Modified", &tag, b"");
        }
        answer(&stream, "200 OK", &tag, &content);
    })
}

/// A proxy before the server at `origin`, which asks it every time whether what it has is still so. Gives its address, and how often it
/// was.
fn proxy(origin: String) -> (String, Arc<Mutex<usize>>) {
    let kept: Mutex<BTreeMap<String, Answer>> = Mutex::default();
    let hits = Arc::new(Mutex::new(0));
    let count = hits.clone();
    let address = serve(move |stream| {
        let Some((path, _)) = request(&stream) else {
            return;
        };
        let mut kept = kept.lock().unwrap();
        let validator = kept
            .get(&path)
            .map(|(tag, _)| format!("If-None-Match: {tag}\r\n"))
            .unwrap_or_default();
        let mut upstream = TcpStream::connect(&origin).unwrap();
        write!(
            upstream,
            "GET {path} HTTP/1.1\r\nHost: origin\r\n{validator}\r\n"
        )
        .unwrap();
        let mut said = Vec::new();
        upstream.read_to_end(&mut said).unwrap();
        let end = said.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(said[..end].to_vec()).unwrap();
        let body = said.split_off(end + 4);
        if head.starts_with("HTTP/1.1 304") {
            *count.lock().unwrap() += 1;
        } else if head.starts_with("HTTP/1.1 200") {
            let tag = head.split("ETag: ").nth(1).unwrap();
            let tag = tag.lines().next().unwrap().to_owned();
            kept.insert(path.clone(), (tag, body));
        } else {
            kept.remove(&path);
        }
        match kept.get(&path) {
            Some((tag, body)) => answer(&stream, "200 OK", tag, body),
            None => answer(&stream, "404 Not Found", "\"\"", b""),
        }
    });
    (address, hits)
}

#[test]
fn a_proxy_that_goes_by_time_and_size_gives_dnf_the_second_release() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let (address, hits) = proxy(server(releases.0.dist()));
    let url = format!("http://{address}/x86_64");
    let client = tempfile::tempdir().unwrap();
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    // The proxy has it, and the server says so.
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    assert!(*hits.lock().unwrap() > 0, "nothing was kept");
    releases.second();
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-2");
    assert!(downloads(client.path(), &url));
}
