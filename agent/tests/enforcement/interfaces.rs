//! Promise: through an interface that is not granted nothing leaves and nothing arrives.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use agent::network::rules::{PortRule, Reach, Rules};
use manifest_spec::manifest::Protocol;

use crate::arrivals::Waiting;
use crate::namespace::{Namespace, Tap, alone, index, ip};
use crate::wall::{Wall, leased, nothing};

const MARKER: &[u8] = b"hostctl-escape";

/// Ways to send through a device; all other traffic takes the granted one.
const BY_DEVICE: [&str; 10] = [
    "beside/udp/192.0.2.9/5000",
    "bind-name/udp/192.0.2.9/5000",
    "bind-index/udp/192.0.2.9/5000",
    "unicast/udp/192.0.2.9/5000",
    "multicast/udp/224.0.0.251/5000",
    "beside/udp/2001:db8:1::9/5000",
    "bind-index/udp/2001:db8:1::9/5000",
    "unicast/udp/2001:db8:1::9/5000",
    "multicast/udp/ff0e::5/5000",
    "scope/udp/fe80::9/5000",
];

/// Two wires to another host.
fn wired() -> Namespace {
    let (here, there) = (Namespace::current(), Namespace::new());
    here.wire(
        "granted",
        &["198.51.100.1/24", "2001:db8:100::1/64"],
        &there,
        "far1",
        &["198.51.100.2/24", "2001:db8:100::2/64"],
    );
    here.wire(
        "other",
        &["203.0.113.1/24", "2001:db8:113::1/64"],
        &there,
        "far2",
        &["203.0.113.2/24", "2001:db8:113::2/64"],
    );
    for device in ["granted", "other"] {
        let metric = if device == "granted" { 1 } else { 2 };
        ip(&format!("route add default dev {device} metric {metric}"));
        ip(&format!("-6 route add default dev {device} metric {metric}"));
    }
    there
}

fn through(devices: &[&str]) -> Rules {
    let mut rules = nothing();
    rules.reach = Reach::Anywhere;
    rules.interfaces = Some(devices.iter().map(|device| index(device)).collect());
    rules
}

#[test]
fn nothing_leaves_through_another_interface() {
    alone(|| {
        let _there = wired();
        let wall = Wall::raise(&through(&["granted"]));
        let mut tap = Tap::open();
        for word in BY_DEVICE {
            let said = wall.run("device", &["other", word]);
            assert_eq!(said, format!("{word}: EPERM\n"));
        }
        for word in ["plain/udp/203.0.113.2/5000", "plain/udp/2001:db8:113::2/5000"] {
            assert_eq!(wall.run("device", &["other", word]), format!("{word}: EPERM\n"));
        }
        let mark = wall.run("device", &["other", "mark/udp/192.0.2.9/5000"]);
        assert_eq!(mark, "mark/udp/192.0.2.9/5000: EPERM\n");
        for device in ["lo", "other", "granted"] {
            assert_eq!(tap.count_on(index(device), MARKER), 0, "{device}");
        }
        for word in BY_DEVICE {
            let mut tap = Tap::open();
            wall.outside("device", &["other", word]);
            assert_ne!(tap.count_on(index("other"), MARKER), 0, "{word} is no attack");
        }
    });
}

#[test]
fn what_leaves_takes_the_granted_interface() {
    alone(|| {
        let _there = wired();
        let wall = Wall::raise(&through(&["granted"]));
        for word in BY_DEVICE.iter().chain(&["plain/udp/192.0.2.9/5000"]) {
            let mut tap = Tap::open();
            let said = wall.run("device", &["granted", word]);
            assert_eq!(said, format!("{word}: SUCCEEDED\n"));
            assert_ne!(tap.count_on(index("granted"), MARKER), 0, "{word}");
            assert_eq!(tap.count_on(index("other"), MARKER), 0, "{word}");
        }
        // Not even to itself, where the loopback interface is not granted.
        wall.holds("dial", &[("send/udp/127.0.0.1/5000", "EPERM")]);
        wall.holds("dial", &[("send/udp/198.51.100.1/5000", "EPERM")]);
    });
}

/// Whether a datagram and a connection from there arrive at this address of the app's port.
fn arrives(wall: &Wall, there: &Namespace, address: &str) -> (bool, bool) {
    let any = if address.contains(':') { "::" } else { "0.0.0.0" };
    let to = SocketAddr::new(address.parse().unwrap(), 8080);
    let datagrams = Waiting::start(wall, &format!("receive/udp/{any}/8080"));
    let stream = Waiting::start(wall, &format!("bound/tcp/{any}/8080"));
    let patience = Duration::from_millis(300);
    let connected = there.enter(|| {
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.send_to(b"hello", to).unwrap();
        TcpStream::connect_timeout(&to, patience).is_ok()
    });
    assert_eq!(stream.finish().contains("connection"), connected);
    (datagrams.finish().contains("hello"), connected)
}

const EACH: [(&str, &str); 4] = [
    ("198.51.100.1", "granted"),
    ("203.0.113.1", "other"),
    ("2001:db8:100::1", "granted"),
    ("2001:db8:113::1", "other"),
];

#[test]
fn nothing_arrives_through_another_interface() {
    alone(|| {
        let there = wired();
        let mut rules = through(&["granted"]);
        rules.ports = vec![leased(Protocol::Tcp, 8080), leased(Protocol::Udp, 8080)];
        let wall = Wall::raise(&rules);
        for (address, device) in EACH {
            let expected = device == "granted";
            assert_eq!(arrives(&wall, &there, address), (expected, expected), "{address}");
        }
        assert_eq!(arrives(&wall, &Namespace::current(), "127.0.0.1"), (false, false));
        // The address of the granted interface, by way of the other.
        there.enter(|| ip("route add 198.51.100.1/32 dev far2"));
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
        assert_eq!(arrives(&wall, &there, "198.51.100.1"), (false, false));
    });
}

#[test]
fn a_port_is_reached_through_its_own_interface() {
    alone(|| {
        let there = wired();
        let mut rules = nothing();
        let on = |rule: PortRule| PortRule { interface: Some(index("granted")), ..rule };
        rules.ports = vec![on(leased(Protocol::Tcp, 8080)), on(leased(Protocol::Udp, 8080))];
        let wall = Wall::raise(&rules);
        for (address, device) in EACH {
            let expected = device == "granted";
            assert_eq!(arrives(&wall, &there, address), (expected, expected), "{address}");
        }
        assert_eq!(arrives(&wall, &Namespace::current(), "127.0.0.1"), (false, false));
        // One that does not exist yet lets nobody in.
        let none = |rule: PortRule| PortRule { interface: Some(0), ..rule };
        rules.ports = vec![none(leased(Protocol::Tcp, 8080)), none(leased(Protocol::Udp, 8080))];
        let wall = Wall::raise(&rules);
        assert_eq!(arrives(&wall, &there, "198.51.100.1"), (false, false));
        assert_eq!(arrives(&wall, &Namespace::current(), "::1"), (false, false));
    });
}
