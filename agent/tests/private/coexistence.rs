//! Promise: what others set on the host stays as it is, and stays in force.

use std::os::fd::AsFd;

use agent::network::link::{End, Links};
use host_sys::namespace::{new_network, visit};
use manifest_spec::manifest::Protocol::{Tcp, Udp};

use crate::scene::*;

const FOREIGN: &str = "\
table inet foreign {
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp dport 8080 drop
	}

	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 9000 counter packets 0 bytes 0 accept
	}
}
";

#[test]
fn a_foreign_table_is_untouched_and_its_drops_hold() {
    let scene = Scene::new();
    scene.nft(&["-f", "-"], FOREIGN);
    assert_eq!(scene.nft(&["list", "ruleset"], ""), FOREIGN);
    let forwards = vec![forward(Tcp, 8083, 8080, None), forward(Tcp, 9093, 9090, None)];
    let running = scene.build(&Layout { forwards, egress: None, ..layout(7) });
    let _dropped = listen(&running.namespace(), "0.0.0.0:8080");
    let passed = listen(&running.namespace(), "0.0.0.0:9090");
    assert!(!connects(&scene.client, (HOST, 8083)), "somebody else's drop");
    assert_eq!(tcp(&scene.client, (HOST, 9093), &passed), Some(ip(CLIENT)));
    assert_eq!(scene.nft(&["list", "table", "inet", "foreign"], ""), FOREIGN);
    drop(running);
    assert_eq!(scene.nft(&["list", "ruleset"], ""), FOREIGN);
}

#[test]
fn a_foreign_redirection_opens_nothing() {
    let scene = Scene::new();
    let redirect = "table ip foreign {
        chain prerouting {
            type nat hook prerouting priority -110; policy accept;
            tcp dport 80 redirect to :9000
        }
    }";
    scene.nft(&["-f", "-"], redirect);
    let service = listen(&scene.host, "0.0.0.0:9000");
    let inward = vec![inward(Tcp, 5432, "127.0.0.1:15432"), inward(Udp, 53, "127.0.0.1:53")];
    let running = scene.build(&Layout { inward, ..layout(7) });
    assert_eq!(tcp(&scene.client, (HOST, 80), &service), Some(ip(CLIENT)));
    assert!(!connects(&running.namespace(), (HOST, 80)));
    assert!(!connects(&running.namespace(), ("169.254.1.1", 80)));
}

#[test]
fn the_host_becomes_nobody_s_router() {
    let scene = Scene::new();
    let server = listen(&scene.outside, "0.0.0.0:443");
    let links = visit(&scene.outside, Links::open).unwrap().unwrap();
    let back = agent::network::link::Route {
        to: (ip(CLIENT), 32),
        gateway: Some(ip(HOST_OUTSIDE)),
        source: None,
    };
    links.add_route(links.index("up").unwrap().unwrap(), back).unwrap();
    assert!(!connects(&scene.client, (OUTSIDE, 443)), "before");
    let running = scene.build(&Layout { egress: None, ..layout(7) });
    assert_eq!(scene.setting("ipv4/conf/eth0/forwarding"), "1");
    assert_eq!(scene.setting("ipv4/conf/all/forwarding"), "0");
    assert!(!connects(&scene.client, (OUTSIDE, 443)), "while an instance runs");
    drop(running);
    assert_eq!(scene.setting("ipv4/conf/eth0/forwarding"), "0");
    // The way is open but for the guard: a host that is a router anyway stays one.
    scene.set("ipv4/ip_forward", "1");
    assert_eq!(tcp(&scene.client, (OUTSIDE, 443), &server), Some(ip(CLIENT)), "a router");
    let _running = scene.build(&Layout { egress: None, ..layout(7) });
    assert_eq!(tcp(&scene.client, (OUTSIDE, 443), &server), Some(ip(CLIENT)), "with an instance");
}

#[test]
fn who_makes_the_host_a_router_meanwhile_is_respected() {
    let scene = Scene::new();
    let mut running = scene.build(&Layout { egress: None, ..layout(7) });
    let guards = || scene.nft(&["list", "tables"], "").matches("hostctl-guard-").count();
    let ipv6 = if forwards_by_interface() { 2 } else { 0 };
    assert_eq!(guards(), 2 + ipv6, "two interfaces, each protocol that is switched on");
    scene.set("ipv4/ip_forward", "1");
    running.refresh();
    assert_eq!(guards(), ipv6);
    scene.set("ipv6/conf/all/forwarding", "1");
    running.refresh();
    assert_eq!(guards(), 0);
    if forwards_by_interface() {
        let ours = scene.setting("ipv6/conf/eth0/force_forwarding");
        assert_eq!(ours, "0", "ours, and not needed now");
    }
    drop(running);
    assert_eq!(scene.setting("ipv4/conf/eth0/forwarding"), "1");
    assert_eq!(scene.setting("ipv6/conf/eth0/forwarding"), "1");
}

#[test]
fn a_device_that_comes_again_is_taken_in() {
    let scene = Scene::new();
    let mut running = scene.build(&Layout { egress: Some(vec!["wg0".to_owned()]), ..layout(7) });
    let elsewhere = new_network().unwrap();
    let links = visit(&scene.host, Links::open).unwrap().unwrap();
    for round in 0..2_u8 {
        let end = |name, first| End { name, mac: [first, 0, 0, 0, 9, round] };
        links.create_pair(end("wg0", 2), end("far", 6), elsewhere.as_fd()).unwrap();
        assert_eq!(scene.setting("ipv4/conf/wg0/forwarding"), "0");
        running.refresh();
        assert_eq!(scene.setting("ipv4/conf/wg0/forwarding"), "1");
        links.delete(links.index("wg0").unwrap().unwrap()).unwrap();
    }
    drop(running);
    let left = std::fs::read_dir(scene.directories().run.join("forwarding")).unwrap();
    assert_eq!(left.count(), 1, "the lock alone");
}
