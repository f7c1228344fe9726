//! Promise: a UDP server on a leased port answers whoever asked it, and sends to nobody else.

use std::net::UdpSocket;
use std::time::Duration;

use manifest_spec::manifest::Protocol;

use crate::arrivals::Waiting;
use crate::destinations::{FORBIDDEN, wired};
use crate::namespace::{Tap, alone};
use crate::wall::{Wall, leased, nothing};

fn client(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

#[test]
fn whoever_asks_is_answered_and_nobody_else() {
    alone(|| {
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Udp, 5353)];
        let wall = Wall::raise(&rules);
        for (server, address) in [
            ("0.0.0.0", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::", "::1"),
            ("::", "127.0.0.1"),
        ] {
            let (asking, silent) = (client(address), client(address));
            let silent_port = silent.local_addr().unwrap().port();
            let mapped = if server == "::" && address != "::1" { "::ffff:" } else { "" };
            let word = format!("answer/udp/{server}/5353/{mapped}{address}/{silent_port}");
            let waiting = Waiting::start(&wall, &word);
            asking.send_to(b"question", (address, waiting.port)).unwrap();
            assert_eq!(waiting.finish(), "datagram question\naside: EPERM\n", "{word}");
            let mut answer = [0; 16];
            assert_eq!(asking.recv(&mut answer).unwrap(), 8, "{word}");
        }
    });
}

/// An address that is not this host's may be bound (IPV6_FREEBIND of ipv6(7) needs no capability),
/// and a datagram from there looks like a client's.
#[test]
fn a_server_is_no_client_of_its_own_under_a_strange_address() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Udp, 5353)];
        let wall = Wall::raise(&rules);
        let mut tap = Tap::open();
        for address in FORBIDDEN {
            let word = format!("forge/udp/{address}/5353");
            let said = wall.run("forge", &["5353", &word]);
            assert!(!said.contains("SUCCEEDED"), "{said}");
        }
        // The attacker's datagram to itself passes the loopback device, twice as packet(7) counts.
        assert!(tap.count(b"hostctl-escape") <= 4);
    });
}
