//! Promise: `network = "private"` is a network of the instance's own: its ports are found on the
//! host, it reaches what is granted and nothing else, and it ends without a trace.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::namespace::{Namespace, alone};
use crate::support::{As, Scene, eventually};

/// Bound to one number, it tells each client where that came from.
const SERVER: &str = r#"
import os, socket
server = socket.create_server(('0.0.0.0', 8080))
print('ready', os.environ['HOST'], os.environ['PORT'], flush=True)
while True:
    client, address = server.accept()
    client.sendall(address[0].encode())
    client.close()
"#;

const MANIFEST: &str = "\
name = \"demo\"
run = \"python3 main.py\"
port = { port = 8080, fixed = true }
[access]
network = \"private\"
";

fn scene(program: &str, more: &str) -> Scene {
    let scene = Scene::new(As::Root);
    scene.write("main.py", program);
    scene.write("app.toml", &format!("{MANIFEST}{more}"));
    scene
}

fn ask(address: &str, port: u16) -> Option<String> {
    let place = format!("{address}:{port}").parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(5)).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

/// What of instances' networks there is on this host.
fn traces(scene: &Scene) -> Vec<String> {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let links = run("ip", &["-o", "link"]);
    let links = links.lines().filter(|line| line.contains("hostctl")).map(str::to_owned);
    let tables = run("nft", &["list", "tables"]);
    let tables = tables.lines().filter(|line| line.contains("hostctl")).map(str::to_owned);
    let records = fs::read_dir(scene.outside().join("run/forwarding"));
    let records = records.into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let records = records.map(|name| name.into_string().unwrap()).filter(|name| name != "lock");
    links.chain(tables).chain(records).collect()
}

#[test]
fn copies_with_one_number_are_found_on_the_host_and_from_outside() {
    let (host, other) = (Namespace::new(), Namespace::new());
    host.wire("eth0", &["192.0.2.1/24"], &other, "eth0", &["192.0.2.2/24"]);
    let scene = scene(SERVER, "");
    let start = |offset: &str| {
        let mut running = scene.start(["run", "--quiet", "--port-offset", offset, "app.toml"]);
        running.until_output("ready");
        running
    };
    let (first, second) = thread::scope(|scope| {
        scope.spawn(|| host.enter(|| (start("3"), start("4")))).join().unwrap()
    });
    for port in [8083, 8084] {
        host.enter(|| assert!(ask("127.0.0.1", port).is_some(), "{port}"));
        other.enter(|| assert_eq!(ask("192.0.2.1", port).as_deref(), Some("192.0.2.2"), "{port}"));
    }
    host.enter(|| assert_eq!(ask("127.0.0.1", 8080), None, "nobody asked for that one"));
    for running in [first, second] {
        running.signal("TERM");
        running.wait();
    }
    host.enter(|| assert_eq!(traces(&scene), Vec::<String>::new()));
}

#[test]
fn what_a_kill_left_goes_with_the_next_run() {
    alone(|| {
        let scene = scene(SERVER, "");
        let mut killed = scene.start(["run", "--quiet", "app.toml"]);
        killed.until_output("ready");
        let inside = killed.descendants();
        killed.signal("KILL");
        killed.wait();
        let gone = |pid: &i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        eventually("the end of the instance", || inside.iter().all(gone));
        let mut next = scene.start(["run", "--quiet", "app.toml"]);
        next.until_output("ready");
        assert!(ask("127.0.0.1", 8080).is_some());
        next.signal("TERM");
        next.wait();
        assert_eq!(traces(&scene), Vec::<String>::new());
    });
}

#[test]
fn process_1_keeps_nothing_of_what_hostctl_has_open() {
    alone(|| {
        let scene = scene(SERVER, "");
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        running.until_output("ready");
        let sockets = |pid: i32| -> Vec<String> {
            let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
            let links = links.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
            let links = links.map(|link| link.display().to_string());
            links.filter(|link| link.starts_with("socket:")).collect()
        };
        let own = sockets(running.pid());
        assert!(own.len() > 2, "the table's socket, the devices', the line: {own:?}");
        let process_1 = running.descendants()[0];
        let kept: Vec<_> = sockets(process_1).into_iter().filter(|one| own.contains(one)).collect();
        assert_eq!(kept, Vec::<String>::new());
    });
}

/// Tries the services it needs by variable and by name, and others of the host.
const CLIENT: &str = r#"
import os, socket
def attempt(name, host, port):
    try:
        stream = socket.create_connection((host, port), 2)
        print(name, stream.recv(16).decode())
    except OSError as error:
        print(name, 'nothing')
attempt('variable', os.environ['DB_HOST'], int(os.environ['DB_PORT']))
attempt('name', 'db', int(os.environ['DB_PORT']))
attempt('granted', '192.0.2.2', 7001)
attempt('other port', '192.0.2.2', 7002)
attempt('service of the host', os.environ['DB_HOST'], 7003)
attempt('service of the host by its address', '192.0.2.1', 7003)
"#;

const FORUM: &str = r#"
name = "forum"
[services.db]
run = "true"
port = 5432
[services.web]
run = "python3 main.py"
needs = ["db"]
access = { network = "private", connect = ["192.0.2.2:7001", "192.0.2.1:7003"] }
"#;

/// Greets everybody on a port, for as long as the test runs.
fn greet(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"hello"));
        }
    });
}

#[test]
fn needs_and_grants_are_reached_and_nothing_else() {
    let (host, other) = (Namespace::new(), Namespace::new());
    host.wire("eth0", &["192.0.2.1/24"], &other, "eth0", &["192.0.2.2/24"]);
    other.enter(|| ["192.0.2.2:7001", "192.0.2.2:7002"].map(greet));
    host.enter(|| ["127.0.0.1:5432", "0.0.0.0:7003"].map(greet));
    let scene = Scene::new(As::Root);
    scene.write("main.py", CLIENT);
    scene.write("app.toml", FORUM);
    let run = || scene.run(["run", "app.toml", "--service", "web"]);
    let ran = thread::scope(|scope| scope.spawn(|| host.enter(run)).join().unwrap()).exited(0);
    let expected = "\
variable hello
name hello
granted hello
other port nothing
service of the host nothing
service of the host by its address nothing
";
    assert_eq!(ran.out, expected, "{}", ran.err);
}

#[test]
fn an_ordinary_user_is_told_why_not() {
    let scene = Scene::new(As::User);
    scene.shell_app("true", "port = 8080\naccess = { network = \"private\" }\n");
    let ran = scene.run(["run", "app.toml"]).exited(65);
    let said = "access.network: a private network can be built as root only";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn a_needed_service_has_its_name_on_the_host_s_network_too() {
    alone(|| {
        greet("127.0.0.1:5432");
        let scene = Scene::new(As::Root);
        scene.write("main.py", CLIENT);
        let forum = FORUM.replace("network = \"private\", ", "");
        scene.write("app.toml", &forum);
        let ran = scene.run(["run", "app.toml", "--service", "web"]).exited(0);
        assert!(ran.out.starts_with("variable hello\nname hello\n"), "{}", ran.out);
    });
}
