//! The router killed at any moment (SIGKILL): nothing is lost, and nothing comes twice where the peer
//! can tell.

use std::io::{BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::aside::Like;
use agent::aside::start::Starter;
use agent::clock::since_epoch;
use agent::logs::route::{Orders, Pulse, Wanted};
use agent::logs::sink::Surroundings;
use agent::plan::Directories;
use serde_json::Value;
use tokio::sync::watch;

use super::peer::{Reaction, Server, ok};
use super::real::python;
use super::scene::{Scene, route, sink, until};

/// Tells a process of this program that it is a router, of which folder, to which sinks, how far the
/// log is, and whether it has ended.
const TOLD: &str = "SINKS_ROUTER";

/// Records of a test.
const RECORDS: u64 = 30_000;
/// How often the router is killed.
const KILLS: u64 = 25;

/// Does nothing unless this process is told to be a router.
#[test]
fn routes_as_told() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let (folder, wanted, pulse, programs): Told = serde_json::from_str(&told).unwrap();
    let (_wanted, list) = watch::channel(wanted);
    let (_stop, stopped) = watch::channel(false);
    let (_pulse, pulse) = watch::channel(Pulse { last: pulse.0, ended: pulse.1 });
    let orders = Orders { wanted: list, pulse, stop: stopped };
    let programs = programs.map(|(executable, [state, run, config], like)| {
        (Starter { executable, directories: Directories { state, run, config } }, like)
    });
    let around = Surroundings { programs, ..Surroundings::of_host(since_epoch) };
    route(Path::new(&folder), orders, around);
}

/// What a router is told: its folder, its sinks, how far the log is and whether it has ended, and how
/// programs are run.
type Told = (PathBuf, Vec<Wanted>, (u64, bool), Option<(PathBuf, [PathBuf; 3], Like)>);

fn router(scene: &Scene, wanted: &[Wanted], pulse: (u64, bool)) -> Child {
    let programs = scene.around.programs.clone().map(|(starter, like)| {
        let Directories { state, run, config } = starter.directories;
        (starter.executable, [state, run, config], like)
    });
    let told: Told = (scene.folder.clone(), wanted.to_vec(), pulse, programs);
    let told = serde_json::to_string(&told).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::routes_as_told"])
        .env(TOLD, told)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Have the log routed by one router after the other, each killed, but for the last.
pub fn kill_again_and_again(scene: &Scene, wanted: &[Wanted], records: u64) {
    for round in 0..KILLS {
        let mut child = router(scene, wanted, (records, false));
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 180));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let status = router(scene, wanted, (records, true)).wait().unwrap();
    assert!(status.success());
}

/// Bodies of several lengths, a few of them long.
fn written() -> Scene {
    let mut scene = Scene::new();
    let long = "x".repeat(9000);
    for thousand in 0..RECORDS / 1000 {
        scene.write((1..=1000).map(|n| match n % 100 {
            0 => format!("{long} {thousand} {n}"),
            _ => format!("line {thousand} {n}"),
        }));
    }
    scene
}

#[test]
fn a_file_has_each_record_once() {
    let scene = written();
    let mut wanted = sink(&format!("file:{}", scene.file("app.log").display()));
    wanted.sink.rotate = Some(100_000);
    wanted.sink.copies = 10_000;
    kill_again_and_again(&scene, &[wanted], RECORDS);
    let copies = (1..).take_while(|n| scene.file(&format!("app.log.{n}")).exists()).count();
    let names = (1..=copies).rev().map(|n| format!("app.log.{n}")).chain(["app.log".to_owned()]);
    let mut seqs = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(scene.file(&name)).unwrap();
        assert!(text.ends_with('\n') && text.len() <= 100_000, "{name}");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        seqs.extend(lines.skip(1).map(|line| line["seq"].as_u64().unwrap()));
    }
    assert_eq!(seqs, (1..=RECORDS).collect::<Vec<_>>());
}

/// What a server has of batches with keys, in its order.
#[derive(Default)]
struct Known {
    batches: Vec<(String, Vec<u8>)>,
    /// Batches that came once more.
    again: usize,
}

#[test]
fn a_server_that_knows_its_keys_has_each_record_once() {
    let known = Arc::new(Mutex::new(Known::default()));
    let (of_server, is_killing) = (Arc::clone(&known), Arc::new(AtomicBool::new(true)));
    let killing = Arc::clone(&is_killing);
    let server = Server::new(move |_, request| {
        let key = request.header("idempotency-key").unwrap().to_owned();
        let mut known = of_server.lock().unwrap();
        match known.batches.iter().find(|(one, _)| *one == key) {
            Some((_, body)) => {
                assert_eq!(*body, request.body, "the same key is the same batch");
                known.again += 1;
                ok()
            }
            None => {
                known.batches.push((key, request.body.clone()));
                // The server has it, and who sent it does not know when it is killed.
                if killing.load(Ordering::Relaxed) { Reaction::Hang } else { ok() }
            }
        }
    });
    let mut scene = Scene::new();
    let wanted = [sink(&format!("http://127.0.0.1:{}/", server.port))];
    for round in 1..=6 {
        // The log has more than before: the batch that comes again must not.
        scene.write_numbers(round * 500 - 499..=round * 500);
        let mut child = router(&scene, &wanted, (round * 500, false));
        until("a batch on its way", || known.lock().unwrap().batches.len() as u64 == round);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    is_killing.store(false, Ordering::Relaxed);
    assert!(router(&scene, &wanted, (3000, true)).wait().unwrap().success());
    let known = known.lock().unwrap();
    assert_eq!(known.again, 6);
    let seqs = known.batches.iter().flat_map(|(_, body)| {
        let text = std::str::from_utf8(body).unwrap().lines().skip(1);
        text.map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
    });
    assert_eq!(seqs.collect::<Vec<_>>(), (1..=3000).collect::<Vec<_>>());
}

/// A receiver of syslog over TCP; every message that came whole.
fn receiver(messages: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // One connection after the other, so that the order is that of their beginnings.
        for stream in listener.incoming() {
            let mut bytes = BufReader::new(stream.unwrap()).bytes();
            let mut next = || bytes.next().and_then(Result::ok);
            'messages: loop {
                let mut length = 0;
                loop {
                    match next() {
                        Some(digit @ b'0'..=b'9') => {
                            length = length * 10 + usize::from(digit - b'0');
                        }
                        Some(b' ') => break,
                        None => break 'messages,
                        Some(other) => panic!("{other} is no length"),
                    }
                }
                let mut message = Vec::new();
                while message.len() < length {
                    let Some(byte) = next() else { break 'messages };
                    message.push(byte);
                }
                messages.lock().unwrap().push(String::from_utf8(message).unwrap());
            }
        }
    });
    port
}

#[test]
fn a_receiver_of_syslog_misses_nothing() {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let port = receiver(Arc::clone(&messages));
    let scene = written();
    kill_again_and_again(&scene, &[sink(&format!("syslog:tcp://127.0.0.1:{port}"))], RECORDS);
    // Its system has all of them; it may still be reading.
    let last = format!(" seq=\"{RECORDS}\"]");
    until("the last message", || {
        messages.lock().unwrap().last().is_some_and(|message| message.contains(&last))
    });
    let messages = messages.lock().unwrap();
    let seqs = messages.iter().map(|message| {
        let (_, rest) = message.split_once(" seq=\"").unwrap();
        rest.split('"').next().unwrap().parse::<u64>().unwrap()
    });
    let (mut highest, mut again, mut greatest) = (0, 0, 0);
    for seq in seqs {
        assert!(seq <= highest + 1, "{seq} after {highest}");
        if seq <= highest {
            again += 1;
            greatest = greatest.max(highest - seq + 1);
        }
        highest = highest.max(seq);
    }
    assert_eq!(highest, RECORDS);
    assert!(greatest <= 4096, "of one batch at most: {greatest}");
    assert!(again <= 4096 * KILLS, "{again}");
}

#[test]
fn loki_has_each_record_once() {
    let scene = written();
    let file = scene.file("loki");
    let (_peer, port) = python(Path::new("python3"), "loki.py", &[file.to_str().unwrap()]);
    kill_again_and_again(&scene, &[sink(&format!("loki+http://127.0.0.1:{port}"))], RECORDS);
    let text = std::fs::read_to_string(&file).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let seqs = entries.map(|entry| entry[3]["seq"].as_str().unwrap().parse().unwrap());
    assert_eq!(seqs.collect::<Vec<u64>>(), (1..=RECORDS).collect::<Vec<_>>());
}
