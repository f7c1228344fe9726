//! Promise: a port with `activate` is a bound socket in the program's hands: it needs no privilege
//! and no network for it, reaches nothing by it, and a restart refuses no connection.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::namespace::alone;
use crate::support::{As, Ran, Scene};

/// Says what it was given, serves one client by the first socket, and then tries to get elsewhere
/// by both.
const PROGRAM: &str = r#"
import ctypes, os, socket, struct
print(os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'], os.environ['LISTEN_PID'] == str(os.getpid()))
opened = sorted(int(name) for name in os.listdir('/proc/self/fd'))
web, dns = socket.socket(fileno=3), socket.socket(fileno=4)
for one in (web, dns):
    listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    print(one.type.name, one.getsockname()[1], listens)
print(opened[:5], flush=True)
client, address = web.accept()
client.sendall(b'served')
print([line.split(':')[0].strip() for line in open('/proc/net/dev')][2:])
libc = ctypes.CDLL(None, use_errno=True)
there = struct.pack('H', socket.AF_INET6) + struct.pack('!HI', 7000, 0)
there += socket.inet_pton(socket.AF_INET6, '::ffff:127.0.0.1') + struct.pack('I', 0)
def turn():
    assert libc.connect(client.fileno(), struct.pack('H14x', socket.AF_UNSPEC), 16) == 0
    if libc.connect(client.fileno(), there, len(there)) != 0:
        raise OSError(ctypes.get_errno(), 'connect')
for name, act in (
    ('datagram', lambda: dns.sendto(b'x', ('::ffff:127.0.0.1', 7000))),
    ('turned', turn),
    ('own', lambda: socket.create_connection(('127.0.0.1', 7000), 1)),
):
    try:
        act()
        print(name, 'SUCCEEDED')
    except OSError:
        print(name, 'refused')
"#;

fn scene(who: As, port: u16) -> Scene {
    let scene = Scene::new(who);
    scene.write("main.py", PROGRAM);
    let text = format!(
        "name = \"demo\"\nrun = \"python3 main.py\"\nport = {{ port = {port}, activate = true }}\n\
         [ports]\ndns = {{ port = 5353, protocol = \"udp\", activate = true }}\n"
    );
    scene.write("app.toml", &text);
    scene
}

fn served(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // No more: the program goes on to tear the connection.
    let mut said = [0; 6];
    stream.read_exact(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

fn try_out(who: As, port: u16, network: &str) {
    let _forbidden = TcpListener::bind("127.0.0.1:7000").unwrap();
    let scene = scene(who, port);
    let network_is = format!("access.network={network}");
    let mut running = scene.start(["run", "--quiet", "--set", &network_is, "app.toml"]);
    let mut said = BufReader::new(running.child().stdout.take().unwrap());
    let given = ["2 main:dns True", "", "SOCK_DGRAM 5353 0", "[0, 1, 2, 3, 4]"];
    let stream = format!("SOCK_STREAM {port} 1");
    for expected in given {
        let mut line = String::new();
        if said.read_line(&mut line).unwrap() == 0 {
            panic!("{who:?} {network}: {:?}", running.wait());
        }
        let expected = if expected.is_empty() { &*stream } else { expected };
        assert_eq!(line.trim_end(), expected, "{who:?} {network}");
    }
    assert_eq!(served(port), "served", "{who:?} {network}");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let devices = if network == "private" { "['lo', 'eth0']" } else { "['lo']" };
    let tried: Vec<_> = rest.lines().collect();
    assert_eq!(tried[0], devices, "{who:?} {network}");
    // Without root nothing judges datagrams, and the run says so.
    let datagram = if who == As::Root { "datagram refused" } else { tried[1] };
    assert_eq!(tried[1..], [datagram, "turned refused", "own refused"], "{who:?} {network}");
    running.wait().exited(0);
}

#[test]
fn the_program_gets_its_sockets_and_reaches_nothing_by_them() {
    for network in ["host", "none", "private"] {
        alone(|| try_out(As::Root, 80, network));
    }
    for network in ["host", "none"] {
        alone(|| try_out(As::User, 8080, network));
    }
}

#[test]
fn an_ordinary_user_gets_no_well_known_port() {
    let ran = alone(|| scene(As::User, 80).run(["run", "app.toml"])).exited(65);
    let said = "port: port 80 is below net.ipv4.ip_unprivileged_port_start";
    assert!(ran.err.contains(said), "{}", ran.err);
}

/// Keeps a listening socket open, as systemd does for a socket unit, while it runs hostctl again
/// and again; what it is given on the command line says how it passes the socket.
const HOLDER: &str = r#"
import os, socket, subprocess, sys
count, pid, hostctl, arguments = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
listener = socket.create_server(('127.0.0.1', 8080), backlog=64)
clients = []
for turn in range(3):
    clients += [socket.create_connection(('127.0.0.1', 8080)) for _ in range(4)]
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ['LISTEN_FDS'] = count
        os.environ['LISTEN_PID'] = str(os.getpid()) if pid == 'own' else pid
        os.execv(hostctl, [hostctl] + arguments)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
print(sorted(client.recv(64).decode() for client in clients))
"#;

/// Serves four clients and ends.
const SERVER: &str = r#"
import socket
web = socket.socket(fileno=3)
for _ in range(4):
    client, _ = web.accept()
    client.sendall(b'served')
    client.close()
"#;

fn hold(count: &str, pid: &str, more: &[&str]) -> Ran {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.write("holder.py", HOLDER);
        scene.write("main.py", SERVER);
        let port = "port = { port = 8080, activate = true }";
        let text = format!("name = \"demo\"\nrun = \"python3 main.py\"\n{port}\n");
        scene.write("app.toml", &text);
        let mut command = scene.command("python3".as_ref());
        command.args(["holder.py", count, pid]).arg(crate::support::hostctl());
        command.args(["run", "app.toml"]).args(more);
        Ran::from(command.output().unwrap())
    })
}

#[test]
fn a_restart_refuses_no_connection_while_somebody_keeps_the_socket() {
    let ran = hold("1", "own", &[]).exited(0);
    let all = ["'served'"; 12].join(", ");
    assert_eq!(ran.out.trim(), format!("[{all}]"));
    let named = "demo: not enforced: rules on connections of port 8080: its socket was made by";
    assert!(ran.err.contains(named), "{}", ran.err);
    let ran = hold("1", "own", &["--strict"]).exited(77);
    assert!(ran.err.contains("rules on connections of port 8080"), "{}", ran.err);
}

#[test]
fn sockets_that_were_not_passed_are_no_sockets() {
    let ran = hold("7", "own", &[]).exited(2);
    assert!(ran.err.contains("$LISTEN_FDS says that 7 sockets were passed"), "{}", ran.err);
    // Meant for another process: the port is then in use, by the one who holds it.
    let ran = hold("1", "1", &[]).exited(75);
    assert!(ran.err.contains("port 8080/tcp is in use by python3"), "{}", ran.err);
}
