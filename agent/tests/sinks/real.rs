//! Peers that are programs of others, or as strict as those: rsyslog, OpenTelemetry's definition of
//! OTLP, and what Loki checks.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::scene::{Scene, sink, until};

/// A peer in a process of its own, ended with the test.
pub struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of the tests in Python, and the port it listens on.
pub fn python(interpreter: &Path, name: &str, arguments: &[&str]) -> (Peer, u16) {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs");
    let mut child = Command::new(interpreter)
        .arg(programs.join(name))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", interpreter.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let peer = Peer(child);
    (peer, line.trim().parse().unwrap_or_else(|_| panic!("{name} does not run")))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn loki_takes_every_record_in_order() {
    let mut scene = Scene::new();
    let file = scene.file("loki");
    let statuses = ["500", "429", "503"];
    let arguments: Vec<&str> = [file.to_str().unwrap()].into_iter().chain(statuses).collect();
    let (_peer, port) = python(Path::new("python3"), "loki.py", &arguments);
    let mut wanted = sink(&format!("loki+http://127.0.0.1:{port}"));
    wanted.sink.labels = vec![("team".into(), "blue".into())];
    let routing = scene.route(vec![wanted]);
    // The same text and the same time many times: each is an entry all the same.
    for _ in 0..20 {
        scene.write((0..250).map(|_| "the same"));
    }
    scene.write(["a \"quoted\" line\twith \u{1f980} and \u{0}"]);
    let metrics = routing.finish(&scene);
    let entries = lines(&file);
    assert_eq!(entries.len(), 5001, "{metrics:#?}");
    for (number, entry) in (1_u64..).zip(&entries) {
        assert_eq!(entry[3]["seq"], number.to_string());
        assert_eq!(entry[0]["team"], "blue");
    }
    assert_eq!(entries[5000][2], "a \"quoted\" line\twith \u{1f980} and \u{0}");
    let sink = &metrics.sinks[0];
    assert_eq!((sink.retries, sink.parked, sink.delivered), (3, 0, 5001));
}

#[test]
fn a_receiver_of_otlp_takes_every_record() {
    let Some(interpreter) = own_python() else {
        println!(
            "NOT RUN: the Python package opentelemetry-proto is missing; .ci/python installs it"
        );
        return;
    };
    let mut scene = Scene::new();
    let file = scene.file("otlp");
    let statuses = ["502", "299"];
    let arguments: Vec<&str> = [file.to_str().unwrap()].into_iter().chain(statuses).collect();
    let (_peer, port) = python(&interpreter, "otlp.py", &arguments);
    let routing = scene.route(vec![sink(&format!("otlp+http://127.0.0.1:{port}"))]);
    scene.write_numbers(1..=3000);
    let metrics = routing.finish(&scene);
    let records = lines(&file);
    assert_eq!(records.len(), 2999, "{metrics:#?}");
    for (number, record) in (2_u64..).zip(&records) {
        assert_eq!(record["body"], format!("line {number}"));
        assert_eq!(record["attributes"]["hostctl.seq"], number);
        assert_eq!(record["attributes"]["log.iostream"], "stdout");
        assert_eq!(record["resource"]["service.name"], "web");
        assert_eq!(record["resource"]["hostctl.instance"], 2);
        assert_eq!(record["severity"], "SEVERITY_NUMBER_INFO");
        assert!(record["time"].as_u64().unwrap() > 1_700_000_000_000_000_000);
    }
    let sink = &metrics.sinks[0];
    assert_eq!((sink.rejected, sink.retries, sink.delivered), (1, 1, 2999));
    let said = &sink.last_error.as_ref().unwrap().said;
    assert_eq!(said, "threw 1 records away: the first is too old");
}

/// The interpreter with the packages that `.ci/python` installs, in the directory that this program
/// was built in.
fn own_python() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let mut places = own.ancestors().map(|path| path.join("python/bin/python"));
    places.find(|path| path.exists())
}

/// rsyslogd in the foreground, with nothing but what the test wants of it.
struct Rsyslog {
    folder: PathBuf,
    port: u16,
    process: Option<Peer>,
}

impl Rsyslog {
    fn new(scene: &Scene) -> Rsyslog {
        let folder = scene.file("rsyslog");
        std::fs::create_dir(&folder).unwrap();
        // It can't be given a port that is held, so this one is free a moment ago.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = folder.display();
        let configuration = format!(
            r#"global(workDirectory="{place}" maxMessageSize="128k")
module(load="imtcp")
module(load="imudp")
module(load="imuxsock" SysSock.Use="off")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imuxsock" Socket="{place}/log" UseSpecialParser="off" ParseHostname="on"
    RateLimit.Interval="0")
template(name="all" type="list") {{
    property(name="syslogfacility-text") constant(value=" ")
    property(name="syslogseverity-text") constant(value=" ")
    property(name="timestamp" dateFormat="rfc3339") constant(value=" ")
    property(name="hostname") constant(value=" ")
    property(name="app-name") constant(value=" ")
    property(name="procid") constant(value=" ")
    property(name="msgid") constant(value=" ")
    property(name="structured-data") constant(value=" ")
    property(name="msg") constant(value="\n")
}}
action(type="omfile" file="{place}/all" template="all")
"#
        );
        std::fs::write(folder.join("conf"), configuration).unwrap();
        let mut peer = Rsyslog { folder, port, process: None };
        peer.start();
        peer
    }

    fn start(&mut self) {
        let child = Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-f"])
            .arg(self.folder.join("conf"))
            .arg("-i")
            .arg(self.folder.join("pid"))
            .spawn()
            .unwrap_or_else(|error| panic!("the package rsyslog is needed: {error}"));
        self.process = Some(Peer(child));
        until("rsyslogd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    fn stop(&mut self) {
        self.process = None;
    }

    /// The lines it has.
    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("all")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The numbers of our records in them.
    fn seqs(&self) -> Vec<u64> {
        let seq = |line: &String| {
            let (_, rest) = line.split_once(" seq=\"")?;
            rest.split('"').next()?.parse().ok()
        };
        self.lines().iter().filter_map(seq).collect()
    }
}

#[test]
fn rsyslog_takes_every_record_over_tcp_and_all_it_missed_when_it_comes_back() {
    let mut scene = Scene::new();
    let mut peer = Rsyslog::new(&scene);
    let routing = scene.route(vec![sink(&format!("syslog:tcp://127.0.0.1:{}", peer.port))]);
    scene.write_numbers(1..=2000);
    until("the first records", || peer.seqs().len() == 2000);
    peer.stop();
    scene.write_numbers(2001..=4000);
    until("that it is down is known", || {
        let sinks = scene.metrics().sinks;
        sinks[0].last_error.as_ref().is_some_and(|error| error.said.contains("nobody listens"))
    });
    scene.write(["two\nlines".to_owned(), "x".repeat(60_000)]);
    peer.start();
    routing.finish(&scene);
    until("the last record", || peer.seqs().last() == Some(&4002));
    assert_eq!(peer.seqs(), (1..=4002).collect::<Vec<_>>());
    let lines = peer.lines();
    let expected = "user info ";
    assert!(lines[0].starts_with(expected), "{}", lines[0]);
    let rest = lines[0].split_once("Z ").or(lines[0].split_once("+00:00 ")).unwrap().1;
    assert_eq!(
        rest,
        "box.example shop web.2 stdout [meta sequenceId=\"1\"][hostctl@32473 app=\"shop\" \
         service=\"web\" instance=\"2\" version=\"3\" seq=\"1\"] line 1"
    );
    assert!(lines[4000].ends_with(" two#012lines"), "{}", lines[4000]);
    assert!(lines[4001].ends_with(&"x".repeat(60_000)));
}

#[test]
fn rsyslog_takes_datagrams() {
    let mut scene = Scene::new();
    let peer = Rsyslog::new(&scene);
    let local = format!("syslog:unix:{}/log", peer.folder.display());
    let routing = scene.route(vec![sink(&local)]);
    scene.write_numbers(1..=2000);
    routing.finish(&scene);
    until("all records", || peer.seqs().len() == 2000);
    assert_eq!(peer.seqs(), (1..=2000).collect::<Vec<_>>());
}

#[test]
fn rsyslog_takes_datagrams_of_udp_cut_to_what_fits() {
    // Nobody waits for a receiver of UDP, so no more than it surely has room for.
    let mut scene = Scene::new();
    let peer = Rsyslog::new(&scene);
    let routing = scene.route(vec![sink(&format!("syslog:udp://127.0.0.1:{}", peer.port))]);
    scene.write_numbers(1..=50);
    scene.write(["y".repeat(65_500)]);
    until("the datagrams", || peer.seqs().len() == 51);
    let lines = peer.lines();
    let last = lines.last().unwrap();
    let text = last.bytes().filter(|byte| *byte == b'y').count();
    assert!((65_000..65_500).contains(&text), "{text}");
    routing.stop();
}
