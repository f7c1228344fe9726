use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;

use manifest_spec::log::metrics::PipelineMetrics;

use super::super::batch::Bounds;
use super::super::cursor::Cursors;
use super::super::fake::FakeLog;
use super::super::pause::Pauses;
use super::super::shared::Counters;
use super::*;
use crate::logs::sink::file::Mark;
use crate::logs::sink::{Codec, Verdict};

/// What a peer of a test does with one request after the other; all is well when none is left.
enum Mood {
    Answers(Answer),
    /// Is down until so long after the test's beginning.
    DownUntil(Duration),
    /// Answers this to whatever has a record like this, for good.
    Dislikes(u64, Verdict),
    /// Never answers.
    Silent,
}

struct Peer {
    begun: Instant,
    moods: VecDeque<Mood>,
    /// Numbers that it has, and when it got them.
    has: Rc<RefCell<Vec<(u64, Duration)>>>,
    asked: Rc<RefCell<u32>>,
    linger: Duration,
}

impl Deliver for Peer {
    async fn deliver(&mut self, part: &Part<'_>) -> Answer {
        *self.asked.borrow_mut() += 1;
        let now = self.begun.elapsed();
        let answer = match self.moods.front() {
            None => Answer::taken(part.count()),
            Some(Mood::Silent) => std::future::pending().await,
            Some(Mood::DownUntil(end)) if now < *end => return Answer::failed("it is down"),
            Some(Mood::DownUntil(_)) => {
                self.moods.pop_front();
                Answer::taken(part.count())
            }
            Some(Mood::Dislikes(seq, verdict)) => {
                match part.pieces().iter().any(|piece| piece.seq == *seq) {
                    true => Answer::none(*verdict, "I do not like it"),
                    false => Answer::taken(part.count()),
                }
            }
            Some(Mood::Answers(answer)) => {
                let answer = answer.clone();
                self.moods.pop_front();
                answer
            }
        };
        let taken = if answer.verdict == Verdict::Taken { part.count() } else { answer.taken };
        let seqs = part.pieces()[..taken].iter().map(|piece| (piece.seq, now));
        self.has.borrow_mut().extend(seqs);
        answer
    }

    fn mark(&self) -> Option<Mark> {
        None
    }

    fn sync(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn linger(&self) -> Duration {
        self.linger
    }

    fn knows_batches(&self) -> bool {
        true
    }

    async fn close(&mut self) {}
}

/// A lane of a test, with a folder of its own.
struct Scene {
    folder: PathBuf,
    log: FakeLog,
    has: Rc<RefCell<Vec<(u64, Duration)>>>,
    asked: Rc<RefCell<u32>>,
    pulse: watch::Sender<Pulse>,
    stop: watch::Sender<bool>,
    shared: Rc<Shared>,
}

impl Scene {
    fn new(name: &str, records: u64) -> Scene {
        let folder = std::env::temp_dir().join(format!("lane-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let cursors = Cursors::open(&folder, &folder, "boot", u64::MAX);
        let shared = Shared::new(folder.clone(), cursors, || Duration::from_secs(1_767_400_000));
        Scene {
            folder,
            log: FakeLog::of(records),
            has: Rc::default(),
            asked: Rc::default(),
            pulse: watch::channel(Pulse { last: records, ended: false }).0,
            stop: watch::channel(false).0,
            shared: Rc::new(shared),
        }
    }

    fn lane(&self, moods: Vec<Mood>) -> Lane<FakeLog, Peer> {
        let cursors = Cursors::open(&self.folder, &self.folder, "boot", u64::MAX);
        let cursor = cursors.of("peer").unwrap_or(Cursor { seq: Some(0), ..Cursor::default() });
        let bounds = Bounds { records: 10, bytes: 100_000 };
        let gatherer = Gatherer::new(self.log.again(), Codec::Lines, None, bounds, cursor).unwrap();
        let log = self.log.clone();
        let parts = Parts {
            id: "peer".into(),
            sink: Peer {
                begun: Instant::now(),
                moods: moods.into(),
                has: Rc::clone(&self.has),
                asked: Rc::clone(&self.asked),
                linger: Duration::from_secs(1),
            },
            gatherer,
            delivery: Delivery::new(Pauses::default()),
            pulse: self.pulse.subscribe(),
            stop: self.stop.subscribe(),
            open: Rc::new(move || Ok(log.again())),
        };
        Lane::new(parts, Rc::clone(&self.shared))
    }

    fn write(&self, records: u64, ended: bool) {
        self.log.grow(records);
        self.pulse.send_modify(|pulse| {
            pulse.last += records;
            pulse.ended = ended;
        });
    }

    fn seqs(&self) -> Vec<u64> {
        self.has.borrow().iter().map(|(seq, _)| *seq).collect()
    }

    fn metrics(&self) -> PipelineMetrics {
        self.shared.snapshot(&Counters::default(), self.pulse.borrow().last)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Run with a clock that goes on by itself when everybody waits.
fn run(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work);
}

#[test]
fn a_sink_that_is_down_for_ten_minutes_gets_everything_in_order() {
    run(async {
        let scene = Scene::new("down", 25);
        let minutes = Duration::from_secs(600);
        let lane = tokio::task::spawn_local(scene.lane(vec![Mood::DownUntil(minutes)]).run());
        for _ in 0..120 {
            sleep(Duration::from_secs(6)).await;
            scene.write(1, false);
            let sink = &scene.metrics().sinks[0];
            if scene.seqs().is_empty() {
                assert!(sink.lag_records > 0 && sink.lag_seconds > 0.0);
                assert_eq!(sink.last_error.as_ref().unwrap().said, "it is down");
            }
        }
        scene.write(5, true);
        lane.await.unwrap();
        assert_eq!(scene.seqs(), (1..=150).collect::<Vec<_>>());
        assert!(scene.has.borrow()[0].1 >= minutes);
        assert!(scene.has.borrow()[0].1 <= minutes + Duration::from_secs(60));
        let asked = *scene.asked.borrow();
        assert!((10..=80).contains(&asked), "it was left alone for a minute each time: {asked}");
        let sink = &scene.metrics().sinks[0];
        assert_eq!((sink.lag_records, sink.lag_seconds, sink.delivered), (0, 0.0, 150));
        assert_eq!(sink.state, SinkState::Done);
        assert!(sink.retries >= 10);
    });
}

#[test]
fn a_poison_record_is_parked_and_the_others_go_on() {
    for verdict in [Verdict::Refused, Verdict::TooLarge] {
        run(async {
            let scene = Scene::new("poison", 40);
            scene.write(0, true);
            scene.lane(vec![Mood::Dislikes(17, verdict)]).run().await;
            let others: Vec<u64> = (1..=40).filter(|seq| *seq != 17).collect();
            assert_eq!(scene.seqs(), others);
            let parked = std::fs::read_to_string(scene.folder.join("parked.log")).unwrap();
            let parked: serde_json::Value = serde_json::from_str(&parked).unwrap();
            assert_eq!((&parked["seq"], &parked["sink"]), (&17.into(), &"peer".into()));
            assert_eq!(parked["why"], "I do not like it");
            assert!(parked["line"].as_str().unwrap().contains("\"line 17\""));
            let sink = &scene.metrics().sinks[0];
            assert_eq!((sink.parked, sink.delivered, sink.lag_records), (1, 39, 0));
        });
    }
}

#[test]
fn a_busy_sink_is_waited_for_as_long_as_it_says() {
    run(async {
        let scene = Scene::new("busy", 3);
        scene.write(0, true);
        let busy = Answer::none(Verdict::Busy(Some(Duration::from_secs(90))), "answered 429");
        scene.lane(vec![Mood::Answers(busy)]).run().await;
        assert_eq!(scene.seqs(), [1, 2, 3]);
        assert_eq!(scene.has.borrow()[0].1.as_secs(), 90);
    });
}

#[test]
fn a_batch_waits_a_second_for_more_and_not_when_nothing_more_can_come() {
    run(async {
        let scene = Scene::new("linger", 3);
        let lane = tokio::task::spawn_local(scene.lane(Vec::new()).run());
        sleep(Duration::from_millis(900)).await;
        assert!(scene.seqs().is_empty());
        scene.write(2, false);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(scene.seqs(), [1, 2, 3, 4, 5]);
        assert_eq!(*scene.asked.borrow(), 1);
        // A full one does not wait.
        scene.write(10, false);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(scene.seqs().len(), 15);
        scene.write(1, false);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(scene.seqs().len(), 15);
        scene.write(0, true);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(scene.seqs().len(), 16);
        lane.await.unwrap();
    });
}

#[test]
fn the_present_end_of_a_run_loses_nothing_and_the_next_one_goes_on() {
    run(async {
        let scene = Scene::new("stopped", 30);
        let some = Answer::failed("cut off").after(4);
        let moods = vec![Mood::Answers(Answer::taken(10)), Mood::Answers(some), Mood::Silent];
        let lane = tokio::task::spawn_local(scene.lane(moods).run());
        sleep(Duration::from_secs(5)).await;
        assert_eq!(scene.seqs(), (1..=14).collect::<Vec<_>>());
        let asked = Instant::now();
        scene.stop.send_replace(true);
        lane.await.unwrap();
        assert!(asked.elapsed() <= GRACE);
        let cursor =
            Cursors::open(&scene.folder, &scene.folder, "boot", u64::MAX).of("peer").unwrap();
        assert_eq!((cursor.seq, cursor.until), (Some(14), Some(20)), "on its way as one request");
        scene.stop.send_replace(false);
        scene.write(0, true);
        let asked = *scene.asked.borrow();
        scene.lane(Vec::new()).run().await;
        assert_eq!(scene.seqs(), (1..=30).collect::<Vec<_>>());
        assert_eq!(*scene.asked.borrow(), asked + 2, "15 to 20 as they were, then the rest");
    });
}

#[test]
fn what_is_deleted_before_it_was_sent_is_told() {
    run(async {
        let scene = Scene::new("shrunk", 30);
        let lane = tokio::task::spawn_local(
            scene.lane(vec![Mood::DownUntil(Duration::from_secs(9))]).run(),
        );
        sleep(Duration::from_secs(5)).await;
        // Deleted while its first batch waits.
        *scene.log.gone.borrow_mut() = 27;
        scene.write(0, true);
        lane.await.unwrap();
        assert_eq!(scene.seqs(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 27, 28, 29, 30]);
        assert_eq!(scene.metrics().sinks[0].missed, 17);
    });
}
