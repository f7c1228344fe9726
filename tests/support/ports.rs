//! Port numbers that one test has for itself, and the simplest client for them.
//!
//! Invariant: a number is held, for every process on the machine, by a listener on 127.0.0.2 with
//! the same number; the program under test is told to bind 127.0.0.1 and finds it free.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Numbers held together, so that a port offset below it stays inside.
const BLOCK: u16 = 8;

/// Where blocks are taken from: below the kernel's default ephemeral range, so that no client on
/// this machine gets one by chance.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A block of port numbers, held until dropped.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _held: Vec<TcpListener>,
}

impl Ports {
    /// Hold a block.
    pub fn hold() -> Ports {
        RANGE
            .step_by(usize::from(BLOCK))
            .find_map(Ports::hold_at)
            .unwrap_or_else(|| panic!("no {BLOCK} free ports in {RANGE:?}"))
    }

    fn hold_at(first: u16) -> Option<Ports> {
        let numbers = first..first + BLOCK;
        let held: Option<Vec<_>> =
            numbers.clone().map(|port| TcpListener::bind(("127.0.0.2", port)).ok()).collect();
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        held.filter(|_| numbers.clone().all(free)).map(|held| Ports { first, _held: held })
    }

    /// The number at this place of the block.
    pub fn number(&self, place: u16) -> u16 {
        assert!(place < BLOCK);
        self.first + place
    }
}

/// The body that a server on the loopback interface answers a GET with; `None` while it does not.
pub fn get(port: u16, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let answer = ask(port, request.as_bytes())?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200").then(|| body.to_owned())
}

/// Everything a server says to this until it closes.
pub fn ask(port: u16, request: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
