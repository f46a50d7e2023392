//! A small HTTP server on loopback that serves a folder, resumes, says whether something changed, and misbehaves when told to.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How the next requests for a path are answered, each used up by one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// With this status and no content.
    Status(u16),
    /// With this many bytes of what was asked for, then the connection ends.
    Truncate(usize),
    /// In pieces of this many bytes with a pause between them.
    Slow(usize, Duration),
    /// As if the request had no range.
    NoRange,
    /// Without saying how much it will be.
    Unannounced,
    /// With this content instead.
    Instead(Vec<u8>),
    /// As something that is elsewhere: at this URL.
    Moved(String),
    /// As if nobody had asked whether it changed, and without saying what would tell.
    Forgetful,
}

/// One request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    /// The offset that it asked to begin at.
    pub from: Option<usize>,
    /// The status of the answer.
    pub status: u16,
    /// How it was asked: `GET`, `PUT`.
    pub method: String,
}

#[derive(Default)]
struct State {
    faults: Mutex<HashMap<String, Vec<Fault>>>,
    requests: Mutex<Vec<Request>>,
    takes: AtomicBool,
    /// How many requests are being answered slowly, and how many were at most.
    at_once: Mutex<(usize, usize)>,
    ended: AtomicBool,
}

/// A running server; dropping it ends it.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files below `root` on a free port of 127.0.0.1.
    pub fn start(root: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let (shared, root) = (Arc::clone(&state), root.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, root) = (Arc::clone(&shared), root.clone());
                // A client that goes away is the client's business.
                std::thread::spawn(move || {
                    stream.and_then(|stream| answer(&stream, &root, &shared))
                });
            }
        });
        Ok(Self {
            address,
            state,
            thread: Some(thread),
        })
    }

    /// The URL of a path (beginning with `/`).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests were answered slowly at once at most, since the last call.
    pub fn most_at_once(&self) -> usize {
        let mut at_once = lock(&self.state.at_once);
        std::mem::replace(&mut at_once.1, 0)
    }

    /// From now on, it takes what is put there.
    pub fn takes(&self) {
        self.state.takes.store(true, Ordering::SeqCst);
    }

    /// The next requests for `path` are answered so, in this order; then all is well again.
    pub fn faults(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut list: Vec<Fault> = faults.into_iter().collect();
        list.reverse();
        lock(&self.state.faults).insert(path.to_owned(), list);
    }

    /// The requests answered since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.state.requests))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of those that are counted.
struct Counted<'c>(&'c Mutex<(usize, usize)>);

impl<'c> Counted<'c> {
    fn new(counter: &'c Mutex<(usize, usize)>) -> Self {
        let mut counts = lock(counter);
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        drop(counts);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        lock(self.0).0 -= 1;
    }
}

fn answer(stream: &TcpStream, root: &Path, state: &State) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let method = first.split(' ').next().unwrap_or_default().to_owned();
    let mut length = 0;
    let mut expects = false;
    let target = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let (mut from, mut to): (Option<usize>, Option<usize>) = (None, None);
    let mut known = None;
    for line in lines {
        let line = line?;
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("if-none-match")
        {
            known = Some(value.to_owned());
        }
        let line = line.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(announced) = line.strip_prefix("content-length: ") {
            length = announced.trim().parse().unwrap_or_default();
        }
        expects |= line == "expect: 100-continue";
        if let Some(range) = line.strip_prefix("range: bytes=") {
            let (start, end) = range.split_once('-').unwrap_or((range, ""));
            (from, to) = (start.parse().ok(), end.trim().parse().ok());
        }
    }
    let fault = lock(&state.faults).get_mut(&path).and_then(Vec::pop);
    if method == "PUT" {
        return put(
            stream,
            &mut reader,
            (length, expects),
            root,
            path,
            fault,
            state,
        );
    }
    let content = match &fault {
        Some(Fault::Instead(content)) => Some(content.clone()),
        _ => local(root, &path).and_then(|file| fs::read(file).ok()),
    };
    let range = from.filter(|_| !matches!(fault, Some(Fault::NoRange)));
    let tag = content
        .as_ref()
        .filter(|_| !matches!(fault, Some(Fault::Forgetful)))
        .map(|content| format!("\"{:x}\"", Sha256::digest(content)));
    let (status, body, mut extra) = match (&fault, content) {
        (Some(Fault::Status(status)), _) => (*status, Vec::new(), String::new()),
        (Some(Fault::Moved(to)), _) => (302, Vec::new(), format!("Location: {to}\r\n")),
        (_, None) => (404, Vec::new(), String::new()),
        (_, Some(_)) if tag.is_some() && tag == known => (304, Vec::new(), String::new()),
        (_, Some(content)) => match range {
            None => (200, content, String::new()),
            Some(from) if from >= content.len() => {
                let extra = format!("Content-Range: bytes */{}\r\n", content.len());
                (416, Vec::new(), extra)
            }
            Some(from) => {
                let end = to.unwrap_or(usize::MAX).clamp(from, content.len() - 1);
                let extra = format!("Content-Range: bytes {from}-{end}/{}\r\n", content.len());
                (206, content[from..=end].to_vec(), extra)
            }
        },
    };
    if let Some(tag) = tag.filter(|_| status != 404) {
        extra.push_str(&format!("ETag: {tag}\r\n"));
    }
    lock(&state.requests).push(Request {
        path,
        from,
        status,
        method,
    });
    let mut out = stream;
    let length = match fault {
        Some(Fault::Unannounced) => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    write!(
        out,
        "HTTP/1.1 {status} Answer\r\n{length}Connection: close\r\n{extra}\r\n"
    )?;
    match fault {
        Some(Fault::Truncate(length)) => out.write_all(&body[..length.min(body.len())])?,
        Some(Fault::Slow(piece, pause)) => {
            let counted = Counted::new(&state.at_once);
            // Until the client has all of it, which may ask for the next at once.
            let (most, last) = body.split_at(body.len().saturating_sub(1));
            for part in most.chunks(piece) {
                out.write_all(part)?;
                out.flush()?;
                std::thread::sleep(pause);
            }
            drop(counted);
            out.write_all(last)?;
        }
        _ => out.write_all(&body)?,
    }
    out.flush()
}

/// Takes a file, as far as nothing is to go wrong, and as far as it comes.
fn put(
    stream: &TcpStream,
    reader: &mut BufReader<&TcpStream>,
    (length, expects): (u64, bool),
    root: &Path,
    path: String,
    fault: Option<Fault>,
    state: &State,
) -> io::Result<()> {
    let mut out = stream;
    let (status, extra) = match &fault {
        Some(Fault::Status(status)) => (*status, String::new()),
        Some(Fault::Moved(to)) => (302, format!("Location: {to}\r\n")),
        _ if !state.takes.load(Ordering::SeqCst) => (405, String::new()),
        _ => (201, String::new()),
    };
    if status == 201 {
        if expects {
            write!(out, "HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let file = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap_or(root))?;
        // As a simple server does: what is half there is seen.
        let mut file = fs::File::create(file)?;
        let most = match fault {
            Some(Fault::Truncate(most)) => length.min(most as u64),
            _ => length,
        };
        let mut left = most;
        while left > 0 {
            let piece = match fault {
                Some(Fault::Slow(piece, pause)) => {
                    std::thread::sleep(pause);
                    piece as u64
                }
                _ => 64 << 10,
            };
            let came = io::copy(&mut reader.take(piece.min(left)), &mut file)?;
            if came == 0 {
                return Ok(());
            }
            left -= came;
        }
        if most < length {
            return Ok(());
        }
    }
    lock(&state.requests).push(Request {
        path,
        from: None,
        status,
        method: "PUT".to_owned(),
    });
    write!(
        out,
        "HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nConnection: close\r\n{extra}\r\n"
    )?;
    out.flush()
}

/// The file of a request, which cannot be above `root`.
fn local(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
        .then(|| root.join(relative))
        .filter(|file| file.is_file())
}
