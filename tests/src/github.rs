//! A stand-in for GitHub on loopback, as its documentation describes it: releases and their assets, git over HTTP with a token, downloads behind a
//! redirect, and pages that are those of a branch. It is found by the name `github.localhost`, which gh speaks plain HTTP to, by way of a proxy.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::nginx::Nginx;

/// Its name.
pub const HOST: &str = "github.localhost";

/// The one repository that it has.
pub const REPOSITORY: &str = "site/lustre";

/// The token that it takes.
pub const TOKEN: &str = "ghp_a-token-of-the-tests-0123456789";

/// The branch whose files are its pages.
pub const BRANCH: &str = "gh-pages";

/// How many items a page of a list has at most, whatever is asked for: whoever does not ask for the next one misses some.
const PAGE: usize = 3;

/// How many assets a release takes.
const MOST_ASSETS: usize = 1_000;

/// How the next request is answered whose method and path these are.
pub enum Fault {
    /// So, with this message.
    Status(u16, &'static str),
    /// Not at all: the connection ends after so many bytes of what came.
    Cut(usize),
    /// After a while, as it should be.
    Slow(Duration),
    /// With 502 when all has come: what it was for is there in part.
    Upstream,
    /// As it should be, when this was done.
    Meanwhile(Box<dyn FnOnce() + Send>),
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    /// None as long as it did not come whole.
    pub content: Option<Vec<u8>>,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    pub tag: String,
    pub title: String,
    pub notes: String,
    pub draft: bool,
    pub assets: Vec<Asset>,
}

#[derive(Default)]
struct ServerState {
    releases: Vec<Release>,
    last_id: u64,
    faults: Vec<(String, String, Fault)>,
    requests: Vec<String>,
    deployed: u64,
    /// Whether it says digests, as it does since 2025.
    digests: bool,
}

struct State {
    shared: Mutex<ServerState>,
    ended: AtomicBool,
    folder: tempfile::TempDir,
    /// Where nginx takes TLS for it, and where it serves the pages.
    nginx: Mutex<Option<[SocketAddr; 2]>>,
}

/// The stand-in; dropping it ends it.
pub struct GitHub {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    pages: Nginx,
    _secure: Nginx,
}

/// What was asked.
struct Request {
    method: String,
    /// Without the host.
    path: String,
    query: HashMap<String, String>,
    raw_query: String,
    host: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// What is answered.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Default for GitHub {
    fn default() -> Self {
        Self::new()
    }
}

impl GitHub {
    /// With an empty repository that has one commit.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State {
            shared: Mutex::new(ServerState {
                digests: true,
                ..ServerState::default()
            }),
            ended: AtomicBool::new(false),
            folder,
            nginx: Mutex::new(None),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let at = |name: &str| state.folder.path().join(name);
        fs::create_dir_all(at("www")).unwrap();
        let certificate = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", &format!("/CN={HOST}")])
            .args([
                "-addext",
                &format!("subjectAltName=DNS:{HOST},DNS:*.{HOST}"),
            ])
            .arg("-keyout")
            .arg(at("tls.key"))
            .arg("-out")
            .arg(at("tls.crt"))
            .output()
            .unwrap();
        assert!(certificate.status.success(), "{certificate:?}");
        let secure = Nginx::start(|_| {
            format!(
                "server {{ listen 127.0.0.1:PORT ssl; ssl_certificate {0}/tls.crt; ssl_certificate_key {0}/tls.key; client_max_body_size 0;\n\
                 location / {{ proxy_pass http://{address}; proxy_set_header Host $host; proxy_set_header Connection close; }} }}\n",
                state.folder.path().display()
            )
        });
        let pages = Nginx::start(|_| {
            format!(
                "server {{ listen 127.0.0.1:PORT; root {}; }}\n",
                at("www").display()
            )
        });
        let of = |nginx: &Nginx| -> SocketAddr {
            let url = nginx.url();
            url.strip_prefix("http://").unwrap().parse().unwrap()
        };
        *state.nginx.lock().unwrap() = Some([of(&secure), of(&pages)]);
        let repository = state.repository();
        git(
            &["init", "--quiet", "--bare", "--initial-branch=main"],
            Some(&repository),
        );
        state.git(&["config", "http.receivepack", "true"], b"");
        state.git(&["config", "receive.advertisePushOptions", "true"], b"");
        let tree = state.git(&["mktree"], b"");
        let commit = state.git(&["commit-tree", &tree, "-m", "first"], b"");
        state.git(&["update-ref", "refs/heads/main", &commit], b"");
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let state = Arc::clone(&shared);
                // A client that goes away is the client's business.
                std::thread::spawn(move || stream.and_then(|stream| state.serves(stream)));
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
            pages,
            _secure: secure,
        }
    }

    /// The variables by which its clients find it, without the token.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let proxy = format!("http://{}", self.address);
        vec![
            ("GH_HOST", HOST.to_owned()),
            ("HTTP_PROXY", proxy.clone()),
            ("HTTPS_PROXY", proxy),
            (
                "GIT_SSL_CAINFO",
                self.state
                    .folder
                    .path()
                    .join("tls.crt")
                    .display()
                    .to_string(),
            ),
        ]
    }

    /// The same for dnf, which fetches packages.
    pub fn proxy(&self) -> [String; 2] {
        [
            format!("--setopt=ours.proxy=http://{}", self.address),
            format!(
                "--setopt=ours.sslcacert={}/tls.crt",
                self.state.folder.path().display()
            ),
        ]
    }

    /// Where its pages are read, without a slash at the end.
    pub fn pages(&self) -> String {
        let (_, name) = REPOSITORY.split_once('/').unwrap();
        format!("{}/{name}", self.pages.url())
    }

    /// The same on the disk.
    pub fn www(&self) -> PathBuf {
        let (_, name) = REPOSITORY.split_once('/').unwrap();
        self.state.folder.path().join("www").join(name)
    }

    /// Where the assets of releases are.
    pub fn assets_url() -> String {
        format!("https://{HOST}/{REPOSITORY}/releases/download")
    }

    /// Answers a request that has this method, and this in its path, in another way, once.
    pub fn fault(&self, method: &str, path: &str, fault: Fault) {
        let fault = (method.to_owned(), path.to_owned(), fault);
        self.state.shared().faults.push(fault);
    }

    /// The requests answered since the last call: method, path and status.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.shared().requests)
    }

    /// Its releases.
    pub fn releases(&self) -> Vec<Release> {
        self.state.shared().releases.clone()
    }

    /// Changes them, as somebody else would.
    pub fn changes(&self, change: impl FnOnce(&mut Vec<Release>)) {
        change(&mut self.state.shared().releases);
    }

    /// Says no digests any more.
    pub fn says_no_digests(&self) {
        self.state.shared().digests = false;
    }

    /// The commit of a branch.
    pub fn commit(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let done = git_of(
            &self.state.repository(),
            &["rev-parse", "--verify", "--quiet", &name],
            b"",
        );
        done.map(|text| text.trim().to_owned())
    }

    /// How many commits the branch has.
    pub fn history(&self) -> usize {
        let count = self.state.git(&["rev-list", "--count", BRANCH], b"");
        count.parse().unwrap()
    }

    /// Has somebody else put files on the branch.
    pub fn commits(&self, files: &[(&str, &str)]) {
        self.state.commits(files);
    }

    /// Has somebody else remove files of the branch.
    pub fn removes(&self, paths: &[&str]) {
        self.state.changes_branch(&[], paths);
    }

    /// The same of a file of zeros, of which there may be many.
    pub fn commits_zeros(&self, path: &str, size: u64) {
        let zeros = self.state.folder.path().join("zeros");
        fs::File::create(&zeros).unwrap().set_len(size).unwrap();
        let id = self
            .state
            .git(&["hash-object", "-w", zeros.to_str().unwrap()], b"");
        let tree = self.state.git(
            &["mktree"],
            format!("100644 blob {id}\t{path}\n").as_bytes(),
        );
        let commit = self.state.git(&["commit-tree", &tree, "-m", "large"], b"");
        let name = format!("refs/heads/{BRANCH}");
        self.state.git(&["update-ref", &name, &commit], b"");
    }

    /// The same later, from a fault.
    pub fn committing(&self, files: &'static [(&'static str, &'static str)]) -> Fault {
        let state = Arc::clone(&self.state);
        Fault::Meanwhile(Box::new(move || state.commits(files)))
    }

    /// Forgets all: what a copy of `of` had is there again.
    pub fn restore(&self, of: &Snapshot) {
        let name = format!("refs/heads/{BRANCH}");
        match &of.commit {
            Some(commit) => drop(self.state.git(&["update-ref", &name, commit], b"")),
            None => drop(self.state.git(&["update-ref", "-d", &name], b"")),
        }
        self.state.shared().releases.clone_from(&of.releases);
        self.state.deploy();
    }

    /// What it has now.
    pub fn keep(&self) -> Snapshot {
        Snapshot {
            commit: self.commit(BRANCH),
            releases: self.releases(),
        }
    }
}

/// What it had at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    commit: Option<String>,
    pub releases: Vec<Release>,
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// git, of nobody.
fn isolated() -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "somebody else")
            .env(format!("GIT_{who}_EMAIL"), "else@example.org");
    }
    command
}

fn git(arguments: &[&str], at: Option<&Path>) {
    let done = isolated().args(arguments).args(at).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
}

fn fed(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // What does not want all of it says so.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.success(), done.stdout, said)
}

fn git_of(repository: &Path, arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut command = isolated();
    command.arg("--git-dir").arg(repository).args(arguments);
    let (success, out, _) = fed(&mut command, input);
    success.then(|| String::from_utf8(out).unwrap())
}

impl State {
    fn shared(&self) -> MutexGuard<'_, ServerState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join(format!("git/{REPOSITORY}.git"))
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let said = git_of(&self.repository(), arguments, input);
        said.unwrap_or_else(|| panic!("git {arguments:?}"))
            .trim()
            .to_owned()
    }

    fn commits(&self, files: &[(&str, &str)]) {
        self.changes_branch(files, &[]);
    }

    fn changes_branch(&self, files: &[(&str, &str)], removed: &[&str]) {
        let index = self.folder.path().join("index");
        let _ = fs::remove_file(&index);
        let run = |arguments: &[&str], input: &[u8]| {
            let mut command = isolated();
            command
                .env("GIT_INDEX_FILE", &index)
                .arg("--git-dir")
                .arg(self.repository())
                .args(arguments);
            let (success, out, said) = fed(&mut command, input);
            assert!(success, "{arguments:?}: {said}");
            String::from_utf8(out).unwrap().trim().to_owned()
        };
        let name = format!("refs/heads/{BRANCH}");
        let before = git_of(
            &self.repository(),
            &["rev-parse", "--verify", "--quiet", &name],
            b"",
        );
        let before = before.map(|it| it.trim().to_owned());
        if let Some(before) = &before {
            run(&["read-tree", before], b"");
        }
        for (path, content) in files {
            let id = run(&["hash-object", "-w", "--stdin"], content.as_bytes());
            run(
                &[
                    "update-index",
                    "--add",
                    "--cacheinfo",
                    &format!("100644,{id},{path}"),
                ],
                b"",
            );
        }
        for path in removed {
            let line = format!("0 {}\t{path}\n", "0".repeat(40));
            run(&["update-index", "--index-info"], line.as_bytes());
        }
        let tree = run(&["write-tree"], b"");
        let mut arguments = vec!["commit-tree", &tree, "-m", "theirs"];
        if let Some(before) = &before {
            arguments.extend(["-p", before]);
        }
        let commit = run(&arguments, b"");
        run(&["update-ref", &name, &commit], b"");
        self.deploy();
    }

    /// Has the pages be what the branch is, at once.
    fn deploy(&self) {
        let number = {
            let mut shared = self.shared();
            shared.deployed += 1;
            shared.deployed
        };
        let to = self.folder.path().join(format!("deployed-{number}"));
        fs::create_dir(&to).unwrap();
        let mut command = isolated();
        command
            .arg("--git-dir")
            .arg(self.repository())
            .args(["archive", "--format=tar", BRANCH]);
        let (success, archive, _) = fed(&mut command, b"");
        if success {
            let mut command = Command::new("tar");
            command.args(["--extract", "--directory"]).arg(&to);
            let (success, _, said) = fed(&mut command, &archive);
            assert!(success, "{said}");
        }
        let (_, name) = REPOSITORY.split_once('/').unwrap();
        let link = self.folder.path().join(format!("link-{number}"));
        symlink(&to, &link).unwrap();
        fs::rename(&link, self.folder.path().join("www").join(name)).unwrap();
    }

    fn serves(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let nginx = *self.nginx.lock().unwrap_or_else(PoisonError::into_inner);
        if method == "CONNECT" {
            return match nginx {
                Some([to, _]) if target.ends_with(&format!("{HOST}:443")) => {
                    tunnel(stream, reader, to)
                }
                _ => answer(&stream, &Answer::message(502, "no such host")),
            };
        }
        // A proxy is asked for whole URLs.
        let (host, rest) = match target.strip_prefix("http://") {
            Some(rest) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                (host.to_owned(), format!("/{path}"))
            }
            None => (
                headers.get("host").cloned().unwrap_or_default(),
                target.to_owned(),
            ),
        };
        if let Some([_, pages]) = nginx
            && host == pages.to_string()
        {
            let mut server = TcpStream::connect(pages)?;
            write!(server, "{method} {rest} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
            io::copy(&mut server, &mut &stream)?;
            return Ok(());
        }
        let (path, raw_query) = rest.split_once('?').unwrap_or((&rest, ""));
        let query = raw_query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), decoded(value)))
        });
        let mut request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.collect(),
            raw_query: raw_query.to_owned(),
            host,
            headers,
            body: Vec::new(),
        };
        let fault = {
            let faults = &mut self.shared().faults;
            let what = format!("{path}?{raw_query}");
            let found = faults
                .iter()
                .position(|(of, within, _)| of == method && what.contains(within.as_str()));
            found.map(|at| faults.remove(at).2)
        };
        let length: usize = request
            .headers
            .get("content-length")
            .and_then(|it| it.parse().ok())
            .unwrap_or_default();
        let wanted = match &fault {
            Some(Fault::Cut(bytes)) => *bytes,
            _ => length,
        };
        match request.headers.get("transfer-encoding") {
            Some(_) => request.body = chunks(&mut reader)?,
            None => drop(
                (&mut reader)
                    .take(wanted as u64)
                    .read_to_end(&mut request.body)?,
            ),
        }
        let whole = request.body.len() >= length;
        let found = match fault {
            Some(Fault::Status(status, message)) => Answer::message(status, message),
            Some(Fault::Cut(_)) => {
                self.asked(&request, false);
                return Ok(());
            }
            Some(Fault::Upstream) => {
                self.asked(&request, false);
                Answer::message(502, "Bad Gateway")
            }
            Some(Fault::Slow(pause)) => {
                std::thread::sleep(pause);
                self.asked(&request, whole)
            }
            Some(Fault::Meanwhile(does)) => {
                does();
                self.asked(&request, whole)
            }
            None => self.asked(&request, whole),
        };
        let Request { method, path, .. } = &request;
        let line = format!("{method} {path} {}", found.status);
        self.shared().requests.push(line);
        answer(&stream, &found)
    }

    /// What it does, and answers; of an upload that did not come whole, what is left.
    fn asked(&self, request: &Request, whole: bool) -> Answer {
        let api = format!("api.{HOST}");
        let uploads = format!("uploads.{HOST}");
        let objects = format!("objects.{HOST}");
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match request.host.as_str() {
            host if host == api || host == uploads => self.api(request, &path, whole),
            host if host == objects => self.object(request, &path),
            HOST if request.path.starts_with(&format!("/{REPOSITORY}.git/")) => {
                self.http_backend(request)
            }
            HOST => self.download(&path),
            _ => Answer::message(404, "Not Found"),
        }
    }

    /// Who asks: somebody with the token, nobody, or somebody who is not known.
    fn who(request: &Request) -> Result<bool, Answer> {
        let Some(said) = request.headers.get("authorization") else {
            return Ok(false);
        };
        let is_so = ["token", "Bearer"]
            .iter()
            .any(|word| *said == format!("{word} {TOKEN}"));
        match is_so {
            true => Ok(true),
            false => Err(Answer::message(401, "Bad credentials")),
        }
    }

    fn api(&self, request: &Request, path: &[&str], whole: bool) -> Answer {
        let known = match Self::who(request) {
            Ok(known) => known,
            Err(answer) => return answer,
        };
        let (owner, name) = REPOSITORY.split_once('/').unwrap();
        let rest = match path {
            ["repos", o, n, rest @ ..] if *o == owner && *n == name => rest,
            _ => return Answer::message(404, "Not Found"),
        };
        let method = request.method.as_str();
        if method != "GET" && !known {
            return Answer::message(401, "Requires authentication");
        }
        let is_upload = request.host.starts_with("uploads.");
        let parsed = |shared: &mut ServerState| -> Result<Value, Answer> {
            let _ = shared;
            serde_json::from_slice(&request.body)
                .map_err(|_| Answer::message(400, "Problems parsing JSON"))
        };
        let mut shared = self.shared();
        match (method, rest) {
            ("GET", []) => Answer::json(
                200,
                &json!({ "full_name": REPOSITORY, "default_branch": "main", "private": false }),
            ),
            ("GET", ["releases"]) => {
                let seen = shared.releases.iter().rev().filter(|it| known || !it.draft);
                let seen: Vec<Value> = seen.map(|it| shared.release(it)).collect();
                Self::page(request, seen)
            }
            ("POST", ["releases"]) if !is_upload => {
                let body = match parsed(&mut shared) {
                    Ok(body) => body,
                    Err(answer) => return answer,
                };
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                let (tag, draft) = (text("tag_name"), body["draft"] == true);
                if tag.is_empty() {
                    return Answer::invalid("tag_name", "missing_field");
                }
                if !draft && shared.releases.iter().any(|it| it.tag == tag && !it.draft) {
                    return Answer::invalid("tag_name", "already_exists");
                }
                let release = Release {
                    id: shared.id(),
                    tag,
                    title: text("name"),
                    notes: text("body"),
                    draft,
                    assets: Vec::new(),
                };
                shared.releases.push(release.clone());
                Answer::json(201, &shared.release(&release))
            }
            ("PATCH", ["releases", id]) => {
                let body = match parsed(&mut shared) {
                    Ok(body) => body,
                    Err(answer) => return answer,
                };
                let Some(at) = shared
                    .releases
                    .iter()
                    .position(|it| it.id.to_string() == *id)
                else {
                    return Answer::message(404, "Not Found");
                };
                let tag = shared.releases[at].tag.clone();
                if body["draft"] == false {
                    let another =
                        |(other, it): (usize, &Release)| other != at && it.tag == tag && !it.draft;
                    if shared.releases.iter().enumerate().any(another) {
                        return Answer::invalid("tag_name", "already_exists");
                    }
                    shared.releases[at].draft = false;
                }
                for (name, to) in [("name", 0), ("body", 1)] {
                    if let Some(text) = body[name].as_str() {
                        let release = &mut shared.releases[at];
                        let field = if to == 0 {
                            &mut release.title
                        } else {
                            &mut release.notes
                        };
                        text.clone_into(field);
                    }
                }
                let release = shared.releases[at].clone();
                Answer::json(200, &shared.release(&release))
            }
            ("GET", ["releases", id, "assets"]) => {
                let found = shared.releases.iter().find(|it| it.id.to_string() == *id);
                match found.filter(|it| known || !it.draft) {
                    None => Answer::message(404, "Not Found"),
                    Some(release) => Self::page(
                        request,
                        release.assets.iter().map(|it| shared.asset(it)).collect(),
                    ),
                }
            }
            ("POST", ["releases", id, "assets"]) if is_upload => {
                let name = stored(request.query.get("name").map_or("", String::as_str));
                let typed = request.headers.contains_key("content-type");
                let length = request
                    .headers
                    .get("content-length")
                    .is_some_and(|it| it != "0");
                if name.is_empty() || !typed || !length {
                    return Answer::message(400, "Bad Request");
                }
                let next = shared.id();
                let Some(release) = shared
                    .releases
                    .iter_mut()
                    .find(|it| it.id.to_string() == *id)
                else {
                    return Answer::message(404, "Not Found");
                };
                if release
                    .assets
                    .iter()
                    .any(|it| it.name.eq_ignore_ascii_case(&name))
                {
                    return Answer::invalid("name", "already_exists");
                }
                if release.assets.len() >= MOST_ASSETS {
                    return Answer::invalid("assets", "too_many");
                }
                let asset = Asset {
                    id: next,
                    name,
                    content: whole.then(|| request.body.clone()),
                };
                release.assets.push(asset.clone());
                Answer::json(201, &shared.asset(&asset))
            }
            ("DELETE", ["releases", "assets", id]) => {
                for release in &mut shared.releases {
                    let before = release.assets.len();
                    release.assets.retain(|it| it.id.to_string() != *id);
                    if release.assets.len() < before {
                        return Answer::empty(204);
                    }
                }
                Answer::message(404, "Not Found")
            }
            _ => Answer::message(404, "Not Found"),
        }
    }

    /// The page of a list that was asked for, and where the next one is.
    fn page(request: &Request, all: Vec<Value>) -> Answer {
        let number = |name: &str| request.query.get(name).and_then(|it| it.parse().ok());
        let page: usize = number("page").unwrap_or(1).max(1);
        let size = number("per_page").unwrap_or(30).clamp(1, PAGE);
        let more = all.len() > page * size;
        let list: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        let mut answer = Answer::json(200, &Value::Array(list));
        if more {
            let link = format!(
                "<http://{}{}?per_page={size}&page={}>; rel=\"next\"",
                request.host,
                request.path,
                page + 1
            );
            answer.headers.push(("Link".to_owned(), link));
        }
        answer
    }

    /// What browsers fetch of a release: nothing of a draft, and all else from another host.
    fn download(&self, path: &[&str]) -> Answer {
        let (owner, name) = REPOSITORY.split_once('/').unwrap();
        let shared = self.shared();
        let found = match path {
            [o, n, "releases", "download", tag, asset] if *o == owner && *n == name => {
                let release = shared
                    .releases
                    .iter()
                    .find(|it| it.tag == *tag && !it.draft);
                let name = decoded(asset);
                let assets = release.map_or(&[][..], |it| it.assets.as_slice());
                assets
                    .iter()
                    .find(|it| it.name == name && it.content.is_some())
            }
            _ => None,
        };
        match found {
            None => Answer::message(404, "Not Found"),
            Some(asset) => {
                let mut answer = Answer::empty(302);
                let to = format!("https://objects.{HOST}/{}?signature=abc", asset.id);
                answer.headers.push(("Location".to_owned(), to));
                answer
            }
        }
    }

    fn object(&self, request: &Request, path: &[&str]) -> Answer {
        let signed = request.query.get("signature").is_some_and(|it| it == "abc");
        let shared = self.shared();
        let mut assets = shared.releases.iter().flat_map(|it| &it.assets);
        let found = assets.find(|it| [it.id.to_string().as_str()] == path);
        match found.and_then(|it| it.content.clone()) {
            Some(body) if signed => Answer {
                status: 200,
                headers: vec![(
                    "Content-Type".to_owned(),
                    "application/octet-stream".to_owned(),
                )],
                body,
            },
            _ => Answer::message(403, "Forbidden"),
        }
    }

    /// git's own server, to which anybody may talk to read, and who has the token to write.
    fn http_backend(&self, request: &Request) -> Answer {
        let pushes = format!("{}?{}", request.path, request.raw_query).contains("git-receive-pack");
        if pushes {
            let wanted = format!(
                "Basic {}",
                base64(format!("x-access-token:{TOKEN}").as_bytes())
            );
            match request.headers.get("authorization") {
                Some(said) if *said == wanted => {}
                Some(_) => return Answer::message(403, "Permission denied"),
                None => {
                    let mut answer = Answer::message(401, "Requires authentication");
                    let realm = "Basic realm=\"GitHub\"".to_owned();
                    answer.headers.push(("WWW-Authenticate".to_owned(), realm));
                    return answer;
                }
            }
        }
        let before = git_of(&self.repository(), &["rev-parse", BRANCH], b"");
        let mut command = isolated();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.folder.path().join("git"))
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.raw_query)
            .env("REQUEST_METHOD", &request.method)
            .env("REMOTE_USER", "site")
            .env("REMOTE_ADDR", "127.0.0.1");
        for (name, variable) in [
            ("content-type", "CONTENT_TYPE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ] {
            command.envs(request.headers.get(name).map(|value| (variable, value)));
        }
        command.env("CONTENT_LENGTH", request.body.len().to_string());
        let (_, out, said) = fed(&mut command, &request.body);
        let end = out.windows(4).position(|it| it == b"\r\n\r\n");
        let Some(end) = end else {
            return Answer::message(500, &said);
        };
        let head = String::from_utf8_lossy(&out[..end]).into_owned();
        let mut answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: out[end + 4..].to_vec(),
        };
        for line in head.lines() {
            match line.split_once(':') {
                Some(("Status", value)) => {
                    answer.status = value.trim().split(' ').next().unwrap().parse().unwrap();
                }
                Some((name, value)) => answer
                    .headers
                    .push((name.to_owned(), value.trim().to_owned())),
                None => {}
            }
        }
        if git_of(&self.repository(), &["rev-parse", BRANCH], b"") != before {
            self.deploy();
        }
        answer
    }
}

impl ServerState {
    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn release(&self, it: &Release) -> Value {
        json!({
            "id": it.id, "tag_name": it.tag, "name": it.title, "body": it.notes, "draft": it.draft, "prerelease": false,
            "target_commitish": "main",
            "url": format!("http://api.{HOST}/repos/{REPOSITORY}/releases/{}", it.id),
            "upload_url": format!("http://uploads.{HOST}/repos/{REPOSITORY}/releases/{}/assets{{?name,label}}", it.id),
            "assets": it.assets.iter().map(|it| self.asset(it)).collect::<Vec<_>>(),
        })
    }

    fn asset(&self, it: &Asset) -> Value {
        let digest = it.content.as_ref().filter(|_| self.digests);
        json!({
            "id": it.id, "name": it.name, "label": "", "content_type": "application/octet-stream",
            "state": if it.content.is_some() { "uploaded" } else { "starter" },
            "size": it.content.as_ref().map_or(0, Vec::len),
            "digest": digest.map(|content| format!("sha256:{:x}", Sha256::digest(content))),
        })
    }
}

impl Answer {
    fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![(
                "Content-Type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: value.to_string().into_bytes(),
        }
    }

    fn message(status: u16, message: &str) -> Self {
        let mut answer = Self::json(
            status,
            &json!({ "message": message, "documentation_url": "" }),
        );
        if message.contains("rate limit") {
            let left = ("X-RateLimit-Remaining".to_owned(), "0".to_owned());
            answer.headers.push(left);
        }
        answer
    }

    fn invalid(field: &str, code: &str) -> Self {
        let error = json!({ "resource": "Release", "field": field, "code": code });
        Self::json(
            422,
            &json!({ "message": "Validation Failed", "errors": [error] }),
        )
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

fn answer(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&answer.body)?;
    stream.flush()
}

/// Has both sides talk to each other, as a proxy does.
fn tunnel(stream: TcpStream, mut reader: BufReader<TcpStream>, to: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    (&stream).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let mut up = server.try_clone()?;
    let sends = std::thread::spawn(move || {
        let _ = io::copy(&mut reader, &mut up);
        let _ = up.shutdown(std::net::Shutdown::Write);
    });
    let mut down = &stream;
    let _ = io::copy(&mut &server, &mut down);
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = sends.join();
    Ok(())
}

/// What it calls an asset: letters, digits and a few signs stay, others in a row are one period, and none is at either end.
fn stored(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let mut stored = String::new();
    for c in name.chars() {
        match plain(c) {
            true => stored.push(c),
            false if stored.ends_with('.') => {}
            false => stored.push('.'),
        }
    }
    stored.trim_matches('.').to_owned()
}

/// A body that comes in parts, each with its length.
fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut part = vec![0; length + 2];
        reader.read_exact(&mut part)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&part[..length]);
    }
}

/// A value of a query.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes().iter();
    while let Some(byte) = rest.next() {
        let digits = rest
            .as_slice()
            .get(..2)
            .and_then(|it| std::str::from_utf8(it).ok());
        match (byte, digits.and_then(|it| u8::from_str_radix(it, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = rest.as_slice()[2..].iter();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let all = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            match n <= chunk.len() {
                true => text.push(char::from(SIGNS[(all >> (18 - 6 * n)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_those_of_the_documentation() {
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab:"), "YWI6");
        assert_eq!(decoded("a%2Bb+c%7E%"), "a+b c~%");
        assert_eq!(stored(".a b~^1+2-3.rpm."), "a.b.1+2-3.rpm");
    }
}
