use std::os::fd::AsFd;

use host_sys::namespace::{new_network, visit};

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An address can be bound exactly when a device has it.
fn bindable(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

#[test]
fn addresses_come_and_go_as_often_as_one_likes() {
    let space = new_network().unwrap();
    visit(&space, || {
        let links = Links::open().unwrap();
        let lo = links.index("lo").unwrap().unwrap();
        links.set_up(lo).unwrap();
        for address in [ip("10.99.0.7"), ip("fd00::7")] {
            for wanted in [true, true, false, false, true] {
                if wanted {
                    links.add_address(lo, address).unwrap();
                } else {
                    links.remove_address(lo, address).unwrap();
                }
                assert_eq!(bindable(address), wanted, "{address}");
            }
        }
        links.remove_address(99, ip("10.99.0.7")).unwrap();
    })
    .unwrap();
}

#[test]
fn a_pair_spans_two_namespaces_and_goes_whole() {
    let (here, there) = (new_network().unwrap(), new_network().unwrap());
    let open = |space| visit(space, Links::open).unwrap().unwrap();
    let (host, inside) = (open(&here), open(&there));
    let end = |name, last| End { name, mac: [2, 0, 0, 0, 0, last] };
    host.create_pair(end("left", 1), end("right", 2), there.as_fd()).unwrap();
    let again = host.create_pair(end("left", 1), end("right", 2), there.as_fd()).unwrap_err();
    assert_eq!(again.to_string(), "create device pair left: File exists");
    let left = host.index("left").unwrap().unwrap();
    let right = inside.index("right").unwrap().unwrap();
    assert_eq!(host.name(left).unwrap().as_deref(), Some("left"));
    assert_eq!(host.index("right").unwrap(), None);
    assert_eq!(host.name(99).unwrap(), None);
    for (links, index) in [(&host, left), (&inside, right)] {
        links.set_up(index).unwrap();
    }
    for (own, gateway) in [("10.99.0.7", "169.254.1.1"), ("fd00::7", "fe80::1")] {
        inside.add_address(right, ip(own)).unwrap();
        inside.add_neighbour(right, ip(gateway), [2, 0, 0, 0, 0, 1]).unwrap();
        let any = if ip(own).is_ipv4() { "0.0.0.0" } else { "::" };
        let gateway = Some(ip(gateway));
        inside.add_route(right, Route { to: (ip(any), 0), gateway, source: None }).unwrap();
        host.add_route(left, Route { to: (ip(own), 32), gateway: None, source: None }).unwrap();
    }
    host.delete(left).unwrap();
    host.delete(left).unwrap();
    assert_eq!(inside.index("right").unwrap(), None);
    let gone = inside.set_up(right).unwrap_err();
    assert_eq!(gone.refusal.errno, Errno::ENODEV);
}

#[test]
fn a_monitor_tells_of_changes_once() {
    let space = new_network().unwrap();
    let open = || (Links::open().unwrap(), LinkMonitor::open().unwrap());
    let (links, monitor) = visit(&space, open).unwrap();
    assert!(!monitor.changed().unwrap());
    let lo = links.index("lo").unwrap().unwrap();
    assert!(!monitor.changed().unwrap(), "looking is no change");
    links.set_up(lo).unwrap();
    assert!(monitor.changed().unwrap());
    assert!(!monitor.changed().unwrap());
    let enable = || std::fs::write("/proc/sys/net/ipv4/conf/lo/forwarding", "1").unwrap();
    visit(&space, enable).unwrap();
    assert!(monitor.changed().unwrap());
}
