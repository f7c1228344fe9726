//! Promise: nothing arrives but at leased ports, and what was asked for.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout};
use std::time::Duration;

use manifest_spec::manifest::Protocol;

use crate::namespace::alone;
use crate::wall::{Wall, leased, nothing, only};

/// An attacker that waits.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where.
    pub port: u16,
}

impl Waiting {
    /// Start it with a word.
    pub fn start(wall: &Wall, word: &str) -> Waiting {
        let mut child = wall.start("wait", &[word]);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port ");
        let port = port.unwrap_or_else(|| panic!("{word}: {line}")).parse().unwrap();
        Waiting { child, output, port }
    }

    /// What has arrived.
    pub fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        self.child.wait().unwrap();
        said
    }
}

/// Whether a connection can be made; one that must not be is waited for a moment only.
fn connects(to: SocketAddr, expected: bool) -> bool {
    let patience = Duration::from_millis(if expected { 10_000 } else { 300 });
    TcpStream::connect_timeout(&to, patience).is_ok()
}

/// Addresses of this host under which a socket of a wildcard address is found.
const V4: &str = "127.0.0.1";
const V6: &str = "[::1]";

fn place(address: &str, port: u16) -> SocketAddr {
    format!("{address}:{port}").parse().unwrap()
}

#[test]
fn who_listens_without_a_lease_gets_no_connection() {
    alone(|| {
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Tcp, 8080)];
        let wall = Wall::raise(&rules);
        let listens = |wall: &Wall, word: &str, address: &str, expected: bool| {
            let waiting = Waiting::start(wall, word);
            assert_eq!(
                connects(place(address, waiting.port), expected),
                expected,
                "{word} {address}"
            );
            assert_eq!(waiting.finish().contains("connection"), expected, "{word}");
        };
        for protocol in ["tcp", "mptcp"] {
            listens(&wall, &format!("listen/{protocol}/0.0.0.0/0"), V4, false);
            listens(&wall, &format!("listen/{protocol}/::/0"), V6, false);
            listens(&wall, &format!("listen/{protocol}/::/0"), V4, false);
        }
        listens(&wall, "bound/tcp/0.0.0.0/8080", V4, true);
        listens(&wall, "bound/tcp/::/8080", V6, true);
        listens(&wall, "bound/tcp/::/8080", V4, true);
        // A client may name its end, and must not make a server of it.
        rules.reach = only(&[("192.0.2.1", 32, None)]);
        let wall = Wall::raise(&rules);
        listens(&wall, "bound/tcp/0.0.0.0/0", V4, false);
        listens(&wall, "bound/tcp/::/0", V6, false);
        rules.reach = agent::network::rules::Reach::Anywhere;
        let wall = Wall::raise(&rules);
        listens(&wall, "bound/tcp/0.0.0.0/0", V4, false);
        listens(&wall, "listen/tcp/::/0", V6, false);
    });
}

#[test]
fn a_datagram_of_a_stranger_does_not_arrive() {
    alone(|| {
        for (address, other) in [("127.0.0.1", "127.0.0.2"), ("::1", "::1")] {
            let at = |address: &str, port: u16| (address.to_owned(), port);
            let granted = UdpSocket::bind(at(address, 5000)).unwrap();
            let stranger = UdpSocket::bind(at(other, 5001)).unwrap();
            let mut rules = nothing();
            rules.reach = only(&[(address, 32, Some(5000))]);
            if address.contains(':') {
                rules.reach = only(&[(address, 128, Some(5000))]);
            }
            let wall = Wall::raise(&rules);
            for verb in ["ask", "connected"] {
                let waiting = Waiting::start(&wall, &format!("{verb}/udp/{address}/5000"));
                let to = (address, waiting.port);
                stranger.send_to(b"of a stranger", to).unwrap();
                granted.send_to(b"of the granted", to).unwrap();
                let _ = stranger.send_to(b"of a stranger", to);
                assert_eq!(waiting.finish(), "datagram of the granted\n", "{verb} {address}");
            }
        }
    });
}

#[test]
fn the_answer_of_a_granted_network_arrives() {
    alone(|| {
        for (address, network, prefix) in
            [("127.0.0.1", "127.0.0.0", 8), ("::1", "::", 96), ("127.9.9.9", "127.8.0.0", 13)]
        {
            let granted = UdpSocket::bind((address, 5000)).unwrap();
            let stranger = UdpSocket::bind((address, 5001)).unwrap();
            let mut rules = nothing();
            rules.reach = only(&[(network, prefix, Some(5000))]);
            let wall = Wall::raise(&rules);
            let waiting = Waiting::start(&wall, &format!("ask/udp/{address}/5000"));
            stranger.send_to(b"of a stranger", (address, waiting.port)).unwrap();
            granted.send_to(b"of the granted", (address, waiting.port)).unwrap();
            assert_eq!(waiting.finish(), "datagram of the granted\n", "{address}");
        }
    });
}

/// The first half of all addresses, granted for one port, does not let every port of the other in.
#[test]
fn a_wide_network_of_one_port_does_not_open_the_others() {
    alone(|| {
        let mut rules = nothing();
        rules.reach = only(&[("0.0.0.0", 1, Some(5000)), ("127.0.0.1", 32, Some(5002))]);
        let stranger = UdpSocket::bind("127.0.0.1:5001").unwrap();
        let _granted = UdpSocket::bind("127.0.0.1:5000").unwrap();
        let wall = Wall::raise(&rules);
        let waiting = Waiting::start(&wall, "ask/udp/127.0.0.1/5000");
        stranger.send_to(b"of a stranger", ("127.0.0.1", waiting.port)).unwrap();
        assert_eq!(waiting.finish(), "");
    });
}
