//! Promise: no packet to a granted host goes by way of another that its sender chose.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use manifest_spec::manifest::Protocol;

use crate::destinations::{FORBIDDEN, GRANTED, bytes, wired};
use crate::namespace::{Tap, alone, ip};
use crate::wall::{Wall, leased, nothing, only};

/// Ways to give a route of one's own; the kernel itself may refuse some of them.
const V4: [&str; 6] = ["loose", "strict", "record", "loose-once", "strict-once", "record-once"];
const V6: [&str; 6] =
    ["segments", "segments-once", "segments-label", "mobile", "mobile-once", "mobile-label"];

/// Those of which some packet leaves if nothing is in the way.
const WORKING: [&str; 5] =
    ["loose/udp", "loose/tcp", "strict-once/udp", "segments/udp", "segments/tcp"];

fn words() -> Vec<String> {
    let mut words = Vec::new();
    for (verbs, place) in [(V4, 0), (V6, 1)] {
        for verb in verbs {
            for protocol in ["udp", "tcp"] {
                let (to, by) = (GRANTED[place], FORBIDDEN[place]);
                words.push(format!("{verb}/{protocol}/{to}/5000/{by}/0"));
            }
        }
    }
    words
}

/// No way leads a packet to a granted host by another.
fn holds(wall: &Wall) {
    let mut tap = Tap::open();
    for word in words() {
        let said = wall.run("route", &[&word]);
        assert!(!said.contains("SUCCEEDED"), "{said}");
    }
    for address in FORBIDDEN.iter().chain(&GRANTED) {
        assert_eq!(tap.count(&bytes(address)), 0, "{address}");
    }
}

#[test]
fn no_packet_with_a_route_of_its_own_leaves() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        let wall = Wall::raise(&rules);
        holds(&wall);
        for word in words().iter().filter(|word| WORKING.iter().any(|one| word.starts_with(one))) {
            let mut tap = Tap::open();
            wall.outside("route", &[word]);
            let by = FORBIDDEN.iter().find(|address| word.contains(**address)).unwrap();
            assert_ne!(tap.count(&bytes(by)), 0, "{word} is no attack");
        }
    });
}

#[test]
fn none_leaves_when_destinations_come_later_or_go() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        let mut wall = Wall::raise(&rules);
        holds(&wall);
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        wall.change(&rules);
        holds(&wall);
        rules.reach = only(&[]);
        wall.change(&rules);
        holds(&wall);
    });
}

/// Ways to give a route to a connection that somebody else made, and whether packets then go there
/// if nothing is in the way.
const ANSWERS: [(&str, bool); 8] = [
    ("loose-answer", true),
    ("strict-answer", true),
    ("record-answer", false),
    ("loose-once-answer", false),
    ("segments-answer", true),
    ("segments-2292-answer", false),
    ("segments-once-answer", false),
    ("mobile-answer", false),
];

#[test]
fn a_server_that_only_answers_gives_its_answers_no_route() {
    const CLIENT: [&str; 2] = ["203.0.113.2", "2001:db8:77::2"];
    const SERVER: [&str; 2] = ["203.0.113.1", "2001:db8:77::1"];
    alone(|| {
        let there = wired();
        there.enter(|| ip("-6 addr add 2001:db8:77::2/64 dev far nodad"));
        let mut rules = nothing();
        rules.ports = vec![leased(Protocol::Tcp, 8080)];
        let wall = Wall::raise(&rules);
        let attempt = |verb: &str, run: &dyn Fn(&str) -> String| {
            let family = usize::from(!V4.iter().any(|one| verb.starts_with(one)));
            let by = FORBIDDEN[family];
            let word = format!("{verb}/tcp/{}/8080/{by}/0", CLIENT[family]);
            let mut tap = Tap::open();
            let said = std::thread::scope(|scope| {
                scope.spawn(|| there.enter(|| visit((SERVER[family], 8080))));
                run(&word)
            });
            (said, tap.count(&bytes(by)))
        };
        for (verb, _) in ANSWERS {
            let (said, seen) = attempt(verb, &|word| wall.run("route", &[word]));
            // The kernel leaves aside what comes with a message.
            let expected = if verb.contains("once") { ": SUCCEEDED\n" } else { ": EPERM\n" };
            assert!(said.ends_with(expected), "{said}");
            assert_eq!(seen, 0, "{said}");
        }
        for (verb, _) in ANSWERS.iter().filter(|(_, works)| *works) {
            let (said, seen) = attempt(verb, &|word| wall.outside("route", &[word]));
            assert_ne!(seen, 0, "no attack: {said}");
        }
    });
}

/// Connect as soon as somebody listens, and listen to the end.
fn visit(to: (&str, u16)) {
    // It may have to be compiled first.
    for _ in 0..3000 {
        if let Ok(mut stream) = TcpStream::connect(to) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_socket_of_another_protocol_is_made_where_packets_are_not_looked_at() {
    alone(|| {
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        let wall = Wall::raise(&nothing());
        let said = wall.run("sockets", &[] as &[&str]);
        for name in ["echo request", "sctp", "udp-lite"] {
            assert!(!said.contains(&format!("{name}: SUCCEEDED")), "{said}");
        }
        assert!(said.contains("echo request: EPERM\n"), "{said}");
        let said = wall.outside("sockets", &[] as &[&str]);
        assert!(said.contains("echo request: SUCCEEDED\n"), "no attack: {said}");
    });
}

#[test]
fn plain_packets_to_a_granted_host_leave() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        let wall = Wall::raise(&rules);
        for address in GRANTED {
            let mut tap = Tap::open();
            wall.holds("dial", &[(&format!("send/udp/{address}/5000"), "SUCCEEDED")]);
            assert_eq!(tap.count(b"hostctl-escape"), 1);
        }
    });
}
