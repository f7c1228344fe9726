//! Port numbers that one test has for itself, and the simplest client for them.
//!
//! Invariant: a block is held, for every process on the machine, by an abstract socket of its name
//! (unix(7)), which ends with the test; the ports themselves are free, so that they can be leased.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
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
    _held: UnixListener,
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
        let name = SocketAddr::from_abstract_name(format!("hostctl-e2e-ports-{first}")).ok()?;
        let held = UnixListener::bind_addr(&name).ok()?;
        let free = |port| TcpListener::bind(("0.0.0.0", port)).is_ok();
        (first..first + BLOCK).all(free).then_some(Ports { first, _held: held })
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
