//! Promise: an instance sends through granted interfaces only, and with the host's address.

use std::os::fd::OwnedFd;

use crate::scene::*;

#[test]
fn through_granted_interfaces_only() {
    let scene = Scene::new();
    let running = scene.build(&Layout { egress: Some(vec!["eth1".to_owned()]), ..layout(7) });
    let inside = running.namespace();
    let server = listen(&scene.outside, "[::]:443");
    let seen = Some(ip(&format!("::ffff:{HOST_OUTSIDE}")));
    assert_eq!(tcp(&inside, (OUTSIDE, 443), &server), seen);
    assert_eq!(tcp(&inside, (OUTSIDE6, 443), &server), Some(ip(HOST_OUTSIDE6)));
    let time = udp(&scene.outside, "0.0.0.0:123");
    assert_eq!(datagram(&inside, (OUTSIDE, 123), &time), Some(ip(HOST_OUTSIDE)));
    let _other = listen(&scene.client, "0.0.0.0:443");
    assert!(!connects(&inside, (CLIENT, 443)));
    assert!(!connects(&inside, (CLIENT6, 443)));
    let names = udp(&scene.outside, "[::]:53");
    assert_eq!(datagram(&inside, (OUTSIDE6, 53), &names), Some(ip(HOST_OUTSIDE6)));
    assert!(!arrives(&running, &scene.client, CLIENT6));
    assert!(!arrives(&running, &scene.client, CLIENT));
}

/// Before kernel 6.17 IPv6 waits for a host that forwards it; from then on it has a way of its own.
#[test]
fn ipv6_on_a_host_that_does_not_forward_it() {
    let scene = Scene::new();
    scene.set("ipv6/conf/all/forwarding", "0");
    let running = scene.build(&Layout { egress: Some(vec!["eth1".to_owned()]), ..layout(7) });
    let inside = running.namespace();
    let server = listen(&scene.outside, "[::]:443");
    let seen = Some(ip(&format!("::ffff:{HOST_OUTSIDE}")));
    assert_eq!(tcp(&inside, (OUTSIDE, 443), &server), seen);
    let seen = forwards_by_interface().then(|| ip(HOST_OUTSIDE6));
    assert_eq!(running.network.as_ref().unwrap().ipv6_egress(), seen.is_some());
    assert_eq!(tcp(&inside, (OUTSIDE6, 443), &server), seen);
}

#[test]
fn through_any_where_the_routes_lead() {
    let scene = Scene::new();
    let running = scene.build(&Layout { egress: None, ..layout(7) });
    for (space, address, seen) in
        [(&scene.outside, OUTSIDE, HOST_OUTSIDE), (&scene.client, CLIENT, HOST)]
    {
        let server = listen(space, "0.0.0.0:443");
        assert_eq!(tcp(&running.namespace(), (address, 443), &server), Some(ip(seen)));
    }
}

#[test]
fn nowhere_without_a_grant() {
    let scene = Scene::new();
    let running = scene.build(&layout(7));
    let _servers = [listen(&scene.outside, "0.0.0.0:443"), listen(&scene.client, "0.0.0.0:443")];
    assert!(!connects(&running.namespace(), (OUTSIDE, 443)));
    assert!(!connects(&running.namespace(), (CLIENT, 443)));
    assert!(!arrives(&running, &scene.outside, OUTSIDE));
    assert!(!arrives(&running, &scene.client, CLIENT6));
}

/// Whether a datagram gets there, though no answer may get back.
fn arrives(running: &Running<'_>, to: &OwnedFd, address: &str) -> bool {
    let server = udp(to, "[::]:53");
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = udp(&running.namespace(), "[::]:0");
    let _ = client.send_to(b"?", (ip(address), 53));
    server.recv(&mut [0]).is_ok()
}

#[test]
fn errors_of_the_way_come_back() {
    let scene = Scene::new();
    let running = scene.build(&Layout { egress: Some(vec!["eth1".to_owned()]), ..layout(7) });
    // An ICMP error tells at once; a dropped one would let the client wait.
    let client = udp(&running.namespace(), "0.0.0.0:0");
    client.connect((ip(OUTSIDE), 9)).unwrap();
    client.send(b"?").unwrap();
    let refused = client.recv(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
