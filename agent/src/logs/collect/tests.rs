//! A collector that is killed between any two of its steps, and in the middle of a write.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use host_sys::{datagram, file, socket};
use manifest_spec::log::{Resource, attribute};
use manifest_spec::manifest::Full;
use proptest::prelude::*;

use super::*;
use crate::logs::segment::{Bounds, Reader, Step};
use crate::logs::wire;

/// What ends a collector at a checkpoint.
struct Killed;

/// Where and when the collector of this thread is killed.
#[derive(Debug, Default)]
struct Killer {
    folder: PathBuf,
    /// After so many checkpoints.
    left: Option<u32>,
    /// The last segment and its length, at the last checkpoint and at the one before.
    lengths: [(u64, u64); 2],
}

thread_local! {
    static KILLER: RefCell<Killer> = RefCell::default();
}

/// See [`super::checkpoint`].
pub(super) fn checkpoint() {
    let is_killed = KILLER.with_borrow_mut(|killer| {
        let Some(left) = &mut killer.left else { return false };
        let is_over = *left == 0;
        *left = left.saturating_sub(1);
        killer.lengths = [killer.lengths[1], length(&killer.folder)];
        is_over
    });
    if is_killed {
        resume_unwind(Box::new(Killed));
    }
}

/// The number of a folder's last segment, and its length.
fn length(folder: &Path) -> (u64, u64) {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let segments = files.filter_map(|file| {
        let number = file.file_name().to_str()?.strip_suffix(".log")?.parse().ok()?;
        Some((number, file.metadata().ok()?.len()))
    });
    segments.max().unwrap_or_default()
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    /// The program writes to standard output or error.
    Write(usize, String),
    /// It writes that byte by byte.
    Trickle(usize, String),
    /// It sends a datagram of so many lines to the journal.
    Send(u8),
    /// The holder says something.
    Say,
    /// The collector works so many turns.
    Work(u8),
    /// The collector is killed after so many checkpoints, in the middle of a write if it was at one.
    Kill(u32, f64),
}

/// A holder and the program, as far as a collector sees them.
struct Scene {
    root: PathBuf,
    writers: [Option<OwnedFd>; 2],
    fronts: [OwnedFd; 2],
    backs: [[OwnedFd; 2]; 2],
    line: (OwnedFd, OwnedFd),
    socket: OwnedFd,
    client: std::os::unix::net::UnixDatagram,
    collector: Option<Collector>,
    /// What was written.
    written: [String; 2],
    sent: Vec<String>,
    said: u32,
    segment: u64,
    kills: u32,
}

fn copy(fd: &OwnedFd) -> OwnedFd {
    file::duplicate(fd.as_fd()).unwrap()
}

fn resource() -> Resource {
    Resource {
        app: "a".into(),
        service: "b".into(),
        instance: 1,
        version: None,
        host: "h".into(),
        boot_id: "c".into(),
        started: "d".into(),
    }
}

impl Scene {
    fn new(segment: u64, room: i32) -> Scene {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("collect-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for name in ["run", "a/b.1"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        super::renew(&root.join("run")).unwrap();
        let path = root.join("run/socket");
        let socket = datagram::bound_at(&path).unwrap();
        datagram::note_arrivals(socket.as_fd()).unwrap();
        let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
        client.connect(&path).unwrap();
        client.set_nonblocking(true).unwrap();
        let pipe = || {
            let (reader, writer) = file::pipe().unwrap();
            file::widen_pipe(writer.as_fd(), room).unwrap();
            file::set_nonblocking(writer.as_fd()).unwrap();
            (reader, writer)
        };
        let ((front_output, output), (front_error, error)) = (pipe(), pipe());
        let backs = [pipe(), pipe()].map(|(reader, writer)| [reader, writer]);
        Scene {
            root,
            writers: [Some(output), Some(error)],
            fronts: [front_output, front_error],
            backs,
            line: socket::pair().unwrap(),
            socket,
            client,
            collector: None,
            written: Default::default(),
            sent: Vec::new(),
            said: 0,
            segment,
            kills: 0,
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.join("a/b.1")
    }

    /// Another collector.
    fn open(&self) -> Collector {
        let pipes = |one: usize| Pipes {
            front: copy(&self.fronts[one]),
            back: [copy(&self.backs[one][0]), copy(&self.backs[one][1])],
            shown: None,
        };
        let policy = Policy {
            bounds: Bounds { size: 1 << 30, age: Duration::from_secs(1 << 30) },
            segment: self.segment,
            full: Full::DropOldest,
            synced: false,
            clock: crate::clock::since_epoch,
            bell: Rc::default(),
            counters: Arc::default(),
        };
        let sources = Sources {
            streams: [pipes(0), pipes(1)],
            socket: Some(copy(&self.socket)),
            line: copy(&self.line.1),
        };
        let run = self.root.join("run");
        Collector::open(&run, &self.folder(), resource(), policy, Arc::default(), sources).unwrap()
    }

    /// Have the collector take a turn; whether there was anything to do. It may be killed by that.
    fn turn(&mut self) -> bool {
        let collector = self.collector.take();
        let turn = || {
            let mut collector = collector.unwrap_or_else(|| self.open());
            let busy = collector.turn(&mut Vec::new()).unwrap();
            (collector, busy)
        };
        match catch_unwind(AssertUnwindSafe(turn)) {
            Ok((collector, busy)) => {
                self.collector = Some(collector);
                busy
            }
            Err(reason) if reason.is::<Killed>() => {
                KILLER.with_borrow_mut(|killer| killer.left = None);
                self.kills += 1;
                true
            }
            Err(reason) => resume_unwind(reason),
        }
    }

    /// Kill it so many checkpoints later. If it is in the middle of a write then, only a part of that
    /// was done.
    fn kill(&mut self, after: u32, torn: f64) {
        let folder = self.folder();
        let now = length(&folder);
        let killer = Killer { folder: folder.clone(), left: Some(after), lengths: [now, now] };
        KILLER.set(killer);
        let kills = self.kills;
        for _ in 0..8 {
            if !self.turn() || self.kills > kills {
                break;
            }
        }
        self.collector = None;
        let [before, now] = KILLER.with_borrow_mut(|killer| {
            killer.left = None;
            killer.lengths
        });
        if self.kills == kills || now <= before {
            return;
        }
        let least = if before.0 == now.0 { before.1 } else { 0 };
        let kept = least + ((now.1 - least) as f64 * torn) as u64;
        let path = folder.join(format!("{:020}.log", now.0));
        std::fs::File::options().write(true).open(path).unwrap().set_len(kept).unwrap();
    }

    fn write(&mut self, stream: usize, text: &str) {
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let writer = self.writers[stream].as_ref().unwrap();
            match file::write(writer.as_fd(), left) {
                Ok(count) => left = &left[count..],
                Err(host_sys::Errno::EAGAIN) => {
                    self.turn();
                }
                Err(errno) => panic!("{errno}"),
            }
        }
        self.written[stream].push_str(text);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Write(stream, text) => self.write(stream, &text),
            Event::Trickle(stream, text) => {
                for byte in text.as_bytes() {
                    self.write(stream, std::str::from_utf8(&[*byte]).unwrap());
                    self.turn();
                }
            }
            Event::Send(entries) => {
                let number = self.sent.len();
                let names: Vec<_> = (0..entries).map(|one| format!("{number}.{one}")).collect();
                let text: Vec<_> = names.iter().map(|name| format!("MESSAGE={name}\n")).collect();
                while self.client.send(text.join("\n").as_bytes()).is_err() {
                    self.turn();
                }
                self.sent.extend(names);
            }
            Event::Say => {
                let order = Order::Say(AgentRecord {
                    severity: manifest_spec::log::Severity::Info,
                    body: format!("said {}", self.said),
                    attributes: serde_json::Map::new(),
                });
                wire::send(self.line.0.as_fd(), &order).unwrap();
                self.said += 1;
            }
            Event::Work(turns) => {
                for _ in 0..turns {
                    self.turn();
                }
            }
            Event::Kill(after, torn) => self.kill(after, torn),
        }
    }

    /// The program ends, and everything is collected.
    fn end(&mut self) {
        self.writers = [None, None];
        while self.turn() || !self.collector.as_ref().unwrap().is_over() {}
    }

    /// Each thing that was written, sent or said is in the log once and in its order.
    fn check(&self) {
        let mut reader = Reader::open(&self.folder()).unwrap();
        let mut streams = [String::new(), String::new()];
        let (mut sent, mut said, mut seq) = (Vec::new(), Vec::new(), 0);
        loop {
            let record = match reader.next().unwrap() {
                Step::Entry(entry) => entry.record,
                Step::End => break,
                step => panic!("{step:?}"),
            };
            seq += 1;
            assert_eq!(record.seq, seq);
            let goes_on =
                record.attributes.get(attribute::LAST_PART).is_some_and(|one| one == false);
            let end = if goes_on { "" } else { "\n" };
            match record.attributes[attribute::STREAM].as_str().unwrap() {
                "stdout" => streams[0] += &(record.body + end),
                "stderr" => streams[1] += &(record.body + end),
                "journal" => sent.push(record.body),
                "agent" => said.push(record.body),
                other => panic!("{other}"),
            }
        }
        for (found, written) in streams.iter().zip(&self.written) {
            let is_whole = written.is_empty() || written.ends_with('\n');
            let expected = format!("{written}{}", if is_whole { "" } else { "\n" });
            let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
            let near = |text: &str| text[at.min(text.len())..].chars().take(60).collect::<String>();
            assert!(*found == expected, "at {at}: {:?} for {:?}", near(found), near(&expected));
        }
        assert_eq!(sent, self.sent);
        let expected: Vec<_> = (0..self.said).map(|number| format!("said {number}")).collect();
        assert_eq!(said, expected);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Text with line ends where they are least expected.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => "[a-z]{1,60}\n",
        2 => "[a-z]{1,30}",
        1 => Just("\n".to_owned()),
        1 => (1_usize..3 * 65536).prop_map(|length| "x".repeat(length)),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..2, text()).prop_map(|(stream, text)| Event::Write(stream, text)),
        1 => (0_usize..2, "[a-z\n]{1,60}").prop_map(|(stream, text)| Event::Trickle(stream, text)),
        1 => (1_u8..5).prop_map(Event::Send),
        1 => Just(Event::Say),
        2 => (1_u8..4).prop_map(Event::Work),
        6 => (0_u32..40, 0.0..=1.0).prop_map(|(after, torn)| Event::Kill(after, torn)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn killed_at_any_step_nothing_is_lost_and_nothing_is_there_twice(
        events in prop::collection::vec(event(), 1..40),
        segment in prop_oneof![Just(1000_u64), Just(100_000), Just(1 << 30)],
        room in prop_oneof![Just(1_i32 << 20), Just(8192)],
    ) {
        let mut scene = Scene::new(segment, room);
        for event in events {
            scene.happen(event);
        }
        scene.end();
        scene.check();
    }
}

/// Every checkpoint of one busy turn, one after the other.
#[test]
fn killed_at_each_step_of_a_turn_it_is_gone_on_with() {
    let mut kills = 0;
    for after in 0.. {
        let mut scene = Scene::new(3000, 1 << 20);
        let long = "y".repeat(100_000);
        scene.write(0, &format!("one\ntwo\n{long}\nunfinished"));
        scene.write(1, "bad\n");
        scene.happen(Event::Send(3));
        scene.happen(Event::Say);
        scene.kill(after, 0.5);
        kills += scene.kills;
        let was_killed = scene.kills > 0;
        scene.write(0, " no more\n");
        scene.end();
        scene.check();
        if !was_killed {
            break;
        }
    }
    assert!(kills > 30, "{kills}");
}

/// Unfinished lines that come in more pieces than a pipe has places for, on a pipe that holds little.
#[test]
fn a_line_in_many_pieces_is_put_aside_until_it_ends() {
    for room in [4096, 1 << 20] {
        let mut scene = Scene::new(1 << 30, room);
        for number in 0..3000 {
            scene.write(0, &format!("{number} "));
            scene.turn();
        }
        assert_eq!(length(&scene.folder()).1, 0, "nothing is finished");
        scene.kill(3, 1.0);
        scene.write(0, "end\n");
        scene.end();
        scene.check();
        assert!(!is_aside(&scene.root.join("run"), Stream::Output));
    }
}
