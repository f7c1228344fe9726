//! A service that is replaced again and again while clients ask it.
//!
//! Invariant: no request of the clients fails, and one that was half sent is answered by the instance
//! that it was begun with.

use std::io::Write;

use serde_json::Value;

use super::eventually;
use super::hostd::{Hostd, Journal};
use super::load::{Load, begin, finish};

/// Twenty versions of the app `web`, one after the other, under load on port 8080. `leaves` tells an
/// instance that is on its way out, and still has the request that was half sent.
#[track_caller]
pub fn under_load(
    hostd: &Hostd<'_>,
    journal: &Journal,
    manifest: impl Fn(&str) -> String,
    leaves: impl Fn(&Value) -> bool,
) {
    hostd.deploy_and_wait(&manifest("v0"));
    let load = Load::start(8080);
    for version in 1..=20 {
        // Half a request is with an old one when the new ones take over.
        let mut flight = begin(8080).unwrap();
        flight.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        hostd.deploy(&manifest(&format!("v{version}")));
        eventually("the one that it is with leaves", || hostd.instances("web").iter().any(&leaves));
        let body = finish(flight, b"Host: a\r\n\r\n").unwrap();
        assert_eq!(body, format!("web v{}", version - 1), "the old one finishes what it began");
        hostd.settled("web");
    }
    let outcome = load.end();
    assert_eq!(outcome.failed, [""; 0], "of {}", outcome.answered);
    assert!(outcome.bodies.len() > 15, "{outcome:?}");
    let instances = hostd.instances("web").len();
    assert_eq!(journal.count("web", "start"), 21 * instances);
    assert_eq!(journal.count("web", "end"), 20 * instances);
}
