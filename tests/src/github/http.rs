//! Requests and answers of HTTP, and what is in them.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

/// What was asked.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the host.
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    pub(super) raw_query: String,
    pub(super) host: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![(
                "Content-Type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: value.to_string().into_bytes(),
        }
    }

    pub(super) fn message(status: u16, message: &str) -> Self {
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

    pub(super) fn invalid(field: &str, code: &str) -> Self {
        let error = json!({ "resource": "Release", "field": field, "code": code });
        Self::json(
            422,
            &json!({ "message": "Validation Failed", "errors": [error] }),
        )
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

pub(super) fn send(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
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
pub(super) fn tunnel(
    stream: TcpStream,
    mut reader: BufReader<TcpStream>,
    to: SocketAddr,
) -> io::Result<()> {
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

/// A body that comes in parts, each with its length.
pub(super) fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
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
pub(super) fn decoded(value: &str) -> String {
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

pub(super) fn base64(bytes: &[u8]) -> String {
    pub(super) const SIGNS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
    fn values_are_those_of_the_documentation() {
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab:"), "YWI6");
        assert_eq!(decoded("a%2Bb+c%7E%"), "a+b c~%");
    }
}
