//! Promise: every example runs as it is, as root and as a user: real programs, unchanged, that
//! answer over their own protocol, stop when asked, and find their data again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::ports::{Ports, ask, get};
use crate::support::{As, EVERYONE, Ran, Running, Scene};

/// A program that SIGTERM ends, because it has no handler for it.
const TERMINATED: i32 = 128 + 15;

/// An example, copied into a scene, on a port of its own.
struct Example {
    scene: Scene,
    ports: Ports,
}

impl Example {
    fn new(who: As, name: &str) -> Example {
        let scene = Scene::new(who);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        scene.copy_app(&folder);
        Example { scene, ports: Ports::hold() }
    }

    fn port(&self) -> u16 {
        self.ports.number(0)
    }

    /// Start it on its port, and wait until it answers.
    fn start(&self, answers: impl Fn(u16) -> bool) -> Running {
        let port = format!("port={}", self.port());
        self.start_with(&["--set", &port], || answers(self.port()))
    }

    fn start_with(&self, arguments: &[&str], answers: impl Fn() -> bool) -> Running {
        let mut running = self.scene.start(["run", "app.toml"].iter().chain(arguments));
        // The first start of a database takes seconds.
        let end = Instant::now() + Duration::from_secs(60);
        while !answers() {
            if let Some(status) = running.child().try_wait().unwrap() {
                panic!("{status} instead of an answer: {:?}", running.wait());
            }
            assert!(Instant::now() < end, "no answer within a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

/// Ask a running example to end; it must with this code.
#[track_caller]
fn stop(running: Running, code: i32) -> Ran {
    running.signal("TERM");
    running.wait().exited(code)
}

/// A program of the host that is missing is named, with its package.
#[track_caller]
fn needs(package: &str, program: &str) {
    let places = ["/usr/bin", "/usr/sbin"];
    let found = places.iter().any(|place| Path::new(place).join(program).exists());
    assert!(found, "{program} is needed: install the package {package}");
}

#[test]
fn hello_answers_on_its_port_and_on_the_shifted_one() {
    needs("python3", "python3");
    for who in EVERYONE {
        let example = Example::new(who, "hello");
        let served = |port| get(port, "/").is_some_and(|page| page.contains("hello"));
        let first = example.start(served);
        let port = format!("port={}", example.port());
        let arguments = ["--set", &port, "--port-offset", "3"];
        let copy = example.start_with(&arguments, || served(example.ports.number(3)));
        let told = stop(copy, TERMINATED);
        let place = format!("127.0.0.1:{}", example.ports.number(3));
        assert!(told.err.contains("hello+3") && told.err.contains(&place), "{}", told.err);
        stop(first, TERMINATED);
    }
}

#[test]
fn python_counts_visits_across_restarts() {
    needs("python3", "python3");
    for who in EVERYONE {
        let example = Example::new(who, "python");
        let up = |port| get(port, "/").is_some();
        stop(example.start(up), TERMINATED);
        let running = example.start(up);
        assert_eq!(get(example.port(), "/").as_deref(), Some("visit 3\n"), "{who:?}");
        stop(running, TERMINATED);
    }
}

#[test]
fn node_greets_and_closes() {
    needs("nodejs", "node");
    for who in EVERYONE {
        let example = Example::new(who, "node");
        let running = example.start(|port| get(port, "/").is_some());
        assert_eq!(get(example.port(), "/?name=Ada").as_deref(), Some("Hello, Ada!\n"), "{who:?}");
        stop(running, 0);
    }
}

#[test]
fn ruby_runs_unchanged() {
    needs("ruby", "ruby");
    let server = "\
require 'socket'
server = TCPServer.new('127.0.0.1', ENV.fetch('PORT'))
loop do
  client = server.accept
  client.gets
  client.write \"HTTP/1.0 200 OK\\r\\n\\r\\nruby #{Process.uid}\"
  client.close
end
";
    for who in EVERYONE {
        let example = Example { scene: Scene::new(who), ports: Ports::hold() };
        example.scene.write("server.rb", server);
        example.scene.write("app.toml", "name = \"gem\"\nrun = \"ruby server.rb\"\nport = 4567\n");
        let served = |port| get(port, "/").is_some_and(|page| page.starts_with("ruby "));
        stop(example.start(served), TERMINATED);
    }
}

#[test]
fn nginx_serves_its_site() {
    needs("nginx", "nginx");
    for who in EVERYONE {
        let example = Example::new(who, "nginx");
        let title = "<title>site</title>";
        let running = example.start(|port| get(port, "/").is_some_and(|page| page.contains(title)));
        stop(running, 0);
    }
}

#[test]
fn redis_keeps_its_keys() {
    needs("redis-server", "redis-server");
    for who in EVERYONE {
        let example = Example::new(who, "redis");
        let up =
            |port| ask(port, b"PING\r\nQUIT\r\n").is_some_and(|said| said.starts_with("+PONG"));
        let running = example.start(up);
        let said = ask(example.port(), b"SET greeting hello\r\nQUIT\r\n").unwrap();
        assert!(said.starts_with("+OK"), "{said}");
        stop(running, 0);
        let running = example.start(up);
        let said = ask(example.port(), b"GET greeting\r\nQUIT\r\n").unwrap();
        assert!(said.starts_with("$5\r\nhello\r\n"), "{who:?}: {said}");
        stop(running, 0);
    }
}

/// What psql says to a query; `None` while the server does not answer.
fn query(port: u16, query: &str) -> Option<String> {
    let output = Command::new("psql")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-Atqc", query])
        .env("PGPASSWORD", "change-me")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn postgres_keeps_its_tables() {
    needs("postgresql", "psql");
    for who in EVERYONE {
        let example = Example::new(who, "postgres");
        let up = |port| query(port, "select 1").as_deref() == Some("1");
        let running = example.start(up);
        query(example.port(), "create table kept as select 42 as answer").unwrap();
        stop(running, 0);
        let running = example.start(up);
        let answer = query(example.port(), "select answer from kept");
        assert_eq!(answer.as_deref(), Some("42"), "{who:?}");
        stop(running, 0);
    }
}
