//! A backlog of ten gigabytes costs no more memory than none.

use std::io;
use std::process::Command;
use std::sync::Arc;

use agent::clock::since_epoch;
use agent::logs::route::log::{Entry, Log, Place, Step};
use agent::logs::route::{Counters, Instance, Orders, Pulse, run};
use agent::logs::sink::Surroundings;
use manifest_spec::log::{LogRecord, Resource, Severity};
use tokio::sync::watch;

use super::scene::{Scene, resource, sink};

/// Tells a process of this program that it is to route a backlog, in which folder, with which sink
/// that is stuck.
const TOLD: &str = "SINKS_BACKLOG";
/// Bytes of a line.
const LINE: usize = 64 * 1024;
/// Lines: ten gigabytes of them.
const LINES: u64 = 10_000_000_000 / LINE as u64;
/// What all sinks together may take beside what the process takes by itself, in KiB: two mebibytes
/// each, and as much again for what is on its way.
const ROOM: u64 = 3 * 4 * 1024;

/// Stands in for a log of that size.
struct Backlog {
    resource: Arc<Resource>,
    rest: Vec<u8>,
    next: u64,
}

impl Backlog {
    fn new() -> Backlog {
        let rest = format!(
            ",\"ts\":\"2026-01-02T03:04:05Z\",\"severity\":\"info\",\"body\":\"{}\"",
            "x".repeat(LINE)
        );
        let rest = rest + ",\"at\":1,\"crc\":\"01234567\"}";
        Backlog { resource: Arc::new(resource()), rest: rest.into_bytes(), next: 1 }
    }
}

impl Log for Backlog {
    fn seek(&mut self, place: Place) -> io::Result<()> {
        self.next = place.seq;
        Ok(())
    }

    fn seek_seq(&mut self, seq: u64) -> io::Result<()> {
        self.next = seq;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Step> {
        let seq = self.next;
        if seq > LINES {
            return Ok(Step::End);
        }
        self.next += 1;
        let mut text = format!("{{\"v\":1,\"seq\":{seq}").into_bytes();
        text.extend_from_slice(&self.rest);
        let record = LogRecord {
            v: 1,
            seq,
            ts: "2026-01-02T03:04:05Z".into(),
            severity: Severity::Info,
            body: String::new(),
            attributes: serde_json::Map::new(),
            trace_id: None,
            span_id: None,
            at: None,
        };
        Ok(Step::Entry(Box::new(Entry {
            place: Place { segment: 1, offset: seq, seq },
            next: Place { segment: 1, offset: seq + 1, seq: seq + 1 },
            resource: Arc::clone(&self.resource),
            record,
            text,
        })))
    }
}

/// The most memory that this process ever had, in KiB (proc(5)).
fn most() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Does nothing unless this process is told to route a backlog.
#[test]
fn routes_a_backlog_as_told() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let (folder, stuck) = told.split_once(' ').unwrap();
    let sinks = vec![sink("file:/dev/null"), sink(stuck), sink(&format!("loki+{stuck}"))];
    let (_wanted, list) = watch::channel(sinks);
    let (stop, stopped) = watch::channel(false);
    let (_pulse, pulse) = watch::channel(Pulse { last: LINES, ended: true });
    let orders = Orders { wanted: list, pulse, stop: stopped };
    let instance =
        Instance { folder: folder.into(), run: folder.into(), boot_id: "boot".into(), before: 0 };
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let text =
                std::fs::read_to_string(format!("{folder}/metrics.json")).unwrap_or_default();
            if text.contains(&format!("\"delivered\":{LINES},")) {
                stop.send_replace(true);
            }
        }
    });
    let before = most();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = || Ok(Backlog::new());
    let around = Surroundings::of_host(since_epoch);
    let metrics =
        runtime.block_on(run(instance, open, orders, Arc::new(Counters::default()), around));
    assert_eq!(metrics.sinks[0].delivered, LINES);
    assert_eq!(metrics.sinks[1].lag_records, LINES, "this one is stuck");
    let more = most() - before;
    assert!(more < ROOM, "{more} KiB");
}

#[test]
fn ten_gigabytes_are_routed_in_bounded_memory() {
    let scene = Scene::new();
    // It takes connections and nothing else.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stuck = format!("http://{}/", listener.local_addr().unwrap());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backlog::routes_a_backlog_as_told"])
        .env(TOLD, format!("{} {stuck}", scene.folder.display()))
        .status()
        .unwrap();
    assert!(status.success());
}
