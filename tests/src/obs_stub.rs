//! An Open Build Service on loopback that builds what it is told to have built, and misbehaves when told to: as its API is documented, as far
//! as packages are submitted, waited for and fetched.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "it fails as a test does"
)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use md5::{Digest as _, Md5};

/// The repository and the architecture in which it builds.
pub const REPOSITORY: &str = "standard";
pub const ARCH: &str = "x86_64";

/// What a site shows to people.
pub const PAGE: &str =
    "\n<!DOCTYPE html>\n<html><head><title>Open Build Service</title></head></html>\n";

/// How the next request of a kind is answered, each used up by one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// With this status and this explanation, and nothing is done.
    Status(u16, &'static str),
    /// As it should be, but the connection ends after so many bytes of the answer. What was asked for is done.
    Cut(usize),
    /// With these bytes.
    Instead(Vec<u8>),
    /// With this status and a page for people.
    Page(u16, &'static str),
    /// With this status, which leads to a place.
    Leads(u16, String),
    /// As it should be; then what the package that was asked for built is these files.
    Then(BTreeMap<String, Vec<u8>>),
    /// In pieces of so many bytes with a pause between them.
    Slow(usize, Duration),
}

/// What a build comes to.
#[derive(Debug, Clone)]
pub enum Built {
    /// Files by name.
    Succeeded(BTreeMap<String, Vec<u8>>),
    /// Its log.
    Failed(String),
    /// It never comes to a build: the state and its details.
    Not(&'static str, &'static str),
    /// It goes on for ever.
    Never,
    /// What came is as it was before, and is thrown away.
    Unchanged,
}

/// A package there.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// The MD5 of each file of its sources.
    pub files: BTreeMap<String, String>,
    pub revisions: usize,
    pub meta: String,
    /// Its state and what is said of it.
    pub code: String,
    pub details: String,
    /// What it built last.
    pub binaries: BTreeMap<String, Vec<u8>>,
    pub log: String,
    /// Sources and results of its builds.
    pub jobs: Vec<(String, String)>,
    /// The states that are still to come; of one with `dirty` before it, nobody should believe anything.
    steps: VecDeque<&'static str>,
    /// What then comes.
    next: Option<Built>,
}

impl Package {
    /// What its sources are called.
    pub fn srcmd5(&self) -> String {
        let lines = self
            .files
            .iter()
            .map(|(name, md5)| format!("{md5}  {name}\n"));
        hex(lines.collect::<String>().as_bytes())
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

type Builder = dyn Fn(&str, &str, &Package) -> Built + Send;

/// All that it knows.
#[derive(Default)]
pub struct State {
    /// `_meta` of projects.
    pub projects: BTreeMap<String, String>,
    pub configs: BTreeMap<String, String>,
    /// By project and name.
    pub packages: BTreeMap<(String, String), Package>,
    contents: HashMap<String, Vec<u8>>,
    /// What a client has to send to be let in.
    authorization: Option<String>,
    faults: HashMap<String, VecDeque<Fault>>,
    requests: Vec<String>,
    /// What it builds of the package of a project.
    builder: Option<Box<Builder>>,
    ended: bool,
}

/// A running one; dropping it ends it.
pub struct Obs {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Obs {
    /// One with no project, that builds by `builder` of project, package and what there is of it.
    pub fn start(builder: impl Fn(&str, &str, &Package) -> Built + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            builder: Some(Box::new(builder)),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if held(&shared).ended {
                    break;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away is the client's business.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, &shared)));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// From now on, it asks for this user and password.
    pub fn asks_for(&self, user: &str, password: &str) {
        let text = base64(format!("{user}:{password}").as_bytes());
        self.state().authorization = Some(format!("Basic {text}"));
    }

    /// The next requests of this method and path are answered so, in this order; then all is well again.
    pub fn faults(&self, request: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.state().faults.insert(request.to_owned(), faults);
    }

    /// What was asked since the last call: methods and paths with their queries.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// The projects of a target: `name`, and those below it of its configuration and of what is built before.
    pub fn projects(&self, name: &str, before: &[&str]) {
        let config = format!("{name}:config");
        self.project(&config, &["base"]);
        let mut paths: Vec<String> = Vec::new();
        for package in before {
            let below = format!("{name}:{package}");
            self.project(&below, &[&config]);
            paths.push(below);
        }
        paths.push(config);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        self.project(name, &paths);
    }

    /// The project `name` on other projects.
    pub fn project(&self, name: &str, paths: &[&str]) {
        let paths = paths
            .iter()
            .map(|path| format!("<path project=\"{path}\" repository=\"{REPOSITORY}\"/>"));
        let meta = format!(
            "<project name=\"{name}\"><title/><repository name=\"{REPOSITORY}\">{}<arch>{ARCH}</arch></repository></project>",
            paths.collect::<String>()
        );
        self.state().projects.insert(name.to_owned(), meta);
    }
}

impl Drop for Obs {
    fn drop(&mut self) {
        self.state().ended = true;
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes in base64.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..part.len()].copy_from_slice(part);
        let all = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for at in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * at)) as usize & 63];
            out.push(if at > part.len() { '=' } else { letter.into() });
        }
    }
    out
}

struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or_default(),
                "authorization" => authorization = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    let mut body = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter(|one| !one.is_empty());
    let asked = Asked {
        method,
        path: decoded(path),
        query: pairs
            .map(|one| {
                let (name, value) = one.split_once('=').unwrap_or((one, ""));
                (name.to_owned(), decoded(value))
            })
            .collect(),
        body,
    };
    let mut state = held(state);
    let named = format!("{} {}", asked.method, asked.path);
    state.requests.push(match query {
        "" => named.clone(),
        query => format!("{named}?{query}"),
    });
    let fault = state.faults.get_mut(&named).and_then(VecDeque::pop_front);
    let (status, answer) = match &fault {
        _ if state.authorization.is_some() && state.authorization != authorization => {
            error(401, "Authentication required")
        }
        Some(Fault::Status(status, why)) => error(*status, why),
        Some(Fault::Instead(bytes)) => (200, bytes.clone()),
        Some(Fault::Page(status, page)) => (*status, page.as_bytes().to_vec()),
        Some(Fault::Leads(status, _)) => error(*status, "elsewhere"),
        _ => state.answer(&asked),
    };
    if let Some(Fault::Then(files)) = &fault {
        let parts: Vec<&str> = asked.path.split('/').collect();
        state.package(parts[2], parts[5]).binaries = files.clone();
    }
    drop(state);
    let mut out = stream;
    let place = match &fault {
        Some(Fault::Leads(_, place)) => format!("Location: {place}\r\n"),
        _ => String::new(),
    };
    write!(
        out,
        "HTTP/1.1 {status} Answer\r\n{place}Content-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    )?;
    match fault {
        Some(Fault::Cut(bytes)) => out.write_all(&answer[..bytes.min(answer.len())])?,
        Some(Fault::Slow(piece, pause)) => {
            for part in answer.chunks(piece) {
                out.write_all(part)?;
                std::thread::sleep(pause);
            }
        }
        _ => out.write_all(&answer)?,
    }
    out.flush()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

type Answer = (u16, Vec<u8>);

fn error(status: u16, why: &str) -> Answer {
    let text = format!("<status code=\"{status}\"><summary>{why}</summary></status>");
    (status, text.into_bytes())
}

fn good(text: impl Into<Vec<u8>>) -> Answer {
    (200, text.into())
}

impl State {
    /// The package of a project.
    pub fn package(&mut self, project: &str, name: &str) -> &mut Package {
        let key = (project.to_owned(), name.to_owned());
        self.packages.entry(key).or_default()
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        if let ["source" | "build", project, ..] = parts[..]
            && !self.projects.contains_key(project)
        {
            return error(404, &format!("project '{project}' does not exist"));
        }
        match (asked.method.as_str(), &parts[..]) {
            ("GET", ["source", project, "_meta"]) => good(self.projects[*project].clone()),
            ("GET", ["source", project, "_config"]) => {
                good(self.configs.get(*project).cloned().unwrap_or_default())
            }
            ("PUT", ["source", project, "_config"]) => {
                let text = String::from_utf8_lossy(&asked.body).into_owned();
                self.configs.insert((*project).to_owned(), text);
                good("<status code=\"ok\"/>")
            }
            ("PUT", ["source", project, package, "_meta"]) => {
                let meta = String::from_utf8_lossy(&asked.body).into_owned();
                self.package(project, package).meta = meta;
                good("<status code=\"ok\"/>")
            }
            (method, ["source", project, package, rest @ ..]) => {
                let key = ((*project).to_owned(), (*package).to_owned());
                if !self.packages.contains_key(&key) {
                    return error(404, &format!("package '{package}' does not exist"));
                }
                match (method, rest) {
                    ("GET", []) => good(listing(&self.packages[&key])),
                    ("GET", ["_meta"]) => good(self.packages[&key].meta.clone()),
                    ("POST", []) => self.commit(project, package, &asked.body),
                    ("PUT", [_])
                        if asked
                            .query
                            .get("rev")
                            .is_some_and(|rev| rev == "repository") =>
                    {
                        self.contents.insert(hex(&asked.body), asked.body.clone());
                        good("<revision rev=\"repository\"/>")
                    }
                    _ => error(400, "not known here"),
                }
            }
            ("POST", ["build", project]) => {
                let package = asked.query["package"].clone();
                if asked.query["cmd"] == "wipe" {
                    self.package(project, &package).binaries.clear();
                }
                self.begins(project, &package);
                good("<status code=\"ok\"/>")
            }
            ("GET", ["build", project, "_result"]) => self.result(project, &asked.query["package"]),
            ("GET", ["build", project, _, _, "_jobhistory"]) => {
                let package = self.package(project, &asked.query["package"]);
                let jobs = package.jobs.iter().enumerate().next_back();
                let job = jobs.map(|(at, (srcmd5, code))| {
                    format!("<jobhist srcmd5=\"{srcmd5}\" code=\"{code}\" starttime=\"{at}\"/>")
                });
                good(format!(
                    "<jobhistlist>{}</jobhistlist>",
                    job.unwrap_or_default()
                ))
            }
            ("GET", ["build", project, _, _, package]) => {
                let package = self.package(project, package);
                let files = package.binaries.iter().map(|(name, bytes)| {
                    format!("<binary filename=\"{name}\" size=\"{}\"/>", bytes.len())
                });
                good(format!(
                    "<binarylist>{}</binarylist>",
                    files.collect::<String>()
                ))
            }
            ("GET", ["build", project, _, _, package, "_log"]) => {
                let log = &self.package(project, package).log;
                if asked.query.get("view").is_some_and(|view| view == "entry") {
                    return good(format!(
                        "<directory><entry name=\"_log\" size=\"{}\" mtime=\"1\"/></directory>",
                        log.len()
                    ));
                }
                let start = asked.query.get("start").map(|start| start.parse());
                let start: usize = start.transpose().unwrap().unwrap_or_default();
                good(log[start..].to_owned())
            }
            ("GET", ["build", project, _, _, package, file]) => {
                match self.package(project, package).binaries.get(*file) {
                    Some(bytes) => good(bytes.clone()),
                    None => error(404, &format!("{file}: no such file")),
                }
            }
            _ => error(400, "not known here"),
        }
    }

    fn commit(&mut self, project: &str, name: &str, body: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(body).into_owned();
        let value = |entry: &str, name: &str| -> String {
            let rest = entry.split(&format!("{name}=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let entries = text.split("<entry ").skip(1);
        let files: BTreeMap<String, String> = entries
            .map(|entry| (value(entry, "name"), value(entry, "md5")))
            .collect();
        let known = &self.contents;
        let there = self.packages[&(project.to_owned(), name.to_owned())]
            .files
            .clone();
        let missing: String = files
            .iter()
            .filter(|(_, md5)| !known.contains_key(*md5) && !there.values().any(|one| one == *md5))
            .map(|(name, md5)| format!("<entry name=\"{name}\" md5=\"{md5}\"/>"))
            .collect();
        if !missing.is_empty() {
            return good(format!(
                "<directory name=\"{name}\" error=\"missing\">{missing}</directory>"
            ));
        }
        let package = self.package(project, name);
        package.files = files;
        package.revisions += 1;
        let answer = listing(package);
        self.begins(project, name);
        good(answer)
    }

    /// A build of a package begins.
    fn begins(&mut self, project: &str, name: &str) {
        let key = (project.to_owned(), name.to_owned());
        let builder = self.builder.take().unwrap();
        let built = builder(project, name, &self.packages[&key]);
        self.builder = Some(builder);
        let package = self.package(project, name);
        package.next = Some(built);
        // For a moment it says what was before.
        package.steps = ["dirty", "blocked", "scheduled", "building", "finished"].into();
    }

    fn result(&mut self, project: &str, name: &str) -> Answer {
        if !self
            .packages
            .contains_key(&(project.to_owned(), name.to_owned()))
        {
            return error(404, &format!("unknown package '{name}'"));
        }
        let package = self.package(project, name);
        let mut dirty = "";
        match package.steps.pop_front() {
            Some("dirty") => dirty = " dirty=\"true\"",
            Some(step) => (package.code, package.details) = (step.to_owned(), String::new()),
            None => package.ends(),
        }
        let Package { code, details, .. } = package;
        let status = match code.as_str() {
            "" => String::new(),
            code => format!(
                "<status package=\"{name}\" code=\"{code}\"><details>{details}</details></status>"
            ),
        };
        good(format!(
            "<resultlist state=\"1\"><result project=\"{project}\" repository=\"{REPOSITORY}\" arch=\"{ARCH}\" code=\"published\" \
             state=\"published\"{dirty}>{status}</result></resultlist>"
        ))
    }
}

impl Package {
    /// What its build came to.
    fn ends(&mut self) {
        let Some(built) = self.next.take() else {
            return;
        };
        let srcmd5 = self.srcmd5();
        let (code, details, job) = match built {
            Built::Succeeded(files) => {
                self.binaries = files;
                ("succeeded", "", "succeeded")
            }
            Built::Failed(log) => {
                self.log = log;
                ("failed", "", "failed")
            }
            Built::Not(code, details) => (code, details, ""),
            Built::Never => {
                self.next = Some(Built::Never);
                ("building", "on worker 7", "")
            }
            Built::Unchanged => ("succeeded", "", "unchanged"),
        };
        (self.code, self.details) = (code.to_owned(), details.to_owned());
        if !job.is_empty() {
            self.jobs.push((srcmd5, job.to_owned()));
        }
    }
}

fn listing(package: &Package) -> String {
    let entries = package.files.iter().map(|(name, md5)| {
        format!("<entry name=\"{name}\" md5=\"{md5}\" size=\"1\" mtime=\"1\"/>")
    });
    let srcmd5 = match package.files.is_empty() {
        true => String::new(),
        false => format!(
            " srcmd5=\"{}\" rev=\"{}\"",
            package.srcmd5(),
            package.revisions
        ),
    };
    format!(
        "<directory{srcmd5}>{}</directory>",
        entries.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_others_have_it() {
        for (text, encoded) in [
            ("", ""),
            ("m", "bQ=="),
            ("me", "bWU="),
            ("me:", "bWU6"),
            ("me:x?", "bWU6eD8="),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
