//! Promise: no outgoing connection is given a port that is leased.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::namespace::alone;
use crate::support::{As, Running, Scene};

const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

fn reserved() -> String {
    fs::read_to_string(RESERVED).unwrap().trim().to_owned()
}

/// A host whose ephemeral range has 16 ports, of which somebody has reserved one.
fn host(act: impl FnOnce(&Scene) + Send) {
    alone(|| {
        fs::write(RANGE, "40000 40015").unwrap();
        fs::write(RESERVED, "40015").unwrap();
        let scene = Scene::new(As::Root);
        scene.shell_app("echo ready; sleep 600", "port = 40003\n");
        act(&scene);
    });
}

#[test]
fn a_leased_port_is_kept_out_of_the_range_and_given_back() {
    host(|scene| {
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        running.until_output("ready");
        assert_eq!(reserved(), "40003,40015");
        let there = TcpListener::bind("127.0.0.1:7000").unwrap();
        let place = there.local_addr().unwrap();
        let mut taken = Vec::new();
        while let Ok(stream) = TcpStream::connect(place) {
            taken.push(stream);
        }
        let mut ports: Vec<_> = taken.iter().map(|one| one.local_addr().unwrap().port()).collect();
        ports.sort_unstable();
        let free: Vec<u16> = (40_000..40_015).filter(|port| *port != 40_003).collect();
        assert_eq!(ports, free, "every port of the range but those");
        running.signal("TERM");
        running.wait();
        assert_eq!(reserved(), "40015");
    });
}

#[test]
fn what_a_kill_left_goes_with_the_next_lease() {
    host(|scene| {
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        running.until_output("ready");
        running.signal("KILL");
        running.wait();
        assert_eq!(reserved(), "40003,40015");
        scene.run(["run", "--name", "other", "--port", "7001", "--", "true"]).exited(0);
        assert_eq!(reserved(), "40015");
    });
}

#[test]
fn the_range_that_instances_lease_from_is_kept_out_too() {
    host(|scene| {
        let policy = "[ports]\nrange = \"40008-41000\"\n";
        fs::write(scene.config().join("policy.toml"), policy).unwrap();
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        running.until_output("ready");
        assert_eq!(reserved(), "40003,40008-40015");
        running.signal("TERM");
        running.wait();
        assert_eq!(reserved(), "40015");
    });
}

fn start(scene: &Scene, name: &str, port: u16) -> Running {
    let (name, port) = (format!("name={name}"), format!("port={port}"));
    let mut running = scene.start(["run", "--quiet", "--set", &name, "--set", &port, "app.toml"]);
    running.until_output("ready");
    running
}

fn stop(running: Running) {
    running.signal("TERM");
    running.wait();
}

#[test]
fn each_lease_gives_back_its_own_port() {
    host(|scene| {
        let (first, second) = (start(scene, "first", 40_003), start(scene, "second", 40_004));
        let outside = start(scene, "outside", 7001);
        assert_eq!(reserved(), "40003-40004,40015");
        stop(first);
        assert_eq!(reserved(), "40004,40015");
        stop(outside);
        assert_eq!(reserved(), "40004,40015");
        stop(second);
        assert_eq!(reserved(), "40015");
    });
}

/// Who reserved a port first keeps it, and what others reserve or let go of meanwhile is theirs.
#[test]
fn entries_of_others_stay_whenever_they_were_made() {
    host(|scene| {
        let theirs = start(scene, "theirs", 40_015);
        assert_eq!(reserved(), "40015");
        let running = start(scene, "demo", 40_003);
        fs::write(RESERVED, "40003,40009-40010").unwrap();
        let other = start(scene, "other", 40_004);
        assert_eq!(reserved(), "40003-40004,40009-40010,40015");
        stop(other);
        stop(running);
        stop(theirs);
        assert_eq!(reserved(), "40009-40010");
    });
}

/// IPv6 and UDP have no ranges of their own.
#[test]
fn no_client_of_any_kind_is_given_the_port() {
    host(|scene| {
        let running = start(scene, "demo", 40_003);
        let there = TcpListener::bind("[::1]:7000").unwrap();
        let six = there.local_addr().unwrap();
        let streams: Vec<_> = std::iter::from_fn(|| TcpStream::connect(six).ok()).collect();
        let streams = streams.iter().map(|one| one.local_addr().unwrap().port());
        let datagrams = |any| {
            let all: Vec<_> = std::iter::from_fn(|| UdpSocket::bind((any, 0)).ok()).collect();
            all.iter().map(|one| one.local_addr().unwrap().port()).collect::<Vec<_>>()
        };
        let free: Vec<u16> = (40_000..40_015).filter(|port| *port != 40_003).collect();
        let kinds = [streams.collect(), datagrams("127.0.0.1"), datagrams("::1")];
        for (kind, mut ports) in ["TCP6", "UDP", "UDP6"].iter().zip(kinds) {
            ports.sort_unstable();
            assert_eq!(ports, free, "{kind}");
        }
        stop(running);
    });
}

/// An ordinary user can't reserve anything, and runs all the same.
#[test]
fn an_ordinary_user_changes_nothing() {
    host(|_| {
        let scene = Scene::new(As::User);
        scene.shell_app("echo ready; sleep 600", "port = 40003\n");
        let running = start(&scene, "demo", 40_003);
        assert_eq!(reserved(), "40015");
        stop(running);
        assert_eq!(reserved(), "40015");
    });
}
