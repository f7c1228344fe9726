//! Promise: no packet to a granted host goes by way of another that its sender chose.

use crate::destinations::{FORBIDDEN, GRANTED, bytes, wired};
use crate::namespace::{Tap, alone};
use crate::wall::{Wall, nothing, only};

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

#[test]
fn no_packet_with_a_route_of_its_own_leaves() {
    alone(|| {
        let _there = wired();
        let mut rules = nothing();
        rules.reach = only(&[(GRANTED[0], 32, Some(5000)), (GRANTED[1], 128, Some(5000))]);
        let wall = Wall::raise(&rules);
        let mut tap = Tap::open();
        for word in words() {
            let said = wall.run("route", &[&word]);
            assert!(!said.contains("SUCCEEDED"), "{said}");
        }
        for address in FORBIDDEN.iter().chain(&GRANTED) {
            assert_eq!(tap.count(&bytes(address)), 0, "{address}");
        }
        for word in words().iter().filter(|word| WORKING.iter().any(|one| word.starts_with(one))) {
            let mut tap = Tap::open();
            wall.outside("route", &[word]);
            let by = FORBIDDEN.iter().find(|address| word.contains(**address)).unwrap();
            assert_ne!(tap.count(&bytes(by)), 0, "{word} is no attack");
        }
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
