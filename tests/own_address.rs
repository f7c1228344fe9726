//! Promise: with `address = "own"` any number of instances bind the same port, each on an address
//! that is its alone, on this host only.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::support::namespace::alone;
use crate::support::{As, Running, Scene, eventually};

/// A server that can't be told its port, nor its address.
const PROGRAM: &str = r#"
import json, os, socket, sys
v6 = ':' in sys.argv[1]
server = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], 8080))
server.listen()
itself = socket.create_connection(('127.0.0.1', 8080), 5)
server.accept()
hosts = [line.split()[0] for line in open('/etc/hosts') if line.split()[1:] == [os.uname().nodename]]
resolved = json.load(open(os.environ['HOSTCTL_MANIFEST']))['host']
print('ready', os.environ['HOST'], hosts[0], resolved, itself.getpeername()[0], flush=True)
while True:
    client, _ = server.accept()
    client.sendall(os.environ['HOST'].encode())
    client.close()
"#;

fn scene(any: &str) -> Scene {
    let scene = Scene::new(As::Root);
    scene.write("main.py", PROGRAM);
    let text = format!(
        "name = \"own\"\nrun = \"python3 main.py {any}\"\nport = 8080\n\
         [access]\naddress = \"own\"\n"
    );
    scene.write("app.toml", &text);
    scene
}

fn start(scene: &Scene, name: &str) -> Running {
    scene.start(["run", "--quiet", "--set", &format!("name={name}"), "app.toml"])
}

/// What it says when it is ready, word by word.
fn ready(running: &mut Running) -> Vec<String> {
    let mut said = String::new();
    let output = running.child().stdout.as_mut().unwrap();
    let mut byte = [0];
    while !said.ends_with('\n') {
        assert_eq!(output.read(&mut byte).unwrap(), 1, "ended: {said:?}");
        said.push(char::from(byte[0]));
    }
    said.split_whitespace().map(str::to_owned).collect()
}

fn ask(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect((address, 8080)).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn loopback() -> String {
    let output = Command::new("ip").args(["-o", "addr", "show", "dev", "lo"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn three_of_one_kind_run_side_by_side() {
    for any in ["0.0.0.0", "127.0.0.1", "::"] {
        alone(|| {
            let scene = scene(any);
            let mut all: Vec<_> = ["one", "two", "three"].map(|name| start(&scene, name)).into();
            let mut found = Vec::new();
            for running in &mut all {
                let words = ready(running);
                assert!(words[1..].iter().all(|word| *word == words[1]), "{any}: {words:?}");
                found.push(words[1].clone());
            }
            found.sort();
            assert_eq!(found, ["10.99.0.1", "10.99.0.2", "10.99.0.3"], "{any}");
            for address in &found {
                assert_eq!(ask(address).as_deref(), Some(&**address), "{any}");
            }
            let leases = scene.run(["lease", "ls"]).exited(0).out;
            assert_eq!(leases.matches("address:10.99.0.").count(), 3, "{leases}");
            assert_eq!(ask("127.0.0.1"), None, "{any}: only on their own addresses");
            for running in all {
                running.signal("TERM");
                running.wait();
            }
            assert!(!loopback().contains("10.99.") && !loopback().contains("fd5c:"), "{any}");
        });
    }
}

#[test]
fn an_address_that_a_kill_left_goes_with_the_next_start() {
    alone(|| {
        let scene = scene("0.0.0.0");
        let killed = ["first", "second"].map(|name| {
            let mut running = start(&scene, name);
            running.until_output("ready");
            running
        });
        for running in killed {
            running.signal("KILL");
            running.wait();
        }
        assert!(loopback().contains("10.99.0.1") && loopback().contains("10.99.0.2"));
        // Somebody else takes the first address again; nobody has the second.
        let mut next = start(&scene, "next");
        next.until_output("ready 10.99.0.1");
        assert!(!loopback().contains("10.99.0.2"), "{}", loopback());
        next.signal("KILL");
        next.wait();
        let policy = "[addresses]\nv4 = \"10.98.0.0/24\"\nv6 = \"fd00:1::/64\"\n";
        std::fs::write(scene.config().join("policy.toml"), policy).unwrap();
        let mut moved = start(&scene, "moved");
        assert_eq!(ready(&mut moved)[1], "10.98.0.1");
        moved.signal("TERM");
        moved.wait();
        assert!(!loopback().contains("10.98."), "{}", loopback());
    });
}

#[test]
fn whoever_listens_on_all_addresses_is_in_the_way() {
    alone(|| {
        let _stranger = TcpListener::bind("0.0.0.0:8080").unwrap();
        let scene = scene("0.0.0.0");
        let ran = scene.run(["run", "app.toml"]).exited(75);
        assert!(ran.err.contains("port 10.99.0.1:8080/tcp is in use by"), "{}", ran.err);
        assert!(!loopback().contains("10.99."), "{}", loopback());
    });
}

/// The number is free for others on other addresses, and what the program sends to its own number
/// stays its own.
#[test]
fn a_service_of_the_host_keeps_the_number_on_the_loopback_address() {
    alone(|| {
        let host = TcpListener::bind("127.0.0.1:8080").unwrap();
        host.set_nonblocking(true).unwrap();
        let scene = scene("127.0.0.1");
        let mut running = start(&scene, "own");
        assert_eq!(ready(&mut running)[1..], ["10.99.0.1"; 4]);
        assert!(host.accept().is_err(), "its own connection came to the host's service");
        assert_eq!(ask("10.99.0.1").as_deref(), Some("10.99.0.1"));
    });
}

#[test]
fn an_address_is_swept_when_it_is_nobody_s_and_not_before() {
    alone(|| {
        let scene = scene("0.0.0.0");
        let mut first = start(&scene, "first");
        assert_eq!(ready(&mut first)[1], "10.99.0.1");
        let mut killed = start(&scene, "killed");
        assert_eq!(ready(&mut killed)[1], "10.99.0.2");
        assert_eq!(ask("10.99.0.1").as_deref(), Some("10.99.0.1"), "another start left it alone");
        let inside = killed.descendants();
        killed.signal("KILL");
        killed.wait();
        let gone = |pid: &i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        eventually("the end of the instance", || inside.iter().all(gone));
        first.signal("TERM");
        first.wait();
        assert!(loopback().contains("10.99.0.2"), "{}", loopback());
        let mut last = start(&scene, "last");
        assert_eq!(ready(&mut last)[1], "10.99.0.1");
        assert!(!loopback().contains("10.99.0.2"), "{}", loopback());
        last.signal("TERM");
        last.wait();
        assert!(!loopback().contains("10.99.") && !loopback().contains("fd5c:"), "{}", loopback());
    });
}

#[test]
fn without_a_network_there_is_no_address() {
    let scene = Scene::new(As::Root);
    scene.shell_app("true", "access = { address = \"own\", network = \"none\" }\n");
    let ran = scene.run(["run", "app.toml"]).exited(65);
    assert!(
        ran.err.contains("access.address: an address of its own is one on the host's network"),
        "{}",
        ran.err
    );
}

#[test]
fn an_ordinary_user_is_told_why_not() {
    let scene = Scene::new(As::User);
    scene.shell_app("true", "port = 8080\naccess = { address = \"own\" }\n");
    let ran = scene.run(["run", "app.toml"]).exited(65);
    assert!(ran.err.contains("access.address: an address of its own can be given"), "{}", ran.err);
}
