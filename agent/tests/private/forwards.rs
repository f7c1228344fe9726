//! Promise: a leased port of the host leads to the instance, from wherever it was leased for.

use manifest_spec::manifest::Protocol::{Tcp, Udp};

use crate::scene::*;

#[test]
fn remote_clients_are_seen_by_their_address() {
    let scene = Scene::new();
    let forwards = vec![forward(Tcp, 8083, 8080, None), forward(Udp, 5353, 53, None)];
    let running = scene.build(&Layout { forwards, ..layout(7) });
    let web = listen(&running.namespace(), "[::]:8080");
    let names = udp(&running.namespace(), "0.0.0.0:53");
    let seen = |client: &str| Some(ip(&format!("::ffff:{client}")));
    assert_eq!(tcp(&scene.client, (HOST, 8083), &web), seen(CLIENT));
    assert_eq!(tcp(&scene.outside, (HOST_OUTSIDE, 8083), &web), seen(OUTSIDE));
    assert_eq!(tcp(&scene.client, (HOST_OUTSIDE, 8083), &web), seen(CLIENT));
    assert_eq!(datagram(&scene.client, (HOST, 5353), &names), Some(ip(CLIENT)));
    // Neither the inner number, nor the other protocol, nor the address itself.
    assert!(!connects(&scene.client, (HOST, 8080)));
    assert!(!connects(&scene.client, (HOST, 5353)));
    assert!(!connects(&scene.client, ("10.99.0.7", 8080)));
}

#[test]
fn remote_clients_by_ipv6() {
    let scene = Scene::new();
    let forwards = vec![forward(Tcp, 8083, 8080, Some("eth0"))];
    let running = scene.build(&Layout { forwards, ..layout(7) });
    let web = listen(&running.namespace(), "[::]:8080");
    if forwards_by_interface() {
        assert_eq!(scene.setting("ipv6/conf/eth0/force_forwarding"), "1");
    }
    assert!(running.network.as_ref().unwrap().ipv6_egress());
    assert_eq!(tcp(&scene.client, (HOST6, 8083), &web), Some(ip(CLIENT6)));
    assert!(!connects(&scene.client, ("fd99::7", 8080)));
}

#[test]
fn clients_on_the_host_itself() {
    let scene = Scene::new();
    let forwards = vec![forward(Tcp, 8083, 8080, None), forward(Udp, 5353, 53, None)];
    let running = scene.build(&Layout { forwards, ..layout(7) });
    let web = listen(&running.namespace(), "0.0.0.0:8080");
    let names = udp(&running.namespace(), "0.0.0.0:53");
    for (to, seen) in [("127.0.0.1", "169.254.1.1"), ("127.9.9.9", "169.254.1.1"), (HOST, HOST)] {
        assert_eq!(tcp(&scene.host, (to, 8083), &web), Some(ip(seen)), "{to}");
        assert_eq!(datagram(&scene.host, (to, 5353), &names), Some(ip(seen)), "{to}");
    }
    assert!(!connects(&scene.host, ("10.99.0.7", 8080)), "past the leased port");
    let web = listen(&running.namespace(), "[fd99::7]:8080");
    assert_eq!(tcp(&scene.host, (HOST6, 8083), &web), Some(ip(HOST6)));
    // The kernel lets no packet from ::1 leave a host: no route_localnet for IPv6.
    assert!(!connects(&scene.host, ("::1", 8083)));
}

#[test]
fn a_port_of_one_interface_is_on_no_other() {
    let scene = Scene::new();
    let forwards =
        vec![forward(Tcp, 8083, 8080, Some("eth0")), forward(Tcp, 9093, 9090, Some("lo"))];
    let running = scene.build(&Layout { forwards, ..layout(7) });
    let web = listen(&running.namespace(), "0.0.0.0:8080");
    let own = listen(&running.namespace(), "0.0.0.0:9090");
    assert_eq!(tcp(&scene.client, (HOST, 8083), &web), Some(ip(CLIENT)));
    assert!(!connects(&scene.outside, (HOST_OUTSIDE, 8083)));
    assert!(!connects(&scene.host, ("127.0.0.1", 8083)));
    assert_eq!(tcp(&scene.host, ("127.0.0.1", 9093), &own), Some(ip("169.254.1.1")));
    assert!(!connects(&scene.client, (HOST, 9093)));
    assert_eq!(scene.setting("ipv4/conf/eth1/forwarding"), "0");
}

#[test]
fn an_instance_reaches_itself_by_its_leased_port() {
    let scene = Scene::new();
    let forwards = vec![forward(Tcp, 8083, 8080, None)];
    let running = scene.build(&Layout { forwards, ..layout(7) });
    let web = listen(&running.namespace(), "[::]:8080");
    let seen = Some(ip("::ffff:169.254.1.1"));
    assert_eq!(tcp(&running.namespace(), (HOST, 8083), &web), seen);
    assert_eq!(tcp(&running.namespace(), (HOST6, 8083), &web), Some(ip("fe80::1")));
}

#[test]
fn a_client_that_never_pauses_finds_the_instance() {
    let scene = Scene::new();
    let forwards = vec![forward(Udp, 5353, 53, None)];
    let layout = Layout { forwards, ..layout(7) };
    // Connections are remembered as long as somebody's rules are about them.
    let tracked = "table ip foreign {
        chain prerouting { type nat hook prerouting priority 0; policy accept; }
        chain postrouting { type nat hook postrouting priority 0; policy accept; }
        chain input { type filter hook input priority 0; policy accept; ct state new accept; }
    }";
    scene.nft(&["-f", "-"], tracked);
    let client = udp(&scene.client, "0.0.0.0:0");
    client.connect((ip(HOST), 5353)).unwrap();
    let arrives = |server: &std::net::UdpSocket| {
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        // The host's answer to one that nobody wanted is told at the next.
        let _ = client.send(b"?");
        let _ = client.send(b"?");
        server.recv(&mut [0]).is_ok()
    };
    let own = udp(&scene.host, "0.0.0.0:5353");
    assert!(arrives(&own));
    let running = scene.build(&layout);
    assert!(arrives(&udp(&running.namespace(), "0.0.0.0:53")), "a new instance");
    drop(running);
    while own.recv(&mut [0]).is_ok() {}
    assert!(arrives(&own), "after it ended");
    std::mem::forget(scene.build(&layout));
    let running = scene.build(&Layout { name: "again".to_owned(), ..layout });
    assert!(arrives(&udp(&running.namespace(), "0.0.0.0:53")), "after a kill");
}
