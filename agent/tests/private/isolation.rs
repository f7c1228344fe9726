//! Promise: an instance reaches nothing of the host and of other instances but what it was given.

use agent::network::link::Links;
use host_sys::namespace::visit;
use manifest_spec::manifest::Protocol::{Tcp, Udp};

use crate::scene::*;

#[test]
fn services_of_the_host_are_out_of_reach() {
    let scene = Scene::new();
    let running = scene.build(&Layout { egress: None, ..layout(7) });
    let _services = [listen(&scene.host, "0.0.0.0:9000"), listen(&scene.host, "[::1]:9000")];
    let _six = listen(&scene.host, "[2001:db8:1::1]:9000");
    for to in [HOST, HOST_OUTSIDE, "169.254.1.1", HOST6] {
        assert!(!connects(&running.namespace(), (to, 9000)), "{to}");
    }
}

/// As a root inside could try it: the packet gets its destination on the way out.
#[test]
fn loopback_addresses_of_the_host_are_out_of_reach() {
    let scene = Scene::new();
    let inward = vec![inward(Tcp, 5432, "127.0.0.1:15432")];
    let running = scene.build(&Layout { egress: None, inward, ..layout(7) });
    assert_eq!(scene.setting("ipv4/conf/hostctl0a630007/route_localnet"), "1");
    let rewrite = "table ip attack {
        chain postrouting {
            type filter hook postrouting priority 300; policy accept;
            ip daddr 203.0.113.1 ip daddr set 127.0.0.1
        }
    }";
    nft(&running.namespace(), &["-f", "-"], rewrite);
    let service = udp(&scene.host, "127.0.0.1:9000");
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = udp(&running.namespace(), "0.0.0.0:0");
    client.send_to(b"?", "203.0.113.1:9000").unwrap();
    assert!(service.recv(&mut [0]).is_err());
}

#[test]
fn an_address_that_is_not_its_own_leads_nowhere() {
    let scene = Scene::new();
    let running = scene.build(&Layout { egress: None, ..layout(7) });
    let server = udp(&scene.outside, "[::]:53");
    let send = |from: &str, patience| {
        server.set_read_timeout(Some(patience)).unwrap();
        let to = if ip(from).is_ipv4() { OUTSIDE } else { OUTSIDE6 };
        let bind = || std::net::UdpSocket::bind((ip(from), 0)).unwrap();
        let socket = visit(&running.namespace(), bind).unwrap();
        socket.send_to(b"?", (ip(to), 53)).unwrap();
        server.recv_from(&mut [0]).is_ok()
    };
    assert!(send("10.99.0.7", PATIENCE * 50));
    // Until the host has found the server's hardware address, it may lose one.
    assert!((0..50).any(|_| send("fd99::7", PATIENCE)));
    visit(&running.namespace(), || {
        let links = Links::open().unwrap();
        let eth0 = links.index("eth0").unwrap().unwrap();
        // With strict reverse path filtering the kernel would drop it anyway.
        links.add_address(eth0, ip("10.99.0.99")).unwrap();
        links.add_address(eth0, ip("fd99::99")).unwrap();
    })
    .unwrap();
    scene.set("ipv4/conf/hostctl0a630007/rp_filter", "0");
    assert!(!send("10.99.0.99", PATIENCE));
    assert!(!send("fd99::99", PATIENCE));
}

#[test]
fn another_instance_is_reached_by_its_leased_port_alone() {
    let scene = Scene::new();
    let forwards = vec![forward(Tcp, 8083, 8080, None), forward(Tcp, 9093, 9090, Some("lo"))];
    let one = scene.build(&Layout { forwards, egress: None, ..layout(7) });
    let two = scene.build(&Layout { egress: None, ..layout(8) });
    let web = listen(&one.namespace(), "[::]:8080");
    let _open = listen(&one.namespace(), "[::]:9090");
    for (to, port) in [("10.99.0.7", 8080), ("10.99.0.7", 9090), ("fd99::7", 8080), (HOST, 9093)] {
        assert!(!connects(&two.namespace(), (to, port)), "{to}:{port}");
    }
    let seen = Some(ip("::ffff:10.99.0.8"));
    assert_eq!(tcp(&two.namespace(), (HOST, 8083), &web), seen);
}

#[test]
fn ways_inward_lead_to_one_service_each() {
    let scene = Scene::new();
    let inward = vec![inward(Tcp, 5432, "127.0.0.1:15432"), inward(Udp, 53, "127.0.0.53:53")];
    let running = scene.build(&Layout { inward, ..layout(7) });
    let inside = running.namespace();
    let service = listen(&scene.host, "127.0.0.1:15432");
    let resolver = udp(&scene.host, "127.0.0.53:53");
    let _other = [listen(&scene.host, "127.0.0.1:53"), listen(&scene.host, "0.0.0.0:5432")];
    assert_eq!(tcp(&inside, ("169.254.1.1", 5432), &service), Some(ip("10.99.0.7")));
    assert_eq!(datagram(&inside, ("169.254.1.1", 53), &resolver), Some(ip("10.99.0.7")));
    for (to, port) in [("169.254.1.1", 15432), ("169.254.1.1", 53), (HOST, 5432), (HOST, 15432)] {
        assert!(!connects(&inside, (to, port)), "{to}:{port}");
    }
}
