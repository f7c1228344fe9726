//! Promise: no outgoing connection is given a port that is leased.

use std::fs;
use std::net::{TcpListener, TcpStream};

use crate::support::namespace::alone;
use crate::support::{As, Scene};

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
