//! Promise: under an offset a program with a fixed port keeps its number, and the host sees the
//! shifted one.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::namespace::alone;
use crate::support::{As, Scene, eventually};

const PORTS: &str = "\
[ports]
web = { port = 8080, fixed = true }
names = { port = 5353, protocol = \"udp\", fixed = true }
";

/// A program that knows but one number for each of its ports.
const PROGRAM: &str = "\
import select, socket, sys
v6 = sys.argv[1] == '6'
family = socket.AF_INET6 if v6 else socket.AF_INET
own, any = ('::1', '::') if v6 else ('127.0.0.1', '0.0.0.0')
server = socket.create_server((any, 8080), family=family, dualstack_ipv6=v6)
names = socket.socket(family, socket.SOCK_DGRAM)
names.bind((any, 5353))
print('bound', server.getsockname()[1], names.getsockname()[1], flush=True)
client = socket.create_connection((own, 8080))
print('itself', client.getpeername()[1], flush=True)
accepted, peer = server.accept()
print('accepted', accepted.getsockname()[1], peer[1] == client.getsockname()[1], flush=True)
asking = socket.socket(family, socket.SOCK_DGRAM)
asking.settimeout(10)
asking.connect((own, 5353))
asking.send(b'question')
question, sender = names.recvfrom(64)
names.sendto(b'answer', sender)
answer, answering = asking.recvfrom(64)
print('datagram', answer.decode(), answering[1], asking.getpeername()[1], flush=True)
for number in (8083, 8081, 5356):
    try:
        socket.create_server((any, number), family=family)
        print('SUCCEEDED', number)
    except PermissionError:
        print('refused', number, flush=True)
print('ready', flush=True)
while True:
    for one in select.select([server, names], [], [])[0]:
        if one is server:
            accepted, peer = server.accept()
            accepted.send(b'served')
            accepted.close()
        else:
            question, sender = names.recvfrom(64)
            names.sendto(b'served', sender)
";

const SAID: &str = "\
bound 8080 5353
itself 8080
accepted 8080 True
datagram answer 5353 5353
refused 8083
refused 8081
refused 5356
ready
";

fn scene(version: &str) -> Scene {
    let scene = Scene::new(As::Root);
    scene.write("main.py", PROGRAM);
    let run = format!("python3 main.py {version}");
    scene.write("app.toml", &format!("name = \"demo\"\nrun = {run:?}\n{PORTS}"));
    scene
}

fn ask(address: &str, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

#[test]
fn the_program_sees_its_number_and_the_host_the_shifted_one() {
    for (version, address) in [("4", "127.0.0.1"), ("6", "::1"), ("6", "127.0.0.1")] {
        alone(|| {
            let scene = scene(version);
            let mut running = scene.start(["run", "--quiet", "--port-offset", "3", "app.toml"]);
            let mut said = String::new();
            let output = running.child().stdout.as_mut().unwrap();
            let mut byte = [0];
            while !said.ends_with("ready\n") && output.read(&mut byte).unwrap() == 1 {
                said.push(char::from(byte[0]));
            }
            assert_eq!(said, SAID, "{version}");
            assert_eq!(ask(address, 8083).as_deref(), Some("served"), "{version} {address}");
            let any = if address == "::1" { "::" } else { "0.0.0.0" };
            let asking = UdpSocket::bind((any, 0)).unwrap();
            asking.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            asking.send_to(b"question", (address, 5356)).unwrap();
            let mut answer = [0; 64];
            let (length, from) = asking.recv_from(&mut answer).unwrap();
            assert_eq!((&answer[..length], from.port()), (&b"served"[..], 5356));
            assert_eq!(ask(address, 8080), None, "the number itself stays free");
            running.signal("TERM");
            running.wait();
        });
    }
}

/// The program's own number may be a service of the host's, which it must not reach by it.
#[test]
fn its_own_number_never_leads_to_the_host_s() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let host = TcpListener::bind("127.0.0.1:8080").unwrap();
        host.set_nonblocking(true).unwrap();
        let program = "\
import socket
try: socket.create_connection(('127.0.0.1', 8080))
except ConnectionRefusedError: print('refused')
";
        scene.write("main.py", program);
        scene.write("app.toml", &format!("name = \"demo\"\nrun = \"python3 main.py\"\n{PORTS}"));
        let ran = scene.run(["run", "--quiet", "--port-offset", "3", "app.toml"]).exited(0);
        assert_eq!(ran.out, "refused\n");
        assert!(host.accept().is_err());
    });
}

#[test]
fn copies_with_one_number_run_side_by_side() {
    alone(|| {
        let scenes = [scene("4"), scene("4"), scene("6")];
        let offsets = ["0", "3", "6"];
        let _running: Vec<_> = scenes
            .iter()
            .zip(offsets)
            .map(|(scene, offset)| {
                let mut running =
                    scene.start(["run", "--quiet", "--port-offset", offset, "app.toml"]);
                running.until_output("bound");
                running
            })
            .collect();
        for port in [8080, 8083, 8086] {
            eventually("every copy serves", || ask("127.0.0.1", port).as_deref() == Some("served"));
        }
    });
}
