//! Promise: nothing is sent and nothing connected to but what is granted, in any way.

use std::net::{IpAddr, TcpListener, UdpSocket};

use manifest_spec::manifest::Protocol;

use crate::namespace::{Namespace, Tap, alone, ip};
use crate::wall::{Wall, leased, nothing, only};

/// A host beyond the wire that no rule grants, and one that is granted on port 5000.
pub const FORBIDDEN: [&str; 2] = ["203.0.113.77", "2001:db8:77::77"];
pub const GRANTED: [&str; 2] = ["203.0.113.5", "2001:db8:77::5"];

/// How a TCP socket can begin to talk to an address.
const STREAM_VERBS: [&str; 4] =
    ["connect/tcp", "fastopen/tcp", "fastopen-connect/tcp", "connect/mptcp"];
/// The same for UDP.
const DATAGRAM_VERBS: [&str; 5] =
    ["connect/udp", "send/udp", "sendmsg/udp", "sendmmsg/udp", "cork/udp"];

/// A wire to a network where everybody would be, as far as this host can tell.
pub fn wired() -> Namespace {
    let (here, there) = (Namespace::current(), Namespace::new());
    here.wire("near", &["203.0.113.1/24", "2001:db8:77::1/64"], &there, "far", &["203.0.113.2/24"]);
    ip("route add default dev near");
    ip("-6 route add default dev near");
    there
}

/// Every word that begins to talk to these addresses.
pub fn every_way(addresses: &[&str], port: u16) -> Vec<String> {
    let verbs = STREAM_VERBS.iter().chain(&DATAGRAM_VERBS);
    let words = |verb: &&str| {
        addresses.iter().map(|address| format!("{verb}/{address}/{port}")).collect::<Vec<_>>()
    };
    verbs.flat_map(words).collect()
}

/// An address as packets have it.
pub fn bytes(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[test]
fn a_service_on_the_loopback_interface_is_out_of_reach() {
    alone(|| {
        let mapped = ["127.0.0.1", "127.0.0.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"];
        let _stream = TcpListener::bind("[::]:7000").unwrap();
        let _datagrams = UdpSocket::bind("[::]:7000").unwrap();
        let mut rules = nothing();
        // A lease of the number for the other protocol grants nothing here, nor does another port.
        for (ports, reach) in [
            (vec![], only(&[])),
            (vec![leased(Protocol::Tcp, 8080)], only(&[("127.0.0.0", 8, Some(7001))])),
            (vec![], only(&[("::1", 128, Some(7001)), ("127.0.0.2", 32, None)])),
        ] {
            (rules.ports, rules.reach) = (ports, reach);
            let wall = Wall::raise(&rules);
            for word in every_way(&mapped, 7000) {
                wall.holds("dial", &[(&word, "EPERM")]);
            }
        }
        let wall = Wall::raise(&rules);
        // Fast open needs a cookie first, but it does connect.
        for word in every_way(&mapped, 7000).iter().filter(|word| !word.starts_with("fast")) {
            assert_eq!(wall.outside("dial", &[word]), format!("{word}: SUCCEEDED\n"));
        }
    });
}

#[test]
fn nothing_for_another_host_leaves() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        // A lease of the same number is one of this host's addresses, not of all there are.
        rules.ports = vec![leased(Protocol::Tcp, 5000), leased(Protocol::Udp, 5000)];
        let wall = Wall::raise(&rules);
        let mut tap = Tap::open();
        let addresses = [FORBIDDEN[0], FORBIDDEN[1], "::ffff:203.0.113.77"];
        let mut words = every_way(&addresses, 5000);
        words.extend(every_way(&addresses, 80));
        words.extend(every_way(&["169.254.169.254", "::ffff:169.254.169.254"], 80));
        words.extend(every_way(&["::203.0.113.77"], 5000));
        for address in ["203.0.113.255", "255.255.255.255", "224.0.0.251", "ff02::fb", "ff02::1"] {
            words.extend(DATAGRAM_VERBS.iter().map(|verb| format!("{verb}/{address}/5353")));
        }
        for (granted, other) in GRANTED.into_iter().zip(FORBIDDEN) {
            for verb in ["again/udp", "again/tcp", "aside/udp"] {
                words.push(format!("{verb}/{granted}/5000/{other}/5000"));
            }
            words.push(format!("nameless-send/udp/{}/5000", FORBIDDEN[0]));
        }
        // TCP to the granted host begins, and nobody answers there: only its end is awaited.
        words.retain(|word| !word.starts_with("again/tcp"));
        for verb in ["disguised-connect/udp", "disguised-send/udp"] {
            words.push(format!("{verb}/{}/5000/{}/5000", GRANTED[1], FORBIDDEN[0]));
        }
        for word in &words {
            wall.holds("dial", &[(word, "EPERM")]);
        }
        for address in FORBIDDEN.iter().chain(&["169.254.169.254"]) {
            assert_eq!(tap.count(&bytes(address)), 0, "{address}");
        }
        assert_eq!(tap.count(b"hostctl-escape"), 0);
        // The tap would have seen it.
        for address in FORBIDDEN {
            wall.outside("dial", &[format!("send/udp/{address}/5000")]);
            assert_ne!(tap.count(&bytes(address)), 0, "{address}");
        }
    });
}

#[test]
fn what_was_begun_to_a_granted_host_goes_nowhere_else() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        let wall = Wall::raise(&rules);
        let mut tap = Tap::open();
        for (granted, other) in GRANTED.into_iter().zip(FORBIDDEN) {
            // The kernel leaves the second address aside while a datagram is being put together.
            let word = format!("appended/udp/{granted}/5000/{other}/5000");
            wall.holds("dial", &[(&word, "SUCCEEDED")]);
            assert_eq!(tap.count(&bytes(other)), 0, "{other}");
            assert_ne!(tap.count(&bytes(granted)), 0, "{granted}");
        }
    });
}

#[test]
fn a_disconnected_socket_does_not_connect_elsewhere() {
    alone(|| {
        let _granted = TcpListener::bind("[::]:7001").unwrap();
        let _forbidden = TcpListener::bind("[::]:7000").unwrap();
        let mut rules = nothing();
        rules.reach = only(&[("127.0.0.1", 32, Some(7001)), ("::1", 128, Some(7001))]);
        let wall = Wall::raise(&rules);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            for protocol in ["tcp", "udp"] {
                let word = format!("again/{protocol}/{address}/7001/{address}/7000");
                wall.holds("dial", &[(&word, "EPERM")]);
                let word = format!("again/{protocol}/{address}/7001/{address}/7001");
                wall.holds("dial", &[(&word, "SUCCEEDED")]);
            }
        }
    });
}

#[test]
fn what_is_granted_is_reached_in_every_way() {
    alone(|| {
        let _stream = TcpListener::bind("[::]:7001").unwrap();
        let _datagrams = UdpSocket::bind("[::]:7001").unwrap();
        let mut rules = nothing();
        rules.reach = only(&[("127.0.0.0", 8, Some(7001)), ("::1", 128, None)]);
        let wall = Wall::raise(&rules);
        let mut words = every_way(&["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"], 7001);
        words.retain(|word| !word.starts_with("fast"));
        for word in &words {
            wall.holds("dial", &[(word, "SUCCEEDED")]);
        }
    });
}

#[test]
fn its_own_leased_port_is_reached() {
    alone(|| {
        let _stream = TcpListener::bind("[::]:8080").unwrap();
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Tcp, 8080)];
        let wall = Wall::raise(&rules);
        for address in ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"] {
            wall.holds("dial", &[(&format!("connect/tcp/{address}/8080"), "SUCCEEDED")]);
            wall.holds("dial", &[(&format!("send/udp/{address}/8080"), "EPERM")]);
        }
    });
}

/// getaddrinfo(3) connects to port 0 of UDP to learn which address is nearest.
#[test]
fn a_granted_address_may_be_asked_for_its_nearness_only() {
    alone(|| {
        let mut rules = nothing();
        rules.reach = only(&[("127.0.0.1", 32, Some(7001)), ("::1", 128, Some(7001))]);
        let wall = Wall::raise(&rules);
        for (granted, other) in [("127.0.0.1", "127.0.0.2"), ("::1", "::2")] {
            wall.holds("dial", &[(&format!("overlong/udp/{granted}/0"), "SUCCEEDED")]);
            wall.holds("dial", &[(&format!("overlong/udp/{other}/0"), "EPERM")]);
            wall.holds("dial", &[(&format!("connect/tcp/{granted}/0"), "EPERM")]);
        }
    });
}
