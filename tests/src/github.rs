//! A stand-in for GitHub on loopback, as its documentation describes it: releases and their assets, git over HTTP with a token, downloads behind a
//! redirect, and pages that are those of a branch. It is found by the name `github.localhost`, which gh speaks plain HTTP to, by way of a proxy.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::nginx::Nginx;

mod api;
mod branch;
mod git;
mod http;
mod serve;
mod state;

pub use api::stored;
pub use state::{Asset, BRANCH, Fault, HOST, REPOSITORY, Release, TOKEN};

use git::{git, git_of};
use state::{ServerState, State};

/// The stand-in; dropping it ends it.
pub struct GitHub {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    pages: Nginx,
    _secure: Nginx,
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
