//! One request: who it is for, and the fault that it meets.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::PoisonError;

use super::http::{Answer, Request, chunks, decoded, send, tunnel};
use super::state::{Fault, HOST, REPOSITORY, State};

impl State {
    pub(super) fn serves(&self, stream: TcpStream) -> io::Result<()> {
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
                _ => send(&stream, &Answer::message(502, "no such host")),
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
        send(&stream, &found)
    }

    /// What it does, and answers; of an upload that did not come whole, what is left.
    pub(super) fn asked(&self, request: &Request, whole: bool) -> Answer {
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
}
