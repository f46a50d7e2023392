//! nginx, as a web server and as a cache in front of one: as Debian has it, unpacked for the tests alone.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::debian;
use crate::loopback::{Process, free_port};

/// How long the cache gives what it has without asking whether it is still so.
const KEPT: Duration = Duration::from_secs(1);

/// nginx, until it is dropped.
pub struct Nginx {
    _process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    /// Serves a folder by way of a cache, which asks after [`KEPT`] whether what it has is still so: the server tells that by a file's time
    /// and size.
    pub fn caching(folder: &Path) -> Self {
        let origin = free_port();
        let root = folder.display();
        let server =
            format!("server {{ listen 127.0.0.1:{origin}; root {root}; access_log off; }}\n");
        Self::cache_of(&format!("http://127.0.0.1:{origin}/"), &server)
    }

    /// The same in front of what somebody else serves at a URL, which ends with `/`.
    pub fn caching_url(url: &str) -> Self {
        Self::cache_of(url, "")
    }

    fn cache_of(url: &str, servers: &str) -> Self {
        Self::start(|own| {
            format!(
                "proxy_cache_path {own}/cache keys_zone=all:1m;\n\
                 log_format caching '$upstream_cache_status $uri';\n{servers}\
                 server {{ listen 127.0.0.1:PORT; access_log {own}/caching.log caching; location / {{\n\
                 proxy_pass {url}; proxy_cache all; proxy_cache_valid 200 {}s; proxy_cache_revalidate on;\n\
                 proxy_ignore_headers Cache-Control Expires; }} }}\n",
                KEPT.as_secs()
            )
        })
    }

    /// With this in its section `http`: `PORT` in it is the port that it listens to.
    pub fn start(http: impl FnOnce(&str) -> String) -> Self {
        let root = debian::unpacked(&["nginx", "nginx-common"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().to_str().unwrap();
        let port = free_port();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
            .concat();
        let http = http(own).replace("PORT", &port.to_string());
        // One process, which ends where it is killed.
        let text = format!(
            "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\ndefault_type application/octet-stream;\n\
             access_log off;\n{temporary}{http}}}\n"
        );
        let config = folder.path().join("nginx.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(root.join("usr/sbin/nginx"));
        command.arg("-p").arg(own).arg("-c").arg(&config);
        let process = Process::start(&mut command, port, &folder.path().join("log"));
        Self {
            _process: process,
            folder,
            port,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often the cache gave what it had, asked or not.
    pub fn hits(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("caching.log")).unwrap();
        let gave = |line: &&str| line.starts_with("HIT ") || line.starts_with("REVALIDATED ");
        log.lines().filter(gave).count()
    }

    /// Waits until the cache asks again about all it has.
    pub fn ages(&self) {
        // It counts whole seconds.
        std::thread::sleep(KEPT + Duration::from_millis(1_100));
    }
}
