//! Promise: a service of hostd is found at its port whatever its instances do: they share its
//! clients, take over from one another without one that is refused, and outlive hostd with all of
//! their connections.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::hostd::{Hostd, Journal};
use crate::support::load::{Load, begin, finish};
use crate::support::namespace::alone;
use crate::support::ports::get;
use crate::support::{As, Scene, eventually, updates};

/// A service that binds its port itself; `rest` are further keys of it.
fn web(words: &str, tag: &str, rest: &str) -> String {
    format!(
        "name = \"web\"\nrun = \"./service web port {words}\"\nport = 8080\n{rest}\n\
         access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n"
    )
}

fn with(act: impl FnOnce(&Scene, &Journal, &mut Hostd<'_>) + Send) {
    alone(|| {
        let scene = Scene::new(As::Root);
        let journal = scene.service();
        act(&scene, &journal, &mut Hostd::start(&scene));
    });
}

/// What `count` clients, one after the other, were answered.
fn answers(count: usize) -> Vec<String> {
    let answer = |_| get(8080, "/").unwrap_or_else(|| "nothing".to_owned()).trim().to_owned();
    (0..count).map(answer).collect()
}

fn distinct(count: usize) -> BTreeSet<String> {
    answers(count).into_iter().collect()
}

#[test]
fn instances_share_one_port_by_turns() {
    with(|_, _, hostd| {
        hostd.deploy_and_wait(&web("host", "", "count = 3"));
        let all = answers(32);
        let each: BTreeSet<_> = all.iter().collect();
        assert_eq!(each.len(), 3, "{all:?}");
        for one in each {
            let count = all.iter().filter(|answer| *answer == one).count();
            // Ten or twelve of 32: each has five or six of the sixteen slots.
            assert!((10..=12).contains(&count), "{one}: {all:?}");
        }
        let status = hostd.status("web");
        assert_eq!(status["services"][0]["ports"][0]["port"], 8080);
        for instance in hostd.instances("web") {
            let port = &instance["ports"][0];
            assert_eq!(port["port"], 8080, "{instance}");
            assert!(port["address"].as_str().unwrap().starts_with("10.99.0."), "{instance}");
        }
        hostd.post("/v1/apps/web/scale", &json!({ "service": "main", "count": 1 })).done();
        hostd.settled("web");
        assert_eq!(distinct(20).len(), 1);
        hostd.post("/v1/apps/web/stop", &Value::Null).done();
        hostd.settled("web");
        assert_eq!(distinct(3), ["nothing".to_owned()].into(), "refused, not left waiting");
    });
}

fn update_under_load(count: u32) {
    with(|_, journal, hostd| {
        let rest = format!("ready = \"notify\"\ncount = {count}");
        let manifest = |tag: &str| web("notify", tag, &rest);
        let drains = |one: &Value| one["state"] == "draining" && one["connections"] != 0;
        updates::under_load(hostd, journal, manifest, drains);
    });
}

#[test]
fn twenty_updates_of_what_binds_its_port_fail_no_request() {
    update_under_load(1);
}

#[test]
fn twenty_updates_of_three_that_bind_their_port_fail_no_request() {
    update_under_load(3);
}

#[test]
fn a_hostd_that_is_killed_leaves_clients_their_instances() {
    with(|_, journal, hostd| {
        hostd.deploy_and_wait(&web("host", "", "count = 3"));
        let load = Load::start(8080);
        let mut before = begin(8080).unwrap();
        before.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        hostd.kill();
        load.goes_on(300);
        eventually("new connections are still shared out", || distinct(20).len() == 3);
        let mut between = begin(8080).unwrap();
        between.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        hostd.begin();
        hostd.settled("web");
        load.goes_on(300);
        for flight in [before, between] {
            assert!(finish(flight, b"Host: a\r\n\r\n").unwrap().starts_with("web 10.99."));
        }
        assert_eq!(load.end().failed, [""; 0]);
        assert_eq!(journal.count("web", "start"), 3);
        // The next one balances as the one before did.
        hostd.post("/v1/apps/web/scale", &json!({ "service": "main", "count": 2 })).done();
        hostd.settled("web");
        assert_eq!(distinct(20).len(), 2);
    });
}

#[test]
fn a_port_has_one_service_and_the_second_is_told_whose_it_is() {
    with(|_, _, hostd| {
        hostd.deploy_and_wait(&web("", "v1", ""));
        let second = web("", "v1", "").replace("\"web\"", "\"second\"");
        let said = hostd.post("/v1/deploy", &hostd.deployment(&second)).refused(409);
        assert!(said.contains("port 8080/tcp is held by web.main"), "{said}");
        let status = hostd.api().ask("GET", "/v1/apps/second", &Value::Null).status;
        assert_eq!(status, 404, "nothing of it is kept");
        hostd.restart();
        hostd.post("/v1/deploy", &hostd.deployment(&second)).refused(409);
        hostd.api().ask("DELETE", "/v1/apps/web", &Value::Null).done();
        eventually("it is gone", || {
            hostd.api().ask("GET", "/v1/apps/web", &Value::Null).status == 404
        });
        hostd.deploy_and_wait(&second);
        let _stranger = TcpListener::bind("0.0.0.0:8081").unwrap();
        let third = web("", "v1", "").replace("\"web\"", "\"third\"").replace("8080", "8081");
        let said = hostd.post("/v1/deploy", &hostd.deployment(&third)).refused(409);
        assert!(said.contains("port 8081/tcp is in use by"), "{said}");
    });
}

#[test]
fn what_bound_the_hosts_port_gives_way_to_what_is_balanced_and_back() {
    with(|_, journal, hostd| {
        let alone = |tag: &str| web("", tag, "access.address = \"host\"");
        hostd.deploy_and_wait(&alone("v1"));
        hostd.deploy_and_wait(&web("", "v2", ""));
        assert_eq!(answers(3), ["web v2"; 3]);
        hostd.deploy_and_wait(&alone("v3"));
        assert_eq!(answers(3), ["web v3"; 3]);
        assert_eq!(journal.count("web", "start"), 3);
    });
}

#[test]
fn clients_stay_where_they_are_asked_to_and_wait_where_they_may() {
    with(|_, _, hostd| {
        hostd.deploy_and_wait(&web("host", "", "count = 3\naffinity = \"1m\""));
        assert_eq!(distinct(20).len(), 1, "one client, one instance");
        hostd.deploy_and_wait(&web("host", "", "count = 3\npolicy = \"source-hash\""));
        assert_eq!(distinct(20).len(), 1);
        hostd.deploy_and_wait(&web("host", "", "count = 3\npolicy = \"random\""));
        assert_eq!(distinct(64).len(), 3);
        let started = |hostd: &Hostd<'_>| hostd.instances("web")[0]["started_ms"].clone();
        let before = started(hostd);
        hostd.deploy_and_wait(&web("host", "", "count = 3\npolicy = \"p2c\"\ndrain = \"9s\""));
        assert_eq!(started(hostd), before, "a policy starts nothing anew");
        assert_eq!(distinct(64).len(), 3);

        // While nobody serves: refused, or left waiting.
        let silent = |rest: &str| {
            web("wait notify", "", &format!("ready = \"notify\"\n{rest}"))
                .replace("\"web\"", "\"silent\"")
                .replace("8080", "8090")
        };
        let meets = || {
            let place = "127.0.0.1:8090".parse().unwrap();
            let limit = std::time::Duration::from_millis(300);
            std::net::TcpStream::connect_timeout(&place, limit).unwrap_err().kind()
        };
        hostd.deploy(&silent(""));
        assert_eq!(meets(), std::io::ErrorKind::ConnectionRefused);
        hostd.deploy(&silent("unserved = \"wait\""));
        assert_eq!(meets(), std::io::ErrorKind::TimedOut);
    });
}
