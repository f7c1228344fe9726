//! A log of an instance in a folder of its own, and its router in a thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::clock::since_epoch;
use agent::logs::route::{Counters, Instance, Orders, Pulse, Wanted, run};
use agent::logs::segment::{Reader, Writer};
use agent::logs::shape::{Draft, Stream, line};
use agent::logs::sink::Surroundings;
use agent::logs::sink::reach::Patience;
use agent::logs::stamp;
use agent::plan::PlannedSink;
use manifest_spec::filter::Filter;
use manifest_spec::log::Resource;
use manifest_spec::log::metrics::PipelineMetrics;
use manifest_spec::sink::SinkTarget;
use tokio::sync::watch;

/// How long a test waits for what must come: far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A log, removed with the test.
pub struct Scene {
    pub folder: PathBuf,
    writer: Writer,
    pub pulse: watch::Sender<Pulse>,
    pub around: Surroundings,
}

/// A router at work.
pub struct Routing {
    pub wanted: watch::Sender<Vec<Wanted>>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<PipelineMetrics>,
}

pub fn resource() -> Resource {
    Resource {
        app: "shop".into(),
        service: "web".into(),
        instance: 2,
        version: Some(3),
        host: "box.example".into(),
        boot_id: "boot".into(),
        started: "2026-01-02T03:00:00Z".into(),
    }
}

/// A sink with this address, and nothing said beside it.
pub fn sink(to: &str) -> Wanted {
    let planned = PlannedSink {
        to: SinkTarget::parse(to).unwrap(),
        when: None,
        rotate: None,
        copies: 5,
        labels: Vec::new(),
        headers: Vec::new(),
        folder: "/".into(),
    };
    Wanted { sink: planned, added: false, from_beginning: false }
}

/// The same with a filter.
pub fn filtered(to: &str, when: &str) -> Wanted {
    let mut wanted = sink(to);
    wanted.sink.when = Some(Filter::parse(when).unwrap());
    wanted
}

impl Scene {
    pub fn new() -> Scene {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let folder = folder.join(format!("sinks-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("run")).unwrap();
        Scene::open(&folder, 1 << 20)
    }

    /// The log in a folder that is there, with segments of this size.
    pub fn open(folder: &Path, segment: u64) -> Scene {
        let (writer, _) = Writer::open(folder, resource(), segment).unwrap();
        let last = writer.next_seq() - 1;
        let mut around = Surroundings::of_host(since_epoch);
        around.patience =
            Patience { connection: Duration::from_secs(5), answer: Duration::from_millis(1500) };
        Scene {
            folder: folder.to_owned(),
            writer,
            pulse: watch::channel(Pulse { last, ended: false }).0,
            around,
        }
    }

    /// Write lines to the log.
    pub fn write<T: AsRef<str>>(&mut self, bodies: impl IntoIterator<Item = T>) {
        let first = self.writer.next_seq();
        let (mut lines, mut seq) = (Vec::new(), first);
        // What is written at once may well have one time.
        let ts = stamp(since_epoch());
        for body in bodies {
            let draft = Draft::plain(Stream::Output, body.as_ref().to_owned().into(), seq * 10);
            line::append(&mut lines, seq, &ts, &draft);
            seq += 1;
        }
        assert!(self.writer.write(first, &lines, seq - first).error.is_none());
        self.pulse.send_modify(|pulse| pulse.last = seq - 1);
    }

    /// Write lines that say their numbers.
    pub fn write_numbers(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        self.write(numbers.map(|number| format!("line {number}")));
    }

    /// A file in the test's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Route the log to these sinks.
    pub fn route(&self, sinks: Vec<Wanted>) -> Routing {
        let (wanted, list) = watch::channel(sinks);
        let (stop, stopped) = watch::channel(false);
        let orders = Orders { wanted: list, pulse: self.pulse.subscribe(), stop: stopped };
        let (folder, around) = (self.folder.clone(), self.around.clone());
        let thread = std::thread::spawn(move || route(&folder, orders, around));
        Routing { wanted, stop, thread }
    }

    /// What the router last wrote about itself.
    pub fn metrics(&self) -> PipelineMetrics {
        let text = std::fs::read(self.folder.join("run/metrics.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What was parked.
    pub fn parked(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.folder.join("parked.log")).unwrap_or_default();
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["seq"].as_u64().unwrap()).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Routing {
    /// Nothing more is written: wait until every sink has everything.
    pub fn finish(self, scene: &Scene) -> PipelineMetrics {
        scene.pulse.send_modify(|pulse| pulse.ended = true);
        let begun = Instant::now();
        while !self.thread.is_finished() {
            assert!(begun.elapsed() < PATIENCE, "{:#?}", scene.metrics());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().unwrap()
    }

    /// End now.
    pub fn stop(self) -> PipelineMetrics {
        self.stop.send_replace(true);
        self.thread.join().unwrap()
    }
}

/// Route the log in this folder, in this thread.
pub fn route(folder: &Path, orders: Orders, around: Surroundings) -> PipelineMetrics {
    let instance = Instance {
        folder: folder.to_owned(),
        run: folder.join("run"),
        boot_id: "boot".into(),
        before: 0,
    };
    let folder = folder.to_owned();
    let open = move || Reader::open(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(instance, open, orders, Arc::new(Counters::default()), around))
}

/// Wait for something.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
