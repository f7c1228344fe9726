//! Promise: an address that an instance has for itself is reached on this host, by every protocol,
//! and from nowhere else.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::namespace::{Namespace, ip};
use crate::support::{As, Scene, eventually};

/// Serves both families, by TCP and by UDP.
const PROGRAM: &str = r#"
import select, socket
def datagrams(family, any):
    one = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind((any, 5353))
    return one
families = [(socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')]
streams = [socket.create_server((any, 8080), family=family) for family, any in families]
others = [datagrams(*one) for one in families]
print('ready', flush=True)
while True:
    for one in select.select(streams + others, [], [])[0]:
        if one in streams:
            client, _ = one.accept()
            client.sendall(b'served')
            client.close()
        else:
            question, client = one.recvfrom(64)
            one.sendto(b'served', client)
"#;

/// Of both own addresses and the ports, those that answer a client here.
fn reached() -> Vec<String> {
    let wait = Duration::from_millis(700);
    let stream = |place: &SocketAddr| {
        let mut stream = TcpStream::connect_timeout(place, wait).ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok().map(|_| said)
    };
    let datagram = |place: &SocketAddr| {
        let client = UdpSocket::bind(if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        client.set_read_timeout(Some(wait)).unwrap();
        client.send_to(b"question", place).ok()?;
        let mut said = [0; 64];
        let length = client.recv(&mut said).ok()?;
        Some(String::from_utf8_lossy(&said[..length]).into_owned())
    };
    let mut found = Vec::new();
    for address in ["10.99.0.1", "fd5c:91e3:7ab4::1"] {
        let address: IpAddr = address.parse().unwrap();
        let (web, dns) = ((address, 8080).into(), (address, 5353).into());
        found.extend(stream(&web).filter(|said| said == "served").map(|_| format!("{web}/tcp")));
        found.extend(datagram(&dns).filter(|said| said == "served").map(|_| format!("{dns}/udp")));
    }
    found
}

#[test]
fn clients_of_this_host_reach_it_and_no_others() {
    let (host, other) = (Namespace::new(), Namespace::new());
    let (here, there) =
        (["192.0.2.1/24", "2001:db8:1::1/64"], ["192.0.2.2/24", "2001:db8:1::2/64"]);
    host.wire("eth0", &here, &other, "eth0", &there);
    let scene = Scene::new(As::Root);
    scene.write("main.py", PROGRAM);
    let ports = "port = 8080\n[ports]\ndns = { port = 5353, protocol = \"udp\" }\n";
    let text = format!("name = \"own\"\nrun = \"python3 main.py\"\n{ports}");
    scene.write("app.toml", &format!("{text}[access]\naddress = \"own\"\n"));
    let mut running = host.enter(|| scene.start(["run", "--quiet", "app.toml"]));
    running.until_output("ready");
    let all = [
        "10.99.0.1:8080/tcp",
        "10.99.0.1:5353/udp",
        "[fd5c:91e3:7ab4::1]:8080/tcp",
        "[fd5c:91e3:7ab4::1]:5353/udp",
    ];
    assert_eq!(host.enter(reached), all, "on the host");
    // Another service of the host is reached by the same way, so nothing else is in between.
    let _open = host.enter(|| {
        ip("addr add 10.99.7.7/32 dev lo");
        ip("addr add fd5c:91e3:7ab4::7:7/128 dev lo nodad");
        ["10.99.7.7:7000", "[fd5c:91e3:7ab4::7:7]:7000"].map(|at| TcpListener::bind(at).unwrap())
    });
    other.enter(|| {
        ip("route add 10.99.0.0/16 via 192.0.2.1");
        ip("route add fd5c:91e3:7ab4::/64 via 2001:db8:1::1");
        for open in ["10.99.7.7:7000", "[fd5c:91e3:7ab4::7:7]:7000"] {
            let place = open.parse().unwrap();
            TcpStream::connect_timeout(&place, Duration::from_secs(5)).expect(open);
        }
        assert_eq!(reached(), Vec::<String>::new(), "from outside");
    });
    host.enter(|| eventually("an answer on the host", || reached() == all));
}
