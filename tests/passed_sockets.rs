//! Promise: hostctl hands on a socket that it was given for a port: whoever keeps it restarts an app
//! without a client noticing, and nobody else gets the port meanwhile.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::namespace::{Namespace, alone};
use crate::support::{As, EVERYONE, Ran, Running, Scene, eventually};

/// Serves until it is told to stop, and then not before the client at hand has its answer.
const SERVER: &str = r#"
import os, select, signal, socket
wake, waken = os.pipe()
os.set_blocking(waken, False)
signal.set_wakeup_fd(waken)
signal.signal(signal.SIGTERM, lambda number, frame: None)
web = socket.socket(fileno=3)
web.setblocking(False)
assert os.environ['LISTEN_PID'] == str(os.getpid())
print('ready', web.getsockname()[1], flush=True)
while True:
    ready, _, _ = select.select([web, wake], [], [])
    if wake in ready:
        break
    client, _ = web.accept()
    client.sendall(b'served')
    client.close()
"#;

fn scene(who: As, port: u16) -> Scene {
    let scene = Scene::new(who);
    scene.write("main.py", SERVER);
    let text = format!(
        "name = \"demo\"\nrun = \"python3 main.py\"\nport = {{ port = {port}, activate = true }}\n"
    );
    scene.write("app.toml", &text);
    scene
}

fn start(scene: &Scene, listener: &TcpListener, port: u16) -> Running {
    let socket = listener.try_clone().unwrap().into();
    let mut running = scene.start_with(socket, &["run", "--quiet", "app.toml"]);
    running.until_output(&format!("ready {port}"));
    running
}

/// What a client is answered; an error if it is refused, torn or left waiting.
fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// Ask without a pause until it is over; how often it was answered.
fn keep_asking(port: u16, over: &AtomicBool) -> usize {
    let mut answered = 0;
    while !over.load(Ordering::Relaxed) {
        assert_eq!(ask(port).unwrap(), "served", "client {answered}");
        answered += 1;
    }
    answered
}

#[test]
fn no_client_notices_restarts() {
    for who in EVERYONE {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let host = Namespace::current();
            let scene = scene(who, 8080);
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                let asking = || host.enter(|| keep_asking(8080, &over));
                let clients: Vec<_> = (0..4).map(|_| scope.spawn(asking)).collect();
                for _ in 0..4 {
                    let running = start(&scene, &listener, 8080);
                    // Somebody is answered by this one for sure.
                    assert_eq!(ask(8080).unwrap(), "served", "{who:?}");
                    running.signal("TERM");
                    running.wait().exited(0);
                }
                over.store(true, Ordering::Relaxed);
                let last = start(&scene, &listener, 8080);
                for client in clients {
                    assert!(client.join().unwrap() > 0, "{who:?}");
                }
                last.signal("TERM");
                last.wait().exited(0);
            });
        });
    }
}

#[test]
fn after_a_kill_the_next_one_takes_the_socket_and_the_lease_over() {
    for who in EVERYONE {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let scene = scene(who, 8080);
            let killed = start(&scene, &listener, 8080);
            let leases = || scene.run(["lease", "ls", "--all"]).exited(0).out;
            assert!(leases().contains("port:8080/tcp"), "{}", leases());
            let inside = killed.descendants();
            killed.signal("KILL");
            killed.wait();
            let gone = |pid: &i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
            eventually("the end of the instance", || inside.iter().all(gone));
            let next = start(&scene, &listener, 8080);
            assert_eq!(ask(8080).unwrap(), "served", "{who:?}");
            let shown = scene.run(["lease", "show", "port:8080/tcp"]).exited(0).out;
            assert!(shown.contains("holder died"), "{who:?}: {shown}");
            assert!(shown.contains("its next holder has its socket"), "{who:?}: {shown}");
            let place = format!("pid {}", next.pid());
            assert!(leases().contains(&place), "{who:?}: {}", leases());
            next.signal("TERM");
            next.wait().exited(0);
            let held = scene.run(["lease", "ls"]).exited(0).out;
            assert_eq!(held, "", "{who:?}: nobody holds what is only in use");
        });
    }
}

/// While one app has the lease, the socket alone gives nobody the port.
#[test]
fn a_socket_is_no_lease() {
    for who in EVERYONE {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let scene = scene(who, 8080);
            let first = start(&scene, &listener, 8080);
            let socket = listener.try_clone().unwrap().into();
            let other = &["run", "--set", "name=other", "app.toml"];
            let refused = Ran::from(scene.hostctl_with(socket, other).output().unwrap());
            let refused = refused.exited(75);
            let said = format!("port 8080/tcp is held by demo.main.1 (pid {}", first.pid());
            assert!(refused.err.contains(&said), "{who:?}: {}", refused.err);
            first.signal("TERM");
            first.wait().exited(0);
        });
    }
}

/// Root gives an ordinary user a port that only root can bind, as a systemd unit with User= does.
#[test]
fn an_ordinary_user_serves_a_well_known_port_that_root_bound() {
    alone(|| {
        let listener = TcpListener::bind("127.0.0.1:80").unwrap();
        let scene = scene(As::User, 80);
        let running = start(&scene, &listener, 80);
        assert_eq!(ask(80).unwrap(), "served");
        running.signal("TERM");
        running.wait().exited(0);
    });
}

const ECHO: &str = r#"
import socket
dns = socket.socket(fileno=3)
print('ready', dns.getsockname()[1], flush=True)
question, client = dns.recvfrom(64)
dns.sendto(question.upper(), client)
"#;

#[test]
fn a_passed_udp_socket_is_handed_on_too() {
    for who in EVERYONE {
        alone(|| {
            let passed = UdpSocket::bind("127.0.0.1:5353").unwrap();
            let scene = Scene::new(who);
            scene.write("main.py", ECHO);
            let port = "[ports]\ndns = { port = 5353, protocol = \"udp\", activate = true }\n";
            scene.write("app.toml", &format!("name = \"demo\"\nrun = \"python3 main.py\"\n{port}"));
            let mut running = scene.start_with(passed.into(), &["run", "--quiet", "app.toml"]);
            running.until_output("ready 5353");
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.send_to(b"question", "127.0.0.1:5353").unwrap();
            let mut answer = [0; 64];
            let length = client.recv(&mut answer).unwrap();
            assert_eq!(&answer[..length], b"QUESTION", "{who:?}");
            running.wait().exited(0);
        });
    }
}

#[test]
fn what_does_not_hold_for_a_passed_socket_is_said_and_strict_refuses() {
    let said = "rules on connections of port 8080: its socket was made by whoever started hostctl";
    for who in EVERYONE {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let scene = scene(who, 8080);
            let socket = listener.try_clone().unwrap().into();
            let mut running = scene.start_with(socket, &["run", "app.toml"]);
            running.until_error(said);
            running.until_output("ready");
            running.signal("TERM");
            running.wait().exited(0);
            let mut strict = scene.hostctl_with(listener.into(), &["run", "--strict", "app.toml"]);
            let ran = Ran::from(strict.output().unwrap()).exited(77);
            assert!(ran.err.contains(said), "{who:?}: {}", ran.err);
            assert_eq!(ran.out, "", "{who:?}: the program never ran");
        });
    }
}

/// A port without `activate` is the program's to bind: nobody would serve the passed socket.
#[test]
fn a_port_that_is_not_activated_takes_no_passed_socket() {
    for who in EVERYONE {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let scene = Scene::new(who);
            scene.shell_app("echo ran", "port = 8080\n");
            let mut plain = scene.hostctl_with(listener.into(), &["run", "app.toml"]);
            let ran = Ran::from(plain.output().unwrap()).exited(65);
            let said = "a socket on port 8080/tcp was passed to hostctl, and the app takes none";
            assert!(ran.err.contains(said), "{who:?}: {}", ran.err);
            assert_eq!(ran.out, "", "{who:?}");
        });
    }
}
