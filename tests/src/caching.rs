//! A web server and a cache in front of it, which go by the time and the size of files.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
pub fn server(folder: &Path) -> String {
    let folder = folder.to_owned();
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
pub fn proxy(origin: String) -> (String, impl Fn() -> usize) {
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
    (address, move || *hits.lock().unwrap())
}
