//! Promise: a socket that is handed over is reached where the manifest says, in every network, and
//! is all that the program has of it.

use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::namespace::{Namespace, alone};
use crate::support::{As, EVERYONE, Running, Scene};

/// Says what it was given and what it may do; then serves two clients by the first socket, or three
/// by datagrams where that is one of UDP.
const PROGRAM: &str = r#"
import os, socket
count, names = int(os.environ['LISTEN_FDS']), os.environ['LISTEN_FDNAMES'].split(':')
# The listing has a descriptor of its own while it is made.
opened = sorted(int(name) for name in os.listdir('/proc/self/fd'))
print('opened', opened == list(range(3 + count + 1)))
def held(fd):
    one = socket.socket(fileno=os.dup(fd))
    kind = 'tcp' if one.type == socket.SOCK_STREAM else 'udp'
    return f'{one.getsockname()[1]}/{kind}', os.get_inheritable(fd)
for name, fd in zip(names, range(3, 3 + count)):
    print(name, *held(fd))
status = [line.split() for line in open('/proc/self/status')]
print('capabilities', {words[1].strip('0') for words in status if words[0].startswith('Cap')})
print('host', os.environ['HOST'], 'port', os.environ.get('PORT'))
print('ready', flush=True)
first = socket.socket(fileno=3)
if first.type == socket.SOCK_STREAM:
    for _ in range(2):
        client, _ = first.accept()
        client.sendall(b'served')
        client.close()
else:
    for _ in range(2):
        question, client = first.recvfrom(64)
        first.sendto(question.upper(), client)
"#;

fn scene(who: As, manifest: &str) -> Scene {
    let scene = Scene::new(who);
    scene.write("main.py", PROGRAM);
    scene.write("app.toml", &format!("name = \"demo\"\nrun = \"python3 main.py\"\n{manifest}"));
    scene
}

/// Start it; what it said of itself.
fn start(scene: &Scene, more: &[&str]) -> (Running, Vec<String>) {
    let arguments = ["run", "--quiet", "app.toml"].iter().chain(more);
    let mut running = scene.start(arguments);
    let mut said = String::new();
    let output = running.child().stdout.as_mut().unwrap();
    let mut byte = [0];
    while !said.ends_with("ready\n") && output.read(&mut byte).unwrap() == 1 {
        said.push(char::from(byte[0]));
    }
    if !said.ends_with("ready\n") {
        panic!("{said}{:?}", running.wait());
    }
    (running, said.lines().map(str::to_owned).collect())
}

fn ask(address: &str, port: u16) -> Option<String> {
    let place = (address.parse::<std::net::IpAddr>().unwrap(), port).into();
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn ask_by_datagram(address: &str, port: u16) -> Option<String> {
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    client.send_to(b"question", (address, port)).unwrap();
    let mut answer = [0; 64];
    let (length, from) = client.recv_from(&mut answer).ok()?;
    assert_eq!(from.to_string(), format!("{address}:{port}"));
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// In the order of the manifest, wherever a port stands that the program binds itself.
const MANY: &str = "\
[ports]
zeta = { port = 8085, activate = true }
game = { port = 8086, protocol = \"udp\", activate = true }
plain = 8087
alpha = { port = 8088, activate = true }
";

#[test]
fn sockets_come_in_the_order_of_the_manifest_and_nothing_else_does() {
    for (who, first) in [(As::Root, 80), (As::User, 8080)] {
        for (main, named) in [(true, "main:zeta:game:alpha"), (false, "zeta:game:alpha")] {
            alone(|| {
                let port = format!("port = {{ port = {first}, activate = true }}\n");
                let scene = scene(who, &format!("{}{MANY}", if main { &*port } else { "" }));
                let (running, said) = start(&scene, &[]);
                let own = format!("main {first}/tcp True");
                let mut expected = vec!["opened True", &own];
                if !main {
                    expected.pop();
                }
                expected.extend([
                    "zeta 8085/tcp True",
                    "game 8086/udp True",
                    "alpha 8088/tcp True",
                ]);
                let seen = &said[..said.len() - 3];
                assert_eq!(seen, expected, "{who:?} {named}");
                assert_eq!(said[said.len() - 3], "capabilities {''}", "{who:?}");
                running.signal("TERM");
                running.wait();
            });
        }
    }
}

#[test]
fn clients_are_served_in_every_network() {
    for who in EVERYONE {
        for network in ["host", "none", "private"] {
            if (who, network) == (As::User, "private") {
                continue; // root's alone, as another test has it
            }
            let access = format!("[access]\nnetwork = {network:?}\n");
            alone(|| {
                let scene =
                    scene(who, &format!("port = {{ port = 8080, activate = true }}\n{access}"));
                let (running, _) = start(&scene, &[]);
                for address in ["127.0.0.1", if network == "private" { "127.0.0.2" } else { "::1" }]
                {
                    let said = ask(address, 8080);
                    assert_eq!(said.as_deref(), Some("served"), "{who:?} {network} {address}");
                }
                running.wait().exited(0);
            });
            alone(|| {
                let port = "{ port = 5353, protocol = \"udp\", activate = true }";
                let scene = scene(who, &format!("[ports]\ndns = {port}\n{access}"));
                let (running, _) = start(&scene, &[]);
                for _ in 0..2 {
                    let said = ask_by_datagram("127.0.0.1", 5353);
                    assert_eq!(said.as_deref(), Some("QUESTION"), "{who:?} {network}");
                }
                running.wait().exited(0);
            });
        }
    }
}

#[test]
fn an_interface_holds_for_a_handed_socket_in_every_network() {
    for network in ["host", "none", "private"] {
        for (interface, from_host, from_outside) in
            [("lo", Some("served"), None), ("eth0", None, Some("served"))]
        {
            let (host, other) = (Namespace::new(), Namespace::new());
            host.wire("eth0", &["192.0.2.1/24"], &other, "eth0", &["192.0.2.2/24"]);
            let port = format!("{{ port = 8080, activate = true, interface = {interface:?} }}");
            let manifest = format!("port = {port}\n[access]\nnetwork = {network:?}\n");
            let scene = scene(As::Root, &manifest);
            let (running, _) = host.enter(|| start(&scene, &[]));
            let outside = other.enter(|| ask("192.0.2.1", 8080));
            let inside = host.enter(|| ask("127.0.0.1", 8080));
            assert_eq!(outside.as_deref(), from_outside, "{network} {interface}: from outside");
            assert_eq!(inside.as_deref(), from_host, "{network} {interface}: from the host");
            running.signal("TERM");
            running.wait();
        }
    }
}

#[test]
fn an_address_of_its_own_is_the_socket_s() {
    alone(|| {
        let manifest = "port = { port = 8080, activate = true }\n[access]\naddress = \"own\"\n";
        let scene = scene(As::Root, manifest);
        let (first, said) = start(&scene, &["--set", "name=first"]);
        assert!(said.contains(&"host 10.99.0.1 port 8080".to_owned()), "{said:?}");
        let (second, said) = start(&scene, &["--set", "name=second"]);
        assert!(said.contains(&"host 10.99.0.2 port 8080".to_owned()), "{said:?}");
        assert_eq!(ask("127.0.0.1", 8080), None, "nobody is on the host's own address");
        for address in ["10.99.0.1", "10.99.0.1", "10.99.0.2", "10.99.0.2"] {
            assert_eq!(ask(address, 8080).as_deref(), Some("served"), "{address}");
        }
        first.wait().exited(0);
        second.wait().exited(0);
    });
}

/// What no wall of an ordinary user judges is said, and only that.
#[test]
fn an_ordinary_user_is_told_what_a_handed_socket_leaves_open() {
    for network in ["host", "none"] {
        for (protocol, said) in [
            ("tcp", "interfaces, addresses, and ports the kernel chooses: without root"),
            ("udp", "UDP, interfaces, addresses, and ports the kernel chooses: without root"),
        ] {
            alone(|| {
                let port = format!("{{ port = 5353, protocol = {protocol:?}, activate = true }}");
                let manifest = format!("[ports]\ndns = {port}\n[access]\nnetwork = {network:?}\n");
                let scene = scene(As::User, &manifest);
                let ran = scene.run(["run", "--strict", "app.toml"]).exited(77);
                assert!(ran.err.contains(said), "{network} {protocol}: {}", ran.err);
                let mut running = scene.start(["run", "app.toml"]);
                running.until_error(&format!("not enforced: {said}"));
                running.until_output("ready");
                running.signal("TERM");
                running.wait();
            });
        }
    }
}

#[test]
fn an_offset_moves_the_socket() {
    for who in EVERYONE {
        alone(|| {
            let scene = scene(who, "port = { port = 8080, activate = true }\n");
            let (running, said) = start(&scene, &["--port-offset", "3"]);
            assert!(said.contains(&"main 8083/tcp True".to_owned()), "{who:?}: {said:?}");
            assert_eq!(ask("127.0.0.1", 8080), None, "{who:?}");
            for _ in 0..2 {
                assert_eq!(ask("127.0.0.1", 8083).as_deref(), Some("served"), "{who:?}");
            }
            running.wait().exited(0);
        });
    }
}
