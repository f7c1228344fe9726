//! Promise: a port of a private network is found where the manifest says, by TCP and UDP, and its
//! program sends by granted interfaces only.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::namespace::{Namespace, ip};
use crate::support::{As, Running, Scene};

/// Tells each client by which address it is seen; a second program tries places instead.
const PROGRAM: &str = r#"
import select, socket, sys
for place in sys.argv[1:]:
    try:
        socket.create_connection((place, 7001), 2)
        print(place, 'reached')
    except OSError:
        print(place, 'not reached')
if len(sys.argv) > 1:
    sys.exit()
web = socket.create_server(('0.0.0.0', 8080))
game = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
game.bind(('0.0.0.0', 27015))
print('ready', flush=True)
while True:
    for one in select.select([web, game], [], [])[0]:
        if one is web:
            client, address = web.accept()
            client.sendall(address[0].encode())
            client.close()
        else:
            _, address = game.recvfrom(64)
            game.sendto(address[0].encode(), address)
"#;

/// The host between two others: client .2 ── eth0 │ host │ eth1 ── .2 outside.
struct Machines {
    client: Namespace,
    host: Namespace,
    outside: Namespace,
}

fn machines() -> Machines {
    let (client, host, outside) = (Namespace::new(), Namespace::new(), Namespace::new());
    host.wire("eth0", &["192.0.2.1/24"], &client, "eth0", &["192.0.2.2/24"]);
    host.wire("eth1", &["198.51.100.1/24"], &outside, "eth0", &["198.51.100.2/24"]);
    Machines { client, host, outside }
}

fn scene(port: &str, game: &str) -> Scene {
    let scene = Scene::new(As::Root);
    scene.write("main.py", PROGRAM);
    let text = format!(
        "name = \"demo\"\nrun = \"python3 main.py\"\n\
         port = {{ port = 8080, fixed = true{port} }}\n[ports]\n\
         game = {{ port = 27015, protocol = \"udp\", fixed = true{game} }}\n\
         [access]\nnetwork = \"private\"\n"
    );
    scene.write("app.toml", &text);
    scene
}

fn start(scene: &Scene, offset: u16) -> Running {
    let offset = offset.to_string();
    let mut running = scene.start(["run", "--quiet", "--port-offset", &offset, "app.toml"]);
    running.until_output("ready");
    running
}

fn by_stream(address: &str, port: u16) -> Option<String> {
    let place = format!("{address}:{port}").parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_millis(700)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn by_datagram(address: &str, port: u16) -> Option<String> {
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    client.send_to(b"question", (address, port)).unwrap();
    let mut said = [0; 64];
    let (length, from) = client.recv_from(&mut said).ok()?;
    assert_eq!(from.to_string(), format!("{address}:{port}"), "the answer comes from there");
    Some(String::from_utf8_lossy(&said[..length]).into_owned())
}

#[test]
fn clients_from_outside_keep_their_address_by_both_protocols() {
    let Machines { client, host, outside } = machines();
    let scene = scene("", "");
    let _running = host.enter(|| [start(&scene, 0), start(&scene, 5)]);
    for offset in [0, 5] {
        let asked = |at: &str| (by_stream(at, 8080 + offset), by_datagram(at, 27_015 + offset));
        let both = |said: &str| (Some(said.to_owned()), Some(said.to_owned()));
        assert_eq!(client.enter(|| asked("192.0.2.1")), both("192.0.2.2"), "{offset}");
        assert_eq!(outside.enter(|| asked("198.51.100.1")), both("198.51.100.2"), "{offset}");
        let here = host.enter(|| asked("127.0.0.1"));
        assert!(here.0.is_some() && here.1.is_some(), "{offset}: {here:?}");
    }
    let neither = (None, None);
    let between = |at: &str| (by_stream(at, 8083), by_datagram(at, 27_018));
    assert_eq!(client.enter(|| between("192.0.2.1")), neither, "nobody has these");
}

#[test]
fn a_port_with_an_interface_is_found_by_that_one_only() {
    let ways = ["lo", "eth0", "eth1"];
    for interface in ways {
        let Machines { client, host, outside } = machines();
        let only = format!(", interface = {interface:?}");
        let scene = scene(&only, &only);
        let _running = host.enter(|| start(&scene, 3));
        let asked = |at: &str| [by_stream(at, 8083).is_some(), by_datagram(at, 27_018).is_some()];
        let found = [
            host.enter(|| asked("127.0.0.1")),
            client.enter(|| asked("192.0.2.1")),
            outside.enter(|| asked("198.51.100.1")),
        ];
        let expected = ways.map(|way| [way == interface; 2]);
        assert_eq!(found, expected, "{interface}: from {ways:?}");
    }
}

#[test]
fn what_leaves_leaves_by_granted_interfaces() {
    let Machines { client, host, outside } = machines();
    let _listeners = [
        client.enter(|| TcpListener::bind("192.0.2.2:7001").unwrap()),
        outside.enter(|| TcpListener::bind("198.51.100.2:7001").unwrap()),
    ];
    // What comes back knows no way to an instance but by the host.
    client.enter(|| ip("route add default via 192.0.2.1"));
    for (granted, first, second) in [
        ("", "reached", "reached"),
        ("interfaces = [\"eth0\"]", "reached", "not reached"),
        ("interfaces = [\"eth1\"]", "not reached", "reached"),
    ] {
        let scene = Scene::new(As::Root);
        scene.write("main.py", PROGRAM);
        let connect = "connect = [\"192.0.2.2:7001\", \"198.51.100.2:7001\"]";
        let text = format!(
            "name = \"demo\"\nrun = \"python3 main.py 192.0.2.2 198.51.100.2\"\n\
             [access]\nnetwork = \"private\"\n{connect}\n{granted}\n"
        );
        scene.write("app.toml", &text);
        let ran = host.enter(|| scene.run(["run", "--quiet", "app.toml"])).exited(0);
        let expected = format!("192.0.2.2 {first}\n198.51.100.2 {second}\n");
        assert_eq!(ran.out, expected, "{granted}: {}", ran.err);
    }
}
