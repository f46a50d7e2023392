//! Servers that somebody else wrote, on loopback, each for as long as a test holds it.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A free port, which may be taken by somebody else until it is used.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A server of one process.
pub struct Process(Child);

impl Process {
    /// Starts it, and waits until it takes connections. What it says goes to `log`.
    pub fn start(command: &mut Command, port: u16, log: &Path) -> Self {
        let out = fs::File::create(log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut process = Self(child.unwrap());
        let clock = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = process.0.try_wait().unwrap();
            assert!(
                ended.is_none() && clock.elapsed() < Duration::from_secs(120),
                "{command:?}: {ended:?}: {}",
                fs::read_to_string(log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
